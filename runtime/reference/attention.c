// The attention operation: docs/attention.md.
#include "runtime/reference/attention_priv.h"

#include <math.h>

// One sequence: its batch and tokens in q, and in k and v.
typedef struct {
  int64_t index, batch, first_q, q_length, first_kv, kv_length;
} sequence;

static sequence sequence_of(const qn_ref_attended *a, int64_t index) {
  if (!a->starts_q) return (sequence){ index, index, 0, a->q.length, 0, a->k.length };
  return (sequence){ .index = index,
                     .first_q = a->starts_q[index],
                     .q_length = a->starts_q[index + 1] - a->starts_q[index],
                     .first_kv = a->starts_kv[index],
                     .kv_length = a->starts_kv[index + 1] - a->starts_kv[index] };
}

// --- one row -----------------------------------------------------------------------------------------------

// Where query i of a sequence stands among its keys.
static int64_t position_of(const qn_ref_attended *a, const sequence *s, int64_t i) {
  if (a->kv_lengths) return i + a->kv_lengths[s->index] - s->q_length;
  if (a->causal == QN_CAUSAL_BOTTOM_RIGHT && a->past == 0) return i + s->kv_length - s->q_length;
  return i + a->past;
}

// What mask, causality, window and lengths add to the score of query i and key j: a number, or -inf.
static double bias_of(const qn_ref_attended *a, const sequence *s, int64_t h, int64_t i, int64_t j) {
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
static void normalize(const qn_ref_attended *a, int64_t h, double *row, int64_t length, bool all_masked) {
  if (all_masked) {
    memset(row, 0, (size_t)length * sizeof(*row));
    return;
  }
  if (a->sinks) row[length] = qn_element_round(a->softmax_round, a->sinks[h]);
  qn_ref_softmax_row(a->softmax_wide, row, (uint64_t)(length + (a->sinks != NULL)), 1);
}

enum { SCORES_PLAIN, SCORES_CAPPED, SCORES_MASKED, SCORES_SOFTMAX };

// The probabilities of one query; `out_scores`, if not NULL, takes the row at the stage that `mode` names.
static void attend(bool wide, const qn_ref_attended *a, const sequence *s, int64_t h, int64_t i, int64_t mode,
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

static out_shape shape_of(int64_t layout, const qn_ref_attended *a) {
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

static qn_status store_side(qn_ref *ref, uint32_t index, const qn_ref_tensor *like, const qn_ref_side *side) {
  if (index >= ref->result_count) return QN_OK;
  return qn_ref_store(ref, index, like->dtype, 4,
                      (int64_t[]){ side->batch, side->heads, side->length, side->dim }, side->values);
}

qn_status qn_ref_attention(qn_ref *ref) {
  int64_t mode = qn_node_get_int(ref->graph, ref->node, "scores_mode");
  qn_ref_attended a = { 0 };
  uint64_t count, score_count = 0;
  double *scores = NULL;
  QN_TRY(qn_ref_load_attention(ref, &a));
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
  QN_TRY(store_side(ref, QN_ATTENTION_PRESENT_KEY, qn_ref_operand(ref, 1), &a.k));
  QN_TRY(store_side(ref, QN_ATTENTION_PRESENT_VALUE, qn_ref_operand(ref, 2), &a.v));
  QN_TRY(qn_ref_scale_cache(ref, &a));
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
  if (!scores) return QN_OK;
  return qn_ref_store(ref, QN_ATTENTION_SCORES, qn_ref_operand(ref, 0)->dtype, 4, score_dims, scores);
}
