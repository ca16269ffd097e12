// Output as codes under scales that are computed, one for each group of GROUP elements of a head. The lanes that hold
// a group find its largest magnitude together; each of them then has its scale, and the first one stores it.

constexpr u32 GROUP_LANES = GROUP / PIECE_ELEMENTS;
// Whether the values that are quantized are the staged ones.
constexpr bool VALUES_ARE_STAGED =
    PRE_SCALE_TYPE == QN_ANY && (RECIPE.round_input == QN_ANY || RECIPE.round_input == QN_F32 || RECIPE.round_input == STAGED);

// The largest magnitude of the values of a piece; NaN counts for none.
DEVICE float piece_amax(const u32 (&staged)[STAGED_WORDS], const float (&values)[PIECE_ELEMENTS]) {
  float amax = 0.0f;
  if constexpr (STAGED != QN_F32 && VALUES_ARE_STAGED) {
    u32 pair = staged[0] & 0x7fff7fffu;
#pragma unroll
    for (u32 i = 1; i < STAGED_WORDS; i++) pair = STAGED == QN_F16 ? max_f16x2(pair, staged[i] & 0x7fff7fffu) : max_bf16x2(pair, staged[i] & 0x7fff7fffu);
    return max_f32(max_f32(number_of<STAGED>(pair & 0xffffu), number_of<STAGED>(pair >> 16)), amax);
  } else {
#pragma unroll
    for (u32 i = 0; i < PIECE_ELEMENTS; i++) amax = max_f32(amax, abs_f32(values[i]));
    return amax;
  }
}

// The same over the lanes of a group. They are neighbours, the first of them a multiple of their number.
DEVICE float group_amax(float amax) {
  if constexpr ((GROUP_LANES & (GROUP_LANES - 1)) == 0) {
#pragma unroll
    for (u32 lanes = 1; lanes < GROUP_LANES; lanes *= 2) amax = max_f32(amax, shuffle_xor(amax, lanes));
    return amax;
  }
  u32 first = thread_index() % 32 / GROUP_LANES * GROUP_LANES;
  float largest = amax;
#pragma unroll
  for (u32 i = 0; i < GROUP_LANES; i++) largest = max_f32(largest, shuffle_from(amax, first + i));
  return largest;
}

struct epilogue {
  chunk_values reader;
  float global, bound;

  DEVICE void prepare(const launch_params &params) {
    global = RECIPE.global != QN_GLOBAL_NONE ? load_number<QN_F32>(params.output_scale) : 1.0f;
    bound = SCALE_BOUND ? load_number<QN_F32>(params.scale_bound) : 0.0f;
  }

  DEVICE void enter(const launch_params &params, const row_place &place, u32 piece) { reader.enter(params, place, piece); }

  DEVICE void convert(u32 (&out)[PIECE_WORDS], const u32 (&staged)[STAGED_WORDS], const launch_params &params, const row_place &place,
                      u32 piece, bool exists) {
    float values[PIECE_ELEMENTS];
    reader.read(values, staged);
    float amax = group_amax(piece_amax(staged, values));
    if constexpr (SCALE_BOUND) amax = min_f32(amax, bound);
    float scale = qn_recipe_scale(&RECIPE, amax, global);
    if (exists && piece % GROUP_LANES == 0) store_scale(params, place, piece / GROUP_LANES, scale);
    float factor = qn_recipe_factor(&RECIPE, scale, amax, global);
#pragma unroll
    for (u32 i = 0; i < PIECE_ELEMENTS; i++) values[i] = qn_recipe_quotient(&RECIPE, values[i], factor);
    encode(out, values);
  }
};
