// Kernels against the reference, each attention by itself, on the operands that a run on the CPU captured.
//   values  the kernel without its quantization, but with the same tiles, against f64, within the derived bound
//   codes   the kernel: the very bytes that the CPU's quantizer makes of those values, codes, scales and zero
//   points.
//           In direct numerics the values are the f32 ones that the kernel quantizes
#include "verify.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// A kernel on the device. Layers are alike, so few serve all.
typedef struct kernel_row {
  char name[128];
  qn_kernel *kernel;
  qn_loaded_kernel *loaded;
} kernel_row;

typedef struct device_run {
  verify_report *report;
  tool *t;
  const tool_device *device;
  const verify_run *run;
  kernel_row *kernels;
  uint32_t kernel_count, kernel_capacity;
} device_run;

// One attention at a time.
typedef struct subject {
  qn_node node;
  qn_str name;
  qn_kernel_spec fused, unfused; // with all tiles said
  const qn_tensor *operands[QN_OP_OPERANDS_MAX];
} subject;

// --- launches --------------------------------------------------------------------------------------------

static bool find_kernel(device_run *d, const qn_kernel_spec *spec, const kernel_row **out_row) {
  char name[128];
  qn_kernel_format_name(spec, name);
  for (uint32_t i = 0; i < d->kernel_count; i++)
    if (strcmp(d->kernels[i].name, name) == 0) return *out_row = &d->kernels[i], true;
  if (d->kernel_count == d->kernel_capacity) {
    uint32_t capacity = d->kernel_capacity ? 2 * d->kernel_capacity : 8;
    kernel_row *grown = realloc(d->kernels, capacity * sizeof *grown);
    if (!grown) return tool_error("verify", "out of memory", NULL), false;
    d->kernels = grown;
    d->kernel_capacity = capacity;
  }
  kernel_row row = { 0 };
  memcpy(row.name, name, sizeof row.name);
  qn_binary binary = qn_device_get_binary(d->device->device, spec->target);
  if (qn_compiler_compile(d->device->compiler, spec, binary, &row.kernel) != QN_OK)
    return tool_fail(d->t), false;
  if (qn_device_load(d->device->device, row.kernel, &row.loaded) != QN_OK) {
    tool_fail(d->t);
    qn_kernel_destroy(row.kernel);
    return false;
  }
  d->kernels[d->kernel_count] = row;
  *out_row = &d->kernels[d->kernel_count++];
  return true;
}

static bool launch(device_run *d, const subject *s, const qn_kernel_spec *spec, qn_results **out_results) {
  const kernel_row *row;
  if (!find_kernel(d, spec, &row)) return false;
  if (qn_run_attention(row->loaded, d->run->graph, s->node, s->operands, QN_OP_OPERANDS_MAX, out_results) ==
      QN_OK)
    return true;
  return tool_fail(d->t), false;
}

// --- the quantizer of the CPU ----------------------------------------------------------------------------

// What quantize reads, and as which operand of the attention it comes; x is the attention's output.
static const uint32_t quantize_operands[] = { QN_ATTENTION_OUT, QN_ATTENTION_OUTPUT_SCALE,
                                              QN_ATTENTION_OUTPUT_ZERO_POINT, QN_ATTENTION_PRE_SCALE,
                                              QN_ATTENTION_SCALE_BOUND };
enum { QUANTIZE_OPERANDS = sizeof quantize_operands / sizeof quantize_operands[0] };

// A graph of one quantize, and of one cast to the type of the unquantized output, on the reference executor.
// Its outputs are the results of the fused attention, in their order; `out_results` says where each stands, or
// -1.
static qn_status quantize(tool *t, const subject *s, const qn_tensor *x, qn_graph **out_graph,
                          qn_results **out_results, int out_places[VERIFY_RESULTS]) {
  const qn_scheme *scheme = &s->fused.output;
  const bool there[VERIFY_RESULTS] = { true, scheme->dynamic,
                                       scheme->dynamic && qn_scheme_get_zero_point(scheme) != QN_ANY,
                                       s->fused.unquantized };
  qn_tensor inputs[QUANTIZE_OPERANDS];
  qn_value operands[QUANTIZE_OPERANDS] = { QN_NONE }, results[VERIFY_RESULTS];
  uint32_t count = 0, outputs = 0,
           quantized = there[QN_ATTENTION_ZERO_POINT]    ? 3
                       : there[QN_ATTENTION_BLOCK_SCALE] ? 2
                                                         : 1;
  QN_TRY(qn_graph_create(t->context, "quantize", out_graph));
  for (uint32_t i = 0; i < QUANTIZE_OPERANDS; i++) {
    const qn_tensor *tensor = i == 0 ? x : s->operands[quantize_operands[i]];
    qn_dim dims[QN_RANK_MAX];
    if (!tensor) continue;
    for (int32_t k = 0; k < tensor->rank; k++) dims[k] = qn_dim_const(*out_graph, tensor->dims[k]);
    QN_TRY(qn_graph_add_input(*out_graph, NULL, qn_type_get(*out_graph, tensor->dtype, tensor->rank, dims),
                              &operands[i]));
    inputs[count++] = *tensor;
  }
  const qn_attr by = { .name = "scheme", .scheme = scheme }, to = { .name = "to", .i = s->fused.out_dtype };
  QN_TRY(qn_graph_add(*out_graph,
                      qn_node_params(.op = QN_OP_quantize, .operands = operands,
                                     .operand_count = QUANTIZE_OPERANDS, .attrs = &by, .attr_count = 1,
                                     .result_count = quantized),
                      results));
  QN_TRY(qn_graph_add(*out_graph,
                      qn_node_params(.op = QN_OP_cast, .operands = operands, .operand_count = 1, .attrs = &to,
                                     .attr_count = 1, .result_count = 1),
                      &results[QN_ATTENTION_UNQUANTIZED]));
  for (uint32_t i = 0; i < VERIFY_RESULTS; i++) {
    out_places[i] = there[i] ? (int)outputs++ : -1;
    if (there[i]) QN_TRY(qn_graph_add_output(*out_graph, results[i], verify_result_names[i]));
  }
  return qn_reference_run(*out_graph, qn_reference_params(.inputs = inputs, .input_count = count), out_results);
}

// --- comparisons -----------------------------------------------------------------------------------------

// Nothing is promised where the exact value is infinite or NaN: hidden keys have the weight 0, which makes NaN
// of an infinite element, but a kernel may not have read them.
static bool lies_within(double value, double exact, double bound) {
  return !isfinite(exact) || fabs(value - exact) <= bound;
}

static void compare_values(device_run *d, const subject *s, const qn_tensor *out, const verify_exact *exact) {
  verify_difference outside = { .found = out,
                                .expected = exact->out,
                                .axes = verify_axes_of_attention(d->run->graph, s->node, s->operands, out),
                                .bounds = exact->bounds };
  double largest = 0, worst = 0;
  for (uint64_t i = 0; i < exact->count; i++) {
    double value, wanted;
    uint64_t bits;
    qn_tensor_get_element(out, i, &value, &bits);
    qn_tensor_get_element(exact->out, i, &wanted, &bits);
    double error = fabs(value - wanted);
    if (!lies_within(value, wanted, exact->bounds[i])) verify_difference_add(&outside, i);
    largest = fmax(largest, error);
    if (exact->bounds[i] > 0) worst = fmax(worst, error / exact->bounds[i]);
  }
  char words[160], json[192];
  snprintf(words, sizeof words,
           "%" PRIu64 " of %" PRIu64 " within the bound; from f64 at most %.3g, %.2g of the bound",
           exact->count - outside.count, exact->count, largest, worst);
  snprintf(json, sizeof json,
           ", \"count\": %" PRIu64 ", \"outside\": %" PRIu64 ", \"max\": %.9g, \"worst\": %.9g, \"kernel\": \"",
           exact->count, outside.count, largest, worst);
  char name[128], whole[340];
  qn_kernel_format_name(&s->unfused, name);
  snprintf(whole, sizeof whole, "%s%s\"", json, name);
  verify_print_verdict(d->report, VERIFY_DEVICE, "values", s->name, outside.count == 0, words, whole, &outside);
}

// What the fused kernel wrote against the twin's own values, quantized on the CPU.
static bool compare_results(device_run *d, const subject *s, const qn_results *found, const qn_tensor *values) {
  qn_graph *graph = NULL;
  qn_results *expected = NULL;
  int places[VERIFY_RESULTS];
  bool good = quantize(d->t, s, values, &graph, &expected, places) == QN_OK;
  if (!good) tool_fail(d->t);
  qn_graph_destroy(graph);
  for (uint32_t i = 0; good && i < VERIFY_RESULTS; i++) {
    if (places[i] < 0) continue;
    const qn_tensor *result = qn_results_get(found, i);
    bool of_rows = i == QN_ATTENTION_OUT || i == QN_ATTENTION_UNQUANTIZED;
    verify_axes axes = of_rows ? verify_axes_of_attention(d->run->graph, s->node, s->operands, result)
                               : verify_axes_of_tensor(result);
    good = verify_compare_bytes(d->report, VERIFY_DEVICE, verify_result_names[i], s->name, result,
                                qn_results_get(expected, (uint32_t)places[i]), &axes);
  }
  qn_results_destroy(expected);
  return good;
}

static bool compare_attention(device_run *d, const subject *s) {
  verify_exact exact;
  qn_results *values = NULL, *codes = NULL;
  bool fused = s->fused.output.family != QN_SCHEME_none;
  bool good = verify_exact_make(d->t, d->run->graph, s->node, s->operands, &s->unfused, &exact) &&
              launch(d, s, &s->unfused, &values);
  if (good) compare_values(d, s, qn_results_get(values, 0), &exact);
  if (good && fused) {
    good = launch(d, s, &s->fused, &codes) && compare_results(d, s, codes, qn_results_get(values, 0));
  }
  qn_results_destroy(values);
  qn_results_destroy(codes);
  verify_exact_destroy(&exact);
  return good;
}

// --- all of them -----------------------------------------------------------------------------------------

static bool verify_node(device_run *d, qn_node node) {
  const qn_graph *graph = d->run->graph;
  subject s = { .node = node, .name = qn_value_get_name(graph, qn_node_get_result(graph, node, 0)) };
  qn_reason reason;
  qn_status status = qn_kernel_spec_from_node(graph, node, d->t->target, &s.fused, &reason);
  if (status == QN_UNSUPPORTED) {
    char words[320];
    snprintf(words, sizeof words, "%s: expected %s, found %s", qn_why_sentence(reason.why), reason.expected,
             reason.found);
    verify_print_skipped(d->report, VERIFY_DEVICE, s.name, words);
    return true;
  }
  if (status != QN_OK) return tool_fail(d->t), false;
  qn_kernel_spec_resolve(&s.fused);
  s.unfused = s.fused;
  if (s.fused.output.family != QN_SCHEME_none && s.fused.numerics == QN_DIRECT) s.unfused.out_dtype = QN_F32;
  s.unfused.output = qn_scheme_of(QN_SCHEME_none);
  s.unfused.numerics = QN_EXACT;
  s.unfused.pre_scale_dtype = QN_ANY;
  s.unfused.scale_bound = s.unfused.unquantized = false;
  verify_get_operands(d->run, node, s.operands);
  return compare_attention(d, &s);
}

bool verify_on_device(verify_report *report, const tool_device *device, const verify_run *run) {
  device_run d = { .report = report, .t = report->t, .device = device, .run = run };
  bool good = true;
  for (qn_node node = qn_graph_get_first(run->graph); good && node != QN_NONE;
       node = qn_node_get_next(run->graph, node))
    if (qn_node_get_op(run->graph, node) == QN_OP_attention) good = verify_node(&d, node);
  for (uint32_t i = 0; i < d.kernel_count; i++) {
    qn_loaded_kernel_destroy(d.kernels[i].loaded);
    qn_kernel_destroy(d.kernels[i].kernel);
  }
  free(d.kernels);
  return good;
}
