// Every attention and every quantize that could have met gets one remark: fused by which rule, or why not.
//
// Runs on the graph that the passes left. What the matcher knows is where a rule stopped; what a person wants
// to know is what stands between attention and quantize. So the way from one to the other is walked, and the
// first thing on it that no rule takes is the cause; where the way is clear, the rule's own refusal is.
#include "passes/pass_priv.h"

#include "patterns/consumers_priv.h"

#include <stdio.h>
#include <stdlib.h>

enum { STEPS_MAX = 256, QUANTIZES_MAX = 64, UPWARD_MAX = 12 };

typedef struct step {
  qn_value value; // reached
  uint32_t from;  // index of the step before
} step;

typedef struct diagnosis {
  qn_why why;
  const char *at, *expected, *found; // in the pipeline's arena, or static
  const char *rule, *closest;
  uint32_t depth;
} diagnosis;

typedef struct explainer {
  qn_pipeline *pipeline;
  qn_graph *graph;
  qn_rule_set *fusions, *layouts, *recoveries;
  qn_matcher *fusion_matcher, *layout_matcher, *recovery_matcher;
  uint8_t *explained; // by node index: a quantize that has its remark
  step steps[STEPS_MAX];
  uint32_t step_count;
  uint32_t quantizes[QUANTIZES_MAX]; // indices into steps: the value that is the quantize's x
  qn_node quantize_nodes[QUANTIZES_MAX];
  uint32_t quantize_count;
} explainer;

// --- words -------------------------------------------------------------------------------------------------

static const char *keep(const explainer *e, const char *text) {
  const char *copy = qn_arena_copy(&e->pipeline->arena, text, strlen(text));
  return copy ? copy : "";
}

// Of its first result where it has no name: that is what the file and the embedder know it by.
static qn_str node_name(const explainer *e, qn_node node) {
  char buffer[16];
  const char *label = keep(e, qn_node_label(e->graph, node, buffer));
  return (qn_str){ .text = label, .length = strlen(label) };
}

static diagnosis blame(const explainer *e, qn_why why, qn_node at, const char *expected, const char *found) {
  return (diagnosis){ .why = why, .at = node_name(e, at).text, .expected = expected, .found = found };
}

static const char *op_name(const qn_graph *graph, qn_node node) {
  return qn_op_get_info(qn_node_get_op(graph, node))->name;
}

static qn_status add_remark(explainer *e, const qn_remark *remark) {
  qn_pipeline *pipeline = e->pipeline;
  QN_TRY(QN_RESERVE(pipeline->context, pipeline->remarks.at, pipeline->remarks.capacity,
                    pipeline->remarks.count + 1ull));
  pipeline->remarks.at[pipeline->remarks.count++] = *remark;
  return QN_OK;
}

static qn_status add_missed(explainer *e, qn_node node, const char *op, const diagnosis *d) {
  return add_remark(e, &(qn_remark){
                           .node = node_name(e, node),
                           .id = qn_node_get_id(e->graph, node),
                           .op = op,
                           .layer = qn_node_get_layer(e->graph, node),
                           .rule = d->rule ? d->rule : "",
                           .stage = qn_stage_name(qn_why_get_stage(d->why)),
                           .code = qn_why_name(d->why),
                           .at = d->at ? d->at : "",
                           .expected = d->expected && d->expected[0] ? d->expected : qn_why_sentence(d->why),
                           .found = d->found ? d->found : "",
                           .closest = d->closest ? d->closest : "",
                           .depth = d->depth,
                           .hint = qn_why_hint(d->why),
                       });
}

// --- the way from attention to quantize --------------------------------------------------------------------

// What stands between and may be looked through: it keeps elements recognisable, or is cheap arithmetic on
// them.
static bool passes_on(const qn_graph *graph, qn_node node) {
  qn_op op = qn_node_get_op(graph, node);
  if (qn_op_get_info(op)->facts & (QN_FACT_VIEW | QN_FACT_LAYOUT | QN_FACT_ELEMENTWISE)) return true;
  return op == QN_OP_slice || op == QN_OP_expand || op == QN_OP_concat || op == QN_OP_split ||
         op == QN_OP_gather || op == QN_OP_repeat || op == QN_OP_pad;
}

static int compare_nodes(const void *a, const void *b) {
  qn_node x = *(const qn_node *)a, y = *(const qn_node *)b;
  return (x > y) - (x < y);
}

// The users of a value, each once, in the order in which they were made.
static uint32_t find_users(const qn_graph *graph, qn_value value, qn_node *out, uint32_t limit) {
  uint32_t count = 0, unique = 0;
  for (qn_use use = qn_value_get_first_use(graph, value); use && count < limit;
       use = qn_use_get_next(graph, use))
    out[count++] = qn_use_get_user(graph, use);
  if (count) qsort(out, count, sizeof *out, compare_nodes);
  for (uint32_t i = 0; i < count; i++)
    if (i == 0 || out[i] != out[i - 1]) out[unique++] = out[i];
  return unique;
}

static bool seen(const explainer *e, qn_value value) {
  for (uint32_t i = 0; i < e->step_count; i++)
    if (e->steps[i].value == value) return true;
  return false;
}

// Fills in steps and quantizes: everything that `start` reaches through what may be looked through.
static void walk_forward(explainer *e, qn_value start) {
  e->step_count = e->quantize_count = 0;
  e->steps[e->step_count++] = (step){ .value = start, .from = UINT32_MAX };
  for (uint32_t at = 0; at < e->step_count; at++) {
    qn_node users[STEPS_MAX];
    uint32_t count = find_users(e->graph, e->steps[at].value, users, STEPS_MAX);
    for (uint32_t i = 0; i < count; i++) {
      qn_node user = users[i];
      if (qn_node_get_op(e->graph, user) == QN_OP_quantize) {
        if (qn_node_get_operand(e->graph, user, 0) != e->steps[at].value || e->quantize_count == QUANTIZES_MAX)
          continue;
        e->quantize_nodes[e->quantize_count] = user;
        e->quantizes[e->quantize_count++] = at;
        continue;
      }
      if (!passes_on(e->graph, user)) continue;
      for (uint32_t r = 0; r < qn_node_get_result_count(e->graph, user); r++) {
        qn_value result = qn_node_get_result(e->graph, user, r);
        if (e->step_count < STEPS_MAX && !seen(e, result))
          e->steps[e->step_count++] = (step){ .value = result, .from = at };
      }
    }
  }
}

static bool is_constant(const qn_graph *graph, qn_value value) {
  return value && qn_node_get_op(graph, qn_value_get_node(graph, value)) == QN_OP_const;
}

// --- what the rules say ------------------------------------------------------------------------------------

// How far a miss came: operations first; then what a person can act on counts more than what tells rules apart.
static uint32_t progress_of(const qn_miss *miss) {
  bool escapes = miss->why == QN_WHY_escapes || miss->why == QN_WHY_extra_result;
  bool legality = miss->guard >= 0 && qn_why_get_stage(miss->why) > QN_STAGE_MATCH;
  return miss->depth * 4 + (legality ? 3 : escapes ? 2 : miss->guard >= 0 ? 1 : 0);
}

// The rule that came closest at this root, in the words of its miss.
static void note_closest(explainer *e, qn_matcher *matcher, const qn_rule_set *set, qn_node root,
                         diagnosis *d) {
  qn_miss best = { 0 };
  bool any = false;
  for (uint32_t rule = 0; rule < qn_rule_set_get_count(set); rule++) {
    if (qn_match_at(matcher, e->graph, rule, root)) continue;
    const qn_miss *miss = qn_matcher_get_miss(matcher);
    if (any && progress_of(miss) <= progress_of(&best)) continue;
    best = *miss;
    any = true;
  }
  if (!any) return;
  d->rule = qn_rule_set_get_rule(set, best.rule)->name;
  d->depth = best.depth;
  qn_buf row = QN_BUF(e->pipeline->context);
  qn_writer writer = qn_buf_writer(&row);
  if (qn_miss_write_row(set, &best, &writer) == QN_OK && row.text) d->closest = keep(e, row.text);
  qn_buf_free(&row);
  if (d->why != QN_WHY_none) return;
  qn_reason reason;
  qn_miss_get_reason(set, e->graph, &best, &reason);
  d->why = reason.why;
  d->expected = keep(e, reason.expected);
  d->found = keep(e, reason.found);
  char buffer[16];
  d->at = keep(e, qn_miss_get_at(e->graph, &best, buffer));
}

// --- the cause -------------------------------------------------------------------------------------------

// What one operation on the way is to a fusion; QN_WHY_none: nothing in its way.
static qn_why judge_operation(const qn_graph *graph, qn_node node, qn_value from) {
  qn_op op = qn_node_get_op(graph, node);
  uint32_t facts = qn_op_get_info(op)->facts;
  if (qn_op_is_layout_or_cast(op)) return QN_WHY_none;
  if (!(facts & QN_FACT_ELEMENTWISE)) return QN_WHY_layout_chain;
  for (uint32_t i = 0; i < qn_node_get_operand_count(graph, node); i++) {
    qn_value operand = qn_node_get_operand(graph, node, i);
    if (operand && operand != from && !is_constant(graph, operand)) return QN_WHY_other_tensor;
  }
  return QN_WHY_arithmetic_between;
}

// The i-th of a slice's constant parameters; `fallback` where there is none.
static int64_t slice_parameter(const qn_graph *graph, qn_node slice, uint32_t operand, uint64_t i,
                               int64_t fallback) {
  qn_value value = qn_node_get_operand(graph, slice, operand);
  const qn_tensor *tensor = value ? qn_value_get_const(graph, value) : NULL;
  if (!tensor || !tensor->data || tensor->dtype != QN_S64 || (i + 1) * 8 > tensor->bytes) return fallback;
  memcpy(&fallback, (const char *)tensor->data + 8 * i, sizeof fallback);
  return fallback;
}

// A slice along the groups' axis whose edges are not those of groups.
static bool cuts_group(const qn_graph *graph, qn_node slice, const qn_scheme *scheme) {
  enum { X, STARTS, ENDS, AXES };
  qn_type_info x = qn_type_get_info(graph, qn_value_get_type(graph, qn_node_get_operand(graph, slice, X)));
  if (scheme->granularity != QN_PER_GROUP || !scheme->group || x.rank <= 0) return false;
  for (int32_t i = 0; i < x.rank; i++) {
    int64_t axis = slice_parameter(graph, slice, AXES, (uint64_t)i, i), row;
    if (axis != -1 && axis != x.rank - 1) continue;
    if (!qn_dim_is_const(graph, x.dims[x.rank - 1], &row)) return false;
    int64_t start = slice_parameter(graph, slice, STARTS, (uint64_t)i, 0),
            end = slice_parameter(graph, slice, ENDS, (uint64_t)i, row);
    return start % scheme->group != 0 || (end < row && end % scheme->group != 0);
  }
  return false;
}

static diagnosis judge_slice(const explainer *e, qn_node slice, qn_node quantize) {
  qn_scheme scheme = qn_node_get_scheme(e->graph, quantize, "scheme");
  char expected[48];
  if (!cuts_group(e->graph, slice, &scheme))
    return blame(e, QN_WHY_slice, slice, "the whole of attention's output", "a slice");
  snprintf(expected, sizeof expected, "edges at multiples of %d", scheme.group);
  return blame(e, QN_WHY_group_slice, slice, keep(e, expected), "an edge inside a group");
}

// Who else reads a value on the way.
static diagnosis judge_users(explainer *e, qn_value value, qn_node next) {
  qn_graph *graph = e->graph;
  if (qn_value_is_output(graph, value))
    return blame(e, QN_WHY_graph_output, qn_value_get_node(graph, value),
                 "a value that only the quantize needs", "a result of the graph");
  qn_node users[STEPS_MAX];
  uint32_t count = find_users(graph, value, users, STEPS_MAX);
  for (uint32_t i = 0; i < count; i++)
    if (users[i] != next && qn_node_get_op(graph, users[i]) != QN_OP_shape)
      return blame(e, QN_WHY_multiple_users, users[i], "one user, the quantize", op_name(graph, users[i]));
  return (diagnosis){ 0 };
}

// A transpose or reshape that no rule has absorbed: in the words of the rule that came closest, if it says why.
static diagnosis judge_stayed(explainer *e, qn_node node, qn_value from) {
  diagnosis d = { 0 };
  note_closest(e, e->layout_matcher, e->layouts, node, &d);
  if (qn_why_get_stage(d.why) == QN_STAGE_LEGALITY) return d;
  d = judge_users(e, from, node);
  return d.why != QN_WHY_none
             ? d
             : blame(e, QN_WHY_layout_chain, node, "a merge of heads", op_name(e->graph, node));
}

// Walks back from the quantize to attention, then judges the way from attention's end.
static diagnosis judge_way(explainer *e, uint32_t last, qn_node quantize) {
  qn_graph *graph = e->graph;
  uint32_t way[STEPS_MAX], length = 0;
  for (uint32_t at = last; at != UINT32_MAX; at = e->steps[at].from) way[length++] = at;
  for (uint32_t i = length; i-- > 1;) {
    qn_value value = e->steps[way[i]].value;
    qn_node next = qn_value_get_node(graph, e->steps[way[i - 1]].value);
    qn_op op = qn_node_get_op(graph, next);
    if (op == QN_OP_slice) return judge_slice(e, next, quantize);
    qn_why why = judge_operation(graph, next, value);
    if (why == QN_WHY_other_tensor) return blame(e, why, next, "attention's output", op_name(graph, next));
    if (why != QN_WHY_none) return blame(e, why, next, "transpose, reshape or cast", op_name(graph, next));
  }
  qn_value start = e->steps[way[length - 1]].value;
  qn_consumers all = qn_find_consumers(graph, start);
  if (all.quantize_count > 1)
    return blame(e, QN_WHY_mixed_consumers, all.quantizes[all.quantizes[0] == quantize],
                 node_name(e, quantize).text, "a second quantize with other parameters");
  qn_scheme scheme = qn_node_get_scheme(graph, quantize, "scheme");
  if (scheme.dynamic && scheme.granularity == QN_PER_TENSOR)
    return blame(e, QN_WHY_dynamic_scale, quantize, "a scale for each token or group, or a static one",
                 qn_scheme_family_name((qn_scheme_family)scheme.family));
  for (uint32_t i = length; i-- > 1;) {
    qn_node next = qn_value_get_node(graph, e->steps[way[i - 1]].value);
    if (qn_node_get_op(graph, next) != QN_OP_cast) return judge_stayed(e, next, e->steps[way[i]].value);
  }
  return (diagnosis){ 0 };
}

static diagnosis diagnose_pair(explainer *e, uint32_t index) {
  qn_node quantize = e->quantize_nodes[index];
  diagnosis d = judge_way(e, e->quantizes[index], quantize);
  if (d.closest) return d;
  note_closest(e, e->fusion_matcher, e->fusions, quantize, &d);
  // A narrowing cast is absorbed only where nothing else reads what it narrows.
  if (d.why != QN_WHY_escapes && d.why != QN_WHY_cast_chain) return d;
  qn_node next = quantize; // the reader of attention's output on the way to this quantize
  for (uint32_t at = e->quantizes[index]; at; at = e->steps[at].from)
    next = qn_value_get_node(e->graph, e->steps[at].value);
  diagnosis users = judge_users(e, e->steps[0].value, next);
  if (users.why != QN_WHY_none)
    d.why = users.why, d.at = users.at, d.expected = users.expected, d.found = users.found;
  return d;
}

// --- attention ---------------------------------------------------------------------------------------------

static qn_node find_operand_quantize(const qn_graph *graph, qn_node attention) {
  for (uint32_t i = 0; i < 3; i++) {
    qn_value operand = qn_node_get_operand(graph, attention, i);
    for (qn_use use = operand ? qn_value_get_first_use(graph, operand) : QN_NONE; use;
         use = qn_use_get_next(graph, use))
      if (qn_node_get_op(graph, qn_use_get_user(graph, use)) == QN_OP_quantize)
        return qn_use_get_user(graph, use);
  }
  return QN_NONE;
}

// The remarks of an attention, or of what looks like one in its parts, and of the quantizes that it reaches.
static qn_status explain_missed(explainer *e, qn_node attention, qn_value out, const diagnosis *unrecovered) {
  walk_forward(e, out);
  diagnosis d = unrecovered ? *unrecovered : (diagnosis){ 0 };
  if (d.why == QN_WHY_none && e->quantize_count) d = diagnose_pair(e, 0);
  if (d.why == QN_WHY_none && !e->quantize_count) {
    qn_node other = find_operand_quantize(e->graph, attention);
    d = other ? blame(e, QN_WHY_other_tensor, other, "a quantize of attention's output",
                      "a quantize of its operand")
              : blame(e, QN_WHY_not_quantized, attention, "a quantize of attention's output", "none");
  }
  QN_TRY(add_missed(e, attention, "attention", &d));
  for (uint32_t i = 0; i < e->quantize_count; i++) {
    qn_node quantize = e->quantize_nodes[i];
    if (e->explained[quantize]) continue;
    e->explained[quantize] = 1;
    diagnosis each = unrecovered ? *unrecovered : diagnose_pair(e, i);
    QN_TRY(add_missed(e, quantize, "quantize", &each));
  }
  return QN_OK;
}

// Fusions are noted as their nodes are made, so they are in the order of the nodes' indices.
static int compare_fusion(const void *key, const void *element) {
  qn_node node = *(const qn_node *)key, fused = ((const qn_fusion_entry *)element)->fused;
  return (node > fused) - (node < fused);
}

static qn_status explain_fused(explainer *e, qn_node node) {
  const qn_pipeline *pipeline = e->pipeline;
  const qn_fusion_entry *fusion =
      pipeline->fusions.count
          ? bsearch(&node, pipeline->fusions.at, pipeline->fusions.count, sizeof *fusion, compare_fusion)
          : NULL;
  if (!fusion) return QN_OK; // it came fused
  qn_remark remark = { .node = fusion->attention_name,
                       .id = fusion->attention_id,
                       .op = "attention",
                       .layer = fusion->attention_layer,
                       .fused = true,
                       .rule = fusion->rule,
                       .stage = "",
                       .code = qn_why_name(QN_WHY_none),
                       .at = "",
                       .expected = "",
                       .found = "",
                       .closest = "",
                       .hint = "" };
  QN_TRY(add_remark(e, &remark));
  remark.op = "quantize";
  remark.node = fusion->quantize_name;
  remark.layer = fusion->quantize_layer;
  remark.id = fusion->quantize_id;
  return add_remark(e, &remark);
}

// Looks up from a matmul's left operand for the softmax of an attention in its parts. `*out_quantized`: codes
// stand between.
static qn_node find_softmax(const qn_graph *graph, qn_node matmul, bool *out_quantized) {
  qn_value value = qn_node_get_operand(graph, matmul, 0);
  *out_quantized = false;
  for (int i = 0; value && i < UPWARD_MAX; i++) {
    qn_node node = qn_value_get_node(graph, value);
    qn_op op = qn_node_get_op(graph, node);
    if (op == QN_OP_softmax) return node;
    if (op == QN_OP_quantize || op == QN_OP_dequantize)
      *out_quantized = true;
    else if (op != QN_OP_cast && op != QN_OP_where && op != QN_OP_identity && op != QN_OP_reshape)
      return QN_NONE;
    value = qn_node_get_operand(graph, node, op == QN_OP_where ? 2 : 0);
  }
  return QN_NONE;
}

// Looks up from a softmax for the matmul of the scores.
static qn_node find_scores(const qn_graph *graph, qn_node softmax, bool *out_quantized) {
  qn_value value = qn_node_get_operand(graph, softmax, 0);
  for (int i = 0; value && i < UPWARD_MAX; i++) {
    qn_node node = qn_value_get_node(graph, value);
    qn_op op = qn_node_get_op(graph, node);
    if (op == QN_OP_matmul) return node;
    if (op == QN_OP_quantize || op == QN_OP_dequantize)
      *out_quantized = true;
    else if (!(qn_op_get_info(op)->facts & (QN_FACT_ELEMENTWISE | QN_FACT_VIEW)))
      return QN_NONE;
    // Scores come through the operand that is computed from q and k: not through a constant.
    value = qn_node_get_operand(
        graph, node, op == QN_OP_where || is_constant(graph, qn_node_get_operand(graph, node, 0)) ? 1 : 0);
  }
  return QN_NONE;
}

static qn_status explain_matmul(explainer *e, qn_node node) {
  bool quantized, scores_quantized = false;
  qn_node softmax = find_softmax(e->graph, node, &quantized);
  if (!softmax || !find_scores(e->graph, softmax, &scores_quantized)) return QN_OK;
  diagnosis d = { 0 };
  if (quantized || scores_quantized)
    d = blame(e, QN_WHY_scores_quantized, softmax, "scores in a float type", "codes");
  note_closest(e, e->recovery_matcher, e->recoveries, node, &d);
  return d.why == QN_WHY_none ? QN_OK : explain_missed(e, node, qn_node_get_result(e->graph, node, 0), &d);
}

static qn_status explain_all(explainer *e) {
  qn_graph *graph = e->graph;
  for (qn_node node = qn_graph_get_first(graph); node; node = qn_node_get_next(graph, node)) {
    qn_op op = qn_node_get_op(graph, node);
    if (op == QN_OP_matmul) QN_TRY(explain_matmul(e, node));
    if (op != QN_OP_attention) continue;
    if (qn_node_has_attr(graph, node, "output"))
      QN_TRY(explain_fused(e, node));
    else
      QN_TRY(explain_missed(e, node, qn_node_get_result(graph, node, 0), NULL));
  }
  return QN_OK;
}

static qn_status prepare(explainer *e) {
  qn_context *context = e->pipeline->context;
  QN_TRY(qn_rule_set_create(context, "attention_quant", &e->fusions));
  QN_TRY(qn_rule_set_create(context, "layout", &e->layouts));
  QN_TRY(qn_rule_set_create(context, "attention", &e->recoveries));
  QN_TRY(qn_matcher_create(context, e->fusions, &e->pipeline->legality, &e->fusion_matcher));
  QN_TRY(qn_matcher_create(context, e->layouts, NULL, &e->layout_matcher));
  QN_TRY(qn_matcher_create(context, e->recoveries, NULL, &e->recovery_matcher));
  e->explained = qn_alloc_zero(context, qn_graph_get_node_limit(e->graph));
  return e->explained ? QN_OK : qn_fail_memory(context);
}

qn_status qn_pipeline_make_remarks(qn_pipeline *pipeline) {
  explainer *e = qn_alloc_zero(pipeline->context, sizeof *e);
  if (!e) return qn_fail_memory(pipeline->context);
  e->pipeline = pipeline;
  e->graph = pipeline->graph;
  qn_status status = prepare(e);
  uint32_t limit = qn_graph_get_node_limit(pipeline->graph);
  if (status == QN_OK) status = explain_all(e);
  qn_free(pipeline->context, e->explained, limit);
  qn_matcher_destroy(e->fusion_matcher);
  qn_matcher_destroy(e->layout_matcher);
  qn_matcher_destroy(e->recovery_matcher);
  qn_rule_set_destroy(e->fusions);
  qn_rule_set_destroy(e->layouts);
  qn_rule_set_destroy(e->recoveries);
  qn_free(pipeline->context, e, sizeof *e);
  return status;
}

qn_status qn_pipeline_why(qn_pipeline *pipeline, uint32_t rule, qn_node root, qn_remark *out_remark) {
  qn_rule_info info = qn_rule_get_info(rule);
  qn_rule_set *set = NULL;
  qn_matcher *matcher = NULL;
  explainer e = { .pipeline = pipeline, .graph = pipeline->graph };
  diagnosis d = { 0 };
  bool matches = false;
  qn_status status = qn_rule_set_create(pipeline->context, info.family, &set);
  if (status == QN_OK) status = qn_matcher_create(pipeline->context, set, &pipeline->legality, &matcher);
  int64_t index = status == QN_OK ? qn_rule_set_find(set, info.name) : -1;
  if (index >= 0) {
    matches = qn_match_at(matcher, pipeline->graph, (uint32_t)index, root) != NULL;
    if (!matches) {
      const qn_miss *miss = qn_matcher_get_miss(matcher);
      qn_buf row = QN_BUF(pipeline->context);
      qn_writer writer = qn_buf_writer(&row);
      qn_reason reason;
      char buffer[16];
      qn_miss_get_reason(set, pipeline->graph, miss, &reason);
      status = qn_miss_write(set, pipeline->graph, miss, &writer);
      d = (diagnosis){ .why = reason.why,
                       .at = keep(&e, qn_miss_get_at(pipeline->graph, miss, buffer)),
                       .expected = keep(&e, reason.expected),
                       .found = keep(&e, reason.found),
                       .rule = info.name,
                       .closest = keep(&e, row.text ? row.text : ""),
                       .depth = miss->depth };
      qn_buf_free(&row);
    }
  }
  qn_matcher_destroy(matcher);
  qn_rule_set_destroy(set);
  QN_TRY(status);
  *out_remark = (qn_remark){ .node = node_name(&e, root),
                             .id = qn_node_get_id(pipeline->graph, root),
                             .op = op_name(pipeline->graph, root),
                             .layer = qn_node_get_layer(pipeline->graph, root),
                             .fused = matches,
                             .rule = info.name,
                             .stage = qn_stage_name(qn_why_get_stage(d.why)),
                             .code = qn_why_name(d.why),
                             .at = d.at ? d.at : "",
                             .expected = d.expected ? d.expected : "",
                             .found = d.found ? d.found : "",
                             .closest = d.closest ? d.closest : "",
                             .depth = d.depth,
                             .hint = qn_why_hint(d.why) };
  return QN_OK;
}
