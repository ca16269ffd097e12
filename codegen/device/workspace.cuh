// The workspace of a launch.
//
//   [ counters: u32 a token ][ finished rows: tokens x heads, of STAGED ][ parts of rows: see parts ]
//
// Counters are 0 between launches and have the same place in every launch of fewer tokens than COUNTERS, so that these
// may share a workspace. Rows are there if scales depend on several of them, parts if keys are shared out.

// The second output has the very values that are quantized, unless these are f32 where it is narrower: then its rows take
// the place of those in the workspace.
constexpr bool ROWS_UNQUANTIZED = UNQUANTIZED == STAGED;
constexpr u32 TOKEN_BYTES = DEFERRED && !ROWS_UNQUANTIZED ? HEADS * V_HEAD_DIM * STAGED_BYTES : 0;

DEVICE u8 *workspace_rows(const launch_params &params) {
  u32 tokens = params.batch * params.q_len;
  return (u8 *)params.workspace + (u64)(tokens > COUNTERS ? tokens : COUNTERS) * 4;
}
DEVICE u8 *workspace_parts(const launch_params &params) {
  return workspace_rows(params) + (u64)(params.batch * params.q_len) * TOKEN_BYTES;
}
