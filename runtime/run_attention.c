// One attention on tensors in host memory.
#include "runtime/bind_priv.h"
#include "runtime/device_priv.h"
#include "runtime/reference/reference_priv.h"

#include <stdio.h>

// Device memory of one launch.
typedef struct launch_memory {
  qn_device *device;
  qn_device_ptr operands[QN_BOUND_OPERANDS_MAX], results[QN_BOUND_RESULTS_MAX], workspace;
} launch_memory;

static void set_address(qn_attention_args *args, size_t offset, qn_device_ptr ptr) {
  memcpy((char *)args + offset, &ptr, sizeof ptr);
}

static qn_status upload(launch_memory *memory, const qn_binding *binding, const qn_tensor *const *operands,
                        qn_attention_args *args) {
  for (uint32_t i = 0; i < binding->operand_count; i++) {
    const qn_tensor *tensor = operands[binding->operands[i].index];
    QN_TRY(qn_device_allocate(memory->device, (size_t)QN_MAX(tensor->bytes, 1), &memory->operands[i]));
    QN_TRY(qn_device_upload(memory->device, memory->operands[i], tensor->data, (size_t)tensor->bytes));
    set_address(args, binding->operands[i].address, memory->operands[i]);
  }
  return QN_OK;
}

static size_t bytes_of(const qn_tensor *shape) {
  return (size_t)qn_dtype_bytes(shape->dtype, (uint64_t)qn_bind_count(shape));
}

static qn_status allocate_results(launch_memory *memory, const qn_binding *binding, qn_attention_args *args) {
  for (uint32_t i = 0; i < binding->result_count; i++) {
    size_t bytes = bytes_of(&binding->results[i].shape);
    QN_TRY(qn_device_allocate(memory->device, QN_MAX(bytes, 1), &memory->results[i]));
    set_address(args, binding->results[i].address, memory->results[i]);
  }
  return QN_OK;
}

// Zeros: a launch leaves them so, but this is the first.
static qn_status allocate_workspace(launch_memory *memory, const qn_kernel_spec *spec,
                                    qn_attention_args *args) {
  qn_context *context = memory->device->context;
  size_t bytes = (size_t)qn_kernel_get_workspace_bytes(spec, args);
  if (bytes == 0) return QN_OK;
  void *zeros = qn_alloc_zero(context, bytes);
  if (!zeros) return qn_fail_memory(context);
  qn_status status = qn_device_allocate(memory->device, bytes, &memory->workspace);
  if (status == QN_OK) status = qn_device_upload(memory->device, memory->workspace, zeros, bytes);
  qn_free(context, zeros, bytes);
  args->workspace = memory->workspace;
  return status;
}

static qn_status run(const qn_loaded_kernel *loaded, const qn_binding *binding,
                     const qn_tensor *const *operands, launch_memory *memory, void *const *out_data) {
  qn_attention_args args = binding->args;
  QN_TRY(upload(memory, binding, operands, &args));
  QN_TRY(allocate_results(memory, binding, &args));
  QN_TRY(allocate_workspace(memory, &loaded->spec, &args));
  QN_TRY(qn_launch_attention(loaded, &args, NULL));
  QN_TRY(qn_device_wait(memory->device));
  for (uint32_t i = 0; i < binding->result_count; i++)
    if (out_data[i])
      QN_TRY(qn_device_download(memory->device, out_data[i], memory->results[i],
                                bytes_of(&binding->results[i].shape)));
  return QN_OK;
}

static qn_status release(const launch_memory *memory) {
  qn_status status = QN_OK, freed;
  for (uint32_t i = 0; i < QN_BOUND_RESULTS_MAX; i++)
    if ((freed = qn_device_free(memory->device, memory->results[i])) != QN_OK) status = freed;
  for (uint32_t i = 0; i < QN_BOUND_OPERANDS_MAX; i++)
    if ((freed = qn_device_free(memory->device, memory->operands[i])) != QN_OK) status = freed;
  if ((freed = qn_device_free(memory->device, memory->workspace)) != QN_OK) status = freed;
  return status;
}

qn_status qn_run_binding(const qn_loaded_kernel *loaded, const qn_binding *binding,
                         const qn_tensor *const *operands, void *const *out_data) {
  qn_context *context = loaded->device->context;
  launch_memory memory = { .device = loaded->device };
  qn_status status = run(loaded, binding, operands, &memory, out_data);
  if (status == QN_OK) return release(&memory);
  // A device that has failed may refuse to take memory back; what is told is why it failed.
  char place[512], message[1024];
  snprintf(place, sizeof place, "%s", qn_context_get_error(context)->place);
  snprintf(message, sizeof message, "%s", qn_context_get_error(context)->message);
  return release(&memory) == QN_OK ? status : qn_fail(context, status, place, "%s", message);
}

static qn_status add_results(qn_results *results, const qn_binding *binding, void **out_data) {
  for (uint32_t i = 0; i < binding->result_count; i++)
    QN_TRY(qn_results_add(results, binding->results[i].index, &binding->results[i].shape, &out_data[i]));
  return QN_OK;
}

qn_status qn_run_attention(const qn_loaded_kernel *loaded, const qn_graph *graph, qn_node attention,
                           const qn_tensor *const *operands, uint32_t operand_count, qn_results **out_results) {
  qn_context *context = loaded->device->context;
  qn_binding binding;
  qn_reason reason;
  void *data[QN_BOUND_RESULTS_MAX];
  if (!qn_bind_node(&loaded->spec, graph, attention, operands, operand_count, &binding, &reason))
    return qn_fail(context, QN_INVALID, "attention", "%s: expected %s, found %s", qn_why_sentence(reason.why),
                   reason.expected, reason.found);
  qn_results *results;
  QN_TRY(qn_results_create(context, binding.results[binding.result_count - 1].index + 1, &results));
  qn_status status = add_results(results, &binding, data);
  if (status == QN_OK) status = qn_run_binding(loaded, &binding, operands, data);
  if (status != QN_OK) {
    qn_results_destroy(results);
    return status;
  }
  *out_results = results;
  return QN_OK;
}
