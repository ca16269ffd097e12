// Attention on the device: TFLOP/s, and the fused kernel against the unfused one followed by a tuned quantizer.
//
//   bench_gpu [--json FILE]
//
// Exit status 77 if there is no device.
#include "ir/base_priv.h"
#include "quant/elements_priv.h"
#include "runtime/nvrtc_priv.h"
#include "tests/kernels/driver.h"

#include <stdio.h>
#include <stdlib.h>

enum { SKIP = 77, WARM_UP = 5, ROUNDS = 7, QUANTIZER_THREADS = 256 };

// The quantizer that fusing has to beat: one pass, 16 bytes a load, a multiplication by the reciprocal. It is
// bound by memory. The element type is put in front as T_F16 or T_BF16.
static const char quantizer_source[] =
    "typedef unsigned u32; typedef unsigned long long u64;\n"
    "static __device__ __forceinline__ void pair(u32 x, float inverse, float &a, float &b) {\n"
    "#ifdef T_F16\n"
    "  asm(\"{ .reg .b16 l, h; mov.b32 {l, h}, %2; cvt.f32.f16 %0, l; cvt.f32.f16 %1, h; }\" : \"=f\"(a), "
    "\"=f\"(b) : \"r\"(x));\n"
    "#else\n"
    "  a = __uint_as_float(x << 16); b = __uint_as_float(x & 0xFFFF0000u);\n"
    "#endif\n"
    "  a *= inverse; b *= inverse;\n"
    "}\n"
    "static __device__ __forceinline__ u32 codes(u32 x, u32 y, float inverse) {\n"
    "  float a, b, c, d; unsigned short low, high;\n"
    "  pair(x, inverse, a, b); pair(y, inverse, c, d);\n"
    "  asm(\"cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;\" : \"=h\"(low) : \"f\"(b), \"f\"(a));\n"
    "  asm(\"cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;\" : \"=h\"(high) : \"f\"(d), \"f\"(c));\n"
    "  return low | (u32)high << 16;\n"
    "}\n"
    "extern \"C\" __global__ void quantizer(const uint4 *x, uint2 *y, const float *scale, u64 count) {\n"
    "  u64 i = (u64)blockIdx.x * blockDim.x + threadIdx.x;\n"
    "  if (i >= count) return;\n"
    "  float inverse = 1.0f / *scale;\n"
    "  uint4 v = x[i];\n"
    "  y[i] = make_uint2(codes(v.x, v.y, inverse), codes(v.z, v.w, inverse));\n"
    "}\n";

typedef struct shape {
  uint32_t batch, heads, kv_heads, length, head_dim;
  qn_causal causal;
} shape;

static const shape shapes[] = {
  { 1, 32, 8, 512, 128, QN_CAUSAL_BOTTOM_RIGHT },  { 1, 32, 8, 1024, 128, QN_CAUSAL_BOTTOM_RIGHT },
  { 1, 32, 8, 2048, 128, QN_CAUSAL_BOTTOM_RIGHT }, { 1, 32, 8, 4096, 128, QN_CAUSAL_BOTTOM_RIGHT },
  { 1, 32, 8, 8192, 128, QN_CAUSAL_BOTTOM_RIGHT }, { 1, 32, 8, 16384, 128, QN_CAUSAL_BOTTOM_RIGHT },
  { 1, 32, 8, 4096, 128, QN_CAUSAL_NONE },         { 1, 64, 8, 4096, 128, QN_CAUSAL_BOTTOM_RIGHT },
  { 8, 32, 8, 512, 128, QN_CAUSAL_BOTTOM_RIGHT },  { 1, 32, 8, 4096, 64, QN_CAUSAL_BOTTOM_RIGHT },
  { 16, 12, 12, 512, 64, QN_CAUSAL_NONE },
};

typedef struct bench {
  qn_context *context;
  qn_compiler *compiler;
  qn_device *device;
  gpu_driver cuda;
  qn_target target;
  void *stream, *start, *stop;
  FILE *json;
} bench;

// --- one shape ---------------------------------------------------------------------------------------------

typedef struct work {
  const shape *shape;
  qn_dtype dtype;
  qn_loaded_kernel *unfused, *fused;
  void *quantizer; // NULL where the chip has no conversion to FP8
  qn_attention_args args;
  qn_device_ptr values, codes, scale;
  uint64_t out_count;
} work;

typedef qn_status (*step_fn)(bench *b, work *w);

static qn_status launch_unfused(bench *b, work *w) {
  w->args.out = w->values;
  w->args.output_scale = 0;
  return qn_launch_attention(w->unfused, &w->args, b->stream);
}

static qn_status launch_fused(bench *b, work *w) {
  w->args.out = w->codes;
  w->args.output_scale = w->scale;
  return qn_launch_attention(w->fused, &w->args, b->stream);
}

static qn_status launch_both(bench *b, work *w) {
  QN_TRY(launch_unfused(b, w));
  unsigned long long count = w->out_count / 8;
  void *params[] = { &w->values, &w->codes, &w->scale, &count };
  unsigned blocks = (unsigned)((count + QUANTIZER_THREADS - 1) / QUANTIZER_THREADS);
  int result =
      b->cuda.LaunchKernel(w->quantizer, blocks, 1, 1, QUANTIZER_THREADS, 1, 1, 0, b->stream, params, NULL);
  return result == 0 ? QN_OK : qn_fail(b->context, QN_UNAVAILABLE, "cuLaunchKernel", "error %d", result);
}

static qn_status time_batch(bench *b, work *w, step_fn step, int count, double *out_ms) {
  float elapsed = 0;
  int result = b->cuda.EventRecord(b->start, b->stream);
  for (int i = 0; i < count; i++) QN_TRY(step(b, w));
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

// The median over rounds of at least 20 ms each; the three are interleaved, so that clocks change for all of
// them.
static qn_status measure(bench *b, work *w, const step_fn steps[3], double out_ms[3]) {
  double rounds[3][ROUNDS] = { 0 };
  int count[3] = { 0 };
  for (int k = 0; k < 3; k++) {
    if (!steps[k]) continue;
    double ms;
    QN_TRY(time_batch(b, w, steps[k], WARM_UP, &ms));
    QN_TRY(time_batch(b, w, steps[k], WARM_UP, &ms));
    count[k] = ms > 0 ? (int)QN_MIN(20 / ms + 1, 2000) : 2000;
  }
  for (int i = 0; i < ROUNDS; i++)
    for (int k = 0; k < 3; k++)
      if (steps[k]) QN_TRY(time_batch(b, w, steps[k], count[k], &rounds[k][i]));
  for (int k = 0; k < 3; k++) {
    qsort(rounds[k], ROUNDS, sizeof(double), ascending);
    out_ms[k] = rounds[k][ROUNDS / 2];
  }
  return QN_OK;
}

static double flops_of(const shape *s) {
  double full = 4.0 * s->batch * s->heads * (double)s->length * s->length * s->head_dim;
  return s->causal == QN_CAUSAL_NONE ? full : full / 2;
}

static qn_status report(bench *b, work *w) {
  const shape *s = w->shape;
  const step_fn steps[3] = { launch_unfused, w->quantizer ? launch_both : NULL, launch_fused };
  double ms[3];
  QN_TRY(measure(b, w, steps, ms));
  double flops = flops_of(s);
  printf("%-5s b%-2u h%u/%-2u s%-5u d%-3u %-6s %8.4f ms %6.1f TFLOP/s   + quantizer %8.4f ms   fused %8.4f ms "
         "%6.1f TFLOP/s",
         qn_dtype_name(w->dtype), s->batch, s->heads, s->kv_heads, s->length, s->head_dim,
         s->causal ? "causal" : "full", ms[0], flops / ms[0] * 1e-9, ms[1], ms[2], flops / ms[2] * 1e-9);
  if (w->quantizer) printf("   speedup %.3f", ms[1] / ms[2]);
  printf("\n");
  fflush(stdout);
  if (b->json)
    fprintf(
        b->json,
        "{\"type\": \"%s\", \"batch\": %u, \"heads\": %u, \"kv_heads\": %u, \"length\": %u, \"head_dim\": %u, "
        "\"causal\": %s, \"unfused_ms\": %.5f, \"with_quantizer_ms\": %.5f, \"fused_ms\": %.5f}\n",
        qn_dtype_name(w->dtype), s->batch, s->heads, s->kv_heads, s->length, s->head_dim,
        s->causal ? "true" : "false", ms[0], ms[1], ms[2]);
  return QN_OK;
}

// --- setting up --------------------------------------------------------------------------------------------

// Random values: a device draws less power, and runs faster, on zeros.
static qn_status upload_random(bench *b, qn_dtype dtype, uint64_t count, qn_device_ptr *out_ptr) {
  uint32_t size = qn_element_size(dtype);
  double *values = malloc(count * sizeof(*values));
  void *bytes = malloc(count * size);
  static uint64_t random = 1;
  qn_status status = values && bytes ? QN_OK : qn_fail_memory(b->context);
  for (uint64_t i = 0; status == QN_OK && i < count; i++) {
    double sum = -2;
    for (int k = 0; k < 4; k++) {
      random = random * 6364136223846793005u + 1442695040888963407u;
      sum += (double)(random >> 11) * 0x1p-53;
    }
    values[i] = sum * 1.73;
  }
  if (status == QN_OK) {
    qn_elements_store(dtype, values, count, true, bytes);
    status = qn_device_allocate(b->device, count * size, out_ptr);
  }
  if (status == QN_OK) status = qn_device_upload(b->device, *out_ptr, bytes, count * size);
  free(values);
  free(bytes);
  return status;
}

static qn_status load(bench *b, const work *w, bool fused, qn_loaded_kernel **out_loaded) {
  qn_kernel_spec spec = { .target = b->target,
                          .dtype = w->dtype,
                          .out_dtype = w->dtype,
                          .head_dim = w->shape->head_dim,
                          .v_head_dim = w->shape->head_dim,
                          .heads = w->shape->heads,
                          .kv_heads = w->shape->kv_heads,
                          .causal = w->shape->causal,
                          .window_left = -1,
                          .window_right = -1 };
  if (fused) spec.output = qn_scheme_of(QN_SCHEME_fp8_static);
  qn_kernel *kernel;
  QN_TRY(qn_compiler_compile(b->compiler, &spec, QN_CUBIN, &kernel));
  qn_status status = qn_device_load(b->device, kernel, out_loaded);
  qn_kernel_destroy(kernel);
  return status;
}

static qn_status load_quantizer(bench *b, qn_dtype dtype, void **out_function) {
  qn_buf source = QN_BUF(b->context), cubin = QN_BUF(b->context), log = QN_BUF(b->context);
  qn_nvrtc nvrtc = { .context = b->context };
  qn_cache none = { .context = b->context, .folder = -1 };
  static const char *const options[] = { "--std=c++17" };
  qn_buf_printf(&source, "#define %s\n%s", dtype == QN_F16 ? "T_F16" : "T_BF16", quantizer_source);
  qn_status status = qn_nvrtc_find(&nvrtc, NULL, &none, false, &log);
  log.length = 0;
  if (status == QN_OK)
    status = qn_nvrtc_compile(&nvrtc, source.text, "quantizer", b->target, QN_CUBIN, options, 1, &cubin, &log);
  void *module = NULL;
  int result = status == QN_OK ? b->cuda.ModuleLoadData(&module, cubin.text) : 0;
  if (status == QN_OK && result == 0) result = b->cuda.ModuleGetFunction(out_function, module, "quantizer");
  if (result != 0)
    status = qn_fail(b->context, QN_UNAVAILABLE, "quantizer", "the module does not load: error %d", result);
  qn_nvrtc_close(&nvrtc);
  qn_buf_free(&source);
  qn_buf_free(&cubin);
  qn_buf_free(&log);
  return status;
}

static qn_status prepare(bench *b, work *w) {
  const shape *s = w->shape;
  w->out_count = (uint64_t)s->batch * s->heads * s->length * s->head_dim;
  uint64_t kv_count = w->out_count / s->heads * s->kv_heads;
  w->args = (qn_attention_args){ .batch = s->batch, .q_len = s->length, .kv_len = s->length };
  QN_TRY(load(b, w, false, &w->unfused));
  QN_TRY(load(b, w, true, &w->fused));
  const qn_kernel_spec spec = {
    .head_dim = s->head_dim, .v_head_dim = s->head_dim, .heads = s->heads, .kv_heads = s->kv_heads
  };
  qn_attention_args_set_dense(&spec, QN_LAYOUT_BSHD, QN_LAYOUT_BSHD, QN_LAYOUT_BSHD, QN_LAYOUT_BSHD, &w->args);
  QN_TRY(upload_random(b, w->dtype, w->out_count, &w->args.q));
  QN_TRY(upload_random(b, w->dtype, kv_count, &w->args.k));
  QN_TRY(upload_random(b, w->dtype, kv_count, &w->args.v));
  QN_TRY(qn_device_allocate(b->device, w->out_count * 2, &w->values));
  QN_TRY(qn_device_allocate(b->device, w->out_count, &w->codes));
  const float scale = 0.01f;
  QN_TRY(qn_device_allocate(b->device, sizeof(scale), &w->scale));
  return qn_device_upload(b->device, w->scale, &scale, sizeof(scale));
}

static void release(bench *b, work *w) {
  const qn_device_ptr all[] = { w->args.q, w->args.k, w->args.v, w->values, w->codes, w->scale };
  for (size_t i = 0; i < QN_COUNT(all); i++) (void)qn_device_free(b->device, all[i]);
  qn_loaded_kernel_destroy(w->unfused);
  qn_loaded_kernel_destroy(w->fused);
}

static qn_status run_all(bench *b) {
  static const qn_dtype dtypes[] = { QN_BF16, QN_F16 };
  for (size_t d = 0; d < QN_COUNT(dtypes); d++) {
    void *quantizer = NULL;
    if (b->target >= QN_TARGET_sm_89) QN_TRY(load_quantizer(b, dtypes[d], &quantizer));
    for (size_t i = 0; i < QN_COUNT(shapes); i++) {
      work w = { .shape = &shapes[i], .dtype = dtypes[d], .quantizer = quantizer };
      qn_status status = prepare(b, &w);
      if (status == QN_OK) status = report(b, &w);
      release(b, &w);
      QN_TRY(status);
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
  if (argc == 3 && strcmp(argv[1], "--json") == 0) {
    if (!(b.json = fopen(argv[2], "w"))) {
      perror(argv[2]);
      return 2;
    }
  } else if (argc != 1) {
    fprintf(stderr, "usage: bench_gpu [--json FILE]\n");
    return 2;
  }
  if (qn_context_create(NULL, &b.context) != QN_OK) return 1;
  qn_status status = qn_device_create_cuda(b.context, 0, &b.device);
  bool absent = status != QN_OK;
  if (!absent) status = run(&b);
  if (status != QN_OK) {
    const qn_error *error = qn_context_get_error(b.context);
    printf("%s: %s: %s\n", absent ? "skipped" : qn_status_name(status), error->place, error->message);
  }
  if (b.cuda.handle) gpu_driver_close(&b.cuda);
  qn_compiler_destroy(b.compiler);
  qn_device_destroy(b.device);
  if (b.json) fclose(b.json);
  qn_context_destroy(b.context);
  return status == QN_OK ? 0 : absent ? SKIP : 1;
}
