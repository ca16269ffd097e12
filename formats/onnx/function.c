// The function that a fused node calls: the nodes that it replaces, under names of its own, so that equal
// bodies of different layers are one function.
#include "formats/onnx/export_priv.h"

// --- names -------------------------------------------------------------------------------------------------

// "mask?" -> mask, mask_1, ... for the tensors that lead to one operand or come from one result.
static char *slot_name(qn_onnx_exporter *ex, const char *const *words, const qn_onnx_list *slots,
                       uint32_t index) {
  uint32_t slot = slots->at[index], before = 0;
  for (uint32_t i = 0; i < index; i++) before += slots->at[i] == slot;
  const char *word = slot == UINT32_MAX ? "side" : words[slot];
  int length = (int)strcspn(word, "?*");
  if (!before && slot != UINT32_MAX) return qn_onnx_printf(ex->memory, "%.*s", length, word);
  return qn_onnx_printf(ex->memory, "%.*s_%u", length, word, before);
}

static qn_status name_ends(qn_onnx_exporter *ex, qn_onnx_fusion *fusion) {
  const qn_op_info *row = qn_op_get_info(QN_OP_attention);
  fusion->input_names = qn_onnx_alloc(ex->memory, fusion->inputs.count * sizeof *fusion->input_names);
  fusion->output_names = qn_onnx_alloc(ex->memory, fusion->outputs.count * sizeof *fusion->output_names);
  if (!fusion->input_names || !fusion->output_names) return qn_fail_memory(ex->context);
  for (uint32_t i = 0; i < fusion->inputs.count; i++) {
    fusion->input_names[i] = slot_name(ex, row->operands, &fusion->input_slots, i);
    if (!fusion->input_names[i]) return qn_fail_memory(ex->context);
  }
  for (uint32_t i = 0; i < fusion->outputs.count; i++) {
    fusion->output_names[i] = slot_name(ex, row->results, &fusion->output_slots, i);
    if (!fusion->output_names[i]) return qn_fail_memory(ex->context);
  }
  return QN_OK;
}

static uint32_t tensor_at(const qn_onnx_exporter *ex, const char *text) {
  return (uint32_t)(qn_onnx_names_find(&ex->model->names, text, strlen(text)) - ex->model->names.entries);
}

// --- the body ----------------------------------------------------------------------------------------------

static char **inner_names(qn_onnx_exporter *ex, char **names, size_t count) {
  char **texts = qn_onnx_alloc(ex->memory, count * sizeof *texts);
  for (size_t i = 0; texts && i < count; i++)
    texts[i] =
        *names[i] ? (char *)(uintptr_t)ex->inner[tensor_at(ex, names[i])] : names[i]; // not written through
  return texts;
}

static qn_status copy_body(qn_onnx_exporter *ex, const qn_onnx_fusion *fusion, pb_function *function) {
  for (uint32_t i = 0; i < fusion->inputs.count; i++) ex->inner[fusion->inputs.at[i]] = fusion->input_names[i];
  for (uint32_t i = 0; i < fusion->outputs.count; i++)
    ex->inner[fusion->outputs.at[i]] = fusion->output_names[i];
  for (uint32_t n = 0; n < fusion->body.count; n++) {
    const pb_node *node = ex->model->items[fusion->body.at[n]].node;
    pb_node *copy = qn_onnx_alloc(ex->memory, sizeof *copy);
    if (!copy) return qn_fail_memory(ex->context);
    for (size_t o = 0; o < node->n_output; o++) {
      uint32_t tensor = *node->output[o] ? tensor_at(ex, node->output[o]) : UINT32_MAX;
      if (tensor == UINT32_MAX || qn_onnx_list_has(&fusion->outputs, tensor)) continue;
      ex->inner[tensor] = qn_onnx_printf(ex->memory, o ? "t%u_%s_%zu" : "t%u_%s", n, node->op_type, o);
      if (!ex->inner[tensor]) return qn_fail_memory(ex->context);
    }
    *copy = *node;
    // What belongs to one layer would be wrong for the others that share the body.
    copy->name = copy->doc_string = NULL;
    copy->n_metadata_props = 0;
    copy->metadata_props = NULL;
    copy->input = inner_names(ex, node->input, node->n_input);
    copy->output = inner_names(ex, node->output, node->n_output);
    if (!copy->input || !copy->output) return qn_fail_memory(ex->context);
    function->node[function->n_node++] = copy;
  }
  return QN_OK;
}

static bool uses_domain(const pb_function *function, const char *domain) {
  for (size_t n = 0; n < function->n_node; n++) {
    if (strcmp(qn_onnx_domain(function->node[n]->domain), domain) == 0) return true;
  }
  return false;
}

static qn_status add_opsets(qn_onnx_exporter *ex, pb_function *function) {
  const pb_model *proto = ex->model->proto;
  function->opset_import = qn_onnx_alloc(ex->memory, proto->n_opset_import * sizeof *function->opset_import);
  if (!function->opset_import) return qn_fail_memory(ex->context);
  for (size_t i = 0; i < proto->n_opset_import; i++) {
    if (uses_domain(function, qn_onnx_domain(proto->opset_import[i]->domain)))
      function->opset_import[function->n_opset_import++] = proto->opset_import[i];
  }
  return QN_OK;
}

static bool name_is_taken(const qn_onnx_exporter *ex, const char *name) {
  for (size_t i = 0; i < ex->model->proto->n_functions; i++) {
    const pb_function *function = ex->model->proto->functions[i];
    if (qn_onnx_same(function->domain, "quench") && qn_onnx_same(function->name, name)) return true;
  }
  for (uint32_t i = 0; i < ex->body_count; i++) {
    if (strcmp(ex->bodies[i].function->name, name) == 0) return true;
  }
  return false;
}

// Finds the function with the same body or adds this one under a name of its own.
static qn_status share(qn_onnx_exporter *ex, const qn_onnx_fusion *fusion, pb_function **inout_function) {
  pb_function *function = *inout_function;
  size_t length = protobuf_c_message_get_packed_size(&function->base);
  uint8_t *packed = qn_onnx_alloc(ex->memory, length);
  if (!packed) return qn_fail_memory(ex->context);
  protobuf_c_message_pack(&function->base, packed);
  for (uint32_t i = 0; i < ex->body_count; i++) {
    if (ex->bodies[i].length != length || memcmp(ex->bodies[i].packed, packed, length) != 0) continue;
    *inout_function = ex->bodies[i].function;
    return QN_OK;
  }
  qn_scheme scheme = qn_node_get_scheme(ex->graph, fusion->attention, "output");
  const char *family = qn_scheme_family_name((qn_scheme_family)scheme.family);
  function->name = qn_onnx_printf(ex->memory, "Attention_%s", family);
  for (uint32_t i = 2; function->name && name_is_taken(ex, function->name); i++)
    function->name = qn_onnx_printf(ex->memory, "Attention_%s_%u", family, i);
  if (!function->name) return qn_fail_memory(ex->context);
  QN_TRY(QN_RESERVE(ex->context, ex->bodies, ex->body_capacity, (uint64_t)ex->body_count + 1));
  ex->bodies[ex->body_count++] = (qn_onnx_body){ .function = function, .packed = packed, .length = length };
  return QN_OK;
}

// The attribute `output` is called `output_scheme` in the file: onnx's own evaluator has the plain word for a
// property of its nodes and fails on it.
static const char *file_name(const qn_attr_info *info) {
  return info->kind == QN_ATTR_SCHEME ? "output_scheme" : info->name;
}

// --- the call ----------------------------------------------------------------------------------------------

static pb_attr *add_attr(qn_onnx_exporter *ex, pb_node *call, const char *name,
                         Onnx__AttributeProto__AttributeType type) {
  pb_attr *attr = qn_onnx_alloc(ex->memory, sizeof *attr);
  if (!attr) return NULL;
  onnx__attribute_proto__init(attr);
  attr->name = (char *)(uintptr_t)name; // a row's name: not written through
  attr->has_type = 1;
  attr->type = type;
  call->attribute[call->n_attribute++] = attr;
  return attr;
}

static qn_status add_text(qn_onnx_exporter *ex, pb_node *call, const char *name, const char *text) {
  pb_attr *attr = add_attr(ex, call, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
  char *copy = qn_onnx_printf(ex->memory, "%s", text);
  if (!attr || !copy) return qn_fail_memory(ex->context);
  attr->has_s = 1;
  attr->s.data = (uint8_t *)copy;
  attr->s.len = strlen(copy);
  return QN_OK;
}

// Every attribute of the fused node, the ones with their default too: all calls have the same set.
static qn_status add_attention_attr(qn_onnx_exporter *ex, const qn_onnx_fusion *fusion,
                                    const qn_attr_info *info, pb_node *call) {
  char text[QN_SCHEME_TEXT_MAX];
  pb_attr *attr = NULL;
  switch (info->kind) {
  case QN_ATTR_FLOAT:
    attr = add_attr(ex, call, file_name(info), ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    if (!attr) return qn_fail_memory(ex->context);
    attr->has_f = 1;
    attr->f = (float)qn_node_get_float(ex->graph, fusion->attention, info->name);
    return QN_OK;
  case QN_ATTR_SCHEME: {
    qn_scheme scheme = qn_node_get_scheme(ex->graph, fusion->attention, info->name);
    qn_scheme_format(&scheme, text);
    return add_text(ex, call, file_name(info), text);
  }
  case QN_ATTR_ENUM:
    qn_attr_format_choice(info, qn_node_get_int(ex->graph, fusion->attention, info->name), text);
    return add_text(ex, call, file_name(info), text);
  case QN_ATTR_DTYPE:
    return add_text(ex, call, file_name(info),
                    qn_dtype_name((qn_dtype)qn_node_get_int(ex->graph, fusion->attention, info->name)));
  default:
    attr = add_attr(ex, call, file_name(info), ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    if (!attr) return qn_fail_memory(ex->context);
    attr->has_i = 1;
    attr->i = qn_node_get_int(ex->graph, fusion->attention, info->name);
    return QN_OK;
  }
}

static char **texts_of(qn_onnx_exporter *ex, const qn_onnx_list *tensors) {
  char **texts = qn_onnx_alloc(ex->memory, tensors->count * sizeof *texts);
  for (uint32_t i = 0; texts && i < tensors->count; i++)
    texts[i] = (char *)(uintptr_t)ex->model->names.entries[tensors->at[i]].text; // not written through
  return texts;
}

static qn_status make_call(qn_onnx_exporter *ex, qn_onnx_fusion *fusion, const pb_function *function) {
  const qn_op_info *row = qn_op_get_info(QN_OP_attention);
  pb_node *call = qn_onnx_alloc(ex->memory, sizeof *call);
  if (!call) return qn_fail_memory(ex->context);
  onnx__node_proto__init(call);
  call->op_type = function->name;
  call->domain = function->domain;
  call->n_input = fusion->inputs.count;
  call->input = texts_of(ex, &fusion->inputs);
  call->n_output = fusion->outputs.count;
  call->output = texts_of(ex, &fusion->outputs);
  call->attribute = qn_onnx_alloc(ex->memory, (QN_OP_ATTRS_MAX + 1) * sizeof *call->attribute);
  // The node that made the output lends its name, and the metadata that tells the layer.
  const pb_node *maker = ex->model->items[ex->model->names.entries[fusion->outputs.at[0]].item].node;
  call->name =
      qn_onnx_printf(ex->memory, "%s/quench", maker->name && *maker->name ? maker->name : call->output[0]);
  if (!call->input || !call->output || !call->attribute || !call->name) return qn_fail_memory(ex->context);
  call->n_metadata_props = maker->n_metadata_props;
  call->metadata_props = maker->metadata_props;
  for (uint32_t i = 0; i < QN_OP_ATTRS_MAX && row->attrs[i].name; i++)
    QN_TRY(add_attention_attr(ex, fusion, &row->attrs[i], call));
  char *text = NULL;
  QN_TRY(qn_onnx_describe_fusion(ex, fusion, &text));
  QN_TRY(add_text(ex, call, "graph", text));
  fusion->call = call;
  return QN_OK;
}

// Names that the call's attributes have: a function lists them, and gives them no default.
static qn_status list_attrs(qn_onnx_exporter *ex, pb_function *function) {
  const qn_op_info *row = qn_op_get_info(QN_OP_attention);
  static const char graph[] = "graph";
  function->attribute = qn_onnx_alloc(ex->memory, (QN_OP_ATTRS_MAX + 1) * sizeof *function->attribute);
  if (!function->attribute) return qn_fail_memory(ex->context);
  for (uint32_t i = 0; i < QN_OP_ATTRS_MAX && row->attrs[i].name; i++)
    function->attribute[function->n_attribute++] = (char *)(uintptr_t)file_name(&row->attrs[i]);
  function->attribute[function->n_attribute++] = (char *)(uintptr_t)graph;
  return QN_OK;
}

qn_status qn_onnx_make_call(qn_onnx_exporter *ex, qn_onnx_fusion *fusion) {
  QN_TRY(name_ends(ex, fusion));
  pb_function *function = qn_onnx_alloc(ex->memory, sizeof *function);
  if (!function) return qn_fail_memory(ex->context);
  onnx__function_proto__init(function);
  function->domain = qn_onnx_printf(ex->memory, "quench");
  function->node = qn_onnx_alloc(ex->memory, fusion->body.count * sizeof *function->node);
  if (!function->domain || !function->node) return qn_fail_memory(ex->context);
  function->n_input = fusion->inputs.count;
  function->input = (char **)(uintptr_t)fusion->input_names;
  function->n_output = fusion->outputs.count;
  function->output = (char **)(uintptr_t)fusion->output_names;
  QN_TRY(copy_body(ex, fusion, function));
  QN_TRY(add_opsets(ex, function));
  QN_TRY(list_attrs(ex, function));
  QN_TRY(share(ex, fusion, &function));
  return make_call(ex, fusion, function);
}
