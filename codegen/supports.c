// What kernels are generated for: a list of small checks, each with the code and the words of its refusal.

#include "codegen/launch_priv.h"
#include "codegen/spec_priv.h"

#include "ir/base_priv.h"
#include "quant/quantize_priv.h"

#include <math.h>

enum { TOKEN_COLUMNS_MAX = 1 << 20 };

static bool is_one_of(qn_dtype dtype, qn_dtype a, qn_dtype b, qn_dtype c) {
  return dtype == a || dtype == b || dtype == c;
}

static bool is_fused(const qn_kernel_spec *spec) {
  return spec->output.family != QN_SCHEME_none;
}

bool qn_refuse_scheme(qn_reason *reason, qn_why why, const char *expected, const qn_scheme *scheme) {
  char text[QN_SCHEME_TEXT_MAX];
  qn_scheme_format(scheme, text);
  return qn_refuse(reason, why, expected, "%s", text);
}

static bool check_target(const qn_kernel_spec *spec, qn_reason *reason) {
  if ((unsigned)spec->target < QN_TARGET_COUNT) return true;
  return qn_refuse(reason, QN_WHY_target, "a target of `quench compile --help`", "target number %d",
                   (int)spec->target);
}

static bool check_dtype(const qn_kernel_spec *spec, qn_reason *reason) {
  if (is_one_of(spec->dtype, QN_F16, QN_BF16, QN_F32)) return true;
  return qn_refuse(reason, QN_WHY_dtype, "q, k and v in f16, bf16 or f32", "%s", qn_dtype_name(spec->dtype));
}

static bool check_out_dtype(const qn_kernel_spec *spec, qn_reason *reason) {
  if (spec->out_dtype == spec->dtype || spec->out_dtype == QN_F32) return true;
  return qn_refuse(reason, QN_WHY_dtype, "an output in f32 or in the element type of q", "%s from q in %s",
                   qn_dtype_name(spec->out_dtype), qn_dtype_name(spec->dtype));
}

// A column block of the output is 8 wide, and a row of 8 elements of any type is copied in whole chunks of 16
// bytes.
static bool check_head_dim(const qn_kernel_spec *spec, qn_reason *reason) {
  uint32_t qk = spec->head_dim, v = spec->v_head_dim;
  if (qk >= 8 && qk <= 256 && qk % 8 == 0 && v >= 8 && v <= 256 && v % 8 == 0) return true;
  return qn_refuse(reason, QN_WHY_head_dim, "head_dim and v_head_dim 8, 16, .. 256",
                   "head_dim %u, v_head_dim %u", qk, v);
}

static bool check_heads(const qn_kernel_spec *spec, qn_reason *reason) {
  if (spec->heads > 0 && spec->kv_heads > 0 && spec->heads % spec->kv_heads == 0) return true;
  return qn_refuse(reason, QN_WHY_head_count, "heads a positive multiple of kv_heads", "heads %u, kv_heads %u",
                   spec->heads, spec->kv_heads);
}

static bool check_causal(const qn_kernel_spec *spec, qn_reason *reason) {
  if ((unsigned)spec->causal <= QN_CAUSAL_BOTTOM_RIGHT) return true;
  return qn_refuse(reason, QN_WHY_causal, "causal none, top_left or bottom_right", "alignment number %d",
                   (int)spec->causal);
}

static bool check_window(const qn_kernel_spec *spec, qn_reason *reason) {
  if (spec->window_left >= -1 && spec->window_right >= -1) return true;
  return qn_refuse(reason, QN_WHY_window, "window_left and window_right from 0 on, or -1 for none",
                   "window_left %d, window_right %d", spec->window_left, spec->window_right);
}

// The kernel's tanh is off by up to 2^-20 of the softcap, and a small one magnifies the products.
static bool check_softcap(const qn_kernel_spec *spec, qn_reason *reason) {
  if (spec->softcap == 0 || (spec->softcap >= 0x1p-10f && spec->softcap <= 0x1p10f)) return true;
  return qn_refuse(reason, QN_WHY_softcap, "softcap from 1/1024 to 1024, or 0 for none", "softcap %g",
                   (double)spec->softcap);
}

static bool check_sinks(const qn_kernel_spec *spec, qn_reason *reason) {
  if (spec->sinks_dtype == QN_ANY || spec->sinks_dtype == spec->dtype || spec->sinks_dtype == QN_F32)
    return true;
  return qn_refuse(reason, QN_WHY_sinks, "sinks in f32 or in the element type of q", "%s with q in %s",
                   qn_dtype_name(spec->sinks_dtype), qn_dtype_name(spec->dtype));
}

static bool check_lengths(const qn_kernel_spec *spec, qn_reason *reason) {
  if (!spec->kv_lengths && !spec->varlen) return true;
  if (spec->lengths_dtype == QN_S32 || spec->lengths_dtype == QN_S64) return true;
  return qn_refuse(reason, QN_WHY_variable_length, "lengths in s32 or s64", "%s",
                   qn_dtype_name(spec->lengths_dtype));
}

static bool check_varlen(const qn_kernel_spec *spec, qn_reason *reason) {
  if (!spec->varlen || (!spec->kv_lengths && spec->mask == QN_MASK_NONE)) return true;
  return qn_refuse(reason, QN_WHY_variable_length, "cumulative lengths without a mask and without kv_lengths",
                   "%s", spec->kv_lengths ? "kv_lengths" : "a mask");
}

static bool check_scale(const qn_kernel_spec *spec, qn_reason *reason) {
  // Times log2(e), and by a small softcap, it must stay finite.
  if (isfinite(spec->scale) && fabsf(spec->scale) <= 1e30f) return true;
  return qn_refuse(reason, QN_WHY_attribute, "a scale from -1e30 to 1e30", "scale %g", (double)spec->scale);
}

static bool check_mask(const qn_kernel_spec *spec, qn_reason *reason) {
  if ((unsigned)spec->mask <= QN_MASK_BOOLEAN) return true;
  return qn_refuse(reason, QN_WHY_mask, "a mask that is added, or boolean", "mask kind number %d",
                   (int)spec->mask);
}

static bool check_mask_dtype(const qn_kernel_spec *spec, qn_reason *reason) {
  if (spec->mask != QN_MASK_ADDITIVE || spec->mask_dtype == spec->dtype || spec->mask_dtype == QN_F32)
    return true;
  return qn_refuse(reason, QN_WHY_mask_type, "a mask in f32 or in the element type of q", "%s with q in %s",
                   qn_dtype_name(spec->mask_dtype), qn_dtype_name(spec->dtype));
}

// --- the output ------------------------------------------------------------------------------------------

static bool check_output_words(const qn_kernel_spec *spec, qn_reason *reason) {
  char text[QN_SCHEME_TEXT_MAX];
  qn_scheme read;
  qn_scheme_format(&spec->output, text);
  if (qn_scheme_parse(text, &read) && qn_scheme_equal(&read, &spec->output)) return true;
  return qn_refuse(reason, QN_WHY_scheme, "a scheme of words and types that are known", "%s", text);
}

static bool check_output_zero_point(const qn_kernel_spec *spec, qn_reason *reason) {
  if (!spec->output.zero_point || qn_dtype_is_integer((qn_dtype)spec->output.target)) return true;
  return qn_refuse_scheme(reason, QN_WHY_zero_point, "zero points on codes that are integers", &spec->output);
}

static bool check_output_fault(const qn_kernel_spec *spec, qn_reason *reason) {
  const char *fault = is_fused(spec) ? qn_scheme_find_fault(&spec->output) : NULL;
  if (fault == NULL) return true;
  return qn_refuse(reason, QN_WHY_scheme, "a scheme that can be", "one that %s", fault);
}

static bool check_output_saturates(const qn_kernel_spec *spec, qn_reason *reason) {
  if (!is_fused(spec) || spec->output.saturate) return true;
  return qn_refuse_scheme(reason, QN_WHY_not_saturating, "codes that saturate", &spec->output);
}

// Codes of 4 bits are padded in whole bytes.
static bool check_output_pad(const qn_kernel_spec *spec, qn_reason *reason) {
  if (!is_fused(spec) || spec->output.pad % 8 == 0) return true;
  return qn_refuse_scheme(reason, QN_WHY_scheme, "rows padded to a multiple of 8 codes", &spec->output);
}

static bool check_pre_scale(const qn_kernel_spec *spec, qn_reason *reason) {
  if (spec->pre_scale_dtype == QN_ANY || is_one_of(spec->pre_scale_dtype, QN_F32, QN_F16, QN_BF16)) return true;
  return qn_refuse(reason, QN_WHY_scale_type, "pre_scale in f32, f16 or bf16", "%s",
                   qn_dtype_name(spec->pre_scale_dtype));
}

// What stands beside a quantized output and is nothing without one.
static bool check_unfused(const qn_kernel_spec *spec, qn_reason *reason) {
  if (is_fused(spec) || (!spec->unquantized && !spec->scale_bound && spec->pre_scale_dtype == QN_ANY))
    return true;
  return qn_refuse(reason, QN_WHY_attribute,
                   "pre_scale, scale_bound and unquantized with an output scheme only", "%s",
                   qn_scheme_family_name(QN_SCHEME_none));
}

// The epilogues: who checks the schemes of a kind.
static bool check_output(const qn_kernel_spec *spec, qn_reason *reason) {
  static const struct {
    qn_granularity granularity;
    bool dynamic;
    bool (*supports)(const qn_kernel_spec *spec, qn_reason *reason);
  } EPILOGUES[] = {
    { QN_PER_TENSOR, false, qn_supports_static },
    { QN_PER_CHANNEL, false, qn_supports_static },
    { QN_PER_GROUP, true, qn_supports_groups },
    { QN_PER_TOKEN, true, qn_supports_tokens },
  };
  const qn_scheme *scheme = &spec->output;
  if (!is_fused(spec)) return true;
  for (size_t i = 0; i < QN_COUNT(EPILOGUES); i++)
    if (EPILOGUES[i].granularity == scheme->granularity && EPILOGUES[i].dynamic == scheme->dynamic)
      return EPILOGUES[i].supports(spec, reason);
  if (scheme->dynamic)
    return qn_refuse_scheme(reason, QN_WHY_dynamic_scale,
                            "a scale that is known before the run, of a group or a token", scheme);
  return qn_refuse_scheme(reason, QN_WHY_scheme, "a known scale for the tensor or for each channel", scheme);
}

// --- tiles -----------------------------------------------------------------------------------------------

static bool check_f32_mode(const qn_kernel_spec *spec, qn_reason *reason) {
  if ((unsigned)spec->f32_mode <= QN_F32_TF32) return true;
  return qn_refuse(reason, QN_WHY_attribute, "f32 products as tf32x3 or tf32", "mode number %d",
                   (int)spec->f32_mode);
}

static bool check_tiles(const qn_kernel_spec *spec, qn_reason *reason) {
  qn_kernel_spec r = *spec;
  qn_kernel_spec_resolve(&r);
  uint32_t kv_warps = qn_kernel_get_kv_warps(&r), row_warps = kv_warps > 0 ? r.warps / kv_warps : 0;
  bool rows_fit = r.warps >= 1 && r.warps <= 8 && (r.tile_q == row_warps * 16 || r.tile_q == row_warps * 32);
  bool kv_fits = r.tile_kv >= 16 && r.tile_kv <= 128 && kv_warps > 0 && r.tile_kv % (16 * kv_warps) == 0;
  if (!rows_fit || !kv_fits || r.stages < 2 || r.stages > 4)
    return qn_refuse(reason, QN_WHY_attribute,
                     "1..8 warps of 16 or 32 rows, tile_kv 16, 32, .. 128 (split: for each warp), 2..4 stages",
                     "tile_q %u, tile_kv %u, %u warps, %u stages", r.tile_q, r.tile_kv, r.warps, r.stages);
  uint32_t shared = qn_kernel_get_shared_bytes(&r), limit = qn_target_get_info(r.target)->shared_block;
  if (shared <= limit) return true;
  return qn_refuse(reason, QN_WHY_attribute, "tiles that fit the shared memory of a block",
                   "%u bytes of %u on %s", shared, limit, qn_target_name(r.target));
}

static bool check_schedule(const qn_kernel_spec *spec, qn_reason *reason) {
  if ((unsigned)spec->schedule < QN_SCHEDULE_COUNT) return true;
  return qn_refuse(reason, QN_WHY_attribute, "the schedule mma, split or quantize", "number %d",
                   (int)spec->schedule);
}

// The schedule `quantize` has rows of any length in whole chunks of 16 bytes, and a scheme.
static bool check_token_rows(const qn_kernel_spec *spec, qn_reason *reason) {
  uint32_t elements = 128 / qn_dtype_bits(spec->out_dtype), v = spec->v_head_dim;
  if (!is_fused(spec)) return qn_refuse(reason, QN_WHY_scheme, "a scheme to quantize under", "none");
  if (spec->unquantized)
    return qn_refuse(reason, QN_WHY_extra_result, "codes alone from the schedule quantize", "unquantized");
  if (v > 0 && v % elements == 0 && (uint64_t)spec->heads * v <= TOKEN_COLUMNS_MAX) return true;
  return qn_refuse(reason, QN_WHY_head_dim, "rows of at most 2^20 elements, in multiples of 16 bytes",
                   "%u heads of %u %s", spec->heads, v, qn_dtype_name(spec->out_dtype));
}

// clang-format off
// In the order in which a person would ask; the first refusal is the answer.
static const struct {
  bool (*check)(const qn_kernel_spec *spec, qn_reason *reason);
  enum { ALWAYS, ATTENDS, QUANTIZES } schedules;
} CHECKS[] = {
  { check_schedule,           ALWAYS },
  { check_target,             ALWAYS },
  { check_dtype,              ALWAYS },
  { check_out_dtype,          ALWAYS },
  { qn_check_keys,            ATTENDS },
  { check_head_dim,           ATTENDS },
  { check_token_rows,         QUANTIZES },
  { check_heads,              ALWAYS },
  { check_causal,             ATTENDS },
  { check_window,             ATTENDS },
  { check_softcap,            ATTENDS },
  { check_sinks,              ATTENDS },
  { check_lengths,            ATTENDS },
  { check_varlen,             ATTENDS },
  { check_mask,               ATTENDS },
  { check_mask_dtype,         ATTENDS },
  { check_scale,              ATTENDS },
  { check_output_words,       ALWAYS },
  { check_output_zero_point,  ALWAYS },
  { check_output_fault,       ALWAYS },
  { check_output_saturates,   ALWAYS },
  { check_output_pad,         ALWAYS },
  { check_pre_scale,          ALWAYS },
  { check_unfused,            ALWAYS },
  { check_output,             ALWAYS },
  { check_f32_mode,           ATTENDS },
  { check_tiles,              ATTENDS },
  { qn_supports_deferred,     ALWAYS },
};
// clang-format on

bool qn_target_supports(const qn_kernel_spec *spec, qn_reason *out_reason) {
  qn_reason unused;
  qn_reason *reason = out_reason != NULL ? out_reason : &unused;

  *reason = (qn_reason){ .why = QN_WHY_none };
  for (size_t i = 0; i < QN_COUNT(CHECKS); i++) {
    bool skipped = CHECKS[i].schedules == (spec->schedule == QN_SCHEDULE_quantize ? ATTENDS : QUANTIZES);
    if (!skipped && !CHECKS[i].check(spec, reason)) return false;
  }
  return true;
}
