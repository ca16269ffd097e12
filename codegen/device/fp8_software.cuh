// FP8 conversion by the codecs of quant/codec_priv.h, for chips without the instruction (sm_80, sm_86).

DEVICE u16 e4m3x2_from_f32(float low, float high) {
  return (u16)(qn_e4m3_from_f32(bits_of(low), 1) | qn_e4m3_from_f32(bits_of(high), 1) << 8);
}
DEVICE u16 e5m2x2_from_f32(float low, float high) {
  return (u16)(qn_e5m2_from_f32(bits_of(low), 1) | qn_e5m2_from_f32(bits_of(high), 1) << 8);
}
DEVICE u32 e4m3x4_from_f32(float a, float b, float c, float d) {
  return qn_e4m3x4_from_f32(bits_of(a), bits_of(b), bits_of(c), bits_of(d));
}
// By the bits: exponents differ by 120, and multiplying by that power of two makes normal numbers of subnormal ones.
DEVICE float f32_from_e4m3(u32 code) {
  u32 magnitude = code & 0x7fu;
  float x = mul_rn(float_of((code & 0x80u) << 24 | magnitude << 20), 0x1p120f);
  return magnitude == 0x7fu ? float_of(0x7fffffffu) : x;
}
DEVICE u32 f16x2_from_e4m3x2(u32 codes) { return f16x2_from_f32(f32_from_e4m3(codes), f32_from_e4m3(codes >> 8)); }
