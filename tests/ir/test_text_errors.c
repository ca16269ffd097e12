// Bad text: every refusal names line:column, what was expected and what was found.
#include "ir_test.h"

#include <stdlib.h>

typedef struct error_case {
  const char *text, *place, *message;
} error_case;

static void check_bytes(const char *text, size_t length, qn_status expected, const char *place,
                        const char *message) {
  qn_context *context = make_context();
  qn_graph *graph;
  // An allocation of its own, so that reading one byte too many is seen.
  char *copy = malloc(length ? length : 1);
  memcpy(copy, text, length);
  qn_status status = qn_graph_read_text(context, "t.qn", copy, length, &graph);
  free(copy);
  const qn_error *error = qn_context_get_error(context);
  cr_assert_eq(status, expected, "%s: %s", text, error->message);
  cr_assert_null(graph);
  cr_expect_str_eq(error->place, place, "%s: %s, found %s: %s", text, place, error->place, error->message);
  cr_expect_str_eq(error->message, message);
  qn_context_destroy(context);
}

// clang-format off
#define IN_GRAPH(line) "graph (x: f32[2], y: f32[2,3]) {\n" line "\n return x\n}\n"
static const error_case cases[] = {
  // the file
  { "",                                "t.qn:1:1",  "expected 'graph', found the end of the text" },
  { "grap",                            "t.qn:1:1",  "expected 'graph', found 'grap'" },
  { "graph",                           "t.qn:1:6",  "expected '(', found the end of the text" },
  { "graph \"a",                       "t.qn:1:7",  "expected '(', found '\"a': the string does not end" },
  { "graph \"\\x00\" () {\n return\n}", "t.qn:1:7", "expected the name of the graph without a zero byte" },
  { "graph (",                         "t.qn:1:8",  "expected the name of a value, found the end of the text" },
  { "graph (x",                        "t.qn:1:9",  "expected ':' and the type of the input, found the end of the text" },
  { "graph (x: f33",                   "t.qn:1:11", "expected a type, found 'f33'" },
  { "graph (x: f32",                   "t.qn:1:14", "expected '[', found the end of the text" },
  { "graph (\"\": f32[]) {\n return\n}", "t.qn:1:8", "expected the name of a value, found empty text" },
  { "graph (x: ?, x: ?) {\n return\n}", "t.qn:1:14", "expected a new name, found x, which an earlier value has" },
  { "graph () {",                      "t.qn:1:11", "expected the end of the line, found the end of the text" },
  { "graph () { return\n}",            "t.qn:1:12", "expected the end of the line, found 'return'" },
  { "graph () {\n return\n",           "t.qn:3:1",  "expected the name of a value, found the end of the text" },
  { "graph () {\n return\n} // a\nx",  "t.qn:4:1",  "expected the end, found 'x'" },
  { "graph (x: ?) {\n return x as y\n}", "t.qn:2:14", "expected the name of the output as a string, found 'y'" },
  { "graph (x: ?) {\n return x, z\n}", "t.qn:2:12", "expected a value that is defined above, found 'z'" },
  // nodes
  { IN_GRAPH(" r = foo(x)"),           "t.qn:2:6",  "expected an operation of ops.def, found 'foo'" },
  { IN_GRAPH(" neg(x)"),               "t.qn:2:2",  "expected a result and '=' in front of the operation, found 'neg'" },
  { IN_GRAPH(" r = input"),            "t.qn:2:6",  "inputs stand between the parentheses of the graph" },
  { IN_GRAPH(" r = neg(z)"),           "t.qn:2:10", "expected a value that is defined above, found 'z'" },
  { IN_GRAPH(" r = neg(r)"),           "t.qn:2:10", "expected a value that is defined above, found 'r'" },
  { IN_GRAPH(" r = neg(s)\n s = neg(x)"), "t.qn:2:10", "expected a value that is defined above, found 's'" },
  { IN_GRAPH(" x = neg(x)"),           "t.qn:2:2",  "expected a new name, found x, which an earlier value has" },
  { IN_GRAPH(" r, r = split(x)"),      "t.qn:2:5",  "expected a new name, found r, which an earlier value has" },
  { IN_GRAPH(" r = neg(x"),            "t.qn:3:2",  "expected ')', found 'return'" },
  { IN_GRAPH(" r = neg(x) s = neg(x)"), "t.qn:2:13", "expected the end of the line, found 's'" },
  { IN_GRAPH(" r = neg(_)"),           "t.qn:2:6: node 'r' (neg)", "needs the operand x" },
  { IN_GRAPH(" r = neg(x, x)"),        "t.qn:2:6: node 'r' (neg)", "takes at most 1 operands, found 2" },
  { IN_GRAPH(" r = neg(3)"),           "t.qn:2:10", "expected the name of a value, found '3'" },
  { IN_GRAPH(" r = matmul(x, x)\n s = matmul(y, y)"), "t.qn:3:6: node 's' (matmul)", "operand 'y' is f32[2,3], operand 'y' is f32[2,3]: the inner dims differ" },
  { IN_GRAPH(" 3r = neg(x)"),          "t.qn:2:2",  "expected the name of a value, found '3r': a name may not begin with a digit" },
  { IN_GRAPH(" \"a\nb\" = neg(x)"),    "t.qn:2:2",  "expected the name of a value, found '\"a': the string does not end on its line" },
  { IN_GRAPH(" \"a\\q\" = neg(x)"),    "t.qn:2:2",  "expected the name of a value, found '\"a\\': the string has an escape other than \\n \\t \\\" \\\\ \\xHH" },
  { IN_GRAPH(" \"\\x0g\" = neg(x)"),   "t.qn:2:2",  "expected the name of a value, found '\"\\': \\x is not followed by two hexadecimal digits" },
  { IN_GRAPH(" $"),                    "t.qn:2:2",  "expected the name of a value, found '$': the character begins nothing" },
  // attributes
  { IN_GRAPH(" r = softmax(x)[axs=1]"),          "t.qn:2:17", "expected an attribute of softmax, found 'axs'" },
  { IN_GRAPH(" r = softmax(x)[axis=0, axis=0]"), "t.qn:2:25", "attribute 'axis' is given twice" },
  { IN_GRAPH(" r = softmax(x)[axis]"),           "t.qn:2:21", "expected '=', found ']'" },
  { IN_GRAPH(" r = softmax(x)[axis=a]"),         "t.qn:2:22", "expected an integer, found 'a'" },
  { IN_GRAPH(" r = softmax(x)[axis=1.5]"),       "t.qn:2:22", "expected an integer, found '1.5'" },
  { IN_GRAPH(" r = softmax(x)[axis=9223372036854775808]"), "t.qn:2:22", "the integer does not fit 64 bits" },
  { IN_GRAPH(" r = softmax(x)[axis=99999999999999999999]"), "t.qn:2:22", "expected an integer, found '99999999999999999999': the integer does not fit 64 bits" },
  { IN_GRAPH(" r = softmax(x)[axis=1"),          "t.qn:3:2",  "expected ']', found 'return'" },
  { IN_GRAPH(" r = gelu(x)[approximate=sinh]"),  "t.qn:2:26", "expected one of none|tanh, found 'sinh'" },
  { IN_GRAPH(" r = swish(x)[alpha=big]"),        "t.qn:2:21", "expected a number, found 'big'" },
  { IN_GRAPH(" r = swish(x)[alpha=1e999]"),      "t.qn:2:21", "the number does not fit f64" },
  { IN_GRAPH(" r = trilu(x)[upper=1]"),          "t.qn:2:21", "expected true or false, found '1'" },
  { IN_GRAPH(" r = cast(x)[to=f33]"),            "t.qn:2:17", "expected an element type, found 'f33'" },
  { IN_GRAPH(" r = transpose(x)[perm={0]"),      "t.qn:2:26", "expected '}', found ']'" },
  { IN_GRAPH(" r = extern(x)[name=a]"),          "t.qn:2:21", "expected a string, found 'a'" },
  { IN_GRAPH(" r = quantize(x)[scheme=fp9]"),    "t.qn:2:25", "expected a quantization scheme, found 'fp9'" },
  { IN_GRAPH(" r = quantize(x)[scheme=fp8_static{axis=a}]"), "t.qn:2:25", "expected a quantization scheme, found 'fp8_static{axis=a}'" },
  { IN_GRAPH(" r = quantize(x)[scheme=fp8_static{axis=1"), "t.qn:2:25", "expected a quantization scheme, found 'fp8_static{axis=1\\n return x\\n}'" },
  { IN_GRAPH(" r = neg(x) {id=a}"),              "t.qn:2:17", "expected an integer, found 'a'" },
  { IN_GRAPH(" r = neg(x) {id=1, id=2}"),        "t.qn:2:20", "'id' is given twice" },
  { IN_GRAPH(" r = neg(x) {nam=\"a\"}"),         "t.qn:2:14", "expected id, name, layer or location, found 'nam'" },
  { IN_GRAPH(" r = neg(x) {name=a}"),            "t.qn:2:19", "expected a string, found 'a'" },
  // tensors
  { IN_GRAPH(" r: f32[2] = const[value={1}]"),       "t.qn:2:28", "expected 2 elements, found 1" },
  { IN_GRAPH(" r: f32[2] = const[value={1, 2, 3}]"), "t.qn:2:33", "expected 2 elements, found more" },
  { IN_GRAPH(" r = const[value={1}]"),               "t.qn:2:18", "expected a tensor whose type is constant: its own, or that of the result" },
  { IN_GRAPH(" r: f32[T] = const[value={1}]"),       "t.qn:2:26", "expected a tensor whose type is constant: its own, or that of the result" },
  { IN_GRAPH(" r: s8[1] = const[value={128}]"),      "t.qn:2:26", "expected a value of s8, found 128" },
  { IN_GRAPH(" r: s8[1] = const[value={-129}]"),     "t.qn:2:26", "expected a value of s8, found -129" },
  { IN_GRAPH(" r: u8[1] = const[value={-1}]"),       "t.qn:2:26", "expected a value of u8, found -1" },
  { IN_GRAPH(" r: s8[1] = const[value={1.5}]"),      "t.qn:2:26", "expected an integer, found '1.5'" },
  { IN_GRAPH(" r: e4m3[1] = const[value={1000}]"),   "t.qn:2:28", "expected a value of e4m3, found '1000'" },
  { IN_GRAPH(" r: e4m3[1] = const[value={-inf}]"),   "t.qn:2:28", "expected a value of e4m3, found '-inf'" },
  { IN_GRAPH(" r: e8m0[1] = const[value={3}]"),      "t.qn:2:28", "expected a value of e8m0, found '3'" },
  { IN_GRAPH(" r: e2m1[1] = const[value={nan}]"),    "t.qn:2:28", "expected a value of e2m1, found 'nan'" },
  { IN_GRAPH(" r: f16[1] = const[value={0x10000}]"), "t.qn:2:27", "expected the bits of one f16, found more" },
  { IN_GRAPH(" r: f32[2] = const[value={#12}]"),     "t.qn:2:27", "expected a number, found '#12': a hash is # and 16 hexadecimal digits" },
  { IN_GRAPH(" r: f32[2] = const[value={#0123456789abcdef, 1}]"), "t.qn:2:44", "expected '}', found ','" },
  { IN_GRAPH(" r: f32[1000000000000] = const[value={1}]"), "t.qn:2:40", "expected 1000000000000 elements, found 1" },
  // types and dims
  { "graph (x: f32[-1])",              "t.qn:1:15", "expected a dim that is not negative, found -1" },
  { "graph (x: f32[2",                 "t.qn:1:16", "expected ']', found the end of the text" },
  { "graph (x: f32[2,])",              "t.qn:1:17", "expected a dim, found ']'" },
  { "graph (x: f32[T*])",              "t.qn:1:17", "expected a dim, found ']'" },
  { "graph (x: f32[ceil_div(T)])",     "t.qn:1:25", "expected ',', found ')'" },
  { "graph (x: f32[ceil_div(T, 0)])",  "t.qn:1:15", "expected a positive divisor of ceil_div, found 0" },
  { "graph (x: f32[9223372036854775807 + 1])", "t.qn:1:35", "the dim does not fit 64 bits" },
  { "graph (x: f32[4294967296*4294967296])",   "t.qn:1:25", "the dim does not fit 64 bits" },
  { "graph (x: f32[18446744073709551615])",    "t.qn:1:15", "the dim does not fit 64 bits" },
  { "graph (x: f32[? 1])",             "t.qn:1:17", "expected a number after '?', found '1'" },
};

static const error_case limits[] = {
  { "graph (x: f32[1,2,3,4,5,6,7,8,9])", "t.qn:1:31", "the type has more than 8 dims" },
  { "graph (x: f32[?1000000001])",     "t.qn",      "a dim ?n with n above 1000000000" },
  { IN_GRAPH(" r: f32[9223372036854775807] = const[value={#0123456789abcdef}]"), "t.qn:2:44", "the tensor does not fit 64 bits" },
};
// clang-format on

Test(text_errors, each_names_place_and_cause) {
  for (size_t i = 0; i < QN_COUNT(cases); i++)
    check_bytes(cases[i].text, strlen(cases[i].text), QN_INVALID, cases[i].place, cases[i].message);
}

Test(text_errors, limits_are_worded) {
  for (size_t i = 0; i < QN_COUNT(limits); i++)
    check_bytes(limits[i].text, strlen(limits[i].text), QN_LIMIT, limits[i].place, limits[i].message);
}

Test(text_errors, expressions_of_any_depth) {
  enum { DEPTH = 10000 };
  static const char *const openings[] = { "(", "ceil_div(", "2*(", "-(" };
  for (size_t i = 0; i < QN_COUNT(openings); i++) {
    qn_context *context = make_context();
    qn_buf text = QN_BUF(context);
    qn_buf_printf(&text, "graph (x: f32[");
    for (int k = 0; k < DEPTH; k++) qn_buf_printf(&text, "%s", openings[i]);
    qn_graph *graph;
    cr_assert_eq(qn_graph_read_text(context, "t.qn", text.text, text.length, &graph), QN_LIMIT);
    cr_assert_str_eq(qn_context_get_error(context)->message, "the dim is nested more than 64 deep");
    qn_buf_free(&text);
    qn_context_destroy(context);
  }
}

// A sum of many terms and a power of a sum grow past the limits of a dim: nothing is known of it then.
Test(text_errors, huge_expressions) {
  qn_context *context = make_context();
  qn_buf text = QN_BUF(context);
  qn_buf_printf(&text, "graph (x: f32[a0");
  for (int i = 1; i < 5000; i++) qn_buf_printf(&text, " + a%d", i);
  qn_buf_printf(&text, ",(a + b)");
  for (int i = 1; i < 1000; i++) qn_buf_printf(&text, "*(a + b)");
  qn_buf_printf(&text, "]) {\n  return x\n}\n");
  qn_graph_destroy(read_text(context, text.text));
  qn_buf_free(&text);
  qn_context_destroy(context);
}

// Every prefix of a good text, and the text with each byte replaced, is refused or read; never worse.
Test(text_errors, truncated_and_damaged) {
  static const char good[] =
      "graph \"g\" (q: bf16[B,8,2*T + 1,64] {id=1}, s: f32[]) {\n"
      "  c: f16[3] = const[value={1, -inf, 0x7e01}]\n"
      "  o: bf16[B,8,2*T + 1,64] = attention(q, q, q, _)[causal=top_left, scale=0.125] {layer=\"l\"}\n"
      "  y: e4m3[B,8,2*T + 1,64] = quantize(o, s)[scheme=fp8_static{axis=1}]\n"
      "  return y as \"out\"\n"
      "}\n";
  size_t length = sizeof good - 1;
  qn_context *context = make_context();
  for (size_t i = 0; i < length - 1; i++) {
    qn_graph *graph;
    char *copy = malloc(i + 1);
    memcpy(copy, good, i);
    qn_status status = qn_graph_read_text(context, "t.qn", copy, i, &graph);
    cr_assert(i == length - 1 ? status == QN_OK : status == QN_INVALID, "at %zu", i);
    free(copy);
  }
  for (size_t i = 0; i < length; i++) {
    for (int byte = 0; byte < 256; byte += 7) {
      char copy[sizeof good];
      memcpy(copy, good, sizeof good);
      copy[i] = (char)byte;
      qn_graph *graph;
      if (qn_graph_read_text(context, "t.qn", copy, length, &graph) == QN_OK)
        cr_assert_eq(qn_graph_verify(graph), QN_OK);
      qn_graph_destroy(graph);
    }
  }
  qn_context_destroy(context);
}
