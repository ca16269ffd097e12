// attention against an independent definition in f64: a boolean matrix of what each query sees, then three
// loops over it. Every layout, alignment, mask, window and grouping.
#include "reference_test.h"

#include <math.h>
#include <stdio.h>

typedef struct {
  int batch, heads, kv_heads, length, kv_length, dim, v_dim, past;
  const char *causal, *q_layout, *k_layout, *v_layout, *out_layout;
  int left, right;
  double softcap, scale;
  int mask; // 0 none, 1 float [B,1,S,N], 2 bool [H,S,N], 3 bool [S,N-1], 4 float [1,N]
  bool lengths, sinks, alibi;
  const int *q_lens, *kv_lens; // of sequences that lie end to end in layouts thd and tm; NULL: all are the same
} shape;

enum { VALUES_MAX = 4096 };
typedef struct {
  double q[VALUES_MAX], k[VALUES_MAX], v[VALUES_MAX], mask[VALUES_MAX], out[VALUES_MAX], sinks[16], slopes[16];
  int64_t lengths[8];
} data;

// Values of few bits, so that they are exact in every type.
static double noise(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return ((double)(*state >> 24) - 128) / 32;
}

static int q_length(const shape *s, int b) {
  return s->q_lens ? s->q_lens[b] : s->length;
}
static int kv_length(const shape *s, int b) {
  return s->kv_lens ? s->kv_lens[b] : s->kv_length;
}

// --- the definition ----------------------------------------------------------------------------------------

static double mask_at(const shape *s, const data *d, int b, int h, int i, int j) {
  int n = s->past + s->kv_length;
  switch (s->mask) {
  case 1: return d->mask[(b * s->length + i) * n + j];
  case 2: return d->mask[(h * s->length + i) * n + j] != 0 ? 0 : -(double)INFINITY;
  case 3: return j < n - 1 && d->mask[i * (n - 1) + j] != 0 ? 0 : -(double)INFINITY;
  case 4: return d->mask[j];
  default: return 0;
  }
}

// By how much the first query is moved along the keys.
static int shift_of(const shape *s, const data *d, int b) {
  if (s->past > 0) return s->past;
  if (s->lengths) return (int)d->lengths[b] - s->length;
  return strcmp(s->causal, "bottom_right") == 0 ? kv_length(s, b) - q_length(s, b) : 0;
}

static bool sees(const shape *s, const data *d, int b, int i, int j) {
  int at = i + shift_of(s, d, b);
  if (s->lengths && j >= d->lengths[b]) return false;
  if (strcmp(s->causal, "none") != 0 && j > at) return false;
  if (s->left >= 0 && j < at - s->left) return false;
  return s->right < 0 || j <= at + s->right;
}

// d->q, k, v are [B,heads,length,dim]; k and v with the past in front.
static void define(const shape *s, data *d) {
  int n = s->past + s->kv_length;
  double scale = s->scale != 0 ? s->scale : 1 / sqrt(s->dim);
  for (int b = 0; b < s->batch; b++)
    for (int h = 0; h < s->heads; h++)
      for (int i = 0; i < q_length(s, b); i++) {
        int g = h * s->kv_heads / s->heads, seen = s->past + kv_length(s, b);
        double weights[64], sum = 0, largest = -(double)INFINITY;
        for (int j = 0; j < seen; j++) {
          double dot = 0;
          for (int e = 0; e < s->dim; e++)
            dot += d->q[((b * s->heads + h) * s->length + i) * s->dim + e] *
                   d->k[((b * s->kv_heads + g) * n + j) * s->dim + e];
          dot *= scale;
          if (s->softcap > 0) dot = s->softcap * tanh(dot / s->softcap);
          if (s->alibi) dot -= d->slopes[h] * abs(i + shift_of(s, d, b) - j);
          weights[j] = sees(s, d, b, i, j) ? dot + mask_at(s, d, b, h, i, j) : -(double)INFINITY;
          largest = fmax(largest, weights[j]);
        }
        if (s->sinks && !isinf(largest)) largest = fmax(largest, d->sinks[h]), sum = exp(d->sinks[h] - largest);
        for (int j = 0; j < seen; j++) {
          weights[j] = isinf(largest) ? 0 : exp(weights[j] - largest);
          sum += weights[j];
        }
        for (int e = 0; e < s->v_dim; e++) {
          double total = 0;
          for (int j = 0; j < seen; j++)
            if (weights[j] != 0)
              total += weights[j] / sum * d->v[((b * s->kv_heads + g) * n + j) * s->v_dim + e];
          d->out[((b * s->heads + h) * s->length + i) * s->v_dim + e] = total;
        }
      }
}

// --- the graph ---------------------------------------------------------------------------------------------

// The position of element (b, h, s, e) in a layout; `start` is the first token of b.
static int place_of(const char *layout, int heads, int length, int dim, int b, int start, int h, int s, int e) {
  if (strcmp(layout, "bhsd") == 0) return ((b * heads + h) * length + s) * dim + e;
  return ((start + s) * heads + h) * dim + e;
}

static bool is_tokens(const char *layout) {
  return strcmp(layout, "tm") == 0 || strcmp(layout, "thd") == 0;
}
static bool is_merged(const char *layout) {
  return strcmp(layout, "tm") == 0 || strcmp(layout, "bsm") == 0;
}
static int rank_of(const char *layout) {
  return 4 - is_tokens(layout) - is_merged(layout);
}

// The tokens of the sequences in front of b.
static int start_of(const int *lengths, int length, int b) {
  int start = 0;
  for (int i = 0; i < b; i++) start += lengths ? lengths[i] : length;
  return start;
}

typedef struct {
  float values[5][VALUES_MAX], sinks[16], slopes[16];
  uint8_t flags[VALUES_MAX];
  int32_t starts[2][8];
  qn_tensor tensors[12];
  uint32_t count;
  char header[512];
} inputs;

static void add(inputs *in, const char *name, qn_dtype dtype, const void *values, int rank,
                const int64_t *dims) {
  qn_tensor *tensor = &in->tensors[in->count++];
  uint64_t count = 1;
  char text[32];
  *tensor = (qn_tensor){ .dtype = dtype, .rank = rank, .data = values };
  for (int i = 0; i < rank; i++) count *= (uint64_t)(tensor->dims[i] = dims[i]);
  tensor->bytes = qn_dtype_bytes(dtype, count);
  snprintf(text, sizeof(text), "%s%s: %s[", in->count > 1 ? ", " : "", name, qn_dtype_name(dtype));
  strcat(in->header, text);
  for (int i = 0; i < rank; i++) {
    snprintf(text, sizeof(text), "%s%lld", i ? "," : "", (long long)dims[i]);
    strcat(in->header, text);
  }
  strcat(in->header, "]");
}

static void add_side(inputs *in, int slot, const char *name, const char *past_name, const char *layout,
                     const double *values, int batch, int heads, int past, int fresh, const int *lengths,
                     int dim) {
  float *to = in->values[slot];
  for (int b = 0; b < batch; b++)
    for (int h = 0; h < heads; h++)
      for (int s = 0; s < (lengths ? lengths[b] : fresh); s++)
        for (int e = 0; e < dim; e++)
          to[place_of(layout, heads, fresh, dim, b, start_of(lengths, fresh, b), h, s, e)] =
              (float)values[((b * heads + h) * (past + fresh) + past + s) * dim + e];
  int64_t tokens = start_of(lengths, fresh, batch);
  int64_t bhsd[4] = { batch, heads, fresh, dim }, bshd[4] = { batch, fresh, heads, dim },
          bsm[3] = { batch, fresh, heads * dim }, tm[2] = { tokens, heads * dim },
          thd[3] = { tokens, heads, dim };
  add(in, name, QN_F32, to, rank_of(layout),
      strcmp(layout, "bhsd") == 0  ? bhsd
      : strcmp(layout, "bsm") == 0 ? bsm
      : strcmp(layout, "tm") == 0  ? tm
      : strcmp(layout, "thd") == 0 ? thd
                                   : bshd);
  if (past == 0 || !past_name) return;
  float *before = to + batch * heads * fresh * dim;
  for (int bh = 0; bh < batch * heads; bh++)
    for (int s = 0; s < past; s++)
      for (int e = 0; e < dim; e++)
        before[(bh * past + s) * dim + e] = (float)values[(bh * (past + fresh) + s) * dim + e];
  add(in, past_name, QN_F32, before, 4, (int64_t[]){ batch, heads, past, dim });
}

static void add_mask(inputs *in, const shape *s, const data *d) {
  int64_t n = s->past + s->kv_length;
  int64_t dims[5][4] = {
    { 0 }, { s->batch, 1, s->length, n }, { s->heads, s->length, n }, { s->length, n - 1 }, { 1, n }
  };
  static const int ranks[5] = { 0, 4, 3, 2, 2 };
  if (s->mask == 0) return;
  bool boolean = s->mask == 2 || s->mask == 3;
  for (int i = 0; i < VALUES_MAX; i++) in->values[3][i] = (float)d->mask[i], in->flags[i] = d->mask[i] != 0;
  add(in, "mask", boolean ? QN_BOOL : QN_F32, boolean ? (const void *)in->flags : in->values[3], ranks[s->mask],
      dims[s->mask]);
}

static void add_per_head(inputs *in, const char *name, float *to, const double *values, int heads) {
  for (int h = 0; h < heads; h++) to[h] = (float)values[h];
  add(in, name, QN_F32, to, 1, (int64_t[]){ heads });
}

static void add_starts(inputs *in, const char *name, int32_t *to, const int *lengths, int batch) {
  for (int b = 0; b <= batch; b++) to[b] = start_of(lengths, 0, b);
  add(in, name, QN_S32, to, 1, (int64_t[]){ batch + 1 });
}

static void check_shape(const shape *s, uint32_t seed) {
  data *d = calloc(1, sizeof(*d));
  inputs *in = calloc(1, sizeof(*in));
  char text[1024], heads[64] = "";
  int n = s->past + s->kv_length;
  for (int i = 0; i < VALUES_MAX; i++) {
    d->q[i] = noise(&seed), d->k[i] = noise(&seed), d->v[i] = noise(&seed);
    double m = noise(&seed);
    d->mask[i] = s->mask == 2 || s->mask == 3 ? m > 0 : m > 3 ? -(double)INFINITY : m;
  }
  for (int b = 0; b < s->batch; b++) d->lengths[b] = (b * 2 + 1) % (s->kv_length + 1);
  for (int h = 0; h < s->heads; h++) d->sinks[h] = noise(&seed), d->slopes[h] = ldexp(1, -h - 1);
  define(s, d);
  add_side(in, 0, "q", NULL, s->q_layout, d->q, s->batch, s->heads, 0, s->length, s->q_lens, s->dim);
  add_side(in, 1, "k", "pk", s->k_layout, d->k, s->batch, s->kv_heads, s->past, s->kv_length, s->kv_lens,
           s->dim);
  add_side(in, 2, "v", "pv", s->v_layout, d->v, s->batch, s->kv_heads, s->past, s->kv_length, s->kv_lens,
           s->v_dim);
  add_mask(in, s, d);
  if (s->lengths) add(in, "lengths", QN_S64, d->lengths, 1, (int64_t[]){ s->batch });
  if (s->sinks) add_per_head(in, "sinks", in->sinks, d->sinks, s->heads);
  if (s->alibi) add_per_head(in, "slopes", in->slopes, d->slopes, s->heads);
  if (s->q_lens) add_starts(in, "cq", in->starts[0], s->q_lens, s->batch);
  if (s->q_lens) add_starts(in, "ck", in->starts[1], s->kv_lens, s->batch);
  if (is_merged(s->q_layout) || is_merged(s->k_layout) || is_merged(s->v_layout))
    snprintf(heads, sizeof(heads), ", heads=%d, kv_heads=%d", s->heads, s->kv_heads);
  snprintf(text, sizeof(text),
           "graph (%s) {\n  o: f32[...] = attention(q, k, v, %s, %s, %s, %s, _, %s, %s, %s, %s)[causal=%s, "
           "q_layout=%s, "
           "k_layout=%s, v_layout=%s, "
           "out_layout=%s, window_left=%d, window_right=%d, softcap=%g, scale=%g%s]\n  return o\n}\n",
           in->header, s->mask ? "mask" : "_", s->past ? "pk" : "_", s->past ? "pv" : "_",
           s->lengths ? "lengths" : "_", s->sinks ? "sinks" : "_", s->alibi ? "slopes" : "_",
           s->q_lens ? "cq" : "_", s->q_lens ? "ck" : "_", s->causal, s->q_layout, s->k_layout, s->v_layout,
           s->out_layout, s->left, s->right, s->softcap, s->scale, heads);
  for (int mode = 0; mode < 2; mode++) {
    outcome out = run_text(text, (qn_reference_mode)mode, in->tensors, in->count);
    cr_assert_eq(out.status, QN_OK, "%s: %s\n%s", qn_context_get_error(out.context)->place,
                 qn_context_get_error(out.context)->message, text);
    const qn_tensor *found = qn_results_get(out.results, 0);
    cr_assert_eq(found->rank, rank_of(s->out_layout));
    for (int b = 0; b < s->batch; b++)
      for (int h = 0; h < s->heads; h++)
        for (int i = 0; i < q_length(s, b); i++)
          for (int e = 0; e < s->v_dim; e++) {
            int at = place_of(s->out_layout, s->heads, s->length, s->v_dim, b,
                              start_of(s->q_lens, s->length, b), h, i, e);
            double value =
                mode == 0 ? (double)((const float *)found->data)[at] : ((const double *)found->data)[at];
            double wanted = d->out[((b * s->heads + h) * s->length + i) * s->v_dim + e];
            // v is below 4; scores below 128, whose f32 rounding is 2^-17: exp carries it over as it is.
            cr_assert(fabs(value - wanted) <= (mode == 0 ? 1e-4 : 1e-12),
                      "(%d,%d,%d,%d) is %g, not %g, n=%d\n%s", b, h, i, e, value, wanted, n, text);
          }
    end(&out);
  }
  free(in);
  free(d);
}

#define PLAIN                                                                                                  \
  .batch = 2, .heads = 4, .kv_heads = 2, .length = 3, .kv_length = 5, .dim = 8, .v_dim = 6, .causal = "none",  \
  .q_layout = "bhsd", .k_layout = "bhsd", .v_layout = "bhsd", .out_layout = "bhsd", .left = -1, .right = -1
#pragma GCC diagnostic ignored "-Woverride-init"

Test(attention, every_combination_of_layouts) {
  static const char *const in[] = { "bhsd", "bshd", "bsm" }, *const out[] = { "bhsd", "bshd", "bsm", "tm",
                                                                              "thd" };
  for (uint32_t i = 0; i < 135; i++)
    check_shape(&(shape){ PLAIN, .q_layout = in[i % 3], .k_layout = in[i / 3 % 3], .v_layout = in[i / 9 % 3],
                          .out_layout = out[i / 27] },
                i);
}

Test(attention, every_combination_of_masks) {
  static const char *const causal[] = { "none", "top_left", "bottom_right" };
  uint32_t seed = 0;
  for (int c = 0; c < 3; c++)
    for (int mask = 0; mask < 5; mask++)
      for (int window = 0; window < 4; window++)
        for (int cache = 0; cache < 3; cache++)
          check_shape(&(shape){ PLAIN, .causal = causal[c], .mask = mask, .left = window & 1 ? 1 : -1,
                                .right = window & 2 ? 0 : -1, .past = cache == 1 ? 2 : 0,
                                .lengths = cache == 2 },
                      seed++);
}

Test(attention, groups_softcap_scale_and_long_queries) {
  static const int heads[][2] = { { 1, 1 }, { 4, 4 }, { 4, 1 }, { 6, 3 } };
  for (uint32_t i = 0; i < 4; i++) {
    check_shape(&(shape){ PLAIN, .heads = heads[i][0], .kv_heads = heads[i][1], .softcap = 5, .scale = 0.125 },
                i);
    check_shape(
        &(shape){ PLAIN, .heads = heads[i][0], .kv_heads = heads[i][1], .causal = "bottom_right", .length = 7 },
        i);
  }
}

Test(attention, sinks_and_slopes_with_every_mask) {
  static const char *const causal[] = { "none", "top_left", "bottom_right" };
  uint32_t seed = 100;
  for (int c = 0; c < 3; c++)
    for (int mask = 0; mask < 5; mask++)
      for (int cache = 0; cache < 3; cache++)
        for (int what = 1; what < 4; what++)
          check_shape(&(shape){ PLAIN, .causal = causal[c], .mask = mask, .left = mask & 1 ? 2 : -1,
                                .past = cache == 1 ? 2 : 0, .lengths = cache == 2, .sinks = what & 1,
                                .alibi = what & 2, .softcap = what == 3 ? 4 : 0 },
                      seed++);
}

// Sequences without queries, without keys, without both, and more queries than keys.
Test(attention, sequences_end_to_end) {
  static const char *const causal[] = { "none", "top_left", "bottom_right" }, *const layouts[] = { "thd",
                                                                                                   "tm" };
  static const int q[][5] = { { 3, 0, 2, 4, 0 }, { 4, 4, 1, 0, 2 } },
                   kv[][5] = { { 5, 2, 0, 3, 0 }, { 1, 2, 7, 3, 2 } };
  uint32_t seed = 500;
  for (int c = 0; c < 3; c++)
    for (int l = 0; l < 16; l++)
      for (int lengths = 0; lengths < 2; lengths++)
        for (int what = 0; what < 4; what++)
          check_shape(&(shape){ PLAIN, .batch = 5, .length = 4, .kv_length = 7, .q_lens = q[lengths],
                                .kv_lens = kv[lengths], .causal = causal[c], .q_layout = layouts[l & 1],
                                .k_layout = layouts[l >> 1 & 1], .v_layout = layouts[l >> 2 & 1],
                                .out_layout = layouts[l >> 3], .sinks = what & 1, .alibi = what & 2,
                                .left = l & 1 ? 1 : -1, .right = what & 1 ? 0 : -1 },
                      seed++);
}

// --- rows and stages ---------------------------------------------------------------------------------------

#define QKV                                                                                                    \
  "  q: f32[1,1,2,1] = const[value={1, 2}]\n  k: f32[1,1,3,1] = const[value={1, 2, 3}]\n"                      \
  "  v: f32[1,1,3,1] = const[value={1, 4, 16}]\n"

PAIRS(attention, a_row_without_keys_is_zero,
      QKV "  m: bool[2,3] = const[value={0, 0, 0, 0, 1, 0}]\n  o: f32[1,1,2,1] = attention(q, k, v, m)\n"
          "  w: f32[1,1,2,1] = const[value={0, 4}]\n"
          "  f: f32[2,3] = const[value={-inf, -inf, -inf, -inf, 0, -inf}]\n  p: f32[1,1,2,1] = attention(q, k, "
          "v, f)\n"
          "  return o, w, p, w\n")
// A sink of -inf is none; one that is far above the scores takes all, and a row without keys stays zero.
PAIRS(attention, sinks_at_the_ends,
      QKV
      "  m: bool[2,3] = const[value={1, 1, 1, 0, 0, 0}]\n  n: f32[1] = const[value={-inf}]\n"
      "  o: f32[1,1,2,1] = attention(q, k, v, m, _, _, _, _, n)\n  p: f32[1,1,2,1] = attention(q, k, v, m)\n"
      "  f: f32[1] = const[value={200}]\n  r: f32[1,1,2,1] = attention(q, k, v, m, _, _, _, _, f)\n"
      "  w: f32[1,1,2,1] = const[value={0, 0}]\n  return o, p, r, w\n")
PAIRS(attention, finfo_min_gives_the_mean,
      QKV "  m: f32[1,3] = const[value={-3.4028235e38, -3.4028235e38, -3.4028235e38}]\n"
          "  o: f32[1,1,2,1] = attention(q, k, v, m)\n  w: f32[1,1,2,1] = const[value={7, 7}]\n  return o, w\n")
PAIRS(attention, stages_of_the_scores,
      QKV
      "  m: bool[1,3] = const[value={1, 1, 0}]\n"
      "  a: f32[1,1,2,1], a1, a2, a3, ak: f32[1,1,3,1], av: f32[1,1,3,1], s: f32[1,1,2,3] = attention(q, k, v, "
      "m)[softcap=2, scale=1]\n"
      "  b: f32[1,1,2,1], b1, b2, b3, bk: f32[1,1,3,1], bv: f32[1,1,3,1], t: f32[1,1,2,3] = attention(q, k, v, "
      "m)[softcap=2, scale=1, scores_mode=2]\n"
      "  ws: f32[1,1,2,3] = const[value={1, 2, 3, 2, 4, 6}]\n"
      "  wt: f32[1,1,2,3] = const[value={0.92423433, 1.52318835, -inf, 1.52318835, 1.92805517, -inf}]\n"
      "  return s, ws, t, wt, ak, k, bv, v\n")

// --- what does not fit -------------------------------------------------------------------------------------

#define TOKENS(lengths)                                                                                        \
  "  q: f32[2,1,1] = const[value={1, 2}]\n  k: f32[3,1,1] = const[value={1, 2, 3}]\n" lengths                  \
  "  o: f32[2,1,1] = attention(q, k, k, _, _, _, _, _, _, _, c, d)[q_layout=thd, k_layout=thd, "               \
  "v_layout=thd, out_layout=thd]\n  return o\n"
FAILS(attention, lengths_that_do_not_rise, QN_INVALID, "'o' (attention)",
      "cu_seqlens_kv[1] is 4, cumulative lengths rise from 0 to 3",
      TOKENS("  c: s32[3] = const[value={0, 1, 2}]\n  d: s32[3] = const[value={0, 4, 3}]\n"))
FAILS(attention, lengths_that_leave_tokens, QN_INVALID, "'o' (attention)", "cu_seqlens_q ends at 1 of 2 tokens",
      TOKENS("  c: s32[3] = const[value={0, 1, 1}]\n  d: s32[3] = const[value={0, 3, 3}]\n"))
FAILS(attention, lengths_that_do_not_start_at_0, QN_INVALID, "'o' (attention)",
      "cu_seqlens_q[0] is 1, cumulative lengths rise from 0 to 2",
      TOKENS("  c: s32[3] = const[value={1, 1, 2}]\n  d: s32[3] = const[value={0, 3, 3}]\n"))
FAILS(attention, no_lengths_at_all, QN_INVALID, "'o' (attention)", "cu_seqlens_q has no element",
      TOKENS("  c: s32[0] = const[value={}]\n  d: s32[0] = const[value={}]\n"))

static void refuse(int64_t k_batch, int64_t k_heads, int64_t mask_length, const char *attributes,
                   const char *message) {
  float values[64] = { 0 };
  qn_tensor tensors[4] = { { .dtype = QN_F32, .rank = 4, .dims = { 1, 2, 3, 2 }, .data = values, .bytes = 48 },
                           { .dtype = QN_F32, .rank = 4, .dims = { k_batch, k_heads, 3, 2 }, .data = values },
                           { .dtype = QN_F32, .rank = 4, .dims = { k_batch, k_heads, 3, 2 }, .data = values },
                           { .dtype = QN_F32, .rank = 1, .dims = { mask_length }, .data = values } };
  char text[512];
  for (int i = 1; i < 3; i++) tensors[i].bytes = (uint64_t)(k_batch * k_heads * 24);
  tensors[3].bytes = (uint64_t)mask_length * 4;
  snprintf(text, sizeof(text),
           "graph (q: f32[A,B,C,D], k: f32[E,F,G,D], v: f32[E,F,G,D], m: f32[M]) {\n  o: f32[...] = "
           "attention(q, k, v, m)%s\n  return o\n}\n",
           attributes);
  check_failure_with(text, tensors, 4, QN_INVALID, "'o' (attention)", message);
}

Test(attention, shapes_that_do_not_fit) {
  refuse(2, 2, 3, "", "disagree in batch");
  refuse(1, 3, 3, "", "2 heads on 3 kv_heads");
  refuse(1, 2, 4, "", "the mask is 4 long for 3 keys");
  refuse(1, 0, 3, "", "2 heads on 0 kv_heads");
  refuse(1, 2, 3, "[heads=3]", "q has 2 heads, the attribute says 3");
  refuse(1, 2, 3, "[window_left=-2]", "window_left is -2");
  refuse(1, 2, 3, "[scores_mode=4]", "scores_mode 4");
}
