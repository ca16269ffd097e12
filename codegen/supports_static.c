// What schemes whose scale is known before the run kernels are generated for.

#include "codegen/spec_priv.h"

#include "ir/base_priv.h"

static bool check_codes(const qn_scheme *s, qn_reason *reason) {
  if (s->target == QN_E4M3 || s->target == QN_E5M2 || s->target == QN_S8 || s->target == QN_U8) return true;
  return qn_refuse_scheme(reason, QN_WHY_scheme, "codes in e4m3, e5m2, s8 or u8", s);
}

static bool check_scale(const qn_scheme *s, qn_reason *reason) {
  if (s->scale_dtype == QN_F32 || s->scale_dtype == QN_F16 || s->scale_dtype == QN_BF16) return true;
  if (!qn_scheme_has_scale(s) && s->granularity == QN_PER_TENSOR) return true;
  return qn_refuse(reason, QN_WHY_scale_type, "a scale in f32, f16 or bf16, or a cast without one", "%s",
                   qn_dtype_name((qn_dtype)s->scale_dtype));
}

// One scale for each channel of a head, in the order of the output.
static bool check_channels(const qn_scheme *s, qn_reason *reason) {
  if (s->granularity != QN_PER_CHANNEL || s->axis == -1) return true;
  return qn_refuse_scheme(reason, QN_WHY_granularity, "channels of the last axis", s);
}

static bool check_zero_point(const qn_scheme *s, qn_reason *reason) {
  qn_dtype dtype = qn_scheme_get_zero_point(s);
  if (dtype == QN_ANY || dtype == QN_S8 || dtype == QN_U8 || dtype == QN_S32) return true;
  return qn_refuse(reason, QN_WHY_zero_point, "zero points in s8, u8 or s32", "%s", qn_dtype_name(dtype));
}

bool qn_supports_static(const qn_kernel_spec *spec, qn_reason *reason) {
  const qn_scheme *s = &spec->output;
  if (spec->scale_bound)
    return qn_refuse_scheme(reason, QN_WHY_scheme, "a dynamic scheme under scale_bound", s);
  return check_codes(s, reason) && check_scale(s, reason) && check_channels(s, reason) &&
         check_zero_point(s, reason);
}
