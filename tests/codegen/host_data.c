// Random operands, masks whose special rows a kernel must survive, and lengths of every kind.
#include "host_data.h"

#include "ir/base_priv.h"
#include "quant/codec_priv.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

// --- tensors ---------------------------------------------------------------------------------------------

uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

float round_to(qn_dtype dtype, float value) {
  if (dtype == QN_F16) return float_of(qn_f16_to_f32(qn_f16_from_f32(bits_of(value), 0)));
  if (dtype == QN_BF16) return float_of(qn_bf16_to_f32(qn_bf16_from_f32(bits_of(value), 0)));
  return value;
}

float get(const void *values, qn_dtype dtype, int64_t index) {
  const uint16_t *half = values;
  if (dtype == QN_F16) return float_of(qn_f16_to_f32(half[index]));
  if (dtype == QN_BF16) return float_of(qn_bf16_to_f32(half[index]));
  return ((const float *)values)[index];
}

void set(void *values, qn_dtype dtype, int64_t index, float value) {
  uint16_t *half = values;
  if (dtype == QN_F16)
    half[index] = (uint16_t)qn_f16_from_f32(bits_of(value), 0);
  else if (dtype == QN_BF16)
    half[index] = (uint16_t)qn_bf16_from_f32(bits_of(value), 0);
  else
    ((float *)values)[index] = value;
}

static uint32_t random_state;

void data_seed(uint32_t seed) {
  random_state = seed;
}

static float random_unit(void) { // in [-1, 1)
  random_state = random_state * 1664525u + 1013904223u;
  return (float)(int32_t)random_state / 2147483648.0f;
}

static tensor tensor_make(qn_dtype dtype, bool bshd, uint32_t batch, uint32_t heads, uint32_t positions,
                          uint32_t head_dim, uint32_t gap, bool random) {
  int64_t row = head_dim + gap;
  tensor t = { .dtype = dtype };
  t.stride.position = bshd ? row * heads : row;
  t.stride.head = bshd ? row : row * positions;
  t.stride.batch = row * heads * positions;
  uint64_t count = (uint64_t)batch * heads * positions * (uint64_t)row;
  t.bytes = count * qn_dtype_bits(dtype) / 8;
  t.data = aligned_alloc(64, (t.bytes + 64) / 64 * 64);
  memset(t.data, 0xA5, t.bytes);
  if (random)
    for (uint64_t i = 0; i < count; i++) set(t.data, dtype, (int64_t)i, 2 * random_unit());
  return t;
}

int64_t offset(const tensor *t, uint32_t b, uint32_t h, uint32_t i) {
  return (t->starts ? t->starts[b] * t->stride.position : b * t->stride.batch) + h * t->stride.head +
         i * t->stride.position;
}

// --- problems --------------------------------------------------------------------------------------------

uint32_t q_length(const qn_kernel_spec *spec, const problem *p, uint32_t b) {
  const uint32_t lengths[SEQUENCES] = { p->q_len, 0, (p->q_len + 1) / 2, p->q_len / 3 };
  return spec->varlen ? lengths[b] : p->q_len;
}
uint32_t kv_length(const qn_kernel_spec *spec, const problem *p, uint32_t b) {
  const uint32_t lengths[SEQUENCES] = { p->kv_len, (p->kv_len + 1) / 2, 0, p->kv_len - p->kv_len / 4 };
  return spec->varlen ? lengths[b] : p->kv_len;
}

float mask_value(const data *d, uint32_t b, uint32_t h, uint32_t i, uint32_t j) {
  int64_t index = b * d->mask_batch + h * d->mask_head + i * d->mask_q + j;
  if (d->mask_dtype == QN_BOOL) return d->mask[index] ? 0.0f : -INFINITY;
  return get(d->mask, d->mask_dtype, index);
}

// Rows 3, 4 and 5 of a mask are special: all -inf, all the type's lowest, and a single visible position.
static void data_make_mask(const qn_kernel_spec *spec, const problem *p, data *d) {
  uint32_t rows = p->mask_per_row ? p->batch * spec->heads * p->q_len : p->batch;
  d->mask_dtype = spec->mask == QN_MASK_BOOLEAN ? QN_BOOL : spec->mask_dtype;
  d->mask_q = p->mask_per_row ? p->kv_len : 0;
  d->mask_head = p->mask_per_row ? (int64_t)p->kv_len * p->q_len : 0;
  d->mask_batch = p->mask_per_row ? d->mask_head * spec->heads : p->kv_len;
  d->mask_bytes = (uint64_t)rows * p->kv_len * qn_dtype_bits(d->mask_dtype) / 8;
  d->mask = malloc(d->mask_bytes + 1);
  float lowest = d->mask_dtype == QN_F16 ? -65504.0f : d->mask_dtype == QN_BF16 ? -3.3895314e38f : -FLT_MAX;
  for (uint32_t r = 0; r < rows; r++)
    for (uint32_t j = 0; j < p->kv_len; j++) {
      int64_t index = (int64_t)r * p->kv_len + j;
      uint32_t special = p->mask_per_row ? r % p->q_len : 0;
      float value = random_unit() < 0.6f ? 2 * random_unit() : -INFINITY;
      if (special == 3) value = -INFINITY;
      if (special == 4) value = lowest;
      if (special == 5) value = j == 0 ? 1.0f : -INFINITY;
      if (d->mask_dtype == QN_BOOL)
        d->mask[index] = value > -INFINITY && special != 4;
      else
        set(d->mask, d->mask_dtype, index, value);
    }
}

// One number a head, or a sequence.
static void data_make_vectors(const qn_kernel_spec *spec, const problem *p, data *d) {
  for (uint32_t h = 0; h < spec->heads; h++) {
    if (spec->sinks_dtype != QN_ANY) set(d->sinks, spec->sinks_dtype, h, 3 * random_unit());
    d->slopes[h] = ldexpf(1.3f, -(int)h - 2);
  }
  for (uint32_t b = 0; b < p->batch; b++) {
    d->kv_lengths[b] = (int32_t)((b * 7 + p->kv_len * 2 / 3) % (p->kv_len + 1));
    d->starts_q[b + 1] = d->starts_q[b] + (int32_t)q_length(spec, p, b);
    d->starts_kv[b + 1] = d->starts_kv[b] + (int32_t)kv_length(spec, p, b);
  }
  for (uint32_t b = 0; b <= SEQUENCES; b++) {
    d->wide[0][b] = b < SEQUENCES ? d->kv_lengths[b] : 0;
    d->wide[1][b] = d->starts_q[b];
    d->wide[2][b] = d->starts_kv[b];
  }
}

// A tensor of all tokens; its batch stride is one that no address may have.
static tensor tokens_make(qn_dtype dtype, const int32_t *starts, uint32_t heads, uint32_t head_dim,
                          uint32_t gap, bool random) {
  tensor t = tensor_make(dtype, true, 1, heads, (uint32_t)starts[SEQUENCES], head_dim, gap, random);
  t.starts = starts;
  t.stride.batch = 1;
  return t;
}

tensor out_make(const qn_kernel_spec *spec, const problem *p, const data *d, qn_dtype dtype) {
  if (spec->varlen) return tokens_make(dtype, d->starts_q, spec->heads, spec->v_head_dim, p->out_gap, false);
  return tensor_make(dtype, p->bshd, p->batch, spec->heads, p->q_len, spec->v_head_dim, p->out_gap, false);
}

void data_make(const qn_kernel_spec *spec, const problem *p, data *out) {
  data *d = out;
  *d = (data){ .mask = NULL };
  data_make_vectors(spec, p, d);
  if (spec->varlen) {
    d->q = tokens_make(spec->dtype, d->starts_q, spec->heads, spec->head_dim, p->gap, true);
    d->k = tokens_make(spec->dtype, d->starts_kv, spec->kv_heads, spec->head_dim, p->gap, true);
    d->v = tokens_make(spec->dtype, d->starts_kv, spec->kv_heads, spec->v_head_dim, p->gap, true);
    return;
  }
  d->q = tensor_make(spec->dtype, p->bshd, p->batch, spec->heads, p->q_len, spec->head_dim, p->gap, true);
  d->k = tensor_make(spec->dtype, p->bshd, p->batch, spec->kv_heads, p->kv_len, spec->head_dim, p->gap, true);
  d->v = tensor_make(spec->dtype, p->bshd, p->batch, spec->kv_heads, p->kv_len, spec->v_head_dim, p->gap, true);
  if (spec->mask != QN_MASK_NONE) data_make_mask(spec, p, d);
}

void data_free(data *d) {
  free(d->q.data);
  free(d->k.data);
  free(d->v.data);
  free(d->mask);
}
