// The schedule `split`: blocks share the keys of their rows, for launches whose rows are too few to fill the chip. A block
// takes an equal share of the kv tiles that its rows see, in whole tiles, and leaves its part of each row (parts.cuh) in
// the workspace; the merge kernel makes the rows of them. Within a block all warps own the same rows.

// The share of tiles that split `split` takes. Where there are fewer tiles than splits the last splits have none.
DEVICE void take_share(tile_range &tiles, u32 split, u32 splits) {
  int count = tiles.end > tiles.begin ? tiles.end - tiles.begin : 0;
  int share = (count + (int)splits - 1) / (int)splits;
  tiles.begin += (int)split * share;
  if (tiles.begin + share < tiles.end) tiles.end = tiles.begin + share;
}

// The parts of this warp, to shared memory.
DEVICE void stage_parts(u32 parts, warp_state &warp) {
  u32 lane = thread_index() % 32, first = kv_warp() * TILE_Q;
#pragma unroll
  for (int m = 0; m < ROW_BLOCKS; m++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float sum = warp.rows[m][half].sum;
      sum += shuffle_xor(sum, 1);
      sum += shuffle_xor(sum, 2);
      u32 row = first + (u32)(m * 16 + half * 8) + lane / 4;
#pragma unroll
      for (int n = 0; n < COLUMNS; n++)
        st_shared_8(tile_address<PART_CHUNKS, 2>(parts, row, (u32)n * 2, lane % 4 / 2) + lane % 2 * 8,
                    bits_of(warp.output[m][n][half * 2]), bits_of(warp.output[m][n][half * 2 + 1]));
      if (lane % 4 == 0)
        st_shared_8(parts + KV_WARPS * TILE_Q * V_HEAD_DIM * 4 + row * 8, bits_of(warp.rows[m][half].base), bits_of(sum));
    }
}

// Adds up the parts of the warps and leaves them in the workspace. Of a part that counts for nothing only that is left.
DEVICE void store_parts(const launch_params &params, u32 parts, const block_state &block, u32 sequence, u32 split) {
#pragma unroll 1
  for (u32 index = thread_index(); index < TILE_Q * PART_CHUNKS; index += THREADS) {
    u32 row = index / PART_CHUNKS, chunk = index % PART_CHUNKS, tile_row = block.tile_row + row;
    if (tile_row >= block.row_count) break;
    float total[4];
    u32 values[4];
    row_state state = combine_parts<KV_WARPS, TILE_Q>(total, parts, row, chunk);
    u64 place = ((u64)sequence * params.q_len + row_position(tile_row)) * HEADS + row_head(block.head, tile_row);
    if (chunk == 0) {
      const u32 words[2] = { bits_of(state.base), bits_of(state.sum) };
      st_global(part_state(params, place, split), words);
    }
    if (state.base == minus_infinity()) continue;
    for (int c = 0; c < 4; c++) values[c] = bits_of(total[c]);
    st_global(part_values(params, place, split) + chunk * 16, values);
  }
}

DEVICE void attention(const launch_params &params) {
  u32 q_tiles = (params.q_len * PACK + TILE_Q - 1) / TILE_Q;
  u32 split = block_index() % params.splits, index = block_index() / params.splits;
  u32 tile_row = index % q_tiles * TILE_Q, sequence = index / q_tiles / (HEADS / PACK);
  block_state block = open_block(params, tile_row, index / q_tiles);
  if (VARLEN && tile_row >= block.row_count) return; // the grid is that of the longest sequence
  find_keys(block, params);
  take_share(block.tiles, split, params.splits);

  warp_state warp;
  start_warp<false>(warp, block, params); // the merge counts the sinks
  if (block.tiles.begin < block.tiles.end) walk_tiles(block, warp, params);
  cp_async_wait<0>();
  block_sync();
  stage_parts(shared_base(), warp);
  block_sync();
  store_parts(params, shared_base(), block, sequence, split);
}
