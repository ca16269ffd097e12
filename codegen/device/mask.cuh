// What stands between the product q k^T and the softmax: scale, bias and the positions that a row may not see.

// The number of kv positions that are visible to q position `row`, from position 0 on.
DEVICE int visible_positions(const launch_params &params, int row) {
  int visible = (int)params.kv_len;
  if constexpr (CAUSAL == CAUSAL_TOP_LEFT) visible = row + 1 < visible ? row + 1 : visible;
  if constexpr (CAUSAL == CAUSAL_BOTTOM_RIGHT) {
    int behind = (int)params.q_len - 1 - row; // positions from the last row
    visible = behind > 0 ? visible - behind : visible;
  }
  return visible;
}

DEVICE float mask_value(const u8 *at) {
  if constexpr (MASK == MASK_ADDITIVE_F32) return float_of(ld_global_u32(at));
  else if constexpr (MASK == MASK_ADDITIVE_F16) return f32_from_f16(ld_global_u16(at));
  else return float_of(ld_global_u16(at) << 16);
}

// Applies scale and mask to one row of the scores, columns `first` + 8n + 2t, + 1, of which those below `visible` are
// seen. `mask` is the mask's row, `mask_kv` its stride in bytes.
DEVICE void mask_row(float (&scores)[TILE_KV / 8][4], int half, int first, int visible, const u8 *mask, int mask_kv) {
  int column = first + (int)(thread_index() % 4) * 2;
#pragma unroll
  for (int n = 0; n < TILE_KV / 8; n++)
#pragma unroll
    for (int i = 0; i < 2; i++) {
      float &score = scores[n][half * 2 + i];
      int position = column + n * 8 + i;
      if (position >= visible) {
        score = minus_infinity();
        continue;
      }
      if constexpr (MASK == MASK_BOOLEAN) {
        if (ld_global_u8(mask + position * mask_kv) == 0) {
          score = minus_infinity();
          continue;
        }
      }
      if constexpr (MASK == MASK_NONE || MASK == MASK_BOOLEAN) {
        if constexpr (!SCORES_RAW) score = mul_rn(score, SCALE);
      } else {
        score = fma_rn(score, SCALE, mask_value(mask + position * mask_kv));
      }
    }
}

// The same for a tile without a mask of which every row sees every position.
DEVICE void scale_row(float (&scores)[TILE_KV / 8][4], int half) {
  if constexpr (!SCORES_RAW) {
#pragma unroll
    for (int n = 0; n < TILE_KV / 8; n++)
#pragma unroll
      for (int i = half * 2; i < half * 2 + 2; i++) scores[n][i] = mul_rn(scores[n][i], SCALE);
  }
}
