// Matrix products for f32: m16n8k8 on TF32 operands, which keep 11 bits of the significand.
//
// With F32_TF32X3 every operand is split, x = high + low, and high high + high low + low high are added up from
// the smallest: what is dropped is below 2^-22 of the product, about the rounding of f32 itself.

struct a_fragment {
  u32 high[4], low[4];
};
struct b_fragment {
  u32 high[2], low[2];
};

DEVICE void split(u32 &high, u32 &low, u32 bits) {
  high = tf32_from_f32(float_of(bits));
  if constexpr (F32_TF32X3) low = tf32_from_f32(sub_rn(float_of(bits), float_of(high)));
}

DEVICE void make_a(a_fragment &a, const u32 (&loaded)[4]) {
  for (int i = 0; i < 4; i++) split(a.high[i], a.low[i], loaded[i]);
}
DEVICE void make_b(b_fragment &b, u32 x0, u32 x1) {
  split(b.high[0], b.low[0], x0);
  split(b.high[1], b.low[1], x1);
}

DEVICE void multiply(float (&c)[4], const a_fragment &a, const b_fragment &b) {
  if constexpr (F32_TF32X3) {
    mma_tf32(c, a.low, b.high);
    mma_tf32(c, a.high, b.low);
  }
  mma_tf32(c, a.high, b.high);
}

// k positions of one product.
constexpr int KV_STEP = 8;

// The weights of 8 kv positions. A sum may be taken in any order: the operand's k position t stands for column
// 2t of the accumulator and k position t + 4 for column 2t + 1, so no lane needs a value of another.
DEVICE void make_weights(a_fragment &a, const float (&scores)[WARP_KV / 8][4], int step) {
  const float(&block)[4] = scores[step];
  const u32 x[4] = { bits_of(block[0]), bits_of(block[2]), bits_of(block[1]), bits_of(block[3]) };
  make_a(a, x);
}

// v of 8 kv positions from `row` on, in the order of make_weights, and of the columns 16 * block ..: two b operands, or
// one at the end of an odd number of column blocks. Four rows of two chunks are read together, every other row.
DEVICE void load_v(b_fragment (&b)[2], u32 tile, int row, int block) {
  u32 lane = thread_index() % 32;
  u32 group = lane / 4, even = (u32)row + lane % 4 * 2;
#pragma unroll
  for (u32 i = 0; i < 2; i++) {
    u32 chunk = (u32)block * 4 + i * 2, byte = group % 4 * 4;
    if (chunk < V_CHUNKS)
      make_b(b[i], ld_shared_u32(tile_address<V_STRIDE>(tile, even, chunk, group / 4) + byte),
             ld_shared_u32(tile_address<V_STRIDE>(tile, even + 1, chunk, group / 4) + byte));
  }
}
