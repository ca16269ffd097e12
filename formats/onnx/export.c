// Writing a model: the decoded file with calls in the place of what they replace, streamed to a temporary name.
#include "formats/onnx/export_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { IR_WITH_FUNCTIONS = 8, SIZE_MAX_2G = 0x7fffffff };

static bool is_fused(const qn_graph *graph, qn_node node) {
  if (qn_node_get_op(graph, node) != QN_OP_attention) return false;
  qn_scheme scheme = qn_node_get_scheme(graph, node, "output");
  return scheme.family != QN_SCHEME_none;
}

uint32_t qn_onnx_model_count_fused(const qn_onnx_model *model) {
  uint32_t count = 0;
  for (qn_node node = qn_graph_get_first(model->graph); node; node = qn_node_get_next(model->graph, node))
    count += is_fused(model->graph, node);
  return count;
}

// --- the new model -----------------------------------------------------------------------------------------

static qn_status find_fusions(qn_onnx_exporter *ex) {
  ex->fusion_count = qn_onnx_model_count_fused(ex->model);
  ex->fusions = qn_onnx_alloc(ex->memory, ex->fusion_count * sizeof *ex->fusions);
  if (!ex->fusions) return qn_fail_memory(ex->context);
  QN_TRY(qn_onnx_find_uses(ex));
  uint32_t index = 0;
  for (qn_node node = qn_graph_get_first(ex->graph); node; node = qn_node_get_next(ex->graph, node)) {
    if (!is_fused(ex->graph, node)) continue;
    ex->fusions[index].attention = node;
    QN_TRY(qn_onnx_find_fusion(ex, &ex->fusions[index]));
    QN_TRY(qn_onnx_make_call(ex, &ex->fusions[index]));
    index++;
  }
  return QN_OK;
}

// Types of tensors that nothing makes any more go; what the file says about others stays, true or not.
static bool still_there(const qn_onnx_exporter *ex, const char *text) {
  const qn_onnx_name *name = text ? qn_onnx_names_find(&ex->model->names, text, strlen(text)) : NULL;
  return !name || name->maker != QN_ONNX_ITEM ||
         ex->tensor_marks[name - ex->model->names.entries] & QN_ONNX_MADE;
}

static qn_status rewrite_graph(qn_onnx_exporter *ex, pb_graph *graph) {
  QN_TRY(qn_onnx_rewrite_nodes(ex, &graph->node, &graph->n_node));
  const pb_graph *old = ex->model->proto->graph;
  graph->value_info = qn_onnx_alloc(ex->memory, old->n_value_info * sizeof *graph->value_info);
  graph->quantization_annotation =
      qn_onnx_alloc(ex->memory, old->n_quantization_annotation * sizeof *graph->quantization_annotation);
  if (!graph->value_info || !graph->quantization_annotation) return qn_fail_memory(ex->context);
  graph->n_value_info = graph->n_quantization_annotation = 0;
  for (size_t i = 0; i < old->n_value_info; i++) {
    if (still_there(ex, old->value_info[i]->name))
      graph->value_info[graph->n_value_info++] = old->value_info[i];
  }
  for (size_t i = 0; i < old->n_quantization_annotation; i++) {
    if (still_there(ex, old->quantization_annotation[i]->tensor_name))
      graph->quantization_annotation[graph->n_quantization_annotation++] = old->quantization_annotation[i];
  }
  return QN_OK;
}

static qn_status add_domain(qn_onnx_exporter *ex, pb_model *model) {
  for (size_t i = 0; i < model->n_opset_import; i++) {
    if (qn_onnx_same(model->opset_import[i]->domain, "quench")) return QN_OK;
  }
  pb_opset *opset = qn_onnx_alloc(ex->memory, sizeof *opset);
  pb_opset **opsets = qn_onnx_alloc(ex->memory, (model->n_opset_import + 1) * sizeof *opsets);
  if (!opset || !opsets) return qn_fail_memory(ex->context);
  onnx__operator_set_id_proto__init(opset);
  opset->domain = qn_onnx_printf(ex->memory, "quench");
  opset->has_version = 1;
  opset->version = 1;
  if (!opset->domain) return qn_fail_memory(ex->context);
  if (model->n_opset_import) memcpy(opsets, model->opset_import, model->n_opset_import * sizeof *opsets);
  opsets[model->n_opset_import++] = opset;
  model->opset_import = opsets;
  return QN_OK;
}

// `model` and `graph` start as shallow copies of what was read, which itself is never changed.
static qn_status rewrite_model(qn_onnx_exporter *ex, pb_model *model, pb_graph *graph) {
  QN_TRY(find_fusions(ex));
  if (!ex->fusion_count) return QN_OK;
  QN_TRY(rewrite_graph(ex, graph));
  QN_TRY(add_domain(ex, model));
  pb_function **functions =
      qn_onnx_alloc(ex->memory, (model->n_functions + ex->body_count) * sizeof *functions);
  if (!functions) return qn_fail_memory(ex->context);
  if (model->n_functions) memcpy(functions, model->functions, model->n_functions * sizeof *functions);
  for (uint32_t i = 0; i < ex->body_count; i++) functions[model->n_functions++] = ex->bodies[i].function;
  model->functions = functions;
  if (!model->has_ir_version || model->ir_version < IR_WITH_FUNCTIONS) {
    model->has_ir_version = 1;
    model->ir_version = IR_WITH_FUNCTIONS;
  }
  return QN_OK;
}

// --- the file ----------------------------------------------------------------------------------------------

typedef struct sink {
  ProtobufCBuffer base;
  FILE *file;
  bool failed;
} sink;

static void append(ProtobufCBuffer *base, size_t length, const uint8_t *data) {
  sink *s = (sink *)base;
  if (fwrite(data, 1, length, s->file) != length) s->failed = true;
}

static qn_status fail_io(qn_onnx_exporter *ex, const char *path, const char *what) {
  return qn_fail(ex->context, QN_IO, path, "cannot %s: %s", what, strerror(errno));
}

// A file of a name that nothing has yet.
static FILE *create_temporary(qn_onnx_exporter *ex, const char *path, char **out_temporary) {
  for (unsigned attempt = 0; attempt < 100; attempt++) {
    *out_temporary = qn_onnx_printf(ex->memory, "%s.%ld.%u.tmp", path, (long)getpid(), attempt);
    if (!*out_temporary) return NULL;
    int fd = open(*out_temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) return fdopen(fd, "wb");
    if (errno != EEXIST) return NULL;
  }
  return NULL;
}

static qn_status write_model(qn_onnx_exporter *ex, const pb_model *model, const char *path) {
  if (protobuf_c_message_get_packed_size(&model->base) > SIZE_MAX_2G)
    return qn_fail(ex->context, QN_LIMIT, path, "the model would exceed protobuf's 2 GiB");
  char *temporary = NULL;
  FILE *file = create_temporary(ex, path, &temporary);
  if (!file) return fail_io(ex, path, "create the file");
  sink s = { .base = { .append = append }, .file = file };
  protobuf_c_message_pack_to_buffer(&model->base, &s.base);
  bool failed = s.failed || fflush(file) != 0;
  failed = fclose(file) != 0 || failed;
  if (!failed && rename(temporary, path) == 0) return QN_OK;
  qn_status status = fail_io(ex, path, failed ? "write the file" : "rename the finished file");
  unlink(temporary);
  return status;
}

static void free_exporter(qn_onnx_exporter *ex) {
  qn_context *context = ex->context;
  size_t items = ex->model->item_count, tensors = ex->model->names.count;
#define FREE_LIST(list) qn_free(context, (list).at, (list).capacity * sizeof *(list).at)
  for (uint32_t i = 0; i < ex->fusion_count && ex->fusions; i++) {
    FREE_LIST(ex->fusions[i].inputs);
    FREE_LIST(ex->fusions[i].input_slots);
    FREE_LIST(ex->fusions[i].outputs);
    FREE_LIST(ex->fusions[i].output_slots);
    FREE_LIST(ex->fusions[i].body);
  }
  qn_free(context, ex->users, ((size_t)ex->reads.count + 1) * sizeof *ex->users);
  FREE_LIST(ex->reads);
  FREE_LIST(ex->stack);
#undef FREE_LIST
  qn_free(context, ex->bodies, ex->body_capacity * sizeof *ex->bodies);
  qn_free(context, ex->inner, (tensors + 1) * sizeof *ex->inner);
  qn_free(context, ex->read_start, (items + 1) * sizeof *ex->read_start);
  qn_free(context, ex->user_start, (tensors + 2) * sizeof *ex->user_start);
  qn_free(context, ex->is_output, tensors + 1);
  qn_free(context, ex->item_marks, items + 1);
  qn_free(context, ex->tensor_marks, tensors + 1);
}

qn_status qn_onnx_write_file(qn_onnx_model *model, const char *path) {
  // What is made for the file goes when it is written.
  qn_onnx_memory memory;
  qn_onnx_memory_init(&memory, model->context);
  qn_onnx_exporter ex = { .model = model, .context = model->context, .memory = &memory, .graph = model->graph };
  pb_model copy = *model->proto;
  pb_graph graph = *model->proto->graph;
  copy.graph = &graph;
  qn_status status = rewrite_model(&ex, &copy, &graph);
  if (status == QN_OK) status = qn_onnx_copy_external(model, &memory, path);
  if (status == QN_OK) status = write_model(&ex, &copy, path);
  free_exporter(&ex);
  qn_onnx_memory_free(&memory);
  return status;
}
