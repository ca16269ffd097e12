// The scales that a dynamic scheme returns: where each of them goes, and the zeros around them.
//
// A scale belongs to a row and to a group of it. Groups are counted in the head of the row; where groups span heads, a
// row of head 0 counts those of the whole token. HEAD_GROUPS and TOKEN_GROUPS say how many a head and a token have, HEAD_ROOM
// and TOKEN_ROOM for how many there is room where the last axis of the output is a head or a token.

constexpr bool SCALES_BY_TOKEN = SCALE_LAYOUT == QN_SCALES_PACKED || SCALE_LAYOUT == QN_SCALES_SWIZZLED;

DEVICE u8 *scale_address(const launch_params &params, const row_place &place, u32 group) {
  u8 *scales = (u8 *)params.block_scale;
  if constexpr (!SCALES_BY_TOKEN)
    return scales + (place.batch * params.block_scale_batch + place.head * params.block_scale_head +
                     place.position * params.block_scale_position + group * params.block_scale_group) * (i64)BYTES_OF<SCALE_TYPE>;
  u64 token = params.block_scale_row + token_of(params, place);
  group += place.head * HEAD_GROUPS;
  if constexpr (SCALE_LAYOUT == QN_SCALES_PACKED) // block_scale_group is the number of tokens of a column
    return scales + (group / 4 * (u64)params.block_scale_group + token) * 4 + group % 4;
  return scales + (token / 128 * (TOKEN_ROOM / 4) + group / 4) * 512 + token % 32 * 16 + token / 32 % 4 * 4 + group % 4;
}

// The bits of a scale that is a value of its type.
DEVICE u32 scale_bits(float scale) {
  if constexpr (SCALE_TYPE == QN_F32) return bits_of(scale);
  else if constexpr (SCALE_TYPE == QN_F16) return f16x2_from_f32(scale, 0.0f);
  else if constexpr (SCALE_TYPE == QN_BF16) return bits_of(scale) >> 16;
  else if constexpr (SCALE_TYPE == QN_E4M3) return e4m3x2_from_f32(scale, 0.0f);
  else return bits_of(scale) >> 23; // e8m0 is the exponent; of 2^-127, a subnormal, it is 0
}

DEVICE void store_scale_bits(u8 *to, u32 bits) {
  if constexpr (BYTES_OF<SCALE_TYPE> == 4) st_global_u32(to, bits);
  else if constexpr (BYTES_OF<SCALE_TYPE> == 2) st_global_u16(to, bits);
  else st_global_u8(to, bits);
}

// One lane for each group. The one with the last group of a row of the output adds the zeros behind it.
DEVICE void store_scale(const launch_params &params, const row_place &place, u32 group, float scale) {
  store_scale_bits(scale_address(params, place, group), scale_bits(scale));
  if constexpr (TOKEN_ROOM + HEAD_ROOM > TOKEN_GROUPS + HEAD_GROUPS) {
    bool merged = SCALES_BY_TOKEN || HEAD_GROUPS == 0 || params.out_head == V_HEAD_DIM; // as in store_padding
    u32 last = merged ? TOKEN_GROUPS - 1 - place.head * HEAD_GROUPS : HEAD_GROUPS - 1;
    u32 behind = group != last ? 0 : merged ? TOKEN_ROOM - TOKEN_GROUPS : HEAD_ROOM - HEAD_GROUPS;
#pragma unroll 1
    for (u32 i = 1; i <= behind; i++) store_scale_bits(scale_address(params, place, group + i), 0);
  }
}

// Zero points lie as scales do, in a type of their own; one that is no code is the nearest.
DEVICE void store_zero_point(const launch_params &params, const row_place &place, u32 group, float zero_point) {
  i64 index = place.batch * params.block_scale_batch + place.position * params.block_scale_position + group * params.block_scale_group;
  u8 *to = (u8 *)params.zero_points + index * BYTES_OF<ZERO_POINT_TYPE>;
  int value = int_from_f32(zero_point);
  if constexpr (ZERO_POINT_TYPE == QN_S32) st_global_u32(to, (u32)value);
  else if constexpr (ZERO_POINT_TYPE == QN_U8) st_global_u8(to, pack_u8(value, 0, 0));
  else st_global_u8(to, pack_s8(value, 0, 0));
}

// The zeros of tokens behind the launch's last one. All threads of all blocks of the kernel that stores scales call it,
// once, and before a block finds that it has nothing else to do: sequences may be empty.
DEVICE void clear_scales_behind(const launch_params &params) {
  if constexpr (!SCALES_BY_TOKEN && SCALE_LAYOUT != QN_SCALES_TMA_ALIGNED) return;
  constexpr u32 TOGETHER = SCALES_BY_TOKEN ? 4 : 1, STORES = TOKEN_ROOM / TOGETHER; // four groups share a word
  u32 tokens = VARLEN ? read_length(params.cu_seqlens_q, params.batch) : params.batch * params.q_len;
  u64 count = tokens < params.block_scale_rows ? (u64)(params.block_scale_rows - tokens) * STORES : 0;
#pragma unroll 1
  for (u64 i = (u64)block_index() * block_size() + thread_index(); i < count; i += (u64)grid_size() * block_size()) {
    row_place place{ 0, tokens + (u32)(i / STORES), 0 };
    u32 group = (u32)(i % STORES) * TOGETHER;
    u8 *to = scale_address(params, place, group);
    if constexpr (SCALES_BY_TOKEN) st_global_u32(to, 0);
    else store_scale_bits(to, 0);
    if constexpr (RECIPE.zero_point != QN_ZERO_POINT_NONE) store_zero_point(params, place, group, 0.0f);
  }
}
