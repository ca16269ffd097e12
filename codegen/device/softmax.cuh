// The online softmax of one warp's rows. A row's scores in log2 units are SCORE_FACTOR times its scores here, so
// that one multiply-add and one exp2 make a weight.
//
// Where the scores are plain products (SCORES_RAW), scale and log2(e) are one factor, `base` is in log2 units and
// a weight is exp2(s * SCORE_FACTOR - base); so it is with capped scores, which are bounded. With an additive mask or
// slopes, or a scale that is not positive, the scores are scaled and biased first, `base` is in their units and a
// weight is exp2((s - base) * SCORE_FACTOR): a mask of -FLT_MAX then stays finite, and a row masked by it everywhere
// averages over all positions as it does elsewhere.

struct row_state {
  float base; // the largest score so far
  float sum;  // of the weights so far, of this lane's columns
};

// A sink, a score whose weight counts in the sum alone, in the units of `base`; -inf: there is none.
DEVICE float read_sink(u64 sinks, u32 head) {
  if constexpr (SINKS == QN_ANY) return minus_infinity();
  float sink = load_number<SINKS>(sinks, head);
  return SCORES_RAW ? mul_rn(sink, LOG2_E) : sink;
}

// Before the first tile.
DEVICE row_state first_row_state(u64 sinks, u32 head) {
  if constexpr (SINKS == QN_ANY) return { minus_infinity(), 0.0f };
  return { read_sink(sinks, head), thread_index() % 4 == 0 ? 1.0f : 0.0f };
}

DEVICE float weight(float score, float base) {
  if constexpr (SCORES_RAW) return exp2_fast(fma_rn(score, SCORE_FACTOR, -base));
  else return exp2_fast(mul_rn(sub_rn(score, base), SCORE_FACTOR));
}

// What sums over weights count that were made with `base`, once the base is `largest`, the larger one.
DEVICE float rebase(float base, float largest) {
  if (base == minus_infinity()) return 0.0f; // there are no weights, or all are 0
  float distance = sub_rn(base, largest);
  return exp2_fast(SCORES_RAW ? distance : mul_rn(distance, SCORE_FACTOR));
}

// Turns row `half` (0: g, 1: g + 8) of the scores into weights and returns the factor by which what was summed
// before must shrink.
DEVICE float softmax_row(float (&scores)[WARP_KV / 8][4], int half, row_state &row) {
  float largest = minus_infinity();
#pragma unroll
  for (int n = 0; n < WARP_KV / 8; n++)
    largest = max_f32(largest, max_f32(scores[n][half * 2], scores[n][half * 2 + 1]));
  largest = max_f32(largest, shuffle_xor(largest, 1));
  largest = max_f32(largest, shuffle_xor(largest, 2));
  if constexpr (SCORES_RAW) largest = mul_rn(largest, SCORE_FACTOR);

  // A row in which everything is masked has no finite score; any finite base makes its weights 0.
  float before = row.base;
  row.base = max_f32(before, largest);
  float base = row.base == minus_infinity() ? 0.0f : row.base;
  float shrink = exp2_fast(SCORES_RAW ? sub_rn(before, base) : mul_rn(sub_rn(before, base), SCORE_FACTOR));

  float sum = 0.0f;
#pragma unroll
  for (int n = 0; n < WARP_KV / 8; n++)
#pragma unroll
    for (int i = half * 2; i < half * 2 + 2; i++) {
      scores[n][i] = weight(scores[n][i], base);
      sum += scores[n][i];
    }
  row.sum = fma_rn(row.sum, shrink, sum);
  return shrink;
}
