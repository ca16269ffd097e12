// Graphs with quantize nodes on a device: operands and results of every kind of scheme, and the attention whose
// fusion was refused. All bytes are those of the reference executor. In the suite `runner_quantize` the device
// is a loop of C (host_device.h); in `runner_quantize_emulator` kernels are real.
#include "tests/runtime/emulated.h"
#include "tests/runtime/graph_inputs.h"
#include "tests/runtime/host_device.h"

#include <criterion/criterion.h>
#include <stdio.h>

static qn_context *context;
static qn_compiler *compiler;
static host_device host;
static qn_device *device;

static void set_up(void) {
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  cr_assert_eq(
      qn_compiler_create(
          context, qn_compiler_params(.nvrtc_path = FAKE_DIR "/libfake_nvrtc.so", .cache_dir = ""), &compiler),
      QN_OK);
  host_device_open(&host, context, 90);
  device = &host.base;
}
static void tear_down(void) {
  cr_assert_eq(host.blocks, 0, "%d blocks of device memory are left", host.blocks);
  qn_compiler_destroy(compiler);
  host_device_close(&host);
  qn_context_destroy(context);
}
TestSuite(runner_quantize, .init = set_up, .fini = tear_down);

static void set_up_emulator(void) {
  emulated_open(&context, &compiler, &device);
}
static void tear_down_emulator(void) {
  qn_device_destroy(device);
  qn_compiler_destroy(compiler);
  qn_context_destroy(context);
}
TestSuite(runner_quantize_emulator, .init = set_up_emulator, .fini = tear_down_emulator, .timeout = 120);

static qn_results *run_on_device(qn_runner *runner, const graph_inputs *inputs) {
  qn_results *results;
  qn_reference_params params = { .inputs = inputs->tensors, .input_count = inputs->count };
  cr_assert_eq(qn_runner_run(runner, &params, &results), QN_OK, "%s", qn_context_get_error(context)->message);
  return results;
}

static qn_runner *create(const qn_graph *graph) {
  qn_runner *runner;
  cr_assert_eq(qn_runner_create(graph, compiler, device, &runner), QN_OK, "%s",
               qn_context_get_error(context)->message);
  return runner;
}

// The graph on the reference executor, compared with results from `first` on.
static void assert_same_as_reference(const qn_graph *graph, const qn_tensor *inputs, uint32_t input_count,
                                     const qn_results *found, uint32_t first, const char *text) {
  qn_results *wanted;
  qn_reference_params params = { .inputs = inputs, .input_count = input_count };
  cr_assert_eq(qn_reference_run(graph, &params, &wanted), QN_OK, "%s\n%s",
               qn_context_get_error(context)->message, text);
  cr_assert_eq(qn_results_get_count(found), first + qn_results_get_count(wanted));
  for (uint32_t i = 0; i < qn_results_get_count(wanted); i++) {
    const qn_tensor *a = qn_results_get(found, first + i), *b = qn_results_get(wanted, i);
    cr_assert_eq(a->dtype, b->dtype, "%s", text);
    cr_assert_eq(a->rank, b->rank, "%s", text);
    cr_assert_arr_eq(a->dims, b->dims, (size_t)b->rank * sizeof *b->dims, "%s", text);
    cr_assert_eq(a->bytes, b->bytes);
    cr_assert_arr_eq(a->data, b->data, b->bytes, "result %u\n%s", i, text);
  }
  qn_results_destroy(wanted);
}

// --- schemes -----------------------------------------------------------------------------------------------

// Every family with a kernel, each layout of scales, each operand, x of several ranks.
static const struct {
  const char *inputs, *operands, *results, *scheme;
} cases[] = {
  { "x: f16[B,T,64]", "x", "y", "fp8_cast" },
  { "x: f32[64], s: f32[]", "x, s", "y", "fp8_static" },
  { "x: bf16[B,4,T,64], s: bf16[64]", "x, s", "y", "fp8_channel{scale=bf16}" },
  { "x: bf16[B,T,3,64], s: f32[64], z: s8[64]", "x, s, z", "y", "int8_channel{axis=3}" },
  { "x: f16[T,72], s: f32[1], z: u8[]", "x, s, z", "y", "int8_static{target=u8}" },
  { "x: f16[T,64], s: f32[]", "x, s", "y", "int8_static" },
  { "x: bf16[B,T,256]", "x", "y, b", "fp8_token" },
  { "x: bf16[T,256], u: f32[]", "x, _, _, _, u", "y, b", "fp8_token" },
  { "x: bf16[B,T,256], p: f32[256]", "x, _, _, p", "y, b", "int8_token{round=bf16}" },
  { "x: f16[B,T,64]", "x", "y, b, z", "int8_token_zp" },
  { "x: bf16[256]", "x", "y, b, z", "int8_token_zp" },
  { "x: bf16[B,T,256]", "x", "y, b", "fp8_group" },
  { "x: bf16[B,T,256]", "x", "y", "fp8_group" },
  { "x: f32[B,T,4,64]", "x", "y, b", "fp8_group{group=32, scale_layout=column}" },
  { "x: bf16[T,256]", "x", "y, b", "fp8_group{group=32, scale_layout=tma_aligned}" },
  { "x: bf16[B,T,256]", "x", "y, b", "mxfp8{scale_layout=packed}" },
  { "x: f16[B,T,64]", "x", "y, b", "mxfp8{axis=2}" },
  { "x: bf16[B,T,256], g: f32[]", "x, g", "y, b", "nvfp4" },
  { "x: f16[T,64], g: f32[1], p: f16[64]", "x, g, _, p", "y, b", "nvfp4{scale_layout=row}" },
  { "x: bf16[B,T,96]", "x", "y, b", "mxfp4" },
  { "x: bf16[B,T,96]", "x", "y, b", "mxfp4{pad=128, scale_layout=swizzled}" },
};

static void check_case(size_t i) {
  char text[512];
  snprintf(text, sizeof text, "graph (%s) {\n  %s = quantize(%s)[scheme=%s]\n  return %s\n}\n", cases[i].inputs,
           cases[i].results, cases[i].operands, cases[i].scheme, cases[i].results);
  qn_graph *graph = graph_of_text(context, text);
  graph_inputs inputs = graph_inputs_make(graph);
  qn_runner *runner = create(graph);
  qn_results *found = run_on_device(runner, &inputs);
  cr_assert_eq(qn_runner_get_node_count(runner), 1);
  const qn_runner_node *node = qn_runner_get_node(runner, 0);
  cr_assert(node->on_device, "expected %s, found %s\n%s", node->reason.expected, node->reason.found, text);
  cr_assert_eq(qn_kernel_get_spec(node->kernel)->schedule, QN_SCHEDULE_quantize);
  assert_same_as_reference(graph, inputs.tensors, inputs.count, found, 0, text);
  qn_results_destroy(found);
  qn_runner_destroy(runner);
  graph_inputs_free(&inputs);
  qn_graph_destroy(graph);
}

Test(runner_quantize, every_scheme_has_its_bytes) {
  for (size_t i = 0; i < QN_COUNT(cases); i++) check_case(i);
  cr_assert_eq(host.launches, QN_COUNT(cases));
}
Test(runner_quantize_emulator, every_scheme_has_its_bytes) {
  for (size_t i = 0; i < QN_COUNT(cases); i++) check_case(i);
}

// --- what was not fused ------------------------------------------------------------------------------------

static bool refuse(const void *user, const qn_graph *graph, qn_node attention, const qn_scheme *output,
                   qn_reason *out_reason) {
  (void)user, (void)graph, (void)attention, (void)output;
  *out_reason = (qn_reason){ .why = QN_WHY_scheme, .expected = "another", .found = "this" };
  return false;
}

// The codes are those of what the device's attention has returned.
static void check_unfused(void) {
  qn_graph *graph = graph_of_text(
      context, "graph (q: bf16[B,T,4,64], k: bf16[B,N,2,64], v: bf16[B,N,2,64]) {\n"
               "  o: bf16[B,T,256] = attention(q, k, v)[q_layout=bshd, k_layout=bshd, v_layout=bshd, "
               "out_layout=bsm]\n  y, b, z = quantize(o)[scheme=int8_token_zp]\n  return o, y, b, z\n}\n");
  const char *quantizer = "graph (o: bf16[B,T,256]) {\n  y, b, z = quantize(o)[scheme=int8_token_zp]\n"
                          "  return y, b, z\n}\n";
  qn_graph *alone = graph_of_text(context, quantizer);
  qn_pipeline *pipeline;
  cr_assert_eq(qn_pipeline_run(graph, qn_pipeline_params(.legality = { .fuses = refuse }), &pipeline), QN_OK);
  graph_inputs inputs = graph_inputs_make(graph);
  qn_runner *runner = create(graph);
  cr_assert_eq(qn_runner_get_node_count(runner), 2);
  qn_results *found = run_on_device(runner, &inputs);
  for (uint32_t i = 0; i < 2; i++) {
    const qn_runner_node *node = qn_runner_get_node(runner, i);
    cr_expect_eq(qn_node_get_op(graph, node->node), i ? QN_OP_quantize : QN_OP_attention);
    cr_expect(node->on_device, "%s", node->reason.found);
    cr_expect_gt(node->counters.blocks, 0);
  }
  assert_same_as_reference(alone, qn_results_get(found, 0), 1, found, 1, quantizer);
  qn_results_destroy(found);
  qn_runner_destroy(runner);
  graph_inputs_free(&inputs);
  qn_pipeline_destroy(pipeline);
  qn_graph_destroy(alone);
  qn_graph_destroy(graph);
}

Test(runner_quantize, a_refused_fusion_is_two_launches) {
  check_unfused();
  cr_assert_eq(host.launches, 2);
}
Test(runner_quantize_emulator, a_refused_fusion_is_two_launches) {
  check_unfused();
}

// --- what has no kernel ------------------------------------------------------------------------------------

Test(runner_quantize, what_has_no_kernel_runs_on_the_reference_executor) {
  static const struct {
    const char *inputs, *line, *found;
    qn_why why;
  } refused[] = {
    { "x: f64[T,64], s: f64[]", "y = quantize(x, s)[scheme=fp8_static{scale=f64}]", "f64", QN_WHY_dtype },
    { "x: f16[T,12], s: f32[]", "y = quantize(x, s)[scheme=fp8_static]", "1 heads of 12 f16", QN_WHY_head_dim },
    { "x: f16[T,N], s: f32[]", "y = quantize(x, s)[scheme=fp8_static]", "another", QN_WHY_unknown_shape },
    { "x: f16[4,64], s: f32[4]", "y = quantize(x, s)[scheme=fp8_channel{axis=0}]", "axis 0",
      QN_WHY_granularity },
    { "x: f16[T,64], s: bf16[]", "y = quantize(x, s)[scheme=fp8_static]", "bf16", QN_WHY_scale_type },
    { "x: f16[T,64], s: f32[N]", "y = quantize(x, s)[scheme=fp8_channel]", "an unknown number",
      QN_WHY_scale_length },
    { "x: f16[T,64]", "y, b = quantize(x)[scheme=fp8_dynamic]", "fp8_dynamic", QN_WHY_dynamic_scale },
  };
  for (size_t i = 0; i < QN_COUNT(refused); i++) {
    char text[512];
    snprintf(text, sizeof text, "graph (%s) {\n  %s\n  return y\n}\n", refused[i].inputs, refused[i].line);
    qn_graph *graph = graph_of_text(context, text);
    qn_runner *runner = create(graph);
    const qn_runner_node *node = qn_runner_get_node(runner, 0);
    cr_expect_null(node->kernel);
    cr_expect_not(node->on_device);
    cr_expect_eq(node->reason.why, refused[i].why, "%s\n%s", qn_why_name(node->reason.why), text);
    cr_expect_str_eq(node->reason.found, refused[i].found, "%s\n%s", node->reason.found, text);
    qn_runner_destroy(runner);
    qn_graph_destroy(graph);
  }
}

// Without tokens there is nothing to launch; a failure is told with the node.
Test(runner_quantize, no_tokens_and_failures) {
  qn_graph *graph = graph_of_text(
      context, "graph (x: bf16[B,T,64]) {\n  y, b = quantize(x)[scheme=fp8_token]\n  return y, b\n}\n");
  graph_inputs inputs = graph_inputs_make(graph);
  qn_runner *runner = create(graph);
  qn_results *results;
  qn_reference_params params = { .inputs = inputs.tensors, .input_count = 1 };
  host.fail = "launch";
  cr_assert_eq(qn_runner_run(runner, &params, &results), QN_UNAVAILABLE);
  cr_assert_not_null(strstr(qn_context_get_error(context)->place, "quantize 'y'"), "%s",
                     qn_context_get_error(context)->place);
  inputs.tensors[0].dims[1] = 0;
  inputs.tensors[0].bytes = 0;
  qn_results *found = run_on_device(runner, &inputs);
  cr_assert_eq(host.launches, 0);
  assert_same_as_reference(graph, inputs.tensors, 1, found, 0, "no tokens");
  qn_results_destroy(found);
  qn_runner_destroy(runner);
  graph_inputs_free(&inputs);
  qn_graph_destroy(graph);
}
