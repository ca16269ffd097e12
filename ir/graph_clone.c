// Cloning: the same indices, payloads of its own.
#include "ir/graph_priv.h"

// Moves the payload of an attribute that points into another graph's arena into this one's.
static qn_status adopt_payload(qn_graph *graph, qn_node_attr *attr) {
  bool ok = true;
  switch ((qn_attr_kind)attr->kind) {
  case QN_ATTR_INTS:
    ok = (attr->ints = qn_graph_copy_bytes(graph, attr->ints, attr->length * sizeof *attr->ints)) != NULL;
    break;
  case QN_ATTR_STRING:
    ok = (attr->string = qn_arena_copy(&graph->arena, attr->string, attr->length)) != NULL;
    break;
  case QN_ATTR_SCHEME:
    ok = (attr->scheme = qn_graph_copy_bytes(graph, attr->scheme, sizeof *attr->scheme)) != NULL;
    break;
  case QN_ATTR_TENSOR: {
    const qn_attr_tensor *old = attr->tensor;
    ok = (attr->tensor = qn_graph_copy_tensor(graph, &old->tensor, old->elided_hash, old->borrowed)) != NULL;
    break;
  }
  default: break;
  }
  return ok ? QN_OK : qn_fail_memory(graph->context);
}

#define COPY_ARRAY(to, from, array)                                                                            \
  do {                                                                                                         \
    QN_TRY(QN_RESERVE((to)->context, (to)->array.at, (to)->array.capacity, (from)->array.count));              \
    if ((from)->array.count)                                                                                   \
      memcpy((to)->array.at, (from)->array.at, (from)->array.count * sizeof *(from)->array.at);                \
    (to)->array.count = (from)->array.count;                                                                   \
  } while (0)

static qn_status copy_index(qn_graph *to, qn_index *index, const qn_index *from) {
  if (!from->capacity) return QN_OK;
  index->slots = qn_alloc(to->context, from->capacity * sizeof *index->slots);
  if (!index->slots) return qn_fail_memory(to->context);
  memcpy(index->slots, from->slots, from->capacity * sizeof *index->slots);
  index->capacity = from->capacity;
  index->count = from->count;
  return QN_OK;
}

static qn_status copy_graph(qn_graph *to, const qn_graph *from) {
  COPY_ARRAY(to, from, nodes);
  COPY_ARRAY(to, from, values);
  COPY_ARRAY(to, from, uses);
  COPY_ARRAY(to, from, attrs);
  COPY_ARRAY(to, from, outputs);
  COPY_ARRAY(to, from, strings);
  COPY_ARRAY(to, from, dims);
  COPY_ARRAY(to, from, types);
  QN_TRY(copy_index(to, &to->string_index, &from->string_index));
  QN_TRY(copy_index(to, &to->dim_index, &from->dim_index));
  QN_TRY(copy_index(to, &to->type_index, &from->type_index));
  to->name = from->name;
  to->first = from->first;
  to->last = from->last;
  to->live = from->live;
  to->fresh_dims = from->fresh_dims;
  to->version = from->version;
  for (uint32_t i = 1; i < to->strings.count; i++) {
    qn_string *string = &to->strings.at[i];
    string->text = qn_arena_copy(&to->arena, string->text, string->length);
    if (!string->text) return qn_fail_memory(to->context);
  }
  for (uint32_t i = 1; i < to->dims.count; i++) {
    qn_dim_entry *dim = &to->dims.at[i];
    dim->words = qn_graph_copy_bytes(to, dim->words, dim->count * sizeof *dim->words);
    if (!dim->words) return qn_fail_memory(to->context);
  }
  for (uint32_t i = 1; i < to->types.count; i++) {
    qn_type_entry *type = &to->types.at[i];
    if (type->rank <= 0) continue;
    type->dims = qn_graph_copy_bytes(to, type->dims, (size_t)type->rank * sizeof *type->dims);
    if (!type->dims) return qn_fail_memory(to->context);
  }
  for (uint32_t i = 1; i < to->attrs.count; i++) QN_TRY(adopt_payload(to, &to->attrs.at[i]));
  return QN_OK;
}

qn_status qn_graph_clone(const qn_graph *graph, qn_graph **out_graph) {
  QN_TRY(qn_graph_create(graph->context, NULL, out_graph));
  qn_status status = copy_graph(*out_graph, graph);
  if (status != QN_OK) {
    qn_graph_destroy(*out_graph);
    *out_graph = NULL;
  }
  return status;
}
