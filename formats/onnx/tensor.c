// A TensorProto as a tensor in memory: raw bytes are borrowed, typed lists are narrowed, external data is
// mapped.
#include "formats/onnx/onnx_priv.h"

static const char *tensor_name(const pb_tensor *tensor) {
  return qn_onnx_text(tensor->name);
}

bool qn_onnx_tensor_readable(const pb_tensor *tensor) {
  qn_dtype dtype = qn_onnx_dtype(tensor->data_type);
  return dtype != QN_ANY && dtype != QN_STRING && tensor->n_dims <= QN_RANK_MAX;
}

static qn_status count_elements(qn_onnx_model *model, const pb_tensor *tensor, uint64_t *out_count) {
  uint64_t count = 1;
  bool empty = false;
  for (size_t i = 0; i < tensor->n_dims; i++) {
    int64_t dim = tensor->dims[i];
    if (dim < 0)
      return qn_fail(model->context, QN_INVALID, model->place, "tensor '%s': dim %zu is %lld",
                     tensor_name(tensor), i, (long long)dim);
    if (dim == 0)
      empty = true;
    else if (__builtin_mul_overflow(count, (uint64_t)dim, &count) || count > INT64_MAX / 8)
      return qn_fail(model->context, QN_LIMIT, model->place, "tensor '%s': the product of its dims overflows",
                     tensor_name(tensor));
  }
  *out_count = empty ? 0 : count;
  return QN_OK;
}

// Copies `count` integers into elements of `size` bytes, least significant first.
#define NARROW(list)                                                                                           \
  for (uint64_t i = 0; i < count; i++) {                                                                       \
    uint64_t word = (uint64_t)(list)[i];                                                                       \
    for (size_t b = 0; b < size; b++) out[i * size + b] = (uint8_t)(word >> (8 * b));                          \
  }

// The typed lists: each holds some of the element types, one entry for an element (a byte for packed types).
static qn_status read_lists(qn_onnx_model *model, const pb_tensor *tensor, qn_tensor *t, uint64_t elements) {
  uint64_t held = 0, count = elements;
  size_t size = qn_dtype_bits(t->dtype) / 8;
  switch (t->dtype) {
  case QN_F32:
    held = tensor->n_float_data;
    t->data = tensor->float_data;
    break;
  case QN_F64:
    held = tensor->n_double_data;
    t->data = tensor->double_data;
    break;
  case QN_S64:
    held = tensor->n_int64_data;
    t->data = tensor->int64_data;
    break;
  case QN_U64:
  case QN_U32: held = tensor->n_uint64_data; break;
  default:
    held = tensor->n_int32_data;
    if (qn_dtype_bits(t->dtype) < 8) size = 1, count = t->bytes;
  }
  if (held != count)
    return qn_fail(model->context, QN_INVALID, model->place, "tensor '%s' has %llu elements and data for %llu",
                   tensor_name(tensor), (unsigned long long)elements, (unsigned long long)held);
  if (t->data || !count) return QN_OK;
  uint8_t *out = qn_onnx_alloc(&model->memory, (size_t)t->bytes);
  if (!out) return qn_fail_memory(model->context);
  if (t->dtype == QN_U64 || t->dtype == QN_U32) {
    NARROW(tensor->uint64_data)
  } else {
    NARROW(tensor->int32_data)
  }
  t->data = out;
  return QN_OK;
}

qn_status qn_onnx_tensor_read(qn_onnx_model *model, const pb_tensor *tensor, qn_tensor *out_tensor) {
  qn_tensor t = { .dtype = qn_onnx_dtype(tensor->data_type), .rank = (int32_t)tensor->n_dims };
  uint64_t count = 0;
  QN_TRY(count_elements(model, tensor, &count));
  for (size_t i = 0; i < tensor->n_dims; i++) t.dims[i] = tensor->dims[i];
  t.bytes = qn_dtype_bytes(t.dtype, count);
  if (tensor->segment)
    return qn_fail(model->context, QN_UNSUPPORTED, model->place, "tensor '%s' is stored in segments",
                   tensor_name(tensor));

  const uint8_t *bytes = NULL;
  uint64_t length = 0;
  if (tensor->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL) {
    QN_TRY(qn_onnx_external_get(model, tensor, &bytes, &length));
  } else if (tensor->has_raw_data) {
    bytes = tensor->raw_data.data;
    length = tensor->raw_data.len;
  } else {
    QN_TRY(read_lists(model, tensor, &t, count));
    *out_tensor = t;
    return QN_OK;
  }
  if (length != t.bytes)
    return qn_fail(model->context, QN_INVALID, model->place, "tensor '%s' needs %llu bytes and has %llu",
                   tensor_name(tensor), (unsigned long long)t.bytes, (unsigned long long)length);
  size_t align = QN_MAX(qn_dtype_bits(t.dtype) / 8, 1);
  if ((uintptr_t)bytes % align) { // external data at an odd offset
    void *copy = qn_onnx_alloc(&model->memory, (size_t)length);
    if (!copy) return qn_fail_memory(model->context);
    bytes = memcpy(copy, bytes, (size_t)length);
  }
  t.data = bytes;
  *out_tensor = t;
  return QN_OK;
}
