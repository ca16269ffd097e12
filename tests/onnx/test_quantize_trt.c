// TensorRT's quantizers: schemes, result types that the file declares otherwise, and what is left extern.
#include "onnx_test.h"

enum {
  F32 = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
  F16 = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16,
  U8 = ONNX__TENSOR_PROTO__DATA_TYPE__UINT8,
  E4M3 = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT8E4M3FN,
  E2M1 = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT4E2M1
};

typedef struct trt_case {
  const char *op, *inputs;
  const char *attrs; // "name=value .."
  const char *expect, *types;
} trt_case;

// `x` and `s` are f16, `g` is f32, `b` holds bytes.
static const trt_case cases[] = {
  { "TRT_FP8QuantizeLinear", "x,s", "", "fp8_static{scale=f16, compute=f16}", "e4m3[2,8,64]" },
  { "TRT_FP8QuantizeLinear", "x,g", "", "fp8_static", "e4m3[2,8,64]" },
  { "TRT_FP8QuantizeLinear", "x,b", "", "extern", "u8[2,8,64]" },
  { "TRT_FP4DynamicQuantize", "x,g", "axis=-1 block_size=16 scale_type=17",
    "nvfp4{scale_layout=row, rule=divide, global=divisor, arithmetic=divide}", "e2m1[2,8,64] e4m3[2,8,4]" },
  { "TRT_FP4DynamicQuantize", "x,g", "axis=2 block_size=16",
    "nvfp4{scale_layout=row, rule=divide, global=divisor, arithmetic=divide}", "e2m1[2,8,64] e4m3[2,8,4]" },
  { "TRT_FP4DynamicQuantize", "x,g", "axis=1 block_size=4",
    "nvfp4{scale_layout=row, rule=divide, global=divisor, arithmetic=divide, group=4, axis=-2}",
    "e2m1[2,8,64] e4m3[2,2,64]" },
  { "TRT_FP4DynamicQuantize", "x,s", "block_size=16", "extern", "u8[2,8,64] u8[2,8,4]" },
  { "TRT_FP4DynamicQuantize", "x,g", "block_size=16 scale_type=1", "extern", "u8[2,8,64] u8[2,8,4]" },
  { "TRT_FP4DynamicQuantize", "x,g", "block_size=0", "extern", "u8[2,8,64] u8[2,8,4]" },
  { "TRT_FP4DynamicQuantize", "x,g", "block_size=65552", "extern", "u8[2,8,64] u8[2,8,4]" },
  { "TRT_FP4DynamicQuantize", "x,g", "axis=9",
    "nvfp4{scale_layout=row, rule=divide, global=divisor, arithmetic=divide, axis=6}", NULL },
  { "TRT_MXFP8DynamicQuantize", "x", "axis=-1 block_size=32 output_dtype=17", "mxfp8{rule=up}",
    "e4m3[2,8,64] e8m0[2,8,2]" },
  { "TRT_MXFP8DynamicQuantize", "x", "block_size=32 output_dtype=19", "extern", "u8[2,8,64] u8[2,8,2]" },
};

static void build(builder *b, const trt_case *c, bool stripped) {
  char op[64], words[128], *rest = words;
  builder_init(b, 21);
  builder_import(b, "trt", 1);
  builder_input(b, "x", F16, "2,8,64");
  builder_input(b, "s", F16, "");
  builder_input(b, "g", F32, "");
  builder_input(b, "b", U8, "");
  bool two = strstr(c->op, "Dynamic") != NULL;
  snprintf(op, sizeof op, "%s%s", stripped ? "" : "trt::", c->op);
  pb_node *node = builder_node(b, op, c->inputs, two ? "codes,scales" : "codes");
  snprintf(words, sizeof words, "%s", c->attrs);
  for (char *word; (word = strtok_r(rest, " ", &rest));) {
    char *value = strchr(word, '=');
    *value++ = '\0';
    builder_int(b, node, word, atoi(value));
  }
  builder_output(b, "codes", U8, "2,8,64");
  if (two) builder_output(b, "scales", U8, strstr(c->op, "FP4") ? "2,8,4" : "2,8,2");
}

static void check(const trt_case *c, bool stripped) {
  builder b;
  build(&b, c, stripped);
  if (!c->types) { // the axis is outside of x
    builder_refused(&b, QN_INVALID, "axis", "codes");
    builder_done(&b);
    return;
  }
  qn_onnx_model *model = builder_read(&b);
  qn_graph *graph = qn_onnx_model_get_graph(model);
  qn_node node = qn_value_get_node(graph, value_of(graph, "codes"));
  char scheme_text[QN_SCHEME_TEXT_MAX] = "extern", types[96] = "";
  if (qn_node_get_op(graph, node) == QN_OP_quantize) {
    qn_scheme scheme = qn_node_get_scheme(graph, node, "scheme");
    qn_scheme_format(&scheme, scheme_text);
  }
  for (uint32_t i = 0; i < qn_node_get_result_count(graph, node); i++)
    snprintf(types + strlen(types), sizeof types - strlen(types), "%s%s", i ? " " : "",
             type_text(graph, qn_node_get_result(graph, node, i)));
  cr_expect_str_eq(scheme_text, c->expect, "%s: %s", c->op, scheme_text);
  cr_expect_str_eq(types, c->types, "%s (%s): %s", c->op, c->attrs, types);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_quantize_trt, schemes) {
  for (size_t i = 0; i < QN_COUNT(cases); i++) check(&cases[i], false);
}

// ModelOpt can write the same operations without their domain.
Test(onnx_quantize_trt, schemes_without_a_domain) {
  for (size_t i = 0; i < QN_COUNT(cases); i++)
    if (strcmp(cases[i].expect, "extern") != 0) check(&cases[i], true);
}

// The two levels of NVFP4 as ModelOpt writes them: scales of blocks are dequantized first, then the codes with
// them.
Test(onnx_quantize_trt, nvfp4_is_dequantized_in_two_levels) {
  builder b;
  builder_init(&b, 23);
  builder_import(&b, "trt", 1);
  builder_input(&b, "x", F32, "2,64");
  builder_scalar(&b, "g", 0.0123f);
  pb_node *node = builder_node(&b, "trt::TRT_FP4DynamicQuantize", "x,g", "codes,scales");
  builder_int(&b, node, "block_size", 16);
  builder_node(&b, "DequantizeLinear", "scales,g", "block");
  node = builder_node(&b, "DequantizeLinear", "codes,block", "out");
  builder_int(&b, node, "axis", -1);
  builder_int(&b, node, "block_size", 16);
  builder_declare(&b, "codes", E2M1, "2,64");
  builder_declare(&b, "scales", E4M3, "2,4");
  builder_output(&b, "out", F32, "2,64");
  qn_onnx_model *model = builder_read(&b);
  qn_graph *graph = qn_onnx_model_get_graph(model);
  qn_node second = qn_value_get_node(graph, value_of(graph, "out"));
  qn_node first = qn_value_get_node(graph, value_of(graph, "block"));
  char text[QN_SCHEME_TEXT_MAX];
  qn_scheme scheme = qn_node_get_scheme(graph, second, "scheme");
  qn_scheme_format(&scheme, text);
  cr_expect_str_eq(text, "fp4_block{group=16}", "%s", text);
  scheme = qn_node_get_scheme(graph, first, "scheme");
  qn_scheme_format(&scheme, text);
  cr_expect_str_eq(text, "fp8_static", "%s", text);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_quantize_trt, mxfp8_scales_are_exponents_on_both_sides) {
  builder b;
  builder_init(&b, 21);
  builder_import(&b, "trt", 1);
  builder_input(&b, "x", F16, "2,64");
  builder_node(&b, "trt::TRT_MXFP8DynamicQuantize", "x", "codes,scales");
  pb_node *node = builder_node(&b, "trt::TRT_MXFP8DequantizeLinear", "codes,scales", "out");
  builder_int(&b, node, "output_dtype", F16);
  builder_declare(&b, "scales", U8, "2,2");
  builder_output(&b, "out", F16, "2,64");
  qn_onnx_model *model = builder_read(&b);
  qn_graph *graph = qn_onnx_model_get_graph(model);
  qn_node made = qn_value_get_node(graph, value_of(graph, "out"));
  cr_assert_eq(qn_node_get_op(graph, made), QN_OP_dequantize);
  char text[QN_SCHEME_TEXT_MAX];
  qn_scheme scheme = qn_node_get_scheme(graph, made, "scheme");
  qn_scheme_format(&scheme, text);
  cr_expect_str_eq(text, "fp8_block{scale=e8m0, group=32}", "%s", text);
  cr_expect_str_eq(type_text(graph, value_of(graph, "scales")), "e8m0[2,2]");
  cr_expect_str_eq(type_text(graph, value_of(graph, "out")), "f16[2,64]");
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

// Weights come quantized: their scales are bytes among the initializers.
Test(onnx_quantize_trt, mxfp8_scales_that_are_constants) {
  static const uint8_t codes[2 * 64] = { 0x38 }, scales[4] = { 127, 128, 126, 127 };
  builder b;
  builder_init(&b, 21);
  builder_import(&b, "trt", 1);
  builder_initializer(&b, "w", E4M3, "2,64", codes, sizeof codes);
  builder_initializer(&b, "s", U8, "2,2", scales, sizeof scales);
  pb_node *node = builder_node(&b, "trt::TRT_MXFP8DequantizeLinear", "w,s", "out");
  builder_int(&b, node, "output_dtype", F16);
  builder_output(&b, "out", F16, "2,64");
  qn_onnx_model *model = builder_read(&b);
  qn_node made = qn_value_get_node(model->graph, value_of(model->graph, "out"));
  cr_assert_eq(qn_node_get_op(model->graph, made), QN_OP_dequantize);
  const qn_tensor *scale = qn_value_get_const(model->graph, qn_node_get_operand(model->graph, made, 1));
  cr_assert(scale && scale->dtype == QN_E8M0);
  cr_expect_arr_eq(scale->data, scales, sizeof scales);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

static void build_stale(builder *b, bool trt) {
  builder_init(b, 21);
  if (trt) builder_import(b, "trt", 1);
  builder_input(b, "x", F32, "2,64");
  builder_int(b, builder_node(b, "Cast", "x", "h"), "to", F16);
  builder_node(b, "Abs", "h", "out");
  builder_declare(b, "h", F32, "2,64");
  builder_output(b, "out", F16, "2,64");
}

// ModelOpt inserts casts and leaves value_info as it was. TensorRT does not read it.
Test(onnx_quantize_trt, declared_types_that_casts_have_overtaken) {
  builder b;
  build_stale(&b, true);
  qn_onnx_model *model = builder_read(&b);
  cr_expect_str_eq(type_text(model->graph, value_of(model->graph, "h")), "f16[2,64]");
  qn_onnx_model_destroy(model);
  builder_done(&b);
  build_stale(&b, false);
  builder_refused(&b, QN_INVALID, "expected f16[2,64], found f32[2,64]", "(cast)");
  builder_done(&b);
}
