// Integer arithmetic, bits and logic against the definitions of the PTX ISA, computed bit by bit or in
// __int128.
#include "tests/device/operation_test.h"

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 uwide;

#define A s[0]
#define B s[1]
#define C s[2]
#define D s[3]
#define EXPECT(name, value)                                                                                    \
  static uint64_t name(const uint64_t *s) {                                                                    \
    (void)s;                                                                                                   \
    return (uint64_t)(value);                                                                                  \
  }
// A value of `bits` bits as a signed number.
static wide sign(uint64_t value, int bits) {
  wide v = (wide)value;
  return value >> (bits - 1) & 1 ? v - ((wide)1 << bits) : v;
}
static wide clip(wide value, wide low, wide high) {
  return value < low ? low : value > high ? high : value;
}

// --- sums and products ---------------------------------------------------------------------------------------

EXPECT(add, A + B)
EXPECT(sub, A - B)
EXPECT(add_sat, clip(sign(A, 32) + sign(B, 32), INT32_MIN, INT32_MAX))
EXPECT(sub_sat, clip(sign(A, 32) - sign(B, 32), INT32_MIN, INT32_MAX))
EXPECT(add_pair, ((A + B) & 0xFFFF) | (((A >> 16) + (B >> 16)) & 0xFFFF) << 16)

Test(integer, sums) {
  const operation table[] = {
    { "add.u16", "hhh", add },
    { "add.s16", "hhh", add },
    { "add.u32", "rrr", add },
    { "add.s32", "rrr", add },
    { "add.u64", "ddd", add },
    { "add.s64", "ddd", add },
    { "add.sat.s32", "rrr", add_sat },
    { "sub.u16", "hhh", sub },
    { "sub.s16", "hhh", sub },
    { "sub.u32", "rrr", sub },
    { "sub.s32", "rrr", sub },
    { "sub.u64", "ddd", sub },
    { "sub.s64", "ddd", sub },
    { "sub.sat.s32", "rrr", sub_sat },
    { "add.u16x2", "HHH", add_pair, .target = "sm_90a" },
    { "add.s16x2", "HHH", add_pair, .target = "sm_90a" },
  };
  OPERATIONS_CHECK(table);
}

#define PRODUCTS(bits)                                                                                         \
  EXPECT(lo_##bits, A *B)                                                                                      \
  EXPECT(hi_u##bits, (uwide)A *B >> bits)                                                                      \
  EXPECT(hi_s##bits, sign(A, bits) * sign(B, bits) >> bits)                                                    \
  EXPECT(mad_lo_##bits, A *B + C)                                                                              \
  EXPECT(mad_hi_u##bits, ((uwide)A * B >> bits) + C)                                                           \
  EXPECT(mad_hi_s##bits, (sign(A, bits) * sign(B, bits) >> bits) + (wide)C)
#define WIDE_PRODUCTS(bits)                                                                                    \
  EXPECT(mad_wide_u##bits, (uwide)A *B + C)                                                                    \
  EXPECT(mad_wide_s##bits, sign(A, bits) * sign(B, bits) + (wide)C)                                            \
  EXPECT(wide_s##bits, sign(A, bits) * sign(B, bits))
PRODUCTS(16)
PRODUCTS(32)
PRODUCTS(64)
WIDE_PRODUCTS(16)
WIDE_PRODUCTS(32)
EXPECT(mad_hi_sat, clip((sign(A, 32) * sign(B, 32) >> 32) + sign(C, 32), INT32_MIN, INT32_MAX))

Test(integer, products) {
  const operation table[] = {
    { "mul.lo.u16", "hhh", lo_16 },           { "mul.lo.s16", "hhh", lo_16 },
    { "mul.lo.u32", "rrr", lo_32 },           { "mul.lo.s32", "rrr", lo_32 },
    { "mul.lo.u64", "ddd", lo_64 },           { "mul.lo.s64", "ddd", lo_64 },
    { "mul.hi.u16", "hhh", hi_u16 },          { "mul.hi.s16", "hhh", hi_s16 },
    { "mul.hi.u32", "rrr", hi_u32 },          { "mul.hi.s32", "rrr", hi_s32 },
    { "mul.hi.u64", "ddd", hi_u64 },          { "mul.hi.s64", "ddd", hi_s64 },
    { "mul.wide.u16", "rhh", lo_16 },         { "mul.wide.s16", "rhh", wide_s16 },
    { "mul.wide.u32", "drr", lo_32 },         { "mul.wide.s32", "drr", wide_s32 },
    { "mad.lo.u16", "hhhh", mad_lo_16 },      { "mad.lo.s16", "hhhh", mad_lo_16 },
    { "mad.lo.u32", "rrrr", mad_lo_32 },      { "mad.lo.s32", "rrrr", mad_lo_32 },
    { "mad.lo.u64", "dddd", mad_lo_64 },      { "mad.lo.s64", "dddd", mad_lo_64 },
    { "mad.hi.u16", "hhhh", mad_hi_u16 },     { "mad.hi.s16", "hhhh", mad_hi_s16 },
    { "mad.hi.u32", "rrrr", mad_hi_u32 },     { "mad.hi.s32", "rrrr", mad_hi_s32 },
    { "mad.hi.u64", "dddd", mad_hi_u64 },     { "mad.hi.s64", "dddd", mad_hi_s64 },
    { "mad.wide.u16", "rhhr", mad_wide_u16 }, { "mad.wide.s16", "rhhr", mad_wide_s16 },
    { "mad.wide.u32", "drrd", mad_wide_u32 }, { "mad.wide.s32", "drrd", mad_wide_s32 },
    { "mad.hi.sat.s32", "rrrr", mad_hi_sat }, { "mad.hi.cc.s32", "rrrr", mad_hi_s32 },
    { "mad.hi.cc.u64", "dddd", mad_hi_u64 },  { "mad.hi.cc.s64", "dddd", mad_hi_s64 },
    { "mad.lo.cc.s64", "dddd", mad_lo_64 },
  };
  OPERATIONS_CHECK(table);
}

#define LOW24(x) ((x) & 0xFFFFFF)
EXPECT(mul24_lo_u, LOW24(A) * LOW24(B))
EXPECT(mul24_hi_u, LOW24(A) * LOW24(B) >> 16)
EXPECT(mul24_lo_s, sign(LOW24(A), 24) * sign(LOW24(B), 24))
EXPECT(mul24_hi_s, sign(LOW24(A), 24) * sign(LOW24(B), 24) >> 16)
EXPECT(mad24_lo_u, LOW24(A) * LOW24(B) + C)
EXPECT(mad24_hi_u, (LOW24(A) * LOW24(B) >> 16) + C)
EXPECT(mad24_lo_s, sign(LOW24(A), 24) * sign(LOW24(B), 24) + (wide)C)
EXPECT(mad24_hi_s, (sign(LOW24(A), 24) * sign(LOW24(B), 24) >> 16) + (wide)C)
EXPECT(mad24_hi_sat, clip(sign((sign(LOW24(A), 24) * sign(LOW24(B), 24) >> 16) & UINT32_MAX, 32) + sign(C, 32),
                          INT32_MIN, INT32_MAX))

Test(integer, products_of_24_bits) {
  const operation table[] = {
    { "mul24.lo.u32", "rrr", mul24_lo_u },        { "mul24.hi.u32", "rrr", mul24_hi_u },
    { "mul24.lo.s32", "rrr", mul24_lo_s },        { "mul24.hi.s32", "rrr", mul24_hi_s },
    { "mad24.lo.u32", "rrrr", mad24_lo_u },       { "mad24.hi.u32", "rrrr", mad24_hi_u },
    { "mad24.lo.s32", "rrrr", mad24_lo_s },       { "mad24.hi.s32", "rrrr", mad24_hi_s },
    { "mad24.hi.sat.s32", "rrrr", mad24_hi_sat },
  };
  OPERATIONS_CHECK(table);
}

// --- one type, signed and not --------------------------------------------------------------------------------

// What the ISA leaves open (a divisor of 0, an overflow) is expected to be what hardware gives, on the emulator
// alone: a divisor of 0 is made 3 elsewhere.
#define ONE_TYPE(bits)                                                                                         \
  EXPECT(sad_u##bits, (A > B ? A - B : B - A) + C)                                                             \
  EXPECT(sad_s##bits, (sign(A, bits) > sign(B, bits) ? A - B : B - A) + C)                                     \
  EXPECT(min_u##bits, A < B ? A : B)                                                                           \
  EXPECT(max_u##bits, A > B ? A : B)                                                                           \
  EXPECT(min_s##bits, sign(A, bits) < sign(B, bits) ? A : B)                                                   \
  EXPECT(max_s##bits, sign(A, bits) > sign(B, bits) ? A : B)                                                   \
  EXPECT(div_u##bits, B ? A / B : UINT64_MAX)                                                                  \
  EXPECT(rem_u##bits, B ? A % B : A)                                                                           \
  EXPECT(div_s##bits, B ? sign(A, bits) / sign(B, bits) : (wide) - 1)                                          \
  EXPECT(rem_s##bits, B ? sign(A, bits) % sign(B, bits) : (wide)A)                                             \
  EXPECT(neg_s##bits, 0 - sign(A, bits))                                                                       \
  EXPECT(abs_s##bits, sign(A, bits) < 0 ? 0 - sign(A, bits) : sign(A, bits))
ONE_TYPE(16)
ONE_TYPE(32)
ONE_TYPE(64)

Test(integer, distances_and_extremes) {
  const operation table[] = {
    { "sad.u16", "hhhh", sad_u16 }, { "sad.s16", "hhhh", sad_s16 }, { "sad.u32", "rrrr", sad_u32 },
    { "sad.s32", "rrrr", sad_s32 }, { "sad.u64", "dddd", sad_u64 }, { "sad.s64", "dddd", sad_s64 },
    { "min.u16", "hhh", min_u16 },  { "min.s16", "hhh", min_s16 },  { "min.u32", "rrr", min_u32 },
    { "min.s32", "rrr", min_s32 },  { "min.u64", "ddd", min_u64 },  { "min.s64", "ddd", min_s64 },
    { "max.u16", "hhh", max_u16 },  { "max.s16", "hhh", max_s16 },  { "max.u32", "rrr", max_u32 },
    { "max.s32", "rrr", max_s32 },  { "max.u64", "ddd", max_u64 },  { "max.s64", "ddd", max_s64 },
    { "neg.s16", "hh", neg_s16 },   { "neg.s32", "rr", neg_s32 },   { "neg.s64", "dd", neg_s64 },
    { "abs.s16", "hh", abs_s16 },   { "abs.s32", "rr", abs_s32 },   { "abs.s64", "dd", abs_s64 },
  };
  OPERATIONS_CHECK(table);
}

Test(integer, quotients) {
  if (!device_is_emulator()) cr_skip_test("a divisor of 0 gives what the machine likes");
  const operation table[] = {
    { "div.u16", "hhh", div_u16 }, { "div.s16", "hhh", div_s16 }, { "div.u32", "rrr", div_u32 },
    { "div.s32", "rrr", div_s32 }, { "div.u64", "ddd", div_u64 }, { "div.s64", "ddd", div_s64 },
    { "rem.u16", "hhh", rem_u16 }, { "rem.s16", "hhh", rem_s16 }, { "rem.u32", "rrr", rem_u32 },
    { "rem.s32", "rrr", rem_s32 }, { "rem.u64", "ddd", rem_u64 }, { "rem.s64", "ddd", rem_s64 },
  };
  OPERATIONS_CHECK(table);
}

EXPECT(relu, sign(max_s32(s), 32) > 0 ? max_s32(s) : 0)
static uint64_t each_half(const uint64_t *s, expected_function *function) {
  const uint64_t low[] = { A & 0xFFFF, B & 0xFFFF }, high[] = { A >> 16, B >> 16 };
  return (function(low) & 0xFFFF) | (function(high) & 0xFFFF) << 16;
}
EXPECT(min_relu_s16, sign(min_s16(s), 16) > 0 ? min_s16(s) : 0)
EXPECT(min_u16_pair, each_half(s, min_u16))
EXPECT(max_s16_pair, each_half(s, max_s16))
EXPECT(min_relu_pair, each_half(s, min_relu_s16))

Test(integer, packed_and_rectified) {
  const operation table[] = {
    { "max.relu.s32", "rrr", relu, .target = "sm_90a" },
    { "min.u16x2", "HHH", min_u16_pair, .target = "sm_90a" },
    { "max.s16x2", "HHH", max_s16_pair, .target = "sm_90a" },
    { "min.relu.s16x2", "HHH", min_relu_pair, .target = "sm_90a" },
  };
  OPERATIONS_CHECK(table);
}

// --- a carry between instructions -----------------------------------------------------------------------

// 128 bits from two times 64, 64 from two times 32.
Test(integer, carry) {
  uint64_t in[4 * 256], out[4 * 256], random = 5;
  for (int i = 0; i < 4 * 256; i++) {
    in[i] = (uint64_t)device_random(&random) << 32 | device_random(&random);
    if (i % 3 == 0) in[i] |= 0xFFFFFFFF00000000;
    if (i % 7 == 0) in[i] = i & 1 ? UINT64_MAX : 0;
  }
  device_run(device_kernel(.threads = 256, .in_stride = 32, .out_stride = 32,
                           .body = ".reg .b64 %a<4>, %x<4>;\n"
                                   "ld.global.b64 %a0, [%src];\nld.global.b64 %a1, [%src+8];\n"
                                   "ld.global.b64 %a2, [%src+16];\nld.global.b64 %a3, [%src+24];\n"
                                   "add.cc.u64 %x0, %a0, %a2;\naddc.u64 %x1, %a1, %a3;\n"
                                   "sub.cc.s64 %x2, %a0, %a2;\nsubc.s64 %x3, %a1, %a3;\n"
                                   "st.global.b64 [%dst], %x0;\nst.global.b64 [%dst+8], %x1;\n"
                                   "st.global.b64 [%dst+16], %x2;\nst.global.b64 [%dst+24], %x3;"),
             in, sizeof(in), out, sizeof(out));
  for (int i = 0; i < 4 * 256; i += 4) {
    uwide a = (uwide)in[i + 1] << 64 | in[i], b = (uwide)in[i + 3] << 64 | in[i + 2];
    cr_expect((((uwide)out[i + 1] << 64) | out[i]) == a + b, "sum %d", i);
    cr_expect((((uwide)out[i + 3] << 64) | out[i + 2]) == a - b, "difference %d", i);
  }
}

// The product of two 64-bit numbers from 32-bit pieces, as compilers write it; and a carry that a chain keeps.
Test(integer, carry_of_products) {
  uint64_t in[2 * 256], out[2 * 256], random = 6;
  for (int i = 0; i < 2 * 256; i++) {
    in[i] = (uint64_t)device_random(&random) << 32 | device_random(&random);
    if (i % 5 == 0) in[i] = UINT64_MAX;
  }
  device_run(device_kernel(.threads = 256, .in_stride = 16, .out_stride = 16,
                           .body = ".reg .b32 %a0, %a1, %b0, %b1, %x<4>;\n"
                                   "ld.global.b32 %a0, [%src];\nld.global.b32 %a1, [%src+4];\n"
                                   "ld.global.b32 %b0, [%src+8];\nld.global.b32 %b1, [%src+12];\n"
                                   "mul.lo.u32 %x0, %a0, %b0;\nmul.hi.u32 %x1, %a0, %b0;\n"
                                   "mad.lo.cc.u32 %x1, %a1, %b0, %x1;\nmadc.hi.u32 %x2, %a1, %b0, 0;\n"
                                   "mad.lo.cc.u32 %x1, %a0, %b1, %x1;\nmadc.hi.cc.u32 %x2, %a0, %b1, %x2;\n"
                                   "addc.u32 %x3, 0, 0;\n"
                                   "mad.lo.cc.u32 %x2, %a1, %b1, %x2;\nmadc.hi.u32 %x3, %a1, %b1, %x3;\n"
                                   "st.global.b32 [%dst], %x0;\nst.global.b32 [%dst+4], %x1;\n"
                                   "st.global.b32 [%dst+8], %x2;\nst.global.b32 [%dst+12], %x3;"),
             in, sizeof(in), out, sizeof(out));
  for (int i = 0; i < 2 * 256; i += 2)
    cr_expect((((uwide)out[i + 1] << 64) | out[i]) == (uwide)in[i] * in[i + 1], "product %d", i);
}

// --- bits: the ISA's own definitions, a bit at a time ---------------------------------------------------

static int highest(uint64_t value) {
  int at = -1;
  for (int i = 0; i < 64; i++)
    if (value >> i & 1) at = i;
  return at;
}
static uint64_t ones_in(uint64_t value) {
  uint64_t count = 0;
  for (; value; value &= value - 1) count++;
  return count;
}
static uint64_t reversed(uint64_t value, int bits) {
  uint64_t out = 0;
  for (int i = 0; i < bits; i++)
    if (value >> i & 1) out |= UINT64_C(1) << (bits - 1 - i);
  return out;
}
static int found(uint64_t value, int bits, bool is_signed) {
  if (is_signed && value >> (bits - 1) & 1)
    value = ~value & (bits < 64 ? (UINT64_C(1) << bits) - 1 : UINT64_MAX);
  return highest(value);
}
static uint64_t field(const uint64_t *s, int bits, bool is_signed) {
  int position = (int)(B & 0xFF), length = (int)(C & 0xFF), msb = bits - 1;
  int top = position + length - 1 < msb ? position + length - 1 : msb;
  uint64_t fill = is_signed && length != 0 ? A >> top & 1 : 0, out = 0;
  for (int i = 0; i <= msb; i++) {
    bool inside = i < length && position + i <= msb;
    out |= (inside ? A >> (position + i) & 1 : fill) << i;
  }
  return out;
}
static uint64_t inserted(const uint64_t *s, int bits) {
  int position = (int)(C & 0xFF), length = (int)(D & 0xFF);
  uint64_t out = B;
  for (int i = 0; i < length && position + i < bits; i++) {
    out &= ~(UINT64_C(1) << (position + i));
    out |= (A >> i & 1) << (position + i);
  }
  return out;
}
static uint64_t masked(uint64_t position, uint64_t length) {
  uint64_t out = 0;
  for (uint64_t i = 0; i < 32; i++)
    if (i >= position && i < position + length) out |= UINT64_C(1) << i;
  return out;
}
static uint64_t extended(const uint64_t *s, bool clamp, bool is_signed) {
  uint64_t bits = B & 31, mask = ~UINT64_C(0) << bits;
  if (clamp && B >= 32) return A;
  bool negative = is_signed && bits > 0 && A >> (bits - 1) & 1;
  return negative ? A | mask : A & ~mask;
}
EXPECT(popc, ones_in(A))
EXPECT(clz32, 31 - highest(A))
EXPECT(clz64, 63 - highest(A))
EXPECT(brev32, reversed(A, 32))
EXPECT(brev64, reversed(A, 64))
EXPECT(bfind_u32, found(A, 32, false))
EXPECT(bfind_s32, found(A, 32, true))
EXPECT(bfind_u64, found(A, 64, false))
EXPECT(bfind_s64, found(A, 64, true))
EXPECT(shiftamt_u32, found(A, 32, false) < 0 ? -1 : 31 - found(A, 32, false))
EXPECT(shiftamt_s32, found(A, 32, true) < 0 ? -1 : 31 - found(A, 32, true))
EXPECT(shiftamt_u64, found(A, 64, false) < 0 ? -1 : 63 - found(A, 64, false))
EXPECT(shiftamt_s64, found(A, 64, true) < 0 ? -1 : 63 - found(A, 64, true))
EXPECT(bfe_u32, field(s, 32, false))
EXPECT(bfe_s32, field(s, 32, true))
EXPECT(bfe_u64, field(s, 64, false))
EXPECT(bfe_s64, field(s, 64, true))
EXPECT(bfi32, inserted(s, 32))
EXPECT(bfi64, inserted(s, 64))
EXPECT(bmsk_clamp, masked(A > 32 ? 32 : A, B > 32 ? 32 : B))
EXPECT(bmsk_wrap, masked(A & 31, B & 31))
EXPECT(szext_clamp_u, extended(s, true, false))
EXPECT(szext_clamp_s, extended(s, true, true))
EXPECT(szext_wrap_u, extended(s, false, false))
EXPECT(szext_wrap_s, extended(s, false, true))

Test(integer, bits) {
  const operation table[] = {
    { "popc.b32", "rr", popc },
    { "popc.b64", "rd", popc },
    { "clz.b32", "rr", clz32 },
    { "clz.b64", "rd", clz64 },
    { "brev.b32", "rr", brev32 },
    { "brev.b64", "dd", brev64 },
    { "bfind.u32", "rr", bfind_u32 },
    { "bfind.s32", "rr", bfind_s32 },
    { "bfind.u64", "rd", bfind_u64 },
    { "bfind.s64", "rd", bfind_s64 },
    { "bfind.shiftamt.u32", "rr", shiftamt_u32 },
    { "bfind.shiftamt.s32", "rr", shiftamt_s32 },
    { "bfind.shiftamt.u64", "rd", shiftamt_u64 },
    { "bfind.shiftamt.s64", "rd", shiftamt_s64 },
    { "bfe.u32", "rrrr", bfe_u32 },
    { "bfe.s32", "rrrr", bfe_s32 },
    { "bfe.u64", "ddrr", bfe_u64 },
    { "bfe.s64", "ddrr", bfe_s64 },
    { "bfi.b32", "rrrrr", bfi32 },
    { "bfi.b64", "dddrr", bfi64 },
    { "bmsk.clamp.b32", "rrr", bmsk_clamp },
    { "bmsk.wrap.b32", "rrr", bmsk_wrap },
    { "szext.clamp.u32", "rrr", szext_clamp_u },
    { "szext.clamp.s32", "rrr", szext_clamp_s },
    { "szext.wrap.u32", "rrr", szext_wrap_u },
    { "szext.wrap.s32", "rrr", szext_wrap_s },
  };
  OPERATIONS_CHECK(table);
}

static wide dot(const uint64_t *s, int parts, int bits_a, int first_b, bool signed_a, bool signed_b) {
  wide sum = (wide)C;
  for (int i = 0; i < parts; i++) {
    uint64_t a = A >> bits_a * i & ((1u << bits_a) - 1), b = B >> 8 * (first_b + i) & 0xFF;
    sum += (signed_a ? sign(a, bits_a) : (wide)a) * (signed_b ? sign(b, 8) : (wide)b);
  }
  return sum;
}
EXPECT(dp4a_uu, dot(s, 4, 8, 0, false, false))
EXPECT(dp4a_us, dot(s, 4, 8, 0, false, true))
EXPECT(dp4a_su, dot(s, 4, 8, 0, true, false))
EXPECT(dp4a_ss, dot(s, 4, 8, 0, true, true))
EXPECT(dp2a_lo_us, dot(s, 2, 16, 0, false, true))
EXPECT(dp2a_hi_su, dot(s, 2, 16, 2, true, false))
EXPECT(dp2a_hi_ss, dot(s, 2, 16, 2, true, true))

Test(integer, dot_products) {
  const operation table[] = {
    { "dp4a.u32.u32", "rrrr", dp4a_uu },       { "dp4a.u32.s32", "rrrr", dp4a_us },
    { "dp4a.s32.u32", "rrrr", dp4a_su },       { "dp4a.s32.s32", "rrrr", dp4a_ss },
    { "dp2a.lo.u32.s32", "rrrr", dp2a_lo_us }, { "dp2a.hi.s32.u32", "rrrr", dp2a_hi_su },
    { "dp2a.hi.s32.s32", "rrrr", dp2a_hi_ss },
  };
  OPERATIONS_CHECK(table);
}
