// Rows whose keys were shared out: among the warps of a block, and among the blocks of a split. A part is what one of
// them has of a row: the sums of weights and of weights times v over its own keys, as made with its own base. With
// parts (m_i, l_i, o_i) and m the largest m_i, the row is
//
//   l = sum_i exp(m_i - m) l_i      o = sum_i exp(m_i - m) o_i      o / l
//
// which is the merge of the log-sum-exp of parts in Flash-Decoding, and of tiles in online softmax. A part without a key
// that the row sees has m_i = -inf and counts for nothing.
//
//   shared memory:     [part][row][V_HEAD_DIM] f32, in the swizzle of tiles; then [part][row] base, sum
//   workspace:         [row][split][V_HEAD_DIM] f32; then [row][split] base, sum;   row = (sequence, position, head)

constexpr u32 PART_CHUNKS = V_HEAD_DIM / 4;

DEVICE u32 part_address(u32 parts, u32 row, u32 chunk) { return tile_address<PART_CHUNKS, 2>(parts, row, chunk); }

// Adds up the parts of one chunk of a row in shared memory, of `count` parts of `rows` rows each.
template <u32 count, u32 rows> DEVICE row_state combine_parts(float (&total)[4], u32 parts, u32 row, u32 chunk) {
  row_state part[count], whole = { minus_infinity(), 0.0f };
#pragma unroll
  for (u32 i = 0; i < count; i++) {
    u32 state[2];
    ld_shared_8(state, parts + count * rows * V_HEAD_DIM * 4 + (i * rows + row) * 8);
    part[i] = { float_of(state[0]), float_of(state[1]) };
    whole.base = max_f32(whole.base, part[i].base);
  }
  for (int c = 0; c < 4; c++) total[c] = 0.0f;
#pragma unroll
  for (u32 i = 0; i < count; i++) {
    u32 values[4];
    float weight = rebase(part[i].base, whole.base);
    whole.sum = fma_rn(weight, part[i].sum, whole.sum);
    ld_shared_16(values, part_address(parts, i * rows + row, chunk));
    for (int c = 0; c < 4; c++) total[c] = fma_rn(weight, float_of(values[c]), total[c]);
  }
  return whole;
}

// Where split `split` of row 0 .. of a launch lies in the workspace.
DEVICE u8 *part_values(const launch_params &params, u64 row, u32 split) {
  return workspace_parts(params) + (row * params.splits + split) * (V_HEAD_DIM * 4);
}
DEVICE u8 *part_state(const launch_params &params, u64 row, u32 split) {
  u64 rows = (u64)params.batch * params.q_len * HEADS;
  return workspace_parts(params) + rows * params.splits * (V_HEAD_DIM * 4) + (row * params.splits + split) * 8;
}
