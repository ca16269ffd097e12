// Real kernels through a real NVRTC, for every target: none spills, none uses local memory. Skipped without
// NVRTC.
#include "ir/base_priv.h"
#include "runtime/cubin_priv.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <quench/runtime.h>
#include <stdio.h>

static qn_context *context;
static qn_compiler *compiler;

static void set_up(void) {
#ifdef __SANITIZE_ADDRESS__
  cr_skip_test("NVRTC leaks what it allocates when it is loaded");
#endif
  const char *path;
  int major, minor;
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  // A cache of the build folder: what did not change is not compiled again.
  cr_assert_eq(qn_compiler_create(context, qn_compiler_params(.cache_dir = FAKE_DIR "/kernels"), &compiler),
               QN_OK);
  qn_status status = qn_compiler_get_nvrtc(compiler, &path, &major, &minor);
  if (status == QN_UNAVAILABLE) cr_skip_test("%s", qn_context_get_error(context)->message);
  cr_assert_eq(status, QN_OK);
}

static void tear_down(void) {
  qn_compiler_destroy(compiler);
  qn_context_destroy(context);
}

TestSuite(kernels, .init = set_up, .fini = tear_down, .timeout = 300);

static qn_kernel_spec spec_of(qn_target target, qn_dtype dtype, uint32_t head_dim) {
  return (qn_kernel_spec){ .target = target,
                           .dtype = dtype,
                           .out_dtype = dtype,
                           .head_dim = head_dim,
                           .v_head_dim = head_dim,
                           .heads = 8,
                           .kv_heads = 2,
                           .window_left = -1,
                           .window_right = -1 };
}

// False if this NVRTC is too old for the target.
static bool compile(const qn_kernel_spec *spec, qn_binary binary, qn_kernel **out_kernel) {
  qn_status status = qn_compiler_compile(compiler, spec, binary, out_kernel);
  const qn_error *error = qn_context_get_error(context);
  if (status == QN_UNSUPPORTED && strstr(error->message, "a newer one does")) return false;
  cr_assert_eq(status, QN_OK, "%s: %s: %s", qn_target_name(spec->target), error->place, error->message);
  return true;
}

// The cubin and the assembler's report must agree, and both say: nothing outside of registers.
static void assert_lean(const qn_kernel_spec *spec) {
  qn_kernel *kernel;
  if (!compile(spec, QN_CUBIN, &kernel)) return;
  const qn_kernel_info *info = qn_kernel_get_info(kernel);
  const char *target = qn_target_name(spec->target);
  qn_cubin_info cubin;
  qn_ptxas_info report;
  cr_assert(qn_cubin_read(info->data, info->length, info->name, &cubin), "%s %s", target, info->name);
  cr_assert(qn_ptxas_read(info->log, info->name, &report), "%s %s: %s", target, info->name, info->log);
  cr_assert_eq(cubin.registers, report.registers, "%s %s", target, info->name);
  cr_assert_eq(cubin.frame_bytes, report.frame_bytes, "%s %s", target, info->name);
  cr_expect_eq(info->spill_bytes, 0, "%s %s spills %u bytes", target, info->name, info->spill_bytes);
  cr_expect_eq(info->local_bytes, 0, "%s %s uses %u bytes of local memory", target, info->name,
               info->local_bytes);
  cr_expect_leq(info->registers * info->threads, 65536u, "%s %s: %u registers for %u threads", target,
                info->name, info->registers, info->threads);
  qn_kernel_destroy(kernel);
}

ParameterizedTestParameters(kernels, no_spills) {
  static int targets[QN_TARGET_COUNT];
  for (int i = 0; i < QN_TARGET_COUNT; i++) targets[i] = i;
  return cr_make_param_array(int, targets, QN_TARGET_COUNT);
}

ParameterizedTest(int *target, kernels, no_spills) {
  static const struct {
    qn_dtype dtype;
    uint32_t head_dim;
    qn_scheme_family output;
    qn_causal causal;
    qn_mask_kind mask;
  } kernels[] = {
    { QN_F16, 64, QN_SCHEME_fp8_static, QN_CAUSAL_NONE, QN_MASK_NONE },
    { QN_BF16, 128, QN_SCHEME_fp8_static, QN_CAUSAL_BOTTOM_RIGHT, QN_MASK_NONE },
    { QN_F16, 128, QN_SCHEME_none, QN_CAUSAL_TOP_LEFT, QN_MASK_ADDITIVE },
    { QN_F32, 64, QN_SCHEME_fp8_static, QN_CAUSAL_NONE, QN_MASK_BOOLEAN },
    { QN_F32, 128, QN_SCHEME_fp8_static, QN_CAUSAL_NONE, QN_MASK_NONE },
  };
  for (size_t i = 0; i < QN_COUNT(kernels); i++) {
    qn_kernel_spec spec = spec_of((qn_target)*target, kernels[i].dtype, kernels[i].head_dim);
    spec.output = qn_scheme_of(kernels[i].output);
    spec.causal = kernels[i].causal;
    spec.mask = kernels[i].mask;
    spec.mask_dtype = kernels[i].mask == QN_MASK_BOOLEAN ? QN_BOOL : QN_F32;
    assert_lean(&spec);
  }
}

Test(kernels, ptx_holds_the_entry_and_its_target) {
  qn_kernel_spec spec = spec_of(QN_TARGET_sm_90a, QN_F16, 64);
  qn_kernel *kernel;
  cr_assert(compile(&spec, QN_PTX, &kernel));
  const qn_kernel_info *info = qn_kernel_get_info(kernel);
  const char *text = info->data;
  char entry[160];
  snprintf(entry, sizeof(entry), ".visible .entry %s(", info->name);
  cr_assert_not_null(strstr(text, entry));
  cr_assert_not_null(strstr(text, ".target sm_90a"));
  cr_assert_eq(strlen(text), info->length);
  qn_kernel_destroy(kernel);
}

Test(kernels, the_same_source_gives_the_same_bytes) {
  qn_kernel_spec spec = spec_of(QN_TARGET_sm_80, QN_F16, 64);
  qn_compiler *fresh;
  qn_kernel *a, *b;
  cr_assert_eq(qn_compiler_create(context, qn_compiler_params(.cache_dir = ""), &fresh), QN_OK);
  cr_assert_eq(qn_compiler_compile(fresh, &spec, QN_CUBIN, &a), QN_OK);
  cr_assert_eq(qn_compiler_compile(fresh, &spec, QN_CUBIN, &b), QN_OK);
  const qn_kernel_info *x = qn_kernel_get_info(a), *y = qn_kernel_get_info(b);
  cr_assert_eq(x->length, y->length);
  cr_assert_eq(memcmp(x->data, y->data, x->length), 0);
  qn_kernel_destroy(a);
  qn_kernel_destroy(b);
  qn_compiler_destroy(fresh);
}
