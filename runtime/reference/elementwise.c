// Operations on elements: one table row each.
#include "runtime/reference/reference_priv.h"

#include <math.h>

// --- one operand -------------------------------------------------------------------------------------------

// `parameter` is the attribute named in the table, where there is one.
typedef double (*unary_fn)(double x, double parameter, bool wide);

#define UNARY(name, expression)                                                                                \
  static double unary_##name(double x, double parameter, bool wide) {                                          \
    (void)parameter, (void)wide;                                                                               \
    return (expression);                                                                                       \
  }
static double sigmoid(double x, bool wide) {
  return 1 / qn_ref_narrow(wide, 1 + qn_ref_narrow(wide, exp(-x)));
}
// Phi by erf, or the tanh approximation of it: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), ONNX Gelu-20.
static double gelu(double x, bool by_tanh) {
  if (by_tanh) return 0.5 * x * (1 + tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
  return 0.5 * x * (1 + erf(x * 0.70710678118654752440));
}
UNARY(neg, -x)
UNARY(abs, fabs(x))
UNARY(sqrt, sqrt(x))
UNARY(rsqrt, 1 / qn_ref_narrow(wide, sqrt(x)))
UNARY(reciprocal, 1 / x)
UNARY(exp, exp(x))
UNARY(log, log(x))
UNARY(sin, sin(x))
UNARY(cos, cos(x))
UNARY(tanh, tanh(x))
UNARY(erf, erf(x))
UNARY(sigmoid, sigmoid(x, wide))
UNARY(relu, isnan(x) || x > 0 ? x : 0)
UNARY(gelu, gelu(x, parameter != 0))
UNARY(swish, x *qn_ref_narrow(wide, sigmoid(qn_ref_narrow(wide, parameter *x), wide)))
UNARY(floor, floor(x))
UNARY(ceil, ceil(x))
UNARY(round, rint(x))

typedef struct {
  unary_fn apply;
  const char *attribute; // NULL: none
  bool integers;         // takes integers: neg, abs, relu
} unary_row;

static const unary_row unary_rows[QN_OP_COUNT] = {
  [QN_OP_neg] = { unary_neg, NULL, true },
  [QN_OP_abs] = { unary_abs, NULL, true },
  [QN_OP_sqrt] = { unary_sqrt, NULL, false },
  [QN_OP_rsqrt] = { unary_rsqrt, NULL, false },
  [QN_OP_reciprocal] = { unary_reciprocal, NULL, false },
  [QN_OP_exp] = { unary_exp, NULL, false },
  [QN_OP_log] = { unary_log, NULL, false },
  [QN_OP_sin] = { unary_sin, NULL, false },
  [QN_OP_cos] = { unary_cos, NULL, false },
  [QN_OP_tanh] = { unary_tanh, NULL, false },
  [QN_OP_erf] = { unary_erf, NULL, false },
  [QN_OP_sigmoid] = { unary_sigmoid, NULL, false },
  [QN_OP_relu] = { unary_relu, NULL, true },
  [QN_OP_gelu] = { unary_gelu, "approximate", false },
  [QN_OP_swish] = { unary_swish, "alpha", false },
  [QN_OP_floor] = { unary_floor, NULL, false },
  [QN_OP_ceil] = { unary_ceil, NULL, false },
  [QN_OP_round] = { unary_round, NULL, false },
};

static int64_t negate(int64_t x) {
  return (int64_t)-(uint64_t)x;
}

static qn_status unary_ints(qn_ref *ref, qn_op op, const qn_ref_tensor *x) {
  const int64_t *from;
  QN_TRY(qn_ref_load_ints(ref, x, &from));
  int64_t *to = qn_ref_ints(ref, x->count);
  if (!to) return QN_MEMORY;
  bool is_signed = x->dtype != QN_U64;
  for (uint64_t i = 0; i < x->count; i++) {
    bool negative = is_signed && from[i] < 0;
    if (op == QN_OP_neg || (op == QN_OP_abs && negative))
      to[i] = negate(from[i]);
    else
      to[i] = op == QN_OP_relu && negative ? 0 : from[i];
  }
  return qn_ref_store_ints(ref, 0, x->dtype, x->rank, x->dims, to);
}

qn_status qn_ref_unary(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0);
  qn_op op = qn_node_get_op(ref->graph, ref->node);
  const unary_row *row = &unary_rows[op];
  const double *from;
  double parameter = 0;
  if (qn_dtype_is_integer(x->dtype) && row->integers) return unary_ints(ref, op, x);
  if (!qn_dtype_is_float(x->dtype))
    return qn_ref_fail(ref, QN_UNSUPPORTED, "elements of type %s", qn_dtype_name(x->dtype));
  if (op == QN_OP_gelu)
    parameter = (double)qn_node_get_int(ref->graph, ref->node, row->attribute);
  else if (row->attribute)
    parameter = qn_node_get_float(ref->graph, ref->node, row->attribute);
  QN_TRY(qn_ref_load(ref, x, &from));
  double *to = qn_ref_doubles(ref, x->count);
  if (!to) return QN_MEMORY;
  for (uint64_t i = 0; i < x->count; i++) to[i] = row->apply(from[i], parameter, ref->wide);
  return qn_ref_store(ref, 0, x->dtype, x->rank, x->dims, to);
}

// not, is_nan, is_inf.
qn_status qn_ref_test(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0);
  qn_op op = qn_node_get_op(ref->graph, ref->node);
  bool negative = op == QN_OP_is_inf && qn_node_get_int(ref->graph, ref->node, "negative") != 0;
  bool positive = op == QN_OP_is_inf && qn_node_get_int(ref->graph, ref->node, "positive") != 0;
  const double *from;
  uint8_t *to;
  QN_TRY(qn_ref_load(ref, x, &from));
  QN_TRY(qn_ref_new(ref, 0, QN_BOOL, x->rank, x->dims, &to));
  for (uint64_t i = 0; i < x->count; i++) {
    if (op == QN_OP_not)
      to[i] = from[i] == 0;
    else if (op == QN_OP_is_nan)
      to[i] = isnan(from[i]) != 0;
    else
      to[i] = isinf(from[i]) && (from[i] < 0 ? negative : positive);
  }
  return QN_OK;
}

// --- two operands ------------------------------------------------------------------------------------------

static double mod_floats(double a, double b, bool as_fmod) {
  double rest = fmod(a, b);
  return !as_fmod && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

static double apply_floats(qn_op op, double a, double b, bool as_fmod) {
  switch (op) {
  case QN_OP_add: return a + b;
  case QN_OP_sub: return a - b;
  case QN_OP_mul: return a * b;
  case QN_OP_div: return a / b;
  case QN_OP_mod: return mod_floats(a, b, as_fmod);
  case QN_OP_pow: return pow(a, b);
  case QN_OP_min: return isnan(a) || isnan(b) ? (double)NAN : a < b ? a : b;
  default: return isnan(a) || isnan(b) ? (double)NAN : a > b ? a : b;
  }
}

// Integer power by squaring, modulo 2^64; a negative exponent leaves only what truncation does.
static uint64_t power(int64_t base, int64_t exponent) {
  uint64_t result = 1, square = (uint64_t)base;
  if (exponent < 0) return base == 1 || (base == -1 && exponent % 2 == 0) ? 1 : base == -1 ? UINT64_MAX : 0;
  for (; exponent > 0; exponent /= 2, square *= square)
    if (exponent % 2 == 1) result *= square;
  return result;
}

// s64, or u64 as its bit pattern. b is not 0 for div and mod. Everything wraps; nothing overflows.
static int64_t apply_ints(qn_op op, int64_t a, int64_t b, bool as_fmod, bool is_u64) {
  uint64_t ua = (uint64_t)a, ub = (uint64_t)b;
  bool less = is_u64 ? ua < ub : a < b;
  switch (op) {
  case QN_OP_add: return (int64_t)(ua + ub);
  case QN_OP_sub: return (int64_t)(ua - ub);
  case QN_OP_mul: return (int64_t)(ua * ub);
  case QN_OP_div: return is_u64 ? (int64_t)(ua / ub) : b == -1 ? negate(a) : a / b;
  case QN_OP_mod: {
    int64_t rest = is_u64 ? (int64_t)(ua % ub) : b == -1 ? 0 : a % b;
    return !as_fmod && !is_u64 && rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
  }
  case QN_OP_pow: return (int64_t)power(a, b);
  case QN_OP_min: return less ? a : b;
  default: return less ? b : a;
  }
}

qn_status qn_ref_binary(qn_ref *ref) {
  const qn_ref_tensor *a = qn_ref_operand(ref, 0), *b = qn_ref_operand(ref, 1);
  qn_op op = qn_node_get_op(ref->graph, ref->node);
  bool as_fmod = op == QN_OP_mod && qn_node_get_int(ref->graph, ref->node, "fmod") != 0;
  qn_ref_walk walk;
  if (a->dtype != b->dtype && op != QN_OP_pow)
    return qn_ref_fail(ref, QN_INVALID, "operands of types %s and %s", qn_dtype_name(a->dtype),
                       qn_dtype_name(b->dtype));
  if (a->dtype == QN_BOOL) return qn_ref_fail(ref, QN_INVALID, "arithmetic with bool");
  QN_TRY(qn_ref_broadcast(ref, ref->operands, 2, &walk));
  if (qn_dtype_is_float(a->dtype) || qn_dtype_is_float(b->dtype)) {
    const double *x, *y;
    QN_TRY(qn_ref_load(ref, a, &x));
    QN_TRY(qn_ref_load(ref, b, &y));
    double *to = qn_ref_doubles(ref, walk.count);
    if (!to) return QN_MEMORY;
    for (uint64_t i = 0; i < walk.count; i++, qn_ref_walk_next(&walk))
      to[i] = apply_floats(op, x[walk.offset[0]], y[walk.offset[1]], as_fmod);
    return qn_ref_store(ref, 0, a->dtype, walk.rank, walk.dims, to);
  }
  const int64_t *x, *y;
  QN_TRY(qn_ref_load_ints(ref, a, &x));
  QN_TRY(qn_ref_load_ints(ref, b, &y));
  int64_t *to = qn_ref_ints(ref, walk.count);
  if (!to) return QN_MEMORY;
  for (uint64_t i = 0; i < walk.count; i++, qn_ref_walk_next(&walk)) {
    int64_t divisor = y[walk.offset[1]];
    if (divisor == 0 && (op == QN_OP_div || op == QN_OP_mod))
      return qn_ref_fail(ref, QN_INVALID, "integer division by zero at element %llu", (unsigned long long)i);
    to[i] = apply_ints(op, x[walk.offset[0]], divisor, as_fmod, a->dtype == QN_U64);
  }
  return qn_ref_store_ints(ref, 0, a->dtype, walk.rank, walk.dims, to);
}

static bool compare(qn_op op, bool equal, bool less, bool greater) {
  switch (op) {
  case QN_OP_equal: return equal;
  case QN_OP_less: return less;
  case QN_OP_less_equal: return less || equal;
  case QN_OP_greater: return greater;
  default: return greater || equal;
  }
}

qn_status qn_ref_compare(qn_ref *ref) {
  const qn_ref_tensor *a = qn_ref_operand(ref, 0), *b = qn_ref_operand(ref, 1);
  qn_op op = qn_node_get_op(ref->graph, ref->node);
  qn_ref_walk walk;
  uint8_t *to;
  if (a->dtype != b->dtype)
    return qn_ref_fail(ref, QN_INVALID, "operands of types %s and %s", qn_dtype_name(a->dtype),
                       qn_dtype_name(b->dtype));
  QN_TRY(qn_ref_broadcast(ref, ref->operands, 2, &walk));
  QN_TRY(qn_ref_new(ref, 0, QN_BOOL, walk.rank, walk.dims, &to));
  if (qn_dtype_is_float(a->dtype)) {
    const double *x, *y;
    QN_TRY(qn_ref_load(ref, a, &x));
    QN_TRY(qn_ref_load(ref, b, &y));
    for (uint64_t i = 0; i < walk.count; i++, qn_ref_walk_next(&walk)) {
      double p = x[walk.offset[0]], q = y[walk.offset[1]];
      to[i] = compare(op, p == q, p<q, p> q);
    }
    return QN_OK;
  }
  const int64_t *x, *y;
  QN_TRY(qn_ref_load_ints(ref, a, &x));
  QN_TRY(qn_ref_load_ints(ref, b, &y));
  for (uint64_t i = 0; i < walk.count; i++, qn_ref_walk_next(&walk)) {
    int64_t p = x[walk.offset[0]], q = y[walk.offset[1]];
    bool less = a->dtype == QN_U64 ? (uint64_t)p < (uint64_t)q : p < q;
    to[i] = compare(op, p == q, less, !less && p != q);
  }
  return QN_OK;
}

qn_status qn_ref_logic(qn_ref *ref) {
  const qn_ref_tensor *a = qn_ref_operand(ref, 0), *b = qn_ref_operand(ref, 1);
  qn_op op = qn_node_get_op(ref->graph, ref->node);
  qn_ref_walk walk;
  uint8_t *to;
  if (a->dtype != QN_BOOL || b->dtype != QN_BOOL)
    return qn_ref_fail(ref, QN_INVALID, "operands of types %s and %s, expected bool", qn_dtype_name(a->dtype),
                       qn_dtype_name(b->dtype));
  QN_TRY(qn_ref_broadcast(ref, ref->operands, 2, &walk));
  QN_TRY(qn_ref_new(ref, 0, QN_BOOL, walk.rank, walk.dims, &to));
  for (uint64_t i = 0; i < walk.count; i++, qn_ref_walk_next(&walk)) {
    bool p = a->data[walk.offset[0]] != 0, q = b->data[walk.offset[1]] != 0;
    to[i] = op == QN_OP_and ? p && q : op == QN_OP_or ? p || q : p != q;
  }
  return QN_OK;
}

// --- clip, cast, where -------------------------------------------------------------------------------------

qn_status qn_ref_clip(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0), *low = qn_ref_operand(ref, 1),
                      *high = qn_ref_operand(ref, 2);
  if (qn_dtype_is_float(x->dtype)) {
    const double *from;
    double least = -INFINITY, greatest = INFINITY;
    if (low) QN_TRY(qn_ref_load_scalar(ref, low, &least));
    if (high) QN_TRY(qn_ref_load_scalar(ref, high, &greatest));
    QN_TRY(qn_ref_load(ref, x, &from));
    double *to = qn_ref_doubles(ref, x->count);
    if (!to) return QN_MEMORY;
    for (uint64_t i = 0; i < x->count; i++)
      to[i] = isnan(from[i])
                  ? from[i]
                  : apply_floats(QN_OP_min, apply_floats(QN_OP_max, from[i], least, false), greatest, false);
    return qn_ref_store(ref, 0, x->dtype, x->rank, x->dims, to);
  }
  const int64_t *from;
  int64_t least, greatest;
  bool is_u64 = x->dtype == QN_U64;
  qn_element_get_range(x->dtype, &least, &greatest);
  if (is_u64) least = 0, greatest = -1; // the bit pattern of the largest u64
  if (low) QN_TRY(qn_ref_load_int(ref, low, &least));
  if (high) QN_TRY(qn_ref_load_int(ref, high, &greatest));
  QN_TRY(qn_ref_load_ints(ref, x, &from));
  int64_t *to = qn_ref_ints(ref, x->count);
  if (!to) return QN_MEMORY;
  for (uint64_t i = 0; i < x->count; i++) {
    int64_t raised = apply_ints(QN_OP_max, from[i], least, false, is_u64);
    to[i] = apply_ints(QN_OP_min, raised, greatest, false, is_u64);
  }
  return qn_ref_store_ints(ref, 0, x->dtype, x->rank, x->dims, to);
}

// From the exact value to the target in one rounding. Integers wrap into narrower integers; floats are
// truncated and clamped (ONNX leaves what is out of range open).
qn_status qn_ref_cast(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0);
  qn_dtype to = qn_ref_held(ref, (qn_dtype)qn_node_get_int(ref->graph, ref->node, "to"));
  bool saturate = qn_node_get_int(ref->graph, ref->node, "saturate") != 0;
  uint8_t *data;
  if (x->dtype == to) return qn_ref_share(ref, 0, x, x->rank, x->dims);
  if (!qn_dtype_is_float(x->dtype) && !qn_dtype_is_float(to)) {
    const int64_t *from;
    QN_TRY(qn_ref_load_ints(ref, x, &from));
    return qn_ref_store_ints(ref, 0, to, x->rank, x->dims, from);
  }
  const double *from;
  QN_TRY(qn_ref_load(ref, x, &from));
  QN_TRY(qn_ref_new(ref, 0, to, x->rank, x->dims, &data));
  if (to == QN_F64 && x->dtype == QN_S64) { // the plane is rounded to odd
    for (uint64_t i = 0; i < x->count; i++) {
      int64_t element;
      memcpy(&element, x->data + i * sizeof(element), sizeof(element));
      memcpy(data + i * sizeof(double), &(double){ (double)element }, sizeof(double));
    }
    return QN_OK;
  }
  qn_elements_store(to, from, x->count, saturate, data);
  return QN_OK;
}

qn_status qn_ref_where(qn_ref *ref) {
  const qn_ref_tensor *condition = qn_ref_operand(ref, 0), *a = qn_ref_operand(ref, 1),
                      *b = qn_ref_operand(ref, 2);
  uint32_t size = qn_element_size(a->dtype);
  qn_ref_walk walk;
  uint8_t *to;
  if (condition->dtype != QN_BOOL || a->dtype != b->dtype)
    return qn_ref_fail(ref, QN_INVALID, "operands of types %s, %s and %s", qn_dtype_name(condition->dtype),
                       qn_dtype_name(a->dtype), qn_dtype_name(b->dtype));
  QN_TRY(qn_ref_broadcast(ref, ref->operands, 3, &walk));
  QN_TRY(qn_ref_new(ref, 0, a->dtype, walk.rank, walk.dims, &to));
  for (uint64_t i = 0; i < walk.count; i++, qn_ref_walk_next(&walk)) {
    bool chosen = condition->data[walk.offset[0]] != 0;
    const uint8_t *from = chosen ? a->data + walk.offset[1] * size : b->data + walk.offset[2] * size;
    memcpy(to + i * size, from, size);
  }
  return QN_OK;
}
