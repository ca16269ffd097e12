// The operands of an output scheme: scales that are never 1, zero points that are never 0, factors before them.
#include "tests/kernels/data.h"

#include "ir/base_priv.h"
#include "quant/elements_priv.h"

#include <math.h>
#include <stdlib.h>

// What the plain scale of a tensor maps its largest value to.
static double largest_code(const qn_scheme *scheme) {
  switch ((qn_dtype)scheme->target) {
  case QN_E4M3: return 448;
  case QN_E5M2: return 57344;
  case QN_E2M1: return 6;
  case QN_U8: return 255;
  default: return 127;
  }
}

// A factor for each channel, from a half to two.
static bool create_pre_scale(kernel_data *data, uint64_t *random) {
  const kernel_case *c = &data->c;
  qn_tensor *tensor = &data->operands[QN_ATTENTION_PRE_SCALE];
  int64_t dims[QN_RANK_MAX];
  int32_t rank = kernel_data_out_dims(data, false, dims);
  if (c->pre_scale == QN_ANY) return true;
  *tensor = (qn_tensor){ .dtype = c->pre_scale, .rank = 1, .dims = { dims[rank - 1] } };
  if (!c->pre_scale_shared && !kernel_case_is_merged(c))
    *tensor = (qn_tensor){ .dtype = c->pre_scale, .rank = 2, .dims = { c->heads, c->v_head_dim } };
  uint64_t count = kernel_tensor_count(tensor);
  double *values = malloc((count + 1) * sizeof(*values));
  for (uint64_t i = 0; values && i < count; i++) values[i] = exp2(2 * kernel_uniform(random) - 1);
  return kernel_tensor_set(tensor, values);
}

// The largest magnitude of each channel of the last axis, or of all: outputs lie in the layout of out.
static void find_amax(const kernel_data *data, const double *outputs, uint64_t channels, double *out_amax) {
  const qn_tensor *factors = &data->operands[QN_ATTENTION_PRE_SCALE];
  uint64_t factor_count = factors->data ? kernel_tensor_count(factors) : 0;
  memset(out_amax, 0, channels * sizeof(*out_amax));
  for (uint64_t i = 0; i < data->out_count; i++) {
    double factor = 1;
    if (factor_count > 0)
      qn_elements_load(factors->dtype,
                       (const char *)factors->data + i % factor_count * qn_element_size(factors->dtype), 1,
                       &factor);
    out_amax[i % channels] = fmax(out_amax[i % channels], fabs(outputs[i] * factor));
  }
}

// The largest outputs lie beyond the largest code, so that saturation occurs. 7 times a power of two: a value
// of few bits over it is often halfway between two codes, and x / 7 often is not what x * (1 / 7) rounds to.
static double scale_for(const kernel_data *data, double amax) {
  const qn_scheme *scheme = &data->c.scheme;
  double most = amax / (largest_code(scheme) * 1.07);
  double scale = amax > 0 ? 7 * exp2(floor(log2(most / 7))) : 7;
  return scheme->arithmetic == QN_MULTIPLY ? 1 / scale : scale;
}

// The global scale of NVFP4: what maps the largest value to the largest code under the largest scale, near
// enough.
static double global_for(const kernel_data *data, double amax) {
  double multiplier = amax > 0 ? 2688 / amax * 0.9 : 7;
  return data->c.scheme.global == QN_GLOBAL_DIVISOR ? 1 / multiplier : multiplier;
}

static bool create_scale(kernel_data *data, const double *outputs) {
  const qn_scheme *scheme = &data->c.scheme;
  qn_tensor *tensor = &data->operands[QN_ATTENTION_OUTPUT_SCALE];
  const qn_dtype dtype = qn_scheme_get_read_scale(scheme);
  int64_t dims[QN_RANK_MAX];
  int32_t rank = kernel_data_out_dims(data, false, dims);
  bool by_channel = !scheme->dynamic && scheme->granularity == QN_PER_CHANNEL;
  if (dtype == QN_ANY) return true;
  *tensor = (qn_tensor){ .dtype = dtype };
  if (by_channel) tensor->rank = 1, tensor->dims[0] = dims[rank - 1];
  uint64_t count = kernel_tensor_count(tensor);
  double *values = malloc((count + 1) * sizeof(*values));
  if (!values) return false;
  find_amax(data, outputs, count, values);
  for (uint64_t i = 0; i < count; i++)
    values[i] = scheme->dynamic ? global_for(data, values[i]) : scale_for(data, values[i]);
  return kernel_tensor_set(tensor, values);
}

// Zero points of a static scheme: far enough from 0 that codes end on one side.
static bool create_zero_point(kernel_data *data, uint64_t *random) {
  const qn_scheme *scheme = &data->c.scheme;
  const qn_tensor *scale = &data->operands[QN_ATTENTION_OUTPUT_SCALE];
  qn_tensor *tensor = &data->operands[QN_ATTENTION_OUTPUT_ZERO_POINT];
  if (scheme->dynamic || qn_scheme_get_zero_point(scheme) == QN_ANY) return true;
  *tensor =
      (qn_tensor){ .dtype = qn_scheme_get_zero_point(scheme), .rank = scale->rank, .dims = { scale->dims[0] } };
  uint64_t count = kernel_tensor_count(tensor);
  int64_t least, greatest;
  qn_element_get_range((qn_dtype)scheme->target, &least, &greatest);
  tensor->bytes = count * qn_element_size(tensor->dtype);
  int64_t *values = malloc((count + 1) * sizeof(*values));
  void *bytes = malloc(tensor->bytes + 1);
  for (uint64_t i = 0; values && i < count; i++)
    values[i] = (least + greatest) / 2 + 5 + (int64_t)(kernel_uniform(random) * 40);
  if (values && bytes) qn_elements_store_ints(tensor->dtype, values, count, bytes);
  tensor->data = bytes;
  free(values);
  return values && bytes;
}

// A bound that some tokens reach and others do not.
static bool create_bound(kernel_data *data, const double *outputs) {
  double *bound = malloc(sizeof(*bound));
  if (!data->c.scale_bound) {
    free(bound);
    return true;
  }
  if (!bound) return false;
  find_amax(data, outputs, 1, bound);
  *bound = *bound > 0 ? *bound * 0.6 : 0.6;
  data->operands[QN_ATTENTION_SCALE_BOUND] = (qn_tensor){ .dtype = QN_F32 };
  return kernel_tensor_set(&data->operands[QN_ATTENTION_SCALE_BOUND], bound);
}

bool kernel_data_set_scheme(kernel_data *data, const double *outputs, uint64_t seed) {
  uint64_t random = seed;
  return create_pre_scale(data, &random) && create_scale(data, outputs) && create_zero_point(data, &random) &&
         create_bound(data, outputs);
}
