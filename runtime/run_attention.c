// One attention on tensors in host memory.
#include "runtime/bind_priv.h"
#include "runtime/device_priv.h"
#include "runtime/reference/reference_priv.h"

#include <stdio.h>

// Device memory of one launch.
typedef struct launch_memory {
  qn_device *device;
  qn_device_ptr operands[QN_BOUND_OPERANDS_MAX], out;
} launch_memory;

static qn_status upload(launch_memory *memory, const qn_binding *binding, const qn_tensor *const *operands,
                        qn_attention_args *args) {
  for (uint32_t i = 0; i < binding->operand_count; i++) {
    const qn_tensor *tensor = operands[binding->operands[i].index];
    QN_TRY(qn_device_allocate(memory->device, (size_t)QN_MAX(tensor->bytes, 1), &memory->operands[i]));
    QN_TRY(qn_device_upload(memory->device, memory->operands[i], tensor->data, (size_t)tensor->bytes));
    memcpy((char *)args + binding->operands[i].address, &memory->operands[i], sizeof(qn_device_ptr));
  }
  return QN_OK;
}

static uint64_t bytes_of(const qn_tensor *shape) {
  uint64_t count = 1;
  for (int32_t d = 0; d < shape->rank; d++) count *= (uint64_t)shape->dims[d];
  return qn_dtype_bytes(shape->dtype, count);
}

static qn_status run(const qn_loaded_kernel *loaded, const qn_binding *binding,
                     const qn_tensor *const *operands, launch_memory *memory, void *out_data) {
  qn_attention_args args = binding->args;
  size_t bytes = (size_t)bytes_of(&binding->out);
  QN_TRY(upload(memory, binding, operands, &args));
  QN_TRY(qn_device_allocate(memory->device, QN_MAX(bytes, 1), &memory->out));
  args.out = memory->out;
  QN_TRY(qn_launch_attention(loaded, &args, NULL));
  QN_TRY(qn_device_wait(memory->device));
  return qn_device_download(memory->device, out_data, memory->out, bytes);
}

static qn_status release(const launch_memory *memory) {
  qn_status status = qn_device_free(memory->device, memory->out);
  for (uint32_t i = 0; i < QN_BOUND_OPERANDS_MAX; i++) {
    qn_status freed = qn_device_free(memory->device, memory->operands[i]);
    if (freed != QN_OK) status = freed;
  }
  return status;
}

qn_status qn_run_binding(const qn_loaded_kernel *loaded, const qn_binding *binding,
                         const qn_tensor *const *operands, void *out_data) {
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

qn_status qn_run_attention(const qn_loaded_kernel *loaded, const qn_graph *graph, qn_node attention,
                           const qn_tensor *const *operands, uint32_t operand_count, qn_results **out_results) {
  qn_context *context = loaded->device->context;
  qn_binding binding;
  qn_reason reason;
  if (!qn_bind_attention(&loaded->spec, graph, attention, operands, operand_count, &binding, &reason))
    return qn_fail(context, QN_INVALID, "attention", "%s: expected %s, found %s", qn_why_sentence(reason.why),
                   reason.expected, reason.found);
  qn_results *results;
  void *data;
  QN_TRY(qn_results_create(context, 1, &results));
  qn_status status = qn_results_add(results, 0, &binding.out, &data);
  if (status == QN_OK) status = qn_run_binding(loaded, &binding, operands, data);
  if (status != QN_OK) {
    qn_results_destroy(results);
    return status;
  }
  *out_results = results;
  return QN_OK;
}
