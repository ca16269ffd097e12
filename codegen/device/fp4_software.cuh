// FP4 conversion by the codec of quant/codec_priv.h, for chips before sm_100.

DEVICE u32 e2m1x4_from_f32(float a, float b, float c, float d) {
  return qn_e2m1x4_from_f32(bits_of(a), bits_of(b), bits_of(c), bits_of(d));
}
