// The codecs against the host functions of CUDA's own headers: all bf16 and f16 inputs, all codes, all ties of the
// FP8 types with their neighbours, and a stride through all of binary32.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp4.h>
#include <cuda_fp8.h>

#include <cmath>
#include <cstdio>
#include <cstring>

#include "quant/codec_priv.h"

static unsigned long failures, checks;

static void expect(const char *what, double input, unsigned found, unsigned wanted) {
  checks++;
  if (found == wanted) return;
  if (failures++ < 20) std::printf("%s of %a: 0x%x, CUDA has 0x%x\n", what, input, found, wanted);
}

template <typename T> static unsigned bits16(T value) {
  unsigned short bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}
static float f32_of(unsigned bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}
static unsigned bits_of(float value) {
  unsigned bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

static void check_f32(unsigned bits) {
  float value = f32_of(bits);
  for (int saturate = 0; saturate < 2; saturate++) {
    __nv_saturation_t mode = saturate ? __NV_SATFINITE : __NV_NOSAT;
    expect("e4m3", value, qn_e4m3_from_f32(bits, saturate), __nv_cvt_float_to_fp8(value, mode, __NV_E4M3));
    expect("e5m2", value, qn_e5m2_from_f32(bits, saturate), __nv_cvt_float_to_fp8(value, mode, __NV_E5M2));
    expect("e8m0 up", value, qn_e8m0_from_f32(bits, saturate, 1), __nv_cvt_float_to_e8m0(value, mode, cudaRoundPosInf));
    expect("e8m0 down", value, qn_e8m0_from_f32(bits, saturate, 0), __nv_cvt_float_to_e8m0(value, mode, cudaRoundZero));
  }
  expect("e2m1", value, qn_e2m1_from_f32(bits, 1), __nv_cvt_float_to_fp4(value, __NV_E2M1, cudaRoundNearest));
  expect("f16", value, qn_f16_from_f32(bits, 0), bits16(__float2half_rn(value)));
  expect("bf16", value, qn_bf16_from_f32(bits, 0), bits16(__float2bfloat16_rn(value)));
}

static void check_f64(double value) {
  unsigned long long bits;
  std::memcpy(&bits, &value, sizeof(bits));
  for (int saturate = 0; saturate < 2; saturate++) {
    __nv_saturation_t mode = saturate ? __NV_SATFINITE : __NV_NOSAT;
    expect("e4m3 from f64", value, qn_e4m3_from_f64(bits, saturate), __nv_cvt_double_to_fp8(value, mode, __NV_E4M3));
    expect("e5m2 from f64", value, qn_e5m2_from_f64(bits, saturate), __nv_cvt_double_to_fp8(value, mode, __NV_E5M2));
  }
  expect("e2m1 from f64", value, qn_e2m1_from_f64(bits, 1), __nv_cvt_double_to_fp4(value, __NV_E2M1, cudaRoundNearest));
  expect("f16 from f64", value, qn_f16_from_f64(bits, 0), bits16(__double2half(value)));
  expect("bf16 from f64", value, qn_bf16_from_f64(bits, 0), bits16(__double2bfloat16(value)));
}

static float f32_of_half(__half_raw raw) { return __half2float(__half(raw)); }

static void check_code(const char *what, unsigned code, unsigned found, float wanted) {
  float value = f32_of(found);
  checks++;
  if (std::isnan(wanted) ? std::isnan(value) : found == bits_of(wanted)) return;
  if (failures++ < 20) std::printf("%s 0x%x is %a, CUDA has %a\n", what, code, value, wanted);
}

// Every midpoint of neighbours and both values next to it.
static void check_ties(unsigned (*to_f32)(unsigned), unsigned largest) {
  for (unsigned code = 0; code < largest; code++)
    for (int sign = -1; sign <= 1; sign += 2) {
      double low = f32_of(to_f32(code)), high = f32_of(to_f32(code + 1)), middle = sign * (low + high) / 2;
      float narrow = (float)middle;
      check_f32(bits_of(narrow)), check_f32(bits_of(narrow) + 1), check_f32(bits_of(narrow) - 1);
      check_f64(middle), check_f64(std::nextafter(middle, 1e300)), check_f64(std::nextafter(middle, -1e300));
    }
}

int main() {
  for (unsigned bits = 0; bits < 0x10000; bits++) {
    check_f32(bits << 16);
    check_f32(qn_f16_to_f32(bits));
    __half_raw half;
    half.x = (unsigned short)bits;
    __nv_bfloat16_raw brain;
    brain.x = (unsigned short)bits;
    check_code("f16", bits, qn_f16_to_f32(bits), f32_of_half(half));
    check_code("bf16", bits, qn_bf16_to_f32(bits), __bfloat162float(__nv_bfloat16(brain)));
  }
  for (unsigned code = 0; code < 256; code++) {
    __nv_fp8_storage_t storage = (__nv_fp8_storage_t)code;
    check_code("e4m3", code, qn_e4m3_to_f32(code), f32_of_half(__nv_cvt_fp8_to_halfraw(storage, __NV_E4M3)));
    check_code("e5m2", code, qn_e5m2_to_f32(code), f32_of_half(__nv_cvt_fp8_to_halfraw(storage, __NV_E5M2)));
    check_code("e8m0", code, qn_e8m0_to_f32(code), __bfloat162float(__nv_bfloat16(__nv_cvt_e8m0_to_bf16raw(storage))));
  }
  for (unsigned code = 0; code < 16; code++)
    check_code("e2m1", code, qn_e2m1_to_f32(code),
               f32_of_half(__nv_cvt_fp4_to_halfraw((__nv_fp4_storage_t)code, __NV_E2M1)));
  check_ties(qn_e4m3_to_f32, 0x7e);
  check_ties(qn_e5m2_to_f32, 0x7b);
  check_ties(qn_e2m1_to_f32, 0x7);
  check_ties(qn_f16_to_f32, 0x7bff);
  for (unsigned long long bits = 0; bits < 0x100000000ull; bits += 65521) check_f32((unsigned)bits);
  std::printf("%lu checks, %lu differ\n", checks, failures);
  return failures == 0 ? 0 : 1;
}
