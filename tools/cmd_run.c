// quench run: a whole graph, attention and quantize on a device and the rest on the reference executor; outputs
// as .npy files. What is printed goes to standard output; progress, on a terminal only, to standard error.
#include "device.h"
#include "inputs.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct run_command {
  tool *t;
  tool_model model;
  qn_pipeline *pipeline;
  tool_device device;
  tool_inputs inputs;
  qn_runner *runner; // NULL: everything on the reference executor
  qn_results *results;
  bool progress; // standard error is a terminal
  uint32_t nodes, done;
} run_command;

// --- progress --------------------------------------------------------------------------------------------

// After each node: the one that is next, which is what takes the time now.
static qn_status show_progress(void *user, qn_node node, uint32_t result_index, const qn_tensor *result) {
  run_command *run = user;
  const qn_graph *graph = run->model.graph;
  (void)result;
  if (result_index > 0) return QN_OK;
  run->done++;
  qn_node next = qn_node_get_next(graph, node);
  if (next == QN_NONE) return QN_OK;
  qn_str name = qn_value_get_name(graph, qn_node_get_result(graph, next, 0));
  fprintf(stderr, "\r%u of %u: %s %.*s\033[K", run->done + 1, run->nodes,
          qn_op_get_info(qn_node_get_op(graph, next))->name, (int)(name.length < 40 ? name.length : 40),
          name.text);
  return QN_OK;
}

// --- running ---------------------------------------------------------------------------------------------

static bool execute(run_command *run) {
  tool *t = run->t;
  const qn_graph *graph = run->model.graph;
  qn_reference_params params = { .inputs = run->inputs.tensors,
                                 .input_count = run->inputs.count,
                                 .on_result = run->progress ? show_progress : NULL,
                                 .user = run };
  qn_status status = QN_OK;
  if (run->device.device) {
    status = qn_runner_create(graph, run->device.compiler, run->device.device, &run->runner);
    if (status == QN_OK) status = qn_runner_run(run->runner, &params, &run->results);
  } else {
    status = qn_reference_run(graph, &params, &run->results);
  }
  if (run->progress) fputs("\r\033[K", stderr);
  if (status != QN_OK) tool_fail(t);
  return status == QN_OK;
}

// --- files -----------------------------------------------------------------------------------------------

// "a/b:c" becomes "a_b_c"; a name that an earlier output has already got a number.
static void make_path(const run_command *run, uint32_t index, char *out_path, size_t size) {
  char names[2][128];
  unsigned same = 0;
  for (uint32_t i = index + 1; i-- > 0;) {
    qn_str name = qn_graph_get_output_name(run->model.graph, i);
    char *to = names[i != index];
    size_t length = name.length < 100 ? name.length : 100;
    for (size_t k = 0; k < length; k++) {
      char c = name.text[k];
      bool safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                  c == '_' || (c == '.' && k > 0);
      to[k] = safe ? c : '_';
    }
    to[length] = '\0';
    same += i != index && strcmp(names[0], names[1]) == 0;
  }
  int written = snprintf(out_path, size, "%s/%s", run->t->options.folder, names[0]);
  if (written > 0 && (size_t)written < size)
    snprintf(out_path + written, size - (size_t)written, same ? ".%u.npy" : ".npy", same + 1);
}

static bool make_folder(const char *path) {
  struct stat about;
  if (mkdir(path, 0777) == 0) return true;
  int error = errno;
  if (error == EEXIST && stat(path, &about) == 0) {
    if (S_ISDIR(about.st_mode) && access(path, W_OK) == 0) return true;
    error = S_ISDIR(about.st_mode) ? errno : ENOTDIR;
  }
  tool_error(path, strerror(error), "-o names a folder, whose parent exists");
  return false;
}

// Codes of 4 bits, which no .npy file has, take a byte each.
static bool write_file(tool *t, const char *path, const qn_tensor *tensor) {
  qn_tensor bytes = *tensor;
  unsigned char *codes = NULL;
  if (qn_dtype_bits(tensor->dtype) == 4) {
    uint64_t count = 0, bits;
    double value;
    codes = malloc(2 * tensor->bytes + 1);
    if (!codes) return tool_error(path, "out of memory", NULL), false;
    for (; qn_tensor_get_element(tensor, count, &value, &bits); count++) codes[count] = (unsigned char)bits;
    bytes.dtype = QN_U8;
    bytes.data = codes;
    bytes.bytes = count;
  }
  qn_status status = qn_npy_write_file(t->context, path, &bytes);
  free(codes);
  if (status != QN_OK) tool_fail(t);
  return status == QN_OK;
}

static bool write_files(run_command *run) {
  char path[4096];
  if (!run->t->options.folder) return true;
  for (uint32_t i = 0; i < qn_results_get_count(run->results); i++) {
    make_path(run, i, path, sizeof path);
    if (!write_file(run->t, path, qn_results_get(run->results, i))) return false;
  }
  return true;
}

// --- what is said ----------------------------------------------------------------------------------------

static void print_counters(const qn_counters *counters, bool json) {
  const char *separator = "";
  if (json) printf("{");
#define X(name, doc)                                                                                           \
  if (json)                                                                                                    \
    printf("%s\"" #name "\": %" PRIu64, separator, counters->name);                                            \
  else if (counters->name)                                                                                     \
    printf("  %16" PRIu64 "  %s\n", counters->name, doc);                                                      \
  separator = ", ";
  QN_COUNTER_MAP(X)
#undef X
  if (json) printf("}");
}

static void add_counters(qn_counters *sum, const qn_counters *counters) {
#define X(name, doc) sum->name += counters->name;
  QN_COUNTER_MAP(X)
#undef X
}

// Attentions and quantizes, and how many of them the device ran.
typedef struct run_tally {
  uint32_t attentions, quantizes;
} run_tally;

static void count_node(run_tally *tally, qn_op op) {
  tally->attentions += op == QN_OP_attention;
  tally->quantizes += op == QN_OP_quantize;
}

static void print_node(const run_command *run, const qn_runner_node *n) {
  const qn_graph *graph = run->model.graph;
  const tool_options *o = &run->t->options;
  const char *op = qn_op_get_info(qn_node_get_op(graph, n->node))->name;
  qn_str name = qn_value_get_name(graph, qn_node_get_result(graph, n->node, 0));
  qn_str layer = qn_node_get_layer(graph, n->node);
  const char *kernel = n->on_device ? qn_kernel_get_info(n->kernel)->name : "";
  if (o->json) {
    printf("{\"%s\": ", op);
    tool_write_json(stdout, name.text, name.length);
    printf(", \"layer\": ");
    tool_write_json(stdout, layer.text, layer.length);
    printf(", \"device\": ");
    tool_write_json_text(stdout, n->on_device ? qn_device_get_name(run->device.device) : "reference");
    printf(", \"kernel\": \"%s\", \"target\": \"%s\", \"code\": \"%s\", \"expected\": ", kernel,
           n->on_device ? qn_target_name(run->t->target) : "", qn_why_name(n->reason.why));
    tool_write_json_text(stdout, n->reason.expected);
    printf(", \"found\": ");
    tool_write_json_text(stdout, n->reason.found);
    if (o->counters) printf(", \"counters\": "), print_counters(&n->counters, true);
    printf("}\n");
  } else if (n->on_device) {
    printf("%s %.*s: %s\n", op, (int)name.length, name.text, kernel);
    if (o->counters) print_counters(&n->counters, false);
  } else if (!run->runner) {
    printf("%s %.*s: the reference executor\n", op, (int)name.length, name.text);
  } else {
    printf("%s %.*s: the reference executor, since %s: expected %s, found %s\n", op, (int)name.length,
           name.text, qn_why_sentence(n->reason.why), n->reason.expected, n->reason.found);
  }
}

// The attentions and quantizes of a graph that no device runs.
static void print_reference(const run_command *run) {
  const qn_graph *graph = run->model.graph;
  qn_runner_node n = { .reason = { .why = QN_WHY_none } };
  for (n.node = qn_graph_get_first(graph); n.node != QN_NONE; n.node = qn_node_get_next(graph, n.node)) {
    qn_op op = qn_node_get_op(graph, n.node);
    if (op == QN_OP_attention || op == QN_OP_quantize) print_node(run, &n);
  }
}

static void print_launched(const run_command *run, const run_tally *launched, const run_tally *all) {
  printf("%u of %u attentions", launched->attentions, all->attentions);
  if (all->quantizes) printf(" and %u of %u quantizes", launched->quantizes, all->quantizes);
  printf(" on %s, kernels for %s\n", qn_device_get_name(run->device.device), qn_target_name(run->t->target));
}

static void print_nodes(const run_command *run) {
  const tool_options *o = &run->t->options;
  qn_counters sum = { 0 };
  run_tally all = { 0 }, launched = { 0 };
  uint32_t count = run->runner ? qn_runner_get_node_count(run->runner) : 0;
  if (!run->runner) print_reference(run);
  for (uint32_t i = 0; i < count; i++) {
    const qn_runner_node *n = qn_runner_get_node(run->runner, i);
    qn_op op = qn_node_get_op(run->model.graph, n->node);
    print_node(run, n);
    add_counters(&sum, &n->counters);
    count_node(&all, op);
    if (n->on_device) count_node(&launched, op);
  }
  uint32_t together = launched.attentions + launched.quantizes;
  if (o->counters && together && o->json) {
    printf("{\"total\": "), print_counters(&sum, true);
    printf("}\n");
  } else if (o->counters && together) {
    printf("%u nodes together\n", together);
    print_counters(&sum, false);
  }
  if (run->runner && !o->json) print_launched(run, &launched, &all);
}

static void print_output(const run_command *run, uint32_t index) {
  qn_str name = qn_graph_get_output_name(run->model.graph, index);
  const qn_tensor *tensor = qn_results_get(run->results, index);
  char path[4096] = "", type[160];
  double value, least = INFINITY, greatest = -(double)INFINITY;
  uint64_t bits;
  for (uint64_t i = 0; qn_tensor_get_element(tensor, i, &value, &bits); i++) {
    least = fmin(least, value);
    greatest = fmax(greatest, value);
  }
  int length = snprintf(type, sizeof type, "%s[", qn_dtype_name(tensor->dtype));
  for (int32_t d = 0; d < tensor->rank; d++)
    length += snprintf(type + length, sizeof type - (size_t)length, "%s%lld", d ? "," : "",
                       (long long)tensor->dims[d]);
  snprintf(type + length, sizeof type - (size_t)length, "]");
  if (run->t->options.folder) make_path(run, index, path, sizeof path);
  if (run->t->options.json) {
    printf("{\"output\": ");
    tool_write_json(stdout, name.text, name.length);
    printf(", \"type\": \"%s\", \"file\": ", type);
    tool_write_json_text(stdout, path);
    printf("}\n");
  } else {
    printf("output %.*s: %s", (int)name.length, name.text, type);
    if (least <= greatest) printf(", %.6g to %.6g", least, greatest);
    printf("%s%s\n", *path ? ", in " : "", path);
  }
}

// --- the subcommand --------------------------------------------------------------------------------------

// Files are written before anything is said, so that a failure is the one thing that is.
static bool run_model(run_command *run) {
  tool *t = run->t;
  if (t->options.folder && !make_folder(t->options.folder)) return false;
  if (!tool_device_open(t, &run->device) || !tool_run_pipeline(t, run->model.graph, NULL, &run->pipeline) ||
      !tool_inputs_make(t, run->model.graph, &run->inputs))
    return false;
  run->progress = isatty(STDERR_FILENO);
  run->nodes = qn_graph_count_nodes(run->model.graph);
  if (!execute(run) || !write_files(run)) return false;
  if (*run->device.absent)
    fprintf(stderr, "no device, so the reference executor runs it all: %s\n", run->device.absent);
  print_nodes(run);
  for (uint32_t i = 0; i < qn_results_get_count(run->results); i++) print_output(run, i);
  return true;
}

int tool_cmd_run(tool *t) {
  run_command run = { .t = t };
  if (!tool_model_read(t, t->options.operand, &run.model)) return TOOL_BAD;
  bool good = run_model(&run);
  qn_results_destroy(run.results);
  qn_runner_destroy(run.runner);
  tool_inputs_destroy(&run.inputs);
  qn_pipeline_destroy(run.pipeline);
  tool_device_close(&run.device);
  tool_model_destroy(&run.model);
  return good ? TOOL_DONE : TOOL_BAD;
}
