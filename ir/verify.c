// The verifier: every rule that a graph keeps, checked in time linear in its size.
//
// What a pass may have broken is checked before it is relied upon: links, then nodes, then use lists and
// outputs, and only a graph that is sound so far is typed. Typing interns dims, so it is done on a copy.
#include "ir/graph_priv.h"
#include "ir/text_priv.h"

#include <stdio.h>

typedef struct verifier {
  const qn_graph *graph;
  uint32_t *order;   // by node: its place in the list, from 1; 0: not in it
  uint32_t *outputs; // by value: how often it is a graph output
  uint64_t uses;     // operand slots of the nodes of the list that hold a value
} verifier;

static qn_status fail_node(const verifier *v, qn_node node, const char *format, ...) QN_PRINTF(3, 4);
static qn_status fail_node(const verifier *v, qn_node node, const char *format, ...) {
  char place[256], message[512], label[16];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  const qn_op_info *row = qn_op_get_info(qn_node_get_op(v->graph, node));
  snprintf(place, sizeof place, "node '%.200s' (%s)", qn_node_label(v->graph, node, label), row->name);
  return qn_fail(v->graph->context, QN_BUG, place, "%s", message);
}

static qn_status fail_graph(const verifier *v, const char *format, ...) QN_PRINTF(2, 3);
static qn_status fail_graph(const verifier *v, const char *format, ...) {
  char place[256], message[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  snprintf(place, sizeof place, "graph '%.200s'", qn_graph_get_name(v->graph).text);
  return qn_fail(v->graph->context, QN_BUG, place, "%s", message);
}

// --- the list of nodes -----------------------------------------------------------------------------------

static qn_status check_list(verifier *v) {
  const qn_graph *graph = v->graph;
  uint32_t count = 0;
  qn_node previous = QN_NONE;
  for (qn_node node = graph->first; node != QN_NONE; previous = node, node = graph->nodes.at[node].next) {
    if (node >= graph->nodes.count)
      return fail_graph(v, "expected a node after '%u', found index %u", previous, node);
    const qn_node_entry *entry = &graph->nodes.at[node];
    if (v->order[node]) return fail_node(v, node, "the list of nodes comes here twice");
    v->order[node] = ++count;
    if (entry->op == QN_OP_NONE || entry->op >= QN_OP_COUNT)
      return fail_node(v, node, "expected an operation of ops.def, found number %u", (unsigned)entry->op);
    if (entry->previous != previous)
      return fail_node(v, node, "expected the node in front to be %u, found %u", previous, entry->previous);
  }
  if (graph->last != previous)
    return fail_graph(v, "expected the last node to be %u, found %u", previous, graph->last);
  if (graph->live != count) return fail_graph(v, "expected %u nodes in the list, found %u", graph->live, count);
  return QN_OK;
}

// --- nodes -----------------------------------------------------------------------------------------------

static const char *operand_name(const qn_op_info *row, uint32_t index) {
  return row->operands[QN_MIN(index, row->operand_count - 1u)];
}

static qn_status check_operands(verifier *v, qn_node node, const qn_op_info *row) {
  const qn_graph *graph = v->graph;
  const qn_node_entry *entry = &graph->nodes.at[node];
  uint32_t count = entry->operand_count;
  bool too_many = count > row->operand_count && !row->operands_repeat;
  if (count < row->operand_min || too_many)
    return fail_node(v, node, "expected %u to %u operands, found %u", row->operand_min, row->operand_count,
                     count);
  for (uint32_t i = 0; i < count; i++) {
    qn_use use = entry->uses + i;
    const qn_use_entry *slot = &graph->uses.at[use];
    const char *name = operand_name(row, i);
    if (slot->value == QN_NONE) {
      if (i < row->operand_min) return fail_node(v, node, "operand '%s': expected a value, found none", name);
      continue;
    }
    v->uses++;
    if (slot->value >= graph->values.count)
      return fail_node(v, node, "operand '%s': expected a value, found index %u", name, slot->value);
    if (slot->user != node)
      return fail_node(v, node, "operand '%s': its use names node %u as the user", name, slot->user);
    char label[16];
    qn_node definition = graph->values.at[slot->value].node;
    const char *value = qn_value_label(graph, slot->value, label);
    if (definition == QN_NONE || !v->order[definition])
      return fail_node(v, node, "operand '%s': the node of value '%.200s' was removed", name, value);
    if (v->order[definition] >= v->order[node])
      return fail_node(v, node, "operand '%s': value '%.200s' is defined after this node", name, value);
  }
  return QN_OK;
}

static qn_status check_results(verifier *v, qn_node node, const qn_op_info *row) {
  const qn_graph *graph = v->graph;
  const qn_node_entry *entry = &graph->nodes.at[node];
  uint32_t count = entry->result_count;
  if (count < row->result_min || (count > row->result_count && !row->results_repeat))
    return fail_node(v, node, "expected %u to %u results, found %u", row->result_min, row->result_count, count);
  for (uint32_t i = 0; i < count; i++) {
    qn_value value = entry->values + i;
    const qn_value_entry *result = &graph->values.at[value];
    if (result->node != node)
      return fail_node(v, node, "result %u: expected it to name this node, found %u", i, result->node);
    if (result->type >= graph->types.count)
      return fail_node(v, node, "result %u: expected a type, found index %u", i, result->type);
    if (result->name && graph->strings.at[result->name].value != value)
      return fail_node(v, node, "result %u: another value has its name '%.200s'", i,
                       graph->strings.at[result->name].text);
  }
  return QN_OK;
}

static qn_status check_tensor(verifier *v, qn_node node, const char *name, const qn_tensor *tensor) {
  if (tensor->dtype <= QN_ANY || tensor->dtype >= QN_DTYPE_COUNT)
    return fail_node(v, node, "attribute '%s': expected an element type, found number %d", name,
                     (int)tensor->dtype);
  if (tensor->rank < 0 || tensor->rank > QN_RANK_MAX)
    return fail_node(v, node, "attribute '%s': expected a rank in 0..%d, found %d", name, QN_RANK_MAX,
                     (int)tensor->rank);
  for (int32_t i = 0; i < tensor->rank; i++)
    if (tensor->dims[i] < 0)
      return fail_node(v, node, "attribute '%s': dim %d is %lld", name, (int)i, (long long)tensor->dims[i]);
  uint64_t bytes = qn_dtype_bytes(tensor->dtype, qn_tensor_count(tensor));
  if (tensor->data && tensor->dtype != QN_STRING && tensor->bytes != bytes)
    return fail_node(v, node, "attribute '%s': expected %llu bytes, found %llu", name,
                     (unsigned long long)bytes, (unsigned long long)tensor->bytes);
  return QN_OK;
}

static qn_status check_attrs(verifier *v, qn_node node, const qn_op_info *row) {
  const qn_graph *graph = v->graph;
  const qn_node_entry *entry = &graph->nodes.at[node];
  uint32_t seen = 0;
  for (uint32_t i = 0; i < entry->attr_count; i++) {
    const qn_node_attr *attr = &graph->attrs.at[entry->attrs + i];
    if (attr->index >= QN_OP_ATTRS_MAX || !row->attrs[attr->index].name)
      return fail_node(v, node, "expected an attribute of %s, found number %u", row->name,
                       (unsigned)attr->index);
    const qn_attr_info *info = &row->attrs[attr->index];
    if (seen & 1u << attr->index) return fail_node(v, node, "attribute '%s' stands twice", info->name);
    seen |= 1u << attr->index;
    if (attr->kind != info->kind)
      return fail_node(v, node, "attribute '%s': expected kind %d, found %d", info->name, (int)info->kind,
                       (int)attr->kind);
    char choice[32];
    switch (info->kind) {
    case QN_ATTR_BOOL:
      if (attr->i != 0 && attr->i != 1)
        return fail_node(v, node, "attribute '%s': expected 0 or 1, found %lld", info->name,
                         (long long)attr->i);
      break;
    case QN_ATTR_ENUM:
      qn_attr_format_choice(info, attr->i, choice);
      if (!choice[0])
        return fail_node(v, node, "attribute '%s': expected one of %s, found number %lld", info->name,
                         info->choices, (long long)attr->i);
      break;
    case QN_ATTR_DTYPE:
      if (attr->i < 0 || attr->i >= QN_DTYPE_COUNT)
        return fail_node(v, node, "attribute '%s': expected an element type, found number %lld", info->name,
                         (long long)attr->i);
      break;
    case QN_ATTR_SCHEME:
      if (attr->scheme->family >= QN_SCHEME_FAMILY_COUNT || attr->scheme->target >= QN_DTYPE_COUNT)
        return fail_node(v, node, "attribute '%s': expected a scheme of scheme.h", info->name);
      break;
    case QN_ATTR_TENSOR: QN_TRY(check_tensor(v, node, info->name, &attr->tensor->tensor)); break;
    default: break;
    }
  }
  return QN_OK;
}

static qn_status check_nodes(verifier *v) {
  for (qn_node node = v->graph->first; node; node = v->graph->nodes.at[node].next) {
    const qn_op_info *row = qn_op_get_info(qn_node_get_op(v->graph, node));
    QN_TRY(check_operands(v, node, row));
    QN_TRY(check_results(v, node, row));
    QN_TRY(check_attrs(v, node, row));
  }
  return QN_OK;
}

// --- uses and outputs ------------------------------------------------------------------------------------

static qn_status check_outputs(verifier *v) {
  const qn_graph *graph = v->graph;
  for (uint32_t i = 0; i < graph->outputs.count; i++) {
    qn_value value = graph->outputs.at[i].value;
    if (value == QN_NONE || value >= graph->values.count)
      return fail_graph(v, "output %u: expected a value, found index %u", i, value);
    char label[16];
    if (!v->order[graph->values.at[value].node])
      return fail_graph(v, "output %u: the node of value '%.200s' was removed", i,
                        qn_value_label(graph, value, label));
    v->outputs[value]++;
  }
  return QN_OK;
}

// The lists hold every operand slot once: no list holds a foreign one, and together they are as many.
static qn_status check_uses(verifier *v) {
  const qn_graph *graph = v->graph;
  uint64_t listed = 0;
  char label[16];
  for (qn_value value = 1; value < graph->values.count; value++) {
    const qn_value_entry *entry = &graph->values.at[value];
    if (!entry->node || !v->order[entry->node]) continue;
    if (entry->output_count != v->outputs[value])
      return fail_node(v, entry->node, "value '%.200s': expected %u uses as an output, found %u",
                       qn_value_label(graph, value, label), v->outputs[value], entry->output_count);
    qn_use previous = QN_NONE;
    for (qn_use use = entry->first_use; use != QN_NONE; previous = use, use = graph->uses.at[use].next) {
      bool sound = use < graph->uses.count && ++listed <= v->uses && graph->uses.at[use].value == value &&
                   graph->uses.at[use].previous == previous;
      if (!sound)
        return fail_node(v, entry->node, "the list of uses of value '%.200s' is broken at use %u",
                         qn_value_label(graph, value, label), use);
    }
  }
  if (listed != v->uses)
    return fail_graph(v, "expected %llu uses in the lists of values, found %llu", (unsigned long long)v->uses,
                      (unsigned long long)listed);
  return QN_OK;
}

// --- types -----------------------------------------------------------------------------------------------

static qn_status check_types(verifier *v) {
  qn_graph *copy;
  QN_TRY(qn_graph_clone(v->graph, &copy));
  qn_status status = QN_OK;
  for (qn_node node = copy->first; node && status == QN_OK; node = copy->nodes.at[node].next)
    status = qn_shape_check(copy, node);
  qn_graph_destroy(copy);
  return status;
}

static qn_status verify(verifier *v) {
  QN_TRY(check_list(v));
  QN_TRY(check_nodes(v));
  QN_TRY(check_outputs(v));
  QN_TRY(check_uses(v));
  return check_types(v);
}

qn_status qn_graph_verify(const qn_graph *graph) {
  qn_context *context = graph->context;
  verifier v = { .graph = graph };
  v.order = qn_alloc_zero(context, graph->nodes.count * sizeof *v.order);
  v.outputs = qn_alloc_zero(context, graph->values.count * sizeof *v.outputs);
  qn_status status = v.order && v.outputs ? verify(&v) : qn_fail_memory(context);
  qn_free(context, v.order, graph->nodes.count * sizeof *v.order);
  qn_free(context, v.outputs, graph->values.count * sizeof *v.outputs);
  return status;
}
