// The schedule `mma`: one block computes its rows over all their keys.

// Divides by the sums, multiplies by the scale of v and stages this warp's rows.
DEVICE void stage_output(u32 rows, warp_state &warp, float v_scale) {
  u32 lane = thread_index() % 32, first = row_warp() * WARP_ROWS;
#pragma unroll
  for (int m = 0; m < ROW_BLOCKS; m++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float sum = warp.rows[m][half].sum;
      sum += shuffle_xor(sum, 1);
      sum += shuffle_xor(sum, 2);
      float inverse = sum == 0.0f ? 0.0f : div_rn(v_scale, sum); // a row that sees nothing is zero
      u32 row = first + (u32)(m * 16 + half * 8) + lane / 4;
#pragma unroll
      for (int n = 0; n < COLUMNS; n++)
        stage_pair(rows, row, (u32)n * 8 + lane % 4 * 2, mul_rn(warp.output[m][n][half * 2], inverse),
                   mul_rn(warp.output[m][n][half * 2 + 1], inverse));
    }
}

DEVICE void attention(const launch_params &params) {
  // Causal rows at the end see the most: their tiles are started first, so that the light ones fill the gaps.
  // All tiles of a head come one after the other, for the keys that they share; deferred, all heads of a tile, for the
  // tokens that they share.
  u32 q_tiles = (params.q_len * PACK + TILE_Q - 1) / TILE_Q, together = DEFERRED ? HEADS / PACK : 1;
  u32 tile = block_index() / together % q_tiles;
  u32 first_row = (q_tiles - 1 - tile) * TILE_Q;
  block_state block = open_block(params, first_row, block_index() / (together * q_tiles) * together + block_index() % together);
  if (VARLEN && first_row >= block.row_count) return; // the grid is that of the longest sequence
  find_keys(block, params);

  warp_state warp;
  start_warp<true>(warp, block, params);
  walk_tiles(block, warp, params);

  epilogue epilogue;
  epilogue.prepare(params);
  float v_scale = read_kv_scale<V_SCALE>(params.v_scale, kv_head_of(block));
  cp_async_wait<0>();
  block_sync(); // no copy is under way, even if there was no kv tile, and no tile is read any more
  stage_output(shared_base(), warp, v_scale);
  warp_sync();
  store_rows(epilogue, params, shared_base(), row_warp() * WARP_ROWS, WARP_ROWS, block.row_count - first_row,
             [&](u32 row) {
               return row_place{ block.rows.batch, block.rows.first_q + row_position(first_row + row),
                                 row_head(block.head, first_row + row) };
             });
}
