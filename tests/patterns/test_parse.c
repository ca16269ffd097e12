// Malformed rules: each is refused with its place and one sentence.
#include "patterns_test.h"

#include <stdio.h>

static bool yes(const qn_match *match, const qn_arg *args, qn_reason *out_reason) {
  (void)match, (void)args, (void)out_reason;
  return true;
}
static qn_status one(const qn_match *match, const qn_arg *args, qn_attr *out_attr) {
  (void)match, (void)args;
  out_attr->i = 1;
  return QN_OK;
}
static const qn_predicate predicates[] = { { "yes", yes }, { 0 } };
static const qn_function functions[] = { { "one", one }, { 0 } };

static qn_status read_rule(qn_context *context, const qn_rule *rule) {
  qn_family family = {
    .name = "t", .rules = rule, .rule_count = 1, .predicates = predicates, .functions = functions
  };
  const qn_family *list[] = { &family };
  qn_rule_set *set;
  qn_status status = qn_rule_set_create_from(context, list, 1, &set);
  qn_rule_set_destroy(set);
  return status;
}

static void expect(const qn_rule *rule, qn_status wanted, const char *place, const char *message) {
  qn_context *context;
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  qn_status status = read_rule(context, rule);
  const qn_error *error = qn_context_get_error(context);
  cr_assert_eq(status, wanted, "%s: '%s' '%s'", rule->match, error->place, error->message);
  if (wanted != QN_OK) {
    cr_assert_str_eq(error->message, message, "%s: '%s' '%s'", rule->match, error->place, error->message);
    cr_assert_str_eq(error->place, place, "%s: '%s' '%s'", rule->match, error->place, error->message);
  }
  qn_context_destroy(context);
}

typedef struct row {
  const char *text, *place, *message;
} row;

Test(parse, match_sides_that_are_refused) {
  static const row rows[] = {
    { "", "rule r:1:1", "expected '=>', found the end of the text" },
    { "y = neg(x)", "rule r:1:11", "expected '=>', found the end of the text" },
    { "y = neg(x)\n=>", "rule r:2:3", "expected the name of an output, found the end of the text" },
    { "y = neg(x)\n=> z", "rule r:2:4", "no statement defines 'z'" },
    { "y = neg(x)\n=> x", "rule r:2:4", "no statement defines 'x'" },
    { "y = neg(x)\n=> y, y", "rule r:2:7", "'y' is listed twice" },
    { "y = neg(x)\n=> y y", "rule r:2:6", "expected the end of the rule, found 'y'" },
    { "y = negg(x)\n=> y", "rule r:1:5", "no operation is called 'negg'" },
    { "y = {neg|ab}(x)\n=> y", "rule r:1:10", "no operation is called 'ab'" },
    { "y = neg(x, z)\n=> y", "rule r:1:5", "'neg' has at most 1 operands, not 2" },
    { "y = add(x)\n=> y", "rule r:1:5", "'add' has at least 2 operands, not 1; '...' stands for more" },
    { "y = neg(x\n=> y", "rule r:2:1", "expected ',', found '=>'" },
    { "y = x\n=> y", "rule r:1:1", "the right side of 'y' is not an operation" },
    { "y = neg(z)\nz = abs(x)\n=> y", "rule r:2:1", "'z' is used before the statement that defines it" },
    { "y = neg(y)\n=> y", "rule r:1:1", "'y' is used before the statement that defines it" },
    { "y = neg(x)\ny = abs(x)\n=> y", "rule r:2:1", "'y' is defined twice" },
    { "y = neg(x) z = abs(y)\n=> z", "rule r:1:12", "expected the end of the line, found 'z'" },
    { "y = neg(x:no)\n=> y", "rule r:1:11", "no predicate is called 'no'" },
    { "y = add(x, x:const)\n=> y", "rule r:1:12", "the kind of 'x' is said where the name first occurs" },
    { "y = softmax(x)[axle=1]\n=> y", "rule r:1:16", "'softmax' has no attribute 'axle'" },
    { "y = softmax(x)[axis=1, axis=2]\n=> y", "rule r:1:24", "'axis' is mentioned twice" },
    { "y = softmax(x)[axis=x]\n=> y", "rule r:1:21", "'x' already names a value" },
    { "y = softmax(x)[axis=a]\nz = neg(a)\n=> y", "rule r:2:9", "'a' already names an attribute" },
    { "y = softmax(x)[axis=a:b]\n=> y", "rule r:1:23", "expected an integer, found 'b'" },
    { "y = softmax(x)[axis]\n=> y", "rule r:1:20", "expected '=', found ']'" },
    { "y = gelu(softmax(x)[axis=a])[approximate=a]\n=> y", "rule r:1:42",
      "'a' already names an attribute of another kind" },
    { "y = {gelu|neg}(x)[approximate=tanh]\n=> y", "rule r:1:19", "'neg' has no attribute 'approximate'" },
    { "y = quantize(x, s)[scheme=fp8_static{target=mud}]\n=> y", "rule r:1:27",
      "'fp8_static{target=mud}' is not a quantization scheme" },
    { "y = quantize(x, s)[scheme=fp8_static{target\n=> y", "rule r:2:5",
      "expected '}', found the end of the text" },
    { "p, q = split(x) | split(z)\n=> p", "rule r:1:1", "several names need one operation, not alternatives" },
    { "y = neg(x)?\n=> y", "rule r:2:5", "the first output 'y' must be an operation in every alternative" },
    { "y = neg(concat()?)\n=> y", "rule r:1:17", "only an operation with an operand can be left out" },
    { "y = neg(concat(...)?)\n=> y", "rule r:1:20", "only an operation with an operand can be left out" },
    { "y = neg(x)\nz = abs(w)\n=> y", "rule r", "nothing leads from the first output to 'z'" },
    { "_ = neg(x)\n=> _", "rule r:1:1", "'_' cannot be a name" },
    { "y = neg(\"x\")\n=> y", "rule r:1:9", "expected an operand, found \"x\"" },
    { "y = neg(x)\n=> y;", "rule r:2:5",
      "expected the end of the rule, found ';': the character begins nothing" },
  };
  for (size_t i = 0; i < QN_COUNT(rows); i++)
    expect(&(qn_rule){ .name = "r", .match = rows[i].text, .build = "y = x" }, QN_INVALID, rows[i].place,
           rows[i].message);
}

Test(parse, build_sides_that_are_refused) {
  static const row rows[] = {
    { "", "rule r:1:1", "nothing is built for the output 'y'" },
    { "z = neg(x)", "rule r:1:11", "nothing is built for the output 'y'" },
    { "y = negg(x)", "rule r:1:5", "no operation is called 'negg'" },
    { "y = neg(w)", "rule r:1:9", "no value is called 'w'" },
    { "y = neg(y)", "rule r:1:9", "'y' is replaced, so the build cannot read it" },
    { "y = neg(x, x)", "rule r:1:5", "'neg' has 1 to 1 operands, not 2" },
    { "y = neg(x)\ny = abs(x)", "rule r:2:1", "'y' is built twice" },
    { "y = _", "rule r:1:1", "'y' is built from nothing" },
    { "y, z = x", "rule r:1:1", "several names need an operation" },
    { "y, z = neg(x)", "rule r:1:8", "'neg' has at most 1 results, not 2" },
    { "y = softmax(x)[axle=1]", "rule r:1:16", "'softmax' has no attribute 'axle'" },
    { "y = softmax(x)[axis=b]", "rule r:1:21", "no attribute of the match side is called 'b'" },
    { "y = gelu(x)[approximate=a]", "rule r:1:25", "'a' is of another kind than 'approximate'" },
    { "y = softmax(x)[axis=@two()]", "rule r:1:22", "no function is called 'two'" },
    { "y = softmax(x)[axis=@one(w)]", "rule r:1:26", "the match side has no name 'w'" },
    { "y = softmax(x)[x..]", "rule r:1:16", "no statement of the match side is called 'x'" },
    { "y = softmax(x)[y.., y..]", "rule r:1:21", "attributes are copied twice" },
    { "y = softmax(x)[axis=1, axis=2]", "rule r:1:24", "'axis' is given twice" },
    { "y = neg(x) z = abs(x)", "rule r:1:12", "expected the end of the line, found 'z'" },
    { "y = neg(2)", "rule r:1:9", "expected an operand, found '2'" },
    { "y = clip(x, mid=x)", "rule r:1:13", "'clip' has no operand 'mid'" },
    { "y = clip(x, max=x, x)", "rule r:1:20", "expected the name of an operand and '=', found 'x'" },
    { "y = clip(x..)", "rule r:1:10", "no statement of the match side is called 'x'" },
    { "y = clip(x, max=w)", "rule r:1:17", "no value is called 'w'" },
    { "y = neg(max=x)", "rule r:1:9", "'neg' has no operand 'max'" },
  };
  for (size_t i = 0; i < QN_COUNT(rows); i++)
    expect(&(qn_rule){ .name = "r", .match = "y = softmax(x)[axis=a]\n=> y", .build = rows[i].text },
           QN_INVALID, rows[i].place, rows[i].message);
}

Test(parse, operands_of_a_statement_that_does_not_name_them_all) {
  static const char words[] = "operands are taken from a statement of one operation that names them all";
  expect(&(qn_rule){ .name = "r", .match = "y = concat(x, ...)[..]\n=> y", .build = "y = concat(x, y..)" },
         QN_INVALID, "rule r:1:15", words);
  expect(&(qn_rule){ .name = "r", .match = "y = {add|mul}(x, ...)\n=> y", .build = "y = add(x, y..)" },
         QN_INVALID, "rule r:1:12", words);
  expect(&(qn_rule){ .name = "r", .match = "z = abs(x)?\ny = neg(z)\n=> y", .build = "y = neg(z..)" },
         QN_INVALID, "rule r:1:9", words);
}

Test(parse, a_function_with_too_many_arguments) {
  expect(
      &(qn_rule){ .name = "r", .match = "y = neg(x)\n=> y", .build = "y = softmax(x)[axis=@one(x, x, x, x)]" },
      QN_LIMIT, "rule r:1:35", "a function has at most 3 arguments");
}

Test(parse, guards_that_are_refused) {
  expect(&(qn_rule){ .name = "r", .match = "y = neg(x)\n=> y", .where = { { "no", "x" } }, .build = "y = x" },
         QN_INVALID, "rule r", "no predicate is called 'no'");
  expect(&(qn_rule){ .name = "r", .match = "y = neg(x)\n=> y", .where = { { "yes", "z" } }, .build = "y = x" },
         QN_INVALID, "rule r", "guard 'yes': the match side has no name 'z'");
}

Test(parse, everything_that_is_allowed) {
  expect(&(qn_rule){ .name = "r",
                     .match = "a, b = split(x:yes, sizes?)[axis=i:0]   // a comment\n"
                              "c = {add|mul}(a, 1.5) | add(b, -inf) | b\n"
                              "d = clip(cast(c)[to=_, saturate=true]?, _?, lo:scalar)\n"
                              "e = concat(d, ...)[..]\n"
                              "y = transpose(reshape(e, s:const)[allowzero=0])[perm={1, 0}]\n"
                              "=> y",
                     .where = { { "yes", "x", "i", "-7" }, { "yes" } },
                     .build = "t = softmax(x)[axis=@one(x, i, 7)]\ny = concat(t, neg(t))[axis=i]" },
         QN_OK, NULL, NULL);
}

Test(parse, hostile_sizes_are_limits) {
  qn_context *context;
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  qn_buf deep = QN_BUF(context), many = QN_BUF(context), wide = QN_BUF(context);
  qn_buf_printf(&deep, "y = ");
  for (int i = 0; i < 10000; i++) qn_buf_printf(&deep, "neg(");
  for (int i = 0; i < 1000; i++) qn_buf_printf(&many, "y%d = neg(x%d)\n", i, i);
  qn_buf_printf(&wide, "y = neg(x");
  for (int i = 0; i < 1000; i++) qn_buf_printf(&wide, " | x");
  qn_buf_printf(&wide, ")\n=> y");
  cr_assert_eq(read_rule(context, &(qn_rule){ .name = "r", .match = deep.text, .build = "" }), QN_LIMIT);
  cr_assert_str_eq(qn_context_get_error(context)->message, "operations are nested more than 32 deep");
  cr_assert_eq(read_rule(context, &(qn_rule){ .name = "r", .match = many.text, .build = "" }), QN_LIMIT);
  cr_assert_eq(read_rule(context, &(qn_rule){ .name = "r", .match = wide.text, .build = "y = x" }), QN_LIMIT);
  cr_assert_eq(read_rule(context, &(qn_rule){ .name = "r", .match = "y = neg(x)\n=> y", .build = deep.text }),
               QN_LIMIT);
  qn_buf_free(&deep);
  qn_buf_free(&many);
  qn_buf_free(&wide);
  qn_context_destroy(context);
}

Test(parse, families_by_name) {
  qn_context *context;
  qn_rule_set *set;
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  cr_assert_eq(qn_rule_set_create(context, NULL, &set), QN_OK);
  cr_assert_eq(qn_rule_set_get_count(set), qn_rule_get_count());
  qn_rule_set_destroy(set);
  cr_assert_eq(qn_rule_set_create(context, "layout,attention_quant", &set), QN_OK);
  qn_rule_set_destroy(set);
  static const char *const bad[] = { "", "layout,", "nonsense", "layout,layout" };
  for (size_t i = 0; i < QN_COUNT(bad); i++) {
    cr_assert_neq(qn_rule_set_create(context, bad[i], &set), QN_OK, "%s", bad[i]);
    cr_assert_null(set);
  }
  qn_context_destroy(context);
}
