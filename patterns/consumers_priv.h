// Who reads attention's output: the quantizes that it leads to, through layout and casts.
#ifndef QUENCH_PATTERNS_CONSUMERS_PRIV_H
#define QUENCH_PATTERNS_CONSUMERS_PRIV_H

#include "patterns/rule_priv.h"

typedef struct qn_consumers {
  qn_node quantizes[2]; // the first two that are found
  uint32_t quantize_count;
  qn_node other; // the first that is neither a quantize nor leads to one, or QN_NONE
  bool output;   // the value, moved or not, is a result of the graph
} qn_consumers;

// Moves or views elements, or changes their type.
bool qn_op_is_layout_or_cast(qn_op op);
// What a value leads to. A second quantize ends the search: two are enough to refuse.
qn_consumers qn_find_consumers(const qn_graph *graph, qn_value value);
// Refuses with mixed_consumers, naming both quantizes, if there are two.
bool qn_has_one_quantize(const qn_graph *graph, const qn_consumers *consumers, qn_reason *out_reason);

#endif
