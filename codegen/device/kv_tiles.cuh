// The keys of a block: where their rows lie, and how tiles of them come to shared memory.
//
// Rows of a sequence lie one after the other, or in pages of PAGE_SIZE that a table names. They hold elements of the
// products, or codes of a cache: kv_elements.cuh, kv_codes.cuh.

constexpr bool KV_CODES = KV_BYTES < ELEMENT_BYTES;
constexpr u32 K_COPIED = KV_CODES ? HEAD_DIM * KV_BYTES / 16 : QK_CHUNKS; // chunks of a row as it lies in memory
constexpr u32 V_COPIED = KV_CODES ? V_HEAD_DIM * KV_BYTES / 16 : V_CHUNKS;
constexpr u32 K_RING_STRIDE = KV_CODES ? K_COPIED : QK_STRIDE, V_RING_STRIDE = KV_CODES ? V_COPIED : V_STRIDE;
constexpr u32 K_RING_BYTES = TILE_KV * K_RING_STRIDE * 16;
constexpr u32 KV_RING_BYTES = K_RING_BYTES + TILE_KV * V_RING_STRIDE * 16; // a tile of k and the one of v behind it

struct kv_rows {
  const u8 *k, *v;        // the first row, of the sequence or of page 0
  int k_stride, v_stride; // from row to row, in bytes
  i64 k_page, v_page;     // from page to page, in bytes
  const u8 *pages;        // the sequence's row of the table
  int count;
};

DEVICE kv_rows find_kv_rows(const launch_params &params, const sequence &s, u32 kv_head) {
  kv_rows rows;
  u32 outer = PAGE_SIZE > 0 ? 0 : s.batch;
  rows.k = (const u8 *)params.k + (outer * params.k_batch + s.first_kv * params.k_position + kv_head * params.k_head) * KV_BYTES;
  rows.v = (const u8 *)params.v + (outer * params.v_batch + s.first_kv * params.v_position + kv_head * params.v_head) * KV_BYTES;
  rows.k_stride = (int)(params.k_position * KV_BYTES);
  rows.v_stride = (int)(params.v_position * KV_BYTES);
  rows.k_page = params.k_batch * KV_BYTES;
  rows.v_page = params.v_batch * KV_BYTES;
  rows.pages = (const u8 *)params.page_table + s.batch * params.page_table_stride * 4;
  rows.count = s.kv_len;
  return rows;
}

// Where a position lies in pages. Of positions that do not exist the last one's row is said: the table may hold anything
// behind it.
DEVICE const u8 *paged_row(const kv_rows &rows, const u8 *base, int position, int stride, i64 page_stride) {
  constexpr int SIZE = PAGE_SIZE > 0 ? PAGE_SIZE : 1;
  int inside = position < rows.count ? position : rows.count - 1;
  u32 page = ld_global_u32(rows.pages + mul_wide(inside / SIZE, 4));
  return base + page * page_stride + mul_wide(inside % SIZE, stride);
}

// Starts the copy of tile `index` to its place in the ring. There must be a row of it.
DEVICE void load_kv_tile(const kv_rows &rows, u32 ring, int index) {
  u32 k_tile = ring + (u32)index % STAGES * KV_RING_BYTES, v_tile = k_tile + K_RING_BYTES;
  int first = index * (int)TILE_KV;
  u32 count = (u32)(rows.count - first);
  if constexpr (PAGE_SIZE > 0) {
    tile_load<TILE_KV, K_COPIED, K_RING_STRIDE>(
        k_tile, count, [&](u32 row) { return paged_row(rows, rows.k, first + (int)row, rows.k_stride, rows.k_page); });
    tile_load<TILE_KV, V_COPIED, V_RING_STRIDE>(
        v_tile, count, [&](u32 row) { return paged_row(rows, rows.v, first + (int)row, rows.v_stride, rows.v_page); });
  } else {
    const u8 *k = rows.k + mul_wide(first, rows.k_stride), *v = rows.v + mul_wide(first, rows.v_stride);
    tile_load<TILE_KV, K_COPIED, K_RING_STRIDE>(k_tile, count, [&](u32 row) { return k + mul_wide(row, rows.k_stride); });
    tile_load<TILE_KV, V_COPIED, V_RING_STRIDE>(v_tile, count, [&](u32 row) { return v + mul_wide(row, rows.v_stride); });
  }
}

// The scale of k or v that a kv head has.
template <int kind> DEVICE float read_kv_scale(u64 scales, u32 kv_head) {
  if constexpr (kind == KV_SCALE_NONE) return 1.0f;
  else return load_number<QN_F32>(scales, kind == KV_SCALE_HEAD ? kv_head : 0);
}
