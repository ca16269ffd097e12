// Applies a match: evaluates what can fail first, builds the right side, puts it in the place of the outputs,
// and removes what is dead then.
#include "ir/graph_priv.h"
#include "patterns/match_priv.h"

typedef struct build {
  qn_matcher *matcher;
  qn_match *match;
  qn_graph *graph;
  const qn_program *program;
  qn_attr **attrs; // by build node
  uint32_t *attr_counts;
  qn_value (*results)[QN_OP_RESULTS_MAX]; // by build node
  uint16_t *needed;                       // by build node: how many of its results; 0: the node is not built
  bool replaces[QN_RULE_OUTPUTS_MAX];     // by output: it is built
  qn_node last; // output in the graph's order; everything the right side reads stands before it
  uint32_t created_count;
} build;

// --- what is needed --------------------------------------------------------------------------------------

static bool is_read_outside(const qn_match *match, qn_value value) {
  if (value == QN_NONE) return false;
  if (qn_value_is_output(match->graph, value)) return true;
  for (qn_use use = qn_value_get_first_use(match->graph, value); use != QN_NONE;
       use = qn_use_get_next(match->graph, use))
    if (!qn_match_has_node(match, qn_use_get_user(match->graph, use))) return true;
  return false;
}

static void need(build *b, const qn_build_ref *ref) {
  if (ref->source != QN_SOURCE_BUILT) return;
  b->needed[ref->index] = QN_MAX(b->needed[ref->index], (uint16_t)(ref->result + 1));
}

// An output beside the anchor that nothing outside the match reads goes with the match, and what only it would
// need is not built. A node has as many results as outputs stand for, read or not.
static void find_needed(build *b) {
  const qn_program *program = b->program;
  for (uint16_t i = 0; i < program->output_count; i++) {
    b->replaces[i] = i == 0 || is_read_outside(b->match, b->match->values[program->outputs[i]]);
    if (b->replaces[i]) need(b, &program->build_outputs[i]);
  }
  for (uint16_t n = program->build_node_count; n-- > 0;)
    for (uint16_t i = 0; b->needed[n] && i < program->build_nodes[n].count; i++)
      need(b, &program->build_args[program->build_nodes[n].first + i]);
  for (uint16_t i = 0; i < program->output_count; i++) {
    const qn_build_ref *ref = &program->build_outputs[i];
    bool made = ref->source == QN_SOURCE_BUILT && b->needed[ref->index];
    if (!made || b->match->values[program->outputs[i]] == QN_NONE) continue;
    need(b, ref);
    b->replaces[i] = true;
  }
}

// --- attributes ------------------------------------------------------------------------------------------

static bool is_given(const build *b, const qn_build_node *node, const char *name) {
  for (uint16_t i = 0; i < node->attr_count; i++)
    if (!strcmp(b->program->build_attrs[node->attr_first + i].attr->name, name)) return true;
  return false;
}

// `x..`: every attribute that x says and the new operation has, unless the build gives it itself.
static qn_status copy_attrs(build *b, const qn_build_node *node, qn_attr *attrs, uint32_t *count) {
  qn_node source = node->copy == QN_NO_INDEX ? QN_NONE : b->match->stmt_nodes[node->copy];
  if (source == QN_NONE) return QN_OK;
  const qn_op_info *to = qn_op_get_info(node->op), *from = qn_op_get_info(qn_node_get_op(b->graph, source));
  for (int a = 0; a < QN_OP_ATTRS_MAX && from->attrs[a].name; a++) {
    if (!qn_node_find_attr(b->graph, source, a)) continue; // the default
    const qn_attr_info *attr = &from->attrs[a];
    int index = qn_op_find_attr(node->op, attr->name, strlen(attr->name));
    if (index < 0 || to->attrs[index].kind != attr->kind || is_given(b, node, attr->name)) continue;
    qn_literal value = qn_attr_get(b->graph, source, attr);
    if (!qn_literal_to_attr(attr, &value, &b->matcher->arena, &attrs[(*count)++]))
      return qn_fail_memory(b->matcher->context);
  }
  return QN_OK;
}

static qn_status eval_attr(build *b, const qn_build_attr *attr, qn_attr *out_attr) {
  if (attr->call != QN_NO_INDEX) {
    const qn_call *call = &b->program->build_calls[attr->call];
    qn_arg args[QN_GUARD_ARGS_MAX + 1];
    qn_match_get_args(b->match, call, args);
    *out_attr = (qn_attr){ .name = attr->attr->name };
    return call->function(b->match, args, out_attr);
  }
  qn_literal value = attr->literal;
  if (attr->attr_slot != QN_NO_INDEX) {
    const qn_bound_attr *bound = &b->match->attrs[attr->attr_slot];
    if (bound->node != QN_NONE) {
      value = qn_attr_get(b->graph, bound->node, bound->attr);
    } else { // its arm was not taken: the default
      value = (qn_literal){ .i = attr->attr->i, .f = attr->attr->f, .scheme = qn_scheme_of(QN_SCHEME_none) };
    }
  }
  return qn_literal_to_attr(attr->attr, &value, &b->matcher->arena, out_attr)
             ? QN_OK
             : qn_fail_memory(b->matcher->context);
}

static qn_status eval_attrs(build *b) {
  for (uint16_t n = 0; n < b->program->build_node_count; n++) {
    if (!b->needed[n]) continue;
    const qn_build_node *node = &b->program->build_nodes[n];
    qn_attr *attrs = qn_arena_alloc(&b->matcher->arena, (QN_OP_ATTRS_MAX + node->attr_count) * sizeof *attrs);
    if (!attrs) return qn_fail_memory(b->matcher->context);
    b->attrs[n] = attrs;
    b->attr_counts[n] = 0;
    QN_TRY(copy_attrs(b, node, attrs, &b->attr_counts[n]));
    for (uint16_t i = 0; i < node->attr_count; i++)
      QN_TRY(eval_attr(b, &b->program->build_attrs[node->attr_first + i], &attrs[b->attr_counts[n]++]));
  }
  return QN_OK;
}

// --- nodes -----------------------------------------------------------------------------------------------

static qn_value get_ref(const build *b, const qn_build_ref *ref) {
  if (ref->source == QN_SOURCE_ABSENT) return QN_NONE;
  if (ref->source == QN_SOURCE_BUILT) return b->results[ref->index][ref->result];
  if (ref->source == QN_SOURCE_OPERAND) {
    qn_node node = b->match->stmt_nodes[ref->index];
    return node == QN_NONE ? QN_NONE : qn_node_get_operand(b->graph, node, ref->result);
  }
  qn_value value = b->match->values[ref->index];
  return value == QN_UNBOUND ? QN_NONE : value;
}

static qn_status add_node(build *b, uint16_t index) {
  const qn_build_node *node = &b->program->build_nodes[index];
  qn_value operands[QN_KIDS_MAX];
  uint32_t count = 0;
  for (uint16_t i = 0; i < node->count; i++) operands[i] = get_ref(b, &b->program->build_args[node->first + i]);
  for (uint16_t i = 0; i < node->count; i++)
    if (operands[i] != QN_NONE) count = i + 1u;
  // Names of the embedder's world go on: those of the node that this one continues, else where the anchor
  // stands.
  qn_node kin = node->copy == QN_NO_INDEX ? QN_NONE : b->match->stmt_nodes[node->copy];
  qn_node anchor = b->match->nodes[0];
  if (kin == QN_NONE) kin = anchor;
  QN_TRY(qn_graph_add(
      b->graph,
      &(qn_node_params){ .op = node->op,
                         .operands = operands,
                         .operand_count = count,
                         .attrs = b->attrs[index],
                         .attr_count = b->attr_counts[index],
                         .result_count = QN_MAX(b->needed[index], qn_op_get_info(node->op)->result_min),
                         .before = b->last,
                         .name = kin == anchor ? NULL : qn_node_get_name(b->graph, kin).text,
                         .layer = qn_node_get_layer(b->graph, kin).text,
                         .location = qn_node_get_location(b->graph, kin).text },
      b->results[index]));
  b->matcher->created[b->created_count++] = qn_value_get_node(b->graph, b->results[index][0]);
  return QN_OK;
}

static void remove_created(build *b) {
  while (b->created_count) qn_node_remove(b->graph, b->matcher->created[--b->created_count]);
}

static qn_status fail_rule(build *b, const char *what) {
  return qn_fail_within(b->matcher->context, QN_BUG, "rule %s %s", b->program->rule->name, what);
}

static qn_status add_nodes(build *b) {
  for (uint16_t n = 0; n < b->program->build_node_count; n++)
    if (b->needed[n] && add_node(b, n) != QN_OK) {
      remove_created(b);
      return qn_context_get_error(b->matcher->context)->status == QN_MEMORY
                 ? QN_MEMORY
                 : fail_rule(b, "builds an invalid node");
    }
  return QN_OK;
}

// --- outputs ---------------------------------------------------------------------------------------------

// The type that says most of both; false if they contradict each other. Where both know a dim by different
// symbols the old one stays, since the users' types were inferred from it.
static bool merge_types(qn_graph *graph, qn_type old, qn_type now, qn_type *out_type) {
  *out_type = old;
  if (old == now) return true;
  qn_type_info a = qn_type_get_info(graph, old), b = qn_type_get_info(graph, now);
  if (a.dtype && b.dtype && a.dtype != b.dtype) return false;
  qn_dtype dtype = a.dtype ? a.dtype : b.dtype;
  if (a.rank == QN_RANK_UNKNOWN || b.rank == QN_RANK_UNKNOWN) {
    const qn_type_info *known = a.rank == QN_RANK_UNKNOWN ? &b : &a;
    qn_dim copy[QN_RANK_MAX];
    for (int32_t d = 0; d < known->rank; d++) copy[d] = known->dims[d];
    *out_type = qn_type_get(graph, dtype, known->rank, known->rank > 0 ? copy : NULL);
    return true;
  }
  if (a.rank != b.rank) return false;
  qn_dim dims[QN_RANK_MAX];
  for (int32_t d = 0; d < a.rank; d++) {
    int64_t x, y;
    bool old_const = qn_dim_is_const(graph, a.dims[d], &x), now_const = qn_dim_is_const(graph, b.dims[d], &y);
    if (old_const && now_const && x != y) return false;
    dims[d] = !old_const && now_const ? b.dims[d] : a.dims[d];
  }
  *out_type = qn_type_get(graph, dtype, a.rank, a.rank ? dims : NULL);
  return true;
}

// Whether the rule has built the anchor once more.
static bool is_twin(const build *b) {
  qn_node anchor = b->match->nodes[0];
  if (b->created_count != 1) return false;
  qn_node now = b->matcher->created[0];
  uint32_t count = qn_node_get_operand_count(b->graph, anchor);
  if (qn_node_get_operand_count(b->graph, now) != count || !qn_node_same_attrs(b->graph, anchor, now))
    return false;
  for (uint32_t i = 0; i < count; i++)
    if (qn_node_get_operand(b->graph, anchor, i) != qn_node_get_operand(b->graph, now, i)) return false;
  return true;
}

// Checks everything before anything is replaced.
static qn_status check_outputs(build *b) {
  bool changes = b->program->build_node_count > 0;
  for (uint16_t i = 0; i < b->program->output_count; i++) {
    qn_value from = b->match->values[b->program->outputs[i]], to = get_ref(b, &b->program->build_outputs[i]);
    qn_type type;
    if (!b->replaces[i]) continue;
    changes |= from != to;
    if (to == QN_NONE)
      return qn_fail(b->matcher->context, QN_BUG, NULL, "rule %s: the value for '%s' is absent",
                     b->program->rule->name, b->program->slots[b->program->outputs[i]].name);
    if (!merge_types(b->graph, qn_value_get_type(b->graph, from), qn_value_get_type(b->graph, to), &type)) {
      qn_buf text = QN_BUF(b->matcher->context);
      qn_writer writer = qn_buf_writer(&text);
      qn_type_write(b->graph, qn_value_get_type(b->graph, from), &writer);
      qn_write(&writer, " to ");
      qn_type_write(b->graph, qn_value_get_type(b->graph, to), &writer);
      qn_status status =
          qn_fail(b->matcher->context, QN_BUG, NULL, "rule %s changes the type of '%s' from %s",
                  b->program->rule->name, qn_value_get_name(b->graph, from).text, text.text ? text.text : "?");
      qn_buf_free(&text);
      return status;
    }
  }
  if (!changes || is_twin(b))
    return qn_fail(b->matcher->context, QN_BUG, NULL, "rule %s matched at '%s' and changed nothing",
                   b->program->rule->name,
                   qn_value_get_name(b->graph, qn_node_get_result(b->graph, b->match->nodes[0], 0)).text);
  return QN_OK;
}

// What reads an output in front of the last one has to stand behind the new nodes. match_check.c has marked it.
static void move_readers(build *b) {
  qn_node node, last, next;
  if (b->program->output_count == 1) return;
  for (qn_match_find_span(b->match, &node, &last); node != last; node = next) {
    next = qn_node_get_next(b->graph, node);
    if (node >= b->matcher->mark_capacity || b->matcher->marks[node] != b->matcher->mark) continue;
    b->matcher->marks[node] = 0; // it is met again, in front of the last output
    qn_node_move_before(b->graph, node, last);
  }
}

static qn_status replace_outputs(build *b) {
  move_readers(b);
  for (uint16_t i = 0; i < b->program->output_count; i++) {
    const qn_build_ref *ref = &b->program->build_outputs[i];
    qn_value from = b->match->values[b->program->outputs[i]], to = get_ref(b, ref);
    qn_type type;
    if (!b->replaces[i]) continue;
    if (merge_types(b->graph, qn_value_get_type(b->graph, from), qn_value_get_type(b->graph, to), &type) &&
        type != qn_value_get_type(b->graph, to))
      qn_value_set_type(b->graph, to, type);
    QN_TRY(qn_value_replace(b->graph, from, to, ref->source == QN_SOURCE_BUILT));
  }
  return QN_OK;
}

// --- the old nodes ---------------------------------------------------------------------------------------

static bool is_dead(const qn_graph *graph, qn_node node) {
  if (qn_node_has_effect(graph, node)) return false;
  uint32_t count = qn_node_get_result_count(graph, node);
  for (uint32_t i = 0; i < count; i++) {
    qn_value value = qn_node_get_result(graph, node, i);
    if (qn_value_get_first_use(graph, value) != QN_NONE || qn_value_is_output(graph, value)) return false;
  }
  return true;
}

// What one removal frees may stand earlier in the list, so it is walked until nothing more goes.
static void remove_dead(build *b) {
  for (bool progress = true; progress;) {
    progress = false;
    for (uint32_t i = 0; i < b->match->node_count; i++) {
      qn_node node = b->match->nodes[i];
      if (qn_node_get_op(b->graph, node) == QN_OP_NONE || !is_dead(b->graph, node)) continue;
      qn_node_remove(b->graph, node);
      progress = true;
    }
  }
}

qn_status qn_rewrite_apply(qn_matcher *matcher, const qn_match *match, qn_rewrite_log_fn on_rewrite,
                           void *user) {
  const qn_program *program = match->program;
  build b = { .matcher = matcher, .match = &matcher->match, .graph = match->graph, .program = program };
  uint16_t nodes = QN_MAX(program->build_node_count, 1);
  b.attrs = qn_arena_alloc(&matcher->arena, nodes * sizeof *b.attrs);
  b.attr_counts = qn_arena_alloc(&matcher->arena, nodes * sizeof *b.attr_counts);
  b.results = qn_arena_alloc(&matcher->arena, nodes * sizeof *b.results);
  b.needed = qn_arena_alloc(&matcher->arena, nodes * sizeof *b.needed);
  if (!b.attrs || !b.attr_counts || !b.results || !b.needed) return qn_fail_memory(matcher->context);
  memset(b.needed, 0, nodes * sizeof *b.needed);
  find_needed(&b);
  qn_node first;
  qn_match_find_span(match, &first, &b.last);
  QN_TRY(eval_attrs(&b));
  QN_TRY(add_nodes(&b));
  qn_status status = check_outputs(&b);
  if (status != QN_OK) {
    remove_created(&b);
    return status;
  }
  QN_TRY(replace_outputs(&b));
  matcher->stats[match->rule].matched++;
  matcher->created_count = b.created_count;
  if (on_rewrite) {
    qn_rewrite_event event = { .rule = program->rule,
                               .match = match,
                               .matched = match->nodes,
                               .matched_count = match->node_count,
                               .created = matcher->created,
                               .created_count = b.created_count };
    QN_TRY(on_rewrite(user, b.graph, &event));
  }
  remove_dead(&b);
  return QN_OK;
}
