// The row quantizer: whole tokens, all their heads, from global memory to codes, under a scheme whose scales depend on
// more than one head. A span is what shares a scale: the token, or a group of it.
//
//   token   | head 0 | head 1 | head 2 | ...            chunks of 16 bytes, each within one head
//   spans   |     0      |     1      | ...
//   team    lane 0 1 .. TEAM - 1, 0 1 ..                 each lane takes every TEAM-th chunk of a span
//
// A team is up to 32 lanes beside each other, or all threads of a block. It has FLIGHT spans under way, so that each lane
// loads several chunks before it needs one. Those of short spans stay in registers from the search for amax to the codes;
// longer ones are read again, from L1.

constexpr u32 TOKEN_CHUNKS = HEADS * STAGED_CHUNKS; // those that are read; ROW_CHUNKS counts the padding too
constexpr u32 LANE_CHUNKS = (SPAN_CHUNKS + TEAM - 1) / TEAM;
constexpr bool KEPT = LANE_CHUNKS * FLIGHT <= 8;
constexpr u32 BATCH = KEPT ? LANE_CHUNKS : 4; // chunks whose code is written out: of more, NVRTC's time is noticed
constexpr bool ASYMMETRIC = RECIPE.zero_point != QN_ZERO_POINT_NONE;

// What a lane, or a team, knows of the values of a span; NaN where it has none. Symmetric schemes need `high` alone: amax.
struct extent {
  float low, high;
};
DEVICE extent no_extent() { return { float_of(0x7fffffffu), ASYMMETRIC ? float_of(0x7fffffffu) : 0.0f }; }
DEVICE void widen(extent &e, float low, float high) {
  if constexpr (ASYMMETRIC) e.low = min_f32(e.low, low);
  e.high = max_f32(e.high, high);
}

// Of all lanes of a team, to all of them. A team that is a block meets in shared memory, once a launch.
DEVICE extent team_extent(extent e) {
#pragma unroll
  for (u32 lanes = 1; lanes < TEAM && lanes < 32; lanes *= 2)
    widen(e, ASYMMETRIC ? shuffle_xor(e.low, lanes) : 0.0f, shuffle_xor(e.high, lanes));
  if constexpr (TEAM > 32) {
    u32 place = shared_base() + thread_index() / 32 * 8;
    if (thread_index() % 32 == 0) st_shared_8(place, bits_of(e.low), bits_of(e.high));
    block_sync();
#pragma unroll
    for (u32 warp = 0; warp < TEAM / 32; warp++)
      widen(e, float_of(ld_shared_u32(shared_base() + warp * 8)), float_of(ld_shared_u32(shared_base() + warp * 8 + 4)));
  }
  return e;
}

// A span of a token, and what this lane holds of it.
struct token_span {
  row_place place; // of head 0 of the token
  const u8 *row;   // of head 0
  u32 group, first; // of the token, and its first chunk
  u32 count;       // of chunks of it that are read; 0: there is no such span
  u32 written;     // of chunks of it that are written: the padding too
  u32 kept[BATCH][4];
};

// Chunk `index` of a span.
DEVICE void load_chunk(u32 (&chunk)[4], const token_span &span, u32 index, i64 head_bytes) {
#pragma unroll
  for (int i = 0; i < 4; i++) chunk[i] = 0;
  if (index >= span.count) return;
  u32 of_token = span.first + index;
  ld_global(chunk, span.row + of_token / STAGED_CHUNKS * head_bytes + of_token % STAGED_CHUNKS * 16);
}

// The head that chunk `of_token` of a token is of; the padding counts with the last one.
DEVICE row_place chunk_place(const row_place &token, u32 of_token) {
  u32 head = of_token / STAGED_CHUNKS;
  return { token.batch, token.position, head < HEADS ? head : HEADS - 1 };
}

// Values of chunk `index` of a span.
DEVICE void read_chunk(float (&values)[PIECE_ELEMENTS], const u32 (&chunk)[4], const launch_params &params, const token_span &span, u32 index) {
  chunk_values reader;
  reader.enter(params, chunk_place(span.place, span.first + index), (span.first + index) % STAGED_CHUNKS);
  reader.read(values, chunk);
}

// What the values of a span become codes with.
struct span_scale {
  float factor, zero_point;
};

// From the extent of a span; the lane that `writes` stores it. Groups that hold padding alone have scale 0.
DEVICE span_scale make_scale(const launch_params &params, extent e, const token_span &span, bool writes) {
  float global = 1.0f, scale;
  span_scale result = { 0.0f, 0.0f };
  if constexpr (RECIPE.global != QN_GLOBAL_NONE) global = load_number<QN_F32>(params.output_scale);
  if constexpr (ASYMMETRIC) {
    if (e.low != e.low) e.low = e.high = 0.0f; // no value, or NaN alone
    scale = qn_recipe_scale_of_range(&RECIPE, e.low, e.high);
    result.zero_point = qn_recipe_zero_point(&RECIPE, e.low, e.high, scale);
    result.factor = qn_recipe_factor(&RECIPE, scale, 0.0f, global);
  } else {
    if constexpr (SCALE_BOUND) e.high = min_f32(e.high, load_number<QN_F32>(params.scale_bound));
    scale = qn_recipe_scale(&RECIPE, e.high, global);
    result.factor = qn_recipe_factor(&RECIPE, scale, e.high, global);
  }
  if (!writes) return result;
  bool padding = span.count == 0;
  store_scale(params, span.place, span.group, padding ? 0.0f : scale);
  if constexpr (ASYMMETRIC) store_zero_point(params, span.place, span.group, padding ? 0.0f : result.zero_point);
  return result;
}

DEVICE void encode_chunk(u32 (&piece)[PIECE_WORDS], float (&values)[PIECE_ELEMENTS], const span_scale &scale) {
#pragma unroll
  for (u32 i = 0; i < PIECE_ELEMENTS; i++) values[i] = qn_recipe_quotient(&RECIPE, values[i], scale.factor);
  if constexpr (!ASYMMETRIC) {
    encode(piece, values);
  } else { // a zero point may be too far away for an integer
#pragma unroll
    for (u32 i = 0; i < PIECE_ELEMENTS; i += 4) {
      int codes[4];
#pragma unroll
      for (u32 j = 0; j < 4; j++) codes[j] = int_from_f32(qn_recipe_integer(&RECIPE, values[i + j], scale.zero_point));
      piece[i / 4] = code_quad(codes);
    }
  }
}

// Writes chunk `index` of a span as codes, or as zeros where it is padding, which lies behind the last head.
DEVICE void store_chunk(const launch_params &params, const token_span &span, u32 index, const u32 (&chunk)[4], const span_scale &scale) {
  if (index >= span.written) return;
  u32 piece[PIECE_WORDS] = {};
  if (index < span.count) {
    float values[PIECE_ELEMENTS];
    read_chunk(values, chunk, params, span, index);
    encode_chunk(piece, values, scale);
  }
  row_place place = chunk_place(span.place, span.first + index);
  store_piece(params, place, span.first + index - place.head * STAGED_CHUNKS, piece);
}

// The extent of the values that this lane has of a span.
DEVICE extent lane_extent(const token_span &span, const launch_params &params, u32 lane, i64 head_bytes) {
  extent e = no_extent();
#pragma unroll(KEPT ? LANE_CHUNKS : 8)
  for (u32 i = 0; i < LANE_CHUNKS; i++) {
    u32 again[4], index = i * TEAM + lane;
    if constexpr (!KEPT) load_chunk(again, span, index, head_bytes);
    if (index >= span.count) continue;
    float values[PIECE_ELEMENTS];
    if constexpr (KEPT) read_chunk(values, span.kept[i], params, span, index);
    else read_chunk(values, again, params, span, index);
#pragma unroll
    for (u32 j = 0; j < PIECE_ELEMENTS; j++) widen(e, values[j], ASYMMETRIC ? values[j] : abs_f32(values[j]));
  }
  return e;
}

// Spans that the threads of a warp, or of a block, have under way at once.
template <u32 SCOPE> constexpr u32 SPANS_AT_ONCE = SCOPE / TEAM * FLIGHT;

// Quantizes the first SPANS_AT_ONCE of spans begin .. end - 1, counted over tokens; `SCOPE` threads call it together.
// `place_of(t)` says which token t is, `row_of(place)` where its head 0 is read, and heads are `head_bytes` apart.
template <u32 SCOPE, typename place_fn, typename row_fn>
DEVICE void quantize_spans(const launch_params &params, u32 begin, u32 end, i64 head_bytes, place_fn place_of, row_fn row_of) {
  u32 team = thread_index() % SCOPE / TEAM, lane = thread_index() % TEAM;
  token_span spans[FLIGHT];
#pragma unroll
  for (u32 f = 0; f < FLIGHT; f++) {
    token_span &span = spans[f];
    u32 index = begin + f * (SCOPE / TEAM) + team;
    bool exists = index < end;
    span.place = place_of(exists ? index / SPANS : begin / SPANS);
    span.row = row_of(span.place);
    span.group = index % SPANS;
    span.first = span.group * SPAN_CHUNKS;
    u32 read = TOKEN_CHUNKS > span.first ? TOKEN_CHUNKS - span.first : 0, written = ROW_CHUNKS - span.first;
    span.count = !exists ? 0 : read < SPAN_CHUNKS ? read : SPAN_CHUNKS;
    span.written = !exists ? 0 : written < SPAN_CHUNKS ? written : SPAN_CHUNKS;
    if constexpr (KEPT)
#pragma unroll
      for (u32 i = 0; i < LANE_CHUNKS; i++) load_chunk(span.kept[i], span, i * TEAM + lane, head_bytes);
  }
#pragma unroll
  for (u32 f = 0; f < FLIGHT; f++) {
    token_span &span = spans[f];
    extent e = team_extent(lane_extent(span, params, lane, head_bytes));
    span_scale scale = make_scale(params, e, span, lane == 0 && span.written > 0);
#pragma unroll 1
    for (u32 from = 0; from < LANE_CHUNKS; from += BATCH) {
      if constexpr (!KEPT)
#pragma unroll
        for (u32 i = 0; i < BATCH; i++) load_chunk(span.kept[i], span, (from + i) * TEAM + lane, head_bytes);
#pragma unroll
      for (u32 i = 0; i < BATCH; i++) store_chunk(params, span, (from + i) * TEAM + lane, span.kept[i], scale);
    }
  }
}
