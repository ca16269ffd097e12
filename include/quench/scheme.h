// Quantization schemes: everything that decides the bytes of codes and scales, as plain data.
//
// Producers differ in every field below. A scheme states them all, so that a fused kernel and the graph
// that it replaces agree bit for bit.
#ifndef QUENCH_SCHEME_H
#define QUENCH_SCHEME_H

#include <quench/type.h>

#ifdef __cplusplus
extern "C" {
#endif

// clang-format off
// One row a family: a named starting point. A scheme is a family plus the fields in which it deviates; its
// text is the same: `fp8_static` or `fp8_static{target=e5m2, arithmetic=reciprocal}`.
//   name           target granularity dynamic scale  zero_point  doc
#define QN_SCHEME_MAP(X)                                                                                     \
  X(none,           ANY,   TENSOR,    false,   ANY,   false, "not quantized")                                \
  X(fp8_static,     E4M3,  TENSOR,    false,   F32,   false, "FP8 with one scale for the tensor, known before the run") \
  X(fp8_channel,    E4M3,  CHANNEL,   false,   F32,   false, "FP8 with one scale for each index of one axis") \
  X(fp8_block,      E4M3,  GROUP,     false,   F32,   false, "FP8 with one scale for each group of consecutive elements of one axis") \
  X(int8_static,    S8,    TENSOR,    false,   F32,   true,  "8-bit integer with one scale and zero point for the tensor") \
  X(int8_channel,   S8,    CHANNEL,   false,   F32,   true,  "8-bit integer with one scale and zero point for each index of one axis") \
  X(int8_block,     S8,    GROUP,     false,   F32,   true,  "8-bit integer with one scale and zero point for each group of one axis") \
  X(int8_dynamic,   U8,    TENSOR,    true,    F32,   true,  "8-bit integer; scale and zero point computed from the tensor") \
  X(int4_static,    S4,    TENSOR,    false,   F32,   true,  "4-bit integer with one scale for the tensor") \
  X(int4_block,     S4,    GROUP,     false,   F32,   true,  "4-bit integer with one scale for each group of one axis") \
  X(int16_static,   S16,   TENSOR,    false,   F32,   true,  "16-bit integer with one scale and zero point for the tensor") \
  X(fp4_block,      E2M1,  GROUP,     false,   F32,   false, "FP4 with one scale for each group of one axis")
// clang-format on

typedef enum qn_scheme_family {
#define X(name, target, granularity, dynamic, scale, zero_point, doc) QN_SCHEME_##name,
  QN_SCHEME_MAP(X)
#undef X
      QN_SCHEME_FAMILY_COUNT
} qn_scheme_family;

typedef enum qn_granularity { QN_PER_TENSOR, QN_PER_CHANNEL, QN_PER_TOKEN, QN_PER_GROUP } qn_granularity;
// x / s; or x * (1 / s) with the reciprocal rounded to f32 first; or x * s where the stored scale multiplies.
typedef enum qn_arithmetic { QN_DIVIDE, QN_RECIPROCAL, QN_MULTIPLY } qn_arithmetic;

typedef struct qn_scheme {
  uint8_t family;      // qn_scheme_family
  uint8_t target;      // qn_dtype of the codes
  uint8_t granularity; // qn_granularity
  uint8_t dynamic;     // the scale is computed from the values and is a result, not an operand
  uint8_t scale_dtype; // qn_dtype of the scale tensor
  uint8_t zero_point;  // integer codes are offset by a zero point operand
  uint8_t arithmetic;  // qn_arithmetic
  uint8_t compute;     // qn_dtype in which the quotient is rounded before it becomes a code: F32, F16, BF16
  uint8_t round_input; // qn_dtype the value is rounded to first; ANY: none
  uint8_t saturate;    // codes saturate at the largest finite value; else overflow becomes inf or NaN
  uint16_t group;      // elements that share a scale, for QN_PER_GROUP; else 0
  int32_t axis;        // of channels or groups; for a tensor-wide scheme 0
} qn_scheme;

// The row's defaults: arithmetic divide, compute f32, no input rounding, saturating, group 0; axis -1 where
// channels or groups have one, else 0.
QN_API qn_scheme qn_scheme_of(qn_scheme_family family);
QN_API const char *qn_scheme_family_name(qn_scheme_family family);
QN_API const char *qn_scheme_family_doc(qn_scheme_family family);
QN_API bool qn_scheme_equal(const qn_scheme *a, const qn_scheme *b);

// Writes the text of a scheme, at most 256 bytes with the terminating zero (every field deviating takes 200).
enum { QN_SCHEME_TEXT_MAX = 256 };
QN_API void qn_scheme_format(const qn_scheme *scheme, char out_text[QN_SCHEME_TEXT_MAX]);
// Reads what qn_scheme_format writes; fields may stand in any order, each once, with spaces between the words.
// False if it is not a scheme; `out_scheme` is then untouched.
QN_API bool qn_scheme_parse(const char *text, qn_scheme *out_scheme);

#ifdef __cplusplus
}
#endif
#endif
