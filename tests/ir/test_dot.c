// The drawing: bytes of a known graph, layers collapsed or not, limits said, names escaped.
#include "ir_test.h"

static const char layers[] = "graph \"three <layers> & \\\"more\\\"\" (x: f16[B,512], mask: bool[B]) {\n"
                             "  s: f16[] = const[value={0.0125}]\n"
                             "  w: f16[512,512] = const[value={#0123456789abcdef}]\n"
                             "  m0: f16[B,512] = matmul(x, w) {layer=\"model.layers.0.mlp\"}\n"
                             "  q0: e4m3[B,512] = quantize(m0, s)[scheme=fp8_static]\n"
                             "  d0: f16[B,512] = dequantize(q0, s)[scheme=fp8_static]\n"
                             "  y0: f16[B,512] = add(x, d0) {layer=\"model.layers.0\"}\n"
                             "  m1: f16[B,512] = matmul(y0, w) {layer=\"model.layers.1.mlp\"}\n"
                             "  q1: e4m3[B,512] = quantize(m1, s)[scheme=fp8_static]\n"
                             "  d1: f16[B,512] = dequantize(q1, s)[scheme=fp8_static]\n"
                             "  y1: f16[B,512] = add(y0, d1) {layer=\"model.layers.1\"}\n"
                             "  m2: f16[B,512] = matmul(y1, w) {layer=\"model.layers.2.mlp\"}\n"
                             "  q2: e4m3[B,512] = quantize(m2, s)[scheme=fp8_static]\n"
                             "  d2: f16[B,512] = dequantize(q2, s)[scheme=fp8_static]\n"
                             "  y2: f16[B,512] = add(y1, d2) {layer=\"model.layers.2\"}\n"
                             "  e: ? = extern(y2)[name=\"com.example::Head<1>\"] {layer=\"model.head\"}\n"
                             "  return e as \"logits\", m2\n"
                             "}\n";

static qn_buf draw(qn_context *context, const char *text, const qn_dot_params *params) {
  qn_graph *graph = read_text(context, text);
  qn_buf buf = QN_BUF(context);
  qn_writer writer = qn_buf_writer(&buf);
  cr_assert_eq(qn_graph_write_dot(graph, params, &writer), QN_OK);
  qn_graph_destroy(graph);
  return buf;
}

static uint32_t count(const char *text, const char *what) {
  uint32_t n = 0;
  for (const char *at = text; (at = strstr(at, what)) != NULL; at++) n++;
  return n;
}

// tests/ir/layers.dot, written by this very call and looked at as a picture.
Test(dot, known_drawing) {
  qn_context *context = make_context();
  char *golden;
  size_t length;
  cr_assert_eq(qn_read_file(context, TEST_FOLDER "/layers.dot", &golden, &length), QN_OK);
  qn_buf drawing = draw(context, layers, NULL);
  cr_assert_str_eq(drawing.text, golden);
  qn_buf_free(&drawing);
  qn_free(context, golden, length + 1);
  qn_context_destroy(context);
}

Test(dot, repeats_are_drawn_once_or_each) {
  qn_context *context = make_context();
  qn_buf once = draw(context, layers, NULL),
         each = draw(context, layers, &(qn_dot_params){ .expand_repeats = true });
  cr_assert_eq(count(once.text, "<b>matmul</b>"), 1);
  cr_assert_eq(count(once.text, "and 2 like it, the last <b>model.layers.2</b>"), 1);
  cr_assert_eq(count(each.text, "<b>matmul</b>"), 3);
  cr_assert_eq(count(each.text, "like it"), 0);
  cr_assert_eq(count(each.text, "subgraph"), 4);
  qn_buf_free(&once);
  qn_buf_free(&each);
  qn_context_destroy(context);
}

Test(dot, the_limit_is_said) {
  qn_context *context = make_context();
  qn_buf cut = draw(context, layers, &(qn_dot_params){ .expand_repeats = true, .node_limit = 5 });
  cr_assert_eq(count(cut.text, "10 more nodes are not drawn: the limit is 5"), 1);
  cr_assert_eq(count(cut.text, " [label=<"), 5);
  qn_buf_free(&cut);
  qn_context_destroy(context);
}

Test(dot, empty_graph_and_layers_without_numbers) {
  qn_context *context = make_context();
  qn_buf empty = draw(context, "graph () {\n return\n}\n", NULL);
  cr_assert_eq(count(empty.text, "->"), 0);
  qn_buf_free(&empty);
  qn_buf other =
      draw(context,
           "graph (x: f32[]) {\n y = neg(x) {layer=\"enc\"}\n z = neg(y) {layer=\"\\xff\\n\"}\n return z\n}\n",
           NULL);
  cr_assert_eq(count(other.text, "subgraph"), 2);
  cr_assert_eq(count(other.text, "\\xff\\n"), 1);
  qn_buf_free(&other);
  qn_context_destroy(context);
}
