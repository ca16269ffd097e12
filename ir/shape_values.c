// What is known of the elements of small integer tensors. Exported models compute shapes at run time,
// reshape(x, concat(gather(shape(y), 0), 12, -1)), and this is where such an operand becomes B, 12, -1.
//
// Values are recomputed from the operands at each question. A budget of visited nodes bounds the cost, so that
// a chain of doublings does not cost more than it is worth.
#include "ir/element_priv.h"
#include "ir/shape_priv.h"

enum { BUDGET = 96 };

typedef struct values {
  qn_dim at[QN_SHAPE_VALUES_MAX];
  uint32_t count;
} values;

typedef struct evaluation {
  qn_graph *graph;
  uint32_t budget;
} evaluation;

static bool evaluate(evaluation *e, qn_value value, values *out);

static bool operand_values(evaluation *e, qn_node node, uint32_t index, values *out) {
  qn_value value = qn_node_get_operand(e->graph, node, index);
  return value != QN_NONE && evaluate(e, value, out);
}

// An operand whose elements are constants.
static bool operand_consts(evaluation *e, qn_node node, uint32_t index, int64_t out[QN_SHAPE_VALUES_MAX],
                           uint32_t *out_count) {
  values v;
  if (!operand_values(e, node, index, &v)) return false;
  for (uint32_t i = 0; i < v.count; i++)
    if (!qn_shape_is_const(e->graph, v.at[i], &out[i])) return false;
  *out_count = v.count;
  return true;
}

// --- leaves ----------------------------------------------------------------------------------------------

static bool is_integer(qn_dtype dtype) {
  return qn_dtype_is_integer(dtype) || dtype == QN_BOOL;
}

static bool from_tensor(qn_graph *graph, const qn_tensor *tensor, values *out) {
  uint64_t count = tensor->rank == 0 ? 1 : tensor->rank == 1 ? (uint64_t)tensor->dims[0] : UINT64_MAX;
  if (count > QN_SHAPE_VALUES_MAX || !is_integer(tensor->dtype) || (!tensor->data && count)) return false;
  out->count = (uint32_t)count;
  bool is_unsigned = tensor->dtype == QN_BOOL || tensor->dtype == QN_U4 || tensor->dtype == QN_U8 ||
                     tensor->dtype == QN_U16 || tensor->dtype == QN_U32 || tensor->dtype == QN_U64;
  uint32_t unused = 64 - qn_dtype_bits(tensor->dtype);
  for (uint32_t i = 0; i < out->count; i++) {
    uint64_t bits = qn_element_load(tensor->dtype, tensor->data, i);
    int64_t number = is_unsigned ? (int64_t)bits : (int64_t)(bits << unused) >> unused;
    out->at[i] = is_unsigned && number < 0 ? QN_DIM_NONE : qn_dim_const(graph, number);
  }
  return true;
}

static bool from_shape(evaluation *e, qn_node node, values *out) {
  qn_value x = qn_node_get_operand(e->graph, node, 0);
  qn_type_info info = qn_type_get_info(e->graph, qn_value_get_type(e->graph, x));
  if (info.rank < 0) return false;
  int64_t start = qn_node_get_int(e->graph, node, "start"), end = qn_node_get_int(e->graph, node, "end");
  if (start < 0) start += info.rank;
  if (end < 0) end += info.rank;
  start = QN_MAX(start, 0);
  end = QN_MIN(end, info.rank);
  out->count = 0;
  for (int64_t i = start; i < end; i++) out->at[out->count++] = info.dims[i];
  return true;
}

static bool from_size(evaluation *e, qn_node node, values *out) {
  qn_value x = qn_node_get_operand(e->graph, node, 0);
  qn_type_info info = qn_type_get_info(e->graph, qn_value_get_type(e->graph, x));
  if (info.rank < 0) return false;
  out->count = 1;
  out->at[0] = 1;
  for (int32_t i = 0; i < info.rank; i++) out->at[0] = qn_dim_mul(e->graph, out->at[0], info.dims[i]);
  return true;
}

// --- arithmetic ------------------------------------------------------------------------------------------

static bool never_negative(const qn_graph *graph, qn_dim dim) {
  return dim != QN_DIM_NONE && qn_dim_never_negative(graph, dim);
}

// a / b, rounded down, for a that is not negative and a positive constant b: ceil((a - b + 1) / b).
static qn_dim divide(qn_graph *graph, qn_dim a, qn_dim b) {
  int64_t divisor;
  qn_dim exact = qn_shape_divide(graph, a, b);
  if (exact != QN_DIM_NONE || !never_negative(graph, a)) return exact;
  if (!qn_shape_is_const(graph, b, &divisor) || divisor <= 0) return QN_DIM_NONE;
  return qn_dim_ceil_div(graph, qn_shape_sub(graph, a, qn_dim_const(graph, divisor - 1)), b);
}

// 0 or 1, or NONE where it depends.
static qn_dim equal(qn_graph *graph, qn_dim a, qn_dim b) {
  int64_t x, y;
  if (a == QN_DIM_NONE || b == QN_DIM_NONE) return QN_DIM_NONE;
  if (a == b) return 1;
  if (qn_shape_is_const(graph, qn_shape_sub(graph, a, b), &x)) return 0;
  if (qn_shape_is_const(graph, a, &y) && y < 0 && never_negative(graph, b)) return 0;
  if (qn_shape_is_const(graph, b, &y) && y < 0 && never_negative(graph, a)) return 0;
  return QN_DIM_NONE;
}

static qn_dim arithmetic_const(qn_graph *graph, qn_op op, int64_t x, int64_t y) {
  switch (op) {
  case QN_OP_div: return y == 0 || (x == INT64_MIN && y == -1) ? QN_DIM_NONE : qn_dim_const(graph, x / y);
  case QN_OP_mod:
    if (y == 0 || y == -1) return QN_DIM_NONE;
    return qn_dim_const(graph, x % y != 0 && (x % y < 0) != (y < 0) ? x % y + y : x % y);
  case QN_OP_min: return qn_dim_const(graph, QN_MIN(x, y));
  case QN_OP_max: return qn_dim_const(graph, QN_MAX(x, y));
  case QN_OP_less: return x < y;
  case QN_OP_less_equal: return x <= y;
  case QN_OP_greater: return x > y;
  case QN_OP_greater_equal: return x >= y;
  default: return QN_DIM_NONE;
  }
}

static qn_dim arithmetic(qn_graph *graph, qn_op op, qn_dim a, qn_dim b) {
  int64_t x, y;
  switch (op) {
  case QN_OP_add: return qn_shape_add(graph, a, b);
  case QN_OP_sub: return qn_shape_sub(graph, a, b);
  case QN_OP_mul: return qn_shape_mul(graph, a, b);
  case QN_OP_equal: return equal(graph, a, b);
  default: break;
  }
  if (qn_shape_is_const(graph, a, &x) && qn_shape_is_const(graph, b, &y))
    return arithmetic_const(graph, op, x, y);
  if (op == QN_OP_div) return divide(graph, a, b);
  if (op != QN_OP_min && op != QN_OP_max) return QN_DIM_NONE;
  if (a == b) return a;
  // What differs by something that is never negative is ordered.
  qn_dim above = qn_shape_sub(graph, a, b), below = qn_shape_sub(graph, b, a);
  if (never_negative(graph, above)) return op == QN_OP_max ? a : b;
  if (never_negative(graph, below)) return op == QN_OP_max ? b : a;
  return QN_DIM_NONE;
}

// The element that broadcasting pairs with result element i.
static qn_dim element(const values *v, uint32_t i) {
  return v->at[v->count == 1 ? 0 : i];
}

static bool broadcast_counts(const values *a, const values *b, uint32_t *out_count) {
  if (a->count != b->count && a->count != 1 && b->count != 1) return false;
  *out_count = a->count == 1 ? b->count : a->count;
  return true;
}

static bool from_pair(evaluation *e, qn_node node, values *out) {
  values a, b;
  if (!operand_values(e, node, 0, &a) || !operand_values(e, node, 1, &b) ||
      !broadcast_counts(&a, &b, &out->count))
    return false;
  qn_op op = qn_node_get_op(e->graph, node);
  for (uint32_t i = 0; i < out->count; i++)
    out->at[i] = arithmetic(e->graph, op, element(&a, i), element(&b, i));
  return true;
}

static bool from_where(evaluation *e, qn_node node, values *out) {
  values cond, a, b;
  uint32_t count;
  if (!operand_values(e, node, 0, &cond) || !operand_values(e, node, 1, &a) || !operand_values(e, node, 2, &b))
    return false;
  if (!broadcast_counts(&a, &b, &count)) return false;
  out->count = count;
  if (count == 1) out->count = cond.count;
  if (cond.count != 1 && cond.count != out->count) return false;
  for (uint32_t i = 0; i < out->count; i++) {
    qn_dim c = element(&cond, i), x = element(&a, i), y = element(&b, i);
    out->at[i] = c == 1 || x == y ? x : c == 0 ? y : QN_DIM_NONE;
  }
  return true;
}

static bool from_cast(evaluation *e, qn_node node, values *out) {
  if (!operand_values(e, node, 0, out)) return false;
  qn_dtype to = (qn_dtype)qn_node_get_int(e->graph, node, "to");
  int64_t number, limit = qn_dtype_bits(to) >= 64 ? INT64_MAX : ((int64_t)1 << (qn_dtype_bits(to) - 1)) - 1;
  for (uint32_t i = 0; i < out->count; i++) {
    bool constant = qn_shape_is_const(e->graph, out->at[i], &number);
    if (to == QN_BOOL)
      out->at[i] = constant ? number != 0 : QN_DIM_NONE;
    else if (constant && (number > limit || number < -limit)) // wraps, or is at the edge of it
      out->at[i] = QN_DIM_NONE;
  }
  return true;
}

// --- moving elements -------------------------------------------------------------------------------------

static bool from_concat(evaluation *e, qn_node node, values *out) {
  out->count = 0;
  for (uint32_t i = 0; i < qn_node_get_operand_count(e->graph, node); i++) {
    values part;
    if (!operand_values(e, node, i, &part) || out->count + part.count > QN_SHAPE_VALUES_MAX) return false;
    memcpy(out->at + out->count, part.at, part.count * sizeof *part.at);
    out->count += part.count;
  }
  return true;
}

static bool from_gather(evaluation *e, qn_node node, values *out) {
  values x;
  int64_t indices[QN_SHAPE_VALUES_MAX];
  if (!operand_values(e, node, 0, &x) || !operand_consts(e, node, 1, indices, &out->count)) return false;
  for (uint32_t i = 0; i < out->count; i++) {
    int64_t index = indices[i] < 0 ? indices[i] + x.count : indices[i];
    if (index < 0 || index >= x.count) return false;
    out->at[i] = x.at[index];
  }
  return true;
}

static bool from_slice(evaluation *e, qn_node node, values *out) {
  values x;
  int64_t start[QN_SHAPE_VALUES_MAX], end[QN_SHAPE_VALUES_MAX], step[QN_SHAPE_VALUES_MAX] = { 1 };
  uint32_t count;
  if (!operand_values(e, node, 0, &x)) return false;
  if (!operand_consts(e, node, 1, start, &count) || count != 1 || !operand_consts(e, node, 2, end, &count) ||
      count != 1)
    return false;
  if (qn_node_get_operand(e->graph, node, 4) && (!operand_consts(e, node, 4, step, &count) || count != 1))
    return false;
  int64_t length = qn_slice_length(x.count, &start[0], end[0], step[0]);
  if (length < 0) return false;
  out->count = (uint32_t)length;
  for (int64_t i = 0; i < length; i++) out->at[i] = x.at[start[0] + i * step[0]];
  return true;
}

static bool from_split(evaluation *e, qn_node node, uint32_t result, values *out) {
  values x;
  int64_t sizes[QN_SHAPE_VALUES_MAX];
  uint32_t parts = qn_node_get_result_count(e->graph, node), count;
  if (!operand_values(e, node, 0, &x)) return false;
  uint32_t each = (x.count + parts - 1) / parts, begin = QN_MIN(each * result, x.count);
  uint32_t end = QN_MIN(begin + each, x.count);
  if (qn_node_get_operand(e->graph, node, 1)) {
    if (!operand_consts(e, node, 1, sizes, &count) || count != parts) return false;
    int64_t offset = 0;
    for (uint32_t i = 0; i <= result; i++) {
      if (sizes[i] < 0 || sizes[i] > x.count - offset) return false;
      offset += sizes[i];
    }
    end = (uint32_t)offset;
    begin = end - (uint32_t)sizes[result];
  }
  out->count = end - begin;
  memcpy(out->at, x.at + begin, out->count * sizeof *out->at);
  return true;
}

static bool from_fill(evaluation *e, qn_node node, values *out) {
  int64_t shape[QN_SHAPE_VALUES_MAX];
  uint32_t count;
  const qn_tensor *tensor = qn_node_get_tensor(e->graph, node, "value");
  values one;
  if (!operand_consts(e, node, 0, shape, &count) || count > 1 || !tensor ||
      !from_tensor(e->graph, tensor, &one))
    return false;
  if (one.count != 1 || (count && (shape[0] < 0 || shape[0] > QN_SHAPE_VALUES_MAX))) return false;
  out->count = count ? (uint32_t)shape[0] : 1;
  for (uint32_t i = 0; i < out->count; i++) out->at[i] = one.at[0];
  return true;
}

// One value as many times as the shape operand says, if the result has rank 1.
static bool from_expand(evaluation *e, qn_node node, values *out) {
  values x;
  int64_t shape[QN_SHAPE_VALUES_MAX];
  uint32_t count;
  if (!operand_values(e, node, 0, &x) || !operand_consts(e, node, 1, shape, &count) || count > 1) return false;
  int64_t length = count && x.count == 1 ? shape[0] : x.count;
  if (length < 0 || length > QN_SHAPE_VALUES_MAX) return false;
  out->count = (uint32_t)length;
  for (uint32_t i = 0; i < out->count; i++) out->at[i] = element(&x, i);
  return true;
}

static bool from_range(evaluation *e, qn_node node, values *out) {
  int64_t bounds[3], one[QN_SHAPE_VALUES_MAX];
  uint32_t count;
  for (uint32_t i = 0; i < 3; i++) {
    if (!operand_consts(e, node, i, one, &count) || count != 1) return false;
    bounds[i] = one[0];
  }
  int64_t limit = (int64_t)1 << 62;
  if (bounds[2] == 0 || QN_MAX(bounds[0], bounds[1]) > limit || QN_MIN(bounds[0], bounds[1]) < -limit)
    return false;
  out->count = 0;
  for (int64_t v = bounds[0]; bounds[2] > 0 ? v < bounds[1] : v > bounds[1]; out->count++) {
    if (out->count == QN_SHAPE_VALUES_MAX) return false;
    out->at[out->count] = qn_dim_const(e->graph, v);
    if (__builtin_add_overflow(v, bounds[2], &v)) return false;
  }
  return true;
}

// --- the question ----------------------------------------------------------------------------------------

// Whether a type can be that of a small integer tensor; with an unknown rank it may be.
static bool may_be_small(qn_type_info info) {
  return (is_integer(info.dtype) || info.dtype == QN_ANY) && info.rank <= 1;
}

// By the rule of the operation; false where there is none or it needs what is not known.
static bool from_node(evaluation *e, qn_value value, qn_node node, values *out) {
  switch (qn_node_get_op(e->graph, node)) {
  case QN_OP_const: return from_tensor(e->graph, qn_value_get_const(e->graph, value), out);
  case QN_OP_shape: return from_shape(e, node, out);
  case QN_OP_size: return from_size(e, node, out);
  case QN_OP_add:
  case QN_OP_sub:
  case QN_OP_mul:
  case QN_OP_div:
  case QN_OP_mod:
  case QN_OP_min:
  case QN_OP_max:
  case QN_OP_equal:
  case QN_OP_less:
  case QN_OP_less_equal:
  case QN_OP_greater:
  case QN_OP_greater_equal: return from_pair(e, node, out);
  case QN_OP_where: return from_where(e, node, out);
  case QN_OP_concat: return from_concat(e, node, out);
  case QN_OP_gather: return from_gather(e, node, out);
  case QN_OP_slice: return from_slice(e, node, out);
  case QN_OP_split: return from_split(e, node, qn_value_get_result_index(e->graph, value), out);
  case QN_OP_fill: return from_fill(e, node, out);
  case QN_OP_expand: return from_expand(e, node, out);
  case QN_OP_range: return from_range(e, node, out);
  case QN_OP_cast: return from_cast(e, node, out);
  // The same elements in the same order.
  case QN_OP_identity:
  case QN_OP_reshape:
  case QN_OP_flatten:
  case QN_OP_squeeze:
  case QN_OP_unsqueeze:
  case QN_OP_transpose: return operand_values(e, node, 0, out);
  default: return false;
  }
}

static bool evaluate(evaluation *e, qn_value value, values *out) {
  qn_graph *graph = e->graph;
  qn_type_info info = qn_type_get_info(graph, qn_value_get_type(graph, value));
  int64_t count = info.rank == 0 ? 1 : -1;
  if (!may_be_small(info)) return false;
  if (e->budget > 0) {
    e->budget--;
    if (from_node(e, value, qn_value_get_node(graph, value), out)) return true;
  }
  // Nothing is known but how many there are.
  if (info.rank == 1) qn_dim_is_const(graph, info.dims[0], &count);
  if (count < 0 || count > QN_SHAPE_VALUES_MAX) return false;
  out->count = (uint32_t)count;
  for (uint32_t i = 0; i < out->count; i++) out->at[i] = QN_DIM_NONE;
  return true;
}

bool qn_shape_get_int_values(qn_graph *graph, qn_value value, qn_dim out_values[QN_SHAPE_VALUES_MAX],
                             uint32_t *out_count) {
  evaluation e = { .graph = graph, .budget = BUDGET };
  values v;
  if (value == QN_NONE || !evaluate(&e, value, &v)) return false;
  memcpy(out_values, v.at, v.count * sizeof *out_values);
  *out_count = v.count;
  return true;
}

bool qn_shape_get_int_consts(qn_graph *graph, qn_value value, int64_t out_values[QN_SHAPE_VALUES_MAX],
                             uint32_t *out_count) {
  qn_dim dims[QN_SHAPE_VALUES_MAX];
  if (!qn_shape_get_int_values(graph, value, dims, out_count)) return false;
  for (uint32_t i = 0; i < *out_count; i++)
    if (!qn_shape_is_const(graph, dims[i], &out_values[i])) return false;
  return true;
}
