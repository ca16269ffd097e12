// The emulator with real kernels, for suites of tests/runtime. They skip where there is no NVRTC.
#ifndef TESTS_RUNTIME_EMULATED_H
#define TESTS_RUNTIME_EMULATED_H

#include <criterion/criterion.h>
#include <quench/runtime.h>

static inline void emulated_open(qn_context **out_context, qn_compiler **out_compiler, qn_device **out_device) {
#ifdef __SANITIZE_ADDRESS__
  cr_skip_test("NVRTC leaks what it allocates when it is loaded");
#endif
  const char *path;
  int major, minor;
  cr_assert_eq(qn_context_create(NULL, out_context), QN_OK);
  cr_assert_eq(
      qn_compiler_create(*out_context, qn_compiler_params(.cache_dir = FAKE_DIR "/kernels"), out_compiler),
      QN_OK);
  qn_status status = qn_compiler_get_nvrtc(*out_compiler, &path, &major, &minor);
  if (status == QN_UNAVAILABLE) cr_skip_test("%s", qn_context_get_error(*out_context)->message);
  cr_assert_eq(
      qn_device_create_emulator(*out_context, qn_emulator_params(.target = QN_TARGET_sm_90a), out_device),
      QN_OK);
}

#endif
