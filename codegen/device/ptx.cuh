// Every instruction that C does not have, one function each. Nothing else in the device code is architecture
// specific.
//
// Shared memory is addressed by u32 byte addresses, global memory by pointers. "Warp" functions are collective:
// all 32 lanes call them together. Arithmetic that must round in one way only is written with these functions,
// so that no compiler option (fused multiply-add, fast division, flush to zero) can change it.

DEVICE u32 thread_index() {
  u32 index;
  asm("mov.u32 %0, %%tid.x;" : "=r"(index));
  return index;
}

DEVICE u32 block_index() {
  u32 index;
  asm("mov.u32 %0, %%ctaid.x;" : "=r"(index));
  return index;
}

DEVICE u32 block_size() {
  u32 size;
  asm("mov.u32 %0, %%ntid.x;" : "=r"(size));
  return size;
}

DEVICE u32 grid_size() {
  u32 size;
  asm("mov.u32 %0, %%nctaid.x;" : "=r"(size));
  return size;
}

// The first byte of the block's dynamic shared memory, 128-byte aligned.
extern __shared__ __align__(128) u8 shared_memory[];
DEVICE u32 shared_base() { return (u32)__cvta_generic_to_shared(shared_memory); }

DEVICE void block_sync() { asm volatile("bar.sync 0;" ::: "memory"); }
DEVICE void warp_sync() { asm volatile("bar.warp.sync 0xffffffff;" ::: "memory"); }

// --- asynchronous copies ---------------------------------------------------------------------------------

// 16 bytes from global to shared memory, or 16 zeros where not `valid` (`from` is then not read).
DEVICE void cp_async_16(u32 to, const void *from, bool valid) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(valid ? 16u : 0u) : "memory");
}
DEVICE void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most `pending` of this thread's groups are under way.
template <int pending> DEVICE void cp_async_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory"); }

// --- shared and global memory ----------------------------------------------------------------------------

DEVICE u32 ld_shared_u32(u32 from) {
  u32 value;
  asm volatile("ld.shared.u32 %0, [%1];" : "=r"(value) : "r"(from) : "memory");
  return value;
}
DEVICE void ld_shared_16(u32 (&value)[4], u32 from) {
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(value[0]), "=r"(value[1]), "=r"(value[2]), "=r"(value[3]) : "r"(from) : "memory");
}
DEVICE void ld_shared_8(u32 (&value)[2], u32 from) {
  asm volatile("ld.shared.v2.u32 {%0, %1}, [%2];" : "=r"(value[0]), "=r"(value[1]) : "r"(from) : "memory");
}
DEVICE void st_shared_u32(u32 to, u32 value) { asm volatile("st.shared.u32 [%0], %1;" ::"r"(to), "r"(value) : "memory"); }
// Two registers: of one of 64 bits the compiler makes copies, and has none left where a warp's output is stored.
DEVICE void st_shared_8(u32 to, u32 low, u32 high) {
  asm volatile("st.shared.v2.u32 [%0], {%1, %2};" ::"r"(to), "r"(low), "r"(high) : "memory");
}

DEVICE void st_shared_16(u32 to, const u32 (&value)[4]) {
  asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};"
               ::"r"(to), "r"(value[0]), "r"(value[1]), "r"(value[2]), "r"(value[3]) : "memory");
}

DEVICE u32 ld_global_u8(const void *from) {
  u32 value;
  asm volatile("ld.global.u8 %0, [%1];" : "=r"(value) : "l"(from));
  return value;
}
DEVICE u32 ld_global_u16(const void *from) {
  u16 value;
  asm volatile("ld.global.u16 %0, [%1];" : "=h"(value) : "l"(from));
  return value;
}
DEVICE u32 ld_global_u32(const void *from) {
  u32 value;
  asm volatile("ld.global.u32 %0, [%1];" : "=r"(value) : "l"(from));
  return value;
}
// 4, 8, 16 or 32 bytes, aligned as a whole, but 32 bytes to 16 only.
DEVICE void ld_global(u32 (&value)[1], const void *from) { value[0] = ld_global_u32(from); }
DEVICE void ld_global(u32 (&value)[2], const void *from) {
  asm volatile("ld.global.v2.u32 {%0, %1}, [%2];" : "=r"(value[0]), "=r"(value[1]) : "l"(from));
}
DEVICE void ld_global(u32 (&value)[4], const void *from) {
  asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(value[0]), "=r"(value[1]), "=r"(value[2]), "=r"(value[3]) : "l"(from));
}
DEVICE void ld_global(u32 (&value)[8], const void *from) {
  asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(value[0]), "=r"(value[1]), "=r"(value[2]), "=r"(value[3]) : "l"(from));
  asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4 + 16];"
               : "=r"(value[4]), "=r"(value[5]), "=r"(value[6]), "=r"(value[7]) : "l"(from));
}
DEVICE void st_global_u8(void *to, u32 value) { asm volatile("st.global.u8 [%0], %1;" ::"l"(to), "r"(value) : "memory"); }
DEVICE void st_global_u16(void *to, u32 value) { asm volatile("st.global.u16 [%0], %1;" ::"l"(to), "h"((u16)value) : "memory"); }
DEVICE void st_global_u32(void *to, u32 value) { asm volatile("st.global.u32 [%0], %1;" ::"l"(to), "r"(value) : "memory"); }
// 4, 8 or 16 bytes, aligned as a whole.
DEVICE void st_global(void *to, const u32 (&value)[1]) { st_global_u32(to, value[0]); }
DEVICE void st_global(void *to, const u32 (&value)[2]) {
  asm volatile("st.global.v2.u32 [%0], {%1, %2};" ::"l"(to), "r"(value[0]), "r"(value[1]) : "memory");
}
DEVICE void st_global(void *to, const u32 (&value)[4]) {
  asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};"
               ::"l"(to), "r"(value[0]), "r"(value[1]), "r"(value[2]), "r"(value[3]) : "memory");
}

// Adds 1, or starts again from 0 behind `last`; what was there before. All that this thread has seen is seen by those
// who add after it, and the other way round.
DEVICE u32 atomic_increment(void *counter, u32 last) {
  u32 before;
  asm volatile("atom.acq_rel.gpu.global.inc.u32 %0, [%1], %2;" : "=r"(before) : "l"(counter), "r"(last) : "memory");
  return before;
}

// --- matrices --------------------------------------------------------------------------------------------
// g = lane / 4, t = lane % 4. Accumulator c of 16x8: c0 c1 = row g, columns 2t 2t+1; c2 c3 = row g + 8.

// Four 8x8 matrices of 16-bit elements. Lane 8i + r gives the address of row r of matrix i, 16 bytes; in the
// result, register i holds elements 2t and 2t+1 of row g of matrix i (of column g, if transposed).
DEVICE void ldmatrix_x4(u32 (&m)[4], u32 row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3]) : "r"(row) : "memory");
}
DEVICE void ldmatrix_x4_trans(u32 (&m)[4], u32 row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3]) : "r"(row) : "memory");
}

// c += a b with a 16x16, b 16x8. a0: row g, k 2t 2t+1; a1: row g + 8; a2, a3: the same rows, k + 8.
// b0: k 2t 2t+1, column g; b1: k + 8. The lower index in the lower half.
#define MMA_M16N8K16(type)                                                                                       \
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." type "." type ".f32 "                                   \
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                                 \
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                                  \
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))
DEVICE void mma_f16(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2]) { MMA_M16N8K16("f16"); }
DEVICE void mma_bf16(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2]) { MMA_M16N8K16("bf16"); }

// c += a b with a 16x8, b 8x8 of f32 bits rounded to tf32. a0: row g, k t; a1: row g + 8; a2, a3: k + 4.
// b0: k t, column g; b1: k + 4.
DEVICE void mma_tf32(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// The value of the lane whose number differs in the bits of `lanes`.
DEVICE float shuffle_xor(float value, u32 lanes) {
  float result;
  asm volatile("shfl.sync.bfly.b32 %0, %1, %2, 0x1f, 0xffffffff;" : "=f"(result) : "f"(value), "r"(lanes));
  return result;
}

// The value of lane `lane` % 32.
DEVICE float shuffle_from(float value, u32 lane) {
  float result;
  asm volatile("shfl.sync.idx.b32 %0, %1, %2, 0x1f, 0xffffffff;" : "=f"(result) : "f"(value), "r"(lane));
  return result;
}

// Warp: a bit for each lane in which `value` holds.
DEVICE u32 warp_ballot(bool value) { return __ballot_sync(0xffffffff, value); }
// The number of the lowest bit of a word that is not 0.
DEVICE u32 first_bit(u32 word) { return (u32)__ffs((int)word) - 1; }
// Warp: the value of the first lane.
DEVICE u32 shuffle_first(u32 value) { return __shfl_sync(0xffffffff, value, 0); }

// Warp: whether `value` holds in all lanes.
DEVICE bool warp_all(bool value) { return __all_sync(0xffffffff, value); }

// --- arithmetic ------------------------------------------------------------------------------------------

DEVICE u32 bits_of(float value) { return __float_as_uint(value); }
DEVICE float float_of(u32 bits) { return __uint_as_float(bits); }
DEVICE float minus_infinity() { return float_of(0xff800000u); }

// The whole product, which C has only at the price of a product of 64-bit numbers.
DEVICE i64 mul_wide(int a, int b) {
  i64 result;
  asm("mul.wide.s32 %0, %1, %2;" : "=l"(result) : "r"(a), "r"(b));
  return result;
}

// 2^x, about 2 ulp; 0 for -inf. Results below the smallest normal number become 0.
DEVICE float exp2_fast(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}
// 1 / x, about 1 ulp; 0 for infinity. Results below the smallest normal number become 0.
DEVICE float rcp_fast(float x) {
  float result;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}
DEVICE float fma_rn(float a, float b, float c) {
  float result;
  asm("fma.rn.f32 %0, %1, %2, %3;" : "=f"(result) : "f"(a), "f"(b), "f"(c));
  return result;
}
DEVICE float mul_rn(float a, float b) {
  float result;
  asm("mul.rn.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}
DEVICE float add_rn(float a, float b) {
  float result;
  asm("add.rn.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}
DEVICE float sub_rn(float a, float b) {
  float result;
  asm("sub.rn.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}
DEVICE float div_rn(float a, float b) {
  float result;
  asm("div.rn.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}
DEVICE float abs_f32(float x) {
  float result;
  asm("abs.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}
// The larger, the smaller; the other one where one is NaN.
DEVICE float max_f32(float a, float b) {
  float result;
  asm("max.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}
DEVICE float min_f32(float a, float b) {
  float result;
  asm("min.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}
// The larger ones of two pairs of 16-bit numbers; the other one where one is NaN.
DEVICE u32 max_f16x2(u32 a, u32 b) {
  u32 result;
  asm("max.f16x2 %0, %1, %2;" : "=r"(result) : "r"(a), "r"(b));
  return result;
}
DEVICE u32 max_bf16x2(u32 a, u32 b) {
  u32 result;
  asm("max.bf16x2 %0, %1, %2;" : "=r"(result) : "r"(a), "r"(b));
  return result;
}
// The sum that quant/codec_priv.h rounds by, of bits and as bits.
DEVICE u32 qn_codec_add(u32 a, u32 b) {
  u32 result;
  asm("add.rn.f32 %0, %1, %2;" : "=r"(result) : "r"(a), "r"(b));
  return result;
}

// --- conversions -----------------------------------------------------------------------------------------
// To nearest, ties to even unless said otherwise. NaN becomes the type's canonical NaN.

// f32 -> tf32 in the upper 19 bits, ties away from zero; the lower 13 bits are zero.
DEVICE u32 tf32_from_f32(float value) {
  u32 result;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(result) : "f"(value));
  return result;
}
// Two values to one word, `low` in the lower half.
DEVICE u32 f16x2_from_f32(float low, float high) {
  u32 result;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
  return result;
}
DEVICE u32 bf16x2_from_f32(float low, float high) {
  u32 result;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
  return result;
}
DEVICE float f32_from_f16(u32 bits) {
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"((u16)bits));
  return result;
}
// The two values of a word.
DEVICE void f32_from_bf16x2(float &low, float &high, u32 pair) {
  asm("shl.b32 %0, %1, 16;" : "=f"(low) : "r"(pair));
  asm("and.b32 %0, %1, 0xffff0000;" : "=f"(high) : "r"(pair));
}
DEVICE void f32_from_f16x2(float &low, float &high, u32 pair) {
  asm("{\n  .reg .b16 l, h;\n  mov.b32 {l, h}, %2;\n  cvt.f32.f16 %0, l;\n  cvt.f32.f16 %1, h;\n}" : "=f"(low), "=f"(high) : "r"(pair));
}
DEVICE float f32_from_int(int value) {
  float result;
  asm("cvt.rn.f32.s32 %0, %1;" : "=f"(result) : "r"(value));
  return result;
}
DEVICE float round_even(float x) {
  float result;
  asm("cvt.rni.f32.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}
// To an integer, at most the type's largest; NaN is 0.
DEVICE int int_from_f32(float x) {
  int result;
  asm("cvt.rni.s32.f32 %0, %1;" : "=r"(result) : "f"(x));
  return result;
}
DEVICE int short_from_f32(float x) {
  short result;
  asm("cvt.rni.s16.f32 %0, %1;" : "=h"(result) : "f"(x));
  return result;
}
// Two integers as bytes, clamped, in the lower half, `low` first; in the upper half the lower half of `upper`.
DEVICE u32 pack_s8(int low, int high, u32 upper) {
  u32 result;
  asm("cvt.pack.sat.s8.s32.b32 %0, %1, %2, %3;" : "=r"(result) : "r"(high), "r"(low), "r"(upper));
  return result;
}
DEVICE u32 pack_u8(int low, int high, u32 upper) {
  u32 result;
  asm("cvt.pack.sat.u8.s32.b32 %0, %1, %2, %3;" : "=r"(result) : "r"(high), "r"(low), "r"(upper));
  return result;
}
