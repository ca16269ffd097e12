// Shared by the tests of codegen/: the kernels from which they deviate.
#ifndef QUENCH_TESTS_CODEGEN_TEST_H
#define QUENCH_TESTS_CODEGEN_TEST_H

#include <criterion/criterion.h>
#include <quench/kernel.h>

static inline qn_kernel_spec plain(void) {
  return (qn_kernel_spec){
    .target = QN_TARGET_sm_80,
    .dtype = QN_F16,
    .out_dtype = QN_F16,
    .head_dim = 64,
    .v_head_dim = 64,
    .heads = 8,
    .kv_heads = 2,
    .window_left = -1,
    .window_right = -1,
    .output = qn_scheme_of(QN_SCHEME_fp8_static),
  };
}

// The size of a model in use, unfused.
static inline qn_kernel_spec usual(void) {
  return (qn_kernel_spec){
    .target = QN_TARGET_sm_90a,
    .dtype = QN_BF16,
    .out_dtype = QN_BF16,
    .head_dim = 128,
    .v_head_dim = 128,
    .heads = 32,
    .kv_heads = 8,
    .window_left = -1,
    .window_right = -1,
  };
}

#endif
