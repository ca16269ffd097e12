// The buffer of the scales that a dynamic scheme returns: its shape, and where each scale stands in it.
#ifndef QUENCH_QUANT_SCALE_BUFFER_PRIV_H
#define QUENCH_QUANT_SCALE_BUFFER_PRIV_H

#include <quench/scheme.h>

// As ir/shape_quantize.c says it for dims that need not be known. Tokens are all axes but the last; what of the
// buffer belongs to no token and group is 0.
typedef struct qn_scale_buffer {
  int32_t rank;
  int64_t dims[QN_RANK_MAX];
  uint64_t count;         // elements, those that are added included
  int64_t tokens, groups; // of the values; 1 where there is one scale for the tensor
  int64_t rows;           // tokens that the buffer has room for
} qn_scale_buffer;

// `dims` are those of the codes, filled up to `pad`. False where the scheme does not fit them: an axis that
// there is not, a group of 0 elements, or a layout that needs groups of the last axis.
bool qn_scale_buffer_of(const qn_scheme *scheme, int32_t rank, const int64_t *dims,
                        qn_scale_buffer *out_buffer);
// The index of a scale of a scheme per token, or in groups of the last axis.
uint64_t qn_scale_buffer_index(const qn_scheme *scheme, const qn_scale_buffer *buffer, int64_t token,
                               int64_t group);

#endif
