// Attention on the device: TFLOP/s, and the fused kernel of every output scheme against the unfused one with
// the stand-alone quantizer behind it.
//
//   bench_gpu [--json FILE] [--svg FOLDER]
//
// Exit status 77 if there is no device.
#include "attention.h"
#include "ir/base_priv.h"
#include "outputs.h"
#include "plot.h"
#include "tests/kernels/driver.h"

#include <stdio.h>
#include <stdlib.h>

enum { SKIP = 77, WARM_UP = 5, ROUNDS = 7, LENGTHS = 8, FIRST_LENGTH = 128 };

typedef struct shape {
  const char *name;
  uint32_t batch, heads, kv_heads, q_len, kv_len, head_dim;
  qn_schedule schedule;
} shape;

// Prefill over lengths; the curve is drawn for these.
static const shape prefill = { "prefill", 1, 32, 8, 0, 0, 128, QN_SCHEDULE_mma };
static const shape others[] = {
  { "prefill d64", 1, 32, 8, 4096, 4096, 64, QN_SCHEDULE_mma },
  { "prefill 64 heads", 1, 64, 8, 4096, 4096, 128, QN_SCHEDULE_mma },
  { "batch 8", 8, 32, 8, 512, 512, 128, QN_SCHEDULE_mma },
  { "decode 1k", 32, 32, 8, 1, 1024, 128, QN_SCHEDULE_split },
  { "decode 4k", 32, 32, 8, 1, 4096, 128, QN_SCHEDULE_split },
  { "decode 32k, alone", 1, 32, 8, 1, 32768, 128, QN_SCHEDULE_split },
};

typedef struct bench {
  qn_context *context;
  qn_compiler *compiler;
  qn_device *device;
  gpu_driver cuda;
  qn_target target;
  void *stream, *start, *stop;
  bench_buffers buffers;
  FILE *json;
} bench;

// --- one shape ---------------------------------------------------------------------------------------------

// A kernel and the arguments of its launch.
typedef struct step {
  qn_loaded_kernel *loaded;
  qn_attention_args args;
} step;

static qn_status load(bench *b, const shape *s, qn_schedule schedule, const qn_scheme *output, step *out_step) {
  qn_kernel_spec spec = bench_spec(s->heads, s->kv_heads, s->head_dim, schedule, output);
  spec.target = b->target;
  spec.causal = s->q_len > 1 && schedule != QN_SCHEDULE_quantize ? QN_CAUSAL_BOTTOM_RIGHT : QN_CAUSAL_NONE;
  spec.pack_heads = schedule == QN_SCHEDULE_split;
  qn_kernel *kernel;
  QN_TRY(qn_compiler_compile(b->compiler, &spec, QN_CUBIN, &kernel));
  qn_status status = qn_device_load(b->device, kernel, &out_step->loaded);
  qn_kernel_destroy(kernel);
  QN_TRY(status);
  return bench_set_arguments(&b->buffers, &spec, s->batch, s->q_len, s->kv_len, &out_step->args);
}

// The steps one after the other, `count` times.
static qn_status time_batch(bench *b, const step *steps, int step_count, int count, double *out_ms) {
  float elapsed = 0;
  int result = b->cuda.EventRecord(b->start, b->stream);
  for (int i = 0; i < count; i++)
    for (int k = 0; k < step_count; k++)
      QN_TRY(qn_launch_attention(steps[k].loaded, &steps[k].args, b->stream));
  if (result == 0) result = b->cuda.EventRecord(b->stop, b->stream);
  if (result == 0) result = b->cuda.EventSynchronize(b->stop);
  if (result == 0) result = b->cuda.EventElapsedTime(&elapsed, b->start, b->stop);
  if (result != 0) return qn_fail(b->context, QN_UNAVAILABLE, "cuEvent", "error %d", result);
  *out_ms = (double)elapsed / count;
  return QN_OK;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

// What is compared: the unfused kernel, the same with the quantizer behind it, the fused kernel.
typedef enum candidate { UNFUSED, BOTH, FUSED, CANDIDATES } candidate;

// The median over rounds of at least 20 ms each; the candidates are interleaved, so that clocks change for all.
static qn_status measure(bench *b, const step steps[3], double out_ms[CANDIDATES]) {
  const step *first[CANDIDATES] = { &steps[0], &steps[0], &steps[2] };
  const int length[CANDIDATES] = { 1, 2, 1 };
  double rounds[CANDIDATES][ROUNDS];
  int count[CANDIDATES];
  for (int c = 0; c < CANDIDATES; c++) {
    double ms;
    QN_TRY(time_batch(b, first[c], length[c], WARM_UP, &ms));
    QN_TRY(time_batch(b, first[c], length[c], WARM_UP, &ms));
    count[c] = ms > 0 ? (int)QN_MIN(20 / ms + 1, 2000) : 2000;
  }
  for (int i = 0; i < ROUNDS; i++)
    for (int c = 0; c < CANDIDATES; c++) QN_TRY(time_batch(b, first[c], length[c], count[c], &rounds[c][i]));
  for (int c = 0; c < CANDIDATES; c++) {
    qsort(rounds[c], ROUNDS, sizeof(double), ascending);
    out_ms[c] = rounds[c][ROUNDS / 2];
  }
  return QN_OK;
}

static double flops_of(const shape *s) {
  double full = 4.0 * s->batch * s->heads * (double)s->q_len * s->kv_len * s->head_dim;
  return s->q_len > 1 ? full / 2 : full;
}

static void report(const bench *b, const shape *s, const char *output, const double ms[CANDIDATES]) {
  printf(
      "%-17s %-26s b%-2u h%u/%-2u q%-5u kv%-5u d%-3u %9.4f ms %6.1f TFLOP/s  + quantizer %9.4f  fused %9.4f  "
      "cost %.3f  gain %.3f\n",
      s->name, output, s->batch, s->heads, s->kv_heads, s->q_len, s->kv_len, s->head_dim, ms[UNFUSED],
      flops_of(s) / ms[UNFUSED] * 1e-9, ms[BOTH], ms[FUSED], ms[FUSED] / ms[UNFUSED], ms[BOTH] / ms[FUSED]);
  fflush(stdout);
  if (b->json)
    fprintf(
        b->json,
        "{\"shape\": \"%s\", \"output\": \"%s\", \"batch\": %u, \"heads\": %u, \"kv_heads\": %u, \"q_len\": "
        "%u, "
        "\"kv_len\": %u, \"head_dim\": %u, \"unfused_ms\": %.5f, \"with_quantizer_ms\": %.5f, \"fused_ms\": "
        "%.5f}\n",
        s->name, output, s->batch, s->heads, s->kv_heads, s->q_len, s->kv_len, s->head_dim, ms[UNFUSED],
        ms[BOTH], ms[FUSED]);
}

// `*out_gain` is 0 where there is no kernel.
static qn_status run_output(bench *b, const shape *s, const bench_output *output, double *out_gain) {
  const qn_scheme none = qn_scheme_of(QN_SCHEME_none);
  qn_scheme scheme;
  step steps[3] = { { NULL } };
  double ms[CANDIDATES];
  *out_gain = 0;
  if (!qn_scheme_parse(output->scheme, &scheme))
    return qn_fail(b->context, QN_BUG, output->name, "not a scheme");
  qn_status status = load(b, s, s->schedule, &none, &steps[0]);
  if (status == QN_OK) status = load(b, s, QN_SCHEDULE_quantize, &scheme, &steps[1]);
  if (status == QN_OK) status = load(b, s, s->schedule, &scheme, &steps[2]);
  if (status == QN_OK) status = measure(b, steps, ms);
  for (int i = 0; i < 3; i++) qn_loaded_kernel_destroy(steps[i].loaded);
  if (status == QN_UNSUPPORTED) {
    printf("%-17s %-26s %s\n", s->name, output->name, qn_context_get_error(b->context)->message);
    return QN_OK;
  }
  QN_TRY(status);
  report(b, s, output->name, ms);
  *out_gain = ms[BOTH] / ms[FUSED];
  return QN_OK;
}

// --- all of them -------------------------------------------------------------------------------------------

static plot gains = { .title = "Unfused kernel and quantizer against the fused kernel: time",
                      .x_label = "tokens",
                      .y_label = "(unfused + quantizer) / fused",
                      .points = LENGTHS,
                      .y_from = 0.8,
                      .y_to = 2,
                      .y_step = 0.1,
                      .y_mark = 1 };

static qn_status create_buffers(bench *b) {
  const uint64_t tokens = FIRST_LENGTH << (LENGTHS - 1), width = 64 * 128;
  return bench_buffers_create(b->context, b->device,
                              &(bench_sizes){ .dtype = QN_BF16,
                                              .q = tokens * width,
                                              .kv = 32 * 4096 * 8 * 128,
                                              .out = tokens * width,
                                              .channels = width,
                                              .workspace = (uint64_t)1 << 30 },
                              &b->buffers);
}

static qn_status run_all(bench *b) {
  QN_TRY(create_buffers(b));
  gains.curve_count = BENCH_OUTPUT_COUNT;
  for (int o = 0; o < BENCH_OUTPUT_COUNT; o++) {
    gains.curves[o].name = bench_outputs[o].name;
    for (int i = 0; i < LENGTHS; i++) {
      shape s = prefill;
      gains.x[i] = s.q_len = s.kv_len = FIRST_LENGTH << i;
      QN_TRY(run_output(b, &s, &bench_outputs[o], &gains.curves[o].y[i]));
    }
    for (size_t i = 0; i < QN_COUNT(others); i++) {
      double gain;
      QN_TRY(run_output(b, &others[i], &bench_outputs[o], &gain));
    }
  }
  return QN_OK;
}

static qn_status run(bench *b) {
  const char *missing;
  QN_TRY(qn_device_get_target(b->device, &b->target));
  QN_TRY(qn_compiler_create(b->context, NULL, &b->compiler));
  if (!gpu_driver_open(&b->cuda, &missing))
    return qn_fail(b->context, QN_UNAVAILABLE, "CUDA", "the driver lacks %s", missing);
  if (b->cuda.StreamCreate(&b->stream, 1) != 0 || b->cuda.EventCreate(&b->start, 0) != 0 ||
      b->cuda.EventCreate(&b->stop, 0) != 0)
    return qn_fail(b->context, QN_UNAVAILABLE, "CUDA", "no stream or event");
  printf("%s, target %s\n", qn_device_get_name(b->device), qn_target_name(b->target));
  return run_all(b);
}

int main(int argc, char **argv) {
  bench b = { 0 };
  const char *folder = NULL;
  for (int i = 1; i < argc; i += 2) {
    bool json = strcmp(argv[i], "--json") == 0, svg = strcmp(argv[i], "--svg") == 0;
    if (i + 1 == argc || (!json && !svg)) {
      fprintf(stderr, "usage: bench_gpu [--json FILE] [--svg FOLDER]\n");
      return 2;
    }
    if (svg) folder = argv[i + 1];
    if (json && !(b.json = fopen(argv[i + 1], "w"))) {
      perror(argv[i + 1]);
      return 2;
    }
  }
  if (qn_context_create(NULL, &b.context) != QN_OK) return 1;
  qn_status status = qn_device_create_cuda(b.context, 0, &b.device);
  bool absent = status != QN_OK;
  if (!absent) status = run(&b);
  if (status != QN_OK) {
    const qn_error *error = qn_context_get_error(b.context);
    printf("%s: %s: %s\n", absent ? "skipped" : qn_status_name(status), error->place, error->message);
  }
  char path[512];
  snprintf(path, sizeof path, "%s/gain.svg", folder ? folder : "");
  if (status == QN_OK && folder && !plot_write(&gains, path)) status = QN_IO;
  bench_buffers_destroy(&b.buffers);
  if (b.cuda.handle) gpu_driver_close(&b.cuda);
  qn_compiler_destroy(b.compiler);
  qn_device_destroy(b.device);
  if (b.json) fclose(b.json);
  qn_context_destroy(b.context);
  return status == QN_OK ? 0 : absent ? SKIP : 1;
}
