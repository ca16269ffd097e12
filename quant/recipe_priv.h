// The arithmetic of schemes: from the magnitudes of a group to its scale, from a value to its quotient. The one
// source of it.
//
// The reference executor includes this file, in f32 and in f64, and kernels carry the same text, so all give the
// same bytes. It is written in what C17 and CUDA C++ have in common: no include, no libc. Whoever includes it has
// defined, in front of it:
//
//   QN_CODEC_FN, and the scalar codecs of quant/codec_priv.h
//   qn_real                                   float or double
//   qn_real_mul _div _add _sub (a, b)         one operation, rounded to nearest even, never contracted
//   qn_real_min _max (a, b)                   the other one where one is NaN
//   qn_real_even(x)                           to an integer, ties to even
//   qn_real_round(dtype, x)                   the value of a float type nearest to x; what overflows becomes
//                                             infinite in f16 and bf16, the largest value in e4m3; ANY: x
//   qn_real_bits(x), qn_real_of(bits)         as and from the bits of an f32
//   the enumerations of <quench/scheme.h> and <quench/type.h>
//
// A kernel knows the recipe at compile time: what it does not need is gone after inlining.
#ifndef QUENCH_QUANT_RECIPE_PRIV_H
#define QUENCH_QUANT_RECIPE_PRIV_H

// What of a scheme decides its arithmetic; made from one by qn_recipe_of (quant/real_priv.h). A field has the name
// and the values of that of qn_scheme unless it is said otherwise. The list serves whoever writes a recipe out.
#define QN_RECIPE_MAP(X)                                                                                       \
  X(int, scale_dtype)                                                                                          \
  X(int, scale_compute)                                                                                        \
  X(int, compute)                                                                                              \
  X(int, round_input)                                                                                          \
  X(int, rule)                                                                                                 \
  X(int, range_rule) /* range */                                                                               \
  X(int, zero)                                                                                                 \
  X(int, global)                                                                                               \
  X(int, zero_point)                                                                                           \
  X(int, zero_point_rule)                                                                                      \
  X(int, arithmetic)                                                                                           \
  X(int, nan)                                                                                                  \
  X(int, zero_sign)                                                                                            \
  X(int, ties)                                                                                                 \
  X(int, exponent)  /* floor(log2 R), of the rules that make a power of two */                                 \
  X(unsigned, bump) /* the fraction of amax, 23 bits, from which on its power of two counts one more */        \
  X(qn_real, range) /* R, or the distance of the codes of an asymmetric scheme */                              \
  X(qn_real, inverse_range) /* 1 / range */                                                                    \
  X(qn_real, amax_floor)                                                                                       \
  X(qn_real, scale_floor)                                                                                      \
  X(qn_real, scale_of_zero)                                                                                    \
  X(qn_real, least)    /* the codes' range; of floats the finite ones' */                                      \
  X(qn_real, greatest)

typedef struct qn_recipe {
#define X(type, name) type name;
  QN_RECIPE_MAP(X)
#undef X
} qn_recipe;

QN_CODEC_FN int qn_recipe_makes_power(const qn_recipe *r) {
  return r->rule >= QN_RULE_FLOOR;
}

// The power of two of a group. Decided by bits: log2 in f32 is one too low just above a power of two.
QN_CODEC_FN qn_real qn_recipe_power(const qn_recipe *r, qn_real amax) {
  unsigned bits = qn_real_bits(amax), fraction = bits & 0x7FFFFFu;
  int code = (int)(bits >> 23) - r->exponent + (fraction >= r->bump ? 1 : 0);
  if (bits >= 0x7F800000u) code = 255; // inf and NaN: NaN
  else code = code < 0 ? 0 : code > 254 ? 254 : code;
  return qn_real_of(qn_e8m0_to_f32((unsigned)code));
}

// The last steps of a scale: rules for zero, floor, the type, of which a power of two is a value. `empty`: the group
// has nothing but zeros.
QN_CODEC_FN qn_real qn_recipe_store_scale(const qn_recipe *r, qn_real s, int empty) {
  if (r->zero == QN_ZERO_ONE && (empty || s == 0)) s = 1;
  if (r->scale_floor > 0) s = qn_real_max(s, r->scale_floor);
  if (r->scale_dtype != QN_E8M0 || !qn_recipe_makes_power(r)) s = qn_real_round(r->scale_dtype, s);
  return r->zero == QN_ZERO_EPS && s == 0 ? r->scale_of_zero : s;
}

// The scale of a symmetric dynamic scheme as it is stored. `amax` is the largest |x| of the group after
// pre_scale and round_input, `global` is read if the scheme has one.
QN_CODEC_FN qn_real qn_recipe_scale(const qn_recipe *r, qn_real amax, qn_real global) {
  qn_real a = qn_real_max(amax, r->amax_floor), s;
  if (qn_recipe_makes_power(r)) {
    s = qn_recipe_power(r, a);
  } else if (r->rule == QN_RULE_PRODUCT) {
    s = qn_real_div(a, qn_real_mul(r->range, global));
  } else if (r->rule == QN_RULE_MULTIPLIER) {
    s = qn_real_div(r->range, a);
  } else {
    s = r->rule == QN_RULE_RECIPROCAL ? qn_real_mul(a, r->inverse_range) : qn_real_div(a, r->range);
    s = qn_real_round(r->scale_compute, s);
    if (r->global == QN_GLOBAL_MULTIPLIER) s = qn_real_mul(global, s);
    if (r->global == QN_GLOBAL_DIVISOR) s = qn_real_div(s, global);
  }
  return qn_recipe_store_scale(r, s, amax == 0);
}

// qn_recipe_factor where nothing is 0.
QN_CODEC_FN qn_real qn_recipe_factor_of(const qn_recipe *r, qn_real scale, qn_real amax, qn_real global) {
  if (r->arithmetic == QN_RANGE) return qn_real_div(r->range, amax);
  if (r->arithmetic == QN_MULTIPLY) return scale;
  if (r->arithmetic == QN_RECIPROCAL) {
    if (r->global == QN_GLOBAL_DIVISOR) return qn_real_div(qn_real_div(1, global), scale);
    if (r->global == QN_GLOBAL_MULTIPLIER) scale = qn_real_mul(scale, qn_real_div(1, global));
    scale = qn_real_div(1, scale);
    // An inverse is computed in the type of its scale; e4m3 and e8m0 are read back as f32 first.
    return r->scale_dtype == QN_F16 || r->scale_dtype == QN_BF16 ? qn_real_round(r->scale_dtype, scale) : scale;
  }
  if (r->global == QN_GLOBAL_DIVISOR) return qn_real_mul(scale, global);
  if (r->global == QN_GLOBAL_MULTIPLIER) return qn_real_div(scale, global);
  return scale;
}

// What a value is divided by (arithmetic divide) or multiplied with (all others), from the scale as it is stored.
// `amax` is read by arithmetic range, `global` where there is one. The zeros come last: a kernel then has no branch.
QN_CODEC_FN qn_real qn_recipe_factor(const qn_recipe *r, qn_real scale, qn_real amax, qn_real global) {
  qn_real factor = qn_recipe_factor_of(r, scale, amax, global);
  if (r->zero == QN_ZERO_CODES && scale == 0) return 0;
  return r->arithmetic == QN_RANGE && amax == 0 ? 0 : factor;
}

// A value before anything else: times its element of pre_scale where there is one, and rounded.
QN_CODEC_FN qn_real qn_recipe_prepare(const qn_recipe *r, qn_real x) {
  return qn_real_round(r->round_input, x);
}

// The quotient of a prepared value, which then becomes a code.
QN_CODEC_FN qn_real qn_recipe_quotient(const qn_recipe *r, qn_real x, qn_real factor) {
  int divides = r->arithmetic == QN_DIVIDE && !(r->zero == QN_ZERO_CODES && factor == 0);
  return qn_real_round(r->compute, divides ? qn_real_div(x, factor) : qn_real_mul(x, factor));
}

// The quotient as it becomes a code of a float target.
QN_CODEC_FN qn_real qn_recipe_float(const qn_recipe *r, qn_real quotient) {
  if (r->zero_sign == QN_ZERO_SIGN_EXACT) quotient = qn_real_add(quotient, 0); // -0 + 0 is +0
  return r->nan == QN_NAN_LARGEST && quotient != quotient ? r->greatest : quotient;
}

// The code of e2m1, from the code that is nearest to the quotient, ties to even.
QN_CODEC_FN unsigned qn_recipe_e2m1(const qn_recipe *r, qn_real quotient, unsigned code) {
  qn_real magnitude = quotient < 0 ? -quotient : quotient;
  // The ties that went up: between 0.5 and 1, 1.5 and 2, 3 and 4.
  if (r->ties == QN_TIES_ZERO && (magnitude == 0.75f || magnitude == 1.75f || magnitude == 3.5f)) code -= 1;
  if ((code & 7u) != 0) return code;
  if (r->zero_sign == QN_ZERO_SIGN_DROPPED) return 0;
  if (quotient != 0) return code;
  return r->zero_sign == QN_ZERO_SIGN_EXACT ? 0 : r->zero_sign == QN_ZERO_SIGN_SET ? 8u : code;
}

// The code of an integer target, as a number. NaN counts as 0, as in cvt.rni.
QN_CODEC_FN qn_real qn_recipe_integer(const qn_recipe *r, qn_real quotient, qn_real zero_point) {
  if (quotient != quotient) quotient = 0;
  if (r->zero_point == QN_ZERO_POINT_BEFORE)
    quotient = qn_real_round(r->compute, qn_real_add(quotient, zero_point));
  quotient = qn_real_even(quotient);
  if (r->zero_point == QN_ZERO_POINT_AFTER) quotient = qn_real_add(quotient, zero_point);
  return qn_real_max(r->least, qn_real_min(r->greatest, quotient));
}

// The scale of an asymmetric dynamic scheme, as it is stored.
QN_CODEC_FN qn_real qn_recipe_scale_of_range(const qn_recipe *r, qn_real low, qn_real high) {
  qn_real distance, s;
  if (r->range_rule == QN_RANGE_WITH_ZERO) {
    low = qn_real_min(low, 0);
    high = qn_real_max(high, 0);
  }
  distance = qn_real_round(r->scale_compute, qn_real_sub(high, low));
  s = qn_real_round(r->scale_compute, qn_real_div(distance, r->range));
  return qn_recipe_store_scale(r, s, distance == 0);
}

// Its zero point. The epsilon replaces a scale whose zero point has been found: of nothing but zeros, 0 / 0.
QN_CODEC_FN qn_real qn_recipe_zero_point(const qn_recipe *r, qn_real low, qn_real high, qn_real scale) {
  qn_real shift, zero_point;
  if (r->zero == QN_ZERO_EPS && low == 0 && high == 0) return 0;
  if (r->range_rule == QN_RANGE_WITH_ZERO) low = qn_real_min(low, 0);
  shift = qn_real_round(r->scale_compute, qn_real_div(low, scale));
  zero_point = r->zero_point_rule == QN_ZERO_POINT_RULE_INNER
                   ? qn_real_sub(r->least, qn_real_even(shift))
                   : qn_real_even(qn_real_round(r->scale_compute, qn_real_sub(r->least, shift)));
  if (zero_point != zero_point) zero_point = 0;
  if (r->range_rule != QN_RANGE_WITH_ZERO) return zero_point;
  return qn_real_max(r->least, qn_real_min(r->greatest, zero_point));
}

#endif
