// ONNX element types, dims and tensor types as Quench's.
#include "formats/onnx/onnx_priv.h"

qn_dtype qn_onnx_dtype(int64_t data_type) {
  static const uint8_t table[] = {
    [ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT] = QN_F32,
    [ONNX__TENSOR_PROTO__DATA_TYPE__UINT8] = QN_U8,
    [ONNX__TENSOR_PROTO__DATA_TYPE__INT8] = QN_S8,
    [ONNX__TENSOR_PROTO__DATA_TYPE__UINT16] = QN_U16,
    [ONNX__TENSOR_PROTO__DATA_TYPE__INT16] = QN_S16,
    [ONNX__TENSOR_PROTO__DATA_TYPE__INT32] = QN_S32,
    [ONNX__TENSOR_PROTO__DATA_TYPE__INT64] = QN_S64,
    [ONNX__TENSOR_PROTO__DATA_TYPE__STRING] = QN_STRING,
    [ONNX__TENSOR_PROTO__DATA_TYPE__BOOL] = QN_BOOL,
    [ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16] = QN_F16,
    [ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE] = QN_F64,
    [ONNX__TENSOR_PROTO__DATA_TYPE__UINT32] = QN_U32,
    [ONNX__TENSOR_PROTO__DATA_TYPE__UINT64] = QN_U64,
    [ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16] = QN_BF16,
    [ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT8E4M3FN] = QN_E4M3,
    [ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT8E4M3FNUZ] = QN_E4M3FNUZ,
    [ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT8E5M2] = QN_E5M2,
    [ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT8E5M2FNUZ] = QN_E5M2FNUZ,
    [ONNX__TENSOR_PROTO__DATA_TYPE__UINT4] = QN_U4,
    [ONNX__TENSOR_PROTO__DATA_TYPE__INT4] = QN_S4,
    [ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT4E2M1] = QN_E2M1,
    [ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT8E8M0] = QN_E8M0,
  };
  static_assert(QN_ANY == 0, "types without a row are QN_ANY");
  return data_type >= 0 && data_type < (int64_t)QN_COUNT(table) ? (qn_dtype)table[data_type] : QN_ANY;
}

static bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
}

// One factor of `2*batch*S`: a number or a name. Moves `*text` behind it.
static bool read_factor(qn_graph *graph, const char **text, qn_dim *out_dim) {
  const char *start = *text, *end = start;
  while (is_name_byte(*end)) end++;
  if (end == start) return false;
  *text = end;
  if (*start < '0' || *start > '9') {
    *out_dim = qn_dim_symbol(graph, start, (size_t)(end - start));
    return true;
  }
  int64_t value = 0;
  for (const char *c = start; c < end; c++) {
    if (*c < '0' || *c > '9' || value > (1 << 30)) return false;
    value = value * 10 + (*c - '0');
  }
  *out_dim = qn_dim_const(graph, value);
  return true;
}

// Exporters write sums and products of symbols as text. Reading those makes them equal to what shape inference
// finds; anything else (`Min(48, S)`, `(B*S)//B`) is a symbol of that name.
static bool read_expression(qn_graph *graph, const char *text, qn_dim *out_dim) {
  qn_dim sum = 0;
  for (bool first = true;; first = false) {
    qn_dim product = 0, factor;
    if (!read_factor(graph, &text, &product)) return false;
    while (*text == '*') {
      text++;
      if (!read_factor(graph, &text, &factor)) return false;
      product = qn_dim_mul(graph, product, factor);
    }
    sum = first ? product : qn_dim_add(graph, sum, product);
    while (*text == ' ') text++;
    if (*text == 0) break;
    if (*text++ != '+') return false;
    while (*text == ' ') text++;
  }
  *out_dim = sum;
  return true;
}

qn_dim qn_onnx_dim_param(qn_graph *graph, const char *text) {
  size_t length = strlen(text);
  if (!length) return qn_dim_fresh(graph);
  // Only texts that are wholly in the small grammar make symbols of their parts.
  for (const char *c = text; *c; c++) {
    if (!is_name_byte(*c) && !strchr("*+ ", *c)) return qn_dim_symbol(graph, text, length);
  }
  // ONNX's own shape inference numbers what it knows nothing of; such a name must not stand in the way of ours.
  if (strncmp(text, "unk__", 5) == 0) return qn_dim_fresh(graph);
  qn_dim dim;
  return read_expression(graph, text, &dim) ? dim : qn_dim_symbol(graph, text, length);
}

qn_type qn_onnx_type(qn_graph *graph, const pb_type *type) {
  if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !type->tensor_type) return 0;
  qn_dtype dtype = qn_onnx_dtype(type->tensor_type->elem_type);
  const Onnx__TensorShapeProto *shape = type->tensor_type->shape;
  if (!shape) return qn_type_get(graph, dtype, QN_RANK_UNKNOWN, NULL);
  if (shape->n_dim > QN_RANK_MAX) return 0;
  qn_dim dims[QN_RANK_MAX];
  for (size_t i = 0; i < shape->n_dim; i++) {
    const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
    if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE && dim->dim_value >= 0)
      dims[i] = qn_dim_const(graph, dim->dim_value);
    else if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM)
      dims[i] = qn_onnx_dim_param(graph, qn_onnx_text(dim->dim_param));
    else
      dims[i] = qn_dim_fresh(graph);
  }
  return qn_type_get(graph, dtype, (int32_t)shape->n_dim, dims);
}
