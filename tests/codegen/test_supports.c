// What kernels are generated for, and the words of each refusal.

#include "codegen/launch_priv.h"
#include "ir/base_priv.h"

#include "tests/codegen/codegen_test.h"
#include <criterion/new/assert.h>
#include <math.h>

static qn_kernel_spec fused(void) {
  qn_kernel_spec spec = usual();
  spec.output = qn_scheme_of(QN_SCHEME_fp8_static);
  return spec;
}

// One row a refusal: what is changed in a spec that is supported, and what is said about it.
#define REFUSALS(X)                                                                                            \
  X(target, s.target = QN_TARGET_COUNT, "a target of `quench compile --help`", "target number 7")              \
  X(dtype, (s.dtype = QN_F64, s.out_dtype = QN_F64), "q, k and v in f16, bf16 or f32", "f64")                  \
  X(dtype, s.out_dtype = QN_F16, "an output in f32 or in the element type of q", "f16 from q in bf16")         \
  X(kv_cache, s.kv_dtype = QN_F32, "k and v in the element type of q, or e4m3 or e5m2 with q in f16 or bf16",  \
    "f32 with q in bf16")                                                                                      \
  X(kv_cache, (s.kv_dtype = QN_E4M3, s.dtype = s.out_dtype = QN_F32),                                          \
    "k and v in the element type of q, or e4m3 or e5m2 with q in f16 or bf16", "e4m3 with q in f32")           \
  X(head_dim, (s.kv_dtype = QN_E5M2, s.v_head_dim = 24), "head_dim and v_head_dim 16, 32, .. 256 of codes",    \
    "head_dim 128, v_head_dim 24")                                                                             \
  X(attribute, s.v_scale = (qn_kv_scale)3, "scales of k and v none, one, or one for each head",                \
    "kinds number 0 and 3")                                                                                    \
  X(kv_cache, s.page_size = 16, "pages of at most 2^20 positions, with kv_lengths",                            \
    "pages with one length for all sequences")                                                                 \
  X(kv_cache, (s.page_size = 16, s.varlen = true), "pages of at most 2^20 positions, with kv_lengths",         \
    "pages with cumulative lengths")                                                                           \
  X(kv_cache, (s.page_size = (1 << 20) + 1, s.kv_lengths = true),                                              \
    "pages of at most 2^20 positions, with kv_lengths", "pages of 1048577")                                    \
  X(head_dim, s.head_dim = 0, "head_dim and v_head_dim 8, 16, .. 256", "head_dim 0, v_head_dim 128")           \
  X(head_dim, s.head_dim = 100, "head_dim and v_head_dim 8, 16, .. 256", "head_dim 100, v_head_dim 128")       \
  X(head_dim, s.v_head_dim = 264, "head_dim and v_head_dim 8, 16, .. 256", "head_dim 128, v_head_dim 264")     \
  X(head_count, s.kv_heads = 5, "heads a positive multiple of kv_heads", "heads 32, kv_heads 5")               \
  X(head_count, s.heads = 0, "heads a positive multiple of kv_heads", "heads 0, kv_heads 8")                   \
  X(causal, s.causal = (qn_causal)3, "causal none, top_left or bottom_right", "alignment number 3")            \
  X(window, s.window_left = -2, "window_left and window_right from 0 on, or -1 for none",                      \
    "window_left -2, window_right -1")                                                                         \
  X(softcap, s.softcap = 2000, "softcap from 1/1024 to 1024, or 0 for none", "softcap 2000")                   \
  X(softcap, s.softcap = NAN, "softcap from 1/1024 to 1024, or 0 for none", "softcap nan")                     \
  X(sinks, s.sinks_dtype = QN_F16, "sinks in f32 or in the element type of q", "f16 with q in bf16")           \
  X(variable_length, s.kv_lengths = true, "lengths in s32 or s64", "?")                                        \
  X(variable_length, (s.varlen = true, s.lengths_dtype = QN_U32), "lengths in s32 or s64", "u32")              \
  X(variable_length, (s.varlen = true, s.lengths_dtype = QN_S32, s.mask = QN_MASK_BOOLEAN),                    \
    "cumulative lengths without a mask and without kv_lengths", "a mask")                                      \
  X(variable_length, (s.varlen = s.kv_lengths = true, s.lengths_dtype = QN_S32),                               \
    "cumulative lengths without a mask and without kv_lengths", "kv_lengths")                                  \
  X(mask, s.mask = (qn_mask_kind)3, "a mask that is added, or boolean", "mask kind number 3")                  \
  X(mask_type, (s.mask = QN_MASK_ADDITIVE, s.mask_dtype = QN_F16),                                             \
    "a mask in f32 or in the element type of q", "f16 with q in bf16")                                         \
  X(attribute, s.scale = INFINITY, "a scale from -1e30 to 1e30", "scale inf")                                  \
  X(scheme, s.output.nan = 7, "a scheme of words and types that are known", "fp8_static{nan=7}")               \
  X(scheme, s.output.target = QN_DTYPE_COUNT, "a scheme of words and types that are known",                    \
    "fp8_static{target=23}")                                                                                   \
  X(zero_point, s.output.zero_point = QN_ZERO_POINT_AFTER, "zero points on codes that are integers",           \
    "fp8_static{zero_point=after}")                                                                            \
  X(scheme, s.output.compute = QN_F64, "a scheme that can be",                                                 \
    "one that rounds the quotient to a type other than f32, f16 and bf16")                                     \
  X(scheme, s.output.arithmetic = QN_RANGE, "a scheme that can be",                                            \
    "one that has arithmetic range, which needs amax, and is not dynamic")                                     \
  X(not_saturating, s.output.saturate = false, "codes that saturate", "fp8_static{saturate=false}")            \
  X(scheme, s.output.pad = 12, "rows padded to a multiple of 8 codes", "fp8_static{pad=12}")                   \
  X(scale_type, s.pre_scale_dtype = QN_E4M3, "pre_scale in f32, f16 or bf16", "e4m3")                          \
  X(attribute, (s.output = qn_scheme_of(QN_SCHEME_none), s.unquantized = true),                                \
    "pre_scale, scale_bound and unquantized with an output scheme only", "none")                               \
  X(attribute, (s.output = qn_scheme_of(QN_SCHEME_none), s.pre_scale_dtype = QN_F32),                          \
    "pre_scale, scale_bound and unquantized with an output scheme only", "none")                               \
  X(scheme, s.scale_bound = true, "a dynamic scheme under scale_bound", "fp8_static")                          \
  X(dynamic_scale, s.output = qn_scheme_of(QN_SCHEME_int8_dynamic),                                            \
    "a scale that is known before the run, of a group or a token", "int8_dynamic")                             \
  X(scheme, s.output = qn_scheme_of(QN_SCHEME_int16_static), "codes in e4m3, e5m2, s8 or u8", "int16_static")  \
  X(scheme, s.output.target = QN_E4M3FNUZ, "codes in e4m3, e5m2, s8 or u8", "fp8_static{target=e4m3fnuz}")     \
  X(scheme, s.output.granularity = QN_PER_TOKEN, "a known scale for the tensor or for each channel",           \
    "fp8_static{granularity=token}")                                                                           \
  X(scheme, (s.output = qn_scheme_of(QN_SCHEME_fp8_block), s.output.group = 128),                              \
    "a known scale for the tensor or for each channel", "fp8_block{group=128}")                                \
  X(granularity, (s.output = qn_scheme_of(QN_SCHEME_fp8_channel), s.output.axis = 1),                          \
    "channels of the last axis", "fp8_channel{axis=1}")                                                        \
  X(scale_type, s.output.scale_dtype = QN_E8M0, "a scale in f32, f16 or bf16, or a cast without one", "e8m0")  \
  X(scale_type, (s.output = qn_scheme_of(QN_SCHEME_fp8_channel), s.output.scale_dtype = QN_ANY),               \
    "a scale in f32, f16 or bf16, or a cast without one", "?")                                                 \
  X(zero_point, (s.output = qn_scheme_of(QN_SCHEME_int8_static), s.output.zero_point_dtype = QN_S64),          \
    "zero points in s8, u8 or s32", "s64")                                                                     \
  X(block_axis, (s.output = qn_scheme_of(QN_SCHEME_fp8_group), s.output.axis = 1), "groups on the last axis",  \
    "groups on axis 1")                                                                                        \
  X(attribute,                                                                                                 \
    (s.output = qn_scheme_of(QN_SCHEME_fp8_token), s.heads = 12, s.kv_heads = 4, s.pack_heads = true),         \
    "packed heads that a warp has all of", "3 heads, 32 rows of a warp")                                       \
  X(scale_type, (s.output = qn_scheme_of(QN_SCHEME_fp8_token), s.output.scale_dtype = QN_E4M3),                \
    "a scale for each token in f32, f16 or bf16", "fp8_token{scale=e4m3}")                                     \
  X(scale_type, (s.output = qn_scheme_of(QN_SCHEME_fp8_token), s.output.scale_layout = QN_SCALES_SWIZZLED),    \
    "swizzled scales of one byte", "fp8_token{scale_layout=swizzled}")                                         \
  X(scheme, (s.output = qn_scheme_of(QN_SCHEME_fp8_token), s.output.target = QN_E2M1),                         \
    "codes in e4m3, e5m2, s8 or u8", "fp8_token{target=e2m1}")                                                 \
  X(head_dim,                                                                                                  \
    (s.output = qn_scheme_of(QN_SCHEME_fp8_token), s.schedule = QN_SCHEDULE_quantize, s.v_head_dim = 12),      \
    "rows of at most 2^20 elements, in multiples of 16 bytes", "32 heads of 12 bf16")                          \
  X(scheme, s.schedule = (s.output = qn_scheme_of(QN_SCHEME_none), QN_SCHEDULE_quantize),                      \
    "a scheme to quantize under", "none")                                                                      \
  X(extra_result, (s.schedule = QN_SCHEDULE_quantize, s.unquantized = true),                                   \
    "codes alone from the schedule quantize", "unquantized")                                                   \
  X(scheme, (s.output = qn_scheme_of(QN_SCHEME_fp8_group), s.output.group = 12), "groups of 8, 16, 24 ..",     \
    "groups of 12")                                                                                            \
  X(scheme, (s.output = qn_scheme_of(QN_SCHEME_fp8_group), s.output.target = QN_S8, s.output.group = 32),      \
    "groups of codes in e4m3, e5m2 or e2m1, without zero points", "fp8_group{target=s8, group=32}")            \
  X(scale_type, (s.output = qn_scheme_of(QN_SCHEME_nvfp4), s.output.scale_dtype = QN_F32),                     \
    "swizzled scales of one byte", "nvfp4{scale=f32}")                                                         \
  X(scale_type, (s.output = qn_scheme_of(QN_SCHEME_nvfp4), s.output.scale_dtype = QN_E8M0),                    \
    "scales in f32, f16, bf16 or e4m3, or powers of two in e8m0", "nvfp4{scale=e8m0}")                         \
  X(scheme, (s.output = qn_scheme_of(QN_SCHEME_mxfp8), s.output.scale_dtype = QN_E4M3),                        \
    "a scheme that can be", "one that makes powers of two and stores them as neither e8m0 nor f32")            \
  X(attribute, s.f32_mode = (qn_f32_mode)2, "f32 products as tf32x3 or tf32", "mode number 2")                 \
  X(attribute, s.schedule = (qn_schedule)9, "the schedule mma, split or quantize", "number 9")                 \
  X(attribute, s.tile_q = 96,                                                                                  \
    "1..8 warps of 16 or 32 rows, tile_kv 16, 32, .. 128 (split: for each warp), 2..4 stages",                 \
    "tile_q 96, tile_kv 32, 4 warps, 2 stages")                                                                \
  X(attribute, (s.tile_kv = 128, s.stages = 4), "tiles that fit the shared memory of a block",                 \
    "294912 bytes of 232448 on sm_90a")

Test(supports, refusals_say_what_was_expected_and_found){
#define X(code, change, expect, find)                                                                          \
  {                                                                                                            \
    qn_kernel_spec s = fused();                                                                                \
    qn_reason reason;                                                                                          \
    change;                                                                                                    \
    cr_expect_not(qn_target_supports(&s, &reason), #change);                                                   \
    cr_expect_str_eq(qn_why_name(reason.why), #code, "%s: %s", #change, qn_why_name(reason.why));              \
    cr_expect_str_eq(reason.expected, expect, "%s: %s", #change, reason.expected);                             \
    cr_expect_str_eq(reason.found, find, "%s: %s", #change, reason.found);                                     \
  }
  REFUSALS(X)
#undef X
}

Test(supports, all_that_is_promised) {
  static const qn_dtype DTYPES[] = { QN_F16, QN_BF16, QN_F32 };
  static const char *const OUTPUTS[] = { "none",
                                         "fp8_static",
                                         "fp8_static{target=e5m2, scale=f16, compute=f16}",
                                         "fp8_channel{arithmetic=reciprocal, round=bf16, nan=largest}",
                                         "fp8_cast{target=e5m2}",
                                         "int8_static{target=u8, scale=bf16}",
                                         "int8_channel{zero_point=before, zero_point_type=s32, narrow=true}" };
  for (int target = 0; target < QN_TARGET_COUNT; target++)
    for (size_t type = 0; type < QN_COUNT(DTYPES); type++)
      for (uint32_t head_dim = 8; head_dim <= 256; head_dim += 8)
        for (int mask = 0; mask <= QN_MASK_BOOLEAN; mask++)
          for (size_t output = 0; output < QN_COUNT(OUTPUTS); output++)
            for (int numerics = 0; numerics < 2; numerics++) {
              qn_kernel_spec s = fused();
              qn_reason reason;
              s.target = (qn_target)target;
              s.dtype = s.out_dtype = s.mask_dtype = DTYPES[type];
              s.head_dim = head_dim;
              s.v_head_dim = 264 - head_dim;
              s.mask = (qn_mask_kind)mask;
              s.numerics = (qn_numerics)numerics;
              cr_assert(qn_scheme_parse(OUTPUTS[output], &s.output));
              cr_expect(qn_target_supports(&s, &reason), "%s: %s", reason.expected, reason.found);
              cr_expect_eq(reason.why, QN_WHY_none);
            }
}

Test(targets, names) {
  for (int i = 0; i < QN_TARGET_COUNT; i++) cr_expect_eq(qn_target_find(qn_target_name((qn_target)i)), i);
  cr_expect_eq(qn_target_find("sm_75"), QN_TARGET_COUNT);
  cr_expect_str_eq(qn_target_doc(QN_TARGET_sm_90a), "H100, H200");
}

Test(spec, names_are_readable_and_short) {
  char name[128], other[128];
  qn_kernel_spec s = fused();
  qn_kernel_format_name(&s, name);
  cr_expect_str_eq(name, "qn_attention_mma_bf16_d128_h32_8_fp8_static");
  s.pack_heads = true;
  qn_kernel_format_name(&s, name);
  cr_expect_str_eq(name, "qn_attention_mma_bf16_d128_h32_8_packed_fp8_static");
  s.pack_heads = false;
  s.head_dim = 192;
  qn_kernel_format_name(&s, name);
  cr_expect_str_eq(name, "qn_attention_mma_bf16_d192_128_h32_8_fp8_static");
  s.head_dim = 128;
  s.causal = QN_CAUSAL_TOP_LEFT;
  s.mask = QN_MASK_ADDITIVE;
  s.mask_dtype = QN_F32;
  s.scale = 1;
  s.numerics = QN_DIRECT;
  qn_kernel_format_name(&s, name);
  cr_expect_str_eq(name, "qn_attention_mma_bf16_d128_h32_8_causal_mask_f32_fp8_static_direct_scale3f800000");
  s.window_left = 255;
  s.mask = QN_MASK_NONE;
  s.softcap = 30;
  s.alibi = s.varlen = true;
  s.sinks_dtype = QN_F32;
  s.lengths_dtype = QN_S64;
  s.scale = 0;
  s.output = qn_scheme_of(QN_SCHEME_none);
  qn_kernel_format_name(&s, name);
  cr_expect_str_eq(name,
                   "qn_attention_mma_bf16_d128_h32_8_causal_w255_x_softcap41f00000_alibi_sinks_f32_varlen_s64");
  s = fused();
  s.window_right = 0;
  s.sinks_dtype = QN_BF16;
  s.kv_lengths = true;
  s.lengths_dtype = QN_S32;
  s.output = qn_scheme_of(QN_SCHEME_none);
  qn_kernel_format_name(&s, name);
  cr_expect_str_eq(name, "qn_attention_mma_bf16_d128_h32_8_wx_0_sinks_kvlen");
  s = fused();
  s.mask = QN_MASK_ADDITIVE;
  s.mask_dtype = QN_F32;
  s.scale = 1;
  // With everything said, the end of the name becomes a hash of all of it.
  s.causal = QN_CAUSAL_BOTTOM_RIGHT;
  s.heads = s.kv_heads = 4000000000;
  s.output.target = QN_E5M2;
  s.output.arithmetic = QN_RECIPROCAL;
  s.output.scale_dtype = s.output.compute = s.output.round_input = QN_BF16;
  s.stages = 3;
  qn_kernel_format_name(&s, name);
  s.stages = 4;
  qn_kernel_format_name(&s, other);
  cr_expect_eq(strlen(name), 127);
  cr_expect_str_neq(name, other);
}
