// How much workspace a launch needs.

#include "codegen/tokens_priv.h"

#include <criterion/criterion.h>

static qn_kernel_spec spec_of(qn_schedule schedule, qn_scheme_family family) {
  return (qn_kernel_spec){ .target = QN_TARGET_sm_90a,
                           .schedule = schedule,
                           .dtype = QN_BF16,
                           .out_dtype = QN_BF16,
                           .head_dim = 64,
                           .v_head_dim = 64,
                           .heads = 6,
                           .kv_heads = 6,
                           .window_left = -1,
                           .window_right = -1,
                           .output = qn_scheme_of(family) };
}

static const uint64_t COUNTERS = QN_WORKSPACE_COUNTERS * sizeof(uint32_t);

Test(workspace, none_without_scales_of_whole_tokens) {
  const qn_attention_args args = { .batch = 3, .q_len = 5, .kv_len = 7 };
  const qn_kernel_spec spec = spec_of(QN_SCHEDULE_mma, QN_SCHEME_fp8_static);
  const qn_kernel_spec rows = spec_of(QN_SCHEDULE_quantize, QN_SCHEME_fp8_token);
  cr_expect_eq(qn_kernel_get_workspace_bytes(&spec, &args), 0);
  cr_expect_eq(qn_kernel_get_workspace_bytes(&rows, &args), 0);
}

Test(workspace, counters_and_rows) {
  const qn_attention_args args = { .batch = 3, .q_len = 5, .kv_len = 7 };
  qn_kernel_spec spec = spec_of(QN_SCHEDULE_mma, QN_SCHEME_fp8_token);
  cr_expect_eq(qn_kernel_get_workspace_bytes(&spec, &args), COUNTERS + 3 * 5 * 6 * 64 * 2);
  spec.numerics = QN_DIRECT;
  cr_expect_eq(qn_kernel_get_workspace_bytes(&spec, &args), COUNTERS + 3 * 5 * 6 * 64 * 4);
}

Test(workspace, rows_of_the_second_output) {
  const qn_attention_args args = { .batch = 3, .q_len = 5, .kv_len = 7 };
  qn_kernel_spec spec = spec_of(QN_SCHEDULE_mma, QN_SCHEME_fp8_token);
  spec.unquantized = true;
  cr_expect_eq(qn_kernel_get_workspace_bytes(&spec, &args), COUNTERS);
  spec.numerics = QN_DIRECT; // rows of f32 are not the second output's
  cr_expect_eq(qn_kernel_get_workspace_bytes(&spec, &args), COUNTERS + 3 * 5 * 6 * 64 * 4);
}

Test(workspace, more_tokens_than_counters) {
  const qn_attention_args args = { .batch = 2, .q_len = QN_WORKSPACE_COUNTERS, .kv_len = 7 };
  const qn_kernel_spec spec = spec_of(QN_SCHEDULE_mma, QN_SCHEME_fp8_token);
  cr_expect_eq(qn_kernel_get_workspace_bytes(&spec, &args), 2 * COUNTERS + 2 * (COUNTERS / 4) * 6 * 64 * 2);
}

Test(workspace, parts_behind_the_rows) {
  const qn_attention_args args = { .batch = 3, .q_len = 1, .kv_len = 700, .splits = 4 };
  const qn_kernel_spec plain = spec_of(QN_SCHEDULE_split, QN_SCHEME_none);
  const qn_kernel_spec token = spec_of(QN_SCHEDULE_split, QN_SCHEME_fp8_token);
  uint64_t parts = qn_split_get_workspace_bytes(&plain, &args);
  cr_expect_gt(parts, 0);
  cr_expect_eq(qn_kernel_get_workspace_bytes(&plain, &args), COUNTERS + parts);
  cr_expect_eq(qn_kernel_get_workspace_bytes(&token, &args), COUNTERS + 3 * 6 * 64 * 2 + parts);
}
