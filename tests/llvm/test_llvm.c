// Graphs as LLVM IR: what is printed, that LLVM reads it back to the same bytes, and what a wrong text gives.
#include <criterion/criterion.h>
#include <quench/llvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct text {
  char *bytes;
  size_t length;
} text;

static qn_status append(void *user, const char *bytes, size_t length) {
  text *to = user;
  to->bytes = realloc(to->bytes, to->length + length + 1);
  memcpy(to->bytes + to->length, bytes, length);
  to->length += length;
  to->bytes[to->length] = '\0';
  return QN_OK;
}

static qn_context *make_context(void) {
  qn_context *context;
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  return context;
}

static qn_graph *read_graph(qn_context *context, const char *source, size_t length) {
  qn_graph *graph;
  qn_status status = qn_graph_read_text(context, "t.qn", source, length, &graph);
  cr_assert_eq(status, QN_OK, "%s: %s", qn_context_get_error(context)->place,
               qn_context_get_error(context)->message);
  return graph;
}

// The module of a graph, which LLVM has read, verified and printed to the same bytes.
static text print_graph(const char *source) {
  qn_context *context = make_context();
  qn_graph *graph = read_graph(context, source, strlen(source));
  text printed = { 0 }, again = { 0 };
  qn_status status = qn_graph_write_llvm(graph, &(qn_writer){ append, &printed });
  cr_assert_eq(status, QN_OK, "%s", qn_context_get_error(context)->message);
  status = qn_llvm_normalize(context, "t.ll", printed.bytes, printed.length, &(qn_writer){ append, &again });
  cr_assert_eq(status, QN_OK, "%s", qn_context_get_error(context)->message);
  cr_assert_str_eq(again.bytes, printed.bytes);
  free(again.bytes);
  qn_graph_destroy(graph);
  qn_context_destroy(context);
  return printed;
}

static void expect_in(const char *source, const char *const *lines) {
  text printed = print_graph(source);
  for (; *lines; lines++)
    cr_expect_not_null(strstr(printed.bytes, *lines), "no\n%s\nin\n%s", *lines, printed.bytes);
  free(printed.bytes);
}
#define EXPECT_IN(source, ...) expect_in(source, (const char *const[]){ __VA_ARGS__, NULL })

Test(llvm, whole_module) {
  text printed =
      print_graph("graph \"g\" (q: bf16[B,8,T,64], k: bf16[B,2,T,64], s: f32[]) {\n"
                  "  o: bf16[B,8,T,64] = attention(q, k, k)[causal=top_left] {id=17, layer=\"layers.0\"}\n"
                  "  y: e4m3[B,8,T,64] = quantize(o, s)[scheme=fp8_static] {layer=\"layers.0\"}\n"
                  "  return y\n}\n");
  cr_expect_str_eq(
      printed.bytes,
      "; ModuleID = 'quench'\n"
      "source_filename = \"g\"\n"
      "\n"
      "%\"e4m3[B,8,T,64]\" = type { i64 }\n"
      "%\"bf16[B,8,T,64]\" = type { i64 }\n"
      "%\"bf16[B,2,T,64]\" = type { i64 }\n"
      "%\"f32[]\" = type { i64 }\n"
      "\n"
      "define %\"e4m3[B,8,T,64]\" @g(%\"bf16[B,8,T,64]\" %q, %\"bf16[B,2,T,64]\" %k, %\"f32[]\" %s) {\n"
      "  %o = call %\"bf16[B,8,T,64]\" @quench.attention(%\"bf16[B,8,T,64]\" %q, %\"bf16[B,2,T,64]\" %k, "
      "%\"bf16[B,2,T,64]\" %k)"
      " [ \"causal\"([8 x i8] c\"top_left\") ], !id !0, !layer !1\n"
      "  %y = call %\"e4m3[B,8,T,64]\" @quench.quantize(%\"bf16[B,8,T,64]\" %o, %\"f32[]\" %s)"
      " [ \"scheme\"([10 x i8] c\"fp8_static\") ], !layer !1\n"
      "  ret %\"e4m3[B,8,T,64]\" %y\n"
      "}\n"
      "\n"
      "declare void @quench.attention(...)\n"
      "\n"
      "declare void @quench.quantize(...)\n"
      "\n"
      "!0 = !{i64 17}\n"
      "!1 = !{!\"layers.0\"}\n");
  free(printed.bytes);
}

Test(llvm, attributes_of_every_kind) {
  EXPECT_IN("graph (x: f32[4,6], w: f32[6]) {\n"
            "  a: f32[4,6] = rms_norm(x, w)[epsilon=0.1]\n"
            "  b: f32[6,4] = transpose(a)[perm={1, 0}]\n"
            "  c: f16[6,4] = cast(b)[to=f16, saturate=false]\n"
            "  d = extern(c)[name=\"a\\\"b\", raw=\"\\x00\\xff\"]\n"
            "  e: f16[2] = const[value={0.1, -inf}]\n"
            "  return c\n}\n",
            "[ \"epsilon\"([3 x i8] c\"0.1\") ]", "[ \"perm\"(i64 1, i64 0) ]",
            "[ \"to\"([3 x i8] c\"f16\"), \"saturate\"(i1 false) ]",
            "\"name\"([3 x i8] c\"a\\22b\"), \"raw\"([2 x i8] c\"\\00\\FF\")");
}

Test(llvm, absent_operands_are_poison_of_none) {
  EXPECT_IN("graph (x: f32[4], hi: f32[]) {\n  y: f32[4] = clip(x, _, hi)\n  return y\n}\n", "%none = type {}",
            "@quench.clip(%\"f32[4]\" %x, %none poison, %\"f32[]\" %hi)");
}

Test(llvm, several_results_and_outputs) {
  EXPECT_IN(
      "graph (x: f32[4], n: s64[2]) {\n  a: f32[1], b: f32[3] = split(x, n)\n  return b as \"second\", a\n}\n",
      "%1 = call { %\"f32[1]\", %\"f32[3]\" } @quench.split(",
      "%a = extractvalue { %\"f32[1]\", %\"f32[3]\" } %1, 0",
      "insertvalue { %\"f32[3]\", %\"f32[1]\" } poison, %\"f32[3]\" %b, 0",
      "ret { %\"f32[3]\", %\"f32[1]\" } %3, !outputs !0", "!0 = !{!\"second\", !\"a\"}");
}

Test(llvm, large_constants_are_parameters) {
  EXPECT_IN("graph (x: f32[65]) {\n  w: f32[65] = const[value={#0123456789abcdef}]\n  y: f32[65] = add(x, w)\n "
            " return y\n}\n",
            "define %\"f32[65]\" @graph(%\"f32[65]\" %x, %\"f32[65]\" %w) {");
}

Test(llvm, names_with_quotes_and_newlines) {
  EXPECT_IN("graph \"a\\\"b\\nc\" (\"x \\\"1\\\"\\n\": f32[\"((b*s)//b)\"]) {\n  \"quench.neg\": f32[...] = "
            "neg(\"x \\\"1\\\"\\n\")\n"
            "  return \"quench.neg\"\n}\n",
            "@\"a\\22b\\0Ac\"", "%\"x \\221\\22\\0A\"", "%quench.neg = call");
}

Test(llvm, names_that_llvm_would_take_for_its_own) {
  EXPECT_IN("graph \"llvm.memcpy\" (x: f32[]) {\n  return x\n}\n", "define %\"f32[]\" @graph(%\"f32[]\" %x) {");
}

Test(llvm, no_outputs) {
  EXPECT_IN("graph (x: f32[]) {\n  extern(x)[name=\"store\"]\n  return\n}\n", "define void @graph(",
            "call void @quench.extern(", "ret void");
}

// Types are named by context: were one kept, the second print would get %"f32[].0".
Test(llvm, printing_twice_gives_the_same) {
  text a = print_graph("graph (x: f32[]) {\n  y: f32[] = neg(x)\n  return y\n}\n");
  text b = print_graph("graph (x: f32[]) {\n  y: f32[] = neg(x)\n  return y\n}\n");
  cr_expect_str_eq(a.bytes, b.bytes);
  free(a.bytes);
  free(b.bytes);
}

Test(llvm, two_graphs_in_one_module) {
  qn_context *context = make_context();
  const char *one = "graph \"match\" (x: f32[]) {\n  y: f32[] = neg(x)\n  return y\n}\n";
  const char *two = "graph \"build\" (x: f32[]) {\n  y: f32[] = neg(x)\n  z: f32[] = abs(y)\n  return z\n}\n";
  qn_graph *graphs[] = { read_graph(context, one, strlen(one)), read_graph(context, two, strlen(two)) };
  text printed = { 0 };
  cr_assert_eq(qn_graphs_write_llvm((const qn_graph *const *)graphs, 2, &(qn_writer){ append, &printed }),
               QN_OK);
  cr_expect_not_null(strstr(printed.bytes, "@match("));
  cr_expect_not_null(strstr(printed.bytes, "@build("));
  cr_expect_null(strstr(strstr(printed.bytes, "@quench.neg(...)") + 1, "@quench.neg(...)"),
                 "one declaration serves both");
  free(printed.bytes);
  qn_graph_destroy(graphs[0]);
  qn_graph_destroy(graphs[1]);
  qn_context_destroy(context);
}

Test(llvm, ten_thousand_nodes) {
  text source = { 0 };
  char line[128];
  append(&source, "graph (x0: f32[B,64]) {\n", 24);
  for (int i = 1; i <= 10000; i++)
    append(&source, line,
           (size_t)snprintf(line, sizeof line, "  x%d: f32[B,64] = add(x%d, x%d)\n", i, i - 1, i - 1));
  append(&source, "  return x10000\n}\n", 18);
  text printed = print_graph(source.bytes);
  cr_expect_not_null(strstr(printed.bytes, "%x10000 = call"));
  free(printed.bytes);
  free(source.bytes);
}

// --- what is refused -------------------------------------------------------------------------------------

static void expect_refused(const char *source, const char *words) {
  qn_context *context = make_context();
  text out = { 0 };
  cr_expect_eq(qn_llvm_normalize(context, "bad.ll", source, strlen(source), &(qn_writer){ append, &out }),
               QN_INVALID);
  cr_expect_not_null(strstr(qn_context_get_error(context)->message, words), "%s",
                     qn_context_get_error(context)->message);
  cr_expect_str_eq(qn_context_get_error(context)->place, "bad.ll");
  cr_expect_null(out.bytes, "nothing is written");
  qn_context_destroy(context);
}

Test(llvm, a_text_that_does_not_parse) {
  expect_refused("define i64 @f( {\n", "expected type");
}
Test(llvm, a_text_that_is_cut) {
  expect_refused("define i64 @f(i64 %x) {\n  ret i64", "expected");
}
Test(llvm, a_module_that_is_not_valid) {
  expect_refused("define i64 @f(i64 %x) {\n  %a = add i64 %b, 1\n  %b = add i64 %a, 1\n  ret i64 %b\n}\n",
                 "dominate");
}

static qn_status refuse(void *user, const char *bytes, size_t length) {
  (void)user, (void)bytes, (void)length;
  return QN_IO;
}

Test(llvm, a_writer_that_fails_stops_it) {
  qn_context *context = make_context();
  const char *source = "graph (x: f32[]) {\n  return x\n}\n";
  qn_graph *graph = read_graph(context, source, strlen(source));
  cr_expect_eq(qn_graph_write_llvm(graph, &(qn_writer){ refuse, NULL }), QN_IO);
  qn_graph_destroy(graph);
  qn_context_destroy(context);
}
