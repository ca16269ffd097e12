// Buffers of results, and what must stand in them.
#include "tests/kernels/outputs.h"

#include "ir/base_priv.h"
#include "quant/elements_priv.h"
#include "quant/quantize_priv.h"

#include <stdlib.h>

enum { SHARED_FIRST = 37, SHARED_ZEROS = 3, SHARED_BEHIND = 150 }; // tokens of a buffer that others share

static uint64_t count_codes(const kernel_data *data) {
  return data->out_count + (uint64_t)data->q_tokens * data->fill;
}

qn_dtype kernel_outputs_dtype(const kernel_data *data, bool fused, uint32_t result) {
  const qn_scheme *scheme = &data->c.scheme;
  switch (result) {
  case QN_ATTENTION_OUT: return fused ? (qn_dtype)scheme->target : kernel_case_twin_dtype(&data->c);
  case QN_ATTENTION_BLOCK_SCALE: return (qn_dtype)scheme->scale_dtype;
  case QN_ATTENTION_ZERO_POINT: return qn_scheme_get_zero_point(scheme);
  default: return data->c.dtype;
  }
}

uint32_t kernel_outputs_first_row(const kernel_data *data) {
  return data->c.scale_rows ? SHARED_FIRST : 0;
}

uint32_t kernel_outputs_rows(const kernel_data *data) {
  return data->c.scale_rows ? data->q_tokens + SHARED_ZEROS : (uint32_t)data->scales.rows;
}

qn_scale_buffer kernel_outputs_buffer(const kernel_data *data) {
  qn_scale_buffer buffer = data->scales;
  if (!data->c.scale_rows) return buffer;
  const int64_t dims[] = { SHARED_FIRST + data->q_tokens + SHARED_BEHIND,
                           (int64_t)data->c.heads * data->c.v_head_dim + data->fill };
  (void)qn_scale_buffer_of(&data->c.scheme, 2, dims, &buffer);
  return buffer;
}

static uint64_t count_of(const kernel_data *data, bool fused, uint32_t result) {
  if (result == QN_ATTENTION_OUT && fused) return count_codes(data);
  if (result == QN_ATTENTION_OUT || result == QN_ATTENTION_UNQUANTIZED) return data->out_count;
  return kernel_outputs_buffer(data).count;
}

bool kernel_outputs_create(const kernel_data *data, bool fused, kernel_outputs *out_outputs) {
  *out_outputs = (kernel_outputs){ 0 };
  for (uint32_t i = 0; i < KERNEL_RESULTS; i++) {
    if (i > 0 && (!fused || !kernel_data_has_result(data, i))) continue;
    uint64_t length = qn_dtype_bytes(kernel_outputs_dtype(data, fused, i), count_of(data, fused, i));
    out_outputs->length[i] = length;
    out_outputs->bytes[i] = malloc(length + 1);
    if (!out_outputs->bytes[i]) {
      kernel_outputs_free(out_outputs);
      return false;
    }
    memset(out_outputs->bytes[i], KERNEL_UNTOUCHED, length + 1);
  }
  return true;
}

void kernel_outputs_free(kernel_outputs *outputs) {
  for (uint32_t i = 0; i < KERNEL_RESULTS; i++) free(outputs->bytes[i]);
  *outputs = (kernel_outputs){ 0 };
}

// --- scales ------------------------------------------------------------------------------------------------

// Of a row that the launch writes all groups are written: those that no value has with 0.
void kernel_outputs_place(const kernel_data *data, uint32_t result, const uint8_t *alone,
                          kernel_outputs *outputs) {
  const qn_scheme *scheme = &data->c.scheme;
  size_t size = qn_element_size(kernel_outputs_dtype(data, true, result));
  uint8_t *to = outputs->bytes[result];
  if (!data->c.scale_rows) {
    if (outputs->length[result] > 0) memcpy(to, alone, outputs->length[result]);
    return;
  }
  const qn_scale_buffer buffer = kernel_outputs_buffer(data);
  const int64_t groups = (data->scales.groups + 3) / 4 * 4; // of a swizzled buffer
  for (int64_t token = 0; data->q_tokens > 0 && token < kernel_outputs_rows(data); token++)
    for (int64_t group = 0; group < groups; group++) {
      uint64_t at = qn_scale_buffer_index(scheme, &buffer, SHARED_FIRST + token, group);
      uint64_t from = qn_scale_buffer_index(scheme, &data->scales, token, group);
      if (token < data->q_tokens)
        memcpy(to + at * size, alone + from * size, size);
      else
        memset(to + at * size, 0, size);
    }
}

// --- values ------------------------------------------------------------------------------------------------

void kernel_outputs_load(qn_dtype dtype, const uint8_t *packed, uint64_t count, double *out_values) {
  if (qn_dtype_bits(dtype) != 4) {
    qn_elements_load(dtype, packed, count, out_values);
    return;
  }
  for (uint64_t i = 0; i < count; i++) {
    uint8_t code = i % 2 ? packed[i / 2] >> 4 : packed[i / 2] & 15;
    qn_elements_load(dtype, &code, 1, &out_values[i]);
  }
}

// The values of an operand; NULL where it is absent, or memory is.
static double *load_operand(const kernel_data *data, uint32_t operand, qn_numbers *out_numbers) {
  const qn_tensor *tensor = &data->operands[operand];
  *out_numbers = (qn_numbers){ 0 };
  if (!tensor->data) return NULL;
  uint64_t count = kernel_tensor_count(tensor);
  double *values = malloc((count + 1) * sizeof(*values));
  if (values) qn_elements_load(tensor->dtype, tensor->data, count, values);
  *out_numbers = (qn_numbers){ values, values ? count : 0 };
  return values;
}

typedef struct quantizing {
  qn_quantize_args args;
  int64_t dims[QN_RANK_MAX];
  double *numbers[4];
} quantizing;

static void start(const kernel_data *data, bool codes, quantizing *out) {
  *out = (quantizing){ .args = { .scheme = &data->c.scheme } };
  out->args.rank = kernel_data_out_dims(data, codes, out->dims);
  out->args.dims = out->dims;
  out->numbers[0] = load_operand(data, QN_ATTENTION_OUTPUT_SCALE, &out->args.scale);
  out->numbers[1] = load_operand(data, QN_ATTENTION_OUTPUT_ZERO_POINT, &out->args.zero_point);
  out->numbers[2] = load_operand(data, QN_ATTENTION_PRE_SCALE, &out->args.pre_scale);
  out->numbers[3] = load_operand(data, QN_ATTENTION_SCALE_BOUND, &out->args.scale_bound);
}

static void finish(quantizing *q) {
  for (size_t i = 0; i < QN_COUNT(q->numbers); i++) free(q->numbers[i]);
}

qn_status kernel_outputs_quantize(qn_context *context, const kernel_data *data, const double *values,
                                  kernel_outputs *outputs) {
  const qn_dtype target = (qn_dtype)data->c.scheme.target;
  const uint64_t count = count_codes(data);
  quantizing q;
  qn_quantized to = { .codes = malloc(count * qn_element_size(target) + 1) };
  if (data->c.scheme.dynamic) to.scales = malloc(data->scales.count * 8 + 1);
  if (kernel_data_has_result(data, QN_ATTENTION_ZERO_POINT))
    to.zero_points = malloc(data->scales.count * 8 + 1);
  start(data, false, &q);
  qn_status status = to.codes ? qn_quantize(context, &q.args, values, &to) : qn_fail_memory(context);
  if (status == QN_OK) {
    if (qn_dtype_bits(target) == 4)
      qn_elements_pack(target, to.codes, count, outputs->bytes[QN_ATTENTION_OUT]);
    else
      memcpy(outputs->bytes[QN_ATTENTION_OUT], to.codes, outputs->length[QN_ATTENTION_OUT]);
    if (to.scales) kernel_outputs_place(data, QN_ATTENTION_BLOCK_SCALE, to.scales, outputs);
    if (to.zero_points) kernel_outputs_place(data, QN_ATTENTION_ZERO_POINT, to.zero_points, outputs);
  }
  finish(&q);
  free(to.codes);
  free(to.scales);
  free(to.zero_points);
  return status;
}

// --- expectations ------------------------------------------------------------------------------------------

qn_status kernel_outputs_expect(qn_context *context, const kernel_data *data, const kernel_outputs *twin,
                                kernel_outputs *out_expected) {
  const uint8_t *from = twin->bytes[QN_ATTENTION_OUT];
  double *values = malloc((data->out_count + 1) * sizeof(*values));
  if (!values) return qn_fail_memory(context);
  qn_elements_load(kernel_case_twin_dtype(&data->c), from, data->out_count, values);
  if (out_expected->bytes[QN_ATTENTION_UNQUANTIZED])
    qn_elements_store(data->c.dtype, values, data->out_count, true,
                      out_expected->bytes[QN_ATTENTION_UNQUANTIZED]);
  qn_status status = kernel_outputs_quantize(context, data, values, out_expected);
  free(values);
  return status;
}

// Codes times scales, as plain f64 arithmetic; a global scale comes last.
qn_status kernel_outputs_dequantize(qn_context *context, const kernel_data *data, const kernel_outputs *outputs,
                                    double *out_values) {
  const qn_scheme *scheme = &data->c.scheme;
  const uint64_t count = count_codes(data), width = (uint64_t)data->c.heads * data->c.v_head_dim;
  qn_scheme without = *scheme;
  quantizing q;
  double *codes = malloc((count + 1) * sizeof(*codes)), *values = malloc((count + 1) * sizeof(*values));
  double *scales[2] = { NULL, NULL }, factor = 1;
  qn_status status = codes && values ? QN_OK : qn_fail_memory(context);
  start(data, true, &q);
  if (scheme->dynamic && q.args.scale.count > 0)
    factor = scheme->global == QN_GLOBAL_DIVISOR ? q.args.scale.values[0] : 1 / q.args.scale.values[0];
  without.global = QN_GLOBAL_NONE;
  q.args.scheme = &without;
  q.args.wide = true;
  for (uint32_t i = 0; scheme->dynamic && i < 2; i++) {
    const uint32_t result = QN_ATTENTION_BLOCK_SCALE + i;
    if (!outputs->bytes[result]) continue;
    scales[i] = malloc((data->scales.count + 1) * sizeof(double));
    if (scales[i])
      qn_elements_load(kernel_outputs_dtype(data, true, result), outputs->bytes[result], data->scales.count,
                       scales[i]);
    *(i ? &q.args.zero_point : &q.args.scale) = (qn_numbers){ scales[i], data->scales.count };
  }
  if (status == QN_OK) {
    kernel_outputs_load((qn_dtype)scheme->target, outputs->bytes[QN_ATTENTION_OUT], count, codes);
    if (qn_scheme_has_scale(scheme))
      status = qn_dequantize(context, &q.args, codes, values);
    else
      memcpy(values, codes, count * sizeof(*values));
  }
  for (uint64_t i = 0; status == QN_OK && i < data->out_count; i++)
    out_values[i] = factor * values[data->fill ? i / width * (width + data->fill) + i % width : i];
  finish(&q);
  free(codes);
  free(values);
  free(scales[0]);
  free(scales[1]);
  return status;
}
