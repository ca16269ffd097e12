// Schemes whose scales depend on whole tokens: the stand-alone quantizer, and the kernels that quantize when
// all heads of a token are finished.
#include "tests/kernels/tokens.h"

#include <criterion/criterion.h>

static tokens_bench bench;

static void set_up(void) {
  tokens_bench_open(&bench);
}
static void tear_down(void) {
  tokens_bench_close(&bench);
}

static qn_scheme scheme(const char *text) {
  qn_scheme scheme;
  cr_assert(qn_scheme_parse(text, &scheme), "%s", text);
  return scheme;
}

// --- the schedule `quantize` -------------------------------------------------------------------------------

TestSuite(quantize, .init = set_up, .fini = tear_down);

static qn_kernel_spec rows_spec(qn_dtype dtype, uint32_t heads, uint32_t v_head_dim, const char *output) {
  return (qn_kernel_spec){ .target = QN_TARGET_sm_90a,
                           .schedule = QN_SCHEDULE_quantize,
                           .dtype = dtype,
                           .out_dtype = dtype,
                           .head_dim = v_head_dim,
                           .v_head_dim = v_head_dim,
                           .heads = heads,
                           .kv_heads = heads,
                           .window_left = -1,
                           .window_right = -1,
                           .output = scheme(output) };
}

static void check_rows(uint32_t tokens, qn_dtype dtype, uint32_t heads, uint32_t v_head_dim,
                       const char *output) {
  const qn_kernel_spec spec = rows_spec(dtype, heads, v_head_dim, output);
  tokens_check_rows(&bench, &spec, &(tokens_launch){ .batch = 1, .q_len = tokens, .specials = true });
}

Test(quantize, fp8_static) {
  check_rows(129, QN_BF16, 8, 64, "fp8_static");
  check_rows(7, QN_F32, 3, 80, "fp8_static{target=e5m2, arithmetic=reciprocal}");
}

Test(quantize, fp8_cast) {
  check_rows(33, QN_F16, 2, 80, "fp8_cast");
}

Test(quantize, no_tokens) {
  check_rows(0, QN_BF16, 8, 64, "fp8_token");
}

Test(quantize, one_token) {
  check_rows(1, QN_BF16, 40, 128, "fp8_token");
  check_rows(1, QN_F32, 1, 16384, "fp8_token");
}

Test(quantize, fp8_token_of_every_width) {
  static const uint32_t COLUMNS[] = { 8, 80, 256, 1024, 2048, 2056, 4096, 5120, 16384, 20480 };
  for (size_t i = 0; i < sizeof COLUMNS / sizeof *COLUMNS; i++)
    check_rows(3, QN_BF16, 1, COLUMNS[i], "fp8_token");
}

Test(quantize, fp8_token_of_533_tokens) {
  check_rows(533, QN_BF16, 40, 16, "fp8_token");
}

Test(quantize, fp8_token_in_every_type) {
  check_rows(129, QN_F16, 8, 80, "fp8_token");
  check_rows(129, QN_F32, 8, 80, "fp8_token{target=e5m2}");
  check_rows(5, QN_BF16, 8, 80, "fp8_token{scale=bf16, rule=reciprocal, arithmetic=reciprocal}");
}

Test(quantize, int8_token) {
  check_rows(129, QN_BF16, 8, 80, "int8_token");
  check_rows(6, QN_F32, 8, 640, "int8_token{range=half, arithmetic=divide}");
}

Test(quantize, int8_token_zp) {
  check_rows(129, QN_BF16, 8, 80, "int8_token_zp");
  check_rows(6, QN_F32, 8, 640, "int8_token_zp{zero_point=before, zero_point_rule=inner}");
  check_rows(6, QN_F16, 1, 48, "int8_token_zp{target=u8, range=with_zero, zero_point_type=u8}");
}

Test(quantize, scale_bound) {
  qn_kernel_spec spec = rows_spec(QN_BF16, 4, 64, "fp8_token");
  spec.scale_bound = true;
  tokens_check_rows(&bench, &spec, &(tokens_launch){ .batch = 2, .q_len = 9, .bound = 2.5f });
}

Test(quantize, pre_scale) {
  qn_kernel_spec spec = rows_spec(QN_BF16, 4, 80, "fp8_token{round=bf16}");
  spec.pre_scale_dtype = QN_BF16;
  tokens_check_rows(&bench, &spec, &(tokens_launch){ .batch = 2, .q_len = 9 });
}

Test(quantize, pre_scale_of_groups_across_heads) {
  qn_kernel_spec spec = rows_spec(QN_BF16, 8, 80, "fp8_group");
  spec.pre_scale_dtype = QN_F32;
  tokens_check_rows(&bench, &spec, &(tokens_launch){ .batch = 1, .q_len = 9 });
}

Test(quantize, groups_within_heads) {
  check_rows(129, QN_BF16, 4, 128, "fp8_group");
  check_rows(5, QN_F32, 2, 256, "fp8_group");
}

Test(quantize, groups_across_heads) {
  check_rows(129, QN_BF16, 4, 64, "fp8_group");
  check_rows(129, QN_F16, 8, 32, "fp8_group");
  check_rows(129, QN_BF16, 8, 80, "fp8_group");
  check_rows(17, QN_F32, 8, 80, "fp8_group");
}

Test(quantize, groups_of_odd_sizes) {
  check_rows(17, QN_BF16, 3, 80, "fp8_group{group=48}");
  check_rows(17, QN_BF16, 3, 80, "fp8_group{group=240}");
  check_rows(17, QN_F32, 8, 256, "fp8_group{group=512}");
}

Test(quantize, last_group_shorter) {
  check_rows(17, QN_BF16, 3, 80, "fp8_group"); // 128 and 112
}

Test(quantize, scale_layouts) {
  check_rows(129, QN_BF16, 8, 80, "fp8_group{scale_layout=column}");
  check_rows(129, QN_BF16, 8, 80, "fp8_group{scale_layout=tma_aligned}");
  check_rows(129, QN_BF16, 8, 80, "fp8_group{scale=e8m0, scale_layout=packed, rule=up, arithmetic=reciprocal}");
  check_rows(129, QN_BF16, 8, 80, "int8_token_zp{scale_layout=tma_aligned}");
}

Test(quantize, fp4) {
  check_rows(129, QN_BF16, 8, 80, "nvfp4");
  check_rows(129, QN_BF16, 1, 1040, "nvfp4{scale_layout=row, global=divisor, rule=product, arithmetic=divide}");
  check_rows(17, QN_F16, 8, 80, "mxfp4{group=32}");
  check_rows(17, QN_F32, 5, 48, "mxfp8");
}

Test(quantize, padding) {
  check_rows(9, QN_BF16, 1, 72, "fp8_token{pad=128}");
}

Test(quantize, chips_without_conversions) {
  qn_kernel_spec spec = rows_spec(QN_BF16, 8, 80, "fp8_token");
  spec.target = QN_TARGET_sm_80;
  tokens_check_rows(&bench, &spec, &(tokens_launch){ .batch = 1, .q_len = 9, .specials = true });
}

// --- deferred ----------------------------------------------------------------------------------------------

TestSuite(deferred, .init = set_up, .fini = tear_down);

static qn_kernel_spec attention_spec(qn_dtype dtype, uint32_t heads, uint32_t kv_heads, uint32_t head_dim,
                                     const char *output) {
  qn_kernel_spec spec = rows_spec(dtype, heads, head_dim, output);
  spec.schedule = QN_SCHEDULE_mma;
  spec.kv_heads = kv_heads;
  spec.lengths_dtype = QN_S32;
  return spec;
}

static void check(const qn_kernel_spec *spec, uint32_t batch, uint32_t q_len, uint32_t kv_len) {
  tokens_check_attention(&bench, spec, &(tokens_launch){ .batch = batch, .q_len = q_len, .kv_len = kv_len });
}

static void check_plain(qn_dtype dtype, uint32_t heads, uint32_t head_dim, uint32_t tokens,
                        const char *output) {
  const qn_kernel_spec spec = attention_spec(dtype, heads, heads, head_dim, output);
  check(&spec, 1, tokens, 24);
}

Test(deferred, tokens_533_heads_40) {
  check_plain(QN_BF16, 40, 16, 533, "fp8_token");
}

Test(deferred, one_token) {
  check_plain(QN_BF16, 40, 16, 1, "fp8_token");
}

Test(deferred, tokens_129) {
  check_plain(QN_BF16, 4, 80, 129, "fp8_token");
  check_plain(QN_F16, 4, 80, 129, "int8_token");
  check_plain(QN_F32, 4, 80, 129, "int8_token_zp");
  check_plain(QN_BF16, 4, 80, 129, "int8_token_zp{target=u8, zero_point_type=u8, scale_layout=tma_aligned}");
}

Test(deferred, one_head) {
  check_plain(QN_BF16, 1, 64, 129, "fp8_token");
}

Test(deferred, groups_across_heads) {
  check_plain(QN_BF16, 4, 64, 129, "fp8_group");
  check_plain(QN_BF16, 8, 32, 65, "fp8_group");
  check_plain(QN_F16, 8, 80, 65, "fp8_group{scale_layout=tma_aligned}");
  check_plain(QN_BF16, 8, 8, 65, "nvfp4");
}

Test(deferred, batches_and_causality) {
  qn_kernel_spec spec = attention_spec(QN_BF16, 6, 2, 32, "fp8_token");
  spec.causal = QN_CAUSAL_BOTTOM_RIGHT;
  check(&spec, 3, 200, 210);
}

Test(deferred, packed_heads) {
  qn_kernel_spec spec = attention_spec(QN_BF16, 16, 2, 64, "fp8_token");
  spec.pack_heads = true;
  check(&spec, 3, 5, 70);
  check(&spec, 1, 37, 40);
}

Test(deferred, sequences_end_to_end) {
  qn_kernel_spec spec = attention_spec(QN_BF16, 8, 8, 16, "fp8_token");
  spec.varlen = true;
  spec.causal = QN_CAUSAL_TOP_LEFT;
  const uint32_t lengths[] = { 0, 150, 1, 0, 128, 31, 0 };
  tokens_check_attention(&bench, &spec,
                         &(tokens_launch){ .batch = 7, .q_len = 150, .kv_len = 150, .lengths = lengths });
}

Test(deferred, two_launches_on_one_workspace) {
  const qn_kernel_spec spec = attention_spec(QN_BF16, 12, 12, 16, "fp8_token");
  tokens_check_attention(&bench, &spec,
                         &(tokens_launch){ .batch = 2, .q_len = 140, .kv_len = 9, .launches = 2 });
}

Test(deferred, second_output) {
  qn_kernel_spec spec = attention_spec(QN_BF16, 4, 4, 32, "fp8_token");
  spec.unquantized = true;
  check(&spec, 2, 70, 20);
  spec.numerics = QN_DIRECT;
  check(&spec, 2, 70, 20);
}

Test(deferred, direct) {
  qn_kernel_spec spec = attention_spec(QN_BF16, 4, 4, 80, "fp8_token");
  spec.numerics = QN_DIRECT;
  check(&spec, 1, 129, 33);
  spec = attention_spec(QN_F32, 4, 4, 32, "fp8_group");
  spec.numerics = QN_DIRECT;
  check(&spec, 1, 129, 33);
}

Test(deferred, rows_longer_than_registers) {
  qn_kernel_spec spec = attention_spec(QN_BF16, 40, 40, 128, "fp8_token");
  spec.numerics = QN_DIRECT; // f32 rows of 20 KiB
  check(&spec, 1, 2, 3);
}

Test(deferred, scale_bound_and_pre_scale) {
  qn_kernel_spec spec = attention_spec(QN_BF16, 4, 4, 32, "fp8_token{round=bf16}");
  spec.scale_bound = true;
  spec.pre_scale_dtype = QN_F16;
  tokens_check_attention(&bench, &spec,
                         &(tokens_launch){ .batch = 1, .q_len = 40, .kv_len = 9, .bound = 0.25f });
}

Test(deferred, split) {
  qn_kernel_spec spec = attention_spec(QN_BF16, 12, 4, 64, "fp8_token");
  spec.schedule = QN_SCHEDULE_split;
  spec.pack_heads = true;
  check(&spec, 3, 2, 300);
  spec = attention_spec(QN_F16, 6, 6, 80, "fp8_group");
  spec.schedule = QN_SCHEDULE_split;
  check(&spec, 2, 3, 130);
}

Test(deferred, other_chips) {
  for (qn_target target = 0; target < QN_TARGET_COUNT; target++) {
    qn_kernel_spec spec = attention_spec(QN_BF16, 4, 4, 32, "fp8_token");
    spec.target = target;
    check(&spec, 1, 20, 20);
  }
}
