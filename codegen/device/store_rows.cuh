// From the staged rows through the epilogue to global memory, where a row needs no other one.

// Writes staged rows first .. first + count - 1, which one warp has staged; `place_of(r)` says what row r is. Rows at
// `limit` and beyond are left out. A lane takes one chunk at a time. All lanes convert together, those without a chunk
// one of zeros, so that an epilogue may exchange values between the lanes of a row; of 32 lanes those take part that
// hold whole groups. In front of a chunk, or once for all where they hold the same channels, the epilogue is told which
// one comes.
template <typename place_fn>
DEVICE void store_rows(epilogue &epilogue, const launch_params &params, u32 rows, u32 first, u32 count, u32 limit,
                       place_fn place_of) {
  u32 lane = thread_index() % 32;
  if constexpr (SAME_CHANNELS) epilogue.enter(params, place_of(first), lane % STAGED_CHUNKS);
#pragma unroll 1
  for (u32 begin = 0; begin < count * STAGED_CHUNKS; begin += STORE_LANES) {
    u32 index = begin + lane;
    u32 row = first + index / STAGED_CHUNKS, chunk = index % STAGED_CHUNKS;
    bool exists = row < limit && row < first + count && (STORE_LANES == 32 || lane < STORE_LANES);
    row_place place = place_of(exists ? row : first);
    u32 staged[4] = { 0, 0, 0, 0 }, piece[PIECE_WORDS];
    if (exists) ld_shared_16(staged, staged_address(rows, row, chunk));
    if constexpr (!SAME_CHANNELS) epilogue.enter(params, place, chunk);
    epilogue.convert(piece, staged, params, place, chunk, exists);
    if (!exists) continue;
    store_piece(params, place, chunk, piece);
    if constexpr (UNQUANTIZED != QN_ANY) store_unquantized(params, place, chunk, staged);
  }
  if constexpr (PAD_OF_TOKEN + PAD_OF_HEAD > 0)
    for (u32 row = first; row < first + count && row < limit; row++) store_padding(params, place_of(row), lane, 32);
}
