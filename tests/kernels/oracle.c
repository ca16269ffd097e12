// Expectation and bound of a case, and the comparisons.
#include "tests/kernels/oracle.h"

#include "ir/base_priv.h"
#include "quant/elements_priv.h"

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
  const qn_kernel_spec twin = kernel_case_spec(&data->c, false);
  qn_attention_norms norms;
  if (!measure(data, &norms)) return false;
  for (uint32_t b = 0; b < data->batch; b++)
    for (uint32_t i = 0; i < data->sequences[b].q_len; i++) {
      qn_attention_norms row = norms;
      row.offset += mask_offset(data, i);
      qn_attention_bound bound = qn_attention_get_bound(&twin, &row);
      for (uint32_t h = 0; h < data->c.heads; h++)
        for (uint32_t e = 0; e < data->c.v_head_dim; e++) {
          uint64_t at = kernel_data_row(data, SIDE_OUT, b, h, i) + e;
          oracle->bound[at] = qn_attention_bound_at(&bound, oracle->expected[at], oracle->magnitude[at]);
        }
    }
  return true;
}

static qn_status fill(qn_context *context, kernel_data *data, kernel_oracle *oracle) {
  double **const planes[] = { &oracle->expected, &oracle->magnitude, &oracle->bound };
  for (size_t i = 0; i < QN_COUNT(planes); i++)
    if (!(*planes[i] = calloc(data->out_count + 1, sizeof(double)))) return qn_fail_memory(context);
  QN_TRY(run_f64(context, oracle));
  return set_bounds(oracle) && kernel_data_set_scheme(data, oracle->expected, 1) ? QN_OK
                                                                                 : qn_fail_memory(context);
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
  *oracle = (kernel_oracle){ 0 };
}

// --- checks ------------------------------------------------------------------------------------------------

static void take(kernel_verdict *verdict, uint64_t index, double error, double bound) {
  verdict->max_error = fmax(verdict->max_error, error);
  if (bound > 0) verdict->worst = fmax(verdict->worst, error / bound);
  if (!(error <= bound) && verdict->outside++ == 0) verdict->first = index; // NaN is outside
}

kernel_verdict kernel_oracle_check_values(const kernel_oracle *oracle, const kernel_outputs *twin) {
  const kernel_data *data = oracle->data;
  const qn_dtype dtype = kernel_case_twin_dtype(&data->c);
  kernel_verdict verdict = { 0 };
  uint32_t size = qn_element_size(dtype);
  for (uint64_t i = 0; i < data->out_count; i++) {
    double value;
    qn_elements_load(dtype, twin->bytes[QN_ATTENTION_OUT] + i * size, 1, &value);
    take(&verdict, i, fabs(value - oracle->expected[i]), oracle->bound[i]);
  }
  return verdict;
}

static double mean_square(const double *values, const double *expected, uint64_t count) {
  double sum = 0;
  for (uint64_t i = 0; i < count; i++) sum += (values[i] - expected[i]) * (values[i] - expected[i]);
  return count > 0 ? sum / (double)count : 0;
}

// What attention itself is off, by coarse products or weights, is no loss of the quantizer: independent of it,
// it adds up with it.
qn_status kernel_oracle_get_loss(qn_context *context, const kernel_oracle *oracle, const kernel_outputs *twin,
                                 const kernel_outputs *fused, double *out_loss) {
  const kernel_data *data = oracle->data;
  uint64_t count = data->out_count;
  double *values = malloc((count + 1) * sizeof(*values));
  kernel_outputs ideal;
  *out_loss = 1;
  // Factors in front of the quantizer change what codes stand for, and a few elements are no measure.
  if (data->c.pre_scale != QN_ANY || data->c.scale_bound || data->c.scale_rows || count < 1024) {
    free(values);
    return QN_OK;
  }
  bool made = kernel_outputs_create(data, true, &ideal);
  qn_status status = values && made ? QN_OK : qn_fail_memory(context);
  double best = 0, found = 0, own = 0;
  if (status == QN_OK) status = kernel_outputs_quantize(context, data, oracle->expected, &ideal);
  if (status == QN_OK) status = kernel_outputs_dequantize(context, data, &ideal, values);
  if (status == QN_OK) {
    best = mean_square(values, oracle->expected, count);
    status = kernel_outputs_dequantize(context, data, fused, values);
  }
  if (status == QN_OK) {
    found = mean_square(values, oracle->expected, count);
    kernel_outputs_load(kernel_case_twin_dtype(&data->c), twin->bytes[QN_ATTENTION_OUT], count, values);
    own = mean_square(values, oracle->expected, count);
    if (best + own > 0) *out_loss = sqrt(found / (best + own));
  }
  if (made) kernel_outputs_free(&ideal);
  free(values);
  return status;
}
