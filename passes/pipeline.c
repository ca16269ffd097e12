// The pass runner: order, checks, fuel, the rewrite log.
#include "passes/pass_priv.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
  const char *name, *doc;
  qn_status (*run)(qn_pipeline *pipeline);
} passes[] = {
#define PASS(id, name, doc) { name, doc, qn_pass_##id },
#include "passes/passes.def"
};

uint32_t qn_pass_get_count(void) {
  return QN_COUNT(passes);
}
qn_pass_info qn_pass_get_info(uint32_t index) {
  return (qn_pass_info){ .name = passes[index].name, .doc = passes[index].doc };
}

static int find_pass(const char *name, size_t length) {
  for (uint32_t i = 0; i < QN_COUNT(passes); i++)
    if (strlen(passes[i].name) == length && memcmp(passes[i].name, name, length) == 0) return (int)i;
  return -1;
}

// --- checks after a pass -----------------------------------------------------------------------------------

static qn_status write_text(const qn_graph *graph, qn_buf *buf) {
  qn_writer writer = qn_buf_writer(buf);
  return qn_graph_write_text(graph, NULL, &writer);
}

static qn_status same_text(qn_pipeline *pipeline, const qn_buf *before, const qn_graph *graph,
                           const char *what) {
  qn_buf after = QN_BUF(pipeline->context);
  qn_status status = write_text(graph, &after);
  if (status == QN_OK &&
      (before->length != after.length || memcmp(before->text, after.text, after.length) != 0)) {
    size_t at = 0;
    uint32_t line = 1;
    for (; at < before->length && at < after.length && before->text[at] == after.text[at]; at++)
      line += before->text[at] == '\n';
    status = qn_fail(pipeline->context, QN_BUG, pipeline->pass,
                     "the graph's text changes at line %u when it is %s", line, what);
  }
  qn_buf_free(&after);
  return status;
}

static qn_status check_copies(qn_pipeline *pipeline, uint32_t checks) {
  qn_buf text = QN_BUF(pipeline->context);
  qn_status status = write_text(pipeline->graph, &text);
  qn_graph *copy = NULL;
  if (status == QN_OK && (checks & QN_CHECK_CLONE)) {
    status = qn_graph_clone(pipeline->graph, &copy);
    if (status == QN_OK) status = same_text(pipeline, &text, copy, "cloned");
    if (status == QN_OK) status = qn_graph_verify(copy);
    qn_graph_destroy(copy);
    copy = NULL;
  }
  if (status == QN_OK && (checks & QN_CHECK_ROUND_TRIP)) {
    status = qn_graph_read_text(pipeline->context, pipeline->pass, text.text, text.length, &copy);
    if (status == QN_OK) status = same_text(pipeline, &text, copy, "read back");
    qn_graph_destroy(copy);
  }
  qn_buf_free(&text);
  return status;
}

static qn_status check(qn_pipeline *pipeline, uint32_t checks) {
  if (checks & QN_CHECK_VERIFY) {
    qn_status status = qn_graph_verify(pipeline->graph);
    if (status != QN_OK) return qn_fail_within(pipeline->context, status, "after pass %s", pipeline->pass);
  }
  return checks & (QN_CHECK_CLONE | QN_CHECK_ROUND_TRIP) ? check_copies(pipeline, checks) : QN_OK;
}

// --- running -----------------------------------------------------------------------------------------------

static qn_status run_pass(qn_pipeline *pipeline, const qn_pipeline_params *params, int pass, uint32_t index) {
  uint64_t version = qn_graph_get_version(pipeline->graph);
  pipeline->pass = passes[pass].name;
  QN_TRY(passes[pass].run(pipeline));
  bool changed = qn_graph_get_version(pipeline->graph) != version;
  if (changed) QN_TRY(check(pipeline, params->checks));
  return params->on_pass ? params->on_pass(params->user, pipeline->graph, index, passes[pass].name, changed)
                         : QN_OK;
}

static qn_status run_list(qn_pipeline *pipeline, const qn_pipeline_params *params) {
  pipeline->pass = "input";
  QN_TRY(check(pipeline, params->checks));
  if (params->on_pass) QN_TRY(params->on_pass(params->user, pipeline->graph, 0, "input", false));
  if (!params->passes) {
    for (uint32_t i = 0; i < QN_COUNT(passes); i++) QN_TRY(run_pass(pipeline, params, (int)i, i + 1));
    return QN_OK;
  }
  uint32_t index = 0;
  for (const char *name = params->passes; *name;) {
    size_t length = strcspn(name, ",");
    int pass = find_pass(name, length);
    if (pass < 0)
      return qn_fail(pipeline->context, QN_INVALID, NULL, "no pass is called '%.*s'", (int)length, name);
    QN_TRY(run_pass(pipeline, params, pass, ++index));
    name += length + (name[length] == ',');
  }
  return QN_OK;
}

qn_status qn_pipeline_run(qn_graph *graph, const qn_pipeline_params *params, qn_pipeline **out_pipeline) {
  static const qn_pipeline_params plain = { 0 };
  qn_context *context = qn_graph_get_context(graph);
  *out_pipeline = NULL;
  if (!params) params = &plain;
  qn_pipeline *pipeline = qn_alloc_zero(context, sizeof *pipeline);
  if (!pipeline) return qn_fail_memory(context);
  pipeline->context = context;
  pipeline->graph = graph;
  pipeline->arena = QN_ARENA(context);
  pipeline->legality = params->legality;
  pipeline->numerics = params->numerics;
  pipeline->fuel = params->fuel ? params->fuel : UINT64_MAX;
  qn_status status = run_list(pipeline, params);
  if (status == QN_OK) status = qn_pipeline_make_remarks(pipeline);
  if (status != QN_OK) {
    qn_pipeline_destroy(pipeline);
    return status;
  }
  *out_pipeline = pipeline;
  return QN_OK;
}

void qn_pipeline_destroy(qn_pipeline *pipeline) {
  if (!pipeline) return;
  qn_context *context = pipeline->context;
#define FREE_ARRAY(array)                                                                                      \
  qn_free(context, pipeline->array.at, pipeline->array.capacity * sizeof *pipeline->array.at)
  FREE_ARRAY(rewrites);
  FREE_ARRAY(consumed);
  FREE_ARRAY(created);
  FREE_ARRAY(fusions);
  FREE_ARRAY(stats);
  FREE_ARRAY(remarks);
  FREE_ARRAY(ids);
#undef FREE_ARRAY
  qn_arena_free(&pipeline->arena);
  qn_free(context, pipeline, sizeof *pipeline);
}

// --- what a pass does --------------------------------------------------------------------------------------

bool qn_pass_spend(qn_pipeline *pipeline) {
  if (pipeline->fuel == 0) return false;
  if (pipeline->fuel != UINT64_MAX) pipeline->fuel--;
  return true;
}

qn_status qn_pass_log(qn_pipeline *pipeline, const char *rule, const qn_node *consumed, uint32_t consumed_count,
                      const qn_node *created, uint32_t created_count) {
  qn_context *context = pipeline->context;
  QN_TRY(
      QN_RESERVE(context, pipeline->rewrites.at, pipeline->rewrites.capacity, pipeline->rewrites.count + 1ull));
  QN_TRY(QN_RESERVE(context, pipeline->consumed.at, pipeline->consumed.capacity,
                    pipeline->consumed.count + (uint64_t)consumed_count));
  QN_TRY(QN_RESERVE(context, pipeline->created.at, pipeline->created.capacity,
                    pipeline->created.count + (uint64_t)created_count));
  pipeline->rewrites.at[pipeline->rewrites.count++] = (qn_rewrite_entry){
    .pass = pipeline->pass,
    .rule = rule,
    .consumed = pipeline->consumed.count,
    .consumed_count = consumed_count,
    .created = pipeline->created.count,
    .created_count = created_count,
  };
  for (uint32_t i = 0; i < consumed_count; i++)
    pipeline->consumed.at[pipeline->consumed.count++] =
        (qn_consumed){ .id = qn_node_get_id(pipeline->graph, consumed[i]),
                       .origin = qn_node_get_origin(pipeline->graph, consumed[i]) };
  for (uint32_t i = 0; i < created_count; i++) {
    pipeline->created.at[pipeline->created.count++] = created[i];
    qn_node_set_origin(pipeline->graph, created[i], pipeline->rewrites.count);
  }
  return QN_OK;
}

bool qn_node_is_dead(const qn_graph *graph, qn_node node) {
  qn_op op = qn_node_get_op(graph, node);
  if (op == QN_OP_NONE || op == QN_OP_input || qn_node_has_effect(graph, node)) return false;
  uint32_t count = qn_node_get_result_count(graph, node);
  for (uint32_t i = 0; i < count; i++) {
    qn_value value = qn_node_get_result(graph, node, i);
    if (qn_value_get_first_use(graph, value) || qn_value_is_output(graph, value)) return false;
  }
  return true;
}

uint32_t qn_remove_all_dead(qn_graph *graph) {
  uint32_t removed = 0;
  for (qn_node node = qn_graph_get_last(graph), previous; node; node = previous) {
    previous = qn_node_get_previous(graph, node);
    if (!qn_node_is_dead(graph, node)) continue;
    qn_node_remove(graph, node);
    removed++;
  }
  return removed;
}

qn_status qn_pass_replace(qn_pipeline *pipeline, const char *rule, qn_node node, qn_value by,
                          const qn_node *created, uint32_t created_count) {
  QN_TRY(qn_pass_log(pipeline, rule, &node, 1, created, created_count));
  QN_TRY(
      qn_value_replace(pipeline->graph, qn_node_get_result(pipeline->graph, node, 0), by, created_count > 0));
  qn_node_remove(pipeline->graph, node);
  return QN_OK;
}

// --- rules -------------------------------------------------------------------------------------------------

// What people know a node by that has been replaced: its own name, or that of its result, which `now` may have.
static qn_str node_name(qn_pipeline *pipeline, qn_node node, qn_value now) {
  const qn_graph *graph = pipeline->graph;
  char buffer[16];
  bool kept = !now || qn_value_get_name(graph, qn_node_get_result(graph, node, 0)).length;
  const char *label = kept || qn_node_get_name(graph, node).length ? qn_node_label(graph, node, buffer)
                                                                   : qn_value_label(graph, now, buffer);
  const char *copy = qn_arena_copy(&pipeline->arena, label, strlen(label));
  return (qn_str){ .text = copy ? copy : "", .length = copy ? strlen(copy) : 0 };
}

// Remembers the attention and the quantize of a fusion for the remarks.
static qn_status note_fusion(qn_pipeline *pipeline, const qn_rewrite_event *event) {
  const qn_graph *graph = pipeline->graph;
  qn_node attention = QN_NONE, quantize = QN_NONE, fused = QN_NONE;
  for (uint32_t i = 0; i < event->matched_count; i++) {
    qn_op op = qn_node_get_op(graph, event->matched[i]);
    if (op == QN_OP_attention) attention = event->matched[i];
    if (op == QN_OP_quantize) quantize = event->matched[i];
  }
  for (uint32_t i = 0; i < event->created_count; i++)
    if (qn_node_get_op(graph, event->created[i]) == QN_OP_attention) fused = event->created[i];
  if (!attention || !quantize || !fused) return QN_OK;
  QN_TRY(QN_RESERVE(pipeline->context, pipeline->fusions.at, pipeline->fusions.capacity,
                    pipeline->fusions.count + 1ull));
  pipeline->fusions.at[pipeline->fusions.count++] = (qn_fusion_entry){
    .fused = fused,
    .rule = event->rule->name,
    .attention_name =
        node_name(pipeline, attention, qn_node_get_result(graph, fused, QN_ATTENTION_UNQUANTIZED)),
    .attention_layer = qn_node_get_layer(graph, attention),
    .attention_id = qn_node_get_id(graph, attention),
    .quantize_name = node_name(pipeline, quantize, qn_node_get_result(graph, fused, QN_ATTENTION_OUT)),
    .quantize_layer = qn_node_get_layer(graph, quantize),
    .quantize_id = qn_node_get_id(graph, quantize),
  };
  return QN_OK;
}

static qn_status on_rewrite(void *user, qn_graph *graph, const qn_rewrite_event *event) {
  (void)graph;
  qn_pipeline *pipeline = user;
  QN_TRY(note_fusion(pipeline, event));
  return qn_pass_log(pipeline, event->rule->name, event->matched, event->matched_count, event->created,
                     event->created_count);
}

static qn_status keep_stats(qn_pipeline *pipeline, const qn_rule_set *set, const qn_matcher *matcher) {
  for (uint32_t i = 0; i < qn_rule_set_get_count(set); i++) {
    QN_TRY(QN_RESERVE(pipeline->context, pipeline->stats.at, pipeline->stats.capacity,
                      pipeline->stats.count + 1ull));
    pipeline->stats.at[pipeline->stats.count++] =
        (qn_stats_entry){ .rule = qn_rule_set_get_rule(set, i), .stats = *qn_matcher_get_stats(matcher, i) };
  }
  return QN_OK;
}

qn_status qn_pass_apply_rules(qn_pipeline *pipeline, const char *families, qn_walk walk) {
  qn_rule_set *set = NULL;
  qn_matcher *matcher = NULL;
  qn_status status = qn_rule_set_create(pipeline->context, families, &set);
  if (status == QN_OK) status = qn_matcher_create(pipeline->context, set, &pipeline->legality, &matcher);
  bool bounded = pipeline->fuel != UINT64_MAX;
  if (status == QN_OK)
    status = qn_rules_run(matcher, pipeline->graph,
                          qn_rules_params(.walk = walk, .fuel = bounded ? &pipeline->fuel : NULL,
                                          .on_rewrite = on_rewrite, .user = pipeline),
                          NULL);
  if (status == QN_OK) status = keep_stats(pipeline, set, matcher);
  qn_matcher_destroy(matcher);
  qn_rule_set_destroy(set);
  return status;
}

// --- reading the log ---------------------------------------------------------------------------------------

uint32_t qn_pipeline_get_rewrite_count(const qn_pipeline *pipeline) {
  return pipeline->rewrites.count;
}

int64_t qn_pipeline_find_rewrite(const qn_pipeline *pipeline, qn_node node) {
  return (int64_t)qn_node_get_origin(pipeline->graph, node) - 1;
}

static int compare_ids(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

// All ids behind a rewrite: those of its own nodes, and those behind the rewrites that had made the others.
// `seen` marks rewrites, so that a shared ancestor is opened once.
static qn_status gather_ids(qn_pipeline *pipeline, uint32_t index, uint8_t *seen, uint32_t *stack) {
  uint32_t depth = 0;
  stack[depth++] = index;
  seen[index] = 1;
  pipeline->ids.count = 0;
  while (depth) {
    const qn_rewrite_entry *entry = &pipeline->rewrites.at[stack[--depth]];
    for (uint32_t i = 0; i < entry->consumed_count; i++) {
      qn_consumed from = pipeline->consumed.at[entry->consumed + i];
      if (from.id) {
        QN_TRY(QN_RESERVE(pipeline->context, pipeline->ids.at, pipeline->ids.capacity,
                          pipeline->ids.count + 1ull));
        pipeline->ids.at[pipeline->ids.count++] = from.id;
      }
      if (from.origin && !seen[from.origin - 1]) {
        seen[from.origin - 1] = 1;
        stack[depth++] = from.origin - 1;
      }
    }
  }
  return QN_OK;
}

qn_status qn_pipeline_get_rewrite(qn_pipeline *pipeline, uint32_t index, qn_rewrite *out_rewrite) {
  uint32_t count = pipeline->rewrites.count;
  if (index >= count) return qn_fail(pipeline->context, QN_INVALID, NULL, "rewrite %u of %u", index, count);
  uint8_t *seen = qn_alloc_zero(pipeline->context, count);
  uint32_t *stack = qn_alloc(pipeline->context, count * sizeof *stack);
  qn_status status =
      seen && stack ? gather_ids(pipeline, index, seen, stack) : qn_fail_memory(pipeline->context);
  qn_free(pipeline->context, seen, count);
  qn_free(pipeline->context, stack, count * sizeof *stack);
  QN_TRY(status);
  uint64_t *ids = pipeline->ids.at;
  uint32_t unique = 0;
  if (pipeline->ids.count) qsort(ids, pipeline->ids.count, sizeof *ids, compare_ids);
  for (uint32_t i = 0; i < pipeline->ids.count; i++)
    if (i == 0 || ids[i] != ids[i - 1]) ids[unique++] = ids[i];
  const qn_rewrite_entry *entry = &pipeline->rewrites.at[index];
  uint64_t *kept = qn_arena_alloc(&pipeline->arena, unique * sizeof *kept);
  if (!kept) return qn_fail_memory(pipeline->context);
  if (unique) memcpy(kept, ids, unique * sizeof *kept);
  *out_rewrite = (qn_rewrite){
    .pass = entry->pass,
    .rule = entry->rule,
    .ids = kept,
    .id_count = unique,
    .created = pipeline->created.at + entry->created,
    .created_count = entry->created_count,
  };
  return QN_OK;
}

uint32_t qn_pipeline_get_rule_stats_count(const qn_pipeline *pipeline) {
  return pipeline->stats.count;
}

qn_status qn_pipeline_get_rule_stats(const qn_pipeline *pipeline, uint32_t index, qn_rule_stats *out_stats) {
  if (index >= pipeline->stats.count)
    return qn_fail(pipeline->context, QN_INVALID, NULL, "rule statistics %u of %u", index,
                   pipeline->stats.count);
  *out_stats = pipeline->stats.at[index].stats;
  return QN_OK;
}

uint32_t qn_pipeline_get_remark_count(const qn_pipeline *pipeline) {
  return pipeline->remarks.count;
}

qn_status qn_pipeline_get_remark(qn_pipeline *pipeline, uint32_t index, qn_remark *out_remark) {
  if (index >= pipeline->remarks.count)
    return qn_fail(pipeline->context, QN_INVALID, NULL, "remark %u of %u", index, pipeline->remarks.count);
  *out_remark = pipeline->remarks.at[index];
  return QN_OK;
}
