// One remark for each attention and each quantize that it reaches, with the cause that a person can act on.
#include "passes_test.h"

#include <stdio.h>

TestSuite(remarks, .timeout = 20);

#define INPUTS                                                                                                 \
  "graph \"g\" (q: f16[1,8,9,64], k: f16[1,2,9,64], v: f16[1,2,9,64], s: f32[], x: f16[1,9,512]) {\n"
#define MERGE                                                                                                  \
  "  shape: s64[3] = const[value={0, 0, -1}]\n"                                                                \
  "  t: f16[1,9,8,64] = transpose(o)[perm={0, 2, 1, 3}] {layer=\"l0\"}\n"                                      \
  "  r: f16[1,9,512] = reshape(t, shape)\n"
#define ATTENTION "  o: f16[1,8,9,64] = attention(q, k, v) {id=7, name=\"attn\", layer=\"l0\"}\n"

typedef struct expectation {
  const char *op, *verdict, *code, *at;
} expectation;

// The remarks of a graph, all of them and in order.
static void expect_remarks(const char *text, qn_legality legality, const expectation *expected,
                           uint32_t count) {
  run r = run_passes(NULL, text, (qn_pipeline_params){ .legality = legality });
  cr_expect_eq(qn_pipeline_get_remark_count(r.pipeline), count, "%u remarks in\n%s",
               qn_pipeline_get_remark_count(r.pipeline), r.text.text);
  for (uint32_t i = 0; i < count && i < qn_pipeline_get_remark_count(r.pipeline); i++) {
    qn_remark remark;
    cr_assert_eq(qn_pipeline_get_remark(r.pipeline, i, &remark), QN_OK);
    cr_expect_str_eq(remark.op, expected[i].op);
    cr_expect_str_eq(remark.fused ? "fused" : "missed", expected[i].verdict, "%s: %s, expected %s, found %s",
                     remark.code, remark.at, remark.expected, remark.found);
    cr_expect_str_eq(remark.code, expected[i].code, "at %s: expected %s, found %s; %s", remark.at,
                     remark.expected, remark.found, remark.closest);
    if (expected[i].at) cr_expect_str_eq(remark.at, expected[i].at);
  }
  end_run(&r);
}

#define EXPECT(text, ...)                                                                                      \
  do {                                                                                                         \
    const expectation expected_[] = { __VA_ARGS__ };                                                           \
    expect_remarks(text, (qn_legality){ 0 }, expected_, QN_COUNT(expected_));                                  \
  } while (0)
#define BOTH(why, place)                                                                                       \
  { "attention", "missed", why, place }, {                                                                     \
    "quantize", "missed", why, place                                                                           \
  }

Test(remarks, fused) {
  EXPECT(INPUTS ATTENTION MERGE "  y: e4m3[1,9,512] = quantize(r, s)[scheme=fp8_static]\n  return y\n}\n",
         { "attention", "fused", "none", "" }, { "quantize", "fused", "none", "" });
}

Test(remarks, nothing_quantizes) {
  EXPECT(INPUTS ATTENTION MERGE "  return r\n}\n", { "attention", "missed", "not_quantized", "attn" });
}

#define FUSED { "attention", "fused", "none", "" }, { "quantize", "fused", "none", "" }

Test(remarks, output_used_twice) {
  EXPECT(INPUTS ATTENTION MERGE "  y: e4m3[1,9,512] = quantize(r, s)[scheme=fp8_static]\n  z: f16[1,9,512] = "
                                "add(r, x)\n  return y, z\n}\n",
         FUSED);
}

Test(remarks, output_returned) {
  EXPECT(INPUTS ATTENTION MERGE "  y: e4m3[1,9,512] = quantize(r, s)[scheme=fp8_static]\n  return y, r\n}\n",
         FUSED);
}

// Tokens cannot be taken apart again into batch and length, where neither is known.
#define TOKENS                                                                                                 \
  "graph \"g\" (q: f16[B,8,T,64], k: f16[B,2,T,64], v: f16[B,2,T,64], s: f32[]) {\n"                           \
  "  shape: s64[2] = const[value={-1, 512}]\n"                                                                 \
  "  o: f16[B,8,T,64] = attention(q, k, v)\n"                                                                  \
  "  t: f16[B,T,8,64] = transpose(o)[perm={0, 2, 1, 3}]\n"                                                     \
  "  r: f16[B*T,512] = reshape(t, shape)\n"                                                                    \
  "  y: e4m3[B*T,512] = quantize(r, s)[scheme=fp8_static]\n"

Test(remarks, output_used_where_it_cannot_be_had_back) {
  EXPECT(TOKENS "  z: f16[B,T,8,64] = neg(t)\n  return y, z\n}\n", BOTH("multiple_users", NULL));
}

Test(remarks, output_returned_where_it_cannot_be_had_back) {
  EXPECT(TOKENS "  return y, t\n}\n", BOTH("multiple_users", NULL));
}

Test(remarks, output_cast_and_returned_in_the_wider_type) {
  EXPECT("graph \"g\" (q: f32[1,8,9,64], k: f32[1,2,9,64], v: f32[1,2,9,64], s: f32[]) {\n"
         "  o: f32[1,8,9,64] = attention(q, k, v)\n"
         "  h: f16[1,8,9,64] = cast(o)[to=f16]\n"
         "  y: e4m3[1,8,9,64] = quantize(h, s)[scheme=fp8_static]\n"
         "  return y, o\n}\n",
         BOTH("graph_output", "o"));
}

// The value that attention writes unquantized has the type that is quantized: no second, wider one.
Test(remarks, output_cast_and_read_in_the_wider_type) {
  EXPECT("graph \"g\" (q: f32[1,8,9,64], k: f32[1,2,9,64], v: f32[1,2,9,64], s: f32[]) {\n"
         "  o: f32[1,8,9,64] = attention(q, k, v)\n"
         "  h: f16[1,8,9,64] = cast(o)[to=f16]\n"
         "  y: e4m3[1,8,9,64] = quantize(h, s)[scheme=fp8_static]\n"
         "  z: f32[1,8,9,64] = neg(o)\n"
         "  return y, z\n}\n",
         BOTH("multiple_users", "z"));
}

Test(remarks, quantize_reads_a_sum) {
  EXPECT(
      INPUTS ATTENTION MERGE
      "  z: f16[1,9,512] = add(r, x)\n  y: e4m3[1,9,512] = quantize(z, s)[scheme=fp8_static]\n  return y\n}\n",
      BOTH("other_tensor", "z"));
}

Test(remarks, quantize_reads_an_operand) {
  EXPECT(INPUTS ATTENTION MERGE "  y: e4m3[1,8,9,64] = quantize(q, s)[scheme=fp8_static]\n  return y, r\n}\n",
         { "attention", "missed", "other_tensor", "y" });
}

Test(remarks, arithmetic_between) {
  EXPECT(INPUTS ATTENTION MERGE "  c: f16[] = const[value={2}]\n  z: f16[1,9,512] = mul(r, c)\n  y: "
                                "e4m3[1,9,512] = quantize(z, s)[scheme=fp8_static]\n  return y\n}\n",
         BOTH("arithmetic_between", "z"));
}

Test(remarks, zero_point_on_fp8) {
  EXPECT(INPUTS ATTENTION MERGE "  zp: e4m3[] = const[value={1}]\n  y: e4m3[1,9,512] = quantize(r, s, "
                                "zp)[scheme=fp8_static]\n  return y\n}\n",
         BOTH("zero_point", "zp"));
}

Test(remarks, per_channel_scale_of_the_wrong_length) {
  EXPECT("graph \"g\" (q: f16[1,8,9,64], k: f16[1,2,9,64], v: f16[1,2,9,64], s: f32[511]) {\n" ATTENTION MERGE
         "  y: e4m3[1,9,512] = quantize(r, s)[scheme=fp8_channel{axis=2}]\n  return y\n}\n",
         BOTH("scale_length", "s"));
}

Test(remarks, a_scheme_without_a_kernel_is_named) {
  const qn_target target = QN_TARGET_sm_90a;
  const expectation expected[] = { BOTH("scheme", NULL) };
  expect_remarks(INPUTS ATTENTION MERGE "  zp: s16[] = const[value={3}]\n  y: s16[1,9,512] = quantize(r, s, "
                                        "zp)[scheme=int16_static]\n  return y\n}\n",
                 qn_legality_of_target(&target), expected, 2);
}

Test(remarks, two_schemes) {
  EXPECT(INPUTS ATTENTION MERGE
         "  u: f32[] = const[value={0.25}]\n  y: e4m3[1,9,512] = quantize(r, s)[scheme=fp8_static]\n  z: "
         "e4m3[1,9,512] = quantize(r, u)[scheme=fp8_static]\n  return y, z\n}\n",
         { "attention", "missed", "mixed_consumers", "z" }, { "quantize", "missed", "mixed_consumers", "z" },
         { "quantize", "missed", "mixed_consumers", "y" });
}

// --- granularity: one graph a cause ------------------------------------------------------------------------

Test(remarks, a_scale_of_the_whole_tensor) {
  EXPECT(INPUTS ATTENTION MERGE "  y: u8[1,9,512], ys: f32[], yz: u8[] = quantize(r)[scheme=int8_dynamic]\n"
                                "  return y, ys, yz\n}\n",
         BOTH("dynamic_scale", "y"));
}

// The default axis of blocked quantization in ONNX is 1: the sequence.
Test(remarks, blocks_along_the_sequence) {
  EXPECT(INPUTS ATTENTION MERGE
         "  y: e4m3[1,9,512], ys: f32[1,3,512] = quantize(r)[scheme=fp8_group{group=3, axis=1}]\n"
         "  return y, ys\n}\n",
         BOTH("block_axis", "r"));
}

Test(remarks, blocks_that_do_not_divide_a_head) {
  EXPECT("graph \"g\" (q: f16[1,3,9,80], k: f16[1,3,9,80], v: f16[1,3,9,80]) {\n"
         "  o: f16[1,3,9,80] = attention(q, k, v)\n"
         "  y: e4m3[1,3,9,80], ys: e8m0[1,3,9,3] = quantize(o)[scheme=mxfp8]\n"
         "  return y, ys\n}\n",
         BOTH("block_size", "o"));
}

Test(remarks, blocks_that_do_not_divide_a_row_of_heads) {
  EXPECT("graph \"g\" (q: f16[1,3,9,80], k: f16[1,3,9,80], v: f16[1,3,9,80]) {\n"
         "  o: f16[1,9,240] = attention(q, k, v)[out_layout=bsm]\n"
         "  y: e4m3[1,9,240], ys: f32[1,9,2] = quantize(o)[scheme=fp8_group]\n"
         "  return y, ys\n}\n",
         BOTH("block_size", "o"));
}

#define SLICE(start, end)                                                                                      \
  "  from: s64[1] = const[value={" start "}]\n"                                                                \
  "  to: s64[1] = const[value={" end "}]\n"                                                                    \
  "  axis: s64[1] = const[value={-1}]\n"                                                                       \
  "  part: f16[1,9,128] = slice(r, from, to, axis)\n"

Test(remarks, a_slice_that_cuts_a_group) {
  EXPECT(INPUTS ATTENTION MERGE SLICE("16", "144") //
         "  y: e4m3[1,9,128], ys: e8m0[1,9,4] = quantize(part)[scheme=mxfp8]\n  return y, ys\n}\n",
         BOTH("group_slice", "part"));
}

Test(remarks, a_slice_between_groups) {
  EXPECT(INPUTS ATTENTION MERGE SLICE("32", "160") //
         "  y: e4m3[1,9,128], ys: e8m0[1,9,4] = quantize(part)[scheme=mxfp8]\n  return y, ys\n}\n",
         BOTH("slice", "part"));
  EXPECT(INPUTS ATTENTION MERGE SLICE("16", "144") //
         "  y: e4m3[1,9,128] = quantize(part, s)[scheme=fp8_static]\n  return y\n}\n",
         BOTH("slice", "part"));
}

Test(remarks, a_global_scale_for_each_token) {
  EXPECT("graph \"g\" (q: f16[1,8,9,64], k: f16[1,2,9,64], v: f16[1,2,9,64], g: f32[9]) {\n"
         "  o: f16[1,8,9,64] = attention(q, k, v)\n"
         "  y: e2m1[1,8,9,64], ys: e4m3[128,4] = quantize(o, g)[scheme=nvfp4]\n"
         "  return y, ys\n}\n",
         BOTH("scale_length", "g"));
}

Test(remarks, a_reshape_that_is_no_merge) {
  EXPECT(INPUTS ATTENTION "  n: s64[4] = const[value={1, 9, 16, 32}]\n"
                          "  t: f16[1,9,8,64] = transpose(o)[perm={0, 2, 1, 3}]\n"
                          "  r: f16[1,9,16,32] = reshape(t, n)\n"
                          "  y: e4m3[1,9,16,32] = quantize(r, s)[scheme=fp8_static]\n  return y\n}\n",
         BOTH("layout_chain", "t"));
}

// One quantize in front of the merge, one behind it.
Test(remarks, two_schemes_at_two_places) {
  EXPECT(INPUTS ATTENTION MERGE "  y: e4m3[1,9,512] = quantize(r, s)[scheme=fp8_static]\n"
                                "  z: e4m3[1,9,8,64], zs: e8m0[1,9,8,2] = quantize(t)[scheme=mxfp8]\n"
                                "  return y, z, zs\n}\n",
         { "attention", "missed", "mixed_consumers", "y" }, { "quantize", "missed", "mixed_consumers", "y" },
         { "quantize", "missed", "mixed_consumers", "z" });
}

static bool refuse_head_dim(const void *user, const qn_graph *graph, qn_node attention, const qn_scheme *output,
                            qn_reason *out_reason) {
  (void)user, (void)graph, (void)attention, (void)output;
  *out_reason = (qn_reason){ .why = QN_WHY_head_dim, .expected = "64 or 128", .found = "80" };
  return false;
}

Test(remarks, what_the_target_refuses_is_handed_on) {
  const expectation expected[] = { BOTH("head_dim", "r") };
  expect_remarks(INPUTS ATTENTION MERGE
                 "  y: e4m3[1,9,512] = quantize(r, s)[scheme=fp8_static]\n  return y\n}\n",
                 (qn_legality){ .fuses = refuse_head_dim }, expected, 2);
}

// Another reader is not what the target refused.
Test(remarks, what_the_target_refuses_with_another_reader) {
  const expectation expected[] = { BOTH("head_dim", NULL) };
  expect_remarks(INPUTS ATTENTION MERGE "  y: e4m3[1,9,512] = quantize(r, s)[scheme=fp8_static]\n"
                                        "  z: f16[1,9,512] = add(r, x)\n  return y, z\n}\n",
                 (qn_legality){ .fuses = refuse_head_dim }, expected, 2);
}

Test(remarks, blocks_along_the_sequence_with_another_reader) {
  EXPECT(INPUTS ATTENTION MERGE
         "  y: e4m3[1,9,512], ys: f32[1,3,512] = quantize(r)[scheme=fp8_group{group=3, axis=1}]\n"
         "  z: f16[1,9,512] = add(r, x)\n  return y, ys, z\n}\n",
         BOTH("block_axis", "r"));
}

// What a real target lacks: one graph a cause, differing in one place.
static void expect_refusal(const char *q_type, const char *kv_type, const char *mask_input, const char *mask,
                           const char *attrs, const char *out, const char *code) {
  const qn_target target = QN_TARGET_sm_90a;
  char text[1024];
  snprintf(text, sizeof text,
           "graph \"g\" (q: %s, k: %s, v: %s, s: f32[]%s) {\n  o: %s = attention(q, k, v%s)%s\n"
           "  y: e4m3%s = quantize(o, s)[scheme=fp8_static]\n  return y\n}\n",
           q_type, kv_type, kv_type, mask_input, q_type, mask, attrs, out);
  const expectation expected[] = { BOTH(code, NULL) };
  expect_remarks(text, qn_legality_of_target(&target), expected, 2);
}

Test(remarks, what_sm_90a_lacks) {
  expect_refusal("f16[1,8,9,84]", "f16[1,2,9,84]", "", "", "", "[1,8,9,84]", "head_dim");
  expect_refusal("f64[1,8,9,64]", "f64[1,2,9,64]", "", "", "", "[1,8,9,64]", "dtype");
  expect_refusal("f16[1,8,9,64]", "f16[1,2,9,64]", ", m: f16[...]", ", m", "", "[1,8,9,64]", "mask_shape");
  expect_refusal("f16[1,8,9,64]", "f16[1,2,9,64]", "", "", "[softcap=2000]", "[1,8,9,64]", "softcap");
  expect_refusal("f16[1,8,9,64]", "f16[1,2,9,64]", "", "", "[softmax_type=f64]", "[1,8,9,64]", "softmax_type");
  expect_refusal("f16[1,8,9,D]", "f16[1,2,9,D]", "", "", "", "[1,8,9,D]", "unknown_shape");
}

// Scales of heads that lie apart have no place in tiles, and a token's scale none in a head.
Test(remarks, scales_that_a_kernel_cannot_place) {
  const qn_target target = QN_TARGET_sm_90a;
  const expectation expected[] = { BOTH("layout", NULL) };
  expect_remarks("graph \"g\" (q: f16[1,8,9,64], k: f16[1,2,9,64], v: f16[1,2,9,64], g: f32[]) {\n"
                 "  o: f16[1,8,9,64] = attention(q, k, v)\n"
                 "  y: e2m1[1,8,9,64], ys: e4m3[128,4] = quantize(o, g)[scheme=nvfp4]\n  return y, ys\n}\n",
                 qn_legality_of_target(&target), expected, 2);
}

// Nothing is changed by a refused fusion: the quantize is still there.
Test(remarks, a_refusal_changes_nothing) {
  run r = run_passes("fuse-attention-quant",
                     INPUTS "  o: f16[1,8,9,64] = attention(q, k, v)\n  y: e4m3[1,8,9,64] = quantize(o, "
                            "s)[scheme=fp8_static]\n  return y\n}\n",
                     (qn_pipeline_params){ .legality = { .fuses = refuse_head_dim } });
  cr_expect_str_eq(r.text.text, INPUTS "  o: f16[1,8,9,64] = attention(q, k, v)\n  y: e4m3[1,8,9,64] = "
                                       "quantize(o, s)[scheme=fp8_static]\n  return y\n}\n");
  end_run(&r);
}
