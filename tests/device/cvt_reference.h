// Conversions as their definition has them, for the tests of cvt: a value is a long double, and a float type is
// the list of its numbers in order.
#ifndef TESTS_DEVICE_CVT_REFERENCE_H
#define TESTS_DEVICE_CVT_REFERENCE_H

#include "ir/base_priv.h"
#include "tests/device/device_test.h"

#include <stdio.h>

// A type of 64-bit significand at least: every value of the types here, and every middle between two of them.
typedef struct float_type {
  const char *name;
  int bits, mantissa, bias;
  uint64_t largest; // code of the largest finite number; the next one is infinity, or NaN where there is none
  uint64_t nan;
  bool has_infinity;
} float_type;
extern const float_type type_f16, type_bf16, type_tf32, type_f32, type_f64, type_e4m3, type_e5m2, type_e2m1;

uint64_t low_bits(uint64_t value, int bits);
long double decode(const float_type *type, uint64_t code);
// `rounding`: "rn", "rz", "rm", "rp", "rna".
uint64_t encode(const float_type *type, long double value, const char *rounding, bool satfinite);
// What cvt with these modifiers makes of a code: .sat, .satfinite, .relu, .ftz, and roundings to integers.
uint64_t convert(const float_type *to, const float_type *from, uint64_t code, const char *modifiers,
                 const char *rounding);

int int_width(const char *type); // of "u8"
long double clamp_to_int(const char *type, long double value);
long double round_to_integer(long double value, const char *rounding);

// Codes around everything that is special to a type, and any.
enum { FLOAT_INPUTS = 2048 };
size_t fill_floats(const float_type *type, uint64_t in[FLOAT_INPUTS]);

// Runs one conversion on `count` values, each in 8 bytes. A second source stands in the upper half of a value.
typedef struct cvt_case {
  const char *op;         // "cvt.rn.f16.f32"
  int from_bits, to_bits; // of the registers: 8, 16, 32, 64
  int sources;            // 0: 1
  const char *target, *version;
} cvt_case;
void cvt_run(const cvt_case *c, const uint64_t *in, uint64_t *out, size_t count);

#endif
