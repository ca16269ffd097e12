// Rows to the device, one launch, codes and scales back, with guards around them; and the library's quantizer
// as the oracle.
#include "tests/kernels/tokens.h"

#include "codegen/tokens_priv.h"
#include "ir/base_priv.h"
#include "quant/elements_priv.h"
#include "quant/quantize_priv.h"
#include "quant/scale_buffer_priv.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

enum { GUARD = 256, GUARD_BYTE = 0xA5, THREADS = 4 };

#define OK(call) cr_assert_eq(call, QN_OK, "%s", qn_context_get_error(bench->context)->message)

void tokens_bench_open(tokens_bench *bench) {
  const char *path;
  int major, minor;
  *bench = (tokens_bench){ .context = NULL };
  cr_assert_eq(qn_context_create(NULL, &bench->context), QN_OK);
  OK(qn_compiler_create(bench->context, NULL, &bench->compiler));
  if (qn_compiler_get_nvrtc(bench->compiler, &path, &major, &minor) == QN_UNAVAILABLE) cr_skip_test("no NVRTC");
}

void tokens_bench_close(tokens_bench *bench) {
  for (int i = 0; i < QN_TARGET_COUNT; i++) qn_device_destroy(bench->devices[i]);
  qn_compiler_destroy(bench->compiler);
  qn_context_destroy(bench->context);
}

static qn_device *device_of(tokens_bench *bench, qn_target target) {
  qn_device **device = &bench->devices[target];
  if (*device == NULL)
    OK(qn_device_create_emulator(bench->context, qn_emulator_params(.target = target, .threads = THREADS),
                                 device));
  return *device;
}

// --- memory ------------------------------------------------------------------------------------------------

// A buffer of the host and its copy on the device, with guards on both sides of it.
typedef struct buffer {
  uint8_t *bytes;
  size_t size;
  qn_device_ptr base;
} buffer;

static uint8_t *grow(size_t size, int byte) {
  uint8_t *bytes = malloc(size + 1);
  cr_assert_not_null(bytes);
  memset(bytes, byte, size);
  return bytes;
}

static buffer upload(tokens_bench *bench, qn_device *device, uint8_t *bytes, size_t size) {
  buffer b = { bytes, size, 0 };
  uint8_t *guarded = grow(size + 2 * GUARD, GUARD_BYTE);
  memcpy(guarded + GUARD, bytes, size);
  OK(qn_device_allocate(device, size + 2 * GUARD, &b.base));
  OK(qn_device_upload(device, b.base, guarded, size + 2 * GUARD));
  free(guarded);
  return b;
}

static qn_device_ptr at(const buffer *b) {
  return b->base + GUARD;
}

// The device's bytes come back; those around them must be as they were.
static void fetch(tokens_bench *bench, qn_device *device, buffer *b, const char *what) {
  uint8_t *guarded = grow(b->size + 2 * GUARD, 0);
  OK(qn_device_download(device, guarded, b->base, b->size + 2 * GUARD));
  for (size_t i = 0; i < GUARD; i++)
    cr_assert(guarded[i] == GUARD_BYTE && guarded[GUARD + b->size + i] == GUARD_BYTE,
              "%s: a byte beside the buffer was written", what);
  memcpy(b->bytes, guarded + GUARD, b->size);
  free(guarded);
}

static void release(qn_device *device, buffer *b) {
  if (b->base != 0) qn_device_free(device, b->base);
  free(b->bytes);
  *b = (buffer){ .base = 0 };
}

// --- values ------------------------------------------------------------------------------------------------

static uint32_t random_state;

static double random_value(void) {
  random_state = random_state * 1664525u + 1013904223u;
  return (double)(random_state >> 8) / (1 << 23) - 1;
}

// Tokens of different magnitudes, so that no two of them share a scale.
static uint8_t *random_rows(qn_dtype dtype, uint64_t tokens, uint64_t columns, bool specials) {
  double *values = malloc((tokens * columns + 1) * sizeof *values);
  uint8_t *rows = grow(tokens * columns * qn_element_size(dtype), 0);
  cr_assert_not_null(values);
  for (uint64_t t = 0; t < tokens; t++)
    for (uint64_t c = 0; c < columns; c++) {
      double value = random_value() * (1 + (double)(t % 13)) * (c == t % columns ? 3 : 1);
      if (specials && t % 5 == 1) value = c % 3 == 0 ? -0.0 : 0;
      if (specials && t % 5 == 2 && c % 97 == 5) value = NAN;
      if (specials && t % 10 == 4) value = NAN;
      if (specials && t % 5 == 3) value = value * value + 4; // of one sign
      values[t * columns + c] = value;
    }
  qn_elements_store(dtype, values, tokens * columns, false, rows);
  free(values);
  return rows;
}

static double *load(qn_dtype dtype, const void *elements, uint64_t count) {
  double *values = malloc((count + 1) * sizeof *values);
  cr_assert_not_null(values);
  qn_elements_load(dtype, elements, count, values);
  return values;
}

// --- the oracle --------------------------------------------------------------------------------------------

// All that a launch reads and gives beside q, k and v.
typedef struct outcome {
  uint64_t tokens, columns, padded; // columns of values and of codes
  qn_scale_buffer places;
  buffer codes, scales, zero_points, global, channels, pre_scale, bound;
  qn_quantized expected; // unpacked
  double global_value, *channel_values, *pre_scale_values, bound_value;
} outcome;

static qn_dtype zero_point_dtype(const qn_scheme *scheme) {
  return scheme->dynamic && scheme->zero_point ? qn_scheme_get_zero_point(scheme) : QN_ANY;
}

static void open_outcome(tokens_bench *bench, qn_device *device, const qn_kernel_spec *spec, uint64_t tokens,
                         const tokens_launch *launch, outcome *o) {
  const qn_scheme *scheme = &spec->output;
  *o = (outcome){ .tokens = tokens,
                  .columns = (uint64_t)spec->heads * spec->v_head_dim,
                  .global_value = 37.25,
                  .bound_value = (double)launch->bound };
  int64_t dims[2] = { (int64_t)tokens, (int64_t)o->columns }, codes[2];
  qn_quantized_dims(scheme, 2, dims, codes);
  o->padded = (uint64_t)codes[1];
  size_t code_bytes = (size_t)(tokens * o->padded * qn_dtype_bits((qn_dtype)scheme->target) / 8);
  o->codes = upload(bench, device, grow(code_bytes, 0xEE), code_bytes);
  if (scheme->dynamic) {
    cr_assert(qn_scale_buffer_of(scheme, 2, codes, &o->places));
    size_t bytes = o->places.count * qn_element_size((qn_dtype)scheme->scale_dtype);
    o->scales = upload(bench, device, grow(bytes, 0xEE), bytes);
    if (zero_point_dtype(scheme) != QN_ANY) {
      bytes = o->places.count * qn_element_size(zero_point_dtype(scheme));
      o->zero_points = upload(bench, device, grow(bytes, 0xEE), bytes);
    }
  }
  float global = (float)o->global_value;
  if (!scheme->dynamic) global = 0.0123f, o->global_value = (double)global;
  uint8_t *one = grow(4, 0);
  memcpy(one, &global, 4);
  o->global = upload(bench, device, one, 4);
  one = grow(4, 0);
  memcpy(one, &launch->bound, 4);
  o->bound = upload(bench, device, one, 4);
  if (spec->pre_scale_dtype != QN_ANY) {
    o->pre_scale = upload(bench, device, random_rows(spec->pre_scale_dtype, 1, o->columns, false),
                          o->columns * qn_element_size(spec->pre_scale_dtype));
    o->pre_scale_values = load(spec->pre_scale_dtype, o->pre_scale.bytes, o->columns);
  }
}

static void close_outcome(qn_device *device, outcome *o) {
  buffer *buffers[] = { &o->codes, &o->scales, &o->zero_points, &o->global, &o->pre_scale, &o->bound };
  for (size_t i = 0; i < QN_COUNT(buffers); i++) release(device, buffers[i]);
  free(o->pre_scale_values);
  free(o->expected.codes), free(o->expected.scales), free(o->expected.zero_points);
}

// What the library's quantizer makes of the rows.
static void expect(tokens_bench *bench, const qn_kernel_spec *spec, qn_dtype dtype, const void *rows,
                   outcome *o) {
  const qn_scheme *scheme = &spec->output;
  int64_t dims[2] = { (int64_t)o->tokens, (int64_t)o->columns };
  double *values = load(dtype, rows, o->tokens * o->columns);
  bool reads_scale = scheme->dynamic ? scheme->global != QN_GLOBAL_NONE : qn_scheme_has_scale(scheme);
  qn_quantize_args args = { .scheme = scheme, .rank = 2, .dims = dims };
  if (reads_scale) args.scale = (qn_numbers){ &o->global_value, 1 };
  if (o->pre_scale_values) args.pre_scale = (qn_numbers){ o->pre_scale_values, o->columns };
  if (spec->scale_bound) args.scale_bound = (qn_numbers){ &o->bound_value, 1 };
  o->expected.codes = grow(o->tokens * o->padded * qn_element_size((qn_dtype)scheme->target), 0);
  if (scheme->dynamic) o->expected.scales = grow(o->scales.size, 0);
  if (o->zero_points.base) o->expected.zero_points = grow(o->zero_points.size, 0);
  OK(qn_quantize(bench->context, &args, values, &o->expected));
  free(values);
}

static void compare(const char *what, const uint8_t *expected, const uint8_t *found, uint64_t count,
                    uint64_t row) {
  for (uint64_t i = 0; i < count; i++)
    cr_assert_eq(expected[i], found[i], "%s: byte %llu (row %llu, %llu): expected 0x%02x, found 0x%02x", what,
                 (unsigned long long)i, (unsigned long long)(i / row), (unsigned long long)(i % row),
                 expected[i], found[i]);
}

static void fetch_outcome(tokens_bench *bench, qn_device *device, outcome *o) {
  fetch(bench, device, &o->codes, "codes");
  if (o->scales.base) fetch(bench, device, &o->scales, "scales");
  if (o->zero_points.base) fetch(bench, device, &o->zero_points, "zero points");
}

static void compare_outcome(const qn_kernel_spec *spec, const outcome *o) {
  const qn_scheme *scheme = &spec->output;
  uint64_t count = o->tokens * o->padded;
  uint8_t *packed = grow(o->codes.size, 0);
  qn_elements_pack((qn_dtype)scheme->target, o->expected.codes, count, packed);
  if (o->scales.base)
    compare("scales", o->expected.scales, o->scales.bytes, o->scales.size,
            QN_MAX(o->scales.size / QN_MAX(o->tokens, 1), 1));
  if (o->zero_points.base)
    compare("zero points", o->expected.zero_points, o->zero_points.bytes, o->zero_points.size, 1);
  compare("codes", packed, o->codes.bytes, o->codes.size,
          o->padded * qn_dtype_bits((qn_dtype)scheme->target) / 8);
  free(packed);
}

// --- launches ----------------------------------------------------------------------------------------------

static void set_outcome(const qn_kernel_spec *spec, const outcome *o, qn_attention_args *args) {
  const qn_scheme *scheme = &spec->output;
  int64_t rows = o->places.rows, groups = o->places.groups, q_len = args->q_len;
  bool by_group = scheme->scale_layout != QN_SCALES_ROW;
  int64_t head_groups = scheme->granularity == QN_PER_GROUP ? spec->v_head_dim / scheme->group : 0;
  int64_t position = by_group ? 1 : groups, group = by_group ? rows : 1;
  bool reads_scale = scheme->dynamic ? scheme->global != QN_GLOBAL_NONE : qn_scheme_has_scale(scheme);
  args->out = at(&o->codes);
  args->out_stride = (qn_strides){ q_len * (int64_t)o->padded, spec->v_head_dim, (int64_t)o->padded };
  if (reads_scale) args->output_scale = at(&o->global);
  if (spec->scale_bound) args->scale_bound = at(&o->bound);
  if (o->pre_scale.base) args->pre_scale = at(&o->pre_scale), args->pre_scale_head = spec->v_head_dim;
  if (o->zero_points.base) args->zero_points = at(&o->zero_points);
  if (!scheme->dynamic) return;
  args->block_scale = at(&o->scales);
  args->block_scale_stride = (qn_scale_strides){ q_len * position, head_groups * group, position, group };
  args->block_scale_rows = (uint32_t)rows;
}

static void run(tokens_bench *bench, const qn_kernel_spec *spec, const qn_attention_args *args,
                uint32_t launches) {
  qn_device *device = device_of(bench, spec->target);
  qn_kernel *kernel;
  qn_loaded_kernel *loaded;
  OK(qn_compiler_compile(bench->compiler, spec, QN_PTX, &kernel));
  OK(qn_device_load(device, kernel, &loaded));
  for (uint32_t i = 0; i < launches; i++) OK(qn_launch_attention(loaded, args, NULL));
  qn_loaded_kernel_destroy(loaded);
  qn_kernel_destroy(kernel);
}

void tokens_check_rows(tokens_bench *bench, const qn_kernel_spec *spec, const tokens_launch *launch) {
  qn_device *device = device_of(bench, spec->target);
  uint64_t tokens = (uint64_t)launch->batch * launch->q_len;
  int64_t columns = (int64_t)spec->heads * spec->v_head_dim;
  outcome o;
  random_state = 7;
  open_outcome(bench, device, spec, tokens, launch, &o);
  uint8_t *values = random_rows(spec->out_dtype, tokens, o.columns, launch->specials);
  buffer rows = upload(bench, device, values, tokens * o.columns * qn_element_size(spec->out_dtype));
  qn_attention_args args = { .batch = launch->batch,
                             .q_len = launch->q_len,
                             .q = at(&rows),
                             .q_stride = { launch->q_len * columns, spec->v_head_dim, columns } };
  set_outcome(spec, &o, &args);
  run(bench, spec, &args, 1);
  fetch_outcome(bench, device, &o);
  expect(bench, spec, spec->out_dtype, values, &o);
  compare_outcome(spec, &o);
  close_outcome(device, &o);
  release(device, &rows);
}

// --- attention ---------------------------------------------------------------------------------------------

// Operands, the unfused kernel's output, and what the fused one needs besides.
typedef struct operands {
  uint64_t tokens, keys;
  buffer q, k, v, starts, unfused, unquantized, workspace;
} operands;

static void open_operands(tokens_bench *bench, qn_device *device, const qn_kernel_spec *spec,
                          const tokens_launch *launch, operands *p) {
  *p = (operands){ .tokens = (uint64_t)launch->batch * launch->q_len,
                   .keys = (uint64_t)launch->batch * launch->kv_len };
  uint32_t *starts = (uint32_t *)(void *)grow((launch->batch + 1) * sizeof *starts, 0);
  for (uint32_t b = 0; launch->lengths && b < launch->batch; b++)
    starts[b + 1] = starts[b] + launch->lengths[b];
  if (launch->lengths) p->tokens = p->keys = starts[launch->batch];
  p->starts = upload(bench, device, (uint8_t *)starts, (launch->batch + 1) * sizeof *starts);
  uint64_t size = qn_element_size(spec->dtype), q = (uint64_t)spec->heads * spec->head_dim;
  uint64_t k = (uint64_t)spec->kv_heads * spec->head_dim, v = (uint64_t)spec->kv_heads * spec->v_head_dim;
  uint64_t out = p->tokens * spec->heads * spec->v_head_dim * size;
  p->q = upload(bench, device, random_rows(spec->dtype, p->tokens, q, false), p->tokens * q * size);
  p->k = upload(bench, device, random_rows(spec->dtype, p->keys, k, false), p->keys * k * size);
  p->v = upload(bench, device, random_rows(spec->dtype, p->keys, v, false), p->keys * v * size);
  p->unfused = upload(bench, device, grow(out, 0xEE), out);
  p->unquantized = upload(bench, device, grow(out, 0xDD), out);
}

static void close_operands(qn_device *device, operands *p) {
  buffer *buffers[] = { &p->q, &p->k, &p->v, &p->starts, &p->unfused, &p->unquantized, &p->workspace };
  for (size_t i = 0; i < QN_COUNT(buffers); i++) release(device, buffers[i]);
}

static qn_strides strides_of(int64_t heads, int64_t dim, int64_t length) {
  return (qn_strides){ length * heads * dim, dim, heads * dim };
}

static qn_attention_args args_of(const qn_kernel_spec *spec, const tokens_launch *launch, const operands *p) {
  qn_attention_args args = { .batch = launch->batch, .q_len = launch->q_len, .kv_len = launch->kv_len };
  args.q = at(&p->q), args.k = at(&p->k), args.v = at(&p->v);
  args.q_stride = strides_of(spec->heads, spec->head_dim, launch->q_len);
  args.k_stride = strides_of(spec->kv_heads, spec->head_dim, launch->kv_len);
  args.v_stride = strides_of(spec->kv_heads, spec->v_head_dim, launch->kv_len);
  args.out_stride = strides_of(spec->heads, spec->v_head_dim, launch->q_len);
  if (launch->lengths) args.cu_seqlens_q = args.cu_seqlens_kv = at(&p->starts);
  return args;
}

static void run_unfused(tokens_bench *bench, const qn_kernel_spec *spec, const tokens_launch *launch,
                        operands *p) {
  qn_kernel_spec plain = *spec;
  plain.output = qn_scheme_of(QN_SCHEME_none);
  plain.pre_scale_dtype = QN_ANY;
  plain.scale_bound = plain.unquantized = false;
  qn_attention_args args = args_of(&plain, launch, p);
  args.out = at(&p->unfused);
  size_t bytes = (size_t)qn_kernel_get_workspace_bytes(&plain, &args);
  buffer workspace = upload(bench, device_of(bench, spec->target), grow(bytes, 0), bytes);
  if (bytes > 0) args.workspace = at(&workspace);
  run(bench, &plain, &args, 1);
  release(device_of(bench, spec->target), &workspace);
  fetch(bench, device_of(bench, spec->target), &p->unfused, "the unfused output");
}

// In direct numerics the values differ from the unfused ones by their last rounding: a scale by as much, a
// value by that and by half a step of the codes.
static void compare_direct(const qn_kernel_spec *spec, const outcome *o, const operands *p) {
  const qn_scheme *scheme = &spec->output;
  double unit = spec->out_dtype == QN_BF16 ? 0x1p-8 : spec->out_dtype == QN_F16 ? 0x1p-11 : 0;
  double half_step = scheme->target == QN_E4M3 ? 16 : 0.5; // of the largest code
  double *unfused = load(spec->out_dtype, p->unfused.bytes, o->tokens * o->columns);
  double *codes = load((qn_dtype)scheme->target, o->codes.bytes, o->tokens * o->columns);
  double *scales = load((qn_dtype)scheme->scale_dtype, o->scales.bytes, o->places.count);
  uint64_t group = o->columns / (uint64_t)o->places.groups;
  for (uint64_t i = 0; i < o->tokens * o->columns; i++) {
    double scale = scales[qn_scale_buffer_index(scheme, &o->places, (int64_t)(i / o->columns),
                                                (int64_t)(i % o->columns / group))];
    double error = fabs(codes[i] * scale - unfused[i]);
    cr_assert(error <= half_step * scale * (1 + 2 * unit) + unit * fabs(unfused[i]),
              "value %llu: %g for %g, scale %g", (unsigned long long)i, codes[i] * scale, unfused[i], scale);
  }
  free(unfused), free(codes), free(scales);
}

void tokens_check_attention(tokens_bench *bench, const qn_kernel_spec *spec, const tokens_launch *launch) {
  qn_device *device = device_of(bench, spec->target);
  operands p;
  outcome o;
  random_state = 11;
  open_operands(bench, device, spec, launch, &p);
  run_unfused(bench, spec, launch, &p);
  open_outcome(bench, device, spec, p.tokens, launch, &o);
  qn_attention_args args = args_of(spec, launch, &p);
  set_outcome(spec, &o, &args);
  size_t workspace = (size_t)qn_kernel_get_workspace_bytes(spec, &args);
  cr_assert_gt(workspace, 0);
  p.workspace = upload(bench, device, grow(workspace, 0), workspace);
  args.workspace = at(&p.workspace);
  if (spec->unquantized) {
    args.unquantized = at(&p.unquantized);
    args.unquantized_stride = strides_of(spec->heads, spec->v_head_dim, launch->q_len);
  }
  run(bench, spec, &args, QN_MAX(launch->launches, 1));
  fetch_outcome(bench, device, &o);
  fetch(bench, device, &p.workspace, "the workspace");
  for (size_t i = 0; i < QN_WORKSPACE_COUNTERS * sizeof(uint32_t); i++)
    cr_assert_eq(p.workspace.bytes[i], 0, "counter %zu is not 0", i / sizeof(uint32_t));
  if (spec->unquantized) {
    fetch(bench, device, &p.unquantized, "the second output");
    compare("the second output", p.unfused.bytes, p.unquantized.bytes, p.unfused.size, o.columns);
  }
  if (spec->numerics == QN_EXACT || spec->out_dtype == QN_F32) {
    expect(bench, spec, spec->out_dtype, p.unfused.bytes, &o);
    compare_outcome(spec, &o);
  } else {
    compare_direct(spec, &o, &p);
  }
  close_outcome(device, &o);
  close_operands(device, &p);
}
