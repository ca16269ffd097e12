// Logic, shifts, permutations, moves and packing against the definitions of the PTX ISA.
#include "tests/device/operation_test.h"

#define A s[0]
#define B s[1]
#define C s[2]
#define D s[3]
#define EXPECT(name, value)                                                                                    \
  static uint64_t name(const uint64_t *s) {                                                                    \
    return (uint64_t)(value);                                                                                  \
  }

// --- bitwise --------------------------------------------------------------------------------------------

EXPECT(and, A &B)
EXPECT(or, A | B)
EXPECT(xor, A ^ B)
EXPECT(not, ~A)
EXPECT(cnot, A ? 0 : 1)

Test(logic, bitwise) {
  const operation table[] = {
    { "and.pred", "ppp", and},  { "and.b16", "hhh", and},   { "and.b32", "rrr", and},
    { "and.b64", "ddd", and},   { "or.pred", "ppp", or },   { "or.b16", "hhh", or },
    { "or.b32", "rrr", or },    { "or.b64", "ddd", or },    { "xor.pred", "ppp", xor},
    { "xor.b16", "hhh", xor},   { "xor.b32", "rrr", xor},   { "xor.b64", "ddd", xor},
    { "not.pred", "pp", not},   { "not.b16", "hh", not},    { "not.b32", "rr", not},
    { "not.b64", "dd", not},    { "cnot.b16", "hh", cnot }, { "cnot.b32", "rr", cnot },
    { "cnot.b64", "dd", cnot },
  };
  OPERATIONS_CHECK(table);
}

static uint64_t tabled(const uint64_t *s, uint32_t table) {
  uint64_t out = 0;
  for (int i = 0; i < 32; i++) {
    uint64_t row = (A >> i & 1) << 2 | (B >> i & 1) << 1 | (C >> i & 1);
    out |= (uint64_t)(table >> row & 1) << i;
  }
  return out;
}
EXPECT(lop3_96, tabled(s, 0x96))
EXPECT(lop3_e8, tabled(s, 0xE8))
EXPECT(lop3_f8, tabled(s, 0xF8))
EXPECT(lop3_1b, tabled(s, 0x1B))

Test(logic, tables) {
  const operation table[] = {
    { "lop3.b32", "rrrr", lop3_96, ", 0x96" },
    { "lop3.b32", "rrrr", lop3_e8, ", 0xE8" },
    { "lop3.b32", "rrrr", lop3_f8, ", 0xF8" },
    { "lop3.b32", "rrrr", lop3_1b, ", 0x1B" },
  };
  OPERATIONS_CHECK(table);
}

// --- shifts: a bit at a time ----------------------------------------------------------------------------

static uint64_t shifted_left(uint64_t value, uint64_t by, int bits) {
  for (; by > 0 && value; by--) value = value << 1 & (bits < 64 ? (UINT64_C(1) << bits) - 1 : UINT64_MAX);
  return value;
}
static uint64_t shifted_right(uint64_t value, uint64_t by, int bits, bool is_signed) {
  uint64_t fill = is_signed ? value & UINT64_C(1) << (bits - 1) : 0;
  for (uint64_t i = 0; i < by && i < 64; i++) value = value >> 1 | fill;
  return value;
}
static uint64_t funnel(const uint64_t *s, bool left, uint64_t by) {
  uint64_t both = B << 32 | A;
  return left ? (both << by) >> 32 : both >> by & UINT32_MAX;
}
EXPECT(shl16, shifted_left(A, B, 16))
EXPECT(shl32, shifted_left(A, B, 32))
EXPECT(shl64, shifted_left(A, B, 64))
EXPECT(shr_u16, shifted_right(A, B, 16, false))
EXPECT(shr_u32, shifted_right(A, B, 32, false))
EXPECT(shr_u64, shifted_right(A, B, 64, false))
EXPECT(shr_s16, shifted_right(A, B, 16, true))
EXPECT(shr_s32, shifted_right(A, B, 32, true))
EXPECT(shr_s64, shifted_right(A, B, 64, true))
EXPECT(shf_l_clamp, funnel(s, true, C > 32 ? 32 : C))
EXPECT(shf_l_wrap, funnel(s, true, C % 32))
EXPECT(shf_r_clamp, funnel(s, false, C > 32 ? 32 : C))
EXPECT(shf_r_wrap, funnel(s, false, C % 32))

Test(logic, shifts) {
  const operation table[] = {
    { "shl.b16", "hhr", shl16 },
    { "shl.b32", "rrr", shl32 },
    { "shl.b64", "ddr", shl64 },
    { "shr.b16", "hhr", shr_u16 },
    { "shr.b32", "rrr", shr_u32 },
    { "shr.b64", "ddr", shr_u64 },
    { "shr.u16", "hhr", shr_u16 },
    { "shr.u32", "rrr", shr_u32 },
    { "shr.u64", "ddr", shr_u64 },
    { "shr.s16", "hhr", shr_s16 },
    { "shr.s32", "rrr", shr_s32 },
    { "shr.s64", "ddr", shr_s64 },
    { "shf.l.clamp.b32", "rrrr", shf_l_clamp },
    { "shf.l.wrap.b32", "rrrr", shf_l_wrap },
    { "shf.r.clamp.b32", "rrrr", shf_r_clamp },
    { "shf.r.wrap.b32", "rrrr", shf_r_wrap },
  };
  OPERATIONS_CHECK(table);
}

// --- prmt: the tables of the ISA, one selector a byte, the highest byte first ---------------------------

static uint64_t picked(const uint64_t *s, uint32_t selectors) {
  uint64_t both = B << 32 | A, out = 0;
  for (int i = 0; i < 4; i++) {
    uint32_t selector = selectors >> 4 * i & 0xF;
    uint64_t byte = both >> 8 * (selector & 7) & 0xFF;
    if (selector & 8) byte = (byte >> 7) * 0xFF;
    out |= byte << 8 * i;
  }
  return out;
}
static const uint32_t f4e_table[] = { 0x3210, 0x4321, 0x5432, 0x6543 };
static const uint32_t b4e_table[] = { 0x5670, 0x6701, 0x7012, 0x0123 };
static const uint32_t rc8_table[] = { 0x0000, 0x1111, 0x2222, 0x3333 };
static const uint32_t ecl_table[] = { 0x3210, 0x3211, 0x3222, 0x3333 };
static const uint32_t ecr_table[] = { 0x0000, 0x1110, 0x2210, 0x3210 };
static const uint32_t rc16_table[] = { 0x1010, 0x3232, 0x1010, 0x3232 };
EXPECT(prmt, picked(s, (uint32_t)C))
EXPECT(f4e, picked(s, f4e_table[C & 3]))
EXPECT(b4e, picked(s, b4e_table[C & 3]))
EXPECT(rc8, picked(s, rc8_table[C & 3]))
EXPECT(ecl, picked(s, ecl_table[C & 3]))
EXPECT(ecr, picked(s, ecr_table[C & 3]))
EXPECT(rc16, picked(s, rc16_table[C & 3]))

Test(logic, permutations) {
  const operation table[] = {
    { "prmt.b32", "rrrr", prmt },      { "prmt.b32.f4e", "rrrr", f4e }, { "prmt.b32.b4e", "rrrr", b4e },
    { "prmt.b32.rc8", "rrrr", rc8 },   { "prmt.b32.ecl", "rrrr", ecl }, { "prmt.b32.ecr", "rrrr", ecr },
    { "prmt.b32.rc16", "rrrr", rc16 },
  };
  OPERATIONS_CHECK(table);
}

// --- moves ----------------------------------------------------------------------------------------------

EXPECT(same, A)
EXPECT(swapped, A >> 32 | A << 32)
EXPECT(rotated, A >> 16 | (A & 0xFFFF) << 48)
EXPECT(halves, A >> 16 | (A & 0xFFFF) << 16)

Test(logic, moves) {
  const operation table[] = {
    { "mov.pred", "pp", same },
    { "mov.b16", "hh", same },
    { "mov.u16", "hh", same },
    { "mov.b32", "rr", same },
    { "mov.s32", "rr", same },
    { "mov.f32", "rr", same },
    { "mov.b64", "dd", same },
    { "mov.f64", "dd", same },
    // Vectors: the first element is the lowest.
    { "{ .reg .b32 %x, %y; mov.b64 {%x, %y}, %d1; mov.b64 %d1, {%y, %x}; }\nmov.b64", "dd", swapped },
    { "{ .reg .b16 %x, %y; mov.b32 {%x, %y}, %r1; mov.b32 %r1, {%y, %x}; }\nmov.b32", "rr", halves },
    { "{ .reg .b16 %x<4>; mov.b64 {%x0, %x1, %x2, %x3}, %d1; mov.b64 %d1, {%x1, %x2, %x3, %x0}; }\nmov.b64",
      "dd", rotated },
    { "{ .reg .b32 %x; mov.b64 {_, %x}, %d1; mov.b64 {%r0, _}, %d1; mov.b64 %d1, {%x, %r0}; }\nmov.b64", "dd",
      swapped },
  };
  OPERATIONS_CHECK(table);
}

// Immediates, special registers, addresses and a parallel read of what is written.
Test(logic, moves_of_other_operands) {
  uint32_t in[32] = { 0 };
  uint64_t out[6 * 32];
  device_run(
      device_kernel(.out_stride = 48, .module = ".global .align 8 .b8 table[16];",
                    .body =
                        ".reg .b32 %x, %y, %z;\n.reg .b64 %a, %b;\n"
                        "mov.u32 %x, %tid.x;\nmov.s32 %y, -2;\nmov.f32 %z, 0f3F800000;\n"
                        "mov.u64 %a, table;\nmov.u64 %b, table+8;\nsub.s64 %b, %b, %a;\n"
                        "mov.f64 %a, 0d4000000000000000;\n"
                        "st.global.u64 [%dst], 0;\nst.global.u64 [%dst+8], 0;\nst.global.u64 [%dst+16], 0;\n"
                        "st.global.b32 [%dst], %x;\nst.global.b32 [%dst+8], %y;\n"
                        "st.global.b32 [%dst+16], %z;\nst.global.b64 [%dst+24], %b;\n"
                        "st.global.b64 [%dst+32], %a;\n"
                        "mov.b64 {%x, %y}, %a;\nmov.b64 %a, {%y, %x};\nst.global.b64 [%dst+40], %a;"),
      in, sizeof(in), out, sizeof(out));
  for (uint32_t i = 0; i < 32; i++) {
    const uint64_t expected[] = { i, 0xFFFFFFFE, 0x3F800000, 8, 0x4000000000000000, 0x40000000 };
    for (int j = 0; j < 6; j++)
      cr_expect_eq(out[6 * i + j], expected[j], "lane %u, %d: %llx", i, j, (unsigned long long)out[6 * i + j]);
  }
}

// A float stands as its bits or as a decimal, in either width, also where bits are meant.
Test(logic, immediates) {
  uint32_t in[32] = { 0 };
  uint64_t out[8 * 32];
  device_run(
      device_kernel(.out_stride = 64,
                    .body =
                        ".reg .b32 %x, %y, %z, %w, %v;\n.reg .b64 %a, %b;\n.reg .pred %p;\n"
                        "st.global.u64 [%dst], 0;\nst.global.u64 [%dst+8], 0;\n"
                        "st.global.u64 [%dst+16], 0;\nst.global.u64 [%dst+40], 0;\n"
                        "mov.f32 %x, 0f40000000;\nadd.f32 %y, %x, 1.5;\nadd.f32 %z, 0d3FF0000000000000, %x;\n"
                        "mov.f64 %a, 0f3F800000;\nadd.f64 %b, %a, 0.25;\n"
                        "setp.eq.f32 %p, %y, 3.5;\nselp.f32 %w, 0f3F800000, 0.0, %p;\n"
                        "add.s32 %v, -7, 3;\nshl.b32 %v, %v, 1;\n"
                        "st.global.b32 [%dst], %y;\nst.global.b32 [%dst+8], %z;\n"
                        "st.global.b32 [%dst+16], %w;\nst.global.b64 [%dst+24], %a;\n"
                        "st.global.b64 [%dst+32], %b;\nst.global.b32 [%dst+40], %v;"),
      in, sizeof(in), out, sizeof(out));
  const uint64_t expected[] = { 0x40600000,         0x40400000,         0x3F800000,
                                0x3FF0000000000000, 0x3FF4000000000000, 0xFFFFFFF8 };
  for (int j = 0; j < 6; j++) cr_expect_eq(out[j], expected[j], "%d: %llx", j, (unsigned long long)out[j]);
}

// --- what is refused ------------------------------------------------------------------------------------

Test(logic, forms_that_are_none_are_refused) {
  if (!device_is_emulator()) cr_skip_test("the words are the emulator's");
  operation_refused("add.b32 %r0, %r1, %r2;", "b32");
  operation_refused("add.u32 %r0, %r1, %d2;", "width");
  operation_refused("add.u32 %d0, %r1, %r2;", "width");
  operation_refused("add.sat.u32 %r0, %r1, %r2;", "modifiers");
  operation_refused("add.u32 %r0, [%d1], %r2;", "operand");
  operation_refused("add.u32 {%r0, %r1}, %r1, %r2;", "vector");
  operation_refused("mul.u32 %r0, %r1, %r2;", "modifiers");
  operation_refused("mul.lo.f32 %r0, %r1, %r2;", "modifiers");
  operation_refused("mad.lo.cc.u16 %h0, %h1, %h2, %h3;", "carry");
  operation_refused("addc.sat.u32 %r0, %r1, %r2;", "sat");
  operation_refused("fma.f32 %r0, %r1, %r2, %r3;", "modifiers");
  operation_refused("div.f32 %r0, %r1, %r2;", "modifiers");
  operation_refused("div.rn.approx.f32 %r0, %r1, %r2;", "modifiers");
  operation_refused("add.rz.f16 %h0, %h1, %h2;", "modifiers");
  operation_refused("max.f32 %r0, %r1;", "operands");
  operation_refused("min.f64 %d0, %d1, %d2, %d3;", "operands");
  operation_refused("setp.f32 %p0, %r1, %r2;", "comparison");
  operation_refused("setp.lt.b32 %p0, %r1, %r2;", "type");
  operation_refused("setp.eq.u32 %r0, %r1, %r2;", "predicates");
  operation_refused("setp.eq.and.u32 %p0, %r1, %r2;", "operands");
  operation_refused("set.eq.f64.f32 %d0, %r1, %r2;", "types");
  operation_refused("mov.b64 {%r0, %r1, %r2}, %d1;", "vector");
  operation_refused("mov.b32 {%r0, %r1}, %r2;", "vector");
  operation_refused("mov.u32 %r0, %p1;", "width");
  operation_refused("shf.l.b32 %r0, %r1, %r2, %r3;", "modifiers");
  operation_refused("rcp.f32 %r0, %r1;", "modifiers");
  operation_refused("rsqrt.rn.f32 %r0, %r1;", "rn");
  operation_refused("add.u32 %r0, %r1, 1.0;", "operand");
  operation_refused("add.f32 %r0, %r1, 1;", "operand");
  operation_refused("add.f16 %h0, %h1, 0x3C00;", "operand");
  operation_refused("add.u32 %r0, %r1, %tid.x;", "operand");
  operation_refused("mov.f32 %r0, 1;", "operand");
  operation_refused("mov.b32 %r0, 1.0;", "operand");
  operation_refused("selp.f32 %r0, 1, 0, %p1;", "operand");
  operation_refused("set.eq.f16.bf16 %h0, %h1, %h2;", "types");
  operation_refused("fns.b32 %r0, %r1, %r2, %r3;", "fns");
}
