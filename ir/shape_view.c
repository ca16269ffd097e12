// Shape rules of operations that keep the elements and change the dims, and of those that make tensors from
// dims.
#include "ir/shape_priv.h"

// Nothing known but the element type.
static qn_status unknown_rank(qn_shape *shape, qn_dtype dtype) {
  return qn_shape_result(shape, 0, dtype, QN_RANK_UNKNOWN, NULL);
}

static bool shape_operand(const qn_shape *shape, uint32_t index, qn_dim values[QN_SHAPE_VALUES_MAX],
                          uint32_t *out_count) {
  return qn_shape_get_int_values(shape->graph, qn_node_get_operand(shape->graph, shape->node, index), values,
                                 out_count);
}

// --- reshape ---------------------------------------------------------------------------------------------

// What is left of the elements of `from` when the dims of `to` but the open one are divided out of them: the
// open dim. Dims that are the same on both sides cancel first, so that unknown ones do no harm.
static qn_dim open_dim(qn_graph *graph, qn_type_info from, const qn_dim *to, uint32_t count, uint32_t open) {
  qn_dim total = 1, rest = 1;
  uint32_t cancelled = 0;
  for (uint32_t i = 0; i < count; i++) {
    int32_t k = 0;
    if (i == open) continue;
    while (k < from.rank && (cancelled >> k & 1 || from.dims[k] != to[i])) k++;
    if (k < from.rank)
      cancelled |= 1u << k;
    else
      rest = qn_shape_mul(graph, rest, to[i]);
  }
  for (int32_t k = 0; k < from.rank; k++)
    if (!(cancelled >> k & 1)) total = qn_shape_mul(graph, total, from.dims[k]);
  return qn_shape_divide(graph, total, rest);
}

// The product of constant dims; false if one is not constant or the product overflows.
static bool const_product(const qn_graph *graph, const qn_dim *dims, uint32_t count, int64_t *out_product) {
  *out_product = 1;
  for (uint32_t i = 0; i < count; i++) {
    int64_t dim;
    if (!qn_shape_is_const(graph, dims[i], &dim) || __builtin_mul_overflow(*out_product, dim, out_product))
      return false;
  }
  return true;
}

static qn_status check_elements(qn_shape *shape, qn_type_info x, const qn_dim *dims, uint32_t count) {
  int64_t from, to;
  if (x.rank < 0 || !const_product(shape->graph, x.dims, (uint32_t)x.rank, &from)) return QN_OK;
  if (!const_product(shape->graph, dims, count, &to) || from == to) return QN_OK;
  return qn_shape_fail_pair(shape, "%lld elements cannot become %lld", (long long)from, (long long)to);
}

qn_status qn_shape_reshape(qn_shape *shape) {
  qn_graph *graph = shape->graph;
  qn_type_info x = qn_shape_operand(shape, 0);
  qn_dim dims[QN_SHAPE_VALUES_MAX];
  uint32_t count, open = UINT32_MAX, unknown = 0, minus_one = qn_dim_const(graph, -1);
  if (!shape_operand(shape, 1, dims, &count)) return unknown_rank(shape, x.dtype);
  if (count > QN_RANK_MAX)
    return qn_shape_fail(shape, "expected at most %d dims, found %u", QN_RANK_MAX, count);
  bool allow_zero = qn_node_get_int(graph, shape->node, "allowzero"), inferred = false;
  for (uint32_t i = 0; i < count; i++) {
    int64_t dim = 1;
    bool constant = qn_shape_is_const(graph, dims[i], &dim);
    if (constant && dim < -1)
      return qn_shape_fail_pair(shape, "expected a dim, 0 or -1, found %lld", (long long)dim);
    if (dims[i] == minus_one) {
      if (inferred) return qn_shape_fail_pair(shape, "-1 stands twice");
      inferred = true;
      open = i;
      unknown++;
    } else if (constant && dim == 0 && !allow_zero) {
      if (x.rank >= 0 && (uint32_t)x.rank <= i)
        return qn_shape_fail_pair(shape, "0 copies a dim that is not there");
      dims[i] = x.rank < 0 ? QN_DIM_NONE : x.dims[i];
      unknown += x.rank < 0;
    } else if (dims[i] == QN_DIM_NONE) {
      if (!inferred) open = i;
      unknown++;
    }
  }
  if (open != UINT32_MAX) {
    dims[open] = unknown == 1 && x.rank >= 0 ? open_dim(graph, x, dims, count, open) : QN_DIM_NONE;
    int64_t total, rest;
    bool constant = inferred && x.rank >= 0 && const_product(graph, x.dims, (uint32_t)x.rank, &total);
    if (dims[open] == QN_DIM_NONE && constant) {
      dims[open] = 1;
      if (const_product(graph, dims, count, &rest) && (rest ? total % rest != 0 : total != 0))
        return qn_shape_fail_pair(shape, "%lld elements cannot be split by %lld", (long long)total,
                                  (long long)rest);
      dims[open] = QN_DIM_NONE;
    }
  }
  QN_TRY(check_elements(shape, x, dims, count));
  return qn_shape_result(shape, 0, x.dtype, (int32_t)count, dims);
}

// --- the other views -------------------------------------------------------------------------------------

qn_status qn_shape_flatten(qn_shape *shape) {
  qn_type_info x = qn_shape_operand(shape, 0);
  qn_dim dims[2] = { QN_DIM_NONE, QN_DIM_NONE };
  if (x.rank < 0) return qn_shape_result(shape, 0, x.dtype, 2, dims);
  int64_t axis = qn_node_get_int(shape->graph, shape->node, "axis");
  if (axis < -x.rank || axis > x.rank)
    return qn_shape_fail(shape, "expected an axis in %d..%d, found %lld", (int)-x.rank, (int)x.rank,
                         (long long)axis);
  if (axis < 0) axis += x.rank;
  dims[0] = dims[1] = 1;
  for (int32_t i = 0; i < x.rank; i++) dims[i >= axis] = qn_dim_mul(shape->graph, dims[i >= axis], x.dims[i]);
  return qn_shape_result(shape, 0, x.dtype, 2, dims);
}

// Bytes lie in the last dim: of wider elements there are fewer.
qn_status qn_shape_bitcast(qn_shape *shape) {
  qn_type_info x = qn_shape_operand(shape, 0);
  qn_dtype to = (qn_dtype)qn_node_get_int(shape->graph, shape->node, "to");
  uint32_t from_bits = qn_dtype_bits(x.dtype), to_bits = qn_dtype_bits(to);
  qn_dim dims[QN_RANK_MAX], *last = &dims[x.rank - 1];
  if (to_bits == 0) return qn_shape_fail(shape, "has no element type that it becomes");
  if (x.rank < 0 || from_bits == 0) return unknown_rank(shape, to);
  if (x.rank == 0 && from_bits != to_bits)
    return qn_shape_fail(shape, "one %s cannot become %s", qn_dtype_name(x.dtype), qn_dtype_name(to));
  if (x.rank > 0) memcpy(dims, x.dims, (size_t)x.rank * sizeof *dims);
  if (from_bits > to_bits) *last = qn_shape_mul(shape->graph, *last, from_bits / to_bits);
  if (from_bits < to_bits) {
    int64_t count;
    uint32_t ratio = to_bits / from_bits;
    if (qn_shape_is_const(shape->graph, *last, &count) && count % ratio != 0)
      return qn_shape_fail(shape, "%lld elements of %s are no whole number of %s", (long long)count,
                           qn_dtype_name(x.dtype), qn_dtype_name(to));
    *last = qn_shape_divide(shape->graph, *last, ratio);
  }
  return qn_shape_result(shape, 0, to, x.rank, dims);
}

// The set of axes of an operand that holds constants, each once, of a tensor of `rank`.
static qn_status axes_operand(qn_shape *shape, uint32_t index, int32_t rank, bool *out_known,
                              uint32_t *out_set) {
  int64_t axes[QN_SHAPE_VALUES_MAX];
  uint32_t count;
  *out_set = 0;
  *out_known = qn_shape_get_int_consts(shape->graph, qn_node_get_operand(shape->graph, shape->node, index),
                                       axes, &count);
  for (uint32_t i = 0; *out_known && i < count; i++) {
    int32_t axis;
    QN_TRY(qn_shape_axis(shape, axes[i], rank, &axis));
    if (*out_set >> axis & 1) return qn_shape_fail(shape, "axis %d stands twice", (int)axis);
    *out_set |= 1u << axis;
  }
  return QN_OK;
}

qn_status qn_shape_squeeze(qn_shape *shape) {
  qn_type_info x = qn_shape_operand(shape, 0);
  if (x.rank < 0) return unknown_rank(shape, x.dtype);
  uint32_t dropped = 0;
  bool known = true;
  if (qn_node_get_operand(shape->graph, shape->node, 1)) {
    QN_TRY(axes_operand(shape, 1, x.rank, &known, &dropped));
  } else {
    for (int32_t i = 0; i < x.rank; i++) {
      int64_t dim;
      known = known && qn_dim_is_const(shape->graph, x.dims[i], &dim);
      dropped |= (uint32_t)(x.dims[i] == 1) << i;
    }
  }
  if (!known) return unknown_rank(shape, x.dtype);
  qn_dim dims[QN_RANK_MAX];
  int32_t rank = 0;
  for (int32_t i = 0; i < x.rank; i++) {
    if (!(dropped >> i & 1))
      dims[rank++] = x.dims[i];
    else if (qn_shape_differ(shape->graph, x.dims[i], 1))
      return qn_shape_fail_pair(shape, "dim %d is not 1", (int)i);
  }
  return qn_shape_result(shape, 0, x.dtype, rank, dims);
}

qn_status qn_shape_unsqueeze(qn_shape *shape) {
  qn_type_info x = qn_shape_operand(shape, 0);
  qn_dim axes[QN_SHAPE_VALUES_MAX], dims[QN_RANK_MAX];
  uint32_t count, inserted;
  if (x.rank < 0 ||
      !qn_shape_get_int_values(shape->graph, qn_node_get_operand(shape->graph, shape->node, 1), axes, &count))
    return unknown_rank(shape, x.dtype);
  int32_t rank = x.rank + (int32_t)count;
  if (rank > QN_RANK_MAX)
    return qn_shape_fail(shape, "a result of rank %d; at most %d", (int)rank, QN_RANK_MAX);
  bool known;
  QN_TRY(axes_operand(shape, 1, rank, &known, &inserted));
  for (int32_t i = 0, k = 0; i < rank; i++)
    dims[i] = !known ? QN_DIM_NONE : inserted >> i & 1 ? 1 : x.dims[k++];
  return qn_shape_result(shape, 0, x.dtype, rank, dims);
}

qn_status qn_shape_transpose(qn_shape *shape) {
  qn_type_info x = qn_shape_operand(shape, 0);
  const int64_t *perm;
  uint32_t count = qn_node_get_ints(shape->graph, shape->node, "perm", &perm), seen = 0;
  qn_dim dims[QN_RANK_MAX];
  if (count > QN_RANK_MAX) return qn_shape_fail(shape, "perm has %u elements; at most %d", count, QN_RANK_MAX);
  for (uint32_t i = 0; i < count; i++) {
    if (perm[i] < 0 || perm[i] >= count || (seen >> perm[i] & 1))
      return qn_shape_fail(shape, "perm is not a permutation of 0..%u", count - 1);
    seen |= 1u << perm[i];
  }
  if (x.rank < 0 && count == 0) return unknown_rank(shape, x.dtype);
  if (count && x.rank >= 0 && (uint32_t)x.rank != count)
    return qn_shape_fail(shape, "perm has %u elements, the operand has rank %d", count, (int)x.rank);
  int32_t rank = count ? (int32_t)count : x.rank;
  for (int32_t i = 0; i < rank; i++)
    dims[i] = x.rank < 0 ? QN_DIM_NONE : x.dims[count ? perm[i] : rank - 1 - i];
  return qn_shape_result(shape, 0, x.dtype, rank, dims);
}

// --- making tensors --------------------------------------------------------------------------------------

// A dim as a tensor may have it: constants are not negative.
static qn_status check_dims(qn_shape *shape, const qn_dim *dims, uint32_t count) {
  int64_t dim;
  if (count > QN_RANK_MAX)
    return qn_shape_fail(shape, "expected at most %d dims, found %u", QN_RANK_MAX, count);
  for (uint32_t i = 0; i < count; i++)
    if (qn_shape_is_const(shape->graph, dims[i], &dim) && dim < 0)
      return qn_shape_fail(shape, "expected dims that are not negative, found %lld", (long long)dim);
  return QN_OK;
}

qn_status qn_shape_expand(qn_shape *shape) {
  qn_graph *graph = shape->graph;
  qn_type_info x = qn_shape_operand(shape, 0);
  qn_dim dims[QN_SHAPE_VALUES_MAX];
  uint32_t count;
  if (x.rank < 0 || !shape_operand(shape, 1, dims, &count)) return unknown_rank(shape, x.dtype);
  QN_TRY(check_dims(shape, dims, count));
  int32_t rank = (int32_t)count;
  if (!qn_shape_broadcast_into(graph, dims, &rank, x))
    return qn_shape_fail_pair(shape, "the dims do not broadcast");
  return qn_shape_result(shape, 0, x.dtype, rank, dims);
}

qn_status qn_shape_fill(qn_shape *shape) {
  const qn_tensor *value = qn_node_get_tensor(shape->graph, shape->node, "value");
  qn_dtype dtype = value ? value->dtype : QN_F32;
  qn_dim dims[QN_SHAPE_VALUES_MAX];
  uint32_t count;
  if (!shape_operand(shape, 0, dims, &count)) return unknown_rank(shape, dtype);
  QN_TRY(check_dims(shape, dims, count));
  return qn_shape_result(shape, 0, dtype, (int32_t)count, dims);
}

qn_status qn_shape_shape(qn_shape *shape) {
  qn_type_info x = qn_shape_operand(shape, 0);
  int64_t start = qn_node_get_int(shape->graph, shape->node, "start"),
          end = qn_node_get_int(shape->graph, shape->node, "end");
  qn_dim count = QN_DIM_NONE;
  if (x.rank >= 0) count = (qn_dim)qn_slice_length(x.rank, &start, end, 1);
  return qn_shape_result(shape, 0, QN_S64, 1, &count);
}

qn_status qn_shape_size(qn_shape *shape) {
  return qn_shape_result(shape, 0, QN_S64, 0, NULL);
}

static qn_dim one_value(qn_shape *shape, uint32_t index) {
  qn_dim values[QN_SHAPE_VALUES_MAX];
  uint32_t count;
  qn_value value = qn_node_get_operand(shape->graph, shape->node, index);
  return qn_shape_get_int_values(shape->graph, value, values, &count) && count == 1 ? values[0] : QN_DIM_NONE;
}

// ceil((limit - start) / delta), and 0 where that is negative.
qn_status qn_shape_range(qn_shape *shape) {
  qn_graph *graph = shape->graph;
  qn_dim delta = one_value(shape, 2), span = qn_shape_sub(graph, one_value(shape, 1), one_value(shape, 0));
  qn_dim count = QN_DIM_NONE;
  int64_t step, length;
  if (span != QN_DIM_NONE && qn_shape_is_const(graph, delta, &step)) {
    if (step == 0) return qn_shape_fail(shape, "delta is 0");
    if (qn_dim_is_const(graph, span, &length)) {
      bool some = (length > 0) == (step > 0) && length != 0 && step != INT64_MIN && length != INT64_MIN;
      uint64_t size = (uint64_t)(length < 0 ? -length : length), by = (uint64_t)(step < 0 ? -step : step);
      count = some ? qn_dim_const(graph, (int64_t)(size / by + (size % by != 0))) : 0;
    } else if (step > 0 && qn_dim_never_negative(graph, span)) {
      count = qn_dim_ceil_div(graph, span, delta);
    }
  }
  return qn_shape_result(shape, 0, qn_shape_operand(shape, 0).dtype, 1, &count);
}
