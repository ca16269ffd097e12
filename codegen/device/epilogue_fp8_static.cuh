// Output as FP8 codes with one scale for the tensor, read from device memory.
//
// The order of roundings is the contract: accumulator -> ROUND_OUT (the type that the unfused attention would
// have written; none in direct numerics) -> ROUND_INPUT -> quotient in f32 -> ROUND_QUOTIENT -> code. Every step
// rounds to nearest even, by an instruction that no compiler option changes.

// x as the nearest value of a narrower type.
template <int type> DEVICE float round_to(float x) {
  if constexpr (type == ELEMENT_F16) return f32_from_f16(f16x2_from_f32(x, 0.0f) & 0xffffu);
  else if constexpr (type == ELEMENT_BF16) return float_of(bf16x2_from_f32(x, 0.0f) << 16);
  else return x;
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

  DEVICE float quotient(float x) const {
    x = round_to<ROUND_INPUT>(round_to<ROUND_OUT>(x));
    return round_to<ROUND_QUOTIENT>(ARITHMETIC == ARITHMETIC_DIVIDE ? div_rn(x, scale) : mul_rn(x, scale));
  }

  // Two neighbouring values of a row as the output's bytes.
  DEVICE u16 convert(float low, float high) const {
    low = quotient(low);
    high = quotient(high);
    return OUT_E5M2 ? e5m2x2_from_f32(low, high) : e4m3x2_from_f32(low, high);
  }
};
