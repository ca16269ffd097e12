// PyTorch's scaled_dot_product_attention in its forms, and vLLM's attention over sequences that lie end to end.
#include "formats/torch/torch_priv.h"

static uint32_t count_operands(const qn_value operands[QN_ATTENTION_OPERAND_COUNT]) {
  uint32_t count = QN_ATTENTION_OPERAND_COUNT;
  while (operands[count - 1] == QN_NONE) count--;
  return count;
}

// PyTorch broadcasts a last dim of 1; in `attention` it would mask all keys but one.
static void check_mask(qn_torch_reader *r, qn_value mask, qn_type_info q, qn_type_info k) {
  qn_type_info type = qn_torch_type(r, mask);
  if (!mask) return;
  if (type.dtype != QN_BOOL && type.dtype != q.dtype && type.dtype != QN_F32)
    qn_torch_refuse(r, "a mask of type %s", qn_dtype_name(type.dtype));
  if (type.rank < 1 || type.rank > 4) qn_torch_refuse(r, "a mask of rank %d", (int)type.rank);
  if (r->status == QN_OK && type.dims[type.rank - 1] == 1 && k.rank == 4 && k.dims[2] != 1)
    qn_torch_refuse(r, "a mask that is broadcast along the keys");
}

void qn_torch_read_attention(qn_torch_reader *r) {
  qn_value operands[QN_ATTENTION_OPERAND_COUNT] = { qn_torch_value(r, "query"), qn_torch_value(r, "key"),
                                                    qn_torch_value(r, "value"),
                                                    qn_torch_value(r, "attn_mask") };
  qn_type_info q = qn_torch_type(r, operands[0]), k = qn_torch_type(r, operands[1]),
               v = qn_torch_type(r, operands[2]);
  double scale = qn_torch_float(r, "scale", 0);
  bool causal = qn_torch_int(r, "is_causal", 0);
  if (qn_torch_float(r, "dropout_p", 0) != 0) qn_torch_refuse(r, "dropout");
  if (q.rank != 4 || k.rank != 4 || v.rank != 4)
    qn_torch_refuse(r, "query, key and value are not all of rank 4");
  if (q.dtype != k.dtype || q.dtype != v.dtype)
    qn_torch_refuse(r, "query, key and value differ in their types");
  if (qn_torch_has(r, "scale") && scale == 0) qn_torch_refuse(r, "a scale of 0");
  if (causal && operands[QN_ATTENTION_MASK]) qn_torch_refuse(r, "is_causal together with a mask");
  check_mask(r, operands[QN_ATTENTION_MASK], q, k);
  qn_attr attrs[2];
  uint32_t count = 0;
  if (scale != 0) attrs[count++] = (qn_attr){ .name = "scale", .f = scale };
  if (causal) attrs[count++] = (qn_attr){ .name = "causal", .i = QN_CAUSAL_TOP_LEFT };
  qn_torch_result(r, 0,
                  qn_torch_add(r,
                               qn_node_params(.op = QN_OP_attention, .operands = operands,
                                              .operand_count = count_operands(operands), .attrs = attrs,
                                              .attr_count = count),
                               NULL));
}

// The graph says neither where sequences begin nor the factor of the scores, nor whether keys lie in a cache:
// that is the layer's and the forward context's. Who knows them gives them as three operands more; key and
// value then hold all keys of each sequence.
void qn_torch_read_unified_attention(qn_torch_reader *r) {
  qn_value operands[QN_ATTENTION_OPERAND_COUNT] = { qn_torch_value(r, "query"), qn_torch_value(r, "key"),
                                                    qn_torch_value(r, "value") };
  operands[QN_ATTENTION_CU_SEQLENS_Q] = qn_torch_value(r, "cu_seqlens_q");
  operands[QN_ATTENTION_CU_SEQLENS_KV] = qn_torch_value(r, "cu_seqlens_kv");
  if (qn_torch_has(r, "output_scale") || qn_torch_has(r, "output_block_scale"))
    qn_torch_refuse(r, "its output is quantized already");
  if (!operands[QN_ATTENTION_CU_SEQLENS_Q] || !operands[QN_ATTENTION_CU_SEQLENS_KV] ||
      !qn_torch_has(r, "scale"))
    qn_torch_refuse(r, "the graph does not say where sequences begin, nor the factor of the scores: give "
                       "cu_seqlens_q, cu_seqlens_kv and scale");
  qn_attr attrs[] = {
    { .name = "scale", .f = qn_torch_float(r, "scale", 0) },
    { .name = "causal", .i = QN_CAUSAL_BOTTOM_RIGHT },
    { .name = "q_layout", .i = QN_LAYOUT_THD },
    { .name = "k_layout", .i = QN_LAYOUT_THD },
    { .name = "v_layout", .i = QN_LAYOUT_THD },
    { .name = "out_layout", .i = QN_LAYOUT_THD },
  };
  qn_torch_result(r, 0,
                  qn_torch_add(r,
                               qn_node_params(.op = QN_OP_attention, .operands = operands,
                                              .operand_count = count_operands(operands), .attrs = attrs,
                                              .attr_count = QN_COUNT(attrs)),
                               NULL));
}
