// The sequence that a block works on: its lengths, where it starts, and which of its keys a query sees. Query i stands
// at position i + offset among the keys; causality, windows and slopes go by that. What a query sees is one range, whose
// ends never fall from one query to the next.

struct sequence {
  u32 q_len;
  int kv_len;
  int offset;
  u32 batch;            // 0 where sequences lie end to end, whose tokens come one after the other
  u32 first_q, first_kv; // tokens of the sequences before; 0 unless they lie end to end
};

// Element `index` of kv_lengths or cumulative lengths. Lengths are not negative and below 2^32: of an s64 the low half
// says all.
DEVICE u32 read_length(u64 lengths, u32 index) { return ld_global_u32((const u8 *)lengths + (u64)index * LENGTH_BYTES); }

DEVICE sequence find_sequence(const launch_params &params, u32 batch) {
  sequence s = { params.q_len, (int)params.kv_len, 0, batch, 0, 0 };
  if constexpr (VARLEN) {
    s.batch = 0;
    s.first_q = read_length(params.cu_seqlens_q, batch);
    s.first_kv = read_length(params.cu_seqlens_kv, batch);
    s.q_len = read_length(params.cu_seqlens_q, batch + 1) - s.first_q;
    s.kv_len = (int)(read_length(params.cu_seqlens_kv, batch + 1) - s.first_kv);
  }
  if constexpr (KV_LENGTHS) {
    int length = (int)read_length(params.kv_lengths, batch);
    s.kv_len = length < s.kv_len ? length : s.kv_len;
  }
  if constexpr (CAUSAL == CAUSAL_BOTTOM_RIGHT || KV_LENGTHS) s.offset = s.kv_len - (int)s.q_len;
  return s;
}

// Causality is a window without keys on the right, and no wider one counts beside it. Windows are below 2^30 and so are
// the sums of lengths: nothing overflows.
constexpr int REACH = CAUSAL == CAUSAL_NONE ? WINDOW_RIGHT : 0;

// The keys that `query` sees: from first_key to below end_key.
DEVICE int first_key(const sequence &s, u32 query) {
  if constexpr (WINDOW_LEFT < 0) return 0;
  int first = (int)query + s.offset - WINDOW_LEFT;
  return first > 0 ? first : 0;
}
DEVICE int end_key(const sequence &s, u32 query) {
  int end = s.kv_len;
  if constexpr (REACH >= 0) {
    int reach = (int)query + s.offset + REACH + 1;
    end = reach < end ? reach : end;
  }
  return end;
}

// The tiles of keys that some query of first .. last sees, and among them those that all of these see whole.
struct tile_range {
  int begin, end, full_begin, full_end;
};

DEVICE tile_range find_tiles(const sequence &s, u32 first, u32 last) {
  tile_range tiles = { 0, 0, 0, 0 };
  int fewest = end_key(s, first), most = end_key(s, last);
  tiles.full_end = fewest > 0 ? fewest / (int)TILE_KV : 0;
  tiles.end = most > 0 ? (most + (int)TILE_KV - 1) / (int)TILE_KV : 0;
  if constexpr (WINDOW_LEFT >= 0) {
    tiles.begin = first_key(s, first) / (int)TILE_KV;
    tiles.full_begin = (first_key(s, last) + (int)TILE_KV - 1) / (int)TILE_KV;
  }
  return tiles;
}

DEVICE bool is_full(const tile_range &tiles, int index) {
  return index < tiles.full_end && (WINDOW_LEFT < 0 || index >= tiles.full_begin);
}
