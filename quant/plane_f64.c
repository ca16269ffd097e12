// Planes in f64 arithmetic.
#define QN_REAL_F64
#include "quant/plane_code_priv.h"

void qn_plane_quantize_f64(const qn_plane *plane) {
  quantize_plane(plane);
}
