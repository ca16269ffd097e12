// A cache of codes: the ring holds tiles of codes, and each becomes a tile of elements when it is needed, in the one place
// behind the ring. An element holds any code exactly; the scales of k and v come into scores and finished rows.
//
//   shared memory:  [ q tile ][ k 0 ][ v 0 ][ k 1 ][ v 1 ] ... [ k of elements ][ v of elements ]

// Two codes as two elements of the products. Both types have fewer bits than f16 in exponent and significand, and e5m2 is
// the upper half of it.
DEVICE u32 elements_of_codes(u32 codes) {
  u32 halves;
  if constexpr (KV_TYPE == QN_E5M2) halves = (codes & 0xffu) << 8 | (codes & 0xff00u) << 16;
  else halves = f16x2_from_e4m3x2(codes & 0xffffu);
  if constexpr (ELEMENT == QN_F16) return halves;
  else return bf16x2_from_f32(f32_from_f16(halves & 0xffffu), f32_from_f16(halves >> 16));
}

// Turns rows first .. first + count - 1 of a tile of codes into rows of elements; the threads of `threads` that call it are
// numbered by `thread`. Eight codes at a time make one chunk.
template <u32 chunks, u32 from_stride, u32 to_stride>
DEVICE void convert_rows(u32 from, u32 to, u32 first, u32 count, u32 thread, u32 threads) {
#pragma unroll 2
  for (u32 index = thread; index < count * chunks; index += threads) {
    u32 row = first + index / chunks, chunk = index % chunks, codes[2], elements[4];
    ld_shared_8(codes, tile_address<from_stride>(from, row, chunk / 2) + chunk % 2 * 8);
    for (int i = 0; i < 4; i++) elements[i] = elements_of_codes(codes[i / 2] >> i % 2 * 16);
    st_shared_16(tile_address<to_stride>(to, row, chunk), elements);
  }
}

// The tile `index`, which has arrived for all, as elements: where k's tile is; v's is behind it. Warps that share rows turn
// those keys into elements that they work on.
DEVICE u32 take_kv_tile(u32 ring, int index) {
  u32 tile = ring + (u32)index % STAGES * KV_RING_BYTES;
  u32 elements = ring + STAGES * KV_RING_BYTES, first = kv_warp() * WARP_KV;
  u32 thread = row_warp() * 32 + thread_index() % 32;
  convert_rows<QK_CHUNKS, K_COPIED, QK_STRIDE>(tile, elements, first, WARP_KV, thread, THREADS / KV_WARPS);
  convert_rows<V_CHUNKS, V_COPIED, V_STRIDE>(tile + K_RING_BYTES, elements + K_TILE_BYTES, first, WARP_KV, thread,
                                             THREADS / KV_WARPS);
  if constexpr (KV_WARPS == WARPS) warp_sync();
  else block_sync();
  return elements;
}
