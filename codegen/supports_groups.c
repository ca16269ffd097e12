// What dynamic schemes in groups kernels are generated for.

#include "codegen/spec_priv.h"

#include "ir/base_priv.h"
#include "quant/quantize_priv.h"

// The lanes that hold a group find its amax together, and a warp has 32: of f32 that is 128 elements.
enum { GROUP_MAX = 128 };

static bool refuse(qn_reason *reason, qn_why why, const char *expected, const qn_scheme *scheme) {
  char text[QN_SCHEME_TEXT_MAX];
  qn_scheme_format(scheme, text);
  return qn_refuse(reason, why, expected, "%s", text);
}

static bool check_codes(const qn_kernel_spec *spec, qn_reason *reason) {
  const qn_scheme *s = &spec->output;
  if (!s->zero_point && (s->target == QN_E4M3 || s->target == QN_E5M2 || s->target == QN_E2M1)) return true;
  return refuse(reason, QN_WHY_scheme, "groups of codes in e4m3, e5m2 or e2m1, without zero points", s);
}

// A lane's chunk of 8 elements, or 4 of f32, belongs to one group.
static bool check_group(const qn_kernel_spec *spec, qn_reason *reason) {
  const qn_scheme *s = &spec->output;
  if (s->axis == -1 && s->group >= 8 && s->group <= GROUP_MAX && s->group % 8 == 0 &&
      spec->v_head_dim % s->group == 0)
    return true;
  return qn_refuse(
      reason, QN_WHY_granularity, "groups of 8, 16, .. 128 that divide v_head_dim, on the last axis",
      "groups of %u on axis %d, v_head_dim %u", (unsigned)s->group, (int)s->axis, spec->v_head_dim);
}

static bool check_scales(const qn_kernel_spec *spec, qn_reason *reason) {
  const qn_scheme *s = &spec->output;
  bool power = s->rule >= QN_RULE_FLOOR;
  bool bytes = s->scale_dtype == QN_E4M3 || (s->scale_dtype == QN_E8M0 && power);
  if (!bytes && s->scale_dtype != QN_F32 && s->scale_dtype != QN_F16 && s->scale_dtype != QN_BF16)
    return refuse(reason, QN_WHY_scale_type, "scales in f32, f16, bf16 or e4m3, or powers of two in e8m0", s);
  if (s->scale_layout != QN_SCALES_SWIZZLED || bytes) return true;
  return refuse(reason, QN_WHY_scale_type, "swizzled scales of one byte", s);
}

bool qn_supports_groups(const qn_kernel_spec *spec, qn_reason *reason) {
  const char *fault = qn_scheme_find_fault(&spec->output);
  if (fault) return qn_refuse(reason, QN_WHY_scheme, "a scheme that can be", "one that %s", fault);
  return check_codes(spec, reason) && check_group(spec, reason) && check_scales(spec, reason);
}
