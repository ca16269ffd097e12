// Tiles in shared memory: rows of 16-byte chunks, `stride` chunks from one row to the next.
//
// Eight chunks span all banks, so what is read together, eight rows of one column of chunks, must lie at eight
// different places modulo 8. With g = gcd(stride, 8), rows that are 8 / g apart would meet; chunk c of row r stands
// at place c ^ (r / (8 / g) % g) instead, which leaves it among the same g chunks of its row. An odd stride needs
// nothing, and with a multiple of 8 it is c ^ (r % 8).

constexpr u32 QK_CHUNKS = HEAD_DIM * ELEMENT_BYTES / 16;
constexpr u32 V_CHUNKS = V_HEAD_DIM * ELEMENT_BYTES / 16;
constexpr u32 Q_TILE_BYTES = TILE_Q * QK_STRIDE * 16;
constexpr u32 K_TILE_BYTES = TILE_KV * QK_STRIDE * 16;

template <u32 stride> constexpr u32 GCD_8 = stride % 8 == 0 ? 8 : stride % 4 == 0 ? 4 : stride % 2 == 0 ? 2 : 1;

// Where `unit` chunks of a row are accessed together with those of 8 / unit rows, they are moved together.
template <u32 stride, u32 unit = 1> DEVICE u32 swizzle(u32 row) {
  return row / (8 / GCD_8<stride>) % (GCD_8<stride> / unit) * unit;
}

template <u32 stride, u32 unit = 1> DEVICE u32 tile_address(u32 tile, u32 row, u32 chunk) {
  return tile + row * (stride * 16) + ((chunk ^ swizzle<stride, unit>(row)) << 4);
}

// The same for chunk `even` + `odd`, where `even` is an even number known at compile time and `odd` is 0 or 1. Said
// apart, a row needs four different exclusive-ors at most, and the rest of the address is a constant.
template <u32 stride, u32 unit = 1> DEVICE u32 tile_address(u32 tile, u32 row, u32 even, u32 odd) {
  constexpr u32 g = GCD_8<stride>;
  return tile + row * (stride * 16) + even / g * g * 16 + ((even % g ^ (odd ^ swizzle<stride, unit>(row))) << 4);
}

// Starts the copy of a tile of `rows` rows of `chunks` chunks from where `row_start(row)` says. Of the rows, `count`
// exist; the others become zero, and so do the chunks that a row in shared memory is longer than `chunks`. Addresses of
// rows that do not exist are computed but not read: to choose others would cost more than the copy. At most four copies are
// unrolled: what each of them needs is the same for every tile, and the compiler would keep all of it in registers.
template <u32 rows, u32 chunks, u32 stride, typename row_start_fn>
DEVICE void tile_load(u32 tile, u32 count, row_start_fn row_start) {
#pragma unroll 4
  for (u32 i = 0; i < (rows * stride + THREADS - 1) / THREADS; i++) {
    u32 index = i * THREADS + thread_index();
    if (rows * stride % THREADS != 0 && index >= rows * stride) break;
    u32 row = index / stride, chunk = index % stride;
    bool exists = row < count && (chunks == stride || chunk < chunks);
    cp_async_16(tile_address<stride>(tile, row, chunk), row_start(row) + chunk * 16, exists);
  }
}
