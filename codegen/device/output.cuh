// Between schedule and epilogue: the finished rows of a block, staged in shared memory as elements of STAGED.
//
// STAGED is the type that an unfused kernel writes. A fused kernel in exact numerics quantizes these very values,
// which is why its codes are those of the unfused output; in direct numerics STAGED is f32.

constexpr u32 STAGED_BYTES = STAGED == ELEMENT_F32 ? 4 : 2;
constexpr u32 STAGED_ROW_BYTES = HEAD_DIM * STAGED_BYTES;

// Two neighbouring values of a row, the first of which has an even column.
DEVICE void stage_pair(u32 rows, u32 row, u32 column, float low, float high) {
  u32 byte = column * STAGED_BYTES;
  u32 to = tile_address<STAGED_ROW_BYTES>(rows, row, byte / 16) + byte % 16;
  if constexpr (STAGED == ELEMENT_F32) st_shared_u64(to, (u64)bits_of(low) | (u64)bits_of(high) << 32);
  else if constexpr (STAGED == ELEMENT_F16) st_shared_u32(to, f16x2_from_f32(low, high));
  else st_shared_u32(to, bf16x2_from_f32(low, high));
}

// The staged bytes 16 * chunk .. of a row.
DEVICE void load_staged(u32 (&value)[4], u32 rows, u32 row, u32 chunk) {
  ld_shared_16(value, tile_address<STAGED_ROW_BYTES>(rows, row, chunk));
}
