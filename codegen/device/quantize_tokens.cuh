// Scales that depend on all heads of a token: the row quantizer's.

DEVICE void quantize(const launch_params &params) {
  u32 begin = block_index() * SPANS_AT_ONCE<THREADS>;
  quantize_spans<THREADS>(params, begin, params.batch * params.q_len * SPANS, params.q_head * STAGED_BYTES,
                          [&](u32 token) { return token_place(params, token); },
                          [&](const row_place &place) { return input_row(params, place); });
}
