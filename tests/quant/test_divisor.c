// Division by two operations: on the same side of every number at which a code ends as the rounded quotient is.
#include "quant/real_priv.h"

#include "quant/divisor_priv.h"

#include <criterion/criterion.h>

static float from_bits(uint32_t bits) {
  return qn_real_of(bits);
}

static uint64_t random_state = 1;
static uint32_t random_bits(void) {
  random_state = random_state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(random_state >> 32);
}

static int side(float x, float boundary) {
  return (x > boundary) - (x < boundary);
}

// Every boundary of so many bits at one power of two, and the floats around the x that meets it.
static bool sides_agree(float s, int bits, float *out_x) {
  qn_divisor divisor = qn_divisor_of(s);
  for (uint32_t t = 1u << (bits - 1); t <= 1u << bits; t++) {
    float boundary = (float)t;
    uint32_t middle = qn_real_bits((float)((double)boundary * (double)s));
    for (uint32_t x = middle - 24; x <= middle + 24; x++) {
      float quotient = from_bits(x) / s, fast = qn_divisor_divide(&divisor, from_bits(x));
      *out_x = from_bits(x);
      if (side(quotient, boundary) != side(fast, boundary)) return false;
    }
  }
  return true;
}

static const int BITS[] = { 4, 5, 8, 9, 12 };

// The scales that are nearest to those which are sent to the division, and those with few bits.
Test(divisor, the_worst_scales) {
  for (size_t b = 0; b < sizeof BITS / sizeof *BITS; b++) {
    uint32_t unit = 1u << (25 - BITS[b]);
    for (uint32_t i = 0; i < 24; i++) {
      uint32_t top = random_bits() & 0x7FFFFFu & ~(unit - 1);
      const uint32_t rests[] = { 0, 9, 10, unit - 9, unit - 10, unit / 2, random_bits() & (unit - 1) };
      for (size_t r = 0; r < sizeof rests / sizeof *rests; r++) {
        float s = from_bits((100 + random_bits() % 60) << 23 | top | rests[r]), x;
        if (!qn_divisor_is_exact(s, BITS[b])) continue;
        cr_assert(sides_agree(s, BITS[b], &x), "%d bits: %a / %a", BITS[b], (double)x, (double)s);
      }
    }
  }
}

// The condition is not idle: x / s is rounded to 201 and one unit in the last place, and twice so to 201.
Test(divisor, a_scale_that_is_refused_for_good_reason) {
  float s = 0x1.23fffep0f, x = 0xE543FFp-16f;
  qn_divisor divisor = qn_divisor_of(s);
  cr_expect_eq(x / s, 0x1.920002p7f);
  cr_expect_eq(qn_divisor_divide(&divisor, x), 201);
  cr_expect_not(qn_divisor_is_exact(s, 8));
  cr_expect(qn_divisor_is_exact(s, 7), "201 has 8 bits");
}

typedef uint32_t (*code_fn)(float quotient);
static uint32_t code_e4m3(float q) {
  return qn_e4m3_from_f32(qn_real_bits(q), 1);
}
static uint32_t code_e5m2(float q) {
  return qn_e5m2_from_f32(qn_real_bits(q), 1);
}
static uint32_t code_s8(float q) {
  return (uint32_t)(int32_t)(isnan(q) ? 0 : fmaxf(-128, fminf(127, rintf(q))));
}
static uint32_t code_offset(float q) {
  return (uint32_t)(int32_t)(isnan(q) ? 255 : fmaxf(0, fminf(255, rintf(q) + 255)));
}
static uint32_t code_e4m3_of_f16(float q) {
  return code_e4m3(qn_real_round(QN_F16, q));
}
static uint32_t code_s8_of_bf16(float q) {
  return code_s8(qn_real_round(QN_BF16, q));
}

static const struct {
  const char *name;
  code_fn code;
  int bits;
} CODES[] = { { "e4m3", code_e4m3, 5 },
              { "e5m2", code_e5m2, 4 },
              { "s8", code_s8, 9 },
              { "u8 with a zero point of 255", code_offset, 9 },
              { "e4m3 of f16", code_e4m3_of_f16, 12 },
              { "s8 of bf16", code_s8_of_bf16, 9 } };

static void expect_codes(float s) {
  qn_divisor divisor = qn_divisor_of(s);
  for (size_t c = 0; c < sizeof CODES / sizeof *CODES; c++) {
    if (!qn_divisor_is_exact(s, CODES[c].bits)) continue;
    for (uint32_t i = 0; i < 0x20000; i++) {
      // Every bf16 and every f16: NaN, infinities, both zeros and subnormal numbers too.
      float x = from_bits(i < 0x10000 ? i << 16 : qn_f16_to_f32(i & 0xFFFF));
      uint32_t wanted = CODES[c].code(x / s), found = CODES[c].code(qn_divisor_divide(&divisor, x));
      cr_assert_eq(found, wanted, "%s: %a / %a is %#x, not %#x", CODES[c].name, (double)x, (double)s, found,
                   wanted);
    }
  }
}

Test(divisor, every_value_of_16_bits) {
  static const float SCALES[] = { 1,        0.5f,           0x1p-60f, 0x1p60f, 0x1.fffffep60f,  -0.0625f,
                                  3,        0.1f,           -0.0137f, 448,     0x1.fffffep-20f, 6.0e4f,
                                  1.0f / 3, 0.00732421875f, 127.5f,   0.007f,  -1e-9f,          0x1.000012p0f };
  for (size_t i = 0; i < sizeof SCALES / sizeof *SCALES; i++) expect_codes(SCALES[i]);
  for (int i = 0; i < 12; i++)
    expect_codes(from_bits((67 + random_bits() % 121) << 23 | (random_bits() & 0x7FFFFF)));
}

Test(divisor, sizes_that_are_left_to_the_division) {
  static const float SCALES[] = { 0,       -0.0f,     INFINITY,  -INFINITY, NAN,      0x1p-61f,
                                  0x1p61f, 0x1p-149f, 0x1p-126f, 0x1p127f,  -0x1p-70f };
  for (size_t i = 0; i < sizeof SCALES / sizeof *SCALES; i++)
    for (int bits = 1; bits <= 20; bits++)
      cr_expect_not(qn_divisor_is_exact(SCALES[i], bits), "%a", (double)SCALES[i]);
}
