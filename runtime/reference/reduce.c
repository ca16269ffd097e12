// Reductions over axes and the running sum.
#include "runtime/reference/reference_priv.h"

#include <math.h>

// The result's shape, and the walk of x whose offset 0 is the result's element.
static qn_status plan(qn_ref *ref, const qn_ref_tensor *x, const bool chosen[QN_RANK_MAX],
                      qn_ref_walk *out_walk, int32_t *out_rank, int64_t out_dims[QN_RANK_MAX],
                      uint64_t *out_reduced) {
  bool keep = qn_node_get_int(ref->graph, ref->node, "keepdims") != 0;
  qn_ref_walk walk = { .rank = x->rank, .count = x->count };
  int64_t stride = 1;
  int32_t rank = 0;
  *out_reduced = 1;
  for (int32_t d = x->rank - 1; d >= 0; d--) {
    walk.dims[d] = x->dims[d];
    if (chosen[d]) {
      *out_reduced *= (uint64_t)x->dims[d];
      continue;
    }
    walk.strides[0][d] = stride;
    stride *= x->dims[d];
  }
  for (int32_t d = 0; d < x->rank; d++)
    if (!chosen[d] || keep) out_dims[rank++] = chosen[d] ? 1 : x->dims[d];
  *out_rank = rank;
  *out_walk = walk;
  return QN_OK;
}

// Elements are taken in row-major order; f32 sums are rounded after each addition.
static qn_status reduce_floats(qn_ref *ref, qn_op op, const qn_ref_tensor *x, qn_ref_walk walk, int32_t rank,
                               const int64_t *dims, uint64_t reduced) {
  const double *from;
  uint64_t count;
  QN_TRY(qn_ref_load(ref, x, &from));
  QN_TRY(qn_ref_count(ref, rank, dims, &count));
  double *to = qn_ref_doubles(ref, count);
  if (!to) return QN_MEMORY;
  bool extreme = op == QN_OP_reduce_max || op == QN_OP_reduce_min;
  for (uint64_t i = 0; extreme && i < count; i++)
    to[i] = op == QN_OP_reduce_max ? -(double)INFINITY : (double)INFINITY;
  for (uint64_t i = 0; i < x->count; i++, qn_ref_walk_next(&walk)) {
    double *into = &to[walk.offset[0]], value = from[i];
    if (!extreme)
      *into = qn_ref_narrow(ref->wide, *into + value);
    else if (isnan(value) || (!isnan(*into) && (op == QN_OP_reduce_max ? value > *into : value < *into)))
      *into = value;
  }
  for (uint64_t i = 0; op == QN_OP_reduce_mean && i < count; i++) to[i] /= (double)reduced;
  return qn_ref_store(ref, 0, x->dtype, rank, dims, to);
}

static qn_status reduce_ints(qn_ref *ref, qn_op op, const qn_ref_tensor *x, qn_ref_walk walk, int32_t rank,
                             const int64_t *dims, uint64_t reduced) {
  const int64_t *from;
  uint64_t count;
  int64_t least, greatest;
  QN_TRY(qn_ref_load_ints(ref, x, &from));
  QN_TRY(qn_ref_count(ref, rank, dims, &count));
  int64_t *to = qn_ref_ints(ref, count);
  if (!to) return QN_MEMORY;
  if (x->dtype == QN_U64) return qn_ref_fail(ref, QN_UNSUPPORTED, "elements of type u64");
  qn_element_get_range(x->dtype, &least, &greatest);
  for (uint64_t i = 0; i < count; i++)
    to[i] = op == QN_OP_reduce_max ? least : op == QN_OP_reduce_min ? greatest : 0;
  for (uint64_t i = 0; i < x->count; i++, qn_ref_walk_next(&walk)) {
    int64_t *into = &to[walk.offset[0]];
    if (op == QN_OP_reduce_max)
      *into = QN_MAX(*into, from[i]);
    else if (op == QN_OP_reduce_min)
      *into = QN_MIN(*into, from[i]);
    else
      *into = (int64_t)((uint64_t)*into + (uint64_t)from[i]);
  }
  if (op == QN_OP_reduce_mean && reduced == 0 && count > 0)
    return qn_ref_fail(ref, QN_INVALID, "the mean of no integers");
  for (uint64_t i = 0; op == QN_OP_reduce_mean && i < count; i++) to[i] /= (int64_t)reduced;
  return qn_ref_store_ints(ref, 0, x->dtype, rank, dims, to);
}

qn_status qn_ref_reduce(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0);
  qn_op op = qn_node_get_op(ref->graph, ref->node);
  bool chosen[QN_RANK_MAX];
  int64_t dims[QN_RANK_MAX];
  int32_t rank;
  uint32_t listed;
  uint64_t reduced;
  qn_ref_walk walk;
  QN_TRY(qn_ref_load_axes(ref, 1, x->rank, chosen, &listed));
  if (listed == 0 && qn_node_get_int(ref->graph, ref->node, "noop_if_empty") != 0)
    return qn_ref_share(ref, 0, x, x->rank, x->dims);
  QN_TRY(plan(ref, x, chosen, &walk, &rank, dims, &reduced));
  if (qn_dtype_is_float(x->dtype)) return reduce_floats(ref, op, x, walk, rank, dims, reduced);
  return reduce_ints(ref, op, x, walk, rank, dims, reduced);
}

qn_status qn_ref_cumsum(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0);
  bool exclusive = qn_node_get_int(ref->graph, ref->node, "exclusive") != 0;
  bool reverse = qn_node_get_int(ref->graph, ref->node, "reverse") != 0;
  bool floats = qn_dtype_is_float(x->dtype);
  const double *from = NULL;
  const int64_t *int_from = NULL;
  int64_t wanted;
  int32_t axis;
  uint64_t inner = 1;
  QN_TRY(qn_ref_load_int(ref, qn_ref_operand(ref, 1), &wanted));
  QN_TRY(qn_ref_axis(ref, wanted, x->rank, &axis));
  for (int32_t d = axis + 1; d < x->rank; d++) inner *= (uint64_t)x->dims[d];
  uint64_t length = (uint64_t)x->dims[axis];
  if (floats)
    QN_TRY(qn_ref_load(ref, x, &from));
  else
    QN_TRY(qn_ref_load_ints(ref, x, &int_from));
  double *to = qn_ref_doubles(ref, floats ? x->count : 0);
  int64_t *int_to = qn_ref_ints(ref, floats ? 0 : x->count);
  if (!to || !int_to) return QN_MEMORY;
  for (uint64_t row = 0; length > 0 && row < x->count / length; row++) {
    uint64_t base = row / inner * inner * length + row % inner;
    double sum = 0;
    uint64_t int_sum = 0;
    for (uint64_t k = 0; k < length; k++) {
      uint64_t at = base + (reverse ? length - 1 - k : k) * inner;
      if (floats) {
        double after = qn_ref_narrow(ref->wide, sum + from[at]);
        to[at] = exclusive ? sum : after;
        sum = after;
      } else {
        uint64_t after = int_sum + (uint64_t)int_from[at];
        int_to[at] = (int64_t)(exclusive ? int_sum : after);
        int_sum = after;
      }
    }
  }
  if (floats) return qn_ref_store(ref, 0, x->dtype, x->rank, x->dims, to);
  return qn_ref_store_ints(ref, 0, x->dtype, x->rank, x->dims, int_to);
}
