// Kernels of schemes whose scale is known before the run, on the emulator: codes, and the second output, byte
// for byte against the library's quantizer on what the unfused kernel gives.
//
// Each sequence has one key and q is 0, so that an output is its row of v, bit for bit: zeros, infinities, NaN
// and numbers of every size reach the epilogue.
#include "ir/base_priv.h"
#include "quant/elements_priv.h"
#include "quant/quantize_priv.h"

#include <criterion/criterion.h>
#include <math.h>
#include <quench/runtime.h>
#include <stdio.h>
#include <stdlib.h>

enum { OPERANDS = QN_ATTENTION_PRE_SCALE + 1, RESULT_COUNT = QN_ATTENTION_UNQUANTIZED + 1 };

static qn_context *context;
static qn_compiler *compiler;

static void setup(void) {
  const char *path;
  int major, minor;
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  cr_assert_eq(qn_compiler_create(context, NULL, &compiler), QN_OK);
  if (qn_compiler_get_nvrtc(compiler, &path, &major, &minor) == QN_UNAVAILABLE)
    cr_skip_test("there is no NVRTC");
}
static void teardown(void) {
  qn_compiler_destroy(compiler);
  qn_context_destroy(context);
}
TestSuite(kernels_static, .init = setup, .fini = teardown);

static void expect_ok(qn_status status) {
  const qn_error *error = qn_context_get_error(context);
  cr_assert_eq(status, QN_OK, "%s: %s", error->place, error->message);
}

// --- a case ----------------------------------------------------------------------------------------------

// What a test does not say: sm_90a, bf16, 2 heads of 64 merged into the last axis, one query each.
typedef struct static_case {
  const char *scheme;
  qn_target target;
  qn_dtype dtype, pre_scale;
  const char *layout; // of the output
  uint32_t batch, heads, kv_heads, q_len, dim;
  bool unquantized, direct;
  const double *scales; // four, by turns; NULL: chosen
} static_case;

static uint64_t random_state;
static double random_unit(void) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return (double)(random_state >> 33) / 0x1p30 - 1;
}

// Values in their type, and as they are in it.
typedef struct plane {
  qn_tensor tensor;
  double *values;
} plane;

static plane make(qn_dtype dtype, int32_t rank, const int64_t *dims, double (*value)(uint64_t index)) {
  plane p = { .tensor = { .dtype = dtype, .rank = rank } };
  uint64_t count = 1;
  for (int32_t i = 0; i < rank; i++) {
    p.tensor.dims[i] = dims[i];
    count *= (uint64_t)dims[i];
  }
  p.tensor.bytes = qn_dtype_bytes(dtype, count);
  p.values = malloc((count + 1) * sizeof *p.values);
  void *data = malloc(p.tensor.bytes + 8);
  for (uint64_t i = 0; i < count; i++) p.values[i] = value(i);
  qn_elements_store(dtype, p.values, count, true, data);
  qn_elements_load(dtype, data, count, p.values);
  p.tensor.data = data;
  return p;
}
static void release(plane *p) {
  free(p->values);
  free((void *)(uintptr_t)p->tensor.data);
}

static double zero(uint64_t index) {
  return 0 * (double)index;
}
static double normal(uint64_t index) {
  return random_unit() + 0 * (double)index;
}
// Quarters and their neighbours, sizes from 2^-30 to 2^30, and what is no number, in turns.
static double special(uint64_t index) {
  static const double NUMBERS[] = { 0,    -0.0,  INFINITY, -INFINITY, NAN,    448,
                                    -464, 57344, 65504,    1e-7,      -127.5, 128.5 };
  switch (index % 7) {
  case 0: return NUMBERS[index / 7 % QN_COUNT(NUMBERS)];
  case 1: return rint(random_unit() * 1040) / 8;
  case 2: return ldexp(random_unit(), (int)(index / 7 % 61) - 30);
  case 3: return rint(random_unit() * 40) / 4 * 0.0137;
  default: return random_unit() * 6;
  }
}
// Every value of f16 or bf16: the bits are the index.
static qn_dtype every_dtype;
static double every(uint64_t index) {
  double value;
  uint16_t bits = (uint16_t)index;
  qn_elements_load(every_dtype, &bits, 1, &value);
  return value;
}
// Scales around 0.01, of both signs.
static double scale_value(uint64_t index) {
  return ldexp(1 + fabs(random_unit()), (int)(index % 5) - 9) * (index % 11 == 7 ? -1 : 1);
}
static const double *given;
static double given_value(uint64_t index) {
  return given[index % 4];
}
static double zero_point_value(uint64_t index) {
  return rint(random_unit() * 100) + 0 * (double)index;
}
static double unsigned_value(uint64_t index) {
  return fabs(zero_point_value(index));
}

// --- graphs ----------------------------------------------------------------------------------------------

// The dims of q or v: those of a bshd tensor.
static void side_dims(const static_case *c, bool of_q, int64_t dims[4]) {
  dims[0] = c->batch, dims[1] = of_q ? c->q_len : 1, dims[2] = of_q ? c->heads : c->kv_heads, dims[3] = c->dim;
}

static int32_t out_dims(const static_case *c, int64_t dims[4]) {
  dims[0] = c->batch;
  if (strcmp(c->layout, "bsm") == 0) {
    dims[1] = c->q_len, dims[2] = (int64_t)c->heads * c->dim;
    return 3;
  }
  bool heads_first = strcmp(c->layout, "bhsd") == 0;
  dims[1] = heads_first ? c->heads : c->q_len, dims[2] = heads_first ? c->q_len : c->heads, dims[3] = c->dim;
  return 4;
}

static void append_type(qn_buf *text, const char *name, const qn_tensor *tensor) {
  qn_buf_printf(text, "%s%s: %s[", name[0] == 'q' ? "" : ", ", name, qn_dtype_name(tensor->dtype));
  for (int32_t i = 0; i < tensor->rank; i++)
    qn_buf_printf(text, "%s%lld", i ? "," : "", (long long)tensor->dims[i]);
  qn_buf_printf(text, "]");
}

static qn_graph *graph_of(const static_case *c, const char *scheme, const qn_tensor *const operands[OPERANDS]) {
  static const char *const NAMES[OPERANDS] = { [0] = "q",
                                               [1] = "k",
                                               [2] = "v",
                                               [QN_ATTENTION_OUTPUT_SCALE] = "s",
                                               [QN_ATTENTION_OUTPUT_ZERO_POINT] = "z",
                                               [QN_ATTENTION_PRE_SCALE] = "p" };
  qn_buf text = QN_BUF(context);
  qn_graph *graph;
  bool both = c->unquantized && scheme != NULL;
  qn_buf_printf(&text, "graph \"g\" (");
  for (int i = 0; i < OPERANDS; i++)
    if (operands[i] != NULL) append_type(&text, NAMES[i], operands[i]);
  qn_buf_printf(&text, ") {\no: ?%s = attention(", both ? ", b: ?, z2: ?, u: ?" : "");
  for (int i = 0; i < OPERANDS; i++)
    qn_buf_printf(&text, "%s%s", i ? ", " : "", operands[i] != NULL ? NAMES[i] : "_");
  qn_buf_printf(&text, ")[q_layout=bshd, k_layout=bshd, v_layout=bshd, out_layout=%s", c->layout);
  if (scheme != NULL) qn_buf_printf(&text, ", output=%s, numerics=%s", scheme, c->direct ? "direct" : "exact");
  qn_buf_printf(&text, "]\nreturn o%s\n}\n", both ? ", u" : "");
  expect_ok(qn_graph_read_text(context, "case", text.text, text.length, &graph));
  qn_buf_free(&text);
  return graph;
}

static qn_results *run(const static_case *c, const char *scheme, const qn_tensor *const operands[OPERANDS]) {
  qn_graph *graph = graph_of(c, scheme, operands);
  qn_node node = qn_graph_get_first(graph);
  qn_kernel *kernel;
  qn_device *device;
  qn_loaded_kernel *loaded;
  qn_results *results;
  while (qn_node_get_op(graph, node) != QN_OP_attention) node = qn_node_get_next(graph, node);
  expect_ok(qn_compiler_compile_node(compiler, graph, node, c->target, QN_PTX, &kernel));
  expect_ok(qn_device_create_emulator(context, qn_emulator_params(.target = c->target, .threads = 1), &device));
  expect_ok(qn_device_load(device, kernel, &loaded));
  expect_ok(qn_run_attention(loaded, graph, node, operands, OPERANDS, &results));
  qn_loaded_kernel_destroy(loaded);
  qn_device_destroy(device);
  qn_kernel_destroy(kernel);
  qn_graph_destroy(graph);
  return results;
}

// --- comparing -------------------------------------------------------------------------------------------

static void expect_bytes(const static_case *c, const char *what, const qn_tensor *found, const void *wanted,
                         uint64_t bytes, const double *values) {
  cr_assert_eq(found->bytes, bytes);
  uint32_t size = qn_element_size(found->dtype);
  for (uint64_t i = 0; i < bytes; i++)
    if (((const uint8_t *)found->data)[i] != ((const uint8_t *)wanted)[i])
      cr_assert_fail("%s, %s of %s: byte %llu is 0x%02x, not 0x%02x; the value was %a", c->scheme, what,
                     qn_target_name(c->target), (unsigned long long)i, ((const uint8_t *)found->data)[i],
                     ((const uint8_t *)wanted)[i], values[i / size]);
}

static void check(static_case c, double (*values)(uint64_t)) {
  qn_scheme scheme;
  c.target = c.target ? c.target : QN_TARGET_sm_90a;
  c.dtype = c.dtype ? c.dtype : QN_BF16;
  if (c.layout == NULL) c.layout = "bsm";
  if (c.batch == 0) c.batch = 3;
  if (c.heads == 0) c.heads = 2;
  if (c.kv_heads == 0) c.kv_heads = c.heads;
  if (c.q_len == 0) c.q_len = 1;
  if (c.dim == 0) c.dim = 64;
  random_state = 5;
  cr_assert(qn_scheme_parse(c.scheme, &scheme), "%s", c.scheme);
  int64_t q[4], v[4], out[4];
  side_dims(&c, true, q);
  side_dims(&c, false, v);
  int32_t rank = out_dims(&c, out);
  qn_dtype scale_dtype = qn_scheme_get_read_scale(&scheme), zero_dtype = qn_scheme_get_zero_point(&scheme);
  int64_t row = out[rank - 1], one = 1, scales = scheme.granularity == QN_PER_CHANNEL ? row : 1;
  plane planes[OPERANDS] = {
    [0] = make(c.dtype, 4, q, zero), [1] = make(c.dtype, 4, v, normal), [2] = make(c.dtype, 4, v, values)
  };
  plane *s = &planes[QN_ATTENTION_OUTPUT_SCALE], *z = &planes[QN_ATTENTION_OUTPUT_ZERO_POINT],
        *p = &planes[QN_ATTENTION_PRE_SCALE];
  given = c.scales;
  if (scale_dtype != QN_ANY)
    *s = make(scale_dtype, 1, scales > 1 ? &scales : &one, given ? given_value : scale_value);
  if (zero_dtype != QN_ANY)
    *z = make(zero_dtype, 1, scales > 1 ? &scales : &one,
              zero_dtype == QN_U8 ? unsigned_value : zero_point_value);
  if (c.pre_scale != QN_ANY) *p = make(c.pre_scale, 1, &row, scale_value);
  const qn_tensor *operands[OPERANDS] = { NULL }, *plain[OPERANDS] = { NULL };
  for (int i = 0; i < OPERANDS; i++) {
    if (planes[i].tensor.data != NULL) operands[i] = &planes[i].tensor;
    if (i <= QN_ATTENTION_V) plain[i] = operands[i];
  }

  qn_results *unfused = run(&c, NULL, plain), *fused = run(&c, c.scheme, operands);
  const qn_tensor *wanted = qn_results_get(unfused, 0);
  uint64_t count = wanted->bytes / qn_element_size(wanted->dtype);
  double *x = malloc((count + 1) * sizeof *x);
  uint8_t *codes = malloc(count + (uint64_t)scheme.pad * c.batch * c.q_len * c.heads + 1);
  qn_elements_load(wanted->dtype, wanted->data, count, x);
  qn_quantize_args args = { .scheme = &scheme, .rank = rank, .dims = out };
  if (s->values != NULL) args.scale = (qn_numbers){ s->values, (uint64_t)scales };
  if (z->values != NULL) args.zero_point = (qn_numbers){ z->values, (uint64_t)scales };
  if (p->values != NULL) args.pre_scale = (qn_numbers){ p->values, (uint64_t)row };
  expect_ok(qn_quantize(context, &args, x, &(qn_quantized){ .codes = codes }));
  uint64_t padded = scheme.pad ? (uint64_t)(row + scheme.pad - 1) / scheme.pad * scheme.pad : (uint64_t)row;
  expect_bytes(&c, "codes", qn_results_get(fused, 0), codes, count / (uint64_t)row * padded, x);
  if (c.unquantized)
    expect_bytes(&c, "values", qn_results_get(fused, QN_ATTENTION_UNQUANTIZED), wanted->data, wanted->bytes, x);
  free(codes);
  free(x);
  qn_results_destroy(unfused);
  qn_results_destroy(fused);
  for (int i = 0; i < OPERANDS; i++) release(&planes[i]);
}

// --- tests -----------------------------------------------------------------------------------------------

// Every family, target and field, in every granularity that it may have.
Test(kernels_static, schemes) {
  static const char *const SCHEMES[] = {
    "fp8_static",
    "fp8_static{target=e5m2}",
    "fp8_static{nan=largest}",
    "fp8_static{arithmetic=reciprocal}",
    "fp8_static{arithmetic=multiply, target=e5m2, nan=largest}",
    "fp8_static{scale=f16, compute=f16}",
    "fp8_static{scale=bf16, compute=bf16, arithmetic=reciprocal}",
    "fp8_static{round=f16, compute=bf16}",
    "fp8_cast",
    "fp8_cast{target=e5m2, nan=largest}",
    "fp8_cast{round=f16}",
    "fp8_cast{compute=f16, zero_sign=exact}",
    "fp8_channel",
    "fp8_channel{target=e5m2, scale=f16, arithmetic=multiply}",
    "fp8_channel{scale=bf16, arithmetic=reciprocal, compute=f16}",
    "int8_static{zero_point=none}",
    "int8_static",
    "int8_static{target=u8}",
    "int8_static{narrow=true, zero_point=none, arithmetic=reciprocal}",
    "int8_static{zero_point=before}",
    "int8_static{zero_point=before, target=u8, compute=bf16}",
    "int8_static{zero_point_type=s32, target=u8}",
    "int8_static{scale=f16, compute=f16, arithmetic=multiply, narrow=true}",
    "int8_channel",
    "int8_channel{target=u8, arithmetic=reciprocal}",
    "int8_channel{zero_point=none, scale=f16}",
    "int8_channel{zero_point=before, zero_point_type=s32}",
    "int8_channel{zero_point_type=s32, arithmetic=multiply, compute=bf16}",
  };
  for (size_t i = 0; i < QN_COUNT(SCHEMES); i++)
    check((static_case){ SCHEMES[i], .batch = 16, .q_len = 2 }, special);
}

// All 65536 numbers of a type through the fast division, and through the slow one.
Test(kernels_static, every_value) {
  static const double FAST[] = { 0.0137, 0.0137, 0.0137, 0.0137 },
                      SLOW[] = { 0x1.000002p-6, 3, 0x1p-70, -0.01 };
  static const double *const SCALES[] = { FAST, SLOW };
  for (int i = 0; i < 2; i++)
    for (int dtype = 0; dtype < 2; dtype++) {
      every_dtype = dtype ? QN_F16 : QN_BF16;
      check((static_case){ "fp8_static", .dtype = every_dtype, .batch = 32, .heads = 8, .dim = 256,
                           .scales = SCALES[i] },
            every);
      check((static_case){ "int8_channel{target=u8}", .dtype = every_dtype, .batch = 32, .heads = 8, .dim = 256,
                           .scales = SCALES[i] },
            every);
    }
}

// x / s is rounded to 100.5 and one unit in the last place, whose code is 101; the fast division gives 100.5, a
// tie.
static double beside_a_tie(uint64_t index) {
  return 0xE543FFp-17 + 0 * (double)index;
}
Test(kernels_static, a_scale_without_a_fast_way) {
  static const double S[] = { 0x1.23fffep0, 0x1.23fffep0, 0x1.23fffep0, 0x1.23fffep0 };
  check((static_case){ "int8_static{zero_point=none}", .dtype = QN_F32, .scales = S }, beside_a_tie);
  check((static_case){ "int8_channel{zero_point=none}", .dtype = QN_F32, .scales = S }, beside_a_tie);
}

Test(kernels_static, targets) {
  for (int target = 0; target < QN_TARGET_COUNT; target++) {
    check((static_case){ "fp8_static{target=e5m2}", .target = (qn_target)target, .batch = 8 }, special);
    check((static_case){ "fp8_channel{nan=largest}", .target = (qn_target)target, .batch = 8 }, special);
    check((static_case){ "int8_static{target=u8}", .target = (qn_target)target, .batch = 8 }, special);
  }
}

// Rows of every number of chunks that a lane may meet; f32, whose chunks are half as long; heads that share a
// tile.
Test(kernels_static, shapes) {
  static const uint32_t DIMS[] = { 8, 24, 80, 96, 128, 192, 256 };
  for (size_t i = 0; i < QN_COUNT(DIMS); i++) {
    check((static_case){ "int8_channel", .dim = DIMS[i], .q_len = 37 }, special);
    check((static_case){ "fp8_channel", .dim = DIMS[i], .dtype = QN_F32, .layout = "bhsd" }, special);
  }
  check((static_case){ "fp8_channel", .heads = 8, .kv_heads = 2, .q_len = 3, .dim = 80 }, special);
  check((static_case){ "int8_channel{target=u8}", .heads = 8, .kv_heads = 1, .q_len = 3, .layout = "bshd" },
        special);
}

Test(kernels_static, a_factor_for_each_channel_first) {
  check((static_case){ "fp8_static", .pre_scale = QN_F32 }, special);
  check((static_case){ "fp8_channel{round=bf16}", .pre_scale = QN_BF16, .dim = 80 }, special);
  check((static_case){ "int8_static{round=f16}", .pre_scale = QN_F16, .dtype = QN_F16, .heads = 3 }, special);
  check((static_case){ "fp8_cast{round=bf16}", .pre_scale = QN_F32, .dtype = QN_F32, .layout = "bhsd" },
        special);
}

Test(kernels_static, two_outputs) {
  check((static_case){ "fp8_static", .unquantized = true }, special);
  check((static_case){ "int8_channel", .unquantized = true, .dim = 80, .layout = "bhsd" }, special);
  check((static_case){ "fp8_channel", .unquantized = true, .direct = true, .pre_scale = QN_F32 }, special);
  check((static_case){ "fp8_static", .unquantized = true, .dtype = QN_F32 }, special);
  check((static_case){ "fp8_static", .unquantized = true, .direct = true, .dtype = QN_F16, .dim = 24 },
        special);
}

// What is added behind a token's last head, or behind each head, is 0.
Test(kernels_static, padding) {
  check((static_case){ "fp8_static{pad=128}", .heads = 3, .dim = 40, .q_len = 5 }, special);
  check((static_case){ "int8_channel{pad=32}", .heads = 3, .dim = 40, .layout = "bshd" }, special);
  check((static_case){ "int8_static{pad=64}", .heads = 2, .dim = 80, .layout = "bhsd", .q_len = 3 }, special);
  check((static_case){ "fp8_static{pad=16}", .heads = 2, .dim = 64 }, special);
}

// The staged f32 values are the outputs here, so direct numerics gives the same codes.
Test(kernels_static, direct) {
  check((static_case){ "fp8_static", .direct = true }, special);
  check((static_case){ "int8_channel{target=u8}", .direct = true, .dim = 128 }, special);
  check((static_case){ "fp8_channel{round=f16}", .direct = true, .dtype = QN_F16, .dim = 80 }, special);
}
