// Which nodes of the file read which tensors.
#include "formats/onnx/export_priv.h"

qn_status qn_onnx_list_add(qn_onnx_exporter *ex, qn_onnx_list *list, uint32_t value) {
  QN_TRY(QN_RESERVE(ex->context, list->at, list->capacity, (uint64_t)list->count + 1));
  list->at[list->count++] = value;
  return QN_OK;
}

bool qn_onnx_list_has(const qn_onnx_list *list, uint32_t value) {
  for (uint32_t i = 0; i < list->count; i++) {
    if (list->at[i] == value) return true;
  }
  return false;
}

static qn_status add_read(qn_onnx_exporter *ex, const char *text) {
  const qn_onnx_names *names = &ex->model->names;
  const qn_onnx_name *name = text && *text ? qn_onnx_names_find(names, text, strlen(text)) : NULL;
  if (!name || name->maker == QN_ONNX_UNMADE) return QN_OK;
  return qn_onnx_list_add(ex, &ex->reads, (uint32_t)(name - names->entries));
}

static qn_status add_subgraph(qn_onnx_exporter *ex, const pb_graph *graph);

static qn_status add_node(qn_onnx_exporter *ex, const pb_node *node) {
  for (size_t i = 0; i < node->n_input; i++) QN_TRY(add_read(ex, node->input[i]));
  for (size_t a = 0; a < node->n_attribute; a++) {
    const pb_attr *attr = node->attribute[a];
    if (attr->g) QN_TRY(add_subgraph(ex, attr->g));
    for (size_t g = 0; g < attr->n_graphs; g++) QN_TRY(add_subgraph(ex, attr->graphs[g]));
  }
  return QN_OK;
}

static qn_status add_subgraph(qn_onnx_exporter *ex, const pb_graph *graph) {
  for (size_t n = 0; n < graph->n_node; n++) QN_TRY(add_node(ex, graph->node[n]));
  for (size_t i = 0; i < graph->n_output; i++) QN_TRY(add_read(ex, graph->output[i]->name));
  return QN_OK;
}

qn_status qn_onnx_find_uses(qn_onnx_exporter *ex) {
  const qn_onnx_model *model = ex->model;
  uint32_t items = model->item_count, tensors = model->names.count;
  ex->read_start = qn_alloc_zero(ex->context, ((size_t)items + 1) * sizeof *ex->read_start);
  ex->user_start = qn_alloc_zero(ex->context, ((size_t)tensors + 2) * sizeof *ex->user_start);
  ex->is_output = qn_alloc_zero(ex->context, (size_t)tensors + 1);
  ex->item_marks = qn_alloc_zero(ex->context, (size_t)items + 1);
  ex->tensor_marks = qn_alloc_zero(ex->context, (size_t)tensors + 1);
  ex->inner = qn_alloc_zero(ex->context, ((size_t)tensors + 1) * sizeof *ex->inner);
  if (!ex->inner || !ex->read_start || !ex->user_start || !ex->is_output || !ex->item_marks ||
      !ex->tensor_marks)
    return qn_fail_memory(ex->context);
  for (uint32_t i = 0; i < items; i++) {
    QN_TRY(add_node(ex, model->items[i].node));
    ex->read_start[i + 1] = ex->reads.count;
  }
  // Counting sort of the reads by tensor.
  ex->users = qn_alloc(ex->context, ((size_t)ex->reads.count + 1) * sizeof *ex->users);
  if (!ex->users) return qn_fail_memory(ex->context);
  for (uint32_t r = 0; r < ex->reads.count; r++) ex->user_start[ex->reads.at[r] + 2]++;
  for (uint32_t t = 0; t < tensors; t++) ex->user_start[t + 2] += ex->user_start[t + 1];
  for (uint32_t i = 0; i < items; i++) {
    for (uint32_t r = ex->read_start[i]; r < ex->read_start[i + 1]; r++)
      ex->users[ex->user_start[ex->reads.at[r] + 1]++] = i;
  }
  const pb_graph *graph = model->proto->graph;
  for (size_t i = 0; i < graph->n_output; i++) {
    const char *text = qn_onnx_text(graph->output[i]->name);
    const qn_onnx_name *name = qn_onnx_names_find(&model->names, text, strlen(text));
    if (name) ex->is_output[name - model->names.entries] = 1; // an output without a name is nobody's
  }
  return QN_OK;
}

qn_onnx_tensor qn_onnx_tensor_of(const qn_onnx_exporter *ex, qn_value value) {
  // Passes hand a replaced value's name on, so a name of the file means that tensor, whoever made the value.
  qn_str text = qn_value_get_name(ex->graph, value);
  const qn_onnx_names *names = &ex->model->names;
  const qn_onnx_name *name = text.length ? qn_onnx_names_find(names, text.text, text.length) : NULL;
  return name && name->maker != QN_ONNX_UNMADE ? (uint32_t)(name - names->entries) : UINT32_MAX;
}
