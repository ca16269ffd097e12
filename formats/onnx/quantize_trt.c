// TensorRT's quantizers, which ModelOpt exports: in the domain `trt`, or in none where it was stripped.
// Semantics: the operators DynamicQuantize, Quantize and Dequantize and "Quantized Types and Schemes" of
// TensorRT's documentation. Zero blocks are not spoken of there: their codes are 0.
#include "formats/onnx/onnx_priv.h"

// The axis counted from the end, of a tensor whose rank may be unknown. False: it is outside.
static bool find_axis(qn_onnx_importer *im, int32_t *out_axis) {
  int64_t axis = qn_onnx_attr_int(im->item->node, "axis", -1);
  int32_t rank = qn_onnx_operand_type(im, 0).rank;
  if (rank != QN_RANK_UNKNOWN && axis >= 0) axis -= rank;
  if (axis < -QN_RANK_MAX || axis > QN_RANK_MAX) return false;
  *out_axis = (int32_t)axis;
  return true;
}

// What the operations with blocks share: block size, axis, and the types that their attributes may name.
static bool read_blocks(qn_onnx_importer *im, qn_scheme *scheme, const char *type_name, qn_dtype type) {
  const pb_node *node = im->item->node;
  int64_t block = qn_onnx_attr_int(node, "block_size", scheme->group);
  int64_t named = qn_onnx_attr_int(node, type_name, 0);
  scheme->group = (uint16_t)block;
  return block == scheme->group && block > 0 && (named == 0 || qn_onnx_dtype(named) == type) &&
         find_axis(im, &scheme->axis);
}

// One scale for the tensor in the type of x; the quotient is rounded to it.
static bool make_static(qn_dtype scale, qn_scheme *out_scheme) {
  *out_scheme = qn_scheme_of(QN_SCHEME_fp8_static);
  if (scale != QN_F32 && scale != QN_F16 && scale != QN_BF16) return false;
  out_scheme->scale_dtype = (uint8_t)scale;
  out_scheme->compute = (uint8_t)scale;
  return true;
}

qn_status qn_onnx_special_trt_fp8_quantize(qn_onnx_importer *im, bool *out_read) {
  qn_scheme scheme;
  *out_read = im->operand_count == 2 && make_static(qn_onnx_operand_type(im, 1).dtype, &scheme);
  if (*out_read) qn_onnx_set_scheme(im, "scheme", &scheme);
  return QN_OK;
}

qn_status qn_onnx_special_trt_fp8_dequantize(qn_onnx_importer *im, bool *out_read) {
  qn_dtype scale = qn_onnx_operand_type(im, 1).dtype;
  qn_scheme scheme;
  *out_read = im->operand_count == 2 && make_static(scale, &scheme);
  if (!*out_read) return QN_OK;
  scheme.compute = QN_F32;
  qn_onnx_set_scheme(im, "scheme", &scheme);
  qn_onnx_set_int(im, "to", scale);
  return QN_OK;
}

// Scales of blocks are quantized with a scale of their own, by which they are divided.
qn_status qn_onnx_special_trt_fp4_quantize(qn_onnx_importer *im, bool *out_read) {
  qn_scheme scheme = qn_scheme_of(QN_SCHEME_nvfp4);
  scheme.scale_layout = QN_SCALES_ROW;
  scheme.global = QN_GLOBAL_DIVISOR;
  scheme.rule = QN_RULE_DIVIDE;
  scheme.arithmetic = QN_DIVIDE;
  *out_read = im->operand_count == 2 && qn_onnx_operand_type(im, 1).dtype == QN_F32 &&
              read_blocks(im, &scheme, "scale_type", QN_E4M3);
  if (*out_read) qn_onnx_set_scheme(im, "scheme", &scheme);
  return QN_OK;
}

// The scale is rounded up to a power of two, so that no code overflows. It travels as bytes.
qn_status qn_onnx_special_trt_mxfp8_quantize(qn_onnx_importer *im, bool *out_read) {
  qn_scheme scheme = qn_scheme_of(QN_SCHEME_mxfp8);
  scheme.rule = QN_RULE_UP;
  *out_read = im->operand_count == 1 && read_blocks(im, &scheme, "output_dtype", QN_E4M3);
  if (*out_read) qn_onnx_set_scheme(im, "scheme", &scheme);
  return QN_OK;
}

// A constant of bytes under the type that its operation gives it. The bytes stay where they are.
static qn_status retype_constant(qn_onnx_importer *im, uint32_t index, qn_dtype dtype) {
  qn_value value = qn_onnx_get_operand(im, index);
  const qn_tensor *bytes = value ? qn_value_get_const(im->graph, value) : NULL;
  if (!bytes || bytes->dtype != QN_U8) return QN_OK;
  qn_tensor retyped = *bytes;
  retyped.dtype = dtype;
  QN_TRY(qn_onnx_add_const(im, "scale", &retyped, &value));
  return qn_onnx_set_operand(im, index, value);
}

qn_status qn_onnx_special_trt_mxfp8_dequantize(qn_onnx_importer *im, bool *out_read) {
  qn_dtype to = qn_onnx_dtype(qn_onnx_attr_int(im->item->node, "output_dtype", 0));
  qn_scheme scheme = qn_scheme_of(QN_SCHEME_fp8_block);
  scheme.scale_dtype = QN_E8M0;
  scheme.group = qn_scheme_of(QN_SCHEME_mxfp8).group;
  QN_TRY(retype_constant(im, 1, QN_E8M0));
  *out_read = im->operand_count == 2 && qn_onnx_operand_type(im, 1).dtype == QN_E8M0 &&
              (to == QN_F32 || to == QN_F16 || to == QN_BF16) && read_blocks(im, &scheme, "output_dtype", to);
  if (!*out_read) return QN_OK;
  qn_onnx_set_scheme(im, "scheme", &scheme);
  qn_onnx_set_int(im, "to", to);
  return QN_OK;
}
