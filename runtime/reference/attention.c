// The attention operation: docs/attention.md.
#include "runtime/reference/reference_priv.h"

#include <quench/kernel.h>

#include <math.h>

// An operand as [B, heads, length, dim], whatever its layout was. Where sequences lie end to end, B is 1 and
// length counts the tokens of all.
typedef struct {
  int64_t batch, heads, length, dim;
  const double *values;
} operand_side;

typedef struct {
  operand_side q, k, v; // k and v with the past in front
  int64_t past;
  const double *mask; // NULL: none
  bool mask_boolean;
  int64_t mask_strides[3];             // of batch, head and query
  int64_t mask_length;                 // kv elements from here on are masked
  const int64_t *kv_lengths;           // NULL: all
  const int64_t *starts_q, *starts_kv; // cumulative lengths, one more than sequences; NULL: every batch is one
  int64_t sequences;
  const double *sinks, *slopes; // one a head; NULL: none
  int64_t causal, window_left, window_right;
  double scale, softcap;
  bool softmax_wide;
  qn_dtype softmax_round; // ANY: none
} attention;

// One sequence: its batch and tokens in q, and in k and v.
typedef struct {
  int64_t index, batch, first_q, q_length, first_kv, kv_length;
} sequence;

static sequence sequence_of(const attention *a, int64_t index) {
  if (!a->starts_q) return (sequence){ index, index, 0, a->q.length, 0, a->k.length };
  return (sequence){ .index = index,
                     .first_q = a->starts_q[index],
                     .q_length = a->starts_q[index + 1] - a->starts_q[index],
                     .first_kv = a->starts_kv[index],
                     .kv_length = a->starts_kv[index + 1] - a->starts_kv[index] };
}

// --- operands ----------------------------------------------------------------------------------------------

static qn_status load_side(qn_ref *ref, const char *name, const qn_ref_tensor *x, const qn_ref_tensor *past,
                           int64_t layout, int64_t heads, operand_side *out_side) {
  static const int32_t RANKS[] = {
    [QN_LAYOUT_BHSD] = 4, [QN_LAYOUT_BSHD] = 4, [QN_LAYOUT_BSM] = 3, [QN_LAYOUT_TM] = 2, [QN_LAYOUT_THD] = 3
  };
  bool tokens = layout == QN_LAYOUT_TM || layout == QN_LAYOUT_THD;
  bool merged = layout == QN_LAYOUT_TM || layout == QN_LAYOUT_BSM;
  const double *from, *before = NULL;
  if (x->rank != RANKS[layout])
    return qn_ref_fail(ref, QN_INVALID, "%s has rank %d, its layout %d", name, (int)x->rank,
                       (int)RANKS[layout]);
  if (!qn_dtype_is_float(x->dtype))
    return qn_ref_fail(ref, QN_INVALID, "%s has type %s", name, qn_dtype_name(x->dtype));
  int64_t columns = x->dims[x->rank - 1];
  if (merged && (heads <= 0 || columns % heads != 0))
    return qn_ref_fail(ref, QN_INVALID, "%s has %lld columns for %lld heads", name, (long long)columns,
                       (long long)heads);
  operand_side side = { .batch = tokens ? 1 : x->dims[0] };
  side.heads = merged ? heads : x->dims[layout == QN_LAYOUT_BHSD ? 1 : x->rank - 2];
  int64_t fresh = x->dims[tokens ? 0 : layout == QN_LAYOUT_BHSD ? 2 : 1]; // tokens that x itself brings
  side.dim = merged ? columns / heads : columns;
  if (heads > 0 && side.heads != heads)
    return qn_ref_fail(ref, QN_INVALID, "%s has %lld heads, the attribute says %lld", name,
                       (long long)side.heads, (long long)heads);
  int64_t cached = past && past->rank == 4 ? past->dims[2] : 0;
  if (past && (past->rank != 4 || past->dtype != x->dtype || past->dims[0] != side.batch ||
               past->dims[1] != side.heads || past->dims[3] != side.dim))
    return qn_ref_fail(ref, QN_INVALID, "the past of %s does not fit it", name);
  side.length = cached + fresh;
  uint64_t count;
  QN_TRY(qn_ref_count(ref, 4, (int64_t[]){ side.batch, side.heads, side.length, side.dim }, &count));
  QN_TRY(qn_ref_load(ref, x, &from));
  if (past) QN_TRY(qn_ref_load(ref, past, &before));
  double *to = qn_ref_doubles(ref, count);
  if (!to) return QN_MEMORY;
  side.values = to;
  for (int64_t b = 0; count > 0 && b < side.batch; b++)
    for (int64_t h = 0; h < side.heads; h++)
      for (int64_t s = 0; s < side.length; s++, to += side.dim) {
        int64_t token = s - cached;
        const double *row = token < 0 ? before + ((b * side.heads + h) * cached + s) * side.dim
                            : layout == QN_LAYOUT_BHSD
                                ? from + ((b * side.heads + h) * fresh + token) * side.dim
                                : from + ((b * fresh + token) * side.heads + h) * side.dim;
        memcpy(to, row, (size_t)side.dim * sizeof(*to));
      }
  *out_side = side;
  return QN_OK;
}

// The mask broadcasts to [B, heads, q_len, kv_len]; a shorter last dim counts as masked from there on (ONNX).
static qn_status load_mask(qn_ref *ref, const qn_ref_tensor *mask, attention *a) {
  int64_t wanted[4] = { a->q.batch, a->q.heads, a->q.length, a->k.length }, stride = 1;
  a->mask_boolean = mask->dtype == QN_BOOL;
  if (mask->rank < 1 || mask->rank > 4 || (!a->mask_boolean && !qn_dtype_is_float(mask->dtype)))
    return qn_ref_fail(ref, QN_INVALID, "a mask of type %s and rank %d", qn_dtype_name(mask->dtype),
                       (int)mask->rank);
  a->mask_length = mask->dims[mask->rank - 1];
  if (a->mask_length > wanted[3])
    return qn_ref_fail(ref, QN_INVALID, "the mask is %lld long for %lld keys", (long long)a->mask_length,
                       (long long)wanted[3]);
  for (int32_t i = 1; i <= mask->rank; i++) {
    int64_t dim = mask->dims[mask->rank - i];
    if (i > 1 && dim != 1 && dim != wanted[4 - i])
      return qn_ref_fail(ref, QN_INVALID, "dim -%d of the mask is %lld, expected 1 or %lld", (int)i,
                         (long long)dim, (long long)wanted[4 - i]);
    if (i > 1) a->mask_strides[4 - i] = dim == 1 ? 0 : stride;
    stride *= dim;
  }
  return qn_ref_load(ref, mask, &a->mask);
}

static qn_status load_window(qn_ref *ref, const char *name, int64_t *out_window) {
  *out_window = qn_node_get_int(ref->graph, ref->node, name);
  if (*out_window >= -1) return QN_OK;
  return qn_ref_fail(ref, QN_INVALID, "%s is %lld; -1 stands for no bound", name, (long long)*out_window);
}

static qn_status load_attributes(qn_ref *ref, attention *a) {
  qn_dtype softmax_type = (qn_dtype)qn_node_get_int(ref->graph, ref->node, "softmax_type");
  a->scale = qn_node_get_float(ref->graph, ref->node, "scale");
  a->softcap = qn_ref_narrow(ref->wide, qn_node_get_float(ref->graph, ref->node, "softcap"));
  a->causal = qn_node_get_int(ref->graph, ref->node, "causal");
  QN_TRY(load_window(ref, "window_left", &a->window_left));
  QN_TRY(load_window(ref, "window_right", &a->window_right));
  if (a->scale == 0) a->scale = 1 / sqrt((double)a->q.dim);
  a->scale = qn_ref_narrow(ref->wide, a->scale);
  a->softmax_wide = ref->wide || softmax_type == QN_F64;
  a->softmax_round = ref->f64 || softmax_type == QN_F32 ? QN_ANY : softmax_type;
  return QN_OK;
}

// One number a head.
static qn_status load_per_head(qn_ref *ref, const char *name, const qn_ref_tensor *x, int64_t heads,
                               const double **out_values) {
  if (!x) return QN_OK;
  if (x->rank != 1 || x->dims[0] != heads || !qn_dtype_is_float(x->dtype))
    return qn_ref_fail(ref, QN_INVALID, "%s has %llu elements of %s for %lld heads", name,
                       (unsigned long long)x->count, qn_dtype_name(x->dtype), (long long)heads);
  return qn_ref_load(ref, x, out_values);
}

static qn_status load_kv_lengths(qn_ref *ref, const qn_ref_tensor *kv_lengths, attention *a) {
  if (!kv_lengths) return QN_OK;
  QN_TRY(qn_ref_load_ints(ref, kv_lengths, &a->kv_lengths));
  if (kv_lengths->count != (uint64_t)a->q.batch)
    return qn_ref_fail(ref, QN_INVALID, "%llu kv_lengths for a batch of %lld",
                       (unsigned long long)kv_lengths->count, (long long)a->q.batch);
  for (int64_t b = 0; b < a->q.batch; b++)
    if (a->kv_lengths[b] < 0 || a->kv_lengths[b] > a->k.length)
      return qn_ref_fail(ref, QN_INVALID, "kv_lengths[%lld] is %lld of %lld", (long long)b,
                         (long long)a->kv_lengths[b], (long long)a->k.length);
  return QN_OK;
}

// Cumulative lengths rise from 0 to the number of tokens.
static qn_status load_starts(qn_ref *ref, const char *name, const qn_ref_tensor *starts, int64_t tokens,
                             const int64_t **out_starts) {
  QN_TRY(qn_ref_load_ints(ref, starts, out_starts));
  const int64_t *at = *out_starts;
  if (starts->rank != 1 || starts->count == 0)
    return qn_ref_fail(ref, QN_INVALID, "%s has no element, or is no vector", name);
  for (uint64_t i = 0; i < starts->count; i++)
    if (at[i] < (i ? at[i - 1] : 0) || at[i] > tokens || (i == 0 && at[0] != 0))
      return qn_ref_fail(ref, QN_INVALID, "%s[%llu] is %lld, cumulative lengths rise from 0 to %lld", name,
                         (unsigned long long)i, (long long)at[i], (long long)tokens);
  if (at[starts->count - 1] == tokens) return QN_OK;
  return qn_ref_fail(ref, QN_INVALID, "%s ends at %lld of %lld tokens", name, (long long)at[starts->count - 1],
                     (long long)tokens);
}

static qn_status load_sequences(qn_ref *ref, attention *a) {
  const qn_ref_tensor *q = qn_ref_operand(ref, QN_ATTENTION_CU_SEQLENS_Q),
                      *kv = qn_ref_operand(ref, QN_ATTENTION_CU_SEQLENS_KV);
  a->sequences = a->q.batch;
  if (!q || !kv) return QN_OK; // the shape rule sees to it that there are both or none
  QN_TRY(load_starts(ref, "cu_seqlens_q", q, a->q.length, &a->starts_q));
  QN_TRY(load_starts(ref, "cu_seqlens_kv", kv, a->k.length, &a->starts_kv));
  if (q->count != kv->count)
    return qn_ref_fail(ref, QN_INVALID, "%llu cu_seqlens_q and %llu cu_seqlens_kv",
                       (unsigned long long)q->count, (unsigned long long)kv->count);
  a->sequences = (int64_t)q->count - 1;
  return QN_OK;
}

static qn_status load_attention(qn_ref *ref, attention *a) {
  const qn_ref_tensor *past_key = qn_ref_operand(ref, QN_ATTENTION_PAST_KEY),
                      *past_value = qn_ref_operand(ref, QN_ATTENTION_PAST_VALUE);
  int64_t q_layout = qn_node_get_int(ref->graph, ref->node, "q_layout");
  int64_t k_layout = qn_node_get_int(ref->graph, ref->node, "k_layout");
  int64_t v_layout = qn_node_get_int(ref->graph, ref->node, "v_layout");
  int64_t heads = qn_node_get_int(ref->graph, ref->node, "heads");
  int64_t kv_heads = qn_node_get_int(ref->graph, ref->node, "kv_heads");
  bool merged = k_layout == QN_LAYOUT_BSM || v_layout == QN_LAYOUT_BSM || k_layout == QN_LAYOUT_TM ||
                v_layout == QN_LAYOUT_TM;
  if (kv_heads == 0) kv_heads = merged ? heads : 0;
  if ((past_key == NULL) != (past_value == NULL))
    return qn_ref_fail(ref, QN_INVALID, "one of past_key and past_value without the other");
  if (past_key && qn_ref_operand(ref, QN_ATTENTION_KV_LENGTHS))
    return qn_ref_fail(ref, QN_INVALID, "kv_lengths together with a past");
  QN_TRY(load_side(ref, "q", qn_ref_operand(ref, QN_ATTENTION_Q), NULL, q_layout, heads, &a->q));
  QN_TRY(load_side(ref, "k", qn_ref_operand(ref, QN_ATTENTION_K), past_key, k_layout, kv_heads, &a->k));
  QN_TRY(load_side(ref, "v", qn_ref_operand(ref, QN_ATTENTION_V), past_value, v_layout, kv_heads, &a->v));
  if (past_key) a->past = past_key->dims[2];
  if (a->k.batch != a->q.batch || a->v.batch != a->q.batch || a->k.dim != a->q.dim ||
      a->v.heads != a->k.heads || a->v.length != a->k.length)
    return qn_ref_fail(ref, QN_INVALID, "q, k and v disagree in batch, length, heads or head_dim");
  if (a->k.heads == 0 ? a->q.heads != 0 : a->q.heads % a->k.heads != 0)
    return qn_ref_fail(ref, QN_INVALID, "%lld heads on %lld kv_heads", (long long)a->q.heads,
                       (long long)a->k.heads);
  if (qn_ref_operand(ref, QN_ATTENTION_MASK)) QN_TRY(load_mask(ref, qn_ref_operand(ref, QN_ATTENTION_MASK), a));
  QN_TRY(load_kv_lengths(ref, qn_ref_operand(ref, QN_ATTENTION_KV_LENGTHS), a));
  QN_TRY(load_sequences(ref, a));
  QN_TRY(load_per_head(ref, "sinks", qn_ref_operand(ref, QN_ATTENTION_SINKS), a->q.heads, &a->sinks));
  QN_TRY(load_per_head(ref, "alibi_slopes", qn_ref_operand(ref, QN_ATTENTION_ALIBI_SLOPES), a->q.heads,
                       &a->slopes));
  return load_attributes(ref, a);
}

// --- one row -----------------------------------------------------------------------------------------------

// Where query i of a sequence stands among its keys.
static int64_t position_of(const attention *a, const sequence *s, int64_t i) {
  if (a->kv_lengths) return i + a->kv_lengths[s->index] - s->q_length;
  if (a->causal == QN_CAUSAL_BOTTOM_RIGHT && a->past == 0) return i + s->kv_length - s->q_length;
  return i + a->past;
}

// What mask, causality, window and lengths add to the score of query i and key j: a number, or -inf.
static double bias_of(const attention *a, const sequence *s, int64_t h, int64_t i, int64_t j) {
  const double masked = -(double)INFINITY;
  int64_t position = position_of(a, s, i);
  if (a->kv_lengths && j >= a->kv_lengths[s->index]) return masked;
  if (a->causal != QN_CAUSAL_NONE && j > position) return masked;
  // Compared as distances, which cannot overflow.
  if (a->window_left >= 0 && position - j > a->window_left) return masked;
  if (a->window_right >= 0 && j - position > a->window_right) return masked;
  if (!a->mask) return 0;
  if (j >= a->mask_length) return masked;
  double value = a->mask[s->batch * a->mask_strides[0] + h * a->mask_strides[1] + i * a->mask_strides[2] + j];
  return !a->mask_boolean ? value : value != 0 ? 0 : masked;
}

// The softmax of a row, in which a sink takes part as one more score whose probability is left out. `row` has
// room for it.
static void normalize(const attention *a, int64_t h, double *row, int64_t length, bool all_masked) {
  if (all_masked) {
    memset(row, 0, (size_t)length * sizeof(*row));
    return;
  }
  if (a->sinks) row[length] = qn_element_round(a->softmax_round, a->sinks[h]);
  qn_ref_softmax_row(a->softmax_wide, row, (uint64_t)(length + (a->sinks != NULL)), 1);
}

enum { SCORES_PLAIN, SCORES_CAPPED, SCORES_MASKED, SCORES_SOFTMAX };

// The probabilities of one query; `out_scores`, if not NULL, takes the row at the stage that `mode` names.
static void attend(bool wide, const attention *a, const sequence *s, int64_t h, int64_t i, int64_t mode,
                   double *row, double *out_scores) {
  int64_t kv_head = h / (a->q.heads / a->k.heads), length = s->kv_length, dim = a->q.dim;
  const double *query = a->q.values + ((s->batch * a->q.heads + h) * a->q.length + s->first_q + i) * dim;
  const double *key = a->k.values + ((s->batch * a->k.heads + kv_head) * a->k.length + s->first_kv) * dim;
  bool all_masked = true;
  for (int64_t j = 0; j < length; j++, key += dim) {
    double sum = 0;
    for (int64_t d = 0; d < dim; d++) sum = qn_ref_narrow(wide, sum + qn_ref_narrow(wide, query[d] * key[d]));
    row[j] = qn_ref_narrow(wide, sum * a->scale);
    if (out_scores && mode == SCORES_PLAIN) out_scores[j] = row[j];
    if (a->softcap > 0) {
      double share = qn_ref_narrow(wide, tanh(qn_ref_narrow(wide, row[j] / a->softcap)));
      row[j] = qn_ref_narrow(wide, share * a->softcap);
    }
    if (out_scores && mode == SCORES_CAPPED) out_scores[j] = row[j];
    if (a->slopes) {
      double distance = fabs((double)(position_of(a, s, i) - j));
      row[j] = qn_ref_narrow(wide, row[j] - qn_ref_narrow(wide, a->slopes[h] * distance));
    }
    double bias = bias_of(a, s, h, i, j);
    bool masked = isinf(bias) && bias < 0;
    all_masked = all_masked && masked;
    row[j] = masked ? bias : qn_ref_narrow(wide, row[j] + bias);
    row[j] = qn_element_round(a->softmax_round, row[j]);
    if (out_scores && mode == SCORES_MASKED) out_scores[j] = row[j];
  }
  normalize(a, h, row, length, all_masked);
  for (int64_t j = 0; j < length; j++) row[j] = qn_ref_narrow(wide, qn_element_round(a->softmax_round, row[j]));
  if (out_scores && mode == SCORES_SOFTMAX) memcpy(out_scores, row, (size_t)length * sizeof(*row));
}

// --- results -----------------------------------------------------------------------------------------------

typedef struct {
  int32_t rank;
  int64_t dims[4];
  int64_t strides[3]; // of batch, head and token, in elements
} out_shape;

static out_shape shape_of(int64_t layout, const attention *a) {
  int64_t batch = a->q.batch, heads = a->q.heads, length = a->q.length, dim = a->v.dim;
  if (layout == QN_LAYOUT_BHSD)
    return (out_shape){ 4, { batch, heads, length, dim }, { heads * length * dim, length * dim, dim } };
  out_shape shape = { .strides = { heads * length * dim, dim, heads * dim } };
  if (layout == QN_LAYOUT_TM || layout == QN_LAYOUT_THD) {
    shape.dims[shape.rank++] = batch * length;
  } else {
    shape.dims[shape.rank++] = batch;
    shape.dims[shape.rank++] = length;
  }
  if (layout == QN_LAYOUT_TM || layout == QN_LAYOUT_BSM) {
    shape.dims[shape.rank++] = heads * dim;
  } else {
    shape.dims[shape.rank++] = heads;
    shape.dims[shape.rank++] = dim;
  }
  return shape;
}

// The accumulators, rounded to the output type; or, under a scheme, quantized as the quantize operation would,
// in exact numerics after that rounding, so that fused and unfused run the same code on the same values.
static qn_status store_out(qn_ref *ref, const out_shape *shape, double *values, uint64_t count) {
  const qn_ref_quantize_operands operands = {
    .scale = qn_ref_operand(ref, QN_ATTENTION_OUTPUT_SCALE),
    .zero_point = qn_ref_operand(ref, QN_ATTENTION_OUTPUT_ZERO_POINT),
    .pre_scale = qn_ref_operand(ref, QN_ATTENTION_PRE_SCALE),
    .scale_bound = qn_ref_operand(ref, QN_ATTENTION_SCALE_BOUND),
  };
  qn_scheme scheme = qn_node_get_scheme(ref->graph, ref->node, "output");
  qn_dtype declared = (qn_dtype)qn_node_get_int(ref->graph, ref->node, "out_type");
  qn_dtype rounded = declared == QN_ANY ? qn_ref_operand(ref, 0)->dtype : qn_ref_held(ref, declared);
  bool exact = qn_node_get_int(ref->graph, ref->node, "numerics") == QN_EXACT;
  if (scheme.family == QN_SCHEME_none) return qn_ref_store(ref, 0, rounded, shape->rank, shape->dims, values);
  if (ref->result_count > QN_ATTENTION_UNQUANTIZED)
    QN_TRY(qn_ref_store(ref, QN_ATTENTION_UNQUANTIZED, rounded, shape->rank, shape->dims, values));
  for (uint64_t i = 0; exact && i < count; i++)
    values[i] = qn_element_round(rounded, qn_ref_narrow(ref->wide, values[i]));
  bool wide = ref->f64 || (exact ? rounded == QN_F64 : ref->wide);
  return qn_ref_quantize_values(ref, &scheme, wide, shape->rank, shape->dims, values, &operands);
}

static qn_status store_side(qn_ref *ref, uint32_t index, const qn_ref_tensor *like, const operand_side *side) {
  if (index >= ref->result_count) return QN_OK;
  return qn_ref_store(ref, index, like->dtype, 4,
                      (int64_t[]){ side->batch, side->heads, side->length, side->dim }, side->values);
}

qn_status qn_ref_attention(qn_ref *ref) {
  int64_t mode = qn_node_get_int(ref->graph, ref->node, "scores_mode");
  attention a = { 0 };
  uint64_t count, score_count = 0;
  double *scores = NULL;
  QN_TRY(load_attention(ref, &a));
  out_shape shape = shape_of(qn_node_get_int(ref->graph, ref->node, "out_layout"), &a);
  int64_t score_dims[4] = { a.q.batch, a.q.heads, a.q.length, a.k.length };
  QN_TRY(qn_ref_count(ref, 4, (int64_t[]){ a.q.batch, a.q.heads, a.q.length, a.v.dim }, &count));
  if (mode < SCORES_PLAIN || mode > SCORES_SOFTMAX)
    return qn_ref_fail(ref, QN_INVALID, "scores_mode %lld, expected 0 to 3", (long long)mode);
  if (ref->result_count > QN_ATTENTION_SCORES) {
    QN_TRY(qn_ref_count(ref, 4, score_dims, &score_count));
    scores = qn_ref_doubles(ref, score_count);
    if (!scores) return QN_MEMORY;
  }
  // One more than the keys: the sink's place.
  double *values = qn_ref_doubles(ref, count), *row = qn_ref_doubles(ref, (uint64_t)a.k.length + 1);
  if (!values || !row) return QN_MEMORY;
  for (int64_t b = 0; (count > 0 || score_count > 0) && b < a.sequences; b++) {
    sequence s = sequence_of(&a, b);
    for (int64_t h = 0; h < a.q.heads; h++)
      for (int64_t i = 0; i < s.q_length; i++) {
        double *kept = scores ? scores + ((b * a.q.heads + h) * a.q.length + i) * a.k.length : NULL;
        double *out =
            values + s.batch * shape.strides[0] + h * shape.strides[1] + (s.first_q + i) * shape.strides[2];
        int64_t kv_head = h / (a.q.heads / a.k.heads);
        const double *value =
            a.v.values + ((s.batch * a.v.heads + kv_head) * a.v.length + s.first_kv) * a.v.dim;
        attend(ref->wide, &a, &s, h, i, mode, row, kept);
        for (int64_t j = 0; j < s.kv_length; j++, value += a.v.dim)
          for (int64_t d = 0; d < a.v.dim; d++)
            out[d] = qn_ref_narrow(ref->wide, out[d] + qn_ref_narrow(ref->wide, row[j] * value[d]));
      }
  }
  QN_TRY(store_out(ref, &shape, values, count));
  QN_TRY(store_side(ref, QN_ATTENTION_PRESENT_KEY, qn_ref_operand(ref, 1), &a.k));
  QN_TRY(store_side(ref, QN_ATTENTION_PRESENT_VALUE, qn_ref_operand(ref, 2), &a.v));
  if (!scores) return QN_OK;
  return qn_ref_store(ref, QN_ATTENTION_SCORES, qn_ref_operand(ref, 0)->dtype, 4, score_dims, scores);
}
