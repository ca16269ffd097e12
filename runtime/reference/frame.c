// The frame of one node: failing, operands, results, broadcasting.
#include "runtime/reference/reference_priv.h"

#include <math.h>
#include <stdio.h>

static const qn_ref_fn functions[QN_OP_COUNT] = {
#define X(function, op) [QN_OP_##op] = qn_ref_##function,
  QN_REF_OPS(X)
#undef X
};

qn_ref_fn qn_ref_find(qn_op op) {
  return op < QN_OP_COUNT ? functions[op] : NULL;
}

// --- failing -----------------------------------------------------------------------------------------------

// The node by its name, or by its first result's.
static void format_place(const qn_ref *ref, char out_place[160]) {
  qn_str name = qn_node_get_name(ref->graph, ref->node);
  if (name.length == 0 && qn_node_get_result_count(ref->graph, ref->node) > 0)
    name = qn_value_get_name(ref->graph, qn_node_get_result(ref->graph, ref->node, 0));
  snprintf(out_place, 160, "node '%.120s' (%s)", name.length > 0 ? name.text : "",
           qn_op_get_info(qn_node_get_op(ref->graph, ref->node))->name);
}

qn_status qn_ref_fail(qn_ref *ref, qn_status status, const char *format, ...) {
  char place[160], message[240];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof(message), format, args);
  va_end(args);
  format_place(ref, place);
  return qn_fail(ref->context, status, place, "%s", message);
}

qn_status qn_ref_fail_within(qn_ref *ref, qn_status status) {
  char place[160];
  format_place(ref, place);
  return qn_fail_within(ref->context, status, "%s", place);
}

// --- operands ----------------------------------------------------------------------------------------------

const qn_ref_tensor *qn_ref_operand(const qn_ref *ref, uint32_t index) {
  return index < ref->operand_count ? ref->operands[index] : NULL;
}

double *qn_ref_doubles(qn_ref *ref, uint64_t count) {
  double *values = qn_arena_alloc(&ref->arena, (size_t)QN_MAX(count, 1) * sizeof(*values));
  if (!values) {
    qn_fail_memory(ref->context);
    return NULL;
  }
  memset(values, 0, (size_t)count * sizeof(*values));
  return values;
}

int64_t *qn_ref_ints(qn_ref *ref, uint64_t count) {
  return (int64_t *)(void *)qn_ref_doubles(ref, count); // all-zero bits are 0 in both
}

static qn_status check_numeric(qn_ref *ref, const qn_ref_tensor *tensor) {
  if (qn_element_size(tensor->dtype) > 0) return QN_OK;
  return qn_ref_fail(ref, QN_UNSUPPORTED, "computing with elements of type %s", qn_dtype_name(tensor->dtype));
}

qn_status qn_ref_load(qn_ref *ref, const qn_ref_tensor *tensor, const double **out_values) {
  QN_TRY(check_numeric(ref, tensor));
  double *values = qn_ref_doubles(ref, tensor->count);
  if (!values) return QN_MEMORY;
  qn_elements_load(tensor->dtype, tensor->data, tensor->count, values);
  *out_values = values;
  return QN_OK;
}

qn_status qn_ref_load_ints(qn_ref *ref, const qn_ref_tensor *tensor, const int64_t **out_values) {
  QN_TRY(check_numeric(ref, tensor));
  int64_t *values = qn_ref_ints(ref, tensor->count);
  if (!values) return QN_MEMORY;
  qn_elements_load_ints(tensor->dtype, tensor->data, tensor->count, values);
  *out_values = values;
  return QN_OK;
}

static qn_status check_scalar(qn_ref *ref, const qn_ref_tensor *tensor) {
  QN_TRY(check_numeric(ref, tensor));
  if (tensor->count == 1) return QN_OK;
  return qn_ref_fail(ref, QN_INVALID, "expected one element, found %llu", (unsigned long long)tensor->count);
}

qn_status qn_ref_load_scalar(qn_ref *ref, const qn_ref_tensor *tensor, double *out_value) {
  QN_TRY(check_scalar(ref, tensor));
  qn_elements_load(tensor->dtype, tensor->data, 1, out_value);
  return QN_OK;
}

qn_status qn_ref_load_int(qn_ref *ref, const qn_ref_tensor *tensor, int64_t *out_value) {
  QN_TRY(check_scalar(ref, tensor));
  qn_elements_load_ints(tensor->dtype, tensor->data, 1, out_value);
  return QN_OK;
}

qn_status qn_ref_load_list(qn_ref *ref, const qn_ref_tensor *tensor, int64_t out_list[QN_RANK_MAX],
                           uint32_t *out_count) {
  if (!qn_dtype_is_integer(tensor->dtype) || tensor->rank > 1)
    return qn_ref_fail(ref, QN_INVALID, "expected a list of integers, found %s of rank %d",
                       qn_dtype_name(tensor->dtype), (int)tensor->rank);
  if (tensor->count > QN_RANK_MAX)
    return qn_ref_fail(ref, QN_UNSUPPORTED, "expected at most %d integers, found %llu", QN_RANK_MAX,
                       (unsigned long long)tensor->count);
  qn_elements_load_ints(tensor->dtype, tensor->data, tensor->count, out_list);
  *out_count = (uint32_t)tensor->count;
  return QN_OK;
}

qn_status qn_ref_axis(qn_ref *ref, int64_t axis, int32_t rank, int32_t *out_axis) {
  if (axis < -rank || axis >= rank)
    return qn_ref_fail(ref, QN_INVALID, "axis %lld of a tensor of rank %d", (long long)axis, (int)rank);
  *out_axis = (int32_t)(axis < 0 ? axis + rank : axis);
  return QN_OK;
}

qn_status qn_ref_load_axes(qn_ref *ref, uint32_t index, int32_t rank, bool out_chosen[QN_RANK_MAX],
                           uint32_t *out_count) {
  const qn_ref_tensor *axes = qn_ref_operand(ref, index);
  int64_t list[QN_RANK_MAX];
  uint32_t count = 0;
  if (axes) QN_TRY(qn_ref_load_list(ref, axes, list, &count));
  for (int32_t d = 0; d < QN_RANK_MAX; d++) out_chosen[d] = count == 0 && d < rank;
  for (uint32_t i = 0; i < count; i++) {
    int32_t axis = 0;
    QN_TRY(qn_ref_axis(ref, list[i], rank, &axis));
    if (out_chosen[axis]) return qn_ref_fail(ref, QN_INVALID, "axis %d is given twice", (int)axis);
    out_chosen[axis] = true;
  }
  *out_count = count;
  return QN_OK;
}

bool qn_ref_same_shape(const qn_ref_tensor *a, const qn_ref_tensor *b) {
  return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof(a->dims[0])) == 0;
}

// --- results -----------------------------------------------------------------------------------------------

qn_dtype qn_ref_held(const qn_ref *ref, qn_dtype dtype) {
  return ref->f64 && (dtype == QN_F16 || dtype == QN_BF16 || dtype == QN_F32) ? QN_F64 : dtype;
}

qn_dtype qn_ref_declared(const qn_ref *ref, uint32_t result, qn_dtype otherwise) {
  qn_value value = qn_node_get_result(ref->graph, ref->node, result);
  qn_dtype dtype = qn_type_get_info(ref->graph, qn_value_get_type(ref->graph, value)).dtype;
  return qn_ref_held(ref, dtype == QN_ANY ? otherwise : dtype);
}

qn_status qn_ref_count(qn_ref *ref, int32_t rank, const int64_t *dims, uint64_t *out_count) {
  uint64_t count = 1;
  bool empty = false, large = false;
  for (int32_t d = 0; d < rank; d++) {
    if (dims[d] < 0) return qn_ref_fail(ref, QN_INVALID, "dim %d would be %lld", (int)d, (long long)dims[d]);
    if (dims[d] == 0)
      empty = true;
    else if ((uint64_t)dims[d] > QN_REF_ELEMENTS_MAX / count)
      large = true;
    else
      count *= (uint64_t)dims[d];
  }
  if (large && !empty) return qn_ref_fail(ref, QN_LIMIT, "a tensor of more than 2^30 elements");
  *out_count = empty ? 0 : count;
  return QN_OK;
}

static qn_status set_shape(qn_ref *ref, uint32_t index, qn_dtype dtype, int32_t rank, const int64_t *dims) {
  qn_ref_tensor *result = &ref->results[index];
  if (rank > QN_RANK_MAX)
    return qn_ref_fail(ref, QN_UNSUPPORTED, "a result of rank %d; at most %d", (int)rank, QN_RANK_MAX);
  QN_TRY(qn_ref_count(ref, rank, dims, &result->count));
  result->dtype = dtype;
  result->rank = rank;
  for (int32_t d = 0; d < rank; d++) result->dims[d] = dims[d];
  return QN_OK;
}

qn_status qn_ref_new(qn_ref *ref, uint32_t index, qn_dtype dtype, int32_t rank, const int64_t *dims,
                     uint8_t **out_data) {
  qn_ref_tensor *result = &ref->results[index];
  QN_TRY(set_shape(ref, index, dtype, rank, dims));
  if (qn_element_size(dtype) == 0)
    return qn_ref_fail(ref, QN_UNSUPPORTED, "a result of element type %s", qn_dtype_name(dtype));
  size_t header = (sizeof(qn_ref_buffer) + 15) / 16 * 16;
  size_t size = header + (size_t)result->count * qn_element_size(dtype);
  uint8_t *block = qn_alloc_zero(ref->context, size);
  if (!block) return qn_fail_memory(ref->context);
  result->buffer = (qn_ref_buffer *)(void *)block;
  *result->buffer = (qn_ref_buffer){ .owners = 1, .size = size };
  result->data = block + header;
  result->alive = true;
  *out_data = block + header;
  return QN_OK;
}

qn_status qn_ref_store(qn_ref *ref, uint32_t index, qn_dtype dtype, int32_t rank, const int64_t *dims,
                       const double *values) {
  uint8_t *data;
  QN_TRY(qn_ref_new(ref, index, dtype, rank, dims, &data));
  uint64_t count = ref->results[index].count;
  uint32_t size = qn_element_size(dtype);
  if (ref->wide || dtype == QN_F32) {
    qn_elements_store(dtype, values, count, true, data);
    return QN_OK;
  }
  for (uint64_t i = 0; i < count; i++)
    qn_elements_store(dtype, &(double){ qn_ref_narrow(false, values[i]) }, 1, true, data + i * size);
  return QN_OK;
}

qn_status qn_ref_store_ints(qn_ref *ref, uint32_t index, qn_dtype dtype, int32_t rank, const int64_t *dims,
                            const int64_t *values) {
  uint8_t *data;
  QN_TRY(qn_ref_new(ref, index, dtype, rank, dims, &data));
  qn_elements_store_ints(dtype, values, ref->results[index].count, data);
  return QN_OK;
}

qn_status qn_ref_share(qn_ref *ref, uint32_t index, const qn_ref_tensor *tensor, int32_t rank,
                       const int64_t *dims) {
  qn_ref_tensor *result = &ref->results[index];
  QN_TRY(set_shape(ref, index, tensor->dtype, rank, dims));
  if (result->count != tensor->count)
    return qn_ref_fail(ref, QN_INVALID, "%llu elements in a shape of %llu", (unsigned long long)tensor->count,
                       (unsigned long long)result->count);
  result->data = tensor->data;
  result->buffer = tensor->buffer;
  if (result->buffer) result->buffer->owners++;
  result->alive = true;
  return QN_OK;
}

// --- broadcasting ------------------------------------------------------------------------------------------

static void set_strides(const qn_ref_tensor *tensor, int32_t rank, int64_t out_strides[QN_RANK_MAX]) {
  int64_t stride = 1;
  for (int32_t d = 0; d < rank; d++) out_strides[d] = 0;
  for (int32_t i = 1; tensor && i <= tensor->rank; i++) {
    int64_t dim = tensor->dims[tensor->rank - i];
    out_strides[rank - i] = dim == 1 ? 0 : stride;
    stride *= dim;
  }
}

qn_status qn_ref_broadcast(qn_ref *ref, const qn_ref_tensor *const *operands, uint32_t count,
                           qn_ref_walk *out_walk) {
  qn_ref_walk walk = { .rank = 0 };
  for (uint32_t k = 0; k < count; k++)
    if (operands[k]) walk.rank = QN_MAX(walk.rank, operands[k]->rank);
  for (int32_t d = 0; d < walk.rank; d++) walk.dims[d] = 1;
  for (uint32_t k = 0; k < count; k++)
    for (int32_t i = 1; operands[k] && i <= operands[k]->rank; i++) {
      int64_t dim = operands[k]->dims[operands[k]->rank - i], *into = &walk.dims[walk.rank - i];
      if (*into == 1)
        *into = dim;
      else if (dim != 1 && dim != *into)
        return qn_ref_fail(ref, QN_INVALID, "operand %u has %lld elements in dim -%d where another has %lld", k,
                           (long long)dim, (int)i, (long long)*into);
    }
  for (uint32_t k = 0; k < count; k++) set_strides(operands[k], walk.rank, walk.strides[k]);
  QN_TRY(qn_ref_count(ref, walk.rank, walk.dims, &walk.count));
  *out_walk = walk;
  return QN_OK;
}

qn_status qn_ref_broadcast_to(qn_ref *ref, const qn_ref_tensor *tensor, int32_t rank, const int64_t *dims,
                              qn_ref_walk *out_walk) {
  qn_ref_walk walk = { .rank = rank };
  QN_TRY(qn_ref_count(ref, rank, dims, &walk.count));
  for (int32_t d = 0; d < rank; d++) walk.dims[d] = dims[d];
  bool fits = tensor->rank <= rank;
  for (int32_t i = 1; fits && i <= tensor->rank; i++)
    fits = tensor->dims[tensor->rank - i] == 1 || tensor->dims[tensor->rank - i] == dims[rank - i];
  if (!fits) return qn_ref_fail(ref, QN_INVALID, "an operand does not broadcast to the shape it is used in");
  set_strides(tensor, rank, walk.strides[0]);
  *out_walk = walk;
  return QN_OK;
}
