// To global memory: pieces of rows that may start anywhere, and what lies behind them.

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

// Two codes of 4 bits share a byte, which is the shortest step.
DEVICE void store_piece(const launch_params &params, const row_place &place, u32 index, const u32 (&piece)[PIECE_WORDS]) {
  u8 *row = (u8 *)params.out + out_offset(params, place) * OUT_BITS / 8;
  store_words<PIECE_BYTES, OUT_BITS < 8 ? 1 : OUT_BITS / 8>(row + index * PIECE_BYTES, piece);
}

// A staged piece as one of the second output.
DEVICE void store_unquantized(const launch_params &params, const row_place &place, u32 index, const u32 (&staged)[STAGED_WORDS]) {
  constexpr u32 BYTES = BYTES_OF<UNQUANTIZED>, STEP = 16 / STAGED_BYTES * BYTES; // of a chunk
  i64 offset = place.batch * params.unquantized_batch + place.head * params.unquantized_head +
               place.position * params.unquantized_position + index * PIECE_ELEMENTS;
  u8 *to = (u8 *)params.unquantized + offset * BYTES;
#pragma unroll
  for (u32 c = 0; c < PIECE_CHUNKS; c++) {
    u32 words[STEP / 4];
#pragma unroll
    for (u32 i = 0; i < STEP / 4; i++) {
      if constexpr (BYTES == STAGED_BYTES) words[i] = staged[c * 4 + i];
      else words[i] = pair_from_f32<UNQUANTIZED>(float_of(staged[c * 4 + i * 2]), float_of(staged[c * 4 + i * 2 + 1]));
    }
    store_words<STEP, BYTES>(to + c * STEP, words);
  }
}

// Codes of 0 behind the last head of a token, or behind each head where heads do not lie end to end.
DEVICE void store_padding(const launch_params &params, const row_place &place, u32 lane, u32 lanes) {
  bool merged = params.out_head == V_HEAD_DIM;
  if (merged && place.head != HEADS - 1) return;
  u32 bytes = (merged ? PAD_OF_TOKEN : PAD_OF_HEAD) * OUT_BITS / 8;
  u8 *end = (u8 *)params.out + (out_offset(params, place) + V_HEAD_DIM) * OUT_BITS / 8;
  for (u32 byte = lane; byte < bytes; byte += lanes) st_global_u8(end + byte, 0);
}
