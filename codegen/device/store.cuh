// From the staged rows through the epilogue to global memory.

// Writes staged rows first .. first + count - 1, which one warp has staged; row r goes to where `row_start(r)` says.
// Rows at `limit` and beyond are left out. 16 bytes a lane where the row's address allows it, else element by element.
template <typename row_start_fn>
DEVICE void store_rows(epilogue &epilogue, u32 rows, u32 first, u32 count, u32 limit, row_start_fn row_start) {
  constexpr u32 chunks = HEAD_DIM * OUT_BYTES / 16;
#pragma unroll 1
  for (u32 index = thread_index() % 32; index < count * chunks; index += 32) {
    u32 row = first + index / chunks, chunk = index % chunks;
    if (row >= limit) break;
    u32 value[4];
    epilogue.convert(value, rows, row, chunk);
    u8 *to = row_start(row) + chunk * 16;
    if (((u64)to & 15) == 0) {
      st_global_16(to, value);
      continue;
    }
#pragma unroll
    for (u32 byte = 0; byte < 16; byte += OUT_BYTES) {
      u32 word = value[byte / 4] >> byte % 4 * 8;
      if constexpr (OUT_BYTES == 1) st_global_u8(to + byte, word);
      else if constexpr (OUT_BYTES == 2) st_global_u16(to + byte, word);
      else st_global_u32(to + byte, word);
    }
  }
}
