// The schedule `quantize`: rows that another kernel has finished are read from global memory as q. Memory is all that it
// waits for: every lane has some chunks of 16 bytes under way before it needs the first, and nothing is read twice
// that fits the registers. Sequences that lie end to end are one, of all tokens.

DEVICE const u8 *input_row(const launch_params &params, const row_place &place) {
  return (const u8 *)params.q +
         (place.batch * params.q_batch + place.position * params.q_position + place.head * params.q_head) * STAGED_BYTES;
}
DEVICE row_place token_place(const launch_params &params, u32 token) {
  return { token / params.q_len, token % params.q_len, 0 };
}
