// What stands between the product q k^T and the softmax: scale, softcap, slopes, mask and the positions that a row may
// not see.

// What one row is given.
struct row_view {
  int first, end;  // the keys that it sees
  int position;    // among the keys
  float slope;     // of its head, negative
  const u8 *mask;  // its row
};

DEVICE float mask_value(const u8 *at) {
  if constexpr (MASK == MASK_ADDITIVE_F32) return float_of(ld_global_u32(at));
  else if constexpr (MASK == MASK_ADDITIVE_F16) return f32_from_f16(ld_global_u16(at));
  else return float_of(ld_global_u16(at) << 16);
}

// SCALE times a product, capped: c tanh(x / c) = c - 2c / (1 + e^(2x / c)) for a softcap c, which is c or -c where the
// exponential overflows or vanishes. The errors of ex2 and rcp and the roundings between are below 2^-20 of c together.
// Without a softcap the product as it is.
DEVICE float capped(float product) {
  if constexpr (SOFTCAP == 0) return product;
  else return fma_rn(-2.0f * SOFTCAP, rcp_fast(1.0f + exp2_fast(mul_rn(product, SOFTCAP_FACTOR))), SOFTCAP);
}

// What capped returns as a score, and with something added.
DEVICE float score_of(float value) {
  if constexpr (SOFTCAP > 0 || SCORES_RAW) return value;
  else return mul_rn(value, SCALE);
}
DEVICE float score_of(float value, float bias) {
  if constexpr (SOFTCAP > 0) return value + bias;
  else return fma_rn(value, SCALE, bias);
}

// Turns products into scores: one row, columns `first` + 8n + 2t, + 1. With `bounded`, columns that the row does not see
// become -inf. `mask_kv` is the mask's stride in bytes.
template <bool bounded>
DEVICE void finish_scores(float (&scores)[TILE_KV / 8][4], int half, int first, const row_view &view, int mask_kv) {
  constexpr bool additive = MASK != MASK_NONE && MASK != MASK_BOOLEAN;
  int column = first + (int)(thread_index() % 4) * 2;
  float distance = (float)(view.position - column); // of the first column; beyond 2^24 it is rounded
#pragma unroll
  for (int n = 0; n < TILE_KV / 8; n++)
#pragma unroll
    for (int i = 0; i < 2; i++) {
      float &score = scores[n][half * 2 + i];
      int position = column + n * 8 + i;
      float value = capped(score), bias = 0.0f;
      if constexpr (ALIBI) bias = mul_rn(view.slope, abs_f32(sub_rn(distance, (float)(n * 8 + i))));
      if constexpr (!additive) score = ALIBI ? score_of(value, bias) : score_of(value);
      if (bounded && (position >= view.end || (WINDOW_LEFT >= 0 && position < view.first))) {
        score = minus_infinity();
        continue;
      }
      if constexpr (MASK == MASK_BOOLEAN) {
        if (ld_global_u8(view.mask + position * mask_kv) == 0) score = minus_infinity();
      }
      if constexpr (additive) {
        float masked = mask_value(view.mask + position * mask_kv);
        score = score_of(value, ALIBI ? bias + masked : masked);
      }
    }
}
