// Output as FP8 codes with one scale for the tensor, read from device memory.
//
// The order of roundings is the contract: staged value -> ROUND_INPUT -> quotient in f32 -> ROUND_QUOTIENT ->
// code. Every step rounds to nearest even, by an instruction that no compiler option changes.

// x as the nearest value of a narrower type.
template <int type> DEVICE float round_to(float x) {
  if constexpr (type == ELEMENT_F16) return f32_from_f16(f16x2_from_f32(x, 0.0f) & 0xffffu);
  else if constexpr (type == ELEMENT_BF16) return float_of(bf16x2_from_f32(x, 0.0f) << 16);
  else return x;
}

// Element `index` of 16 bytes of type `type`.
template <int type> DEVICE float unpack(const u32 (&bytes)[4], u32 index) {
  if constexpr (type == ELEMENT_F32) return float_of(bytes[index]);
  u32 bits = bytes[index / 2] >> index % 2 * 16 & 0xffffu;
  return type == ELEMENT_F16 ? f32_from_f16(bits) : float_of(bits << 16);
}

struct epilogue {
  float scale; // the divisor, or the factor

  DEVICE void prepare(const launch_params &params) {
    const void *from = (const void *)params.output_scale;
    if constexpr (SCALE_TYPE == ELEMENT_F32) scale = float_of(ld_global_u32(from));
    else if constexpr (SCALE_TYPE == ELEMENT_F16) scale = f32_from_f16(ld_global_u16(from));
    else scale = float_of(ld_global_u16(from) << 16);
    if constexpr (ARITHMETIC == ARITHMETIC_RECIPROCAL) scale = div_rn(1.0f, scale);
  }

  DEVICE float quotient(float x) {
    x = round_to<ROUND_INPUT>(x);
    return round_to<ROUND_QUOTIENT>(ARITHMETIC == ARITHMETIC_DIVIDE ? div_rn(x, scale) : mul_rn(x, scale));
  }

  DEVICE void convert(u32 (&out)[PIECE_WORDS], const u32 (&staged)[4], const launch_params &, const row_place &, u32, bool) {
#pragma unroll
    for (u32 i = 0; i < PIECE_WORDS; i++) out[i] = 0;
#pragma unroll
    for (u32 i = 0; i < PIECE_ELEMENTS; i += 2) {
      float low = quotient(unpack<STAGED>(staged, i)), high = quotient(unpack<STAGED>(staged, i + 1));
      u32 codes = OUT_E5M2 ? e5m2x2_from_f32(low, high) : e4m3x2_from_f32(low, high);
      out[i / 4] |= codes << i % 4 * 8;
    }
  }
};
