// Reading graphs: the accessors of include/quench/graph.h.
#include "ir/graph_priv.h"

#include <assert.h>
#include <stdio.h>

qn_context *qn_graph_get_context(const qn_graph *graph) {
  return graph->context;
}
qn_str qn_graph_get_name(const qn_graph *graph) {
  return qn_string_get(graph, graph->name);
}
qn_node qn_graph_get_first(const qn_graph *graph) {
  return graph->first;
}
qn_node qn_graph_get_last(const qn_graph *graph) {
  return graph->last;
}
uint32_t qn_graph_count_nodes(const qn_graph *graph) {
  return graph->live;
}
uint32_t qn_graph_get_node_limit(const qn_graph *graph) {
  return graph->nodes.count;
}
uint32_t qn_graph_get_value_limit(const qn_graph *graph) {
  return graph->values.count;
}
uint32_t qn_graph_get_output_count(const qn_graph *graph) {
  return graph->outputs.count;
}
qn_value qn_graph_get_output(const qn_graph *graph, uint32_t index) {
  return graph->outputs.at[index].value;
}
uint64_t qn_graph_get_version(const qn_graph *graph) {
  return graph->version;
}

qn_str qn_graph_get_output_name(const qn_graph *graph, uint32_t index) {
  return qn_string_get(graph, graph->outputs.at[index].name);
}

static const qn_node_entry *node_at(const qn_graph *graph, qn_node node) {
  assert(node < graph->nodes.count);
  return &graph->nodes.at[node];
}

static const qn_value_entry *value_at(const qn_graph *graph, qn_value value) {
  assert(value < graph->values.count);
  return &graph->values.at[value];
}

qn_node qn_node_get_next(const qn_graph *graph, qn_node node) {
  return node_at(graph, node)->next;
}
qn_node qn_node_get_previous(const qn_graph *graph, qn_node node) {
  return node_at(graph, node)->previous;
}
qn_op qn_node_get_op(const qn_graph *graph, qn_node node) {
  return (qn_op)node_at(graph, node)->op;
}
uint64_t qn_node_get_id(const qn_graph *graph, qn_node node) {
  return node_at(graph, node)->id;
}
uint32_t qn_node_get_origin(const qn_graph *graph, qn_node node) {
  return node_at(graph, node)->origin;
}
qn_str qn_node_get_name(const qn_graph *graph, qn_node node) {
  return qn_string_get(graph, node_at(graph, node)->name);
}
qn_str qn_node_get_layer(const qn_graph *graph, qn_node node) {
  return qn_string_get(graph, node_at(graph, node)->layer);
}
qn_str qn_node_get_location(const qn_graph *graph, qn_node node) {
  return qn_string_get(graph, node_at(graph, node)->location);
}
uint32_t qn_node_get_operand_count(const qn_graph *graph, qn_node node) {
  return node_at(graph, node)->operand_count;
}
uint32_t qn_node_get_result_count(const qn_graph *graph, qn_node node) {
  return node_at(graph, node)->result_count;
}

qn_value qn_node_get_operand(const qn_graph *graph, qn_node node, uint32_t index) {
  const qn_node_entry *entry = node_at(graph, node);
  return index < entry->operand_count ? graph->uses.at[entry->uses + index].value : QN_NONE;
}

qn_value qn_node_get_result(const qn_graph *graph, qn_node node, uint32_t index) {
  const qn_node_entry *entry = node_at(graph, node);
  return index < entry->result_count ? entry->values + index : QN_NONE;
}

// --- attributes --------------------------------------------------------------------------------------------

const qn_node_attr *qn_node_find_attr(const qn_graph *graph, qn_node node, int index) {
  const qn_node_entry *entry = node_at(graph, node);
  for (uint32_t i = 0; i < entry->attr_count; i++)
    if (graph->attrs.at[entry->attrs + i].index == index) return &graph->attrs.at[entry->attrs + i];
  return NULL;
}

// The stored attribute of that name, or NULL; `*out_info` is its row.
static const qn_node_attr *find(const qn_graph *graph, qn_node node, const char *name,
                                const qn_attr_info **out_info) {
  qn_op op = qn_node_get_op(graph, node);
  int index = qn_op_find_attr(op, name, strlen(name));
  assert(index >= 0 && "the operation has no attribute of that name");
  *out_info = &qn_op_get_info(op)->attrs[index];
  return qn_node_find_attr(graph, node, index);
}

int64_t qn_node_get_int(const qn_graph *graph, qn_node node, const char *name) {
  const qn_attr_info *info;
  const qn_node_attr *attr = find(graph, node, name, &info);
  return attr ? attr->i : info->i;
}

double qn_node_get_float(const qn_graph *graph, qn_node node, const char *name) {
  const qn_attr_info *info;
  const qn_node_attr *attr = find(graph, node, name, &info);
  return attr ? attr->f : info->f;
}

qn_str qn_node_get_string(const qn_graph *graph, qn_node node, const char *name) {
  const qn_attr_info *info;
  const qn_node_attr *attr = find(graph, node, name, &info);
  return attr ? (qn_str){ .text = attr->string, .length = attr->length } : (qn_str){ .text = "" };
}

uint32_t qn_node_get_ints(const qn_graph *graph, qn_node node, const char *name, const int64_t **out_ints) {
  const qn_attr_info *info;
  const qn_node_attr *attr = find(graph, node, name, &info);
  *out_ints = attr ? attr->ints : NULL;
  return attr ? attr->length : 0;
}

const qn_tensor *qn_node_get_tensor(const qn_graph *graph, qn_node node, const char *name) {
  const qn_attr_info *info;
  const qn_node_attr *attr = find(graph, node, name, &info);
  return attr ? &attr->tensor->tensor : NULL;
}

qn_scheme qn_node_get_scheme(const qn_graph *graph, qn_node node, const char *name) {
  const qn_attr_info *info;
  const qn_node_attr *attr = find(graph, node, name, &info);
  return attr ? *attr->scheme : qn_scheme_of(QN_SCHEME_none);
}

bool qn_node_has_attr(const qn_graph *graph, qn_node node, const char *name) {
  const qn_attr_info *info;
  return find(graph, node, name, &info) != NULL;
}

bool qn_node_has_effect(const qn_graph *graph, qn_node node) {
  qn_op op = qn_node_get_op(graph, node);
  if (!(qn_op_get_info(op)->facts & QN_FACT_EFFECT)) return false;
  return op != QN_OP_extern || !qn_node_get_int(graph, node, "pure");
}

static bool same_tensor(const qn_attr_tensor *a, const qn_attr_tensor *b) {
  const qn_tensor *x = &a->tensor, *y = &b->tensor;
  if (x->dtype != y->dtype || x->rank != y->rank || x->bytes != y->bytes) return false;
  if (memcmp(x->dims, y->dims, (size_t)x->rank * sizeof *x->dims) != 0) return false;
  if (!x->data || !y->data) return !x->data && !y->data && a->elided_hash == b->elided_hash;
  return x->data == y->data || memcmp(x->data, y->data, x->bytes) == 0;
}

static bool same_attr(const qn_node_attr *a, const qn_node_attr *b) {
  if (!b || a->length != b->length) return false;
  switch ((qn_attr_kind)a->kind) {
  case QN_ATTR_INTS: return memcmp(a->ints, b->ints, a->length * sizeof *a->ints) == 0;
  case QN_ATTR_STRING: return memcmp(a->string, b->string, a->length) == 0;
  case QN_ATTR_SCHEME: return qn_scheme_equal(a->scheme, b->scheme);
  case QN_ATTR_TENSOR: return same_tensor(a->tensor, b->tensor);
  default: return a->i == b->i;
  }
}

bool qn_node_same_attrs(const qn_graph *graph, qn_node a, qn_node b) {
  const qn_node_entry *x = node_at(graph, a), *y = node_at(graph, b);
  if (x->op != y->op || x->attr_count != y->attr_count) return false;
  for (uint32_t i = 0; i < x->attr_count; i++) {
    const qn_node_attr *attr = &graph->attrs.at[x->attrs + i];
    if (!same_attr(attr, qn_node_find_attr(graph, b, attr->index))) return false;
  }
  return true;
}

// --- values ------------------------------------------------------------------------------------------------

qn_node qn_value_get_node(const qn_graph *graph, qn_value value) {
  return value_at(graph, value)->node;
}
qn_type qn_value_get_type(const qn_graph *graph, qn_value value) {
  return value_at(graph, value)->type;
}
bool qn_value_is_output(const qn_graph *graph, qn_value value) {
  return value_at(graph, value)->output_count != 0;
}

uint32_t qn_value_get_result_index(const qn_graph *graph, qn_value value) {
  return value - node_at(graph, value_at(graph, value)->node)->values;
}

qn_str qn_value_get_name(const qn_graph *graph, qn_value value) {
  return qn_string_get(graph, value_at(graph, value)->name);
}

static bool same_name(const qn_graph *graph, uint32_t entry, const void *key) {
  const qn_str *name = key;
  const qn_string *string = &graph->strings.at[entry];
  return string->length == name->length && memcmp(string->text, name->text, name->length) == 0;
}

qn_value qn_graph_find_value(const qn_graph *graph, const char *name, size_t length) {
  if (length == 0) return QN_NONE;
  qn_str key = { .text = name, .length = length };
  uint32_t string = qn_index_find(&graph->string_index, qn_string_hash(name, length), same_name, graph, &key);
  return string ? graph->strings.at[string].value : QN_NONE;
}

const qn_tensor *qn_value_get_const(const qn_graph *graph, qn_value value) {
  if (value == QN_NONE) return NULL;
  qn_node node = value_at(graph, value)->node;
  if (node_at(graph, node)->op != QN_OP_const) return NULL;
  const qn_node_attr *attr = qn_node_find_attr(graph, node, 0);
  return attr ? &attr->tensor->tensor : NULL;
}

qn_use qn_value_get_first_use(const qn_graph *graph, qn_value value) {
  return value_at(graph, value)->first_use;
}
qn_use qn_use_get_next(const qn_graph *graph, qn_use use) {
  return graph->uses.at[use].next;
}
qn_node qn_use_get_user(const qn_graph *graph, qn_use use) {
  return graph->uses.at[use].user;
}

uint32_t qn_use_get_operand_index(const qn_graph *graph, qn_use use) {
  return use - node_at(graph, graph->uses.at[use].user)->uses;
}

const char *qn_value_label(const qn_graph *graph, qn_value value, char buffer[16]) {
  qn_str name = qn_value_get_name(graph, value);
  if (name.length) return name.text;
  snprintf(buffer, 16, "_%u", value);
  return buffer;
}

const char *qn_node_label(const qn_graph *graph, qn_node node, char buffer[16]) {
  qn_str name = qn_node_get_name(graph, node);
  if (name.length) return name.text;
  qn_value result = qn_node_get_result(graph, node, 0);
  if (result) return qn_value_label(graph, result, buffer);
  snprintf(buffer, 16, "node %u", node);
  return buffer;
}
