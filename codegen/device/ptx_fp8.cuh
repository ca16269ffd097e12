// FP8 conversion by instruction: sm_89 and up. See fp8_software.cuh for the others.
// To nearest, ties to even; what is too large, infinity included, becomes the largest finite value; NaN is 0x7F.

DEVICE u16 e4m3x2_from_f32(float low, float high) {
  u16 result;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(result) : "f"(high), "f"(low));
  return result;
}
DEVICE u32 e4m3x4_from_f32(float a, float b, float c, float d) { return e4m3x2_from_f32(a, b) | (u32)e4m3x2_from_f32(c, d) << 16; }
DEVICE u16 e5m2x2_from_f32(float low, float high) {
  u16 result;
  asm("cvt.rn.satfinite.e5m2x2.f32 %0, %1, %2;" : "=h"(result) : "f"(high), "f"(low));
  return result;
}
DEVICE u32 f16x2_from_e4m3x2(u32 codes) {
  u32 result;
  asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(result) : "h"((u16)codes));
  return result;
}
DEVICE float f32_from_e4m3(u32 code) { return f32_from_f16(f16x2_from_e4m3x2(code) & 0xffffu); }
