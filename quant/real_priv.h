// The arithmetic of schemes on the host: in f32, or in f64 where the file that includes this has defined
// QN_REAL_F64 in front of it; and the recipe of a scheme.
//
// In f64 nothing but codes and stored scales is rounded: `compute`, `scale_compute` and `round_input` are left
// out.
#ifndef QUENCH_QUANT_REAL_PRIV_H
#define QUENCH_QUANT_REAL_PRIV_H

#include "quant/codec_priv.h"
#include "quant/elements_priv.h"

#include <float.h>
#include <math.h>
#include <quench/scheme.h>
#include <string.h>

// Each operation is rounded to its type and none is contracted (-ffp-contract=off).
_Static_assert(FLT_EVAL_METHOD == 0, "f32 arithmetic must be rounded to f32");

#ifdef QN_REAL_F64
typedef double qn_real;
enum { QN_REAL_WIDE = 1 };
#else
typedef float qn_real;
enum { QN_REAL_WIDE = 0 };
#endif

static inline qn_real qn_real_mul(qn_real a, qn_real b) {
  return a * b;
}
static inline qn_real qn_real_div(qn_real a, qn_real b) {
  return a / b;
}
static inline qn_real qn_real_add(qn_real a, qn_real b) {
  return a + b;
}
static inline qn_real qn_real_sub(qn_real a, qn_real b) {
  return a - b;
}
static inline qn_real qn_real_fma(qn_real a, qn_real b, qn_real c) {
  return QN_REAL_WIDE ? (qn_real)fma((double)a, (double)b, (double)c)
                      : (qn_real)fmaf((float)a, (float)b, (float)c);
}
static inline qn_real qn_real_min(qn_real a, qn_real b) {
  return (qn_real)fmin((double)a, (double)b);
}
static inline qn_real qn_real_max(qn_real a, qn_real b) {
  return (qn_real)fmax((double)a, (double)b);
}
static inline qn_real qn_real_even(qn_real x) {
  return (qn_real)rint((double)x);
}
static inline qn_real qn_real_round(int dtype, qn_real x) {
  return (qn_real)qn_element_round((qn_dtype)dtype, (double)x);
}
static inline qn_real qn_real_of(unsigned bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return (qn_real)x;
}
// An f64 is rounded to odd, which keeps it on its side of every threshold that has 23 bits: those of the rules
// that make a power of two are even where they are met (1.75), odd where they are exceeded.
static inline unsigned qn_real_bits(qn_real x) {
  float narrow = (float)x;
  unsigned bits;
  memcpy(&bits, &narrow, sizeof bits);
  if (!QN_REAL_WIDE || !isfinite(x) || (double)narrow == (double)x) return bits;
  if (fabs((double)narrow) > fabs((double)x)) bits--;
  return bits | 1u;
}

#include "quant/recipe_priv.h"

// --- from a scheme to its recipe -------------------------------------------------------------------------

// The largest finite value of a float target, and the bits of a code's fraction.
typedef struct qn_float_codes {
  double largest;
  int fraction;
} qn_float_codes;
static inline qn_float_codes qn_float_codes_of(qn_dtype target) {
  switch (target) {
  case QN_E4M3: return (qn_float_codes){ 448, 3 };
  case QN_E4M3FNUZ: return (qn_float_codes){ 240, 3 };
  case QN_E5M2:
  case QN_E5M2FNUZ: return (qn_float_codes){ 57344, 2 };
  case QN_E2M1: return (qn_float_codes){ 6, 1 };
  default: return (qn_float_codes){ 0, (int)qn_dtype_bits(target) - 2 };
  }
}

// The fraction, 23 bits, from which on amax counts as the next power of two.
static inline unsigned qn_recipe_bump(const qn_scheme *scheme, qn_real range) {
  switch ((qn_scale_rule)scheme->rule) {
  case QN_RULE_UP: return (qn_real_bits(range) & 0x7FFFFFu) + 1;
  case QN_RULE_UP_1_75: return 0x600000u;
  // The tie between the last code in front of a power of two and the power goes up: its code is the even one.
  case QN_RULE_EVEN: return 0x800000u - (0x400000u >> qn_float_codes_of((qn_dtype)scheme->target).fraction);
  case QN_RULE_CEIL: return 1;
  default: return 0x800000u; // never
  }
}

static inline qn_real qn_recipe_epsilon(qn_dtype dtype) {
  switch (dtype) {
  case QN_F16: return (qn_real)0x1p-10;
  case QN_BF16: return (qn_real)0x1p-7;
  case QN_E4M3: return (qn_real)0x1p-3;
  default: return (qn_real)0x1p-23;
  }
}

// The recipe of a scheme that qn_scheme_find_fault finds no fault with. What concerns dynamic schemes alone is
// at its first word in that of a static one.
static inline qn_recipe qn_recipe_of(const qn_scheme *scheme) {
  static const struct {
    bool is_amax;
    double value;
  } floors[] = {
#define X(name, text, is_amax, value, doc) { is_amax, value },
    QN_SCALE_FLOOR_MAP(X)
#undef X
  };
  qn_dtype target = (qn_dtype)scheme->target;
  qn_recipe r = { .scale_dtype = scheme->scale_dtype,
                  .scale_compute = QN_REAL_WIDE ? QN_ANY : scheme->scale_compute,
                  .compute = QN_REAL_WIDE ? QN_ANY : scheme->compute,
                  .round_input = QN_REAL_WIDE ? QN_ANY : scheme->round_input,
                  .zero_point = scheme->zero_point,
                  .arithmetic = qn_scheme_has_scale(scheme) ? scheme->arithmetic : QN_MULTIPLY,
                  .nan = scheme->nan,
                  .zero_sign = scheme->zero_sign,
                  .ties = scheme->ties,
                  .greatest = (qn_real)qn_float_codes_of(target).largest };
  if (qn_dtype_is_float(target)) {
    r.least = -r.greatest;
  } else {
    int64_t least, greatest;
    qn_element_get_range(target, &least, &greatest);
    r.greatest = (qn_real)greatest;
    r.least = (qn_real)(scheme->narrow && least < 0 ? least + 1 : least);
  }
  if (!scheme->dynamic) return r;
  qn_real distance = qn_real_sub(r.greatest, r.least);
  r.rule = scheme->rule;
  r.range_rule = scheme->range;
  r.zero = scheme->zero;
  r.global = scheme->global;
  r.zero_point_rule = scheme->zero_point_rule;
  r.range = scheme->zero_point ? distance : scheme->range == QN_RANGE_HALF ? distance / 2 : r.greatest;
  r.inverse_range = qn_real_div(1, r.range);
  r.bump = qn_recipe_bump(scheme, r.range);
  r.exponent = (int)(qn_real_bits(r.range) >> 23) - 127;
  r.scale_of_zero = qn_recipe_epsilon((qn_dtype)scheme->scale_dtype);
  double floor = floors[scheme->floor].value;
  bool of_amax = floors[scheme->floor].is_amax;
  if (qn_recipe_makes_power(&r) && !of_amax && floor > 0) floor = exp2(ceil(log2(floor)));
  *(of_amax ? &r.amax_floor : &r.scale_floor) = qn_real_round(r.scale_compute, (qn_real)floor);
  return r;
}

#endif
