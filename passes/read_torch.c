// Operations of PyTorch, torchao and vLLM, which a graph holds as externs, become own operations. What is known
// by name and still cannot be read is left as it is, with a remark that says why.
#include "formats/torch/torch_priv.h"
#include "passes/pass_priv.h"

static qn_status add_unread(qn_pipeline *pipeline, qn_node node, const qn_torch_op *row, const char *reason) {
  qn_graph *graph = pipeline->graph;
  char buffer[16];
  const char *label = qn_node_label(graph, node, buffer);
  const char *name = qn_arena_copy(&pipeline->arena, label, strlen(label)),
             *found = qn_arena_copy(&pipeline->arena, reason, strlen(reason));
  if (!name || !found) return qn_fail_memory(pipeline->context);
  QN_TRY(QN_RESERVE(pipeline->context, pipeline->remarks.at, pipeline->remarks.capacity,
                    pipeline->remarks.count + 1ull));
  pipeline->remarks.at[pipeline->remarks.count++] = (qn_remark){
    .node = { .text = name, .length = strlen(name) },
    .id = qn_node_get_id(graph, node),
    .op = "extern",
    .layer = qn_node_get_layer(graph, node),
    .rule = "",
    .stage = qn_stage_name(qn_why_get_stage(QN_WHY_unread)),
    .code = qn_why_name(QN_WHY_unread),
    .at = row->name,
    .expected = qn_why_sentence(QN_WHY_unread),
    .found = found,
    .closest = "",
    .hint = qn_why_hint(QN_WHY_unread),
  };
  return QN_OK;
}

static qn_status take(qn_pipeline *pipeline, const qn_torch_reading *reading, const qn_torch_op *row) {
  qn_graph *graph = pipeline->graph;
  QN_TRY(qn_pass_log(pipeline, row->name, reading->consumed, reading->consumed_count, reading->created,
                     reading->created_count));
  for (uint32_t i = 0; i < reading->result_count; i++)
    QN_TRY(qn_value_replace(graph, reading->results[i].from, reading->results[i].to, true));
  for (uint32_t i = 0; i < reading->consumed_count; i++) qn_node_remove(graph, reading->consumed[i]);
  return QN_OK;
}

// Those that choose a scale come after all others, since a quantizer takes its own with it.
static qn_status sweep(qn_pipeline *pipeline, bool choosers) {
  qn_graph *graph = pipeline->graph;
  for (qn_node node = qn_graph_get_first(graph), next; node; node = next) {
    next = qn_node_get_next(graph, node);
    if (qn_node_get_op(graph, node) != QN_OP_extern) continue;
    const qn_torch_op *row =
        qn_torch_op_find(qn_node_get_string(graph, node, "name"), qn_node_get_operand_count(graph, node));
    if (!row || row->chooses != choosers) continue;
    if (pipeline->fuel == 0) break;
    qn_torch_reading reading;
    QN_TRY(qn_torch_read(graph, node, row, &reading));
    if (!reading.read) {
      QN_TRY(add_unread(pipeline, node, row, reading.reason));
      continue;
    }
    qn_pass_spend(pipeline);
    QN_TRY(take(pipeline, &reading, row));
  }
  return QN_OK;
}

qn_status qn_pass_read_torch(qn_pipeline *pipeline) {
  QN_TRY(sweep(pipeline, false));
  return sweep(pipeline, true);
}
