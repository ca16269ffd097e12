// Operations whose row in ops.c does not say everything.
#include "formats/onnx/onnx_priv.h"

// Whether `cast` can stand for the conversion. Types without a row, text, and E8M0 with its own rounding modes
// are outside of it.
static bool castable(qn_dtype to) {
  return to != QN_ANY && to != QN_STRING && to != QN_E8M0;
}

qn_status qn_onnx_special_cast(qn_onnx_importer *im, bool *out_read) {
  qn_dtype to = qn_onnx_dtype(qn_onnx_attr_int(im->item->node, "to", 0));
  *out_read = castable(to) && qn_onnx_operand_type(im, 0).dtype != QN_STRING;
  if (*out_read) qn_onnx_set_int(im, "to", to);
  return QN_OK;
}

qn_status qn_onnx_special_cast_like(qn_onnx_importer *im, bool *out_read) {
  qn_dtype to = qn_onnx_operand_type(im, 1).dtype;
  *out_read = castable(to) && qn_onnx_operand_type(im, 0).dtype != QN_STRING;
  if (!*out_read) return QN_OK;
  im->operand_count = 1;
  qn_onnx_set_int(im, "to", to);
  return QN_OK;
}

// Dropout is the identity unless it trains; its mask is nobody's but a training loop's.
qn_status qn_onnx_special_dropout(qn_onnx_importer *im, bool *out_read) {
  qn_value training = qn_onnx_get_operand(im, 2);
  const qn_tensor *value = training ? qn_value_get_const(im->graph, training) : NULL;
  bool infers = !training || (value && value->data && value->bytes == 1 && *(const uint8_t *)value->data == 0);
  *out_read = infers && im->operand_count >= 1;
  im->operand_count = QN_MIN(im->operand_count, 1u);
  return QN_OK;
}

// Before version 13 the dims from `axis` on were one: the same as today's only where that is the last dim.
qn_status qn_onnx_special_softmax_1(qn_onnx_importer *im, bool *out_read) {
  int64_t axis = qn_onnx_attr_int(im->item->node, "axis", 1);
  int32_t rank = qn_onnx_operand_type(im, 0).rank;
  *out_read = axis == -1 || (rank != QN_RANK_UNKNOWN && axis == rank - 1);
  return QN_OK;
}

// `num_outputs` repeats the number of results. Where the parts are unequal the last one is smaller, which
// `split` says by its sizes.
qn_status qn_onnx_special_split(qn_onnx_importer *im, bool *out_read) {
  const pb_node *node = im->item->node;
  int64_t parts = qn_onnx_attr_int(node, "num_outputs", (int64_t)node->n_output);
  if (parts != (int64_t)node->n_output)
    return qn_onnx_fail_node(im->model, QN_INVALID, node, "num_outputs is %lld and there are %zu outputs",
                             (long long)parts, node->n_output);
  if (qn_onnx_get_operand(im, 1)) return QN_OK;
  qn_type_info type = qn_onnx_operand_type(im, 0);
  int64_t axis = qn_onnx_attr_int(node, "axis", 0), size = 0;
  if (axis < 0) axis += type.rank;
  if (type.rank == QN_RANK_UNKNOWN || axis < 0 || axis >= type.rank ||
      !qn_dim_is_const(im->graph, type.dims[axis], &size) || size % parts == 0)
    return QN_OK;
  int64_t part = (size + parts - 1) / parts;
  int64_t *sizes = qn_onnx_alloc(im->memory, (size_t)parts * sizeof *sizes);
  if (!sizes) return qn_fail_memory(im->context);
  for (int64_t i = 0; i < parts; i++, size -= part) {
    sizes[i] = QN_MIN(part, size);
    *out_read = sizes[i] >= 0;
    if (!*out_read) return QN_OK; // more parts than elements: not a case that `split` has words for
  }
  qn_tensor tensor = {
    .dtype = QN_S64, .rank = 1, .dims = { parts }, .data = sizes, .bytes = 8 * (uint64_t)parts
  };
  qn_value value = QN_NONE;
  QN_TRY(qn_onnx_add_const(im, "sizes", &tensor, &value));
  return qn_onnx_set_operand(im, 1, value);
}

// Max, Min, Sum of any number of operands: a chain from the left.
qn_status qn_onnx_special_variadic(qn_onnx_importer *im, bool *out_read) {
  uint32_t count = im->operand_count;
  *out_read = count > 0;
  for (uint32_t i = 0; i < count; i++) *out_read = *out_read && im->operands[i];
  if (!*out_read) return QN_OK;
  if (count == 1) im->op = QN_OP_identity;
  if (count <= 2) return QN_OK;
  qn_value *all = qn_onnx_alloc(im->memory, count * sizeof *all);
  if (!all) return qn_fail_memory(im->context);
  memcpy(all, im->operands, count * sizeof *all);
  im->operand_count = 2;
  for (uint32_t i = 1; i + 1 < count; i++) {
    const char *name = qn_onnx_printf(im->memory, "%s.%u", im->item->node->output[0], i);
    if (!name) return qn_fail_memory(im->context);
    im->operands[1] = all[i];
    QN_TRY(qn_onnx_add_draft(im, name));
    im->operands[0] = im->results[0];
  }
  im->operands[1] = all[count - 1];
  return QN_OK;
}
