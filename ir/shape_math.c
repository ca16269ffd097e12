// Shape rules of elementwise operations, reductions, normalizations and quantization.
#include "ir/shape_priv.h"

// --- elementwise -----------------------------------------------------------------------------------------

// The broadcast dims of operands first..last. Rank unknown if any of theirs is.
static qn_status broadcast_operands(qn_shape *shape, uint32_t first, uint32_t last, int32_t *out_rank,
                                    qn_dim dims[QN_RANK_MAX]) {
  *out_rank = 0;
  for (uint32_t i = first; i <= last; i++) {
    qn_type_info info = qn_shape_operand(shape, i);
    if (info.rank < 0 || *out_rank < 0)
      *out_rank = QN_RANK_UNKNOWN;
    else if (!qn_shape_broadcast_into(shape->graph, dims, out_rank, info))
      return first == 0 && last == 1 ? qn_shape_fail_pair(shape, "the dims do not broadcast")
                                     : qn_shape_fail(shape, "the dims of the operands do not broadcast");
  }
  return QN_OK;
}

static qn_status broadcast_pair(qn_shape *shape, bool to_bool) {
  qn_graph *graph = shape->graph;
  qn_value x = qn_node_get_operand(graph, shape->node, 0), y = qn_node_get_operand(graph, shape->node, 1);
  if (!to_bool && x && y && graph->values.at[x].type == graph->values.at[y].type)
    return qn_shape_result_like(shape, 0, 0);
  qn_type_info a = qn_shape_operand(shape, 0), b = qn_shape_operand(shape, 1);
  if (a.dtype != b.dtype && a.dtype != QN_ANY && b.dtype != QN_ANY)
    return qn_shape_fail_pair(shape, "the element types differ");
  int32_t rank;
  qn_dim dims[QN_RANK_MAX];
  QN_TRY(broadcast_operands(shape, 0, 1, &rank, dims));
  qn_dtype dtype = a.dtype != QN_ANY ? a.dtype : b.dtype;
  return qn_shape_result(shape, 0, to_bool ? QN_BOOL : dtype, rank, dims);
}

qn_status qn_shape_broadcast(qn_shape *shape) {
  return broadcast_pair(shape, false);
}
qn_status qn_shape_compare(qn_shape *shape) {
  return broadcast_pair(shape, true);
}
qn_status qn_shape_first(qn_shape *shape) {
  return qn_shape_result_like(shape, 0, 0);
}

qn_status qn_shape_test(qn_shape *shape) {
  qn_type_info x = qn_shape_operand(shape, 0);
  return qn_shape_result(shape, 0, QN_BOOL, x.rank, x.dims);
}

// The exponent may have an element type of its own.
qn_status qn_shape_pow(qn_shape *shape) {
  int32_t rank;
  qn_dim dims[QN_RANK_MAX];
  QN_TRY(broadcast_operands(shape, 0, 1, &rank, dims));
  return qn_shape_result(shape, 0, qn_shape_operand(shape, 0).dtype, rank, dims);
}

qn_status qn_shape_where(qn_shape *shape) {
  qn_type_info a = qn_shape_operand(shape, 1), b = qn_shape_operand(shape, 2);
  if (a.dtype != b.dtype && a.dtype != QN_ANY && b.dtype != QN_ANY)
    return qn_shape_fail(shape, "the element types of a and b differ: %s and %s", qn_dtype_name(a.dtype),
                         qn_dtype_name(b.dtype));
  int32_t rank;
  qn_dim dims[QN_RANK_MAX];
  QN_TRY(broadcast_operands(shape, 0, 2, &rank, dims));
  return qn_shape_result(shape, 0, a.dtype != QN_ANY ? a.dtype : b.dtype, rank, dims);
}

qn_status qn_shape_cast(qn_shape *shape) {
  qn_type_info x = qn_shape_operand(shape, 0);
  return qn_shape_result(shape, 0, (qn_dtype)qn_node_get_int(shape->graph, shape->node, "to"), x.rank, x.dims);
}

// --- reductions and normalizations -----------------------------------------------------------------------

qn_status qn_shape_reduce(qn_shape *shape) {
  qn_graph *graph = shape->graph;
  qn_type_info x = qn_shape_operand(shape, 0);
  bool keep = qn_node_get_int(graph, shape->node, "keepdims");
  qn_value operand = qn_node_get_operand(graph, shape->node, 1);
  int64_t axes[QN_SHAPE_VALUES_MAX];
  uint32_t count = 0, reduced = 0;
  bool known = !operand || qn_shape_get_int_consts(graph, operand, axes, &count);
  if (x.rank < 0) return qn_shape_result(shape, 0, x.dtype, QN_RANK_UNKNOWN, NULL);
  qn_dim dims[QN_RANK_MAX];
  if (!known) {
    for (int32_t i = 0; i < x.rank; i++) dims[i] = QN_DIM_NONE;
    return qn_shape_result(shape, 0, x.dtype, keep ? x.rank : QN_RANK_UNKNOWN, dims);
  }
  if (count == 0 && qn_node_get_int(graph, shape->node, "noop_if_empty"))
    return qn_shape_result_like(shape, 0, 0);
  if (count == 0) reduced = (1u << x.rank) - 1;
  for (uint32_t i = 0; i < count; i++) {
    int32_t axis;
    QN_TRY(qn_shape_axis(shape, axes[i], x.rank, &axis));
    reduced |= 1u << axis;
  }
  int32_t rank = 0;
  for (int32_t i = 0; i < x.rank; i++) {
    bool gone = reduced >> i & 1;
    if (!gone || keep) dims[rank++] = gone ? 1 : x.dims[i];
  }
  return qn_shape_result(shape, 0, x.dtype, rank, dims);
}

// The axis attribute must be one of the operand's, where its rank is known.
static qn_status check_axis(qn_shape *shape, int32_t *out_axis) {
  qn_type_info x = qn_shape_operand(shape, 0);
  *out_axis = 0;
  if (x.rank < 0) return QN_OK;
  return qn_shape_axis(shape, qn_node_get_int(shape->graph, shape->node, "axis"), x.rank, out_axis);
}

qn_status qn_shape_softmax(qn_shape *shape) {
  int32_t axis;
  QN_TRY(check_axis(shape, &axis));
  return qn_shape_result_like(shape, 0, 0);
}

qn_status qn_shape_layer_norm(qn_shape *shape) {
  int32_t axis;
  QN_TRY(check_axis(shape, &axis));
  QN_TRY(qn_shape_result_like(shape, 0, 0));
  qn_type_info x = qn_shape_operand(shape, 0);
  qn_dim dims[QN_RANK_MAX];
  for (int32_t i = 0; i < x.rank; i++) dims[i] = i < axis ? x.dims[i] : 1;
  QN_TRY(qn_shape_result(shape, 1, QN_F32, x.rank, dims)); // computed in f32 whatever x is
  return qn_shape_result(shape, 2, QN_F32, x.rank, dims);
}

// The result has the element type of the scale.
qn_status qn_shape_rms_norm(qn_shape *shape) {
  int32_t axis;
  QN_TRY(check_axis(shape, &axis));
  qn_type_info x = qn_shape_operand(shape, 0), scale = qn_shape_operand(shape, 1);
  return qn_shape_result(shape, 0, scale.dtype != QN_ANY ? scale.dtype : x.dtype, x.rank, x.dims);
}
