// Kernels of dynamic schemes in groups, on the emulator: the bytes of codes and of the whole buffer of scales
// against the library's quantizer on what the unfused kernel wrote, and what lies around both, which no kernel
// may touch.
//
//   test_groups [NAME]     the rows of groups.def, or those whose name has NAME in it; TAP on stdout
#include "ir/base_priv.h"
#include "quant/elements_priv.h"
#include "quant/quantize_priv.h"
#include "quant/scale_buffer_priv.h"
#include <quench/runtime.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SKIPPED = 77, GUARD = 256, GUARD_BYTE = 0xA5, SEQUENCES_MAX = 16 };

// What the rows of v are like. SPECIAL: a sequence has one key, and q is 0, so that its outputs are its v, bit
// for bit.
typedef enum values { NORMAL, SPECIAL } values;

typedef struct group_case {
  const char *name, *scheme;
  qn_target target;
  qn_dtype dtype;
  qn_numerics numerics;
  uint32_t heads, kv_heads, dim, batch, q_len, kv_len, row;
  bool varlen, pack, bounded, unquantized;
  qn_schedule schedule;
  qn_dtype pre_scale; // ANY: none
  qn_layout out_layout;
  values values;
} group_case;

enum {
  CASES = 0
#define GROUP(name, scheme, ...) +1
#include "tests/kernels/groups.def"
#undef GROUP
};

static group_case *start(group_case *out, const char *name, const char *scheme) {
  *out = (group_case){ .name = name,
                       .scheme = scheme,
                       .target = QN_TARGET_sm_90a,
                       .dtype = QN_BF16,
                       .heads = 2,
                       .dim = 64,
                       .batch = 5,
                       .q_len = 37,
                       .kv_len = 50,
                       .out_layout = QN_LAYOUT_TM };
  return out;
}

static void make_cases(group_case out_cases[CASES]) {
  group_case *c;
#define GROUP(name, scheme, ...)                                                                               \
  c = start(out_cases++, name, scheme);                                                                        \
  __VA_ARGS__;                                                                                                 \
  if (c->kv_heads == 0) c->kv_heads = c->heads;                                                                \
  if (c->values == SPECIAL) c->kv_len = 1, c->batch = 16, c->q_len = 2;
#include "tests/kernels/groups.def"
#undef GROUP
}

// --- a run ---------------------------------------------------------------------------------------------------

typedef struct run {
  const group_case *c;
  qn_context *context;
  qn_compiler *compiler;
  qn_device *device;
  qn_kernel_spec spec; // fused
  uint32_t starts_q[SEQUENCES_MAX + 1], starts_kv[SEQUENCES_MAX + 1], tokens, keys;
  qn_device_ptr q, k, v, scale, pre_scale, bound, cu_seqlens_q, cu_seqlens_kv;
  float global;
  double *factors; // pre_scale as the device has it
} run;

static uint64_t next(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return *state >> 33;
}
static double normal(uint64_t *state) {
  double sum = -6;
  for (int i = 0; i < 12; i++) sum += (double)next(state) / 0x1p31;
  return sum;
}

// Element `column` of one of 16 kinds of rows: zeros, numbers that are none, the ends of the type, powers of
// two and their neighbours, ties of the codes of 4 and 8 bits.
static double special(uint32_t kind, uint32_t column, uint64_t *random) {
  static const double quarters[] = { 6, 0.25,  -0.75, 1.25,  -1.75, 2.5,  -3.5,
                                     5, -0.25, 0.75,  0.125, -5,    -0.1, 0.3 };
  double x = normal(random);
  switch (kind) {
  case 0: return 0;
  case 1: return column % 8 == 3 ? (double)NAN : x;
  case 2: return (double)NAN;
  case 3: return column % 16 == 5 ? -(double)INFINITY : x;
  case 4: return x * 0x1p-24;
  case 5: return x * 0x1p-130;
  case 6: return column % 16 == 9 ? 0x1p-140 : 0;
  case 7: return x * 15000;
  case 8: return column % 8 == 0 ? 448 : (double)(next(random) % 61) * 0.25 - 7.5;
  case 9: return column % 8 == 0 ? 1.75 * 0x1p5 : x;
  case 10: return column % 8 == 0 ? 1.9375 : x / 4;
  case 11: return column % 8 == 0 ? 2 : x / 4;
  case 12: return column % 8 == 0 ? 1.7421875 : x / 4;
  case 13:
  case 14: return quarters[(column + column / 16) % QN_COUNT(quarters)];
  default: return x * ldexp(1, (int)(column / 16) * 6 - 12);
  }
}

static double value_of(const group_case *c, uint32_t operand, uint64_t index, uint64_t *random) {
  if (c->values == NORMAL) return normal(random);
  uint64_t width = (uint64_t)c->kv_heads * c->dim;
  return operand == QN_ATTENTION_V ? special((uint32_t)(index / width), (uint32_t)(index % width), random) : 0;
}

static qn_status upload_values(run *r, uint64_t rows, uint32_t operand, qn_device_ptr *out_ptr) {
  const group_case *c = r->c;
  uint64_t heads = operand == QN_ATTENTION_Q ? c->heads : c->kv_heads, count = rows * heads * c->dim;
  uint64_t random = 7 + rows + operand;
  double *plane = calloc(count + 1, sizeof *plane);
  uint8_t *bytes = calloc(count + 1, 4);
  for (uint64_t i = 0; i < count; i++) plane[i] = value_of(c, operand, i, &random);
  qn_elements_store(c->dtype, plane, count, true, bytes);
  qn_status status = qn_device_allocate(r->device, count * 4 + 16, out_ptr);
  if (status == QN_OK) status = qn_device_upload(r->device, *out_ptr, bytes, count * qn_element_size(c->dtype));
  free(plane);
  free(bytes);
  return status;
}

static qn_status upload(run *r, const void *from, size_t bytes, qn_device_ptr *out_ptr) {
  QN_TRY(qn_device_allocate(r->device, bytes, out_ptr));
  return qn_device_upload(r->device, *out_ptr, from, bytes);
}

// Sequences of all lengths where they lie end to end, the first and the last two of them empty.
static void cut_sequences(run *r) {
  const group_case *c = r->c;
  for (uint32_t b = 0; b < c->batch; b++) {
    bool empty = c->varlen && (b == 0 || b + 2 >= c->batch);
    uint32_t q_len = empty ? 0 : c->varlen && b == 2 ? 1 : c->q_len;
    r->starts_q[b + 1] = r->starts_q[b] + q_len;
    r->starts_kv[b + 1] = r->starts_kv[b] + (c->varlen ? c->kv_len / (b + 1) : c->kv_len);
  }
  r->tokens = r->starts_q[c->batch];
  r->keys = r->starts_kv[c->batch];
}

static const float BOUND = 0.6f;

static qn_status upload_factors(run *r) {
  const group_case *c = r->c;
  uint64_t count = (uint64_t)c->heads * c->dim, random = 3;
  uint8_t *bytes = calloc(count, 4);
  r->factors = calloc(count, sizeof *r->factors);
  for (uint64_t i = 0; i < count; i++) r->factors[i] = 1.25 + normal(&random) / 8;
  qn_elements_store(c->pre_scale, r->factors, count, true, bytes);
  qn_elements_load(c->pre_scale, bytes, count, r->factors);
  qn_status status = upload(r, bytes, count * qn_element_size(c->pre_scale), &r->pre_scale);
  free(bytes);
  return status;
}

static qn_status upload_all(run *r) {
  cut_sequences(r);
  QN_TRY(upload_values(r, QN_MAX(r->tokens, 1), QN_ATTENTION_Q, &r->q));
  QN_TRY(upload_values(r, r->keys, QN_ATTENTION_K, &r->k));
  QN_TRY(upload_values(r, r->keys, QN_ATTENTION_V, &r->v));
  r->global = r->spec.output.global == QN_GLOBAL_DIVISOR ? 0.0137f : 1 / 0.0137f;
  QN_TRY(upload(r, &r->global, sizeof r->global, &r->scale));
  QN_TRY(upload(r, &BOUND, sizeof BOUND, &r->bound));
  if (r->c->pre_scale != QN_ANY) QN_TRY(upload_factors(r));
  QN_TRY(upload(r, r->starts_q, sizeof r->starts_q, &r->cu_seqlens_q));
  return upload(r, r->starts_kv, sizeof r->starts_kv, &r->cu_seqlens_kv);
}

static qn_attention_args args_of(const run *r, const qn_kernel_spec *spec, qn_device_ptr out) {
  const group_case *c = r->c;
  qn_layout in = c->varlen ? QN_LAYOUT_THD : QN_LAYOUT_BSHD;
  qn_attention_args args = {
    .batch = c->batch, .q_len = c->q_len, .kv_len = c->kv_len, .q = r->q, .k = r->k, .v = r->v, .out = out
  };
  if (c->varlen) args.cu_seqlens_q = r->cu_seqlens_q, args.cu_seqlens_kv = r->cu_seqlens_kv;
  qn_attention_args_set_dense(spec, in, in, in, c->out_layout, &args);
  return args;
}

static qn_status launch(run *r, const qn_kernel_spec *spec, const qn_attention_args *args) {
  qn_kernel *kernel;
  qn_loaded_kernel *loaded;
  QN_TRY(qn_compiler_compile(r->compiler, spec, QN_PTX, &kernel));
  qn_status status = qn_device_load(r->device, kernel, &loaded);
  if (status == QN_OK) {
    qn_attention_args with_workspace = *args;
    uint64_t bytes = qn_kernel_get_workspace_bytes(spec, args);
    uint8_t *zeros = calloc(bytes + 1, 1);
    if (bytes > 0) status = upload(r, zeros, bytes, &with_workspace.workspace);
    if (status == QN_OK) status = qn_launch_attention(loaded, &with_workspace, NULL);
    free(zeros);
    qn_loaded_kernel_destroy(loaded);
  }
  qn_kernel_destroy(kernel);
  return status;
}

// A buffer of guard bytes, with more of them on both sides.
static qn_status make_guarded(run *r, uint64_t bytes, qn_device_ptr *out_ptr) {
  uint8_t *fill = malloc(bytes + 2 * GUARD);
  memset(fill, GUARD_BYTE, bytes + 2 * GUARD);
  qn_status status = upload(r, fill, bytes + 2 * GUARD, out_ptr);
  free(fill);
  return status;
}

static bool report(const run *r, const char *what, uint64_t index, unsigned found, unsigned wanted) {
  printf("# %s: byte %llu of %s is 0x%02x, not 0x%02x\n", r->c->name, (unsigned long long)index, what, found,
         wanted);
  return false;
}

static bool compare(run *r, const char *what, qn_device_ptr ptr, const uint8_t *wanted, uint64_t bytes) {
  uint8_t *all = malloc(bytes + 2 * GUARD);
  bool same = qn_device_download(r->device, all, ptr, bytes + 2 * GUARD) == QN_OK;
  for (uint64_t i = 0; same && i < bytes + 2 * GUARD; i++) {
    unsigned expected = i < GUARD || i >= bytes + GUARD ? GUARD_BYTE : wanted[i - GUARD];
    if (all[i] != expected) same = report(r, what, i - GUARD, all[i], expected);
  }
  free(all);
  return same;
}

// --- what must come out --------------------------------------------------------------------------------------

typedef struct expected {
  uint8_t *codes, *scales; // packed as in memory; of the whole buffer
  uint64_t code_bytes, scale_bytes;
} expected;

static int32_t output_dims(const run *r, uint32_t tokens, int64_t dims[QN_RANK_MAX]) {
  const group_case *c = r->c;
  int64_t b = c->batch, s = c->q_len, h = c->heads, d = c->dim;
  switch (c->out_layout) {
  case QN_LAYOUT_BHSD: dims[0] = b, dims[1] = h, dims[2] = s, dims[3] = d; return 4;
  case QN_LAYOUT_BSHD: dims[0] = b, dims[1] = s, dims[2] = h, dims[3] = d; return 4;
  case QN_LAYOUT_THD: dims[0] = tokens, dims[1] = h, dims[2] = d; return 3;
  default: dims[0] = tokens, dims[1] = h * d; return 2;
  }
}

// The launch's tokens stand behind `row` others: in codes they are alone, in the buffer of scales the others'
// places, padding of their groups included, are untouched.
static qn_status quantize(run *r, const double *plane, expected *out) {
  const group_case *c = r->c;
  const qn_scheme *scheme = &r->spec.output;
  int64_t dims[QN_RANK_MAX], codes_dims[QN_RANK_MAX];
  int32_t rank = output_dims(r, c->row + r->tokens, dims);
  uint64_t before = (uint64_t)c->row * c->heads * c->dim, count = 1;
  double global = (double)r->global;
  qn_scale_buffer buffer;
  qn_quantized_dims(scheme, rank, dims, codes_dims);
  for (int32_t d = 0; d < rank; d++) count *= (uint64_t)codes_dims[d];
  if (!qn_scale_buffer_of(scheme, rank, codes_dims, &buffer))
    return qn_fail(r->context, QN_INVALID, NULL, "scales");
  uint32_t size = qn_element_size((qn_dtype)scheme->scale_dtype);
  uint8_t *codes = calloc(count + 1, 1), *packed = calloc(count + 1, 1),
          *scales = calloc(buffer.count + 1, size);
  double *x = calloc(before + (uint64_t)r->tokens * c->heads * c->dim + 1, sizeof *x);
  memcpy(x + before, plane, (uint64_t)r->tokens * c->heads * c->dim * sizeof *x);
  qn_quantize_args args = { .scheme = scheme, .rank = rank, .dims = dims };
  double bound = (double)BOUND;
  if (scheme->global) args.scale = (qn_numbers){ &global, 1 };
  if (c->pre_scale != QN_ANY) args.pre_scale = (qn_numbers){ r->factors, (uint64_t)c->heads * c->dim };
  if (c->bounded) args.scale_bound = (qn_numbers){ &bound, 1 };
  qn_status status = qn_quantize(r->context, &args, x, &(qn_quantized){ .codes = codes, .scales = scales });
  uint64_t skipped = count / QN_MAX(c->row + r->tokens, 1) * c->row,
           bits = qn_dtype_bits((qn_dtype)scheme->target);
  qn_elements_pack((qn_dtype)scheme->target, codes + skipped, count - skipped, packed);
  int64_t room = scheme->scale_layout == QN_SCALES_ROW ? buffer.groups : (buffer.groups + 3) / 4 * 4;
  for (int64_t token = 0; token < c->row; token++)
    for (int64_t group = 0; group < room; group++)
      memset(scales + qn_scale_buffer_index(scheme, &buffer, token, group) * size, GUARD_BYTE, size);
  free(codes);
  free(x);
  *out = (expected){ packed, scales, (count - skipped) * bits / 8, buffer.count * size };
  return status;
}

// The unfused kernel's output, as values, and as bytes in `raw`.
static qn_status run_unfused(run *r, double *plane, uint8_t *raw) {
  qn_kernel_spec spec = r->spec;
  spec.output = qn_scheme_of(QN_SCHEME_none);
  spec.pre_scale_dtype = QN_ANY;
  spec.scale_bound = spec.unquantized = false;
  uint64_t count = (uint64_t)r->tokens * r->c->heads * r->c->dim, bytes = count * qn_element_size(r->c->dtype);
  qn_device_ptr out;
  qn_status status = qn_device_allocate(r->device, bytes + 16, &out);
  qn_attention_args args = args_of(r, &spec, out);
  if (status == QN_OK) status = launch(r, &spec, &args);
  if (status == QN_OK && bytes > 0) status = qn_device_download(r->device, raw, out, bytes);
  if (status == QN_OK) qn_elements_load(r->c->dtype, raw, count, plane);
  return status;
}

static qn_status run_fused(run *r, const expected *wanted, const uint8_t *raw, bool *out_same) {
  qn_device_ptr out, scales, unquantized;
  uint64_t raw_bytes = (uint64_t)r->tokens * r->c->heads * r->c->dim * qn_element_size(r->c->dtype);
  QN_TRY(make_guarded(r, wanted->code_bytes, &out));
  QN_TRY(make_guarded(r, wanted->scale_bytes, &scales));
  qn_attention_args args = args_of(r, &r->spec, out + GUARD);
  if (r->spec.output.global) args.output_scale = r->scale;
  args.block_scale = scales + GUARD;
  QN_TRY(make_guarded(r, raw_bytes, &unquantized));
  if (r->c->unquantized) args.unquantized = unquantized + GUARD;
  if (r->c->bounded) args.scale_bound = r->bound;
  if (r->c->pre_scale != QN_ANY) args.pre_scale = r->pre_scale, args.pre_scale_head = r->c->dim;
  if (!qn_attention_args_set_dense_scales(&r->spec, r->c->out_layout, r->c->row + r->tokens, &args))
    return qn_fail(r->context, QN_INVALID, NULL, "no strides of scales");
  args.block_scale_row = r->c->row;
  args.block_scale_rows -= r->c->row;
  qn_counters counters;
  qn_device_reset_counters(r->device);
  QN_TRY(launch(r, &r->spec, &args));
  QN_TRY(qn_device_get_counters(r->device, &counters));
  if (counters.bank_conflicts > 0)
    return qn_fail(r->context, QN_BUG, NULL, "%llu conflicts of banks",
                   (unsigned long long)counters.bank_conflicts);
  *out_same = compare(r, "codes", out, wanted->codes, wanted->code_bytes) &&
              compare(r, "scales", scales, wanted->scales, wanted->scale_bytes) &&
              (!r->c->unquantized || compare(r, "the second output", unquantized, raw, raw_bytes));
  return QN_OK;
}

static qn_status run_case(run *r, bool *out_same) {
  const group_case *c = r->c;
  expected wanted = { 0 };
  r->spec = (qn_kernel_spec){ .target = c->target,
                              .dtype = c->dtype,
                              .out_dtype = c->dtype,
                              .head_dim = c->dim,
                              .v_head_dim = c->dim,
                              .heads = c->heads,
                              .kv_heads = c->kv_heads,
                              .window_left = -1,
                              .window_right = -1,
                              .varlen = c->varlen,
                              .lengths_dtype = c->varlen ? QN_S32 : QN_ANY,
                              .pack_heads = c->pack,
                              .schedule = c->schedule,
                              .pre_scale_dtype = c->pre_scale,
                              .scale_bound = c->bounded,
                              .unquantized = c->unquantized,
                              .numerics = c->numerics };
  if (!qn_scheme_parse(c->scheme, &r->spec.output))
    return qn_fail(r->context, QN_INVALID, NULL, "the scheme %s", c->scheme);
  QN_TRY(
      qn_device_create_emulator(r->context, qn_emulator_params(.target = c->target, .threads = 1), &r->device));
  qn_status status = upload_all(r);
  double *plane = malloc(((uint64_t)r->tokens * c->heads * c->dim + 1) * sizeof *plane);
  uint8_t *raw = malloc((uint64_t)r->tokens * c->heads * c->dim * 4 + 1);
  if (status == QN_OK) status = run_unfused(r, plane, raw);
  if (status == QN_OK) status = quantize(r, plane, &wanted);
  if (status == QN_OK) status = run_fused(r, &wanted, raw, out_same);
  free(plane);
  free(raw);
  free(r->factors);
  free(wanted.codes);
  free(wanted.scales);
  qn_device_destroy(r->device);
  return status;
}

int main(int argc, char **argv) {
  static group_case cases[CASES];
  qn_context *context;
  qn_compiler *compiler;
  const char *path;
  int major, minor, failures = 0;
  make_cases(cases);
  if (qn_context_create(NULL, &context) != QN_OK) return 1;
  if (qn_compiler_create(context, NULL, &compiler) != QN_OK) return 1;
  bool found = qn_compiler_get_nvrtc(compiler, &path, &major, &minor) == QN_OK;
  printf("1..%d\n", CASES);
  for (int i = 0; i < CASES; i++) {
    run r = { .c = &cases[i], .context = context, .compiler = compiler };
    bool same = false, wanted = argc < 2 || strstr(cases[i].name, argv[1]);
    qn_status status = found && wanted ? run_case(&r, &same) : QN_OK;
    if (!found || !wanted) {
      printf("ok %d - %s # SKIP %s\n", i + 1, cases[i].name, found ? "not asked for" : "no NVRTC");
      continue;
    }
    if (status != QN_OK) printf("# %s: %s\n", cases[i].name, qn_context_get_error(context)->message);
    printf("%s %d - %s\n", same ? "ok" : "not ok", i + 1, cases[i].name);
    failures += !same;
  }
  qn_compiler_destroy(compiler);
  qn_context_destroy(context);
  return failures > 0;
}
