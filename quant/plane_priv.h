// Quantizing a whole tensor, group after group: the part of qn_quantize that computes.
#ifndef QUENCH_QUANT_PLANE_PRIV_H
#define QUENCH_QUANT_PLANE_PRIV_H

#include "quant/groups_priv.h"
#include "quant/quantize_priv.h"

// What qn_quantize has checked and prepared.
typedef struct qn_plane {
  const qn_quantize_args *args;
  const double *x;
  qn_groups groups;
  qn_scale_buffer buffer; // of a dynamic scheme
  qn_dtype scale_dtype, zero_point_dtype;
  uint64_t columns; // elements of the last axis of the codes
  qn_quantized out; // zeroed
} qn_plane;

void qn_plane_quantize_f32(const qn_plane *plane);
void qn_plane_quantize_f64(const qn_plane *plane);

#endif
