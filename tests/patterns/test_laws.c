// The laws of docs/rules.md, by number.
#include "patterns_test.h"

#include <stdio.h>
#include <stdlib.h>

#define RULE(text_match, text_build)                                                                           \
  { .name = "r", .doc = "", .match = text_match, .build = text_build, .sample = "" }

// --- 2: structure is text, guards are predicates called by name ------------------------------------------

static bool is_relu(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  if (args[0].node && qn_node_get_op(qn_match_get_graph(match), args[0].node) == QN_OP_relu) return true;
  return qn_refuse(out_reason, QN_WHY_predicate, "relu", "%s", args[0].name);
}
static bool at_least(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  (void)out_reason;
  return qn_node_get_int(qn_match_get_graph(match), args[0].node, args[0].attr->name) >= args[1].number;
}
static const qn_predicate predicates[] = { { "is_relu", is_relu }, { "at_least", at_least }, { 0 } };

Test(laws, law_2_guards_are_called_by_name) {
  static const qn_rule rules[] = { { .name = "r",
                                     .match = "y = softmax(x)[axis=a]\n=> y",
                                     .where = { { "is_relu", "x" }, { "at_least", "a", "1" } },
                                     .build = "y = x" } };
  qn_family family = { .name = "t", .rules = rules, .rule_count = 1, .predicates = predicates };
  bench *b = bench_create_of(&family);
  bench_read(b, "graph (x: f32[2,3]) {\n  r: f32[2,3] = relu(x)\n  n: f32[2,3] = neg(x)\n"
                "  y: f32[2,3] = softmax(r)[axis=1]\n  z: f32[2,3] = softmax(n)[axis=1]\n"
                "  w: f32[2,3] = softmax(r)[axis=0]\n  return y, z, w\n}\n");
  cr_assert(bench_matches(b, "r", "y"));
  cr_assert_not(bench_matches(b, "r", "z"));
  cr_assert_eq(qn_matcher_get_miss(b->matcher)->why, QN_WHY_predicate);
  cr_assert_eq(qn_matcher_get_miss(b->matcher)->guard, 0);
  cr_assert_not(bench_matches(b, "r", "w"));
  cr_assert_eq(qn_matcher_get_miss(b->matcher)->guard, 1);
  bench_destroy(b);
}

Test(laws, law_2_a_kind_is_a_predicate_too) {
  static const qn_rule rules[] = { RULE("y = neg(x:is_relu)\n=> y", "y = x") };
  qn_family family = { .name = "t", .rules = rules, .rule_count = 1, .predicates = predicates };
  bench *b = bench_create_of(&family);
  bench_read(b, "graph (x: f32[2]) {\n  r: f32[2] = relu(x)\n  y: f32[2] = neg(r)\n  z: f32[2] = neg(x)\n  "
                "return y, z\n}\n");
  cr_assert(bench_matches(b, "r", "y"));
  cr_assert_not(bench_matches(b, "r", "z"));
  cr_assert_str_eq(qn_matcher_get_miss(b->matcher)->reason.expected, "relu");
  bench_destroy(b);
}

// --- 3: what is not mentioned has its default ------------------------------------------------------------

static const qn_rule softmax_rules[] = {
  { .name = "plain", .match = "y = softmax(x)\n=> y", .build = "y = x" },
  { .name = "any", .match = "y = softmax(x)[..]\n=> y", .build = "y = x" },
  { .name = "one", .match = "y = softmax(x)[axis=1]\n=> y", .build = "y = x" },
  { .name = "wild", .match = "y = softmax(x)[axis=_]\n=> y", .build = "y = x" },
  { .name = "bound", .match = "z = softmax(x)[axis=a]\ny = softmax(z)[axis=a]\n=> y", .build = "y = x" },
  { .name = "demanded", .match = "z = softmax(x)[axis=a:1]\ny = softmax(z)[axis=a]\n=> y", .build = "y = x" },
};

Test(laws, law_3_an_attribute_that_is_not_mentioned_has_its_default) {
  bench *b = bench_create(softmax_rules, QN_COUNT(softmax_rules));
  bench_read(b, "graph (x: f32[2,3]) {\n  d: f32[2,3] = softmax(x)\n  e: f32[2,3] = softmax(x)[axis=1]\n  "
                "return d, e\n}\n");
  cr_assert(bench_matches(b, "plain", "d"));
  cr_assert_not(bench_matches(b, "plain", "e"));
  cr_assert_eq(qn_matcher_get_miss(b->matcher)->why, QN_WHY_attribute);
  cr_assert(bench_matches(b, "any", "d") && bench_matches(b, "any", "e"));
  cr_assert(bench_matches(b, "wild", "d") && bench_matches(b, "wild", "e"));
  cr_assert_not(bench_matches(b, "one", "d"));
  cr_assert(bench_matches(b, "one", "e"));
  bench_destroy(b);
}

Test(laws, law_3_an_attribute_name_used_twice_is_one_value) {
  bench *b = bench_create(softmax_rules, QN_COUNT(softmax_rules));
  bench_read(b,
             "graph (x: f32[2,3]) {\n  d: f32[2,3] = softmax(x)[axis=1]\n  e: f32[2,3] = softmax(d)[axis=1]\n"
             "  f: f32[2,3] = softmax(x)[axis=0]\n  g: f32[2,3] = softmax(f)[axis=1]\n"
             "  h: f32[2,3] = softmax(x)[axis=0]\n  i: f32[2,3] = softmax(h)[axis=0]\n  return e, g, i\n}\n");
  cr_assert(bench_matches(b, "bound", "e"));
  cr_assert_not(bench_matches(b, "bound", "g"));
  cr_assert(bench_matches(b, "bound", "i"));
  cr_assert(bench_matches(b, "demanded", "e"));
  cr_assert_not(bench_matches(b, "demanded", "i"));
  bench_destroy(b);
}

// --- 4: commutativity is a fact, and the matcher backtracks ----------------------------------------------

Test(laws, law_4_commutative_operands_may_be_swapped) {
  static const qn_rule rules[] = { RULE("y = add(neg(a), b)\n=> y", "y = a"),
                                   { .name = "s", .match = "y = sub(neg(a), b)\n=> y", .build = "y = a" } };
  bench *b = bench_create(rules, 2);
  bench_read(b, "graph (x: f32[2], z: f32[2]) {\n  n: f32[2] = neg(x)\n  m: f32[2] = neg(x)\n"
                "  y: f32[2] = add(z, n)\n  w: f32[2] = sub(z, m)\n  return y, w\n}\n");
  const qn_match *match = bench_match(b, "r", "y");
  cr_assert(match != NULL);
  cr_assert_str_eq(bench_bound(b, match, "b"), "z");
  cr_assert_not(bench_matches(b, "s", "w"), "sub does not commute");
  bench_destroy(b);
}

Test(laws, law_4_a_local_choice_is_taken_back_when_a_hole_disagrees_later) {
  // Mesa's own example for why a matcher has to backtrack: ('iadd', ('imul', a, b), b).
  static const qn_rule rules[] = { RULE("y = add(mul(a, b), b)\n=> y", "y = a") };
  static const char *const orders[] = { "mul(p, q)", "mul(q, p)" };
  for (int inner = 0; inner < 2; inner++)
    for (int outer = 0; outer < 2; outer++) {
      char text[256];
      snprintf(text, sizeof text,
               "graph (p: f32[2], q: f32[2]) {\n  m: f32[2] = %s\n  y: f32[2] = add(%s)\n  return y\n}\n",
               orders[inner], outer ? "q, m" : "m, q");
      bench *b = bench_create(rules, 1);
      bench_read(b, text);
      const qn_match *match = bench_match(b, "r", "y");
      cr_assert(match != NULL, "%s", text);
      cr_assert_str_eq(bench_bound(b, match, "a"), "p");
      cr_assert_str_eq(bench_bound(b, match, "b"), "q");
      bench_destroy(b);
    }
}

Test(laws, law_4_an_alternative_is_taken_back_when_something_later_fails) {
  // The first arm fits z locally; only the second agrees with what b is elsewhere.
  static const qn_rule rules[] = { RULE("t = neg(b) | neg(neg(b))\ny = sub(t, b)\n=> y", "y = b") };
  bench *b = bench_create(rules, 1);
  bench_read(b, "graph (x: f32[2]) {\n  n: f32[2] = neg(x)\n  t: f32[2] = neg(n)\n  y: f32[2] = sub(t, x)\n  "
                "return y\n}\n");
  const qn_match *match = bench_match(b, "r", "y");
  cr_assert(match != NULL);
  cr_assert_eq(qn_match_get_arm(match, "t"), 1);
  bench_destroy(b);
}

// --- 5: injectivity, results tied to one node, holes used twice ------------------------------------------

Test(laws, law_5_two_rule_nodes_never_bind_one_graph_node) {
  static const qn_rule rules[] = { RULE("y = add(neg(a), neg(b))\n=> y", "y = a") };
  bench *b = bench_create(rules, 1);
  bench_read(b, "graph (x: f32[2]) {\n  n: f32[2] = neg(x)\n  y: f32[2] = add(n, n)\n  m: f32[2] = neg(x)\n"
                "  o: f32[2] = neg(x)\n  z: f32[2] = add(m, o)\n  return y, z\n}\n");
  cr_assert_not(bench_matches(b, "r", "y"));
  cr_assert_eq(qn_matcher_get_miss(b->matcher)->why, QN_WHY_node_taken);
  cr_assert(bench_matches(b, "r", "z"));
  bench_destroy(b);
}

Test(laws, law_5_results_of_one_operation_are_tied_to_one_node) {
  static const qn_rule rules[] = { RULE("p, q = split(x)[axis=_]\ny = sub(p, q)\n=> y", "y = x") };
  bench *b = bench_create(rules, 1);
  bench_read(
      b,
      "graph (x: f32[4], w: f32[4]) {\n  a: f32[2], c: f32[2] = split(x)\n  d: f32[2], e: f32[2] = split(x)\n"
      "  y: f32[2] = sub(a, c)\n  z: f32[2] = sub(d, c)\n  s: f32[2] = sub(e, d)\n  return y, z, s\n}\n");
  cr_assert_not(bench_matches(b, "r", "z"), "one result of each of two splits");
  cr_assert_not(bench_matches(b, "r", "s"), "results in the wrong order");
  bench_read(
      b, "graph (x: f32[4]) {\n  a: f32[2], c: f32[2] = split(x)\n  y: f32[2] = sub(a, c)\n  return y\n}\n");
  cr_assert(bench_matches(b, "r", "y"));
  bench_destroy(b);
}

Test(laws, law_5_a_hole_used_twice_is_one_value) {
  static const qn_rule rules[] = { RULE("y = sub(a, a)\n=> y", "y = a") };
  bench *b = bench_create(rules, 1);
  bench_read(
      b,
      "graph (x: f32[2], z: f32[2]) {\n  y: f32[2] = sub(x, x)\n  w: f32[2] = sub(x, z)\n  return y, w\n}\n");
  cr_assert(bench_matches(b, "r", "y"));
  cr_assert_not(bench_matches(b, "r", "w"));
  cr_assert_eq(qn_matcher_get_miss(b->matcher)->why, QN_WHY_different_value);
  bench_destroy(b);
}

Test(laws, law_5_equal_constants_are_one_value) {
  static const qn_rule rules[] = { RULE("y = sub(a, a)\n=> y", "y = a") };
  bench *b = bench_create(rules, 1);
  bench_read(
      b,
      "graph () {\n  c: f32[2] = const[value={1, 2}]\n  d: f32[2] = const[value={1, 2}]\n"
      "  e: f32[2] = const[value={1, 3}]\n  f: f32[1,2] = const[value={1, 2}]\n  g: s32[2] = const[value={1, "
      "2}]\n"
      "  h: s32[2] = const[value={1, 2}]\n  n: f32[2] = const[value={0, 0}]\n  m: f32[2] = const[value={-0.0, "
      "0}]\n"
      "  y: f32[2] = sub(c, d)\n  z: f32[2] = sub(c, e)\n  w: f32[1,2] = sub(c, f)\n  v: s32[2] = sub(g, h)\n"
      "  u: f32[2] = sub(n, m)\n  return y, z, w, v, u\n}\n");
  cr_assert(bench_matches(b, "r", "y"));
  cr_assert(bench_matches(b, "r", "v"));
  cr_assert_not(bench_matches(b, "r", "z"), "other bytes");
  cr_assert_not(bench_matches(b, "r", "w"), "another shape");
  cr_assert_not(bench_matches(b, "r", "u"), "0 and -0 are equal numbers and different bytes");
  bench_destroy(b);
}

// --- 6: interior values do not escape --------------------------------------------------------------------

static const qn_rule square_rules[] = {
  RULE("s = mul(x, x)\ny = neg(s)\n=> y", "y = x"),
  { .name = "both", .match = "s = mul(x, x)\ny = neg(s)\n=> y, s", .build = "y = neg(x)\ns = abs(x)" },
  { .name = "twice", .match = "n = neg(x)\ny = mul(n, n)\n=> y", .build = "y = x" }
};

Test(laws, law_6_an_interior_value_has_no_user_outside) {
  bench *b = bench_create(square_rules, QN_COUNT(square_rules));
  bench_read(b, "graph (x: f32[2]) {\n  s: f32[2] = mul(x, x)\n  y: f32[2] = neg(s)\n  z: f32[2] = abs(s)\n  "
                "return y, z\n}\n");
  cr_assert_not(bench_matches(b, "r", "y"));
  const qn_miss *miss = qn_matcher_get_miss(b->matcher);
  cr_assert_eq(miss->why, QN_WHY_escapes);
  cr_assert_eq(miss->found, bench_node(b, "z"));
  cr_assert(bench_matches(b, "both", "y"), "a value listed after => may have users");
  bench_destroy(b);
}

Test(laws, law_6_a_graph_output_is_a_user) {
  bench *b = bench_create(square_rules, QN_COUNT(square_rules));
  bench_read(b, "graph (x: f32[2]) {\n  s: f32[2] = mul(x, x)\n  y: f32[2] = neg(s)\n  return y, s\n}\n");
  cr_assert_not(bench_matches(b, "r", "y"));
  cr_assert_eq(qn_matcher_get_miss(b->matcher)->why, QN_WHY_escapes);
  cr_assert_eq(qn_matcher_get_miss(b->matcher)->found, QN_NONE);
  bench_destroy(b);
}

Test(laws, law_6_users_are_counted_and_not_uses) {
  bench *b = bench_create(square_rules, QN_COUNT(square_rules));
  bench_read(b, "graph (x: f32[2]) {\n  n: f32[2] = neg(x)\n  y: f32[2] = mul(n, n)\n  return y\n}\n");
  cr_assert(bench_matches(b, "twice", "y"), "two uses, one user");
  bench_destroy(b);
}

Test(laws, law_6_a_result_that_the_rule_does_not_name_must_be_unused) {
  static const qn_rule rules[] = { RULE("y = layer_norm(x, s)[..]\n=> y", "y = x") };
  bench *b = bench_create(rules, 1);
  bench_read(b, "graph (x: f32[2,4], s: f32[4]) {\n  y: f32[2,4], m: f32[2,1] = layer_norm(x, s)\n  z: "
                "f32[2,1] = neg(m)\n"
                "  return y, z\n}\n");
  cr_assert_not(bench_matches(b, "r", "y"));
  cr_assert_eq(qn_matcher_get_miss(b->matcher)->why, QN_WHY_extra_result);
  bench_destroy(b);
}

// --- 7: nothing changes before everything has agreed -----------------------------------------------------

Test(laws, law_7_a_failed_guard_leaves_the_graph_as_it_was) {
  static const qn_rule rules[] = {
    { .name = "r", .match = "y = neg(x)\n=> y", .where = { { "is_relu", "x" } }, .build = "y = abs(x)" }
  };
  qn_family family = { .name = "t", .rules = rules, .rule_count = 1, .predicates = predicates };
  bench *b = bench_create_of(&family);
  bench_read(b, "graph (x: f32[2]) {\n  y: f32[2] = neg(x)\n  return y\n}\n");
  uint64_t version = qn_graph_get_version(b->graph);
  uint32_t nodes = qn_graph_get_node_limit(b->graph), values = qn_graph_get_value_limit(b->graph);
  cr_assert_eq(bench_run(b, QN_WALK_WORKLIST), 0);
  cr_assert_eq(qn_graph_get_version(b->graph), version);
  cr_assert_eq(qn_graph_get_node_limit(b->graph), nodes);
  cr_assert_eq(qn_graph_get_value_limit(b->graph), values);
  bench_destroy(b);
}

static void expect_bug(const qn_rule *rule, const char *graph, const char *message) {
  bench *b = bench_create(rule, 1);
  bench_read(b, graph);
  qn_buf before = bench_text(b);
  cr_assert_eq(qn_rules_run(b->matcher, b->graph, qn_rules_params(.walk = QN_WALK_WORKLIST), NULL), QN_BUG);
  const char *found = qn_context_get_error(b->context)->message;
  cr_assert(strstr(found, message), "expected '%s' in '%s'", message, found);
  if (!strstr(message, "end")) bench_assert_text(b, before.text);
  qn_buf_free(&before);
  bench_destroy(b);
}

#define NEG_GRAPH "graph (x: f32[2]) {\n  y: f32[2] = neg(x)\n  return y\n}\n"
#define ADD_GRAPH "graph (x: f32[2], z: f32[2]) {\n  y: f32[2] = add(x, z)\n  return y\n}\n"

Test(laws, law_7_success_without_change_is_a_bug) {
  static const qn_rule twin = RULE("y = neg(x)\n=> y", "y = neg(x)");
  expect_bug(&twin, NEG_GRAPH, "rule r matched at 'y' and changed nothing");
}

Test(laws, law_7_rules_that_never_end_are_a_bug) {
  static const qn_rule swap = RULE("y = add(a, b)\n=> y", "y = add(b, a)");
  expect_bug(&swap, ADD_GRAPH, "do not come to an end");
}

Test(laws, law_7_a_rule_that_builds_another_type_is_a_bug) {
  static const qn_rule cast = RULE("y = neg(x)\n=> y", "y = cast(x)[to=f16]");
  expect_bug(&cast, NEG_GRAPH, "changes the type of 'y' from f32[2] to f16[2]");
}

Test(laws, law_7_a_rule_that_builds_an_invalid_node_is_a_bug) {
  static const qn_rule bad = RULE("y = neg(x)\n=> y", "y = transpose(x)[perm={1, 0}]");
  expect_bug(&bad, NEG_GRAPH, "");
}

// --- 8: fixed order --------------------------------------------------------------------------------------

Test(laws, law_8_gain_then_operations_then_registration) {
  static const qn_rule rules[] = {
    { .name = "small", .match = "y = neg(x)\n=> y", .build = "y = x" },
    { .name = "small2", .match = "y = neg(x)\n=> y", .build = "y = x" },
    { .name = "large", .match = "y = neg(abs(x))\n=> y", .build = "y = x" },
    { .name = "gain", .match = "y = neg(x)\n=> y", .build = "y = x", .gain = 1 },
  };
  bench *b = bench_create(rules, QN_COUNT(rules));
  static const char *const order[] = { "gain", "large", "small", "small2" };
  for (uint32_t i = 0; i < QN_COUNT(order); i++)
    cr_assert_str_eq(qn_rule_set_get_rule(b->set, i)->name, order[i]);
  bench_destroy(b);
}

Test(laws, law_8_the_same_input_gives_the_same_bytes) {
  static const qn_rule rules[] = {
    { .name = "nn", .match = "y = neg(neg(x))\n=> y", .build = "y = x" },
    { .name = "na", .match = "y = neg(abs(x))\n=> y", .build = "y = sub(x, relu(x))" }
  };
  static const char text[] =
      "graph (x: f32[2]) {\n  a: f32[2] = abs(x)\n  b: f32[2] = neg(a)\n  c: f32[2] = neg(x)\n"
      "  d: f32[2] = neg(c)\n  e: f32[2] = add(d, b)\n  return e\n}\n";
  qn_buf first = { 0 };
  for (int i = 0; i < 3; i++) {
    bench *b = bench_create(rules, 2);
    bench_read(b, text);
    bench_run(b, QN_WALK_WORKLIST);
    if (i) {
      bench_assert_text(b, first.text);
    } else {
      qn_buf now = bench_text(b);
      first = QN_BUF(NULL);
      first.text = strdup(now.text);
      qn_buf_free(&now);
    }
    bench_destroy(b);
  }
  free(first.text);
}

// --- 9: failures are records -----------------------------------------------------------------------------

Test(laws, law_9_the_furthest_failure_is_kept) {
  static const qn_rule rules[] = { RULE("y = neg(abs(x) | exp(log(x)))\n=> y", "y = x") };
  bench *b = bench_create(rules, 1);
  bench_read(b, "graph (x: f32[2]) {\n  s: f32[2] = sqrt(x)\n  e: f32[2] = exp(s)\n  y: f32[2] = neg(e)\n  "
                "return y\n}\n");
  cr_assert_not(bench_matches(b, "r", "y"));
  const qn_miss *miss = qn_matcher_get_miss(b->matcher);
  cr_assert_eq(miss->why, QN_WHY_op);
  cr_assert_eq(miss->depth, 2, "neg and exp matched, found depth %u", miss->depth);
  cr_assert_eq(miss->node, bench_node(b, "s"));
  bench_destroy(b);
}

Test(laws, law_9_statistics_count_tries_steps_and_reasons) {
  static const qn_rule rules[] = { RULE("y = neg(abs(x))\n=> y", "y = x") };
  bench *b = bench_create(rules, 1);
  bench_read(b, "graph (x: f32[2]) {\n  a: f32[2] = abs(x)\n  y: f32[2] = neg(a)\n  z: f32[2] = neg(y)\n"
                "  c: f32[2] = abs(x)\n  d: f32[2] = neg(c)\n  e: f32[2] = add(c, d)\n  return z, e\n}\n");
  cr_assert_eq(bench_run(b, QN_WALK_ONCE), 1);
  const qn_rule_stats *stats = qn_matcher_get_stats(b->matcher, 0);
  cr_assert_eq(stats->tried, 2, "neg(neg) is kept away by the operand filter");
  cr_assert_eq(stats->matched, 1);
  cr_assert_eq(stats->missed[QN_WHY_escapes], 1);
  cr_assert_geq(stats->steps, 4);
  bench_destroy(b);
}

Test(laws, law_9_the_step_limit_is_a_reason) {
  // Two orders for each of 12 commutative operations, and a leaf that never agrees.
  static const qn_rule rules[] = { RULE("y = add(add(add(add(add(add(add(add(add(add(add(add(relu(a), b), c), "
                                        "d), e), f), g), h), i), j), k), l), m)\n=> y",
                                        "y = a") };
  bench *b = bench_create(rules, 1);
  qn_buf text = QN_BUF(b->context);
  qn_buf_printf(&text, "graph (x: f32[2]) {\n  v0: f32[2] = neg(x)\n  w0: f32[2] = abs(x)\n");
  for (int i = 0; i < 12; i++)
    qn_buf_printf(&text, "  v%d: f32[2] = add(v%d, w%d)\n  w%d: f32[2] = add(v%d, w%d)\n", i + 1, i, i, i + 1,
                  i, i);
  qn_buf_printf(&text, "  return v12, w12\n}\n");
  bench_read(b, text.text);
  qn_buf_free(&text);
  cr_assert_not(bench_matches(b, "r", "v12"));
  cr_assert_eq(qn_matcher_get_miss(b->matcher)->why, QN_WHY_step_limit);
  cr_assert_leq(qn_matcher_get_stats(b->matcher, 0)->steps, QN_MATCH_STEPS_MAX);
  bench_destroy(b);
}

// --- 10: a worklist, or one walk -------------------------------------------------------------------------

static const qn_rule peel_rules[] = {
  { .name = "aa", .match = "y = abs(abs(x))\n=> y", .build = "y = abs(x)" },
  { .name = "ra", .match = "y = relu(neg(abs(x)))\n=> y", .build = "y = exp(x)" }
};

Test(laws, law_10_the_worklist_comes_back_to_what_a_rewrite_made_matchable) {
  // relu(neg(abs(abs(abs x)))): its root is seen after the abs are gone, and again because of them.
  bench *b = bench_create(peel_rules, 2);
  bench_read(b, "graph (x: f32[2]) {\n  a: f32[2] = abs(x)\n  b: f32[2] = abs(a)\n  c: f32[2] = abs(b)\n  n: "
                "f32[2] = neg(c)\n"
                "  r: f32[2] = relu(n)\n  return r\n}\n");
  cr_assert_eq(bench_run(b, QN_WALK_WORKLIST), 3);
  bench_assert_text(b, "graph (x: f32[2]) {\n  r: f32[2] = exp(x)\n  return r\n}\n");
  bench_destroy(b);
}

Test(laws, law_10_a_user_that_goes_lets_an_earlier_root_match) {
  // n has a second user (z = exp(n)) until that one is rewritten to read x; then r's root has to be tried
  // again.
  static const qn_rule rules[] = {
    { .name = "exp", .match = "n = neg(x)\ny = exp(n)\n=> y, n", .build = "y = exp(x)\nn = neg(x)" },
    { .name = "rn", .match = "y = relu(neg(x))\n=> y", .build = "y = sqrt(x)" }
  };
  bench *b = bench_create(rules, 2);
  bench_read(b, "graph (x: f32[2]) {\n  n: f32[2] = neg(x)\n  r: f32[2] = relu(n)\n  e: f32[2] = exp(n)\n  "
                "return r, e\n}\n");
  cr_assert_eq(bench_run(b, QN_WALK_WORKLIST), 2);
  bench_assert_text(b, "graph (x: f32[2]) {\n  e: f32[2] = exp(x)\n  r: f32[2] = sqrt(x)\n  return r, e\n}\n");
  bench_destroy(b);
}

Test(laws, law_10_one_walk_sees_each_node_once) {
  bench *b = bench_create(peel_rules, 1);
  bench_read(
      b,
      "graph (x: f32[2]) {\n  a: f32[2] = abs(x)\n  b: f32[2] = abs(a)\n  c: f32[2] = abs(b)\n  return c\n}\n");
  uint32_t nodes = qn_graph_count_nodes(b->graph);
  bench_run(b, QN_WALK_ONCE);
  cr_assert_leq(qn_matcher_get_stats(b->matcher, 0)->tried, nodes);
  bench_destroy(b);
}

Test(laws, fuel_ends_the_run) {
  bench *b = bench_create(peel_rules, 2);
  bench_read(
      b,
      "graph (x: f32[2]) {\n  a: f32[2] = abs(x)\n  b: f32[2] = abs(a)\n  c: f32[2] = abs(b)\n  return c\n}\n");
  uint64_t fuel = 1, rewrites;
  cr_assert_eq(qn_rules_run(b->matcher, b->graph, qn_rules_params(.fuel = &fuel), &rewrites), QN_OK);
  cr_assert_eq(rewrites, 1);
  cr_assert_eq(fuel, 0);
  cr_assert_eq(qn_rules_run(b->matcher, b->graph, qn_rules_params(.fuel = &fuel), &rewrites), QN_OK);
  cr_assert_eq(rewrites, 0);
  bench_destroy(b);
}
