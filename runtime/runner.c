// Whole graphs: attentions and quantizes on a device, the rest on the reference executor.
#include "runtime/bind_priv.h"
#include "runtime/device_priv.h"
#include "runtime/reference/reference_priv.h"

// A kernel that one or several nodes share.
typedef struct runner_kernel {
  qn_kernel *kernel;
  qn_loaded_kernel *loaded;
} runner_kernel;

struct qn_runner {
  qn_context *context;
  const qn_graph *graph;
  uint64_t version; // of the graph that the kernels are for
  qn_compiler *compiler;
  qn_device *device;
  qn_target target;
  qn_binary binary;
  qn_runner_node *nodes;  // in graph order
  runner_kernel *kernels; // at most one a node
  uint32_t node_count, kernel_count, capacity;
};

// --- kernels ---------------------------------------------------------------------------------------------

static const runner_kernel *find_kernel(const qn_runner *runner, const char *name) {
  for (uint32_t i = 0; i < runner->kernel_count; i++)
    if (strcmp(qn_kernel_get_info(runner->kernels[i].kernel)->name, name) == 0) return &runner->kernels[i];
  return NULL;
}

static qn_status add_kernel(qn_runner *runner, const qn_kernel_spec *spec, const qn_kernel **out_kernel) {
  char name[128];
  qn_kernel_format_name(spec, name); // tells all that the text depends on
  const runner_kernel *known = find_kernel(runner, name);
  if (!known) {
    runner_kernel *added = &runner->kernels[runner->kernel_count];
    QN_TRY(qn_compiler_compile(runner->compiler, spec, runner->binary, &added->kernel));
    runner->kernel_count++;
    QN_TRY(qn_device_load(runner->device, added->kernel, &added->loaded));
    known = added;
  }
  *out_kernel = known->kernel;
  return QN_OK;
}

static bool may_have_kernel(const qn_graph *graph, qn_node node) {
  qn_op op = qn_node_get_op(graph, node);
  return op == QN_OP_attention || op == QN_OP_quantize;
}

static qn_status add_node(qn_runner *runner, qn_node node) {
  qn_runner_node *added = &runner->nodes[runner->node_count++];
  qn_kernel_spec spec;
  added->node = node;
  qn_status status =
      qn_node_get_op(runner->graph, node) == QN_OP_attention
          ? qn_kernel_spec_from_node(runner->graph, node, runner->target, &spec, &added->reason)
          : qn_kernel_spec_from_quantize(runner->graph, node, runner->target, &spec, &added->reason);
  if (status == QN_UNSUPPORTED) return QN_OK;
  QN_TRY(status);
  QN_TRY(add_kernel(runner, &spec, &added->kernel));
  added->on_device = true;
  return QN_OK;
}

static uint32_t count_nodes(const qn_graph *graph) {
  uint32_t count = 0;
  for (qn_node node = qn_graph_get_first(graph); node != QN_NONE; node = qn_node_get_next(graph, node))
    count += may_have_kernel(graph, node);
  return count;
}

static qn_status prepare(qn_runner *runner) {
  const qn_graph *graph = runner->graph;
  uint32_t count = count_nodes(graph);
  runner->nodes = qn_alloc_zero(runner->context, count * sizeof(*runner->nodes));
  runner->kernels = qn_alloc_zero(runner->context, count * sizeof(*runner->kernels));
  runner->capacity = count;
  if (count > 0 && (!runner->nodes || !runner->kernels)) return qn_fail_memory(runner->context);
  QN_TRY(qn_device_get_target(runner->device, &runner->target));
  runner->binary = qn_device_get_binary(runner->device, runner->target);
  for (qn_node node = qn_graph_get_first(graph); node != QN_NONE; node = qn_node_get_next(graph, node))
    if (may_have_kernel(graph, node)) QN_TRY(add_node(runner, node));
  return QN_OK;
}

qn_status qn_runner_create(const qn_graph *graph, qn_compiler *compiler, qn_device *device,
                           qn_runner **out_runner) {
  qn_context *context = qn_graph_get_context(graph);
  qn_runner *runner = qn_alloc_zero(context, sizeof(*runner));
  if (!runner) return qn_fail_memory(context);
  runner->context = context;
  runner->graph = graph;
  runner->version = qn_graph_get_version(graph);
  runner->compiler = compiler;
  runner->device = device;
  qn_status status = prepare(runner);
  if (status == QN_OK)
    *out_runner = runner;
  else
    qn_runner_destroy(runner);
  return status;
}

void qn_runner_destroy(qn_runner *runner) {
  if (!runner) return;
  for (uint32_t i = 0; i < runner->kernel_count; i++) {
    qn_loaded_kernel_destroy(runner->kernels[i].loaded);
    qn_kernel_destroy(runner->kernels[i].kernel);
  }
  qn_free(runner->context, runner->kernels, runner->capacity * sizeof(*runner->kernels));
  qn_free(runner->context, runner->nodes, runner->capacity * sizeof(*runner->nodes));
  qn_free(runner->context, runner, sizeof(*runner));
}

uint32_t qn_runner_get_node_count(const qn_runner *runner) {
  return runner->node_count;
}

const qn_runner_node *qn_runner_get_node(const qn_runner *runner, uint32_t index) {
  return &runner->nodes[index];
}

// --- a run -----------------------------------------------------------------------------------------------

typedef struct runner_run {
  qn_runner *runner;
  const qn_reference_params *params;
} runner_run;

static qn_runner_node *find_node(const qn_runner *runner, qn_node node) {
  for (uint32_t i = 0; i < runner->node_count; i++)
    if (runner->nodes[i].node == node) return &runner->nodes[i];
  return NULL;
}

// What the device has counted since `before`; stays 0 where it does not count.
static void count(const qn_device *device, const qn_counters *before, qn_counters *out_counters) {
  qn_counters now;
  if (!device->ops->get_counters || qn_device_get_counters(device, &now) != QN_OK) return;
#define X(name, doc) out_counters->name = now.name - before->name;
  QN_COUNTER_MAP(X)
#undef X
}

// Memory for those results of the kernel that the node has.
static qn_status make_results(const qn_graph *graph, qn_reference_call *call, qn_node node,
                              const qn_binding *binding, void *out_data[QN_BOUND_RESULTS_MAX]) {
  for (uint32_t i = 0; i < binding->result_count; i++) {
    const qn_bound_result *result = &binding->results[i];
    out_data[i] = NULL;
    if (result->index < qn_node_get_result_count(graph, node))
      QN_TRY(qn_reference_call_new_result(call, result->index, &result->shape, &out_data[i]));
  }
  return QN_OK;
}

static qn_status execute(void *user, qn_reference_call *call, qn_node node, const qn_tensor *const *operands,
                         uint32_t operand_count, bool *out_done) {
  const qn_runner *runner = ((const runner_run *)user)->runner;
  const qn_graph *graph = runner->graph;
  qn_runner_node *found = find_node(runner, node);
  qn_counters before = { 0 };
  qn_binding binding;
  void *data[QN_BOUND_RESULTS_MAX];
  if (!found || !found->kernel) return QN_OK;
  const runner_kernel *kernel = find_kernel(runner, qn_kernel_get_info(found->kernel)->name);
  found->counters = before;
  found->on_device = qn_bind_node(qn_kernel_get_spec(found->kernel), graph, node, operands, operand_count,
                                  &binding, &found->reason);
  if (!found->on_device) return QN_OK;
  QN_TRY(make_results(graph, call, node, &binding, data));
  if (runner->device->ops->get_counters) QN_TRY(qn_device_get_counters(runner->device, &before));
  if (qn_run_binding(kernel->loaded, &binding, operands, data) != QN_OK)
    return qn_fail_within(runner->context, qn_context_get_error(runner->context)->status, "%s '%s'",
                          qn_op_get_info(qn_node_get_op(graph, node))->name,
                          qn_value_get_name(graph, qn_node_get_result(graph, node, 0)).text);
  count(runner->device, &before, &found->counters);
  *out_done = true;
  return QN_OK;
}

static qn_status on_result(void *user, qn_node node, uint32_t result_index, const qn_tensor *result) {
  const runner_run *run = user;
  return run->params->on_result(run->params->user, node, result_index, result);
}

qn_status qn_runner_run(qn_runner *runner, const qn_reference_params *params, qn_results **out_results) {
  runner_run run = { .runner = runner, .params = params };
  if (params->execute || params->mode != QN_REFERENCE_DECLARED)
    return qn_fail(runner->context, QN_INVALID, "runner",
                   "params that leave execute to the runner, in mode DECLARED, "
                   "are expected");
  if (qn_graph_get_version(runner->graph) != runner->version)
    return qn_fail(runner->context, QN_INVALID, "runner",
                   "the graph has changed since its kernels were compiled");
  qn_reference_params inside = *params;
  inside.execute = execute;
  inside.on_result = params->on_result ? on_result : NULL;
  inside.user = &run;
  return qn_reference_run(runner->graph, &inside, out_results);
}
