// Compiles generated kernels with NVRTC: no error, no spill, no local memory, registers and shared memory
// within the chip. Needs no GPU; without NVRTC it is skipped (77). Every two options of a kernel meet in some
// kernel, its target and head dims among them. With QN_TEST_FULL=1 that holds for each target, element type and
// head dims apart, and each of them is compiled with everything on as well. QN_TEST_TIMES=1 says how long each
// takes.

#include "codegen/launch_priv.h"
#include "codegen/spec_priv.h"
#include "tests/kernels/cover.h"

#include <stdio.h>
#include <stdlib.h>

enum { SKIPPED = 77, ROWS_MAX = 512 };

static const qn_target targets[] = { QN_TARGET_sm_90a,  QN_TARGET_sm_80,   QN_TARGET_sm_86,  QN_TARGET_sm_89,
                                     QN_TARGET_sm_100a, QN_TARGET_sm_103a, QN_TARGET_sm_120a };
static const struct {
  qn_dtype dtype;
  qn_f32_mode mode;
} dtypes[] = {
  { QN_F16, QN_F32_TF32X3 }, { QN_BF16, QN_F32_TF32X3 }, { QN_F32, QN_F32_TF32X3 }, { QN_F32, QN_F32_TF32 }
};
static const struct {
  uint32_t qk, v;
} dims[] = { { 64, 64 },   { 80, 80 },   { 96, 96 },  { 128, 128 }, { 192, 192 },
             { 256, 256 }, { 192, 128 }, { 72, 248 }, { 248, 40 },  { 8, 8 } };
static const char *const outputs[] = {
  "none",
  "fp8_static",
  "fp8_static{target=e5m2, arithmetic=reciprocal, compute=bf16}",
  "fp8_cast{nan=largest, round=f16}",
  "fp8_channel{scale=f16, compute=f16}",
  "int8_static{target=u8, zero_point=before}",
  "int8_channel{zero_point_type=s32}",
  "fp8_group{group=32, target=e5m2}",
  "mxfp8{scale_layout=swizzled}",
  "nvfp4{global=divisor, rule=product, arithmetic=divide, ties=towards_zero}",
  "mxfp4{rule=even, zero_sign=exact, pad=256}",
  "fp8_token{scale_layout=tma_aligned}",
  "int8_token_zp",
};
// What stands beside the codes: factors in front of them, an upper bound of amax, the values themselves.
static const struct {
  qn_dtype pre_scale;
  bool bound, unquantized;
} besides[] = {
  { QN_ANY, false, false }, { QN_F32, false, false }, { QN_F16, true, true }, { QN_ANY, false, true }
};
enum { MASK_NONE, MASK_BOOLEAN, MASK_F32, MASK_OF_Q };
static const int masks[] = { MASK_NONE, MASK_BOOLEAN, MASK_F32, MASK_OF_Q };
static const qn_causal causals[] = { QN_CAUSAL_NONE, QN_CAUSAL_TOP_LEFT, QN_CAUSAL_BOTTOM_RIGHT };
static const struct {
  int32_t left, right;
} windows[] = { { -1, -1 }, { 100, -1 }, { -1, 9 }, { 128, 128 } };
enum { LENGTHS_FIXED, LENGTHS_KV, LENGTHS_VARLEN };
static const int lengths[] = { LENGTHS_FIXED, LENGTHS_KV, LENGTHS_VARLEN };
enum { SINKS_NONE, SINKS_OF_Q, SINKS_F32 };
static const int sinks[] = { SINKS_NONE, SINKS_OF_Q, SINKS_F32 };
static const float softcaps[] = { 0, 30 };
static const float scales[] = { 0, -0.3f };
static const bool booleans[] = { false, true };
static const qn_numerics numerics[] = { QN_EXACT, QN_DIRECT };

static const qn_schedule schedules[] = { QN_SCHEDULE_mma, QN_SCHEDULE_split };
static const struct {
  qn_dtype dtype;
  uint32_t page_size;
  qn_kv_scale k_scale, v_scale;
} caches[] = { { QN_ANY, 0, QN_KV_SCALE_NONE, QN_KV_SCALE_NONE },
               { QN_E4M3, 16, QN_KV_SCALE_HEAD, QN_KV_SCALE_TENSOR },
               { QN_E5M2, 0, QN_KV_SCALE_TENSOR, QN_KV_SCALE_HEAD },
               { QN_ANY, 64, QN_KV_SCALE_NONE, QN_KV_SCALE_HEAD } };

#define FACTOR_MAP(X)                                                                                          \
  X(TARGET, targets)                                                                                           \
  X(DTYPE, dtypes)                                                                                             \
  X(DIMS, dims)                                                                                                \
  X(MASK, masks)                                                                                               \
  X(WINDOW, windows)                                                                                           \
  X(OUTPUT, outputs)                                                                                           \
  X(BESIDE, besides)                                                                                           \
  X(CAUSAL, causals)                                                                                           \
  X(LENGTHS, lengths)                                                                                          \
  X(SINKS, sinks)                                                                                              \
  X(SOFTCAP, softcaps)                                                                                         \
  X(SCALE, scales)                                                                                             \
  X(ALIBI, booleans)                                                                                           \
  X(PACK, booleans)                                                                                            \
  X(NUMERICS, numerics)                                                                                        \
  X(SCHEDULE, schedules)                                                                                       \
  X(CACHE, caches)

enum {
#define X(name, table) name,
  FACTOR_MAP(X)
#undef X
      FACTORS,
};

// What a row's choices of target, element type and head dims are counted from.
typedef struct origin {
  uint8_t target, dtype, dims;
} origin;

static qn_kernel_spec spec_of(const origin *from, const cover_row row) {
  qn_dtype dtype = dtypes[from->dtype + row[DTYPE]].dtype;
  int mask = masks[row[MASK]], length = lengths[row[LENGTHS]], sink = sinks[row[SINKS]];
  qn_kernel_spec spec = {
    .target = targets[from->target + row[TARGET]],
    .schedule = schedules[row[SCHEDULE]],
    .dtype = dtype,
    .kv_dtype = caches[row[CACHE]].dtype,
    .page_size = caches[row[CACHE]].page_size,
    .k_scale = caches[row[CACHE]].k_scale,
    .v_scale = caches[row[CACHE]].v_scale,
    .out_dtype = dtype,
    .f32_mode = dtypes[from->dtype + row[DTYPE]].mode,
    .head_dim = dims[from->dims + row[DIMS]].qk,
    .v_head_dim = dims[from->dims + row[DIMS]].v,
    .heads = 10,
    .kv_heads = 2,
    .pack_heads = booleans[row[PACK]],
    .causal = causals[row[CAUSAL]],
    .window_left = windows[row[WINDOW]].left,
    .window_right = windows[row[WINDOW]].right,
    .mask = mask == MASK_NONE      ? QN_MASK_NONE
            : mask == MASK_BOOLEAN ? QN_MASK_BOOLEAN
                                   : QN_MASK_ADDITIVE,
    .mask_dtype = mask == MASK_F32    ? QN_F32
                  : mask == MASK_OF_Q ? dtype
                                      : QN_ANY,
    .sinks_dtype = sink == SINKS_NONE  ? QN_ANY
                   : sink == SINKS_F32 ? QN_F32
                                       : dtype,
    .scale = scales[row[SCALE]],
    .softcap = softcaps[row[SOFTCAP]],
    .alibi = booleans[row[ALIBI]],
    .kv_lengths = length == LENGTHS_KV,
    .varlen = length == LENGTHS_VARLEN,
    .lengths_dtype = length == LENGTHS_VARLEN ? QN_S64 : QN_S32,
    .numerics = numerics[row[NUMERICS]],
    .pre_scale_dtype = besides[row[BESIDE]].pre_scale,
    .unquantized = besides[row[BESIDE]].unquantized,
  };
  if (!qn_scheme_parse(outputs[row[OUTPUT]], &spec.output)) return (qn_kernel_spec){ 0 };
  spec.scale_bound = besides[row[BESIDE]].bound && spec.output.dynamic;
  return spec;
}

static bool is_supported(const void *user, const cover_row row) {
  qn_kernel_spec spec = spec_of(user, row);
  return qn_target_supports(&spec, NULL);
}

static bool compile(qn_context *context, qn_compiler *compiler, const qn_kernel_spec *spec, double *slowest) {
  qn_kernel *kernel;
  char name[128];
  qn_kernel_format_name(spec, name);
  if (qn_compiler_compile(compiler, spec, QN_CUBIN, &kernel) != QN_OK) {
    printf("%s %s: %s\n", name, qn_target_name(spec->target), qn_context_get_error(context)->message);
    return false;
  }
  const qn_kernel_info *info = qn_kernel_get_info(kernel);
  if (info->compile_ms > *slowest) *slowest = info->compile_ms;
  if (getenv("QN_TEST_TIMES") != NULL)
    printf("%8.1f ms %s %s\n", info->compile_ms, qn_target_name(spec->target), name);
  bool good = info->spill_bytes == 0 && info->local_bytes == 0 && info->registers > 0 &&
              info->registers <= 255 && info->threads == qn_kernel_get_threads(spec) &&
              info->static_shared_bytes == 0 &&
              info->dynamic_shared_bytes <= qn_target_get_info(spec->target)->shared_block;
  if (!good)
    printf("%s %s: %u registers, %u bytes spilled, %u local, %u + %u shared\n", name,
           qn_target_name(spec->target), info->registers, info->spill_bytes, info->local_bytes,
           info->static_shared_bytes, info->dynamic_shared_bytes);
  qn_kernel_destroy(kernel);
  return good;
}

typedef struct compile_totals {
  uint32_t kernels, failures;
  double slowest; // of a kernel, in ms
} compile_totals;

static void compile_row(qn_context *context, qn_compiler *compiler, const origin *from, const cover_row row,
                        compile_totals *totals) {
  qn_kernel_spec spec = spec_of(from, row);
  totals->failures += !compile(context, compiler, &spec, &totals->slowest);
  totals->kernels++;
}

// All pairs; with `all_on`, and what needs the most registers.
static void compile_cover(qn_context *context, qn_compiler *compiler, const origin *from,
                          const uint8_t choices[FACTORS], bool all_on, compile_totals *totals) {
  static cover_row rows[ROWS_MAX];
  cover_space space = { .factors = FACTORS, .choices = choices, .allows = is_supported, .user = from };
  cover_totals pairs;
  uint32_t count = cover_pairs(&space, rows, ROWS_MAX, &pairs);
  for (uint32_t i = 0; i < count; i++) compile_row(context, compiler, from, rows[i], totals);
  if (!all_on) return;
  cover_row row = { [MASK] = MASK_F32, [WINDOW] = 1,           [OUTPUT] = 1,  [CAUSAL] = QN_CAUSAL_BOTTOM_RIGHT,
                    [SINKS] = 1,       [LENGTHS] = LENGTHS_KV, [SOFTCAP] = 1, [ALIBI] = 1,
                    [PACK] = 1 };
  compile_row(context, compiler, from, row, totals);
}

static void compile_all(qn_context *context, qn_compiler *compiler, compile_totals *totals) {
  uint8_t choices[FACTORS] = {
#define X(name, table) QN_COUNT(table),
    FACTOR_MAP(X)
#undef X
  };
  if (getenv("QN_TEST_FULL") == NULL) {
    compile_cover(context, compiler, &(origin){ 0 }, choices, false, totals);
    return;
  }
  choices[TARGET] = choices[DTYPE] = choices[DIMS] = 1;
  for (uint8_t target = 0; target < QN_COUNT(targets); target++)
    for (uint8_t dtype = 0; dtype < QN_COUNT(dtypes); dtype++)
      for (uint8_t dim = 0; dim < QN_COUNT(dims); dim++)
        compile_cover(context, compiler, &(origin){ target, dtype, dim }, choices, true, totals);
}

int main(void) {
  qn_context *context;
  qn_compiler *compiler;
  const char *path;
  int major, minor;
  compile_totals totals = { 0 };

  if (qn_context_create(NULL, &context) != QN_OK) return 1;
  if (qn_compiler_create(context, qn_compiler_params(.cache_dir = ""), &compiler) != QN_OK) return 1;
  bool found = qn_compiler_get_nvrtc(compiler, &path, &major, &minor) == QN_OK;
  if (found) {
    compile_all(context, compiler, &totals);
    printf("NVRTC %d.%d: %u kernels, %u failures, %.0f ms at most\n", major, minor, totals.kernels,
           totals.failures, totals.slowest);
  } else
    printf("skipped: %s\n", qn_context_get_error(context)->message);
  qn_compiler_destroy(compiler);
  qn_context_destroy(context);
  return !found ? SKIPPED : totals.failures > 0;
}
