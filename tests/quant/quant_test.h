// What the tests of the quantizer share: running it on a tensor under a scheme's text, values to run it on, and
// codes by search in the list of a format's values, which shares nothing with quant/codec_priv.h.
#ifndef QUENCH_TESTS_QUANT_TEST_H
#define QUENCH_TESTS_QUANT_TEST_H

#include "ir/base_priv.h"
#include "quant/elements_priv.h"
#include "quant/quantize_priv.h"
#include "quant/scale_buffer_priv.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

// --- running -----------------------------------------------------------------------------------------------

// One quantization. Fill in the upper part, `quantize` fills the lower one.
typedef struct {
  const char *scheme;
  int32_t rank;
  int64_t dims[QN_RANK_MAX];
  const double *x;
  qn_numbers scale, zero_point, pre_scale, scale_bound;
  bool wide;

  qn_status status;
  char message[256];
  qn_scheme parsed;
  int64_t code_dims[QN_RANK_MAX];
  qn_scale_buffer buffer;
  uint64_t count; // of codes
  uint8_t *codes; // unpacked
  uint8_t *scales, *zero_points;
} quantization;

static inline void *filled(uint64_t size) {
  void *memory = malloc(size + 1);
  if (!memory) abort();
  memset(memory, 0xA5, size); // whatever is not written is seen
  return memory;
}

static inline void quantize(quantization *q) {
  qn_context *context;
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  cr_assert(qn_scheme_parse(q->scheme, &q->parsed), "%s", q->scheme);
  qn_quantized_dims(&q->parsed, q->rank, q->dims, q->code_dims);
  q->count = 1;
  for (int32_t d = 0; d < q->rank; d++) q->count *= (uint64_t)q->code_dims[d];
  q->codes = filled(q->count * qn_element_size((qn_dtype)q->parsed.target));
  if (q->parsed.dynamic && qn_scale_buffer_of(&q->parsed, q->rank, q->code_dims, &q->buffer)) {
    q->scales = filled(q->buffer.count * qn_element_size((qn_dtype)q->parsed.scale_dtype));
    q->zero_points = filled(q->buffer.count * qn_element_size(qn_scheme_get_zero_point(&q->parsed)));
  }
  const qn_quantize_args args = { .scheme = &q->parsed,
                                  .rank = q->rank,
                                  .dims = q->dims,
                                  .scale = q->scale,
                                  .zero_point = q->zero_point,
                                  .pre_scale = q->pre_scale,
                                  .scale_bound = q->scale_bound,
                                  .wide = q->wide };
  q->status = qn_quantize(context, &args, q->x, &(qn_quantized){ q->codes, q->scales, q->zero_points });
  snprintf(q->message, sizeof q->message, "%s",
           q->status == QN_OK ? "" : qn_context_get_error(context)->message);
  qn_context_destroy(context);
}

static inline void quantize_well(quantization *q) {
  quantize(q);
  cr_assert_eq(q->status, QN_OK, "%s: %s", q->scheme, q->message);
}

static inline void release(quantization *q) {
  free(q->codes);
  free(q->scales);
  free(q->zero_points);
  q->codes = q->scales = q->zero_points = NULL;
}

// Result `index` as a number.
static inline double scale_at(const quantization *q, uint64_t index) {
  double value;
  qn_dtype dtype = (qn_dtype)q->parsed.scale_dtype;
  qn_elements_load(dtype, q->scales + index * qn_element_size(dtype), 1, &value);
  return value;
}
static inline double zero_point_at(const quantization *q, uint64_t index) {
  double value;
  qn_dtype dtype = qn_scheme_get_zero_point(&q->parsed);
  qn_elements_load(dtype, q->zero_points + index * qn_element_size(dtype), 1, &value);
  return value;
}

#define ONE(value) ((qn_numbers){ &(double){ (double)(value) }, 1 })

// --- values ------------------------------------------------------------------------------------------------

// Of widely different size from group to group, some groups 0, some values 0 or -0, exact in bf16 (8 bits).
static inline double *create_values(uint64_t count, uint32_t seed) {
  double *x = filled(count * sizeof *x);
  uint32_t state = seed;
  int exponent = 0;
  bool zeros = false;
  for (uint64_t i = 0; i < count; i++) {
    state = state * 1664525u + 1013904223u;
    if (i % 16 == 0) exponent = (int)(state >> 28) - 10, zeros = (state >> 20 & 15) == 0;
    int mantissa = (int)(state >> 12 & 0xFF);
    double value = ldexp(mantissa, exponent - 7 - (int)(state >> 24 & 3));
    if (zeros || (state >> 8 & 31) == 0) value = 0;
    x[i] = state >> 31 ? -value : value;
  }
  return x;
}

// --- codes by search ---------------------------------------------------------------------------------------

// The value of a magnitude code of a format with `mantissa` bits behind the point.
static inline double code_value(unsigned code, int mantissa, int bias) {
  int exponent = (int)(code >> mantissa);
  double fraction = ldexp((double)(code & ((1u << mantissa) - 1)), -mantissa);
  return exponent == 0 ? ldexp(fraction, 1 - bias) : ldexp(1 + fraction, exponent - bias);
}

static inline uint8_t search_code(double x, int mantissa, int bias, unsigned largest, unsigned sign,
                                  uint8_t nan) {
  double magnitude = fabs(x);
  unsigned best = largest, low = 0, high = largest;
  if (isnan(x)) return nan;
  while (high - low > 1) { // values rise with codes
    unsigned middle = (low + high) / 2;
    if (code_value(middle, mantissa, bias) <= magnitude)
      low = middle;
    else
      high = middle;
  }
  double below = magnitude - code_value(low, mantissa, bias),
         above = code_value(high, mantissa, bias) - magnitude;
  best = below < above ? low : above < below ? high : low % 2 == 0 ? low : high;
  return (uint8_t)(best | (signbit(x) ? sign : 0));
}
static inline uint8_t e4m3_of(double x) {
  return search_code(x, 3, 7, 0x7E, 0x80, 0x7F);
}
static inline uint8_t e5m2_of(double x) {
  return search_code(x, 2, 15, 0x7B, 0x80, 0x7F);
}
static inline uint8_t e2m1_of(double x) {
  return search_code(x, 1, 1, 7, 8, 7);
}
static inline float e4m3_value(uint8_t code) {
  return (float)(code & 0x80 ? -code_value(code & 0x7F, 3, 7) : code_value(code, 3, 7));
}

#endif
