// The operands of a test of few queries, and attention over them in f64.
#include "tests/kernels/split_data.h"

#include "ir/base_priv.h"
#include "quant/elements_priv.h"

#include <criterion/criterion.h>
#include <math.h>

enum { GUARD_PAGES = 3 };

// --- data ------------------------------------------------------------------------------------------------

static uint64_t random_state;

static double random_value(void) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return (double)(random_state >> 33) / 0x1p30 - 1;
}

static plane plane_create(qn_dtype dtype, uint64_t count, double magnitude) {
  plane p = { dtype, count, malloc((count + 1) * sizeof(double)), malloc((count + 1) * 8) };
  for (uint64_t i = 0; i < count; i++) p.values[i] = random_value() * magnitude;
  qn_elements_store(dtype, p.values, count, true, p.bytes);
  qn_elements_load(dtype, p.bytes, count, p.values);
  return p;
}

static void plane_destroy(plane *p) {
  free(p->values);
  free(p->bytes);
}

static void set_nan(plane *p, uint64_t first, uint64_t count) {
  uint64_t size = qn_element_size(p->dtype);
  memset((char *)p->bytes + first * size, p->dtype == QN_E5M2 || p->dtype == QN_E4M3 ? 0x7F : 0xFF,
         count * size);
  for (uint64_t i = first; i < first + count; i++) p->values[i] = NAN;
}

static uint32_t length_of(const split_case *c, uint32_t b) {
  return c->spec.kv_lengths ? c->lengths[b] : c->kv_len;
}

// Strides of k or v, of `outer` batches or pages of `positions`.
static qn_strides strides_of(const split_case *c, uint32_t positions, uint32_t dim) {
  int64_t heads = c->spec.kv_heads;
  return (qn_strides){ .batch = heads * positions * dim,
                       .head = c->heads_outside ? (int64_t)positions * dim : dim,
                       .position = c->heads_outside ? dim : heads * dim };
}

// The first element of a row of k or v.
static uint64_t row_of(const split_data *d, const qn_strides *stride, uint32_t b, uint32_t head,
                       uint32_t position) {
  uint32_t page = d->c.spec.page_size, outer = b;
  if (page > 0) {
    outer = (uint32_t)d->table[b * d->table_stride + position / page];
    position %= page;
  }
  return (uint64_t)(outer * stride->batch + head * stride->head + position * stride->position);
}

// Pages of the pool in an order without a pattern; entries that no key needs lead far beyond it.
static void make_table(split_data *d) {
  const split_case *c = &d->c;
  uint32_t page = c->spec.page_size, used = 0;
  d->table_stride = (c->kv_len + page - 1) / page + 2;
  for (uint32_t b = 0; b < c->batch; b++) used += (length_of(c, b) + page - 1) / page;
  d->pages = used + GUARD_PAGES;
  uint32_t step = 7, next = 3;
  while (d->pages % step == 0) step += 2;
  cr_assert_leq((uint64_t)d->table_stride * c->batch, SPLIT_TABLE_MAX);
  for (uint32_t b = 0; b < c->batch; b++)
    for (uint32_t i = 0; i < d->table_stride; i++) {
      bool needed = i < (length_of(c, b) + page - 1) / page;
      d->table[b * d->table_stride + i] = needed ? (int32_t)(next % d->pages) : INT32_MAX;
      if (needed) next += step;
    }
}

// Makes NaN of all rows that are no key of a sequence.
static void hide_rows(split_data *d, plane *p, const qn_strides *stride, uint32_t dim) {
  bool *seen = calloc(p->count / dim + 1, 1);
  for (uint32_t b = 0; b < d->c.batch; b++)
    for (uint32_t h = 0; h < d->c.spec.kv_heads; h++)
      for (uint32_t j = 0; j < length_of(&d->c, b); j++) seen[row_of(d, stride, b, h, j) / dim] = true;
  for (uint64_t row = 0; row < p->count / dim; row++)
    if (!seen[row]) set_nan(p, row * dim, dim);
  free(seen);
}

split_data *split_data_create(const split_case *c) {
  split_data *d = calloc(1, sizeof *d);
  const qn_kernel_spec *spec = &d->c.spec;
  qn_dtype kv = c->spec.kv_dtype == QN_ANY ? c->spec.dtype : c->spec.kv_dtype;
  d->c = *c;
  random_state = 1;
  uint32_t outer = c->batch, positions = c->kv_len;
  if (spec->page_size > 0) {
    make_table(d);
    outer = d->pages;
    positions = spec->page_size;
  }
  uint64_t rows = (uint64_t)outer * positions * spec->kv_heads;
  d->q = plane_create(spec->dtype, (uint64_t)c->batch * c->q_len * spec->heads * spec->head_dim, 2);
  d->k = plane_create(kv, rows * spec->head_dim, 2);
  d->v = plane_create(kv, rows * spec->v_head_dim, 1);
  d->slopes = plane_create(QN_F32, spec->heads, 0.25);
  d->sinks = plane_create(spec->sinks_dtype == QN_ANY ? QN_F32 : spec->sinks_dtype, spec->heads, 3);
  d->mask = plane_create(QN_F32, c->kv_len, 2);
  d->k_scale = plane_create(QN_F32, spec->kv_heads, 0.5);
  d->v_scale = plane_create(QN_F32, spec->kv_heads, 3);
  d->k_stride = strides_of(c, positions, spec->head_dim);
  d->v_stride = strides_of(c, positions, spec->v_head_dim);
  hide_rows(d, &d->k, &d->k_stride, spec->head_dim);
  hide_rows(d, &d->v, &d->v_stride, spec->v_head_dim);
  return d;
}

void split_data_destroy(split_data *d) {
  plane *const planes[] = { &d->q, &d->k, &d->v, &d->slopes, &d->sinks, &d->mask, &d->k_scale, &d->v_scale };
  for (size_t i = 0; i < QN_COUNT(planes); i++) plane_destroy(planes[i]);
  free(d);
}

// --- attention in f64 ------------------------------------------------------------------------------------

static double scale_of(qn_kv_scale kind, const plane *scales, uint32_t kv_head) {
  if (kind == QN_KV_SCALE_NONE) return 1;
  return scales->values[kind == QN_KV_SCALE_HEAD ? kv_head : 0];
}

// Minus infinity for a key that the query does not see.
static double score_of(const split_data *d, uint32_t b, uint32_t h, uint32_t i, uint32_t j) {
  const qn_kernel_spec *spec = &d->c.spec;
  uint32_t kv_head = h / (spec->heads / spec->kv_heads), length = length_of(&d->c, b);
  bool counted = spec->kv_lengths || spec->causal == QN_CAUSAL_BOTTOM_RIGHT;
  int64_t position = (int64_t)i + (counted ? (int64_t)length - d->c.q_len : 0);
  int64_t right = spec->causal != QN_CAUSAL_NONE ? 0 : spec->window_right;
  if (right >= 0 && j > position + right) return -INFINITY;
  if (spec->window_left >= 0 && j < position - spec->window_left) return -INFINITY;
  const double *q = d->q.values + (((uint64_t)b * d->c.q_len + i) * spec->heads + h) * spec->head_dim;
  const double *k = d->k.values + row_of(d, &d->k_stride, b, kv_head, j);
  double sum = 0;
  for (uint32_t e = 0; e < spec->head_dim; e++) sum += q[e] * k[e];
  sum *= (spec->scale != 0 ? spec->scale : 1 / sqrt(spec->head_dim)) *
         scale_of(spec->k_scale, &d->k_scale, kv_head);
  if (spec->softcap > 0) sum = spec->softcap * tanh(sum / spec->softcap);
  if (spec->alibi) sum -= d->slopes.values[h] * (double)llabs(position - j);
  if (spec->mask == QN_MASK_ADDITIVE) sum += d->mask.values[j];
  return sum;
}

// A row of the output and of attention over |v|.
void split_reference_row(const split_data *d, uint32_t b, uint32_t h, uint32_t i, double *out,
                         double *over_abs) {
  const qn_kernel_spec *spec = &d->c.spec;
  uint32_t length = length_of(&d->c, b), kv_head = h / (spec->heads / spec->kv_heads);
  double largest = spec->sinks_dtype != QN_ANY ? d->sinks.values[h] : -INFINITY;
  double *scores = malloc((length + 1) * sizeof(double)), sum = 0;
  for (uint32_t j = 0; j < length; j++) largest = fmax(largest, scores[j] = score_of(d, b, h, i, j));
  for (uint32_t e = 0; e < spec->v_head_dim; e++) out[e] = over_abs[e] = 0;
  if (spec->sinks_dtype != QN_ANY) sum = exp(d->sinks.values[h] - largest);
  for (uint32_t j = 0; j < length; j++) {
    double weight = scores[j] == -INFINITY ? 0 : exp(scores[j] - largest);
    const double *v = d->v.values + row_of(d, &d->v_stride, b, kv_head, j);
    sum += weight;
    for (uint32_t e = 0; e < spec->v_head_dim; e++) {
      out[e] += weight * v[e];
      over_abs[e] += weight * fabs(v[e]);
    }
  }
  double factor = sum > 0 ? scale_of(spec->v_scale, &d->v_scale, kv_head) / sum : 0;
  for (uint32_t e = 0; e < spec->v_head_dim; e++) {
    out[e] *= factor;
    over_abs[e] *= fabs(factor);
  }
  free(scores);
}

static double largest_of(const plane *p, uint32_t dim) {
  double largest = 0;
  for (uint64_t row = 0; row < p->count; row += dim) {
    double sum = 0;
    for (uint32_t e = 0; e < dim; e++) sum += p->values[row + e] * p->values[row + e];
    if (!isnan(sum)) largest = fmax(largest, sqrt(sum));
  }
  return largest;
}

qn_attention_norms split_norms(const split_data *d) {
  const split_case *c = &d->c;
  const qn_kernel_spec *spec = &c->spec;
  double offset = largest_of(&d->slopes, 1) * (c->kv_len + c->q_len) * spec->alibi;
  if (spec->mask != QN_MASK_NONE) offset += largest_of(&d->mask, 1);
  if (spec->sinks_dtype != QN_ANY) offset += largest_of(&d->sinks, 1);
  return (qn_attention_norms){
    .keys = c->kv_len,
    .q = largest_of(&d->q, spec->head_dim),
    .k = largest_of(&d->k, spec->head_dim) * (spec->k_scale ? largest_of(&d->k_scale, 1) : 1),
    .v = largest_of(&d->v, 1) * (spec->v_scale ? largest_of(&d->v_scale, 1) : 1),
    .offset = offset,
  };
}
