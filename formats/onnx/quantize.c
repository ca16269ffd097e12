// QuantizeLinear and DequantizeLinear of all versions as schemes: everything that decides the bytes.
#include "formats/onnx/onnx_priv.h"

// The row that codes of a type start from, for each granularity. QN_SCHEME_none: no row.
static qn_scheme_family find_family(qn_dtype target, qn_granularity granularity) {
  bool group = granularity == QN_PER_GROUP, channel = granularity == QN_PER_CHANNEL;
  switch (target) {
  case QN_E4M3:
  case QN_E5M2:
  case QN_E4M3FNUZ:
  case QN_E5M2FNUZ: return group ? QN_SCHEME_fp8_block : channel ? QN_SCHEME_fp8_channel : QN_SCHEME_fp8_static;
  case QN_S8:
  case QN_U8:
  case QN_S32: // biases: only ever dequantized
    return group ? QN_SCHEME_int8_block : channel ? QN_SCHEME_int8_channel : QN_SCHEME_int8_static;
  case QN_S4:
  case QN_U4: return group ? QN_SCHEME_int4_block : QN_SCHEME_int4_static;
  case QN_S16:
  case QN_U16: return QN_SCHEME_int16_static;
  case QN_E2M1: return QN_SCHEME_fp4_block;
  default: return QN_SCHEME_none;
  }
}

// One element or no rank is a scale for the tensor, one rank a scale for each index of the axis.
static bool find_granularity(qn_onnx_importer *im, qn_type_info scale, int64_t block_size,
                             qn_granularity *out_granularity) {
  int64_t length = 0;
  if (block_size)
    *out_granularity = QN_PER_GROUP;
  else if (scale.rank == 0)
    *out_granularity = QN_PER_TENSOR;
  else if (scale.rank == 1) {
    bool one = qn_dim_is_const(im->graph, scale.dims[0], &length) && length == 1;
    *out_granularity = one ? QN_PER_TENSOR : QN_PER_CHANNEL;
  } else {
    return false;
  }
  return true;
}

// What both directions share. `precision` is the type that the quotient is rounded to, QN_ANY if the node does
// not say: then it is the scale's.
static bool make_scheme(qn_onnx_importer *im, qn_dtype target, qn_dtype precision, qn_scheme *out_scheme) {
  const pb_node *node = im->item->node;
  qn_type_info scale = qn_onnx_operand_type(im, 1);
  int64_t block_size = qn_onnx_attr_int(node, "block_size", 0);
  qn_granularity granularity = QN_PER_TENSOR;
  if (block_size < 0 || block_size > UINT16_MAX || !find_granularity(im, scale, block_size, &granularity))
    return false;
  qn_scheme_family family = find_family(target, granularity);
  if (family == QN_SCHEME_none || !qn_dtype_is_float(scale.dtype)) return false;

  qn_scheme scheme = qn_scheme_of(family);
  scheme.target = (uint8_t)target;
  scheme.granularity = (uint8_t)granularity;
  scheme.scale_dtype = (uint8_t)scale.dtype;
  scheme.group = (uint16_t)block_size;
  scheme.zero_point = qn_onnx_get_operand(im, 2) != QN_NONE;
  if (precision == QN_ANY) precision = scale.dtype;
  scheme.compute = precision == QN_F16 || precision == QN_BF16 ? (uint8_t)precision : QN_F32;
  if (granularity == QN_PER_TENSOR) {
    scheme.axis = qn_scheme_of(QN_SCHEME_fp8_static).axis;
  } else { // counted from the end where the rank is known, so that equal axes are equal numbers
    int64_t axis = qn_onnx_attr_int(node, "axis", 1);
    int32_t rank = qn_onnx_operand_type(im, 0).rank;
    if (rank != QN_RANK_UNKNOWN && axis >= 0) axis -= rank;
    if (axis < -QN_RANK_MAX || axis > QN_RANK_MAX) return false;
    scheme.axis = (int32_t)axis;
  }
  *out_scheme = scheme;
  return true;
}

// Whether a value is a constant of zeros, or a cast of one, as exporters write a zero point of FP8.
static bool is_zero(const qn_graph *graph, qn_value value) {
  qn_node node = value ? qn_value_get_node(graph, value) : QN_NONE;
  if (node && qn_node_get_op(graph, node) == QN_OP_cast) value = qn_node_get_operand(graph, node, 0);
  const qn_tensor *constant = value ? qn_value_get_const(graph, value) : NULL;
  if (!constant || !constant->data) return false;
  const uint8_t *bytes = constant->data;
  for (uint64_t i = 0; i < constant->bytes; i++) {
    if (bytes[i]) return false;
  }
  return true;
}

// FP8 and FP4 have no zero point; ONNX uses the operand to tell the type. One that is constant zero goes away, and so
// does one of integers, to which it adds nothing.
static void drop_zero_point(qn_onnx_importer *im) {
  if (is_zero(im->graph, qn_onnx_get_operand(im, 2))) im->operand_count = 2;
}

static qn_dtype attr_dtype(const pb_node *node, const char *name) {
  return qn_onnx_dtype(qn_onnx_attr_int(node, name, 0));
}

qn_status qn_onnx_special_quantize(qn_onnx_importer *im, bool *out_read) {
  const pb_node *node = im->item->node;
  qn_dtype output = attr_dtype(node, "output_dtype");
  qn_dtype target = qn_onnx_get_operand(im, 2) ? qn_onnx_operand_type(im, 2).dtype : output;
  if (!qn_onnx_get_operand(im, 2) && !qn_onnx_attr_int(node, "output_dtype", 0)) target = QN_U8;
  if (target == QN_ANY) target = output != QN_ANY ? output : qn_onnx_result_type(im, 0).dtype;
  drop_zero_point(im);
  qn_scheme scheme;
  *out_read = im->operand_count >= 2 && target != QN_S32 &&
              make_scheme(im, target, attr_dtype(node, "precision"), &scheme);
  if (!*out_read) return QN_OK;
  bool fp8 = scheme.family >= QN_SCHEME_fp8_static && scheme.family <= QN_SCHEME_fp8_block;
  if (fp8) scheme.saturate = qn_onnx_attr_int(node, "saturate", 1) != 0; // integers and FP4 always do
  qn_onnx_set_scheme(im, "scheme", &scheme);
  return QN_OK;
}

qn_status qn_onnx_special_dequantize(qn_onnx_importer *im, bool *out_read) {
  const pb_node *node = im->item->node;
  qn_dtype target = qn_onnx_operand_type(im, 0).dtype;
  if (target == QN_ANY) target = qn_onnx_operand_type(im, 2).dtype;
  qn_dtype to = qn_onnx_attr_int(node, "output_dtype", 0) ? attr_dtype(node, "output_dtype")
                                                          : qn_onnx_operand_type(im, 1).dtype;
  drop_zero_point(im);
  qn_scheme scheme;
  *out_read = im->operand_count >= 2 && (to == QN_F32 || to == QN_F16 || to == QN_BF16) &&
              make_scheme(im, target, QN_ANY, &scheme);
  if (!*out_read) return QN_OK;
  qn_onnx_set_scheme(im, "scheme", &scheme);
  qn_onnx_set_int(im, "to", to);
  return QN_OK;
}

qn_status qn_onnx_special_dynamic_quantize(qn_onnx_importer *im, bool *out_read) {
  *out_read = im->operand_count == 1;
  qn_scheme scheme = qn_scheme_of(QN_SCHEME_int8_dynamic);
  qn_onnx_set_scheme(im, "scheme", &scheme);
  return QN_OK;
}
