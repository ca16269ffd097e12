// The numbers of quant/recipe_priv.h on the device: f32, by instructions that round once and that no compiler option
// changes. RECIPE, below the recipe's own text, is the scheme of this kernel; what it does not need is gone after
// inlining.

typedef float qn_real;

DEVICE qn_real qn_real_mul(qn_real a, qn_real b) { return mul_rn(a, b); }
DEVICE qn_real qn_real_div(qn_real a, qn_real b) { return div_rn(a, b); }
DEVICE qn_real qn_real_add(qn_real a, qn_real b) { return add_rn(a, b); }
DEVICE qn_real qn_real_sub(qn_real a, qn_real b) { return sub_rn(a, b); }
DEVICE qn_real qn_real_fma(qn_real a, qn_real b, qn_real c) { return fma_rn(a, b, c); }
DEVICE qn_real qn_real_min(qn_real a, qn_real b) { return min_f32(a, b); }
DEVICE qn_real qn_real_max(qn_real a, qn_real b) { return max_f32(a, b); }
DEVICE qn_real qn_real_even(qn_real x) { return round_even(x); }
DEVICE u32 qn_real_bits(qn_real x) { return bits_of(x); }
DEVICE qn_real qn_real_of(u32 bits) { return float_of(bits); }

DEVICE qn_real qn_real_round(int dtype, qn_real x) {
  switch (dtype) {
  case QN_F16: return f32_from_f16(f16x2_from_f32(x, 0.0f) & 0xffffu);
  case QN_BF16: return float_of(bf16x2_from_f32(x, 0.0f) << 16);
  case QN_E4M3: return f32_from_e4m3(e4m3x2_from_f32(x, 0.0f) & 0xffu);
  case QN_E8M0: return float_of(qn_e8m0_to_f32(qn_e8m0_from_f32(bits_of(x), 1, 1)));
  default: return x;
  }
}
