// The schedule split on the emulator, and pages and caches of codes in both schedules: against attention in f64
// within the derived bound, and fused codes against the quantizer of the library on the kernel's own unfused
// output. Rows of k and v that no query may see are NaN, and entries of the page table beyond a sequence's
// length lead nowhere.
#include "ir/base_priv.h"
#include "quant/elements_priv.h"
#include "quant/quantize_priv.h"
#include "tests/kernels/split_data.h"

#include <criterion/criterion.h>
#include <math.h>

static qn_context *context;
static qn_compiler *compiler;
static qn_device *devices[QN_TARGET_COUNT];

static void set_up(void) {
  const char *path;
  int major, minor;
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  cr_assert_eq(qn_compiler_create(context, NULL, &compiler), QN_OK);
  if (qn_compiler_get_nvrtc(compiler, &path, &major, &minor) == QN_UNAVAILABLE)
    cr_skip_test("there is no NVRTC");
}

static void tear_down(void) {
  for (int i = 0; i < QN_TARGET_COUNT; i++) {
    qn_device_destroy(devices[i]);
    devices[i] = NULL;
  }
  qn_compiler_destroy(compiler);
  qn_context_destroy(context);
}

TestSuite(split, .init = set_up, .fini = tear_down);

static void expect_ok(qn_status status) {
  const qn_error *error = qn_context_get_error(context);
  cr_assert_eq(status, QN_OK, "%s: %s", error->place, error->message);
}

// --- running ---------------------------------------------------------------------------------------------

typedef struct memory {
  qn_device *device;
  qn_device_ptr blocks[16];
  uint32_t count;
} memory;

static qn_device_ptr keep(memory *m, const void *bytes, uint64_t count) {
  qn_device_ptr ptr;
  expect_ok(qn_device_allocate(m->device, count, &ptr));
  if (bytes) expect_ok(qn_device_upload(m->device, ptr, bytes, count));
  m->blocks[m->count++] = ptr;
  return ptr;
}

static qn_device_ptr keep_plane(memory *m, bool wanted, const plane *p) {
  return wanted ? keep(m, p->bytes, p->count * qn_element_size(p->dtype)) : 0;
}

// Entries that no key needs are never written, and the emulator tells of whoever reads them.
static qn_device_ptr keep_table(memory *m, const split_data *d) {
  qn_device_ptr table = keep(m, NULL, (uint64_t)d->table_stride * d->c.batch * 4);
  for (uint32_t b = 0; b < d->c.batch; b++) {
    uint64_t pages = (d->c.lengths[b] + d->c.spec.page_size - 1) / d->c.spec.page_size,
             first = b * (uint64_t)d->table_stride;
    expect_ok(qn_device_upload(m->device, table + first * 4, d->table + first, pages * 4));
  }
  return table;
}

static qn_attention_args args_of(const split_data *d, const qn_kernel_spec *spec, memory *m) {
  const split_case *c = &d->c;
  int64_t row = (int64_t)spec->heads * spec->head_dim, out_row = (int64_t)spec->heads * spec->v_head_dim;
  return (qn_attention_args){
    .batch = c->batch,
    .q_len = c->q_len,
    .kv_len = c->kv_len,
    .q = keep_plane(m, true, &d->q),
    .k = keep_plane(m, true, &d->k),
    .v = keep_plane(m, true, &d->v),
    .q_stride = { row * c->q_len, spec->head_dim, row },
    .k_stride = d->k_stride,
    .v_stride = d->v_stride,
    .out_stride = { out_row * c->q_len, spec->v_head_dim, out_row },
    .k_scale = keep_plane(m, spec->k_scale != QN_KV_SCALE_NONE, &d->k_scale),
    .v_scale = keep_plane(m, spec->v_scale != QN_KV_SCALE_NONE, &d->v_scale),
    .page_table = spec->page_size > 0 ? keep_table(m, d) : 0,
    .page_table_stride = d->table_stride,
    .splits = spec->schedule == QN_SCHEDULE_split ? c->splits : 0,
    .mask = keep_plane(m, spec->mask != QN_MASK_NONE, &d->mask),
    .mask_kv_stride = 1,
    .sinks = keep_plane(m, spec->sinks_dtype != QN_ANY, &d->sinks),
    .alibi_slopes = keep_plane(m, spec->alibi, &d->slopes),
    .kv_lengths = spec->kv_lengths ? keep(m, c->lengths, sizeof c->lengths) : 0,
  };
}

static qn_device *device_of(qn_target target) {
  if (!devices[target])
    expect_ok(qn_device_create_emulator(context, qn_emulator_params(.target = target, .threads = 2),
                                        &devices[target]));
  return devices[target];
}

// Runs the case under `scheme`, with `scale`; `bytes` of output.
static void run(const split_data *d, const qn_scheme *scheme, float scale, void *out, uint64_t bytes) {
  qn_kernel_spec spec = d->c.spec;
  spec.output = *scheme;
  memory m = { .device = device_of(spec.target) };
  qn_kernel *kernel;
  qn_loaded_kernel *loaded;
  expect_ok(qn_compiler_compile(compiler, &spec, QN_PTX, &kernel));
  expect_ok(qn_device_load(m.device, kernel, &loaded));
  qn_attention_args args = args_of(d, &spec, &m);
  uint64_t workspace = qn_kernel_get_workspace_bytes(&spec, &args);
  args.out = keep(&m, NULL, bytes);
  args.workspace = workspace > 0 ? keep(&m, NULL, workspace) : 0;
  if (scheme->family != QN_SCHEME_none) args.output_scale = keep(&m, &scale, sizeof scale);
  qn_counters counters;
  qn_device_reset_counters(m.device);
  expect_ok(qn_launch_attention(loaded, &args, NULL));
  expect_ok(qn_device_get_counters(m.device, &counters));
  cr_expect_eq(counters.bank_conflicts, 0, "%llu", (unsigned long long)counters.bank_conflicts);
  expect_ok(qn_device_download(m.device, out, args.out, bytes));
  for (uint32_t i = 0; i < m.count; i++) expect_ok(qn_device_free(m.device, m.blocks[i]));
  qn_loaded_kernel_destroy(loaded);
  qn_kernel_destroy(kernel);
}

static void check_values(const split_data *d, const double *values, double *out_largest) {
  const split_case *c = &d->c;
  const qn_kernel_spec *spec = &c->spec;
  const qn_attention_norms norms = split_norms(d);
  const qn_attention_bound bound = qn_attention_get_bound(spec, &norms);
  double expected[256], over_abs[256], worst = 0;
  uint64_t at = 0;
  for (uint32_t b = 0; b < c->batch; b++)
    for (uint32_t i = 0; i < c->q_len; i++)
      for (uint32_t h = 0; h < spec->heads; h++) {
        split_reference_row(d, b, h, i, expected, over_abs);
        for (uint32_t e = 0; e < spec->v_head_dim; e++, at++) {
          double error = fabs(values[at] - expected[e]);
          double most = qn_attention_bound_at(&bound, expected[e], over_abs[e]);
          cr_assert(error <= most, "sequence %u, query %u, head %u, element %u: %g, not %g; off by %g of %g", b,
                    i, h, e, values[at], expected[e], error, most);
          if (most > 0) worst = fmax(worst, error / most);
          *out_largest = fmax(*out_largest, fabs(values[at]));
        }
      }
  cr_log_info("worst error: %.3f of the bound", worst);
}

static void check(const split_case *c) {
  split_data *d = split_data_create(c);
  const qn_scheme none = qn_scheme_of(QN_SCHEME_none), fused = qn_scheme_of(QN_SCHEME_fp8_static);
  uint64_t count = (uint64_t)c->batch * c->q_len * c->spec.heads * c->spec.v_head_dim;
  double *values = malloc(count * sizeof(double)), largest = 0;
  uint8_t *bytes = malloc(count * 4), *codes = malloc(count), *expected = malloc(count);
  run(d, &none, 0, bytes, count * qn_element_size(c->spec.out_dtype));
  qn_elements_load(c->spec.out_dtype, bytes, count, values);
  check_values(d, values, &largest);

  float scale = largest > 0 ? (float)largest / 517 : 0.3f; // some values saturate
  double wide_scale = scale;
  const int64_t dims[] = { (int64_t)count };
  const qn_quantize_args args = { .scheme = &fused, .rank = 1, .dims = dims, .scale = { &wide_scale, 1 } };
  expect_ok(qn_quantize(context, &args, values, &(qn_quantized){ .codes = expected }));
  run(d, &fused, scale, codes, count);
  cr_expect_arr_eq(codes, expected, count, "codes of the fused kernel are not those of its unfused output");
  free(values);
  free(bytes);
  free(codes);
  free(expected);
  split_data_destroy(d);
}

// One token of each of 2 sequences, 8 heads on 2 of k and v.
static split_case decode(qn_dtype dtype, uint32_t head_dim, uint32_t kv_len) {
  return (split_case){ .spec = { .target = QN_TARGET_sm_90a,
                                 .schedule = QN_SCHEDULE_split,
                                 .dtype = dtype,
                                 .out_dtype = dtype,
                                 .head_dim = head_dim,
                                 .v_head_dim = head_dim,
                                 .heads = 8,
                                 .kv_heads = 2,
                                 .pack_heads = true,
                                 .window_left = -1,
                                 .window_right = -1 },
                       .batch = 2,
                       .q_len = 1,
                       .kv_len = kv_len };
}

// --- splits and lengths ----------------------------------------------------------------------------------

Test(split, any_number_of_splits) {
  static const uint32_t splits[] = { 0, 1, 2, 7, 64, 128 }, lengths[] = { 1, 15, 16, 17, 1000 };
  for (size_t s = 0; s < QN_COUNT(splits); s++)
    for (size_t l = 0; l < QN_COUNT(lengths); l++) {
      split_case c = decode(QN_F16, 64, lengths[l]);
      c.splits = splits[s];
      check(&c);
    }
}

Test(split, sequences_of_different_lengths) {
  for (uint32_t splits = 1; splits < 8; splits += 3) {
    split_case c = decode(QN_BF16, 128, 300);
    c.spec.kv_lengths = true;
    c.spec.lengths_dtype = QN_S32;
    c.batch = 4;
    c.splits = splits;
    memcpy(c.lengths, (uint32_t[]){ 0, 1, 300, 77 }, sizeof c.lengths);
    check(&c);
  }
}

Test(split, heads_of_all_kinds) {
  static const uint32_t heads[][2] = { { 2, 2 }, { 4, 1 }, { 16, 2 }, { 10, 2 }, { 40, 2 } };
  for (size_t i = 0; i < QN_COUNT(heads); i++) {
    split_case c = decode(QN_F16, 64, 200);
    c.spec.heads = heads[i][0];
    c.spec.kv_heads = heads[i][1];
    c.splits = 3;
    check(&c);
    c.q_len = 3;
    c.spec.causal = QN_CAUSAL_BOTTOM_RIGHT;
    check(&c);
  }
}

// --- what stands between scores and weights ----------------------------------------------------------------

// Each option in a few queries of one sequence and another, in splits some of which see no key.
static void check_options(void (*set)(split_case *c)) {
  static const qn_dtype dtypes[] = { QN_F16, QN_F32 };
  for (size_t i = 0; i < QN_COUNT(dtypes); i++)
    for (uint32_t splits = 1; splits < 8; splits += 3) {
      split_case c = decode(dtypes[i], 64, 300);
      c.q_len = 3;
      c.splits = splits;
      set(&c);
      check(&c);
    }
}

static void set_causal(split_case *c) {
  c->spec.causal = QN_CAUSAL_BOTTOM_RIGHT;
}
static void set_top_left(split_case *c) {
  c->spec.causal = QN_CAUSAL_TOP_LEFT;
}
static void set_causal_of_lengths(split_case *c) {
  c->spec.causal = QN_CAUSAL_BOTTOM_RIGHT;
  c->spec.kv_lengths = true;
  c->spec.lengths_dtype = QN_S32;
  c->lengths[0] = 300;
  c->lengths[1] = 2; // the first of three queries sees nothing
}
static void set_window(split_case *c) {
  c->spec.causal = QN_CAUSAL_BOTTOM_RIGHT;
  c->spec.window_left = 70;
}
static void set_both_windows(split_case *c) {
  c->spec.window_left = 1;
  c->spec.window_right = 70;
}
static void set_softcap(split_case *c) {
  c->spec.softcap = 1.5f;
}
static void set_slopes(split_case *c) {
  c->spec.causal = QN_CAUSAL_BOTTOM_RIGHT;
  c->spec.alibi = true;
}
static void set_sinks(split_case *c) {
  c->spec.sinks_dtype = QN_F32;
}
static void set_sinks_that_stand_alone(split_case *c) {
  set_causal_of_lengths(c);
  c->spec.sinks_dtype = c->spec.dtype;
  c->spec.alibi = true;
}
static void set_mask(split_case *c) {
  c->spec.mask = QN_MASK_ADDITIVE;
  c->spec.mask_dtype = QN_F32;
}
static void set_negative_scale(split_case *c) {
  c->spec.scale = -0.3f;
}
#define OPTION(name)                                                                                           \
  Test(split, name) {                                                                                          \
    check_options(set_##name);                                                                                 \
  }
OPTION(causal)
OPTION(top_left)
OPTION(causal_of_lengths)
OPTION(window)
OPTION(both_windows)
OPTION(softcap)
OPTION(slopes)
OPTION(sinks)
OPTION(sinks_that_stand_alone)
OPTION(mask)
OPTION(negative_scale)

// --- caches --------------------------------------------------------------------------------------------------

static void set_lengths(split_case *c, uint32_t a, uint32_t b, uint32_t d, uint32_t e) {
  const uint32_t lengths[] = { a, b, d, e };
  c->spec.kv_lengths = true;
  c->spec.lengths_dtype = QN_S32;
  c->batch = SPLIT_BATCH_MAX;
  memcpy(c->lengths, lengths, sizeof lengths);
}

Test(split, pages) {
  static const uint32_t pages[] = { 1, 16, 32, 64, 128 };
  for (size_t i = 0; i < QN_COUNT(pages); i++) {
    split_case c = decode(QN_F16, 64, 300);
    c.spec.page_size = pages[i];
    c.heads_outside = i % 2 == 0;
    set_lengths(&c, 300, 1, 0, 129);
    for (c.splits = 1; c.splits < 8; c.splits += 3) check(&c);
  }
}

Test(split, codes_of_a_cache) {
  static const uint32_t dims[][2] = { { 64, 64 }, { 80, 80 }, { 128, 128 }, { 192, 128 }, { 256, 256 } };
  static const qn_target targets[] = { QN_TARGET_sm_90a, QN_TARGET_sm_80 };
  for (size_t i = 0; i < QN_COUNT(dims); i++)
    for (int type = 0; type < 2; type++)
      for (int kv = 0; kv < 2; kv++) {
        split_case c = decode(type ? QN_BF16 : QN_F16, dims[i][0], 150);
        c.spec.target = targets[(i + (size_t)type + (size_t)kv) % 2];
        c.spec.v_head_dim = dims[i][1];
        c.spec.kv_dtype = kv ? QN_E4M3 : QN_E5M2;
        c.spec.k_scale = kv ? QN_KV_SCALE_TENSOR : QN_KV_SCALE_HEAD;
        c.spec.v_scale = type ? QN_KV_SCALE_TENSOR : QN_KV_SCALE_HEAD;
        c.splits = 2;
        check(&c);
      }
}

Test(split, pages_of_codes) {
  static const uint32_t pages[] = { 16, 64, 128 };
  for (size_t i = 0; i < QN_COUNT(pages); i++) {
    split_case c = decode(QN_BF16, 128, 200);
    c.spec.page_size = pages[i];
    c.spec.kv_dtype = i % 2 ? QN_E5M2 : QN_E4M3;
    c.spec.k_scale = c.spec.v_scale = QN_KV_SCALE_HEAD;
    set_lengths(&c, 17, 200, 16, 5);
    check(&c);
  }
}

Test(split, scales_of_elements) {
  static const qn_dtype dtypes[] = { QN_F16, QN_BF16, QN_F32 };
  for (size_t i = 0; i < QN_COUNT(dtypes); i++) {
    split_case c = decode(dtypes[i], 64, 100);
    c.spec.k_scale = QN_KV_SCALE_HEAD;
    check(&c);
    c.spec.v_scale = QN_KV_SCALE_HEAD;
    c.spec.k_scale = QN_KV_SCALE_NONE;
    check(&c);
  }
}

// Prefill over a cache: the same keys in the schedule mma.
Test(split, caches_in_the_schedule_mma) {
  static const qn_causal causal[] = { QN_CAUSAL_NONE, QN_CAUSAL_BOTTOM_RIGHT };
  for (int codes = 0; codes < 2; codes++)
    for (int packed = 0; packed < 2; packed++) {
      split_case c = decode(QN_BF16, 64, 260);
      c.spec.schedule = QN_SCHEDULE_mma;
      c.spec.pack_heads = packed;
      c.spec.causal = causal[packed];
      c.spec.page_size = 16;
      c.spec.kv_dtype = codes ? QN_E4M3 : QN_ANY;
      c.spec.k_scale = c.spec.v_scale = codes ? QN_KV_SCALE_TENSOR : QN_KV_SCALE_NONE;
      c.q_len = 70;
      set_lengths(&c, 260, 70, 0, 131);
      check(&c);
    }
}

// --- head dims -----------------------------------------------------------------------------------------------

Test(split, head_dims) {
  static const uint32_t dims[][2] = { { 64, 64 },   { 80, 80 }, { 128, 128 }, { 192, 128 },
                                      { 256, 256 }, { 8, 8 },   { 40, 24 } };
  static const qn_dtype dtypes[] = { QN_F16, QN_BF16, QN_F32 };
  static const qn_target targets[] = { QN_TARGET_sm_90a, QN_TARGET_sm_86 };
  for (size_t i = 0; i < QN_COUNT(dims); i++)
    for (size_t t = 0; t < QN_COUNT(dtypes); t++)
      for (size_t s = 0; s < QN_COUNT(targets); s++) {
        split_case c = decode(dtypes[t], dims[i][0], 150);
        c.spec.target = targets[s];
        c.spec.v_head_dim = dims[i][1];
        c.splits = 2;
        check(&c);
      }
}
