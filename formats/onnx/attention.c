// Attention 23 to 25, with the meaning that the errata of 2026 gave it: causal masks are aligned to the end of
// what the cache holds, and softcap comes before the mask.
#include "formats/onnx/onnx_priv.h"

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, LENGTHS };

// Rank 3 is [batch, sequence, heads * head_dim]; rank 4 has the heads in front of the sequence. Where nothing
// is known of q, the head counts tell: only rank 3 needs them.
static bool is_3d(const qn_onnx_importer *im) {
  int32_t rank = qn_onnx_operand_type(im, Q).rank;
  return rank == QN_RANK_UNKNOWN ? qn_onnx_find_attr(im->item->node, "q_num_heads") != NULL : rank == 3;
}

qn_status qn_onnx_special_attention(qn_onnx_importer *im, bool *out_read) {
  const pb_node *node = im->item->node;
  if (im->operand_count < 3 || !im->operands[Q] || !im->operands[K] || !im->operands[V])
    return qn_onnx_fail_node(im->model, QN_INVALID, node, "Attention needs q, k and v");
  int32_t rank = qn_onnx_operand_type(im, Q).rank;
  if (rank != QN_RANK_UNKNOWN && rank != 3 && rank != 4)
    return qn_onnx_fail_node(im->model, QN_INVALID, node, "q has rank %d; Attention takes 3 or 4", rank);
  if (is_3d(im)) {
    if (!qn_onnx_find_attr(node, "q_num_heads") || !qn_onnx_find_attr(node, "kv_num_heads"))
      return qn_onnx_fail_node(im->model, QN_INVALID, node,
                               "q has rank 3, and q_num_heads or kv_num_heads is missing");
    qn_onnx_set_text(im, "q_layout", "bsm");
    qn_onnx_set_text(im, "k_layout", "bsm");
    qn_onnx_set_text(im, "v_layout", "bsm");
    qn_onnx_set_text(im, "out_layout", "bsm");
  }
  const pb_attr *scale = qn_onnx_find_attr(node, "scale");
  if (scale) { // 0 is how the graph writes the default, 1 / sqrt(head_dim)
    *out_read = scale->has_f && scale->f != 0;
    qn_onnx_set_float(im, "scale", (double)scale->f);
  }
  // Query i sees key j if j <= i + offset. With a past or with lengths the operation's own offset is ONNX's:
  // the length of the past, also where that is 0, and the valid length less the queries.
  if (qn_onnx_attr_int(node, "is_causal", 0))
    qn_onnx_set_text(im, "causal", qn_onnx_get_operand(im, LENGTHS) ? "bottom_right" : "top_left");
  int64_t precision = qn_onnx_attr_int(node, "softmax_precision", 0);
  if (precision) {
    qn_dtype type = qn_onnx_dtype(precision);
    if (!qn_dtype_is_float(type)) *out_read = false;
    qn_onnx_set_int(im, "softmax_type", type);
  }
  return QN_OK;
}
