// A model from file or memory: scan, decode, build; and what its parts have in common.
#include "formats/onnx/onnx_priv.h"

// The protobuf format itself ends here; larger models keep their weights in other files.
enum { SIZE_MAX_2G = 0x7fffffff };

static const char *copy_text(qn_onnx_model *model, const char *text, size_t length) {
  return text ? qn_arena_copy(&model->memory.arena, text, length) : NULL;
}

static qn_status decode(qn_onnx_model *model, const void *data, size_t length) {
  if (length > SIZE_MAX_2G)
    return qn_fail(model->context, QN_LIMIT, model->place, "a model of %zu bytes; protobuf ends at 2 GiB",
                   length);
  if (!length) return qn_fail(model->context, QN_INVALID, model->place, "the file is empty");
  QN_TRY(qn_onnx_scan(model->context, model->place, data, length));
  model->proto = (pb_model *)protobuf_c_message_unpack(&onnx__model_proto__descriptor, &model->memory.allocator,
                                                       length, data);
  if (model->memory.failed) return qn_fail_memory(model->context);
  if (!model->proto)
    return qn_fail(model->context, QN_INVALID, model->place,
                   "not an ONNX model: the protobuf cannot be decoded");
  if (!model->proto->graph)
    return qn_fail(model->context, QN_INVALID, model->place, "not an ONNX model: it holds no graph");
  return QN_OK;
}

qn_status qn_onnx_decode(qn_context *context, const char *place, const void *data, size_t length,
                         const char *folder, qn_onnx_model **out_model) {
  qn_onnx_model *model = qn_alloc_zero(context, sizeof *model);
  if (!model) return qn_fail_memory(context);
  model->context = context;
  qn_onnx_memory_init(&model->memory, context);
  model->place = copy_text(model, place ? place : "model", strlen(place ? place : "model"));
  model->folder = copy_text(model, folder, folder ? strlen(folder) : 0);
  qn_status status =
      !model->place || (folder && !model->folder) ? qn_fail_memory(context) : decode(model, data, length);
  if (status == QN_OK)
    *out_model = model;
  else
    qn_onnx_model_destroy(model);
  return status;
}

qn_status qn_onnx_read_memory(qn_context *context, const char *place, const void *data, size_t length,
                              const char *folder, qn_onnx_model **out_model) {
  qn_onnx_model *model = NULL;
  QN_TRY(qn_onnx_decode(context, place, data, length, folder, &model));
  qn_status status = qn_onnx_build(model);
  if (status == QN_OK)
    *out_model = model;
  else
    qn_onnx_model_destroy(model);
  return status;
}

qn_status qn_onnx_read_file(qn_context *context, const char *path, qn_onnx_model **out_model) {
  char *data = NULL;
  size_t length = 0;
  QN_TRY(qn_read_file(context, path, &data, &length));
  const char *slash = strrchr(path, '/');
  size_t folder_length = slash ? (size_t)(slash - path) + (slash == path) : 1;
  qn_arena arena = QN_ARENA(context);
  char *folder = qn_arena_copy(&arena, slash ? path : ".", folder_length);
  // The decoded model holds copies of all it needs, so the file's bytes may go.
  qn_status status =
      folder ? qn_onnx_read_memory(context, path, data, length, folder, out_model) : qn_fail_memory(context);
  qn_arena_free(&arena);
  qn_free(context, data, length + 1);
  return status;
}

void qn_onnx_model_destroy(qn_onnx_model *model) {
  if (!model) return;
  qn_context *context = model->context;
  qn_graph_destroy(model->graph);
  qn_onnx_external_free(model);
  qn_onnx_names_free(&model->names, context);
  qn_free(context, model->items, model->item_capacity * sizeof *model->items);
  qn_onnx_memory_free(&model->memory);
  qn_free(context, model, sizeof *model);
}

qn_graph *qn_onnx_model_get_graph(qn_onnx_model *model) {
  return model->graph;
}

const char *qn_onnx_domain(const char *domain) {
  return !domain || strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

const pb_attr *qn_onnx_find_attr(const pb_node *node, const char *name) {
  for (size_t i = 0; i < node->n_attribute; i++) {
    if (qn_onnx_same(node->attribute[i]->name, name)) return node->attribute[i];
  }
  return NULL;
}

int64_t qn_onnx_attr_int(const pb_node *node, const char *name, int64_t otherwise) {
  const pb_attr *attr = qn_onnx_find_attr(node, name);
  return attr && attr->has_i ? attr->i : otherwise;
}

qn_status qn_onnx_fail_node(qn_onnx_model *model, qn_status status, const pb_node *node, const char *format,
                            ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  bool named = node->name && *node->name;
  const char *what = named ? node->name : node->n_output ? node->output[0] : qn_onnx_text(node->op_type);
  const char *place =
      qn_onnx_printf(&model->memory, "%s: %s '%s'", model->place, named ? "node" : "node that makes", what);
  return qn_fail(model->context, status, place ? place : model->place, "%s", text);
}
