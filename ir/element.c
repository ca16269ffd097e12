// Single elements of tensors. Only what text and constants need: a value at a time, exact; the fast and the
// deviating conversions of producers are quant/'s.
#include "ir/element_priv.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

// clang-format off
// Floating types as sign, exponent and fraction. `largest` is the largest finite code without its sign.
static const struct float_format {
  uint8_t exponent, fraction;
  bool has_negative_zero;
  int16_t bias;
  uint64_t largest, infinity, nan; // 0: there is none
} formats[QN_DTYPE_COUNT] = {
  //                exp frac  -0     bias  largest               infinity              nan
  [QN_F16]      = { 5,  10,   true,  15,   0x7bff,               0x7c00,               0x7e00 },
  [QN_BF16]     = { 8,  7,    true,  127,  0x7f7f,               0x7f80,               0x7fc0 },
  [QN_F32]      = { 8,  23,   true,  127,  0x7f7fffff,           0x7f800000,           0x7fc00000 },
  [QN_F64]      = { 11, 52,   true,  1023, 0x7fefffffffffffff,   0x7ff0000000000000,   0x7ff8000000000000 },
  [QN_E4M3]     = { 4,  3,    true,  7,    0x7e,                 0,                    0x7f },
  [QN_E5M2]     = { 5,  2,    true,  15,   0x7b,                 0x7c,                 0x7f }, // as the conversion instructions write it
  [QN_E4M3FNUZ] = { 4,  3,    false, 8,    0x7f,                 0,                    0x80 },
  [QN_E5M2FNUZ] = { 5,  2,    false, 16,   0x7f,                 0,                    0x80 },
  [QN_E2M1]     = { 2,  1,    true,  1,    0x7,                  0,                    0 },
};
// clang-format on

enum { E8M0_BIAS = 127, E8M0_NAN = 255 };

// --- bits ------------------------------------------------------------------------------------------------

uint64_t qn_element_load(qn_dtype dtype, const void *data, uint64_t index) {
  const unsigned char *bytes = data;
  switch (qn_dtype_bits(dtype)) {
  case 4: return bytes[index / 2] >> (index % 2 * 4) & 15;
  case 8: return bytes[index];
  case 16: {
    uint16_t bits;
    memcpy(&bits, bytes + index * 2, sizeof bits);
    return bits;
  }
  case 32: {
    uint32_t bits;
    memcpy(&bits, bytes + index * 4, sizeof bits);
    return bits;
  }
  case 64: {
    uint64_t bits;
    memcpy(&bits, bytes + index * 8, sizeof bits);
    return bits;
  }
  default: return 0;
  }
}

void qn_element_store(qn_dtype dtype, void *data, uint64_t index, uint64_t bits) {
  unsigned char *bytes = data;
  uint16_t half = (uint16_t)bits;
  uint32_t word = (uint32_t)bits;
  switch (qn_dtype_bits(dtype)) {
  case 4: {
    unsigned shift = index % 2 * 4;
    bytes[index / 2] = (unsigned char)((bytes[index / 2] & ~(15u << shift)) | (bits & 15) << shift);
    break;
  }
  case 8: bytes[index] = (unsigned char)bits; break;
  case 16: memcpy(bytes + index * 2, &half, sizeof half); break;
  case 32: memcpy(bytes + index * 4, &word, sizeof word); break;
  case 64: memcpy(bytes + index * 8, &bits, sizeof bits); break;
  }
}

// --- values ----------------------------------------------------------------------------------------------

double qn_element_decode(qn_dtype dtype, uint64_t bits) {
  if (dtype == QN_E8M0) return bits == E8M0_NAN ? (double)NAN : ldexp(1, (int)bits - E8M0_BIAS);
  if (dtype == QN_F64) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
  }
  const struct float_format *f = &formats[dtype];
  uint64_t sign = bits >> (f->exponent + f->fraction), code = bits & ~(sign << (f->exponent + f->fraction));
  double value;
  if (f->nan && !f->has_negative_zero && bits == f->nan) return (double)NAN;
  if (code > f->largest) {
    value = f->infinity && code == f->infinity ? (double)INFINITY : (double)NAN;
  } else {
    uint64_t exponent = code >> f->fraction, fraction = code & ((1ull << f->fraction) - 1);
    if (exponent) fraction |= 1ull << f->fraction;
    value = ldexp((double)fraction, (exponent ? (int)exponent : 1) - f->bias - f->fraction);
  }
  return sign ? -value : value;
}

static bool encode_e8m0(double value, uint64_t *out_bits) {
  int exponent;
  if (isnan(value)) {
    *out_bits = E8M0_NAN;
    return true;
  }
  if (!isfinite(value) || frexp(value, &exponent) != 0.5) return false;
  if (exponent - 1 < -E8M0_BIAS || exponent - 1 > E8M0_BIAS) return false;
  *out_bits = (uint64_t)(exponent - 1 + E8M0_BIAS);
  return true;
}

bool qn_element_read(qn_dtype dtype, const void *data, uint64_t index, double *out_value) {
  uint64_t bits = qn_element_load(dtype, data, index);
  if (qn_dtype_is_float(dtype)) {
    *out_value = qn_element_decode(dtype, bits);
    return true;
  }
  uint32_t unused = 64 - qn_dtype_bits(dtype); // high bits, which a sign fills
  if (unused == 64) return false;
  bool is_signed = dtype == QN_S4 || dtype == QN_S8 || dtype == QN_S16 || dtype == QN_S32 || dtype == QN_S64;
  *out_value = is_signed ? (double)((int64_t)(bits << unused) >> unused) : (double)bits;
  return *out_value >= -0x1p53 && *out_value <= 0x1p53;
}

bool qn_element_encode(qn_dtype dtype, double value, uint64_t *out_bits) {
  if (dtype == QN_E8M0) return encode_e8m0(value, out_bits);
  const struct float_format *f = &formats[dtype];
  if (isnan(value)) {
    *out_bits = f->nan;
    return f->nan != 0;
  }
  uint64_t sign = signbit(value) ? 1ull << (f->exponent + f->fraction) : 0, code;
  double size = fabs(value);
  if (isinf(value)) {
    if (!f->infinity) return false;
    code = f->infinity;
  } else {
    // In units of the last place: below 2^fraction it is subnormal, and a carry runs into the exponent by
    // itself.
    int exponent, lowest = 1 - f->bias;
    frexp(size, &exponent);
    exponent = size == 0 ? lowest : QN_MAX(exponent - 1, lowest);
    uint64_t units = (uint64_t)nearbyint(ldexp(size, f->fraction - exponent));
    code = ((uint64_t)(exponent - lowest) << f->fraction) + units;
    if (code > f->largest) return false;
  }
  *out_bits = code == 0 && !f->has_negative_zero ? 0 : sign | code;
  return true;
}

// --- text ------------------------------------------------------------------------------------------------

// The decimal of `value` with `precision` digits: the digits as an integer text, and the power of ten of the
// first.
static int digits_of(double value, int precision, char out_digits[24]) {
  char text[40];
  snprintf(text, sizeof text, "%.*e", precision - 1, value);
  char *exponent = strchr(text, 'e');
  int length = 0;
  for (const char *c = text; c < exponent; c++)
    if (*c >= '0' && *c <= '9') out_digits[length++] = *c; // the point is the locale's
  out_digits[length] = '\0';
  return atoi(exponent + 1);
}

static double value_of(const char *digits, int first_power) {
  char text[40];
  snprintf(text, sizeof text, "%se%d", digits, first_power - (int)strlen(digits) + 1);
  return strtod(text, NULL);
}

static void format_decimal(const char *digits, int power, bool negative, char *out) {
  int length = (int)strlen(digits);
  if (negative) *out++ = '-';
  if (power < -4 || power > 15) {
    const char *point = length > 1 ? "." : "";
    snprintf(out, QN_ELEMENT_TEXT_MAX - 1, "%c%s%se%d", digits[0], point, digits + 1, power);
  } else if (power < 0) {
    snprintf(out, QN_ELEMENT_TEXT_MAX - 1, "0.%.*s%s", -power - 1, "00000", digits);
  } else if (length <= power + 1) {
    snprintf(out, QN_ELEMENT_TEXT_MAX - 1, "%s%.*s", digits, power + 1 - length, "0000000000000000");
  } else {
    snprintf(out, QN_ELEMENT_TEXT_MAX - 1, "%.*s.%s", power + 1, digits, digits + power + 1);
  }
}

static void format_float(qn_dtype dtype, uint64_t bits, char out[QN_ELEMENT_TEXT_MAX]) {
  double value = qn_element_decode(dtype, bits);
  uint64_t back;
  if (isnan(value)) {
    if (qn_element_encode(dtype, value, &back) && back == bits)
      strcpy(out, "nan");
    else
      snprintf(out, QN_ELEMENT_TEXT_MAX, "0x%" PRIx64, bits);
    return;
  }
  if (isinf(value)) {
    strcpy(out, value < 0 ? "-inf" : "inf");
    return;
  }
  // The shortest decimal of 448 among the codes of e4m3 is 450: what is exact at small cost is written in full.
  bool in_full = qn_dtype_bits(dtype) <= 8 || (fabs(value) < 1e15 && value == nearbyint(value));
  char digits[24];
  for (int precision = 1;; precision++) {
    int power = digits_of(fabs(value), precision, digits);
    double read = copysign(value_of(digits, power), value);
    bool same = in_full ? read == value : qn_element_encode(dtype, read, &back) && back == bits;
    if (precision < 17 && !same) continue;
    format_decimal(digits, power, signbit(value), out);
    return;
  }
}

void qn_element_format(qn_dtype dtype, uint64_t bits, char out_text[QN_ELEMENT_TEXT_MAX]) {
  if (qn_dtype_is_float(dtype)) {
    format_float(dtype, bits, out_text);
  } else if (dtype == QN_S4 || dtype == QN_S8 || dtype == QN_S16 || dtype == QN_S32 || dtype == QN_S64) {
    unsigned unused = 64 - qn_dtype_bits(dtype);
    snprintf(out_text, QN_ELEMENT_TEXT_MAX, "%" PRId64, (int64_t)(bits << unused) >> unused);
  } else {
    snprintf(out_text, QN_ELEMENT_TEXT_MAX, "%" PRIu64, bits);
  }
}
