// The factors of a case and their choices.
#include "tests/kernels/cases.h"

#include "codegen/tokens_priv.h"
#include "ir/base_priv.h"

#include <stdio.h>

// The factors, those with many choices first; choice 0 of each is the plain one.
#define FACTOR_MAP(X)                                                                                          \
  X(CELL, cells)                                                                                               \
  X(DIMS, dims)                                                                                                \
  X(SHAPE, shapes)                                                                                             \
  X(MASK, masks)                                                                                               \
  X(TARGET, targets)                                                                                           \
  X(DTYPE, dtypes)                                                                                             \
  X(WINDOW, windows)                                                                                           \
  X(LENGTHS, lengths)                                                                                          \
  X(HEADS, head_counts)                                                                                        \
  X(KV_LAYOUTS, kv_layouts)                                                                                    \
  X(OUT_LAYOUT, out_layouts)                                                                                   \
  X(STORAGE, storages)                                                                                         \
  X(Q_LAYOUT, q_layouts)                                                                                       \
  X(CAUSAL, causals)                                                                                           \
  X(SINKS, sinks)                                                                                              \
  X(SOFTCAP, softcaps)                                                                                         \
  X(SCALE, scales)                                                                                             \
  X(ALIBI, booleans)                                                                                           \
  X(PACK, booleans)                                                                                            \
  X(NUMERICS, numerics)                                                                                        \
  X(SCHEDULE, schedules)                                                                                       \
  X(UNQUANTIZED, booleans)                                                                                     \
  X(PRE_SCALE_KIND, pre_scales)

static const kernel_cell cells[] = {
#define CELL(name, what, scheme) { name, what, scheme },
#include "tests/kernels/cells.def"
#undef CELL
};
static const struct {
  uint32_t qk, v;
} dims[] = { { 64, 64 },   { 128, 128 }, { 80, 80 }, { 96, 96 },  { 192, 192 }, { 256, 256 },
             { 192, 128 }, { 8, 8 },     { 40, 24 }, { 104, 72 }, { 40, 256 },  { 88, 104 } };
// Ragged against every tile, one row, one key, no key, more queries than keys.
static const struct {
  uint32_t batch, q_len, kv_len;
} shapes[] = { { 2, 17, 33 }, { 1, 1, 1 },  { 1, 64, 64 }, { 1, 129, 257 }, { 2, 40, 100 }, { 1, 130, 40 },
               { 2, 1, 200 }, { 3, 5, 70 }, { 1, 5, 0 },   { 1, 66, 1 },    { 2, 0, 9 } };
static const struct {
  qn_mask_kind kind;
  bool f32, per_batch, per_head, per_query;
} masks[] = {
  { QN_MASK_NONE, false, false, false, false },   { QN_MASK_ADDITIVE, false, true, true, true },
  { QN_MASK_ADDITIVE, true, false, false, true }, { QN_MASK_ADDITIVE, false, true, false, false },
  { QN_MASK_ADDITIVE, true, false, true, false }, { QN_MASK_BOOLEAN, false, true, false, false },
  { QN_MASK_BOOLEAN, false, true, true, true },
};
// Chips with and without instructions for FP8, and one of each set of tiles.
static const qn_target targets[] = { QN_TARGET_sm_90a, QN_TARGET_sm_80, QN_TARGET_sm_86, QN_TARGET_sm_100a,
                                     QN_TARGET_sm_120a };
static const struct {
  qn_dtype dtype;
  qn_f32_mode mode;
} dtypes[] = {
  { QN_F16, QN_F32_TF32X3 }, { QN_BF16, QN_F32_TF32X3 }, { QN_F32, QN_F32_TF32X3 }, { QN_F32, QN_F32_TF32 }
};
static const struct {
  int32_t left, right;
} windows[] = { { -1, -1 }, { 16, -1 }, { -1, 9 }, { 30, 7 }, { 0, 0 } };
static const struct {
  kernel_lengths kind;
  qn_dtype dtype;
} lengths[] = { { LENGTHS_FIXED, QN_S32 },
                { LENGTHS_KV, QN_S32 },
                { LENGTHS_KV, QN_S64 },
                { LENGTHS_VARLEN, QN_S32 },
                { LENGTHS_VARLEN, QN_S64 } };
static const struct {
  uint32_t heads, kv_heads;
} head_counts[] = { { 2, 2 }, { 8, 2 }, { 4, 1 }, { 3, 1 }, { 6, 2 } };
static const qn_layout kv_layouts[][2] = { { QN_LAYOUT_BHSD, QN_LAYOUT_BHSD },
                                           { QN_LAYOUT_BSHD, QN_LAYOUT_BSHD },
                                           { QN_LAYOUT_BSM, QN_LAYOUT_BSM },
                                           { QN_LAYOUT_BSHD, QN_LAYOUT_BHSD } };
static const qn_layout out_layouts[] = { QN_LAYOUT_BHSD, QN_LAYOUT_BSHD, QN_LAYOUT_BSM, QN_LAYOUT_TM };
static const kernel_storage storages[] = { STORAGE_DENSE, STORAGE_PACKED, STORAGE_PADDED, STORAGE_UNALIGNED };
static const qn_layout q_layouts[] = { QN_LAYOUT_BHSD, QN_LAYOUT_BSHD, QN_LAYOUT_BSM };
static const qn_causal causals[] = { QN_CAUSAL_NONE, QN_CAUSAL_TOP_LEFT, QN_CAUSAL_BOTTOM_RIGHT };
enum { SINKS_NONE, SINKS_OF_Q, SINKS_F32 };
static const int sinks[] = { SINKS_NONE, SINKS_OF_Q, SINKS_F32 };
static const float softcaps[] = { 0, 1.5f, 30 };
static const float scales[] = { 0, 0.21f, -0.3f, 1.5f };
static const bool booleans[] = { false, true };
static const qn_numerics numerics[] = { QN_EXACT, QN_DIRECT };
static const qn_schedule schedules[] = { QN_SCHEDULE_mma, QN_SCHEDULE_split, QN_SCHEDULE_quantize };
enum { PRE_SCALE_OF_Q, PRE_SCALE_F32, PRE_SCALE_SHARED }; // where the cell has one
static const int pre_scales[] = { PRE_SCALE_OF_Q, PRE_SCALE_F32, PRE_SCALE_SHARED };

enum {
#define X(name, table) name,
  FACTOR_MAP(X)
#undef X
      FACTORS,
};

static const uint8_t choices[FACTORS] = {
#define X(name, table) QN_COUNT(table),
  FACTOR_MAP(X)
#undef X
};

// --- from choices to a case --------------------------------------------------------------------------------

// Sequences that lie end to end have no layout with a batch.
static qn_layout layout_of(qn_layout layout, kernel_lengths kind) {
  if (kind != LENGTHS_VARLEN) return layout;
  return layout == QN_LAYOUT_BSM || layout == QN_LAYOUT_TM ? QN_LAYOUT_TM : QN_LAYOUT_THD;
}

static qn_scheme scheme_of(const kernel_cell *cell) {
  qn_scheme scheme = qn_scheme_of(QN_SCHEME_none);
  (void)qn_scheme_parse(cell->scheme, &scheme); // test_cover sees to it that it is one
  return scheme;
}

static kernel_case make_case(qn_target only, const cover_row row) {
  qn_dtype dtype = dtypes[row[DTYPE]].dtype;
  kernel_lengths kind = lengths[row[LENGTHS]].kind;
  bool additive = masks[row[MASK]].kind == QN_MASK_ADDITIVE;
  int sink = sinks[row[SINKS]], pre_scale = pre_scales[row[PRE_SCALE_KIND]];
  const kernel_cell *cell = &cells[row[CELL]];
  bool pre_scaled = (cell->what & CELL_PRE_SCALE) != 0;
  return (kernel_case){
    .cell = cell,
    .target = only < QN_TARGET_COUNT ? only : targets[row[TARGET]],
    .dtype = dtype,
    .f32_mode = dtypes[row[DTYPE]].mode,
    .head_dim = dims[row[DIMS]].qk,
    .v_head_dim = dims[row[DIMS]].v,
    .heads = head_counts[row[HEADS]].heads,
    .kv_heads = head_counts[row[HEADS]].kv_heads,
    .pack_heads = booleans[row[PACK]],
    .batch = shapes[row[SHAPE]].batch,
    .q_len = shapes[row[SHAPE]].q_len,
    .kv_len = shapes[row[SHAPE]].kv_len,
    .causal = causals[row[CAUSAL]],
    .window_left = windows[row[WINDOW]].left,
    .window_right = windows[row[WINDOW]].right,
    .mask = masks[row[MASK]].kind,
    .mask_dtype = !additive              ? QN_BOOL
                  : masks[row[MASK]].f32 ? QN_F32
                                         : dtype,
    .mask_per_batch = masks[row[MASK]].per_batch,
    .mask_per_head = masks[row[MASK]].per_head,
    .mask_per_query = masks[row[MASK]].per_query,
    .alibi = booleans[row[ALIBI]],
    .softcap = softcaps[row[SOFTCAP]],
    .sinks = sink == SINKS_NONE  ? QN_ANY
             : sink == SINKS_F32 ? QN_F32
                                 : dtype,
    .lengths = kind,
    .lengths_dtype = lengths[row[LENGTHS]].dtype,
    .q_layout = layout_of(q_layouts[row[Q_LAYOUT]], kind),
    .k_layout = layout_of(kv_layouts[row[KV_LAYOUTS]][0], kind),
    .v_layout = layout_of(kv_layouts[row[KV_LAYOUTS]][1], kind),
    .out_layout = layout_of(out_layouts[row[OUT_LAYOUT]], kind),
    .storage = storages[row[STORAGE]],
    .schedule = schedules[row[SCHEDULE]],
    .scheme = scheme_of(cell),
    .pre_scale = !pre_scaled                   ? QN_ANY
                 : pre_scale == PRE_SCALE_OF_Q ? dtype
                                               : QN_F32,
    .pre_scale_shared = pre_scaled && pre_scale == PRE_SCALE_SHARED,
    .scale_bound = (cell->what & CELL_BOUND) != 0,
    .unquantized = booleans[row[UNQUANTIZED]],
    .scale_rows = (cell->what & CELL_ROWS) != 0,
    .numerics = numerics[row[NUMERICS]],
    .scale = scales[row[SCALE]],
  };
}

uint32_t kernel_cells_count(void) {
  return QN_COUNT(cells);
}

const kernel_cell *kernel_cells_get(uint32_t index) {
  return &cells[index];
}

qn_dtype kernel_case_twin_dtype(const kernel_case *c) {
  return c->numerics == QN_DIRECT ? QN_F32 : c->dtype;
}

bool kernel_case_is_merged(const kernel_case *c) {
  return c->out_layout == QN_LAYOUT_BSM || c->out_layout == QN_LAYOUT_TM;
}

// What only quantizes has no unfused form; the schedule mma gives it its rows.
qn_kernel_spec kernel_case_spec(const kernel_case *c, bool fused) {
  return (qn_kernel_spec){
    .target = c->target,
    .schedule = fused || c->schedule != QN_SCHEDULE_quantize ? c->schedule : QN_SCHEDULE_mma,
    .dtype = c->dtype,
    .out_dtype = fused ? c->dtype : kernel_case_twin_dtype(c),
    .head_dim = c->head_dim,
    .v_head_dim = c->v_head_dim,
    .heads = c->heads,
    .kv_heads = c->kv_heads,
    .causal = c->causal,
    .mask = c->mask,
    .mask_dtype = c->mask == QN_MASK_ADDITIVE ? c->mask_dtype : QN_ANY,
    .window_left = c->window_left,
    .window_right = c->window_right,
    .scale = c->scale,
    .softcap = c->softcap,
    .sinks_dtype = c->sinks,
    .alibi = c->alibi,
    .kv_lengths = c->lengths == LENGTHS_KV,
    .varlen = c->lengths == LENGTHS_VARLEN,
    .lengths_dtype = c->lengths == LENGTHS_FIXED ? QN_ANY : c->lengths_dtype,
    .pack_heads = c->pack_heads,
    .output = fused ? c->scheme : qn_scheme_of(QN_SCHEME_none),
    .pre_scale_dtype = fused ? c->pre_scale : QN_ANY,
    .scale_bound = fused && c->scale_bound,
    .unquantized = fused && c->unquantized,
    .numerics = fused ? c->numerics : QN_EXACT,
    .f32_mode = c->f32_mode,
  };
}

// --- choosing ----------------------------------------------------------------------------------------------

// What a cell says of groups must be so, and its scales need a place: tokens over all heads are those of a
// layout that merges the heads.
static bool fits_cell(const kernel_case *c, const qn_kernel_spec *spec) {
  qn_attention_args args = { .batch = c->batch, .q_len = c->q_len };
  bool in_groups = c->scheme.granularity == QN_PER_GROUP;
  if (in_groups && (c->v_head_dim % c->scheme.group != 0) != ((c->cell->what & CELL_OVER_HEADS) != 0))
    return false;
  if (c->scheme.pad && !kernel_case_is_merged(c)) return false;
  if (c->storage == STORAGE_UNALIGNED && qn_kernel_defers_unquantized(spec)) return false;
  // The factors of all heads lie beside each other in the last axis, or in the last two.
  if (c->pre_scale != QN_ANY && c->pre_scale_shared == kernel_case_is_merged(c)) return false;
  if (c->pre_scale != QN_ANY && !c->pre_scale_shared && c->out_layout == QN_LAYOUT_BHSD) return false;
  return !c->scheme.dynamic || qn_attention_args_set_dense_scales(spec, c->out_layout, c->q_len, &args);
}

// Two options of which the operation itself takes but one, or that a target refuses together.
static bool allows(const void *user, const cover_row row) {
  kernel_case c = make_case(*(const qn_target *)user, row);
  if (c.mask && c.lengths == LENGTHS_VARLEN) return false; // a mask has no place for a token of all sequences
  // Products of single TF32 numbers are so coarse that with scores of hundreds any output may be right.
  if (c.dtype == QN_F32 && c.f32_mode == QN_F32_TF32 && c.scale > 1) return false;
  if (c.schedule == QN_SCHEDULE_quantize && c.numerics == QN_DIRECT) return false; // its rows are rounded
  qn_kernel_spec spec = kernel_case_spec(&c, true), twin = kernel_case_spec(&c, false);
  return fits_cell(&c, &spec) && qn_target_supports(&spec, NULL) && qn_target_supports(&twin, NULL);
}

static cover_space space_of(const qn_target *only, uint8_t counts[FACTORS]) {
  memcpy(counts, choices, sizeof(choices));
  if (*only < QN_TARGET_COUNT) counts[TARGET] = 1;
  return (cover_space){ .factors = FACTORS, .choices = counts, .allows = allows, .user = only, .each = 2 };
}

// 533 tokens of 40 heads, once a family: counts that are multiples of nothing a kernel works in. Few keys and
// the smallest head_dim that the family's groups allow keep it cheap.
static uint32_t add_large_cases(const cover_space *space, uint32_t count,
                                kernel_case out_cases[KERNEL_CASES_MAX]) {
  uint32_t families = 0;
  for (uint32_t i = 0; i < QN_COUNT(cells) && count < KERNEL_CASES_MAX; i++) {
    cover_row row = { 0 };
    row[CELL] = (uint8_t)i, row[DTYPE] = 1, row[OUT_LAYOUT] = 2; // bf16, bsm
    kernel_case c = make_case(*(const qn_target *)space->user, row);
    bool groups_fit = c.scheme.granularity == QN_PER_GROUP && (c.cell->what & CELL_OVER_HEADS) == 0;
    c.head_dim = 16;
    c.v_head_dim = groups_fit ? c.scheme.group : 16;
    c.heads = c.kv_heads = 40;
    c.batch = 1, c.q_len = 533, c.kv_len = 3;
    qn_kernel_spec spec = kernel_case_spec(&c, true);
    if (families >> c.scheme.family & 1 || !fits_cell(&c, &spec) || !qn_target_supports(&spec, NULL)) continue;
    families |= 1u << c.scheme.family;
    out_cases[count++] = c;
  }
  return count;
}

uint32_t kernel_cases_cover(qn_target only, kernel_case out_cases[KERNEL_CASES_MAX], cover_totals *out_totals) {
  static cover_row rows[KERNEL_CASES_MAX]; // large for a stack
  uint8_t counts[FACTORS];
  cover_space space = space_of(&only, counts);
  uint32_t count = cover_pairs(&space, rows, KERNEL_CASES_MAX, out_totals);
  for (uint32_t i = 0; i < count; i++) out_cases[i] = make_case(only, rows[i]);
  return add_large_cases(&space, count, out_cases);
}

static const uint8_t product[] = { CELL, DIMS, MASK, DTYPE, KV_LAYOUTS };

uint32_t kernel_cases_count_product(void) {
  uint32_t count = 1;
  for (size_t i = 0; i < sizeof(product); i++) count *= choices[product[i]];
  return count;
}

bool kernel_cases_get_product(qn_target only, uint32_t index, uint64_t seed, kernel_case *out_case) {
  uint8_t counts[FACTORS];
  cover_space space = space_of(&only, counts);
  uint64_t random = seed + index;
  cover_row fixed, row;
  memset(fixed, COVER_ANY, sizeof(fixed));
  for (size_t i = 0; i < sizeof(product); i++) {
    fixed[product[i]] = (uint8_t)(index % choices[product[i]]);
    index /= choices[product[i]];
  }
  if (!cover_complete(&space, fixed, &random, row)) return false;
  *out_case = make_case(only, row);
  return true;
}
