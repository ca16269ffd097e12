// From quotients to codes: those of one staged chunk become one piece of the output.

// As qn_recipe_float, for codes that saturate: the smaller one of NaN and a number is the number.
DEVICE float as_float(float quotient) {
  if constexpr (RECIPE.zero_sign == QN_ZERO_SIGN_EXACT) quotient = add_rn(quotient, 0.0f);
  return RECIPE.nan == QN_NAN_LARGEST ? min_f32(quotient, RECIPE.greatest) : quotient;
}

// Four codes of 8 bits, the first in the low byte.
DEVICE u32 fp8_quad(float a, float b, float c, float d) {
  a = as_float(a);
  b = as_float(b);
  c = as_float(c);
  d = as_float(d);
  return CODES == QN_E5M2 ? e5m2x2_from_f32(a, b) | (u32)e5m2x2_from_f32(c, d) << 16 : e4m3x4_from_f32(a, b, c, d);
}

// Four codes of 4 bits, the first in the lowest ones.
DEVICE u32 e2m1_quad(float a, float b, float c, float d) {
  u32 codes = e2m1x4_from_f32(a, b, c, d);
  if constexpr (RECIPE.ties == QN_TIES_EVEN && RECIPE.zero_sign == QN_ZERO_SIGN_KEPT) return codes;
  return qn_recipe_e2m1(&RECIPE, a, codes & 15) | qn_recipe_e2m1(&RECIPE, b, codes >> 4 & 15) << 4 |
         qn_recipe_e2m1(&RECIPE, c, codes >> 8 & 15) << 8 | qn_recipe_e2m1(&RECIPE, d, codes >> 12) << 12;
}

// The code of an integer target, before it is clamped to the range of its type. A zero point of 8 bits is added to
// a quotient clamped to 16 bits, which can change no code; others take the recipe's own way.
DEVICE int code_integer(float quotient, int zero_point) {
  int code;
  if constexpr (RECIPE.zero_point == QN_ZERO_POINT_NONE) code = int_from_f32(quotient);
  else if constexpr (RECIPE.zero_point == QN_ZERO_POINT_AFTER && ZERO_POINT_TYPE != QN_S32) code = short_from_f32(quotient) + zero_point;
  else return int_from_f32(qn_recipe_integer(&RECIPE, quotient, f32_from_int(zero_point)));
  return RECIPE.least == -127.0f && code < -127 ? -127 : code;
}

DEVICE u32 code_quad(const int (&code)[4]) {
  if constexpr (CODES == QN_U8) return pack_u8(code[0], code[1], pack_u8(code[2], code[3], 0));
  else return pack_s8(code[0], code[1], pack_s8(code[2], code[3], 0));
}

// The zero points are read where the recipe has them.
DEVICE void encode(u32 (&piece)[PIECE_WORDS], const float (&quotient)[PIECE_ELEMENTS], const int (&zero_point)[PIECE_ELEMENTS]) {
#pragma unroll
  for (u32 i = 0; i < PIECE_ELEMENTS; i += 4) {
    if constexpr (CODES == QN_S8 || CODES == QN_U8) {
      int code[4];
#pragma unroll
      for (u32 j = 0; j < 4; j++) code[j] = code_integer(quotient[i + j], zero_point[i + j]);
      piece[i / 4] = code_quad(code);
    } else if constexpr (CODES == QN_E2M1) {
      u32 codes = e2m1_quad(quotient[i], quotient[i + 1], quotient[i + 2], quotient[i + 3]);
      piece[i / 8] = i % 8 == 0 ? codes : piece[i / 8] | codes << 16;
    } else {
      piece[i / 4] = fp8_quad(quotient[i], quotient[i + 1], quotient[i + 2], quotient[i + 3]);
    }
  }
}
DEVICE void encode(u32 (&piece)[PIECE_WORDS], const float (&quotient)[PIECE_ELEMENTS]) {
  const int none[PIECE_ELEMENTS] = {};
  encode(piece, quotient, none);
}
