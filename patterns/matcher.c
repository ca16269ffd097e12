// A matcher's life, and what a match says to guards, attribute functions and passes.
#include "patterns/match_priv.h"

#include <assert.h>

// --- the matcher -----------------------------------------------------------------------------------------

// Lays the arrays of the matcher out in one block. With `block` NULL only the size is computed.
static size_t lay_out(qn_matcher *matcher, const qn_rule_set *set, char *block) {
  size_t size = 0;
  uint32_t kids = 0, finds = 0;
  for (uint32_t i = 0; i < set->count; i++) {
    kids = QN_MAX(kids, set->programs[i].kid_count);
    finds = QN_MAX(finds, set->programs[i].find_count);
  }
  // Each term is visited at most once on one path: as an operand or an arm, as a statement's right side, or as
  // the anchor; and so is each statement to be found. Cell 0 stands for "none".
  uint32_t goals = kids + set->stmts_max + finds + 4u;
#define PLACE(array, count)                                                                                    \
  do {                                                                                                         \
    if (block) matcher->array = (void *)(block + size);                                                        \
    size += ((size_t)(count) * sizeof *matcher->array + 15) & ~(size_t)15;                                     \
  } while (0)
  PLACE(stats, set->count);
  PLACE(match.values, set->slots_max);
  PLACE(match.attrs, set->attr_slots_max);
  PLACE(match.stmt_nodes, set->stmts_max);
  PLACE(match.arms, set->stmts_max);
  PLACE(match.nodes, set->terms_max);
  PLACE(goal_cells, goals);
  PLACE(choices, set->terms_max + finds);
  PLACE(trail, set->slots_max + set->attr_slots_max + 2u * set->stmts_max);
  PLACE(created, set->build_nodes_max);
#undef PLACE
  return size;
}

qn_status qn_matcher_create(qn_context *context, const qn_rule_set *set, const qn_legality *legality,
                            qn_matcher **out_matcher) {
  *out_matcher = NULL;
  qn_matcher *matcher = qn_alloc_zero(context, sizeof *matcher);
  if (!matcher) return qn_fail_memory(context);
  matcher->context = context;
  matcher->set = set;
  if (legality) matcher->legality = *legality;
  matcher->arena = QN_ARENA(context);
  matcher->match.matcher = matcher;
  matcher->buffer_size = lay_out(matcher, set, NULL);
  matcher->buffer = qn_alloc_zero(context, matcher->buffer_size);
  if (!matcher->buffer) {
    qn_matcher_destroy(matcher);
    return qn_fail_memory(context);
  }
  lay_out(matcher, set, matcher->buffer);
  for (uint32_t i = 0; i < set->count; i++) matcher->stats[i].rule = set->programs[i].rule->name;
  *out_matcher = matcher;
  return QN_OK;
}

void qn_matcher_destroy(qn_matcher *matcher) {
  if (!matcher) return;
  qn_context *context = matcher->context;
  qn_arena_free(&matcher->arena);
  qn_free(context, matcher->marks, matcher->mark_capacity * sizeof *matcher->marks);
  qn_free(context, matcher->buffer, matcher->buffer_size);
  qn_free(context, matcher, sizeof *matcher);
}

const qn_miss *qn_matcher_get_miss(const qn_matcher *matcher) {
  return &matcher->miss;
}
const qn_rule_stats *qn_matcher_get_stats(const qn_matcher *matcher, uint32_t rule) {
  return &matcher->stats[rule];
}

// --- reading a match -------------------------------------------------------------------------------------

static uint16_t find_slot(const qn_match *match, const char *name) {
  const qn_program *program = match->program;
  for (uint16_t i = 0; i < program->slot_count; i++)
    if (!strcmp(program->slots[i].name, name)) return i;
  assert(!"the rule has no value of that name");
  return QN_NO_INDEX;
}

static uint16_t find_stmt(const qn_match *match, const char *name) {
  uint16_t slot = find_slot(match, name);
  return slot == QN_NO_INDEX ? QN_NO_INDEX : match->program->slots[slot].stmt;
}

qn_graph *qn_match_get_graph(const qn_match *match) {
  return match->graph;
}
const qn_legality *qn_match_get_legality(const qn_match *match) {
  return &match->matcher->legality;
}
const qn_rule *qn_match_get_rule(const qn_match *match) {
  return match->program->rule;
}
const qn_node *qn_match_get_nodes(const qn_match *match, uint32_t *out_count) {
  *out_count = match->node_count;
  return match->nodes;
}
void *qn_match_alloc(const qn_match *match, size_t size) {
  return qn_arena_alloc(&match->matcher->arena, size);
}

static qn_value slot_value(const qn_match *match, uint16_t slot) {
  return match->values[slot] == QN_UNBOUND ? QN_NONE : match->values[slot];
}

qn_value qn_match_get_value(const qn_match *match, const char *name) {
  uint16_t slot = find_slot(match, name);
  return slot == QN_NO_INDEX ? QN_NONE : slot_value(match, slot);
}

qn_node qn_match_get_node(const qn_match *match, const char *name) {
  uint16_t stmt = find_stmt(match, name);
  return stmt == QN_NO_INDEX ? QN_NONE : match->stmt_nodes[stmt];
}

int qn_match_get_arm(const qn_match *match, const char *name) {
  uint16_t stmt = find_stmt(match, name);
  if (stmt == QN_NO_INDEX) return -1;
  // A statement with one arm has no choice to record.
  if (match->arms[stmt] < 0) return match->stmt_nodes[stmt] == QN_NONE ? -1 : 0;
  return match->arms[stmt];
}

bool qn_match_has_node(const qn_match *match, qn_node node) {
  for (uint32_t i = 0; i < match->node_count; i++)
    if (match->nodes[i] == node) return true;
  return false;
}

void qn_match_get_args(const qn_match *match, const qn_call *call, qn_arg *out_args) {
  for (uint8_t i = 0; i < call->arg_count; i++) {
    const qn_arg_ref *ref = &call->args[i];
    qn_arg *arg = &out_args[i];
    *arg = (qn_arg){ .name = ref->name, .number = ref->number };
    if (ref->slot != QN_NO_INDEX) {
      arg->value = slot_value(match, ref->slot);
      if (arg->value != QN_NONE) arg->node = qn_value_get_node(match->graph, arg->value);
    } else if (ref->attr_slot != QN_NO_INDEX) {
      arg->node = match->attrs[ref->attr_slot].node;
      arg->attr = match->attrs[ref->attr_slot].attr;
    }
  }
  out_args[call->arg_count] = (qn_arg){ 0 };
}
