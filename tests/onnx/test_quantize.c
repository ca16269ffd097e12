// QuantizeLinear and DequantizeLinear as schemes, a row a case.
#include "onnx_test.h"

enum {
  F32 = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
  F16 = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16,
  BF16 = ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16,
  S8 = ONNX__TENSOR_PROTO__DATA_TYPE__INT8,
  U8 = ONNX__TENSOR_PROTO__DATA_TYPE__UINT8,
  S16 = ONNX__TENSOR_PROTO__DATA_TYPE__INT16,
  S32 = ONNX__TENSOR_PROTO__DATA_TYPE__INT32,
  S4 = ONNX__TENSOR_PROTO__DATA_TYPE__INT4,
  E4M3 = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT8E4M3FN,
  E4M3Z = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT8E4M3FNUZ,
  E5M2 = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT8E5M2,
  E2M1 = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT4E2M1,
  U2 = ONNX__TENSOR_PROTO__DATA_TYPE__UINT2
};

typedef struct quantize_case {
  const char *label;
  int64_t opset;
  int x, scale, zero_point; // types; zero_point 0: absent
  const char *scale_dims;
  int64_t axis, block_size, output_dtype, precision, saturate; // -9: not said
  const char *expect;                                          // the scheme's text, or "extern"
} quantize_case;

#define NO -9
static const quantize_case cases[] = {
  { "plain u8", 10, F32, F32, 0, "", NO, NO, NO, NO, NO, "int8_static{target=u8, zero_point=none}" },
  { "s8", 13, F32, F32, S8, "", NO, NO, NO, NO, NO, "int8_static{zero_point=none}" },
  { "one element", 13, F32, F32, S8, "1", NO, NO, NO, NO, NO, "int8_static{zero_point=none}" },
  { "channel", 13, F32, F32, U8, "8", 1, NO, NO, NO, NO, "int8_channel{target=u8, zero_point=none, axis=-2}" },
  { "default axis", 13, F32, F32, S8, "8", NO, NO, NO, NO, NO, "int8_channel{zero_point=none, axis=-2}" },
  { "last axis", 13, F32, F32, S8, "16", -1, NO, NO, NO, NO, "int8_channel{zero_point=none}" },
  { "fp8", 19, F32, F32, E4M3, "", NO, NO, NO, NO, NO, "fp8_static" },
  { "fp8 wraps", 19, F32, F32, E4M3, "", NO, NO, NO, NO, 0, "fp8_static{saturate=false}" },
  { "fp8 fnuz", 19, F32, F32, E4M3Z, "", NO, NO, NO, NO, 1, "fp8_static{target=e4m3fnuz}" },
  { "e5m2", 19, F32, F32, E5M2, "", NO, NO, NO, NO, NO, "fp8_static{target=e5m2}" },
  { "f16 quotient", 19, F16, F16, E4M3, "", NO, NO, NO, NO, NO, "fp8_static{scale=f16, compute=f16}" },
  { "bf16 quotient", 21, BF16, BF16, E4M3, "", NO, NO, NO, NO, NO, "fp8_static{scale=bf16, compute=bf16}" },
  { "precision", 23, F16, F16, E4M3, "", NO, NO, NO, F32, NO, "fp8_static{scale=f16}" },
  { "output_dtype", 21, F32, F32, 0, "", NO, NO, E4M3, NO, NO, "fp8_static" },
  { "fp8 channel", 21, F32, F32, E4M3, "16", 2, NO, NO, NO, NO, "fp8_channel" },
  { "int16", 21, F32, F32, S16, "", NO, NO, NO, NO, NO, "int16_static{zero_point=none}" },
  { "int4 blocks", 21, F32, F32, S4, "2,8,4", 2, 4, NO, NO, NO, "int4_block{zero_point=none, group=4}" },
  { "fp8 blocks", 21, F32, F32, 0, "2,8,4", -1, 4, E4M3, NO, NO, "fp8_block{group=4}" },
  { "fp4 blocks", 23, F32, F32, 0, "2,8,1", -1, 16, E2M1, NO, NO, "fp4_block{group=16}" },
  { "block of one", 21, F32, F32, 0, "2,8,4", -1, 70000, E4M3, NO, NO, "extern" },
  { "no such type", 25, F32, F32, 0, "", NO, NO, U2, NO, NO, "extern" },
};

static void build(builder *b, const quantize_case *c) {
  static const uint8_t zeros[64];
  builder_init(b, c->opset);
  builder_input(b, "x", c->x, "2,8,16");
  builder_input(b, "s", c->scale, c->scale_dims);
  bool packed = c->zero_point == S4;
  size_t size = c->zero_point == S16 ? 2 : 1;
  size_t count = strcmp(c->scale_dims, "8") == 0 ? 8 : strcmp(c->scale_dims, "16") == 0 ? 16 : packed ? 32 : 1;
  if (c->zero_point) builder_initializer(b, "z", c->zero_point, c->scale_dims, zeros, count * size);
  pb_node *node = builder_node(b, "QuantizeLinear", c->zero_point ? "x,s,z" : "x,s", "out");
  if (c->axis != NO) builder_int(b, node, "axis", c->axis);
  if (c->block_size != NO) builder_int(b, node, "block_size", c->block_size);
  if (c->output_dtype != NO) builder_int(b, node, "output_dtype", c->output_dtype);
  if (c->precision != NO) builder_int(b, node, "precision", c->precision);
  if (c->saturate != NO) builder_int(b, node, "saturate", c->saturate);
  builder_output(b, "out", 0, NULL);
  b->graph.output[0]->type = NULL;
}

Test(onnx_quantize, schemes) {
  for (size_t i = 0; i < QN_COUNT(cases); i++) {
    builder b;
    build(&b, &cases[i]);
    qn_onnx_model *model = builder_read(&b);
    qn_graph *graph = qn_onnx_model_get_graph(model);
    qn_node node = qn_value_get_node(graph, value_of(graph, "out"));
    char text[QN_SCHEME_TEXT_MAX] = "extern";
    if (qn_node_get_op(graph, node) == QN_OP_quantize) {
      qn_scheme scheme = qn_node_get_scheme(graph, node, "scheme");
      qn_scheme_format(&scheme, text);
    }
    cr_expect_str_eq(text, cases[i].expect, "%s: %s", cases[i].label, text);
    qn_onnx_model_destroy(model);
    builder_done(&b);
  }
}

static uint32_t operands_with_zero_point(int type, uint8_t byte, const char *scheme) {
  builder b;
  builder_init(&b, 19);
  builder_input(&b, "x", F32, "2,4");
  builder_scalar(&b, "s", 0.5f);
  builder_initializer(&b, "z", type, "", &byte, 1);
  builder_node(&b, "QuantizeLinear", "x,s,z", "out");
  builder_output(&b, "out", type, "2,4");
  qn_onnx_model *model = builder_read(&b);
  qn_node node = find_op(model->graph, QN_OP_quantize);
  qn_scheme got = qn_node_get_scheme(model->graph, node, "scheme");
  char text[QN_SCHEME_TEXT_MAX];
  qn_scheme_format(&got, text);
  cr_expect_str_eq(text, scheme, "%s", text);
  uint32_t count = 0;
  for (uint32_t i = 0; i < 3; i++) count += qn_node_get_operand(model->graph, node, i) != QN_NONE;
  qn_onnx_model_destroy(model);
  builder_done(&b);
  return count;
}

Test(onnx_quantize, zero_points_of_zero_go_and_others_stay) {
  cr_expect_eq(operands_with_zero_point(E4M3, 0, "fp8_static"), 2);
  cr_expect_eq(operands_with_zero_point(E4M3, 0x38, "fp8_static{zero_point=after}"), 3);
  cr_expect_eq(operands_with_zero_point(E4M3, 0x80, "fp8_static{zero_point=after}"), 3);
  cr_expect_eq(operands_with_zero_point(S8, 0, "int8_static{zero_point=none}"), 2);
  cr_expect_eq(operands_with_zero_point(S8, 3, "int8_static"), 3);
}

Test(onnx_quantize, zero_point_behind_a_cast_goes_and_tells_the_type) {
  builder b;
  builder_init(&b, 19);
  builder_input(&b, "x", F32, "2,4");
  builder_scalar(&b, "s", 0.5f);
  builder_scalar(&b, "zf", 0);
  builder_int(&b, builder_node(&b, "Cast", "zf", "z"), "to", E4M3);
  builder_node(&b, "QuantizeLinear", "x,s,z", "out");
  builder_output(&b, "out", E4M3, "2,4");
  qn_onnx_model *model = builder_read(&b);
  qn_node node = find_op(model->graph, QN_OP_quantize);
  cr_expect_eq(qn_node_get_operand(model->graph, node, 2), QN_NONE);
  qn_scheme scheme = qn_node_get_scheme(model->graph, node, "scheme");
  cr_expect_eq(scheme.family, QN_SCHEME_fp8_static);
  qn_onnx_model_destroy(model);
  builder_done(&b);
}

Test(onnx_quantize, other_addresses_of_the_same_operation) {
  static const char *const ops[] = { "com.microsoft::QuantizeLinear", "trt::QuantizeLinear" };
  for (size_t i = 0; i < QN_COUNT(ops); i++) {
    builder b;
    builder_init(&b, 17);
    builder_import(&b, "com.microsoft", 1);
    builder_import(&b, "trt", 1);
    builder_input(&b, "x", F32, "2,4");
    builder_scalar(&b, "s", 0.5f);
    builder_initializer(&b, "z", E4M3, "", "\0", 1);
    builder_node(&b, ops[i], "x,s,z", "out");
    builder_declare(&b, "out", U8, "a,b"); // what TensorRT's exporter says of its FP8 tensors
    builder_output(&b, "out", U8, NULL);
    qn_onnx_model *model = builder_read(&b);
    cr_expect_str_eq(type_text(model->graph, value_of(model->graph, "out")), "e4m3[2,4]", "%s", ops[i]);
    qn_onnx_model_destroy(model);
    builder_done(&b);
  }
}

Test(onnx_quantize, dequantize) {
  static const struct {
    int codes, scale;
    int64_t output;
    const char *scheme, *type;
  } rows[] = {
    { E4M3, F32, NO, "fp8_static", "f32[2,4]" },
    { E4M3, F16, NO, "fp8_static{scale=f16, compute=f16}", "f16[2,4]" },
    { S8, F32, F16, "int8_static{zero_point=none}", "f16[2,4]" },
    { S32, F32, NO, "int8_static{target=s32, zero_point=none}", "f32[2,4]" },
  };
  for (size_t i = 0; i < QN_COUNT(rows); i++) {
    builder b;
    builder_init(&b, 23);
    builder_input(&b, "x", rows[i].codes, "2,4");
    builder_input(&b, "s", rows[i].scale, "");
    pb_node *node = builder_node(&b, "DequantizeLinear", "x,s", "out");
    if (rows[i].output != NO) builder_int(&b, node, "output_dtype", rows[i].output);
    builder_output(&b, "out", 0, NULL);
    b.graph.output[0]->type = NULL;
    qn_onnx_model *model = builder_read(&b);
    qn_node made = find_op(model->graph, QN_OP_dequantize);
    cr_assert_neq(made, QN_NONE);
    qn_scheme scheme = qn_node_get_scheme(model->graph, made, "scheme");
    char text[QN_SCHEME_TEXT_MAX];
    qn_scheme_format(&scheme, text);
    cr_expect_str_eq(text, rows[i].scheme, "%s", text);
    cr_expect_str_eq(type_text(model->graph, value_of(model->graph, "out")), rows[i].type);
    qn_onnx_model_destroy(model);
    builder_done(&b);
  }
}

Test(onnx_quantize, dynamic) {
  builder b;
  builder_init(&b, 13);
  builder_input(&b, "x", F32, "2,4");
  builder_node(&b, "DynamicQuantizeLinear", "x", "y,s,z");
  builder_output(&b, "y", U8, "2,4");
  builder_output(&b, "s", F32, "");
  qn_onnx_model *model = builder_read(&b);
  qn_node node = find_op(model->graph, QN_OP_quantize);
  cr_expect_eq(qn_node_get_scheme(model->graph, node, "scheme").dynamic, 1);
  cr_expect_eq(qn_node_get_result(model->graph, node, 1), value_of(model->graph, "s"));
  qn_onnx_model_destroy(model);
  builder_done(&b);
}
