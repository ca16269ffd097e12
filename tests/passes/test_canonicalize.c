// One spelling for layout chains, casts, axes and equal quantizations.
#include "passes_test.h"

TestSuite(canonicalize, .timeout = 20);

// The three ways in which exporters write k^T, all over a repeated k (grouped queries).
#define REPEATED                                                                                               \
  "  axes: s64[1] = const[value={2}]\n"                                                                        \
  "  five: s64[5] = const[value={1, 2, 3, 7, 64}]\n"                                                           \
  "  four: s64[4] = const[value={1, 6, 7, 64}]\n"                                                              \
  "  u: f16[1,2,1,7,64] = unsqueeze(k, axes)\n"                                                                \
  "  e: f16[1,2,3,7,64] = expand(u, five)\n"                                                                   \
  "  r: f16[1,6,7,64] = reshape(e, four)\n"
#define TRANSPOSED_ONCE                                                                                        \
  "graph \"g\" (k: f16[1,2,7,64]) {\n"                                                                         \
  "  _1: f16[1,2,64,7] = transpose(k)[perm={0, 1, 3, 2}]\n"                                                    \
  "  t: f16[1,6,64,7] = repeat(_1)[axis=1, count=3]\n"                                                         \
  "  return t\n}\n"

// Intermediate values have no names of their own: their numbers are not what is tested.
static void expect_chain(const char *source, const char *const *ops, uint32_t count) {
  run r = run_passes("canonicalize,dead-code", source, (qn_pipeline_params){ 0 });
  uint32_t found = 0;
  for (qn_node node = qn_graph_get_first(r.graph); node; node = qn_node_get_next(r.graph, node)) {
    qn_op op = qn_node_get_op(r.graph, node);
    if (op == QN_OP_input || op == QN_OP_const) continue;
    cr_assert_lt(found, count, "one node too many:\n%s", r.text.text);
    cr_expect_str_eq(qn_op_get_info(op)->name, ops[found], "in:\n%s", r.text.text);
    found++;
  }
  cr_expect_eq(found, count, "in:\n%s", r.text.text);
  end_run(&r);
}

static const char *const transpose_repeat[] = { "transpose", "repeat" };

Test(canonicalize, k_transposed_after_the_repeat) {
  expect_chain("graph \"g\" (k: f16[1,2,7,64]) {\n" REPEATED
               "  t: f16[1,6,64,7] = transpose(r)[perm={0, 1, 3, 2}]\n  return t\n}\n",
               transpose_repeat, 2);
}

Test(canonicalize, k_transposed_through_three_dims) {
  expect_chain("graph \"g\" (k: f16[1,2,7,64]) {\n" REPEATED "  three: s64[3] = const[value={-1, 7, 64}]\n"
               "  back: s64[4] = const[value={1, 6, 64, 7}]\n"
               "  a: f16[6,7,64] = reshape(r, three)\n"
               "  b: f16[6,64,7] = transpose(a)[perm={0, 2, 1}]\n"
               "  t: f16[1,6,64,7] = reshape(b, back)\n  return t\n}\n",
               transpose_repeat, 2);
}

Test(canonicalize, k_transposed_with_symbolic_dims) {
  expect_chain("graph \"g\" (k: f16[B,2,S,64]) {\n"
               "  axes: s64[1] = const[value={2}]\n"
               "  ones: s64[5] = const[value={1, 1, 3, 1, 1}]\n"
               "  four: s64[4] = const[value={0, 6, -1, 64}]\n"
               "  u: f16[B,2,1,S,64] = unsqueeze(k, axes)\n"
               "  e: f16[B,2,3,S,64] = expand(u, ones)\n"
               "  r: f16[B,6,S,64] = reshape(e, four)\n"
               "  t: f16[B,6,64,S] = transpose(r)[perm={0, 1, 3, 2}]\n  return t\n}\n",
               transpose_repeat, 2);
}

// A head split that somebody else needs too must stay where it is.
Test(canonicalize, a_chain_ends_at_a_second_user) {
  static const char *const kept[] = { "transpose", "relu", "transpose" };
  expect_chain("graph \"g\" (x: f32[2,3,4]) {\n"
               "  a: f32[3,2,4] = transpose(x)[perm={1, 0, 2}]\n"
               "  b: f32[3,2,4] = relu(a)\n"
               "  c: f32[4,2,3] = transpose(a)[perm={2, 1, 0}]\n  return b, c\n}\n",
               kept, 3);
}

Test(canonicalize, two_transposes_are_one) {
  static const char *const one[] = { "transpose" };
  expect_chain("graph \"g\" (x: f32[2,3,4]) {\n"
               "  a: f32[3,2,4] = transpose(x)[perm={1, 0, 2}]\n"
               "  c: f32[4,2,3] = transpose(a)[perm={2, 1, 0}]\n  return c\n}\n",
               one, 1);
}

Test(canonicalize, a_transpose_and_its_inverse_are_nothing) {
  expect_chain("graph \"g\" (x: f32[2,3,4]) {\n"
               "  a: f32[3,2,4] = transpose(x)[perm={1, 0, 2}]\n"
               "  c: f32[2,3,4] = transpose(a)[perm={1, 0, 2}]\n  return c\n}\n",
               NULL, 0);
}

Test(canonicalize, two_reshapes_are_one) {
  static const char *const one[] = { "reshape" };
  expect_chain("graph \"g\" (x: f32[B,S,6,4]) {\n"
               "  m: s64[3] = const[value={0, 0, -1}]\n  n: s64[2] = const[value={-1, 24}]\n"
               "  a: f32[B,S,24] = reshape(x, m)\n"
               "  b: f32[B*S,24] = reshape(a, n)\n  return b\n}\n",
               one, 1);
}

// An expand that is not a repeat of grouped heads is left alone.
Test(canonicalize, a_tiled_axis_is_no_repeat) {
  static const char *const kept[] = { "unsqueeze", "expand", "reshape" };
  expect_chain("graph \"g\" (x: f32[2,5]) {\n"
               "  ax: s64[1] = const[value={0}]\n  ex: s64[3] = const[value={3, 2, 5}]\n  sh: s64[2] = "
               "const[value={6, 5}]\n"
               "  u: f32[1,2,5] = unsqueeze(x, ax)\n  e: f32[3,2,5] = expand(u, ex)\n  r: f32[6,5] = "
               "reshape(e, sh)\n  return r\n}\n",
               kept, 3);
}

Test(canonicalize, a_cast_there_and_back_is_nothing_only_if_exact) {
  static const char *const kept[] = { "cast", "cast" };
  expect_chain("graph \"g\" (x: f16[4]) {\n  a: f32[4] = cast(x)[to=f32]\n  b: f16[4] = cast(a)[to=f16]\n  "
               "return b\n}\n",
               NULL, 0);
  expect_chain("graph \"g\" (x: f32[4]) {\n  a: f16[4] = cast(x)[to=f16]\n  b: f32[4] = cast(a)[to=f32]\n  "
               "return b\n}\n",
               kept, 2);
}

Test(canonicalize, softmax_counts_from_the_end) {
  expect_text("canonicalize",
              "graph \"g\" (x: f32[2,3,4]) {\n  y: f32[2,3,4] = softmax(x)[axis=2]\n  return y\n}\n",
              "graph \"g\" (x: f32[2,3,4]) {\n  y: f32[2,3,4] = softmax(x)\n  return y\n}\n");
}

// Quantizers write one constant for each use.
Test(canonicalize, equal_quantizes_are_one) {
  expect_text("canonicalize",
              "graph \"g\" (x: f32[4]) {\n  s: f32[] = const[value={0.5}]\n  t: f32[] = const[value={0.5}]\n"
              "  a: e4m3[4] = quantize(x, s)[scheme=fp8_static]\n  b: e4m3[4] = quantize(x, "
              "t)[scheme=fp8_static]\n  return a, b\n}\n",
              "graph \"g\" (x: f32[4]) {\n  s: f32[] = const[value={0.5}]\n"
              "  a: e4m3[4] = quantize(x, s)[scheme=fp8_static]\n  return a, a as \"b\"\n}\n");
}

Test(canonicalize, different_quantizes_stay) {
  const char *two =
      "graph \"g\" (x: f32[4]) {\n  s: f32[] = const[value={0.5}]\n  t: f32[] = const[value={0.25}]\n"
      "  a: e4m3[4] = quantize(x, s)[scheme=fp8_static]\n  b: e4m3[4] = quantize(x, t)[scheme=fp8_static]\n  "
      "return a, b\n}\n";
  expect_text("canonicalize", two, two);
}
