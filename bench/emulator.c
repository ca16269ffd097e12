// How fast the emulator is, and what memory it takes:
//
//   scalar      lane instructions a second on one core, a loop of integer and float arithmetic
//   mma         multiply-adds a second on one core, a loop of mma.sync
//   attention   causal attention of 512 tokens, 4 heads, head_dim 128, on all cores
//   grid        peak memory of the process against the number of blocks
//
//   bench_emulator [--threads N]
//
// Exit status 77 if there is no NVRTC; what needs none has run by then.
#include "runtime/device_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum { SKIP = 77, RUNS = 3 };

static double seconds_of(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

// Peak resident memory of the process so far, MiB.
static double peak_mib(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)usage.ru_maxrss / 1024;
}

// --- kernels in PTX ----------------------------------------------------------------------------------------

// 16 instructions a turn, as the address arithmetic and the softmax of a real kernel mix them.
static const char scalar_body[] = "  mov.u32 %r1, %tid.x;\n"
                                  "  mov.u32 %r2, 12345;\n"
                                  "  mov.f32 %f1, 0f3F800000;\n"
                                  "  mov.f32 %f2, 0f3F7FFF00;\n"
                                  "  mov.u32 %r3, 0;\n"
                                  "loop:\n"
                                  "  mad.lo.s32 %r1, %r1, %r2, %r3;\n"
                                  "  shl.b32 %r4, %r1, 3;\n"
                                  "  xor.b32 %r5, %r4, %r2;\n"
                                  "  add.s32 %r6, %r5, %r3;\n"
                                  "  and.b32 %r7, %r6, 255;\n"
                                  "  fma.rn.f32 %f1, %f1, %f2, %f2;\n"
                                  "  mul.rn.f32 %f3, %f1, %f2;\n"
                                  "  add.rn.f32 %f4, %f3, %f1;\n"
                                  "  max.f32 %f1, %f4, %f3;\n"
                                  "  mul.rn.f32 %f1, %f1, 0f3E800000;\n"
                                  "  setp.gt.u32 %p2, %r7, 127;\n"
                                  "  selp.b32 %r2, %r5, %r6, %p2;\n"
                                  "  mov.b32 %r8, %r2;\n"
                                  "  add.s32 %r3, %r3, 1;\n"
                                  "  setp.lt.u32 %p1, %r3, %r9;\n"
                                  "  @%p1 bra loop;\n";

static const char mma_body[] = "  mov.u32 %r1, 1006648320;\n" // 0x3C003C00: two times 1.0
                               "  mov.f32 %f1, 0f00000000;\n"
                               "  mov.f32 %f2, %f1;\n"
                               "  mov.f32 %f3, %f1;\n"
                               "  mov.f32 %f4, %f1;\n"
                               "  mov.u32 %r3, 0;\n"
                               "loop:\n"
                               "  mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f1, %f2, %f3, %f4},\n"
                               "    {%r1, %r1, %r1, %r1}, {%r1, %r1}, {%f1, %f2, %f3, %f4};\n"
                               "  add.s32 %r3, %r3, 1;\n"
                               "  setp.lt.u32 %p1, %r3, %r9;\n"
                               "  @%p1 bra loop;\n";

static void write_kernel(qn_buf *text, const char *body) {
  qn_buf_printf(text,
                ".version 8.0\n.target sm_80\n.address_size 64\n"
                ".visible .entry bench(.param .u32 turns)\n{\n"
                "  .reg .b32 %%r<10>;\n  .reg .f32 %%f<5>;\n  .reg .pred %%p<3>;\n"
                "  ld.param.u32 %%r9, [turns];\n%s  ret;\n}\n",
                body);
}

typedef struct result {
  double wall, cpu; // seconds; of the processors' time, a busy machine changes little
  qn_counters counters;
} result;

static qn_status launch(qn_device *device, const qn_loaded_kernel *loaded, uint32_t blocks, uint32_t threads,
                        uint32_t turns, result *out) {
  const qn_grid grid = {
    .blocks = { blocks, 1, 1 }, .threads = { threads, 1, 1 }, .params = &turns, .params_bytes = sizeof(turns)
  };
  qn_device_reset_counters(device);
  double wall = seconds_of(CLOCK_MONOTONIC), cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  QN_TRY(device->ops->launch(loaded, &grid, NULL));
  QN_TRY(qn_device_wait(device));
  out->wall = seconds_of(CLOCK_MONOTONIC) - wall;
  out->cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  return qn_device_get_counters(device, &out->counters);
}

// The fastest of some runs.
static qn_status run_text(qn_device *device, const char *body, uint32_t blocks, uint32_t threads,
                          uint32_t turns, result *out) {
  qn_buf text = QN_BUF(device->context);
  write_kernel(&text, body);
  const qn_kernel_info info = {
    .name = "bench", .binary = QN_PTX, .data = text.text, .length = text.length, .threads = threads, .log = ""
  };
  qn_loaded_kernel loaded = { .device = device };
  qn_status status = text.status;
  if (status == QN_OK) status = device->ops->load(device, &info, &loaded);
  bool opened = status == QN_OK;
  out->cpu = 1e30;
  for (int i = 0; i < RUNS && status == QN_OK; i++) {
    result now;
    status = launch(device, &loaded, blocks, threads, turns, &now);
    if (status == QN_OK && now.cpu < out->cpu) *out = now;
  }
  if (opened) device->ops->unload(&loaded);
  qn_buf_free(&text);
  return status;
}

static qn_status measure_rates(qn_context *context) {
  qn_device *device;
  result scalar, mma;
  QN_TRY(
      qn_device_create_emulator(context, qn_emulator_params(.target = QN_TARGET_sm_80, .threads = 1), &device));
  qn_status status = run_text(device, scalar_body, 4, 128, 5000, &scalar);
  if (status == QN_OK) status = run_text(device, mma_body, 4, 128, 2000, &mma);
  qn_device_destroy(device);
  QN_TRY(status);
  printf("scalar     %8.0f million lane instructions a second and core\n",
         (double)scalar.counters.lane_instructions / scalar.cpu / 1e6);
  printf("mma        %8.0f million multiply-adds a second and core\n",
         (double)mma.counters.multiply_adds / mma.cpu / 1e6);
  return QN_OK;
}

static qn_status measure_grids(qn_context *context, uint32_t threads) {
  static const uint32_t blocks[] = { 64, 4096, 262144 };
  qn_device *device;
  QN_TRY(qn_device_create_emulator(context, qn_emulator_params(.target = QN_TARGET_sm_80, .threads = threads),
                                   &device));
  qn_status status = QN_OK;
  for (size_t i = 0; i < QN_COUNT(blocks) && status == QN_OK; i++) {
    result run;
    status = run_text(device, scalar_body, blocks[i], 32, 1, &run);
    if (status == QN_OK)
      printf("grid       %8u blocks: %.3f s of processor time, peak memory so far %.1f MiB\n", blocks[i],
             run.cpu, peak_mib());
  }
  qn_device_destroy(device);
  return status;
}

// --- attention ---------------------------------------------------------------------------------------------

enum { TOKENS = 512, HEADS = 4, HEAD_DIM = 128 };

static qn_kernel_spec spec_of(qn_dtype dtype) {
  return (qn_kernel_spec){ .target = QN_TARGET_sm_90a,
                           .dtype = dtype,
                           .out_dtype = dtype,
                           .head_dim = HEAD_DIM,
                           .v_head_dim = HEAD_DIM,
                           .heads = HEADS,
                           .kv_heads = HEADS,
                           .causal = QN_CAUSAL_TOP_LEFT,
                           .window_left = -1,
                           .window_right = -1 };
}

// Zeros: an emulator takes the same time for every number.
static qn_status allocate_operands(qn_device *device, qn_attention_args *args, size_t bytes) {
  void *zeros = calloc(1, bytes);
  if (!zeros) return qn_fail_memory(device->context);
  qn_device_ptr *const tensors[] = { &args->q, &args->k, &args->v, &args->out };
  qn_status status = QN_OK;
  for (size_t i = 0; i < QN_COUNT(tensors) && status == QN_OK; i++) {
    status = qn_device_allocate(device, bytes, tensors[i]);
    if (status == QN_OK) status = qn_device_upload(device, *tensors[i], zeros, bytes);
  }
  free(zeros);
  return status;
}

static qn_status launch_attention(qn_device *device, const qn_kernel *kernel, const qn_loaded_kernel *loaded,
                                  qn_dtype dtype, result *out) {
  qn_attention_args args = { .batch = 1, .q_len = TOKENS, .kv_len = TOKENS };
  qn_attention_args_set_dense(qn_kernel_get_spec(kernel), QN_LAYOUT_BSHD, QN_LAYOUT_BSHD, QN_LAYOUT_BSHD,
                              QN_LAYOUT_BSHD, &args);
  QN_TRY(allocate_operands(device, &args, (size_t)TOKENS * HEADS * HEAD_DIM * qn_dtype_bits(dtype) / 8));
  qn_device_reset_counters(device);
  double wall = seconds_of(CLOCK_MONOTONIC), cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  QN_TRY(qn_launch_attention(loaded, &args, NULL));
  QN_TRY(qn_device_wait(device));
  out->wall = seconds_of(CLOCK_MONOTONIC) - wall;
  out->cpu = seconds_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  return qn_device_get_counters(device, &out->counters); // the device frees the operands
}

static qn_status measure_attention(qn_context *context, qn_compiler *compiler, uint32_t threads,
                                   qn_dtype dtype) {
  qn_kernel_spec spec = spec_of(dtype);
  qn_device *device;
  qn_kernel *kernel;
  qn_loaded_kernel *loaded = NULL;
  result run;
  QN_TRY(qn_compiler_compile(compiler, &spec, QN_PTX, &kernel));
  qn_status status = qn_device_create_emulator(
      context, qn_emulator_params(.target = spec.target, .threads = threads), &device);
  if (status != QN_OK) {
    qn_kernel_destroy(kernel);
    return status;
  }
  status = qn_device_load(device, kernel, &loaded);
  if (status == QN_OK) status = launch_attention(device, kernel, loaded, dtype, &run);
  qn_loaded_kernel_destroy(loaded);
  qn_device_destroy(device);
  qn_kernel_destroy(kernel);
  QN_TRY(status);
  printf("attention  %-5s %.3f s, %.3f s of processor time: %.0f million lane instructions, %.0f million "
         "multiply-adds\n",
         qn_dtype_name(dtype), run.wall, run.cpu, (double)run.counters.lane_instructions / 1e6,
         (double)run.counters.multiply_adds / 1e6);
  return QN_OK;
}

// --- the program -------------------------------------------------------------------------------------------

static qn_status measure(qn_context *context, uint32_t threads) {
  qn_compiler *compiler;
  QN_TRY(measure_rates(context));
  QN_TRY(measure_grids(context, threads));
  QN_TRY(qn_compiler_create(context, NULL, &compiler));
  qn_status status = measure_attention(context, compiler, threads, QN_F16);
  if (status == QN_OK) status = measure_attention(context, compiler, threads, QN_F32);
  qn_compiler_destroy(compiler);
  return status;
}

int main(int argc, char **argv) {
  uint32_t threads = 0;
  if (argc == 3 && strcmp(argv[1], "--threads") == 0) threads = (uint32_t)strtoul(argv[2], NULL, 10);
  if (argc != 1 && threads == 0) {
    fprintf(stderr, "usage: bench_emulator [--threads N]\n");
    return 2;
  }
  qn_context *context;
  if (qn_context_create(NULL, &context) != QN_OK) return 1;
  qn_status status = measure(context, threads);
  if (status != QN_OK) printf("%s: %s\n", qn_status_name(status), qn_context_get_error(context)->message);
  qn_context_destroy(context);
  return status == QN_OK ? 0 : status == QN_UNAVAILABLE ? SKIP : 1;
}
