// quench verify: three kinds of comparison, told apart.
//   recovered  each attention as read against its recovered form, on the reference executor and the same
//   operands:
//              the distance of both from f64. A decomposed softmax rounds after every operation; recovering
//              must not move away from f64.
//   fused      the recovered model against the fused one, on the reference executor: the same bytes.
//   device     each kernel on a device: its values against f64, its codes against the CPU's quantizer.
// With --expect also the outputs against files, within --bound.
#include "verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// The bound on the ratio of the two distances, as root mean squares. Where the elements are f16 or bf16 the
// recovered form is plainly nearer; in f32 both are right to a rounding or two, and which is nearer is chance.
#define RECOVERED_RATIO 1.25

typedef struct verification {
  tool *t;
  tool_model model; // the graph as read, and the grafts beside it
  qn_graph *recovered, *fused;
  qn_pipeline *pipelines[2];
  tool_inputs inputs;
  tool_device device;
  verify_run before, after; // of `recovered` and of `fused`
  verify_report report;
} verification;

// --- the three graphs ------------------------------------------------------------------------------------

// "fold,canonicalize,recover-attention": every pass up to the one that recovers.
static bool passes_until_recovered(char *out_passes, size_t size) {
  out_passes[0] = '\0';
  for (uint32_t i = 0; i < qn_pass_get_count(); i++) {
    const char *name = qn_pass_get_info(i).name;
    snprintf(out_passes + strlen(out_passes), size - strlen(out_passes), "%s%s", i ? "," : "", name);
    if (strcmp(name, "recover-attention") == 0) return true;
  }
  return false;
}

static bool make_graphs(verification *v) {
  tool *t = v->t;
  char passes[512];
  if (!passes_until_recovered(passes, sizeof passes))
    return tool_error("verify", "there is no pass recover-attention", NULL), false;
  if (qn_graph_clone(v->model.graph, &v->recovered) != QN_OK ||
      qn_graph_clone(v->model.graph, &v->fused) != QN_OK)
    return tool_fail(t), false;
  return tool_run_pipeline(t, v->recovered, passes, &v->pipelines[0]) &&
         tool_run_pipeline(t, v->fused, NULL, &v->pipelines[1]);
}

// --- read against recovered ------------------------------------------------------------------------------

static bool compare_attention(verification *v, const verify_run *run, qn_value original, qn_value copy) {
  const qn_tensor *operands[QN_OP_OPERANDS_MAX];
  qn_node node = qn_value_get_node(run->graph, copy);
  qn_results *exact;
  qn_difference before, after;
  verify_get_operands(run, node, operands);
  const verify_alone alone = { run->graph, node, operands, false, -1 };
  if (!verify_run_alone(v->t, &alone, &exact)) return false;
  const qn_tensor *truth = qn_results_get(exact, 0);
  bool good = qn_tensor_compare(v->t->context, &run->values[original], truth, &before) == QN_OK &&
              qn_tensor_compare(v->t->context, &run->values[copy], truth, &after) == QN_OK;
  if (good) {
    char words[160], json[192];
    bool nearer = after.rms <= before.rms * RECOVERED_RATIO;
    snprintf(words, sizeof words, "from f64: rms %.3g, max %.3g as read; rms %.3g, max %.3g recovered",
             before.rms, before.max_abs, after.rms, after.max_abs);
    snprintf(json, sizeof json,
             ", \"rms_read\": %.9g, \"max_read\": %.9g, \"rms_recovered\": %.9g, \"max_recovered\": %.9g",
             before.rms, before.max_abs, after.rms, after.max_abs);
    verify_print_verdict(&v->report, VERIFY_RECOVERED, "attention", qn_value_get_name(run->graph, original),
                         nearer, words, json, NULL);
  } else {
    tool_fail(v->t);
  }
  qn_results_destroy(exact);
  return good;
}

static bool compare_recovered(verification *v) {
  qn_graph *graph = v->model.graph;
  qn_value *originals = NULL, *copies = NULL;
  uint32_t count = 0, attentions = 0;
  for (qn_node node = qn_graph_get_first(v->recovered); node != QN_NONE;
       node = qn_node_get_next(v->recovered, node))
    attentions += qn_node_get_op(v->recovered, node) == QN_OP_attention;
  verify_print_heading(&v->report, "recovered: each attention as read and recovered, on the same operands");
  bool good = verify_graft(v->t, graph, v->recovered, &originals, &copies, &count);
  bool *wanted = good ? calloc(qn_graph_get_value_limit(graph), sizeof *wanted) : NULL;
  verify_run run = { 0 };
  for (uint32_t i = 0; wanted && i < count; i++) {
    wanted[originals[i]] = wanted[copies[i]] = true;
    verify_want_operands(graph, qn_value_get_node(graph, copies[i]), wanted);
  }
  good = wanted && verify_run_graph(v->t, graph, &v->inputs, wanted, &run);
  for (uint32_t i = 0; good && i < count; i++) good = compare_attention(v, &run, originals[i], copies[i]);
  if (good && count < attentions) {
    char words[96];
    snprintf(words, sizeof words, "%u of %u attentions have no value of their name in the model as read",
             attentions - count, attentions);
    verify_print_verdict(&v->report, VERIFY_RECOVERED, "attention", (qn_str){ .text = "" }, false, words, "",
                         NULL);
  }
  verify_run_destroy(&run);
  free(wanted);
  free(originals);
  free(copies);
  return good;
}

// --- recovered against fused -----------------------------------------------------------------------------

// The value of the recovered graph that a result of a fused attention stands for; fusing keeps the names.
// QN_NONE for a result that nobody has, and of an attention that does not quantize.
static qn_value find_twin(const verification *v, qn_node node, uint32_t index) {
  if (qn_node_get_op(v->fused, node) != QN_OP_attention || index >= qn_node_get_result_count(v->fused, node))
    return QN_NONE;
  if (qn_node_get_scheme(v->fused, node, "output").family == QN_SCHEME_none) return QN_NONE;
  qn_str name = qn_value_get_name(v->fused, qn_node_get_result(v->fused, node, index));
  return name.length ? qn_graph_find_value(v->recovered, name.text, name.length) : QN_NONE;
}

// One result of a fused attention. What direct numerics leaves out may move a computed scale, and all codes of
// its group with it: there is no bound on them, and the device comparison holds them to the f32 values.
static bool compare_result(verification *v, qn_node node, uint32_t index, bool direct) {
  qn_value twin = find_twin(v, node, index);
  if (twin == QN_NONE) return true;
  const qn_tensor *operands[QN_OP_OPERANDS_MAX];
  qn_value result = qn_node_get_result(v->fused, node, index);
  const qn_tensor *found = &v->after.values[result], *expected = &v->before.values[twin];
  bool codes = index == QN_ATTENTION_OUT, of_rows = codes || index == QN_ATTENTION_UNQUANTIZED;
  qn_str name = qn_value_get_name(v->fused, result);
  verify_get_operands(&v->after, node, operands);
  verify_axes axes =
      of_rows ? verify_axes_of_attention(v->fused, node, operands, found) : verify_axes_of_tensor(found);
  if (!direct || index == QN_ATTENTION_UNQUANTIZED)
    return verify_compare_bytes(&v->report, VERIFY_FUSED, verify_result_names[index], name, found, expected,
                                &axes);
  if (qn_node_get_scheme(v->fused, node, "output").dynamic)
    verify_print_skipped(&v->report, VERIFY_FUSED, name,
                         "scales are computed from values that are rounded once less");
  else
    verify_compare_neighbours(&v->report, VERIFY_FUSED, name, found, expected, &axes);
  return true;
}

static bool compare_fused(verification *v) {
  bool *wanted[2] = { calloc(qn_graph_get_value_limit(v->recovered), sizeof(bool)),
                      calloc(qn_graph_get_value_limit(v->fused), sizeof(bool)) };
  const char *numerics = v->t->options.numerics;
  bool direct = numerics && strcmp(numerics, "direct") == 0;
  uint32_t fused = 0;
  verify_print_heading(&v->report,
                       direct ? "fused: the recovered model against the fused one, codes or their neighbours"
                              : "fused: the recovered model against the fused one, in bytes");
  for (qn_node node = qn_graph_get_first(v->fused); wanted[0] && wanted[1] && node != QN_NONE;
       node = qn_node_get_next(v->fused, node)) {
    if (qn_node_get_op(v->fused, node) == QN_OP_attention) verify_want_operands(v->fused, node, wanted[1]);
    for (uint32_t i = 0; i < VERIFY_RESULTS; i++) {
      qn_value twin = find_twin(v, node, i);
      if (twin == QN_NONE) continue;
      wanted[0][twin] = wanted[1][qn_node_get_result(v->fused, node, i)] = true;
      fused += i == QN_ATTENTION_OUT;
    }
  }
  bool good = verify_run_graph(v->t, v->recovered, &v->inputs, wanted[0], &v->before) &&
              verify_run_graph(v->t, v->fused, &v->inputs, wanted[1], &v->after);
  for (qn_node node = qn_graph_get_first(v->fused); good && node != QN_NONE;
       node = qn_node_get_next(v->fused, node))
    for (uint32_t i = 0; good && i < VERIFY_RESULTS; i++) good = compare_result(v, node, i, direct);
  // In direct numerics codes move, and what is computed from them moves on.
  for (uint32_t i = 0; good && !direct && i < qn_graph_get_output_count(v->fused); i++) {
    const qn_tensor *found = qn_results_get(v->after.results, i);
    verify_axes axes = verify_axes_of_tensor(found);
    good = verify_compare_bytes(&v->report, VERIFY_FUSED, "output", qn_graph_get_output_name(v->fused, i),
                                found, qn_results_get(v->before.results, i), &axes);
  }
  if (good && !fused && !v->t->options.json) printf("  nothing fused\n");
  free(wanted[0]);
  free(wanted[1]);
  return good;
}

// --- on a device ------------------------------------------------------------------------------------------

static bool compare_on_device(verification *v) {
  char heading[320];
  const char *name = v->device.device ? qn_device_get_name(v->device.device) : "no device";
  snprintf(heading, sizeof heading, "device: each kernel for %s on %s, on the same operands as above",
           qn_target_name(v->t->target), name);
  verify_print_heading(&v->report, v->device.device ? heading : "device: each kernel");
  if (v->device.device) return verify_on_device(&v->report, &v->device, &v->after);
  verify_print_skipped(&v->report, VERIFY_DEVICE, (qn_str){ .text = "" },
                       *v->device.absent ? v->device.absent : "--device reference leaves it out");
  return true;
}

// --- outputs against files -------------------------------------------------------------------------------

// How far two correct engines are apart, without --bound. What falls on the other side of a rounding to FP8
// moves by an eighth, and one of the 64 or more addends of a projection so moved moves its result by 1/8 /
// sqrt(64). In f32 that is rare; in 16 bits, where engines round at different places, about ten a row add up.
static double default_bound(const qn_graph *graph) {
  for (qn_node node = qn_graph_get_first(graph); node != QN_NONE; node = qn_node_get_next(graph, node)) {
    for (uint32_t i = 0; i < qn_node_get_result_count(graph, node); i++) {
      qn_dtype dtype =
          qn_type_get_info(graph, qn_value_get_type(graph, qn_node_get_result(graph, node, i))).dtype;
      if (dtype == QN_F16 || dtype == QN_BF16) return 0.065;
    }
  }
  return 0.02;
}

static bool compare_expected(verification *v) {
  const tool_options *o = &v->t->options;
  if (o->expect.count == 0) return true;
  char *end = NULL;
  double bound = o->bound ? strtod(o->bound, &end) : default_bound(v->fused);
  if (end && (*end || !(bound >= 0))) return tool_error("--bound", "no number", "such as 0.05"), false;
  verify_print_heading(&v->report, "expected: the fused model's outputs against files");
  uint32_t found = 0;
  bool good = true;
  for (uint32_t i = 0; good && i < qn_graph_get_output_count(v->fused); i++) {
    char path[4096], words[128], json[128];
    qn_str name = qn_graph_get_output_name(v->fused, i);
    if (!tool_find_npy(&o->expect, "expected", name, path, sizeof path)) continue;
    const qn_tensor *own = qn_results_get(v->after.results, i);
    qn_npy *file = tool_read_npy(v->t, path, own->dtype);
    if (!file) return false;
    qn_difference difference;
    good = qn_tensor_compare(v->t->context, own, qn_npy_get_tensor(file), &difference) == QN_OK;
    if (good) {
      snprintf(words, sizeof words, "off by up to %.3g, which is %.3g of the largest value (bound %g)",
               difference.max_abs, difference.max_rel, bound);
      snprintf(json, sizeof json, ", \"max\": %.9g, \"max_relative\": %.9g, \"bound\": %.9g",
               difference.max_abs, difference.max_rel, bound);
      verify_print_verdict(&v->report, VERIFY_EXPECTED, "output", name, difference.max_rel <= bound, words,
                           json, NULL);
    } else {
      tool_fail(v->t);
    }
    qn_npy_destroy(file);
    found++;
  }
  if (good && !found)
    return tool_error("--expect", "no file for any output",
                      "NAME=FILE.npy, or a folder with expected.NAME.npy"),
           false;
  return good;
}

// --- the subcommand --------------------------------------------------------------------------------------

// Files are none of the three kinds.
static bool print_summary(const verification *v) {
  const verify_report *report = &v->report;
  uint32_t compared = 0, failed = 0, kinds = 0;
  for (int kind = 0; kind < VERIFY_KINDS; kind++) {
    compared += report->compared[kind];
    failed += report->failed[kind];
    kinds += kind != VERIFY_EXPECTED && report->compared[kind] > 0;
  }
  if (!v->t->options.json)
    printf("%s: %u of %u comparisons good, %u of %d kinds\n", failed ? "NOT verified" : "verified",
           compared - failed, compared, kinds, VERIFY_KINDS - 1);
  return failed == 0;
}

int tool_cmd_verify(tool *t) {
  verification v = { .t = t, .report = { .t = t } };
  if (!tool_model_read(t, t->options.operand, &v.model)) return TOOL_BAD;
  bool good = tool_device_open(t, &v.device) && tool_inputs_make(t, v.model.graph, &v.inputs) &&
              make_graphs(&v) && compare_recovered(&v) && compare_fused(&v) && compare_on_device(&v) &&
              compare_expected(&v);
  bool verified = good && print_summary(&v);
  verify_run_destroy(&v.before);
  verify_run_destroy(&v.after);
  qn_pipeline_destroy(v.pipelines[0]);
  qn_pipeline_destroy(v.pipelines[1]);
  qn_graph_destroy(v.recovered);
  qn_graph_destroy(v.fused);
  tool_inputs_destroy(&v.inputs);
  tool_device_close(&v.device);
  tool_model_destroy(&v.model);
  return !good ? TOOL_BAD : verified ? TOOL_DONE : TOOL_NO;
}
