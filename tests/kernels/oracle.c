// Expectation and bound of a case, and the comparisons.
#include "tests/kernels/oracle.h"

#include "ir/base_priv.h"
#include "quant/elements_priv.h"
#include "quant/quantize_priv.h"

#include <math.h>
#include <stdlib.h>

// --- attention in f64 --------------------------------------------------------------------------------------

// v and |v| side by side in each row, so that one run gives attention over both.
static bool create_both(const kernel_data *data, qn_tensor *out) {
  const qn_tensor *v = &data->operands[QN_ATTENTION_V];
  uint64_t count = kernel_tensor_count(v), dim = data->c.v_head_dim;
  double *values = malloc((count + 1) * sizeof(*values)), *both = malloc((2 * count + 1) * sizeof(*both));
  *out = *v;
  out->dims[v->rank - 1] *= 2;
  if (values && both) {
    qn_elements_load(v->dtype, v->data, count, values);
    for (uint64_t i = 0; i < count; i++) {
      uint64_t at = i / dim * 2 * dim + i % dim;
      both[at] = values[i];
      both[at + dim] = fabs(values[i]);
    }
  }
  bool done = values != NULL && kernel_tensor_set(out, both);
  if (!values) free(both);
  free(values);
  return done;
}

static qn_status run_f64(qn_context *context, kernel_oracle *oracle) {
  const kernel_data *data = oracle->data;
  uint64_t dim = data->c.v_head_dim;
  qn_tensor both;
  qn_results *results;
  if (!create_both(data, &both)) return qn_fail_memory(context);
  qn_status status = kernel_data_run_reference(context, data, false, QN_REFERENCE_F64, &both,
                                               2 * data->c.v_head_dim, &results);
  free((void *)both.data);
  QN_TRY(status);
  const double *out = qn_results_get(results, 0)->data;
  for (uint64_t i = 0; i < data->out_count; i++) {
    uint64_t at = i / dim * 2 * dim + i % dim;
    oracle->expected[i] = out[at];
    oracle->magnitude[i] = out[at + dim];
  }
  qn_results_destroy(results);
  return QN_OK;
}

// --- bound -------------------------------------------------------------------------------------------------

// The largest Euclidean norm of the rows of `dim` elements, in any layout, and the largest magnitude.
static bool largest(const qn_tensor *tensor, uint32_t dim, double *out_norm, double *out_value) {
  uint64_t count = tensor->data ? kernel_tensor_count(tensor) : 0;
  double *values = malloc((count + 1) * sizeof(*values));
  if (!values) return false;
  if (count > 0) qn_elements_load(tensor->dtype, tensor->data, count, values);
  *out_norm = *out_value = 0;
  for (uint64_t row = 0; row < count; row += dim) {
    double sum = 0;
    for (uint64_t i = row; i < row + dim; i++) {
      sum += values[i] * values[i];
      *out_value = fmax(*out_value, fabs(values[i]));
    }
    *out_norm = fmax(*out_norm, sqrt(sum));
  }
  free(values);
  return true;
}

// What a mask adds to a row's largest score. Of a row of the lowest numbers of f32 and bf16 nothing else is
// left in any score, in f64 as in f32: all weights are the same, exactly.
static double mask_offset(const kernel_data *data, uint32_t query) {
  if (data->c.mask != QN_MASK_ADDITIVE) return 0;
  if (kernel_data_mask_row(data, query) != MASK_ROW_LOWEST) return 6;
  return data->c.mask_dtype == QN_F16 ? -kernel_lowest(QN_F16) : 0;
}

static bool measure(const kernel_data *data, qn_attention_norms *out_norms) {
  const kernel_case *c = &data->c;
  double unused, slope, sink;
  *out_norms = (qn_attention_norms){ .keys = c->kv_len };
  if (!largest(&data->operands[QN_ATTENTION_Q], c->head_dim, &out_norms->q, &unused) ||
      !largest(&data->operands[QN_ATTENTION_K], c->head_dim, &out_norms->k, &unused) ||
      !largest(&data->operands[QN_ATTENTION_V], c->v_head_dim, &unused, &out_norms->v) ||
      !largest(&data->operands[QN_ATTENTION_ALIBI_SLOPES], c->heads, &unused, &slope) ||
      !largest(&data->operands[QN_ATTENTION_SINKS], c->heads, &unused, &sink))
    return false;
  out_norms->offset = slope * (c->q_len + c->kv_len) + sink;
  return true;
}

static bool set_bounds(const kernel_oracle *oracle) {
  const kernel_data *data = oracle->data;
  const qn_kernel_spec plain = kernel_case_spec(&data->c, false), fused = kernel_case_spec(&data->c, true);
  qn_attention_norms norms;
  if (!measure(data, &norms)) return false;
  for (uint32_t b = 0; b < data->batch; b++)
    for (uint32_t i = 0; i < data->sequences[b].q_len; i++) {
      qn_attention_norms row = norms;
      row.offset += mask_offset(data, i);
      qn_attention_bound bounds[2] = { qn_attention_get_bound(&plain, &row),
                                       qn_attention_get_bound(&fused, &row) };
      for (uint32_t h = 0; h < data->c.heads; h++)
        for (uint32_t e = 0; e < data->c.v_head_dim; e++) {
          uint64_t at = kernel_data_row(data, SIDE_OUT, b, h, i) + e;
          oracle->bound[at] = qn_attention_bound_at(&bounds[0], oracle->expected[at], oracle->magnitude[at]);
          oracle->fused[at] = qn_attention_bound_at(&bounds[1], oracle->expected[at], oracle->magnitude[at]);
        }
    }
  return true;
}

// The largest outputs lie beyond the largest code, so that saturation occurs. 7 times a power of two: a value
// of few bits over it is often halfway between two codes, and x / 7 often is not what x * (1 / 7) rounds to.
static bool create_scale(const kernel_oracle *oracle, kernel_data *data) {
  double amax = 0;
  for (uint64_t i = 0; i < data->out_count; i++) amax = fmax(amax, fabs(oracle->expected[i]));
  double most = amax / ((data->c.scheme.target == QN_E4M3 ? 448 : 57344) * 1.07);
  double scale = amax > 0 ? 7 * exp2(floor(log2(most / 7))) : 7;
  return kernel_data_set_scale(data, data->c.scheme.arithmetic == QN_MULTIPLY ? 1 / scale : scale);
}

static qn_status fill(qn_context *context, kernel_data *data, kernel_oracle *oracle) {
  double **const planes[] = { &oracle->expected, &oracle->magnitude, &oracle->bound, &oracle->fused };
  for (size_t i = 0; i < QN_COUNT(planes); i++)
    if (!(*planes[i] = calloc(data->out_count + 1, sizeof(double)))) return qn_fail_memory(context);
  QN_TRY(run_f64(context, oracle));
  return set_bounds(oracle) && create_scale(oracle, data) ? QN_OK : qn_fail_memory(context);
}

qn_status kernel_oracle_create(qn_context *context, kernel_data *data, kernel_oracle *out_oracle) {
  *out_oracle = (kernel_oracle){ .data = data };
  qn_status status = fill(context, data, out_oracle);
  if (status != QN_OK) kernel_oracle_free(out_oracle);
  return status;
}

void kernel_oracle_free(kernel_oracle *oracle) {
  free(oracle->expected);
  free(oracle->magnitude);
  free(oracle->bound);
  free(oracle->fused);
  *oracle = (kernel_oracle){ 0 };
}

// --- checks ------------------------------------------------------------------------------------------------

// The codes that the case's scheme gives for `values`, one byte each.
static qn_status quantize(qn_context *context, const kernel_data *data, const double *values,
                          uint8_t *out_codes) {
  const qn_tensor *tensor = &data->operands[QN_ATTENTION_OUTPUT_SCALE];
  const int64_t dims[] = { (int64_t)data->out_count };
  double scale;
  qn_elements_load(tensor->dtype, tensor->data, 1, &scale);
  const qn_quantize_args args = { .scheme = &data->c.scheme, .rank = 1, .dims = dims, .scale = { &scale, 1 } };
  return qn_quantize(context, &args, values, &(qn_quantized){ .codes = out_codes });
}

static void take(kernel_verdict *verdict, uint64_t index, double error, double bound, bool outside) {
  verdict->max_error = fmax(verdict->max_error, error);
  if (bound > 0) verdict->worst = fmax(verdict->worst, error / bound);
  if (outside && verdict->outside++ == 0) verdict->first = index;
}

kernel_verdict kernel_oracle_check_values(const kernel_oracle *oracle, const void *out) {
  const kernel_data *data = oracle->data;
  kernel_verdict verdict = { 0 };
  uint32_t size = qn_element_size(data->c.dtype);
  for (uint64_t i = 0; i < data->out_count; i++) {
    double value;
    qn_elements_load(data->c.dtype, (const char *)out + i * size, 1, &value);
    double error = fabs(value - oracle->expected[i]);
    take(&verdict, i, error, oracle->bound[i], !(error <= oracle->bound[i])); // NaN is outside
  }
  return verdict;
}

// The value of the code for each end of the interval.
static qn_status quantize_end(qn_context *context, const kernel_oracle *oracle, double sign, uint8_t *codes,
                              double *values) {
  const kernel_data *data = oracle->data;
  for (uint64_t i = 0; i < data->out_count; i++) {
    values[i] = oracle->expected[i] + sign * oracle->fused[i];
    if (data->c.numerics == QN_EXACT) values[i] = qn_element_round(data->c.dtype, values[i]);
  }
  QN_TRY(quantize(context, data, values, codes));
  qn_elements_load((qn_dtype)data->c.scheme.target, codes, data->out_count, values);
  return QN_OK;
}

qn_status kernel_oracle_check_codes(qn_context *context, const kernel_oracle *oracle, const uint8_t *codes,
                                    kernel_verdict *out_verdict) {
  const kernel_data *data = oracle->data;
  uint64_t count = data->out_count;
  double *low = malloc((count + 1) * sizeof(*low)), *high = malloc((count + 1) * sizeof(*high));
  uint8_t *scratch = malloc(count + 1);
  qn_status status = low && high && scratch ? QN_OK : qn_fail_memory(context);
  if (status == QN_OK) status = quantize_end(context, oracle, -1, scratch, low);
  if (status == QN_OK) status = quantize_end(context, oracle, 1, scratch, high);
  *out_verdict = (kernel_verdict){ 0 };
  for (uint64_t i = 0; status == QN_OK && i < count; i++) {
    double code;
    qn_elements_load((qn_dtype)data->c.scheme.target, &codes[i], 1, &code);
    double middle = (low[i] + high[i]) / 2;
    take(out_verdict, i, fabs(code - middle), (high[i] - low[i]) / 2, !(code >= low[i] && code <= high[i]));
  }
  free(low);
  free(high);
  free(scratch);
  return status;
}

qn_status kernel_oracle_count_different(qn_context *context, const kernel_oracle *oracle, const void *unfused,
                                        const uint8_t *codes, uint64_t *out_different) {
  const kernel_data *data = oracle->data;
  double *values = malloc((data->out_count + 1) * sizeof(*values));
  uint8_t *expected = malloc(data->out_count + 1);
  qn_status status = values && expected ? QN_OK : qn_fail_memory(context);
  if (status == QN_OK) {
    qn_elements_load(data->c.dtype, unfused, data->out_count, values);
    status = quantize(context, data, values, expected);
  }
  *out_different = 0;
  for (uint64_t i = 0; status == QN_OK && i < data->out_count; i++) *out_different += expected[i] != codes[i];
  free(values);
  free(expected);
  return status;
}
