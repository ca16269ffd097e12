// The functions that PTX only approximates, in f64: 2^x, log2, sin, cos, tanh.
//
// They are made of sums, products and quotients that every machine rounds alike, so that a result is the same
// everywhere, and are good to 1e-13 or better: rounded to f32 they are within 0.5001 units in the last place.
// Hardware is less exact than that; ops_special.c says by how much.
#ifndef QUENCH_RUNTIME_EMULATOR_APPROX_H
#define QUENCH_RUNTIME_EMULATOR_APPROX_H

#include "runtime/emulator/operation_priv.h"

#include <math.h>

#define QN_APPROX_LN2 0x1.62e42fefa39efp-1
#define QN_APPROX_PI  0x1.921fb54442d18p+1

// 2^x - 1 = scale * (1 + e) - 1 with scale a power of two and e = 2^r - 1, |r| <= 1/2.
typedef struct qn_approx_power {
  double scale, e;
} qn_approx_power;

// x, or +-limit where it lies beyond; NaN stays. In integers, so that lanes are computed together.
static inline double qn_approx_limit(float x, float limit) {
  int32_t magnitude = (int32_t)(qn_bits_f32(x) & 0x7FFFFFFF), most = (int32_t)qn_bits_f32(limit);
  magnitude = magnitude > 0x7F800000 ? magnitude : QN_MIN(magnitude, most);
  return (double)qn_get_f32((uint32_t)magnitude | (qn_bits_f32(x) & 0x80000000u));
}

// For |x| <= 1000. The series of e^t to t^12 leaves 3e-16 for |t| <= 0.35.
static inline qn_approx_power qn_approx_exp2(double x) {
  const double magic = 0x1.8p52; // adding it leaves the nearest integer in the low bits
  double shifted = x + magic;
  double t = (x - (shifted - magic)) * QN_APPROX_LN2;
  double sum = 1.0 / 479001600;
  sum = sum * t + 1.0 / 39916800;
  sum = sum * t + 1.0 / 3628800;
  sum = sum * t + 1.0 / 362880;
  sum = sum * t + 1.0 / 40320;
  sum = sum * t + 1.0 / 5040;
  sum = sum * t + 1.0 / 720;
  sum = sum * t + 1.0 / 120;
  sum = sum * t + 1.0 / 24;
  sum = sum * t + 1.0 / 6;
  sum = sum * t + 1.0 / 2;
  sum = sum * t + 1.0;
  return (qn_approx_power){ qn_get_f64((qn_bits_f64(shifted) + 1023) << 52), sum * t };
}

// 2^200 and 2^-200 are infinity and 0 in every type that this is rounded to.
static inline double qn_approx_ex2(float x) {
  qn_approx_power power = qn_approx_exp2(qn_approx_limit(x, 200));
  return power.scale + power.scale * power.e;
}

// For normal x > 0, x = 2^e m with m between sqrt(1/2) and sqrt(2): log2(m) = 2/ln2 atanh((m - 1) / (m + 1)).
static inline double qn_approx_log2(double x) {
  uint64_t bits = qn_bits_f64(x);
  int64_t e = (int64_t)(bits - qn_bits_f64(0x1.6a09e667f3bcdp-1)) >> 52;
  double m = qn_get_f64(bits - ((uint64_t)e << 52));
  double s = (m - 1) / (m + 1), s2 = s * s;
  double sum = 1.0 / 23;
  for (int k = 21; k >= 1; k -= 2) sum = sum * s2 + 1.0 / k;
  return (double)e + 2 / QN_APPROX_LN2 * s * sum;
}
static inline double qn_approx_lg2(double x) {
  if (!(x > 0)) return x == 0 ? -INFINITY : NAN;
  return x < INFINITY ? qn_approx_log2(x) : x;
}

// With y = e^(2|x|) - 1: y / (y + 2). Rounds to 1 long before |x| = 20.
static inline double qn_approx_tanh(float x) {
  qn_approx_power power = qn_approx_exp2(fabs(qn_approx_limit(x, 20)) * (2 / QN_APPROX_LN2));
  double y = power.scale * power.e + (power.scale - 1);
  return copysign(y / (y + 2), (double)x);
}

// An angle as quarter turns and a rest of at most an eighth of a turn.
typedef struct qn_approx_angle {
  uint32_t quarters;
  double rest;
} qn_approx_angle;

// |x| = m 2^e with m < 2^24. Of the product m (2/pi) 2^e only what is below 4 matters, so the bits of 2/pi that
// stand for multiples of 4 are left out, and 128 bits from there on leave more than 30 where all of a rest's
// leading ones cancel (Payne and Hanek, 1983).
static inline qn_approx_angle qn_approx_reduce(float x) {
  static const uint32_t two_over_pi[] = { 0xA2F9836E, 0x4E441529, 0xFC2757D1, 0xF534DDC0,
                                          0xDB629599, 0x3C439041, 0xFE5163AB, 0xDEBBC561 };
  if (fabsf(x) < 0x1.8p-1f) return (qn_approx_angle){ 0, x };
  uint32_t bits = qn_bits_f32(x);
  uint32_t m = (bits & 0x7FFFFF) | 0x800000;
  int e = (int)(bits >> 23 & 0xFF) - 150;
  uint32_t skip = e > 2 ? (uint32_t)e - 2 : 0, down = e > 2 ? 0 : (uint32_t)(2 - e);
  uint32_t product[5];
  uint64_t carry = 0;
  for (int i = 4; i > 0; i--) {
    const uint32_t *at = two_over_pi + skip / 32 + i - 1;
    uint32_t word = (uint32_t)(((uint64_t)at[0] << 32 | at[1]) >> (32 - skip % 32));
    carry += (uint64_t)m * word;
    product[i] = (uint32_t)carry;
    carry >>= 32;
  }
  product[0] = (uint32_t)carry;
  // Down to where two bits stand for quarters of a turn.
  uint64_t high = 0, low = 0;
  for (int i = 0; i < 4; i++) {
    uint32_t word = (uint32_t)(((uint64_t)product[i] << 32 | product[i + 1]) >> down);
    if (i < 2)
      high = high << 32 | word;
    else
      low = low << 32 | word;
  }
  int64_t part = (int64_t)(high << 2 | low >> 62); // of a quarter, from -1/2 to 1/2
  uint32_t quarters = (uint32_t)(high >> 62) + (part < 0);
  double rest = (double)part * 0x1p-64 * (QN_APPROX_PI / 2);
  return x < 0 ? (qn_approx_angle){ 0 - quarters, -rest } : (qn_approx_angle){ quarters, rest };
}

// The series for |rest| <= pi/4: to rest^15 and rest^16, which leaves 1e-16.
static inline double qn_approx_sine_of(qn_approx_angle angle) {
  double square = angle.rest * angle.rest, sum = 0;
  bool odd = angle.quarters & 1;
  for (int k = odd ? 16 : 15; k > 1; k -= 2) sum = (1 - sum) * square / (k * (k - 1));
  double value = odd ? 1 - sum : angle.rest * (1 - sum); // -0 stays
  return angle.quarters & 2 ? -value : value;
}
static inline double qn_approx_sin(float x) {
  if (!(fabsf(x) < INFINITY)) return NAN;
  return qn_approx_sine_of(qn_approx_reduce(x));
}
static inline double qn_approx_cos(float x) {
  if (!(fabsf(x) < INFINITY)) return NAN;
  qn_approx_angle angle = qn_approx_reduce(x);
  angle.quarters++;
  return qn_approx_sine_of(angle);
}

#endif
