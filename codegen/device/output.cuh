// Between schedule and epilogue: the finished rows of a block, staged in shared memory as elements of STAGED.
//
// STAGED is the type that an unfused kernel writes. A fused kernel in exact numerics quantizes these very values,
// which is why its codes are those of the unfused output; in direct numerics STAGED is f32.

constexpr u32 STAGED_BYTES = STAGED == QN_F32 ? 4 : 2;
constexpr u32 STAGED_CHUNKS = V_HEAD_DIM * STAGED_BYTES / 16;
// An accumulator's row is two chunks of f32, of which four rows are stored at once, or one chunk of eight rows.
constexpr u32 STAGED_UNIT = STAGED_BYTES / 2;

DEVICE u32 staged_address(u32 rows, u32 row, u32 chunk) {
  return tile_address<STAGED_CHUNKS, STAGED_UNIT>(rows, row, chunk);
}

// Two neighbouring values of a row, the first of which has an even column.
DEVICE void stage_pair(u32 rows, u32 row, u32 column, float low, float high) {
  u32 byte = column * STAGED_BYTES;
  u32 to = staged_address(rows, row, byte / 16) + byte % 16;
  if constexpr (STAGED == QN_F32) st_shared_8(to, bits_of(low), bits_of(high));
  else if constexpr (STAGED == QN_F16) st_shared_u32(to, f16x2_from_f32(low, high));
  else st_shared_u32(to, bf16x2_from_f32(low, high));
}

// Four neighbouring values of a row, the first of which has a column that is a multiple of four.
DEVICE void stage_four(u32 rows, u32 row, u32 column, const float (&x)[4]) {
  u32 byte = column * STAGED_BYTES;
  u32 to = staged_address(rows, row, byte / 16) + byte % 16;
  if constexpr (STAGED == QN_F32) st_shared_16(to, { bits_of(x[0]), bits_of(x[1]), bits_of(x[2]), bits_of(x[3]) });
  else if constexpr (STAGED == QN_F16) st_shared_8(to, f16x2_from_f32(x[0], x[1]), f16x2_from_f32(x[2], x[3]));
  else st_shared_8(to, bf16x2_from_f32(x[0], x[1]), bf16x2_from_f32(x[2], x[3]));
}

// What a row of the output is. Where sequences lie end to end, batch is 0 and the position is the token.
struct row_place {
  u32 batch, position, head;
};
DEVICE u32 token_of(const launch_params &params, const row_place &place) {
  return place.batch * params.q_len + place.position;
}
DEVICE i64 out_offset(const launch_params &params, const row_place &place) {
  return place.batch * params.out_batch + place.head * params.out_head + place.position * params.out_position;
}

// What a lane takes together, PIECE_CHUNKS staged chunks, becomes one piece of the output. The shortest has two bytes: four
// codes of 4 bits.
constexpr u32 STAGED_WORDS = PIECE_CHUNKS * 4;
constexpr u32 PIECE_ELEMENTS = PIECE_CHUNKS * 16 / STAGED_BYTES;
constexpr u32 PIECE_BYTES = PIECE_ELEMENTS * OUT_BITS / 8;
constexpr u32 PIECE_WORDS = (PIECE_BYTES + 3) / 4;
constexpr u32 ROW_PIECES = STAGED_CHUNKS / PIECE_CHUNKS;

// Whether all pieces that a lane takes of one warp's rows hold the same channels (store_rows).
constexpr bool SAME_CHANNELS = PACK == 1 && STORE_LANES % ROW_PIECES == 0;

DEVICE void load_piece(u32 (&staged)[4], u32 rows, u32 row, u32 piece) { ld_shared_16(staged, staged_address(rows, row, piece)); }

// Two chunks. Of eight lanes that read at once, each one chunk, those of the first eight chunks must find an even place,
// and those of the next eight an odd one, or two of them would meet in their banks. So a lane begins with the chunk of
// its two that has such a place; the other one is beside it.
DEVICE void load_piece(u32 (&staged)[8], u32 rows, u32 row, u32 piece) {
  u32 begin = (row * ROW_PIECES + piece) * 2, second = (begin / 8 ^ swizzle<STAGED_CHUNKS, STAGED_UNIT>(row)) & 1;
  u32 address = staged_address(rows, row, piece * 2 + second), one[4], other[4];
  ld_shared_16(one, address);
  ld_shared_16(other, address ^ 16);
#pragma unroll
  for (u32 i = 0; i < 4; i++) {
    staged[i] = second ? other[i] : one[i];
    staged[i + 4] = second ? one[i] : other[i];
  }
}
