// From the decoded model to the graph: inputs, initializers, then the nodes in order, outputs last.
#include "formats/onnx/onnx_priv.h"

enum { OPSET_MAX = 28 }; // the newest published when this was written

// --- names -------------------------------------------------------------------------------------------------

static qn_status declare(qn_onnx_model *model, const char *text, qn_onnx_maker maker, uint32_t item,
                         const pb_type *type) {
  size_t length = strlen(text);
  if (length > INT32_MAX / 2)
    return qn_fail(model->context, QN_LIMIT, model->place, "a name of %zu bytes", length);
  qn_onnx_name *name = qn_onnx_names_get(&model->names, model->context, text, length);
  if (!name) return qn_fail_memory(model->context);
  if (type) name->type = type;
  if (maker == QN_ONNX_UNMADE) return QN_OK;
  if (name->maker != QN_ONNX_UNMADE)
    return qn_fail(model->context, QN_INVALID, model->place, "two tensors have the name '%s'", text);
  name->maker = maker;
  name->item = item;
  return QN_OK;
}

// An initializer that is a graph input too is a default that a caller may override, so it is an input here.
// Before IR version 4 every initializer had to be listed so, and none was meant that way.
static bool inputs_win(const qn_onnx_model *model) {
  return model->proto->ir_version >= 4;
}

static qn_status declare_names(qn_onnx_model *model) {
  const pb_graph *graph = model->proto->graph;
  uint64_t expected = (uint64_t)model->item_count + graph->n_initializer + graph->n_input + graph->n_value_info;
  QN_TRY(qn_onnx_names_init(&model->names, model->context, (uint32_t)QN_MIN(expected, UINT32_MAX / 8)));
  for (size_t i = 0; i < graph->n_value_info; i++)
    QN_TRY(declare(model, qn_onnx_text(graph->value_info[i]->name), QN_ONNX_UNMADE, 0,
                   graph->value_info[i]->type));
  for (size_t i = 0; i < graph->n_output; i++)
    QN_TRY(declare(model, qn_onnx_text(graph->output[i]->name), QN_ONNX_UNMADE, 0, graph->output[i]->type));
  for (size_t pass = 0; pass < 2; pass++) {
    if ((pass == 0) == inputs_win(model)) {
      for (size_t i = 0; i < graph->n_input; i++) {
        const char *name = qn_onnx_text(graph->input[i]->name);
        const qn_onnx_name *known = qn_onnx_names_find(&model->names, name, strlen(name));
        bool is_default = pass && known && known->maker == QN_ONNX_INITIALIZER;
        QN_TRY(declare(model, name, is_default ? QN_ONNX_UNMADE : QN_ONNX_INPUT, 0, graph->input[i]->type));
      }
    } else {
      for (size_t i = 0; i < graph->n_initializer; i++) {
        const char *name = qn_onnx_text(graph->initializer[i]->name);
        const qn_onnx_name *known = qn_onnx_names_find(&model->names, name, strlen(name));
        bool is_default = pass && known && known->maker == QN_ONNX_INPUT;
        if (!is_default) QN_TRY(declare(model, name, QN_ONNX_INITIALIZER, 0, NULL));
      }
      for (size_t i = 0; i < graph->n_sparse_initializer; i++) {
        const pb_tensor *values = graph->sparse_initializer[i]->values;
        QN_TRY(declare(model, values ? qn_onnx_text(values->name) : "", QN_ONNX_INITIALIZER, 0, NULL));
      }
    }
  }
  for (uint32_t i = 0; i < model->item_count; i++) {
    const pb_node *node = model->items[i].node;
    for (size_t o = 0; o < node->n_output; o++) {
      if (*node->output[o]) QN_TRY(declare(model, node->output[o], QN_ONNX_ITEM, i, NULL));
    }
  }
  return QN_OK;
}

// --- drafts: the parts that specials use too ---------------------------------------------------------------

static void add_attr(qn_onnx_importer *im, qn_attr attr) {
  assert(im->attr_count < QN_COUNT(im->attrs));
  im->attrs[im->attr_count++] = attr;
}
void qn_onnx_set_int(qn_onnx_importer *im, const char *name, int64_t value) {
  add_attr(im, (qn_attr){ .name = name, .i = value });
}
void qn_onnx_set_float(qn_onnx_importer *im, const char *name, double value) {
  add_attr(im, (qn_attr){ .name = name, .f = value });
}
void qn_onnx_set_text(qn_onnx_importer *im, const char *name, const char *value) {
  add_attr(im, (qn_attr){ .name = name, .text = value });
}
void qn_onnx_set_scheme(qn_onnx_importer *im, const char *name, const qn_scheme *scheme) {
  im->scheme = *scheme;
  add_attr(im, (qn_attr){ .name = name, .scheme = &im->scheme });
}

qn_status qn_onnx_set_operand(qn_onnx_importer *im, uint32_t index, qn_value value) {
  QN_TRY(QN_RESERVE(im->context, im->operands, im->operand_capacity, (uint64_t)index + 1));
  while (im->operand_count <= index) im->operands[im->operand_count++] = QN_NONE;
  im->operands[index] = value;
  return QN_OK;
}

qn_value qn_onnx_get_operand(const qn_onnx_importer *im, uint32_t index) {
  return index < im->operand_count ? im->operands[index] : QN_NONE;
}

static const qn_type_info unknown_type = { .dtype = QN_ANY, .rank = QN_RANK_UNKNOWN };

qn_type_info qn_onnx_operand_type(const qn_onnx_importer *im, uint32_t index) {
  qn_value value = qn_onnx_get_operand(im, index);
  qn_type type = value ? qn_value_get_type(im->graph, value) : 0;
  return type ? qn_type_get_info(im->graph, type) : unknown_type;
}

qn_type_info qn_onnx_result_type(const qn_onnx_importer *im, uint32_t index) {
  const pb_node *node = im->item->node;
  if (index >= node->n_output) return unknown_type;
  const qn_onnx_name *name =
      qn_onnx_names_find(&im->model->names, node->output[index], strlen(node->output[index]));
  qn_type type = name ? qn_onnx_type(im->graph, name->type) : 0;
  return type ? qn_type_get_info(im->graph, type) : unknown_type;
}

// --- adding nodes ------------------------------------------------------------------------------------------

// What every node made for the current item shares.
static void describe(qn_onnx_importer *im, qn_node_params *params) {
  const pb_node *node = im->item->node;
  params->id = (uint64_t)im->item->origin + 1;
  params->name = node->name && *node->name ? node->name : NULL;
  params->layer = im->layer.length ? im->layer.text : NULL;
  params->location = im->file; // the id says which node of it
}

// The graph names the node; the file stands in front.
static qn_status fail_added(qn_onnx_importer *im, qn_status status) {
  return status == QN_OK ? QN_OK : qn_fail_within(im->context, status, "%s", im->model->place);
}

qn_status qn_onnx_add_const(qn_onnx_importer *im, const char *suffix, const qn_tensor *tensor,
                            qn_value *out_value) {
  const pb_node *node = im->item->node;
  const char *name = qn_onnx_printf(im->memory, "%s.%s", node->n_output ? node->output[0] : "", suffix);
  if (!name) return qn_fail_memory(im->context);
  qn_attr value = { .name = "value", .tensor = tensor };
  qn_node_params params = { .op = QN_OP_const, .attrs = &value, .attr_count = 1, .names = &name };
  describe(im, &params);
  return fail_added(im, qn_graph_add(im->graph, &params, out_value));
}

// Which result of the operation output `index` of the node is: attention has results of quantization in
// between.
static uint32_t result_of(qn_op op, uint32_t index) {
  return op == QN_OP_attention && index > 0 ? QN_ATTENTION_PRESENT_KEY - 1 + index : index;
}

qn_status qn_onnx_add_draft(qn_onnx_importer *im, const char *result) {
  const pb_node *node = im->item->node;
  uint32_t outputs = result ? 1 : (uint32_t)node->n_output;
  while (!result && outputs && !*node->output[outputs - 1]) outputs--;
  uint32_t count = outputs ? result_of(im->op, outputs - 1) + 1 : 0;
  QN_TRY(QN_RESERVE(im->context, im->names, im->name_capacity, (uint64_t)count + 1));
  QN_TRY(QN_RESERVE(im->context, im->types, im->type_capacity, (uint64_t)count + 1));
  QN_TRY(QN_RESERVE(im->context, im->results, im->result_capacity, (uint64_t)count + 1));
  // TensorRT's quantizers declare their FP8 results as bytes: of foreign operations we read, we know better.
  bool trusted = im->op == QN_OP_extern || (!*qn_onnx_domain(node->domain) && !im->trt);
  for (uint32_t i = 0; i < count; i++) {
    im->names[i] = NULL;
    im->types[i] = 0;
    im->results[i] = QN_NONE;
  }
  for (uint32_t i = 0; i < outputs; i++) {
    const char *text = result ? result : node->output[i];
    const qn_onnx_name *name =
        result || !*text || !trusted ? NULL : qn_onnx_names_find(&im->model->names, text, strlen(text));
    im->names[result_of(im->op, i)] = *text ? text : NULL;
    im->types[result_of(im->op, i)] = name ? qn_onnx_type(im->graph, name->type) : 0;
  }
  qn_node_params params = { .op = im->op,
                            .operands = im->operands,
                            .operand_count = im->operand_count,
                            .attrs = im->attrs,
                            .attr_count = im->attr_count,
                            .result_count = count,
                            .types = im->types,
                            .names = im->names };
  describe(im, &params);
  qn_status status = qn_graph_add(im->graph, &params, im->results);
  if (status == QN_INVALID && im->lax && im->op != QN_OP_extern) {
    params.types = NULL;
    status = qn_graph_add(im->graph, &params, im->results);
  }
  QN_TRY(fail_added(im, status));
  for (uint32_t i = 0; !result && i < outputs; i++) {
    if (!*node->output[i]) continue;
    qn_onnx_names_find(&im->model->names, node->output[i], strlen(node->output[i]))->value =
        im->results[result_of(im->op, i)];
  }
  return QN_OK;
}

// --- nodes -------------------------------------------------------------------------------------------------

static qn_status find_operand(qn_onnx_importer *im, const char *text, qn_value *out_value) {
  const qn_onnx_name *name = qn_onnx_names_find(&im->model->names, text, strlen(text));
  *out_value = name ? name->value : QN_NONE;
  if (*out_value) return QN_OK;
  if (!name || name->maker != QN_ONNX_ITEM)
    return qn_onnx_fail_node(im->model, QN_INVALID, im->item->node,
                             "its input '%s' is made by no node, and is neither an input nor an initializer",
                             text);
  return qn_onnx_fail_node(
      im->model, QN_INVALID, im->item->node,
      "its input '%s' is made by this or a later node: the nodes are out of order or form a cycle", text);
}

static qn_status draft_operands(qn_onnx_importer *im) {
  const pb_node *node = im->item->node;
  size_t count = node->n_input;
  while (count && !*node->input[count - 1]) count--;
  im->operand_count = 0;
  if (count > UINT16_MAX || node->n_output > UINT16_MAX)
    return qn_onnx_fail_node(im->model, QN_LIMIT, node, "more than %u inputs or outputs", UINT16_MAX);
  for (size_t i = 0; i < count; i++) {
    qn_value value = QN_NONE;
    if (*node->input[i]) QN_TRY(find_operand(im, node->input[i], &value));
    QN_TRY(qn_onnx_set_operand(im, (uint32_t)i, value));
  }
  return QN_OK;
}

// Adds the values of the main graph that a subgraph reads, so that their users are all known. A name that the
// subgraph makes itself may be taken for an outer one of the same name: that only adds a user.
static qn_status add_captures(qn_onnx_importer *im, const pb_graph *graph, uint32_t own_operands);

static qn_status add_capture(qn_onnx_importer *im, const char *text, uint32_t own_operands) {
  const qn_onnx_name *name = *text ? qn_onnx_names_find(&im->model->names, text, strlen(text)) : NULL;
  if (!name || !name->value) return QN_OK;
  for (uint32_t i = own_operands; i < im->operand_count; i++) {
    if (im->operands[i] == name->value) return QN_OK;
  }
  return im->operand_count < UINT16_MAX ? qn_onnx_set_operand(im, im->operand_count, name->value) : QN_OK;
}

static qn_status add_node_captures(qn_onnx_importer *im, const pb_node *node, uint32_t own_operands) {
  for (size_t a = 0; a < node->n_attribute; a++) {
    const pb_attr *attr = node->attribute[a];
    if (attr->g) QN_TRY(add_captures(im, attr->g, own_operands));
    for (size_t g = 0; g < attr->n_graphs; g++) QN_TRY(add_captures(im, attr->graphs[g], own_operands));
  }
  return QN_OK;
}

static qn_status add_captures(qn_onnx_importer *im, const pb_graph *graph, uint32_t own_operands) {
  for (size_t n = 0; n < graph->n_node; n++) {
    const pb_node *node = graph->node[n];
    for (size_t i = 0; i < node->n_input; i++) QN_TRY(add_capture(im, node->input[i], own_operands));
    QN_TRY(add_node_captures(im, node, own_operands));
  }
  for (size_t i = 0; i < graph->n_output; i++)
    QN_TRY(add_capture(im, qn_onnx_text(graph->output[i]->name), own_operands));
  return QN_OK;
}

// A node that the table does not know: its attributes are kept as an encoded NodeProto without names.
static qn_status add_extern(qn_onnx_importer *im) {
  pb_node *node = im->item->node;
  im->op = QN_OP_extern;
  im->attr_count = 0;
  QN_TRY(draft_operands(im));
  QN_TRY(add_node_captures(im, node, im->operand_count));
  const char *domain = qn_onnx_domain(node->domain);
  const char *name =
      qn_onnx_printf(im->memory, "%s::%s", *domain ? domain : "ai.onnx", qn_onnx_text(node->op_type));
  if (!name) return qn_fail_memory(im->context);
  qn_onnx_set_text(im, "name", name);
  if (node->n_attribute || (node->overload && *node->overload)) {
    pb_node bare = ONNX__NODE_PROTO__INIT;
    bare.overload = node->overload;
    bare.n_attribute = node->n_attribute;
    bare.attribute = node->attribute;
    size_t length = protobuf_c_message_get_packed_size(&bare.base);
    im->raw.length = 0;
    while (im->raw.capacity <= length && im->raw.status == QN_OK)
      qn_buf_append(&im->raw, "\0\0\0\0\0\0\0\0", 8);
    if (im->raw.status != QN_OK) return qn_fail_memory(im->context);
    protobuf_c_message_pack(&bare.base, (uint8_t *)im->raw.text);
    im->attrs[im->attr_count++] = (qn_attr){ .name = "raw", .text = im->raw.text, .length = length };
  }
  if (qn_onnx_op_is_pure(node)) qn_onnx_set_int(im, "pure", 1);
  return qn_onnx_add_draft(im, NULL);
}

static qn_status add_item(qn_onnx_importer *im, const qn_onnx_item *item, int64_t version) {
  const pb_node *node = item->node;
  im->item = item;
  im->trt = false;
  im->layer.length = 0;
  qn_onnx_layer(node, &im->layer);
  if (im->layer.status != QN_OK) return qn_fail_memory(im->context);

  const char *domain = qn_onnx_domain(node->domain);
  const qn_onnx_op *row = qn_onnx_op_find(domain, qn_onnx_text(node->op_type), *domain ? 1 : version);
  const qn_op_info *info = row ? qn_op_get_info(row->op) : NULL;
  bool read = row && !qn_onnx_find_function(im->model, node) && node->n_output > 0 && *node->output[0] &&
              (info->results_repeat || node->n_output <= info->result_count);
  if (read) {
    im->op = row->op;
    im->trt = qn_onnx_op_is_trt(row);
    im->attr_count = 0;
    QN_TRY(draft_operands(im));
    QN_TRY(qn_onnx_map_attrs(im, row->attrs, &read));
    if (read && row->special) QN_TRY(row->special(im, &read));
    if (read) return qn_onnx_add_draft(im, NULL);
  }
  return add_extern(im);
}

// --- the rest of the graph ---------------------------------------------------------------------------------

static qn_status add_inputs(qn_onnx_importer *im) {
  const pb_graph *graph = im->model->proto->graph;
  for (size_t i = 0; i < graph->n_input; i++) {
    const char *text = qn_onnx_text(graph->input[i]->name);
    qn_onnx_name *name = qn_onnx_names_find(&im->model->names, text, strlen(text));
    if (name->maker == QN_ONNX_INPUT)
      QN_TRY(qn_graph_add_input(im->graph, text, qn_onnx_type(im->graph, graph->input[i]->type), &name->value));
  }
  return QN_OK;
}

// An initializer that Quench cannot hold (text, sparse, complex): present, and nothing is known of it.
static qn_status add_opaque(qn_onnx_importer *im, const char *text) {
  qn_onnx_name *name = qn_onnx_names_find(&im->model->names, text, strlen(text));
  // `raw` holds the name, so that no two of them are taken for the same.
  const qn_attr attrs[] = { { .name = "name", .text = "ai.onnx::initializer" },
                            { .name = "raw", .text = text },
                            { .name = "pure", .i = 1 } };
  return qn_graph_add(im->graph,
                      qn_node_params(.op = QN_OP_extern, .attrs = attrs, .attr_count = QN_COUNT(attrs),
                                     .result_count = 1, .names = &text),
                      &name->value);
}

static qn_status add_initializers(qn_onnx_importer *im) {
  const pb_graph *graph = im->model->proto->graph;
  for (size_t i = 0; i < graph->n_initializer; i++) {
    const pb_tensor *initializer = graph->initializer[i];
    const char *text = qn_onnx_text(initializer->name);
    qn_onnx_name *name = qn_onnx_names_find(&im->model->names, text, strlen(text));
    if (name->maker != QN_ONNX_INITIALIZER) continue;
    if (!qn_onnx_tensor_readable(initializer)) {
      QN_TRY(add_opaque(im, text));
      continue;
    }
    qn_tensor tensor;
    QN_TRY(qn_onnx_tensor_read(im->model, initializer, &tensor));
    QN_TRY(qn_graph_add_const(im->graph, text, &tensor, true, &name->value));
  }
  for (size_t i = 0; i < graph->n_sparse_initializer; i++) {
    const pb_tensor *values = graph->sparse_initializer[i]->values;
    QN_TRY(add_opaque(im, values ? qn_onnx_text(values->name) : ""));
  }
  return QN_OK;
}

static qn_status add_outputs(qn_onnx_importer *im) {
  const pb_graph *graph = im->model->proto->graph;
  for (size_t i = 0; i < graph->n_output; i++) {
    const char *text = qn_onnx_text(graph->output[i]->name);
    const qn_onnx_name *name = qn_onnx_names_find(&im->model->names, text, strlen(text));
    if (!name->value)
      return qn_fail(im->context, QN_INVALID, im->model->place, "the graph output '%s' is made by no node",
                     text);
    QN_TRY(qn_graph_add_output(im->graph, name->value, text));
  }
  return QN_OK;
}

static qn_status find_version(const qn_onnx_model *model, int64_t *out_version) {
  *out_version = 1; // models from before the operator sets
  for (size_t i = 0; i < model->proto->n_opset_import; i++) {
    const pb_opset *opset = model->proto->opset_import[i];
    if (!*qn_onnx_domain(opset->domain)) *out_version = opset->version;
  }
  if (*out_version > OPSET_MAX)
    return qn_fail(model->context, QN_UNSUPPORTED, model->place, "operator set %lld; Quench reads up to %d",
                   (long long)*out_version, OPSET_MAX);
  return QN_OK;
}

static qn_status build(qn_onnx_importer *im) {
  qn_onnx_model *model = im->model;
  int64_t version = 0;
  QN_TRY(find_version(model, &version));
  QN_TRY(qn_onnx_list_items(model));
  QN_TRY(declare_names(model));
  const char *name = qn_onnx_text(model->proto->graph->name);
  QN_TRY(qn_graph_create(im->context, name, &model->graph));
  im->graph = model->graph;
  QN_TRY(add_inputs(im));
  QN_TRY(add_initializers(im));
  for (uint32_t i = 0; i < model->item_count; i++) QN_TRY(add_item(im, &model->items[i], version));
  return add_outputs(im);
}

// Whether the file was made for TensorRT: its exporters leave declared types behind that casts have overtaken.
static bool is_for_tensorrt(const pb_model *proto) {
  for (size_t i = 0; i < proto->n_opset_import; i++)
    if (qn_onnx_same(proto->opset_import[i]->domain, "trt")) return true;
  return false;
}

qn_status qn_onnx_build(qn_onnx_model *model) {
  qn_context *context = model->context;
  const char *slash = strrchr(model->place, '/');
  qn_onnx_importer im = { .model = model,
                          .context = context,
                          .memory = &model->memory,
                          .lax = is_for_tensorrt(model->proto),
                          .file = slash ? slash + 1 : model->place,
                          .layer = QN_BUF(context),
                          .raw = QN_BUF(context) };
  qn_status status = build(&im);
  qn_buf_free(&im.layer);
  qn_buf_free(&im.raw);
  qn_free(context, im.operands, im.operand_capacity * sizeof *im.operands);
  qn_free(context, im.names, im.name_capacity * sizeof *im.names);
  qn_free(context, im.types, im.type_capacity * sizeof *im.types);
  qn_free(context, im.results, im.result_capacity * sizeof *im.results);
  return status;
}
