// The GPU suite: every case unfused against f64, fused against the unfused result through the CPU quantizer.
//
//   gpu_suite [--json FILE] [--case N] [--self-check]
//
// Exit status: 0 all cases hold, 1 one does not, 2 bad usage, 77 there is no device. With --self-check the
// reference executor stands in for the device: it proves the suite's own data, bounds and comparisons without a
// GPU.
#include "ir/base_priv.h"
#include "quant/elements_priv.h"
#include "tests/gpu/driver.h"
#include "tests/gpu/oracle.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SKIP = 77, GUARD = 4096, GUARD_BYTE = 0xA5 };

typedef struct suite {
  qn_context *context;
  qn_compiler *compiler;
  qn_device *device; // NULL: the reference executor
  gpu_driver driver; // for CUDA graphs
  bool has_driver;
  qn_target target;
  FILE *json;
  enum { PLANT_NONE, PLANT_VALUE, PLANT_CODE } plant; // an error in the reference executor's output
} suite;

typedef struct outcome {
  gpu_verdict values, codes;
  uint64_t different;    // fused codes unlike the quantized unfused output, in exact numerics
  const char *graph;     // "same", "different", "none"
  const char *complaint; // NULL: the case holds
} outcome;

// --- one launch --------------------------------------------------------------------------------------------

typedef struct buffers {
  qn_device_ptr q, k, v, mask, scale, out;
} buffers;

static qn_status upload(suite *s, const qn_tensor *tensor, qn_device_ptr *out_ptr) {
  if (!tensor->data) return QN_OK;
  QN_TRY(qn_device_allocate(s->device, tensor->bytes, out_ptr));
  return qn_device_upload(s->device, *out_ptr, tensor->data, tensor->bytes);
}

static void release(suite *s, buffers *b) {
  const qn_device_ptr all[] = { b->q, b->k, b->v, b->mask, b->scale, b->out };
  for (size_t i = 0; i < QN_COUNT(all); i++) (void)qn_device_free(s->device, all[i]);
}

// The output between two guards, all of it filled with a byte that codes and values will have to replace.
static qn_status reset_out(suite *s, const buffers *b, uint64_t bytes) {
  uint64_t total = bytes + 2 * GUARD;
  void *fill = malloc(total);
  if (!fill) return qn_fail_memory(s->context);
  memset(fill, GUARD_BYTE, total);
  qn_status status = qn_device_upload(s->device, b->out, fill, total);
  free(fill);
  return status;
}

static qn_status read_out(suite *s, const buffers *b, uint64_t bytes, uint8_t *out) {
  uint64_t total = bytes + 2 * GUARD;
  uint8_t *all = malloc(total);
  if (!all) return qn_fail_memory(s->context);
  qn_status status = qn_device_download(s->device, all, b->out, total);
  for (uint64_t i = 0; status == QN_OK && i < GUARD; i++)
    if (all[i] != GUARD_BYTE || all[GUARD + bytes + i] != GUARD_BYTE)
      status = qn_fail(s->context, QN_BUG, "guard", "the kernel wrote outside of its output");
  if (status == QN_OK) memcpy(out, all + GUARD, bytes);
  free(all);
  return status;
}

static qn_attention_args args_of(const gpu_data *data, const qn_kernel_spec *spec, const buffers *b,
                                 bool fused) {
  const gpu_case *c = &data->c;
  qn_attention_args args = { .batch = c->batch, .q_len = c->q_len, .kv_len = c->kv_len };
  qn_attention_args_set_dense(spec, c->q_layout, c->k_layout, c->v_layout, c->out_layout, &args);
  args.q = b->q;
  args.k = b->k;
  args.v = b->v;
  args.out = b->out + GUARD;
  args.output_scale = fused ? b->scale : 0;
  args.mask = b->mask;
  int64_t row = c->kv_len, head = c->mask_per_query ? row * c->q_len : row;
  int64_t batch = c->mask_per_head ? head * c->heads : head;
  args.mask_kv_stride = 1;
  args.mask_q_stride = c->mask_per_query ? row : 0;
  args.mask_head_stride = c->mask_per_head ? head : 0;
  args.mask_batch_stride = c->mask_per_batch ? batch : 0;
  return args;
}

// Launches through a CUDA graph that was captured before the scale had its value: the kernel must read it on
// the device.
static qn_status launch_captured(suite *s, const gpu_data *data, const qn_loaded_kernel *loaded,
                                 const qn_attention_args *args, const buffers *b) {
  gpu_driver *cuda = &s->driver;
  void *stream = NULL, *graph = NULL, *exec = NULL;
  uint8_t zero[8] = { 0 };
  QN_TRY(qn_device_upload(s->device, b->scale, zero, data->scale.bytes));
  int result = cuda->StreamCreate(&stream, 1); // not synchronised with the default stream
  if (result == 0) result = cuda->StreamBeginCapture(stream, 0);
  qn_status status = result == 0 ? qn_launch_attention(loaded, args, stream) : QN_OK;
  if (result == 0) result = cuda->StreamEndCapture(stream, &graph);
  if (result == 0 && status == QN_OK)
    status = qn_device_upload(s->device, b->scale, data->scale.data, data->scale.bytes);
  if (result == 0) result = cuda->GraphInstantiate(&exec, graph, 0);
  if (result == 0) result = cuda->GraphLaunch(exec, stream);
  if (result == 0) result = cuda->StreamSynchronize(stream);
  if (exec) (void)cuda->GraphExecDestroy(exec);
  if (graph) (void)cuda->GraphDestroy(graph);
  if (stream) (void)cuda->StreamDestroy(stream);
  if (status == QN_OK && result != 0)
    status = qn_fail(s->context, QN_UNAVAILABLE, "CUDA graph", "capture or replay gave error %d", result);
  return status;
}

static qn_status launch(suite *s, const gpu_data *data, bool fused, const qn_loaded_kernel *loaded,
                        const qn_kernel_spec *spec, const buffers *b, uint64_t bytes, uint8_t *out,
                        outcome *out_outcome) {
  qn_attention_args args = args_of(data, spec, b, fused);
  QN_TRY(reset_out(s, b, bytes));
  QN_TRY(qn_launch_attention(loaded, &args, NULL));
  QN_TRY(qn_device_wait(s->device));
  QN_TRY(read_out(s, b, bytes, out));
  if (!fused || !s->has_driver) return QN_OK;
  uint8_t *again = malloc(bytes);
  if (!again) return qn_fail_memory(s->context);
  qn_status status = reset_out(s, b, bytes);
  if (status == QN_OK) status = launch_captured(s, data, loaded, &args, b);
  if (status == QN_OK) status = read_out(s, b, bytes, again);
  if (status == QN_OK) out_outcome->graph = memcmp(out, again, bytes) == 0 ? "same" : "different";
  free(again);
  return status;
}

static qn_status run_kernel(suite *s, const gpu_data *data, bool fused, const qn_kernel *kernel, uint64_t bytes,
                            uint8_t *out, outcome *out_outcome) {
  buffers b = { 0 };
  qn_loaded_kernel *loaded = NULL;
  qn_status status = qn_device_load(s->device, kernel, &loaded);
  if (status == QN_OK) status = upload(s, &data->q, &b.q);
  if (status == QN_OK) status = upload(s, &data->k, &b.k);
  if (status == QN_OK) status = upload(s, &data->v, &b.v);
  if (status == QN_OK) status = upload(s, &data->mask, &b.mask);
  if (status == QN_OK) status = upload(s, &data->scale, &b.scale);
  if (status == QN_OK) status = qn_device_allocate(s->device, bytes + 2 * GUARD, &b.out);
  if (status == QN_OK)
    status = launch(s, data, fused, loaded, qn_kernel_get_spec(kernel), &b, bytes, out, out_outcome);
  release(s, &b);
  qn_loaded_kernel_destroy(loaded);
  return status;
}

// Changes sign and magnitude of the largest output.
static void plant_error(const gpu_data *data, uint32_t element_size, uint8_t *out) {
  uint64_t at = 0;
  for (uint64_t i = 1; i < data->out_count; i++)
    if (fabs(data->expected[i]) > fabs(data->expected[at])) at = i;
  out[(at + 1) * element_size - 1] ^= 0xC0;
}

static qn_status run_reference(suite *s, const gpu_data *data, bool fused, uint64_t bytes, uint8_t *out) {
  qn_results *results;
  QN_TRY(gpu_data_run_reference(s->context, data, fused, QN_REFERENCE_DECLARED, NULL, &results));
  memcpy(out, qn_results_get(results, 0)->data, bytes);
  qn_results_destroy(results);
  if (s->plant == (fused ? PLANT_CODE : PLANT_VALUE))
    plant_error(data, (uint32_t)(bytes / data->out_count), out);
  return QN_OK;
}

// One output of the case, from the node to the bytes.
static qn_status run(suite *s, const gpu_data *data, bool fused, uint64_t bytes, uint8_t *out,
                     outcome *out_outcome) {
  if (!s->device) return run_reference(s, data, fused, bytes, out);
  qn_graph *graph;
  qn_node node;
  qn_kernel *kernel = NULL;
  QN_TRY(gpu_case_build(s->context, &data->c, fused, &graph, &node));
  qn_status status = qn_compiler_compile_node(s->compiler, graph, node, s->target, QN_CUBIN, &kernel);
  if (status == QN_OK) status = run_kernel(s, data, fused, kernel, bytes, out, out_outcome);
  qn_kernel_destroy(kernel);
  qn_graph_destroy(graph);
  return status;
}

// --- one case ----------------------------------------------------------------------------------------------

static qn_status count_different(suite *s, const gpu_data *data, const uint8_t *unfused, const uint8_t *fused,
                                 uint64_t *out_different) {
  double *values = malloc(data->out_count * sizeof(*values));
  uint8_t *codes = malloc(data->out_count);
  qn_status status = values && codes ? QN_OK : qn_fail_memory(s->context);
  if (status == QN_OK) {
    qn_elements_load(data->c.dtype, unfused, data->out_count, values);
    status = gpu_data_quantize(s->context, data, values, codes);
  }
  *out_different = 0;
  for (uint64_t i = 0; status == QN_OK && i < data->out_count; i++) *out_different += codes[i] != fused[i];
  free(values);
  free(codes);
  return status;
}

static qn_status compare(suite *s, const gpu_data *data, uint8_t *unfused, uint8_t *fused, outcome *out) {
  uint64_t bytes = data->out_count * qn_element_size(data->c.dtype);
  QN_TRY(run(s, data, false, bytes, unfused, out));
  QN_TRY(run(s, data, true, data->out_count, fused, out));
  out->values = gpu_data_check_values(data, unfused);
  QN_TRY(gpu_data_check_codes(s->context, data, fused, &out->codes));
  if (data->c.numerics == QN_EXACT) QN_TRY(count_different(s, data, unfused, fused, &out->different));
  if (out->values.outside)
    out->complaint = "the unfused output is beyond the bound";
  else if (out->different)
    out->complaint = "fused codes differ from the quantized unfused output";
  else if (out->codes.outside)
    out->complaint = "fused codes are beyond the bound";
  else if (strcmp(out->graph, "different") == 0)
    out->complaint = "a captured launch gives other codes";
  return QN_OK;
}

static qn_status run_case(suite *s, const gpu_case *c, uint64_t seed, outcome *out) {
  gpu_data data;
  *out = (outcome){ .graph = "none" };
  QN_TRY(gpu_data_create(s->context, c, seed, &data));
  uint8_t *unfused = malloc(data.out_count * qn_element_size(c->dtype)), *fused = malloc(data.out_count);
  qn_status status = unfused && fused ? compare(s, &data, unfused, fused, out) : qn_fail_memory(s->context);
  free(unfused);
  free(fused);
  gpu_data_free(&data);
  return status;
}

// Runs, prints one line, returns whether the case holds.
static bool report_case(suite *s, uint32_t index, const gpu_case *c) {
  char text[512];
  outcome out;
  gpu_case_format(c, text);
  qn_status status = run_case(s, c, index + 1, &out);
  const qn_error *error = qn_context_get_error(s->context);
  bool holds = status == QN_OK && !out.complaint;
  printf("%3u %s  worst %.2f / %.2f of the bound, %llu codes differ, graph %s  %s\n", index,
         holds ? "ok  " : "FAIL", out.values.worst, out.codes.worst, (unsigned long long)out.different,
         out.graph, text);
  if (status != QN_OK)
    printf("        %s: %s: %s\n", qn_status_name(status), error->place, error->message);
  else if (out.complaint)
    printf("        %s: %llu values (first %llu), %llu codes (first %llu)\n", out.complaint,
           (unsigned long long)out.values.outside, (unsigned long long)out.values.first,
           (unsigned long long)out.codes.outside, (unsigned long long)out.codes.first);
  fflush(stdout);
  if (s->json)
    fprintf(
        s->json,
        "{\"case\": %u, \"what\": \"%s\", \"holds\": %s, \"status\": \"%s\", \"values_worst\": %.4g, "
        "\"values_max_error\": %.4g, \"codes_worst\": %.4g, \"codes_different\": %llu, \"graph\": \"%s\"}\n",
        index, text, holds ? "true" : "false", qn_status_name(status), out.values.worst, out.values.max_error,
        out.codes.worst, (unsigned long long)out.different, out.graph);
  return holds;
}

// --- the program -------------------------------------------------------------------------------------------

static int skip(suite *s) {
  const qn_error *error = qn_context_get_error(s->context);
  printf("skipped: %s: %s\n", error->place, error->message);
  return SKIP;
}

// Returns 0, or the exit status with which the program ends.
static int open_device(suite *s) {
  qn_status status = qn_device_create_cuda(s->context, 0, &s->device);
  if (status == QN_OK) status = qn_device_get_target(s->device, &s->target);
  if (status != QN_OK) return skip(s);
  const char *path, *missing;
  int major, minor;
  if (qn_compiler_create(s->context, NULL, &s->compiler) != QN_OK ||
      qn_compiler_get_nvrtc(s->compiler, &path, &major, &minor) != QN_OK) {
    printf("%s\n%s", qn_context_get_error(s->context)->message,
           s->compiler ? qn_compiler_get_search_log(s->compiler) : "");
    return 1; // a device without NVRTC is no reason to call the kernels tested
  }
  printf("%s, target %s\nNVRTC %d.%d: %s\n", qn_device_get_name(s->device), qn_target_name(s->target), major,
         minor, path);
  s->has_driver = gpu_driver_open(&s->driver, &missing);
  if (!s->has_driver) printf("no CUDA graphs: the driver lacks %s\n", missing);
  return 0;
}

// Whether planted errors are found.
static bool finds_errors(suite *s, uint32_t index, const gpu_case *c) {
  outcome out;
  bool found = true;
  for (s->plant = PLANT_VALUE; s->plant <= PLANT_CODE; s->plant++) {
    if (run_case(s, c, index + 1, &out) == QN_OK && out.complaint) continue;
    printf("        a planted error in the %s was not found\n", s->plant == PLANT_VALUE ? "values" : "codes");
    found = false;
  }
  s->plant = PLANT_NONE;
  return found;
}

static bool compiles(suite *s, uint32_t index, const gpu_case *c, bool fused) {
  qn_graph *graph;
  qn_node node;
  qn_kernel *kernel;
  qn_status status = gpu_case_build(s->context, c, fused, &graph, &node);
  if (status == QN_OK) {
    status = qn_compiler_compile_node(s->compiler, graph, node, s->target, QN_CUBIN, &kernel);
    qn_graph_destroy(graph);
  }
  if (status != QN_OK) {
    const qn_error *error = qn_context_get_error(s->context);
    printf("%3u FAIL %s: %s: %s\n", index, qn_status_name(status), error->place, error->message);
    return false;
  }
  const qn_kernel_info *info = qn_kernel_get_info(kernel);
  bool lean = info->spill_bytes == 0 && info->local_bytes == 0;
  printf("%3u %s %u registers, %u bytes spilled, %u of local memory, %.0f ms  %s\n", index,
         lean ? "ok  " : "FAIL", info->registers, info->spill_bytes, info->local_bytes, info->compile_ms,
         info->name);
  qn_kernel_destroy(kernel);
  return lean;
}

typedef enum suite_mode { MODE_DEVICE, MODE_SELF_CHECK, MODE_COMPILE } suite_mode;

static bool run_one(suite *s, suite_mode mode, uint32_t index, const gpu_case *c) {
  if (mode == MODE_COMPILE) return compiles(s, index, c, false) & compiles(s, index, c, true);
  return report_case(s, index, c) && (mode == MODE_DEVICE || finds_errors(s, index, c));
}

static int run_all(suite *s, suite_mode mode, long only) {
  gpu_case cases[GPU_CASES_MAX];
  uint32_t count = gpu_cases_list(cases), failed = 0, ran = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (only >= 0 && (uint32_t)only != i) continue;
    ran++;
    failed += !run_one(s, mode, i, &cases[i]);
  }
  printf("%u cases, %u failed\n", ran, failed);
  return failed || ran == 0;
}

static int open_compiler(suite *s) {
  const char *path;
  int major, minor;
  if (qn_compiler_create(s->context, NULL, &s->compiler) != QN_OK ||
      qn_compiler_get_nvrtc(s->compiler, &path, &major, &minor) != QN_OK)
    return skip(s);
  return 0;
}

static int usage(void) {
  fprintf(stderr, "usage: gpu_suite [--json FILE] [--case N] [--self-check | --compile TARGET]\n");
  return 2;
}

int main(int argc, char **argv) {
  suite s = { 0 };
  suite_mode mode = MODE_DEVICE;
  long only = -1;
  const char *json = NULL;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--self-check") == 0)
      mode = MODE_SELF_CHECK;
    else if (strcmp(argv[i], "--compile") == 0 && i + 1 < argc && qn_target_find(argv[i + 1]) < QN_TARGET_COUNT)
      s.target = qn_target_find(argv[++i]), mode = MODE_COMPILE;
    else if (strcmp(argv[i], "--json") == 0 && i + 1 < argc)
      json = argv[++i];
    else if (strcmp(argv[i], "--case") == 0 && i + 1 < argc)
      only = strtol(argv[++i], NULL, 10);
    else
      return usage();
  }
  if (qn_context_create(NULL, &s.context) != QN_OK) return 1;
  if (json && !(s.json = fopen(json, "w"))) {
    perror(json);
    return 2;
  }
  int code = mode == MODE_SELF_CHECK ? 0 : mode == MODE_COMPILE ? open_compiler(&s) : open_device(&s);
  if (code == 0) code = run_all(&s, mode, only);
  if (s.has_driver) gpu_driver_close(&s.driver);
  qn_compiler_destroy(s.compiler);
  qn_device_destroy(s.device);
  if (s.json) fclose(s.json);
  qn_context_destroy(s.context);
  return code;
}
