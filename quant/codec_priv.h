// The scalar codecs: between binary32 or binary64 and every float type of at most 16 bits. The one source of
// them.
//
// The reference executor includes this file, and the kernels for chips without a conversion instruction carry
// the same text, so both give the same bytes. It is therefore written in what C17 and CUDA C++ have in common:
// integer operations on `unsigned` (32 bits) and `unsigned long long`, no include, no libc, and of floating
// point one sum. Device code defines QN_CODEC_FN (as `static __device__ __forceinline__`) and qn_codec_add in
// front of the text.
//
// For each type T of QN_CODEC_MAP (f16 bf16 e4m3 e5m2 e4m3fnuz e5m2fnuz e2m1):
//
//   unsigned qn_T_from_f32(unsigned bits, int saturate)            bits of an f32 -> code
//   unsigned qn_T_from_f64(unsigned long long bits, int saturate)  bits of an f64 -> code, rounded once
//   unsigned qn_T_to_f32(unsigned code)                            code -> bits of an f32, exact
//
// and for the exponent-only type: qn_e8m0_from_f32 and _from_f64 (bits, saturate, up), qn_e8m0_to_f32(code).
//
// Rounding is to nearest, ties to even. What overflows becomes the largest finite value if `saturate`, infinity
// included, else the type's infinity, or its NaN where it has none. The sign of zero is kept, except by the
// FNUZ types, which have one zero. NaN becomes the one code of the table whatever its sign and payload, as the
// conversion instructions do; e2m1 has no NaN and takes the largest value. This is ONNX's Cast table and what
// the host functions of CUDA's cuda_fp8.h and cuda_fp4.h compute from binary32.
#ifndef QUENCH_QUANT_CODEC_PRIV_H
#define QUENCH_QUANT_CODEC_PRIV_H

#ifndef QN_CODEC_FN
#define QN_CODEC_FN static inline
// The bits of a + b in binary32, rounded to nearest, ties to even.
QN_CODEC_FN unsigned qn_codec_add(unsigned a, unsigned b) {
  union {
    unsigned bits;
    float value;
  } x = { a }, y = { b };
  x.value += y.value;
  return x.bits;
}
#endif

// clang-format off
//    type       sign bit  mantissa  bias  largest  overflow  NaN
#define QN_CODEC_MAP(X)                                            \
  X(f16,         15,       10,       15,   0x7BFFu, 0x7C00u, 0x7FFFu) \
  X(bf16,        15,       7,        127,  0x7F7Fu, 0x7F80u, 0x7FFFu) \
  X(e4m3,        7,        3,        7,    0x7Eu,   0x7Fu,   0x7Fu)   \
  X(e5m2,        7,        2,        15,   0x7Bu,   0x7Cu,   0x7Fu)   \
  X(e4m3fnuz,    7,        3,        8,    0x7Fu,   0x80u,   0x80u)   \
  X(e5m2fnuz,    7,        2,        16,   0x7Fu,   0x80u,   0x80u)   \
  X(e2m1,        3,        1,        1,    0x7u,    0x7u,    0x7u)
// clang-format on

// Rounds significand * 2^(exponent - 30), significand < 2^31, to a magnitude code that may exceed the type's
// largest. The significand need not be normalised where the result is subnormal.
QN_CODEC_FN unsigned qn_codec_round(unsigned significand, int exponent, int mantissa, int bias) {
  int below = 1 - bias - exponent; // binades under the smallest normal number
  int shift = 30 - mantissa + (below > 0 ? below : 0);
  unsigned kept, rest, half;
  if (shift > 31) return 0; // less than half of the smallest subnormal
  kept = significand >> shift;
  rest = significand & ((1u << shift) - 1);
  half = 1u << (shift - 1);
  if (rest > half || (rest == half && (kept & 1))) kept++;
  // `kept` holds the leading one of a normal number, which counts as one step of the exponent field; a carry
  // out of the mantissa moves into the exponent by itself.
  return below > 0 ? kept : ((unsigned)(exponent + bias - 1) << mantissa) + kept;
}

// Puts sign and magnitude together, with the rules for zero.
QN_CODEC_FN unsigned qn_codec_finish(unsigned negative, unsigned magnitude, int sign_bit, unsigned nan) {
  unsigned sign = 1u << sign_bit;
  if (nan == sign && (magnitude == 0 || magnitude == nan)) return magnitude; // FNUZ: one zero, one NaN
  return negative << sign_bit | magnitude;
}

// Rounds the bits of a magnitude of f32 to a magnitude code. A sum does it: beside a power of two that is 23 -
// mantissa binades higher, a value is rounded to a multiple of its code's last bit, and how many of them there
// are stands in the low bits. The binade is the value's own or, for subnormal codes, that of the smallest
// normal one.
QN_CODEC_FN unsigned qn_codec_round_f32(unsigned magnitude, int mantissa, int bias) {
  unsigned binade = magnitude & 0x7F800000u, smallest = (unsigned)(128 - bias) << 23,
           up = (unsigned)(23 - mantissa);
  if (binade < smallest) binade = smallest;
  return qn_codec_add(magnitude, binade + (up << 23)) - binade + (binade >> up) -
         ((up << 23) + (smallest >> up));
}

QN_CODEC_FN unsigned qn_codec_from_f32(unsigned bits, int saturate, int sign_bit, int mantissa, int bias,
                                       unsigned largest, unsigned overflow, unsigned nan) {
  unsigned magnitude = bits & 0x7FFFFFFFu, code;
  // The value of the largest code, and the power of two above it, which overflows.
  unsigned most = (largest << (23 - mantissa)) + ((unsigned)(127 - bias) << 23);
  unsigned above = (most & 0x7F800000u) + 0x800000u, limit = saturate ? most : above;
  if (bias == 127) { // bf16: every binade of binary32, the highest ones included
    code = (magnitude + 0x7FFFu + (magnitude >> 16 & 1)) >> 16;
    if (saturate && code > largest) code = largest;
  } else {
    code = qn_codec_round_f32(magnitude < limit ? magnitude : limit, mantissa, bias);
    if (!saturate && code > largest) code = overflow;
  }
  code = qn_codec_finish(bits >> 31, code, sign_bit, nan);
  return magnitude > 0x7F800000u ? nan : code; // at the end: chosen, without a branch
}

QN_CODEC_FN unsigned qn_codec_from_f64(unsigned long long bits, int saturate, int sign_bit, int mantissa,
                                       int bias, unsigned largest, unsigned overflow, unsigned nan) {
  unsigned long long magnitude = bits & 0x7FFFFFFFFFFFFFFFull;
  unsigned long long fraction = magnitude & 0xFFFFFFFFFFFFFull;
  int field = (int)(magnitude >> 52);
  // 30 bits of the fraction; the lowest one also says whether anything was cut off, which is all that rounding
  // to 10 bits or fewer can tell of the rest.
  unsigned significand = (unsigned)(fraction >> 22) | ((fraction & 0x3FFFFFull) != 0 ? 1u : 0u), code;
  if (magnitude > 0x7FF0000000000000ull) return nan;
  if (field > 0) significand |= 1u << 30; // an f64 subnormal is zero in all of these types
  code = qn_codec_round(significand, field - 1023, mantissa, bias);
  if (code > largest) code = saturate ? largest : overflow;
  return qn_codec_finish((unsigned)(bits >> 63), code, sign_bit, nan);
}

// Not for bf16, whose subnormals are subnormal in binary32 too.
QN_CODEC_FN unsigned qn_codec_to_f32(unsigned code, int sign_bit, int mantissa, int bias, unsigned largest,
                                     unsigned overflow, unsigned nan) {
  unsigned magnitude = code & ((1u << sign_bit) - 1);
  unsigned sign = ((code >> sign_bit) & 1) << 31;
  unsigned significand = magnitude & ((1u << mantissa) - 1);
  int exponent = (int)(magnitude >> mantissa) - bias;
  if (nan == 1u << sign_bit && code == nan) return 0x7FFFFFFFu;
  if (magnitude > largest) return magnitude == overflow && overflow != nan ? sign | 0x7F800000u : 0x7FFFFFFFu;
  if (magnitude == 0) return sign;
  if (exponent == -bias) { // subnormal: normalise
    exponent++;
    while ((significand >> mantissa) == 0) {
      significand <<= 1;
      exponent--;
    }
    significand &= (1u << mantissa) - 1;
  }
  return sign | (unsigned)(exponent + 127) << 23 | significand << (23 - mantissa);
}

#define X(type, sign_bit, mantissa, bias, largest, overflow, nan)                                              \
  QN_CODEC_FN unsigned qn_##type##_from_f32(unsigned bits, int saturate) {                                     \
    return qn_codec_from_f32(bits, saturate, sign_bit, mantissa, bias, largest, overflow, nan);                \
  }                                                                                                            \
  QN_CODEC_FN unsigned qn_##type##_from_f64(unsigned long long bits, int saturate) {                           \
    return qn_codec_from_f64(bits, saturate, sign_bit, mantissa, bias, largest, overflow, nan);                \
  }                                                                                                            \
  QN_CODEC_FN unsigned qn_##type##_to_f32(unsigned code) {                                                     \
    if (bias == 127) return code << 16;                                                                        \
    return qn_codec_to_f32(code, sign_bit, mantissa, bias, largest, overflow, nan);                            \
  }
QN_CODEC_MAP(X)
#undef X

// Four codes at once cost a third less than four times one: as qn_codec_round_f32, but without the terms that
// are multiples of 2^bits, with one correction for all four, and with signs apart. NaN must be positive, which
// what a device computes is.

// The low bits of a magnitude code, from which its constant term is missing. `most`: the largest value.
QN_CODEC_FN unsigned qn_codec_low_bits(unsigned bits, int mantissa, int bias, unsigned most) {
  unsigned magnitude = bits & 0x7FFFFFFFu, binade, smallest = (unsigned)(128 - bias) << 23;
  if (magnitude > most) magnitude = most;
  binade = magnitude & 0x7F800000u;
  if (binade < smallest) binade = smallest;
  return qn_codec_add(magnitude, binade + ((unsigned)(23 - mantissa) << 23)) + (binade >> (23 - mantissa));
}

// Of qn_e2m1_from_f32, the first in the lowest bits. The missing term is 2 modulo 8.
QN_CODEC_FN unsigned qn_e2m1x4_from_f32(unsigned a, unsigned b, unsigned c, unsigned d) {
  const unsigned six = 0x40C00000u;
  unsigned codes = (qn_codec_low_bits(a, 1, 1, six) & 7u) | (qn_codec_low_bits(b, 1, 1, six) & 7u) << 4 |
                   (qn_codec_low_bits(c, 1, 1, six) & 7u) << 8 | (qn_codec_low_bits(d, 1, 1, six) & 7u) << 12;
  unsigned signs = (a >> 28 & 8u) | (b >> 24 & 0x80u) | (c >> 20 & 0x800u) | (d >> 16 & 0x8000u);
  return ((codes + 0x2222u) & 0x7777u) | signs;
}

// Of a saturating qn_e4m3_from_f32, the first in the lowest byte. The missing term is 56 modulo 128, and 71 is
// NaN.
QN_CODEC_FN unsigned qn_codec_e4m3_bits(unsigned bits) {
  unsigned low = qn_codec_low_bits(bits, 3, 7, 0x43E00000u) & 0x7Fu; // 448
  return (bits & 0x7FFFFFFFu) > 0x7F800000u ? 71u : low;
}
QN_CODEC_FN unsigned qn_e4m3x4_from_f32(unsigned a, unsigned b, unsigned c, unsigned d) {
  unsigned codes = qn_codec_e4m3_bits(a) | qn_codec_e4m3_bits(b) << 8 | qn_codec_e4m3_bits(c) << 16 |
                   qn_codec_e4m3_bits(d) << 24;
  unsigned signs = (a >> 24 & 0x80u) | (b >> 16 & 0x8000u) | (c >> 8 & 0x800000u) | (d & 0x80000000u);
  return ((codes + 0x38383838u) & 0x7F7F7F7Fu) | signs;
}

// The power of two at or above |x| (`up`), or at or below it. As in CUDA: the sign is dropped, what is at or
// below 2^-127, zero included, gives code 0; NaN, and what is too large unless `saturate`, gives 255.
QN_CODEC_FN unsigned qn_codec_exponent(int exponent, unsigned inexact, int saturate, int up) {
  int code = exponent + 127 + (up && inexact ? 1 : 0);
  if (code < 0) return 0;
  return code < 255 ? (unsigned)code : saturate ? 0xFEu : 0xFFu;
}

QN_CODEC_FN unsigned qn_e8m0_from_f64(unsigned long long bits, int saturate, int up) {
  unsigned long long magnitude = bits & 0x7FFFFFFFFFFFFFFFull;
  if (magnitude > 0x7FF0000000000000ull) return 0xFFu;
  return qn_codec_exponent((int)(magnitude >> 52) - 1023, (magnitude & 0xFFFFFFFFFFFFFull) != 0, saturate, up);
}

QN_CODEC_FN unsigned qn_e8m0_from_f32(unsigned bits, int saturate, int up) {
  unsigned magnitude = bits & 0x7FFFFFFFu;
  unsigned fraction = magnitude & 0x7FFFFFu;
  if (magnitude > 0x7F800000u) return 0xFFu;
  if (magnitude < 0x00800000u) return up && fraction > 0x00400000u; // subnormal: 0x00400000 is 2^-127
  return qn_codec_exponent((int)(magnitude >> 23) - 127, fraction != 0, saturate, up);
}

QN_CODEC_FN unsigned qn_e8m0_to_f32(unsigned code) {
  return code == 0xFFu ? 0x7FFFFFFFu : code == 0 ? 0x00400000u : code << 23;
}

#endif
