// Decoding and rounding of numbers of every type.
#include "runtime/emulator/number_priv.h"

const qn_float_format qn_format_f16 = { .bits = 16, .mantissa = 10, .bias = 15, .nan = 0x7FFF };
const qn_float_format qn_format_bf16 = { .bits = 16, .mantissa = 7, .bias = 127, .nan = 0x7FFF };
const qn_float_format qn_format_tf32 = {
  .bits = 32, .mantissa = 10, .unused = 13, .bias = 127, .nan = 0x7FFFFFFF
};
const qn_float_format qn_format_f32 = { .bits = 32, .mantissa = 23, .bias = 127, .nan = 0x7FFFFFFF };
const qn_float_format qn_format_f64 = { .bits = 64, .mantissa = 52, .bias = 1023, .nan = 0xFFF8000000000000u };

static uint64_t low_bits(uint32_t count) {
  return count >= 64 ? UINT64_MAX : ((uint64_t)1 << count) - 1;
}

qn_number qn_number_from_float(const qn_float_format *format, uint64_t bits) {
  qn_number n = { .negative = bits >> (format->bits - 1) & 1 };
  uint64_t code = (bits & low_bits(format->bits - 1)) >> format->unused;
  uint64_t fraction = code & low_bits(format->mantissa);
  int field = (int)(code >> format->mantissa);
  if (field == 2 * format->bias + 1) {
    n.kind = fraction ? QN_NUMBER_NAN : QN_NUMBER_INFINITE;
    return n;
  }
  n.significand = field ? fraction | (uint64_t)1 << format->mantissa : fraction;
  n.exponent = (field ? field : 1) - format->bias - (int)format->mantissa;
  return n;
}

qn_number qn_number_from_int(uint64_t bits, uint32_t width, bool is_signed) {
  bits &= low_bits(width);
  bool negative = is_signed && bits >> (width - 1) & 1;
  return (qn_number){ .significand = negative ? (0 - bits) & low_bits(width) : bits, .negative = negative };
}

// Cuts `drop` bits off the end of a significand.
static uint64_t drop_bits(uint64_t significand, uint32_t drop, bool negative, qn_rounding rounding) {
  if (drop == 0) return significand;
  uint64_t kept = drop < 64 ? significand >> drop : 0;
  uint64_t rest = significand & low_bits(drop);
  // Beyond 64 bits the half is more than any significand.
  uint64_t half = drop <= 64 ? (uint64_t)1 << (drop - 1) : 0;
  bool above = half && rest > half, tie = half && rest == half;
  switch (rounding) {
  case QN_ROUND_NEAREST_EVEN: return kept + (above || (tie && (kept & 1)));
  case QN_ROUND_NEAREST_AWAY: return kept + (above || tie);
  case QN_ROUND_ZERO: return kept;
  case QN_ROUND_DOWN: return kept + (negative && rest);
  case QN_ROUND_UP: return kept + (!negative && rest);
  }
  return kept;
}

static bool overflow_is_finite(qn_rounding rounding, bool negative) {
  return rounding == QN_ROUND_ZERO || (rounding == QN_ROUND_DOWN && !negative) ||
         (rounding == QN_ROUND_UP && negative);
}

uint64_t qn_number_to_float(const qn_float_format *format, qn_number n, qn_rounding rounding, bool satfinite) {
  const uint64_t infinity = (2 * (uint64_t)format->bias + 1) << format->mantissa;
  uint64_t code = infinity;
  if (n.kind == QN_NUMBER_NAN) return format->nan;
  if (n.kind == QN_NUMBER_INFINITE) {
    if (satfinite) code = infinity - 1;
  } else if (n.significand == 0) {
    code = 0;
  } else {
    int shift = __builtin_clzll(n.significand);
    int leading = n.exponent - shift + 63; // of the value: 1.x * 2^leading
    int below = 1 - format->bias - leading;
    uint32_t drop = 63 - format->mantissa + (uint32_t)(below > 0 ? below : 0);
    code = drop_bits(n.significand << shift, drop, n.negative, rounding);
    // The leading one counts as one step of the exponent field, and a carry moves into it by itself.
    if (below <= 0) code += (uint64_t)(leading + format->bias - 1) << format->mantissa;
    if (code >= infinity)
      code = satfinite || overflow_is_finite(rounding, n.negative) ? infinity - 1 : infinity;
  }
  return (uint64_t)n.negative << (format->bits - 1) | code << format->unused;
}

qn_number qn_number_round(qn_number n, qn_rounding rounding) {
  if (n.kind != QN_NUMBER_FINITE || n.exponent >= 0) return n;
  n.significand = drop_bits(n.significand, (uint32_t)-n.exponent, n.negative, rounding);
  n.exponent = 0;
  return n;
}

uint64_t qn_number_to_int(qn_number n, uint32_t width, bool is_signed, qn_rounding rounding, uint64_t nan) {
  if (n.kind == QN_NUMBER_NAN) return nan;
  n = qn_number_round(n, rounding);
  uint64_t largest = is_signed ? low_bits(width - 1) + n.negative : n.negative ? 0 : low_bits(width);
  bool over = n.kind == QN_NUMBER_INFINITE;
  if (!over && n.significand != 0)
    over = n.exponent > __builtin_clzll(n.significand) || n.significand << n.exponent > largest;
  uint64_t magnitude = over ? largest : n.significand ? n.significand << n.exponent : 0;
  return n.negative ? 0 - magnitude : magnitude;
}
