// Quantizing under a scheme: checks, then quant/plane_code_priv.h; and the way back.
#include "quant/quantize_priv.h"

#include "ir/base_priv.h"
#include "quant/elements_priv.h"
#include "quant/plane_priv.h"

static uint64_t count_elements(int32_t rank, const int64_t *dims) {
  uint64_t count = 1;
  for (int32_t i = 0; i < rank; i++) count *= (uint64_t)dims[i];
  return count;
}

void qn_quantized_dims(const qn_scheme *scheme, int32_t rank, const int64_t *dims, int64_t *out_dims) {
  for (int32_t d = 0; d < rank; d++) out_dims[d] = dims[d];
  if (scheme->pad && rank > 0)
    out_dims[rank - 1] = (dims[rank - 1] + scheme->pad - 1) / scheme->pad * scheme->pad;
}

// --- checks ------------------------------------------------------------------------------------------------

static qn_status check_count(qn_context *context, const char *what, uint64_t expected, uint64_t found) {
  if (expected == found) return QN_OK;
  return qn_fail(context, QN_INVALID, NULL, "expected %llu %s, found %llu", (unsigned long long)expected, what,
                 (unsigned long long)found);
}

// The scheme against the tensor.
static qn_status find_groups(qn_context *context, const qn_quantize_args *args, qn_groups *out_groups) {
  const qn_scheme *scheme = args->scheme;
  if (scheme->granularity == QN_PER_GROUP && scheme->group == 0)
    return qn_fail(context, QN_INVALID, NULL, "the scheme has groups of 0 elements");
  if (!qn_groups_of(scheme, args->rank, args->dims, out_groups))
    return qn_fail(context, QN_INVALID, NULL, "the scheme's axis %d is not an axis of a tensor of rank %d",
                   scheme->granularity == QN_PER_TOKEN ? -1 : (int)scheme->axis, (int)args->rank);
  return QN_OK;
}

static qn_status check_scales(qn_context *context, const qn_quantize_args *args, uint64_t count) {
  const qn_scheme *scheme = args->scheme;
  if (!qn_scheme_has_scale(scheme)) return check_count(context, "scales", 0, args->scale.count);
  if (!scheme->dynamic) return check_count(context, "scales", count, args->scale.count);
  return check_count(context, "global scales", scheme->global != QN_GLOBAL_NONE, args->scale.count);
}

// One zero point, or as many as scales, or none; where codes have none of their own it can only be 0.
static qn_status check_zero_points(qn_context *context, const qn_quantize_args *args, uint64_t count) {
  const qn_numbers *zero_point = &args->zero_point;
  if (!zero_point->values) return QN_OK;
  if (zero_point->count != 1) QN_TRY(check_count(context, "zero points", count, zero_point->count));
  for (uint64_t i = 0; i < zero_point->count && !args->scheme->zero_point; i++)
    if (zero_point->values[i] != 0)
      return qn_fail(context, QN_INVALID, NULL, "a zero point of %g under a scheme without zero points",
                     zero_point->values[i]);
  return QN_OK;
}

static qn_status check_pre_scale(qn_context *context, const qn_quantize_args *args) {
  uint64_t trailing = 1;
  bool fits = !args->pre_scale.values || args->pre_scale.count == 1;
  for (int32_t d = args->rank - 1; d >= 0 && !fits; d--) {
    trailing *= (uint64_t)args->dims[d];
    fits = args->pre_scale.count == trailing;
  }
  if (fits) return QN_OK;
  return qn_fail(context, QN_INVALID, NULL, "%llu elements of pre_scale fit none of the last axes of x",
                 (unsigned long long)args->pre_scale.count);
}

static qn_status check_scale_bound(qn_context *context, const qn_quantize_args *args) {
  if (!args->scale_bound.values) return QN_OK;
  if (!args->scheme->dynamic || args->scheme->zero_point)
    return qn_fail(context, QN_INVALID, NULL, "a bound of amax under a scheme that has no amax");
  return check_count(context, "bounds of amax", 1, args->scale_bound.count);
}

// --- quantizing --------------------------------------------------------------------------------------------

static void clear(void *to, qn_dtype dtype, uint64_t count) {
  if (to) memset(to, 0, count * qn_element_size(dtype));
}

qn_status qn_quantize(qn_context *context, const qn_quantize_args *args, const double *x,
                      const qn_quantized *out) {
  const qn_scheme *scheme = args->scheme;
  int64_t codes[QN_RANK_MAX];
  qn_plane plane = { .args = args, .x = x, .out = *out, .columns = 1 };
  const char *fault = qn_scheme_find_fault(scheme);
  if (fault) return qn_fail(context, QN_INVALID, NULL, "the scheme %s", fault);
  QN_TRY(find_groups(context, args, &plane.groups));
  QN_TRY(check_scales(context, args, plane.groups.count));
  if (scheme->dynamic) QN_TRY(check_count(context, "zero points", 0, args->zero_point.count));
  QN_TRY(check_zero_points(context, args, plane.groups.count));
  QN_TRY(check_pre_scale(context, args));
  QN_TRY(check_scale_bound(context, args));
  qn_quantized_dims(scheme, args->rank, args->dims, codes);
  if (args->rank > 0) plane.columns = (uint64_t)codes[args->rank - 1];
  clear(out->codes, (qn_dtype)scheme->target, count_elements(args->rank, codes));
  plane.scale_dtype = args->stored_scale != QN_ANY ? args->stored_scale : (qn_dtype)scheme->scale_dtype;
  if (scheme->dynamic) {
    plane.zero_point_dtype = qn_scheme_get_zero_point(scheme);
    if (!qn_scale_buffer_of(scheme, args->rank, codes, &plane.buffer))
      return qn_fail(context, QN_INVALID, NULL,
                     "scales in another layout than row need groups along the last axis");
    clear(out->scales, plane.scale_dtype, plane.buffer.count);
    clear(out->zero_points, plane.zero_point_dtype, plane.buffer.count);
  }
  if (args->wide)
    qn_plane_quantize_f64(&plane);
  else
    qn_plane_quantize_f32(&plane);
  return QN_OK;
}

// --- dequantizing ------------------------------------------------------------------------------------------

static double narrow(bool wide, double value) {
  return wide ? value : (double)(float)value;
}

// (code - zero_point) * scale. A stored multiplier is divided by. Codes of any type will do: biases are s32.
qn_status qn_dequantize(qn_context *context, const qn_quantize_args *args, const double *codes,
                        double *out_values) {
  const qn_scheme *scheme = args->scheme;
  qn_groups groups;
  qn_scale_buffer buffer = { .count = 0 };
  QN_TRY(find_groups(context, args, &groups));
  if (scheme->global != QN_GLOBAL_NONE)
    return qn_fail(context, QN_UNSUPPORTED, NULL, "dequantizing under a global scale");
  if (!qn_scheme_has_scale(scheme)) return qn_fail(context, QN_INVALID, NULL, "dequantizing without a scale");
  buffer.count = groups.count;
  if (scheme->dynamic && !qn_scale_buffer_of(scheme, args->rank, args->dims, &buffer))
    return qn_fail(context, QN_INVALID, NULL,
                   "scales in another layout than row need groups along the last axis");
  QN_TRY(check_count(context, "scales", buffer.count, args->scale.count));
  QN_TRY(check_zero_points(context, args, buffer.count));
  for (uint64_t index = 0; index < groups.count; index++) {
    qn_group group = qn_groups_get(&groups, index);
    uint64_t place = scheme->dynamic ? qn_groups_place(&groups, scheme, &buffer, index) : index;
    double scale = args->scale.values[place], zero_point = 0;
    if (args->zero_point.values) zero_point = args->zero_point.values[args->zero_point.count == 1 ? 0 : place];
    for (uint64_t n = 0; n < group.count; n++) {
      uint64_t element = qn_group_element(&group, n);
      double value = narrow(args->wide, codes[element] - zero_point);
      out_values[element] =
          narrow(args->wide, scheme->arithmetic == QN_MULTIPLY ? value / scale : value * scale);
    }
  }
  return QN_OK;
}
