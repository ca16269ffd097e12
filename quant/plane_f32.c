// Planes in f32 arithmetic.
#include "quant/plane_code_priv.h"

void qn_plane_quantize_f32(const qn_plane *plane) {
  quantize_plane(plane);
}
