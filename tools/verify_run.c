// Runs a graph on the reference executor and keeps copies of chosen values.
#include "verify.h"

#include <stdlib.h>
#include <string.h>

typedef struct capture {
  verify_run *run;
  const bool *wanted;
} capture;

static qn_status keep(verify_run *run, qn_value value, const qn_tensor *tensor) {
  void *data = malloc(tensor->bytes ? tensor->bytes : 1);
  if (!data) return QN_MEMORY;
  if (tensor->bytes) memcpy(data, tensor->data, tensor->bytes);
  free((void *)run->values[value].data);
  run->values[value] = *tensor;
  run->values[value].data = data;
  return QN_OK;
}

static qn_status keep_result(void *user, qn_node node, uint32_t result_index, const qn_tensor *result) {
  capture *c = user;
  qn_value value = qn_node_get_result(c->run->graph, node, result_index);
  return value != QN_NONE && c->wanted[value] ? keep(c->run, value, result) : QN_OK;
}

// Inputs and constants, which no node computes.
static qn_status keep_leaves(verify_run *run, const tool_inputs *inputs, const bool *wanted) {
  const qn_graph *graph = run->graph;
  uint32_t index = 0;
  for (qn_node node = qn_graph_get_first(graph); node != QN_NONE; node = qn_node_get_next(graph, node)) {
    qn_op op = qn_node_get_op(graph, node);
    const qn_tensor *tensor = NULL;
    if (op == QN_OP_input) tensor = &inputs->tensors[index++];
    if (op == QN_OP_const) tensor = qn_node_get_tensor(graph, node, "value");
    if (!tensor || !tensor->data) continue;
    qn_value value = qn_node_get_result(graph, node, 0);
    if (wanted[value] && !run->values[value].data) QN_TRY(keep(run, value, tensor));
  }
  return QN_OK;
}

bool verify_run_graph(tool *t, const qn_graph *graph, const tool_inputs *inputs, const bool *wanted,
                      verify_run *out_run) {
  uint32_t limit = qn_graph_get_value_limit(graph);
  *out_run = (verify_run){ .graph = graph, .values = calloc(limit, sizeof(qn_tensor)), .value_limit = limit };
  if (!out_run->values) return tool_error("verify", "out of memory", NULL), false;
  capture c = { .run = out_run, .wanted = wanted };
  qn_status status = qn_reference_run(
      graph,
      qn_reference_params(.inputs = inputs->tensors, .input_count = inputs->count,
                          .mode = QN_REFERENCE_DECLARED, .on_result = wanted ? keep_result : NULL, .user = &c),
      &out_run->results);
  if (status == QN_OK && wanted) status = keep_leaves(out_run, inputs, wanted);
  if (status == QN_MEMORY)
    tool_error("verify", "out of memory", NULL);
  else if (status != QN_OK)
    tool_fail(t);
  return status == QN_OK;
}

void verify_run_destroy(verify_run *run) {
  for (uint32_t i = 0; run->values && i < run->value_limit; i++) free((void *)run->values[i].data);
  free(run->values);
  if (run->results) qn_results_destroy(run->results);
  *run = (verify_run){ 0 };
}
