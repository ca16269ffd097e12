// Picking and placing by index, and the tensors made from shapes and counts.
#include "runtime/reference/reference_priv.h"

#include <math.h>

// 0 <= index < dim from -dim <= index < dim.
static qn_status wrap_index(qn_ref *ref, int64_t index, int64_t dim, int64_t *out_index) {
  if (index < -dim || index >= dim)
    return qn_ref_fail(ref, QN_INVALID, "index %lld of an axis with %lld elements", (long long)index,
                       (long long)dim);
  *out_index = index < 0 ? index + dim : index;
  return QN_OK;
}

static qn_status load_indices(qn_ref *ref, const qn_ref_tensor *indices, const int64_t **out_indices) {
  if (!qn_dtype_is_integer(indices->dtype))
    return qn_ref_fail(ref, QN_INVALID, "indices of type %s", qn_dtype_name(indices->dtype));
  return qn_ref_load_ints(ref, indices, out_indices);
}

qn_status qn_ref_gather(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0), *indices = qn_ref_operand(ref, 1);
  int64_t dims[2 * QN_RANK_MAX];
  const int64_t *list;
  int32_t axis, rank = 0;
  uint64_t outer = 1, part = qn_element_size(x->dtype);
  uint8_t *to;
  QN_TRY(qn_ref_axis(ref, qn_node_get_int(ref->graph, ref->node, "axis"), x->rank, &axis));
  QN_TRY(load_indices(ref, indices, &list));
  for (int32_t d = 0; d < axis; d++) outer *= (uint64_t)(dims[rank++] = x->dims[d]);
  for (int32_t d = 0; d < indices->rank; d++) dims[rank++] = indices->dims[d];
  for (int32_t d = axis + 1; d < x->rank; d++) part *= (uint64_t)(dims[rank++] = x->dims[d]);
  QN_TRY(qn_ref_new(ref, 0, x->dtype, rank, dims, &to));
  for (uint64_t o = 0; part > 0 && o < outer; o++)
    for (uint64_t i = 0; i < indices->count; i++) {
      int64_t at = 0;
      QN_TRY(wrap_index(ref, list[i], x->dims[axis], &at));
      memcpy(to + (o * indices->count + i) * part,
             x->data + (o * (uint64_t)x->dims[axis] + (uint64_t)at) * part, (size_t)part);
    }
  return QN_OK;
}

qn_status qn_ref_gather_elements(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0), *indices = qn_ref_operand(ref, 1);
  const int64_t *list;
  int32_t axis;
  int64_t index[QN_RANK_MAX] = { 0 };
  uint32_t size = qn_element_size(x->dtype);
  uint8_t *to;
  QN_TRY(qn_ref_axis(ref, qn_node_get_int(ref->graph, ref->node, "axis"), x->rank, &axis));
  QN_TRY(load_indices(ref, indices, &list));
  bool fits = indices->rank == x->rank;
  for (int32_t d = 0; fits && d < x->rank; d++) fits = d == axis || indices->dims[d] <= x->dims[d];
  if (!fits) return qn_ref_fail(ref, QN_INVALID, "the indices' shape does not lie within the operand's");
  QN_TRY(qn_ref_new(ref, 0, x->dtype, indices->rank, indices->dims, &to));
  for (uint64_t i = 0; i < indices->count; i++) {
    int64_t at = 0, offset = 0;
    QN_TRY(wrap_index(ref, list[i], x->dims[axis], &at));
    for (int32_t d = 0; d < x->rank; d++) offset = offset * x->dims[d] + (d == axis ? at : index[d]);
    memcpy(to + i * size, x->data + (uint64_t)offset * size, size);
    for (int32_t d = x->rank - 1; d >= 0 && ++index[d] == indices->dims[d]; d--) index[d] = 0;
  }
  return QN_OK;
}

// The slice of x that an index tuple names, counted in slices; `first` is the axis of the tuple's first index.
static qn_status find_slice(qn_ref *ref, const qn_ref_tensor *x, int32_t first, const int64_t *tuple,
                            int64_t width, uint64_t *out_slice) {
  uint64_t slice = 0;
  for (int64_t k = 0; k < width; k++) {
    int64_t at = 0, dim = x->dims[first + k];
    QN_TRY(wrap_index(ref, tuple[k], dim, &at));
    slice = slice * (uint64_t)dim + (uint64_t)at;
  }
  *out_slice = slice;
  return QN_OK;
}

// What gather_nd and scatter_nd share: the tuples' width and the bytes of a slice.
static qn_status plan_nd(qn_ref *ref, const qn_ref_tensor *x, const qn_ref_tensor *indices, int32_t batch,
                         int64_t *out_width, uint64_t *out_part) {
  if (indices->rank == 0 || indices->dims[indices->rank - 1] > x->rank - batch)
    return qn_ref_fail(ref, QN_INVALID, "index tuples that are longer than the operand's rank");
  *out_width = indices->dims[indices->rank - 1];
  *out_part = qn_element_size(x->dtype);
  for (int32_t d = batch + (int32_t)*out_width; d < x->rank; d++) *out_part *= (uint64_t)x->dims[d];
  return QN_OK;
}

qn_status qn_ref_gather_nd(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0), *indices = qn_ref_operand(ref, 1);
  int64_t batch = qn_node_get_int(ref->graph, ref->node, "batch_dims"), dims[2 * QN_RANK_MAX], width;
  const int64_t *list;
  uint64_t part, batches = 1, tuples = 1, slices = 1;
  int32_t rank = 0;
  uint8_t *to;
  bool fits = batch >= 0 && batch < indices->rank && batch <= x->rank;
  for (int64_t d = 0; fits && d < batch; d++) fits = x->dims[d] == indices->dims[d];
  if (!fits)
    return qn_ref_fail(ref, QN_INVALID, "the first %lld dims of operand and indices differ", (long long)batch);
  QN_TRY(plan_nd(ref, x, indices, (int32_t)batch, &width, &part));
  QN_TRY(load_indices(ref, indices, &list));
  for (int32_t d = 0; d < indices->rank - 1; d++) {
    dims[rank++] = indices->dims[d];
    *(d < batch ? &batches : &tuples) *= (uint64_t)indices->dims[d];
  }
  for (int64_t k = 0; k < width; k++) slices *= (uint64_t)x->dims[batch + k];
  for (int32_t d = (int32_t)(batch + width); d < x->rank; d++) dims[rank++] = x->dims[d];
  QN_TRY(qn_ref_new(ref, 0, x->dtype, rank, dims, &to));
  for (uint64_t i = 0; part > 0 && i < batches * tuples; i++) {
    uint64_t slice = 0;
    QN_TRY(find_slice(ref, x, (int32_t)batch, list + i * (uint64_t)width, width, &slice));
    memcpy(to + i * part, x->data + (i / tuples * slices + slice) * part, (size_t)part);
  }
  return QN_OK;
}

qn_status qn_ref_scatter_nd(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0), *indices = qn_ref_operand(ref, 1),
                      *updates = qn_ref_operand(ref, 2);
  const int64_t *list;
  int64_t width;
  uint64_t part, tuples = 1;
  uint8_t *to;
  QN_TRY(plan_nd(ref, x, indices, 0, &width, &part));
  QN_TRY(load_indices(ref, indices, &list));
  for (int32_t d = 0; d < indices->rank - 1; d++) tuples *= (uint64_t)indices->dims[d];
  if (updates->dtype != x->dtype || updates->count * qn_element_size(x->dtype) != tuples * part)
    return qn_ref_fail(ref, QN_INVALID, "%llu updates of type %s for %llu slices of %llu bytes",
                       (unsigned long long)updates->count, qn_dtype_name(updates->dtype),
                       (unsigned long long)tuples, (unsigned long long)part);
  QN_TRY(qn_ref_new(ref, 0, x->dtype, x->rank, x->dims, &to));
  if (x->count > 0) memcpy(to, x->data, (size_t)x->count * qn_element_size(x->dtype));
  for (uint64_t i = 0; part > 0 && i < tuples; i++) {
    uint64_t slice = 0;
    QN_TRY(find_slice(ref, x, 0, list + i * (uint64_t)width, width, &slice));
    memcpy(to + slice * part, updates->data + i * part, (size_t)part);
  }
  return QN_OK;
}

// --- from shapes and counts --------------------------------------------------------------------------------

qn_status qn_ref_shape(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0);
  int64_t start = qn_node_get_int(ref->graph, ref->node, "start"),
          end = qn_node_get_int(ref->graph, ref->node, "end");
  int64_t rank = x->rank;
  start = start < 0 ? QN_MAX(0, start + rank) : QN_MIN(start, rank);
  end = end < 0 ? QN_MAX(0, end + rank) : QN_MIN(end, rank);
  int64_t count = QN_MAX(0, end - start);
  return qn_ref_store_ints(ref, 0, QN_S64, 1, &count, x->dims + (count > 0 ? start : 0));
}

qn_status qn_ref_size(qn_ref *ref) {
  return qn_ref_store_ints(ref, 0, QN_S64, 0, NULL, &(int64_t){ (int64_t)qn_ref_operand(ref, 0)->count });
}

qn_status qn_ref_range(qn_ref *ref) {
  const qn_ref_tensor *operands[3];
  qn_dtype dtype = qn_ref_operand(ref, 0)->dtype;
  int64_t dim;
  for (uint32_t k = 0; k < 3; k++) {
    operands[k] = qn_ref_operand(ref, k);
    if (operands[k]->dtype != dtype) return qn_ref_fail(ref, QN_INVALID, "operands of different types");
  }
  if (qn_dtype_is_float(dtype)) {
    double start, limit, delta;
    QN_TRY(qn_ref_load_scalar(ref, operands[0], &start));
    QN_TRY(qn_ref_load_scalar(ref, operands[1], &limit));
    QN_TRY(qn_ref_load_scalar(ref, operands[2], &delta));
    double steps = ceil((limit - start) / delta);
    if (!isfinite(steps))
      return qn_ref_fail(ref, QN_INVALID, "a range from %g to %g by %g", start, limit, delta);
    if (steps > (double)QN_REF_ELEMENTS_MAX) return qn_ref_fail(ref, QN_LIMIT, "a range of %g elements", steps);
    dim = steps > 0 ? (int64_t)steps : 0;
    double *to = qn_ref_doubles(ref, (uint64_t)dim);
    if (!to) return QN_MEMORY;
    for (int64_t i = 0; i < dim; i++) to[i] = start + qn_ref_narrow(ref->wide, (double)i * delta);
    return qn_ref_store(ref, 0, dtype, 1, &dim, to);
  }
  int64_t start, limit, delta;
  QN_TRY(qn_ref_load_int(ref, operands[0], &start));
  QN_TRY(qn_ref_load_int(ref, operands[1], &limit));
  QN_TRY(qn_ref_load_int(ref, operands[2], &delta));
  if (delta == 0) return qn_ref_fail(ref, QN_INVALID, "a range with step 0");
  bool empty = delta > 0 ? limit <= start : limit >= start;
  uint64_t distance = delta > 0 ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
  uint64_t stride = delta > 0 ? (uint64_t)delta : -(uint64_t)delta;
  uint64_t steps = empty ? 0 : (distance - 1) / stride + 1;
  if (steps > QN_REF_ELEMENTS_MAX)
    return qn_ref_fail(ref, QN_LIMIT, "a range of %llu elements", (unsigned long long)steps);
  dim = (int64_t)steps;
  int64_t *to = qn_ref_ints(ref, steps);
  if (!to) return QN_MEMORY;
  for (uint64_t i = 0; i < steps; i++) to[i] = (int64_t)((uint64_t)start + i * (uint64_t)delta);
  return qn_ref_store_ints(ref, 0, dtype, 1, &dim, to);
}

qn_status qn_ref_fill(qn_ref *ref) {
  const qn_tensor *value = qn_node_get_tensor(ref->graph, ref->node, "value");
  qn_dtype dtype = value ? value->dtype : QN_F32;
  int64_t dims[QN_RANK_MAX];
  uint32_t rank;
  uint8_t unpacked[8] = { 0 };
  uint8_t *to;
  QN_TRY(qn_ref_load_list(ref, qn_ref_operand(ref, 0), dims, &rank));
  if (value) {
    uint64_t count;
    QN_TRY(qn_ref_count(ref, value->rank, value->dims, &count));
    if (count != 1 || !value->data) return qn_ref_fail(ref, QN_INVALID, "the value is not one element");
    if (qn_element_size(dtype) == 0)
      return qn_ref_fail(ref, QN_UNSUPPORTED, "elements of type %s", qn_dtype_name(dtype));
    qn_elements_unpack(dtype, value->data, 1, unpacked);
  }
  qn_dtype held = qn_ref_held(ref, dtype);
  if (held != dtype) {
    double number;
    qn_elements_load(dtype, unpacked, 1, &number);
    qn_elements_store(held, &number, 1, true, unpacked);
  }
  QN_TRY(qn_ref_new(ref, 0, held, (int32_t)rank, dims, &to));
  uint32_t size = qn_element_size(held);
  for (uint64_t i = 0; i < ref->results[0].count; i++) memcpy(to + i * size, unpacked, size);
  return QN_OK;
}

qn_status qn_ref_trilu(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0);
  bool upper = qn_node_get_int(ref->graph, ref->node, "upper") != 0;
  uint32_t size = qn_element_size(x->dtype);
  int64_t k = 0;
  uint8_t *to;
  if (x->rank < 2) return qn_ref_fail(ref, QN_INVALID, "a tensor of rank %d", (int)x->rank);
  if (qn_ref_operand(ref, 1)) QN_TRY(qn_ref_load_int(ref, qn_ref_operand(ref, 1), &k));
  QN_TRY(qn_ref_new(ref, 0, x->dtype, x->rank, x->dims, &to));
  uint64_t rows = (uint64_t)x->dims[x->rank - 2], columns = (uint64_t)x->dims[x->rank - 1];
  k = QN_MAX(-(int64_t)rows, QN_MIN((int64_t)columns, k)); // beyond it nothing changes, and nothing overflows
  for (uint64_t i = 0; i < x->count; i++) {
    int64_t column = (int64_t)(i % columns), diagonal = (int64_t)(i / columns % rows) + k;
    if (upper ? column >= diagonal : column <= diagonal) memcpy(to + i * size, x->data + i * size, size);
  }
  return QN_OK;
}
