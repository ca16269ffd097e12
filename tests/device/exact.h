// Sums of products of floats, exact, and rounded once: what every rounding of the PTX ISA is defined by.
//
// A number is an integer of 1024 bits in units of 2^-400: room for every sum and product of f32 and, of f64,
// for those with exponents of moderate size. It shares nothing with what it tests: there is no floating point
// in it.
#ifndef TESTS_DEVICE_EXACT_H
#define TESTS_DEVICE_EXACT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { EXACT_LIMBS = 32, EXACT_UNIT = 400 };

typedef struct exact {
  uint32_t limb[EXACT_LIMBS]; // two's complement, the lowest first
} exact;

typedef struct exact_format {
  int mantissa, exponent; // bits
} exact_format;
static const exact_format exact_f16 = { 10, 5 }, exact_bf16 = { 7, 8 }, exact_f32 = { 23, 8 },
                          exact_f64 = { 52, 11 };

typedef enum exact_rounding { EXACT_RN, EXACT_RZ, EXACT_RM, EXACT_RP } exact_rounding;

// A finite float as an integer times a power of two.
typedef struct exact_parts {
  bool negative;
  uint64_t significand;
  int power;
} exact_parts;

static inline exact_parts exact_take(exact_format f, uint64_t bits) {
  int field = (int)(bits >> f.mantissa & ((1u << f.exponent) - 1)), bias = (1 << (f.exponent - 1)) - 1;
  uint64_t fraction = bits & ((UINT64_C(1) << f.mantissa) - 1);
  bool negative = bits >> (f.mantissa + f.exponent) & 1;
  if (field == 0) return (exact_parts){ negative, fraction, 1 - bias - f.mantissa };
  return (exact_parts){ negative, fraction | UINT64_C(1) << f.mantissa, field - bias - f.mantissa };
}
static inline bool exact_is_nan(exact_format f, uint64_t bits) {
  uint64_t infinity = (UINT64_C(1) << f.exponent) - 1;
  uint64_t magnitude = bits & ((UINT64_C(1) << (f.exponent + f.mantissa)) - 1);
  return magnitude > infinity << f.mantissa;
}
static inline bool exact_is_infinite(exact_format f, uint64_t bits) {
  uint64_t infinity = (UINT64_C(1) << f.exponent) - 1;
  return (bits & ((UINT64_C(1) << (f.exponent + f.mantissa)) - 1)) == infinity << f.mantissa;
}

// Adds or takes away value * 2^power, value below 2^32.
static inline void exact_add_word(exact *sum, bool negative, uint32_t value, int power) {
  uint64_t wide = (uint64_t)value << (power + EXACT_UNIT) % 32;
  uint64_t carry = 0;
  for (int i = (power + EXACT_UNIT) / 32, k = 0; i < EXACT_LIMBS; i++, k++) {
    uint64_t part = k < 2 ? wide >> 32 * k & UINT32_MAX : 0;
    uint64_t here = negative ? (uint64_t)sum->limb[i] - part - carry : (uint64_t)sum->limb[i] + part + carry;
    sum->limb[i] = (uint32_t)here;
    carry = here >> 32 & 1;
  }
}
// Adds a product of two numbers.
static inline void exact_add(exact *sum, exact_parts a, exact_parts b) {
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++) {
      uint32_t product =
          (uint32_t)(a.significand >> 16 * i & 0xFFFF) * (uint32_t)(b.significand >> 16 * j & 0xFFFF);
      if (product) exact_add_word(sum, a.negative != b.negative, product, a.power + b.power + 16 * (i + j));
    }
}
static inline bool exact_is_negative(const exact *x) {
  return x->limb[EXACT_LIMBS - 1] >> 31;
}
static inline bool exact_is_zero(const exact *x) {
  for (int i = 0; i < EXACT_LIMBS; i++)
    if (x->limb[i]) return false;
  return true;
}
static inline bool exact_bit(const exact *x, int i) {
  return i >= 0 && x->limb[i / 32] >> i % 32 & 1;
}

// Rounds a number that is not zero. Overflow gives infinity, or the largest number where the rounding is
// towards it.
static inline uint64_t exact_round(exact_format f, const exact *x, exact_rounding rounding) {
  exact magnitude = *x;
  bool negative = exact_is_negative(x);
  if (negative) {
    uint64_t carry = 1;
    for (int i = 0; i < EXACT_LIMBS; i++) {
      carry += (uint32_t)~x->limb[i];
      magnitude.limb[i] = (uint32_t)carry;
      carry >>= 32;
    }
  }
  int top = 32 * EXACT_LIMBS - 1, bias = (1 << (f.exponent - 1)) - 1;
  while (!exact_bit(&magnitude, top)) top--;
  // The last bit that is kept: of a normal number, or of all subnormal ones.
  int last = top - f.mantissa, least = 1 - bias - f.mantissa + EXACT_UNIT;
  if (last < least) last = least;
  uint64_t kept = 0;
  for (int i = top; i >= last; i--) kept = kept << 1 | exact_bit(&magnitude, i);
  bool half = exact_bit(&magnitude, last - 1), rest = false;
  for (int i = 0; i < last - 1; i++) rest |= exact_bit(&magnitude, i);
  bool up = rounding == EXACT_RN ? half && (rest || (kept & 1))
                                 : (half || rest) && rounding == (negative ? EXACT_RM : EXACT_RP);
  kept += up;
  uint64_t infinity = ((UINT64_C(1) << f.exponent) - 1) << f.mantissa, code = kept;
  if (kept >> f.mantissa) code = ((uint64_t)(last - least) << f.mantissa) + kept;
  if (code >= infinity)
    code = rounding == EXACT_RN || rounding == (negative ? EXACT_RM : EXACT_RP) ? infinity : infinity - 1;
  return code | (uint64_t)negative << (f.exponent + f.mantissa);
}

// a * b + c. NaN is all ones but the sign; the sign of a zero is that of its terms or, where they differ, +
// unless the rounding is down.
static inline uint64_t exact_fma(exact_format f, uint64_t a, uint64_t b, uint64_t c, exact_rounding rounding) {
  int sign_bit = f.exponent + f.mantissa;
  uint64_t nan = (UINT64_C(1) << sign_bit) - 1, infinity = nan >> f.mantissa << f.mantissa;
  bool product_negative = (a ^ b) >> sign_bit & 1, c_negative = c >> sign_bit & 1;
  bool product_infinite = exact_is_infinite(f, a) || exact_is_infinite(f, b);
  if (exact_is_nan(f, a) || exact_is_nan(f, b) || exact_is_nan(f, c)) return nan;
  if (product_infinite && ((a & nan) == 0 || (b & nan) == 0)) return nan;
  if (product_infinite && exact_is_infinite(f, c) && product_negative != c_negative) return nan;
  if (product_infinite) return infinity | (uint64_t)product_negative << sign_bit;
  if (exact_is_infinite(f, c)) return c;
  exact sum;
  memset(&sum, 0, sizeof(sum));
  exact_add(&sum, exact_take(f, a), exact_take(f, b));
  exact_add(&sum, exact_take(f, c), (exact_parts){ false, 1, 0 });
  if (!exact_is_zero(&sum)) return exact_round(f, &sum, rounding);
  bool product_zero = (a & nan) == 0 || (b & nan) == 0;
  bool negative =
      product_zero && (c & nan) == 0 && product_negative == c_negative ? c_negative : rounding == EXACT_RM;
  return (uint64_t)negative << sign_bit;
}

// The sign of q * b - a, for finite numbers.
static inline int exact_compare_product(exact_format f, uint64_t q, uint64_t b, uint64_t a) {
  exact difference;
  memset(&difference, 0, sizeof(difference));
  exact_add(&difference, exact_take(f, q), exact_take(f, b));
  exact_parts minus = exact_take(f, a);
  minus.negative = !minus.negative;
  exact_add(&difference, minus, (exact_parts){ false, 1, 0 });
  return exact_is_zero(&difference) ? 0 : exact_is_negative(&difference) ? -1 : 1;
}

#endif
