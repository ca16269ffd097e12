// The spec of a quantize node.

#include "ir/base_priv.h"

#include <criterion/criterion.h>
#include <quench/quench.h>
#include <string.h>

static qn_context *context;
static qn_graph *graph;
static qn_kernel_spec spec;
static qn_reason reason;

static void set_up(void) {
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  graph = NULL;
}
static void tear_down(void) {
  qn_graph_destroy(graph);
  qn_context_destroy(context);
}

TestSuite(spec_from_quantize, .init = set_up, .fini = tear_down);

// What is said of the last node of a graph with these inputs and this line.
static qn_status read(const char *inputs, const char *line) {
  qn_buf text = QN_BUF(context);
  qn_buf_printf(&text, "graph \"g\" (%s) {\n%s\nreturn y\n}\n", inputs, line);
  cr_assert_eq(qn_graph_read_text(context, "test", text.text, text.length, &graph), QN_OK, "%s",
               qn_context_get_error(context)->message);
  qn_buf_free(&text);
  return qn_kernel_spec_from_quantize(graph, qn_graph_get_last(graph), QN_TARGET_sm_90a, &spec, &reason);
}

static void refuses(const char *inputs, const char *line, const char *why) {
  cr_assert_eq(read(inputs, line), QN_UNSUPPORTED, "%s", line);
  cr_expect_str_eq(qn_why_name(reason.why), why, "%s: expected %s, found %s", line, reason.expected,
                   reason.found);
}

Test(spec_from_quantize, tokens_are_as_wide_as_the_last_axis) {
  char name[128];
  cr_assert_eq(read("x: bf16[B,T,5120]", "y, s = quantize(x)[scheme=fp8_token]"), QN_OK, "%s",
               qn_context_get_error(context)->message);
  cr_expect_eq(spec.schedule, QN_SCHEDULE_quantize);
  cr_expect_eq(spec.out_dtype, QN_BF16);
  cr_expect_eq(spec.heads, 1);
  cr_expect_eq(spec.v_head_dim, 5120);
  cr_expect_eq(spec.output.family, QN_SCHEME_fp8_token);
  qn_kernel_format_name(&spec, name);
  cr_expect_str_eq(name, "qn_quantize_bf16_d5120_h1_fp8_token");
}

Test(spec_from_quantize, operands) {
  cr_assert_eq(read("x: f16[T,64], p: bf16[64], b: f32[]", "y, s = quantize(x, _, _, p, b)[scheme=fp8_token]"),
               QN_OK, "%s", qn_context_get_error(context)->message);
  cr_expect_eq(spec.pre_scale_dtype, QN_BF16);
  cr_expect(spec.scale_bound);
}

Test(spec_from_quantize, channels) {
  cr_expect_eq(read("x: f32[T,64], s: f32[64]", "y = quantize(x, s)[scheme=fp8_channel]"), QN_OK, "%s",
               qn_context_get_error(context)->message);
}

Test(spec_from_quantize, the_last_axis_by_its_number) {
  cr_assert_eq(read("x: f32[B,T,64], s: f32[64]", "y = quantize(x, s)[scheme=fp8_channel{axis=2}]"), QN_OK,
               "%s", qn_context_get_error(context)->message);
  cr_expect_eq(spec.output.axis, -1);
}

// A zero point that is not given is 0.
Test(spec_from_quantize, zero_points) {
  cr_assert_eq(read("x: f16[T,64], s: f32[]", "y = quantize(x, s)[scheme=int8_static]"), QN_OK, "%s",
               qn_context_get_error(context)->message);
  cr_expect_eq(spec.output.zero_point, QN_ZERO_POINT_NONE);
  qn_graph_destroy(graph);
  cr_assert_eq(read("x: f16[T,64], s: f32[], z: s8[]", "y = quantize(x, s, z)[scheme=int8_static]"), QN_OK,
               "%s", qn_context_get_error(context)->message);
  cr_expect_eq(spec.output.zero_point, QN_ZERO_POINT_AFTER);
  qn_graph_destroy(graph);
  refuses("x: f16[T,64], s: f32[], z: s8[3]", "y = quantize(x, s, z)[scheme=int8_static]", "scale_length");
  cr_expect_str_eq(reason.expected, "zero_point of one element");
}

Test(spec_from_quantize, another_axis) {
  refuses("x: f32[32,64], s: f32[32]", "y = quantize(x, s)[scheme=fp8_channel{axis=0}]", "granularity");
}

Test(spec_from_quantize, another_type) {
  refuses("x: f64[T,64], s: f32[]", "y = quantize(x, s)[scheme=fp8_static]", "dtype");
  cr_expect_str_eq(reason.expected, "x in f16, bf16 or f32");
}

Test(spec_from_quantize, unknown_width) {
  refuses("x: f32[T,N], s: f32[]", "y = quantize(x, s)[scheme=fp8_static]", "unknown_shape");
}

Test(spec_from_quantize, width_of_half_a_chunk) {
  refuses("x: bf16[T,12], s: f32[]", "y = quantize(x, s)[scheme=fp8_static]", "head_dim");
}

Test(spec_from_quantize, pre_scale_of_another_length) {
  refuses("x: f16[T,64], p: bf16[1]", "y, s = quantize(x, _, _, p)[scheme=fp8_token]", "scale_length");
}

Test(spec_from_quantize, scale_of_the_whole_tensor) {
  refuses("x: f16[T,64]", "y, s = quantize(x)[scheme=fp8_dynamic]", "dynamic_scale");
}

Test(spec_from_quantize, another_operation) {
  refuses("x: f16[T,64]", "y = relu(x)", "op");
}
