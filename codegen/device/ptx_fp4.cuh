// FP4 conversion by instruction: sm_100 and up. See fp4_software.cuh for the others.
// To nearest, ties to even; what is too large, NaN included, becomes the largest value.

// Four values to 4 bits each, the first in the lowest ones.
DEVICE u32 e2m1x4_from_f32(float a, float b, float c, float d) {
  u16 result;
  asm("{\n.reg .b8 low, high;\n"
      "cvt.rn.satfinite.e2m1x2.f32 low, %2, %1;\n"
      "cvt.rn.satfinite.e2m1x2.f32 high, %4, %3;\n"
      "mov.b16 %0, {low, high};\n}"
      : "=h"(result) : "f"(a), "f"(b), "f"(c), "f"(d));
  return result;
}
