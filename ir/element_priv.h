// Single elements of tensors: to and from their bits, to and from text.
#ifndef QUENCH_IR_ELEMENT_PRIV_H
#define QUENCH_IR_ELEMENT_PRIV_H

#include "ir/base_priv.h"

#include <quench/type.h>

// The bits of element `index` of a dense array, in the low bits; packed 4-bit types low nibble first.
uint64_t qn_element_load(qn_dtype dtype, const void *data, uint64_t index);
void qn_element_store(qn_dtype dtype, void *data, uint64_t index, uint64_t bits);

// The value of the bits of a FLOAT type; exact.
double qn_element_decode(qn_dtype dtype, uint64_t bits);
// The value of element `index` of a dense array, of any type but STRING and ANY. False where it is not exact: an
// integer beyond 2^53.
bool qn_element_read(qn_dtype dtype, const void *data, uint64_t index, double *out_value);
// The bits nearest to a value, half to even. False where the type has none: a finite value beyond its largest,
// an infinity or a NaN that it lacks, and for e8m0 anything but a power of two.
bool qn_element_encode(qn_dtype dtype, double value, uint64_t *out_bits);

// The text of an element: integers in decimal, bool as 0 and 1, floats in the shortest decimal that reads back
// to the same bits (integers and 8-bit types: to the same value), `inf`, `-inf`, `nan`; a NaN other than the
// one that `nan` reads as is its bits: `0x7fc00001`.
enum { QN_ELEMENT_TEXT_MAX = 48 };
void qn_element_format(qn_dtype dtype, uint64_t bits, char out_text[QN_ELEMENT_TEXT_MAX]);

#endif
