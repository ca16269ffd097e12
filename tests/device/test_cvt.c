// cvt between scalar types, against values that are searched for: the representable numbers around the exact
// one, and which of them a rounding takes.
#include "tests/device/cvt_reference.h"

#include <math.h>

static const char *const int_types[] = { "u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64" };
static const char *const roundings[] = { "rn", "rz", "rm", "rp" };

static uint64_t random_bits(uint64_t *state) {
  uint64_t high = device_random(state);
  return high << 32 | device_random(state);
}

// --- integers -------------------------------------------------------------------------------------------

enum { INT_INPUTS = 640 };

// Around every power of two, and anything.
static size_t fill_ints(uint64_t in[INT_INPUTS]) {
  size_t n = 0;
  uint64_t state = 1;
  for (int bit = 0; bit < 64; bit++)
    for (int step = -1; step <= 1; step++) {
      in[n] = ((uint64_t)1 << bit) + (uint64_t)(int64_t)step;
      in[n + 1] = 0 - in[n];
      n += 2;
    }
  for (; n < INT_INPUTS; n++) in[n] = random_bits(&state) >> (n % 64);
  return n;
}

// The value of the low bits of an input.
static long double int_value(const char *type, uint64_t bits) {
  int width = int_width(type);
  if (width < 64) bits &= ((uint64_t)1 << width) - 1;
  long double value = (long double)bits;
  return type[0] == 's' && bits >> (width - 1) ? value - ldexpl(1, width) : value;
}

static void check_int_pair(const char *to, const char *from, bool saturate) {
  uint64_t in[INT_INPUTS], out[INT_INPUTS];
  char op[64];
  size_t n = fill_ints(in);
  snprintf(op, sizeof op, "cvt%s.%s.%s", saturate ? ".sat" : "", to, from);
  int to_bits = QN_MAX(int_width(to), 16), from_bits = QN_MAX(int_width(from), 16);
  cvt_run(&(cvt_case){ .op = op, .from_bits = from_bits, .to_bits = to_bits }, in, out, n);
  for (size_t i = 0; i < n; i++) {
    long double value = int_value(from, in[i]);
    // Out of range values wrap around.
    uint64_t wrapped = value < 0 ? 0 - (uint64_t)-value : (uint64_t)value;
    long double kept = saturate ? clamp_to_int(to, value) : int_value(to, wrapped);
    uint64_t expected = low_bits(kept < 0 ? 0 - (uint64_t)-kept : (uint64_t)kept, to_bits);
    cr_assert_eq(out[i], expected, "%s of %llx: %llx, expected %llx", op, (unsigned long long)in[i],
                 (unsigned long long)out[i], (unsigned long long)expected);
  }
}

Test(cvt, ints_to_ints) {
  for (size_t to = 0; to < QN_COUNT(int_types); to++)
    for (size_t from = 0; from < QN_COUNT(int_types); from++)
      check_int_pair(int_types[to], int_types[from], false);
}

// .sat is legal where the range of the source is not within that of the result.
Test(cvt, ints_to_ints_saturate) {
  for (size_t to = 0; to < QN_COUNT(int_types); to++)
    for (size_t from = 0; from < QN_COUNT(int_types); from++) {
      bool to_signed = int_types[to][0] == 's', from_signed = int_types[from][0] == 's';
      int room = int_width(int_types[to]) - int_width(int_types[from]);
      bool holds = to_signed == from_signed ? room >= 0 : to_signed && room > 0;
      if (!holds) check_int_pair(int_types[to], int_types[from], true);
    }
}

// --- floats and integers --------------------------------------------------------------------------------

static void check_int_to_float(const float_type *to, const char *from, const char *rounding) {
  uint64_t in[INT_INPUTS], out[INT_INPUTS];
  char op[64];
  size_t n = fill_ints(in);
  snprintf(op, sizeof op, "cvt.%s.%s.%s", rounding, to->name, from);
  cvt_run(&(cvt_case){ .op = op,
                       .from_bits = QN_MAX(int_width(from), 16),
                       .to_bits = to->bits,
                       .target = strcmp(to->name, "bf16") == 0 ? "sm_90a" : NULL },
          in, out, n);
  for (size_t i = 0; i < n; i++) {
    uint64_t expected = encode(to, int_value(from, in[i]), rounding, false);
    cr_assert_eq(out[i], expected, "%s of %llx: %llx, expected %llx", op, (unsigned long long)in[i],
                 (unsigned long long)out[i], (unsigned long long)expected);
  }
}

static void check_all_ints_to(const float_type *to) {
  for (size_t from = 0; from < QN_COUNT(int_types); from++)
    for (size_t r = 0; r < QN_COUNT(roundings); r++) check_int_to_float(to, int_types[from], roundings[r]);
}
Test(cvt, ints_to_f16) {
  check_all_ints_to(&type_f16);
}
Test(cvt, ints_to_f32) {
  check_all_ints_to(&type_f32);
}
Test(cvt, ints_to_f64) {
  check_all_ints_to(&type_f64);
}
Test(cvt, ints_to_bf16) {
  for (size_t r = 0; r < QN_COUNT(roundings); r++) {
    check_int_to_float(&type_bf16, "s32", roundings[r]);
    check_int_to_float(&type_bf16, "u64", roundings[r]);
  }
}

static void check_float_to_int(const char *to, const float_type *from, const char *rounding) {
  uint64_t in[FLOAT_INPUTS], out[FLOAT_INPUTS];
  char op[64];
  size_t n = fill_floats(from, in);
  int to_bits = QN_MAX(int_width(to), 16);
  snprintf(op, sizeof op, "cvt.%si.%s.%s", rounding, to, from->name);
  cvt_run(&(cvt_case){ .op = op,
                       .from_bits = from->bits,
                       .to_bits = to_bits,
                       .target = strcmp(from->name, "bf16") == 0 ? "sm_90a" : NULL },
          in, out, n);
  for (size_t i = 0; i < n; i++) {
    long double value = decode(from, in[i]);
    uint64_t expected = 0;
    if (isnan(value)) {
      // Zero, or 2^(width - 1) where 64 bits are on either side.
      if (from->bits == 64 || int_width(to) == 64) expected = 0 - ((uint64_t)1 << (int_width(to) - 1));
      if (to[0] == 'u') expected = low_bits(expected, int_width(to));
    } else {
      value = clamp_to_int(to, round_to_integer(value, rounding));
      expected = value < 0 ? 0 - (uint64_t)-value : (uint64_t)value;
    }
    expected = low_bits(expected, to_bits);
    cr_assert_eq(out[i], expected, "%s of %llx: %llx, expected %llx", op, (unsigned long long)in[i],
                 (unsigned long long)out[i], (unsigned long long)expected);
  }
}

static void check_all_ints_from(const float_type *from) {
  for (size_t to = 0; to < QN_COUNT(int_types); to++)
    for (size_t r = 0; r < QN_COUNT(roundings); r++) check_float_to_int(int_types[to], from, roundings[r]);
}
Test(cvt, f16_to_ints) {
  check_all_ints_from(&type_f16);
}
Test(cvt, f32_to_ints) {
  check_all_ints_from(&type_f32);
}
Test(cvt, f64_to_ints) {
  check_all_ints_from(&type_f64);
}
Test(cvt, bf16_to_ints) {
  for (size_t to = 2; to < QN_COUNT(int_types); to++) // the ISA lists 8 bits, ptxas takes 16 and more
    check_float_to_int(int_types[to], &type_bf16, "rz");
}

// --- floats ---------------------------------------------------------------------------------------------

typedef struct float_pair {
  const float_type *to, *from;
  const char *target;
} float_pair;

// `modifiers` in front of the types, `rounding` the one they name.
static void check_floats(const float_pair *pair, const char *modifiers, const char *rounding) {
  uint64_t in[FLOAT_INPUTS], out[FLOAT_INPUTS];
  char op[64];
  size_t n = fill_floats(pair->from, in);
  snprintf(op, sizeof op, "cvt%s.%s.%s", modifiers, pair->to->name, pair->from->name);
  cvt_run(
      &(cvt_case){ .op = op, .from_bits = pair->from->bits, .to_bits = pair->to->bits, .target = pair->target },
      in, out, n);
  for (size_t i = 0; i < n; i++) {
    uint64_t expected = convert(pair->to, pair->from, in[i], modifiers, rounding);
    // The ISA does not say which NaN an f64 is.
    if (pair->to == &type_f64 && isnan(decode(&type_f64, expected)) && isnan(decode(&type_f64, out[i])))
      continue;
    cr_assert_eq(out[i], expected, "%s of %llx: %llx, expected %llx", op, (unsigned long long)in[i],
                 (unsigned long long)out[i], (unsigned long long)expected);
  }
}

static void check_roundings(const float_pair *pair) {
  for (size_t r = 0; r < QN_COUNT(roundings); r++) {
    char modifiers[8];
    snprintf(modifiers, sizeof modifiers, ".%s", roundings[r]);
    check_floats(pair, modifiers, roundings[r]);
  }
}

Test(cvt, f32_to_f16) {
  check_roundings(&(float_pair){ &type_f16, &type_f32, NULL });
}
Test(cvt, f64_to_f16) {
  check_roundings(&(float_pair){ &type_f16, &type_f64, NULL });
}
Test(cvt, f64_to_f32) {
  check_roundings(&(float_pair){ &type_f32, &type_f64, NULL });
}
Test(cvt, f32_to_bf16) {
  check_floats(&(float_pair){ &type_bf16, &type_f32, NULL }, ".rn", "rn");
  check_floats(&(float_pair){ &type_bf16, &type_f32, NULL }, ".rz", "rz");
}
Test(cvt, between_f16_and_bf16) {
  check_roundings(&(float_pair){ &type_bf16, &type_f16, "sm_90a" });
  check_roundings(&(float_pair){ &type_f16, &type_bf16, "sm_90a" });
}

Test(cvt, widening_is_exact) {
  check_floats(&(float_pair){ &type_f32, &type_f16, NULL }, "", "rn");
  check_floats(&(float_pair){ &type_f64, &type_f16, NULL }, "", "rn");
  check_floats(&(float_pair){ &type_f64, &type_f32, NULL }, "", "rn");
  check_floats(&(float_pair){ &type_f32, &type_bf16, "sm_90a" }, "", "rn");
}

Test(cvt, every_f16_widens) {
  static uint64_t in[65536], out[65536];
  for (uint32_t i = 0; i < 65536; i++) in[i] = i;
  cvt_run(&(cvt_case){ .op = "cvt.f32.f16", .from_bits = 16, .to_bits = 32 }, in, out, 65536);
  for (uint32_t i = 0; i < 65536; i++)
    cr_assert_eq(out[i], convert(&type_f32, &type_f16, i, "", "rn"), "%x: %llx", i, (unsigned long long)out[i]);
}

Test(cvt, to_integral_floats) {
  const float_type *const types[] = { &type_f16, &type_f32, &type_f64 };
  for (size_t t = 0; t < QN_COUNT(types); t++)
    for (size_t r = 0; r < QN_COUNT(roundings); r++) {
      char modifiers[8];
      snprintf(modifiers, sizeof modifiers, ".%si", roundings[r]);
      check_floats(&(float_pair){ types[t], types[t], NULL }, modifiers, roundings[r]);
    }
}

Test(cvt, saturate_to_unit) {
  check_floats(&(float_pair){ &type_f16, &type_f32, NULL }, ".rn.sat", "rn");
  check_floats(&(float_pair){ &type_f32, &type_f64, NULL }, ".rz.sat", "rz");
  check_floats(&(float_pair){ &type_f32, &type_f16, NULL }, ".sat", "rn");
  check_floats(&(float_pair){ &type_f32, &type_f32, NULL }, ".sat", "rn");
  check_floats(&(float_pair){ &type_f64, &type_f64, NULL }, ".sat", "rn");
}

Test(cvt, flush_subnormals) {
  check_floats(&(float_pair){ &type_f16, &type_f32, NULL }, ".rn.ftz", "rn");
  check_floats(&(float_pair){ &type_f32, &type_f64, NULL }, ".rn.ftz", "rn");
  check_floats(&(float_pair){ &type_f32, &type_f32, NULL }, ".ftz", "rn");
  check_floats(&(float_pair){ &type_f32, &type_f32, NULL }, ".rpi.ftz", "rp");
  check_floats(&(float_pair){ &type_f64, &type_f32, NULL }, ".ftz", "rn");
}

Test(cvt, satfinite_and_relu) {
  check_floats(&(float_pair){ &type_f16, &type_f32, "sm_90a" }, ".rn.satfinite", "rn");
  check_floats(&(float_pair){ &type_f16, &type_f32, "sm_90a" }, ".rz.relu", "rz");
  check_floats(&(float_pair){ &type_bf16, &type_f32, "sm_90a" }, ".rn.satfinite", "rn");
  check_floats(&(float_pair){ &type_bf16, &type_f32, "sm_90a" }, ".rn.relu.satfinite", "rn");
}

Test(cvt, tf32) {
  check_floats(&(float_pair){ &type_tf32, &type_f32, NULL }, ".rna", "rna");
  check_floats(&(float_pair){ &type_tf32, &type_f32, "sm_90a" }, ".rn", "rn");
  check_floats(&(float_pair){ &type_tf32, &type_f32, "sm_90a" }, ".rz.relu", "rz");
  check_floats(&(float_pair){ &type_tf32, &type_f32, "sm_100a" }, ".rna.satfinite", "rna");
}

// --- what is refused ------------------------------------------------------------------------------------

Test(cvt, refusals_are_worded) {
  static const struct {
    const char *op, *words;
  } refused[] = {
    { "cvt.f16.f32 %h1, %r1", "this conversion needs a rounding" },
    { "cvt.u32.f32 %r1, %r2", "this conversion needs a rounding" },
    { "cvt.rni.f16.f32 %h1, %r1", "not a rounding of this conversion" },
    { "cvt.rna.f16.f32 %h1, %r1", "not a rounding of this conversion" },
    { "cvt.rn.f32.f32 %r1, %r2", "not a rounding of this conversion" },
    { "cvt.rm.u32.f32 %r1, %r2", "not a rounding of this conversion" },
    { "cvt.rn.u32.u64 %r1, %d1", "not a rounding of this conversion" },
    { "cvt.rs.f16x2.f32 %r1, %r2, %r3, %r4", "stochastic rounding is not executed" },
    { "cvt.rn.e4m3x2.f32 %h1, %r1, %r2", "this conversion needs .satfinite" },
    { "cvt.rn.satfinite.f16x2.e4m3x2 %r1, %h1", "this conversion takes no .satfinite" },
    { "cvt.rn.satfinite.f32.f64 %r1, %d1", ".satfinite and .relu are for f16, bf16 and tf32 from f32" },
    { "cvt.rn.sat.bf16.f32 %h1, %r1", ".sat is not for bf16 and tf32" },
    { "cvt.rn.ftz.f64.s32 %d1, %r1", ".ftz is for conversions from or to f32" },
    { "cvt.f64.f32 %r1, %r2", "a register that is narrower than its type, or no number" },
    { "cvt.rna.tf32.f64 %r1, %d1", "tf32 is converted from f32 alone" },
  };
  uint32_t nothing = 0;
  if (!device_is_emulator()) cr_skip_test("the driver has words of its own");
  for (size_t i = 0; i < QN_COUNT(refused); i++) {
    char body[256];
    snprintf(body, sizeof body, ".reg .b16 %%h<5>; .reg .b32 %%r<5>; .reg .b64 %%d<5>;\n%s;", refused[i].op);
    cr_assert_eq(device_try(device_kernel(.body = body), &nothing, 4, &nothing, 4), QN_UNSUPPORTED, "%s",
                 refused[i].op);
    cr_assert(strstr(device_message(), refused[i].words), "%s: %s", refused[i].op, device_message());
  }
}
