// FP8 conversion by the codecs of quant/codec_priv.h, for chips without the instruction (sm_80, sm_86).

DEVICE u16 e4m3x2_from_f32(float low, float high) {
  return (u16)(qn_e4m3_from_f32(bits_of(low), 1) | qn_e4m3_from_f32(bits_of(high), 1) << 8);
}
DEVICE u16 e5m2x2_from_f32(float low, float high) {
  return (u16)(qn_e5m2_from_f32(bits_of(low), 1) | qn_e5m2_from_f32(bits_of(high), 1) << 8);
}
DEVICE float f32_from_e4m3(u32 code) { return float_of(qn_e4m3_to_f32(code)); }
