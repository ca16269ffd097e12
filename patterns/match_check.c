// What a complete structure still has to satisfy before anything may change: nothing interior escapes, the
// outputs can be replaced where they stand, and the guards agree. The cheap questions come first, the target's
// last.
#include "patterns/match_priv.h"

// --- escapes ---------------------------------------------------------------------------------------------

static bool is_output(const qn_match *match, qn_value value) {
  for (uint16_t i = 0; i < match->program->output_count; i++)
    if (match->values[match->program->outputs[i]] == value) return true;
  return false;
}

static bool is_named(const qn_match *match, qn_value value) {
  for (uint16_t i = 0; i < match->program->slot_count; i++)
    if (match->values[i] == value) return true;
  return false;
}

// The row of the text that matched a node, for the caret.
static uint32_t place_of(const qn_match *match, qn_node node) {
  const qn_program *program = match->program;
  for (uint16_t i = 0; i < program->stmt_count; i++)
    if (match->stmt_nodes[i] == node) return program->stmts[i].begin;
  return program->terms[program->anchor].place;
}

// `user`: who reads the value outside the match, or QN_NONE if it is a graph output.
static bool fail_escape(qn_matcher *matcher, qn_node node, qn_value value, qn_node user) {
  const qn_match *match = &matcher->match;
  uint32_t result = qn_value_get_result_index(match->graph, value);
  qn_why why = result && !is_named(match, value) ? QN_WHY_extra_result : QN_WHY_escapes;
  qn_miss *miss = qn_match_further(matcher, QN_PROGRESS_ESCAPE, why, place_of(match, node));
  if (miss) {
    miss->node = node;
    miss->value = value;
    miss->expected = result;
    miss->found = user;
  }
  return false;
}

// Users are counted and not uses: `mul(x, x)` is one user.
static bool check_escapes(qn_matcher *matcher) {
  const qn_match *match = &matcher->match;
  const qn_graph *graph = match->graph;
  for (uint32_t i = 0; i < match->node_count; i++) {
    qn_node node = match->nodes[i];
    uint32_t results = qn_node_get_result_count(graph, node);
    if (qn_node_has_effect(graph, node))
      return fail_escape(matcher, node, qn_node_get_result(graph, node, 0), node);
    for (uint32_t r = 0; r < results; r++) {
      qn_value value = qn_node_get_result(graph, node, r);
      if (is_output(match, value)) continue;
      if (qn_value_is_output(graph, value)) return fail_escape(matcher, node, value, QN_NONE);
      for (qn_use use = qn_value_get_first_use(graph, value); use != QN_NONE;
           use = qn_use_get_next(graph, use)) {
        qn_node user = qn_use_get_user(graph, use);
        if (!qn_match_has_node(match, user)) return fail_escape(matcher, node, value, user);
      }
    }
  }
  return true;
}

// --- several outputs -------------------------------------------------------------------------------------

static bool defines_output(const qn_match *match, qn_node node) {
  const qn_program *program = match->program;
  for (uint16_t i = 0; i < program->output_count; i++) {
    qn_value value = match->values[program->outputs[i]];
    if (value != QN_NONE && qn_value_get_node(match->graph, value) == node) return true;
  }
  return false;
}

void qn_match_find_span(const qn_match *match, qn_node *out_first, qn_node *out_last) {
  const qn_graph *graph = match->graph;
  uint32_t left = 0;
  for (uint32_t i = 1; i < match->node_count; i++) left += defines_output(match, match->nodes[i]);
  qn_node before = *out_first = match->nodes[0], after = *out_last = match->nodes[0];
  // Both ways at once: the outputs stand near each other, wherever in the graph that is.
  while (left) {
    if (before != QN_NONE) before = qn_node_get_previous(graph, before);
    if (after != QN_NONE) after = qn_node_get_next(graph, after);
    if (before != QN_NONE && defines_output(match, before)) *out_first = before, left--;
    if (after != QN_NONE && defines_output(match, after)) *out_last = after, left--;
  }
}

qn_status qn_matcher_clear_marks(qn_matcher *matcher, const qn_graph *graph) {
  uint32_t limit = qn_graph_get_node_limit(graph), old = matcher->mark_capacity;
  if (limit > old) {
    QN_TRY(QN_RESERVE(matcher->context, matcher->marks, matcher->mark_capacity, limit));
    memset(matcher->marks + old, 0, (matcher->mark_capacity - old) * sizeof *matcher->marks);
  }
  matcher->mark++;
  return QN_OK;
}

// Marks the operations between the first and the last output that are not part of the match and read an output,
// directly or not: they have to stand behind the right side. Impossible if the match itself reads one of them.
static bool check_order(qn_matcher *matcher) {
  qn_match *match = &matcher->match;
  qn_graph *graph = match->graph;
  qn_node node, last;
  if (match->program->output_count == 1) return true;
  matcher->status = qn_matcher_clear_marks(matcher, graph);
  if (matcher->status != QN_OK) return false;
  for (qn_match_find_span(match, &node, &last);; node = qn_node_get_next(graph, node)) {
    bool own = qn_match_has_node(match, node);
    uint32_t operands = qn_node_get_operand_count(graph, node);
    for (uint32_t i = 0; i < operands; i++) {
      qn_value value = qn_node_get_operand(graph, node, i);
      if (value == QN_NONE) continue;
      qn_node source = qn_value_get_node(graph, value);
      bool marked = matcher->marks[source] == matcher->mark;
      if (own && marked) return fail_escape(matcher, node, value, source);
      if (own || (!marked && !is_output(match, value))) continue;
      if (qn_node_has_effect(graph, node)) return fail_escape(matcher, source, value, node);
      matcher->marks[node] = matcher->mark;
    }
    if (node == last) return true;
  }
}

// A hole that the build reads must not be a value that the build replaces.
static bool check_holes(qn_matcher *matcher) {
  const qn_match *match = &matcher->match;
  const qn_program *program = match->program;
  for (uint16_t i = 0; program->output_count > 1 && i < program->slot_count; i++) {
    const qn_slot *slot = &program->slots[i];
    qn_value value = match->values[i];
    if (slot->stmt == QN_NO_INDEX && slot->built_from && value != QN_UNBOUND && value != QN_NONE &&
        is_output(match, value)) {
      qn_node node = qn_value_get_node(match->graph, value);
      qn_miss *miss = qn_match_further(matcher, QN_PROGRESS_ESCAPE, QN_WHY_node_taken, place_of(match, node));
      if (miss) {
        miss->node = node;
        miss->value = value;
      }
      return false;
    }
  }
  return true;
}

// --- guards ----------------------------------------------------------------------------------------------

static bool check_guards(qn_matcher *matcher) {
  const qn_match *match = &matcher->match;
  const qn_program *program = match->program;
  for (uint16_t g = 0; g < program->guard_count; g++) {
    qn_arg args[QN_GUARD_ARGS_MAX + 1];
    qn_reason reason = { .why = QN_WHY_none };
    qn_match_get_args(match, &program->guards[g], args);
    if (program->guards[g].predicate(match, args, &reason)) continue;
    if (reason.why == QN_WHY_none) reason.why = QN_WHY_predicate;
    qn_miss *miss =
        qn_match_further(matcher, QN_PROGRESS_GUARD + g, reason.why, program->terms[program->anchor].place);
    if (miss) {
      miss->guard = g;
      miss->node = args[0].node;
      miss->value = args[0].value;
      miss->reason = reason;
    }
    return false;
  }
  return true;
}

bool qn_match_check(qn_matcher *matcher) {
  return check_escapes(matcher) && check_order(matcher) && check_holes(matcher) && check_guards(matcher);
}
