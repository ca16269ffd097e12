// Equal quantizations of one value become one: quantizers write one for each consumer, each with constants of
// its own.
#include "passes/equal_priv.h"

// A value with more uses than this is looked at no further, so that the cost grows with the graph alone.
enum { USES_MAX = 64 };

// Whether two operands are one value or two constants of the same bytes.
static bool same_operand(const qn_graph *graph, qn_value a, qn_value b) {
  if (a == b) return true;
  if (!a || !b || !qn_value_get_const(graph, a) || !qn_value_get_const(graph, b)) return false;
  return qn_node_same_attrs(graph, qn_value_get_node(graph, a), qn_value_get_node(graph, b));
}

static bool same_quantize(const qn_graph *graph, qn_node a, qn_node b) {
  uint32_t count = QN_MAX(qn_node_get_operand_count(graph, a), qn_node_get_operand_count(graph, b));
  for (uint32_t i = 0; i < count; i++)
    if (!same_operand(graph, qn_node_get_operand(graph, a, i), qn_node_get_operand(graph, b, i))) return false;
  return qn_node_same_attrs(graph, a, b);
}

// A node's index says nothing of its place: rewrites put new nodes in front of old ones.
static bool stands_before(const qn_graph *graph, qn_node a, qn_node b) {
  while (b && b != a) b = qn_node_get_previous(graph, b);
  return b == a;
}

// An earlier quantize of the same value that gives the same codes, and all results that are asked for.
static qn_node find_equal(const qn_graph *graph, qn_node node) {
  qn_use use = qn_value_get_first_use(graph, qn_node_get_operand(graph, node, 0));
  for (int seen = 0; use && seen < USES_MAX; use = qn_use_get_next(graph, use), seen++) {
    qn_node other = qn_use_get_user(graph, use);
    if (other != node && qn_node_get_op(graph, other) == QN_OP_quantize &&
        qn_node_get_result_count(graph, other) >= qn_node_get_result_count(graph, node) &&
        same_quantize(graph, node, other) && stands_before(graph, other, node))
      return other;
  }
  return QN_NONE;
}

qn_status qn_merge_equal_quantize(qn_pipeline *pipeline, qn_node node) {
  qn_graph *graph = pipeline->graph;
  qn_node equal = find_equal(graph, node);
  if (!equal || !qn_pass_spend(pipeline)) return QN_OK;
  for (uint32_t i = 1; i < qn_node_get_result_count(graph, node); i++)
    QN_TRY(qn_value_replace(graph, qn_node_get_result(graph, node, i), qn_node_get_result(graph, equal, i),
                            false));
  return qn_pass_replace(pipeline, "equal-quantize", node, qn_node_get_result(graph, equal, 0), NULL, 0);
}
