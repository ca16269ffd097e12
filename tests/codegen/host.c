// Runs the true text of generated kernels on the CPU (host_ptx.h) and compares: the unfused output with a naive
// attention in f64, within a bound that follows from the formats, and the fused output, byte for byte, with the
// unfused output quantized by the codecs of quant/.

#include "codegen/launch_priv.h"
#include "host_data.h"
#include "ir/base_priv.h"
#include "quant/codec_priv.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// --- compiling -------------------------------------------------------------------------------------------

typedef struct host_range {
  uint64_t first, bytes;
  uint32_t writable;
} host_range;
typedef const char *(*host_run_fn)(const void *params, uint32_t grid, uint32_t threads, uint32_t shared_bytes,
                                   const host_range *ranges, int range_count, int reversed);

typedef struct host_kernel {
  qn_kernel_spec spec;
  void *library;
  host_run_fn run;
} host_kernel;

static qn_context *ctx;

// Puts the include of host_ptx.h in the place of the sections ptx and ptx_fp8.
static void write_host_source(FILE *file, char *text) {
  bool copy = true;
  for (char *line = text, *end; line != NULL && *line != '\0'; line = end + 1) {
    end = strchr(line, '\n');
    cr_assert_not_null(end);
    *end = '\0';
    if (strncmp(line, "// ===== ", 9) == 0) {
      copy = strcmp(line, "// ===== ptx =====") != 0 && strcmp(line, "// ===== ptx_fp8 =====") != 0;
      if (strcmp(line, "// ===== ptx =====") == 0) fprintf(file, "#include \"host_ptx.h\"\n");
    }
    if (copy) fprintf(file, "%s\n", line);
  }
}

static host_kernel kernel_open(const qn_kernel_spec *spec) {
  char folder[] = "/tmp/quench-test-XXXXXX", name[128], path[160], command[1024];
  qn_buf text = QN_BUF(ctx);
  qn_writer writer = qn_buf_writer(&text);
  host_kernel kernel = { .spec = *spec };

  qn_kernel_spec_resolve(&kernel.spec);
  qn_kernel_format_name(spec, name);
  cr_assert_eq(qn_kernel_write_source(ctx, spec, &writer), QN_OK, "%s", qn_context_get_error(ctx)->message);
  cr_assert_not_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/kernel.cpp", folder);
  FILE *file = fopen(path, "w");
  cr_assert_not_null(file);
  write_host_source(file, text.text);
  fclose(file);
  qn_buf_free(&text);
  snprintf(
      command, sizeof command,
      "%s -std=c++17 -O1 -w -fPIC -shared -ffp-contract=off '-D__launch_bounds__(...)=' -D__device__= "
      "-D__global__= -D__forceinline__=inline -D__grid_constant__= -DHOST_KERNEL=%s %s -I%s -o %s/kernel.so %s",
      HOST_CXX, name, spec->target >= QN_TARGET_sm_89 ? "-DHOST_FP8_CVT" : "", HOST_INCLUDE, folder, path);
  cr_assert_eq(system(command), 0, "%s does not compile: %s", name, path);
  snprintf(path, sizeof path, "%s/kernel.so", folder);
  kernel.library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  cr_assert_not_null(kernel.library, "%s", dlerror());
  *(void **)&kernel.run = dlsym(kernel.library, "host_run");
  cr_assert_not_null(*(void **)&kernel.run);
  unlink(path);
  snprintf(path, sizeof path, "%s/kernel.cpp", folder);
  unlink(path);
  rmdir(folder);
  return kernel;
}

// The device's copy of lengths, where the kernel reads them.
static uintptr_t lengths_of(const qn_kernel_spec *spec, bool given, const int32_t *narrow,
                            const int64_t *wide) {
  if (!given) return 0;
  return spec->lengths_dtype == QN_S64 ? (uintptr_t)wide : (uintptr_t)narrow;
}

static void run(const host_kernel *kernel, const problem *p, const data *d, const void *scale,
                const tensor *out, int reversed) {
  qn_launch launch;
  const qn_kernel_spec *spec = &kernel->spec;
  qn_attention_args args = {
    .batch = p->batch,
    .q_len = p->q_len,
    .kv_len = p->kv_len,
    .q = (uintptr_t)d->q.data,
    .k = (uintptr_t)d->k.data,
    .v = (uintptr_t)d->v.data,
    .q_stride = d->q.stride,
    .k_stride = d->k.stride,
    .v_stride = d->v.stride,
    .out = (uintptr_t)out->data,
    .out_stride = out->stride,
    .output_scale = (uintptr_t)scale,
    .mask = (uintptr_t)d->mask,
    .mask_batch_stride = d->mask_batch,
    .mask_head_stride = d->mask_head,
    .mask_q_stride = d->mask_q,
    .mask_kv_stride = 1,
    .sinks = spec->sinks_dtype != QN_ANY ? (uintptr_t)d->sinks : 0,
    .alibi_slopes = spec->alibi ? (uintptr_t)d->slopes : 0,
    .kv_lengths = lengths_of(spec, spec->kv_lengths, d->kv_lengths, d->wide[0]),
    .cu_seqlens_q = lengths_of(spec, spec->varlen, d->starts_q, d->wide[1]),
    .cu_seqlens_kv = lengths_of(spec, spec->varlen, d->starts_kv, d->wide[2]),
  };
  uint64_t length_bytes = spec->lengths_dtype == QN_S64 ? 8 : 4;
  host_range ranges[] = {
    { args.q, d->q.bytes, 0 },
    { args.k, d->k.bytes, 0 },
    { args.v, d->v.bytes, 0 },
    { args.mask, d->mask_bytes, 0 },
    { args.out, out->bytes, 1 },
    { args.output_scale, 4, 0 },
    { args.sinks, spec->heads * (spec->sinks_dtype == QN_F32 ? 4 : 2), 0 },
    { args.alibi_slopes, spec->heads * 4, 0 },
    { args.kv_lengths, p->batch * length_bytes, 0 },
    { args.cu_seqlens_q, (p->batch + 1) * length_bytes, 0 },
    { args.cu_seqlens_kv, (p->batch + 1) * length_bytes, 0 },
  };
  char name[128];
  qn_kernel_format_name(spec, name);
  cr_assert_eq(qn_launch_prepare(ctx, spec, &args, &launch), QN_OK, "%s", qn_context_get_error(ctx)->message);
  const char *error = kernel->run(&launch.params, launch.grid, launch.block, launch.shared_bytes, ranges,
                                  (int)QN_COUNT(ranges), reversed);
  cr_assert_null(error, "%s, batch %u, q_len %u, kv_len %u: %s", name, p->batch, p->q_len, p->kv_len, error);
}

// --- comparing -------------------------------------------------------------------------------------------

// Whether query i of sequence b sees key j, and how far j is from it.
static bool sees(const qn_kernel_spec *spec, const problem *p, const data *d, uint32_t b, uint32_t i,
                 uint32_t j, int64_t *out_distance) {
  int64_t length = spec->kv_lengths ? d->kv_lengths[b] : (int64_t)kv_length(spec, p, b);
  bool at_the_end = spec->causal == QN_CAUSAL_BOTTOM_RIGHT || spec->kv_lengths;
  int64_t past = (int64_t)i + (at_the_end ? length - q_length(spec, p, b) : 0) - j;
  *out_distance = llabs(past);
  if (j >= length || (spec->causal != QN_CAUSAL_NONE && past < 0)) return false;
  return (spec->window_left < 0 || past <= spec->window_left) &&
         (spec->window_right < 0 || -past <= spec->window_right);
}

// One row of attention in f64 with, for each element, how far a correct kernel may be from it.
static void reference_row(const qn_kernel_spec *spec, const problem *p, const data *d, uint32_t b, uint32_t h,
                          uint32_t i, double *out, double *bound) {
  uint32_t kv_head = h / (spec->heads / spec->kv_heads);
  int64_t keys = kv_length(spec, p, b), distance;
  double weights[256], largest = -INFINITY, sum = 0, magnitude = spec->softcap;
  for (int64_t j = 0; j < keys; j++) {
    weights[j] = -INFINITY;
    if (!sees(spec, p, d, b, i, (uint32_t)j, &distance)) continue;
    double s = 0;
    for (uint32_t c = 0; c < spec->head_dim; c++)
      s += (double)get(d->q.data, spec->dtype, offset(&d->q, b, h, i) + c) *
           (double)get(d->k.data, spec->dtype, offset(&d->k, b, kv_head, (uint32_t)j) + c);
    s *= (double)spec->scale;
    magnitude = fmax(magnitude, fabs(s));
    if (spec->softcap > 0) s = (double)spec->softcap * tanh(s / (double)spec->softcap);
    if (spec->alibi) s -= (double)d->slopes[h] * (double)distance;
    magnitude = fmax(magnitude, fabs(s));
    if (d->mask != NULL) {
      float bias = mask_value(d, b, h, i, (uint32_t)j);
      // Scores are f32: where the mask is large, they keep few digits of the product.
      s = (double)(float)(s + (double)bias);
      if (isfinite(s) && fabs(s) < 1e6) magnitude = fmax(magnitude, fabs(s));
    }
    weights[j] = s;
    largest = fmax(largest, s);
  }
  if (spec->sinks_dtype != QN_ANY && largest != -INFINITY) {
    double sink = get(d->sinks, spec->sinks_dtype, h);
    magnitude = fmax(magnitude, fabs(sink));
    largest = fmax(largest, sink);
    sum = exp(sink - largest);
  }
  for (int64_t j = 0; j < keys; j++) {
    weights[j] = largest == -INFINITY ? 0 : exp(weights[j] - largest);
    sum += weights[j];
  }
  // Roundings: weights to the element type, the output to it, the scores to f32 (an absolute error of the
  // exponent), f32 sums.
  double unit = spec->dtype == QN_F16 ? 0x1p-11 : spec->dtype == QN_BF16 ? 0x1p-8 : 0x1p-22;
  double exponent =
      (1 + magnitude) * (spec->f32_mode == QN_F32_TF32 && spec->dtype == QN_F32 ? 0x1p-9 : 0x1p-20);
  double subnormal = spec->dtype == QN_F16 ? 0x1p-24 * p->kv_len * 2 : 0;
  for (uint32_t c = 0; c < spec->v_head_dim; c++) {
    double o = 0, absolute = 0;
    for (int64_t j = 0; j < keys; j++) {
      double v = get(d->v.data, spec->dtype, offset(&d->v, b, kv_head, (uint32_t)j) + c);
      o += weights[j] * v;
      absolute += weights[j] * fabs(v);
    }
    out[c] = sum == 0 ? 0 : o / sum;
    bound[c] = sum == 0 ? 0 : absolute / sum * (unit + exponent) + fabs(out[c]) * unit + subnormal;
  }
}

static void check_reference(const qn_kernel_spec *spec, const problem *p, const data *d, const tensor *out) {
  double expected[256], bound[256];
  char name[128];
  qn_kernel_format_name(spec, name);
  for (uint32_t b = 0; b < p->batch; b++)
    for (uint32_t h = 0; h < spec->heads; h++)
      for (uint32_t i = 0; i < q_length(spec, p, b); i++) {
        reference_row(spec, p, d, b, h, i, expected, bound);
        for (uint32_t c = 0; c < spec->v_head_dim; c++) {
          double found = get(out->data, spec->out_dtype, offset(out, b, h, i) + c);
          cr_assert(fabs(found - expected[c]) <= bound[c],
                    "%s, q_len %u, kv_len %u: [%u,%u,%u,%u] is %.9g, not %.9g +- %.3g", name, p->q_len,
                    p->kv_len, b, h, i, c, found, expected[c], bound[c]);
        }
      }
}

static uint8_t quantize(const qn_scheme *scheme, float x, float scale) {
  float y = round_to((qn_dtype)scheme->round_input, x);
  if (scheme->arithmetic == QN_DIVIDE)
    y = y / scale;
  else if (scheme->arithmetic == QN_MULTIPLY)
    y = y * scale;
  else
    y = y * (1.0f / scale);
  y = round_to((qn_dtype)scheme->compute, y);
  return (uint8_t)(scheme->target == QN_E5M2 ? qn_e5m2_from_f32(bits_of(y), 1)
                                             : qn_e4m3_from_f32(bits_of(y), 1));
}

// Codes of the fused kernel against the unfused output; exact: bytes, direct: at most one step for few of them.
static void check_codes(const host_kernel *fused, const problem *p, const tensor *plain, const tensor *codes,
                        float scale) {
  const qn_kernel_spec *spec = &fused->spec;
  uint64_t different = 0, count = 0;
  char name[128];
  qn_kernel_format_name(spec, name);
  for (uint32_t b = 0; b < p->batch; b++)
    for (uint32_t h = 0; h < spec->heads; h++)
      for (uint32_t i = 0; i < q_length(spec, p, b); i++)
        for (uint32_t c = 0; c < spec->v_head_dim; c++, count++) {
          float x = get(plain->data, spec->out_dtype, offset(plain, b, h, i) + c);
          int expected = quantize(&spec->output, x, scale), found = codes->data[offset(codes, b, h, i) + c];
          different += expected != found;
          if (spec->numerics == QN_EXACT)
            cr_assert_eq(found, expected,
                         "%s, q_len %u, kv_len %u: code [%u,%u,%u,%u] of %.9g is %02x, not %02x", name,
                         p->q_len, p->kv_len, b, h, i, c, (double)x, found, expected);
          else
            cr_assert_leq(abs(found - expected), 1, "%s: code of %.9g", name, (double)x);
        }
  cr_assert_leq(different, count / 8 + 1);
}

// Bytes between the rows must be as they were.
static void check_gaps(const problem *p, const qn_kernel_spec *spec, const tensor *out) {
  uint32_t bytes = qn_dtype_bits(out->dtype) / 8, row = (spec->v_head_dim + p->out_gap) * bytes;
  for (uint64_t first = 0; first < out->bytes; first += row)
    for (uint32_t i = spec->v_head_dim * bytes; i < row; i++) cr_assert_eq(out->data[first + i], 0xA5);
}

// A spec and one that differs from it in the output only, over one problem.
static void check_problem(const host_kernel *plain, const host_kernel *fused, const problem *problem_of_one) {
  const qn_kernel_spec *spec = &plain->spec;
  problem own = *problem_of_one, *p = &own;
  data d;
  tensor out[2];
  if (spec->varlen) own.batch = SEQUENCES;
  data_make(spec, p, &d);
  for (int reversed = 0; reversed < 2; reversed++) {
    out[reversed] = out_make(spec, p, &d, spec->dtype);
    run(plain, p, &d, NULL, &out[reversed], reversed);
  }
  cr_assert_arr_eq(out[0].data, out[1].data, out[0].bytes, "the order of threads shows");
  check_reference(spec, p, &d, &out[0]);
  check_gaps(p, spec, &out[0]);
  if (fused != NULL) {
    qn_dtype scale_dtype = (qn_dtype)fused->spec.output.scale_dtype;
    float scale = round_to(scale_dtype, fused->spec.output.arithmetic == QN_MULTIPLY ? 171.3f : 0.00571f);
    uint32_t stored = 0;
    set(&stored, scale_dtype, 0, scale);
    tensor codes = out_make(spec, p, &d, (qn_dtype)fused->spec.output.target);
    run(fused, p, &d, &stored, &codes, 0);
    check_codes(fused, p, &out[0], &codes, scale);
    check_gaps(p, &fused->spec, &codes);
    free(codes.data);
  }
  free(out[0].data);
  free(out[1].data);
  data_free(&d);
}

// --- the tests -------------------------------------------------------------------------------------------

static const problem PROBLEMS[] = {
  { 1, 1, 1, false, 0, 0, true },     { 1, 17, 65, true, 0, 0, true },   { 2, 65, 17, false, 8, 16, false },
  { 1, 130, 130, true, 8, 3, true },  { 1, 64, 64, false, 0, 0, false }, { 1, 130, 1, true, 0, 0, true },
  { 1, 1, 130, false, 0, 1, true },   { 1, 5, 0, false, 0, 0, true },    { 2, 64, 130, true, 0, 0, false },
  { 1, 129, 200, false, 0, 0, true },
};

typedef struct variant {
  qn_target target;
  qn_dtype dtype;
  uint32_t head_dim, heads, kv_heads;
  qn_causal causal;
  qn_mask_kind mask;
  qn_dtype mask_dtype;
  const char *output;
  float scale;
  qn_numerics numerics;
  qn_f32_mode f32_mode;
  bool packed;
  int left, right; // of the window, and 1 more; 0: none
  float softcap;
  qn_dtype sinks;
  bool alibi, kv_lengths, varlen;
  qn_dtype lengths;
  uint32_t v_head_dim; // 0: head_dim
} variant;

static qn_kernel_spec spec_of(const variant *v) {
  qn_kernel_spec spec = {
    .target = v->target,
    .dtype = v->dtype,
    .out_dtype = v->dtype,
    .head_dim = v->head_dim,
    .v_head_dim = v->v_head_dim ? v->v_head_dim : v->head_dim,
    .heads = v->heads,
    .kv_heads = v->kv_heads,
    .causal = v->causal,
    .mask = v->mask,
    .mask_dtype = v->mask_dtype,
    .window_left = v->left - 1,
    .window_right = v->right - 1,
    .softcap = v->softcap,
    .sinks_dtype = v->sinks,
    .alibi = v->alibi,
    .kv_lengths = v->kv_lengths,
    .varlen = v->varlen,
    .lengths_dtype = v->lengths,
    .scale = v->scale,
    .f32_mode = v->f32_mode,
    .pack_heads = v->packed,
    .output = qn_scheme_of(QN_SCHEME_none),
  };
  return spec;
}

// Every `step`-th problem from `first` on.
static void check_variant(const variant *v, size_t first, size_t step) {
  qn_kernel_spec spec = spec_of(v);
  host_kernel plain = kernel_open(&spec), fused = { .library = NULL };
  if (v->output != NULL) {
    cr_assert(qn_scheme_parse(v->output, &spec.output), "%s", v->output);
    spec.numerics = v->numerics;
    fused = kernel_open(&spec);
  }
  for (size_t i = first; i < QN_COUNT(PROBLEMS); i += step) {
    data_seed((uint32_t)i + 1);
    check_problem(&plain, fused.library != NULL ? &fused : NULL, &PROBLEMS[i]);
  }
  dlclose(plain.library);
  if (fused.library != NULL) dlclose(fused.library);
}

static void setup(void) {
  cr_assert_eq(qn_context_create(NULL, &ctx), QN_OK);
}
static void teardown(void) {
  qn_context_destroy(ctx);
}

TestSuite(host, .init = setup, .fini = teardown, .timeout = 600);

#define HOST_TEST(name, ...)                                                                                   \
  Test(host, name) {                                                                                           \
    static const variant v = { __VA_ARGS__ };                                                                  \
    check_variant(&v, 0, 1);                                                                                   \
  }

// clang-format off
//                             target             dtype    dim heads  causal                  mask               its type  output
HOST_TEST(f16_d64_plain,       QN_TARGET_sm_90a,  QN_F16,  64,  2, 2, QN_CAUSAL_NONE,         QN_MASK_NONE,      QN_ANY,  "fp8_static")
HOST_TEST(f16_d64_causal,      QN_TARGET_sm_80,   QN_F16,  64,  4, 2, QN_CAUSAL_TOP_LEFT,     QN_MASK_NONE,      QN_ANY,  "fp8_static{target=e5m2}")
HOST_TEST(f16_d64_mask,        QN_TARGET_sm_90a,  QN_F16,  64,  3, 1, QN_CAUSAL_BOTTOM_RIGHT, QN_MASK_ADDITIVE,  QN_F16,  "fp8_static{compute=f16, scale=f16}")
HOST_TEST(bf16_d64_boolean,    QN_TARGET_sm_86,   QN_BF16, 64,  2, 1, QN_CAUSAL_NONE,         QN_MASK_BOOLEAN,   QN_ANY,  "fp8_static{arithmetic=reciprocal}")
HOST_TEST(bf16_d128_plain,     QN_TARGET_sm_90a,  QN_BF16, 128, 2, 1, QN_CAUSAL_NONE,         QN_MASK_NONE,      QN_ANY,  "fp8_static{arithmetic=multiply}")
HOST_TEST(bf16_d128_causal,    QN_TARGET_sm_89,   QN_BF16, 128, 2, 1, QN_CAUSAL_BOTTOM_RIGHT, QN_MASK_NONE,      QN_ANY,  "fp8_static")
HOST_TEST(f16_d128_mask,       QN_TARGET_sm_100a, QN_F16,  128, 2, 1, QN_CAUSAL_TOP_LEFT,     QN_MASK_ADDITIVE,  QN_F32,  "fp8_static{round=bf16}")
HOST_TEST(bf16_d128_mask,      QN_TARGET_sm_80,   QN_BF16, 128, 2, 1, QN_CAUSAL_NONE,         QN_MASK_ADDITIVE,  QN_BF16, "fp8_static{scale=bf16, compute=bf16}")
HOST_TEST(f32_d64_plain,       QN_TARGET_sm_90a,  QN_F32,  64,  2, 1, QN_CAUSAL_NONE,         QN_MASK_NONE,      QN_ANY,  "fp8_static")
HOST_TEST(f32_d64_causal_mask, QN_TARGET_sm_80,   QN_F32,  64,  2, 1, QN_CAUSAL_TOP_LEFT,     QN_MASK_ADDITIVE,  QN_F32,  "fp8_static{target=e5m2}")
HOST_TEST(f32_d128_causal,     QN_TARGET_sm_120a, QN_F32,  128, 2, 1, QN_CAUSAL_BOTTOM_RIGHT, QN_MASK_NONE,      QN_ANY,  "fp8_static")
HOST_TEST(f32_d128_boolean,    QN_TARGET_sm_86,   QN_F32,  128, 1, 1, QN_CAUSAL_TOP_LEFT,     QN_MASK_BOOLEAN,   QN_ANY,  "fp8_static")
HOST_TEST(negative_scale,      QN_TARGET_sm_90a,  QN_BF16, 64,  2, 1, QN_CAUSAL_TOP_LEFT,     QN_MASK_NONE,      QN_ANY,  NULL, .scale = -0.2f)
HOST_TEST(large_scale,         QN_TARGET_sm_90a,  QN_F16,  64,  1, 1, QN_CAUSAL_NONE,         QN_MASK_NONE,      QN_ANY,  NULL, .scale = 1.5f)
HOST_TEST(direct_f16,          QN_TARGET_sm_90a,  QN_F16,  128, 2, 1, QN_CAUSAL_TOP_LEFT,     QN_MASK_NONE,      QN_ANY,  "fp8_static", .numerics = QN_DIRECT)
HOST_TEST(direct_bf16,         QN_TARGET_sm_80,   QN_BF16, 64,  2, 1, QN_CAUSAL_NONE,         QN_MASK_NONE,      QN_ANY,  "fp8_static", .numerics = QN_DIRECT)
HOST_TEST(f16_d80,             QN_TARGET_sm_90a,  QN_F16,  80,  2, 1, QN_CAUSAL_TOP_LEFT,     QN_MASK_NONE,      QN_ANY,  "fp8_static")
HOST_TEST(bf16_d96_mask,       QN_TARGET_sm_86,   QN_BF16, 96,  2, 1, QN_CAUSAL_NONE,         QN_MASK_ADDITIVE,  QN_F32,  "fp8_static")
HOST_TEST(f16_d192,            QN_TARGET_sm_90a,  QN_F16,  192, 2, 1, QN_CAUSAL_BOTTOM_RIGHT, QN_MASK_NONE,      QN_ANY,  "fp8_static")
HOST_TEST(bf16_d192_of_8_warps, QN_TARGET_sm_120a, QN_BF16, 192, 1, 1, QN_CAUSAL_NONE,        QN_MASK_BOOLEAN,   QN_ANY,  "fp8_static")
HOST_TEST(bf16_d192_v128,      QN_TARGET_sm_90a,  QN_BF16, 192, 2, 1, QN_CAUSAL_TOP_LEFT,     QN_MASK_NONE,      QN_ANY,  "fp8_static", .v_head_dim = 128)
HOST_TEST(f16_d256,            QN_TARGET_sm_90a,  QN_F16,  256, 1, 1, QN_CAUSAL_TOP_LEFT,     QN_MASK_ADDITIVE,  QN_F16,  "fp8_static")
HOST_TEST(bf16_d256_short_kv,  QN_TARGET_sm_86,   QN_BF16, 256, 1, 1, QN_CAUSAL_BOTTOM_RIGHT, QN_MASK_NONE,      QN_ANY,  "fp8_static")
HOST_TEST(f16_d8_v24,          QN_TARGET_sm_90a,  QN_F16,  8,   2, 1, QN_CAUSAL_NONE,         QN_MASK_NONE,      QN_ANY,  "fp8_static", .v_head_dim = 24)
HOST_TEST(bf16_d104_v72,       QN_TARGET_sm_90a,  QN_BF16, 104, 2, 1, QN_CAUSAL_TOP_LEFT,     QN_MASK_NONE,      QN_ANY,  "fp8_static", .v_head_dim = 72)
HOST_TEST(bf16_d40_v256,       QN_TARGET_sm_90a,  QN_BF16, 40,  1, 1, QN_CAUSAL_NONE,         QN_MASK_NONE,      QN_ANY,  "fp8_static", .v_head_dim = 256)
HOST_TEST(f32_d80,             QN_TARGET_sm_90a,  QN_F32,  80,  2, 1, QN_CAUSAL_TOP_LEFT,     QN_MASK_NONE,      QN_ANY,  "fp8_static")
HOST_TEST(f32_d96_v88,         QN_TARGET_sm_90a,  QN_F32,  96,  2, 1, QN_CAUSAL_NONE,         QN_MASK_ADDITIVE,  QN_F32,  "fp8_static", .v_head_dim = 88)
HOST_TEST(f32_d192_v128,       QN_TARGET_sm_80,   QN_F32,  192, 1, 1, QN_CAUSAL_TOP_LEFT,     QN_MASK_NONE,      QN_ANY,  "fp8_static", .v_head_dim = 128)
HOST_TEST(f32_d256,            QN_TARGET_sm_86,   QN_F32,  256, 1, 1, QN_CAUSAL_NONE,         QN_MASK_NONE,      QN_ANY,  "fp8_static")
HOST_TEST(f32_d8_v40,          QN_TARGET_sm_90a,  QN_F32,  8,   1, 1, QN_CAUSAL_NONE,         QN_MASK_NONE,      QN_ANY,  "fp8_static", .v_head_dim = 40)
HOST_TEST(direct_f16_d80_v104, QN_TARGET_sm_90a,  QN_F16,  80,  1, 1, QN_CAUSAL_TOP_LEFT,     QN_MASK_NONE,      QN_ANY,  "fp8_static", .numerics = QN_DIRECT, .v_head_dim = 104)
HOST_TEST(packed_mask,         QN_TARGET_sm_90a,  QN_BF16, 64,  6, 2, QN_CAUSAL_TOP_LEFT,     QN_MASK_ADDITIVE,  QN_F32,  "fp8_static", .packed = true)
HOST_TEST(packed_causal,       QN_TARGET_sm_90a,  QN_F16,  128, 8, 1, QN_CAUSAL_BOTTOM_RIGHT, QN_MASK_NONE,      QN_ANY,  "fp8_static", .packed = true)
HOST_TEST(packed_f32,          QN_TARGET_sm_90a,  QN_F32,  64,  5, 1, QN_CAUSAL_TOP_LEFT,     QN_MASK_NONE,      QN_ANY,  "fp8_static", .packed = true)
HOST_TEST(window_left,         QN_TARGET_sm_90a,  QN_F16,  64,  2, 1, QN_CAUSAL_TOP_LEFT,     QN_MASK_NONE,      QN_ANY,  "fp8_static", .left = 41)
HOST_TEST(window_both,         QN_TARGET_sm_80,   QN_BF16, 64,  2, 1, QN_CAUSAL_NONE,         QN_MASK_NONE,      QN_ANY,  NULL, .left = 1, .right = 71)
HOST_TEST(window_right,        QN_TARGET_sm_86,   QN_F32,  64,  1, 1, QN_CAUSAL_NONE,         QN_MASK_BOOLEAN,   QN_ANY,  NULL, .right = 1)
HOST_TEST(window_aligned_last, QN_TARGET_sm_90a,  QN_BF16, 128, 4, 1, QN_CAUSAL_BOTTOM_RIGHT, QN_MASK_NONE,      QN_ANY,  "fp8_static", .left = 21, .right = 6, .packed = true)
HOST_TEST(softcap,             QN_TARGET_sm_90a,  QN_F16,  64,  2, 1, QN_CAUSAL_TOP_LEFT,     QN_MASK_NONE,      QN_ANY,  "fp8_static", .softcap = 1.5f)
HOST_TEST(softcap_mask,        QN_TARGET_sm_80,   QN_F32,  64,  1, 1, QN_CAUSAL_NONE,         QN_MASK_ADDITIVE,  QN_F32,  NULL, .softcap = 30, .scale = -0.5f)
HOST_TEST(softcap_negative,    QN_TARGET_sm_90a,  QN_BF16, 64,  1, 1, QN_CAUSAL_NONE,         QN_MASK_BOOLEAN,   QN_ANY,  NULL, .softcap = 2, .scale = -0.5f)
HOST_TEST(alibi,               QN_TARGET_sm_90a,  QN_BF16, 64,  4, 2, QN_CAUSAL_TOP_LEFT,     QN_MASK_NONE,      QN_ANY,  "fp8_static", .alibi = true)
HOST_TEST(alibi_packed,        QN_TARGET_sm_90a,  QN_F16,  64,  6, 2, QN_CAUSAL_NONE,         QN_MASK_ADDITIVE,  QN_F16,  "fp8_static", .alibi = true, .packed = true, .softcap = 5)
HOST_TEST(alibi_boolean,       QN_TARGET_sm_80,   QN_F32,  128, 1, 1, QN_CAUSAL_BOTTOM_RIGHT, QN_MASK_BOOLEAN,   QN_ANY,  NULL, .alibi = true)
HOST_TEST(sinks,               QN_TARGET_sm_90a,  QN_F16,  64,  2, 1, QN_CAUSAL_TOP_LEFT,     QN_MASK_NONE,      QN_ANY,  "fp8_static", .sinks = QN_F32, .left = 31)
HOST_TEST(sinks_packed,        QN_TARGET_sm_90a,  QN_BF16, 128, 4, 2, QN_CAUSAL_NONE,         QN_MASK_ADDITIVE,  QN_F32,  NULL, .sinks = QN_BF16, .packed = true)
HOST_TEST(sinks_f16,           QN_TARGET_sm_86,   QN_F16,  64,  3, 1, QN_CAUSAL_BOTTOM_RIGHT, QN_MASK_BOOLEAN,   QN_ANY,  NULL, .sinks = QN_F16, .softcap = 20)
HOST_TEST(kv_lengths,          QN_TARGET_sm_90a,  QN_F16,  64,  2, 1, QN_CAUSAL_TOP_LEFT,     QN_MASK_NONE,      QN_ANY,  "fp8_static", .kv_lengths = true, .lengths = QN_S64)
HOST_TEST(kv_lengths_window,   QN_TARGET_sm_80,   QN_F32,  64,  2, 1, QN_CAUSAL_NONE,         QN_MASK_ADDITIVE,  QN_F32,  NULL, .kv_lengths = true, .lengths = QN_S32, .left = 51, .alibi = true)
HOST_TEST(varlen,              QN_TARGET_sm_90a,  QN_BF16, 64,  2, 1, QN_CAUSAL_NONE,         QN_MASK_NONE,      QN_ANY,  "fp8_static", .varlen = true, .lengths = QN_S32)
HOST_TEST(varlen_causal,       QN_TARGET_sm_80,   QN_F16,  128, 4, 2, QN_CAUSAL_BOTTOM_RIGHT, QN_MASK_NONE,      QN_ANY,  "fp8_static", .varlen = true, .lengths = QN_S64, .sinks = QN_F16, .left = 31, .packed = true)
HOST_TEST(varlen_f32,          QN_TARGET_sm_90a,  QN_F32,  64,  1, 1, QN_CAUSAL_TOP_LEFT,     QN_MASK_NONE,      QN_ANY,  NULL, .varlen = true, .lengths = QN_S32, .alibi = true, .softcap = 10)
HOST_TEST(plain_tf32,          QN_TARGET_sm_90a,  QN_F32,  64,  2, 1, QN_CAUSAL_NONE,         QN_MASK_NONE,      QN_ANY,  NULL, .f32_mode = QN_F32_TF32)
// clang-format on
