// Quantizing and dequantizing planes of values under a scheme. The bytes that every kernel is held to.
#ifndef QUENCH_QUANT_QUANTIZE_PRIV_H
#define QUENCH_QUANT_QUANTIZE_PRIV_H

#include <quench/scheme.h>

// Numbers that come as an operand, exact values of its type; `values` is NULL where it is absent.
typedef struct qn_numbers {
  const double *values;
  uint64_t count;
} qn_numbers;

// The tensor and its operands. Planes hold the exact values of the declared types (elements_priv.h).
typedef struct qn_quantize_args {
  const qn_scheme *scheme;
  int32_t rank;
  const int64_t *dims;
  qn_numbers
      scale; // of a static scheme: as many as the granularity asks for; of a dynamic one: the global scale
  qn_numbers zero_point;  // of a static scheme: one, or as many as scales
  qn_numbers pre_scale;   // one, or as many as the last axis has elements, or the last two together, and so on
  qn_numbers scale_bound; // one, of a dynamic symmetric scheme
  // Arithmetic in f64, without the roundings of the quotient (`compute`), of the input (`round_input`) and of
  // amax / R
  // (`scale_compute`): only the code and the stored scale are rounded. Else arithmetic in f32.
  bool wide;
  // The type that computed scales are stored in where it is not the scheme's, ANY else: the reference
  // executor's mode f64 holds f32 as f64.
  qn_dtype stored_scale;
} qn_quantize_args;

// Where the results go, as unpacked elements, all of them written, padding as 0: the codes in the dims of x,
// their last one rounded up to `pad`; scales and zero points as qn_scale_buffer_of says for the dims of the
// codes. NULL where not wanted; a static scheme has no scales and zero points of its own.
typedef struct qn_quantized {
  void *codes, *scales, *zero_points;
} qn_quantized;

// What is wrong with a scheme whatever it is used on, in words that follow "the scheme ..."; NULL if nothing
// is.
const char *qn_scheme_find_fault(const qn_scheme *scheme);
// The dims of the codes of values of these dims.
void qn_quantized_dims(const qn_scheme *scheme, int32_t rank, const int64_t *dims, int64_t *out_dims);

// Errors: QN_INVALID for a scheme or operands that do not fit each other or the dims, QN_UNSUPPORTED for a
// target that codes are not written in.
qn_status qn_quantize(qn_context *context, const qn_quantize_args *args, const double *x,
                      const qn_quantized *out);

// Values of codes, whose plane holds them as numbers; not yet rounded to the result's type. `dims` are those of
// the codes; the scales of a dynamic scheme, and its zero points, lie as qn_quantize wrote them. Errors: as
// above, and QN_UNSUPPORTED for a scheme with a global scale, which is no operand here.
qn_status qn_dequantize(qn_context *context, const qn_quantize_args *args, const double *codes,
                        double *out_values);

#endif
