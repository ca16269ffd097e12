// A rule's match side as a real graph: for printing, and for the generated tests, which differ in where holes,
// attributes and choices come from.
#ifndef QUENCH_PATTERNS_INSTANCE_PRIV_H
#define QUENCH_PATTERNS_INSTANCE_PRIV_H

#include "patterns/program_priv.h"

typedef struct qn_instance {
  void *user;
  bool refines;
  // Makes the value of a hole.
  qn_status (*add_hole)(void *user, qn_graph *graph, const qn_slot *slot, qn_value *out_value);
  // The value of an attribute variable that no literal gives, or, where `refines`, of one of which a literal
  // gives the family of schemes; false: the default.
  bool (*get_attr)(void *user, const char *variable, const qn_attr_info *attr, qn_attr *out_attr);
  // Attributes that a statement leaves open (`..`): up to QN_OP_ATTRS_MAX. Returns their number.
  uint32_t (*get_open_attrs)(void *user, const char *stmt, qn_op op, qn_attr *out_attrs);
  // Whether an optional operand is present.
  bool (*take_optional)(void *user, const char *name);
  // Which form to take, 0 being the longest: an arm, an operation of a class, the order of commutative operands
  // (1: swapped).
  uint32_t (*choose)(void *user, uint32_t count);
} qn_instance;

// Adds the rule's match side to the graph, without graph outputs. `out_values` is by slot, QN_NONE where a
// choice left the name out.
qn_status qn_rule_instantiate(const qn_rule_set *set, uint32_t rule, const qn_instance *instance,
                              qn_graph *graph, qn_value *out_values);

#endif
