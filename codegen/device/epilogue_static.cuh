// Output as codes under a scale that is known before the run: one for the tensor, or one for each channel; or under
// none, a cast. The order of roundings is the recipe's.

constexpr u32 SCALES = PER_CHANNEL ? PIECE_ELEMENTS : 1; // that a lane keeps
constexpr bool DIVIDES = SCALE_TYPE != QN_ANY && RECIPE.arithmetic == QN_DIVIDE;

// The longest number at which a code ends and the next one begins: the middle of two values of the type that quotients
// are rounded to, or that of two codes. Zero points of 8 bits are added to integers from -255 to 255.
constexpr int BOUNDARY_BITS = RECIPE.compute == QN_F16 ? 12 : RECIPE.compute == QN_BF16 ? 9 : CODES == QN_E4M3 ? 5 : CODES == QN_E5M2 ? 4 : 9;
// Finding out whether a divisor has a fast way takes a few divisions itself. A zero point that is added to the quotient,
// or a large one, has other boundaries.
constexpr bool HAS_FAST_WAY = DIVIDES && (!PER_CHANNEL || SAME_CHANNELS) && RECIPE.zero_point != QN_ZERO_POINT_BEFORE &&
                              (RECIPE.zero_point == QN_ZERO_POINT_NONE || ZERO_POINT_TYPE != QN_S32);

// The bits of what a lane keeps of scales or zero points.
template <int type, u32 count> DEVICE void load_kept(u32 (&bits)[count], u64 from, i64 head, const row_place &place, u32 chunk) {
  if constexpr (count == 1) bits[0] = load_bits<type>((const u8 *)from);
  else load_channels<type>(bits, from, head, place, chunk);
}

struct epilogue {
  chunk_values reader;
  float factor[SCALES]; // what is divided by, or multiplied with
  qn_divisor divisor[SCALES];
  bool fast; // in all lanes
  int zero_point[SCALES];

  DEVICE void take_scales(const launch_params &params, const row_place &place, u32 chunk) {
    u32 bits[SCALES];
    load_kept<SCALE_TYPE>(bits, params.output_scale, params.output_scale_head, place, chunk);
    fast = true;
#pragma unroll
    for (u32 i = 0; i < SCALES; i++) {
      factor[i] = qn_recipe_factor(&RECIPE, number_of<SCALE_TYPE>(bits[i]), 0.0f, 1.0f);
      if constexpr (HAS_FAST_WAY) {
        divisor[i] = qn_divisor_of(factor[i]);
        fast &= qn_divisor_is_exact(factor[i], BOUNDARY_BITS);
      }
    }
    if constexpr (HAS_FAST_WAY && PER_CHANNEL) fast = warp_all(fast);
  }

  DEVICE void take_zero_points(const launch_params &params, const row_place &place, u32 chunk) {
    u32 bits[SCALES];
    load_kept<ZERO_POINT_TYPE>(bits, params.output_zero_point, params.output_scale_head, place, chunk);
#pragma unroll
    for (u32 i = 0; i < SCALES; i++) zero_point[i] = integer_of<ZERO_POINT_TYPE>(bits[i]);
  }

  DEVICE void take(const launch_params &params, const row_place &place, u32 chunk) {
    if constexpr (SCALE_TYPE != QN_ANY) take_scales(params, place, chunk);
    if constexpr (ZERO_POINT_TYPE != QN_ANY) take_zero_points(params, place, chunk);
  }

  DEVICE void prepare(const launch_params &params) {
    if constexpr (!PER_CHANNEL) take(params, row_place{ 0, 0, 0 }, 0);
  }

  DEVICE void enter(const launch_params &params, const row_place &place, u32 chunk) {
    reader.enter(params, place, chunk);
    if constexpr (PER_CHANNEL) take(params, place, chunk);
  }

  DEVICE void divide(float (&x)[PIECE_ELEMENTS]) {
    if constexpr (HAS_FAST_WAY) {
      if (fast) {
#pragma unroll
        for (u32 i = 0; i < PIECE_ELEMENTS; i++) x[i] = qn_divisor_divide(&divisor[i % SCALES], x[i]);
        return;
      }
    }
#pragma unroll
    for (u32 i = 0; i < PIECE_ELEMENTS; i++) x[i] = div_rn(x[i], factor[i % SCALES]);
  }

  DEVICE void convert(u32 (&out)[PIECE_WORDS], const u32 (&staged)[STAGED_WORDS], const launch_params &, const row_place &, u32, bool) {
    float x[PIECE_ELEMENTS];
    int zero_points[PIECE_ELEMENTS];
    reader.read(x, staged);
    if constexpr (DIVIDES) {
      divide(x);
    } else if constexpr (SCALE_TYPE != QN_ANY) {
#pragma unroll
      for (u32 i = 0; i < PIECE_ELEMENTS; i++) x[i] = mul_rn(x[i], factor[i % SCALES]);
    }
    round_values<RECIPE.compute>(x);
#pragma unroll
    for (u32 i = 0; i < PIECE_ELEMENTS; i++) zero_points[i] = zero_point[i % SCALES];
    encode(out, x, zero_points);
  }
};
