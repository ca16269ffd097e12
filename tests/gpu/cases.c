// Chooses the cases: a greedy cover of all pairs of choices.
#include "tests/gpu/cases.h"

#include <stdio.h>
#include <string.h>

// The factors and how many choices each has.
#define FACTOR_MAP(X)                                                                                          \
  X(DTYPE, 3)                                                                                                  \
  X(HEAD_DIM, 2)                                                                                               \
  X(HEADS, 3)                                                                                                  \
  X(SHAPE, 7)                                                                                                  \
  X(CAUSAL, 3)                                                                                                 \
  X(MASK, 5)                                                                                                   \
  X(Q_LAYOUT, 3)                                                                                               \
  X(KV_LAYOUTS, 4)                                                                                             \
  X(OUT_LAYOUT, 4)                                                                                             \
  X(SCHEME, 7)                                                                                                 \
  X(NUMERICS, 2)                                                                                               \
  X(SCALE, 2)

enum {
#define X(name, choices) name,
  FACTOR_MAP(X)
#undef X
      FACTORS,
  CHOICES_MAX = 8,
  CANDIDATES = 64 // tried for each case
};

static const uint8_t choices[FACTORS] = {
#define X(name, count) count,
  FACTOR_MAP(X)
#undef X
};

static const qn_dtype dtypes[] = { QN_F16, QN_BF16, QN_F32 };
static const uint32_t head_dims[] = { 64, 128 };
static const uint32_t head_counts[][2] = { { 4, 4 }, { 8, 2 }, { 3, 1 } };
// Ragged against every tile, one row, one key, more queries than keys.
static const uint32_t shapes[][3] = { { 1, 1, 1 },    { 2, 17, 33 },  { 1, 128, 128 }, { 1, 129, 257 },
                                      { 3, 64, 200 }, { 1, 200, 64 }, { 2, 1, 300 } };
static const struct {
  qn_mask_kind kind;
  bool f32, per_batch, per_head, per_query;
} masks[] = {
  { QN_MASK_NONE, false, false, false, false },   { QN_MASK_ADDITIVE, false, true, true, true },
  { QN_MASK_ADDITIVE, true, false, false, true }, { QN_MASK_BOOLEAN, false, true, false, false },
  { QN_MASK_BOOLEAN, false, true, true, true },
};
static const qn_layout kv_layouts[][2] = { { QN_LAYOUT_BHSD, QN_LAYOUT_BHSD },
                                           { QN_LAYOUT_BSHD, QN_LAYOUT_BSHD },
                                           { QN_LAYOUT_BSM, QN_LAYOUT_BSM },
                                           { QN_LAYOUT_BSHD, QN_LAYOUT_BHSD } };
static const struct {
  qn_dtype target;
  qn_arithmetic arithmetic;
  qn_dtype scale_dtype, compute, round_input;
} schemes[] = {
  { QN_E4M3, QN_DIVIDE, QN_F32, QN_F32, QN_ANY },   { QN_E4M3, QN_RECIPROCAL, QN_F32, QN_F32, QN_ANY },
  { QN_E4M3, QN_MULTIPLY, QN_F32, QN_F32, QN_ANY }, { QN_E5M2, QN_DIVIDE, QN_F32, QN_F32, QN_ANY },
  { QN_E4M3, QN_DIVIDE, QN_F16, QN_F16, QN_ANY },   { QN_E4M3, QN_DIVIDE, QN_BF16, QN_BF16, QN_ANY },
  { QN_E4M3, QN_DIVIDE, QN_F32, QN_F32, QN_BF16 },
};

static uint32_t next_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*state >> 33);
}

typedef bool pair_table[FACTORS][CHOICES_MAX][FACTORS][CHOICES_MAX];

// How many pairs a row covers that were not; with `mark` they are from now on.
static uint32_t cover(pair_table covered, const uint8_t row[FACTORS], bool mark) {
  uint32_t fresh = 0;
  for (int a = 0; a < FACTORS; a++)
    for (int b = a + 1; b < FACTORS; b++) {
      bool *pair = &covered[a][row[a]][b][row[b]];
      fresh += !*pair;
      if (mark) *pair = true;
    }
  return fresh;
}

static uint32_t count_pairs(void) {
  uint32_t count = 0;
  for (int a = 0; a < FACTORS; a++)
    for (int b = a + 1; b < FACTORS; b++) count += (uint32_t)choices[a] * choices[b];
  return count;
}

static gpu_case make_case(const uint8_t row[FACTORS]) {
  qn_dtype dtype = dtypes[row[DTYPE]];
  qn_scheme scheme = qn_scheme_of(QN_SCHEME_fp8_static);
  scheme.target = schemes[row[SCHEME]].target;
  scheme.arithmetic = schemes[row[SCHEME]].arithmetic;
  scheme.scale_dtype = schemes[row[SCHEME]].scale_dtype;
  scheme.compute = schemes[row[SCHEME]].compute;
  scheme.round_input = schemes[row[SCHEME]].round_input;
  return (gpu_case){
    .dtype = dtype,
    .head_dim = head_dims[row[HEAD_DIM]],
    .heads = head_counts[row[HEADS]][0],
    .kv_heads = head_counts[row[HEADS]][1],
    .batch = shapes[row[SHAPE]][0],
    .q_len = shapes[row[SHAPE]][1],
    .kv_len = shapes[row[SHAPE]][2],
    .causal = (qn_causal)row[CAUSAL],
    .mask = masks[row[MASK]].kind,
    .mask_dtype = masks[row[MASK]].kind != QN_MASK_ADDITIVE ? QN_BOOL
                  : masks[row[MASK]].f32                    ? QN_F32
                                                            : dtype,
    .mask_per_batch = masks[row[MASK]].per_batch,
    .mask_per_head = masks[row[MASK]].per_head,
    .mask_per_query = masks[row[MASK]].per_query,
    .q_layout = (qn_layout)row[Q_LAYOUT],
    .k_layout = kv_layouts[row[KV_LAYOUTS]][0],
    .v_layout = kv_layouts[row[KV_LAYOUTS]][1],
    .out_layout = (qn_layout)row[OUT_LAYOUT],
    .scheme = scheme,
    .numerics = (qn_numerics)row[NUMERICS],
    .scale = row[SCALE] ? 0.21f : 0,
  };
}

uint32_t gpu_cases_list(gpu_case out_cases[GPU_CASES_MAX]) {
  static pair_table covered; // large for a stack; cleared for every call
  memset(covered, 0, sizeof(covered));
  uint64_t random = 1;
  uint32_t left = count_pairs(), count = 0;
  while (left > 0 && count < GPU_CASES_MAX) {
    uint8_t best[FACTORS] = { 0 };
    uint32_t best_fresh = 0;
    for (int i = 0; i < CANDIDATES; i++) {
      uint8_t row[FACTORS];
      for (int f = 0; f < FACTORS; f++) row[f] = (uint8_t)(next_random(&random) % choices[f]);
      uint32_t fresh = cover(covered, row, false);
      if (fresh <= best_fresh) continue;
      best_fresh = fresh;
      memcpy(best, row, sizeof(best));
    }
    if (best_fresh == 0) continue; // other candidates
    left -= cover(covered, best, true);
    out_cases[count++] = make_case(best);
  }
  return count;
}

void gpu_case_format(const gpu_case *c, char out_text[512]) {
  static const char *const layouts[] = { "bhsd", "bshd", "bsm", "tm" };
  static const char *const causals[] = { "none", "top_left", "bottom_right" };
  static const char *const kinds[] = { "none", "additive", "boolean" };
  char scheme[QN_SCHEME_TEXT_MAX];
  qn_scheme_format(&c->scheme, scheme);
  snprintf(out_text, 512, "%s d%u h%u/%u b%u q%u kv%u causal=%s mask=%s%s%s layouts=%s,%s,%s,%s scale=%g %s %s",
           qn_dtype_name(c->dtype), c->head_dim, c->heads, c->kv_heads, c->batch, c->q_len, c->kv_len,
           causals[c->causal], kinds[c->mask], c->mask ? ":" : "", c->mask ? qn_dtype_name(c->mask_dtype) : "",
           layouts[c->q_layout], layouts[c->k_layout], layouts[c->v_layout], layouts[c->out_layout],
           (double)c->scale, scheme, c->numerics == QN_EXACT ? "exact" : "direct");
}
