// Causal masks are proven or kept.
#include "passes/mask_priv.h"
#include "passes_test.h"

#include <stdio.h>

TestSuite(mask, .timeout = 20);

static qn_causal prove(const char *source) {
  run r = run_passes("fold", source, (qn_pipeline_params){ 0 });
  qn_dim q_len = qn_dim_symbol(r.graph, "S", 1), kv_len = qn_dim_symbol(r.graph, "T", 1);
  qn_type_info type = qn_type_get_info(r.graph, qn_value_get_type(r.graph, qn_graph_get_output(r.graph, 0)));
  cr_assert_geq(type.rank, 2);
  // What the mask itself is long, unless the test says S and T.
  if (type.dims[type.rank - 2] < QN_DIM_CONST_LIMIT) q_len = type.dims[type.rank - 2];
  if (type.dims[type.rank - 1] < QN_DIM_CONST_LIMIT) kv_len = type.dims[type.rank - 1];
  if (type.dims[type.rank - 1] == qn_dim_symbol(r.graph, "S", 1)) kv_len = q_len;
  qn_causal causal = qn_mask_prove_causal(r.graph, qn_graph_get_output(r.graph, 0), q_len, kv_len);
  end_run(&r);
  return causal;
}

#define FILLED                                                                                                 \
  "graph \"g\" (x: f32[S,4]) {\n"                                                                              \
  "  n: s64[1] = shape(x)[end=1]\n"                                                                            \
  "  nn: s64[2] = concat(n, n)\n"                                                                              \
  "  one: f32[1] = const[value={1}]\n"                                                                         \
  "  ones: f32[S,S] = expand(one, nn)\n"

Test(mask, trilu_of_ones) {
  cr_expect_eq(prove(FILLED
                     "  low: f32[S,S] = trilu(ones)[upper=false]\n  z: f32[] = const[value={0}]\n  inf: f32[] "
                     "= const[value={-inf}]\n"
                     "  off: bool[S,S] = equal(low, z)\n  m: f32[S,S] = where(off, inf, z)\n  return m\n}\n"),
               QN_CAUSAL_TOP_LEFT);
}

Test(mask, trilu_of_ones_with_the_lowest_finite_number) {
  cr_expect_eq(prove(FILLED
                     "  low: f32[S,S] = trilu(ones)[upper=false]\n  z: f32[] = const[value={0}]\n  min: f32[] "
                     "= const[value={-3.4028234663852886e38}]\n"
                     "  off: bool[S,S] = equal(low, z)\n  m: f32[S,S] = where(off, min, z)\n  return m\n}\n"),
               QN_CAUSAL_TOP_LEFT);
}

Test(mask, a_number_that_only_damps_is_not_causal) {
  cr_expect_eq(prove(FILLED
                     "  low: f32[S,S] = trilu(ones)[upper=false]\n  z: f32[] = const[value={0}]\n  min: f32[] "
                     "= const[value={-10000}]\n"
                     "  off: bool[S,S] = equal(low, z)\n  m: f32[S,S] = where(off, min, z)\n  return m\n}\n"),
               QN_CAUSAL_NONE);
}

Test(mask, the_other_triangle_is_not_causal) {
  cr_expect_eq(
      prove(FILLED
            "  up: f32[S,S] = trilu(ones)\n  z: f32[] = const[value={0}]\n  inf: f32[] = const[value={-inf}]\n"
            "  off: bool[S,S] = equal(up, z)\n  m: f32[S,S] = where(off, inf, z)\n  return m\n}\n"),
      QN_CAUSAL_NONE);
}

Test(mask, a_diagonal_further_is_not_causal) {
  cr_expect_eq(prove(FILLED "  k: s64[] = const[value={1}]\n  low: f32[S,S] = trilu(ones, k)[upper=false]\n  "
                            "z: f32[] = const[value={0}]\n"
                            "  inf: f32[] = const[value={-inf}]\n  off: bool[S,S] = equal(low, z)\n  m: "
                            "f32[S,S] = where(off, inf, z)\n  return m\n}\n"),
               QN_CAUSAL_NONE);
}

#define RANGES                                                                                                 \
  "graph \"g\" (x: f32[S,4], y: f32[T,4]) {\n"                                                                 \
  "  zero: s64[] = const[value={0}]\n  one: s64[] = const[value={1}]\n"                                        \
  "  first: s64[1] = const[value={0}]\n  last: s64[1] = const[value={1}]\n"                                    \
  "  ns: s64[1] = shape(x)[end=1]\n  s: s64[] = squeeze(ns)\n"                                                 \
  "  nt: s64[1] = shape(y)[end=1]\n  t: s64[] = squeeze(nt)\n"                                                 \
  "  rows: s64[S] = range(zero, s, one)\n  cols: s64[T] = range(zero, t, one)\n"                               \
  "  i: s64[S,1] = unsqueeze(rows, last)\n  j: s64[1,T] = unsqueeze(cols, first)\n"

Test(mask, columns_not_beyond_rows) {
  cr_expect_eq(prove(RANGES "  m: bool[S,T] = less_equal(j, i)\n  return m\n}\n"), QN_CAUSAL_TOP_LEFT);
  cr_expect_eq(prove(RANGES "  m: bool[S,T] = greater_equal(i, j)\n  return m\n}\n"), QN_CAUSAL_TOP_LEFT);
}

Test(mask, rows_before_columns_are_hidden) {
  cr_expect_eq(prove(RANGES "  h: bool[S,T] = less(i, j)\n  m: bool[S,T] = not(h)\n  return m\n}\n"),
               QN_CAUSAL_TOP_LEFT);
  cr_expect_eq(prove(RANGES "  h: bool[S,T] = greater(j, i)\n  m: bool[S,T] = not(h)\n  return m\n}\n"),
               QN_CAUSAL_TOP_LEFT);
}

Test(mask, without_the_diagonal_is_not_causal) {
  cr_expect_eq(prove(RANGES "  m: bool[S,T] = less(j, i)\n  return m\n}\n"), QN_CAUSAL_NONE);
  cr_expect_eq(prove(RANGES "  m: bool[S,T] = less_equal(i, j)\n  return m\n}\n"), QN_CAUSAL_NONE);
}

Test(mask, shifted_by_the_difference_of_lengths_is_bottom_right) {
  cr_expect_eq(prove(RANGES "  d: s64[] = sub(t, s)\n  k: s64[S,1] = add(i, d)\n  m: bool[S,T] = less_equal(j, "
                            "k)\n  return m\n}\n"),
               QN_CAUSAL_BOTTOM_RIGHT);
  cr_expect_eq(prove(RANGES "  d: s64[] = sub(s, t)\n  k: s64[S,1] = add(i, d)\n  m: bool[S,T] = less_equal(j, "
                            "k)\n  return m\n}\n"),
               QN_CAUSAL_NONE);
}

Test(mask, joined_with_a_padding_mask_is_kept) {
  cr_expect_eq(prove(RANGES "  c: bool[S,T] = less_equal(j, i)\n  w: f32[1,T] = cast(j)[to=f32]\n  q: "
                            "bool[1,T] = is_nan(w)\n  m: bool[S,T] = and(c, q)\n  return m\n}\n"),
               QN_CAUSAL_NONE);
}

Test(mask, constants_are_looked_at) {
  cr_expect_eq(
      prove("graph \"g\" () {\n  m: bool[3,3] = const[value={1, 0, 0, 1, 1, 0, 1, 1, 1}]\n  return m\n}\n"),
      QN_CAUSAL_TOP_LEFT);
  cr_expect_eq(prove("graph \"g\" () {\n  m: bool[2,3] = const[value={1, 1, 0, 1, 1, 1}]\n  return m\n}\n"),
               QN_CAUSAL_BOTTOM_RIGHT);
  cr_expect_eq(
      prove("graph \"g\" () {\n  m: bool[3,3] = const[value={1, 0, 0, 1, 1, 0, 1, 0, 1}]\n  return m\n}\n"),
      QN_CAUSAL_NONE);
  cr_expect_eq(prove("graph \"g\" () {\n  m: bool[1,2,2] = const[value={1, 1, 1, 1}]\n  return m\n}\n"),
               QN_CAUSAL_NONE);
}

// bottom_right would move the positions that a window and ALiBi go by; top_left leaves them.
static bool mask_is_dropped(const char *mask, const char *operands, const char *attributes) {
  char source[512];
  snprintf(source, sizeof source,
           "graph \"g\" (q: f32[1,2,2,8], k: f32[1,2,3,8], a: f32[2]) {\n  m: bool[2,3] = const[value=%s]\n"
           "  o: f32[1,2,2,8] = attention(q, k, k, m%s)%s\n  return o\n}\n",
           mask, operands, attributes);
  run r = run_passes("recover-attention", source, (qn_pipeline_params){ 0 });
  bool dropped = strstr(r.text.text, "causal=") != NULL;
  end_run(&r);
  return dropped;
}

Test(mask, is_kept_where_other_terms_go_by_positions) {
  static const char top_left[] = "{1, 0, 0, 1, 1, 0}", bottom_right[] = "{1, 1, 0, 1, 1, 1}";
  cr_expect(mask_is_dropped(bottom_right, "", ""));
  cr_expect_not(mask_is_dropped(bottom_right, "", "[window_left=1]"));
  cr_expect_not(mask_is_dropped(bottom_right, "", "[window_right=1]"));
  cr_expect_not(mask_is_dropped(bottom_right, ", _, _, _, _, _, a", ""));
  cr_expect(mask_is_dropped(top_left, ", _, _, _, _, _, a", "[window_left=1]"));
}
