// FP4 conversion by the codec of quant/codec_priv.h, for chips before sm_100.

DEVICE u32 e2m1x4_from_f32(float a, float b, float c, float d) {
  return qn_e2m1_from_f32(bits_of(a), 1) | qn_e2m1_from_f32(bits_of(b), 1) << 4 |
         qn_e2m1_from_f32(bits_of(c), 1) << 8 | qn_e2m1_from_f32(bits_of(d), 1) << 12;
}
