// Shape rules of products: matmul, gemm, conv, attention.
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

// --- attention -------------------------------------------------------------------------------------------

// Heads of an operand or result, whatever its layout.
typedef struct heads {
  qn_dim batch, heads, length, dim;
} heads;

enum { LAYOUT_BHSD, LAYOUT_BSHD, LAYOUT_BSM, LAYOUT_TM };

static qn_status read_heads(qn_shape *shape, uint32_t operand, const char *layout_name, const char *heads_name,
                            heads *out) {
  qn_graph *graph = shape->graph;
  qn_type_info x = qn_shape_operand(shape, operand);
  int64_t layout = qn_node_get_int(graph, shape->node, layout_name),
          count = qn_node_get_int(graph, shape->node, heads_name);
  *out = (heads){ QN_DIM_NONE, count > 0 ? qn_dim_const(graph, count) : QN_DIM_NONE, QN_DIM_NONE, QN_DIM_NONE };
  if (x.rank < 0) return QN_OK;
  int32_t expected = layout == LAYOUT_BSM ? 3 : 4;
  if (x.rank != expected)
    return qn_shape_fail(shape, "expected rank %d of operand %s in its layout, found %d", (int)expected,
                         qn_op_get_info(QN_OP_attention)->operands[operand], (int)x.rank);
  out->batch = x.dims[0];
  out->length = x.dims[layout == LAYOUT_BHSD ? 2 : 1];
  if (layout == LAYOUT_BSM) {
    out->dim = qn_shape_divide(graph, x.dims[2], out->heads);
    int64_t width;
    if (out->heads != QN_DIM_NONE && out->dim == QN_DIM_NONE && qn_dim_is_const(graph, x.dims[2], &width))
      return qn_shape_fail(shape, "%lld elements cannot be split into %lld %s", (long long)width,
                           (long long)count, heads_name);
    return QN_OK;
  }
  qn_dim found = x.dims[layout == LAYOUT_BHSD ? 1 : 2];
  if (qn_shape_differ(graph, found, out->heads)) {
    int64_t number = 0;
    qn_shape_is_const(graph, found, &number);
    return qn_shape_fail(shape, "expected %lld %s, found %lld", (long long)count, heads_name,
                         (long long)number);
  }
  out->heads = qn_shape_same(graph, found, out->heads);
  out->dim = x.dims[3];
  return QN_OK;
}

// Takes the more precise of two dims that must be equal.
static qn_status agree(qn_shape *shape, const char *what, qn_dim *a, qn_dim *b) {
  int64_t x = 0, y = 0;
  if (qn_shape_differ(shape->graph, *a, *b)) {
    qn_shape_is_const(shape->graph, *a, &x);
    qn_shape_is_const(shape->graph, *b, &y);
    return qn_shape_fail(shape, "%s differ: %lld and %lld", what, (long long)x, (long long)y);
  }
  *a = *b = qn_shape_same(shape->graph, *a, *b);
  return QN_OK;
}

static qn_status attention_out(qn_shape *shape, const heads *q, qn_dim value_dim) {
  qn_graph *graph = shape->graph;
  qn_scheme output = qn_node_get_scheme(graph, shape->node, "output");
  qn_dtype out_type = (qn_dtype)qn_node_get_int(graph, shape->node, "out_type");
  qn_dtype dtype = out_type != QN_ANY ? out_type : qn_shape_operand(shape, 0).dtype;
  if (output.family != QN_SCHEME_none) dtype = (qn_dtype)output.target;
  qn_dim width = qn_shape_mul(graph, q->heads, value_dim);
  switch (qn_node_get_int(graph, shape->node, "out_layout")) {
  case LAYOUT_BHSD:
    return qn_shape_result(shape, 0, dtype, 4, (qn_dim[]){ q->batch, q->heads, q->length, value_dim });
  case LAYOUT_BSHD:
    return qn_shape_result(shape, 0, dtype, 4, (qn_dim[]){ q->batch, q->length, q->heads, value_dim });
  case LAYOUT_BSM: return qn_shape_result(shape, 0, dtype, 3, (qn_dim[]){ q->batch, q->length, width });
  default:
    return qn_shape_result(shape, 0, dtype, 2, (qn_dim[]){ qn_shape_mul(graph, q->batch, q->length), width });
  }
}

qn_status qn_shape_attention(qn_shape *shape) {
  qn_graph *graph = shape->graph;
  heads q, k, v;
  enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE };
  QN_TRY(read_heads(shape, Q, "q_layout", "heads", &q));
  QN_TRY(read_heads(shape, K, "k_layout", "kv_heads", &k));
  QN_TRY(read_heads(shape, V, "v_layout", "kv_heads", &v));
  QN_TRY(agree(shape, "the lengths of k and v", &k.length, &v.length));
  QN_TRY(agree(shape, "the heads of k and v", &k.heads, &v.heads));
  QN_TRY(agree(shape, "the batches of k and v", &k.batch, &v.batch));
  QN_TRY(agree(shape, "the batches of q and k", &q.batch, &k.batch));
  QN_TRY(agree(shape, "the head dims of q and k", &q.dim, &k.dim));
  QN_TRY(attention_out(shape, &q, v.dim));
  if (qn_node_get_result_count(graph, shape->node) == 1) return QN_OK;
  // The cache grows by what is new; it is [batch, heads, length, dim] in every layout.
  qn_dim total = k.length;
  if (qn_node_get_operand(graph, shape->node, PAST_KEY)) {
    qn_type_info past = qn_shape_operand(shape, PAST_KEY);
    if (past.rank >= 0 && past.rank != 4)
      return qn_shape_fail(shape, "expected rank 4 of past_key, found %d", (int)past.rank);
    total = past.rank == 4 ? qn_shape_add(graph, past.dims[2], k.length) : QN_DIM_NONE;
  }
  qn_dtype key = qn_shape_operand(shape, K).dtype, value = qn_shape_operand(shape, V).dtype;
  QN_TRY(qn_shape_result(shape, 1, key, 4, (qn_dim[]){ k.batch, k.heads, total, k.dim }));
  QN_TRY(qn_shape_result(shape, 2, value, 4, (qn_dim[]){ v.batch, v.heads, total, v.dim }));
  return qn_shape_result(shape, 3, qn_shape_operand(shape, Q).dtype, 4,
                         (qn_dim[]){ q.batch, q.heads, q.length, total });
}
