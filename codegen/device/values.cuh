// What an epilogue quantizes: the values of a piece, times their factors of pre_scale, rounded as the scheme
// says; and numbers of which each channel has one.

// Elements `index` and `index` + 1 of words; `index` is even.
template <int type, u32 words> DEVICE void unpack_pair(float &low, float &high, const u32 (&bytes)[words], u32 index) {
  if constexpr (type == QN_F32) {
    low = float_of(bytes[index]);
    high = float_of(bytes[index + 1]);
  } else {
    split_pair<type>(low, high, bytes[index / 2]);
  }
}

// Values of `type`.
template <int type> DEVICE void round_values(float (&x)[PIECE_ELEMENTS]) {
  if constexpr (type == QN_F16 || type == QN_BF16) {
#pragma unroll
    for (u32 i = 0; i < PIECE_ELEMENTS; i += 2)
      split_pair<type>(x[i], x[i + 1], pair_from_f32<type>(x[i], x[i + 1]));
  }
}

// Bits of the numbers of a piece's channels. Head 0's lie at `from`, those of the next one `head` elements further; both
// are so aligned that a chunk's can be read at once.
template <int type> DEVICE void load_channels(u32 (&bits)[PIECE_ELEMENTS], u64 from, i64 head, const row_place &place, u32 piece) {
  constexpr u32 BYTES = PIECE_ELEMENTS * BYTES_OF<type>, WORDS = BYTES / 4;
  const u8 *at = (const u8 *)from + (place.head * head + piece * PIECE_ELEMENTS) * BYTES_OF<type>;
  u32 words[WORDS];
#pragma unroll
  for (u32 c = 0; c < PIECE_CHUNKS; c++) {
    u32 chunk[WORDS / PIECE_CHUNKS];
    ld_global(chunk, at + c * (BYTES / PIECE_CHUNKS));
#pragma unroll
    for (u32 i = 0; i < WORDS / PIECE_CHUNKS; i++) words[c * (WORDS / PIECE_CHUNKS) + i] = chunk[i];
  }
#pragma unroll
  for (u32 i = 0; i < PIECE_ELEMENTS; i++) {
    u32 bit = i * BYTES_OF<type> * 8;
    bits[i] = BYTES_OF<type> == 4 ? words[i] : words[bit / 32] >> bit % 32 & (BYTES_OF<type> == 2 ? 0xffffu : 0xffu);
  }
}
template <int type> DEVICE void load_channels(float (&numbers)[PIECE_ELEMENTS], u64 from, i64 head, const row_place &place, u32 piece) {
  u32 bits[PIECE_ELEMENTS];
  load_channels<type>(bits, from, head, place, piece);
#pragma unroll
  for (u32 i = 0; i < PIECE_ELEMENTS; i++) numbers[i] = number_of<type>(bits[i]);
}

struct chunk_values {
  float pre_scale[PIECE_ELEMENTS];

  // In front of a piece, or of all pieces where they hold the same channels.
  DEVICE void enter(const launch_params &params, const row_place &place, u32 piece) {
    if constexpr (PRE_SCALE_TYPE != QN_ANY)
      load_channels<PRE_SCALE_TYPE>(pre_scale, params.pre_scale, params.pre_scale_head, place, piece);
  }

  DEVICE void read(float (&x)[PIECE_ELEMENTS], const u32 (&staged)[STAGED_WORDS]) {
#pragma unroll
    for (u32 i = 0; i < PIECE_ELEMENTS; i += 2) unpack_pair<STAGED>(x[i], x[i + 1], staged, i);
    if constexpr (PRE_SCALE_TYPE != QN_ANY) {
#pragma unroll
      for (u32 i = 0; i < PIECE_ELEMENTS; i++) x[i] = mul_rn(x[i], pre_scale[i]);
    }
    if constexpr (PRE_SCALE_TYPE != QN_ANY || RECIPE.round_input != STAGED) round_values<RECIPE.round_input>(x);
  }
};
