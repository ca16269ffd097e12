// Scales that are known, or that depend on one head alone: the epilogue's, by STORE_LANES lanes beside each other.

DEVICE void quantize(const launch_params &params) {
  u32 end = params.batch * params.q_len * ROW_CHUNKS;
  u32 lane = thread_index() % 32;
  u32 first = (block_index() * WARPS + thread_index() / 32) * (STORE_LANES * FLIGHT) + lane;
  if (lane >= STORE_LANES) first = end; // a lane without chunks
  row_place places[FLIGHT];
  u32 chunks[FLIGHT], loaded[FLIGHT][4];
#pragma unroll
  for (u32 f = 0; f < FLIGHT; f++) {
    u32 index = first + f * STORE_LANES, of_token = index % ROW_CHUNKS;
    places[f] = token_place(params, (index < end ? index : 0) / ROW_CHUNKS);
    // The padding of a token lies behind its last head.
    places[f].head = of_token / STAGED_CHUNKS < HEADS ? of_token / STAGED_CHUNKS : HEADS - 1;
    chunks[f] = of_token - places[f].head * STAGED_CHUNKS;
#pragma unroll
    for (int i = 0; i < 4; i++) loaded[f][i] = 0;
    if (index < end && chunks[f] < STAGED_CHUNKS) ld_global(loaded[f], input_row(params, places[f]) + chunks[f] * 16);
  }
  epilogue epilogue;
  epilogue.prepare(params);
#pragma unroll
  for (u32 f = 0; f < FLIGHT; f++) {
    u32 piece[PIECE_WORDS];
    bool exists = first + f * STORE_LANES < end, padding = chunks[f] >= STAGED_CHUNKS;
    epilogue.enter(params, places[f], padding ? 0 : chunks[f]);
    epilogue.convert(piece, loaded[f], params, places[f], chunks[f], exists && !padding);
#pragma unroll
    for (u32 i = 0; i < PIECE_WORDS; i++) piece[i] = padding ? 0 : piece[i];
    if (exists) store_piece(params, places[f], chunks[f], piece);
  }
}
