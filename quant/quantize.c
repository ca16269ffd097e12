// Quantizing under a scheme. Formulas: ONNX QuantizeLinear-10..25, DequantizeLinear-10..25 and
// DynamicQuantizeLinear-11, in the arithmetic that the scheme states.
#include "quant/quantize_priv.h"

#include "ir/base_priv.h"
#include "quant/elements_priv.h"

#include <math.h>

// Where the scale of an element stands: the element's index is split at one axis into outer, axis and inner
// parts, each of which moves the scale index by a stride.
typedef struct {
  uint64_t inner, dim, group;
  uint64_t outer_stride, group_stride, inner_stride;
  uint64_t count; // of scales
} scale_map;

static qn_status map_scales(qn_context *context, const qn_scheme *scheme, int32_t rank, const int64_t *dims,
                            scale_map *out_map) {
  scale_map map = { .inner = 1, .dim = 1, .group = 1, .count = 1 };
  int32_t axis = scheme->granularity == QN_PER_TOKEN ? rank - 1
                 : scheme->axis < 0                  ? scheme->axis + rank
                                                     : scheme->axis;
  uint64_t outer = 1, groups = 1;
  *out_map = map;
  if (scheme->granularity == QN_PER_TENSOR || (scheme->granularity == QN_PER_TOKEN && rank == 0)) return QN_OK;
  if (axis < 0 || axis >= rank)
    return qn_fail(context, QN_INVALID, NULL, "the scheme's axis %d is not an axis of a tensor of rank %d",
                   (int)scheme->axis, (int)rank);
  for (int32_t i = 0; i < axis; i++) outer *= (uint64_t)dims[i];
  for (int32_t i = axis + 1; i < rank; i++) map.inner *= (uint64_t)dims[i];
  map.dim = (uint64_t)dims[axis];
  switch ((qn_granularity)scheme->granularity) {
  case QN_PER_TENSOR: break;
  case QN_PER_CHANNEL:
    map.group_stride = 1;
    map.count = map.dim;
    break;
  case QN_PER_TOKEN:
  case QN_PER_GROUP:
    map.group = scheme->granularity == QN_PER_TOKEN ? QN_MAX(map.dim, 1) : scheme->group;
    if (map.group == 0) return qn_fail(context, QN_INVALID, NULL, "the scheme's group size is 0");
    groups = (map.dim + map.group - 1) / map.group;
    map.outer_stride = groups * map.inner;
    map.group_stride = map.inner;
    map.inner_stride = 1;
    map.count = outer * groups * map.inner;
    break;
  }
  *out_map = map;
  return QN_OK;
}

static uint64_t scale_index(const scale_map *map, uint64_t element) {
  uint64_t rest = element / map->inner;
  return rest / map->dim * map->outer_stride + rest % map->dim / map->group * map->group_stride +
         element % map->inner * map->inner_stride;
}

static uint64_t count_elements(const qn_quantize_args *args) {
  uint64_t count = 1;
  for (int32_t i = 0; i < args->rank; i++) count *= (uint64_t)args->dims[i];
  return count;
}

static qn_status check(qn_context *context, const qn_quantize_args *args, scale_map *out_map) {
  const qn_scheme *scheme = args->scheme;
  QN_TRY(map_scales(context, scheme, args->rank, args->dims, out_map));
  if (args->scale_count != out_map->count)
    return qn_fail(context, QN_INVALID, NULL, "expected %llu scales, found %llu",
                   (unsigned long long)out_map->count, (unsigned long long)args->scale_count);
  if (!args->zero_point) return QN_OK;
  if (args->zero_point_count != 1 && args->zero_point_count != args->scale_count)
    return qn_fail(context, QN_INVALID, NULL, "expected %llu zero points, found %llu",
                   (unsigned long long)args->scale_count, (unsigned long long)args->zero_point_count);
  if (!qn_dtype_is_float((qn_dtype)scheme->target)) return QN_OK;
  for (uint64_t i = 0; i < args->zero_point_count; i++)
    if (args->zero_point[i] != 0)
      return qn_fail(context, QN_INVALID, NULL, "a zero point of %g on %s, whose only one is 0",
                     args->zero_point[i], qn_dtype_name((qn_dtype)scheme->target));
  return QN_OK;
}

static double narrow(bool wide, double value) {
  return wide ? value : (double)(float)value;
}

// x / s, x * (1 / s) or x * s; in f32 every step is rounded. One f64 operation on f32 values, rounded to f32,
// is the f32 operation: 53 bits are more than twice 24 plus 2.
static double scale_down(const qn_quantize_args *args, double x, double scale) {
  const qn_scheme *scheme = args->scheme;
  double quotient;
  if (!args->wide) x = narrow(false, qn_element_round((qn_dtype)scheme->round_input, x));
  switch ((qn_arithmetic)scheme->arithmetic) {
  case QN_RECIPROCAL: quotient = x * narrow(args->wide, 1 / scale); break;
  case QN_MULTIPLY: quotient = x * scale; break;
  default: quotient = x / scale;
  }
  if (args->wide) return quotient;
  return qn_element_round((qn_dtype)scheme->compute, narrow(false, quotient));
}

static double zero_point_at(const qn_quantize_args *args, uint64_t index) {
  return !args->zero_point ? 0 : args->zero_point[args->zero_point_count == 1 ? 0 : index];
}

qn_status qn_quantize(qn_context *context, const qn_quantize_args *args, const double *x, void *out_codes) {
  const qn_scheme *scheme = args->scheme;
  qn_dtype target = (qn_dtype)scheme->target;
  uint32_t size = qn_element_size(target);
  uint64_t count = count_elements(args);
  uint8_t *to = out_codes;
  int64_t least, greatest;
  scale_map map;
  QN_TRY(check(context, args, &map));
  if (!qn_dtype_is_float(target) && !qn_dtype_is_integer(target))
    return qn_fail(context, QN_UNSUPPORTED, NULL, "quantizing to %s", qn_dtype_name(target));
  qn_element_get_range(target, &least, &greatest);
  for (uint64_t i = 0; i < count; i++) {
    uint64_t index = scale_index(&map, i);
    double code = scale_down(args, x[i], args->scale[index]);
    if (qn_dtype_is_float(target)) {
      qn_elements_store(target, &code, 1, scheme->saturate, to + i * size);
      continue;
    }
    // saturate(round_half_even(x / s) + zero_point); a NaN counts as 0, as in cvt.rni.s32.f32.
    code = (isnan(code) ? 0 : rint(code)) + zero_point_at(args, index);
    code = fmax((double)least, fmin((double)greatest, code));
    qn_elements_store(target, &code, 1, true, to + i * size);
  }
  return QN_OK;
}

// (code - zero_point) * scale. A stored multiplier is divided by.
qn_status qn_dequantize(qn_context *context, const qn_quantize_args *args, const double *codes,
                        double *out_values) {
  uint64_t count = count_elements(args);
  scale_map map;
  QN_TRY(check(context, args, &map));
  for (uint64_t i = 0; i < count; i++) {
    uint64_t index = scale_index(&map, i);
    double scale = args->scale[index];
    double value = narrow(args->wide, codes[i] - zero_point_at(args, index));
    out_values[i] = narrow(args->wide, args->scheme->arithmetic == QN_MULTIPLY ? value / scale : value * scale);
  }
  return QN_OK;
}

// ONNX DynamicQuantizeLinear-11: the range is widened to hold 0,
//   scale = (max - min) / (qmax - qmin), zero_point = round_half_even(saturate(qmin - min / scale)).
// Where all values are 0 its scale is 0 and its zero point 0 / 0; onnxruntime takes scale 1, and so does this.
qn_status qn_quantize_choose(qn_context *context, const qn_scheme *scheme, const double *x, uint64_t count,
                             bool wide, double *out_scale, double *out_zero_point) {
  int64_t least, greatest;
  double low = 0, high = 0, scale;
  if (scheme->granularity != QN_PER_TENSOR || (scheme->target != QN_U8 && scheme->target != QN_S8)) {
    char text[QN_SCHEME_TEXT_MAX];
    qn_scheme_format(scheme, text);
    return qn_fail(context, QN_UNSUPPORTED, NULL, "the dynamic scheme %s", text);
  }
  qn_element_get_range((qn_dtype)scheme->target, &least, &greatest);
  for (uint64_t i = 0; i < count; i++) {
    low = fmin(low, x[i]);
    high = fmax(high, x[i]);
  }
  scale = high == low ? 1 : narrow(wide, narrow(wide, high - low) / (double)(greatest - least));
  *out_scale = scale;
  *out_zero_point = rint(
      fmax((double)least, fmin((double)greatest, narrow(wide, (double)least - narrow(wide, low / scale)))));
  return QN_OK;
}
