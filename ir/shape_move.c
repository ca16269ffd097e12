// Shape rules of operations that join, cut, pick and repeat.
#include "ir/shape_priv.h"

static qn_status unknown_rank(qn_shape *shape, qn_dtype dtype) {
  return qn_shape_result(shape, 0, dtype, QN_RANK_UNKNOWN, NULL);
}

static qn_status axis_attribute(qn_shape *shape, int32_t rank, int32_t *out_axis) {
  return qn_shape_axis(shape, qn_node_get_int(shape->graph, shape->node, "axis"), rank, out_axis);
}

// --- joining and cutting ---------------------------------------------------------------------------------

qn_status qn_shape_concat(qn_shape *shape) {
  qn_graph *graph = shape->graph;
  uint32_t count = qn_node_get_operand_count(graph, shape->node);
  qn_dim dims[QN_RANK_MAX];
  qn_dtype dtype = QN_ANY;
  int32_t rank = QN_RANK_UNKNOWN, axis = 0;
  bool all_known = count > 0;
  for (uint32_t i = 0; i < count; i++) {
    qn_type_info x = qn_shape_operand(shape, i);
    if (dtype != QN_ANY && x.dtype != QN_ANY && x.dtype != dtype)
      return qn_shape_fail(shape, "operand %u has element type %s, the ones before it %s", i,
                           qn_dtype_name(x.dtype), qn_dtype_name(dtype));
    if (dtype == QN_ANY) dtype = x.dtype;
    if (x.rank < 0) {
      all_known = false;
      continue;
    }
    if (rank < 0) {
      rank = x.rank;
      QN_TRY(axis_attribute(shape, rank, &axis));
      memcpy(dims, x.dims, (size_t)rank * sizeof *dims);
      continue;
    }
    if (x.rank != rank)
      return qn_shape_fail(shape, "operand %u has rank %d, the ones before it %d", i, (int)x.rank, (int)rank);
    for (int32_t k = 0; k < rank; k++) {
      if (k == axis) {
        dims[k] = qn_shape_add(graph, dims[k], x.dims[k]);
      } else if (qn_shape_differ(graph, dims[k], x.dims[k])) {
        return qn_shape_fail(shape, "operand %u differs from the ones before it in dim %d", i, (int)k);
      } else {
        dims[k] = qn_shape_same(graph, dims[k], x.dims[k]);
      }
    }
  }
  if (rank < 0) return unknown_rank(shape, dtype);
  if (!all_known) dims[axis] = QN_DIM_NONE;
  return qn_shape_result(shape, 0, dtype, rank, dims);
}

// The extent of result i of a cut without sizes: equal parts, the last one smaller.
static qn_dim equal_part(qn_graph *graph, qn_dim whole, uint32_t parts, uint32_t i) {
  int64_t length;
  qn_dim exact = qn_shape_divide(graph, whole, parts);
  if (exact != QN_DIM_NONE || !qn_shape_is_const(graph, whole, &length)) return exact;
  int64_t each = length / parts + (length % parts != 0), begin = QN_MIN(each * i, length);
  return qn_dim_const(graph, QN_MIN(each, length - begin));
}

qn_status qn_shape_split(qn_shape *shape) {
  qn_graph *graph = shape->graph;
  qn_type_info x = qn_shape_operand(shape, 0);
  uint32_t parts = qn_node_get_result_count(graph, shape->node), count = 0;
  qn_value operand = qn_node_get_operand(graph, shape->node, 1);
  qn_dim sizes[QN_SHAPE_VALUES_MAX], dims[QN_RANK_MAX], total = 0;
  int32_t axis = 0;
  bool known = operand && qn_shape_get_int_values(graph, operand, sizes, &count);
  if (known && count != parts) return qn_shape_fail(shape, "%u results and %u sizes", parts, count);
  if (x.rank >= 0) {
    QN_TRY(axis_attribute(shape, x.rank, &axis));
    memcpy(dims, x.dims, (size_t)x.rank * sizeof *dims);
  }
  for (uint32_t i = 0; known && i < parts; i++) total = qn_shape_add(graph, total, sizes[i]);
  if (known && x.rank >= 0 && qn_shape_differ(graph, total, x.dims[axis]))
    return qn_shape_fail_pair(shape, "the sizes do not add up to dim %d", (int)axis);
  for (uint32_t i = 0; i < parts; i++) {
    if (x.rank >= 0)
      dims[axis] = known ? sizes[i] : operand ? QN_DIM_NONE : equal_part(graph, x.dims[axis], parts, i);
    QN_TRY(qn_shape_result(shape, i, x.dtype, x.rank, dims));
  }
  return QN_OK;
}

int64_t qn_slice_length(int64_t length, int64_t *start, int64_t end, int64_t step) {
  if (step == 0) return -1;
  int64_t highest = step > 0 ? length : length - 1;
  if (*start < 0) *start += length;
  if (end < 0) end += length;
  *start = QN_MIN(QN_MAX(*start, 0), highest);
  end = QN_MIN(QN_MAX(end, step > 0 ? 0 : -1), highest);
  int64_t span = step > 0 ? end - *start : *start - end;
  uint64_t by = step > 0 ? (uint64_t)step : 0 - (uint64_t)step;
  return span <= 0 ? 0 : (int64_t)(((uint64_t)span - 1) / by) + 1;
}

static bool never_negative(const qn_graph *graph, qn_dim dim) {
  return dim != QN_DIM_NONE && qn_dim_never_negative(graph, dim);
}

// A bound of a symbolic dim counted from its start. Exporters say "to the end" with INT32_MAX and with
// INT64_MAX.
static qn_dim from_start(qn_graph *graph, qn_dim bound, qn_dim dim) {
  int64_t value;
  if (!qn_shape_is_const(graph, bound, &value)) return bound;
  return value < 0 ? qn_shape_add(graph, dim, bound) : value >= INT32_MAX ? dim : bound;
}

// The extent of start..end of a dim, in steps; NONE where a bound may be clamped.
static qn_dim slice_dim(qn_graph *graph, qn_dim dim, qn_dim start, qn_dim end, qn_dim step) {
  int64_t length, first, last, by;
  if (!qn_shape_is_const(graph, step, &by) || start == QN_DIM_NONE || end == QN_DIM_NONE) return QN_DIM_NONE;
  bool const_bounds = qn_shape_is_const(graph, start, &first) && qn_shape_is_const(graph, end, &last);
  if (const_bounds && qn_shape_is_const(graph, dim, &length))
    return qn_dim_const(graph, qn_slice_length(length, &first, last, by));
  if (by < 0) {
    bool reverses = by == -1 && const_bounds && first == -1 && last <= -INT32_MAX;
    return reverses ? dim : QN_DIM_NONE;
  }
  start = from_start(graph, start, dim);
  end = from_start(graph, end, dim);
  qn_dim span = qn_shape_sub(graph, end, start);
  bool inside = never_negative(graph, start) && never_negative(graph, span) &&
                never_negative(graph, qn_shape_sub(graph, dim, end));
  return inside ? qn_dim_ceil_div(graph, span, step) : QN_DIM_NONE;
}

qn_status qn_shape_slice(qn_shape *shape) {
  qn_graph *graph = shape->graph;
  qn_type_info x = qn_shape_operand(shape, 0);
  if (x.rank < 0) return unknown_rank(shape, x.dtype);
  enum { START, END, STEP, LISTS };
  static const uint32_t operands[LISTS] = { 1, 2, 4 };
  qn_dim lists[LISTS][QN_SHAPE_VALUES_MAX], dims[QN_RANK_MAX];
  uint32_t counts[LISTS], count = UINT32_MAX;
  bool known[LISTS];
  int64_t axes[QN_SHAPE_VALUES_MAX];
  qn_value axes_operand = qn_node_get_operand(graph, shape->node, 3);
  for (uint32_t i = 0; i < LISTS; i++) {
    qn_value operand = qn_node_get_operand(graph, shape->node, operands[i]);
    known[i] = qn_shape_get_int_values(graph, operand, lists[i], &counts[i]);
    if (known[i]) count = counts[i];
  }
  bool axes_known =
      axes_operand ? qn_shape_get_int_consts(graph, axes_operand, axes, &count) : count != UINT32_MAX;
  for (int32_t i = 0; i < x.rank; i++)
    dims[i] = axes_known ? x.dims[i] : QN_DIM_NONE; // any dim may have been cut
  for (uint32_t i = 0; axes_known && i < LISTS; i++)
    if (known[i] && counts[i] != count)
      return qn_shape_fail(shape, "starts, ends, axes and steps differ in length");
  for (uint32_t i = 0; axes_known && i < count; i++) {
    int32_t axis;
    QN_TRY(qn_shape_axis(shape, axes_operand ? axes[i] : i, x.rank, &axis));
    qn_dim step = known[STEP] ? lists[STEP][i] : qn_node_get_operand(graph, shape->node, 4) ? QN_DIM_NONE : 1;
    if (step == 0) return qn_shape_fail(shape, "step %u is 0", i);
    dims[axis] = slice_dim(graph, dims[axis], known[START] ? lists[START][i] : QN_DIM_NONE,
                           known[END] ? lists[END][i] : QN_DIM_NONE, step);
  }
  return qn_shape_result(shape, 0, x.dtype, x.rank, dims);
}

// --- picking ---------------------------------------------------------------------------------------------

qn_status qn_shape_gather(qn_shape *shape) {
  qn_type_info x = qn_shape_operand(shape, 0), indices = qn_shape_operand(shape, 1);
  if (x.rank < 0 || indices.rank < 0) return unknown_rank(shape, x.dtype);
  int32_t axis, rank = x.rank - 1 + indices.rank;
  QN_TRY(axis_attribute(shape, x.rank, &axis));
  if (rank > QN_RANK_MAX)
    return qn_shape_fail(shape, "a result of rank %d; at most %d", (int)rank, QN_RANK_MAX);
  qn_dim dims[QN_RANK_MAX];
  for (int32_t i = 0; i < axis; i++) dims[i] = x.dims[i];
  for (int32_t i = 0; i < indices.rank; i++) dims[axis + i] = indices.dims[i];
  for (int32_t i = axis + 1; i < x.rank; i++) dims[i - 1 + indices.rank] = x.dims[i];
  return qn_shape_result(shape, 0, x.dtype, rank, dims);
}

qn_status qn_shape_gather_elements(qn_shape *shape) {
  qn_type_info x = qn_shape_operand(shape, 0), indices = qn_shape_operand(shape, 1);
  if (x.rank >= 0 && indices.rank >= 0 && x.rank != indices.rank)
    return qn_shape_fail_pair(shape, "the ranks differ");
  return qn_shape_result(shape, 0, x.dtype, indices.rank, indices.dims);
}

qn_status qn_shape_gather_nd(qn_shape *shape) {
  qn_type_info x = qn_shape_operand(shape, 0), indices = qn_shape_operand(shape, 1);
  int64_t batch = qn_node_get_int(shape->graph, shape->node, "batch_dims"), tuple;
  if (x.rank < 0 || indices.rank < 0) return unknown_rank(shape, x.dtype);
  if (indices.rank == 0) return qn_shape_fail_pair(shape, "indices need a rank of at least 1");
  if (!qn_dim_is_const(shape->graph, indices.dims[indices.rank - 1], &tuple))
    return unknown_rank(shape, x.dtype);
  if (batch < 0 || batch >= indices.rank || tuple < 0 || tuple > x.rank - batch)
    return qn_shape_fail_pair(shape, "index tuples of %lld after %lld batch dims", (long long)tuple,
                              (long long)batch);
  qn_dim dims[2 * QN_RANK_MAX];
  int32_t rank = 0;
  for (int32_t i = 0; i < indices.rank - 1; i++) dims[rank++] = indices.dims[i];
  for (int32_t i = (int32_t)(batch + tuple); i < x.rank; i++) dims[rank++] = x.dims[i];
  return qn_shape_result(shape, 0, x.dtype, rank, dims);
}

// --- repeating and padding -------------------------------------------------------------------------------

qn_status qn_shape_tile(qn_shape *shape) {
  qn_type_info x = qn_shape_operand(shape, 0);
  qn_dim repeats[QN_SHAPE_VALUES_MAX];
  uint32_t count;
  if (x.rank < 0) return unknown_rank(shape, x.dtype);
  bool known =
      qn_shape_get_int_values(shape->graph, qn_node_get_operand(shape->graph, shape->node, 1), repeats, &count);
  if (known && count != (uint32_t)x.rank)
    return qn_shape_fail_pair(shape, "%u repeats for rank %d", count, (int)x.rank);
  for (int32_t i = 0; i < x.rank; i++) {
    int64_t times;
    if (known && qn_shape_is_const(shape->graph, repeats[i], &times) && times < 0)
      return qn_shape_fail(shape, "dim %d is repeated %lld times", (int)i, (long long)times);
    repeats[i] = known ? qn_shape_mul(shape->graph, x.dims[i], repeats[i]) : QN_DIM_NONE;
  }
  return qn_shape_result(shape, 0, x.dtype, x.rank, repeats);
}

qn_status qn_shape_repeat(qn_shape *shape) {
  qn_type_info x = qn_shape_operand(shape, 0);
  int64_t count = qn_node_get_int(shape->graph, shape->node, "count");
  if (count < 0) return qn_shape_fail(shape, "count is %lld", (long long)count);
  if (x.rank < 0) return unknown_rank(shape, x.dtype);
  int32_t axis;
  QN_TRY(axis_attribute(shape, x.rank, &axis));
  qn_dim dims[QN_RANK_MAX];
  memcpy(dims, x.dims, (size_t)x.rank * sizeof *dims);
  dims[axis] = qn_dim_mul(shape->graph, dims[axis], qn_dim_const(shape->graph, count));
  return qn_shape_result(shape, 0, x.dtype, x.rank, dims);
}

qn_status qn_shape_pad(qn_shape *shape) {
  qn_graph *graph = shape->graph;
  qn_type_info x = qn_shape_operand(shape, 0);
  if (x.rank < 0) return unknown_rank(shape, x.dtype);
  qn_dim pads[QN_SHAPE_VALUES_MAX], dims[QN_RANK_MAX];
  int64_t axes[QN_SHAPE_VALUES_MAX];
  uint32_t pad_count, count = (uint32_t)x.rank;
  qn_value operand = qn_node_get_operand(graph, shape->node, 3);
  bool known = qn_shape_get_int_values(graph, qn_node_get_operand(graph, shape->node, 1), pads, &pad_count) &&
               (!operand || qn_shape_get_int_consts(graph, operand, axes, &count));
  for (int32_t i = 0; i < x.rank; i++) dims[i] = known ? x.dims[i] : QN_DIM_NONE;
  if (known && pad_count != 2 * count)
    return qn_shape_fail_pair(shape, "%u pads for %u axes", pad_count, count);
  for (uint32_t i = 0; known && i < count; i++) {
    int32_t axis;
    int64_t length;
    QN_TRY(qn_shape_axis(shape, operand ? axes[i] : i, x.rank, &axis));
    dims[axis] = qn_shape_add(graph, dims[axis], qn_shape_add(graph, pads[i], pads[count + i]));
    if (qn_shape_is_const(graph, dims[axis], &length) && length < 0)
      return qn_shape_fail_pair(shape, "dim %d becomes %lld", (int)axis, (long long)length);
  }
  return qn_shape_result(shape, 0, x.dtype, x.rank, dims);
}
