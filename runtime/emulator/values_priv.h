// Floats as the bits that registers hold, and back.
#ifndef QUENCH_RUNTIME_EMULATOR_VALUES_PRIV_H
#define QUENCH_RUNTIME_EMULATOR_VALUES_PRIV_H

#include "quant/codec_priv.h"

#include <stdint.h>
#include <string.h>

static inline uint32_t qn_bits_f32(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}
static inline uint64_t qn_bits_f64(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}
static inline float qn_get_f32(uint32_t word) {
  float value;
  memcpy(&value, &word, sizeof(value));
  return value;
}
static inline double qn_get_f64(uint64_t word) {
  double value;
  memcpy(&value, &word, sizeof(value));
  return value;
}
// A result that is NaN is the one NaN of its type, whatever the host makes of payloads.
#define QN_EMU_NAN_F32 0x7FFFFFFFu
#define QN_EMU_NAN_F64 UINT64_C(0xFFF8000000000000)
static inline uint32_t qn_put_f32(float value) {
  return value != value ? QN_EMU_NAN_F32 : qn_bits_f32(value);
}
static inline uint64_t qn_put_f64(double value) {
  return value != value ? QN_EMU_NAN_F64 : qn_bits_f64(value);
}
// An f16 is an f32 whose exponent is 112 too small, infinity and NaN apart. A NaN keeps its sign.
static inline double qn_get_f16(uint32_t word) {
  uint32_t magnitude = (word & 0x7FFFu) << 13;
  uint32_t bits = qn_bits_f32(qn_get_f32(magnitude) * 0x1p112f);
  if (magnitude >= 0x0F800000u) bits = magnitude | 0x7F800000u;
  return (double)qn_get_f32(bits | (word & 0x8000u) << 16);
}
static inline double qn_get_bf16(uint32_t word) {
  return (double)qn_get_f32(word << 16);
}
static inline uint32_t qn_put_f16(double value) {
  return qn_f16_from_f64(qn_bits_f64(value), 0);
}
static inline uint32_t qn_put_bf16(double value) {
  return qn_bf16_from_f64(qn_bits_f64(value), 0);
}

#endif
