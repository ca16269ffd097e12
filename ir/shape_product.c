// Shape rules of products: matmul, gemm, conv.
#include "ir/shape_priv.h"

static bool types_agree(qn_type_info a, qn_type_info b) {
  return a.dtype == b.dtype || a.dtype == QN_ANY || b.dtype == QN_ANY;
}

// --- matrices --------------------------------------------------------------------------------------------

qn_status qn_shape_matmul(qn_shape *shape) {
  qn_graph *graph = shape->graph;
  qn_type_info a = qn_shape_operand(shape, 0), b = qn_shape_operand(shape, 1);
  if (!types_agree(a, b)) return qn_shape_fail_pair(shape, "the element types differ");
  qn_dtype dtype = a.dtype != QN_ANY ? a.dtype : b.dtype;
  if (a.rank == 0 || b.rank == 0) return qn_shape_fail_pair(shape, "a scalar has no rows and columns");
  if (a.rank < 0 || b.rank < 0) return qn_shape_result(shape, 0, dtype, QN_RANK_UNKNOWN, NULL);
  if (qn_shape_differ(graph, a.dims[a.rank - 1], b.dims[b.rank > 1 ? b.rank - 2 : 0]))
    return qn_shape_fail_pair(shape, "the inner dims differ");
  // A vector is a row on the left and a column on the right; its missing dim is missing in the result too.
  qn_type_info a_batch = { .rank = QN_MAX(a.rank - 2, 0), .dims = a.dims };
  qn_type_info b_batch = { .rank = QN_MAX(b.rank - 2, 0), .dims = b.dims };
  qn_dim dims[QN_RANK_MAX];
  int32_t rank = 0;
  bool fits = qn_shape_broadcast_into(graph, dims, &rank, a_batch) &&
              qn_shape_broadcast_into(graph, dims, &rank, b_batch);
  if (!fits) return qn_shape_fail_pair(shape, "the batch dims do not broadcast");
  if (a.rank > 1) dims[rank++] = a.dims[a.rank - 2];
  if (b.rank > 1) dims[rank++] = b.dims[b.rank - 1];
  return qn_shape_result(shape, 0, dtype, rank, dims);
}

qn_status qn_shape_gemm(qn_shape *shape) {
  qn_graph *graph = shape->graph;
  qn_type_info a = qn_shape_operand(shape, 0), b = qn_shape_operand(shape, 1), c = qn_shape_operand(shape, 2);
  int trans_a = qn_node_get_int(graph, shape->node, "trans_a") != 0,
      trans_b = qn_node_get_int(graph, shape->node, "trans_b") != 0;
  if (!types_agree(a, b)) return qn_shape_fail_pair(shape, "the element types differ");
  if ((a.rank >= 0 && a.rank != 2) || (b.rank >= 0 && b.rank != 2))
    return qn_shape_fail_pair(shape, "expected two matrices");
  if (a.rank == 2 && b.rank == 2 && qn_shape_differ(graph, a.dims[!trans_a], b.dims[trans_b]))
    return qn_shape_fail_pair(shape, "the inner dims differ");
  qn_dim dims[QN_RANK_MAX] = { a.rank == 2 ? a.dims[trans_a] : QN_DIM_NONE,
                               b.rank == 2 ? b.dims[!trans_b] : QN_DIM_NONE };
  qn_dim sum[QN_RANK_MAX] = { dims[0], dims[1] };
  int32_t rank = 2;
  if (c.rank >= 0 && (!qn_shape_broadcast_into(graph, sum, &rank, c) || rank != 2))
    return qn_shape_fail(shape, "the dims of c do not broadcast to those of the product");
  return qn_shape_result(shape, 0, a.dtype != QN_ANY ? a.dtype : b.dtype, 2, dims);
}

// --- convolution -----------------------------------------------------------------------------------------

// An element of a list attribute that has `count` elements or is absent.
static qn_status list_element(qn_shape *shape, const char *name, uint32_t count, uint32_t index, int64_t absent,
                              int64_t *out) {
  const int64_t *list;
  uint32_t length = qn_node_get_ints(shape->graph, shape->node, name, &list);
  if (length && length != count)
    return qn_shape_fail(shape, "expected %u elements of %s, found %u", count, name, length);
  *out = length ? list[index] : absent;
  if (*out < absent || *out > INT32_MAX)
    return qn_shape_fail(shape, "%s %u is %lld", name, index, (long long)*out);
  return QN_OK;
}

// ceil((in + pads - dilation * (kernel - 1)) / stride), where the pads depend on auto_pad.
static qn_status conv_extent(qn_shape *shape, uint32_t spatial, uint32_t i, qn_dim in, qn_dim kernel,
                             qn_dim *out) {
  qn_graph *graph = shape->graph;
  enum { NOTSET, SAME_UPPER, SAME_LOWER, VALID };
  int64_t stride, dilation, before, after, length;
  QN_TRY(list_element(shape, "strides", spatial, i, 1, &stride));
  QN_TRY(list_element(shape, "dilations", spatial, i, 1, &dilation));
  QN_TRY(list_element(shape, "pads", 2 * spatial, i, 0, &before));
  QN_TRY(list_element(shape, "pads", 2 * spatial, spatial + i, 0, &after));
  int64_t mode = qn_node_get_int(graph, shape->node, "auto_pad");
  qn_dim covered = in;
  if (mode == NOTSET || mode == VALID) {
    qn_dim reach = qn_shape_mul(graph, qn_shape_sub(graph, kernel, 1), qn_dim_const(graph, dilation));
    covered = qn_shape_sub(graph, covered, reach);
    if (mode == NOTSET) covered = qn_shape_add(graph, covered, qn_dim_const(graph, before + after));
  }
  if (qn_shape_is_const(graph, covered, &length) && length < 1)
    return qn_shape_fail_pair(shape, "the kernel is larger than dim %u", i + 2);
  *out = covered == QN_DIM_NONE ? QN_DIM_NONE : qn_dim_ceil_div(graph, covered, qn_dim_const(graph, stride));
  return QN_OK;
}

qn_status qn_shape_conv(qn_shape *shape) {
  qn_graph *graph = shape->graph;
  qn_type_info x = qn_shape_operand(shape, 0), w = qn_shape_operand(shape, 1);
  if (!types_agree(x, w)) return qn_shape_fail_pair(shape, "the element types differ");
  qn_dtype dtype = x.dtype != QN_ANY ? x.dtype : w.dtype;
  if (x.rank < 0 && w.rank < 0) return qn_shape_result(shape, 0, dtype, QN_RANK_UNKNOWN, NULL);
  if (x.rank >= 0 && w.rank >= 0 && x.rank != w.rank) return qn_shape_fail_pair(shape, "the ranks differ");
  int32_t rank = QN_MAX(x.rank, w.rank);
  if (rank < 3) return qn_shape_fail_pair(shape, "expected a rank of at least 3");
  qn_dim dims[QN_RANK_MAX] = { x.rank < 0 ? QN_DIM_NONE : x.dims[0], w.rank < 0 ? QN_DIM_NONE : w.dims[0] };
  int64_t group = qn_node_get_int(graph, shape->node, "group");
  if (group < 1) return qn_shape_fail(shape, "group is %lld", (long long)group);
  if (x.rank >= 0 && w.rank >= 0 &&
      qn_shape_differ(graph, x.dims[1], qn_dim_mul(graph, w.dims[1], qn_dim_const(graph, group))))
    return qn_shape_fail_pair(shape, "the channels differ");
  for (int32_t i = 2; i < rank; i++)
    QN_TRY(conv_extent(shape, (uint32_t)rank - 2, (uint32_t)i - 2, x.rank < 0 ? QN_DIM_NONE : x.dims[i],
                       w.rank < 0 ? QN_DIM_NONE : w.dims[i], &dims[i]));
  return qn_shape_result(shape, 0, dtype, rank, dims);
}
