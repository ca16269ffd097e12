// The factors of a case and their choices.
#include "tests/kernels/cases.h"

#include "ir/base_priv.h"

#include <stdio.h>

// The factors, those with many choices first; choice 0 of each is the plain one.
#define FACTOR_MAP(X)                                                                                          \
  X(SCHEME, schemes)                                                                                           \
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
  X(NUMERICS, numerics)

static const struct {
  qn_dtype target;
  qn_arithmetic arithmetic;
  qn_dtype scale_dtype, compute, round_input;
} schemes[] = {
  { QN_E4M3, QN_DIVIDE, QN_F32, QN_F32, QN_ANY },    { QN_E4M3, QN_RECIPROCAL, QN_F32, QN_F32, QN_ANY },
  { QN_E4M3, QN_MULTIPLY, QN_F32, QN_F32, QN_ANY },  { QN_E5M2, QN_DIVIDE, QN_F32, QN_F32, QN_ANY },
  { QN_E4M3, QN_DIVIDE, QN_F16, QN_F16, QN_ANY },    { QN_E4M3, QN_DIVIDE, QN_BF16, QN_BF16, QN_ANY },
  { QN_E4M3, QN_DIVIDE, QN_F32, QN_F32, QN_BF16 },   { QN_E5M2, QN_RECIPROCAL, QN_F16, QN_F32, QN_F16 },
  { QN_E5M2, QN_MULTIPLY, QN_BF16, QN_F16, QN_F32 },
};
static const struct {
  uint32_t qk, v;
} dims[] = { { 64, 64 },   { 128, 128 }, { 80, 80 }, { 96, 96 },  { 192, 192 }, { 256, 256 },
             { 192, 128 }, { 8, 8 },     { 40, 24 }, { 104, 72 }, { 40, 256 },  { 88, 104 } };
// Ragged against every tile, one row, one key, no key, more queries than keys.
static const struct {
  uint32_t batch, q_len, kv_len;
} shapes[] = { { 2, 17, 33 },  { 1, 1, 1 },   { 1, 64, 64 }, { 1, 129, 257 }, { 2, 40, 100 },
               { 1, 130, 40 }, { 2, 1, 200 }, { 3, 5, 70 },  { 1, 5, 0 },     { 1, 66, 1 } };
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

static qn_scheme scheme_of(uint8_t row) {
  qn_scheme scheme = qn_scheme_of(QN_SCHEME_fp8_static);
  scheme.target = schemes[row].target;
  scheme.arithmetic = schemes[row].arithmetic;
  scheme.scale_dtype = schemes[row].scale_dtype;
  scheme.compute = schemes[row].compute;
  scheme.round_input = schemes[row].round_input;
  return scheme;
}

static kernel_case make_case(qn_target only, const cover_row row) {
  qn_dtype dtype = dtypes[row[DTYPE]].dtype;
  kernel_lengths kind = lengths[row[LENGTHS]].kind;
  bool additive = masks[row[MASK]].kind == QN_MASK_ADDITIVE;
  int sink = sinks[row[SINKS]];
  return (kernel_case){
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
    .scheme = scheme_of(row[SCHEME]),
    .numerics = numerics[row[NUMERICS]],
    .scale = scales[row[SCALE]],
  };
}

qn_kernel_spec kernel_case_spec(const kernel_case *c, bool fused) {
  return (qn_kernel_spec){
    .target = c->target,
    .dtype = c->dtype,
    .out_dtype = c->dtype,
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
    .numerics = fused ? c->numerics : QN_EXACT,
    .f32_mode = c->f32_mode,
  };
}

// --- choosing ----------------------------------------------------------------------------------------------

// Two options of which the operation itself takes but one, or that a target refuses together.
static bool allows(const void *user, const cover_row row) {
  kernel_case c = make_case(*(const qn_target *)user, row);
  if (c.mask && c.lengths == LENGTHS_VARLEN) return false; // a mask has no place for a token of all sequences
  // Products of single TF32 numbers are so coarse that with scores of hundreds any output may be right.
  if (c.dtype == QN_F32 && c.f32_mode == QN_F32_TF32 && c.scale > 1) return false;
  qn_kernel_spec spec = kernel_case_spec(&c, true);
  return qn_target_supports(&spec, NULL);
}

static cover_space space_of(const qn_target *only, uint8_t counts[FACTORS]) {
  memcpy(counts, choices, sizeof(choices));
  if (*only < QN_TARGET_COUNT) counts[TARGET] = 1;
  return (cover_space){ .factors = FACTORS, .choices = counts, .allows = allows, .user = only };
}

uint32_t kernel_cases_cover(qn_target only, kernel_case out_cases[KERNEL_CASES_MAX], cover_totals *out_totals) {
  static cover_row rows[KERNEL_CASES_MAX]; // large for a stack
  uint8_t counts[FACTORS];
  cover_space space = space_of(&only, counts);
  uint32_t count = cover_pairs(&space, rows, KERNEL_CASES_MAX, out_totals);
  for (uint32_t i = 0; i < count; i++) out_cases[i] = make_case(only, rows[i]);
  return count;
}

static const uint8_t product[] = { SCHEME, DIMS, MASK, DTYPE, KV_LAYOUTS };

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

// --- in words ----------------------------------------------------------------------------------------------

static const char *const layouts[] = { "bhsd", "bshd", "bsm", "tm", "thd" };

// Options in the order in which a person would name them; those that are plain are left out.
void kernel_case_format(const kernel_case *c, char out_text[512]) {
  static const char *const causal_words[] = { "none", "top_left", "bottom_right" };
  static const char *const storage_words[] = { "dense", "packed", "padded", "unaligned" };
  char scheme[QN_SCHEME_TEXT_MAX];
  size_t at = 0;
#define ADD(...) at += (size_t)snprintf(out_text + at, at < 512 ? 512 - at : 0, __VA_ARGS__)
  qn_scheme_format(&c->scheme, scheme);
  ADD("%s %s%s d%u", qn_target_name(c->target), qn_dtype_name(c->dtype),
      c->dtype == QN_F32 && c->f32_mode == QN_F32_TF32 ? "(tf32)" : "", c->head_dim);
  if (c->v_head_dim != c->head_dim) ADD("/%u", c->v_head_dim);
  ADD(" h%u/%u%s b%u q%u kv%u", c->heads, c->kv_heads, c->pack_heads ? " packed heads" : "", c->batch, c->q_len,
      c->kv_len);
  if (c->causal) ADD(" causal=%s", causal_words[c->causal]);
  if (c->window_left >= 0 || c->window_right >= 0) ADD(" window=%d,%d", c->window_left, c->window_right);
  if (c->mask)
    ADD(" mask=%s:%s%s%s", qn_dtype_name(c->mask_dtype), c->mask_per_batch ? "b" : "1",
        c->mask_per_head ? "h" : "1", c->mask_per_query ? "q" : "1");
  if (c->alibi) ADD(" alibi");
  if (c->softcap > 0) ADD(" softcap=%g", (double)c->softcap);
  if (c->sinks != QN_ANY) ADD(" sinks=%s", qn_dtype_name(c->sinks));
  if (c->lengths)
    ADD(" %s=%s", c->lengths == LENGTHS_KV ? "kv_lengths" : "varlen", qn_dtype_name(c->lengths_dtype));
  if (c->scale != 0) ADD(" scale=%g", (double)c->scale);
  ADD(" %s,%s,%s>%s %s %s%s", layouts[c->q_layout], layouts[c->k_layout], layouts[c->v_layout],
      layouts[c->out_layout], storage_words[c->storage], scheme, c->numerics == QN_EXACT ? "" : " direct");
#undef ADD
}
