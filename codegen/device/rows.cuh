// The rows of a q tile. They are numbered over all tiles of a block's heads: row r is q position r / PACK of the
// block's query head r % PACK. PACK is 1, or the number of query heads that share a kv head: where queries are few,
// they fill one tile together, and k and v are read once for all of them.

DEVICE u32 row_position(u32 row) { return row / PACK; }

// The query head of a row, of a block whose first one is `first`.
DEVICE u32 row_head(u32 first, u32 row) { return first + row % PACK; }

// Where a row lies, from row 0 on, given the strides of positions and heads.
DEVICE i64 row_offset(u32 row, i64 position, i64 head) {
  i64 offset = row / PACK * position;
  return PACK == 1 ? offset : offset + row % PACK * head;
}

// Warps w and w + 1 own different rows, or, where KV_WARPS is more than 1, the same rows and different keys of each tile.
constexpr u32 WARP_KV = TILE_KV / KV_WARPS; // keys of a tile that one warp works on
constexpr int WARP_ROWS = TILE_Q / (WARPS / KV_WARPS);
DEVICE u32 row_warp() { return thread_index() / 32 / KV_WARPS; }
DEVICE u32 kv_warp() { return thread_index() / 32 % KV_WARPS; }
