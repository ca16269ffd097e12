// From oneDNN Graph's operations to Quench's. Semantics: the operations' pages of oneDNN's developer guide.
#include "formats/onednn/onednn_priv.h"

#include <math.h>

// --- specials --------------------------------------------------------------------------------------------

// Shapes of the operands must agree unless they broadcast, as Quench's operations do anyhow.
static qn_status read_binary(qn_onednn_op *op, bool *out_read) {
  const char *broadcast = qn_onednn_get_text(op, "auto_broadcast", "numpy");
  *out_read = strcmp(broadcast, "numpy") == 0 || strcmp(broadcast, "none") == 0;
  return QN_OK;
}

// Rows in which nothing is finite are NaN, or zero in the mode inf_as_zero.
static qn_status read_softmax(qn_onednn_op *op, bool *out_read) {
  const char *mode = qn_onednn_get_text(op, "mode", "none");
  bool guarded = strcmp(mode, "inf_as_zero") == 0;
  qn_value softmax, nan, zero;
  *out_read = strcmp(mode, "none") == 0 || (guarded && qn_onednn_operand_type(op, 0).dtype == QN_F32);
  op->attrs[op->attr_count++] = (qn_attr){ .name = "axis", .i = qn_onednn_get_int(op, "axis", 1) };
  if (!*out_read || !guarded) return QN_OK;
  const float none = 0;
  QN_TRY(qn_onednn_add_node(op, "softmax", QN_OP_softmax, op->operands, 1, &op->attrs[0], &softmax));
  QN_TRY(qn_onednn_add_node(op, "nan", QN_OP_is_nan, &softmax, 1, NULL, &nan));
  QN_TRY(qn_onednn_add_const(op, "zero", QN_F32, 0, 1, &none, sizeof none, &zero));
  op->op = QN_OP_where;
  op->attr_count = 0;
  op->operands[0] = nan, op->operands[1] = zero, op->operands[2] = softmax;
  op->operand_count = 3;
  return QN_OK;
}

static qn_status transpose_last(qn_onednn_op *op, uint32_t index, const char *suffix, bool *out_read) {
  int32_t rank = qn_onednn_operand_type(op, index).rank;
  int64_t perm[QN_RANK_MAX];
  *out_read = rank >= 2;
  if (!*out_read) return QN_OK;
  for (int32_t d = 0; d < rank; d++) perm[d] = d < rank - 2 ? d : 2 * rank - 3 - d;
  return qn_onednn_add_node(op, suffix, QN_OP_transpose, &op->operands[index], 1,
                            &(qn_attr){ .name = "perm", .ints = perm, .length = (size_t)rank },
                            &op->operands[index]);
}

static qn_status read_matmul(qn_onednn_op *op, bool *out_read) {
  *out_read = true;
  if (qn_onednn_get_bool(op, "transpose_a", false)) QN_TRY(transpose_last(op, 0, "a", out_read));
  if (*out_read && qn_onednn_get_bool(op, "transpose_b", false)) QN_TRY(transpose_last(op, 1, "b", out_read));
  if (!*out_read || op->operand_count == 2) return QN_OK;
  qn_value product;
  QN_TRY(qn_onednn_add_node(op, "product", QN_OP_matmul, op->operands, 2, NULL, &product));
  op->op = QN_OP_add;
  op->operands[0] = product, op->operands[1] = op->operands[2];
  op->operand_count = 2;
  return QN_OK;
}

static qn_status read_transpose(qn_onednn_op *op, bool *out_read) {
  size_t count = 0;
  int32_t rank = qn_onednn_operand_type(op, 0).rank;
  *out_read = qn_onednn_get_ints(op, "order", op->ints, &count);
  for (size_t i = 0; i < count; i++)
    if (op->ints[i] < 0) op->ints[i] += rank;
  op->attrs[op->attr_count++] = (qn_attr){ .name = "perm", .ints = op->ints, .length = count };
  return QN_OK;
}

// A 0 copies the dim of the operand if special_zero, else it is an empty dim.
static qn_status read_reshape(qn_onednn_op *op, bool *out_read) {
  size_t count = 0;
  *out_read = qn_onednn_get_ints(op, "shape", op->ints, &count);
  if (!*out_read) return QN_OK;
  op->attrs[op->attr_count++] =
      (qn_attr){ .name = "allowzero", .i = !qn_onednn_get_bool(op, "special_zero", false) };
  op->operand_count = 2;
  return qn_onednn_add_const(op, "shape", QN_S64, 1, (int64_t)count, op->ints, count * sizeof *op->ints,
                             &op->operands[1]);
}

// The type is that of the result.
static qn_status read_cast(qn_onednn_op *op, bool *out_read) {
  qn_dtype to = qn_type_get_info(op->graph, op->type).dtype;
  *out_read = to != QN_ANY;
  op->attrs[op->attr_count++] = (qn_attr){ .name = "to", .i = to };
  return QN_OK;
}

static qn_status read_clamp(qn_onednn_op *op, bool *out_read) {
  const float ends[] = { (float)qn_onednn_get_float(op, "min", -INFINITY),
                         (float)qn_onednn_get_float(op, "max", INFINITY) };
  static const char *const NAMES[] = { "min", "max" };
  *out_read = qn_onednn_operand_type(op, 0).dtype == QN_F32;
  op->operand_count = 3;
  for (uint32_t i = 0; *out_read && i < 2; i++)
    QN_TRY(qn_onednn_add_const(op, NAMES[i], QN_F32, 0, 1, &ends[i], sizeof ends[i], &op->operands[1 + i]));
  return QN_OK;
}

static qn_status read_gelu(qn_onednn_op *op, bool *out_read) {
  const char *mode = qn_onednn_get_text(op, "mode", "gelu_erf");
  *out_read = strcmp(mode, "gelu_erf") == 0 || strcmp(mode, "gelu_tanh") == 0;
  op->attrs[op->attr_count++] =
      (qn_attr){ .name = "approximate", .text = strcmp(mode, "gelu_tanh") == 0 ? "tanh" : "none" };
  return QN_OK;
}

// --- the table -------------------------------------------------------------------------------------------

// clang-format off
// Sorted by kind.
static const qn_onednn_row rows[] = {
  { "Abs",               QN_OP_abs,           1, 1, "",                               NULL },
  { "Add",               QN_OP_add,           2, 2, "auto_broadcast",                 read_binary },
  { "Clamp",             QN_OP_clip,          1, 1, "min max",                        read_clamp },
  { "Dequantize",        QN_OP_dequantize,    1, 1, "qtype axis scales zps",          qn_onednn_dequantize },
  { "Divide",            QN_OP_div,           2, 2, "auto_broadcast",                 read_binary },
  { "DynamicDequantize", QN_OP_dequantize,    2, 3, "qtype axis",                     qn_onednn_dequantize },
  { "DynamicQuantize",   QN_OP_quantize,      2, 3, "qtype axis",                     qn_onednn_quantize },
  { "Exp",               QN_OP_exp,           1, 1, "",                               NULL },
  { "GELU",              QN_OP_gelu,          1, 1, "mode",                           read_gelu },
  { "GreaterEqual",      QN_OP_greater_equal, 2, 2, "auto_broadcast",                 read_binary },
  { "Log",               QN_OP_log,           1, 1, "",                               NULL },
  { "MatMul",            QN_OP_matmul,        2, 3, "transpose_a transpose_b",        read_matmul },
  { "Maximum",           QN_OP_max,           2, 2, "auto_broadcast",                 read_binary },
  { "Minimum",           QN_OP_min,           2, 2, "auto_broadcast",                 read_binary },
  { "Multiply",          QN_OP_mul,           2, 2, "auto_broadcast",                 read_binary },
  { "Quantize",          QN_OP_quantize,      1, 1, "qtype axis scales zps",          qn_onednn_quantize },
  { "ReLU",              QN_OP_relu,          1, 1, "",                               NULL },
  { "Reciprocal",        QN_OP_reciprocal,    1, 1, "",                               NULL },
  { "Reorder",           QN_OP_identity,      1, 1, "",                               NULL },
  { "Round",             QN_OP_round,         1, 1, "",                               NULL },
  { "Select",            QN_OP_where,         3, 3, "auto_broadcast",                 read_binary },
  { "Sigmoid",           QN_OP_sigmoid,       1, 1, "",                               NULL },
  { "SoftMax",           QN_OP_softmax,       1, 1, "axis mode",                      read_softmax },
  { "Sqrt",              QN_OP_sqrt,          1, 1, "",                               NULL },
  { "StaticReshape",     QN_OP_reshape,       1, 1, "shape special_zero",             read_reshape },
  { "StaticTranspose",   QN_OP_transpose,     1, 1, "order",                          read_transpose },
  { "Subtract",          QN_OP_sub,           2, 2, "auto_broadcast",                 read_binary },
  { "Tanh",              QN_OP_tanh,          1, 1, "",                               NULL },
  { "TypeCast",          QN_OP_cast,          1, 1, "",                               read_cast },
};
// clang-format on

const qn_onednn_row *qn_onednn_find(const char *kind) {
  for (size_t i = 0; i < QN_COUNT(rows); i++)
    if (strcmp(rows[i].kind, kind) == 0) return &rows[i];
  return NULL;
}
