// Numbers of a type that is known at compile time, in memory and in registers.

template <int type> constexpr u32 BYTES_OF = type == QN_F32 || type == QN_S32 ? 4 : type == QN_F16 || type == QN_BF16 ? 2 : 1;

template <int type> DEVICE float number_of(u32 bits) {
  if constexpr (type == QN_F32) return float_of(bits);
  else if constexpr (type == QN_F16) return f32_from_f16(bits);
  else return float_of(bits << 16);
}

template <int type> DEVICE u32 load_bits(const u8 *at) {
  if constexpr (BYTES_OF<type> == 4) return ld_global_u32(at);
  else if constexpr (BYTES_OF<type> == 2) return ld_global_u16(at);
  else return ld_global_u8(at);
}
template <int type> DEVICE float load_number(u64 from, u32 index = 0) {
  return number_of<type>(load_bits<type>((const u8 *)from + index * BYTES_OF<type>));
}

// The two numbers of a word, f16 or bf16.
template <int type> DEVICE void split_pair(float &low, float &high, u32 pair) {
  if constexpr (type == QN_F16) {
    f32_from_f16x2(low, high, pair);
  } else {
    f32_from_bf16x2(low, high, pair);
  }
}
template <int type> DEVICE u32 pair_from_f32(float low, float high) {
  return type == QN_F16 ? f16x2_from_f32(low, high) : bf16x2_from_f32(low, high);
}

template <int type> DEVICE int integer_of(u32 bits) {
  return type == QN_S8 ? (int)(bits << 24) >> 24 : (int)bits;
}
