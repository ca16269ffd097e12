// Runs the true text of generated kernels on the CPU (host_ptx.h) and compares: the unfused output with a naive
// attention in f64, within a bound that follows from the formats, and the fused output, byte for byte, with the
// unfused output quantized by the codecs of quant/.

#include "codegen/launch_priv.h"
#include "ir/base_priv.h"
#include "quant/codec_priv.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <float.h>
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

// --- tensors ---------------------------------------------------------------------------------------------

static uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
static float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static float round_to(qn_dtype dtype, float value) {
  if (dtype == QN_F16) return float_of(qn_f16_to_f32(qn_f16_from_f32(bits_of(value), 0)));
  if (dtype == QN_BF16) return float_of(qn_bf16_to_f32(qn_bf16_from_f32(bits_of(value), 0)));
  return value;
}

static float get(const void *data, qn_dtype dtype, int64_t index) {
  const uint16_t *half = data;
  if (dtype == QN_F16) return float_of(qn_f16_to_f32(half[index]));
  if (dtype == QN_BF16) return float_of(qn_bf16_to_f32(half[index]));
  return ((const float *)data)[index];
}

static void set(void *data, qn_dtype dtype, int64_t index, float value) {
  uint16_t *half = data;
  if (dtype == QN_F16)
    half[index] = (uint16_t)qn_f16_from_f32(bits_of(value), 0);
  else if (dtype == QN_BF16)
    half[index] = (uint16_t)qn_bf16_from_f32(bits_of(value), 0);
  else
    ((float *)data)[index] = value;
}

static uint32_t random_state;
static float random_unit(void) { // in [-1, 1)
  random_state = random_state * 1664525u + 1013904223u;
  return (float)(int32_t)random_state / 2147483648.0f;
}

// A tensor [batch, heads, positions, head_dim] in some layout, with `gap` unused elements after each position.
typedef struct tensor {
  uint8_t *data;
  uint64_t bytes;
  qn_dtype dtype;
  qn_strides stride;
} tensor;

static tensor tensor_make(qn_dtype dtype, bool bshd, uint32_t batch, uint32_t heads, uint32_t positions,
                          uint32_t head_dim, uint32_t gap, bool random) {
  int64_t row = head_dim + gap;
  tensor t = { .dtype = dtype };
  t.stride.position = bshd ? row * heads : row;
  t.stride.head = bshd ? row : row * positions;
  t.stride.batch = row * heads * positions;
  uint64_t count = (uint64_t)batch * heads * positions * (uint64_t)row;
  t.bytes = count * qn_dtype_bits(dtype) / 8;
  t.data = aligned_alloc(64, (t.bytes + 64) / 64 * 64);
  memset(t.data, 0xA5, t.bytes);
  if (random)
    for (uint64_t i = 0; i < count; i++) set(t.data, dtype, (int64_t)i, 2 * random_unit());
  return t;
}

static int64_t offset(const tensor *t, uint32_t b, uint32_t h, uint32_t i) {
  return b * t->stride.batch + h * t->stride.head + i * t->stride.position;
}

// --- problems --------------------------------------------------------------------------------------------

typedef struct problem {
  uint32_t batch, q_len, kv_len;
  bool bshd;
  uint32_t gap;      // unused elements after each row of q, k, v
  uint32_t out_gap;  // the same for the output; where odd, its rows are not aligned
  bool mask_per_row; // else one row for all of q, and all heads
} problem;

static const problem PROBLEMS[] = {
  { 1, 1, 1, false, 0, 0, true },     { 1, 17, 65, true, 0, 0, true },   { 2, 65, 17, false, 8, 16, false },
  { 1, 130, 130, true, 8, 3, true },  { 1, 64, 64, false, 0, 0, false }, { 1, 130, 1, true, 0, 0, true },
  { 1, 1, 130, false, 0, 1, true },   { 1, 5, 0, false, 0, 0, true },    { 2, 64, 130, true, 0, 0, false },
  { 1, 129, 200, false, 0, 0, true },
};

// A problem with its data, for one kernel and all that differ from it in the output only.
typedef struct data {
  tensor q, k, v;
  uint8_t *mask;
  uint64_t mask_bytes;
  qn_dtype mask_dtype;
  int64_t mask_batch, mask_head, mask_q;
} data;

static float mask_value(const data *d, uint32_t b, uint32_t h, uint32_t i, uint32_t j) {
  int64_t index = b * d->mask_batch + h * d->mask_head + i * d->mask_q + j;
  if (d->mask_dtype == QN_BOOL) return d->mask[index] ? 0.0f : -INFINITY;
  return get(d->mask, d->mask_dtype, index);
}

// Rows 3, 4 and 5 of a mask are special: all -inf, all the type's lowest, and a single visible position.
static void data_make_mask(const qn_kernel_spec *spec, const problem *p, data *d) {
  uint32_t rows = p->mask_per_row ? p->batch * spec->heads * p->q_len : p->batch;
  d->mask_dtype = spec->mask == QN_MASK_BOOLEAN ? QN_BOOL : spec->mask_dtype;
  d->mask_q = p->mask_per_row ? p->kv_len : 0;
  d->mask_head = p->mask_per_row ? (int64_t)p->kv_len * p->q_len : 0;
  d->mask_batch = p->mask_per_row ? d->mask_head * spec->heads : p->kv_len;
  d->mask_bytes = (uint64_t)rows * p->kv_len * qn_dtype_bits(d->mask_dtype) / 8;
  d->mask = malloc(d->mask_bytes + 1);
  float lowest = d->mask_dtype == QN_F16 ? -65504.0f : d->mask_dtype == QN_BF16 ? -3.3895314e38f : -FLT_MAX;
  for (uint32_t r = 0; r < rows; r++)
    for (uint32_t j = 0; j < p->kv_len; j++) {
      int64_t index = (int64_t)r * p->kv_len + j;
      uint32_t special = p->mask_per_row ? r % p->q_len : 0;
      float value = random_unit() < 0.6f ? 2 * random_unit() : -INFINITY;
      if (special == 3) value = -INFINITY;
      if (special == 4) value = lowest;
      if (special == 5) value = j == 0 ? 1.0f : -INFINITY;
      if (d->mask_dtype == QN_BOOL)
        d->mask[index] = value > -INFINITY && special != 4;
      else
        set(d->mask, d->mask_dtype, index, value);
    }
}

static data data_make(const qn_kernel_spec *spec, const problem *p) {
  data d = { .mask = NULL };
  d.q = tensor_make(spec->dtype, p->bshd, p->batch, spec->heads, p->q_len, spec->head_dim, p->gap, true);
  d.k = tensor_make(spec->dtype, p->bshd, p->batch, spec->kv_heads, p->kv_len, spec->head_dim, p->gap, true);
  d.v = tensor_make(spec->dtype, p->bshd, p->batch, spec->kv_heads, p->kv_len, spec->v_head_dim, p->gap, true);
  if (spec->mask != QN_MASK_NONE) data_make_mask(spec, p, &d);
  return d;
}

static void data_free(data *d) {
  free(d->q.data);
  free(d->k.data);
  free(d->v.data);
  free(d->mask);
}

static void run(const host_kernel *kernel, const problem *p, const data *d, const void *scale,
                const tensor *out, int reversed) {
  qn_launch launch;
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
  };
  host_range ranges[] = {
    { args.q, d->q.bytes, 0 },       { args.k, d->k.bytes, 0 },   { args.v, d->v.bytes, 0 },
    { args.mask, d->mask_bytes, 0 }, { args.out, out->bytes, 1 }, { args.output_scale, 4, 0 },
  };
  char name[128];
  qn_kernel_format_name(&kernel->spec, name);
  cr_assert_eq(qn_launch_prepare(ctx, &kernel->spec, &args, &launch), QN_OK, "%s",
               qn_context_get_error(ctx)->message);
  const char *error = kernel->run(&launch.params, launch.grid, launch.block, launch.shared_bytes, ranges,
                                  (int)QN_COUNT(ranges), reversed);
  cr_assert_null(error, "%s, batch %u, q_len %u, kv_len %u: %s", name, p->batch, p->q_len, p->kv_len, error);
}

// --- comparing -------------------------------------------------------------------------------------------

// One row of attention in f64 with, for each element, how far a correct kernel may be from it.
static void reference_row(const qn_kernel_spec *spec, const problem *p, const data *d, uint32_t b, uint32_t h,
                          uint32_t i, double *out, double *bound) {
  uint32_t kv_head = h / (spec->heads / spec->kv_heads);
  int64_t visible = p->kv_len;
  if (spec->causal == QN_CAUSAL_TOP_LEFT) visible = QN_MIN(visible, (int64_t)i + 1);
  if (spec->causal == QN_CAUSAL_BOTTOM_RIGHT) visible = (int64_t)i + 1 + p->kv_len - p->q_len;
  double weights[256], largest = -INFINITY, sum = 0, magnitude = 0;
  for (int64_t j = 0; j < visible; j++) {
    double s = 0;
    for (uint32_t c = 0; c < spec->head_dim; c++)
      s += (double)get(d->q.data, spec->dtype, offset(&d->q, b, h, i) + c) *
           (double)get(d->k.data, spec->dtype, offset(&d->k, b, kv_head, (uint32_t)j) + c);
    s *= (double)spec->scale;
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
  for (int64_t j = 0; j < visible; j++) {
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
    for (int64_t j = 0; j < visible; j++) {
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
      for (uint32_t i = 0; i < p->q_len; i++) {
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
      for (uint32_t i = 0; i < p->q_len; i++)
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
  uint32_t bytes = qn_dtype_bits(out->dtype) / 8;
  for (uint64_t row = 0; row < (uint64_t)p->batch * spec->heads * p->q_len; row++)
    for (uint32_t i = 0; i < p->out_gap * bytes; i++)
      cr_assert_eq(out->data[(row * (spec->v_head_dim + p->out_gap) + spec->v_head_dim) * bytes + i], 0xA5);
}

// A spec and one that differs from it in the output only, over one problem.
static void check_problem(const host_kernel *plain, const host_kernel *fused, const problem *p) {
  const qn_kernel_spec *spec = &plain->spec;
  data d = data_make(spec, p);
  tensor out[2];
  for (int reversed = 0; reversed < 2; reversed++) {
    out[reversed] =
        tensor_make(spec->dtype, p->bshd, p->batch, spec->heads, p->q_len, spec->v_head_dim, p->out_gap, false);
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
    tensor codes = tensor_make((qn_dtype)fused->spec.output.target, p->bshd, p->batch, spec->heads, p->q_len,
                               spec->v_head_dim, p->out_gap, false);
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
    .window_left = -1,
    .window_right = -1,
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
    random_state = (uint32_t)i + 1;
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
HOST_TEST(plain_tf32,          QN_TARGET_sm_90a,  QN_F32,  64,  2, 1, QN_CAUSAL_NONE,         QN_MASK_NONE,      QN_ANY,  NULL, .f32_mode = QN_F32_TF32)
// clang-format on
