// cvt with two values in a register, and cvt.pack: every 16-bit float, and f32 on both sides of every number
// and every tie of the narrow types.
#include "tests/device/cvt_reference.h"

#include <math.h>

enum { ALL = 65536 };
static uint64_t in[ALL], out[ALL];

// Which machine has a conversion.
static const char *target_of(const char *op) {
  if (strstr(op, "e2m1") || strstr(op, "ue8m0")) return "sm_100a";
  return strstr(op, "e4m3") || strstr(op, "e5m2") ? "sm_89" : NULL;
}

static void run(const char *op, int from_bits, int to_bits, int sources, size_t count) {
  const char *target = target_of(op);
  bool ada = target && strcmp(target, "sm_89") == 0;
  cvt_run(&(cvt_case){ .op = op,
                       .from_bits = from_bits,
                       .to_bits = to_bits,
                       .sources = sources,
                       .target = target,
                       .version = ada ? "8.1" : NULL },
          in, out, count);
}

// --- from two f32 ---------------------------------------------------------------------------------------

static uint32_t f32_code(long double value) {
  return (uint32_t)encode(&type_f32, value, "rn", false);
}

// Every number of the type and every middle, one f32 below, itself and one above, of both signs; then what any
// f32 may be. The halves of an input take them in different order, so that their places show.
static size_t fill_pairs(const float_type *type) {
  static uint32_t values[ALL];
  size_t n = 0;
  uint64_t step = type->bits > 8 ? 37 : 1, state = 3;
  for (uint64_t code = 0; code <= type->largest; code += step) {
    long double number = decode(type, code);
    long double next = code < type->largest ? decode(type, code + 1) : 2 * number;
    for (int which = 0; which < 2; which++) {
      uint32_t at = f32_code(which ? (number + next) / 2 : number);
      for (int i = -1; i <= 1; i++) {
        values[n++] = at + (uint32_t)(at || i >= 0 ? i : 0);
        values[n] = values[n - 1] | 0x80000000u, n++;
      }
    }
  }
  const uint32_t special[] = { 0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00001,
                               0x7F7FFFFF, 0xFF7FFFFF, 1,          0x80000001 };
  for (size_t i = 0; i < QN_COUNT(special); i++) values[n++] = special[i];
  while (n % 128) values[n++] = device_random(&state);
  for (size_t i = 0; i < n; i++) in[i] = values[i] | (uint64_t)values[(i * 5 + 3) % n] << 32;
  return n;
}

static uint64_t f32_to_narrow(const float_type *to, uint32_t bits, const char *modifiers,
                              const char *rounding) {
  // There is no NaN in e2m1: the largest number.
  if (to == &type_e2m1 && isnan(decode(&type_f32, bits))) return type_e2m1.largest;
  return convert(to, &type_f32, bits, modifiers, rounding);
}

static void check_from_f32(const float_type *to, const char *modifiers, const char *rounding) {
  char op[64];
  size_t n = fill_pairs(to);
  snprintf(op, sizeof op, "cvt%s.%sx2.f32", modifiers, to->name);
  run(op, 32, 2 * to->bits, 2, n);
  for (size_t i = 0; i < n; i++) {
    uint64_t high = f32_to_narrow(to, (uint32_t)in[i], modifiers, rounding);
    uint64_t low = f32_to_narrow(to, (uint32_t)(in[i] >> 32), modifiers, rounding);
    cr_assert_eq(out[i], high << to->bits | low, "%s of %llx: %llx, expected %llx %llx", op,
                 (unsigned long long)in[i], (unsigned long long)out[i], (unsigned long long)high,
                 (unsigned long long)low);
  }
}

Test(cvt_packed, f16x2_from_f32) {
  check_from_f32(&type_f16, ".rn", "rn");
  check_from_f32(&type_f16, ".rz", "rz");
  check_from_f32(&type_f16, ".rn.relu", "rn");
}
Test(cvt_packed, bf16x2_from_f32) {
  check_from_f32(&type_bf16, ".rn", "rn");
  check_from_f32(&type_bf16, ".rz", "rz");
  check_from_f32(&type_bf16, ".rz.relu", "rz");
}
Test(cvt_packed, e4m3x2_from_f32) {
  check_from_f32(&type_e4m3, ".rn.satfinite", "rn");
  check_from_f32(&type_e4m3, ".rn.satfinite.relu", "rn");
}
Test(cvt_packed, e5m2x2_from_f32) {
  check_from_f32(&type_e5m2, ".rn.satfinite", "rn");
  check_from_f32(&type_e5m2, ".rn.satfinite.relu", "rn");
}
Test(cvt_packed, e2m1x2_from_f32) {
  check_from_f32(&type_e2m1, ".rn.satfinite", "rn");
  check_from_f32(&type_e2m1, ".rn.satfinite.relu", "rn");
}

// --- from and to f16x2 ----------------------------------------------------------------------------------

// Every code beside its complement's byte-swapped self, so that both halves see all.
static void fill_every_pair(void) {
  for (uint32_t i = 0; i < ALL; i++) in[i] = i | (uint64_t)((i * 40503u + 77u) & 0xFFFF) << 16;
}

static void check_from_f16(const float_type *to, const char *modifiers) {
  char op[64];
  fill_every_pair();
  snprintf(op, sizeof op, "cvt%s.%sx2.f16x2", modifiers, to->name);
  run(op, 32, 2 * to->bits, 1, ALL);
  for (uint32_t i = 0; i < ALL; i++) {
    uint64_t high = convert(to, &type_f16, in[i] >> 16, modifiers, "rn");
    uint64_t low = convert(to, &type_f16, in[i] & 0xFFFF, modifiers, "rn");
    cr_assert_eq(out[i], high << to->bits | low, "%s of %llx: %llx, expected %llx %llx", op,
                 (unsigned long long)in[i], (unsigned long long)out[i], (unsigned long long)high,
                 (unsigned long long)low);
  }
}
Test(cvt_packed, every_f16_to_e4m3) {
  check_from_f16(&type_e4m3, ".rn.satfinite");
  check_from_f16(&type_e4m3, ".rn.satfinite.relu");
}
Test(cvt_packed, every_f16_to_e5m2) {
  check_from_f16(&type_e5m2, ".rn.satfinite");
  check_from_f16(&type_e5m2, ".rn.satfinite.relu");
}

// Every pair of codes.
static void check_to_f16(const float_type *from, const char *modifiers) {
  char op[64];
  for (uint32_t i = 0; i < ALL; i++) in[i] = low_bits(i, 2 * from->bits);
  snprintf(op, sizeof op, "cvt%s.f16x2.%sx2", modifiers, from->name);
  run(op, 2 * from->bits, 32, 1, ALL);
  for (uint32_t i = 0; i < ALL; i++) {
    uint64_t codes[2] = { low_bits(in[i], from->bits), in[i] >> from->bits };
    for (int half = 0; half < 2; half++) {
      // All four bits of e2m1 are a number.
      long double value = decode(from, codes[half]);
      uint64_t expected = convert(&type_f16, from, codes[half], modifiers, "rn");
      uint64_t found = out[i] >> 16 * half & 0xFFFF;
      cr_assert_eq(found, expected, "%s of %llx (%Lg): %llx, expected %llx", op,
                   (unsigned long long)codes[half], value, (unsigned long long)found,
                   (unsigned long long)expected);
    }
  }
}
Test(cvt_packed, every_e4m3_to_f16) {
  check_to_f16(&type_e4m3, ".rn");
  check_to_f16(&type_e4m3, ".rn.relu");
}
Test(cvt_packed, every_e5m2_to_f16) {
  check_to_f16(&type_e5m2, ".rn");
  check_to_f16(&type_e5m2, ".rn.relu");
}
Test(cvt_packed, every_e2m1_to_f16) {
  check_to_f16(&type_e2m1, ".rn");
  check_to_f16(&type_e2m1, ".rn.relu");
}

// --- ue8m0 ----------------------------------------------------------------------------------------------

// Code c is 2^(c - 127), 255 is NaN. The sign is dropped.
static uint64_t ue8m0_of(long double value, bool up, bool satfinite) {
  value = fabsl(value);
  if (isnan(value)) return 255;
  if (isinf(value)) return satfinite ? 254 : 255;
  uint64_t code = 0;
  while (code < 254 && ldexpl(1, (int)code - 126) <= value) code++;
  if (up && ldexpl(1, (int)code - 127) < value) code++;
  return code == 255 && satfinite ? 254 : code;
}

static void check_ue8m0(const char *op, const float_type *from, bool up, bool satfinite) {
  for (size_t i = 0; i < ALL; i++) {
    bool narrow = from == &type_bf16;
    uint32_t a = narrow ? (uint32_t)(in[i] >> 16 & 0xFFFF) : (uint32_t)in[i];
    uint32_t b = narrow ? (uint32_t)(in[i] & 0xFFFF) : (uint32_t)(in[i] >> 32);
    uint64_t high = ue8m0_of(decode(from, a), up, satfinite), low = ue8m0_of(decode(from, b), up, satfinite);
    cr_assert_eq(out[i], high << 8 | low, "%s of %llx: %llx, expected %llx %llx", op, (unsigned long long)in[i],
                 (unsigned long long)out[i], (unsigned long long)high, (unsigned long long)low);
  }
}

// Every bf16, and the f32 beside each.
Test(cvt_packed, ue8m0x2_from_f32) {
  for (uint32_t i = 0; i < ALL; i++) {
    uint32_t at = i << 16;
    in[i] = (at + (i % 3) - (at ? 1 : 0)) | (uint64_t)(i * 40503u << 16) << 32;
  }
  run("cvt.rz.ue8m0x2.f32", 32, 16, 2, ALL);
  check_ue8m0("rz", &type_f32, false, false);
  run("cvt.rp.satfinite.ue8m0x2.f32", 32, 16, 2, ALL);
  check_ue8m0("rp.satfinite", &type_f32, true, true);
}
Test(cvt_packed, ue8m0x2_from_bf16x2) {
  fill_every_pair();
  run("cvt.rp.ue8m0x2.bf16x2", 32, 16, 1, ALL);
  check_ue8m0("rp", &type_bf16, true, false);
  run("cvt.rz.satfinite.ue8m0x2.bf16x2", 32, 16, 1, ALL);
  check_ue8m0("rz.satfinite", &type_bf16, false, true);
}
Test(cvt_packed, bf16x2_from_ue8m0x2) {
  for (uint32_t i = 0; i < ALL; i++) in[i] = i;
  run("cvt.rn.bf16x2.ue8m0x2", 16, 32, 1, ALL);
  for (uint32_t i = 0; i < ALL; i++)
    for (int half = 0; half < 2; half++) {
      int code = (int)(i >> 8 * half & 0xFF);
      uint64_t expected = code == 255 ? 0x7FFF : encode(&type_bf16, ldexpl(1, code - 127), "rn", false);
      cr_assert_eq(out[i] >> 16 * half & 0xFFFF, expected, "code %d: %llx", code, (unsigned long long)out[i]);
    }
}

// --- cvt.pack -------------------------------------------------------------------------------------------

static const char *const pack_types[] = { "u16", "s16", "u8", "s8", "u4", "s4", "u2", "s2" };

static void check_pack(const char *type) {
  enum { COUNT = 128 };
  char body[512];
  uint32_t sources[COUNT][3], results[COUNT];
  uint64_t state = 5;
  int bits = int_width(type);
  bool into_rest = bits < 16;
  for (uint32_t i = 0; i < COUNT; i++)
    for (uint32_t s = 0; s < 3; s++) {
      sources[i][s] = device_random(&state) >> (device_random(&state) % 32);
      if (i % 2 && s < 2) sources[i][s] = 0 - sources[i][s];
    }
  snprintf(
      body, sizeof body,
      ".reg .b32 %%r<5>;\nld.global.b32 %%r1, [%%src];\nld.global.b32 %%r2, [%%src+4];\n"
      "ld.global.b32 %%r3, [%%src+8];\ncvt.pack.sat.%s.s32%s %%r4, %%r1, %%r2%s;\nst.global.b32 [%%dst], %%r4;",
      type, into_rest ? ".b32" : "", into_rest ? ", %r3" : "");
  device_run(device_kernel(.body = body, .threads = COUNT, .in_stride = 12), sources, sizeof sources, results,
             sizeof results);
  for (uint32_t i = 0; i < COUNT; i++) {
    int64_t a = (int64_t)clamp_to_int(type, (int32_t)sources[i][0]);
    int64_t b = (int64_t)clamp_to_int(type, (int32_t)sources[i][1]);
    uint64_t expected = low_bits((uint64_t)a, bits) << bits | low_bits((uint64_t)b, bits);
    if (into_rest) expected |= (uint64_t)sources[i][2] << 2 * bits;
    cr_assert_eq(results[i], (uint32_t)expected, "%s of %x, %x, %x: %x, expected %x", type, sources[i][0],
                 sources[i][1], sources[i][2], results[i], (uint32_t)expected);
  }
}
Test(cvt_packed, pack) {
  for (size_t i = 0; i < QN_COUNT(pack_types); i++) check_pack(pack_types[i]);
}
