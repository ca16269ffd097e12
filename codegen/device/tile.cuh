// Tiles in shared memory: rows of HEAD_DIM elements, in chunks of 16 bytes. Chunk c of row r stands at chunk
// c ^ (r % 8), so that eight rows of one column of chunks, which is what ldmatrix reads, lie in different banks.
// A row has at least 8 chunks.

constexpr u32 ROW_BYTES = HEAD_DIM * ELEMENT_BYTES;
constexpr u32 ROW_CHUNKS = ROW_BYTES / 16;
constexpr u32 Q_TILE_BYTES = TILE_Q * ROW_BYTES;
constexpr u32 KV_TILE_BYTES = TILE_KV * ROW_BYTES;

template <u32 row_bytes = ROW_BYTES> DEVICE u32 tile_address(u32 tile, u32 row, u32 chunk) {
  return tile + row * row_bytes + ((chunk ^ row % 8) << 4);
}

// The same for chunk `even` + `odd`, where `even` is an even number known at compile time and `odd` is 0 or 1. Said
// apart, a row needs four different exclusive-ors at most, and the rest of the address is a constant.
DEVICE u32 tile_address(u32 tile, u32 row, u32 even, u32 odd) {
  return tile + row * ROW_BYTES + even / 8 * 128 + ((even % 8 ^ (odd ^ row % 8)) << 4);
}

// Starts the copy of `rows` rows, the first of which is row `first`, from where `row_start(row)` says; rows at `limit`
// and beyond become zero. `row_start` is called for rows below `limit` only.
template <u32 rows, typename row_start_fn> DEVICE void tile_load(u32 tile, u32 first, u32 limit, row_start_fn row_start) {
  constexpr u32 chunks = rows * ROW_CHUNKS;
#pragma unroll
  for (u32 i = 0; i < (chunks + THREADS - 1) / THREADS; i++) {
    u32 index = i * THREADS + thread_index();
    if (chunks % THREADS != 0 && index >= chunks) break;
    u32 row = index / ROW_CHUNKS, chunk = index % ROW_CHUNKS;
    bool valid = first + row < limit;
    cp_async_16(tile_address(tile, row, chunk), row_start(valid ? first + row : 0) + chunk * 16, valid);
  }
}
