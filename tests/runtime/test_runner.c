// Whole graphs with attention on a device: what is uploaded where, what falls back, what is said when something
// fails. In the suite `runner` the device is a loop of C (host_device.h) and NVRTC an imitation; in
// `runner_emulator` both are real. The oracle is the reference executor.
#include "quant/elements_priv.h"
#include "tests/runtime/emulated.h"
#include "tests/runtime/graph_inputs.h"
#include "tests/runtime/host_device.h"
#include "tests/runtime/scratch.h"

#include <criterion/criterion.h>
#include <quench/quench.h>

static qn_context *context;
static qn_compiler *compiler;
static qn_graph *graph;
static host_device device;
static qn_device *emulator; // NULL in the suite `runner`
static scratch folder;
static char log_path[300];
static graph_inputs inputs;

static void set_up(void) {
  folder = scratch_create();
  snprintf(log_path, sizeof log_path, "%s/log", folder.path);
  setenv("FAKE_NVRTC_LOG", log_path, 1);
  unsetenv("FAKE_NVRTC_FAIL");
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  cr_assert_eq(
      qn_compiler_create(
          context, qn_compiler_params(.nvrtc_path = FAKE_DIR "/libfake_nvrtc.so", .cache_dir = ""), &compiler),
      QN_OK);
  host_device_open(&device, context, 90);
  emulator = NULL;
  graph = NULL;
}

static void tear_down(void) {
  cr_assert_eq(device.blocks, 0, "%d blocks of device memory are left", device.blocks);
  cr_assert_eq(device.loaded, 0, "%d kernels are left on the device", device.loaded);
  graph_inputs_free(&inputs);
  qn_graph_destroy(graph);
  qn_compiler_destroy(compiler);
  host_device_close(&device);
  qn_context_destroy(context);
  scratch_remove(folder.path);
}

TestSuite(runner, .init = set_up, .fini = tear_down);

static void set_up_emulator(void) {
  emulated_open(&context, &compiler, &emulator);
}

static void tear_down_emulator(void) {
  qn_device_destroy(emulator);
  qn_compiler_destroy(compiler);
  qn_context_destroy(context);
}

TestSuite(runner_emulator, .init = set_up_emulator, .fini = tear_down_emulator, .timeout = 120);

static qn_device *device_of_suite(void) {
  return emulator ? emulator : &device.base;
}

// --- graphs and their inputs -------------------------------------------------------------------------------

static void read_graph(const char *text) {
  graph = graph_of_text(context, text);
}

static void fill_inputs(void) {
  inputs = graph_inputs_make(graph);
}

static qn_reference_params params_of(void) {
  return (qn_reference_params){ .inputs = inputs.tensors, .input_count = inputs.count };
}

static qn_runner *create(void) {
  qn_runner *runner;
  qn_status status = qn_runner_create(graph, compiler, device_of_suite(), &runner);
  cr_assert_eq(status, QN_OK, "%s", qn_context_get_error(context)->message);
  return runner;
}

// One rounding apart at most, and codes where a rounding to 16 bits falls on the other side of one to FP8,
// whose steps are 16 and more times as long.
static void assert_close(const qn_tensor *found, const qn_tensor *wanted, const char *text) {
  qn_difference difference;
  cr_assert_eq(found->dtype, wanted->dtype);
  cr_assert_eq(qn_tensor_compare(context, found, wanted, &difference), QN_OK, "shapes differ\n%s", text);
  cr_assert_gt(difference.count, 0);
  bool codes = qn_dtype_bits(found->dtype) == 8;
  cr_assert(codes ? difference.different * 16 <= difference.count : difference.max_rel < 0.004,
            "%llu of %llu differ, by up to %g of the largest\n%s", (unsigned long long)difference.different,
            (unsigned long long)difference.count, difference.max_rel, text);
}

// Runs the text on the device and on the reference executor; `launches` of its attentions go to the device.
static void check(const char *text, int launches) {
  qn_results *found, *wanted;
  qn_reference_params params;
  read_graph(text);
  fill_inputs();
  params = params_of();
  qn_runner *runner = create();
  qn_status status = qn_runner_run(runner, &params, &found);
  cr_assert_eq(status, QN_OK, "%s\n%s", qn_context_get_error(context)->message, text);
  cr_assert_eq(qn_reference_run(graph, &params, &wanted), QN_OK, "%s\n%s",
               qn_context_get_error(context)->message, text);
  int launched = 0;
  for (uint32_t i = 0; i < qn_runner_get_node_count(runner); i++)
    launched += qn_runner_get_node(runner, i)->on_device;
  cr_assert_eq(launched, launches, "%d launches: %s\n%s", launched, qn_runner_get_node(runner, 0)->reason.found,
               text);
  if (!emulator) cr_assert_eq(device.launches, launches);
  device.launches = 0;
  for (uint32_t i = 0; i < qn_results_get_count(found); i++)
    assert_close(qn_results_get(found, i), qn_results_get(wanted, i), text);
  qn_results_destroy(found);
  qn_results_destroy(wanted);
  qn_runner_destroy(runner);
  graph_inputs_free(&inputs);
  qn_graph_destroy(graph);
  graph = NULL;
}

// --- what goes to the device -------------------------------------------------------------------------------

// Each operand and the result in each layout.
static void check_layouts(void) {
  static const struct {
    const char *name, *q, *k, *out; // shapes for 4 heads on 2
  } layouts[] = { { "bhsd", "[B,4,T,64]", "[B,2,N,64]", "[B,4,T,64]" },
                  { "bshd", "[B,T,4,64]", "[B,N,2,64]", "[B,T,4,64]" },
                  { "bsm", "[B,T,256]", "[B,N,128]", "[B,T,256]" },
                  { "tm", NULL, NULL, "[B*T,256]" } };
  for (size_t i = 0; i < 3 * 3 * 3 * 4; i++) {
    size_t q = i % 3, k = i / 3 % 3, v = i / 9 % 3, out = i / 27;
    char text[1024];
    snprintf(text, sizeof text,
             "graph (q: f16%s, k: f16%s, v: f16%s) {\n  o: f16%s = attention(q, k, v)[heads=4, kv_heads=2, "
             "q_layout=%s, "
             "k_layout=%s, v_layout=%s, out_layout=%s, causal=bottom_right]\n  return o\n}\n",
             layouts[q].q, layouts[k].k, layouts[v].k, layouts[out].out, layouts[q].name, layouts[k].name,
             layouts[v].name, layouts[out].name);
    check(text, 1);
  }
}

static void check_masks(void) {
  static const char *const masks[] = { "f16[N]",     "f16[T,N]",      "f16[1,N]",      "f32[1,1,T,N]",
                                       "f16[4,T,N]", "f16[B,1,1,N]",  "f16[B,4,T,N]",  "bool[T,N]",
                                       "bool[N]",    "bool[B,1,T,N]", "bool[1,4,1,N]", "f32[B,4,1,N]" };
  for (size_t i = 0; i < QN_COUNT(masks); i++) {
    char text[512];
    snprintf(text, sizeof text,
             "graph (q: f16[B,4,T,64], k: f16[B,4,N,64], v: f16[B,4,N,64], m: %s) {\n"
             "  o: f16[B,4,T,64] = attention(q, k, v, m)\n  return o\n}\n",
             masks[i]);
    check(text, 1);
  }
}

static void check_codes(void) {
  static const char *const schemes[] = { "fp8_static", "fp8_static{target=e5m2}" };
  for (size_t i = 0; i < QN_COUNT(schemes); i++) {
    char text[512];
    snprintf(
        text, sizeof text,
        "graph (q: bf16[B,4,T,128], k: bf16[B,4,N,128], v: bf16[B,4,N,128], s: f32[]) {\n  o: %s[B,T,512] = "
        "attention(q, k, v, _, _, _, _, s)[out_layout=bsm, output=%s]\n  return o\n}\n",
        i ? "e5m2" : "e4m3", schemes[i]);
    check(text, 1);
  }
}

Test(runner, takes_every_layout) {
  check_layouts();
}
Test(runner, masks_broadcast) {
  check_masks();
}
Test(runner, codes_leave_the_device) {
  check_codes();
}
Test(runner_emulator, takes_every_layout) {
  check_layouts();
}
Test(runner_emulator, masks_broadcast) {
  check_masks();
}
Test(runner_emulator, codes_leave_the_device) {
  check_codes();
}

// What stands beside q, k, v and a mask. `kv_lengths` counts keys, so queries stand at their end.
Test(runner_emulator, vectors_reach_the_kernel) {
  static const struct {
    const char *inputs, *operands, *attributes;
  } cases[] = {
    { "n: s32[B]", "_, _, _, n", "[causal=bottom_right]" },
    { "n: s64[B]", "_, _, _, n", "[window_left=2]" },
    { "x: f32[4]", "_, _, _, _, _, x", "[softcap=5]" },
    { "x: f16[4]", "_, _, _, _, _, x", "[causal=top_left]" },
    { "x: f32[4]", "_, _, _, _, _, _, x", "[causal=bottom_right, window_left=4]" },
    { "x: f32[4], n: s32[B], m: f16[T,N]", "m, _, _, n, _, x, x", "" },
  };
  for (size_t i = 0; i < QN_COUNT(cases); i++) {
    char text[1024];
    snprintf(text, sizeof text,
             "graph (q: f16[B,4,T,64], k: f16[B,2,N,64], v: f16[B,2,N,64], %s) {\n"
             "  o: f16[B,4,T,64] = attention(q, k, v, %s)%s\n  return o\n}\n",
             cases[i].inputs, cases[i].operands, cases[i].attributes);
    check(text, 1);
  }
}

Test(runner_emulator, sequences_that_lie_end_to_end) {
  static const char *const types[] = { "s32", "s64" };
  for (size_t i = 0; i < QN_COUNT(types); i++) {
    char text[1024];
    snprintf(text, sizeof text,
             "graph (q: f16[T,4,64], k: f16[N,128], v: f16[N,2,64], cq: %s[4], ck: %s[4]) {\n  o: f16[T,256] = "
             "attention(q, k, v, _, _, _, _, _, _, _, cq, ck)[heads=4, kv_heads=2, q_layout=thd, k_layout=tm, "
             "v_layout=thd, out_layout=tm, causal=bottom_right]\n  return o\n}\n",
             types[i], types[i]);
    check(text, 1);
  }
}

// Lengths are read on the way to the device: those that lead beyond the operands go no further.
Test(runner_emulator, lengths_that_lead_outside_are_refused) {
  static const struct {
    int64_t starts[4];
    const char *found;
  } cases[] = { { { 1, 2, 2, 5 }, "cu_seqlens_q[0] is 1 after 0, of 5 tokens" },
                { { 0, 3, 2, 5 }, "cu_seqlens_q[2] is 2 after 3, of 5 tokens" },
                { { 0, 2, 2, 6 }, "cu_seqlens_q[3] is 6 after 2, of 5 tokens" },
                { { 0, 2, 2, 4 }, "cu_seqlens_q ends at 4 of 5 tokens" } };
  qn_results *results;
  read_graph(
      "graph (q: f16[T,4,64], k: f16[N,2,64], v: f16[N,2,64], cq: s32[4], ck: s32[4]) {\n  o: f16[T,4,64] = "
      "attention(q, k, v, _, _, _, _, _, _, _, cq, ck)[q_layout=thd, k_layout=thd, v_layout=thd, "
      "out_layout=thd]\n  return o\n}\n");
  fill_inputs();
  qn_reference_params params = params_of();
  qn_runner *runner = create();
  for (size_t i = 0; i < QN_COUNT(cases); i++) {
    qn_elements_store_ints(QN_S32, cases[i].starts, 4, (void *)inputs.tensors[3].data);
    cr_assert_eq(qn_runner_run(runner, &params, &results), QN_INVALID,
                 "the reference executor refuses them too");
    cr_expect_not(qn_runner_get_node(runner, 0)->on_device);
    cr_expect_str_eq(qn_runner_get_node(runner, 0)->reason.found, cases[i].found);
  }
  qn_runner_destroy(runner);
  graph_inputs_free(&inputs);
  qn_graph_destroy(graph);
}

Test(runner, the_rest_of_the_graph_runs_around_it) {
  check("graph (q: f32[B,2,T,64], k: f32[B,2,T,64], v: f32[B,2,T,64]) {\n"
        "  a: f32[B,2,T,64] = neg(q)\n  b: f32[B,2,T,64] = attention(a, k, v)\n  c: f32[B,2,T,64] = add(b, q)\n"
        "  d: f32[B,2,T,64] = attention(c, b, v)\n  return d, b\n}\n",
        2);
}

Test(runner, one_kernel_serves_alike_attentions) {
  read_graph("graph (q: f16[B,2,T,64], k: f16[B,2,T,64], v: f16[B,2,T,64]) {\n"
             "  a: f16[B,2,T,64] = attention(q, k, v)\n  b: f16[B,2,T,64] = attention(a, k, v)\n"
             "  c: f16[B,2,T,64] = attention(b, k, v)[causal=top_left]\n  return c\n}\n");
  qn_runner *runner = create();
  cr_assert_eq(qn_runner_get_node_count(runner), 3);
  const qn_kernel *a = qn_runner_get_node(runner, 0)->kernel;
  cr_assert_not_null(a);
  cr_assert_eq(qn_runner_get_node(runner, 1)->kernel, a);
  cr_assert_neq(qn_runner_get_node(runner, 2)->kernel, a);
  cr_assert_eq(qn_kernel_get_info(a)->binary, QN_PTX, "the device takes nothing else");
  cr_assert_eq(qn_kernel_get_spec(a)->target, QN_TARGET_sm_90a);
  cr_assert_eq(device.loaded, 2);
  qn_runner_destroy(runner);
  qn_runner_destroy(NULL);
}

Test(runner, counts_each_launch_by_itself) {
  qn_results *results;
  read_graph(
      "graph (q: f16[B,2,T,64], k: f16[B,2,T,64], v: f16[B,2,T,64]) {\n"
      "  a: f16[B,2,T,64] = attention(q, k, v)\n  b: f16[B,2,T,64] = attention(a, k, v)\n  return b\n}\n");
  fill_inputs();
  qn_reference_params params = params_of();
  qn_runner *runner = create();
  device.counters.blocks = 1000;
  for (int run = 0; run < 2; run++) {
    cr_assert_eq(qn_runner_run(runner, &params, &results), QN_OK);
    qn_results_destroy(results);
    for (uint32_t i = 0; i < 2; i++) cr_assert_eq(qn_runner_get_node(runner, i)->counters.blocks, 4);
  }
  qn_runner_destroy(runner);
}

Test(runner, a_batch_of_nothing_launches_nothing) {
  qn_results *results;
  read_graph("graph (q: f16[B,2,T,64], k: f16[B,2,T,64], v: f16[B,2,T,64]) {\n"
             "  a: f16[B,2,T,64] = attention(q, k, v)\n  return a\n}\n");
  fill_inputs();
  for (uint32_t i = 0; i < 3; i++) inputs.tensors[i].dims[0] = 0, inputs.tensors[i].bytes = 0;
  qn_reference_params params = params_of();
  qn_runner *runner = create();
  cr_assert_eq(qn_runner_run(runner, &params, &results), QN_OK, "%s", qn_context_get_error(context)->message);
  cr_assert_eq(device.launches, 0);
  cr_assert_eq(qn_results_get(results, 0)->dims[0], 0);
  qn_results_destroy(results);
  qn_runner_destroy(runner);
}

// --- what does not -----------------------------------------------------------------------------------------

Test(runner, what_has_no_kernel_runs_on_the_reference_executor) {
  static const struct {
    const char *text;
    qn_why why;
  } cases[] = {
    { "graph (q: f64[B,2,T,64], k: f64[B,2,T,64], v: f64[B,2,T,64]) {\n"
      "  a: f64[B,2,T,64] = attention(q, k, v)\n  return a\n}\n",
      QN_WHY_dtype },
    { "graph (q: f16[B,2,T,64], k: f16[B,2,T,64], v: f16[B,2,T,64]) {\n"
      "  a: f16[B,2,T,64] = attention(q, k, v)[softmax_type=f16]\n  return a\n}\n",
      QN_WHY_softmax_type },
    { "graph (q: f16[B,2,T,64], k: f16[B,2,T,64], v: f16[B,2,T,64]) {\n  a: f16[B,2,T,64], r1, r2, r3, r4, r5, "
      "s: "
      "f16[B,2,T,T] "
      "= attention(q, k, v)\n  return a, s\n}\n",
      QN_WHY_extra_result },
  };
  for (size_t i = 0; i < QN_COUNT(cases); i++) {
    read_graph(cases[i].text);
    qn_runner *runner = create();
    const qn_runner_node *attention = qn_runner_get_node(runner, 0);
    cr_assert_null(attention->kernel);
    cr_assert_not(attention->on_device);
    cr_assert_eq(attention->reason.why, cases[i].why, "%s\n%s", qn_why_name(attention->reason.why),
                 cases[i].text);
    cr_assert_str_neq(attention->reason.found, "");
    qn_runner_destroy(runner);
    qn_graph_destroy(graph);
    graph = NULL;
    check(cases[i].text, 0);
  }
}

// Whether the mask covers the keys is known at the run alone; a longer one is no kernel's, and nobody's.
Test(runner, a_short_mask_is_seen_at_the_run) {
  const char *text = "graph (q: f16[B,2,T,64], k: f16[B,2,N,64], v: f16[B,2,N,64], m: f16[T,M]) {\n"
                     "  a: f16[B,2,T,64] = attention(q, k, v, m)\n  return a\n}\n";
  check(text, 0);
  qn_results *results;
  read_graph(text);
  fill_inputs();
  qn_reference_params params = params_of();
  qn_runner *runner = create();
  const qn_runner_node *attention = qn_runner_get_node(runner, 0);
  cr_assert(attention->on_device, "before a run: what it will try");
  cr_assert_eq(qn_runner_run(runner, &params, &results), QN_OK);
  qn_results_destroy(results);
  cr_assert_not(attention->on_device);
  cr_assert_eq(attention->reason.why, QN_WHY_mask_shape);
  cr_assert_str_eq(attention->reason.found, "a mask of 3 columns for 7 keys");
  for (int i = 1; i <= 2; i++) inputs.tensors[i].dims[2] = 3, inputs.tensors[i].bytes = 2 * 2 * 3 * 64 * 2;
  cr_assert_eq(qn_runner_run(runner, &params, &results), QN_OK);
  qn_results_destroy(results);
  cr_assert(attention->on_device, "and with as many keys on the device again");
  cr_assert_eq(attention->reason.why, QN_WHY_none);
  qn_runner_destroy(runner);
}

// --- failures ----------------------------------------------------------------------------------------------

static const char small[] = "graph (q: f16[B,2,T,64], k: f16[B,2,T,64], v: f16[B,2,T,64]) {\n"
                            "  a: f16[B,2,T,64] = attention(q, k, v)\n  return a\n}\n";

static void assert_error(qn_status status, qn_status expected, const char *place, const char *words) {
  const qn_error *error = qn_context_get_error(context);
  cr_assert_eq(status, expected, "%s: %s", qn_status_name(status), error->message);
  cr_assert_not_null(strstr(error->place, place), "'%s' is not in: %s", place, error->place);
  cr_assert_not_null(strstr(error->message, words), "'%s' is not in: %s", words, error->message);
}

Test(runner, a_kernel_that_does_not_compile_is_an_error) {
  qn_runner *runner;
  read_graph(small);
  setenv("FAKE_NVRTC_FAIL", "1", 1);
  assert_error(qn_runner_create(graph, compiler, &device.base, &runner), QN_BUG, "", "planted");
}

Test(runner, no_nvrtc_is_an_error) {
  qn_runner *runner;
  qn_compiler *none;
  read_graph(small);
  cr_assert_eq(
      qn_compiler_create(context, qn_compiler_params(.nvrtc_path = "/nowhere", .cache_dir = ""), &none), QN_OK);
  assert_error(qn_runner_create(graph, none, &device.base, &runner), QN_UNAVAILABLE, "", "/nowhere");
  qn_compiler_destroy(none);
}

Test(runner, a_device_that_is_too_old_is_an_error) {
  qn_runner *runner;
  read_graph(small);
  device.base.sm = 75;
  assert_error(qn_runner_create(graph, compiler, &device.base, &runner), QN_UNSUPPORTED, "host", "7.5");
}

Test(runner, what_the_device_refuses_is_told_with_the_attention) {
  static const char *const calls[] = { "allocate", "upload", "launch", "wait", "download", "free" };
  read_graph(small);
  fill_inputs();
  qn_reference_params params = params_of();
  qn_runner *runner;
  qn_results *results;
  device.fail = "load";
  assert_error(qn_runner_create(graph, compiler, &device.base, &runner), QN_UNAVAILABLE, "host", "load");
  runner = create();
  for (size_t i = 0; i < QN_COUNT(calls); i++) {
    device.fail = calls[i];
    assert_error(qn_runner_run(runner, &params, &results), QN_UNAVAILABLE, "attention 'a'", calls[i]);
    cr_assert_eq(device.blocks, 0, "after %s", calls[i]);
  }
  cr_assert_eq(qn_runner_run(runner, &params, &results), QN_OK, "and then it runs");
  qn_results_destroy(results);
  qn_runner_destroy(runner);
}

Test(runner, params_that_it_cannot_keep_are_refused) {
  read_graph(small);
  fill_inputs();
  qn_results *results;
  qn_runner *runner = create();
  qn_reference_params params = params_of();
  params.mode = QN_REFERENCE_F64;
  assert_error(qn_runner_run(runner, &params, &results), QN_INVALID, "runner", "mode DECLARED");
  params = params_of();
  params.input_count = 2;
  assert_error(qn_runner_run(runner, &params, &results), QN_INVALID, "", "2 are given");
  params = params_of();
  cr_assert_eq(qn_graph_add_output(graph, qn_graph_get_output(graph, 0), "again"), QN_OK);
  assert_error(qn_runner_run(runner, &params, &results), QN_INVALID, "runner", "has changed");
  qn_runner_destroy(runner);
}

// --- one attention by itself -------------------------------------------------------------------------------

static qn_loaded_kernel *load_small(qn_kernel **out_kernel) {
  qn_loaded_kernel *loaded;
  cr_assert_eq(
      qn_compiler_compile_node(compiler, graph, qn_graph_get_last(graph), QN_TARGET_sm_90a, QN_PTX, out_kernel),
      QN_OK);
  cr_assert_eq(qn_device_load(&device.base, *out_kernel, &loaded), QN_OK);
  return loaded;
}

Test(runner, one_attention_by_itself) {
  read_graph(small);
  fill_inputs();
  qn_kernel *kernel;
  qn_loaded_kernel *loaded = load_small(&kernel);
  const qn_tensor *operands[] = { &inputs.tensors[0], &inputs.tensors[1], &inputs.tensors[2] };
  qn_reference_params params = params_of();
  qn_results *found, *wanted;
  cr_assert_eq(qn_run_attention(loaded, graph, qn_graph_get_last(graph), operands, 3, &found), QN_OK);
  cr_assert_eq(qn_reference_run(graph, &params, &wanted), QN_OK);
  cr_assert_eq(qn_results_get_count(found), 1);
  assert_close(qn_results_get(found, 0), qn_results_get(wanted, 0), small);
  qn_results_destroy(found);
  qn_results_destroy(wanted);
  qn_loaded_kernel_destroy(loaded);
  qn_kernel_destroy(kernel);
}

Test(runner, tensors_that_a_kernel_cannot_take_are_refused) {
  read_graph(small);
  fill_inputs();
  qn_kernel *kernel;
  qn_loaded_kernel *loaded = load_small(&kernel);
  qn_node node = qn_graph_get_last(graph);
  qn_results *results;
  qn_tensor other = inputs.tensors[1];
  const qn_tensor *operands[] = { &inputs.tensors[0], &other, &inputs.tensors[2] };
  assert_error(qn_run_attention(loaded, graph, node, operands, 2, &results), QN_INVALID, "attention", "no v");
  other.dtype = QN_BF16;
  assert_error(qn_run_attention(loaded, graph, node, operands, 3, &results), QN_INVALID, "attention",
               "k in bf16, not f16");
  other = inputs.tensors[1], other.dims[3] = 32;
  assert_error(qn_run_attention(loaded, graph, node, operands, 3, &results), QN_INVALID, "attention",
               "k as [2,2,5,32]");
  other = inputs.tensors[1], other.rank = 3;
  assert_error(qn_run_attention(loaded, graph, node, operands, 3, &results), QN_INVALID, "attention",
               "k as [2,2,5]");
  other = inputs.tensors[1], other.dims[0] = 1;
  assert_error(qn_run_attention(loaded, graph, node, operands, 3, &results), QN_INVALID, "attention",
               "k as [1,2,5,64]");
  other = inputs.tensors[1], other.dims[2] = 4;
  assert_error(qn_run_attention(loaded, graph, node, operands, 3, &results), QN_INVALID, "attention",
               "v as [2,2,5,64]");
  cr_assert_eq(device.launches, 0);
  qn_loaded_kernel_destroy(loaded);
  qn_kernel_destroy(kernel);
}
