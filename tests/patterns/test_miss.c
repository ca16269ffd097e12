// Misses in words: the text that a person reads, byte for byte.
#include "patterns_test.h"

static bool refuses(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  (void)match, (void)args;
  return qn_refuse(out_reason, QN_WHY_head_dim, "64 or 128", "%d", 80);
}
static const qn_predicate predicates[] = { { "refuses", refuses }, { 0 } };

static const qn_rule rules[] = {
  { .name = "norm",
    .match = "v = reduce_mean(mul(h, h) | pow(h, 2), axes:const)\n"
             "r = rsqrt(add(v,\n"
             "              eps:scalar))   \n"
             "y = mul(h, r)\n"
             "=> y",
    .build = "y = h" },
  { .name = "shift", .match = "y = transpose(transpose(x)[perm=p])[perm={0, 2, 1}]\n=> y", .build = "y = x" },
  { .name = "soft", .match = "y = softmax(softmax(x)[axis=a])[axis=a]\n=> y", .build = "y = x" },
  { .name = "guarded", .match = "y = neg(x)\n=> y", .where = { { "refuses", "x", "7" } }, .build = "y = x" },
  { .name = "clipped", .match = "y = clip(x, lo)\n=> y", .build = "y = x" },
  { .name = "class", .match = "y = {relu|gelu}(neg(x))\n=> y", .build = "y = x" },
  { .name = "same", .match = "y = sub(neg(x), x)\n=> y", .build = "y = x" },
  { .name = "pair", .match = "y = sub(neg(x), neg(z))\n=> y", .build = "y = x" },
};

static void expect(const char *rule, const char *graph, const char *text) {
  qn_family family = { .name = "t", .rules = rules, .rule_count = QN_COUNT(rules), .predicates = predicates };
  bench *b = bench_create_of(&family);
  bench_read(b, graph);
  cr_assert_not(bench_matches(b, rule, "y"));
  qn_buf buf = QN_BUF(b->context);
  qn_writer writer = qn_buf_writer(&buf);
  cr_assert_eq(qn_miss_write(b->set, b->graph, qn_matcher_get_miss(b->matcher), &writer), QN_OK);
  cr_assert_str_eq(buf.text, text);
  qn_buf_free(&buf);
  bench_destroy(b);
}

Test(miss, a_value_that_is_no_constant) {
  expect("norm",
         "graph (h: f32[2,4], e: f32[]) {\n  two: f32[] = const[value={2}]\n  a: s64[1] = const[value={-1}]\n"
         "  p: f32[2,4] = pow(h, two)\n  v: f32[2,1] = reduce_mean(p, a)\n  s: f32[2,1] = add(v, e)\n"
         "  r: f32[2,1] = rsqrt(s)\n  y: f32[2,4] = mul(r, h)\n  return y\n}\n",
         "norm does not match at y = mul (5 operations matched first)\n"
         "    r = rsqrt(add(v, eps:scalar))\n"
         "                     ^ e: the value is not a constant: expected a constant, found input\n");
}

Test(miss, another_number) {
  expect("norm",
         "graph (h: f32[2,4]) {\n  three: f32[] = const[value={3}]\n  a: s64[1] = const[value={-1}]\n"
         "  e: f32[] = const[value={0.5}]\n  p: f32[2,4] = pow(h, three)\n  v: f32[2,1] = reduce_mean(p, a)\n"
         "  s: f32[2,1] = add(v, e)\n  r: f32[2,1] = rsqrt(s)\n  y: f32[2,4] = mul(h, r)\n  return y\n}\n",
         "norm does not match at y = mul (5 operations matched first)\n"
         "    v = reduce_mean(mul(h, h) | pow(h, 2), axes:const)\n"
         "                                       ^ three: the constant has another value: expected the "
         "constant 2, found 3\n");
}

Test(miss, an_attribute) {
  expect("shift",
         "graph (x: f32[2,3,4]) {\n  t: f32[4,3,2] = transpose(x)\n  y: f32[3,4,2] = transpose(t)[perm={1, 0, "
         "2}]\n  return y\n}\n",
         "shift does not match at y = transpose (0 operations matched first)\n"
         "    y = transpose(transpose(x)[perm=p])[perm={0, 2, 1}]\n"
         "                                        ^ y: an attribute has another value: expected perm={0, 2, "
         "1}, found {1, 0, 2}\n");
}

Test(miss, an_attribute_that_differs_from_its_name) {
  expect(
      "soft",
      "graph (x: f32[2,3]) {\n  t: f32[2,3] = softmax(x)\n  y: f32[2,3] = softmax(t)[axis=0]\n  return y\n}\n",
      "soft does not match at y = softmax (1 operation matched first)\n"
      "    y = softmax(softmax(x)[axis=a])[axis=a]\n"
      "                           ^ t: an attribute has another value: expected axis=the value that 'a' has "
      "elsewhere, found -1\n");
}

Test(miss, a_default) {
  expect("class",
         "graph (x: f32[2]) {\n  n: f32[2] = neg(x)\n  y: f32[2] = gelu(n)[approximate=tanh]\n  return y\n}\n",
         "class does not match at y = gelu (0 operations matched first)\n"
         "    y = {relu|gelu}(neg(x))\n"
         "        ^ y: an attribute has another value: expected approximate=none, found tanh\n");
}

Test(miss, an_operation_of_a_class) {
  expect("class", "graph (x: f32[2]) {\n  y: f32[2] = abs(x)\n  return y\n}\n",
         "class does not match at y = abs (0 operations matched first)\n"
         "    y = {relu|gelu}(neg(x))\n"
         "        ^ y: another operation stands here: expected relu or gelu, found abs\n");
}

Test(miss, a_guard) {
  expect("guarded", "graph (x: f32[2]) {\n  y: f32[2] = neg(x)\n  return y\n}\n",
         "guarded does not match at y = neg (1 operation matched first)\n"
         "    where refuses(x, 7)\n"
         "    ^ x: no kernel for this head_dim: expected 64 or 128, found 80\n");
}

Test(miss, an_operand_too_few) {
  expect("clipped", "graph (x: f32[2]) {\n  y: f32[2] = clip(x)\n  return y\n}\n",
         "clipped does not match at y = clip (1 operation matched first)\n"
         "    y = clip(x, lo)\n"
         "                ^ an operand is missing or one too many: expected an operand, found none\n");
}

Test(miss, an_operand_too_many) {
  expect("clipped", "graph (x: f32[2], a: f32[], b: f32[]) {\n  y: f32[2] = clip(x, a, b)\n  return y\n}\n",
         "clipped does not match at y = clip (0 operations matched first)\n"
         "    y = clip(x, lo)\n"
         "        ^ y: an operand is missing or one too many: expected at most 2 operands, found 3\n");
}

Test(miss, another_value) {
  expect("same",
         "graph (x: f32[2], z: f32[2]) {\n  n: f32[2] = neg(x)\n  y: f32[2] = sub(n, z)\n  return y\n}\n",
         "same does not match at y = sub (2 operations matched first)\n"
         "    y = sub(neg(x), x)\n"
         "                    ^ z: the same name is bound to two values: expected x, found z\n");
}

Test(miss, a_node_twice) {
  expect("pair", "graph (x: f32[2]) {\n  n: f32[2] = neg(x)\n  y: f32[2] = sub(n, n)\n  return y\n}\n",
         "pair does not match at y = sub (2 operations matched first)\n"
         "    y = sub(neg(x), neg(z))\n"
         "                    ^ n: the node is already part of the match: expected another operation, found n "
         "once more\n");
}

Test(miss, an_escape) {
  expect("pair",
         "graph (x: f32[2]) {\n  n: f32[2] = neg(x)\n  m: f32[2] = neg(x)\n  y: f32[2] = sub(n, m)\n  z: "
         "f32[2] = abs(m)\n"
         "  return y, z\n}\n",
         "pair does not match at y = sub (3 operations matched first)\n"
         "    y = sub(neg(x), neg(z))\n"
         "    ^ m: an interior value is used outside the match: expected no user outside the match, found z = "
         "abs\n");
}

Test(miss, an_escape_as_a_graph_output) {
  expect("pair",
         "graph (x: f32[2]) {\n  n: f32[2] = neg(x)\n  m: f32[2] = neg(x)\n  y: f32[2] = sub(n, m)\n  return "
         "y, n\n}\n",
         "pair does not match at y = sub (3 operations matched first)\n"
         "    y = sub(neg(x), neg(z))\n"
         "    ^ n: an interior value is used outside the match: expected no user outside the match, found a "
         "graph output\n");
}

Test(miss, what_was_removed_since_is_gone) {
  qn_family family = { .name = "t", .rules = rules, .rule_count = QN_COUNT(rules), .predicates = predicates };
  bench *b = bench_create_of(&family);
  bench_read(b, "graph (x: f32[2]) {\n  n: f32[2] = neg(x)\n  y: f32[2] = sub(n, x)\n  return x\n}\n");
  cr_assert_not(bench_matches(b, "pair", "y"));
  qn_miss miss = *qn_matcher_get_miss(b->matcher);
  qn_node_remove(b->graph, bench_node(b, "y"));
  qn_buf buf = QN_BUF(b->context);
  qn_writer writer = qn_buf_writer(&buf);
  cr_assert_eq(qn_miss_write(b->set, b->graph, &miss, &writer), QN_OK);
  cr_assert_str_eq(buf.text,
                   "pair does not match at gone = gone (2 operations matched first)\n"
                   "    y = sub(neg(x), neg(z))\n"
                   "                    ^ x: another operation stands here: expected neg, found input\n");
  qn_buf_free(&buf);
  bench_destroy(b);
}
