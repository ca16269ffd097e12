// When quantizing whole tokens inside of the attention pays, on both sides of the rule.

#include "codegen/cost_priv.h"

#include <criterion/criterion.h>
#include <quench/quench.h>
#include <stdio.h>
#include <string.h>

static qn_kernel_spec spec_of(uint32_t heads, uint32_t head_dim, qn_scheme_family family) {
  return (qn_kernel_spec){ .target = QN_TARGET_sm_90a,
                           .dtype = QN_BF16,
                           .out_dtype = QN_BF16,
                           .head_dim = head_dim,
                           .v_head_dim = head_dim,
                           .heads = heads,
                           .kv_heads = heads,
                           .window_left = -1,
                           .window_right = -1,
                           .output = qn_scheme_of(family) };
}

static bool pays(const qn_kernel_spec *spec, uint64_t tokens, uint64_t q_len) {
  qn_reason reason = { .why = QN_WHY_none };
  bool pays = qn_cost_check(spec, tokens, q_len, &reason);
  cr_expect_eq(reason.why, pays ? QN_WHY_none : QN_WHY_slower);
  return pays;
}

Test(cost, schemes_of_one_head_always_pay) {
  const qn_kernel_spec spec = spec_of(32, 128, QN_SCHEME_fp8_static),
                       group = spec_of(32, 128, QN_SCHEME_fp8_group);
  cr_expect(pays(&spec, 512, 512));
  cr_expect(pays(&group, 512, 512));
}

Test(cost, groups_across_heads_are_like_tokens) {
  const qn_kernel_spec spec = spec_of(64, 64, QN_SCHEME_fp8_group);
  cr_expect_not(pays(&spec, 512, 512));
  cr_expect(pays(&spec, 1 << 15, 1 << 15));
}

Test(cost, unknown_lengths_pay) {
  const qn_kernel_spec spec = spec_of(32, 128, QN_SCHEME_fp8_token);
  cr_expect(pays(&spec, 0, 0));
  cr_expect(pays(&spec, 0, 512));
}

// 8 KiB a token: 9 of them are read by one multiprocessor while a kernel is launched, and 128 in 15.6 us, in
// which memory takes 7600 tokens.
Test(cost, few_tokens_and_many_tokens_pay) {
  const qn_kernel_spec spec = spec_of(32, 128, QN_SCHEME_fp8_token);
  cr_expect(pays(&spec, 1, 1));
  cr_expect(pays(&spec, 10, 10));
  cr_expect_not(pays(&spec, 16, 16));
  cr_expect_not(pays(&spec, 7600, 7600));
  cr_expect(pays(&spec, 8800, 8800));
}

Test(cost, short_sequences_of_a_large_batch_pay) {
  const qn_kernel_spec spec = spec_of(32, 128, QN_SCHEME_fp8_token);
  cr_expect_not(pays(&spec, 512, 512));
  cr_expect(pays(&spec, 16 * 1024, 512));
}

Test(cost, a_shorter_tile_pays_earlier) {
  qn_kernel_spec spec = spec_of(32, 128, QN_SCHEME_fp8_token);
  cr_expect_not(pays(&spec, 5000, 5000));
  spec.tile_q = 64;
  spec.warps = 4;
  cr_expect(pays(&spec, 5000, 5000));
}

Test(cost, slow_memory_makes_fusing_pay_earlier) {
  qn_kernel_spec spec = spec_of(32, 128, QN_SCHEME_fp8_token);
  cr_expect_not(pays(&spec, 3000, 3000));
  spec.target = QN_TARGET_sm_120a;
  cr_expect(pays(&spec, 3000, 3000));
}

Test(cost, narrow_rows_have_a_short_tail) {
  const qn_kernel_spec spec = spec_of(4, 64, QN_SCHEME_fp8_token);
  cr_expect(pays(&spec, 512, 512));
}

Test(cost, the_remark_says_both_times) {
  const qn_kernel_spec spec = spec_of(32, 128, QN_SCHEME_fp8_token);
  qn_reason reason;
  cr_assert_not(qn_cost_check(&spec, 512, 512, &reason));
  cr_expect_str_eq(reason.expected,
                   "the last tile's tokens quantized in the time that a launch and its traffic take");
  cr_expect_str_eq(reason.found, "15.7 us for the tile, 2.1 us for a quantizer of 512 tokens");
  cr_expect_eq(qn_why_get_stage(QN_WHY_slower), QN_STAGE_TARGET);
}

// The same through the question that a fusion asks.
static bool fuses(const char *q, qn_scheme_family family, qn_reason *out_reason) {
  qn_context *context;
  qn_graph *graph;
  char text[512];
  const qn_target target = QN_TARGET_sm_90a;
  const qn_legality legality = qn_legality_of_target(&target);
  const qn_scheme scheme = qn_scheme_of(family);
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  snprintf(text, sizeof text,
           "graph \"g\" (q: bf16[%s], k: bf16[2,T,4096], v: bf16[2,T,4096]) {\n"
           "o = attention(q, k, v)[heads=32, q_layout=bsm, k_layout=bsm, v_layout=bsm, out_layout=bsm]\nreturn "
           "o\n}\n",
           q);
  cr_assert_eq(qn_graph_read_text(context, "test", text, strlen(text), &graph), QN_OK, "%s",
               qn_context_get_error(context)->message);
  qn_node node = qn_graph_get_first(graph);
  while (qn_node_get_op(graph, node) != QN_OP_attention) node = qn_node_get_next(graph, node);
  bool fuses = legality.fuses(legality.user, graph, node, &scheme, out_reason);
  qn_graph_destroy(graph);
  qn_context_destroy(context);
  return fuses;
}

Test(cost, the_target_says_what_is_slower) {
  qn_reason reason;
  cr_expect_not(fuses("2,512,4096", QN_SCHEME_fp8_token, &reason));
  cr_expect_eq(reason.why, QN_WHY_slower, "%s", qn_why_name(reason.why));
  cr_expect(fuses("2,512,4096", QN_SCHEME_fp8_static, &reason), "%s: %s", reason.expected, reason.found);
  cr_expect(fuses("2,8192,4096", QN_SCHEME_fp8_token, &reason), "%s: %s", reason.expected, reason.found);
  cr_expect(fuses("2,T,4096", QN_SCHEME_fp8_token, &reason), "%s: %s", reason.expected, reason.found);
  cr_expect(fuses("2,1,4096", QN_SCHEME_fp8_token, &reason), "%s: %s", reason.expected, reason.found);
}
