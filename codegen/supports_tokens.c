// What schemes with a scale for each token kernels are generated for, and what all need that are quantized when
// all heads of a token are finished.

#include "codegen/spec_priv.h"
#include "codegen/tokens_priv.h"

#include "ir/base_priv.h"
#include "quant/quantize_priv.h"

static bool refuse(qn_reason *reason, qn_why why, const char *expected, const qn_scheme *scheme) {
  char text[QN_SCHEME_TEXT_MAX];
  qn_scheme_format(scheme, text);
  return qn_refuse(reason, why, expected, "%s", text);
}

bool qn_supports_tokens(const qn_kernel_spec *spec, qn_reason *reason) {
  const qn_scheme *s = &spec->output;
  const char *fault = qn_scheme_find_fault(s);
  const qn_dtype zero_point = qn_scheme_get_zero_point(s);
  if (fault) return qn_refuse(reason, QN_WHY_scheme, "a scheme that can be", "one that %s", fault);
  if (s->target != QN_E4M3 && s->target != QN_E5M2 && s->target != QN_S8 && s->target != QN_U8)
    return refuse(reason, QN_WHY_scheme, "codes in e4m3, e5m2, s8 or u8", s);
  if (zero_point != QN_ANY && zero_point != QN_S8 && zero_point != QN_U8 && zero_point != QN_S32)
    return refuse(reason, QN_WHY_zero_point, "zero points in s8, u8 or s32", s);
  if (s->scale_dtype != QN_F32 && s->scale_dtype != QN_F16 && s->scale_dtype != QN_BF16)
    return refuse(reason, QN_WHY_scale_type, "a scale for each token in f32, f16 or bf16", s);
  if (s->scale_layout != QN_SCALES_SWIZZLED) return true;
  return refuse(reason, QN_WHY_scale_type, "swizzled scales of one byte", s);
}

bool qn_supports_deferred(const qn_kernel_spec *spec, qn_reason *reason) {
  qn_kernel_spec r = *spec;
  if (!qn_kernel_is_deferred(spec)) return true;
  if (spec->schedule != QN_SCHEDULE_mma) return true; // the merge of a split has one head a block
  qn_kernel_spec_resolve(&r);
  uint32_t rows = r.warps > 0 ? r.tile_q / r.warps : 0, pack = qn_kernel_get_pack(&r);
  if (rows % pack == 0) return true;
  return qn_refuse(reason, QN_WHY_attribute, "packed heads that a warp has all of",
                   "%u heads, %u rows of a warp", pack, rows);
}
