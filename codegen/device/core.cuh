// What a block computes, in whatever schedule: TILE_Q rows (rows.cuh) of one kv head against a range of kv tiles, which
// the block copies ahead of use into a ring of STAGES buffers. A warp owns ROW_BLOCKS blocks of 16 rows; where KV_WARPS
// is more than 1, so many warps own the same rows, each with its share of the keys of every tile (parts.cuh).
//
//   shared memory:  [ q tile ][ k 0 ][ v 0 ][ k 1 ][ v 1 ] ...      at the end the output, from the start
//   ring:           wait for tile i, barrier, start copy of tile i + STAGES - 1, compute on tile i
//   tiles:          those that every row sees whole need no bounds; the others hold the diagonal, an end of a window or
//                   the end of kv: a branch that all threads take alike, since two loops would be twice the code to
//                   compile. What no row sees is not loaded.

constexpr int ROW_BLOCKS = WARP_ROWS / 16;
constexpr int K_STEPS = QK_STRIDE / 2;  // products that one row of q and k takes
constexpr int COLUMNS = V_HEAD_DIM / 8; // accumulator blocks of one row block
// q stays in registers where there is room for 16 rows of it, of scores and of output, else it is read again for each
// kv tile. The loads of a mask take that room.
constexpr int ROW_REGISTERS = K_STEPS * 4 + WARP_KV / 2 + V_HEAD_DIM / 2;
constexpr bool Q_IN_REGISTERS =
    ELEMENT_BYTES == 2 && ROW_BLOCKS == 1 && MASK == MASK_NONE && ROW_REGISTERS <= 160;

typedef float score_block[WARP_KV / 8][4];
typedef float output_block[COLUMNS][4];

// What one warp knows.
struct warp_state {
  score_block scores[ROW_BLOCKS];
  output_block output[ROW_BLOCKS];
  row_state rows[ROW_BLOCKS][2];
  float slopes[ROW_BLOCKS][2]; // of the rows' heads; read by ALIBI alone
  a_fragment q[Q_IN_REGISTERS ? ROW_BLOCKS : 1][Q_IN_REGISTERS ? K_STEPS : 1];
};

// What one block works on.
struct block_state {
  sequence rows;
  tile_range tiles;
  kv_rows keys;
  const u8 *mask;
  i64 mask_q, mask_head;                        // in bytes
  int mask_kv;                                  // in bytes; a mask row is shorter than 2 GiB
  u32 tile_row;                                 // the first one of the block
  u32 first_row;                                // of this warp
  u32 row_count;                                // of all tiles
  u32 head;                                     // of row 0
  float k_scale;
  u32 q_tile, ring;                             // shared memory
};

DEVICE void load_q(a_fragment &a, u32 tile, int block, int step) {
  u32 loaded[4];
  u32 lane = thread_index() % 32;
  u32 row = row_warp() * WARP_ROWS + (u32)block * 16 + lane % 16;
  ldmatrix_x4(loaded, tile_address<QK_STRIDE>(tile, row, (u32)step * 2, lane / 16));
  make_a(a, loaded);
}

// scores = q k^T, times the scale of k
DEVICE void compute_scores(warp_state &warp, u32 q_tile, u32 k_tile, float k_scale) {
  u32 lane = thread_index() % 32;
#pragma unroll
  for (int m = 0; m < ROW_BLOCKS; m++)
#pragma unroll
    for (int n = 0; n < WARP_KV / 8; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) warp.scores[m][n][i] = 0.0f;
#pragma unroll(Q_IN_REGISTERS ? K_STEPS : 4)
  for (int step = 0; step < K_STEPS; step++) {
    a_fragment a[ROW_BLOCKS];
#pragma unroll
    for (int m = 0; m < ROW_BLOCKS; m++) {
      if constexpr (Q_IN_REGISTERS) a[m] = warp.q[m][step];
      else load_q(a[m], q_tile, m, step);
    }
#pragma unroll
    for (int pair = 0; pair < WARP_KV / 16; pair++) {
      u32 loaded[4];
      u32 row = (u32)pair * 16 + lane / 16 * 8 + lane % 8;
      ldmatrix_x4(loaded, tile_address<QK_STRIDE>(k_tile, row, (u32)step * 2, lane / 8 % 2));
#pragma unroll
      for (int n = 0; n < 2; n++) {
        b_fragment b;
        make_b(b, loaded[n * 2], loaded[n * 2 + 1]);
#pragma unroll
        for (int m = 0; m < ROW_BLOCKS; m++) multiply(warp.scores[m][pair * 2 + n], a[m], b);
      }
    }
  }
  if constexpr (K_SCALE == KV_SCALE_NONE) return;
#pragma unroll
  for (int m = 0; m < ROW_BLOCKS; m++)
#pragma unroll
    for (int n = 0; n < WARP_KV / 8; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) warp.scores[m][n][i] = mul_rn(warp.scores[m][n][i], k_scale);
}

// output += weights v
DEVICE void accumulate_output(warp_state &warp, u32 v_tile) {
#pragma unroll
  for (int step = 0; step < WARP_KV / KV_STEP; step++) {
    a_fragment a[ROW_BLOCKS];
#pragma unroll
    for (int m = 0; m < ROW_BLOCKS; m++) make_weights(a[m], warp.scores[m], step);
#pragma unroll
    for (int column = 0; column < COLUMNS; column += 2) {
      b_fragment b[2];
      load_v(b, v_tile, step * KV_STEP, column / 2);
#pragma unroll
      for (int n = 0; n < 2 && column + n < COLUMNS; n++)
#pragma unroll
        for (int m = 0; m < ROW_BLOCKS; m++) multiply(warp.output[m][column + n], a[m], b[n]);
    }
  }
}

// What row `row` sees of the keys and is given besides.
DEVICE row_view view_row(const block_state &block, u32 row, float slope) {
  u32 inside = row < block.row_count ? row : block.row_count - 1; // rows beyond the end read the last one's
  row_view view;
  view.first = first_key(block.rows, row_position(row));
  view.end = end_key(block.rows, row_position(row));
  view.position = (int)row_position(row) + block.rows.offset;
  view.slope = slope;
  view.mask = block.mask + row_offset(inside, block.mask_q, block.mask_head);
  return view;
}

// Tile `index` of kv, from the ring to the accumulators.
DEVICE void process_tile(const block_state &block, warp_state &warp, int index) {
  cp_async_wait<STAGES - 2>();
  block_sync(); // tile `index` has arrived for all, and all are done with tile index - 1, whose buffer is next
  if (index + STAGES - 1 < block.tiles.end) load_kv_tile(block.keys, block.ring, index + STAGES - 1);
  cp_async_commit();

  // A warp's share of the rows of a tile is a tile of its own: swizzles repeat every 8 rows.
  u32 k_tile = take_kv_tile(block.ring, index), v_tile = k_tile + K_TILE_BYTES;
  int first = index * (int)TILE_KV + (int)(kv_warp() * WARP_KV);
  compute_scores(warp, block.q_tile, k_tile + kv_warp() * (WARP_KV * QK_STRIDE * 16), block.k_scale);
  u32 group = thread_index() % 32 / 4;
#pragma unroll
  for (int m = 0; m < ROW_BLOCKS; m++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      row_view view = view_row(block, block.first_row + m * 16 + half * 8 + group, warp.slopes[m][half]);
      score_row(warp.scores[m], half, first, view);
      if (MASK != MASK_NONE || !is_full(block.tiles, index))
        mask_row(warp.scores[m], half, first, view, block.mask_kv);
      float shrink = softmax_row(warp.scores[m], half, warp.rows[m][half]);
      if (warp_all(shrink == 1.0f)) continue; // no row has found a larger score: most often so
#pragma unroll
      for (int n = 0; n < COLUMNS; n++) {
        warp.output[m][n][half * 2] *= shrink;
        warp.output[m][n][half * 2 + 1] *= shrink;
      }
    }
  accumulate_output(warp, v_tile + kv_warp() * (WARP_KV * V_STRIDE * 16));
}

// The block of rows `tile_row` .. of the sequence and heads that `index` counts, heads fastest.
DEVICE block_state open_block(const launch_params &params, u32 tile_row, u32 index) {
  block_state block;
  block.head = index % (HEADS / PACK) * PACK;
  block.rows = find_sequence(params, index / (HEADS / PACK));
  block.row_count = block.rows.q_len * PACK;
  block.tile_row = tile_row;
  block.first_row = tile_row + row_warp() * WARP_ROWS;
  return block;
}

DEVICE u32 kv_head_of(const block_state &block) { return block.head / (HEADS / KV_HEADS); }

// Says where the block's keys lie and which tiles of them its rows see. There must be a row.
DEVICE void find_keys(block_state &block, const launch_params &params) {
  const sequence &rows = block.rows;
  block.keys = find_kv_rows(params, rows, kv_head_of(block));
  block.k_scale = read_kv_scale<K_SCALE>(params.k_scale, kv_head_of(block));
  block.mask = (const u8 *)params.mask + (rows.batch * params.mask_batch + block.head * params.mask_head) * MASK_BYTES;
  block.mask_q = params.mask_q * MASK_BYTES;
  block.mask_head = params.mask_head * MASK_BYTES;
  block.mask_kv = (int)(params.mask_kv * MASK_BYTES);
  block.q_tile = shared_base();
  block.ring = block.q_tile + Q_TILE_BYTES;
  u32 end = block.tile_row + TILE_Q, last_row = (end < block.row_count ? end : block.row_count) - 1;
  block.tiles = find_tiles(rows, row_position(block.tile_row), row_position(last_row));
}

// Before the first tile. Sinks count where the block sees all tiles of its rows.
template <bool sinks> DEVICE void start_warp(warp_state &warp, const block_state &block, const launch_params &params) {
#pragma unroll
  for (int m = 0; m < ROW_BLOCKS; m++) {
#pragma unroll
    for (int n = 0; n < COLUMNS; n++)
#pragma unroll
      for (int i = 0; i < 4; i++) warp.output[m][n][i] = 0.0f;
#pragma unroll
    for (int half = 0; half < 2; half++) {
      u32 head = row_head(block.head, block.first_row + m * 16 + half * 8 + thread_index() % 32 / 4);
      bool known = PACK == 1 && m + half > 0; // the block has one head
      if constexpr (sinks) warp.rows[m][half] = known ? warp.rows[0][0] : first_row_state(params.sinks, head);
      else warp.rows[m][half] = { minus_infinity(), 0.0f };
      warp.slopes[m][half] = known ? warp.slopes[0][0] : read_slope(params.alibi_slopes, head);
    }
  }
}

// Walks over the block's tiles. Copies may still be under way afterwards: those of tiles that there are not.
DEVICE void walk_tiles(const block_state &block, warp_state &warp, const launch_params &params) {
  const sequence &rows = block.rows;
  const u8 *q = (const u8 *)params.q +
                (rows.batch * params.q_batch + rows.first_q * params.q_position + block.head * params.q_head) * ELEMENT_BYTES;
  // q is the first group of copies, with the first kv tile.
  tile_load<TILE_Q, QK_CHUNKS, QK_STRIDE>(block.q_tile, block.row_count - block.tile_row, [&](u32 row) {
    return q + row_offset(block.tile_row + row, params.q_position, params.q_head) * ELEMENT_BYTES;
  });
#pragma unroll
  for (int i = 0; i < STAGES - 1; i++) {
    if (block.tiles.begin + i < block.tiles.end) load_kv_tile(block.keys, block.ring, block.tiles.begin + i);
    cp_async_commit();
  }
  if constexpr (Q_IN_REGISTERS) {
    cp_async_wait<STAGES - 2>();
    block_sync();
#pragma unroll
    for (int m = 0; m < ROW_BLOCKS; m++)
#pragma unroll
      for (int step = 0; step < K_STEPS; step++) load_q(warp.q[m][step], block.q_tile, m, step);
  }

#pragma unroll 1
  for (int tile = block.tiles.begin; tile < block.tiles.end; tile++) process_tile(block, warp, tile);
}
