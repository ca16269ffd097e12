// What quantizing costs inside of an attention kernel, and what it saves against a kernel of its own: warp
// instructions and bytes of global memory, counted by the emulator, over the number of keys.
//
//   cost      instructions of the fused kernel / of the same kernel with bf16 output
//   gain      instructions of the bf16 kernel and the stand-alone quantizer together / of the fused kernel
//   traffic   bytes of global memory of both together / of the fused kernel
//
//   bench_epilogue [--svg FOLDER] [--threads N]
//
// One tile of queries, two heads, head_dim 128, bf16, sm_90a. Exit status 77 if there is no NVRTC.
#include "attention.h"
#include "ir/base_priv.h"
#include "outputs.h"
#include "plot.h"

#include <quench/runtime.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  SKIP = 77,
  HEADS = 2,
  HEAD_DIM = 128,
  QUERIES = 128,
  LENGTHS = 8,
  FIRST_LENGTH = 128,
  WORKSPACE = 2 << 20
};

typedef struct bench {
  qn_context *context;
  qn_compiler *compiler;
  qn_device *device;
  bench_buffers buffers;
} bench;

// --- one kernel --------------------------------------------------------------------------------------------

static qn_kernel_spec spec_of(qn_schedule schedule, const qn_scheme *output) {
  return bench_spec(HEADS, HEADS, HEAD_DIM, schedule, output);
}

static qn_status count_loaded(bench *b, const qn_kernel_spec *spec, const qn_loaded_kernel *loaded,
                              uint32_t kv_len, qn_counters *out_counters) {
  qn_attention_args args;
  QN_TRY(bench_set_arguments(&b->buffers, spec, 1, QUERIES, kv_len, &args));
  qn_device_reset_counters(b->device);
  QN_TRY(qn_launch_attention(loaded, &args, NULL));
  QN_TRY(qn_device_wait(b->device));
  return qn_device_get_counters(b->device, out_counters);
}

// The counters of a spec's kernel for each length.
static qn_status count_kernel(bench *b, const qn_kernel_spec *spec, qn_counters out_counters[LENGTHS]) {
  qn_kernel *kernel;
  qn_loaded_kernel *loaded = NULL;
  QN_TRY(qn_compiler_compile(b->compiler, spec, QN_PTX, &kernel));
  qn_status status = qn_device_load(b->device, kernel, &loaded);
  for (int i = 0; i < LENGTHS && status == QN_OK; i++)
    status = count_loaded(b, spec, loaded, FIRST_LENGTH << i, &out_counters[i]);
  qn_loaded_kernel_destroy(loaded);
  qn_kernel_destroy(kernel);
  return status;
}

// --- all of them -------------------------------------------------------------------------------------------

typedef enum ratio { COST, GAIN, TRAFFIC, RATIO_COUNT } ratio;
static plot plots[RATIO_COUNT] = {
  [COST] = { .title = "Quantizing inside of attention: instructions against bf16 output",
             .y_label = "fused / bf16",
             .y_from = 0.95,
             .y_to = 1.35,
             .y_step = 0.05,
             .y_mark = 1.02 },
  [GAIN] = { .title = "Two kernels against the fused one: instructions",
             .y_label = "(bf16 + quantizer) / fused",
             .y_from = 0.95,
             .y_to = 1.25,
             .y_step = 0.05,
             .y_mark = 1 },
  [TRAFFIC] = { .title = "Two kernels against the fused one: bytes of global memory",
                .y_label = "(bf16 + quantizer) / fused",
                .y_from = 0.8,
                .y_to = 2.6,
                .y_step = 0.2,
                .y_mark = 1 },
};
static const char *const RATIO_NAMES[] = { "cost", "gain", "traffic" };

static double traffic_of(const qn_counters *counters) {
  return (double)(counters->global_read_bytes + counters->global_written_bytes);
}

static qn_status measure_output(bench *b, const bench_output *row, const qn_counters plain[LENGTHS]) {
  qn_scheme scheme;
  qn_counters fused[LENGTHS], alone[LENGTHS];
  qn_reason reason;
  if (!qn_scheme_parse(row->scheme, &scheme)) return qn_fail(b->context, QN_BUG, row->name, "not a scheme");
  qn_kernel_spec spec = spec_of(QN_SCHEDULE_mma, &scheme), quantizer = spec_of(QN_SCHEDULE_quantize, &scheme);
  if (!qn_target_supports(&spec, &reason) || !qn_target_supports(&quantizer, &reason)) {
    printf("%-26s no kernel: expected %s, found %s\n", row->name, reason.expected, reason.found);
    return QN_OK;
  }
  QN_TRY(count_kernel(b, &spec, fused));
  QN_TRY(count_kernel(b, &quantizer, alone));
  for (int r = 0; r < RATIO_COUNT; r++) {
    plot_curve *curve = &plots[r].curves[plots[r].curve_count++];
    curve->name = row->name;
    printf("%-26s %-8s", row->name, RATIO_NAMES[r]);
    for (int i = 0; i < LENGTHS; i++) {
      double one = (double)fused[i].instructions, two = (double)(plain[i].instructions + alone[i].instructions);
      curve->y[i] = r == COST   ? one / (double)plain[i].instructions
                    : r == GAIN ? two / one
                                : (traffic_of(&plain[i]) + traffic_of(&alone[i])) / traffic_of(&fused[i]);
      printf(" %7.3f", curve->y[i]);
    }
    printf(r == COST ? "   at 4096: goal %.2f\n" : "\n", row->limit);
  }
  return QN_OK;
}

static qn_status measure(bench *b) {
  const qn_scheme none = qn_scheme_of(QN_SCHEME_none);
  const qn_kernel_spec spec = spec_of(QN_SCHEDULE_mma, &none);
  qn_counters plain[LENGTHS];
  const uint64_t longest = (uint64_t)FIRST_LENGTH << (LENGTHS - 1), width = HEADS * HEAD_DIM;
  QN_TRY(bench_buffers_create(b->context, b->device,
                              &(bench_sizes){ .dtype = QN_BF16,
                                              .q = QUERIES * width,
                                              .kv = longest * width,
                                              .out = QUERIES * width,
                                              .channels = width,
                                              .workspace = WORKSPACE },
                              &b->buffers));
  QN_TRY(count_kernel(b, &spec, plain));
  printf("%-35s", "keys");
  for (int i = 0; i < LENGTHS; i++) printf(" %7d", FIRST_LENGTH << i);
  printf("\n");
  for (int i = 0; i < BENCH_OUTPUT_COUNT; i++) QN_TRY(measure_output(b, &bench_outputs[i], plain));
  return QN_OK;
}

static bool write_plots(const char *folder) {
  for (int r = 0; r < RATIO_COUNT; r++) {
    char path[512];
    plots[r].x_label = "keys";
    plots[r].points = LENGTHS;
    for (int i = 0; i < LENGTHS; i++) plots[r].x[i] = FIRST_LENGTH << i;
    snprintf(path, sizeof path, "%s/epilogue-%s.svg", folder, RATIO_NAMES[r]);
    if (!plot_write(&plots[r], path)) {
      fprintf(stderr, "%s: cannot be written\n", path);
      return false;
    }
    printf("written: %s\n", path);
  }
  return true;
}

int main(int argc, char **argv) {
  const char *folder = NULL;
  qn_emulator_params params = { .target = QN_TARGET_sm_90a, .lenient = true };
  bench b = { 0 };
  for (int i = 1; i + 1 < argc; i += 2) {
    if (strcmp(argv[i], "--svg") == 0) folder = argv[i + 1];
    if (strcmp(argv[i], "--threads") == 0) params.threads = (uint32_t)atoi(argv[i + 1]);
  }
  if (qn_context_create(NULL, &b.context) != QN_OK) return 2;
  qn_status status = qn_compiler_create(b.context, NULL, &b.compiler);
  if (status == QN_OK) status = qn_device_create_emulator(b.context, &params, &b.device);
  if (status == QN_OK) status = measure(&b);
  if (status != QN_OK) {
    const qn_error *error = qn_context_get_error(b.context);
    fprintf(stderr, "bench_epilogue: %s: %s\n", error->place, error->message);
  }
  bench_buffers_destroy(&b.buffers);
  qn_device_destroy(b.device);
  qn_compiler_destroy(b.compiler);
  qn_context_destroy(b.context);
  if (status == QN_OK && folder && !write_plots(folder)) return 2;
  return status == QN_UNAVAILABLE ? SKIP : status != QN_OK;
}
