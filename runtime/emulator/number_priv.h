// Numbers between any two types: what a value is, apart from how a type holds it, so that every conversion is
// one exact decoding and one rounding.
#ifndef QUENCH_RUNTIME_EMULATOR_NUMBER_PRIV_H
#define QUENCH_RUNTIME_EMULATOR_NUMBER_PRIV_H

#include <stdbool.h>
#include <stdint.h>

typedef enum qn_number_kind { QN_NUMBER_FINITE, QN_NUMBER_INFINITE, QN_NUMBER_NAN } qn_number_kind;

// significand * 2^exponent, exactly.
typedef struct qn_number {
  uint64_t significand;
  int exponent;
  bool negative;
  qn_number_kind kind;
} qn_number;

typedef enum qn_rounding {
  QN_ROUND_NEAREST_EVEN,
  QN_ROUND_NEAREST_AWAY,
  QN_ROUND_ZERO,
  QN_ROUND_DOWN,
  QN_ROUND_UP
} qn_rounding;

// A binary format with an implicit leading one, subnormals, infinities and NaN: IEEE's and bf16. `unused` low
// bits are zero: TF32 is an f32 without the last 13.
typedef struct qn_float_format {
  uint32_t bits, mantissa, unused;
  int bias;
  uint64_t nan; // what every NaN becomes
} qn_float_format;

extern const qn_float_format qn_format_f16, qn_format_bf16, qn_format_tf32, qn_format_f32, qn_format_f64;

qn_number qn_number_from_float(const qn_float_format *format, uint64_t bits);
qn_number qn_number_from_int(uint64_t bits, uint32_t width, bool is_signed);

// Rounds once. What overflows becomes infinity or the largest finite value, as the rounding says; with
// `satfinite` it is the largest finite value, also for an infinity.
uint64_t qn_number_to_float(const qn_float_format *format, qn_number number, qn_rounding rounding,
                            bool satfinite);
// Rounds to an integer, which is a number again.
qn_number qn_number_round(qn_number number, qn_rounding rounding);
// Clamps to the range of the type, rounding what is no integer. NaN becomes `nan`. Negative results are
// sign-extended to 64 bits.
uint64_t qn_number_to_int(qn_number number, uint32_t width, bool is_signed, qn_rounding rounding, uint64_t nan);

#endif
