// How long a kernel takes from its spec to machine code, for every target: cold (no cache; the first call also
// opens NVRTC) and from the cache, the opening of the compiler included, as in a fresh process. Then the same,
// cold, for every output scheme and schedule in bf16 with head_dim 128.
//
//   bench_compile [--repeat N]
//
// Exit status 77 if there is no NVRTC.
#include "outputs.h"

#include <quench/runtime.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SKIP = 77 };

static double milliseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}

static qn_kernel_spec spec_of(qn_target target, qn_dtype dtype, uint32_t head_dim) {
  return (qn_kernel_spec){ .target = target,
                           .dtype = dtype,
                           .out_dtype = dtype,
                           .head_dim = head_dim,
                           .v_head_dim = head_dim,
                           .heads = 32,
                           .kv_heads = 8,
                           .causal = QN_CAUSAL_BOTTOM_RIGHT,
                           .window_left = -1,
                           .window_right = -1,
                           .output = qn_scheme_of(QN_SCHEME_fp8_static) };
}

typedef struct times {
  double wall, cpu; // ms
  bool from_cache;
} times;

// Compiles with a compiler of its own and adds up the whole: creation, search, compile or cache, destruction.
static qn_status once(qn_context *context, const qn_kernel_spec *spec, const char *cache_dir,
                      times *out_times) {
  double wall = milliseconds(CLOCK_MONOTONIC), cpu = milliseconds(CLOCK_PROCESS_CPUTIME_ID);
  qn_compiler *compiler;
  qn_kernel *kernel;
  QN_TRY(qn_compiler_create(context, qn_compiler_params(.cache_dir = cache_dir), &compiler));
  qn_status status = qn_compiler_compile(compiler, spec, QN_CUBIN, &kernel);
  if (status == QN_OK) {
    out_times->from_cache = qn_kernel_get_info(kernel)->from_cache;
    qn_kernel_destroy(kernel);
  }
  qn_compiler_destroy(compiler);
  out_times->wall = milliseconds(CLOCK_MONOTONIC) - wall;
  out_times->cpu = milliseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  return status;
}

// Processor time, which a busy machine changes little; a kernel compiles on one thread.
static qn_status measure_cold(qn_context *context, const qn_kernel_spec *spec, double *out_cpu) {
  times now;
  QN_TRY(once(context, spec, "", &now));
  *out_cpu = now.cpu;
  return QN_OK;
}

static void keep_best(times *best, const times *now) {
  if (now->wall < best->wall) best->wall = now->wall;
  if (now->cpu < best->cpu) best->cpu = now->cpu;
}

static qn_status measure(qn_context *context, const qn_kernel_spec *spec, const char *cache_dir, int repeat) {
  times now, cold = { 1e30, 1e30, false }, cached = { 1e30, 1e30, true };
  QN_TRY(once(context, spec, cache_dir, &now)); // fills the cache
  for (int i = 0; i < repeat; i++) {
    QN_TRY(once(context, spec, "", &now));
    keep_best(&cold, &now);
    QN_TRY(once(context, spec, cache_dir, &now));
    if (now.from_cache) keep_best(&cached, &now);
  }
  printf("%-8s %-5s d%-4u %10.1f %10.1f %10.2f\n", qn_target_name(spec->target), qn_dtype_name(spec->dtype),
         spec->head_dim, cold.wall, cold.cpu, cached.wall);
  fflush(stdout);
  return QN_OK;
}

static qn_status measure_all(qn_context *context, const char *cache_dir, int repeat) {
  static const qn_dtype dtypes[] = { QN_F16, QN_F32 };
  static const uint32_t head_dims[] = { 64, 128 };
  printf("%-8s %-5s %-5s %10s %10s %10s\n", "target", "type", "dim", "cold ms", "cpu ms", "cached ms");
  for (int target = 0; target < QN_TARGET_COUNT; target++)
    for (int i = 0; i < 2; i++)
      for (int j = 0; j < 2; j++) {
        qn_kernel_spec spec = spec_of((qn_target)target, dtypes[i], head_dims[j]);
        qn_status status = measure(context, &spec, cache_dir, repeat);
        if (status == QN_UNSUPPORTED)
          printf("%-8s %s\n", qn_target_name(spec.target), qn_context_get_error(context)->message);
        else if (status != QN_OK)
          return status;
      }
  return QN_OK;
}

// One row a scheme and schedule, a column a target; "-" where there is no kernel.
static qn_status measure_outputs(qn_context *context) {
  static const qn_schedule schedules[] = { QN_SCHEDULE_mma, QN_SCHEDULE_split, QN_SCHEDULE_quantize };
  static const char *const names[] = { "mma", "split", "quantize" };
  printf("\ncold, ms of processor time\n%-26s %-8s", "output", "schedule");
  for (int target = 0; target < QN_TARGET_COUNT; target++) printf(" %8s", qn_target_name((qn_target)target));
  printf("\n");
  for (int i = 0; i < BENCH_OUTPUT_COUNT; i++)
    for (int s = 0; s < 3; s++) {
      printf("%-26s %-8s", bench_outputs[i].name, names[s]);
      for (int target = 0; target < QN_TARGET_COUNT; target++) {
        qn_kernel_spec spec = spec_of((qn_target)target, QN_BF16, 128);
        double cpu;
        spec.schedule = schedules[s];
        spec.pack_heads = spec.schedule == QN_SCHEDULE_split;
        if (!qn_scheme_parse(bench_outputs[i].scheme, &spec.output)) return QN_BUG;
        qn_status status = measure_cold(context, &spec, &cpu);
        if (status == QN_OK)
          printf(" %8.0f", cpu);
        else if (status == QN_UNSUPPORTED)
          printf(" %8s", "-");
        else
          return status;
        fflush(stdout);
      }
      printf("\n");
    }
  return QN_OK;
}

int main(int argc, char **argv) {
  int repeat = 3;
  if (argc == 3 && strcmp(argv[1], "--repeat") == 0) repeat = atoi(argv[2]);
  if (repeat < 1 || argc == 2 || argc > 3) {
    fprintf(stderr, "usage: bench_compile [--repeat N]\n");
    return 2;
  }
  char folder[] = "/tmp/quench-bench-XXXXXX";
  qn_context *context;
  if (!mkdtemp(folder) || qn_context_create(NULL, &context) != QN_OK) return 1;
  qn_compiler *compiler;
  const char *path;
  int major, minor;
  qn_status status = qn_compiler_create(context, qn_compiler_params(.cache_dir = ""), &compiler);
  if (status == QN_OK && (status = qn_compiler_get_nvrtc(compiler, &path, &major, &minor)) == QN_OK) {
    printf("NVRTC %d.%d, %s\n", major, minor, path);
    status = measure_all(context, folder, repeat);
    if (status == QN_OK) status = measure_outputs(context);
  }
  if (status != QN_OK) printf("%s: %s\n", qn_status_name(status), qn_context_get_error(context)->message);
  qn_compiler_destroy(compiler);
  qn_context_destroy(context);
  char command[64];
  snprintf(command, sizeof(command), "rm -r '%s'", folder);
  if (system(command) != 0) return 1;
  return status == QN_OK ? 0 : status == QN_UNAVAILABLE ? SKIP : 1;
}
