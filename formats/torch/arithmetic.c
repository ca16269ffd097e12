// Elementwise operations and reductions, with PyTorch's promotion of types.
//
// PyTorch computes f16 and bf16 in f32 and rounds once. An own operation on operands of such a type does the
// same, so they stay as they are where both have the result's type. A Python number, or a tensor of rank 0,
// does not promote and is not rounded to the narrow type either: then the operation is in f32 and a cast
// follows.
#include "formats/torch/torch_priv.h"
#include "ir/element_priv.h"

// --- promotion ---------------------------------------------------------------------------------------------

enum { NUMBER, SCALAR, TENSOR, CLASSES }; // of operands: a Python number, rank 0, any other

// By convention a constant of rank 0 in f64, s64 or bool is a Python number.
static int class_of(const qn_torch_reader *r, qn_value x) {
  qn_type_info type = qn_torch_type(r, x);
  if (type.rank != 0) return TENSOR;
  bool number = type.dtype == QN_F64 || type.dtype == QN_S64 || type.dtype == QN_BOOL;
  return number && qn_value_get_const(r->graph, x) ? NUMBER : SCALAR;
}

static bool is_half(qn_dtype dtype) {
  return dtype == QN_F16 || dtype == QN_BF16;
}

// 0 bool, 1 integer, 2 float.
static int category(qn_dtype dtype) {
  return dtype == QN_BOOL ? 0 : qn_dtype_is_integer(dtype) ? 1 : 2;
}

// The type of two; QN_ANY where PyTorch has none.
static qn_dtype promote_types(qn_dtype a, qn_dtype b) {
  if (a == b || b == QN_ANY) return a;
  if (a == QN_ANY) return b;
  if (category(a) != category(b)) return category(a) > category(b) ? a : b;
  uint32_t x = qn_dtype_bits(a), y = qn_dtype_bits(b);
  if (category(a) == 2) {
    if (x < 16 || y < 16) return QN_ANY; // FP8 does not promote
    return is_half(a) && is_half(b) ? QN_F32 : x > y ? a : b;
  }
  static const qn_dtype wider[] = { QN_S16, QN_S32, QN_S64 }; // of u8 and s8: s16
  bool one_signed = (a == QN_U8) != (b == QN_U8);
  if (one_signed && x == y) return wider[0];
  if (a == QN_U16 || a == QN_U32 || a == QN_U64 || b == QN_U16 || b == QN_U32 || b == QN_U64) return QN_ANY;
  return x > y ? a : b;
}

// A class of higher rank decides, unless a lower one has a type of a higher category.
static qn_dtype combine(qn_dtype higher, qn_dtype lower) {
  if (higher == QN_ANY || lower == QN_ANY) return higher == QN_ANY ? lower : higher;
  if (category(higher) == 2) return higher;
  if (higher == QN_BOOL || category(lower) == 2) return promote_types(higher, lower);
  return higher;
}

static qn_dtype result_type(const qn_torch_reader *r, const qn_value *x, uint32_t count) {
  qn_dtype of[CLASSES] = { QN_ANY, QN_ANY, QN_ANY };
  for (uint32_t i = 0; i < count; i++) {
    int class = class_of(r, x[i]);
    qn_dtype dtype = qn_torch_type(r, x[i]).dtype;
    if (dtype == QN_ANY) return QN_ANY;
    if (class == NUMBER && dtype == QN_F64) dtype = QN_F32; // the default type of a float
    if (of[class] != QN_ANY && promote_types(of[class], dtype) == QN_ANY) return QN_ANY;
    of[class] = promote_types(of[class], dtype);
  }
  return combine(of[TENSOR], combine(of[SCALAR], of[NUMBER]));
}

// Whether an operand goes into a computation in `type` without a loss that PyTorch does not have.
static bool fits(const qn_torch_reader *r, qn_value x, qn_dtype type) {
  double number;
  uint64_t bits;
  qn_dtype dtype = qn_torch_type(r, x).dtype;
  if (dtype == type || class_of(r, x) == TENSOR) return true;
  if (class_of(r, x) == NUMBER && qn_torch_constant(r->graph, x, &number))
    return qn_element_encode(type, number, &bits) && qn_element_decode(type, bits) == number;
  return category(dtype) < 2;
}

// The operand in the type of the computation. A number is rounded to it once.
static qn_value convert(qn_torch_reader *r, qn_value x, qn_dtype type, qn_dtype result) {
  double number;
  if (class_of(r, x) == NUMBER && qn_torch_constant(r->graph, x, &number))
    return qn_torch_scalar(r, type, number);
  if (class_of(r, x) == TENSOR && type != result) x = qn_torch_cast(r, x, result);
  return qn_torch_cast(r, x, type);
}

// The type in which `count` operands are computed; QN_ANY after a refusal.
static qn_dtype compute_type(qn_torch_reader *r, const qn_value *x, uint32_t count, qn_dtype result) {
  qn_dtype type = result;
  if (result == QN_ANY || (category(result) == 2 && qn_dtype_bits(result) < 16)) {
    qn_torch_refuse(r, "element types without promotion");
    return QN_ANY;
  }
  for (uint32_t i = 0; i < count && is_half(type); i++)
    if (!fits(r, x[i], type)) type = QN_F32;
  return type;
}

qn_torch_promoted qn_torch_promote(qn_torch_reader *r, qn_value a, qn_value b, bool divides) {
  qn_torch_promoted out = { .at = { a, b } };
  out.result = result_type(r, out.at, 2);
  if (divides && out.result != QN_ANY && category(out.result) < 2) out.result = QN_F32;
  qn_dtype type = compute_type(r, out.at, 2, out.result);
  if (r->status != QN_OK) return out;
  for (int i = 0; i < 2; i++) out.at[i] = convert(r, out.at[i], type, out.result);
  return out;
}

// --- elementwise -------------------------------------------------------------------------------------------

void qn_torch_read_binary(qn_torch_reader *r) {
  qn_op op = (qn_op)r->row->op;
  if (qn_torch_float(r, "alpha", 1) != 1) qn_torch_refuse(r, "alpha is %g", qn_torch_float(r, "alpha", 1));
  qn_torch_promoted p =
      qn_torch_promote(r, qn_torch_value(r, "self"), qn_torch_value(r, "other"), op == QN_OP_div);
  if (op == QN_OP_pow && category(p.result) < 2) qn_torch_refuse(r, "a power of integers");
  qn_torch_result(r, 0, qn_torch_cast(r, qn_torch_binary(r, op, p.at[0], p.at[1]), p.result));
}

void qn_torch_read_compare(qn_torch_reader *r) {
  qn_torch_promoted p = qn_torch_promote(r, qn_torch_value(r, "self"), qn_torch_value(r, "other"), false);
  qn_torch_result(r, 0, qn_torch_binary(r, (qn_op)r->row->op, p.at[0], p.at[1]));
}

void qn_torch_read_unary(qn_torch_reader *r) {
  qn_value x = qn_torch_value(r, "self");
  qn_dtype dtype = qn_torch_type(r, x).dtype;
  bool any = r->row->op == QN_OP_neg || r->row->op == QN_OP_abs || r->row->op == QN_OP_relu;
  if (!qn_dtype_is_float(dtype) && !(any && qn_dtype_is_integer(dtype)))
    qn_torch_refuse(r, "of elements of type %s", qn_dtype_name(dtype));
  qn_torch_result(r, 0, qn_torch_unary(r, (qn_op)r->row->op, x));
}

void qn_torch_read_exp2(qn_torch_reader *r) {
  qn_value x = qn_torch_value(r, "self");
  qn_dtype dtype = qn_torch_type(r, x).dtype;
  if (!qn_dtype_is_float(dtype)) qn_torch_refuse(r, "of elements of type %s", qn_dtype_name(dtype));
  qn_torch_result(r, 0, qn_torch_binary(r, QN_OP_pow, qn_torch_scalar(r, dtype, 2), x));
}

static qn_value as_bool(qn_torch_reader *r, qn_value x) {
  return qn_torch_cast(r, x, QN_BOOL);
}

void qn_torch_read_logic(qn_torch_reader *r) {
  qn_value x = as_bool(r, qn_torch_value(r, "self"));
  qn_torch_result(r, 0,
                  r->row->op == QN_OP_not
                      ? qn_torch_unary(r, QN_OP_not, x)
                      : qn_torch_binary(r, (qn_op)r->row->op, x, as_bool(r, qn_torch_value(r, "other"))));
}

void qn_torch_read_where(qn_torch_reader *r) {
  qn_torch_promoted p = qn_torch_promote(r, qn_torch_value(r, "self"), qn_torch_value(r, "other"), false);
  qn_value operands[3] = { qn_torch_value(r, "condition"), p.at[0], p.at[1] };
  if (qn_torch_type(r, operands[0]).dtype != QN_BOOL) qn_torch_refuse(r, "the condition is not bool");
  qn_value y =
      qn_torch_add(r, qn_node_params(.op = QN_OP_where, .operands = operands, .operand_count = 3), NULL);
  qn_torch_result(r, 0, qn_torch_cast(r, y, p.result));
}

// min(max(x, min), max). Bounds of one element that the type has are those of `clip`; others are compared with.
void qn_torch_read_clamp(qn_torch_reader *r) {
  qn_value operands[3] = { qn_torch_value(r, "self") }, given[3] = { operands[0] };
  uint32_t count = 1;
  const char *names[2] = { "min", "max" };
  bool clips = true;
  for (int i = 0; i < 2; i++) {
    if (!qn_torch_has(r, names[i])) continue;
    given[count++] = qn_torch_value(r, names[i]);
    clips &= class_of(r, qn_torch_value(r, names[i])) != TENSOR;
  }
  if (count == 1) qn_torch_refuse(r, "no bound is given");
  qn_dtype result = result_type(r, given, count), type = compute_type(r, given, count, result);
  if (r->status != QN_OK) return;
  operands[0] = convert(r, operands[0], type, result);
  for (int i = 0; i < 2; i++) {
    qn_value bound = qn_torch_value(r, names[i]);
    if (!bound) continue;
    operands[1 + i] = convert(r, bound, type, result);
    if (!clips) operands[0] = qn_torch_binary(r, i ? QN_OP_min : QN_OP_max, operands[0], operands[1 + i]);
  }
  qn_value y = operands[0];
  if (clips)
    y = qn_torch_add(
        r, qn_node_params(.op = QN_OP_clip, .operands = operands, .operand_count = operands[2] ? 3 : 2), NULL);
  qn_torch_result(r, 0, qn_torch_cast(r, y, result));
}

// --- casts -------------------------------------------------------------------------------------------------

static void read_cast(qn_torch_reader *r, qn_value x, qn_dtype to) {
  qn_dtype from = qn_torch_type(r, x).dtype;
  if (to == QN_E8M0 || from == QN_E8M0) qn_torch_refuse(r, "casts of e8m0 round in a way of their own");
  if (to == QN_ANY) qn_torch_refuse(r, "the element type is not known");
  qn_torch_result(r, 0, from == to ? qn_torch_unary(r, QN_OP_identity, x) : qn_torch_cast(r, x, to));
}

void qn_torch_read_cast(qn_torch_reader *r) {
  qn_value x = r->args[0].value;
  read_cast(r, x, qn_torch_dtype_arg(r, "dtype", qn_torch_type(r, x).dtype));
}

void qn_torch_read_cast_like(qn_torch_reader *r) {
  read_cast(r, qn_torch_value(r, "self"), qn_torch_type(r, qn_torch_value(r, "other")).dtype);
}

// --- reductions --------------------------------------------------------------------------------------------

static qn_value reduce(qn_torch_reader *r, qn_op op, qn_value x, qn_value axes, bool keepdims) {
  qn_attr attr = { .name = "keepdims", .i = keepdims };
  return qn_torch_add(r,
                      qn_node_params(.op = op, .operands = (qn_value[]){ x, axes },
                                     .operand_count = axes ? 2 : 1, .attrs = &attr, .attr_count = 1),
                      NULL);
}

void qn_torch_read_reduce(qn_torch_reader *r) {
  qn_value x = qn_torch_value(r, "self"), axes = qn_torch_value(r, "dim");
  qn_op op = (qn_op)r->row->op;
  int64_t dims[QN_TORCH_INTS_MAX];
  uint32_t count = 0;
  bool adds = op == QN_OP_reduce_sum || op == QN_OP_reduce_mean;
  if (axes && !qn_torch_ints(r, "dim", dims, &count)) qn_torch_refuse(r, "dims are no constants");
  qn_dtype of = qn_torch_type(r, x).dtype, to = of;
  if (adds) to = qn_torch_dtype_arg(r, "dtype", qn_dtype_is_float(of) ? of : QN_S64);
  if (op == QN_OP_reduce_mean && !qn_dtype_is_float(to)) qn_torch_refuse(r, "a mean of %s", qn_dtype_name(to));
  if (of == QN_ANY || (qn_dtype_is_float(of) && qn_dtype_bits(of) < 16))
    qn_torch_refuse(r, "of elements of type %s", qn_dtype_name(of));
  qn_value y = reduce(r, op, qn_torch_cast(r, x, to), count ? axes : QN_NONE, qn_torch_int(r, "keepdim", 0));
  qn_torch_result(r, 0, y);
}

// The largest of 0 and 1.
void qn_torch_read_any(qn_torch_reader *r) {
  int64_t axis = qn_torch_int(r, "dim", 0);
  qn_value x = qn_torch_cast(r, as_bool(r, qn_torch_value(r, "self")), QN_S32);
  qn_value y = reduce(r, QN_OP_reduce_max, x, qn_torch_int_list(r, &axis, 1), qn_torch_int(r, "keepdim", 0));
  qn_torch_result(r, 0, as_bool(r, y));
}
