// Output as it is: the accumulator rounded once to the output's element type.

struct epilogue {
  DEVICE void prepare(const launch_params &) {}

  // Two neighbouring values of a row as the output's bytes.
  DEVICE auto convert(float low, float high) const {
    if constexpr (ELEMENT == ELEMENT_F16) return f16x2_from_f32(low, high);
    else if constexpr (ELEMENT == ELEMENT_BF16) return bf16x2_from_f32(low, high);
    else return (u64)bits_of(low) | (u64)bits_of(high) << 32;
  }
};
