// From the staged rows through the epilogue to global memory.

// `bytes` bytes in one instruction where their address allows it, else in steps: rows may start at any element.
template <u32 bytes, u32 step, u32 words> DEVICE void store_words(u8 *to, const u32 (&from)[words]) {
  if (((u64)to & (bytes - 1)) == 0) {
    if constexpr (bytes == 2) st_global_u16(to, from[0]);
    else st_global(to, from);
    return;
  }
#pragma unroll
  for (u32 byte = 0; byte < bytes; byte += step) {
    u32 word = from[byte / 4] >> byte % 4 * 8;
    if constexpr (step == 1) st_global_u8(to + byte, word);
    else if constexpr (step == 2) st_global_u16(to + byte, word);
    else st_global_u32(to + byte, word);
  }
}

// One piece of a row of the output; two codes of 4 bits share a byte, which is a row's shortest step.
DEVICE void store_piece(u8 *to, const u32 (&piece)[PIECE_WORDS]) {
  store_words<PIECE_BYTES, OUT_BITS < 8 ? 1 : OUT_BITS / 8>(to, piece);
}

// Writes staged rows first .. first + count - 1, which one warp has staged; `place_of(r)` says what row r is. Rows at
// `limit` and beyond are left out. A lane takes one chunk at a time. All lanes convert together, those without a chunk
// one of zeros, so that an epilogue may exchange values between the lanes of a row; of 32 lanes those take part that
// hold whole groups.
template <typename place_fn>
DEVICE void store_rows(epilogue &epilogue, const launch_params &params, u32 rows, u32 first, u32 count, u32 limit,
                       place_fn place_of) {
#pragma unroll 1
  for (u32 begin = 0; begin < count * STAGED_CHUNKS; begin += STORE_LANES) {
    u32 lane = thread_index() % 32, index = begin + lane;
    u32 row = first + index / STAGED_CHUNKS, chunk = index % STAGED_CHUNKS;
    bool exists = row < limit && row < first + count && (STORE_LANES == 32 || lane < STORE_LANES);
    row_place place = place_of(exists ? row : first);
    u32 staged[4] = { 0, 0, 0, 0 }, piece[PIECE_WORDS];
    if (exists) ld_shared_16(staged, staged_address(rows, row, chunk));
    epilogue.convert(piece, staged, params, place, chunk, exists);
    if (exists) store_piece((u8 *)params.out + out_offset(params, place) * OUT_BITS / 8 + chunk * PIECE_BYTES, piece);
  }
}
