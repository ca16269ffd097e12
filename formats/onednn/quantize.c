// Quantize, Dequantize and their forms with scales at run time, as schemes:
//
//   dst = round(src / scale + zero point), saturated            src = (dst - zero point) * scale
//
// by the pages "Quantize" and "DynamicQuantize" of oneDNN's developer guide. They leave the rounding to the
// library; it is taken as to nearest, ties to even.
#include "formats/onednn/onednn_priv.h"

static qn_scheme_family find_family(qn_dtype codes, bool channel) {
  switch (codes) {
  case QN_S8:
  case QN_U8: return channel ? QN_SCHEME_int8_channel : QN_SCHEME_int8_static;
  case QN_E4M3:
  case QN_E5M2: return channel ? QN_SCHEME_fp8_channel : QN_SCHEME_fp8_static;
  default: return QN_SCHEME_none;
  }
}

// A list of numbers as a constant, of rank 0 for the tensor and 1 for channels. `*out_value` QN_NONE if there
// is no list, or if it holds zeros alone and they mean nothing.
static qn_status add_numbers(qn_onednn_op *op, const char *name, qn_dtype dtype, bool channel,
                             qn_value *out_value, bool *out_read) {
  const json_t *list = qn_onednn_get_list(op, name);
  size_t count = list ? json_array_size(list) : 0;
  *out_value = QN_NONE;
  *out_read = !list || count == 1 || (channel && count > 1);
  if (!list || !*out_read) return QN_OK;
  uint64_t bytes = count * 4;
  char *data = qn_alloc(op->context, bytes);
  if (!data) return qn_fail_memory(op->context);
  bool any = dtype == QN_F32;
  for (size_t i = 0; i < count; i++) {
    const json_t *item = json_array_get(list, i);
    double number = json_number_value(item);
    *out_read = *out_read && json_is_number(item) && (dtype == QN_F32 || (number >= -256 && number <= 256));
    any = any || number != 0;
    float real = (float)number;
    int32_t whole = *out_read ? (int32_t)number : 0;
    memcpy(data + 4 * i, dtype == QN_F32 ? (const void *)&real : &whole, 4);
  }
  qn_status status = QN_OK;
  if (*out_read && any)
    status = qn_onednn_add_const(op, name, dtype, channel, (int64_t)count, data, bytes, out_value);
  qn_free(op->context, data, bytes);
  return status;
}

// What both directions share. The codes' type is that of the result, or of the operand.
static qn_status read_scheme(qn_onednn_op *op, qn_dtype codes, bool *out_read) {
  const char *type = qn_onednn_get_text(op, "qtype", "per_tensor");
  bool channel = strcmp(type, "per_channel") == 0;
  qn_scheme_family family = find_family(codes, channel);
  *out_read = (channel || strcmp(type, "per_tensor") == 0) && family != QN_SCHEME_none;
  if (!*out_read) return QN_OK;
  op->scheme = qn_scheme_of(family);
  op->scheme.target = (uint8_t)codes;
  if (channel) {
    int32_t rank = qn_onednn_operand_type(op, 0).rank;
    int64_t axis = qn_onednn_get_int(op, "axis", 1);
    if (axis >= 0 && rank != QN_RANK_UNKNOWN) axis -= rank;
    *out_read = axis >= -QN_RANK_MAX && axis < QN_RANK_MAX;
    op->scheme.axis = (int32_t)axis;
  }
  if (*out_read && op->operand_count == 1) {
    QN_TRY(add_numbers(op, "scales", QN_F32, channel, &op->operands[1], out_read));
    *out_read = *out_read && op->operands[1] != QN_NONE;
    if (*out_read) QN_TRY(add_numbers(op, "zps", QN_S32, channel, &op->operands[2], out_read));
    op->operand_count = op->operands[2] ? 3 : 2;
  }
  op->scheme.zero_point = op->operand_count == 3 ? QN_ZERO_POINT_BEFORE : QN_ZERO_POINT_NONE;
  if (op->scheme.zero_point && qn_onednn_operand_type(op, 2).dtype != codes)
    op->scheme.zero_point_dtype = (uint8_t)qn_onednn_operand_type(op, 2).dtype;
  op->attrs[op->attr_count++] = (qn_attr){ .name = "scheme", .scheme = &op->scheme };
  return QN_OK;
}

qn_status qn_onednn_quantize(qn_onednn_op *op, bool *out_read) {
  return read_scheme(op, qn_type_get_info(op->graph, op->type).dtype, out_read);
}

qn_status qn_onednn_dequantize(qn_onednn_op *op, bool *out_read) {
  QN_TRY(read_scheme(op, qn_onednn_operand_type(op, 0).dtype, out_read));
  qn_dtype to = qn_type_get_info(op->graph, op->type).dtype;
  if (to != QN_ANY) op->attrs[op->attr_count++] = (qn_attr){ .name = "to", .i = to };
  return QN_OK;
}
