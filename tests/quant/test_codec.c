// The scalar codecs against a slow definition that shares nothing with them: the values of all codes by ldexp,
// and the nearest of them by search.
#include "quant/codec_priv.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

enum { MAGNITUDES_MAX = 0x8000 };

typedef struct {
  const char *name;
  int sign_bit, mantissa, bias;
  unsigned largest, overflow, nan;
  unsigned (*from_f32)(unsigned, int);
  unsigned (*from_f64)(unsigned long long, int);
  unsigned (*to_f32)(unsigned);
} codec;

// The columns are written out once more, as the formats' own documents have them.
static const codec codecs[] = {
#define ROW(type, sign_bit, mantissa, bias, largest, overflow, nan)                                            \
  { #type,                                                                                                     \
    sign_bit,                                                                                                  \
    mantissa,                                                                                                  \
    bias,                                                                                                      \
    largest,                                                                                                   \
    overflow,                                                                                                  \
    nan,                                                                                                       \
    qn_##type##_from_f32,                                                                                      \
    qn_##type##_from_f64,                                                                                      \
    qn_##type##_to_f32 }
  ROW(f16, 15, 10, 15, 0x7bff, 0x7c00, 0x7fff),
  ROW(bf16, 15, 7, 127, 0x7f7f, 0x7f80, 0x7fff),
  ROW(e4m3, 7, 3, 7, 0x7e, 0x7f, 0x7f),
  ROW(e5m2, 7, 2, 15, 0x7b, 0x7c, 0x7f),
  ROW(e4m3fnuz, 7, 3, 8, 0x7f, 0x80, 0x80),
  ROW(e5m2fnuz, 7, 2, 16, 0x7f, 0x80, 0x80),
  ROW(e2m1, 3, 1, 1, 0x7, 0x7, 0x7),
};
enum { CODEC_COUNT = sizeof(codecs) / sizeof(codecs[0]) };

static double f64_of(unsigned f32_bits) {
  float value;
  memcpy(&value, &f32_bits, sizeof(value));
  return (double)value;
}
static unsigned bits_of(float value) {
  unsigned bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}
static unsigned long long wide_bits_of(double value) {
  unsigned long long bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}

// The value of a magnitude code as if every code were a finite number.
static double magnitude_of(const codec *c, unsigned code) {
  int exponent = (int)(code >> c->mantissa);
  double fraction = ldexp((double)(code & ((1u << c->mantissa) - 1)), -c->mantissa);
  return exponent == 0 ? ldexp(fraction, 1 - c->bias) : ldexp(1 + fraction, exponent - c->bias);
}

// The definition: the nearest value, the even code on a tie; what is nearest to a value beyond the largest
// overflows.
static unsigned slow_encode(const codec *c, double value, int saturate) {
  double magnitude = fabs(value);
  unsigned low = 0, high = c->largest + 1, code, sign = 1u << c->sign_bit;
  if (isnan(value)) return c->nan;
  while (low + 1 < high) { // magnitude_of(low) <= magnitude, and high is above it
    unsigned middle = (low + high) / 2;
    if (magnitude_of(c, middle) <= magnitude)
      low = middle;
    else
      high = middle;
  }
  double below = magnitude - magnitude_of(c, low), above = magnitude_of(c, low + 1) - magnitude;
  code = below < above || (below == above && low % 2 == 0) ? low : low + 1;
  if (code > c->largest) code = saturate ? c->largest : c->overflow;
  if (c->nan == sign && (code == 0 || code == c->nan)) return code;
  return signbit(value) ? sign | code : code;
}

static void check_f64(const codec *c, double value) {
  for (int saturate = 0; saturate < 2; saturate++) {
    unsigned found = c->from_f64(wide_bits_of(value), saturate), wanted = slow_encode(c, value, saturate);
    if (found != wanted)
      cr_assert_fail("%s of f64 %a, saturate %d: 0x%x, not 0x%x", c->name, value, saturate, found, wanted);
  }
}
static void check_f32(const codec *c, unsigned bits) {
  for (int saturate = 0; saturate < 2; saturate++) {
    unsigned found = c->from_f32(bits, saturate), wanted = slow_encode(c, f64_of(bits), saturate);
    if (found != wanted)
      cr_assert_fail("%s of f32 %a, saturate %d: 0x%x, not 0x%x", c->name, f64_of(bits), saturate, found,
                     wanted);
  }
  check_f64(c, f64_of(bits));
}

Test(codec, every_code_has_its_value) {
  for (int t = 0; t < CODEC_COUNT; t++)
    for (unsigned code = 0; code < 2u << codecs[t].sign_bit; code++) {
      const codec *c = &codecs[t];
      unsigned sign = 1u << c->sign_bit, magnitude = code & (sign - 1);
      double wanted = magnitude_of(c, magnitude), found = f64_of(c->to_f32(code));
      if (magnitude > c->largest)
        wanted = magnitude == c->overflow && c->overflow != c->nan ? (double)INFINITY : (double)NAN;
      if (code & sign) wanted = -wanted;
      if (c->nan == sign && code == sign) wanted = (double)NAN;
      bool same = isnan(wanted) ? isnan(found) : found == wanted && signbit(found) == signbit(wanted);
      if (!same) cr_assert_fail("%s 0x%x is %a, not %a", c->name, code, found, wanted);
    }
}

Test(codec, every_code_survives) {
  for (int t = 0; t < CODEC_COUNT; t++)
    for (unsigned code = 0; code < 2u << codecs[t].sign_bit; code++) {
      const codec *c = &codecs[t];
      unsigned back = c->from_f32(c->to_f32(code), 0), magnitude = code & ((1u << c->sign_bit) - 1);
      bool nan = isnan(f64_of(c->to_f32(code)));
      if (back != (nan ? c->nan : code))
        cr_assert_fail("%s 0x%x (magnitude 0x%x) comes back as 0x%x", c->name, code, magnitude, back);
    }
}

Test(codec, every_bf16) {
  for (int t = 0; t < CODEC_COUNT; t++)
    for (unsigned bits = 0; bits < 0x10000; bits++) check_f32(&codecs[t], bits << 16);
}

Test(codec, every_f16) {
  for (int t = 0; t < CODEC_COUNT; t++)
    for (unsigned bits = 0; bits < 0x10000; bits++) check_f32(&codecs[t], qn_f16_to_f32(bits));
}

// Every midpoint between neighbours, the one above the largest included, and the numbers next to it in f32 and
// f64.
Test(codec, every_tie_and_its_neighbours) {
  for (int t = 0; t < CODEC_COUNT; t++)
    for (unsigned code = 0; code <= codecs[t].largest; code++) {
      const codec *c = &codecs[t];
      double middle = (magnitude_of(c, code) + magnitude_of(c, code + 1)) / 2;
      double edges[2] = { magnitude_of(c, code), middle };
      for (int k = 0; k < 4; k++) {
        double value = k / 2 ? -edges[k % 2] : edges[k % 2];
        check_f64(c, value);
        check_f64(c, nextafter(value, (double)INFINITY));
        check_f64(c, nextafter(value, -(double)INFINITY));
        float narrow = (float)value;
        check_f32(c, bits_of(narrow));
        check_f32(c, bits_of(nextafterf(narrow, INFINITY)));
        check_f32(c, bits_of(nextafterf(narrow, -INFINITY)));
      }
    }
}

Test(codec, ends_of_f64) {
  static const double values[] = { 0x1p-1074, 0x1p-1022, 0x1.fffffffffffffp1023, INFINITY, NAN,
                                   0x1p-150,  0x1p128 };
  for (int t = 0; t < CODEC_COUNT; t++)
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
      check_f64(&codecs[t], values[i]);
      check_f64(&codecs[t], -values[i]);
    }
}

// In each of the four places all signs, exponents and 11 bits of the significand, with others below them.
static void check_four(unsigned (*four)(unsigned, unsigned, unsigned, unsigned), unsigned (*one)(unsigned, int),
                       unsigned bits) {
  for (unsigned i = 0; i < 0x100000u; i++) {
    unsigned x[4], wanted = 0;
    for (unsigned k = 0; k < 4; k++) {
      x[k] = (i << 12 | (i * 2654435761u >> (20 + k) & 0xfff)) ^ k << 30;
      if (isnan(f64_of(x[k]))) x[k] &= 0x7fffffffu;
      wanted |= one(x[k], 1) << bits * k;
    }
    unsigned found = four(x[0], x[1], x[2], x[3]);
    if (found != wanted)
      cr_assert_fail("%a %a %a %a: 0x%x, not 0x%x", f64_of(x[0]), f64_of(x[1]), f64_of(x[2]), f64_of(x[3]),
                     found, wanted);
  }
}

Test(codec, four_at_once) {
  check_four(qn_e2m1x4_from_f32, qn_e2m1_from_f32, 4);
  check_four(qn_e4m3x4_from_f32, qn_e4m3_from_f32, 8);
}

// e8m0: the power of two next to |x| in the asked direction, by search.
static unsigned slow_exponent(double value, int saturate, int up) {
  double magnitude = fabs(value);
  int code = 0;
  if (isnan(value)) return 255;
  while (code < 255 && (up ? ldexp(1, code - 127) < magnitude : ldexp(1, code - 126) <= magnitude)) code++;
  return code == 255 && saturate ? 254 : (unsigned)code;
}

Test(codec, e8m0) {
  for (unsigned bits = 0; bits < 0x10000; bits++)
    for (int k = 0; k < 12; k++) {
      unsigned f32 = bits << 16 | (unsigned[]){ 0, 1, 0xffff }[k % 3];
      int saturate = k / 3 % 2, up = k / 6;
      double value = f64_of(f32);
      unsigned wanted = slow_exponent(value, saturate, up);
      unsigned found = qn_e8m0_from_f32(f32, saturate, up),
               wide = qn_e8m0_from_f64(wide_bits_of(value), saturate, up);
      if (found != wanted || wide != wanted)
        cr_assert_fail("%a, saturate %d, up %d: %u and %u, not %u", value, saturate, up, found, wide, wanted);
    }
  for (unsigned code = 0; code < 255; code++)
    cr_assert_eq(f64_of(qn_e8m0_to_f32(code)), ldexp(1, (int)code - 127));
  cr_assert(isnan(f64_of(qn_e8m0_to_f32(255))));
}
