// The families at work on graphs as they stand after canonicalize: what fuses, and the reason where it does
// not.
#include "patterns_test.h"

#define HEAD  "graph (q: bf16[B,8,T,64], k: bf16[B,2,T,64], v: bf16[B,2,T,64], s: f32[]) {\n"
#define SHAPE "  shape: s64[3] = const[value={0, 0, -1}]\n"

static bench *bench_create_families(const char *families) {
  static bench b;
  b = (bench){ 0 };
  cr_assert_eq(qn_context_create(NULL, &b.context), QN_OK);
  cr_assert_eq(qn_rule_set_create(b.context, families, &b.set), QN_OK);
  cr_assert_eq(qn_matcher_create(b.context, b.set, NULL, &b.matcher), QN_OK);
  return &b;
}

static void expect_text(const char *before, const char *after) {
  bench *b = bench_create_families("layout,attention_quant");
  bench_read(b, before);
  bench_run(b, QN_WALK_WORKLIST);
  bench_assert_text(b, after);
  qn_status status = qn_graph_verify(b->graph);
  cr_assert_eq(status, QN_OK, "%s: %s", qn_context_get_error(b->context)->place,
               qn_context_get_error(b->context)->message);
  bench_destroy(b);
}

static void expect_why(const char *rule, const char *graph, qn_why why) {
  bench *b = bench_create_families(NULL);
  bench_read(b, graph);
  cr_assert_not(bench_matches(b, rule, "y"));
  qn_why found = qn_matcher_get_miss(b->matcher)->why;
  cr_assert_eq(found, why, "expected %s, found %s", qn_why_name(why), qn_why_name(found));
  bench_destroy(b);
}

Test(families, attention_transpose_reshape_quantize) {
  expect_text(
      HEAD "  o: bf16[B,8,T,64] = attention(q, k, v)[causal=top_left] {id=17, layer=\"layers.0.attn\"}\n" SHAPE
           "  t: bf16[B,T,8,64] = transpose(o)[perm={0, 2, 1, 3}]\n"
           "  r: bf16[B,T,512] = reshape(t, shape)\n"
           "  y: e4m3[B,T,512] = quantize(r, s)[scheme=fp8_static]\n"
           "  return y\n}\n",
      HEAD SHAPE
      "  y: e4m3[B,T,512] = attention(q, k, v, _, _, _, _, s)[causal=top_left, out_layout=bsm, out_type=bf16, "
      "output=fp8_static] {layer=\"layers.0.attn\"}\n"
      "  return y\n}\n");
}

// The rules name the operands that they read; all others ride along.
Test(families, operands_that_no_rule_names_ride_along) {
  expect_text(
      "graph (q: bf16[2,8,5,64], k: bf16[2,2,9,64], v: bf16[2,2,9,64], m: bool[9], n: s64[2], k0: f32[8], a: "
      "f32[8], s: f32[]) "
      "{\n"
      "  o: bf16[2,8,5,64] = attention(q, k, v, m, _, _, n, _, k0, a)\n"
      "  t: bf16[2,5,8,64] = transpose(o)[perm={0, 2, 1, 3}]\n"
      "  y: e4m3[2,5,8,64] = quantize(t, s)[scheme=fp8_static]\n"
      "  return y\n}\n",
      "graph (q: bf16[2,8,5,64], k: bf16[2,2,9,64], v: bf16[2,2,9,64], m: bool[9], n: s64[2], k0: f32[8], "
      "a: f32[8], s: f32[]) {\n"
      "  y: e4m3[2,5,8,64] = attention(q, k, v, m, _, _, n, s, k0, a)[out_layout=bshd, out_type=bf16, "
      "output=fp8_static]\n"
      "  return y\n}\n");
}

Test(families, what_is_quantized_already_is_left_alone) {
#define QUANTIZED                                                                                              \
  HEAD "  o: e4m3[B,8,T,64] = attention(q, k, v, _, _, _, _, s)[output=fp8_static]\n"                          \
       "  y: e4m3[B,8,T,64] = quantize(o, s)[scheme=fp8_static]\n"                                             \
       "  return y\n}\n"
  expect_text(QUANTIZED, QUANTIZED);
}

Test(families, tokens_first) {
  expect_text(HEAD "  o: bf16[B,T,8,64] = attention(q, k, v)[out_layout=bshd]\n"
                   "  shape: s64[2] = const[value={-1, 512}]\n"
                   "  r: bf16[B*T,512] = reshape(o, shape)\n"
                   "  y: e4m3[B*T,512] = quantize(r, s)[scheme=fp8_static]\n"
                   "  return y\n}\n",
              HEAD "  shape: s64[2] = const[value={-1, 512}]\n"
                   "  y: e4m3[B*T,512] = attention(q, k, v, _, _, _, _, s)[out_layout=tm, out_type=bf16, "
                   "output=fp8_static]\n"
                   "  return y\n}\n");
}

// Sequences that lie end to end have no batch: heads alone are merged.
Test(families, sequences_end_to_end) {
#define SEQUENCES "graph (q: f16[T,8,64], k: f16[U,2,64], v: f16[U,2,64], n: s32[4], s: f32[]) {\n"
  expect_text(
      SEQUENCES "  o: f16[T,8,64] = attention(q, k, v, _, _, _, _, _, _, _, n, n)[q_layout=thd, k_layout=thd, "
                "v_layout=thd, out_layout=thd]\n"
                "  shape: s64[2] = const[value={-1, 512}]\n"
                "  r: f16[T,512] = reshape(o, shape)\n"
                "  y: e4m3[T,512] = quantize(r, s)[scheme=fp8_static]\n"
                "  return y\n}\n",
      SEQUENCES "  shape: s64[2] = const[value={-1, 512}]\n"
                "  y: e4m3[T,512] = attention(q, k, v, _, _, _, _, s, _, _, n, n)[q_layout=thd, k_layout=thd, "
                "v_layout=thd, out_layout=tm, out_type=f16, output=fp8_static]\n"
                "  return y\n}\n");
}

Test(families, batch_and_length_become_tokens) {
  expect_text(HEAD "  o: bf16[B,T,8,64] = attention(q, k, v)[out_layout=bshd]\n"
                   "  shape: s64[3] = const[value={-1, 8, 64}]\n"
                   "  r: bf16[B*T,8,64] = reshape(o, shape)\n"
                   "  y: e4m3[B*T,8,64] = quantize(r, s)[scheme=fp8_static]\n"
                   "  return y\n}\n",
              HEAD "  shape: s64[3] = const[value={-1, 8, 64}]\n"
                   "  y: e4m3[B*T,8,64] = attention(q, k, v, _, _, _, _, s)[out_layout=thd, out_type=bf16, "
                   "output=fp8_static]\n"
                   "  return y\n}\n");
}

Test(families, a_widening_cast_sinks_and_goes) {
  expect_text(HEAD "  o: bf16[B,8,T,64] = attention(q, k, v)\n" SHAPE "  c: f32[B,8,T,64] = cast(o)[to=f32]\n"
                   "  t: f32[B,T,8,64] = transpose(c)[perm={0, 2, 1, 3}]\n"
                   "  r: f32[B,T,512] = reshape(t, shape)\n"
                   "  y: e4m3[B,T,512] = quantize(r, s)[scheme=fp8_static]\n"
                   "  return y\n}\n",
              HEAD SHAPE "  y: e4m3[B,T,512] = attention(q, k, v, _, _, _, _, s)[out_layout=bsm, "
                         "out_type=bf16, output=fp8_static]\n"
                         "  return y\n}\n");
}

Test(families, a_narrowing_cast_becomes_the_output_type) {
  expect_text("graph (q: f32[1,8,5,64], k: f32[1,2,5,64], v: f32[1,2,5,64], s: f32[]) {\n"
              "  o: f32[1,8,5,64] = attention(q, k, v)\n"
              "  c: f16[1,8,5,64] = cast(o)[to=f16]\n"
              "  y: e4m3[1,8,5,64] = quantize(c, s)[scheme=fp8_static]\n"
              "  return y\n}\n",
              "graph (q: f32[1,8,5,64], k: f32[1,2,5,64], v: f32[1,2,5,64], s: f32[]) {\n"
              "  y: e4m3[1,8,5,64] = attention(q, k, v, _, _, _, _, s)[out_type=f16, output=fp8_static]\n"
              "  return y\n}\n");
}

Test(families, layout_stays_where_no_quantize_follows) {
  static const char text[] = HEAD "  o: bf16[B,8,T,64] = attention(q, k, v)\n"
                                  "  y: bf16[B,T,8,64] = transpose(o)[perm={0, 2, 1, 3}]\n"
                                  "  z: bf16[B,T,8,64] = neg(y)\n"
                                  "  return z\n}\n";
  expect_text(text, text);
  expect_why("absorb_transpose", text, QN_WHY_arithmetic_between);
}

Test(families, another_reader_of_the_layout_gets_the_value_beside_the_codes) {
  expect_text(HEAD "  o: bf16[B,8,T,64] = attention(q, k, v)\n"
                   "  y: bf16[B,T,8,64] = transpose(o)[perm={0, 2, 1, 3}]\n"
                   "  z: e4m3[B,T,8,64] = quantize(y, s)[scheme=fp8_static]\n"
                   "  w: bf16[B,T,8,64] = neg(y)\n"
                   "  return z, w\n}\n",
              HEAD "  z: e4m3[B,T,8,64], _11: ?, _12: ?, y: bf16[B,T,8,64] = attention(q, k, v, _, _, _, _, "
                   "s)[out_layout=bshd, out_type=bf16, output=fp8_static]\n"
                   "  w: bf16[B,T,8,64] = neg(y)\n"
                   "  return z, w\n}\n");
}

// As a graph returns it that has nothing else to do with the value.
Test(families, a_moved_output_of_the_graph_is_the_value_beside_the_codes) {
  expect_text(HEAD "  o: bf16[B,8,T,64] = attention(q, k, v)\n"
                   "  y: bf16[B,T,8,64] = transpose(o)[perm={0, 2, 1, 3}]\n"
                   "  z: e4m3[B,T,8,64] = quantize(y, s)[scheme=fp8_static]\n"
                   "  return z, o\n}\n",
              HEAD "  z: e4m3[B,T,8,64], _11: ?, _12: ?, y: bf16[B,T,8,64] = attention(q, k, v, _, _, _, _, "
                   "s)[out_layout=bshd, out_type=bf16, output=fp8_static]\n"
                   "  o: bf16[B,8,T,64] = transpose(y)[perm={0, 2, 1, 3}]\n"
                   "  return z, o\n}\n");
}

// Readers in front of the transpose, behind it, and behind the merge.
Test(families, readers_anywhere_on_the_layout_are_served) {
  expect_text(HEAD "  o: bf16[B,8,T,64] = attention(q, k, v)\n" SHAPE
                   "  t: bf16[B,T,8,64] = transpose(o)[perm={0, 2, 1, 3}]\n"
                   "  r: bf16[B,T,512] = reshape(t, shape)\n"
                   "  y: e4m3[B,T,512] = quantize(r, s)[scheme=fp8_static]\n"
                   "  a: bf16[B,8,T,64] = neg(o)\n"
                   "  b: bf16[B,T,8,64] = neg(t)\n"
                   "  return y, a, b, r\n}\n",
              HEAD SHAPE
              "  _15: s64[4] = const[value={0, 0, 8, 64}]\n"
              "  y: e4m3[B,T,512], _18: ?, _19: ?, r: bf16[B,T,512] = attention(q, k, v, _, _, _, _, s)"
              "[out_layout=bsm, out_type=bf16, output=fp8_static]\n"
              "  t: bf16[B,T,8,64] = reshape(r, _15)\n"
              "  o: bf16[B,8,T,64] = transpose(t)[perm={0, 2, 1, 3}]\n"
              "  a: bf16[B,8,T,64] = neg(o)\n"
              "  b: bf16[B,T,8,64] = neg(t)\n"
              "  return y, a, b, r\n}\n");
}

// Each line between attention and `y`, and why the rule refuses.
#define REFUSES(name, rule, text, why)                                                                         \
  Test(families, name) {                                                                                       \
    expect_why(rule, text, QN_WHY_##why);                                                                      \
  }
#define O "  o: bf16[B,8,T,64] = attention(q, k, v)\n"

REFUSES(refuses_a_reshape_that_splits_heads, "absorb_reshape",
        HEAD "  o: bf16[B,T,8,64] = attention(q, k, v)[out_layout=bshd]\n"
             "  shape: s64[4] = const[value={0, 0, 16, 32}]\n"
             "  y: bf16[B,T,16,32] = reshape(o, shape)\n"
             "  z: e4m3[B,T,16,32] = quantize(y, s)[scheme=fp8_static]\n"
             "  return z\n}\n",
        layout_chain)
REFUSES(refuses_a_reshape_of_heads_first, "absorb_reshape",
        HEAD O SHAPE "  y: bf16[B,8,64*T] = reshape(o, shape)\n"
                     "  z: e4m3[B,8,64*T] = quantize(y, s)[scheme=fp8_static]\n"
                     "  return z\n}\n",
        layout_chain)
REFUSES(refuses_a_second_rounding, "absorb_cast",
        HEAD O "  y: f16[B,8,T,64] = cast(o)[to=f16]\n"
               "  z: e4m3[B,8,T,64] = quantize(y, s)[scheme=fp8_static]\n"
               "  return z\n}\n",
        cast_chain)
REFUSES(refuses_a_narrowing_cast_before_quantize, "attention_fp8_static",
        HEAD O "  c: f16[B,8,T,64] = cast(o)[to=f16]\n"
               "  y: e4m3[B,8,T,64] = quantize(c, s)[scheme=fp8_static]\n"
               "  return y\n}\n",
        cast_chain)
REFUSES(refuses_another_user, "attention_fp8_static",
        HEAD O "  y: e4m3[B,8,T,64] = quantize(o, s)[scheme=fp8_static]\n"
               "  z: bf16[B,8,T,64] = neg(o)\n"
               "  return y, z\n}\n",
        escapes)
REFUSES(refuses_a_graph_output, "attention_fp8_static",
        HEAD O "  y: e4m3[B,8,T,64] = quantize(o, s)[scheme=fp8_static]\n"
               "  return y, o\n}\n",
        escapes)
REFUSES(refuses_a_second_result, "attention_fp8_static",
        HEAD "  o: bf16[B,8,T,64], p: bf16[B,2,T,64] = attention(q, k, v)\n"
             "  y: e4m3[B,8,T,64] = quantize(o, s)[scheme=fp8_static]\n"
             "  return y, p\n}\n",
        extra_result)
REFUSES(refuses_a_zero_point, "attention_fp8_static",
        HEAD O "  zero: e4m3[] = const[value={1}]\n"
               "  y: e4m3[B,8,T,64] = quantize(o, s, zero)[scheme=fp8_static]\n"
               "  return y\n}\n",
        zero_point)
REFUSES(refuses_a_zero_point_that_is_not_known, "attention_fp8_static",
        "graph (q: bf16[B,8,T,64], k: bf16[B,2,T,64], v: bf16[B,2,T,64], s: f32[], zero: e4m3[]) {\n" O
        "  y: e4m3[B,8,T,64] = quantize(o, s, zero)[scheme=fp8_static]\n"
        "  return y\n}\n",
        zero_point)
REFUSES(refuses_a_cast_that_wraps, "attention_fp8_static",
        HEAD O "  y: e4m3[B,8,T,64] = quantize(o, s)[scheme=fp8_static{saturate=false}]\n"
               "  return y\n}\n",
        not_saturating)
REFUSES(refuses_a_scale_of_another_type, "attention_fp8_static",
        "graph (q: bf16[B,8,T,64], k: bf16[B,2,T,64], v: bf16[B,2,T,64], s: f16[]) {\n" O
        "  y: e4m3[B,8,T,64] = quantize(o, s)[scheme=fp8_static]\n"
        "  return y\n}\n",
        scale_type)
REFUSES(refuses_a_scale_of_unknown_length, "attention_fp8_static",
        "graph (q: bf16[B,8,T,64], k: bf16[B,2,T,64], v: bf16[B,2,T,64], s: f32[N]) {\n" O
        "  y: e4m3[B,8,T,64] = quantize(o, s)[scheme=fp8_static]\n"
        "  return y\n}\n",
        scale_length)
REFUSES(refuses_channels_of_the_wrong_number, "attention_fp8_channel",
        "graph (q: bf16[B,8,T,64], k: bf16[B,2,T,64], v: bf16[B,2,T,64], s: f32[8]) {\n" O
        "  y: e4m3[B,8,T,64] = quantize(o, s)[scheme=fp8_channel]\n"
        "  return y\n}\n",
        scale_length)
REFUSES(refuses_channels_of_another_axis, "attention_fp8_channel",
        "graph (q: bf16[B,8,T,64], k: bf16[B,2,T,64], v: bf16[B,2,T,64], s: f32[8]) {\n" O
        "  y: e4m3[B,8,T,64] = quantize(o, s)[scheme=fp8_channel{axis=1}]\n"
        "  return y\n}\n",
        granularity)
REFUSES(
    refuses_blocks_of_another_axis, "attention_fp8_group",
    HEAD O
    "  y: e4m3[B,8,T,64], ys: f32[B,8,ceil_div(T, 16),64] = quantize(o)[scheme=fp8_group{group=16, axis=2}]\n"
    "  return y, ys\n}\n",
    block_axis)
REFUSES(refuses_blocks_that_do_not_fill_a_head, "attention_mxfp8",
        "graph (q: bf16[2,8,5,80], k: bf16[2,2,5,80], v: bf16[2,2,5,80]) {\n"
        "  o: bf16[2,8,5,80] = attention(q, k, v)\n"
        "  y: e4m3[2,8,5,80], ys: e8m0[2,8,5,3] = quantize(o)[scheme=mxfp8]\n"
        "  return y, ys\n}\n",
        block_size)
REFUSES(refuses_a_global_scale_that_is_missing, "attention_nvfp4",
        HEAD O "  y: e2m1[B,8,T,64] = quantize(o)[scheme=nvfp4]\n  return y\n}\n", scale_length)
REFUSES(refuses_a_pre_scale_of_the_wrong_length, "attention_fp8_static",
        "graph (q: bf16[B,8,T,64], k: bf16[B,2,T,64], v: bf16[B,2,T,64], s: f32[], p: bf16[8]) {\n" O
        "  y: e4m3[B,8,T,64] = quantize(o, s, _, p)[scheme=fp8_static]\n"
        "  return y\n}\n",
        scale_length)
REFUSES(refuses_a_pre_scale_in_f64, "attention_fp8_static",
        "graph (q: bf16[B,8,T,64], k: bf16[B,2,T,64], v: bf16[B,2,T,64], s: f32[], p: f64[64]) {\n" O
        "  y: e4m3[B,8,T,64] = quantize(o, s, _, p)[scheme=fp8_static]\n"
        "  return y\n}\n",
        scale_type)
REFUSES(refuses_a_bound_of_two_elements, "attention_fp8_token",
        "graph (q: bf16[B,8,T,64], k: bf16[B,2,T,64], v: bf16[B,2,T,64], u: f32[2]) {\n" O
        "  y: e4m3[B,8,T,64], ys: f32[B,8,T,1] = quantize(o, _, _, _, u)[scheme=fp8_token]\n"
        "  return y, ys\n}\n",
        scale_length)
REFUSES(refuses_a_zero_point_of_another_type, "attention_int8_static",
        HEAD O "  zero: u8[] = const[value={1}]\n"
               "  y: s8[B,8,T,64] = quantize(o, s, zero)[scheme=int8_static]\n"
               "  return y\n}\n",
        zero_point)
REFUSES(refuses_a_zero_point_of_another_type_than_the_scheme_says, "attention_int8_static",
        HEAD O "  zero: s8[] = const[value={1}]\n"
               "  y: s8[B,8,T,64] = quantize(o, s, zero)[scheme=int8_static{zero_point_type=s32}]\n"
               "  return y\n}\n",
        zero_point)
REFUSES(refuses_a_zero_point_that_the_scheme_lacks, "attention_int8_static",
        HEAD O "  zero: s8[] = const[value={1}]\n"
               "  y: s8[B,8,T,64] = quantize(o, s, zero)[scheme=int8_static{zero_point=none}]\n"
               "  return y\n}\n",
        zero_point)
REFUSES(refuses_a_dynamic_scale, "attention_quantize",
        HEAD O "  y: u8[B,8,T,64], ys: f32[], yz: u8[] = quantize(o)[scheme=int8_dynamic]\n"
               "  return y\n}\n",
        dynamic_scale)
REFUSES(refuses_another_tensor, "attention_fp8_static",
        HEAD O "  y: e4m3[B,8,T,64] = quantize(q, s)[scheme=fp8_static]\n"
               "  return y, o\n}\n",
        op)

static bool refuse_scheme(const void *user, const qn_graph *graph, qn_node attention, const qn_scheme *output,
                          qn_reason *out_reason) {
  (void)user;
  cr_assert_eq(qn_node_get_op(graph, attention), QN_OP_attention);
  return qn_refuse(out_reason, QN_WHY_scheme, "fp8_static", "%s",
                   qn_scheme_family_name((qn_scheme_family)output->family));
}

Test(families, the_target_is_asked_before_anything_changes) {
  bench *b = bench_create_families("attention_quant");
  qn_matcher_destroy(b->matcher);
  cr_assert_eq(qn_matcher_create(b->context, b->set, &(qn_legality){ .fuses = refuse_scheme }, &b->matcher),
               QN_OK);
  bench_read(b, HEAD O "  y: s8[B,8,T,64] = quantize(o, s)[scheme=int8_static]\n  return y\n}\n");
  uint64_t version = qn_graph_get_version(b->graph);
  cr_assert_eq(bench_run(b, QN_WALK_ONCE), 0);
  cr_assert_eq(qn_graph_get_version(b->graph), version);
  cr_assert_not(bench_matches(b, "attention_int8_static", "y"));
  const qn_miss *miss = qn_matcher_get_miss(b->matcher);
  cr_assert_eq(miss->why, QN_WHY_scheme);
  cr_assert_str_eq(miss->reason.found, "int8_static");
  bench_destroy(b);
}

Test(families, takes_a_zero_point_of_the_type_that_the_scheme_says) {
  bench *b = bench_create_families("attention_quant");
  bench_read(b, HEAD O "  zero: s32[] = const[value={-300}]\n"
                       "  y: s8[B,8,T,64] = quantize(o, s, zero)[scheme=int8_static{zero_point_type=s32}]\n"
                       "  return y\n}\n");
  cr_assert(bench_matches(b, "attention_int8_static", "y"));
  bench_destroy(b);
}
