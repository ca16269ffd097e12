// Elements of every type as planes of f64 or s64, and back: the one place that knows how each type is stored.
//
// A plane holds values exactly: every float type is a subset of f64, every integer type but u64 of s64. u64 is
// held as its bit pattern. Memory is "unpacked" here: the 4-bit types take one byte an element, code in the low
// nibble; qn_elements_unpack and _pack go between that and the packed form of a qn_tensor.
#ifndef QUENCH_QUANT_ELEMENTS_PRIV_H
#define QUENCH_QUANT_ELEMENTS_PRIV_H

#include <quench/type.h>

// Bytes of one unpacked element: 1, 2, 4 or 8; 0 for ANY and STRING, which no function here takes.
uint32_t qn_element_size(qn_dtype dtype);

void qn_elements_unpack(qn_dtype dtype, const void *packed, uint64_t count, void *out_unpacked);
void qn_elements_pack(qn_dtype dtype, const void *unpacked, uint64_t count, void *out_packed);

// Any numeric type as f64. bool is 0 or 1; s64 and u64 beyond 2^53 are rounded to odd, so that one more
// rounding to 24 bits or fewer gives what a direct conversion gives.
void qn_elements_load(qn_dtype dtype, const void *unpacked, uint64_t count, double *out_values);
// Integer types and bool as s64; for float types truncated towards zero, NaN as 0, clamped to s64.
void qn_elements_load_ints(qn_dtype dtype, const void *unpacked, uint64_t count, int64_t *out_values);
// Float types: rounded once, ties to even, `saturate` as in codec_priv.h (the FP8, FP4 and e8m0 types; f16 to
// f64 overflow to infinity). e8m0 is rounded up. Integer types: truncated towards zero, NaN as 0, clamped to
// the type's range. bool: x != 0.
void qn_elements_store(qn_dtype dtype, const double *values, uint64_t count, bool saturate, void *out_unpacked);
// Integer types and bool: the low bits (wraparound); bool: x != 0.
void qn_elements_store_ints(qn_dtype dtype, const int64_t *values, uint64_t count, void *out_unpacked);

// The value of `dtype` nearest to `value`: what storing and loading gives. ANY and F64 give `value`.
double qn_element_round(qn_dtype dtype, double value);
// The range of an integer type; of s64 and u64 the range of s64.
void qn_element_get_range(qn_dtype dtype, int64_t *out_least, int64_t *out_greatest);

#endif
