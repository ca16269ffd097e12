// What stands between the product q k^T and the softmax: scale, softcap, slopes, mask and the positions that a row may
// not see.

// What one row is given.
struct row_view {
  int first, end;  // the keys that it sees
  int position;    // among the keys
  float slope;     // what a position of distance adds
  const u8 *mask;  // its row
};

DEVICE float read_slope(u64 slopes, u32 head) {
  if constexpr (!ALIBI) return 0.0f;
  else return -float_of(ld_global_u32((const u8 *)slopes + head * 4));
}

DEVICE float mask_value(const u8 *at) {
  if constexpr (MASK == MASK_ADDITIVE_F32) return float_of(ld_global_u32(at));
  else if constexpr (MASK == MASK_ADDITIVE_F16) return f32_from_f16(ld_global_u16(at));
  else return float_of(ld_global_u16(at) << 16);
}

// SCALE times a product, capped: c tanh(x / c) = c - 2c / (1 + e^(2x / c)) for a softcap c, which is c or -c where the
// exponential overflows or vanishes. The errors of ex2 and rcp and the roundings between are below 2^-20 of c together.
DEVICE float capped(float product) {
  return fma_rn(-2.0f * SOFTCAP, rcp_fast(1.0f + exp2_fast(mul_rn(product, SOFTCAP_FACTOR))), SOFTCAP);
}

constexpr bool ADDITIVE = MASK != MASK_NONE && MASK != MASK_BOOLEAN;
// Scale and mask are one multiply-add where nothing stands between them.
constexpr bool MASK_SCALES = ADDITIVE && !ALIBI && SOFTCAP == 0;

// Turns one row of products, columns `first` + 8n + 2t, + 1, into scores as far as they need no mask.
DEVICE void score_row(float (&scores)[WARP_KV / 8][4], int half, int first, const row_view &view) {
  if constexpr (MASK_SCALES || (SCORES_RAW && SOFTCAP == 0)) return;
  float distance = (float)(view.position - first - (int)(thread_index() % 4) * 2); // beyond 2^24 it is rounded
#pragma unroll
  for (int n = 0; n < WARP_KV / 8; n++)
#pragma unroll
    for (int i = 0; i < 2; i++) {
      float &score = scores[n][half * 2 + i];
      if constexpr (SOFTCAP > 0) score = capped(score);
      if constexpr (ALIBI) {
        float bias = mul_rn(view.slope, abs_f32(sub_rn(distance, (float)(n * 8 + i))));
        score = SOFTCAP > 0 ? score + bias : fma_rn(score, SCALE, bias);
      } else if constexpr (SOFTCAP == 0) {
        score = mul_rn(score, SCALE);
      }
    }
}

// Applies the mask to the same columns; those that the row does not see become -inf. `mask_kv` is the mask's stride in
// bytes.
DEVICE void mask_row(float (&scores)[WARP_KV / 8][4], int half, int first, const row_view &view, int mask_kv) {
  int column = first + (int)(thread_index() % 4) * 2;
#pragma unroll
  for (int n = 0; n < WARP_KV / 8; n++)
#pragma unroll
    for (int i = 0; i < 2; i++) {
      float &score = scores[n][half * 2 + i];
      int position = column + n * 8 + i;
      if (position >= view.end || (WINDOW_LEFT >= 0 && position < view.first)) {
        score = minus_infinity();
        continue;
      }
      if constexpr (MASK == MASK_BOOLEAN) {
        if (ld_global_u8(view.mask + position * mask_kv) == 0) score = minus_infinity();
      }
      if constexpr (ADDITIVE) {
        float value = mask_value(view.mask + position * mask_kv);
        score = MASK_SCALES ? fma_rn(score, SCALE, value) : score + value;
      }
    }
}
