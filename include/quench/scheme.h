// Quantization schemes: everything that decides the bytes of codes and scales, as plain data.
//
// Producers differ in every field below. A scheme states them all, so that a fused kernel and the graph that it
// replaces agree bit for bit. quant/recipe_priv.h is the arithmetic; docs/schemes.md says which producer does
// what.
#ifndef QUENCH_SCHEME_H
#define QUENCH_SCHEME_H

#include <quench/type.h>

#ifdef __cplusplus
extern "C" {
#endif

// --- words -----------------------------------------------------------------------------------------------

// clang-format off
// The choices of the fields. Lower case is what the text says; R is the value that a group's largest magnitude
// ("amax") is mapped to, s the scale as it is stored, g the global scale, x the value, q the quotient.

// How many values share a scale.
#define QN_GRANULARITY_MAP(X)                                                                            \
  X(TENSOR,  "tensor",  "all")                                                                           \
  X(CHANNEL, "channel", "those of one index of `axis`")                                                  \
  X(TOKEN,   "token",   "those of one index of all axes but the last")                                   \
  X(GROUP,   "group",   "`group` consecutive ones along `axis`; the last group may be shorter")

// The quotient. An e4m3 or e8m0 scale is read back first: what is divided by is what is stored. 1 / s is rounded to
// the type of s where that is f16 or bf16; all else is f32.
//            global scale:           none             multiplier g            divisor g
#define QN_ARITHMETIC_MAP(X)                                                                             \
  X(DIVIDE,     "divide",     "x / s          x / (s / g)           x / (s * g)")                          \
  X(RECIPROCAL, "reciprocal", "x * (1 / s)    x * (1 / (s * (1 / g)))   x * ((1 / g) / s)")                \
  X(MULTIPLY,   "multiply",   "x * s: the stored scale is a multiplier")                                   \
  X(RANGE,      "range",      "x * (R / amax), 0 where amax is 0: the stored scale is not used")

// How amax becomes s.
#define QN_SCALE_RULE_MAP(X)                                                                               \
  X(DIVIDE,     "divide",     "amax / R; with g: g * (amax / R), or (amax / R) / g where g divides")        \
  X(RECIPROCAL, "reciprocal", "amax * (1 / R); with g: g * (amax * (1 / R)), or (amax * (1 / R)) / g")       \
  X(PRODUCT,    "product",    "amax / (R * g), where g divides")                                            \
  X(MULTIPLIER, "multiplier", "R / amax")                                                                   \
  X(FLOOR,      "floor",      "a power of two: floor(log2 amax) - floor(log2 R) (OCP)")                      \
  X(UP,         "up",         "a power of two: the smallest that is not below amax / R")                    \
  X(UP_1_75,    "up_1_75",    "as floor, one more where amax is at least 1.75 times its power of two")       \
  X(EVEN,       "even",       "as floor, one more where amax would round up to the next power of two as a code") \
  X(CEIL,       "ceil",       "as floor, one more unless amax is a power of two")

// R, or the range of an asymmetric scheme, whose scale is (max - min) / (largest code - least code).
#define QN_SCALE_RANGE_MAP(X)                                                                             \
  X(FULL,      "full",      "R is the largest code; asymmetric: from min to max")                         \
  X(HALF,      "half",      "R is half the distance of least and largest code: 127.5")                     \
  X(WITH_ZERO, "with_zero", "asymmetric: from min(min, 0) to max(max, 0)")

// The smallest amax or scale, as a value of `scale_compute`. A power of two that a rule makes is floored to the power of
// two not below it.
#define QN_SCALE_FLOOR_MAP(X)                                                                             \
  X(NONE,        "none",        false, 0,            "")                                                   \
  X(AMAX_1E_5,   "amax_1e-5",   true,  1e-5,         "amax is at least 1e-5")                              \
  X(AMAX_1E_10,  "amax_1e-10",  true,  1e-10,        "amax is at least 1e-10")                             \
  X(AMAX_1E_12,  "amax_1e-12",  true,  1e-12,        "amax is at least 1e-12")                             \
  X(SCALE_1E_10, "scale_1e-10", false, 1e-10,        "s is at least 1e-10")                                \
  X(CODES_512,   "codes_512",   false, 1. / (448 * 512), "s is at least 1 / (448 * 512)")                   \
  X(SCALE_2_12,  "scale_2p-12", false, 0x1p-12,      "s is at least 2^-12")                                \
  X(EPS_F32,     "eps_f32",     false, 0x1p-23,      "s is at least 2^-23")                                \
  X(SUBNORMAL,   "subnormal",   false, 0x1p-9,       "s is at least 2^-9, the smallest e4m3")              \
  X(NORMAL,      "normal",      false, 0x1p-6,       "s is at least 2^-6, the smallest normal e4m3")

// What happens where amax is 0, or, asymmetric, where min is max; what is said of s holds wherever s comes out as 0.
#define QN_SCALE_ZERO_MAP(X)                                                                              \
  X(COMPUTED, "computed", "what the formulas give: s 0 makes every quotient NaN")                          \
  X(ONE,      "one",      "s is 1, in front of the floor")                                                                       \
  X(EPS,      "eps",      "a stored s of 0 becomes, after the zero point is found, the epsilon of its type: f32 2^-23, f16 2^-10, bf16 2^-7, e4m3 2^-3")       \
  X(CODES,    "codes",    "s as computed, every quotient is x * 0")

// A second scale, one for the tensor, given as the operand `scale` of a dynamic scheme.
#define QN_GLOBAL_SCALE_MAP(X)                                                                            \
  X(NONE,       "none",       "")                                                                         \
  X(MULTIPLIER, "multiplier", "values are multiplied by it: R * largest scale / amax of the tensor")       \
  X(DIVISOR,    "divisor",    "values are divided by it: the inverse")

// How the buffer of the scales lies in memory: its shape as a dense tensor. T tokens, G groups of a token.
#define QN_SCALE_LAYOUT_MAP(X)                                                                            \
  X(ROW,           "row",           "[.., G]: the shape of x, its last axis in groups")                    \
  X(COLUMN,        "column",        "[G, T]")                                                             \
  X(TMA_ALIGNED,   "tma_aligned",   "[G, round_up(T, 4)]; what is added is 0")                             \
  X(PACKED,        "packed",        "[ceil(G / 4), round_up(T, 4), 4] bytes of e8m0, group fastest; what is added is 0") \
  X(SWIZZLED,      "swizzled",      "[round_up(T, 128), round_up(G, 4)] in tiles of 128x4: token t, group g at ((t / 128) * ceil(G / 4) + g / 4) * 512 + t % 32 * 16 + t / 32 % 4 * 4 + g % 4; what is added is 0")

// Codes of integers: code = quotient + zero point, rounded and clamped.
#define QN_ZERO_POINT_MAP(X)                                                                              \
  X(NONE,   "none",   "")                                                                                 \
  X(AFTER,  "after",  "added to the rounded quotient")                                                    \
  X(BEFORE, "before", "added to the quotient, which is then rounded")

// The zero point of a dynamic scheme; qmin is the least code. With range with_zero it is a code; with range full it
// may be far from one and has a type of its own.
#define QN_ZERO_POINT_RULE_MAP(X)                                                                         \
  X(OUTER, "outer", "round(qmin - min / s)")                                                              \
  X(INNER, "inner", "qmin - round(min / s)")

// The code of NaN where the target has one.
#define QN_NAN_MAP(X)                                                                                     \
  X(KEPT,    "kept",    "NaN")                                                                            \
  X(LARGEST, "largest", "the largest finite code: fmin(x, max) drops a NaN")

// The sign of a code of a float type that is 0.
#define QN_ZERO_SIGN_MAP(X)                                                                               \
  X(KEPT,    "kept",    "that of the value")                                                              \
  X(EXACT,   "exact",   "that of the value, but +0 where the value is -0")                                \
  X(DROPPED, "dropped", "+0 (e2m1 only)")                                                                   \
  X(SET,     "set",     "that of the value, but -0 where the value is 0 (e2m1 only)")

#define QN_TIES_MAP(X)                                                                                    \
  X(EVEN, "even",        "to the even code")                                                              \
  X(ZERO, "towards_zero", "to the smaller magnitude (e2m1 only)")
// clang-format on

#define X(name, ...) QN_PER_##name,
typedef enum qn_granularity { QN_GRANULARITY_MAP(X) } qn_granularity;
#undef X
#define X(name, ...) QN_##name,
typedef enum qn_arithmetic { QN_ARITHMETIC_MAP(X) QN_ARITHMETIC_COUNT } qn_arithmetic;
#undef X
#define X(name, ...) QN_RULE_##name,
typedef enum qn_scale_rule { QN_SCALE_RULE_MAP(X) QN_SCALE_RULE_COUNT } qn_scale_rule;
#undef X
#define X(name, ...) QN_RANGE_##name,
typedef enum qn_scale_range { QN_SCALE_RANGE_MAP(X) QN_SCALE_RANGE_COUNT } qn_scale_range;
#undef X
#define X(name, ...) QN_FLOOR_##name,
typedef enum qn_scale_floor { QN_SCALE_FLOOR_MAP(X) QN_SCALE_FLOOR_COUNT } qn_scale_floor;
#undef X
#define X(name, ...) QN_ZERO_##name,
typedef enum qn_scale_zero { QN_SCALE_ZERO_MAP(X) QN_SCALE_ZERO_COUNT } qn_scale_zero;
#undef X
#define X(name, ...) QN_GLOBAL_##name,
typedef enum qn_global_scale { QN_GLOBAL_SCALE_MAP(X) QN_GLOBAL_SCALE_COUNT } qn_global_scale;
#undef X
#define X(name, ...) QN_SCALES_##name,
typedef enum qn_scale_layout { QN_SCALE_LAYOUT_MAP(X) QN_SCALE_LAYOUT_COUNT } qn_scale_layout;
#undef X
#define X(name, ...) QN_ZERO_POINT_##name,
typedef enum qn_zero_point { QN_ZERO_POINT_MAP(X) QN_ZERO_POINT_COUNT } qn_zero_point;
#undef X
#define X(name, ...) QN_ZERO_POINT_RULE_##name,
typedef enum qn_zero_point_rule { QN_ZERO_POINT_RULE_MAP(X) QN_ZERO_POINT_RULE_COUNT } qn_zero_point_rule;
#undef X
#define X(name, ...) QN_NAN_##name,
typedef enum qn_nan { QN_NAN_MAP(X) QN_NAN_COUNT } qn_nan;
#undef X
#define X(name, ...) QN_ZERO_SIGN_##name,
typedef enum qn_zero_sign { QN_ZERO_SIGN_MAP(X) QN_ZERO_SIGN_COUNT } qn_zero_sign;
#undef X
#define X(name, ...) QN_TIES_##name,
typedef enum qn_ties { QN_TIES_MAP(X) QN_TIES_COUNT } qn_ties;
#undef X

// --- schemes ---------------------------------------------------------------------------------------------

typedef struct qn_scheme {
  uint8_t family;           // qn_scheme_family
  uint8_t target;           // qn_dtype of the codes
  uint8_t granularity;      // qn_granularity
  uint8_t dynamic;          // the scale is computed from the values and is a result, not an operand
  uint8_t scale_dtype;      // qn_dtype of the scale tensor; ANY: there is none
  uint8_t scale_layout;     // qn_scale_layout, of a dynamic scheme
  uint8_t rule;             // qn_scale_rule, like all down to `global` of a dynamic scheme
  uint8_t range;            // qn_scale_range
  uint8_t floor;            // qn_scale_floor
  uint8_t zero;             // qn_scale_zero
  uint8_t scale_compute;    // qn_dtype that amax / R, or each step of an asymmetric scale, is rounded to: F32, F16, BF16
  uint8_t global;           // qn_global_scale
  uint8_t zero_point;       // qn_zero_point: an operand, or a result of a dynamic scheme
  uint8_t zero_point_rule;  // qn_zero_point_rule
  uint8_t zero_point_dtype; // qn_dtype of the zero points; ANY: that of the codes
  uint8_t arithmetic;       // qn_arithmetic
  uint8_t compute;     // qn_dtype in which the quotient is rounded before it becomes a code: F32, F16, BF16
  uint8_t round_input; // qn_dtype that the value, times the operand pre_scale, is rounded to first; ANY: none
  uint8_t saturate;    // codes saturate at the largest finite value; else overflow becomes inf or NaN
  uint8_t nan;         // qn_nan
  uint8_t zero_sign;   // qn_zero_sign
  uint8_t ties;        // qn_ties
  uint8_t narrow;      // the least code of a signed integer is -127 (-7), not -128 (-8)
  uint16_t group;      // elements that share a scale, for QN_PER_GROUP; else 0
  uint16_t pad;        // the last axis of the codes is filled up with codes of 0 to a multiple of this; 0: not
  int32_t axis;        // of channels or groups; for a tensor-wide scheme 0
} qn_scheme;

// clang-format off
// One row a family: a named starting point. A scheme is a family plus the fields in which it deviates; its text
// is the same: `fp8_static` or `fp8_static{target=e5m2, arithmetic=reciprocal}`. What a row does not say: codes
// e4m3, scale f32, rule divide, compute and scale_compute f32, saturating, axis -1 of channels and groups, and 0,
// the first word or none for all else.
#define QN_SCHEME_MAP(X)                                                                                                           \
  X(none,         "not quantized", .target = QN_ANY, .scale_dtype = QN_ANY)                                                         \
  X(fp8_cast,     "FP8 without a scale: a cast", .scale_dtype = QN_ANY)                                                             \
  X(fp8_static,   "FP8 with one scale for the tensor, known before the run", .granularity = QN_PER_TENSOR)                          \
  X(fp8_channel,  "FP8 with one scale for each index of one axis", .granularity = QN_PER_CHANNEL)                                   \
  X(fp8_block,    "FP8 with one scale for each group of consecutive elements of one axis, known before the run", .granularity = QN_PER_GROUP) \
  X(fp8_dynamic,  "FP8; one scale computed from the whole tensor", .granularity = QN_PER_TENSOR, .dynamic = true, .arithmetic = QN_RECIPROCAL) \
  X(fp8_token,    "FP8; a scale for each token, computed over all heads", .granularity = QN_PER_TOKEN, .dynamic = true, .floor = QN_FLOOR_CODES_512) \
  X(fp8_group,    "FP8; a scale for each group, computed", .granularity = QN_PER_GROUP, .dynamic = true, .group = 128, .floor = QN_FLOOR_AMAX_1E_10) \
  X(mxfp8,        "FP8; a power of two for each group of 32, computed", .granularity = QN_PER_GROUP, .dynamic = true, .group = 32, .scale_dtype = QN_E8M0, .rule = QN_RULE_FLOOR, .arithmetic = QN_RECIPROCAL) \
  X(int8_static,  "8-bit integer with one scale and zero point for the tensor", .target = QN_S8, .granularity = QN_PER_TENSOR, .zero_point = QN_ZERO_POINT_AFTER) \
  X(int8_channel, "8-bit integer with one scale and zero point for each index of one axis", .target = QN_S8, .granularity = QN_PER_CHANNEL, .zero_point = QN_ZERO_POINT_AFTER) \
  X(int8_block,   "8-bit integer with one scale and zero point for each group of one axis", .target = QN_S8, .granularity = QN_PER_GROUP, .zero_point = QN_ZERO_POINT_AFTER) \
  X(int8_dynamic, "8-bit integer; scale and zero point computed from the tensor", .target = QN_U8, .granularity = QN_PER_TENSOR, .dynamic = true, .range = QN_RANGE_WITH_ZERO, .zero = QN_ZERO_ONE, .zero_point = QN_ZERO_POINT_AFTER) \
  X(int8_token,   "8-bit integer; a scale for each token, computed over all heads", .target = QN_S8, .granularity = QN_PER_TOKEN, .dynamic = true, .arithmetic = QN_RANGE) \
  X(int8_token_zp, "8-bit integer; scale and zero point for each token, computed over all heads", .target = QN_S8, .granularity = QN_PER_TOKEN, .dynamic = true, .arithmetic = QN_RECIPROCAL, .zero_point = QN_ZERO_POINT_AFTER, .zero_point_dtype = QN_S32) \
  X(int4_static,  "4-bit integer with one scale for the tensor", .target = QN_S4, .granularity = QN_PER_TENSOR, .zero_point = QN_ZERO_POINT_AFTER) \
  X(int4_block,   "4-bit integer with one scale for each group of one axis", .target = QN_S4, .granularity = QN_PER_GROUP, .zero_point = QN_ZERO_POINT_AFTER) \
  X(int16_static, "16-bit integer with one scale and zero point for the tensor", .target = QN_S16, .granularity = QN_PER_TENSOR, .zero_point = QN_ZERO_POINT_AFTER) \
  X(fp4_block,    "FP4 with one scale for each group of one axis, known before the run", .target = QN_E2M1, .granularity = QN_PER_GROUP) \
  X(nvfp4,        "FP4; an e4m3 scale for each group of 16, computed, under a global scale", .target = QN_E2M1, .granularity = QN_PER_GROUP, .dynamic = true, .group = 16, .scale_dtype = QN_E4M3, .scale_layout = QN_SCALES_SWIZZLED, .global = QN_GLOBAL_MULTIPLIER, .rule = QN_RULE_RECIPROCAL, .arithmetic = QN_RECIPROCAL, .zero = QN_ZERO_CODES) \
  X(mxfp4,        "FP4; a power of two for each group of 32, computed", .target = QN_E2M1, .granularity = QN_PER_GROUP, .dynamic = true, .group = 32, .scale_dtype = QN_E8M0, .rule = QN_RULE_FLOOR, .arithmetic = QN_RECIPROCAL)
// clang-format on

typedef enum qn_scheme_family {
#define X(name, ...) QN_SCHEME_##name,
  QN_SCHEME_MAP(X)
#undef X
      QN_SCHEME_FAMILY_COUNT
} qn_scheme_family;

// The row.
QN_API qn_scheme qn_scheme_of(qn_scheme_family family);
QN_API const char *qn_scheme_family_name(qn_scheme_family family);
QN_API const char *qn_scheme_family_doc(qn_scheme_family family);
QN_API bool qn_scheme_equal(const qn_scheme *a, const qn_scheme *b);
// Whether the scheme has a scale: an operand, or a result where it is dynamic.
QN_API bool qn_scheme_has_scale(const qn_scheme *scheme);
// The element type of the scale that quantizing reads: that of a static scheme, or f32, the global scale of a
// dynamic one. ANY: it reads none.
QN_API qn_dtype qn_scheme_get_read_scale(const qn_scheme *scheme);
// The element type of the zero points, which a static scheme reads and a dynamic one returns. ANY: there are
// none.
QN_API qn_dtype qn_scheme_get_zero_point(const qn_scheme *scheme);

// Writes the text of a scheme, at most 512 bytes with the terminating zero (every field deviating takes 480).
enum { QN_SCHEME_TEXT_MAX = 512 };
QN_API void qn_scheme_format(const qn_scheme *scheme, char out_text[QN_SCHEME_TEXT_MAX]);
// Reads what qn_scheme_format writes; fields may stand in any order, each once, with spaces between the words.
// False if it is not a scheme; `out_scheme` is then untouched.
QN_API bool qn_scheme_parse(const char *text, qn_scheme *out_scheme);

#ifdef __cplusplus
}
#endif
#endif
