// The builder of onnx_test.h.
#include "onnx_test.h"

#define APPEND(b, owner, list, item)                                                                           \
  do {                                                                                                         \
    void *grown = qn_onnx_alloc(&(b)->memory, ((owner)->n_##list + 1) * sizeof *(owner)->list);                \
    cr_assert(grown);                                                                                          \
    if ((owner)->n_##list) memcpy(grown, (owner)->list, (owner)->n_##list * sizeof *(owner)->list);            \
    (owner)->list = grown;                                                                                     \
    (owner)->list[(owner)->n_##list++] = (item);                                                               \
  } while (0)

#define NEW(b, type, init)                                                                                     \
  ({                                                                                                           \
    type *made = qn_onnx_alloc(&(b)->memory, sizeof *made);                                                    \
    cr_assert(made);                                                                                           \
    init(made);                                                                                                \
    made;                                                                                                      \
  })

char *builder_text(builder *b, const char *text) {
  return qn_onnx_printf(&b->memory, "%s", text);
}

void builder_init(builder *b, int64_t opset) {
  memset(b, 0, sizeof *b);
  cr_assert_eq(qn_context_create(NULL, &b->context), QN_OK);
  qn_onnx_memory_init(&b->memory, b->context);
  onnx__model_proto__init(&b->model);
  onnx__graph_proto__init(&b->graph);
  b->model.has_ir_version = 1;
  b->model.ir_version = 10;
  b->model.graph = &b->graph;
  b->graph.name = builder_text(b, "test");
  builder_import(b, "", opset);
}

void builder_done(builder *b) {
  qn_free(b->context, b->packed, b->packed_length);
  qn_onnx_memory_free(&b->memory);
  qn_context_destroy(b->context);
}

void builder_import(builder *b, const char *domain, int64_t version) {
  pb_opset *opset = NEW(b, pb_opset, onnx__operator_set_id_proto__init);
  opset->domain = builder_text(b, domain);
  opset->has_version = 1;
  opset->version = version;
  APPEND(b, &b->model, opset_import, opset);
}

// Calls the statement for each comma-separated word of `list`; none for the empty list.
#define FOR_WORDS(b, list, word)                                                                               \
  for (const char *at_ = (list), *end_ = NULL; at_ && *at_; at_ = *end_ ? end_ + 1 : NULL)                     \
    for (char *word =                                                                                          \
             (end_ = at_ + strcspn(at_, ","), qn_onnx_printf(&(b)->memory, "%.*s", (int)(end_ - at_), at_));   \
         word; word = NULL)

pb_value_info *builder_info(builder *b, const char *name, int data_type, const char *dims) {
  pb_value_info *info = NEW(b, pb_value_info, onnx__value_info_proto__init);
  info->name = builder_text(b, name);
  info->type = NEW(b, pb_type, onnx__type_proto__init);
  info->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
  Onnx__TypeProto__Tensor *tensor = NEW(b, Onnx__TypeProto__Tensor, onnx__type_proto__tensor__init);
  info->type->tensor_type = tensor;
  tensor->has_elem_type = 1;
  tensor->elem_type = data_type;
  if (!dims) return info;
  tensor->shape = NEW(b, Onnx__TensorShapeProto, onnx__tensor_shape_proto__init);
  FOR_WORDS(b, dims, word) {
    Onnx__TensorShapeProto__Dimension *dim =
        NEW(b, Onnx__TensorShapeProto__Dimension, onnx__tensor_shape_proto__dimension__init);
    if (*word && !word[strspn(word, "-0123456789")]) {
      dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
      dim->dim_value = strtoll(word, NULL, 10);
    } else if (*word) {
      dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
      dim->dim_param = word;
    }
    APPEND(b, tensor->shape, dim, dim);
  }
  return info;
}

void builder_input(builder *b, const char *name, int data_type, const char *dims) {
  APPEND(b, &b->graph, input, builder_info(b, name, data_type, dims));
}
void builder_output(builder *b, const char *name, int data_type, const char *dims) {
  APPEND(b, &b->graph, output, builder_info(b, name, data_type, dims));
}
void builder_declare(builder *b, const char *name, int data_type, const char *dims) {
  APPEND(b, &b->graph, value_info, builder_info(b, name, data_type, dims));
}

pb_tensor *builder_tensor(builder *b, const char *name, int data_type, const char *dims, const void *bytes,
                          size_t length) {
  pb_tensor *tensor = NEW(b, pb_tensor, onnx__tensor_proto__init);
  tensor->name = builder_text(b, name);
  tensor->has_data_type = 1;
  tensor->data_type = data_type;
  FOR_WORDS(b, dims, word) APPEND(b, tensor, dims, strtoll(word, NULL, 10));
  if (bytes) {
    tensor->has_raw_data = 1;
    tensor->raw_data.len = length;
    tensor->raw_data.data = qn_onnx_alloc(&b->memory, length);
    memcpy(tensor->raw_data.data, bytes, length);
  }
  return tensor;
}

void builder_initializer(builder *b, const char *name, int data_type, const char *dims, const void *bytes,
                         size_t length) {
  APPEND(b, &b->graph, initializer, builder_tensor(b, name, data_type, dims, bytes, length));
}
void builder_scalar(builder *b, const char *name, float value) {
  builder_initializer(b, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, "", &value, sizeof value);
}

pb_node *builder_make_node(builder *b, const char *op, const char *inputs, const char *outputs) {
  pb_node *node = NEW(b, pb_node, onnx__node_proto__init);
  const char *colons = strstr(op, "::");
  if (colons) node->domain = qn_onnx_printf(&b->memory, "%.*s", (int)(colons - op), op);
  node->op_type = builder_text(b, colons ? colons + 2 : op);
  FOR_WORDS(b, inputs, word) APPEND(b, node, input, word);
  FOR_WORDS(b, outputs, word) APPEND(b, node, output, word);
  return node;
}

pb_node *builder_node(builder *b, const char *op, const char *inputs, const char *outputs) {
  pb_node *node = builder_make_node(b, op, inputs, outputs);
  APPEND(b, &b->graph, node, node);
  return node;
}

pb_attr *builder_attr(builder *b, pb_node *node, const char *name) {
  pb_attr *attr = NEW(b, pb_attr, onnx__attribute_proto__init);
  attr->name = builder_text(b, name);
  attr->has_type = 1;
  APPEND(b, node, attribute, attr);
  return attr;
}

void builder_int(builder *b, pb_node *node, const char *name, int64_t value) {
  pb_attr *attr = builder_attr(b, node, name);
  attr->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
  attr->has_i = 1;
  attr->i = value;
}
void builder_float(builder *b, pb_node *node, const char *name, float value) {
  pb_attr *attr = builder_attr(b, node, name);
  attr->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
  attr->has_f = 1;
  attr->f = value;
}
void builder_string(builder *b, pb_node *node, const char *name, const char *value) {
  pb_attr *attr = builder_attr(b, node, name);
  attr->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING;
  attr->has_s = 1;
  attr->s.data = (uint8_t *)builder_text(b, value);
  attr->s.len = strlen(value);
}
void builder_ints(builder *b, pb_node *node, const char *name, size_t count, const int64_t *values) {
  pb_attr *attr = builder_attr(b, node, name);
  attr->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
  for (size_t i = 0; i < count; i++) APPEND(b, attr, ints, values[i]);
}

pb_function *builder_function(builder *b, const char *domain, const char *name, const char *inputs,
                              const char *outputs, size_t node_count, pb_node **nodes) {
  pb_function *function = NEW(b, pb_function, onnx__function_proto__init);
  function->domain = builder_text(b, domain);
  function->name = builder_text(b, name);
  FOR_WORDS(b, inputs, word) APPEND(b, function, input, word);
  FOR_WORDS(b, outputs, word) APPEND(b, function, output, word);
  for (size_t i = 0; i < node_count; i++) APPEND(b, function, node, nodes[i]);
  APPEND(b, function, opset_import, b->model.opset_import[0]);
  APPEND(b, &b->model, functions, function);
  return function;
}

void builder_metadata(builder *b, pb_node *node, const char *key, const char *value) {
  pb_entry *entry = NEW(b, pb_entry, onnx__string_string_entry_proto__init);
  entry->key = builder_text(b, key);
  entry->value = builder_text(b, value);
  APPEND(b, node, metadata_props, entry);
}

void builder_pack(builder *b) {
  qn_free(b->context, b->packed, b->packed_length);
  b->packed_length = protobuf_c_message_get_packed_size(&b->model.base);
  b->packed = qn_alloc(b->context, b->packed_length);
  cr_assert(b->packed);
  protobuf_c_message_pack(&b->model.base, b->packed);
}

qn_onnx_model *builder_read(builder *b) {
  builder_pack(b);
  qn_onnx_model *model = NULL;
  qn_status status = qn_onnx_read_memory(b->context, "test.onnx", b->packed, b->packed_length, NULL, &model);
  const qn_error *error = qn_context_get_error(b->context);
  cr_assert_eq(status, QN_OK, "%s (%s)", error->message, error->place);
  cr_assert_eq(qn_graph_verify(qn_onnx_model_get_graph(model)), QN_OK, "%s (%s)", error->message, error->place);
  return model;
}

void builder_refused(builder *b, qn_status status, const char *message, const char *place) {
  builder_pack(b);
  qn_onnx_model *model = NULL;
  qn_status got = qn_onnx_read_memory(b->context, "test.onnx", b->packed, b->packed_length, NULL, &model);
  const qn_error *error = qn_context_get_error(b->context);
  cr_assert_eq(got, status, "%s: %s", qn_status_name(got), error->message);
  cr_assert_null(model);
  cr_assert(strstr(error->message, message), "expected '%s' in '%s'", message, error->message);
  cr_assert(strstr(error->place, place), "expected '%s' in '%s'", place, error->place);
}

qn_node find_op(const qn_graph *graph, qn_op op) {
  for (qn_node node = qn_graph_get_first(graph); node; node = qn_node_get_next(graph, node)) {
    if (qn_node_get_op(graph, node) == op) return node;
  }
  return QN_NONE;
}

const char *type_text(const qn_graph *graph, qn_value value) {
  static char texts[2][128];
  static int turn;
  qn_buf buf = QN_BUF(qn_graph_get_context(graph));
  qn_writer writer = qn_buf_writer(&buf);
  cr_assert_eq(qn_type_write(graph, qn_value_get_type(graph, value), &writer), QN_OK);
  turn = !turn;
  snprintf(texts[turn], sizeof texts[turn], "%s", buf.text);
  qn_buf_free(&buf);
  return texts[turn];
}

qn_value value_of(const qn_graph *graph, const char *name) {
  return qn_graph_find_value(graph, name, strlen(name));
}
