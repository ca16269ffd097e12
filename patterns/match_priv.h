// A matcher at work: the state that match.c searches with, match_check.c judges and rewrite.c reads.
#ifndef QUENCH_PATTERNS_MATCH_PRIV_H
#define QUENCH_PATTERNS_MATCH_PRIV_H

#include "patterns/program_priv.h"

#define QN_UNBOUND UINT32_MAX // of a value; QN_NONE is an operand that is bound and absent

// A goal: this term has to match this value. Cells are shared by the choices that were made after them, so they
// are only ever pushed, and dropped by lowering the height when a choice is taken back.
typedef struct qn_goal {
  uint32_t next; // 0: none
  qn_value value;
  uint16_t term;    // or, with QN_GOAL_FIND, an index in `finds`
  uint16_t operand; // the position it stands in; QN_NO_INDEX at the root
} qn_goal;
enum { QN_GOAL_FIND = 0x8000 };

typedef struct qn_choice {
  uint32_t goals; // what remains after this choice
  uint32_t goal_height, trail_height, node_count;
  uint32_t next; // ALT: arm; COMMUTE: unused; FIND: the use to go on with
  qn_value value;
  uint16_t term; // ALT, COMMUTE; for FIND as in qn_goal
  uint16_t operand;
} qn_choice;

// What to take back: the slot, attribute slot or statement that was bound.
enum { QN_TRAIL_SLOT = 0, QN_TRAIL_ATTR = 1 << 16, QN_TRAIL_STMT = 2 << 16, QN_TRAIL_ARM = 3 << 16 };

typedef struct qn_bound_attr {
  qn_node node;
  const qn_attr_info *attr;
} qn_bound_attr;

struct qn_match {
  qn_matcher *matcher;
  qn_graph *graph;
  const qn_program *program;
  uint32_t rule;
  qn_value *values;     // by slot
  qn_bound_attr *attrs; // by attribute slot; node QN_NONE: unbound
  qn_node *stmt_nodes;  // by statement
  int16_t *arms;        // by statement; -1: not reached
  qn_node *nodes;       // matched operations, the anchor first
  uint32_t node_count;
};

struct qn_matcher {
  qn_context *context;
  const qn_rule_set *set;
  qn_legality legality;
  qn_rule_stats *stats;
  qn_miss_fn on_miss; // of the run in progress, or NULL
  void *on_miss_user;
  qn_arena arena; // of the match
  qn_match match;
  qn_miss miss;      // of the last attempt, or of the furthest of qn_match_any
  qn_miss furthest;  // so far, in qn_match_any
  uint32_t progress; // of `miss`
  qn_status status;  // QN_MEMORY if `marks` could not grow; qn_rules_run returns it
  uint32_t steps;
  uint32_t goals; // the first one, 0: none
  uint32_t goal_height, choice_count, trail_height;
  qn_goal *goal_cells; // [0] unused
  qn_choice *choices;
  uint32_t *trail;
  size_t buffer_size; // all the arrays above are one block, at `buffer`
  void *buffer;
  // Rewriting. `marks` is by node: the number of the match that marked it last.
  uint32_t *marks, mark_capacity, mark;
  qn_node *created; // by the last rewrite
  uint32_t created_count;
};

// Stages of one attempt: a failure of a later stage has come further at equal depth. Guard g is GUARD + g.
typedef enum qn_progress { QN_PROGRESS_STRUCTURE, QN_PROGRESS_ESCAPE, QN_PROGRESS_GUARD } qn_progress;

// The record to fill in if a failure of this stage, now, has come further than those before it; else NULL, so
// that a failure that nobody will read costs two comparisons. Guard, value and node are none, the reason is
// empty.
qn_miss *qn_match_further(qn_matcher *matcher, uint32_t stage, qn_why why, uint32_t place);
// What a complete structure still has to satisfy: no interior value escapes, the outputs can be replaced, the
// guards agree (match_check.c).
bool qn_match_check(qn_matcher *matcher);
// The first and the last operation in the graph's order that define an output. With one output both are the
// anchor.
void qn_match_find_span(const qn_match *match, qn_node *out_first, qn_node *out_last);
// Starts a new number for `marks`, which then cover the graph.
qn_status qn_matcher_clear_marks(qn_matcher *matcher, const qn_graph *graph);
// Whether the operation is part of the match.
bool qn_match_has_node(const qn_match *match, qn_node node);
// Whether two values are the same, or constants of equal type and bytes.
bool qn_values_same(const qn_graph *graph, qn_value a, qn_value b);
// Resolved arguments of a guard or a function; `out_args` has QN_GUARD_ARGS_MAX + 1 entries.
void qn_match_get_args(const qn_match *match, const qn_call *call, qn_arg *out_args);

#endif
