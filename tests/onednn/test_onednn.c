// Dumps of oneDNN Graph: each operation, the attention with its Quantize that oneDNN's own passes look for, and
// files that are wrong.
#include "ir/base_priv.h"

#include <criterion/criterion.h>
#include <quench/quench.h>
#include <stdio.h>

typedef struct dump {
  qn_context *context;
  qn_graph *graph;
  qn_buf text;
} dump;

static qn_status read_dump(dump *d, const char *json, size_t length) {
  *d = (dump){ 0 };
  cr_assert_eq(qn_context_create(NULL, &d->context), QN_OK);
  d->text = QN_BUF(d->context);
  return qn_onednn_read(d->context, "dump.json", json, length, &d->graph);
}

static dump read_text(const char *json) {
  dump d;
  qn_status status = read_dump(&d, json, strlen(json));
  const qn_error *error = qn_context_get_error(d.context);
  cr_assert_eq(status, QN_OK, "%s: %s\n%s", error->place, error->message, json);
  cr_assert_eq(qn_graph_verify(d.graph), QN_OK, "%s: %s", error->place, error->message);
  qn_writer writer = qn_buf_writer(&d.text);
  cr_assert_eq(qn_graph_write_text(d.graph, &(qn_text_params){ .no_metadata = true }, &writer), QN_OK);
  return d;
}

static void end_dump(dump *d) {
  qn_buf_free(&d->text);
  qn_graph_destroy(d->graph);
  qn_context_destroy(d->context);
}

// --- one operation ---------------------------------------------------------------------------------------

#define T(id, type, shape)                                                                                     \
  "{\"id\": " #id ", \"dtype\": \"" type "\", \"shape\": [" shape "], \"layout_type\": \"strided\"}"
#define X                   T(0, "f32", "2,3,4,8")
#define Y                   T(1, "f32", "2,3,4,8")
#define ATTR(name, type, v) "\"" name "\": {\"type\": \"" type "\", \"value\": " v "}"

typedef struct op_case {
  const char *kind, *attrs, *inputs, *output;
  const char *expect; // lines of the text that must be there; NULL: extern
} op_case;

static const op_case cases[] = {
  { "Add", ATTR("auto_broadcast", "string", "\"numpy\""), X "," Y, T(9, "f32", "2,3,4,8"), "= add(t0, t1)" },
  { "Add", ATTR("auto_broadcast", "string", "\"other\""), X "," Y, T(9, "f32", "2,3,4,8"), NULL },
  { "Add", ATTR("new_attribute", "bool", "true"), X "," Y, T(9, "f32", "2,3,4,8"), NULL },
  { "Add", "", X, T(9, "f32", "2,3,4,8"), NULL },
  { "Divide", "", X "," T(1, "f32", "1"), T(9, "f32", "2,3,4,8"), "= div(t0, t1)" },
  { "Select", "", T(3, "boolean", "1,1,4,8") "," X "," Y, T(9, "f32", "2,3,4,8"), "= where(t3, t0, t1)" },
  { "MatMul", ATTR("transpose_b", "bool", "true"), X "," Y, T(9, "f32", "2,3,4,4"),
    "t9.b: f32[2,3,8,4] = transpose(t1)[perm={0, 1, 3, 2}]\n  t9: f32[2,3,4,4] = matmul(t0, t9.b)" },
  { "MatMul", ATTR("transpose_a", "bool", "1"), X "," Y, T(9, "f32", "2,3,8,8"), "= matmul(t9.a, t1)" },
  { "MatMul", "", X "," T(2, "f32", "2,3,8,5") "," T(3, "f32", "5"), T(9, "f32", "2,3,4,5"),
    "t9.product: f32[2,3,4,5] = matmul(t0, t2)\n  t9: f32[2,3,4,5] = add(t9.product, t3)" },
  { "SoftMax", ATTR("axis", "s64", "-1") "," ATTR("mode", "string", "\"none\""), X, T(9, "f32", "2,3,4,8"),
    "= softmax(t0)" },
  { "SoftMax", ATTR("axis", "s64", "3") "," ATTR("mode", "string", "\"inf_as_zero\""), X,
    T(9, "f32", "2,3,4,8"),
    "t9.softmax: f32[2,3,4,8] = softmax(t0)[axis=3]\n  t9.nan: bool[2,3,4,8] = is_nan(t9.softmax)\n  t9.zero: "
    "f32[] = "
    "const[value={0}]\n  t9: f32[2,3,4,8] = where(t9.nan, t9.zero, t9.softmax)" },
  { "StaticTranspose", ATTR("order", "s64[]", "[0,2,1,-1]"), X, T(9, "f32", "2,4,3,8"),
    "= transpose(t0)[perm={0, 2, 1, 3}]" },
  { "StaticReshape", ATTR("shape", "s64[]", "[2,3,-1]") "," ATTR("special_zero", "bool", "false"), X,
    T(9, "f32", "2,3,32"), "= reshape(t0, t9.shape)[allowzero=true]" },
  { "StaticReshape", ATTR("shape", "s64[]", "[0,0,32]") "," ATTR("special_zero", "bool", "true"), X,
    T(9, "f32", "2,3,32"), "= reshape(t0, t9.shape)" },
  { "Reorder", "", X, T(9, "f32", "2,3,4,8"), "= identity(t0)" },
  { "TypeCast", "", X, T(9, "bf16", "2,3,4,8"), "= cast(t0)[to=bf16]" },
  { "Clamp", ATTR("min", "f32", "-1.5") "," ATTR("max", "f32", "2"), X, T(9, "f32", "2,3,4,8"),
    "= clip(t0, t9.min, t9.max)" },
  { "Tanh", "", X, T(9, "f32", "2,3,4,8"), "= tanh(t0)" },
  { "GELU", ATTR("mode", "string", "\"gelu_tanh\""), X, T(9, "f32", "2,3,4,8"),
    "= gelu(t0)[approximate=tanh]" },
  { "Quantize",
    ATTR("qtype", "string", "\"per_tensor\"") "," ATTR("scales", "f32[]", "[0.25]") "," ATTR("zps", "s64[]",
                                                                                             "[0]"),
    X, T(9, "s8", "2,3,4,8"),
    "t9: s8[2,3,4,8] = quantize(t0, t9.scales)[scheme=int8_static{zero_point=none}]" },
  { "Quantize", ATTR("scales", "f32[]", "[0.25]") "," ATTR("zps", "s64[]", "[131]"), X, T(9, "u8", "2,3,4,8"),
    "quantize(t0, t9.scales, t9.zps)[scheme=int8_static{target=u8, zero_point=before, zero_point_type=s32}]" },
  { "Quantize", ATTR("qtype", "string", "\"per_channel\"") "," ATTR("scales", "f32[]", "[1,2,3]"), X,
    T(9, "f8_e4m3", "2,3,4,8"), "quantize(t0, t9.scales)[scheme=fp8_channel{axis=-3}]" },
  { "Quantize", ATTR("scales", "f32[]", "[0.25, 0.5]"), X, T(9, "s8", "2,3,4,8"), NULL },
  { "Quantize", ATTR("scales", "f32[]", "[\"x\"]"), X, T(9, "s8", "2,3,4,8"), NULL },
  { "Quantize", "", X, T(9, "s8", "2,3,4,8"), NULL },
  { "Quantize", ATTR("scales", "f32[]", "[0.25]"), X, T(9, "s32", "2,3,4,8"), NULL },
  { "Quantize", ATTR("qtype", "string", "\"per_group\"") "," ATTR("scales", "f32[]", "[0.25]"), X,
    T(9, "s8", "2,3,4,8"), NULL },
  { "DynamicQuantize", ATTR("qtype", "string", "\"per_tensor\""), X "," T(4, "f32", "1"),
    T(9, "f8_e5m2", "2,3,4,8"), "quantize(t0, t4)[scheme=fp8_static{target=e5m2}]" },
  { "DynamicQuantize", "", X "," T(4, "f32", "1") "," T(5, "s8", "1"), T(9, "s8", "2,3,4,8"),
    "quantize(t0, t4, t5)[scheme=int8_static{zero_point=before}]" },
  { "Dequantize", ATTR("scales", "f32[]", "[0.25]") "," ATTR("zps", "s64[]", "[0]"), T(0, "s8", "2,3,4,8"),
    T(9, "f32", "2,3,4,8"), "dequantize(t0, t9.scales)[scheme=int8_static{zero_point=none}, to=f32]" },
  { "Wildcard", "", X, T(9, "f32", "2,3,4,8"), NULL },
};

Test(onednn, operations) {
  for (size_t i = 0; i < QN_COUNT(cases); i++) {
    char json[2048];
    const op_case *c = &cases[i];
    snprintf(
        json, sizeof json,
        "{\"version\": \"3.8\", \"graph\": [{\"id\": 4, \"name\": \"n\", \"kind\": \"%s\", \"attrs\": {%s}, "
        "\"inputs\": [%s], \"outputs\": [%s]}]}",
        c->kind, c->attrs, c->inputs, c->output);
    dump d = read_text(json);
    if (c->expect)
      cr_expect(strstr(d.text.text, c->expect), "%s: expected %s in\n%s", c->kind, c->expect, d.text.text);
    else
      cr_expect(strstr(d.text.text, "extern("), "%s: expected extern in\n%s", c->kind, d.text.text);
    end_dump(&d);
  }
}

// --- attention -------------------------------------------------------------------------------------------

// Scores, scale, mask, softmax, values, transpose, Reorder: the form of oneDNN's x8_sdpa and int8_bf16 passes.
static const char ATTENTION[] =
    "{\"version\": \"3.8.0\", \"engine_kind\": \"cpu\", \"input_ports\": [0, 1, 2, 3, 4], \"output_ports\": "
    "[13],"
    "\"graph\": ["
    "{\"id\": 0, \"name\": \"qk\", \"kind\": \"MatMul\", \"attrs\": {" ATTR(
        "transpose_b",
        "bool", "true") "},"
                        "\"inputs\": [" T(0, "f32", "2,4,33,64") "," T(
                            1, "f32",
                            "2,4,33,64") "], \"outputs\": [" T(6, "f32",
                                                               "2,4,33,33") "]},"
                                                                            "{\"id\": 1, \"name\": \"scale\", "
                                                                            "\"kind\": \"Divide\", \"attrs\": "
                                                                            "{},"
                                                                            "\"inputs\": [" T(6, "f32",
                                                                                              "2,4,33,33") "," T(3, "f32", "1") "], \"outputs\": [" T(7, "f32", "2,4,33,33") "]},"
                                                                                                                                                                             "{\"id\": 2, \"name\": \"mask\", \"kind\": \"Add\", \"attrs\": {},"
                                                                                                                                                                             "\"inputs\": [" T(7, "f32", "2,4,33,33") "," T(4, "f32", "2,1,1,33") "], \"outputs\": [" T(8, "f32", "2,4,33,33") "]},"
                                                                                                                                                                                                                                                                                               "{\"id\": 3, \"name\": \"p\", \"kind\": \"SoftMax\", \"attrs\": {" ATTR("axis", "s64", "-1") "},"
                                                                                                                                                                                                                                                                                                                                                                                            "\"inputs\": [" T(8,
                                                                                                                                                                                                                                                                                                                                                                                                              "f32",
                                                                                                                                                                                                                                                                                                                                                                                                              "2,4,33,33") "], \"outputs\": [" T(9,
                                                                                                                                                                                                                                                                                                                                                                                                                                                 "f32",
                                                                                                                                                                                                                                                                                                                                                                                                                                                 "2,4,33,33") "]},"
                                                                                                                                                                                                                                                                                                                                                                                                                                                              "{\"id\": 4, \"name\": \"pv\", \"kind\": \"MatMul\", \"attrs\": {},"
                                                                                                                                                                                                                                                                                                                                                                                                                                                              "\"inputs\": [" T(9,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                "f32",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                "2,4,33,33") "," T(2,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                   "f32", "2,4,33,64") "], \"outputs\": [" T(10, "f32", "2,4,33,64") "]},"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                     "{\"id\": 5, \"name\": \"t\", \"kind\": \"StaticTranspose\", \"attrs\": {" ATTR("order",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                     "s64[]", "[0,2,1,3]") "},"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                           "\"inputs\": [" T(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                               10, "f32", "2,4,33,64") "], \"outputs\": [" T(11,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                             "f32",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                             "2,33,4,64") "]},"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          "{\"id\": 6, \"name\": \"r\", \"kind\": \"Reorder\", \"attrs\": {},"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          "\"inputs\": [" T(11, "f32", "2,33,4,64") "], \"outputs\": [" T(12,
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                          "f32", "2,33,4,64") "]},"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              "{\"id\": 7, \"name\": \"q\", \"kind\": \"Quantize\", \"attrs\": {" ATTR(
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                  "scales",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                  "f32[]", "[0.0173]") "},"
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                       "\"inputs\": [" T(12, "f32", "2,33,4,64") "], \"outputs\": [" T(13, "f8_e4m3", "2,33,4,64") "]}]}";

static bool is_quantized(const qn_graph *graph) {
  for (qn_node node = qn_graph_get_first(graph); node; node = qn_node_get_next(graph, node))
    if (qn_node_get_op(graph, node) == QN_OP_attention) return qn_node_has_attr(graph, node, "output");
  return false;
}

// The divisor of the scores is an input of the dump, whose value is not in it; as a constant it is a scale.
Test(onednn, attention_and_quantize_become_one_node) {
  dump d = read_text(ATTENTION);
  const float root = 8;
  qn_value divisor = qn_graph_find_value(d.graph, "t3", 2), constant;
  const qn_tensor tensor = { .dtype = QN_F32, .rank = 1, .dims = { 1 }, .data = &root, .bytes = sizeof root };
  const qn_attr value = { .name = "value", .tensor = &tensor };
  cr_assert_eq(qn_graph_add(d.graph,
                            qn_node_params(.op = QN_OP_const, .attrs = &value, .attr_count = 1,
                                           .before = qn_graph_get_first(d.graph)),
                            &constant),
               QN_OK);
  cr_assert_eq(qn_value_replace(d.graph, divisor, constant, false), QN_OK);
  qn_pipeline *pipeline = NULL;
  cr_assert_eq(qn_pipeline_run(d.graph, &(qn_pipeline_params){ 0 }, &pipeline), QN_OK);
  cr_expect(is_quantized(d.graph), "%s", d.text.text);
  qn_pipeline_destroy(pipeline);
  end_dump(&d);
}

Test(onednn, ports_and_ids_are_kept) {
  dump d = read_text(ATTENTION);
  cr_expect_eq(qn_graph_get_output_count(d.graph), 1);
  cr_expect_str_eq(qn_graph_get_output_name(d.graph, 0).text, "t13");
  qn_node last = qn_value_get_node(d.graph, qn_graph_find_value(d.graph, "t13", 3));
  cr_expect_eq(qn_node_get_id(d.graph, last), 8);
  cr_expect_str_eq(qn_node_get_name(d.graph, last).text, "q");
  end_dump(&d);
}

Test(onednn, unknown_dims_and_ranks) {
  dump d = read_text(
      "{\"graph\": [{\"id\": 0, \"name\": \"a\", \"kind\": \"Abs\", \"inputs\": [{\"id\": 0, \"dtype\": "
      "\"f32\", "
      "\"shape\": [-9223372036854775808, 8], \"layout_type\": \"any\"}], \"outputs\": [{\"id\": 1, "
      "\"dtype\": \"undef\", \"shape\": [], \"layout_type\": \"undef\"}]},"
      "{\"id\": 1, \"name\": \"e\", \"kind\": \"End\", \"inputs\": [{\"id\": 1}], \"outputs\": []}]}");
  cr_expect(strstr(d.text.text, "t1: f32[?1,8] = abs(t0)"), "%s", d.text.text);
  cr_expect(strstr(d.text.text, "return t1"), "%s", d.text.text);
  end_dump(&d);
}

// --- files that are wrong ----------------------------------------------------------------------------------

static void refused(const char *json, qn_status status, const char *message) {
  dump d;
  cr_expect_eq(read_dump(&d, json, strlen(json)), status, "%s", json);
  cr_expect_null(d.graph);
  const qn_error *error = qn_context_get_error(d.context);
  cr_expect(strstr(error->message, message), "expected '%s', found '%s'", message, error->message);
  end_dump(&d);
}

#define OP(rest) "{\"graph\": [{\"id\": 0, \"name\": \"n\", " rest "}]}"

Test(onednn, refusals) {
  refused("", QN_INVALID, "line 1, column 0");
  refused("{\"graph\": [", QN_INVALID, "line 1");
  refused("{\"graph\": 3}", QN_INVALID, "an object with the list \"graph\"");
  refused("[]", QN_INVALID, "an object with the list \"graph\"");
  refused("{\"graph\": [], \"graph\": []}", QN_INVALID, "duplicate");
  refused("{\"graph\": [7]}", QN_INVALID, "an operation has kind, id, inputs and outputs");
  refused(OP("\"kind\": \"Abs\", \"inputs\": [], \"outputs\": 1"), QN_INVALID, "an operation has kind");
  refused(OP("\"kind\": \"Abs\", \"inputs\": [{}], \"outputs\": []"), QN_INVALID,
          "a logical tensor without an id");
  refused(OP("\"kind\": \"Abs\", \"inputs\": [{\"id\": -1}], \"outputs\": []"), QN_INVALID, "without an id");
  refused(OP("\"kind\": \"Abs\", \"inputs\": [" X "], \"outputs\": [" X "]"), QN_INVALID,
          "logical tensor 0 is made a second time, or after it was read");
  refused(OP("\"kind\": \"Add\", \"inputs\": [" X
             "," T(1, "f32", "7,7") "], \"outputs\": [" T(9, "f32", "2,3,4,8") "]"),
          QN_INVALID, "broadcast");
  refused("{\"graph\": [], \"output_ports\": [5]}", QN_INVALID,
          "output port t5 is no logical tensor of the graph");
}

Test(onednn, every_prefix_is_refused_or_read) {
  for (size_t length = 0; length < sizeof ATTENTION - 1; length += 7) {
    dump d;
    cr_expect_eq(read_dump(&d, ATTENTION, length), QN_INVALID);
    end_dump(&d);
  }
}

Test(onednn, deep_nesting_is_refused) {
  enum { DEPTH = 100000 };
  char *json = malloc(DEPTH + 1);
  memset(json, '[', DEPTH);
  json[DEPTH] = '\0';
  refused(json, QN_INVALID, "depth");
  free(json);
}
