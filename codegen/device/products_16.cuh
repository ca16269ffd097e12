// Matrix products for f16 and bf16: m16n8k16, one product each, f32 accumulators.

struct a_fragment {
  u32 x[4];
};
struct b_fragment {
  u32 x[2];
};

DEVICE void make_a(a_fragment &a, const u32 (&loaded)[4]) {
  for (int i = 0; i < 4; i++) a.x[i] = loaded[i];
}
DEVICE void make_b(b_fragment &b, u32 x0, u32 x1) {
  b.x[0] = x0;
  b.x[1] = x1;
}

DEVICE void multiply(float (&c)[4], const a_fragment &a, const b_fragment &b) {
  if constexpr (ELEMENT == QN_F16) mma_f16(c, a.x, b.x);
  else mma_bf16(c, a.x, b.x);
}

// k positions of one product.
constexpr int KV_STEP = 16;

// The weights of 16 kv positions, two column blocks of the accumulator, as they lie: an accumulator's columns
// 2t, 2t+1 are an a operand's k positions 2t, 2t+1.
DEVICE void make_weights(a_fragment &a, const float (&scores)[WARP_KV / 8][4], int step) {
  for (int i = 0; i < 4; i++) {
    const float(&block)[4] = scores[2 * step + i / 2];
    float low = block[i % 2 * 2], high = block[i % 2 * 2 + 1];
    a.x[i] = ELEMENT == QN_F16 ? f16x2_from_f32(low, high) : bf16x2_from_f32(low, high);
  }
}

// v of 16 kv positions from `row` on and of the columns 16 * block ..: two b operands, or one at the end of an odd
// number of column blocks, whose chunk is then loaded twice.
DEVICE void load_v(b_fragment (&b)[2], u32 tile, int row, int block) {
  u32 loaded[4];
  u32 lane = thread_index() % 32, even = (u32)block * 2;
  ldmatrix_x4_trans(loaded, tile_address<V_STRIDE>(tile, (u32)row + lane % 16, even, even + 1 < V_CHUNKS ? lane / 16 : 0));
  make_b(b[0], loaded[0], loaded[1]);
  make_b(b[1], loaded[2], loaded[3]);
}
