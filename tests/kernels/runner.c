// Operands to the device, one launch, the output back, with guards around and between its rows.
#include "tests/kernels/runner.h"

#include "ir/base_priv.h"
#include "quant/elements_priv.h"

#include <stdlib.h>

enum { GUARD = 4096, GAP_BYTE = 0xFF }; // 0xFFFF.. is NaN in every float type

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
  spec->schedule = wanted.schedule;
  spec->pack_heads = c->pack_heads;
  spec->f32_mode = c->f32_mode;
  spec->schedule = wanted.schedule;
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
  // The case's spec is supported: a node that is not is no reason to leave the case out.
  if (status == QN_UNSUPPORTED)
    status = qn_fail(runner->context, QN_BUG, "node", "%s", qn_context_get_error(runner->context)->message);
  if (status == QN_OK) status = complete_spec(runner->context, &data->c, fused, &spec);
  if (status == QN_OK) status = qn_compiler_compile(runner->compiler, &spec, binary, out_kernel);
  return status;
}

// --- memory ------------------------------------------------------------------------------------------------

// A result on the device, with guards in front of it and behind.
typedef struct guarded {
  qn_device_ptr ptr;
  uint64_t bytes; // without the guards
} guarded;

typedef struct launch {
  kernel_runner *runner;
  qn_device *device;
  const kernel_data *data;
  bool fused;
  kernel_rows rows[SIDES]; // SIDE_OUT: of the twin's output, or of the unquantized one
  qn_device_ptr operands[QN_ATTENTION_OPERAND_COUNT], workspace;
  guarded results[KERNEL_RESULTS];
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

// What only quantizes reads rows instead of q, as dense as they were written.
static bool only_quantizes(const launch *l) {
  return l->fused && l->data->c.schedule == QN_SCHEDULE_quantize;
}

static qn_status upload_operands(launch *l, const kernel_outputs *twin) {
  bool packed = l->data->c.storage == STORAGE_PACKED;
  if (only_quantizes(l))
    QN_TRY(
        upload_bytes(l, twin->bytes[QN_ATTENTION_OUT], twin->length[QN_ATTENTION_OUT], &l->operands[SIDE_Q]));
  else {
    QN_TRY(upload_sides(l, SIDE_Q, packed ? SIDE_V : SIDE_Q));
    if (!packed) QN_TRY(upload_sides(l, SIDE_K, SIDE_K));
    if (!packed) QN_TRY(upload_sides(l, SIDE_V, SIDE_V));
  }
  for (uint32_t i = QN_ATTENTION_MASK; i < QN_ATTENTION_OPERAND_COUNT; i++) {
    const qn_tensor *tensor = &l->data->operands[i];
    if (tensor->data) QN_TRY(upload_bytes(l, tensor->data, tensor->bytes, &l->operands[i]));
  }
  return QN_OK;
}

static void release(launch *l) {
  for (int i = 0; i < QN_ATTENTION_OPERAND_COUNT; i++) (void)qn_device_free(l->device, l->operands[i]);
  for (int i = 0; i < KERNEL_RESULTS; i++) (void)qn_device_free(l->device, l->results[i].ptr);
  (void)qn_device_free(l->device, l->workspace);
}

// The rows of a result, NULL of scales.
static const kernel_rows *rows_of(const launch *l, uint32_t result) {
  if (result == QN_ATTENTION_BLOCK_SCALE || result == QN_ATTENTION_ZERO_POINT) return NULL;
  return &l->rows[l->fused && result == QN_ATTENTION_OUT ? SIDE_CODES : SIDE_OUT];
}
static kernel_side side_of(const launch *l, uint32_t result) {
  return l->fused && result == QN_ATTENTION_OUT ? SIDE_CODES : SIDE_OUT;
}

static qn_status allocate_results(launch *l, const kernel_outputs *outputs) {
  for (uint32_t i = 0; i < KERNEL_RESULTS; i++) {
    if (!outputs->bytes[i]) continue;
    const kernel_rows *rows = rows_of(l, i);
    l->results[i].bytes = rows ? rows->bytes : outputs->length[i];
    QN_TRY(qn_device_allocate(l->device, l->results[i].bytes + 2 * GUARD, &l->results[i].ptr));
  }
  return QN_OK;
}

// Guards around and between the rows; where there is no guard, bytes that an output will have to replace.
static qn_status fill(launch *l, qn_device_ptr ptr, uint64_t bytes, int value) {
  uint8_t *from = malloc(bytes + 1);
  if (!from) return qn_fail_memory(l->runner->context);
  memset(from, value, bytes);
  qn_status status = qn_device_upload(l->device, ptr, from, bytes);
  free(from);
  return status;
}

static qn_status reset_results(launch *l) {
  for (uint32_t i = 0; i < KERNEL_RESULTS; i++)
    if (l->results[i].ptr)
      QN_TRY(fill(l, l->results[i].ptr, l->results[i].bytes + 2 * GUARD, KERNEL_UNTOUCHED));
  return QN_OK;
}

// Takes a result out of its memory; all that is left must be as it was.
static qn_status split_result(launch *l, uint32_t index, uint8_t *all, kernel_outputs *outputs) {
  const kernel_rows *rows = rows_of(l, index);
  const uint64_t length = outputs->length[index], bytes = l->results[index].bytes;
  uint8_t *guards = malloc(length + 1);
  if (!guards) return qn_fail_memory(l->runner->context);
  memset(guards, KERNEL_UNTOUCHED, length);
  if (rows) {
    kernel_storage_gather(l->data, side_of(l, index), rows, all + GUARD, outputs->bytes[index]);
    kernel_storage_scatter(l->data, side_of(l, index), rows, guards, all + GUARD);
  } else {
    memcpy(outputs->bytes[index], all + GUARD, length);
    memset(all + GUARD, KERNEL_UNTOUCHED, length);
  }
  free(guards);
  for (uint64_t i = 0; i < bytes + 2 * GUARD; i++)
    if (all[i] != KERNEL_UNTOUCHED)
      return qn_fail(l->runner->context, QN_BUG, "guard", "the kernel wrote byte %lld of %llu of its result %u",
                     (long long)i - GUARD, (unsigned long long)bytes, index);
  return QN_OK;
}

static qn_status read_results(launch *l, kernel_outputs *outputs) {
  for (uint32_t i = 0; i < KERNEL_RESULTS; i++) {
    if (!outputs->bytes[i]) continue;
    uint64_t bytes = l->results[i].bytes + 2 * GUARD;
    uint8_t *all = malloc(bytes);
    if (!all) return qn_fail_memory(l->runner->context);
    qn_status status = qn_device_download(l->device, all, l->results[i].ptr, bytes);
    if (status == QN_OK) status = split_result(l, i, all, outputs);
    free(all);
    QN_TRY(status);
  }
  return QN_OK;
}

// --- launching ---------------------------------------------------------------------------------------------

static qn_device_ptr result_of(const launch *l, uint32_t index) {
  const kernel_rows *rows = rows_of(l, index);
  return l->results[index].ptr ? l->results[index].ptr + GUARD + (rows ? rows->start : 0) : 0;
}

// Where results go, and the operands of the output scheme.
static void set_results(const launch *l, const qn_kernel_spec *spec, qn_attention_args *args) {
  const kernel_data *data = l->data;
  const qn_device_ptr *operands = l->operands;
  args->out = result_of(l, QN_ATTENTION_OUT);
  args->out_stride = l->rows[side_of(l, QN_ATTENTION_OUT)].stride;
  if (!l->fused) return;
  args->output_scale = operands[QN_ATTENTION_OUTPUT_SCALE];
  args->output_zero_point = operands[QN_ATTENTION_OUTPUT_ZERO_POINT];
  args->pre_scale = operands[QN_ATTENTION_PRE_SCALE];
  args->scale_bound = operands[QN_ATTENTION_SCALE_BOUND];
  if (!data->c.scheme.dynamic && data->c.scheme.granularity == QN_PER_CHANNEL &&
      kernel_case_is_merged(&data->c))
    args->output_scale_head = data->c.v_head_dim;
  if (!data->c.pre_scale_shared) args->pre_scale_head = data->c.v_head_dim;
  args->block_scale = result_of(l, QN_ATTENTION_BLOCK_SCALE);
  args->zero_points = result_of(l, QN_ATTENTION_ZERO_POINT);
  args->unquantized = result_of(l, QN_ATTENTION_UNQUANTIZED);
  args->unquantized_stride = l->rows[SIDE_OUT].stride;
  if (!data->c.scheme.dynamic) return;
  (void)qn_attention_args_set_dense_scales(spec, data->c.out_layout, data->q_tokens, args); // cases.c has asked
  args->block_scale_row = kernel_outputs_first_row(data);
  args->block_scale_rows = kernel_outputs_rows(data);
}

// Dense rows in the layout of the output, of one sequence after the other where those lie end to end.
static void set_quantized_rows(const launch *l, const qn_kernel_spec *spec, qn_attention_args *args) {
  const kernel_case *c = &l->data->c;
  qn_kernel_spec rows = *spec;
  qn_attention_args dense = *args;
  rows.output = qn_scheme_of(QN_SCHEME_none);
  qn_attention_args_set_dense(&rows, c->q_layout, c->k_layout, c->v_layout, c->out_layout, &dense);
  args->q = l->operands[SIDE_Q];
  args->q_stride = dense.out_stride;
  args->k = args->v = args->mask = args->sinks = args->alibi_slopes = args->kv_lengths = 0;
  args->cu_seqlens_q = args->cu_seqlens_kv = 0;
  if (c->lengths == LENGTHS_VARLEN) args->batch = 1, args->q_len = l->data->q_tokens;
}

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
                             .mask = operands[QN_ATTENTION_MASK],
                             .sinks = operands[QN_ATTENTION_SINKS],
                             .alibi_slopes = operands[QN_ATTENTION_ALIBI_SLOPES],
                             .kv_lengths = operands[QN_ATTENTION_KV_LENGTHS],
                             .cu_seqlens_q = operands[QN_ATTENTION_CU_SEQLENS_Q],
                             .cu_seqlens_kv = operands[QN_ATTENTION_CU_SEQLENS_KV] };
  set_results(l, spec, &args);
  if (c->storage == STORAGE_DENSE)
    qn_attention_args_set_dense(spec, c->q_layout, c->k_layout, c->v_layout, c->out_layout, &args);
  if (only_quantizes(l)) {
    set_quantized_rows(l, spec, &args);
    return args;
  }
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
  qn_device_ptr scale_ptr = l->operands[QN_ATTENTION_OUTPUT_SCALE];
  void *stream = NULL, *graph = NULL, *exec = NULL;
  if (scale_ptr) QN_TRY(fill(l, scale_ptr, scale->bytes, 0));
  int result = cuda->StreamCreate(&stream, 1); // not synchronised with the default stream
  if (result == 0) result = cuda->StreamBeginCapture(stream, 0);
  qn_status status = result == 0 ? qn_launch_attention(loaded, args, stream) : QN_OK;
  if (result == 0) result = cuda->StreamEndCapture(stream, &graph);
  if (result == 0 && status == QN_OK && scale_ptr)
    status = qn_device_upload(l->device, scale_ptr, scale->data, scale->bytes);
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
                             bool captured, kernel_outputs *outputs) {
  QN_TRY(reset_results(l));
  QN_TRY(captured ? launch_captured(l, loaded, args) : qn_launch_attention(loaded, args, NULL));
  QN_TRY(qn_device_wait(l->device));
  return read_results(l, outputs);
}

// The same launch again, from a CUDA graph where there are any.
static qn_status replay(launch *l, const qn_loaded_kernel *loaded, const qn_attention_args *args,
                        const kernel_outputs *outputs, kernel_replay *out_replay) {
  kernel_outputs again;
  if (!kernel_outputs_create(l->data, true, &again)) return qn_fail_memory(l->runner->context);
  qn_status status = launch_once(l, loaded, args, l->runner->has_driver, &again);
  *out_replay = REPLAY_SAME;
  for (uint32_t i = 0; status == QN_OK && i < KERNEL_RESULTS; i++)
    if (again.bytes[i] && memcmp(outputs->bytes[i], again.bytes[i], again.length[i]) != 0)
      *out_replay = REPLAY_DIFFERENT;
  kernel_outputs_free(&again);
  return status;
}

static qn_status launch_all(launch *l, const qn_kernel_spec *spec, const qn_loaded_kernel *loaded,
                            const kernel_outputs *twin, kernel_outputs *outputs, kernel_replay *out_replay) {
  for (kernel_side side = SIDE_Q; side <= SIDE_V; side++)
    l->rows[side] = kernel_storage_of(l->data, side, qn_dtype_bits(l->data->operands[side].dtype));
  l->rows[SIDE_OUT] = kernel_storage_of(
      l->data, SIDE_OUT, qn_dtype_bits(l->fused ? l->data->c.dtype : kernel_case_twin_dtype(&l->data->c)));
  l->rows[SIDE_CODES] =
      kernel_storage_of(l->data, SIDE_CODES, qn_dtype_bits((qn_dtype)l->data->c.scheme.target));
  QN_TRY(upload_operands(l, twin));
  QN_TRY(allocate_results(l, outputs));
  qn_attention_args args = args_of(l, spec);
  uint64_t workspace = qn_kernel_get_workspace_bytes(spec, &args);
  if (workspace > 0) {
    QN_TRY(qn_device_allocate(l->device, workspace, &l->workspace));
    QN_TRY(fill(l, l->workspace, workspace, 0));
    args.workspace = l->workspace;
  }
  QN_TRY(launch_once(l, loaded, &args, false, outputs));
  // Where there is a workspace the second launch shows that the first has left it as it must be.
  if (!l->fused || (!l->runner->has_driver && workspace == 0)) return QN_OK;
  return replay(l, loaded, &args, outputs, out_replay);
}

// The outputs of the graph stand in the order of the results that the case asks for.
static qn_status run_reference(kernel_runner *runner, const kernel_data *data, bool fused,
                               kernel_outputs *outputs) {
  qn_results *results;
  QN_TRY(kernel_data_run_reference(runner->context, data, fused, QN_REFERENCE_DECLARED,
                                   &data->operands[QN_ATTENTION_V], data->c.v_head_dim, &results));
  for (uint32_t i = 0, at = 0; i < KERNEL_RESULTS; i++) {
    if (!outputs->bytes[i]) continue;
    const qn_tensor *tensor = qn_results_get(results, at++);
    if (i == QN_ATTENTION_BLOCK_SCALE || i == QN_ATTENTION_ZERO_POINT)
      kernel_outputs_place(data, i, tensor->data, outputs);
    else if (tensor->bytes > 0)
      memcpy(outputs->bytes[i], tensor->data, tensor->bytes);
  }
  qn_results_destroy(results);
  return QN_OK;
}

qn_status kernel_runner_run(kernel_runner *runner, const kernel_data *data, bool fused,
                            const kernel_outputs *twin, kernel_outputs *outputs, kernel_replay *out_replay) {
  if (runner->kind == DEVICE_REFERENCE) return run_reference(runner, data, fused, outputs);
  launch l = { .runner = runner, .data = data, .fused = fused };
  qn_kernel *kernel;
  qn_loaded_kernel *loaded = NULL;
  QN_TRY(kernel_runner_get_device(runner, data->c.target, &l.device));
  QN_TRY(compile(runner, data, fused, &kernel));
  qn_status status = qn_device_load(l.device, kernel, &loaded);
  if (status == QN_OK) status = launch_all(&l, qn_kernel_get_spec(kernel), loaded, twin, outputs, out_replay);
  release(&l);
  qn_loaded_kernel_destroy(loaded);
  qn_kernel_destroy(kernel);
  return status;
}
