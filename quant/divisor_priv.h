// x / s for many x and one s: two operations that give the code which the rounded quotient has.
//
// As recipe_priv.h this is text of the library and of kernels alike; it needs an f32 qn_real and, besides what
// recipe_priv.h asks for, qn_real_fma(a, b, c), a * b + c rounded once.
//
// The proof. s is S 2^a with an integer S of 24 bits. `high` is 1 / s rounded towards zero, and `low` the rest
// of 1 / s, rounded: below 2^-23 of 1 / s, and so off by at most 2^-47 of it. The product x * low is rounded,
// by as much again. So fma(x, high, x * low) is x / s (1 + e), |e| <= 2^-46, rounded once. It is the rounded
// quotient unless the middle of two neighbouring floats lies between x / s and x / s (1 + e); then it is the
// neighbour, and it has another code only if one of the two is a boundary of two codes. A boundary is a number
// of at most B bits. The middles on its two sides are M 2^b, where M, an odd integer of 25 bits, is a multiple
// of 2^(25 - B) plus or minus 1. And x is X 2^c with an integer X below 2^24. With a k that brings X 2^k to the
// size of M S, between 2^47 and 2^49, the distance of x / s from such a middle is |X 2^k - M S| / (X 2^k) of
// it. That is not 0, since M S, with M's 25 bits, is no multiple by a power of two of an X of 24; and to be at
// most 2^-46 the integer X 2^k - M S must be from -8 to 8. k is at least 24, so modulo 2^(25 - B) this integer
// is S or -S. So where S modulo 2^(25 - B) is 0, or 8 away from it, all codes are those of the rounded
// quotient.
//
// Nothing over- or underflows on the way if 2^-60 <= |s| < 2^61 but quotients that are far beyond the largest
// code or below half of the smallest. Infinity, NaN and the sign of zero pass, for high and low have one sign;
// where 1 / s is exact, low is the smallest normal number instead of 0, which rounds away.
#ifndef QUENCH_QUANT_DIVISOR_PRIV_H
#define QUENCH_QUANT_DIVISOR_PRIV_H

typedef struct qn_divisor {
  qn_real high, low;
} qn_divisor;

QN_CODEC_FN qn_divisor qn_divisor_of(qn_real s) {
  qn_divisor d;
  qn_real rest;
  d.high = qn_real_div(1, s);
  rest = qn_real_fma(-s, d.high, 1);
  if (rest < 0) {
    d.high = qn_real_of(qn_real_bits(d.high) - 1);
    rest = qn_real_fma(-s, d.high, 1);
  }
  d.low = rest == 0 ? qn_real_of((qn_real_bits(s) & 0x80000000u) | 0x00800000u) : qn_real_div(rest, s);
  return d;
}

// Whether the codes are those of the division by s. `boundary_bits`, 1 to 20: the bits of the longest number at
// which a code ends and the next one begins.
QN_CODEC_FN int qn_divisor_is_exact(qn_real s, int boundary_bits) {
  unsigned unit = 1u << (25 - boundary_bits), bits = qn_real_bits(s);
  unsigned exponent = bits >> 23 & 0xFFu, rest = bits & (unit - 1);
  return exponent >= 127 - 60 && exponent <= 127 + 60 && (rest == 0 || (rest > 8 && rest < unit - 8));
}

QN_CODEC_FN qn_real qn_divisor_divide(const qn_divisor *d, qn_real x) {
  return qn_real_fma(x, d->high, qn_real_mul(x, d->low));
}

#endif
