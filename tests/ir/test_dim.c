// Symbolic dims: one form for each value, whatever the way it was computed.
#include "ir_test.h"

#include <stdio.h>

// clang-format off
static const struct { const char *dim, *form; } forms[] = {
  { "a + b",                          "a + b" },
  { "b + a",                          "a + b" },
  { "2*T + T",                        "3*T" },
  { "T - T",                          "0" },
  { "T*0",                            "0" },
  { "1*T",                            "T" },
  { "(a + b)*(a - b)",                "a*a - b*b" },
  { "(T + 1)*2",                      "2*T + 2" },
  { "B*T*B",                          "B*B*T" },
  { "3 + T*4 + 5",                    "4*T + 8" },
  { "ceil_div(128*T, 128)",           "T" },
  { "ceil_div(T, 1)",                 "T" },
  { "ceil_div(7, 2)",                 "4" },
  { "ceil_div(128*T + 5, 128)",       "T + 1" },
  { "ceil_div(T + 128, 128)",         "ceil_div(T, 128) + 1" },
  { "128*ceil_div(T + 256, 128)",     "128*ceil_div(T, 128) + 256" },
  { "ceil_div(B*T, T)",               "B" },
  { "ceil_div(a, b)",                 "ceil_div(a, b)" },
  { "ceil_div(T - 1, 2)",             "ceil_div(T + 1, 2) - 1" },
  { "ceil_div(T, 2)*2*ceil_div(T, 2)", "2*ceil_div(T, 2)*ceil_div(T, 2)" },
  { "4294967296",                     "4294967296" },
  { "-T + T + 5",                     "5" },
  { "T*T + T",                        "T*T + T" },
  { "T + T*T",                        "T*T + T" },
};
// clang-format on

Test(dim, canonical_forms) {
  for (size_t i = 0; i < QN_COUNT(forms); i++) {
    qn_context *context = make_context();
    char text[512];
    snprintf(text, sizeof text, "graph (x: f32[%s]) {\n  return\n}\n", forms[i].dim);
    qn_graph *graph = read_text(context, text);
    qn_buf written = text_of(graph, NULL);
    snprintf(text, sizeof text, "graph (x: f32[%s]) {\n  return\n}\n", forms[i].form);
    cr_expect_str_eq(written.text, text);
    qn_buf_free(&written);
    qn_graph_destroy(graph);
    qn_context_destroy(context);
  }
}

typedef struct fixture {
  qn_context *context;
  qn_graph *graph;
  qn_dim a, b, t;
} fixture;

static fixture make(void) {
  fixture f = { .context = make_context() };
  cr_assert_eq(qn_graph_create(f.context, NULL, &f.graph), QN_OK);
  f.a = qn_dim_symbol(f.graph, "a", 1);
  f.b = qn_dim_symbol(f.graph, "b", 1);
  f.t = qn_dim_symbol(f.graph, "T", 1);
  return f;
}

static void drop(fixture *f) {
  qn_graph_destroy(f->graph);
  qn_context_destroy(f->context);
}

Test(dim, equal_dims_are_the_same_handle) {
  fixture f = make();
  qn_graph *g = f.graph;
  cr_assert_eq(qn_dim_add(g, f.a, f.b), qn_dim_add(g, f.b, f.a));
  cr_assert_eq(qn_dim_mul(g, f.a, f.b), qn_dim_mul(g, f.b, f.a));
  cr_assert_eq(qn_dim_add(g, qn_dim_mul(g, f.t, 2), f.t), qn_dim_mul(g, f.t, 3));
  cr_assert_eq(qn_dim_ceil_div(g, qn_dim_mul(g, f.t, 128), 128), f.t);
  cr_assert_eq(qn_dim_mul(g, qn_dim_add(g, f.a, f.b), f.t),
               qn_dim_add(g, qn_dim_mul(g, f.t, f.b), qn_dim_mul(g, f.a, f.t)));
  cr_assert_eq(qn_dim_add(g, f.t, 0), f.t);
  cr_assert_eq(qn_dim_add(g, 3, 4), 7u);
  cr_assert_neq(qn_dim_fresh(g), qn_dim_fresh(g));
  drop(&f);
}

Test(dim, division_is_exact_or_refused) {
  fixture f = make();
  qn_graph *g = f.graph;
  qn_dim product = qn_dim_mul(g, qn_dim_mul(g, f.a, f.b), 64), quotient;
  cr_assert(qn_dim_divide(g, product, qn_dim_mul(g, f.a, 8), &quotient));
  cr_assert_eq(quotient, qn_dim_mul(g, f.b, 8));
  qn_dim square = qn_dim_mul(g, qn_dim_add(g, f.a, 1), qn_dim_add(g, f.b, 2));
  cr_assert(qn_dim_divide(g, square, qn_dim_add(g, f.b, 2), &quotient));
  cr_assert_eq(quotient, qn_dim_add(g, f.a, 1));
  cr_assert_not(qn_dim_divide(g, product, qn_dim_mul(g, f.a, 7), &quotient));
  cr_assert_not(qn_dim_divide(g, product, f.t, &quotient));
  cr_assert_not(qn_dim_divide(g, f.a, product, &quotient));
  cr_assert_not(qn_dim_divide(g, f.a, 0, &quotient));
  cr_assert_not(qn_dim_divide(g, 7, 2, &quotient));
  drop(&f);
}

Test(dim, overflow_gives_an_unknown_dim) {
  fixture f = make();
  qn_graph *g = f.graph;
  int64_t value;
  qn_dim large = qn_dim_const(g, INT64_MAX);
  cr_assert(qn_dim_is_const(g, large, &value));
  cr_assert_eq(value, INT64_MAX);
  cr_assert_not(qn_dim_is_const(g, qn_dim_add(g, large, 1), &value));
  cr_assert_not(qn_dim_is_const(g, qn_dim_mul(g, large, 2), &value));
  cr_assert_not(qn_dim_is_const(g, qn_dim_mul(g, qn_dim_const(g, INT64_MIN), qn_dim_const(g, -1)), &value));
  cr_assert_not(qn_dim_is_const(g, qn_dim_ceil_div(g, f.t, 0), &value));
  drop(&f);
}

static bool lookup(void *user, const char *symbol, int64_t *out_value) {
  if (strcmp(symbol, "T") != 0) return false;
  *out_value = *(const int64_t *)user;
  return true;
}

Test(dim, evaluation) {
  fixture f = make();
  qn_graph *g = f.graph;
  qn_dim padded = qn_dim_mul(g, qn_dim_ceil_div(g, f.t, 128), 128);
  int64_t t = 129, value;
  cr_assert(qn_dim_evaluate(g, padded, lookup, &t, &value));
  cr_assert_eq(value, 256);
  cr_assert_not(qn_dim_evaluate(g, f.a, lookup, &t, &value));
  t = INT64_MAX;
  cr_assert_not(qn_dim_evaluate(g, qn_dim_mul(g, f.t, 2), lookup, &t, &value));
  drop(&f);
}
