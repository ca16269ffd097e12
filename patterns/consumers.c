// The walk from attention's output to the quantizes that read it.
#include "patterns/consumers_priv.h"

#include "ir/graph_priv.h"

enum { WALK_MAX = 64 }; // values that are looked at; what lies beyond counts as another reader

bool qn_op_is_layout_or_cast(qn_op op) {
  return op == QN_OP_cast || (qn_op_get_info(op)->facts & (QN_FACT_VIEW | QN_FACT_LAYOUT));
}

static void note_quantize(qn_consumers *c, qn_node node) {
  for (uint32_t i = 0; i < c->quantize_count; i++)
    if (c->quantizes[i] == node) return;
  c->quantizes[c->quantize_count++] = node;
}

qn_consumers qn_find_consumers(const qn_graph *graph, qn_value value) {
  qn_consumers c = { 0 };
  qn_value queue[WALK_MAX] = { value };
  uint32_t count = 1;
  for (uint32_t at = 0; at < count; at++) {
    c.output |= qn_value_is_output(graph, queue[at]);
    for (qn_use use = qn_value_get_first_use(graph, queue[at]); use != QN_NONE;
         use = qn_use_get_next(graph, use)) {
      qn_node user = qn_use_get_user(graph, use);
      qn_op op = qn_node_get_op(graph, user);
      bool first = qn_use_get_operand_index(graph, use) == 0;
      if (op == QN_OP_shape) continue; // reads no element
      if (first && op == QN_OP_quantize) {
        note_quantize(&c, user);
        if (c.quantize_count == QN_COUNT(c.quantizes)) return c;
      } else if (first && qn_op_is_layout_or_cast(op) && count < WALK_MAX) {
        queue[count++] = qn_node_get_result(graph, user, 0);
      } else if (c.other == QN_NONE) {
        c.other = user;
      }
    }
  }
  return c;
}

bool qn_has_one_quantize(const qn_graph *graph, const qn_consumers *consumers, qn_reason *out_reason) {
  char first[16], second[16];
  if (consumers->quantize_count < 2) return true;
  return qn_refuse(out_reason, QN_WHY_mixed_consumers, "one quantize", "%.40s and %.40s",
                   qn_node_label(graph, consumers->quantizes[0], first),
                   qn_node_label(graph, consumers->quantizes[1], second));
}
