// Rules with several outputs: found beside the anchor, and built where everything they read and replace allows
// it.
#include "patterns_test.h"

static const qn_rule rules[] = {
  { .name = "pair",
    .match = "p = sub(x, a)\n"
             "q = sub(x, neg(b))\n"
             "=> p, q",
    .build = "p = add(x, a)\nq = add(x, b)" },
};

static void expect(const char *before, uint64_t rewrites, const char *after) {
  bench *b = bench_create(rules, QN_COUNT(rules));
  bench_read(b, before);
  cr_assert_eq(bench_run(b, QN_WALK_ONCE), rewrites);
  bench_assert_text(b, after);
  cr_assert_eq(qn_graph_verify(b->graph), QN_OK, "%s", qn_context_get_error(b->context)->message);
  bench_destroy(b);
}

Test(outputs, an_output_beside_the_anchor_is_found_among_users) {
  expect("graph (x: f32[2], a: f32[2], b: f32[2]) {\n"
         "  o: f32[2] = sub(x, b)\n"
         "  p: f32[2] = sub(x, a)\n"
         "  n: f32[2] = neg(b)\n"
         "  q: f32[2] = sub(x, n)\n"
         "  return o, p, q\n}\n",
         1,
         "graph (x: f32[2], a: f32[2], b: f32[2]) {\n"
         "  p: f32[2] = sub(x, a)\n"
         "  o: f32[2] = add(x, b)\n"
         "  q: f32[2] = add(x, b)\n"
         "  return o, p, q\n}\n");
}

Test(outputs, readers_between_the_outputs_move_behind_what_is_built) {
  expect("graph (x: f32[2], a: f32[2], b: f32[2]) {\n"
         "  p: f32[2] = sub(x, a)\n"
         "  r: f32[2] = relu(p)\n"
         "  s: f32[2] = abs(r)\n"
         "  n: f32[2] = neg(b)\n"
         "  q: f32[2] = sub(x, n)\n"
         "  return q, s\n}\n",
         1,
         "graph (x: f32[2], a: f32[2], b: f32[2]) {\n"
         "  p: f32[2] = add(x, a)\n"
         "  q: f32[2] = add(x, b)\n"
         "  r: f32[2] = relu(p)\n"
         "  s: f32[2] = abs(r)\n"
         "  return q, s\n}\n");
}

Test(outputs, a_match_that_reads_its_own_output_is_refused) {
  static const char text[] = "graph (x: f32[2], a: f32[2]) {\n"
                             "  p: f32[2] = sub(x, a)\n"
                             "  r: f32[2] = relu(p)\n"
                             "  n: f32[2] = neg(r)\n"
                             "  q: f32[2] = sub(x, n)\n"
                             "  return q\n}\n";
  expect(text, 0, text);
  bench *b = bench_create(rules, QN_COUNT(rules));
  bench_read(b, text);
  cr_assert_not(bench_matches(b, "pair", "p"));
  cr_assert_eq(qn_matcher_get_miss(b->matcher)->why, QN_WHY_escapes);
  bench_destroy(b);
}

Test(outputs, an_operation_with_an_effect_does_not_move) {
  static const char text[] = "graph (x: f32[2], a: f32[2], b: f32[2]) {\n"
                             "  p: f32[2] = sub(x, a)\n"
                             "  extern(p)[name=\"store\"]\n"
                             "  n: f32[2] = neg(b)\n"
                             "  q: f32[2] = sub(x, n)\n"
                             "  return q\n}\n";
  expect(text, 0, text);
}

Test(outputs, a_hole_that_is_an_output_is_refused) {
  // b of the second statement is p itself, which the build replaces.
  static const char text[] = "graph (x: f32[2], a: f32[2]) {\n"
                             "  p: f32[2] = sub(x, a)\n"
                             "  n: f32[2] = neg(p)\n"
                             "  q: f32[2] = sub(x, n)\n"
                             "  return q\n}\n";
  expect(text, 0, text);
}

// --- what nobody reads -------------------------------------------------------------------------------------

static const qn_rule swap_rules[] = {
  { .name = "swap",
    .match = "n = neg(x)\n"
             "y = abs(n)\n"
             "=> y, n",
    .build = "y = relu(x)\n"
             "n = neg(sqrt(y))" },
};

static void expect_swap(const char *before, const char *after) {
  bench *b = bench_create(swap_rules, QN_COUNT(swap_rules));
  bench_read(b, before);
  cr_assert_eq(bench_run(b, QN_WALK_ONCE), 1);
  bench_assert_text(b, after);
  cr_assert_eq(qn_graph_verify(b->graph), QN_OK, "%s", qn_context_get_error(b->context)->message);
  bench_destroy(b);
}

Test(outputs, what_only_an_unread_output_needs_is_not_built) {
  expect_swap("graph (x: f32[2]) {\n"
              "  n: f32[2] = neg(x)\n"
              "  y: f32[2] = abs(n)\n"
              "  return y\n}\n",
              "graph (x: f32[2]) {\n"
              "  y: f32[2] = relu(x)\n"
              "  return y\n}\n");
}

Test(outputs, an_output_that_is_read_is_built) {
  expect_swap("graph (x: f32[2]) {\n"
              "  n: f32[2] = neg(x)\n"
              "  z: f32[2] = exp(n)\n"
              "  y: f32[2] = abs(n)\n"
              "  return y, z\n}\n",
              "graph (x: f32[2]) {\n"
              "  y: f32[2] = relu(x)\n"
              "  _6: f32[2] = sqrt(y)\n"
              "  n: f32[2] = neg(_6)\n"
              "  z: f32[2] = exp(n)\n"
              "  return y, z\n}\n");
}

// A statement names every result that an operation may have; a node gets those that the old one had.
Test(outputs, a_node_has_the_results_that_outputs_stand_for) {
  static const qn_rule requantize[] = {
    { .name = "requantize",
      .match = "y, s, z = quantize(neg(x), g?, zero?)[scheme=sc]\n"
               "=> y, s, z",
      .build = "y, s, z = quantize(x, g, zero)[scheme=sc]" },
  };
  bench *b = bench_create(requantize, QN_COUNT(requantize));
  bench_read(b, "graph (x: f32[2,64], g: f32[]) {\n"
                "  n: f32[2,64] = neg(x)\n"
                "  a: e4m3[2,64] = quantize(n, g)[scheme=fp8_static]\n"
                "  m: f32[2,64] = neg(x)\n"
                "  b: e4m3[2,64], s: e8m0[2,2] = quantize(m)[scheme=mxfp8]\n"
                "  return a, b\n}\n");
  cr_assert_eq(bench_run(b, QN_WALK_ONCE), 2);
  bench_assert_text(b, "graph (x: f32[2,64], g: f32[]) {\n"
                       "  a: e4m3[2,64] = quantize(x, g)[scheme=fp8_static]\n"
                       "  b: e4m3[2,64], s: e8m0[2,2] = quantize(x)[scheme=mxfp8]\n"
                       "  return a, b\n}\n");
  bench_destroy(b);
}
