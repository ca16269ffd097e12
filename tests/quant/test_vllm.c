// The formulas of vLLM's quantization kernels, written out once more, one test for each scheme that stands for
// them. Sources: csrc/quantization/w8a8/fp8/common.cu, w8a8/fp8/per_token_group_quant.cu,
// w8a8/int8/scaled_quant.cu, fp4/nvfp4_utils.cuh. rcp.approx is taken as the nearest value.
#include "quant_test.h"

// Tokens and columns: none, one, what fills no tile, and head_dim 80.
static const int64_t SHAPES[][2] = { { 0, 64 }, { 1, 16 }, { 1, 640 }, { 3, 128 }, { 130, 160 }, { 533, 640 } };

static quantization on(const char *scheme, int64_t tokens, int64_t columns, double *x) {
  return (quantization){ .scheme = scheme, .rank = 2, .dims = { tokens, columns }, .x = x };
}

static float amax_of(const double *x, int64_t count) {
  float amax = 0;
  for (int64_t i = 0; i < count; i++) amax = fmaxf(amax, fabsf((float)x[i]));
  return amax;
}

// fmaxf(-448, fminf(x, 448)) and a conversion.
static uint8_t fp8(float x) {
  return e4m3_of((double)fmaxf(-448, fminf(x, 448)));
}

static void equal_codes(const quantization *q, uint64_t index, uint8_t expected) {
  cr_assert_eq(q->codes[index], expected, "%s [%lld,%lld]: code %llu is 0x%02x, not 0x%02x", q->scheme,
               (long long)q->dims[0], (long long)q->dims[1], (unsigned long long)index, q->codes[index],
               expected);
}
static void equal_scale(const quantization *q, uint64_t index, float expected) {
  float found = (float)scale_at(q, index);
  cr_assert(memcmp(&found, &expected, 4) == 0, "%s [%lld,%lld]: scale %llu is %a, not %a", q->scheme,
            (long long)q->dims[0], (long long)q->dims[1], (unsigned long long)index, (double)found,
            (double)expected);
}

#define EACH_SHAPE(tokens, columns)                                                                            \
  for (size_t shape = 0; shape < QN_COUNT(SHAPES); shape++)                                                    \
    for (int64_t tokens = SHAPES[shape][0], columns = SHAPES[shape][1], once = 1; once; once = 0)

// --- FP8 ---------------------------------------------------------------------------------------------------

Test(vllm, static_scaled_fp8_quant) {
  EACH_SHAPE(tokens, columns) {
    double *x = create_values((uint64_t)(tokens * columns), 1);
    if (tokens > 0) x[0] = (double)NAN, x[1] = (double)INFINITY;
    const float scale = 0.0173f;
    quantization q = on("fp8_static{arithmetic=reciprocal, nan=largest}", tokens, columns, x);
    q.scale = ONE(scale);
    quantize_well(&q);
    float inverse = 1.0f / scale;
    for (int64_t i = 0; i < tokens * columns; i++) equal_codes(&q, (uint64_t)i, fp8((float)x[i] * inverse));
    release(&q);
    free(x);
  }
}

Test(vllm, static_scaled_fp8_quant_per_channel) {
  EACH_SHAPE(tokens, columns) {
    double *x = create_values((uint64_t)(tokens * columns), 2), scales[640];
    for (int64_t c = 0; c < columns; c++) scales[c] = (double)(0.003f * (float)(c + 1));
    quantization q = on("fp8_channel{arithmetic=reciprocal, nan=largest}", tokens, columns, x);
    q.scale = (qn_numbers){ scales, (uint64_t)columns };
    quantize_well(&q);
    for (int64_t i = 0; i < tokens * columns; i++)
      equal_codes(&q, (uint64_t)i, fp8((float)x[i] * (1.0f / (float)scales[i % columns])));
    release(&q);
    free(x);
  }
}

// The largest of the rows' amax / 448, from 0: a tensor of zeros has scale 0, every quotient NaN, every code
// the largest.
Test(vllm, dynamic_scaled_fp8_quant) {
  EACH_SHAPE(tokens, columns) for (int zeros = 0; zeros < 2; zeros++) {
    double *x = create_values((uint64_t)(tokens * columns), 3);
    for (int64_t i = 0; zeros && i < tokens * columns; i++) x[i] = 0;
    quantization q = on("fp8_dynamic{nan=largest}", tokens, columns, x);
    quantize_well(&q);
    float scale = 0;
    for (int64_t t = 0; t < tokens; t++) scale = fmaxf(scale, amax_of(x + t * columns, columns) / 448);
    equal_scale(&q, 0, scale);
    for (int64_t i = 0; i < tokens * columns; i++)
      equal_codes(&q, (uint64_t)i, fp8((float)x[i] * (1.0f / scale)));
    if (zeros && tokens > 0) equal_codes(&q, 0, 0x7E);
    release(&q);
    free(x);
  }
}

Test(vllm, dynamic_per_token_scaled_fp8_quant) {
  EACH_SHAPE(tokens, columns) for (int bound = 0; bound < 2; bound++) {
    double *x = create_values((uint64_t)(tokens * columns), 4);
    for (int64_t i = 0; tokens > 1 && i < columns; i++) x[i] = i % 2 ? 0 : -0.0;
    quantization q = on("fp8_token{nan=largest}", tokens, columns, x);
    q.scale_bound = (qn_numbers){ bound ? &(double){ (double)0.7f } : NULL, (uint64_t)bound };
    quantize_well(&q);
    for (int64_t t = 0; t < tokens; t++) {
      float amax = amax_of(x + t * columns, columns);
      if (bound) amax = fminf(amax, 0.7f);
      float scale = fmaxf(amax / 448, 1.0f / (448.0f * 512.0f));
      equal_scale(&q, (uint64_t)t, scale);
      for (int64_t i = t * columns; i < (t + 1) * columns; i++)
        equal_codes(&q, (uint64_t)i, fp8((float)x[i] / scale));
    }
    release(&q);
    free(x);
  }
}

// Where the scale of token t and group g of G stands, in a buffer with rows of `stride` tokens.
typedef int64_t (*place)(int64_t t, int64_t g, int64_t groups, int64_t stride);
static int64_t row_place(int64_t t, int64_t g, int64_t groups, int64_t stride) {
  (void)stride;
  return t * groups + g;
}
static int64_t column_place(int64_t t, int64_t g, int64_t groups, int64_t stride) {
  (void)groups;
  return g * stride + t;
}

Test(vllm, per_token_group_fp8_quant) {
  static const struct {
    const char *scheme;
    place place;
    int group, align;
    bool power;
  } cases[] = {
    { "fp8_group{nan=largest, group=64}", row_place, 64, 1, false },
    { "fp8_group{nan=largest}", row_place, 128, 1, false },
    { "fp8_group{scale_layout=column, nan=largest, group=32}", column_place, 32, 1, false },
    { "fp8_group{scale_layout=tma_aligned, nan=largest, group=64}", column_place, 64, 4, false },
    { "fp8_group{rule=up, floor=scale_1e-10, nan=largest, group=64}", row_place, 64, 1, true },
  };
  for (size_t c = 0; c < QN_COUNT(cases); c++) EACH_SHAPE(tokens, columns) {
      const int64_t group = cases[c].group, groups = (columns + group - 1) / group;
      const int64_t stride = (tokens + cases[c].align - 1) / cases[c].align * cases[c].align;
      double *x = create_values((uint64_t)(tokens * columns), 5);
      quantization q = on(cases[c].scheme, tokens, columns, x);
      quantize_well(&q);
      cr_assert_eq(q.buffer.count, (uint64_t)(groups * stride));
      for (int64_t t = 0; t < tokens; t++)
        for (int64_t g = 0; g < groups; g++) {
          int64_t first = t * columns + g * group, count = QN_MIN(group, columns - g * group);
          float scale = fmaxf(1e-10f, amax_of(x + first, count)) / 448;
          if (cases[c].power) scale = exp2f(ceilf(log2f(fmaxf(fabsf(scale), 1e-10f))));
          equal_scale(&q, (uint64_t)cases[c].place(t, g, groups, stride), scale);
          for (int64_t i = first; i < first + count; i++)
            equal_codes(&q, (uint64_t)i, fp8((float)x[i] / scale));
        }
      for (int64_t g = 0; g < groups; g++) // what is added
        for (int64_t t = tokens; t < stride; t++) equal_scale(&q, (uint64_t)(g * stride + t), 0);
      release(&q);
      free(x);
    }
}

// DeepGEMM's packed exponents: byte g % 4 of word g / 4 of a token, tokens in rows of a multiple of 4.
Test(vllm, per_token_group_quant_8bit_packed) {
  EACH_SHAPE(tokens, columns) {
    const int64_t groups = (columns + 127) / 128, rows = (tokens + 3) / 4 * 4,
                  size = (groups + 3) / 4 * rows * 4;
    double *x = create_values((uint64_t)(tokens * columns), 6);
    uint8_t *expected = calloc((size_t)size + 1, 1);
    quantization q = on("fp8_group{scale=e8m0, scale_layout=packed, rule=up, floor=scale_1e-10, "
                        "arithmetic=reciprocal, nan=largest}",
                        tokens, columns, x);
    quantize_well(&q);
    cr_assert_eq(q.buffer.count, (uint64_t)size);
    for (int64_t t = 0; t < tokens; t++)
      for (int64_t g = 0; g < groups; g++) {
        int64_t first = t * columns + g * 128, count = QN_MIN(128, columns - g * 128);
        float y = fmaxf(amax_of(x + first, count) / 448, 1e-10f);
        uint32_t bits;
        memcpy(&bits, &y, 4);
        uint8_t byte = (uint8_t)((bits >> 23) + ((bits & 0x7FFFFF) != 0));
        expected[(g / 4 * rows + t) * 4 + g % 4] = byte;
        for (int64_t i = first; i < first + count; i++)
          equal_codes(&q, (uint64_t)i, fp8((float)x[i] * ldexpf(1, 127 - byte)));
      }
    cr_assert(memcmp(q.scales, expected, (size_t)size) == 0);
    free(expected);
    release(&q);
    free(x);
  }
}

// --- FP4 ---------------------------------------------------------------------------------------------------

// The words of the kernel: m tiles of 128 rows, k tiles of 4 groups.
static int64_t swizzled_place(int64_t row, int64_t k, int64_t groups) {
  int64_t k_tiles = (groups + 3) / 4;
  return ((row >> 7) * k_tiles + (k >> 2)) * 512 + (row & 31) * 16 + ((row >> 5) & 3) * 4 + (k & 3);
}

static void check_fp4(const char *scheme, int group, bool swizzled, bool power) {
  EACH_SHAPE(tokens, columns) {
    const int64_t groups = (columns + group - 1) / group, rows = (tokens + 127) / 128 * 128,
                  across = (groups + 3) / 4 * 4;
    const int64_t size = swizzled ? rows * across : tokens * groups;
    const float global = 448.0f * 6.0f / 63.5f;
    double *x = create_values((uint64_t)(tokens * columns), 7);
    uint8_t *expected = calloc((size_t)size + 1, 1);
    quantization q = on(scheme, tokens, columns, x);
    q.scale = (qn_numbers){ power ? NULL : &(double){ (double)global }, !power };
    quantize_well(&q);
    cr_assert_eq(q.buffer.count, (uint64_t)size);
    for (int64_t t = 0; t < tokens; t++)
      for (int64_t g = 0; g < groups; g++) {
        const double *values = x + t * columns + g * group;
        const int64_t count = QN_MIN(group, columns - g * group);
        float amax = amax_of(values, count), factor;
        uint8_t stored;
        if (power) {
          uint32_t bits;
          memcpy(&bits, &amax, 4);
          bits = (bits + (1u << 21)) & 0xFF800000u;
          int e = QN_MIN(QN_MAX((int)(bits >> 23) - 2, 0), 254);
          stored = (uint8_t)e;
          factor = 1.0f / ldexpf(1, e - 127);
        } else {
          stored = e4m3_of((double)(global * (amax * (1.0f / 6.0f))));
          float s = e4m3_value(stored);
          factor = s != 0 ? 1.0f / (s * (1.0f / global)) : 0;
        }
        expected[swizzled ? swizzled_place(t, g, groups) : t * groups + g] = stored;
        for (int64_t i = 0; i < count; i++)
          equal_codes(&q, (uint64_t)(t * columns + g * group + i),
                      e2m1_of((double)((float)values[i] * factor)));
      }
    cr_assert(memcmp(q.scales, expected, (size_t)size) == 0);
    free(expected);
    release(&q);
    free(x);
  }
}

Test(vllm, scaled_fp4_quant) {
  check_fp4("nvfp4", 16, true, false);
}
Test(vllm, scaled_fp4_quant_with_scales_in_rows) {
  check_fp4("nvfp4{scale_layout=row}", 16, false, false);
}
Test(vllm, mxfp4_quant) {
  check_fp4("mxfp4{scale_layout=swizzled, rule=up_1_75}", 32, true, true);
  check_fp4("mxfp4{rule=up_1_75, group=16}", 16, false, true);
}

// --- INT8 --------------------------------------------------------------------------------------------------

// cvt.rni.sat.s8.f32
static int8_t s8(float x) {
  return (int8_t)fmaxf(-128, fminf(127, rintf(x)));
}
static void equal_int(const quantization *q, uint64_t index, int8_t expected) {
  equal_codes(q, index, (uint8_t)expected);
}

Test(vllm, static_scaled_int8_quant) {
  EACH_SHAPE(tokens, columns) {
    double *x = create_values((uint64_t)(tokens * columns), 8);
    quantization q = on("int8_static{zero_point=none}", tokens, columns, x);
    q.scale = ONE(0.0273f);
    quantize_well(&q);
    quantization z = on("int8_static{arithmetic=reciprocal}", tokens, columns, x);
    z.scale = ONE(0.0273f), z.zero_point = ONE(-17);
    quantize_well(&z);
    for (int64_t i = 0; i < tokens * columns; i++) {
      equal_int(&q, (uint64_t)i, s8((float)x[i] / 0.0273f));
      equal_int(&z, (uint64_t)i, s8(rintf((float)x[i] * (1.0f / 0.0273f)) - 17));
    }
    release(&q);
    release(&z);
    free(x);
  }
}

Test(vllm, dynamic_scaled_int8_quant) {
  EACH_SHAPE(tokens, columns) {
    double *x = create_values((uint64_t)(tokens * columns), 9);
    for (int64_t i = 0; tokens > 1 && i < columns; i++) x[i] = i % 2 ? 0 : -0.0;
    quantization q = on("int8_token", tokens, columns, x);
    quantize_well(&q);
    for (int64_t t = 0; t < tokens; t++) {
      float amax = amax_of(x + t * columns, columns), inverse = amax == 0 ? 0 : 127 / amax;
      equal_scale(&q, (uint64_t)t, amax / 127);
      for (int64_t i = t * columns; i < (t + 1) * columns; i++)
        equal_int(&q, (uint64_t)i, s8((float)x[i] * inverse));
    }
    release(&q);
    free(x);
  }
}

Test(vllm, dynamic_scaled_int8_azp_quant) {
  EACH_SHAPE(tokens, columns) {
    double *x = create_values((uint64_t)(tokens * columns), 10);
    for (int64_t i = 0; tokens > 2 && i < columns; i++) x[i] += 1000; // far from 0: the zero point is no code
    quantization q = on("int8_token_zp", tokens, columns, x);
    quantize_well(&q);
    for (int64_t t = 0; t < tokens; t++) {
      const double *row = x + t * columns;
      float low = (float)row[0], high = low;
      for (int64_t i = 0; i < columns; i++) low = fminf(low, (float)row[i]), high = fmaxf(high, (float)row[i]);
      float scale = (high - low) / 255;
      int32_t azp = (int32_t)rintf(-128 - low / scale);
      equal_scale(&q, (uint64_t)t, scale);
      cr_assert_eq((int32_t)zero_point_at(&q, (uint64_t)t), azp);
      for (int64_t i = 0; i < columns; i++) {
        int32_t code = (int32_t)rintf((float)row[i] * (1.0f / scale)) + azp;
        equal_int(&q, (uint64_t)(t * columns + i), (int8_t)QN_MAX(-128, QN_MIN(127, code)));
      }
    }
    if (tokens > 2) cr_assert(zero_point_at(&q, 0) < -128);
    release(&q);
    free(x);
  }
}
