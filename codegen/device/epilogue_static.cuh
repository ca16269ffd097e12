// Output as codes under a scale that is known before the run, or under none: a scale for the tensor, or one for each
// channel. The order of roundings is the recipe's.

struct epilogue {
  float factor; // what values are divided by, or multiplied with
  int zero_point;

  DEVICE void prepare(const launch_params &params) {
    factor = 1.0f;
    zero_point = 0;
    if constexpr (SCALE_TYPE != QN_ANY) factor = qn_recipe_factor(&RECIPE, load_number<SCALE_TYPE>(params.output_scale), 0.0f, 1.0f);
  }

  DEVICE void convert(u32 (&out)[PIECE_WORDS], const u32 (&staged)[4], const launch_params &, const row_place &, u32, bool) {
    float quotient[PIECE_ELEMENTS];
#pragma unroll
    for (u32 i = 0; i < PIECE_ELEMENTS; i++)
      quotient[i] = qn_recipe_quotient(&RECIPE, qn_recipe_prepare(&RECIPE, unpack<STAGED>(staged, i)), factor);
    encode(out, quotient);
  }
};
