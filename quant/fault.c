// What a scheme cannot be, whatever it is used on.
#include "quant/quantize_priv.h"

static bool is_target(qn_dtype dtype) {
  return qn_dtype_is_integer(dtype) ? qn_dtype_bits(dtype) <= 16
                                    : dtype == QN_E4M3 || dtype == QN_E5M2 || dtype == QN_E4M3FNUZ ||
                                          dtype == QN_E5M2FNUZ || dtype == QN_E2M1;
}

static bool is_rounding(uint8_t dtype) {
  return dtype == QN_F32 || dtype == QN_F16 || dtype == QN_BF16;
}

// Of a dynamic scheme, how its scale is found.
static const char *find_scale_fault(const qn_scheme *s) {
  bool power = s->rule >= QN_RULE_FLOOR, plain = s->rule == QN_RULE_DIVIDE || s->rule == QN_RULE_RECIPROCAL;
  if (!qn_scheme_has_scale(s)) return "is dynamic and has no scale";
  if (!qn_dtype_is_float((qn_dtype)s->scale_dtype)) return "stores scales in a type that is no float";
  if (!is_rounding(s->scale_compute)) return "rounds the scale to a type other than f32, f16 and bf16";
  if ((s->rule == QN_RULE_MULTIPLIER) != (s->arithmetic == QN_MULTIPLY))
    return "needs rule multiplier and arithmetic multiply together";
  if (s->rule == QN_RULE_PRODUCT && s->global != QN_GLOBAL_DIVISOR)
    return "needs a global divisor for rule product";
  if (s->global && !plain && s->rule != QN_RULE_PRODUCT) return "has a global scale and a rule that has none";
  if (s->global && s->arithmetic != QN_DIVIDE && s->arithmetic != QN_RECIPROCAL)
    return "has a global scale and an arithmetic that has none";
  if (s->zero_point && (s->rule != QN_RULE_DIVIDE || s->global || s->arithmetic == QN_RANGE))
    return "has zero points and a rule, an arithmetic or a global scale that is for symmetric codes";
  if (power && s->scale_dtype != QN_E8M0 && s->scale_dtype != QN_F32)
    return "makes powers of two and stores them as neither e8m0 nor f32";
  if (s->scale_layout == QN_SCALES_PACKED && s->scale_dtype != QN_E8M0)
    return "packs scales other than those of e8m0";
  if (s->scale_layout != QN_SCALES_ROW && s->granularity != QN_PER_GROUP && s->granularity != QN_PER_TOKEN)
    return "has a layout of scales that is for groups and tokens";
  if (s->range == QN_RANGE_WITH_ZERO && !s->zero_point) return "has range with_zero and no zero points";
  return NULL;
}

const char *qn_scheme_find_fault(const qn_scheme *s) {
  qn_dtype target = (qn_dtype)s->target;
  if (!is_target(target)) return "has a target that codes are not written in";
  if (s->zero_point && !qn_dtype_is_integer(target)) return "has zero points and codes that are no integers";
  if (!is_rounding(s->compute)) return "rounds the quotient to a type other than f32, f16 and bf16";
  if (s->round_input != QN_ANY && !is_rounding(s->round_input))
    return "rounds the value to a type other than f32, f16 and bf16";
  if (s->zero_sign == QN_ZERO_SIGN_EXACT && !qn_dtype_is_float(target))
    return "has a rule for the sign of 0 and codes that have none";
  if ((s->ties == QN_TIES_ZERO || s->zero_sign > QN_ZERO_SIGN_EXACT) && target != QN_E2M1)
    return "has a rule for ties or for the sign of 0 that is for e2m1";
  if (s->granularity == QN_PER_GROUP && s->group == 0) return "has groups of 0 elements";
  if (s->dynamic) return find_scale_fault(s);
  if (s->arithmetic == QN_RANGE) return "has arithmetic range, which needs amax, and is not dynamic";
  return NULL;
}
