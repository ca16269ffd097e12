// Sums of products. The order of accumulation is fixed: for each result element the products are taken in the
// order of the inner index; in f32 each product and each sum is rounded.
#include "runtime/reference/reference_priv.h"

// y[rows, columns] += a[rows, inner] b[inner, columns], with any strides of a and dense b and y.
static void multiply_add(bool wide, double *y, const double *a, uint64_t a_row, uint64_t a_inner,
                         const double *b, uint64_t rows, uint64_t inner, uint64_t columns) {
  for (uint64_t i = 0; i < rows; i++)
    for (uint64_t k = 0; k < inner; k++) {
      double x = a[i * a_row + k * a_inner];
      const double *from = b + k * columns;
      double *to = y + i * columns;
      if (wide)
        for (uint64_t j = 0; j < columns; j++) to[j] += x * from[j];
      else
        for (uint64_t j = 0; j < columns; j++) to[j] = (double)(float)(to[j] + (double)(float)(x * from[j]));
    }
}

// --- matmul ------------------------------------------------------------------------------------------------

// A matrix product of stacks: dims that broadcast, then the matrices. A vector is a matrix of one row or
// column.
typedef struct {
  uint64_t rows, inner, columns;
  qn_ref_walk stack; // offsets of a and b, counted in matrices
  int32_t rank;      // of the result
  int64_t dims[QN_RANK_MAX];
} product;

static qn_status plan_matmul(qn_ref *ref, const qn_ref_tensor *a, const qn_ref_tensor *b, product *plan) {
  *plan = (product){ .rows = 1, .columns = 1 };
  if (a->rank == 0 || b->rank == 0) return qn_ref_fail(ref, QN_INVALID, "a scalar operand");
  int64_t inner = a->dims[a->rank - 1], b_inner = b->dims[b->rank == 1 ? 0 : b->rank - 2];
  if (inner != b_inner)
    return qn_ref_fail(ref, QN_INVALID, "the inner dims are %lld and %lld", (long long)inner,
                       (long long)b_inner);
  qn_ref_tensor stacks[2] = { *a, *b };
  stacks[0].rank = QN_MAX(a->rank - 2, 0);
  stacks[1].rank = QN_MAX(b->rank - 2, 0);
  QN_TRY(qn_ref_broadcast(ref, (const qn_ref_tensor *const[]){ &stacks[0], &stacks[1] }, 2, &plan->stack));
  for (int32_t d = 0; d < plan->stack.rank; d++) plan->dims[plan->rank++] = plan->stack.dims[d];
  plan->inner = (uint64_t)inner;
  if (a->rank > 1) plan->rows = (uint64_t)(plan->dims[plan->rank++] = a->dims[a->rank - 2]);
  if (b->rank > 1) plan->columns = (uint64_t)(plan->dims[plan->rank++] = b->dims[b->rank - 1]);
  return QN_OK;
}

static qn_status matmul_ints(qn_ref *ref, const qn_ref_tensor *a, const qn_ref_tensor *b, product *plan,
                             uint64_t count) {
  const int64_t *x, *y;
  QN_TRY(qn_ref_load_ints(ref, a, &x));
  QN_TRY(qn_ref_load_ints(ref, b, &y));
  int64_t *to = qn_ref_ints(ref, count), *out = to;
  if (!to) return QN_MEMORY;
  for (uint64_t s = 0; s < plan->stack.count; s++, qn_ref_walk_next(&plan->stack)) {
    const int64_t *p = x + (uint64_t)plan->stack.offset[0] * plan->rows * plan->inner;
    const int64_t *q = y + (uint64_t)plan->stack.offset[1] * plan->inner * plan->columns;
    for (uint64_t i = 0; i < plan->rows; i++)
      for (uint64_t j = 0; j < plan->columns; j++) {
        uint64_t sum = 0;
        for (uint64_t k = 0; k < plan->inner; k++)
          sum += (uint64_t)p[i * plan->inner + k] * (uint64_t)q[k * plan->columns + j];
        *out++ = (int64_t)sum;
      }
  }
  return qn_ref_store_ints(ref, 0, a->dtype, plan->rank, plan->dims, to);
}

qn_status qn_ref_matmul(qn_ref *ref) {
  const qn_ref_tensor *a = qn_ref_operand(ref, 0), *b = qn_ref_operand(ref, 1);
  const double *x, *y;
  uint64_t count;
  product plan;
  if (a->dtype != b->dtype)
    return qn_ref_fail(ref, QN_INVALID, "operands of types %s and %s", qn_dtype_name(a->dtype),
                       qn_dtype_name(b->dtype));
  QN_TRY(plan_matmul(ref, a, b, &plan));
  QN_TRY(qn_ref_count(ref, plan.rank, plan.dims, &count));
  if (!qn_dtype_is_float(a->dtype)) return matmul_ints(ref, a, b, &plan, count);
  QN_TRY(qn_ref_load(ref, a, &x));
  QN_TRY(qn_ref_load(ref, b, &y));
  double *to = qn_ref_doubles(ref, count);
  if (!to) return QN_MEMORY;
  for (uint64_t s = 0; s < plan.stack.count; s++, qn_ref_walk_next(&plan.stack))
    multiply_add(ref->wide, to + s * plan.rows * plan.columns,
                 x + (uint64_t)plan.stack.offset[0] * plan.rows * plan.inner, plan.inner, 1,
                 y + (uint64_t)plan.stack.offset[1] * plan.inner * plan.columns, plan.rows, plan.inner,
                 plan.columns);
  return qn_ref_store(ref, 0, a->dtype, plan.rank, plan.dims, to);
}

// --- gemm --------------------------------------------------------------------------------------------------

static qn_status transpose_plane(qn_ref *ref, const double **plane, uint64_t rows, uint64_t columns) {
  double *to = qn_ref_doubles(ref, rows * columns);
  if (!to) return QN_MEMORY;
  for (uint64_t i = 0; i < rows; i++)
    for (uint64_t j = 0; j < columns; j++) to[j * rows + i] = (*plane)[i * columns + j];
  *plane = to;
  return QN_OK;
}

qn_status qn_ref_gemm(qn_ref *ref) {
  const qn_ref_tensor *a = qn_ref_operand(ref, 0), *b = qn_ref_operand(ref, 1), *c = qn_ref_operand(ref, 2);
  bool trans_a = qn_node_get_int(ref->graph, ref->node, "trans_a") != 0;
  bool trans_b = qn_node_get_int(ref->graph, ref->node, "trans_b") != 0;
  double alpha = qn_node_get_float(ref->graph, ref->node, "alpha");
  double beta = qn_node_get_float(ref->graph, ref->node, "beta");
  const double *x, *y, *z = NULL;
  if (a->rank != 2 || b->rank != 2 || a->dtype != b->dtype || !qn_dtype_is_float(a->dtype))
    return qn_ref_fail(ref, QN_INVALID,
                       "operands of types %s and %s and ranks %d and %d, expected float matrices",
                       qn_dtype_name(a->dtype), qn_dtype_name(b->dtype), (int)a->rank, (int)b->rank);
  int64_t dims[2] = { a->dims[trans_a], b->dims[!trans_b] }, inner = a->dims[!trans_a];
  if (b->dims[trans_b] != inner)
    return qn_ref_fail(ref, QN_INVALID, "the inner dims are %lld and %lld", (long long)inner,
                       (long long)b->dims[trans_b]);
  uint64_t rows = (uint64_t)dims[0], columns = (uint64_t)dims[1], depth = (uint64_t)inner, count;
  QN_TRY(qn_ref_count(ref, 2, dims, &count));
  QN_TRY(qn_ref_load(ref, a, &x));
  QN_TRY(qn_ref_load(ref, b, &y));
  if (trans_b) QN_TRY(transpose_plane(ref, &y, columns, depth));
  double *to = qn_ref_doubles(ref, count);
  if (!to) return QN_MEMORY;
  multiply_add(ref->wide, to, x, trans_a ? 1 : depth, trans_a ? rows : 1, y, rows, depth, columns);
  for (uint64_t i = 0; i < count; i++) to[i] = qn_ref_narrow(ref->wide, alpha * to[i]);
  if (c) {
    qn_ref_walk walk;
    QN_TRY(qn_ref_load(ref, c, &z));
    QN_TRY(qn_ref_broadcast_to(ref, c, 2, dims, &walk));
    for (uint64_t i = 0; i < count; i++, qn_ref_walk_next(&walk))
      to[i] += qn_ref_narrow(ref->wide, beta * z[walk.offset[0]]);
  }
  return qn_ref_store(ref, 0, a->dtype, 2, dims, to);
}

// --- conv --------------------------------------------------------------------------------------------------

enum { SPATIAL_MAX = QN_RANK_MAX - 2 };
enum { PAD_NOTSET, PAD_SAME_UPPER, PAD_SAME_LOWER, PAD_VALID };
enum { CONV_EXTENT_MAX = 1 << 20 }; // of strides, dilations and pads: keeps every product within s64

typedef struct {
  int32_t spatial;
  int64_t strides[SPATIAL_MAX], dilations[SPATIAL_MAX], before[SPATIAL_MAX];
  int64_t in[SPATIAL_MAX], kernel[SPATIAL_MAX], out[SPATIAL_MAX];
  int64_t group;
} conv_plan;

static qn_status load_extents(qn_ref *ref, const char *name, uint32_t wanted, int64_t otherwise, int64_t least,
                              int64_t *out_list) {
  const int64_t *list;
  uint32_t count = qn_node_get_ints(ref->graph, ref->node, name, &list);
  if (count != 0 && count != wanted)
    return qn_ref_fail(ref, QN_INVALID, "%u %s, expected %u", count, name, wanted);
  for (uint32_t i = 0; i < wanted; i++) {
    out_list[i] = count == 0 ? otherwise : list[i];
    if (out_list[i] < least || out_list[i] > CONV_EXTENT_MAX)
      return qn_ref_fail(ref, QN_INVALID, "%s of %lld", name, (long long)out_list[i]);
  }
  return QN_OK;
}

static qn_status plan_conv(qn_ref *ref, const qn_ref_tensor *x, const qn_ref_tensor *w, conv_plan *out_plan) {
  conv_plan plan = { .spatial = x->rank - 2 };
  int64_t pads[2 * SPATIAL_MAX], padding = qn_node_get_int(ref->graph, ref->node, "auto_pad");
  if (x->rank < 3 || w->rank != x->rank)
    return qn_ref_fail(ref, QN_INVALID, "operands of ranks %d and %d", (int)x->rank, (int)w->rank);
  uint32_t n = (uint32_t)plan.spatial;
  plan.group = qn_node_get_int(ref->graph, ref->node, "group");
  QN_TRY(load_extents(ref, "strides", n, 1, 1, plan.strides));
  QN_TRY(load_extents(ref, "dilations", n, 1, 1, plan.dilations));
  QN_TRY(load_extents(ref, "pads", 2 * n, 0, 0, pads));
  bool fits = plan.group > 0 && x->dims[1] % plan.group == 0 && w->dims[0] % plan.group == 0 &&
              x->dims[1] / plan.group == w->dims[1];
  if (!fits)
    return qn_ref_fail(ref, QN_INVALID, "%lld channels, %lld filters of %lld channels, %lld groups",
                       (long long)x->dims[1], (long long)w->dims[0], (long long)w->dims[1],
                       (long long)plan.group);
  for (uint32_t d = 0; d < n; d++) {
    int64_t in = plan.in[d] = x->dims[2 + d], kernel = plan.kernel[d] = w->dims[2 + d];
    int64_t reach = kernel > 0 ? plan.dilations[d] * (kernel - 1) + 1 : 0, total = pads[d] + pads[n + d];
    plan.before[d] = pads[d];
    if (padding == PAD_SAME_UPPER || padding == PAD_SAME_LOWER) {
      int64_t out = (in + plan.strides[d] - 1) / plan.strides[d];
      total = QN_MAX(0, (out - 1) * plan.strides[d] + reach - in);
      plan.before[d] = padding == PAD_SAME_UPPER ? total / 2 : total - total / 2;
    } else if (padding == PAD_VALID) {
      total = plan.before[d] = 0;
    }
    int64_t room = in + total - reach;
    if (kernel == 0 || room < 0)
      return qn_ref_fail(ref, QN_INVALID, "a kernel of %lld over %lld elements", (long long)reach,
                         (long long)(in + total));
    plan.out[d] = room / plan.strides[d] + 1;
  }
  *out_plan = plan;
  return QN_OK;
}

// The index after `index` in row-major order; false after the last.
static bool advance(int64_t *index, const int64_t *dims, int32_t rank) {
  for (int32_t d = rank - 1; d >= 0; d--) {
    if (++index[d] < dims[d]) return true;
    index[d] = 0;
  }
  return false;
}

// The offset in x of a kernel element at an output position; -1 in the padding.
static int64_t conv_source(const conv_plan *plan, const int64_t *position, const int64_t *kernel) {
  int64_t offset = 0;
  for (int32_t d = 0; d < plan->spatial; d++) {
    int64_t at = position[d] * plan->strides[d] + kernel[d] * plan->dilations[d] - plan->before[d];
    if (at < 0 || at >= plan->in[d]) return -1;
    offset = offset * plan->in[d] + at;
  }
  return offset;
}

qn_status qn_ref_conv(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0), *w = qn_ref_operand(ref, 1), *bias = qn_ref_operand(ref, 2);
  const double *from, *filter, *add = NULL;
  int64_t dims[QN_RANK_MAX];
  uint64_t count, in_size = 1, kernel_size = 1, out_size = 1;
  conv_plan plan;
  if (x->dtype != w->dtype || !qn_dtype_is_float(x->dtype))
    return qn_ref_fail(ref, QN_INVALID, "operands of types %s and %s", qn_dtype_name(x->dtype),
                       qn_dtype_name(w->dtype));
  QN_TRY(plan_conv(ref, x, w, &plan));
  if (bias && bias->count != (uint64_t)w->dims[0])
    return qn_ref_fail(ref, QN_INVALID, "%llu biases for %lld filters", (unsigned long long)bias->count,
                       (long long)w->dims[0]);
  dims[0] = x->dims[0], dims[1] = w->dims[0];
  for (int32_t d = 0; d < plan.spatial; d++) {
    dims[2 + d] = plan.out[d];
    in_size *= (uint64_t)plan.in[d], kernel_size *= (uint64_t)plan.kernel[d], out_size *= (uint64_t)plan.out[d];
  }
  QN_TRY(qn_ref_count(ref, x->rank, dims, &count));
  QN_TRY(qn_ref_load(ref, x, &from));
  QN_TRY(qn_ref_load(ref, w, &filter));
  if (bias) QN_TRY(qn_ref_load(ref, bias, &add));
  double *to = qn_ref_doubles(ref, count);
  if (!to) return QN_MEMORY;
  uint64_t filters = (uint64_t)w->dims[0], channels = (uint64_t)w->dims[1],
           per_group = filters / (uint64_t)plan.group;
  for (uint64_t image = 0; count > 0 && image < (uint64_t)x->dims[0]; image++)
    for (uint64_t f = 0; f < filters; f++) {
      int64_t position[SPATIAL_MAX] = { 0 };
      const double *base = from + (image * (uint64_t)x->dims[1] + f / per_group * channels) * in_size;
      double *out = to + (image * filters + f) * out_size;
      do {
        double sum = 0;
        for (uint64_t c = 0; c < channels; c++) {
          int64_t kernel[SPATIAL_MAX] = { 0 };
          const double *weight = filter + (f * channels + c) * kernel_size;
          do {
            int64_t source = conv_source(&plan, position, kernel);
            if (source >= 0)
              sum = qn_ref_narrow(
                  ref->wide, sum + qn_ref_narrow(ref->wide, base[c * in_size + (uint64_t)source] * *weight));
            weight++;
          } while (advance(kernel, plan.kernel, plan.spatial));
        }
        *out++ = sum + (add ? add[f] : 0);
      } while (advance(position, plan.out, plan.spatial));
    }
  return qn_ref_store(ref, 0, x->dtype, x->rank, dims, to);
}
