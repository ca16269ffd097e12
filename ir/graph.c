// Graphs: making them, adding nodes, changing nodes.
#include "ir/graph_priv.h"

#include <stdio.h>

// Entry 0 of each array but the outputs stands for "none".
static qn_status reserve_none(qn_graph *graph) {
#define NONE_OF(array)                                                                                         \
  QN_TRY(QN_RESERVE(graph->context, graph->array.at, graph->array.capacity, 16));                              \
  memset(graph->array.at, 0, sizeof *graph->array.at);                                                         \
  graph->array.count = 1
  NONE_OF(nodes);
  NONE_OF(values);
  NONE_OF(uses);
  NONE_OF(attrs);
  NONE_OF(strings);
  NONE_OF(dims);
  NONE_OF(types);
#undef NONE_OF
  graph->strings.at[0].text = "";
  graph->types.at[0].rank = QN_RANK_UNKNOWN;
  return QN_OK;
}

qn_status qn_graph_create(qn_context *context, const char *name, qn_graph **out_graph) {
  *out_graph = NULL;
  qn_graph *graph = qn_alloc_zero(context, sizeof *graph);
  if (!graph) return qn_fail_memory(context);
  graph->context = context;
  graph->arena = QN_ARENA(context);
  qn_status status = reserve_none(graph);
  if (status != QN_OK) {
    qn_graph_destroy(graph);
    return status;
  }
  graph->name = qn_string_intern(graph, name ? name : "", name ? strlen(name) : 0);
  *out_graph = graph;
  return QN_OK;
}

void qn_graph_destroy(qn_graph *graph) {
  if (!graph) return;
  qn_context *context = graph->context;
#define FREE_ARRAY(array) qn_free(context, graph->array.at, graph->array.capacity * sizeof *graph->array.at)
  FREE_ARRAY(nodes);
  FREE_ARRAY(values);
  FREE_ARRAY(uses);
  FREE_ARRAY(attrs);
  FREE_ARRAY(outputs);
  FREE_ARRAY(strings);
  FREE_ARRAY(dims);
  FREE_ARRAY(types);
#undef FREE_ARRAY
#define FREE_INDEX(index)                                                                                      \
  qn_free(context, graph->index.slots, graph->index.capacity * sizeof *graph->index.slots)
  FREE_INDEX(string_index);
  FREE_INDEX(dim_index);
  FREE_INDEX(type_index);
#undef FREE_INDEX
  qn_arena_free(&graph->arena);
  qn_free(context, graph, sizeof *graph);
}

// --- attribute payloads ------------------------------------------------------------------------------------

void *qn_graph_copy_bytes(qn_graph *graph, const void *from, size_t size) {
  void *copy = qn_arena_alloc(&graph->arena, size);
  if (copy && size) memcpy(copy, from, size);
  return copy;
}

const qn_attr_tensor *qn_graph_copy_tensor(qn_graph *graph, const qn_tensor *tensor, uint64_t elided_hash,
                                           bool borrow) {
  qn_attr_tensor *copy = qn_arena_alloc(&graph->arena, sizeof *copy);
  if (!copy) return NULL;
  *copy = (qn_attr_tensor){ .tensor = *tensor, .elided_hash = elided_hash, .borrowed = borrow };
  if (tensor->data && !borrow) {
    copy->tensor.data = qn_graph_copy_bytes(graph, tensor->data, tensor->bytes);
    if (!copy->tensor.data) return NULL;
  }
  return copy;
}

// --- adding ------------------------------------------------------------------------------------------------

static qn_status fail_node(qn_graph *graph, const qn_node_params *params, const char *what,
                           const char *detail) {
  char place[256];
  const char *name = params->name ? params->name : params->names && params->names[0] ? params->names[0] : "";
  snprintf(place, sizeof place, "node '%s' (%s)", name, qn_op_get_info(params->op)->name);
  return qn_fail(graph->context, QN_INVALID, place, "%s%s", what, detail);
}

static qn_status check_operands(qn_graph *graph, const qn_node_params *params, const qn_op_info *info) {
  char text[160];
  if (params->operand_count > UINT16_MAX || params->result_count > UINT16_MAX)
    return fail_node(graph, params, "more than 65535 operands or results", "");
  if (params->operand_count > info->operand_count && !info->operands_repeat) {
    snprintf(text, sizeof text, "takes at most %u operands, found %u", info->operand_count,
             params->operand_count);
    return fail_node(graph, params, text, "");
  }
  for (uint32_t i = 0; i < QN_MAX(params->operand_count, (uint32_t)info->operand_min); i++) {
    qn_value value = i < params->operand_count ? params->operands[i] : QN_NONE;
    if (value >= graph->values.count || (value && graph->values.at[value].node == QN_NONE)) {
      snprintf(text, sizeof text, "operand %u is not a value of this graph", i);
      return fail_node(graph, params, text, "");
    }
    if (value == QN_NONE && i < info->operand_min)
      return fail_node(graph, params, "needs the operand ", info->operands[i]);
  }
  uint32_t results = params->result_count;
  if (results && (results < info->result_min || (results > info->result_count && !info->results_repeat))) {
    snprintf(text, sizeof text, "has %u to %u results, found %u", info->result_min, info->result_count,
             results);
    return fail_node(graph, params, text, "");
  }
  return QN_OK;
}

// The stored form of an attribute; `*out_default` where the value is the default and need not be stored.
static qn_status make_attr(qn_graph *graph, qn_op op, const qn_attr *attr, qn_node_attr *out,
                           bool *out_default) {
  const qn_op_info *row = qn_op_get_info(op);
  int index = qn_op_find_attr(op, attr->name, strlen(attr->name));
  if (index < 0) return qn_fail(graph->context, QN_INVALID, row->name, "has no attribute '%s'", attr->name);
  const qn_attr_info *info = &row->attrs[index];
  *out = (qn_node_attr){ .index = (uint16_t)index, .kind = (uint16_t)info->kind };
  *out_default = false;
  bool ok = true;
  switch (info->kind) {
  case QN_ATTR_ENUM: {
    int choice = attr->text ? qn_attr_find_choice(info, attr->text, strlen(attr->text)) : (int)attr->i;
    char name[32];
    qn_attr_format_choice(info, choice, name);
    if (choice < 0 || attr->i < 0 || attr->i > INT32_MAX || !name[0])
      return qn_fail(graph->context, QN_INVALID, row->name, "attribute '%s' is one of %s, found '%s'",
                     info->name, info->choices, attr->text ? attr->text : "a number outside the list");
    out->i = choice;
    *out_default = choice == info->i;
    break;
  }
  case QN_ATTR_BOOL:
    out->i = attr->i != 0;
    *out_default = out->i == info->i;
    break;
  case QN_ATTR_DTYPE:
    if (attr->i < 0 || attr->i >= QN_DTYPE_COUNT)
      return qn_fail(graph->context, QN_INVALID, row->name, "attribute '%s' is no element type", info->name);
    out->i = attr->i;
    *out_default = out->i == info->i;
    break;
  case QN_ATTR_INT:
    out->i = attr->i;
    *out_default = out->i == info->i;
    break;
  case QN_ATTR_FLOAT:
    out->f = attr->f;
    *out_default = memcmp(&attr->f, &info->f, sizeof attr->f) == 0;
    break;
  case QN_ATTR_INTS:
    *out_default = attr->length == 0;
    out->length = (uint32_t)attr->length;
    if (attr->length > UINT32_MAX / 8)
      return qn_fail(graph->context, QN_LIMIT, row->name, "attribute '%s' is too long", info->name);
    if (!*out_default)
      ok = (out->ints = qn_graph_copy_bytes(graph, attr->ints, attr->length * sizeof *attr->ints)) != NULL;
    break;
  case QN_ATTR_STRING: {
    size_t length = attr->length ? attr->length : attr->text ? strlen(attr->text) : 0;
    if (length > UINT32_MAX)
      return qn_fail(graph->context, QN_LIMIT, row->name, "attribute '%s' is too long", info->name);
    *out_default = length == 0;
    out->length = (uint32_t)length;
    if (!*out_default) ok = (out->string = qn_arena_copy(&graph->arena, attr->text, length)) != NULL;
    break;
  }
  case QN_ATTR_TENSOR:
    *out_default = attr->tensor == NULL;
    if (!*out_default) {
      uint64_t elided_hash = attr->tensor->data ? 0 : (uint64_t)attr->i;
      ok = (out->tensor = qn_graph_copy_tensor(graph, attr->tensor, elided_hash, attr->borrow)) != NULL;
    }
    break;
  case QN_ATTR_SCHEME:
    *out_default = attr->scheme == NULL || attr->scheme->family == QN_SCHEME_none;
    if (!*out_default)
      ok = (out->scheme = qn_graph_copy_bytes(graph, attr->scheme, sizeof *attr->scheme)) != NULL;
    break;
  }
  return ok ? QN_OK : qn_fail_memory(graph->context);
}

static void link_use(qn_graph *graph, qn_use use, qn_value value, qn_node user) {
  qn_use_entry *entry = &graph->uses.at[use];
  *entry = (qn_use_entry){ .value = value, .user = user };
  if (value == QN_NONE) return;
  qn_value_entry *of = &graph->values.at[value];
  entry->next = of->first_use;
  if (of->first_use) graph->uses.at[of->first_use].previous = use;
  of->first_use = use;
}

static void unlink_use(qn_graph *graph, qn_use use) {
  qn_use_entry *entry = &graph->uses.at[use];
  if (entry->value == QN_NONE) return;
  if (entry->previous)
    graph->uses.at[entry->previous].next = entry->next;
  else
    graph->values.at[entry->value].first_use = entry->next;
  if (entry->next) graph->uses.at[entry->next].previous = entry->previous;
  entry->value = QN_NONE;
}

static void link_node(qn_graph *graph, qn_node node, qn_node before) {
  qn_node previous = before ? graph->nodes.at[before].previous : graph->last;
  graph->nodes.at[node].previous = previous;
  graph->nodes.at[node].next = before;
  if (previous)
    graph->nodes.at[previous].next = node;
  else
    graph->first = node;
  if (before)
    graph->nodes.at[before].previous = node;
  else
    graph->last = node;
}

static void unlink_node(qn_graph *graph, qn_node node) {
  qn_node_entry *entry = &graph->nodes.at[node];
  if (entry->previous)
    graph->nodes.at[entry->previous].next = entry->next;
  else
    graph->first = entry->next;
  if (entry->next)
    graph->nodes.at[entry->next].previous = entry->previous;
  else
    graph->last = entry->previous;
}

// Gives a value a name; where another value has it already, a suffix makes it unique.
static qn_status set_value_name(qn_graph *graph, qn_value value, const char *name, size_t length) {
  uint32_t string = qn_string_intern(graph, name, length);
  if (length && !string) return QN_MEMORY;
  for (uint32_t suffix = value; string && graph->strings.at[string].value; suffix++) {
    qn_buf text = QN_BUF(graph->context);
    qn_buf_append(&text, name, length);
    qn_buf_printf(&text, ".%u", suffix);
    string = text.status == QN_OK ? qn_string_intern(graph, text.text, text.length) : 0;
    qn_buf_free(&text);
    if (!string) return QN_MEMORY;
  }
  graph->values.at[value].name = string;
  if (string) graph->strings.at[string].value = value;
  return QN_OK;
}

static uint32_t intern_text(qn_graph *graph, const char *text) {
  return text ? qn_string_intern(graph, text, strlen(text)) : 0;
}

// Room for everything first, so that nothing is half made when memory ends.
static qn_status reserve_node(qn_graph *graph, uint32_t operands, uint32_t results, uint32_t attrs) {
  qn_context *context = graph->context;
  QN_TRY(QN_RESERVE(context, graph->nodes.at, graph->nodes.capacity, graph->nodes.count + 1ull));
  QN_TRY(QN_RESERVE(context, graph->uses.at, graph->uses.capacity, graph->uses.count + (uint64_t)operands));
  QN_TRY(
      QN_RESERVE(context, graph->values.at, graph->values.capacity, graph->values.count + (uint64_t)results));
  return QN_RESERVE(context, graph->attrs.at, graph->attrs.capacity, graph->attrs.count + (uint64_t)attrs);
}

static qn_status fill_node(qn_graph *graph, const qn_node_params *params, qn_node node, uint32_t result_count) {
  qn_node_entry *entry = &graph->nodes.at[node];
  for (uint32_t i = 0; i < params->attr_count; i++) {
    bool is_default;
    qn_node_attr *slot = &graph->attrs.at[entry->attrs + entry->attr_count];
    qn_status status = make_attr(graph, params->op, &params->attrs[i], slot, &is_default);
    if (status == QN_INVALID)
      return fail_node(graph, params, qn_context_get_error(graph->context)->message, "");
    QN_TRY(status);
    for (uint32_t k = 0; k < entry->attr_count; k++)
      if (graph->attrs.at[entry->attrs + k].index == slot->index)
        return fail_node(graph, params, "says an attribute twice: ", params->attrs[i].name);
    if (!is_default) entry->attr_count++;
  }
  graph->attrs.count = entry->attrs + entry->attr_count;
  entry->name = intern_text(graph, params->name);
  entry->layer = intern_text(graph, params->layer);
  entry->location = intern_text(graph, params->location);
  for (uint32_t i = 0; i < result_count; i++) {
    const char *name = params->names ? params->names[i] : NULL;
    if (name) QN_TRY(set_value_name(graph, entry->values + i, name, strlen(name)));
  }
  QN_TRY(qn_graph_check_memory(graph));
  QN_TRY(qn_shape_infer(graph, node));
  return qn_graph_check_memory(graph);
}

qn_status qn_graph_add(qn_graph *graph, const qn_node_params *params, qn_value *out_results) {
  if (params->op == QN_OP_NONE || (unsigned)params->op >= QN_OP_COUNT)
    return qn_fail(graph->context, QN_INVALID, NULL, "a node without an operation");
  const qn_op_info *info = qn_op_get_info(params->op);
  QN_TRY(check_operands(graph, params, info));
  uint32_t results = params->result_count ? params->result_count : info->result_min;
  if (params->attr_count > QN_OP_ATTRS_MAX)
    return fail_node(graph, params, "more attributes than any operation has", "");
  QN_TRY(reserve_node(graph, params->operand_count, results, params->attr_count));

  qn_node node = graph->nodes.count++;
  graph->nodes.at[node] = (qn_node_entry){
    .id = params->id,
    .uses = graph->uses.count,
    .values = graph->values.count,
    .attrs = graph->attrs.count,
    .op = (uint16_t)params->op,
    .operand_count = (uint16_t)params->operand_count,
    .result_count = (uint16_t)results,
  };
  for (uint32_t i = 0; i < params->operand_count; i++)
    link_use(graph, graph->uses.count++, params->operands[i], node);
  for (uint32_t i = 0; i < results; i++)
    graph->values.at[graph->values.count++] =
        (qn_value_entry){ .type = params->types ? params->types[i] : 0, .node = node };
  link_node(graph, node, params->before);
  graph->live++;
  graph->version++;

  qn_status status = fill_node(graph, params, node, results);
  if (status != QN_OK) {
    qn_node_remove(graph, node);
    return status;
  }
  for (uint32_t i = 0; out_results && i < results; i++) out_results[i] = graph->nodes.at[node].values + i;
  return QN_OK;
}

qn_status qn_graph_add_input(qn_graph *graph, const char *name, qn_type type, qn_value *out_value) {
  return qn_graph_add(graph, qn_node_params(.op = QN_OP_input, .types = &type, .names = &name), out_value);
}

qn_status qn_graph_add_const(qn_graph *graph, const char *name, const qn_tensor *tensor, bool borrow,
                             qn_value *out_value) {
  const qn_attr value = { .name = "value", .tensor = tensor, .borrow = borrow };
  return qn_graph_add(
      graph, qn_node_params(.op = QN_OP_const, .attrs = &value, .attr_count = 1, .names = &name), out_value);
}

qn_status qn_graph_add_output(qn_graph *graph, qn_value value, const char *name) {
  if (value == QN_NONE || value >= graph->values.count || !graph->values.at[value].node)
    return qn_fail(graph->context, QN_INVALID, name, "an output that is not a value of this graph");
  QN_TRY(QN_RESERVE(graph->context, graph->outputs.at, graph->outputs.capacity, graph->outputs.count + 1ull));
  graph->outputs.at[graph->outputs.count++] =
      (qn_output_entry){ .value = value,
                         .name = name ? intern_text(graph, name) : graph->values.at[value].name };
  graph->values.at[value].output_count++;
  graph->version++;
  return QN_OK;
}

// --- changing ----------------------------------------------------------------------------------------------

qn_status qn_node_set_operand(qn_graph *graph, qn_node node, uint32_t index, qn_value value) {
  qn_node_entry *entry = &graph->nodes.at[node];
  const qn_op_info *info = qn_op_get_info((qn_op)entry->op);
  if (value >= graph->values.count || (index >= info->operand_count && !info->operands_repeat))
    return qn_fail(graph->context, QN_INVALID, info->name, "no operand %u, or not a value of this graph",
                   index);
  if (index >= entry->operand_count) {
    // The slots of a node are consecutive: a longer list moves to the end of the array.
    if (value == QN_NONE) return QN_OK;
    QN_TRY(QN_RESERVE(graph->context, graph->uses.at, graph->uses.capacity, graph->uses.count + index + 1ull));
    uint32_t moved = graph->uses.count;
    graph->uses.count += index + 1;
    for (uint32_t i = 0; i <= index; i++) {
      qn_value old = i < entry->operand_count ? graph->uses.at[entry->uses + i].value : QN_NONE;
      if (i < entry->operand_count) unlink_use(graph, entry->uses + i);
      link_use(graph, moved + i, old, node);
    }
    entry->uses = moved;
    entry->operand_count = (uint16_t)(index + 1);
  }
  unlink_use(graph, entry->uses + index);
  link_use(graph, entry->uses + index, value, node);
  graph->version++;
  return QN_OK;
}

qn_status qn_node_set_attr(qn_graph *graph, qn_node node, const qn_attr *attr) {
  qn_node_entry *entry = &graph->nodes.at[node];
  bool is_default;
  qn_node_attr stored;
  QN_TRY(make_attr(graph, (qn_op)entry->op, attr, &stored, &is_default));
  uint32_t slot = 0;
  while (slot < entry->attr_count && graph->attrs.at[entry->attrs + slot].index != stored.index) slot++;
  if (slot == entry->attr_count && !is_default) {
    QN_TRY(QN_RESERVE(graph->context, graph->attrs.at, graph->attrs.capacity,
                      graph->attrs.count + entry->attr_count + 1ull));
    uint32_t moved = graph->attrs.count;
    if (entry->attr_count)
      memcpy(&graph->attrs.at[moved], &graph->attrs.at[entry->attrs], entry->attr_count * sizeof stored);
    // The old places are never read again, and a clone must not copy their payloads.
    for (uint32_t i = 0; i < entry->attr_count; i++)
      graph->attrs.at[entry->attrs + i] = (qn_node_attr){ .kind = QN_ATTR_INT };
    entry->attrs = moved;
    graph->attrs.count += ++entry->attr_count;
  }
  if (!is_default) {
    graph->attrs.at[entry->attrs + slot] = stored;
  } else if (slot < entry->attr_count) {
    entry->attr_count--;
    memmove(&graph->attrs.at[entry->attrs + slot], &graph->attrs.at[entry->attrs + slot + 1],
            (entry->attr_count - slot) * sizeof stored);
    graph->attrs.at[entry->attrs + entry->attr_count] = (qn_node_attr){ .kind = QN_ATTR_INT };
  }
  graph->version++;
  return QN_OK;
}

void qn_value_set_type(qn_graph *graph, qn_value value, qn_type type) {
  if (graph->values.at[value].type == type) return;
  graph->values.at[value].type = type;
  graph->version++;
}

qn_status qn_value_replace(qn_graph *graph, qn_value from, qn_value to, bool take_name) {
  if (from == to) return QN_OK;
  qn_value_entry *old = &graph->values.at[from], *now = &graph->values.at[to];
  while (old->first_use) {
    qn_use use = old->first_use;
    qn_node user = graph->uses.at[use].user;
    unlink_use(graph, use);
    link_use(graph, use, to, user);
  }
  for (uint32_t i = 0; old->output_count && i < graph->outputs.count; i++)
    if (graph->outputs.at[i].value == from) {
      graph->outputs.at[i].value = to;
      old->output_count--;
      now->output_count++;
    }
  if (take_name && old->name) {
    if (now->name) graph->strings.at[now->name].value = QN_NONE;
    now->name = old->name;
    graph->strings.at[now->name].value = to;
    old->name = 0;
  }
  graph->version++;
  return QN_OK;
}

void qn_node_remove(qn_graph *graph, qn_node node) {
  qn_node_entry *entry = &graph->nodes.at[node];
  for (uint32_t i = 0; i < entry->operand_count; i++) unlink_use(graph, entry->uses + i);
  for (uint32_t i = 0; i < entry->result_count; i++) {
    qn_value_entry *value = &graph->values.at[entry->values + i];
    if (value->name) graph->strings.at[value->name].value = QN_NONE;
    *value = (qn_value_entry){ 0 };
  }
  for (uint32_t i = 0; i < entry->attr_count; i++)
    graph->attrs.at[entry->attrs + i] = (qn_node_attr){ .kind = QN_ATTR_INT };
  unlink_node(graph, node);
  uint32_t origin = entry->origin;
  uint64_t id = entry->id;
  *entry = (qn_node_entry){ .origin = origin, .id = id };
  graph->live--;
  graph->version++;
}

void qn_node_move_before(qn_graph *graph, qn_node node, qn_node before) {
  if (node == before) return;
  unlink_node(graph, node);
  link_node(graph, node, before);
  graph->version++;
}

void qn_node_set_name(qn_graph *graph, qn_node node, qn_str name) {
  graph->nodes.at[node].name = qn_string_intern(graph, name.text, name.length);
}
void qn_node_set_layer(qn_graph *graph, qn_node node, qn_str layer) {
  graph->nodes.at[node].layer = qn_string_intern(graph, layer.text, layer.length);
}
void qn_node_set_location(qn_graph *graph, qn_node node, qn_str location) {
  graph->nodes.at[node].location = qn_string_intern(graph, location.text, location.length);
}
void qn_node_set_origin(qn_graph *graph, qn_node node, uint32_t origin) {
  graph->nodes.at[node].origin = origin;
}
