// Attention in its parts becomes one operation (patterns/attention.c), and a mask that is provably causal
// becomes the attribute: the kernel then reads no mask and skips what it would hide.
#include "passes/mask_priv.h"
#include "passes/pass_priv.h"

// Length of q or k: the position axis under its layout.
static bool length_of(const qn_graph *graph, qn_node attention, uint32_t operand, const char *layout,
                      qn_dim *out) {
  qn_type_info type =
      qn_type_get_info(graph, qn_value_get_type(graph, qn_node_get_operand(graph, attention, operand)));
  if (type.rank < 3) return false;
  *out = type.dims[qn_node_get_int(graph, attention, layout) == QN_LAYOUT_BHSD && type.rank == 4 ? 2 : 1];
  return true;
}

// Whether something else than causality goes by a query's position among the keys, which bottom_right moves.
static bool uses_positions(const qn_graph *graph, qn_node attention) {
  return qn_node_get_int(graph, attention, "window_left") != -1 ||
         qn_node_get_int(graph, attention, "window_right") != -1 ||
         qn_node_get_operand(graph, attention, QN_ATTENTION_ALIBI_SLOPES) != QN_NONE;
}

static qn_status prove_causal(qn_pipeline *pipeline, qn_node node) {
  qn_graph *graph = pipeline->graph;
  qn_value mask = qn_node_get_operand(graph, node, QN_ATTENTION_MASK);
  qn_dim q_len, kv_len;
  if (!mask || qn_node_get_int(graph, node, "causal") != QN_CAUSAL_NONE) return QN_OK;
  if (qn_node_get_operand(graph, node, QN_ATTENTION_PAST_KEY) ||
      qn_node_get_operand(graph, node, QN_ATTENTION_KV_LENGTHS))
    return QN_OK;
  if (!length_of(graph, node, QN_ATTENTION_Q, "q_layout", &q_len) ||
      !length_of(graph, node, QN_ATTENTION_K, "k_layout", &kv_len))
    return QN_OK;
  qn_causal causal = qn_mask_prove_causal(graph, mask, q_len, kv_len);
  if (causal == QN_CAUSAL_BOTTOM_RIGHT && uses_positions(graph, node)) return QN_OK;
  if (causal == QN_CAUSAL_NONE || !qn_pass_spend(pipeline)) return QN_OK;
  QN_TRY(qn_pass_log(pipeline, "causal_mask", &node, 1, NULL, 0));
  QN_TRY(qn_node_set_operand(graph, node, QN_ATTENTION_MASK, QN_NONE));
  return qn_node_set_attr(graph, node, &(qn_attr){ .name = "causal", .i = causal });
}

qn_status qn_pass_recover_attention(qn_pipeline *pipeline) {
  qn_graph *graph = pipeline->graph;
  QN_TRY(qn_pass_apply_rules(pipeline, "attention", QN_WALK_ONCE));
  for (qn_node node = qn_graph_get_first(graph); node && pipeline->fuel; node = qn_node_get_next(graph, node))
    if (qn_node_get_op(graph, node) == QN_OP_attention) QN_TRY(prove_causal(pipeline, node));
  return QN_OK;
}
