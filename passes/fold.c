// Constant folding of what models compute although it is known: shapes (Shape, Gather, Concat, ... over static
// dims) and casts and arithmetic on constants of a few elements. Weights are never touched.
#include "ir/element_priv.h"
#include "ir/shape_priv.h"
#include "passes/pass_priv.h"

#include <math.h>

enum { ELEMENTS_MAX = 64 };

// --- values ------------------------------------------------------------------------------------------------

// A constant as numbers; exact, or it is not read.
typedef struct numbers {
  uint32_t count;
  double at[ELEMENTS_MAX];
} numbers;

static uint64_t count_elements(const qn_tensor *tensor) {
  uint64_t count = 1;
  for (int32_t i = 0; i < tensor->rank; i++)
    if (__builtin_mul_overflow(count, (uint64_t)tensor->dims[i], &count)) return UINT64_MAX;
  return count;
}

static bool encode(qn_dtype dtype, double value, uint64_t *out_bits) {
  if (qn_dtype_is_float(dtype)) return qn_element_encode(dtype, value, out_bits);
  uint32_t width = qn_dtype_bits(dtype);
  if (width == 0 || !(fabs(value) <= 9007199254740992.0)) return false;
  if (dtype == QN_BOOL) {
    *out_bits = value != 0;
    return true;
  }
  int64_t integer = (int64_t)value;
  double back;
  *out_bits = width == 64 ? (uint64_t)integer : (uint64_t)integer & ((1ull << width) - 1);
  uint8_t stored[8] = { 0 };
  qn_element_store(dtype, stored, 0, *out_bits);
  return qn_element_read(dtype, stored, 0, &back) &&
         back == trunc(value); // what does not fit is left to the run
}

static bool read_numbers(const qn_graph *graph, qn_value value, numbers *out) {
  const qn_tensor *tensor = qn_value_get_const(graph, value);
  if (!tensor || !tensor->data || count_elements(tensor) > ELEMENTS_MAX) return false;
  out->count = (uint32_t)count_elements(tensor);
  for (uint32_t i = 0; i < out->count; i++)
    if (!qn_element_read(tensor->dtype, tensor->data, i, &out->at[i])) return false;
  return true;
}

// --- arithmetic --------------------------------------------------------------------------------------------

// Computed in f64 and rounded once to the result's type. For + - * / and sqrt of types up to f32 that is the
// correctly rounded result, since 53 >= 2 * 24 + 2 bits.
static bool apply(qn_op op, const double *x, double *out) {
  switch (op) {
  case QN_OP_identity:
  case QN_OP_reshape:
  case QN_OP_flatten:
  case QN_OP_squeeze:
  case QN_OP_unsqueeze:
  case QN_OP_cast: *out = x[0]; return true;
  case QN_OP_neg: *out = -x[0]; return true;
  case QN_OP_abs: *out = fabs(x[0]); return true;
  case QN_OP_sqrt: *out = sqrt(x[0]); return true;
  case QN_OP_rsqrt: *out = 1 / sqrt(x[0]); return true;
  case QN_OP_reciprocal: *out = 1 / x[0]; return true;
  case QN_OP_floor: *out = floor(x[0]); return true;
  case QN_OP_ceil: *out = ceil(x[0]); return true;
  case QN_OP_add: *out = x[0] + x[1]; return true;
  case QN_OP_sub: *out = x[0] - x[1]; return true;
  case QN_OP_mul: *out = x[0] * x[1]; return true;
  case QN_OP_div: *out = x[0] / x[1]; return true;
  case QN_OP_pow: *out = pow(x[0], x[1]); return true;
  default: return false;
  }
}

// How many operands of an operation carry elements; the others (a shape, axes) only decide the result's type.
static uint32_t count_data_operands(qn_op op) {
  const qn_op_info *info = qn_op_get_info(op);
  return info->facts & (QN_FACT_VIEW) ? 1 : info->operand_min;
}

// The result type as a tensor without data; false unless it is small, constant and known.
static bool result_shape(const qn_graph *graph, qn_value result, qn_tensor *out) {
  qn_type_info type = qn_type_get_info(graph, qn_value_get_type(graph, result));
  if (type.rank == QN_RANK_UNKNOWN || qn_dtype_bits(type.dtype) == 0) return false;
  *out = (qn_tensor){ .dtype = type.dtype, .rank = type.rank };
  uint64_t count = 1;
  for (int32_t i = 0; i < type.rank; i++) {
    if (!qn_dim_is_const(graph, type.dims[i], &out->dims[i]) || out->dims[i] < 0 || out->dims[i] > ELEMENTS_MAX)
      return false;
    count *= (uint64_t)out->dims[i];
    if (count > ELEMENTS_MAX) return false;
  }
  out->bytes = qn_dtype_bytes(type.dtype, count);
  return true;
}

static bool fold_arithmetic(const qn_graph *graph, qn_node node, qn_tensor *shape, uint8_t *bytes) {
  qn_op op = qn_node_get_op(graph, node);
  double probe[2] = { 1, 1 }, ignored;
  if (!apply(op, probe, &ignored) || !result_shape(graph, qn_node_get_result(graph, node, 0), shape))
    return false;
  numbers operands[2];
  uint32_t data = count_data_operands(op);
  uint64_t count = count_elements(shape);
  for (uint32_t i = 0; i < data; i++) {
    if (!read_numbers(graph, qn_node_get_operand(graph, node, i), &operands[i])) return false;
    if (operands[i].count != 1 && operands[i].count != count) return false;
  }
  // Integer division truncates, and integer results beyond 2^53 would not be exact.
  bool integer = !qn_dtype_is_float(shape->dtype);
  if (integer && (op == QN_OP_pow || op == QN_OP_sqrt || op == QN_OP_reciprocal || op == QN_OP_rsqrt))
    return false;
  for (uint64_t i = 0; i < count; i++) {
    double x[2] = { 0, 0 }, y;
    for (uint32_t k = 0; k < data; k++) x[k] = operands[k].at[operands[k].count == 1 ? 0 : i];
    uint64_t bits;
    if (!apply(op, x, &y) || !encode(shape->dtype, integer ? trunc(y) : y, &bits)) return false;
    qn_element_store(shape->dtype, bytes, i, bits);
  }
  return true;
}

// What the shape rules know of the contents of small integer tensors.
static bool fold_shape(qn_graph *graph, qn_node node, qn_tensor *shape, uint8_t *bytes) {
  qn_value result = qn_node_get_result(graph, node, 0);
  if (!result_shape(graph, result, shape) || shape->rank > 1) return false;
  if (shape->dtype != QN_S64 && shape->dtype != QN_S32) return false;
  qn_dim dims[QN_SHAPE_VALUES_MAX];
  uint32_t count;
  if (!qn_shape_get_int_values(graph, result, dims, &count) || count != count_elements(shape)) return false;
  for (uint32_t i = 0; i < count; i++) {
    int64_t value;
    uint64_t bits;
    if (!qn_shape_is_const(graph, dims[i], &value) || !encode(shape->dtype, (double)value, &bits)) return false;
    qn_element_store(shape->dtype, bytes, i, bits);
  }
  return true;
}

// --- the pass ----------------------------------------------------------------------------------------------

static qn_status replace_by_const(qn_pipeline *pipeline, qn_node node, qn_tensor *tensor,
                                  const uint8_t *bytes) {
  tensor->data = bytes;
  qn_attr attr = { .name = "value", .tensor = tensor };
  qn_value value;
  QN_TRY(qn_graph_add(pipeline->graph,
                      qn_node_params(.op = QN_OP_const, .attrs = &attr, .attr_count = 1, .before = node),
                      &value));
  qn_node created = qn_value_get_node(pipeline->graph, value);
  return qn_pass_replace(pipeline, "fold", node, value, &created, 1);
}

qn_status qn_pass_fold(qn_pipeline *pipeline) {
  qn_graph *graph = pipeline->graph;
  for (qn_node node = qn_graph_get_first(graph), next; node; node = next) {
    next = qn_node_get_next(graph, node);
    const qn_op_info *info = qn_op_get_info(qn_node_get_op(graph, node));
    if ((info->facts & (QN_FACT_LEAF | QN_FACT_EFFECT)) || qn_node_get_result_count(graph, node) != 1) continue;
    qn_tensor shape;
    uint8_t bytes[ELEMENTS_MAX * 8] = { 0 };
    if (!fold_arithmetic(graph, node, &shape, bytes) && !fold_shape(graph, node, &shape, bytes)) continue;
    if (!qn_pass_spend(pipeline)) break;
    QN_TRY(replace_by_const(pipeline, node, &shape, bytes));
  }
  return QN_OK;
}
