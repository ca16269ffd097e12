// From the staged rows through the epilogue to global memory, where a row needs no other one.

// Writes staged rows first .. first + count - 1, which one warp has staged; `place_of(r)` says what row r is. Rows at
// `limit` and beyond are left out. A lane takes one piece at a time. All lanes convert together, those without a piece
// one of zeros, so that an epilogue may exchange values between the lanes of a row; of 32 lanes those take part that
// hold whole groups. In front of a piece, or once for all where they hold the same channels, the epilogue is told which
// one comes.
template <typename place_fn>
DEVICE void store_rows(epilogue &epilogue, const launch_params &params, u32 rows, u32 first, u32 count, u32 limit,
                       place_fn place_of) {
  u32 lane = thread_index() % 32, rest = limit > first ? limit - first : 0;
  u32 pieces = (count < rest ? count : rest) * ROW_PIECES;
  if constexpr (SAME_CHANNELS) epilogue.enter(params, place_of(first), lane % ROW_PIECES);
#pragma unroll 1
  for (u32 begin = 0; begin < pieces; begin += STORE_LANES) {
    u32 index = begin + lane;
    u32 row = first + index / ROW_PIECES, piece = index % ROW_PIECES;
    bool exists = index < pieces && (STORE_LANES == 32 || lane < STORE_LANES);
    row_place place = place_of(exists ? row : first);
    u32 staged[STAGED_WORDS] = {}, out[PIECE_WORDS];
    if (exists) load_piece(staged, rows, row, piece);
    if constexpr (!SAME_CHANNELS) epilogue.enter(params, place, piece);
    epilogue.convert(out, staged, params, place, piece, exists);
    if (!exists) continue;
    store_piece(params, place, piece, out);
    if constexpr (UNQUANTIZED != QN_ANY) store_unquantized(params, place, piece, staged);
  }
  if constexpr (PAD_OF_TOKEN + PAD_OF_HEAD > 0)
    for (u32 row = first; row < first + count && row < limit; row++) store_padding(params, place_of(row), lane, 32);
}
