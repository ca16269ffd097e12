// The definition of conversions, by search.
#include "tests/device/cvt_reference.h"

#include <math.h>
#include <stdlib.h>

const float_type type_f16 = { "f16", 16, 10, 15, 0x7BFF, 0x7FFF, true };
const float_type type_bf16 = { "bf16", 16, 7, 127, 0x7F7F, 0x7FFF, true };
// In 32 bits, of which the last 13 are zero: codes are without them.
const float_type type_tf32 = { "tf32", 32, 10, 127, 0x3FBFF, 0x3FFFF, true };
const float_type type_f32 = { "f32", 32, 23, 127, 0x7F7FFFFF, 0x7FFFFFFF, true };
const float_type type_f64 = { "f64", 64, 52, 1023, 0x7FEFFFFFFFFFFFFF, 0x7FF8000000000000, true };
const float_type type_e4m3 = { "e4m3", 8, 3, 7, 0x7E, 0x7F, false };
const float_type type_e5m2 = { "e5m2", 8, 2, 15, 0x7B, 0x7F, true };
const float_type type_e2m1 = { "e2m1", 4, 1, 1, 0x7, 0x7, false };

uint64_t low_bits(uint64_t value, int bits) {
  return bits == 64 ? value : value & (((uint64_t)1 << bits) - 1);
}

// --- floats ---------------------------------------------------------------------------------------------

// The number of a code without sign, also beyond the largest: there the next powers of two would stand.
static long double magnitude_of(const float_type *type, uint64_t code) {
  int field = (int)(code >> type->mantissa);
  uint64_t fraction = low_bits(code, type->mantissa);
  if (field == 0) return ldexpl((long double)fraction, 1 - type->bias - type->mantissa);
  return ldexpl((long double)(fraction + ((uint64_t)1 << type->mantissa)), field - type->bias - type->mantissa);
}

long double decode(const float_type *type, uint64_t code) {
  bool negative = code >> (type->bits - 1) & 1;
  uint64_t magnitude = low_bits(code, type->bits - 1);
  if (type == &type_tf32) magnitude >>= 13;
  long double value = magnitude_of(type, magnitude);
  if (magnitude > type->largest) value = type->has_infinity && magnitude == type->largest + 1 ? INFINITY : NAN;
  return negative ? -value : value;
}

// The code of the largest number that is at most `value`.
static uint64_t find_below(const float_type *type, long double value) {
  uint64_t low = 0, high = type->largest + 1;
  if (value >= magnitude_of(type, high)) return high;
  while (high - low > 1) {
    uint64_t middle = low + (high - low) / 2;
    *(magnitude_of(type, middle) <= value ? &low : &high) = middle;
  }
  return low;
}

static uint64_t round_magnitude(const float_type *type, long double value, bool negative,
                                const char *rounding) {
  uint64_t below = find_below(type, value);
  if (below > type->largest) { // beyond the last step of the type
    bool to_zero = strcmp(rounding, "rz") == 0 || strcmp(rounding, negative ? "rp" : "rm") == 0;
    return to_zero ? type->largest : below;
  }
  long double least = magnitude_of(type, below), next = magnitude_of(type, below + 1);
  long double middle = (least + next) / 2;
  if (value == least) return below;
  if (strcmp(rounding, "rz") == 0) return below;
  if (strcmp(rounding, "rm") == 0) return below + negative;
  if (strcmp(rounding, "rp") == 0) return below + !negative;
  if (value != middle) return below + (value > middle);
  return strcmp(rounding, "rna") == 0 ? below + 1 : below + (below & 1);
}

uint64_t encode(const float_type *type, long double value, const char *rounding, bool satfinite) {
  bool negative = signbit(value);
  if (isnan(value)) return type == &type_tf32 ? 0x7FFFFFFF : type->nan;
  uint64_t code = isinf(value) ? type->largest + 1 : round_magnitude(type, fabsl(value), negative, rounding);
  if (satfinite && code > type->largest) code = type->largest;
  if (type == &type_tf32) code <<= 13;
  return code | (uint64_t)negative << (type->bits - 1);
}

// --- integers -------------------------------------------------------------------------------------------

int int_width(const char *type) {
  return atoi(type + 1);
}

long double clamp_to_int(const char *type, long double value) {
  int digits = int_width(type) - (type[0] == 's');
  long double least = type[0] == 's' ? -ldexpl(1, digits) : 0, largest = ldexpl(1, digits) - 1;
  return value < least ? least : value > largest ? largest : value;
}

long double round_to_integer(long double value, const char *rounding) {
  long double below = floorl(value), part = value - below;
  if (isinf(value) || part == 0) return value;
  bool up = strcmp(rounding, "rp") == 0 || (strcmp(rounding, "rz") == 0 && value < 0);
  if (strcmp(rounding, "rn") == 0) up = part > 0.5L || (part == 0.5L && fmodl(below, 2) != 0);
  return copysignl(below + up, value);
}

// --- all of cvt -----------------------------------------------------------------------------------------

static bool has(const char *modifiers, const char *word) {
  const char *at = strstr(modifiers, word);
  size_t length = strlen(word);
  return at && (at[length] == 0 || at[length] == '.');
}

uint64_t convert(const float_type *to, const float_type *from, uint64_t code, const char *modifiers,
                 const char *rounding) {
  const long double least_normal = ldexpl(1, -126);
  long double value = decode(from, code);
  bool flush = has(modifiers, ".ftz");
  if (flush && from == &type_f32 && fabsl(value) < least_normal) value = copysignl(0, value);
  char integral[8];
  snprintf(integral, sizeof integral, ".%si", rounding);
  if (has(modifiers, integral) && !isnan(value)) value = round_to_integer(value, rounding);
  if (has(modifiers, ".sat")) value = isnan(value) || value <= 0 ? 0 : value > 1 ? 1 : value;
  if (has(modifiers, ".relu") && signbit(value) && !isnan(value)) value = 0;
  uint64_t result = encode(to, value, rounding, has(modifiers, ".satfinite"));
  long double rounded = decode(to, result);
  if (flush && to == &type_f32 && fabsl(rounded) < least_normal) result &= 0x80000000u;
  return result;
}

size_t fill_floats(const float_type *type, uint64_t in[FLOAT_INPUTS]) {
  // Numbers where the types end, and middles between numbers of narrower types.
  static const long double marks[] = { 0.0L,
                                       0.5L,
                                       1.0L,
                                       1.5L,
                                       2.5L,
                                       3.5L,
                                       127.5L,
                                       128.5L,
                                       255.5L,
                                       256.0L,
                                       32767.5L,
                                       65504.0L,
                                       65519.0L,
                                       65520.0L,
                                       6.0L,
                                       448.0L,
                                       464.0L,
                                       480.0L,
                                       57344.0L,
                                       61440.0L,
                                       3.3895313892515355e38L,
                                       3.4e38L,
                                       2147483647.5L,
                                       4294967295.5L,
                                       9223372036854775807.0L,
                                       18446744073709551615.0L,
                                       1e-45L,
                                       5.877e-39L,
                                       1.1754943508222875e-38L,
                                       2.98e-8L,
                                       5.96e-8L,
                                       6.1e-5L,
                                       1e-40L,
                                       0.0009765625L,
                                       0.001953125L };
  uint64_t state = 7, infinity = type->largest + 1;
  size_t n = 0;
  const uint64_t fixed[] = { 0, 1, 2, 3, type->largest, type->largest - 1, infinity, infinity + 1, type->nan };
  for (size_t i = 0; i < QN_COUNT(fixed); i++) in[n++] = fixed[i];
  for (size_t i = 0; i < QN_COUNT(marks); i++) {
    uint64_t code = encode(type, marks[i], "rn", true);
    for (int step = -3; step <= 3; step++)
      if (code > 3) in[n++] = code + (uint64_t)(int64_t)step;
  }
  // Codes of every exponent, whose last bits are those of a tie or one beside it.
  while (n < FLOAT_INPUTS / 2) {
    uint64_t bits = (uint64_t)device_random(&state) << 32 | device_random(&state);
    uint64_t code = low_bits(bits, type->bits - 1);
    int cut = (int)(device_random(&state) % (unsigned)type->mantissa);
    if (n % 2) code = (code >> cut << cut) + (uint64_t)1 * (n % 3) - 1;
    // Half of them near one, where integers are.
    if (n % 4 < 2)
      code = low_bits(code, type->mantissa) |
             (uint64_t)(type->bias + (int)(device_random(&state) % (type->bias < 16 ? 16 : 70)) - 4)
                 << type->mantissa;
    in[n++] = low_bits(code, type->bits - 1);
  }
  for (size_t i = 0; i < FLOAT_INPUTS / 2; i++) in[n + i] = in[i] | (uint64_t)1 << (type->bits - 1);
  return FLOAT_INPUTS;
}

// --- kernels --------------------------------------------------------------------------------------------

static char register_of(int bits) {
  return bits == 8 ? 'c' : bits == 16 ? 'h' : bits == 32 ? 'r' : 'd';
}

void cvt_run(const cvt_case *c, const uint64_t *in, uint64_t *out, size_t count) {
  enum { THREADS = 128 };
  char body[2048], second[64] = "", second_load[96] = "";
  char from = register_of(c->from_bits), to = register_of(c->to_bits);
  cr_assert_eq(count % THREADS, 0);
  if (c->sources == 2) {
    snprintf(second, sizeof second, ", %%%c3", from);
    snprintf(second_load, sizeof second_load, "ld.global.b%d %%%c3, [%%a+4];", c->from_bits, from);
  }
  snprintf(body, sizeof body,
           ".reg .b32 %%i, %%n; .reg .b64 %%a, %%b;\n"
           ".reg .b8 %%c<4>; .reg .b16 %%h<4>; .reg .b32 %%r<4>; .reg .b64 %%d<4>;\n"
           "mov.u32 %%i, %%ctaid.x;\n"
           "mov.u32 %%n, %%ntid.x;\n"
           "mad.lo.u32 %%i, %%i, %%n, %%thread;\n"
           "mad.wide.u32 %%a, %%i, 8, %%in;\n"
           "mad.wide.u32 %%b, %%i, 8, %%out;\n"
           "ld.global.b%d %%%c1, [%%a];\n"
           "%s\n"
           "%s %%%c2, %%%c1%s;\n"
           "st.global.b%d [%%b], %%%c2;",
           c->from_bits, from, second_load, c->op, to, from, second, c->to_bits, to);
  device_run(device_kernel(.body = body, .target = c->target, .version = c->version, .threads = THREADS,
                           .blocks = (uint32_t)(count / THREADS)),
             in, count * sizeof *in, out, count * sizeof *out);
  for (size_t i = 0; i < count; i++) out[i] = low_bits(out[i], c->to_bits);
}
