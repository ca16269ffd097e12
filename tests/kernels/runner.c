// Operands to the device, one launch, the output back, with guards around and between its rows.
#include "tests/kernels/runner.h"

#include "ir/base_priv.h"
#include "quant/elements_priv.h"

#include <stdlib.h>

enum { GUARD = 4096, GUARD_BYTE = 0xA5, GAP_BYTE = 0xFF }; // 0xFFFF.. is NaN in every float type

// --- opening -----------------------------------------------------------------------------------------------

// Emulators are made when they are asked for.
qn_status kernel_runner_get_device(kernel_runner *runner, qn_target target, qn_device **out_device) {
  qn_device **device = &runner->devices[runner->kind == DEVICE_CUDA ? runner->only : target];
  if (!*device)
    QN_TRY(qn_device_create_emulator(runner->context,
                                     qn_emulator_params(.target = target, .threads = runner->threads), device));
  *out_device = *device;
  return QN_OK;
}

static qn_status open_cuda(kernel_runner *runner) {
  qn_device *device;
  const char *missing;
  QN_TRY(qn_device_create_cuda(runner->context, 0, &device));
  qn_status status = qn_device_get_target(device, &runner->only);
  if (status != QN_OK) {
    qn_device_destroy(device);
    return status;
  }
  runner->devices[runner->only] = device;
  runner->has_driver = gpu_driver_open(&runner->driver, &missing);
  if (!runner->has_driver)
    return qn_fail(runner->context, QN_INVALID, "CUDA graphs", "the driver lacks %s", missing);
  return QN_OK;
}

qn_status kernel_runner_open(qn_context *context, kernel_device kind, uint32_t threads, const char *cache_dir,
                             kernel_runner *out_runner) {
  *out_runner =
      (kernel_runner){ .context = context, .kind = kind, .threads = threads, .only = QN_TARGET_COUNT };
  if (kind == DEVICE_REFERENCE) return QN_OK;
  qn_device *unused;
  qn_status status = kind == DEVICE_CUDA ? open_cuda(out_runner)
                                         : kernel_runner_get_device(out_runner, QN_TARGET_sm_90a, &unused);
  if (status == QN_OK)
    status = qn_compiler_create(context, qn_compiler_params(.cache_dir = cache_dir), &out_runner->compiler);
  if (status != QN_OK) kernel_runner_close(out_runner);
  return status;
}

void kernel_runner_close(kernel_runner *runner) {
  if (runner->has_driver) gpu_driver_close(&runner->driver);
  qn_compiler_destroy(runner->compiler);
  for (int i = 0; i < QN_TARGET_COUNT; i++) qn_device_destroy(runner->devices[i]);
  *runner = (kernel_runner){ 0 };
}

// --- compiling ---------------------------------------------------------------------------------------------

// What a node cannot say is taken from the case; all else must be what the node says.
static qn_status complete_spec(qn_context *context, const kernel_case *c, bool fused, qn_kernel_spec *spec) {
  char said[128], meant[128];
  const qn_kernel_spec wanted = kernel_case_spec(c, fused);
  spec->pack_heads = c->pack_heads;
  spec->f32_mode = c->f32_mode;
  qn_kernel_format_name(spec, said);
  qn_kernel_format_name(&wanted, meant);
  if (strcmp(said, meant) == 0) return QN_OK;
  return qn_fail(context, QN_BUG, "spec", "the node gives the kernel %s, the case %s", said, meant);
}

static qn_status compile(kernel_runner *runner, const kernel_data *data, bool fused, qn_kernel **out_kernel) {
  qn_binary binary = runner->kind == DEVICE_EMULATOR ? QN_PTX : QN_CUBIN;
  qn_graph *graph;
  qn_node node;
  qn_kernel_spec spec;
  QN_TRY(kernel_data_build(runner->context, data, fused, data->c.v_head_dim, &graph, &node));
  qn_status status = qn_kernel_spec_from_node(graph, node, data->c.target, &spec, NULL);
  qn_graph_destroy(graph);
  if (status == QN_OK) status = complete_spec(runner->context, &data->c, fused, &spec);
  if (status == QN_OK) status = qn_compiler_compile(runner->compiler, &spec, binary, out_kernel);
  return status;
}

// --- memory ------------------------------------------------------------------------------------------------

typedef struct launch {
  kernel_runner *runner;
  qn_device *device;
  const kernel_data *data;
  bool fused;
  kernel_rows rows[SIDES];
  qn_device_ptr operands[QN_ATTENTION_OPERAND_COUNT], out;
} launch;

static qn_status upload_bytes(launch *l, const void *bytes, uint64_t count, qn_device_ptr *out_ptr) {
  QN_TRY(qn_device_allocate(l->device, QN_MAX(count, 16), out_ptr));
  return qn_device_upload(l->device, *out_ptr, bytes, count);
}

// The sides `first` to `last` in one buffer, which is the operand `first`.
static qn_status upload_sides(launch *l, kernel_side first, kernel_side last) {
  uint64_t bytes = l->rows[first].bytes;
  uint8_t *buffer = malloc(bytes + 1);
  if (!buffer) return qn_fail_memory(l->runner->context);
  memset(buffer, GAP_BYTE, bytes);
  for (kernel_side side = first; side <= last; side++)
    kernel_storage_scatter(l->data, side, &l->rows[side], l->data->operands[side].data, buffer);
  qn_status status = upload_bytes(l, buffer, bytes, &l->operands[first]);
  free(buffer);
  return status;
}

static qn_status upload_operands(launch *l) {
  bool packed = l->data->c.storage == STORAGE_PACKED;
  QN_TRY(upload_sides(l, SIDE_Q, packed ? SIDE_V : SIDE_Q));
  if (!packed) QN_TRY(upload_sides(l, SIDE_K, SIDE_K));
  if (!packed) QN_TRY(upload_sides(l, SIDE_V, SIDE_V));
  for (uint32_t i = QN_ATTENTION_MASK; i < QN_ATTENTION_OPERAND_COUNT; i++) {
    const qn_tensor *tensor = &l->data->operands[i];
    if (tensor->data) QN_TRY(upload_bytes(l, tensor->data, tensor->bytes, &l->operands[i]));
  }
  return QN_OK;
}

static void release(launch *l) {
  for (int i = 0; i < QN_ATTENTION_OPERAND_COUNT; i++) (void)qn_device_free(l->device, l->operands[i]);
  (void)qn_device_free(l->device, l->out);
}

static uint64_t out_bytes(const launch *l) {
  return l->rows[SIDE_OUT].bytes + 2 * GUARD;
}

// Guards around and between the rows; where there is no guard, bytes that an output will have to replace.
static qn_status reset_out(launch *l) {
  uint8_t *fill = malloc(out_bytes(l));
  if (!fill) return qn_fail_memory(l->runner->context);
  memset(fill, GUARD_BYTE, out_bytes(l));
  qn_status status = qn_device_upload(l->device, l->out, fill, out_bytes(l));
  free(fill);
  return status;
}

// Takes the rows out of a buffer; all that is left must be as it was.
static qn_status split_out(launch *l, uint8_t *all, uint8_t *out) {
  const kernel_data *data = l->data;
  const kernel_rows *rows = &l->rows[SIDE_OUT];
  size_t dense = data->out_count * rows->element_size;
  kernel_storage_gather(data, SIDE_OUT, rows, all + GUARD, out);
  uint8_t *guards = malloc(dense + 1);
  if (!guards) return qn_fail_memory(l->runner->context);
  memset(guards, GUARD_BYTE, dense);
  kernel_storage_scatter(data, SIDE_OUT, rows, guards, all + GUARD);
  free(guards);
  for (uint64_t i = 0; i < out_bytes(l); i++)
    if (all[i] != GUARD_BYTE)
      return qn_fail(l->runner->context, QN_BUG, "guard", "the kernel wrote byte %lld of %llu of its output",
                     (long long)i - GUARD, (unsigned long long)rows->bytes);
  return QN_OK;
}

static qn_status read_out(launch *l, uint8_t *out) {
  uint8_t *all = malloc(out_bytes(l));
  if (!all) return qn_fail_memory(l->runner->context);
  qn_status status = qn_device_download(l->device, all, l->out, out_bytes(l));
  if (status == QN_OK) status = split_out(l, all, out);
  free(all);
  return status;
}

// --- launching ---------------------------------------------------------------------------------------------

static qn_attention_args args_of(const launch *l, const qn_kernel_spec *spec) {
  const kernel_data *data = l->data;
  const kernel_case *c = &data->c;
  const qn_device_ptr *operands = l->operands;
  qn_device_ptr sides[SIDE_OUT];
  for (int side = SIDE_Q; side < SIDE_OUT; side++)
    sides[side] = operands[c->storage == STORAGE_PACKED ? SIDE_Q : side] + l->rows[side].start;
  qn_attention_args args = { .batch = data->batch,
                             .q_len = c->q_len,
                             .kv_len = c->kv_len,
                             .q = sides[SIDE_Q],
                             .k = sides[SIDE_K],
                             .v = sides[SIDE_V],
                             .q_stride = l->rows[SIDE_Q].stride,
                             .k_stride = l->rows[SIDE_K].stride,
                             .v_stride = l->rows[SIDE_V].stride,
                             .out = l->out + GUARD + l->rows[SIDE_OUT].start,
                             .out_stride = l->rows[SIDE_OUT].stride,
                             .output_scale = l->fused ? operands[QN_ATTENTION_OUTPUT_SCALE] : 0,
                             .mask = operands[QN_ATTENTION_MASK],
                             .sinks = operands[QN_ATTENTION_SINKS],
                             .alibi_slopes = operands[QN_ATTENTION_ALIBI_SLOPES],
                             .kv_lengths = operands[QN_ATTENTION_KV_LENGTHS],
                             .cu_seqlens_q = operands[QN_ATTENTION_CU_SEQLENS_Q],
                             .cu_seqlens_kv = operands[QN_ATTENTION_CU_SEQLENS_KV] };
  if (c->storage == STORAGE_DENSE)
    qn_attention_args_set_dense(spec, c->q_layout, c->k_layout, c->v_layout, c->out_layout, &args);
  if (!c->mask) return args;
  int64_t row = c->kv_len, head = c->mask_per_query ? row * c->q_len : row;
  args.mask_kv_stride = 1;
  args.mask_q_stride = c->mask_per_query ? row : 0;
  args.mask_head_stride = c->mask_per_head ? head : 0;
  args.mask_batch_stride = !c->mask_per_batch ? 0 : c->mask_per_head ? head * c->heads : head;
  return args;
}

// Launches through a CUDA graph that was captured before the scale had its value: the kernel must read it on
// the device.
static qn_status launch_captured(launch *l, const qn_loaded_kernel *loaded, const qn_attention_args *args) {
  gpu_driver *cuda = &l->runner->driver;
  const qn_tensor *scale = &l->data->operands[QN_ATTENTION_OUTPUT_SCALE];
  void *stream = NULL, *graph = NULL, *exec = NULL;
  uint8_t zero[8] = { 0 };
  QN_TRY(qn_device_upload(l->device, args->output_scale, zero, scale->bytes));
  int result = cuda->StreamCreate(&stream, 1); // not synchronised with the default stream
  if (result == 0) result = cuda->StreamBeginCapture(stream, 0);
  qn_status status = result == 0 ? qn_launch_attention(loaded, args, stream) : QN_OK;
  if (result == 0) result = cuda->StreamEndCapture(stream, &graph);
  if (result == 0 && status == QN_OK)
    status = qn_device_upload(l->device, args->output_scale, scale->data, scale->bytes);
  if (result == 0) result = cuda->GraphInstantiate(&exec, graph, 0);
  if (result == 0) result = cuda->GraphLaunch(exec, stream);
  if (result == 0) result = cuda->StreamSynchronize(stream);
  if (exec) (void)cuda->GraphExecDestroy(exec);
  if (graph) (void)cuda->GraphDestroy(graph);
  if (stream) (void)cuda->StreamDestroy(stream);
  if (status == QN_OK && result != 0)
    status =
        qn_fail(l->runner->context, QN_UNAVAILABLE, "CUDA graph", "capture or replay gave error %d", result);
  return status;
}

static qn_status launch_once(launch *l, const qn_loaded_kernel *loaded, const qn_attention_args *args,
                             bool captured, uint8_t *out) {
  QN_TRY(reset_out(l));
  QN_TRY(captured ? launch_captured(l, loaded, args) : qn_launch_attention(loaded, args, NULL));
  QN_TRY(qn_device_wait(l->device));
  return read_out(l, out);
}

static qn_status launch_all(launch *l, const qn_kernel *kernel, const qn_loaded_kernel *loaded, uint8_t *out,
                            kernel_replay *out_replay) {
  for (kernel_side side = SIDE_Q; side < SIDES; side++)
    l->rows[side] =
        kernel_storage_of(l->data, side, side == SIDE_OUT && l->fused ? 1 : qn_element_size(l->data->c.dtype));
  QN_TRY(upload_operands(l));
  QN_TRY(qn_device_allocate(l->device, out_bytes(l), &l->out));
  qn_attention_args args = args_of(l, qn_kernel_get_spec(kernel));
  QN_TRY(launch_once(l, loaded, &args, false, out));
  if (!l->fused || !l->runner->has_driver) return QN_OK;
  size_t bytes = l->data->out_count;
  uint8_t *again = malloc(bytes + 1);
  if (!again) return qn_fail_memory(l->runner->context);
  qn_status status = launch_once(l, loaded, &args, true, again);
  if (status == QN_OK) *out_replay = memcmp(out, again, bytes) == 0 ? REPLAY_SAME : REPLAY_DIFFERENT;
  free(again);
  return status;
}

static qn_status run_reference(kernel_runner *runner, const kernel_data *data, bool fused, uint8_t *out) {
  qn_results *results;
  QN_TRY(kernel_data_run_reference(runner->context, data, fused, QN_REFERENCE_DECLARED,
                                   &data->operands[QN_ATTENTION_V], data->c.v_head_dim, &results));
  const qn_tensor *tensor = qn_results_get(results, 0);
  if (tensor->bytes > 0) memcpy(out, tensor->data, tensor->bytes);
  qn_results_destroy(results);
  return QN_OK;
}

qn_status kernel_runner_run(kernel_runner *runner, const kernel_data *data, bool fused, uint8_t *out,
                            kernel_replay *out_replay) {
  if (runner->kind == DEVICE_REFERENCE) return run_reference(runner, data, fused, out);
  launch l = { .runner = runner, .data = data, .fused = fused };
  qn_kernel *kernel;
  qn_loaded_kernel *loaded = NULL;
  QN_TRY(kernel_runner_get_device(runner, data->c.target, &l.device));
  QN_TRY(compile(runner, data, fused, &kernel));
  qn_status status = qn_device_load(l.device, kernel, &loaded);
  if (status == QN_OK) status = launch_all(&l, kernel, loaded, out, out_replay);
  release(&l);
  qn_loaded_kernel_destroy(loaded);
  qn_kernel_destroy(kernel);
  return status;
}
