// From the staged rows through the epilogue to global memory.

// One piece in one instruction where its address allows it, else element by element: rows may start anywhere.
DEVICE void store_piece(u8 *to, const u32 (&piece)[PIECE_WORDS]) {
  if (((u64)to & (PIECE_BYTES - 1)) == 0) {
    st_global(to, piece);
    return;
  }
#pragma unroll
  for (u32 byte = 0; byte < PIECE_BYTES; byte += OUT_BYTES) {
    u32 word = piece[byte / 4] >> byte % 4 * 8;
    if constexpr (OUT_BYTES == 1) st_global_u8(to + byte, word);
    else if constexpr (OUT_BYTES == 2) st_global_u16(to + byte, word);
    else st_global_u32(to + byte, word);
  }
}

// Writes staged rows first .. first + count - 1, which one warp has staged; row r goes to where `row_start(r)` says.
// Rows at `limit` and beyond are left out. A lane takes one chunk at a time.
template <typename row_start_fn>
DEVICE void store_rows(epilogue &epilogue, u32 rows, u32 first, u32 count, u32 limit, row_start_fn row_start) {
#pragma unroll 1
  for (u32 index = thread_index() % 32; index < count * STAGED_CHUNKS; index += 32) {
    u32 row = first + index / STAGED_CHUNKS, chunk = index % STAGED_CHUNKS;
    if (row >= limit) break;
    u32 staged[4], piece[PIECE_WORDS];
    ld_shared_16(staged, staged_address(rows, row, chunk));
    epilogue.convert(piece, staged);
    store_piece(row_start(row) + chunk * PIECE_BYTES, piece);
  }
}
