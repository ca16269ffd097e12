// What dynamic schemes in groups kernels are generated for.

#include "codegen/spec_priv.h"

#include "ir/base_priv.h"

static bool check_codes(const qn_kernel_spec *spec, qn_reason *reason) {
  const qn_scheme *s = &spec->output;
  if (!s->zero_point && (s->target == QN_E4M3 || s->target == QN_E5M2 || s->target == QN_E2M1)) return true;
  return qn_refuse_scheme(reason, QN_WHY_scheme, "groups of codes in e4m3, e5m2 or e2m1, without zero points",
                          s);
}

// A lane's chunk of 8 elements, or 4 of f32, belongs to one group.
static bool check_group(const qn_kernel_spec *spec, qn_reason *reason) {
  const qn_scheme *s = &spec->output;
  if (s->axis != -1)
    return qn_refuse(reason, QN_WHY_block_axis, "groups on the last axis", "groups on axis %d", (int)s->axis);
  if (s->group % 8 == 0) return true;
  return qn_refuse(reason, QN_WHY_scheme, "groups of 8, 16, 24 ..", "groups of %u", (unsigned)s->group);
}

static bool check_scales(const qn_kernel_spec *spec, qn_reason *reason) {
  const qn_scheme *s = &spec->output;
  bool power = s->rule >= QN_RULE_FLOOR;
  bool bytes = s->scale_dtype == QN_E4M3 || (s->scale_dtype == QN_E8M0 && power);
  if (!bytes && s->scale_dtype != QN_F32 && s->scale_dtype != QN_F16 && s->scale_dtype != QN_BF16)
    return qn_refuse_scheme(reason, QN_WHY_scale_type,
                            "scales in f32, f16, bf16 or e4m3, or powers of two in e8m0", s);
  if (s->scale_layout != QN_SCALES_SWIZZLED || bytes) return true;
  return qn_refuse_scheme(reason, QN_WHY_scale_type, "swizzled scales of one byte", s);
}

bool qn_supports_groups(const qn_kernel_spec *spec, qn_reason *reason) {
  return check_codes(spec, reason) && check_group(spec, reason) && check_scales(spec, reason);
}
