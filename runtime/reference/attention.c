// The attention operation: docs/attention.md.
#include "runtime/reference/reference_priv.h"

#include <quench/kernel.h>

#include <math.h>

// An operand as [B, heads, length, dim], whatever its layout was.
typedef struct {
  int64_t batch, heads, length, dim;
  const double *values;
} operand_side;

typedef struct {
  operand_side q, k, v; // k and v with the past in front
  int64_t past;
  const double *mask; // NULL: none
  bool mask_boolean;
  int64_t mask_strides[3];   // of batch, head and query
  int64_t mask_length;       // kv elements from here on are masked
  const int64_t *kv_lengths; // NULL: all
  int64_t causal, window_left, window_right;
  double scale, softcap;
  bool softmax_wide;
  qn_dtype softmax_round; // ANY: none
} attention;

// --- operands ----------------------------------------------------------------------------------------------

static qn_status load_side(qn_ref *ref, const char *name, const qn_ref_tensor *x, const qn_ref_tensor *past,
                           int64_t layout, int64_t heads, operand_side *out_side) {
  bool merged = layout == QN_LAYOUT_BSM;
  operand_side side = { .batch = x->rank > 0 ? x->dims[0] : 0 };
  const double *from, *before = NULL;
  if (x->rank != (merged ? 3 : 4))
    return qn_ref_fail(ref, QN_INVALID, "%s has rank %d, its layout %d", name, (int)x->rank, merged ? 3 : 4);
  if (!qn_dtype_is_float(x->dtype))
    return qn_ref_fail(ref, QN_INVALID, "%s has type %s", name, qn_dtype_name(x->dtype));
  if (merged && (heads <= 0 || x->dims[2] % heads != 0))
    return qn_ref_fail(ref, QN_INVALID, "%s has %lld columns for %lld heads", name, (long long)x->dims[2],
                       (long long)heads);
  side.heads = merged ? heads : x->dims[layout == QN_LAYOUT_BHSD ? 1 : 2];
  int64_t fresh = x->dims[layout == QN_LAYOUT_BHSD ? 2 : 1]; // tokens that x itself brings
  side.dim = merged ? x->dims[2] / heads : x->dims[3];
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

static qn_status load_attention(qn_ref *ref, attention *a) {
  enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, KV_LENGTHS };
  const qn_ref_tensor *q = qn_ref_operand(ref, Q), *k = qn_ref_operand(ref, K), *v = qn_ref_operand(ref, V);
  const qn_ref_tensor *past_key = qn_ref_operand(ref, PAST_KEY), *past_value = qn_ref_operand(ref, PAST_VALUE);
  const qn_ref_tensor *kv_lengths = qn_ref_operand(ref, KV_LENGTHS);
  int64_t q_layout = qn_node_get_int(ref->graph, ref->node, "q_layout");
  int64_t k_layout = qn_node_get_int(ref->graph, ref->node, "k_layout");
  int64_t v_layout = qn_node_get_int(ref->graph, ref->node, "v_layout");
  int64_t heads = qn_node_get_int(ref->graph, ref->node, "heads");
  int64_t kv_heads = qn_node_get_int(ref->graph, ref->node, "kv_heads");
  if (kv_heads == 0) kv_heads = k_layout == QN_LAYOUT_BSM || v_layout == QN_LAYOUT_BSM ? heads : 0;
  if ((past_key == NULL) != (past_value == NULL))
    return qn_ref_fail(ref, QN_INVALID, "one of past_key and past_value without the other");
  if (past_key && kv_lengths) return qn_ref_fail(ref, QN_INVALID, "kv_lengths together with a past");
  QN_TRY(load_side(ref, "q", q, NULL, q_layout, heads, &a->q));
  QN_TRY(load_side(ref, "k", k, past_key, k_layout, kv_heads, &a->k));
  QN_TRY(load_side(ref, "v", v, past_value, v_layout, kv_heads, &a->v));
  if (past_key) a->past = past_key->dims[2];
  if (a->k.batch != a->q.batch || a->v.batch != a->q.batch || a->k.dim != a->q.dim ||
      a->v.heads != a->k.heads || a->v.length != a->k.length)
    return qn_ref_fail(ref, QN_INVALID, "q, k and v disagree in batch, length, heads or head_dim");
  if (a->k.heads == 0 ? a->q.heads != 0 : a->q.heads % a->k.heads != 0)
    return qn_ref_fail(ref, QN_INVALID, "%lld heads on %lld kv_heads", (long long)a->q.heads,
                       (long long)a->k.heads);
  if (qn_ref_operand(ref, MASK)) QN_TRY(load_mask(ref, qn_ref_operand(ref, MASK), a));
  if (kv_lengths) {
    QN_TRY(qn_ref_load_ints(ref, kv_lengths, &a->kv_lengths));
    if (kv_lengths->count != (uint64_t)a->q.batch)
      return qn_ref_fail(ref, QN_INVALID, "%llu kv_lengths for a batch of %lld",
                         (unsigned long long)kv_lengths->count, (long long)a->q.batch);
    for (int64_t b = 0; b < a->q.batch; b++)
      if (a->kv_lengths[b] < 0 || a->kv_lengths[b] > a->k.length)
        return qn_ref_fail(ref, QN_INVALID, "kv_lengths[%lld] is %lld of %lld", (long long)b,
                           (long long)a->kv_lengths[b], (long long)a->k.length);
  }
  return load_attributes(ref, a);
}

// --- one row -----------------------------------------------------------------------------------------------

// What mask, causality, window and lengths add to the score of query i and key j: a number, or -inf.
static double bias_of(const attention *a, int64_t b, int64_t h, int64_t i, int64_t j) {
  const double masked = -(double)INFINITY;
  int64_t offset = a->kv_lengths                                         ? a->kv_lengths[b] - a->q.length
                   : a->causal == QN_CAUSAL_BOTTOM_RIGHT && a->past == 0 ? a->k.length - a->q.length
                                                                         : a->past;
  int64_t position = i + offset;
  if (a->kv_lengths && j >= a->kv_lengths[b]) return masked;
  if (a->causal != QN_CAUSAL_NONE && j > position) return masked;
  // Compared as distances, which cannot overflow.
  if (a->window_left >= 0 && position - j > a->window_left) return masked;
  if (a->window_right >= 0 && j - position > a->window_right) return masked;
  if (!a->mask) return 0;
  if (j >= a->mask_length) return masked;
  double value = a->mask[b * a->mask_strides[0] + h * a->mask_strides[1] + i * a->mask_strides[2] + j];
  return !a->mask_boolean ? value : value != 0 ? 0 : masked;
}

enum { SCORES_PLAIN, SCORES_CAPPED, SCORES_MASKED, SCORES_SOFTMAX };

// The probabilities of one query; `out_scores`, if not NULL, takes the row at the stage that `mode` names.
static void attend(bool wide, const attention *a, int64_t b, int64_t h, int64_t i, int64_t mode, double *row,
                   double *out_scores) {
  int64_t kv_head = h / (a->q.heads / a->k.heads), length = a->k.length, dim = a->q.dim;
  const double *query = a->q.values + ((b * a->q.heads + h) * a->q.length + i) * dim;
  const double *key = a->k.values + (b * a->k.heads + kv_head) * length * dim;
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
    double bias = bias_of(a, b, h, i, j);
    bool masked = isinf(bias) && bias < 0;
    all_masked = all_masked && masked;
    row[j] = masked ? bias : qn_ref_narrow(wide, row[j] + bias);
    row[j] = qn_element_round(a->softmax_round, row[j]);
    if (out_scores && mode == SCORES_MASKED) out_scores[j] = row[j];
  }
  if (all_masked)
    memset(row, 0, (size_t)length * sizeof(*row));
  else
    qn_ref_softmax_row(a->softmax_wide, row, (uint64_t)length, 1);
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
  out_shape shape = { 4, { batch, length, heads, dim }, { heads * length * dim, dim, heads * dim } };
  if (layout == QN_LAYOUT_BSHD) return shape;
  shape.rank = layout == QN_LAYOUT_BSM ? 3 : 2;
  shape.dims[2] = heads * dim;
  if (layout == QN_LAYOUT_TM) shape.dims[0] = batch * length, shape.dims[1] = heads * dim;
  return shape;
}

// The accumulators, rounded to the output type; or, under a scheme, quantized as the quantize operation would,
// in exact numerics after that rounding, so that fused and unfused run the same code on the same values.
static qn_status store_out(qn_ref *ref, const out_shape *shape, double *values, uint64_t count) {
  enum { OUTPUT_SCALE = 7 };
  qn_scheme scheme = qn_node_get_scheme(ref->graph, ref->node, "output");
  qn_dtype declared = (qn_dtype)qn_node_get_int(ref->graph, ref->node, "out_type");
  qn_dtype rounded = declared == QN_ANY ? qn_ref_operand(ref, 0)->dtype : qn_ref_held(ref, declared);
  bool exact = qn_node_get_int(ref->graph, ref->node, "numerics") == QN_EXACT;
  if (scheme.family == QN_SCHEME_none) return qn_ref_store(ref, 0, rounded, shape->rank, shape->dims, values);
  for (uint64_t i = 0; exact && i < count; i++)
    values[i] = qn_element_round(rounded, qn_ref_narrow(ref->wide, values[i]));
  bool wide = ref->f64 || (exact ? rounded == QN_F64 : ref->wide);
  return qn_ref_quantize_values(ref, &scheme, wide, shape->rank, shape->dims, values,
                                qn_ref_operand(ref, OUTPUT_SCALE), NULL);
}

static qn_status store_side(qn_ref *ref, uint32_t index, const qn_ref_tensor *like, const operand_side *side) {
  if (index >= ref->result_count) return QN_OK;
  return qn_ref_store(ref, index, like->dtype, 4,
                      (int64_t[]){ side->batch, side->heads, side->length, side->dim }, side->values);
}

qn_status qn_ref_attention(qn_ref *ref) {
  enum { OUT, PRESENT_KEY, PRESENT_VALUE, SCORES };
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
  if (ref->result_count > SCORES) {
    QN_TRY(qn_ref_count(ref, 4, score_dims, &score_count));
    scores = qn_ref_doubles(ref, score_count);
    if (!scores) return QN_MEMORY;
  }
  double *values = qn_ref_doubles(ref, count), *row = qn_ref_doubles(ref, (uint64_t)a.k.length);
  if (!values || !row) return QN_MEMORY;
  for (int64_t b = 0; (count > 0 || score_count > 0) && b < a.q.batch; b++)
    for (int64_t h = 0; h < a.q.heads; h++)
      for (int64_t i = 0; i < a.q.length; i++) {
        double *kept = scores ? scores + ((b * a.q.heads + h) * a.q.length + i) * a.k.length : NULL;
        double *out = values + b * shape.strides[0] + h * shape.strides[1] + i * shape.strides[2];
        int64_t kv_head = h / (a.q.heads / a.k.heads);
        const double *value = a.v.values + (b * a.v.heads + kv_head) * a.v.length * a.v.dim;
        attend(ref->wide, &a, b, h, i, mode, row, kept);
        for (int64_t j = 0; j < a.k.length; j++, value += a.v.dim)
          for (int64_t d = 0; d < a.v.dim; d++)
            out[d] = qn_ref_narrow(ref->wide, out[d] + qn_ref_narrow(ref->wide, row[j] * value[d]));
      }
  QN_TRY(store_out(ref, &shape, values, count));
  QN_TRY(store_side(ref, PRESENT_KEY, qn_ref_operand(ref, 1), &a.k));
  QN_TRY(store_side(ref, PRESENT_VALUE, qn_ref_operand(ref, 2), &a.v));
  if (!scores) return QN_OK;
  return qn_ref_store(ref, SCORES, qn_ref_operand(ref, 0)->dtype, 4, score_dims, scores);
}
