// The second kernel of the schedule `split`: a block makes one row of its parts and hands it to the epilogue. The splits are
// shared out among the warps, each of which reads the states of its own with one lane a split, and then their values.

constexpr u32 MERGED_CHUNKS = (PART_CHUNKS + 31) / 32; // of a lane

// The part of this warp: splits warp, warp + MERGE_WARPS ..., to shared memory.
DEVICE void merge_splits(const launch_params &params, u32 parts, u64 row) {
  u32 warp = thread_index() / 32, lane = thread_index() % 32, split = warp + lane * MERGE_WARPS;
  u32 words[2] = { bits_of(minus_infinity()), 0 };
  if (split < params.splits) ld_global(words, part_state(params, row, split));
  float base = float_of(words[0]), largest = base;
#pragma unroll
  for (u32 lanes = 16; lanes > 0; lanes /= 2) largest = max_f32(largest, shuffle_xor(largest, lanes));
  float weight = rebase(base, largest), sum = mul_rn(weight, float_of(words[1]));
#pragma unroll
  for (u32 lanes = 16; lanes > 0; lanes /= 2) sum += shuffle_xor(sum, lanes);

  float total[MERGED_CHUNKS][4];
#pragma unroll
  for (u32 n = 0; n < MERGED_CHUNKS; n++)
    for (int c = 0; c < 4; c++) total[n][c] = 0.0f;
  u32 live = warp_ballot(weight != 0.0f); // what the others have left in the workspace is of another launch
#pragma unroll 4
  for (; live != 0; live &= live - 1) {
    u32 from = first_bit(live);
    float factor = shuffle_from(weight, from);
    const u8 *values = part_values(params, row, warp + from * MERGE_WARPS);
#pragma unroll
    for (u32 n = 0; n < MERGED_CHUNKS; n++) {
      u32 chunk = n * 32 + lane, loaded[4] = { 0, 0, 0, 0 };
      if (chunk < PART_CHUNKS) ld_global(loaded, values + chunk * 16);
      for (int c = 0; c < 4; c++) total[n][c] = fma_rn(factor, float_of(loaded[c]), total[n][c]);
    }
  }
#pragma unroll
  for (u32 n = 0; n < MERGED_CHUNKS; n++) {
    u32 chunk = n * 32 + lane, staged[4];
    for (int c = 0; c < 4; c++) staged[c] = bits_of(total[n][c]);
    if (chunk < PART_CHUNKS) st_shared_16(part_address(parts, warp, chunk), staged);
  }
  if (lane == 0)
    st_shared_8(parts + MERGE_WARPS * V_HEAD_DIM * 4 + warp * 8, bits_of(largest), bits_of(sum));
}

// The factor that makes the finished row of a sum: v's scale over the sum of all weights, the sink's included.
DEVICE float finish_row(const row_state &row, float sink, float v_scale) {
  float largest = max_f32(row.base, sink), shrink = rebase(row.base, largest);
  float sum = fma_rn(shrink, row.sum, rebase(sink, largest));
  return sum == 0.0f ? 0.0f : div_rn(mul_rn(shrink, v_scale), sum); // a row that sees nothing is zero
}

DEVICE void merge(const launch_params &params) {
  u32 row = block_index(), head = row % HEADS, position = row / HEADS % params.q_len;
  sequence rows = find_sequence(params, row / HEADS / params.q_len);
  if (VARLEN && position >= rows.q_len) return; // the grid is that of the longest sequence
  u32 parts = shared_base(), staged = parts + MERGE_WARPS * (V_HEAD_DIM * 4 + 8);
  merge_splits(params, parts, row);
  block_sync();
  if (thread_index() >= 32) return;

  float v_scale = read_kv_scale<V_SCALE>(params.v_scale, head / (HEADS / KV_HEADS));
#pragma unroll
  for (u32 chunk = thread_index(); chunk < PART_CHUNKS; chunk += 32) {
    float total[4];
    row_state state = combine_parts<MERGE_WARPS, 1>(total, parts, 0, chunk);
    float factor = finish_row(state, read_sink(params.sinks, head), v_scale);
    for (int c = 0; c < 4; c++) total[c] = mul_rn(total[c], factor);
    stage_four(staged, 0, chunk * 4, total);
  }
  warp_sync();
  epilogue epilogue;
  epilogue.prepare(params);
  store_rows(epilogue, params, staged, 0, 1, 1,
             [&](u32) { return row_place{ rows.batch, rows.first_q + position, head }; });
}
