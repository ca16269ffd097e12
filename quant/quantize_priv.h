// Quantizing and dequantizing planes of values under a scheme. The bytes that every kernel is held to.
#ifndef QUENCH_QUANT_QUANTIZE_PRIV_H
#define QUENCH_QUANT_QUANTIZE_PRIV_H

#include <quench/scheme.h>

// The tensor and its parameters. Planes hold the exact values of the declared types (elements_priv.h).
typedef struct qn_quantize_args {
  const qn_scheme *scheme;
  int32_t rank;
  const int64_t *dims;
  const double *scale;
  uint64_t scale_count;     // must be what the granularity asks for
  const double *zero_point; // NULL: none; else zero_point_count is 1 or scale_count
  uint64_t zero_point_count;
  // Arithmetic in f64, without the roundings of the quotient (`compute`) and of the input (`round_input`): only
  // the code itself is rounded. Else arithmetic in f32.
  bool wide;
} qn_quantize_args;

// Codes of `x` as unpacked elements of the scheme's target.
// Errors: QN_INVALID for parameters that do not fit the dims, or a zero point other than 0 on a float target;
// QN_UNSUPPORTED for a target that codes are not written in.
qn_status qn_quantize(qn_context *context, const qn_quantize_args *args, const double *x, void *out_codes);

// Values of codes, whose plane holds them as numbers; not yet rounded to the result's type.
qn_status qn_dequantize(qn_context *context, const qn_quantize_args *args, const double *codes,
                        double *out_values);

// The scale and zero point of a dynamic scheme over `count` values. Errors: QN_UNSUPPORTED for a scheme other
// than one scale for a tensor of 8-bit integers.
qn_status qn_quantize_choose(qn_context *context, const qn_scheme *scheme, const double *x, uint64_t count,
                             bool wide, double *out_scale, double *out_zero_point);

#endif
