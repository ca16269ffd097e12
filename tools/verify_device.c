// Kernels against the reference, each attention by itself, on the operands that a run on the CPU captured.
//   values  the kernel without its quantization, but with the same tiles, against f64, within the derived bound
//   codes   the kernel; in exact numerics the very bytes that the CPU's quantizer makes of those values, in
//   direct
//           numerics codes of numbers within the bound
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

// A graph of one quantize, on the reference executor.
static qn_status quantize(tool *t, const qn_scheme *scheme, const qn_tensor *x, const qn_tensor *scale,
                          qn_graph **out_graph, qn_results **out_results) {
  const qn_tensor inputs[] = { *x, *scale };
  qn_value values[2], codes;
  QN_TRY(qn_graph_create(t->context, "quantize", out_graph));
  for (int i = 0; i < 2; i++) {
    qn_dim dims[QN_RANK_MAX];
    for (int32_t k = 0; k < inputs[i].rank; k++) dims[k] = qn_dim_const(*out_graph, inputs[i].dims[k]);
    QN_TRY(qn_graph_add_input(*out_graph, NULL, qn_type_get(*out_graph, inputs[i].dtype, inputs[i].rank, dims),
                              &values[i]));
  }
  const qn_attr attr = { .name = "scheme", .scheme = scheme };
  QN_TRY(qn_graph_add(*out_graph,
                      qn_node_params(.op = QN_OP_quantize, .operands = values, .operand_count = 2,
                                     .attrs = &attr, .attr_count = 1, .result_count = 1),
                      &codes));
  QN_TRY(qn_graph_add_output(*out_graph, codes, "codes"));
  return qn_reference_run(*out_graph, qn_reference_params(.inputs = inputs, .input_count = 2), out_results);
}

static bool quantize_values(device_run *d, const subject *s, const qn_tensor *x, qn_results **out_results) {
  enum { IN_OUTPUT_SCALE = 7 };
  qn_graph *graph = NULL;
  qn_status status = quantize(d->t, &s->fused.output, x, s->operands[IN_OUTPUT_SCALE], &graph, out_results);
  qn_graph_destroy(graph);
  if (status != QN_OK) tool_fail(d->t);
  return status == QN_OK;
}

// --- comparisons -----------------------------------------------------------------------------------------

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
    if (!(error <= exact->bounds[i])) verify_difference_add(&outside, i); // NaN is outside
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

// The codes of one end of each element's interval. `sign` -1 or 1.
static bool quantize_end(device_run *d, const subject *s, const verify_exact *exact, double sign,
                         qn_results **out_codes) {
  float *ends = malloc((exact->count + 1) * sizeof *ends);
  if (!ends) return tool_error("verify", "out of memory", NULL), false;
  for (uint64_t i = 0; i < exact->count; i++) {
    double value;
    uint64_t bits;
    qn_tensor_get_element(exact->out, i, &value, &bits);
    ends[i] = nextafterf((float)(value + sign * exact->bounds[i]), (float)sign * INFINITY);
  }
  qn_tensor x = *exact->out;
  x.dtype = QN_F32;
  x.data = ends;
  x.bytes = exact->count * sizeof *ends;
  bool good = quantize_values(d, s, &x, out_codes);
  free(ends);
  return good;
}

static void compare_interval(device_run *d, const subject *s, const qn_tensor *codes, const qn_tensor *low,
                             const qn_tensor *high) {
  verify_difference outside = { .found = codes,
                                .expected = low,
                                .to = high,
                                .axes = verify_axes_of_attention(d->run->graph, s->node, s->operands, codes) };
  uint64_t count = 0;
  double code, least, most;
  uint64_t bits;
  for (; qn_tensor_get_element(codes, count, &code, &bits); count++) {
    qn_tensor_get_element(low, count, &least, &bits);
    qn_tensor_get_element(high, count, &most, &bits);
    // A negative scale turns the ends around.
    if (!(code >= fmin(least, most) && code <= fmax(least, most))) verify_difference_add(&outside, count);
  }
  char words[160], json[96];
  snprintf(words, sizeof words, "%" PRIu64 " of %" PRIu64 " are codes of numbers within the bound",
           count - outside.count, count);
  snprintf(json, sizeof json, ", \"count\": %" PRIu64 ", \"outside\": %" PRIu64, count, outside.count);
  verify_print_verdict(d->report, VERIFY_DEVICE, "codes", s->name, outside.count == 0, words, json, &outside);
}

// In exact numerics: the same kernel's own values, quantized on the CPU.
static bool compare_codes_exact(device_run *d, const subject *s, const qn_tensor *codes,
                                const qn_tensor *values) {
  qn_results *expected = NULL;
  if (!quantize_values(d, s, values, &expected)) return false;
  verify_axes axes = verify_axes_of_attention(d->run->graph, s->node, s->operands, codes);
  bool good = verify_compare_bytes(d->report, VERIFY_DEVICE, "codes", s->name, codes,
                                   qn_results_get(expected, 0), &axes);
  qn_results_destroy(expected);
  return good;
}

static bool compare_codes_direct(device_run *d, const subject *s, const qn_tensor *codes) {
  verify_exact exact;
  qn_results *low = NULL, *high = NULL;
  bool good = verify_exact_make(d->t, d->run->graph, s->node, s->operands, &s->fused, &exact) &&
              quantize_end(d, s, &exact, -1, &low) && quantize_end(d, s, &exact, 1, &high);
  if (good) compare_interval(d, s, codes, qn_results_get(low, 0), qn_results_get(high, 0));
  qn_results_destroy(low);
  qn_results_destroy(high);
  verify_exact_destroy(&exact);
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
    good = launch(d, s, &s->fused, &codes);
    if (good && s->fused.numerics == QN_DIRECT)
      good = compare_codes_direct(d, s, qn_results_get(codes, 0));
    else if (good)
      good = compare_codes_exact(d, s, qn_results_get(codes, 0), qn_results_get(values, 0));
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
  s.unfused.output = qn_scheme_of(QN_SCHEME_none);
  s.unfused.numerics = QN_EXACT;
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
