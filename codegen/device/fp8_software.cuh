// FP8 conversion by the codecs of quant/codec_priv.h, for chips without the instruction (sm_80, sm_86).

DEVICE u16 e4m3x2_from_f32(float low, float high) {
  return (u16)(qn_e4m3_from_f32(bits_of(low), 1) | qn_e4m3_from_f32(bits_of(high), 1) << 8);
}
DEVICE u16 e5m2x2_from_f32(float low, float high) {
  return (u16)(qn_e5m2_from_f32(bits_of(low), 1) | qn_e5m2_from_f32(bits_of(high), 1) << 8);
}
// By the bits: exponents differ by 120, and multiplying by that power of two makes normal numbers of subnormal ones.
DEVICE u32 f16x2_from_e4m3x2(u32 codes) {
  float x[2];
  for (int i = 0; i < 2; i++) {
    u32 code = codes >> i * 8, magnitude = code & 0x7fu;
    x[i] = mul_rn(float_of((code & 0x80u) << 24 | magnitude << 20), 0x1p120f);
    if (magnitude == 0x7fu) x[i] = float_of(0x7fffffffu);
  }
  return f16x2_from_f32(x[0], x[1]);
}
DEVICE float f32_from_e4m3(u32 code) { return float_of(qn_e4m3_to_f32(code)); }
