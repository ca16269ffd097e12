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
