// Output whose scales depend on all heads of a token, while a block has one head, or those of one kv head. Every warp
// leaves its rows in the workspace and arrives at a counter; the last one of the heads quantizes the tokens.
//
//   warp of head 0    rows -> workspace    arrives
//   warp of head 2    rows -> workspace         arrives
//   warp of head 1    rows -> workspace              arrives last    tokens -> codes and scales
//
// Warps arrive and not blocks: no warp waits for another of its block, and the tokens of a tile may be quantized by warps
// of several blocks. The schedule starts the heads of a tile one after the other, so that few rows wait at a time, and
// those in L2.
//
// What makes the rows of the other heads visible: the lanes' stores come before the warp's barrier, the barrier before
// the arrival, which releases at the scope of the device all that its thread has seen; the last arrival acquires what
// all arrivals before it have released, since each of them has read and replaced the value of the one before; and the
// second barrier comes before the lanes' loads. Nobody reads the counter but by arriving. It wraps to 0 with the last
// arrival: a launch that follows on the stream finds it as this one did.

struct epilogue {
  DEVICE void prepare(const launch_params &) {}
};

struct token_rows {
  u8 *base;
  i64 batch, position, head; // in bytes
};
DEVICE token_rows find_token_rows(const launch_params &params) {
  token_rows rows;
  if constexpr (ROWS_UNQUANTIZED) {
    rows = { (u8 *)params.unquantized, params.unquantized_batch * STAGED_BYTES, params.unquantized_position * STAGED_BYTES,
             params.unquantized_head * STAGED_BYTES };
  } else {
    rows.base = workspace_rows(params);
    rows.head = V_HEAD_DIM * STAGED_BYTES;
    rows.position = HEADS * rows.head;
    rows.batch = params.q_len * rows.position;
  }
  return rows;
}
DEVICE u8 *row_at(const token_rows &rows, const row_place &place) {
  return rows.base + place.batch * rows.batch + place.position * rows.position + place.head * rows.head;
}

// Warp: whether all heads of the tokens from `token` on have arrived with this warp's.
DEVICE bool arrive_last(const launch_params &params, u32 token) {
  u32 arrived = 0;
  warp_sync();
  if (thread_index() % 32 == 0) arrived = atomic_increment((u8 *)params.workspace + (u64)token * 4, ARRIVALS - 1);
  arrived = shuffle_first(arrived);
  warp_sync();
  return arrived == ARRIVALS - 1;
}

// Stores staged rows first .. first + count - 1 (store_rows.cuh), which are whole tokens of the heads that the block has.
// All blocks divide the tokens among their warps alike: the first one names the counter.
template <typename place_fn>
DEVICE void store_rows(epilogue &, const launch_params &params, u32 rows, u32 first, u32 count, u32 limit, place_fn place_of) {
  if (first >= limit) return;
  u32 end = first + count < limit ? first + count : limit;
  token_rows to = find_token_rows(params);
#pragma unroll 1
  for (u32 index = thread_index() % 32; index < (end - first) * STAGED_CHUNKS; index += 32) {
    u32 row = first + index / STAGED_CHUNKS, chunk = index % STAGED_CHUNKS, staged[4];
    row_place place = place_of(row);
    ld_shared_16(staged, staged_address(rows, row, chunk));
    st_global(row_at(to, place) + chunk * 16, staged);
    if constexpr (UNQUANTIZED != QN_ANY && !ROWS_UNQUANTIZED) store_unquantized(params, place, chunk, staged);
  }

  row_place begin = place_of(first);
  begin.head = 0;
  if (!arrive_last(params, token_of(params, begin))) return;
  u32 spans = (place_of(end - 1).position - begin.position + 1) * SPANS;
#pragma unroll 1
  for (u32 span = 0; span < spans; span += SPANS_AT_ONCE<32>)
    quantize_spans<32>(params, span, spans, to.head,
                       [&](u32 token) { return row_place{ begin.batch, begin.position + token, 0 }; },
                       [&](const row_place &place) { return row_at(to, place); });
}
