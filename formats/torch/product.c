// Matrix products and softmax.
#include "formats/torch/torch_priv.h"

void qn_torch_read_matmul(qn_torch_reader *r) {
  qn_value a = qn_torch_value(r, "self"), b = qn_torch_value(r, "other");
  qn_type_info x = qn_torch_type(r, a), y = qn_torch_type(r, b);
  if (x.dtype != y.dtype)
    qn_torch_refuse(r, "the product of %s and %s", qn_dtype_name(x.dtype), qn_dtype_name(y.dtype));
  qn_torch_result(r, 0, qn_torch_binary(r, QN_OP_matmul, a, b));
}

// Sums of products of 8-bit integers, exact in s32.
void qn_torch_read_int_product(qn_torch_reader *r) {
  qn_value a = qn_torch_value(r, "self"), b = qn_torch_value(r, "mat2");
  qn_dtype x = qn_torch_type(r, a).dtype, y = qn_torch_type(r, b).dtype;
  if ((x != QN_S8 && x != QN_U8) || (y != QN_S8 && y != QN_U8))
    qn_torch_refuse(r, "the product of %s and %s", qn_dtype_name(x), qn_dtype_name(y));
  a = qn_torch_cast(r, a, QN_S32);
  b = qn_torch_cast(r, b, QN_S32);
  qn_torch_result(r, 0, qn_torch_binary(r, QN_OP_matmul, a, b));
}

// x weight^T + bias.
void qn_torch_read_linear(qn_torch_reader *r) {
  qn_value x = qn_torch_value(r, "self"), weight = qn_torch_value(r, "weight"),
           bias = qn_torch_value(r, "bias");
  qn_dtype dtype = qn_torch_type(r, x).dtype;
  if (qn_torch_type(r, weight).dtype != dtype || qn_torch_type(r, weight).rank != 2)
    qn_torch_refuse(r, "the weight is no matrix of type %s", qn_dtype_name(dtype));
  if (bias && dtype != QN_F32 && dtype != QN_F64)
    qn_torch_refuse(r, "a bias in %s, which is added before the product is rounded", qn_dtype_name(dtype));
  qn_value y = qn_torch_binary(r, QN_OP_matmul, x, qn_torch_transpose(r, weight, (int64_t[]){ 1, 0 }, 2));
  if (bias) y = qn_torch_binary(r, QN_OP_add, y, bias);
  qn_torch_result(r, 0, y);
}

// Of a row without a finite element softmax gives NaN, and _safe_softmax 0.
void qn_torch_read_softmax(qn_torch_reader *r) {
  qn_value x = qn_torch_value(r, "self");
  qn_type_info type = qn_torch_type(r, x);
  qn_dtype to = qn_torch_dtype_arg(r, "dtype", type.dtype);
  int64_t axis = qn_torch_axis(r, qn_torch_int(r, "dim", -1), type.rank);
  if (qn_torch_int(r, "half_to_float", 0)) to = QN_F32;
  if (!qn_dtype_is_float(to)) qn_torch_refuse(r, "of elements of type %s", qn_dtype_name(to));
  qn_attr attr = { .name = "axis", .i = axis - type.rank };
  x = qn_torch_cast(r, x, to);
  qn_value y = qn_torch_add(
      r,
      qn_node_params(.op = QN_OP_softmax, .operands = &x, .operand_count = 1, .attrs = &attr, .attr_count = 1),
      NULL);
  if (r->row->op) {
    qn_value operands[3] = { qn_torch_unary(r, QN_OP_is_nan, y), qn_torch_scalar(r, to, 0), y };
    y = qn_torch_add(r, qn_node_params(.op = QN_OP_where, .operands = operands, .operand_count = 3), NULL);
  }
  qn_torch_result(r, 0, y);
}
