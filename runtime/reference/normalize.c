// Softmax, normalizations and the rotary embedding.
#include "runtime/reference/reference_priv.h"

#include <math.h>

void qn_ref_softmax_row(bool wide, double *x, uint64_t count, uint64_t stride) {
  double largest = -(double)INFINITY, sum = 0;
  for (uint64_t i = 0; i < count; i++) {
    double value = x[i * stride];
    if (isnan(value) || value > largest) largest = value;
    if (isnan(value)) break;
  }
  for (uint64_t i = 0; i < count; i++) {
    x[i * stride] = qn_ref_narrow(wide, exp(qn_ref_narrow(wide, x[i * stride] - largest)));
    sum = qn_ref_narrow(wide, sum + x[i * stride]);
  }
  for (uint64_t i = 0; i < count; i++) x[i * stride] = qn_ref_narrow(wide, x[i * stride] / sum);
}

static qn_status check_float(qn_ref *ref, const qn_ref_tensor *x) {
  if (qn_dtype_is_float(x->dtype)) return QN_OK;
  return qn_ref_fail(ref, QN_UNSUPPORTED, "elements of type %s", qn_dtype_name(x->dtype));
}

// A copy of an operand's values, to be changed in place.
static qn_status load_copy(qn_ref *ref, const qn_ref_tensor *x, double **out_values) {
  *out_values = qn_ref_doubles(ref, x->count);
  if (!*out_values) return QN_MEMORY;
  qn_elements_load(x->dtype, x->data, x->count, *out_values);
  return QN_OK;
}

qn_status qn_ref_softmax(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0);
  int32_t axis;
  uint64_t inner = 1;
  double *values;
  QN_TRY(check_float(ref, x));
  QN_TRY(qn_ref_axis(ref, qn_node_get_int(ref->graph, ref->node, "axis"), x->rank, &axis));
  QN_TRY(load_copy(ref, x, &values));
  for (int32_t d = axis + 1; d < x->rank; d++) inner *= (uint64_t)x->dims[d];
  uint64_t length = (uint64_t)x->dims[axis];
  for (uint64_t row = 0; x->count > 0 && row < x->count / length; row++)
    qn_ref_softmax_row(ref->wide, values + row / inner * inner * length + row % inner, length, inner);
  return qn_ref_store(ref, 0, x->dtype, x->rank, x->dims, values);
}

// --- layer_norm, rms_norm ----------------------------------------------------------------------------------

// ONNX LayerNormalization-17, RMSNormalization-23. Of a row of n values (all dims from `axis` on):
//   layer_norm  mean = sum / n, d = x - mean, inv_std = 1 / sqrt(sum(d * d) / n + epsilon), y = d * inv_std *
//   scale + bias rms_norm    y = x * (1 / sqrt(sum(x * x) / n + epsilon)) * scale
// with the normalized value rounded to x's type before it is scaled, as ONNX's function bodies do.
static qn_status normalize(qn_ref *ref, bool centred) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0), *scale = qn_ref_operand(ref, 1);
  const qn_ref_tensor *bias = centred ? qn_ref_operand(ref, 2) : NULL;
  double epsilon = qn_ref_narrow(ref->wide, qn_node_get_float(ref->graph, ref->node, "epsilon"));
  bool wide = ref->wide;
  int64_t stat_dims[QN_RANK_MAX];
  const double *factors, *offsets = NULL;
  double *values;
  int32_t axis;
  uint64_t length = 1;
  qn_ref_walk factor_walk, offset_walk = { 0 };
  QN_TRY(check_float(ref, x));
  QN_TRY(qn_ref_axis(ref, qn_node_get_int(ref->graph, ref->node, "axis"), x->rank, &axis));
  QN_TRY(load_copy(ref, x, &values));
  QN_TRY(qn_ref_load(ref, scale, &factors));
  QN_TRY(qn_ref_broadcast_to(ref, scale, x->rank, x->dims, &factor_walk));
  if (bias) {
    QN_TRY(qn_ref_load(ref, bias, &offsets));
    QN_TRY(qn_ref_broadcast_to(ref, bias, x->rank, x->dims, &offset_walk));
  }
  for (int32_t d = 0; d < x->rank; d++) {
    stat_dims[d] = d < axis ? x->dims[d] : 1;
    if (d >= axis) length *= (uint64_t)x->dims[d];
  }
  uint64_t rows = length > 0 ? x->count / length : 0;
  double *means = qn_ref_doubles(ref, rows), *inverses = qn_ref_doubles(ref, rows);
  if (!means || !inverses) return QN_MEMORY;
  for (uint64_t row = 0; row < rows; row++) {
    double *v = values + row * length, sum = 0, squares = 0;
    for (uint64_t i = 0; centred && i < length; i++) sum = qn_ref_narrow(wide, sum + v[i]);
    means[row] = qn_ref_narrow(wide, sum / (double)length);
    for (uint64_t i = 0; i < length; i++) {
      if (centred) v[i] = qn_ref_narrow(wide, v[i] - means[row]);
      squares = qn_ref_narrow(wide, squares + qn_ref_narrow(wide, v[i] * v[i]));
    }
    double variance = qn_ref_narrow(wide, qn_ref_narrow(wide, squares / (double)length) + epsilon);
    inverses[row] = qn_ref_narrow(wide, 1 / qn_ref_narrow(wide, sqrt(variance)));
    for (uint64_t i = 0; i < length; i++) {
      double unit = qn_element_round(x->dtype, qn_ref_narrow(wide, v[i] * inverses[row]));
      v[i] = qn_ref_narrow(wide, unit * factors[factor_walk.offset[0]]);
      if (bias) v[i] += offsets[offset_walk.offset[0]];
      qn_ref_walk_next(&factor_walk);
      if (bias) qn_ref_walk_next(&offset_walk);
    }
  }
  QN_TRY(qn_ref_store(ref, 0, scale->dtype, x->rank, x->dims, values));
  if (ref->result_count > 1)
    QN_TRY(qn_ref_store(ref, 1, qn_ref_declared(ref, 1, QN_F32), x->rank, stat_dims, means));
  if (ref->result_count > 2)
    QN_TRY(qn_ref_store(ref, 2, qn_ref_declared(ref, 2, QN_F32), x->rank, stat_dims, inverses));
  return QN_OK;
}

qn_status qn_ref_layer_norm(qn_ref *ref) {
  return normalize(ref, true);
}
qn_status qn_ref_rms_norm(qn_ref *ref) {
  return normalize(ref, false);
}

// --- rotary_embedding --------------------------------------------------------------------------------------

// ONNX RotaryEmbedding-23. x is [B,H,S,D], or [B,S,H*D] with `heads`; cos and sin are [positions, R/2] with
// position_ids [B,S], else [B,S,R/2]; R is rotary_dim, or D where that is 0. Element pairs (i, i + R/2), or
// (2i, 2i + 1) if interleaved, are turned by the angle; elements from R on stay.
qn_status qn_ref_rotary_embedding(qn_ref *ref) {
  const qn_ref_tensor *x = qn_ref_operand(ref, 0), *cosine = qn_ref_operand(ref, 1),
                      *sine = qn_ref_operand(ref, 2);
  const qn_ref_tensor *positions = qn_ref_operand(ref, 3);
  int64_t rotary = qn_node_get_int(ref->graph, ref->node, "rotary_dim");
  int64_t heads = qn_node_get_int(ref->graph, ref->node, "heads");
  bool interleaved = qn_node_get_int(ref->graph, ref->node, "interleaved") != 0;
  const double *c, *s;
  const int64_t *ids = NULL;
  double *values;
  bool merged = x->rank == 3;
  QN_TRY(check_float(ref, x));
  if ((x->rank != 3 && x->rank != 4) || (merged && (heads <= 0 || x->dims[2] % heads != 0)))
    return qn_ref_fail(ref, QN_INVALID, "a tensor of rank %d with heads=%lld", (int)x->rank, (long long)heads);
  int64_t batch = x->dims[0], length = merged ? x->dims[1] : x->dims[2];
  int64_t head_dim = merged ? x->dims[2] / heads : x->dims[3];
  if (!merged) heads = x->dims[1];
  if (rotary == 0) rotary = head_dim;
  int64_t half = rotary / 2;
  bool fits = rotary > 0 && rotary <= head_dim && rotary % 2 == 0 && qn_ref_same_shape(cosine, sine) &&
              cosine->rank == (positions ? 2 : 3) && cosine->dims[cosine->rank - 1] == half;
  if (fits && positions) fits = positions->count == (uint64_t)(batch * length);
  if (fits && !positions) fits = cosine->dims[0] == batch && cosine->dims[1] == length;
  if (!fits)
    return qn_ref_fail(ref, QN_INVALID, "the shapes of cos, sin and position_ids do not fit rotary_dim %lld",
                       (long long)rotary);
  QN_TRY(load_copy(ref, x, &values));
  QN_TRY(qn_ref_load(ref, cosine, &c));
  QN_TRY(qn_ref_load(ref, sine, &s));
  if (positions) QN_TRY(qn_ref_load_ints(ref, positions, &ids));
  for (int64_t row = 0; row < batch * heads * length; row++) {
    // Rows are (batch, head, position) or, merged, (batch, position, head).
    int64_t b = row / (heads * length), rest = row % (heads * length);
    int64_t token = b * length + (merged ? rest / heads : rest % length);
    int64_t position = ids ? ids[token] : token;
    if (ids && (position < 0 || position >= cosine->dims[0]))
      return qn_ref_fail(ref, QN_INVALID, "position %lld of %lld", (long long)position,
                         (long long)cosine->dims[0]);
    double *v = values + row * head_dim;
    for (int64_t i = 0; i < half; i++) {
      double *p = &v[interleaved ? 2 * i : i], *q = &v[interleaved ? 2 * i + 1 : i + half];
      double x1 = *p, x2 = *q, cos_i = c[position * half + i], sin_i = s[position * half + i];
      *p = qn_ref_narrow(ref->wide, x1 * cos_i) - qn_ref_narrow(ref->wide, x2 * sin_i);
      *q = qn_ref_narrow(ref->wide, x1 * sin_i) + qn_ref_narrow(ref->wide, x2 * cos_i);
    }
  }
  return qn_ref_store(ref, 0, x->dtype, x->rank, x->dims, values);
}
