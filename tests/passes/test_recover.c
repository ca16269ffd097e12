// Attention in its parts: every combination of what producers write becomes one attention, and computes the
// same.
#include "passes_test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(recover, .timeout = 120);

enum { NO_SCALE, MUL, DIV };
static const char *const scale_ops[] = { "", "mul", "div" };

typedef struct spelling {
  int q_scale, k_scale, s_scale; // NO_SCALE, MUL, DIV
  int k_form;                    // 0: BHSD transposed, 1: from BSHD, 2: through three dims
  bool groups, softcap, mask, cast, guard;
} spelling;

static void append(char *text, const char *line) {
  strcat(text, line);
}

static void scale(char *text, int op, const char *name, const char *type, const char *from,
                  const char *factor) {
  char line[200];
  if (op == NO_SCALE)
    snprintf(line, sizeof line, "  %s: f32%s = identity(%s)\n", name, type, from);
  else
    snprintf(line, sizeof line, "  %s: f32%s = %s(%s, %s)\n", name, type, scale_ops[op], from, factor);
  append(text, line);
}

// B = 2, 4 heads, 5 queries, 7 keys, head_dim 8.
static void write_graph(const spelling *s, char *text) {
  const char *k_in = s->groups ? "[2,2,7,8]" : s->k_form == 1 ? "[2,7,4,8]" : "[2,4,7,8]";
  sprintf(text, "graph \"g\" (q: f32[2,4,5,8], k: f32%s, v: f32%s, mask: f32[2,1,5,7]) {\n", k_in,
          s->groups ? "[2,2,7,8]" : "[2,4,7,8]");
  append(
      text,
      "  c: f32[] = const[value={0.7}]\n  cap: f32[] = const[value={-1.5}]\n  z: f32[] = const[value={0}]\n");
  const char *v = "v", *k = "k";
  if (s->groups) {
    append(text, "  ax: s64[1] = const[value={2}]\n  ex: s64[5] = const[value={2, 2, 2, 7, 8}]\n  sh: s64[4] = "
                 "const[value={2, 4, 7, 8}]\n");
    append(text, "  ku: f32[2,2,1,7,8] = unsqueeze(k, ax)\n  ke: f32[2,2,2,7,8] = expand(ku, ex)\n  kg: "
                 "f32[2,4,7,8] = reshape(ke, sh)\n");
    append(text, "  vu: f32[2,2,1,7,8] = unsqueeze(v, ax)\n  ve: f32[2,2,2,7,8] = expand(vu, ex)\n  vg: "
                 "f32[2,4,7,8] = reshape(ve, sh)\n");
    v = "vg", k = "kg";
  }
  char line[200];
  if (s->k_form == 2) {
    append(text, "  three: s64[3] = const[value={-1, 7, 8}]\n  back: s64[4] = const[value={2, 4, 8, 7}]\n");
    snprintf(line, sizeof line, "  ka: f32[8,7,8] = reshape(%s, three)\n", k);
    append(text, line);
    append(text, "  kb: f32[8,8,7] = transpose(ka)[perm={0, 2, 1}]\n  kt: f32[2,4,8,7] = reshape(kb, back)\n");
  } else {
    snprintf(line, sizeof line, "  kt: f32[2,4,8,7] = transpose(%s)[perm=%s]\n", k,
             s->k_form == 1 ? "{0, 2, 3, 1}" : "{0, 1, 3, 2}");
    append(text, line);
  }
  scale(text, s->q_scale, "qs", "[2,4,5,8]", "q", "c");
  scale(text, s->k_scale, "ks", "[2,4,8,7]", "kt", "c");
  append(text, "  s: f32[2,4,5,7] = matmul(qs, ks)\n");
  scale(text, s->s_scale, "sc", "[2,4,5,7]", "s", "c");
  append(text, s->softcap ? "  h: f32[2,4,5,7] = div(sc, cap)\n  t: f32[2,4,5,7] = tanh(h)\n"
                            "  soft: f32[2,4,5,7] = mul(t, cap)\n"
                          : "  soft: f32[2,4,5,7] = identity(sc)\n");
  append(text, s->mask ? "  m: f32[2,4,5,7] = add(soft, mask)\n" : "  m: f32[2,4,5,7] = identity(soft)\n");
  append(text, s->cast ? "  w: f64[2,4,5,7] = cast(m)[to=f64]\n  p: f64[2,4,5,7] = softmax(w)[axis=3]\n"
                       : "  p: f32[2,4,5,7] = softmax(m)\n");
  const char *type = s->cast ? "f64" : "f32";
  if (s->guard) {
    snprintf(line, sizeof line, "  n: bool[2,4,5,7] = is_nan(p)\n%s  g: %s[2,4,5,7] = where(n, %s, p)\n",
             s->cast ? "  zw: f64[] = const[value={0}]\n" : "", type, s->cast ? "zw" : "z");
    append(text, line);
  }
  snprintf(line, sizeof line,
           "  b: f32[2,4,5,7] = cast(%s)[to=f32]\n  o: f32[2,4,5,8] = matmul(b, %s)\n  return o\n}\n",
           s->guard ? "g" : "p", v);
  append(text, line);
}

static double expected_scale(const spelling *s) {
  const double c = (double)0.7f;
  double scale_of[] = { 1, c, 1 / c };
  return scale_of[s->q_scale] * scale_of[s->k_scale] * scale_of[s->s_scale];
}

static void fill(float *data, size_t count, unsigned seed) {
  for (size_t i = 0; i < count; i++) {
    seed = seed * 1664525u + 1013904223u;
    data[i] = (float)(seed >> 8) / 8388608.0f - 1.0f;
  }
}

static double run_and_compare(qn_context *context, const qn_graph *a, const qn_graph *b, const spelling *s) {
  static float q[320], k[448], v[448], mask[70];
  fill(q, 320, 1), fill(k, 448, 2), fill(v, 448, 3), fill(mask, 70, 4);
  int64_t heads = s->groups ? 2 : 4;
  qn_tensor inputs[4] = {
    { .dtype = QN_F32, .rank = 4, .dims = { 2, 4, 5, 8 }, .data = q, .bytes = sizeof q },
    { .dtype = QN_F32, .rank = 4, .dims = { 2, heads, 7, 8 }, .data = k, .bytes = (uint64_t)heads * 448 },
    { .dtype = QN_F32, .rank = 4, .dims = { 2, heads, 7, 8 }, .data = v, .bytes = (uint64_t)heads * 448 },
    { .dtype = QN_F32, .rank = 4, .dims = { 2, 1, 5, 7 }, .data = mask, .bytes = sizeof mask },
  };
  if (!s->groups && s->k_form == 1)
    inputs[1] = (qn_tensor){ .dtype = QN_F32, .rank = 4, .dims = { 2, 7, 4, 8 }, .data = k, .bytes = sizeof k };
  qn_results *x, *y;
  const qn_error *error = qn_context_get_error(context);
  cr_assert_eq(qn_reference_run(
                   a, qn_reference_params(.inputs = inputs, .input_count = 4, .mode = QN_REFERENCE_F64), &x),
               QN_OK, "%s: %s", error->place, error->message);
  cr_assert_eq(qn_reference_run(
                   b, qn_reference_params(.inputs = inputs, .input_count = 4, .mode = QN_REFERENCE_F64), &y),
               QN_OK, "%s: %s", error->place, error->message);
  qn_difference difference;
  cr_assert_eq(qn_tensor_compare(context, qn_results_get(x, 0), qn_results_get(y, 0), &difference), QN_OK);
  qn_results_destroy(x);
  qn_results_destroy(y);
  return difference.max_abs;
}

static void check_spelling(const spelling *s) {
  char text[4096];
  write_graph(s, text);
  run r = run_passes("fold,canonicalize,recover-attention,dead-code", text, (qn_pipeline_params){ 0 });
  uint32_t attentions = 0, others = 0;
  for (qn_node node = qn_graph_get_first(r.graph); node; node = qn_node_get_next(r.graph, node)) {
    qn_op op = qn_node_get_op(r.graph, node);
    if (op == QN_OP_attention) {
      attentions++;
      cr_expect_float_eq(qn_node_get_float(r.graph, node, "scale"), expected_scale(s), 1e-6, "%s\n%s", text,
                         r.text.text);
      cr_expect_float_eq(qn_node_get_float(r.graph, node, "softcap"), s->softcap ? 1.5 : 0, 1e-6);
    } else if (op != QN_OP_input && op != QN_OP_const) {
      others++;
    }
  }
  cr_expect(attentions == 1 && others == 0, "one attention and nothing else:\n%s\nbecame\n%s", text,
            r.text.text);
  qn_graph *before;
  cr_assert_eq(qn_graph_read_text(r.context, "t.qn", text, strlen(text), &before), QN_OK);
  double error = run_and_compare(r.context, before, r.graph, s);
  // Both sides in f64; the scale is folded, so only the order of roundings of 2^-53 differs.
  cr_expect_lt(error, 1e-12, "%g apart:\n%s\n%s", error, text, r.text.text);
  qn_graph_destroy(before);
  end_run(&r);
}

Test(recover, every_place_of_the_scale) {
  for (int q = 0; q < 3; q++)
    for (int k = 0; k < 3; k++)
      for (int s = 0; s < 3; s++) check_spelling(&(spelling){ .q_scale = q, .k_scale = k, .s_scale = s });
}

Test(recover, every_transpose_of_k_with_and_without_groups) {
  for (int form = 0; form < 3; form++)
    for (int groups = 0; groups < 2; groups++)
      if (!(form == 1 && groups))
        check_spelling(
            &(spelling){ .q_scale = MUL, .k_scale = MUL, .k_form = form, .groups = groups, .mask = true });
}

// A bound of -1.5 is one of 1.5: both factors change their sign.
Test(recover, softcap_with_and_without_mask) {
  check_spelling(&(spelling){ .s_scale = MUL, .softcap = true });
  check_spelling(&(spelling){ .q_scale = DIV, .softcap = true, .mask = true, .cast = true });
}

Test(recover, mask_casts_and_guard) {
  for (int bits = 0; bits < 8; bits++)
    check_spelling(&(spelling){ .s_scale = DIV, .mask = bits & 1, .cast = bits & 2, .guard = bits & 4 });
}

// Exports with the Attention op repeat k and v in front of it; the op can group by itself.
Test(recover, repeated_heads_in_front_of_attention) {
  const char *source =
      "graph \"g\" (q: f16[1,4,5,64], k: f16[1,2,5,64], v: f16[1,2,5,64]) {\n"
      "  a: s64[1] = const[value={2}]\n  e: s64[5] = const[value={1, 2, 2, 5, 64}]\n"
      "  s: s64[4] = const[value={1, 4, 5, 64}]\n  k1: f16[1,2,1,5,64] = unsqueeze(k, a)\n"
      "  k2: f16[1,2,2,5,64] = expand(k1, e)\n  k3: f16[1,4,5,64] = reshape(k2, s)\n"
      "  v1: f16[1,2,1,5,64] = unsqueeze(v, a)\n  v2: f16[1,2,2,5,64] = expand(v1, e)\n"
      "  v3: f16[1,4,5,64] = reshape(v2, s)\n  o: f16[1,4,5,64] = attention(q, k3, v3)\n  return o\n}\n";
  expect_text(NULL, source,
              "graph \"g\" (q: f16[1,4,5,64], k: f16[1,2,5,64], v: f16[1,2,5,64]) {\n"
              "  o: f16[1,4,5,64] = attention(q, k, v)\n  return o\n}\n");
}

// --- masks that choose -------------------------------------------------------------------------------------

// Both orders of the choice become a mask that is added; in f64 the result is the same.
static void check_choice(const char *choice, const char *fill, uint32_t expected) {
  char text[1024];
  snprintf(text, sizeof text,
           "graph \"g\" (q: f32[2,4,5,8], k: f32[2,4,7,8], v: f32[2,4,7,8], mask: f32[2,1,5,7]) {\n"
           "  z: f32[] = const[value={0}]\n  fill: f32[] = const[value={%s}]\n  b: bool[2,1,5,7] = "
           "greater(mask, z)\n"
           "  kt: f32[2,4,8,7] = transpose(k)[perm={0, 1, 3, 2}]\n  s: f32[2,4,5,7] = matmul(q, kt)\n"
           "  m: f32[2,4,5,7] = where(%s)\n  p: f32[2,4,5,7] = softmax(m)\n  o: f32[2,4,5,8] = matmul(p, v)\n  "
           "return o\n}\n",
           fill, choice);
  run r = run_passes("fold,canonicalize,recover-attention,dead-code", text, (qn_pipeline_params){ 0 });
  uint32_t count = 0;
  for (qn_node node = qn_graph_get_first(r.graph); node; node = qn_node_get_next(r.graph, node))
    count += qn_node_get_op(r.graph, node) == QN_OP_attention;
  cr_expect_eq(count, expected, "%s\nbecame\n%s", text, r.text.text);
  qn_graph *before;
  cr_assert_eq(qn_graph_read_text(r.context, "t.qn", text, strlen(text), &before), QN_OK);
  double error = run_and_compare(r.context, before, r.graph, &(spelling){ 0 });
  cr_expect_lt(error, 1e-12, "%g apart:\n%s\n%s", error, text, r.text.text);
  qn_graph_destroy(before);
  end_run(&r);
}

Test(recover, a_mask_that_keeps_or_hides) {
  check_choice("b, s, fill", "-inf", 1);
  check_choice("b, fill, s", "-inf", 1);
  check_choice("b, s, fill", "-3.4028234663852886e38", 1);
}

// -10000 hides nothing for sure: such a softmax stays as it is.
Test(recover, a_mask_that_only_damps_stays) {
  check_choice("b, s, fill", "-10000", 0);
}

// --- what is not attention ---------------------------------------------------------------------------------

static uint32_t count_attentions(const char *text) {
  run r = run_passes("fold,canonicalize,recover-attention", text, (qn_pipeline_params){ 0 });
  uint32_t count = 0;
  for (qn_node node = qn_graph_get_first(r.graph); node; node = qn_node_get_next(r.graph, node))
    count += qn_node_get_op(r.graph, node) == QN_OP_attention;
  end_run(&r);
  return count;
}

#define HEAD "graph \"g\" (q: f32[1,2,3,4], k: f32[1,2,5,4], v: f32[1,2,5,4]) {\n"

// attention would pad such a mask with -inf, where add broadcasts it.
Test(recover, a_mask_of_one_key_is_refused) {
  cr_expect_eq(
      count_attentions(
          "graph \"g\" (q: f32[1,2,3,4], k: f32[1,2,5,4], v: f32[1,2,5,4], m: f32[3,1]) {\n  t: f32[1,2,4,5] = "
          "transpose(k)[perm={0, 1, 3, 2}]\n  s: f32[1,2,3,5] = matmul(q, t)\n  a: f32[1,2,3,5] = add(s, m)\n  "
          "p: f32[1,2,3,5] = softmax(a)\n  o: f32[1,2,3,4] = matmul(p, v)\n  return o\n}\n"),
      0);
}

Test(recover, a_router_is_no_attention) {
  cr_expect_eq(
      count_attentions("graph \"g\" (x: f32[7,8], w: f32[8,4], e: f32[4,8]) {\n  s: f32[7,4] = matmul(x, w)\n  "
                       "p: f32[7,4] = softmax(s)\n  y: f32[7,8] = matmul(p, e)\n  return y\n}\n"),
      0);
}

Test(recover, probabilities_that_are_returned_stay) {
  cr_expect_eq(count_attentions(
                   HEAD
                   "  t: f32[1,2,4,5] = transpose(k)[perm={0, 1, 3, 2}]\n  s: f32[1,2,3,5] = matmul(q, t)\n  "
                   "p: f32[1,2,3,5] = softmax(s)\n  o: f32[1,2,3,4] = matmul(p, v)\n  return o, p\n}\n"),
               0);
}

Test(recover, softmax_over_another_axis_is_none) {
  cr_expect_eq(count_attentions(
                   HEAD
                   "  t: f32[1,2,4,5] = transpose(k)[perm={0, 1, 3, 2}]\n  s: f32[1,2,3,5] = matmul(q, t)\n  "
                   "p: f32[1,2,3,5] = softmax(s)[axis=2]\n  o: f32[1,2,3,4] = matmul(p, v)\n  return o\n}\n"),
               0);
}

Test(recover, another_permutation_of_k_is_none) {
  cr_expect_eq(
      count_attentions("graph \"g\" (q: f32[1,2,3,4], k: f32[2,1,5,4], v: f32[1,2,5,4]) {\n  t: f32[1,2,4,5] = "
                       "transpose(k)[perm={1, 0, 3, 2}]\n  s: f32[1,2,3,5] = matmul(q, t)\n  p: f32[1,2,3,5] = "
                       "softmax(s)\n  o: f32[1,2,3,4] = matmul(p, v)\n  return o\n}\n"),
      0);
}

Test(recover, a_vector_that_scales_channels_is_no_scale) {
  cr_expect_eq(count_attentions(
                   HEAD "  c: f32[4] = const[value={1, 2, 3, 4}]\n  t: f32[1,2,4,5] = transpose(k)[perm={0, 1, "
                        "3, 2}]\n  u: f32[1,2,3,4] = mul(q, c)\n  s: f32[1,2,3,5] = matmul(u, t)\n  p: "
                        "f32[1,2,3,5] = softmax(s)\n  o: f32[1,2,3,4] = matmul(p, v)\n  return o\n}\n"),
               1, "the vector stays in front of attention");
}

// --- rows that a mask hides whole ----------------------------------------------------------------------------

// ONNX defines them as zero by looking at the mask; attention does by itself.
static uint32_t count_after_hidden_rows(const char *looked_at, const char *axis) {
  char text[1200];
  snprintf(
      text, sizeof text,
      "graph \"g\" (q: f32[2,4,5,8], k: f32[2,4,7,8], v: f32[2,4,7,8], mask: f32[2,1,5,7], other: "
      "f32[2,1,5,7]) {\n"
      "  z: f32[] = const[value={0}]\n  low: f32[] = const[value={-inf}]\n  ax: s64[1] = const[value={%s}]\n"
      "  kt: f32[2,4,8,7] = transpose(k)[perm={0, 1, 3, 2}]\n  s: f32[2,4,5,7] = matmul(q, kt)\n"
      "  m: f32[2,4,5,7] = add(s, mask)\n  p: f32[2,4,5,7] = softmax(m)\n  top = reduce_max(%s, ax)\n"
      "  none = equal(top, low)\n  g: f32[2,4,5,7] = where(none, z, p)\n  o: f32[2,4,5,8] = matmul(g, v)\n"
      "  return o\n}\n",
      axis, looked_at);
  run r = run_passes("fold,canonicalize,recover-attention,dead-code", text, (qn_pipeline_params){ 0 });
  uint32_t count = 0;
  for (qn_node node = qn_graph_get_first(r.graph); node; node = qn_node_get_next(r.graph, node))
    count += qn_node_get_op(r.graph, node) == QN_OP_attention;
  end_run(&r);
  return count;
}

Test(recover, rows_that_the_mask_hides) {
  cr_expect_eq(count_after_hidden_rows("mask", "-1"), 1);
  cr_expect_eq(count_after_hidden_rows("other", "-1"), 0, "another mask than the added one");
  cr_expect_eq(count_after_hidden_rows("mask", "2"), 0, "another axis than that of the keys");
}
