// Loading and storing elements of every type.
#include "quant/elements_priv.h"

#include "ir/base_priv.h"
#include "quant/codec_priv.h"

#include <math.h>

uint32_t qn_element_size(qn_dtype dtype) {
  return (qn_dtype_bits(dtype) + 7) / 8;
}

void qn_elements_unpack(qn_dtype dtype, const void *packed, uint64_t count, void *out_unpacked) {
  const uint8_t *from = packed;
  uint8_t *to = out_unpacked;
  if (qn_dtype_bits(dtype) != 4) {
    if (count > 0) memcpy(to, from, count * qn_element_size(dtype));
    return;
  }
  for (uint64_t i = 0; i < count; i++) to[i] = (from[i / 2] >> (i % 2 * 4)) & 0xF;
}

void qn_elements_pack(qn_dtype dtype, const void *unpacked, uint64_t count, void *out_packed) {
  const uint8_t *from = unpacked;
  uint8_t *to = out_packed;
  if (qn_dtype_bits(dtype) != 4) {
    if (count > 0) memcpy(to, from, count * qn_element_size(dtype));
    return;
  }
  for (uint64_t i = 0; i < count; i += 2)
    to[i / 2] = (uint8_t)((from[i] & 0xF) | (i + 1 < count ? (from[i + 1] & 0xF) << 4 : 0));
}

static double f64_of_f32_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof(value));
  return (double)value;
}

// Keeps the 53 leading bits and ORs the others into the last one.
static double f64_of_u64_odd(uint64_t value) {
  if (value >> 53 != 0) value = (value >> 11 | ((value & 0x7FF) != 0)) << 11;
  return (double)value;
}

// Reads one element of `type` from `data` without an alignment assumption.
#define READ(type, data, index)                                                                                \
  type element;                                                                                                \
  memcpy(&element, (const uint8_t *)(data) + (index) * sizeof(type), sizeof(type))
#define LOAD_CASE(dtype, type, expression)                                                                     \
  case dtype:                                                                                                  \
    for (uint64_t i = 0; i < count; i++) {                                                                     \
      READ(type, unpacked, i);                                                                                 \
      out_values[i] = (expression);                                                                            \
    }                                                                                                          \
    break

void qn_elements_load(qn_dtype dtype, const void *unpacked, uint64_t count, double *out_values) {
  switch (dtype) {
    LOAD_CASE(QN_F32, float, (double)element);
    LOAD_CASE(QN_F64, double, element);
    LOAD_CASE(QN_F16, uint16_t, f64_of_f32_bits(qn_f16_to_f32(element)));
    LOAD_CASE(QN_BF16, uint16_t, f64_of_f32_bits(qn_bf16_to_f32(element)));
    LOAD_CASE(QN_E4M3, uint8_t, f64_of_f32_bits(qn_e4m3_to_f32(element)));
    LOAD_CASE(QN_E5M2, uint8_t, f64_of_f32_bits(qn_e5m2_to_f32(element)));
    LOAD_CASE(QN_E4M3FNUZ, uint8_t, f64_of_f32_bits(qn_e4m3fnuz_to_f32(element)));
    LOAD_CASE(QN_E5M2FNUZ, uint8_t, f64_of_f32_bits(qn_e5m2fnuz_to_f32(element)));
    LOAD_CASE(QN_E2M1, uint8_t, f64_of_f32_bits(qn_e2m1_to_f32(element)));
    LOAD_CASE(QN_E8M0, uint8_t, f64_of_f32_bits(qn_e8m0_to_f32(element)));
    LOAD_CASE(QN_U64, uint64_t, f64_of_u64_odd(element));
    LOAD_CASE(QN_S64, int64_t,
              element < 0 ? -f64_of_u64_odd(-(uint64_t)element) : f64_of_u64_odd((uint64_t)element));
    LOAD_CASE(QN_BOOL, uint8_t, element != 0);
    LOAD_CASE(QN_S4, uint8_t, (double)((element & 0xF) ^ 8) - 8);
    LOAD_CASE(QN_U4, uint8_t, element & 0xF);
    LOAD_CASE(QN_S8, int8_t, element);
    LOAD_CASE(QN_U8, uint8_t, element);
    LOAD_CASE(QN_S16, int16_t, element);
    LOAD_CASE(QN_U16, uint16_t, element);
    LOAD_CASE(QN_S32, int32_t, element);
    LOAD_CASE(QN_U32, uint32_t, element);
  case QN_ANY:
  case QN_STRING:
  case QN_DTYPE_COUNT: break;
  }
}

static int64_t s64_of_f64(double value) {
  if (value >= 0x1p63) return INT64_MAX;
  if (value <= -0x1p63) return INT64_MIN;
  return isnan(value) ? 0 : (int64_t)value;
}

void qn_elements_load_ints(qn_dtype dtype, const void *unpacked, uint64_t count, int64_t *out_values) {
  switch (dtype) {
    LOAD_CASE(QN_S64, int64_t, element);
    LOAD_CASE(QN_U64, uint64_t, (int64_t)element);
    LOAD_CASE(QN_BOOL, uint8_t, element != 0);
    LOAD_CASE(QN_S4, uint8_t, ((element & 0xF) ^ 8) - 8);
    LOAD_CASE(QN_U4, uint8_t, element & 0xF);
    LOAD_CASE(QN_S8, int8_t, element);
    LOAD_CASE(QN_U8, uint8_t, element);
    LOAD_CASE(QN_S16, int16_t, element);
    LOAD_CASE(QN_U16, uint16_t, element);
    LOAD_CASE(QN_S32, int32_t, element);
    LOAD_CASE(QN_U32, uint32_t, element);
  default:
    for (uint64_t i = 0; i < count; i++) {
      double value;
      qn_elements_load(dtype, (const uint8_t *)unpacked + i * qn_element_size(dtype), 1, &value);
      out_values[i] = s64_of_f64(value);
    }
  }
}

void qn_element_get_range(qn_dtype dtype, int64_t *out_least, int64_t *out_greatest) {
  uint32_t bits = qn_dtype_bits(dtype);
  if (bits == 64) {
    *out_least = INT64_MIN;
    *out_greatest = INT64_MAX;
  } else if (dtype == QN_S4 || dtype == QN_S8 || dtype == QN_S16 || dtype == QN_S32) {
    *out_least = -((int64_t)1 << (bits - 1));
    *out_greatest = ((int64_t)1 << (bits - 1)) - 1;
  } else {
    *out_least = 0;
    *out_greatest = ((int64_t)1 << bits) - 1;
  }
}

static void write_int(qn_dtype dtype, uint8_t *to, uint64_t value) {
  switch (qn_dtype_bits(dtype)) {
  case 4: *to = value & 0xF; break;
  case 8: *to = (uint8_t)value; break;
  case 16: memcpy(to, &(uint16_t){ (uint16_t)value }, 2); break;
  case 32: memcpy(to, &(uint32_t){ (uint32_t)value }, 4); break;
  default: memcpy(to, &value, 8); break;
  }
}

static uint64_t int_of_f64(qn_dtype dtype, double value) {
  int64_t least, greatest, result = s64_of_f64(value);
  if (dtype == QN_U64) return value >= 0x1p64 ? UINT64_MAX : value > 0 ? (uint64_t)value : 0;
  qn_element_get_range(dtype, &least, &greatest);
  return (uint64_t)QN_MAX(least, QN_MIN(greatest, result));
}

#define STORE_CASE(dtype, type, expression)                                                                    \
  case dtype:                                                                                                  \
    for (uint64_t i = 0; i < count; i++) {                                                                     \
      uint64_t bits;                                                                                           \
      memcpy(&bits, &values[i], sizeof(bits));                                                                 \
      type element = (type)(expression);                                                                       \
      memcpy(to + i * sizeof(element), &element, sizeof(element));                                             \
    }                                                                                                          \
    break

void qn_elements_store(qn_dtype dtype, const double *values, uint64_t count, bool saturate,
                       void *out_unpacked) {
  uint8_t *to = out_unpacked;
  switch (dtype) {
    STORE_CASE(QN_F32, float, ((void)bits, values[i]));
    STORE_CASE(QN_F64, uint64_t, bits);
    STORE_CASE(QN_F16, uint16_t, qn_f16_from_f64(bits, 0));
    STORE_CASE(QN_BF16, uint16_t, qn_bf16_from_f64(bits, 0));
    STORE_CASE(QN_E4M3, uint8_t, qn_e4m3_from_f64(bits, saturate));
    STORE_CASE(QN_E5M2, uint8_t, qn_e5m2_from_f64(bits, saturate));
    STORE_CASE(QN_E4M3FNUZ, uint8_t, qn_e4m3fnuz_from_f64(bits, saturate));
    STORE_CASE(QN_E5M2FNUZ, uint8_t, qn_e5m2fnuz_from_f64(bits, saturate));
    STORE_CASE(QN_E2M1, uint8_t, qn_e2m1_from_f64(bits, 1));
    STORE_CASE(QN_E8M0, uint8_t, qn_e8m0_from_f64(bits, saturate, 1));
    STORE_CASE(QN_BOOL, uint8_t, ((void)bits, values[i] != 0));
  default:
    for (uint64_t i = 0; i < count; i++)
      write_int(dtype, to + i * qn_element_size(dtype), int_of_f64(dtype, values[i]));
  }
}

void qn_elements_store_ints(qn_dtype dtype, const int64_t *values, uint64_t count, void *out_unpacked) {
  uint8_t *to = out_unpacked;
  uint32_t size = qn_element_size(dtype);
  for (uint64_t i = 0; i < count; i++)
    write_int(dtype, to + i * size, dtype == QN_BOOL ? values[i] != 0 : (uint64_t)values[i]);
}

double qn_element_round(qn_dtype dtype, double value) {
  uint64_t element = 0;
  if (dtype == QN_ANY || dtype == QN_F64) return value;
  if (dtype == QN_F32) return (double)(float)value;
  qn_elements_store(dtype, &value, 1, true, &element);
  qn_elements_load(dtype, &element, 1, &value);
  return value;
}
