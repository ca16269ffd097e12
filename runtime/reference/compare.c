// How far two tensors are apart.
#include "ir/base_priv.h"
#include "quant/elements_priv.h"

#include <quench/reference.h>

#include <math.h>

// One element of a packed tensor, unpacked into the low bytes of a word.
static uint64_t element_at(const qn_tensor *tensor, uint64_t index) {
  uint64_t bits = 0;
  uint32_t size = qn_element_size(tensor->dtype);
  if (qn_dtype_bits(tensor->dtype) == 4)
    return (((const uint8_t *)tensor->data)[index / 2] >> (index % 2 * 4)) & 0xF;
  memcpy(&bits, (const uint8_t *)tensor->data + index * size, size);
  return bits;
}

static qn_status check(qn_context *context, const qn_tensor *a, const qn_tensor *b, uint64_t *out_count) {
  uint64_t count = 1;
  bool same = a->rank == b->rank && a->rank >= 0 && a->rank <= QN_RANK_MAX;
  for (int32_t d = 0; same && d < a->rank; d++) {
    same = a->dims[d] == b->dims[d] && a->dims[d] >= 0;
    if (same && __builtin_mul_overflow(count, (uint64_t)a->dims[d], &count)) same = false;
  }
  if (!same) return qn_fail(context, QN_INVALID, NULL, "the tensors' shapes differ");
  const qn_tensor *both[2] = { a, b };
  for (int k = 0; k < 2; k++) {
    if (qn_element_size(both[k]->dtype) == 0)
      return qn_fail(context, QN_INVALID, NULL, "elements of type %s cannot be compared",
                     qn_dtype_name(both[k]->dtype));
    if (count > 0 && (!both[k]->data || both[k]->bytes < qn_dtype_bytes(both[k]->dtype, count)))
      return qn_fail(context, QN_INVALID, NULL, "a tensor without all of its bytes");
  }
  *out_count = count;
  return QN_OK;
}

// Two NaN, or equal infinities, are not apart; one of them alone is infinitely so.
static double distance(double a, double b) {
  if (isnan(a) || isnan(b)) return isnan(a) && isnan(b) ? 0 : (double)INFINITY;
  return a == b ? 0 : fabs(a - b);
}

bool qn_tensor_get_element(const qn_tensor *tensor, uint64_t index, double *out_value, uint64_t *out_bits) {
  uint64_t before = qn_dtype_bits(tensor->dtype) == 4 ? index / 2 : qn_dtype_bytes(tensor->dtype, index);
  if (!tensor->data || qn_element_size(tensor->dtype) == 0) return false;
  if (before >= tensor->bytes || tensor->bytes - before < qn_dtype_bytes(tensor->dtype, 1)) return false;
  *out_bits = element_at(tensor, index);
  qn_elements_load(tensor->dtype, out_bits, 1, out_value);
  return true;
}

qn_status qn_tensor_compare(qn_context *context, const qn_tensor *a, const qn_tensor *b,
                            qn_difference *out_difference) {
  qn_difference difference = { 0 };
  double squares = 0, largest = 0;
  QN_TRY(check(context, a, b, &difference.count));
  difference.first = difference.count;
  for (uint64_t i = 0; i < difference.count; i++) {
    uint64_t p = element_at(a, i), q = element_at(b, i);
    double x, y;
    qn_elements_load(a->dtype, &p, 1, &x);
    qn_elements_load(b->dtype, &q, 1, &y);
    double apart = distance(x, y);
    if (a->dtype == b->dtype ? p != q : apart != 0) {
      difference.different++;
      difference.first = QN_MIN(difference.first, i);
    }
    difference.max_abs = fmax(difference.max_abs, apart);
    squares += apart * apart;
    if (isfinite(y)) largest = fmax(largest, fabs(y));
  }
  if (difference.count > 0) difference.rms = sqrt(squares / (double)difference.count);
  difference.max_rel = difference.max_abs == 0 ? 0 : difference.max_abs / largest;
  *out_difference = difference;
  return QN_OK;
}
