// The text form: what is written reads back to the same bytes, and bad text is refused with its place.
#include "ir_test.h"

#include <math.h>

// Reads, writes and compares with the text itself.
static void round_trip(const char *text) {
  qn_context *context = make_context();
  qn_graph *graph = read_text(context, text);
  qn_buf written = text_of(graph, NULL);
  cr_assert_str_eq(written.text, text);
  qn_buf_free(&written);
  qn_graph_destroy(graph);
  qn_context_destroy(context);
}

Test(text, empty_graph) {
  round_trip("graph () {\n  return\n}\n");
}

Test(text, the_example_of_the_documentation) {
  round_trip("graph \"two layers\" (q: bf16[B,8,T,64], k: bf16[B,2,T,64], v: bf16[B,2,T,64], s: f32[]) {\n"
             "  o: bf16[B,8,T,64] = attention(q, k, v)[causal=top_left] {id=17, layer=\"layers.0.attn\"}\n"
             "  shape: s64[3] = const[value={0, 0, -1}]\n"
             "  t: bf16[B,T,8,64] = transpose(o)[perm={0, 2, 1, 3}]\n"
             "  r: bf16[B,T,512] = reshape(t, shape)\n"
             "  y: e4m3[B,T,512] = quantize(r, s)[scheme=fp8_static]\n"
             "  return y\n"
             "}\n");
}

Test(text, sequences_of_different_lengths) {
  round_trip(
      "graph (q: bf16[T,8,64], k: bf16[N,2,64], v: bf16[N,128], c: s32[B], d: s32[B], n: f32[8], a: f32[8]) {\n"
      "  o: bf16[T,512] = attention(q, k, v, _, _, _, _, _, n, a, c, d)[causal=bottom_right, window_left=255, "
      "softcap=30, kv_heads=2, q_layout=thd, k_layout=thd, v_layout=tm, out_layout=tm]\n"
      "  return o\n"
      "}\n");
}

Test(text, names_with_quotes_newlines_and_words_of_the_grammar) {
  round_trip(
      "graph \"a \\\"b\\\"\\n\\t\\\\ \\x01 \xc3\xa9 \\xff\" (\"return\": f32[], \"_\": f32[], \"/m/x.1\": "
      "f32[], \"\\n\": f32[], "
      "\"\xc3\xa9\": f32[], a/b.c: f32[]) {\n"
      "  \"ceil_div\": f32[] = add(\"return\", \"_\") {id=1, name=\"n\\n\", layer=\"l.0\", location=\"f:1\"}\n"
      "  \"graph\\x7f\": f32[] = add(\"/m/x.1\", \"\\n\")\n"
      "  return \"ceil_div\" as \"out\\n\", \"return\", \"return\" as \"twice\"\n"
      "}\n");
}

Test(text, input_metadata) {
  round_trip("graph (x: f32[2] {id=3, name=\"n\"}, y: ?) {\n  return x\n}\n");
}

Test(text, extern_with_many_results_none_and_holes) {
  round_trip(
      "graph (x: f32[2]) {\n"
      "  a: ?, b: f32[...], c: ?[2,3] = extern(x, _, x)[name=\"ai::Op\", raw=\"\\x00\\x01\", pure=true]\n"
      "  extern(a)[name=\"effect\"]\n"
      "  extern[name=\"alone\"]\n"
      "  d: f32[2] = clip(x, _, b)\n"
      "  return d, c\n"
      "}\n");
}

Test(text, dims) {
  round_trip("graph (a: f32[2*T + 1,128*ceil_div(T, 128),B*T - 1,?1,\"Min(48, sequence)\"], b: f32[?7,\"a "
             "b\",\"return\",\"a.\",\"\\n\"]) {\n"
             "  return a, b\n"
             "}\n");
}

Test(text, constants_of_every_type) {
  round_trip("graph () {\n"
             "  a: bool[2] = const[value={0, 1}]\n"
             "  b: s4[3] = const[value={-8, 7, -1}]\n"
             "  c: u4[3] = const[value={0, 15, 1}]\n"
             "  d: s8[2] = const[value={-128, 127}]\n"
             "  e: u8[2] = const[value={0, 255}]\n"
             "  f: s16[2] = const[value={-32768, 32767}]\n"
             "  g: u16[1] = const[value={65535}]\n"
             "  h: s32[2] = const[value={-2147483648, 2147483647}]\n"
             "  i: u32[1] = const[value={4294967295}]\n"
             "  j: s64[2] = const[value={-9223372036854775808, 9223372036854775807}]\n"
             "  k: u64[1] = const[value={18446744073709551615}]\n"
             "  l: f16[6] = const[value={0.1, 65504, 6e-8, -0, inf, nan}]\n"
             "  m: bf16[4] = const[value={0.1, 3.39e38, -inf, 9e-41}]\n"
             "  n: f32[7] = const[value={0.1, 3.4028235e38, 1e-45, 16777216, nan, 0x7f800001, 0xffc00000}]\n"
             "  o: f64[4] = const[value={0.1, 1.7976931348623157e308, 5e-324, 0.0001}]\n"
             "  p: e4m3[4] = const[value={448, 0.001953125, -0, nan}]\n"
             "  q: e5m2[4] = const[value={57344, 1.52587890625e-5, -inf, 0x7d}]\n"
             "  r: e4m3fnuz[3] = const[value={240, 0, nan}]\n"
             "  s: e5m2fnuz[3] = const[value={57344, 0, nan}]\n"
             "  t: e2m1[3] = const[value={6, -0.5, -0}]\n"
             "  u: e8m0[3] = const[value={1, 5.877471754111438e-39, nan}]\n"
             "  v: f32[0] = const[value={}]\n"
             "  w: f32[] = const[value={1}]\n"
             "  return\n"
             "}\n");
}
