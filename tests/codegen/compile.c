// Compiles generated kernels with NVRTC for every target: no error, no spill, no local memory, registers and
// shared memory within the chip. Needs no GPU; without NVRTC it is skipped (77). QN_TEST_FULL=1 takes the whole
// matrix instead of one kernel in 37.

#include "codegen/launch_priv.h"
#include "codegen/spec_priv.h"

#include <stdio.h>
#include <stdlib.h>

enum { SKIPPED = 77, EVERY = 37 };

static const qn_dtype DTYPES[] = { QN_F16, QN_BF16, QN_F32 };
static const struct {
  uint32_t qk, v;
} HEAD_DIMS[] = { { 64, 64 },   { 80, 80 },   { 96, 96 },   { 128, 128 },
                  { 192, 192 }, { 256, 256 }, { 192, 128 }, { 72, 248 } };
static const char *const OUTPUTS[] = { "none", "fp8_static", "fp8_static{target=e5m2, arithmetic=reciprocal}" };
// none, boolean, added in f32, added in the type of q
enum { MASKS = 4 };

static bool compile(qn_context *context, qn_compiler *compiler, const qn_kernel_spec *spec) {
  qn_kernel *kernel;
  char name[128];
  qn_kernel_format_name(spec, name);
  if (qn_compiler_compile(compiler, spec, QN_CUBIN, &kernel) != QN_OK) {
    printf("%s %s: %s\n", name, qn_target_name(spec->target), qn_context_get_error(context)->message);
    return false;
  }
  const qn_kernel_info *info = qn_kernel_get_info(kernel);
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

static qn_kernel_spec spec_of(int target, size_t type, size_t dim, int causal, int mask, size_t output) {
  qn_kernel_spec spec = {
    .target = (qn_target)target,
    .dtype = DTYPES[type],
    .out_dtype = DTYPES[type],
    .head_dim = HEAD_DIMS[dim].qk,
    .v_head_dim = HEAD_DIMS[dim].v,
    .heads = 8,
    .kv_heads = 2,
    .causal = (qn_causal)causal,
    .mask = mask == 0   ? QN_MASK_NONE
            : mask == 1 ? QN_MASK_BOOLEAN
                        : QN_MASK_ADDITIVE,
    .mask_dtype = mask == 2   ? QN_F32
                  : mask == 3 ? DTYPES[type]
                              : QN_ANY,
    .window_left = -1,
    .window_right = -1,
  };
  return qn_scheme_parse(OUTPUTS[output], &spec.output) ? spec : (qn_kernel_spec){ 0 };
}

int main(void) {
  qn_context *context;
  qn_compiler *compiler;
  const char *path;
  int major, minor, count = 0, failures = 0, step = getenv("QN_TEST_FULL") != NULL ? 1 : EVERY;

  if (qn_context_create(NULL, &context) != QN_OK) return 1;
  if (qn_compiler_create(context, qn_compiler_params(.cache_dir = ""), &compiler) != QN_OK) return 1;
  if (qn_compiler_get_nvrtc(compiler, &path, &major, &minor) != QN_OK) {
    printf("skipped: %s\n", qn_context_get_error(context)->message);
    qn_compiler_destroy(compiler);
    qn_context_destroy(context);
    return SKIPPED;
  }
  int index = 0;
  for (int target = 0; target < QN_TARGET_COUNT; target++)
    for (size_t type = 0; type < QN_COUNT(DTYPES); type++)
      for (size_t dim = 0; dim < QN_COUNT(HEAD_DIMS); dim++)
        for (int causal = 0; causal <= QN_CAUSAL_BOTTOM_RIGHT; causal++)
          for (int mask = 0; mask < MASKS; mask++)
            for (size_t output = 0; output < QN_COUNT(OUTPUTS); output++) {
              if (DTYPES[type] == QN_F32 && mask == 3) continue; // the same as mask 2
              if (index++ % step != 0) continue;
              qn_kernel_spec spec = spec_of(target, type, dim, causal, mask, output);
              failures += !compile(context, compiler, &spec);
              count++;
            }
  printf("NVRTC %d.%d: %d kernels, %d failures\n", major, minor, count, failures);
  qn_compiler_destroy(compiler);
  qn_context_destroy(context);
  return failures > 0;
}
