// Which values share a scale, and where codes, scales and zero points go: axes, ragged groups, layouts,
// padding, empty tensors; the factors of channels. By brute force over indices.
#include "quant_test.h"

enum { RANK = 3, COUNT_MAX = 16384 };

static int64_t index_of(const int64_t *dims, const int64_t *at) {
  return (at[0] * dims[1] + at[1]) * dims[2] + at[2];
}

// Whether two elements share a scale.
static bool together(const qn_scheme *s, const int64_t *a, const int64_t *b) {
  int axis = s->axis < 0 ? s->axis + RANK : s->axis;
  if (s->granularity == QN_PER_TENSOR) return true;
  if (s->granularity == QN_PER_CHANNEL) return a[axis] == b[axis];
  if (s->granularity == QN_PER_TOKEN) return a[0] == b[0] && a[1] == b[1];
  for (int d = 0; d < RANK; d++)
    if (d == axis ? a[d] / s->group != b[d] / s->group : a[d] != b[d]) return false;
  return true;
}

// Where the scale of an element stands, in the words of QN_SCALE_LAYOUT_MAP; `dims` are those of the codes.
static int64_t place_of(const qn_scheme *s, const int64_t *dims, const int64_t *at) {
  int axis = s->granularity == QN_PER_TOKEN ? 2 : s->axis < 0 ? s->axis + RANK : s->axis;
  int64_t size = s->granularity == QN_PER_TOKEN ? dims[2] : s->group, lie[RANK], shape[RANK];
  if (s->granularity == QN_PER_TENSOR) return 0;
  if (s->granularity == QN_PER_CHANNEL) return at[axis];
  for (int d = 0; d < RANK; d++) lie[d] = at[d], shape[d] = dims[d];
  lie[axis] /= size;
  shape[axis] = (shape[axis] + size - 1) / size;
  int64_t token = lie[0] * shape[1] + lie[1], tokens = shape[0] * shape[1], group = lie[2], groups = shape[2];
  switch (s->scale_layout) {
  case QN_SCALES_COLUMN: return group * tokens + token;
  case QN_SCALES_TMA_ALIGNED: return group * ((tokens + 3) / 4 * 4) + token;
  case QN_SCALES_PACKED: return (group / 4 * ((tokens + 3) / 4 * 4) + token) * 4 + group % 4;
  case QN_SCALES_SWIZZLED:
    return ((token / 128) * ((groups + 3) / 4) + group / 4) * 512 + token % 32 * 16 + token / 32 % 4 * 4 +
           group % 4;
  default: return index_of(shape, lie);
  }
}

// Codes, scales and zero points of a tensor [2,5,11] or [1,3,11], whose groups are ragged, in FP8 or INT8.
static void check_places(const char *scheme, int64_t d0, int64_t d1, int64_t d2) {
  quantization q = { .scheme = scheme, .rank = RANK, .dims = { d0, d1, d2 } };
  double *x = create_values((uint64_t)(d0 * d1 * d2), 11);
  bool seen[COUNT_MAX] = { false }, written[COUNT_MAX] = { false };
  q.x = x;
  quantize_well(&q);
  const qn_scheme *s = &q.parsed;
  cr_assert(q.buffer.count <= COUNT_MAX && q.count <= COUNT_MAX);
  for (int64_t a[RANK] = { 0 }; a[0] < d0; a[0]++)
    for (a[1] = 0; a[1] < d1; a[1]++)
      for (a[2] = 0; a[2] < d2; a[2]++) {
        float amax = 0, low = INFINITY, high = -INFINITY;
        for (int64_t b[RANK] = { 0 }; b[0] < d0; b[0]++)
          for (b[1] = 0; b[1] < d1; b[1]++)
            for (b[2] = 0; b[2] < d2; b[2]++) {
              float value = (float)x[index_of(q.dims, b)];
              if (!together(s, a, b)) continue;
              amax = fmaxf(amax, fabsf(value)), low = fminf(low, value), high = fmaxf(high, value);
            }
        int64_t code = index_of(q.code_dims, a), place = place_of(s, q.code_dims, a);
        float value = (float)x[index_of(q.dims, a)], scale = fmaxf(amax / 448, 1e-10f);
        cr_assert((uint64_t)place < q.buffer.count, "%s: place %lld of %llu", scheme, (long long)place,
                  (unsigned long long)q.buffer.count);
        seen[place] = true;
        written[code] = true;
        if (s->zero_point) {
          low = fminf(low, 0), high = fmaxf(high, 0);
          scale = fmaxf((high - low) / 255, 1e-10f);
          float zero = rintf(-128 - low / scale);
          cr_assert_eq(zero_point_at(&q, (uint64_t)place), zero, "%s", scheme);
          cr_assert_eq((int8_t)q.codes[code], (int8_t)fminf(127, rintf(value / scale) + zero), "%s", scheme);
        } else {
          if (s->scale_dtype == QN_E8M0) scale = exp2f(ceilf(log2f(scale)));
          cr_assert_eq(q.codes[code], e4m3_of((double)(value / scale)), "%s", scheme);
        }
        cr_assert_eq((float)scale_at(&q, (uint64_t)place), scale, "%s: scale %lld", scheme, (long long)place);
      }
  for (uint64_t i = 0; d0 * d1 * d2 > 0 && i < q.buffer.count; i++) {
    uint32_t size = qn_element_size((qn_dtype)s->scale_dtype);
    for (uint32_t byte = 0; !seen[i] && byte < size; byte++)
      cr_assert_eq(q.scales[i * size + byte], 0, "%s", scheme);
    if (!seen[i] && s->zero_point) cr_assert_eq(zero_point_at(&q, i), 0);
  }
  for (uint64_t i = 0; i < q.count; i++)
    if (!written[i]) cr_assert_eq(q.codes[i], 0, "%s: code %llu", scheme, (unsigned long long)i);
  free(x);
  release(&q);
}

static const char *const SCHEMES[] = {
  "fp8_group{floor=scale_1e-10, group=4}",
  "fp8_group{floor=scale_1e-10, group=4, axis=2, scale_layout=column}",
  "fp8_group{floor=scale_1e-10, group=4, scale_layout=tma_aligned}",
  "fp8_group{floor=scale_1e-10, group=2, scale=e8m0, scale_layout=packed, rule=up}",
  "fp8_group{floor=scale_1e-10, group=2, scale=e8m0, scale_layout=swizzled, rule=up}",
  "fp8_group{floor=scale_1e-10, group=2, axis=0}",
  "fp8_group{floor=scale_1e-10, group=2, axis=1}",
  "fp8_group{floor=scale_1e-10, group=4, pad=16}",
  "fp8_group{floor=scale_1e-10, group=4, pad=16, scale_layout=swizzled}",
  "fp8_group{floor=scale_1e-10, group=2, pad=4, axis=-2}",
  "fp8_token{floor=scale_1e-10}",
  "fp8_token{floor=scale_1e-10, pad=8, scale_layout=column}",
  "fp8_token{floor=scale_1e-10, scale_layout=tma_aligned}",
  "fp8_dynamic{floor=scale_1e-10, arithmetic=divide}",
  "fp8_dynamic{floor=scale_1e-10, arithmetic=divide, pad=3}",
  "fp8_dynamic{granularity=channel, axis=1, floor=scale_1e-10, arithmetic=divide}",
  "fp8_dynamic{granularity=channel, axis=-1, floor=scale_1e-10, arithmetic=divide, pad=16}",
  "int8_token_zp{range=with_zero, floor=scale_1e-10, arithmetic=divide}",
  "int8_token_zp{range=with_zero, floor=scale_1e-10, arithmetic=divide, granularity=group, group=4, axis=1, "
  "pad=4}",
  "int8_dynamic{target=s8, granularity=channel, axis=0, zero=computed, floor=scale_1e-10}",
};

Test(places, every_granularity_axis_and_layout) {
  for (size_t i = 0; i < QN_COUNT(SCHEMES); i++) {
    check_places(SCHEMES[i], 2, 5, 11);
    check_places(SCHEMES[i], 1, 1, 11);
    check_places(SCHEMES[i], 3, 43, 2);
  }
}

// No tokens, no columns: a tensor has its one scale all the same.
Test(places, nothing_at_all) {
  static const int64_t shapes[][3] = { { 0, 5, 8 }, { 2, 0, 8 } };
  for (size_t i = 0; i < QN_COUNT(SCHEMES); i++)
    for (size_t k = 0; k < QN_COUNT(shapes); k++)
      check_places(SCHEMES[i], shapes[k][0], shapes[k][1], shapes[k][2]);
  quantization q = { .scheme = "fp8_dynamic{zero=one}", .rank = 1, .dims = { 0 }, .x = &(double){ 0 } };
  quantize_well(&q);
  cr_assert_eq(scale_at(&q, 0), 1);
  release(&q);
  quantization z = { .scheme = "int8_dynamic", .rank = 1, .dims = { 0 }, .x = &(double){ 0 } };
  quantize_well(&z);
  cr_assert_eq(scale_at(&z, 0), 1);
  cr_assert_eq(zero_point_at(&z, 0), 0);
  release(&z);
  quantization t = { .scheme = "fp8_token", .rank = 2, .dims = { 3, 0 }, .x = &(double){ 0 } };
  quantize_well(&t);
  for (uint64_t i = 0; i < 3; i++) cr_assert_eq((float)scale_at(&t, i), 1 / (448.0f * 512));
  release(&t);
}

Test(places, a_scalar) {
  quantization q = { .scheme = "fp8_static", .rank = 0, .x = &(double){ 3.5 }, .scale = ONE(2) };
  quantize_well(&q);
  cr_assert_eq(q.codes[0], e4m3_of(1.75));
  release(&q);
}

// Scales that are given: one a channel, one a group, the last group shorter.
Test(places, scales_that_are_given) {
  static const double x[] = { 1, 2, 3, 4, 5, 6 }, channels[] = { 1, 2, 4 }, groups[] = { 1, 2, 4, 8 };
  static const double by_channel[] = { 1, 1, 0.75, 4, 2.5, 1.5 }, by_row[] = { 1, 2, 1.5, 1, 1.25, 0.75 };
  quantization q = { .scheme = "fp8_channel", .rank = 2, .dims = { 2, 3 }, .x = x, .scale = { channels, 3 } };
  quantize_well(&q);
  for (int i = 0; i < 6; i++) cr_assert_eq(q.codes[i], e4m3_of(by_channel[i]));
  release(&q);
  quantization g = {
    .scheme = "fp8_block{group=2}", .rank = 2, .dims = { 2, 3 }, .x = x, .scale = { groups, 4 }
  };
  quantize_well(&g);
  for (int i = 0; i < 6; i++) cr_assert_eq(g.codes[i], e4m3_of(by_row[i]));
  release(&g);
  static const double rows[] = { 2, 4 };
  quantization t = {
    .scheme = "fp8_channel{axis=0}", .rank = 2, .dims = { 2, 3 }, .x = x, .scale = { rows, 2 }
  };
  quantize_well(&t);
  for (int i = 0; i < 6; i++) cr_assert_eq(t.codes[i], e4m3_of(x[i] / rows[i / 3]));
  release(&t);
  // Padding takes no scales of its own.
  quantization p = {
    .scheme = "fp8_channel{pad=4}", .rank = 2, .dims = { 2, 3 }, .x = x, .scale = { channels, 3 }
  };
  quantize_well(&p);
  for (int i = 0; i < 8; i++) cr_assert_eq(p.codes[i], i % 4 == 3 ? 0 : e4m3_of(by_channel[i / 4 * 3 + i % 4]));
  release(&p);
}

// Times one factor, one a column, one a head and column; the product is rounded, and so is what amax is taken
// of.
Test(places, factors_of_channels) {
  double x[24], factors[6] = { 1.5, -2, 0, 0.3, 7, 0.01 };
  static const struct {
    uint64_t count;
    const char *round;
  } cases[] = { { 1, "" }, { 3, "round=bf16, " }, { 6, "round=f16, " } };
  for (int i = 0; i < 24; i++) x[i] = (double)(0.37f * (float)(i - 11));
  for (size_t c = 0; c < QN_COUNT(cases); c++) {
    char text[96];
    snprintf(text, sizeof text, "fp8_token{%sfloor=none}", cases[c].round);
    quantization q = {
      .scheme = text, .rank = 3, .dims = { 4, 2, 3 }, .x = x, .pre_scale = { factors, cases[c].count }
    };
    quantize_well(&q);
    for (int t = 0; t < 8; t++) {
      float prepared[3], amax = 0;
      for (int i = 0; i < 3; i++) {
        float product = (float)x[t * 3 + i] * (float)factors[(uint64_t)(t * 3 + i) % cases[c].count];
        if (c == 1) product = (float)qn_element_round(QN_BF16, (double)product);
        if (c == 2) product = (float)qn_element_round(QN_F16, (double)product);
        prepared[i] = product;
        amax = fmaxf(amax, fabsf(product));
      }
      cr_assert_eq((float)scale_at(&q, (uint64_t)t), amax / 448);
      for (int i = 0; i < 3; i++)
        cr_assert_eq(q.codes[t * 3 + i], e4m3_of((double)(prepared[i] / (amax / 448))));
    }
    release(&q);
  }
}

// Codes and scales, then values again: within half a step of the code, for each layout and both directions.
Test(places, dequantizing_finds_the_scales_again) {
  static const char *const schemes[] = {
    "fp8_group{group=4, scale_layout=tma_aligned}",
    "mxfp8{rule=up, group=4, scale_layout=packed}",
    "mxfp8{rule=up, scale_layout=swizzled}",
    "fp8_token",
    "fp8_token{floor=amax_1e-12, rule=multiplier, arithmetic=multiply}",
    "int8_token_zp{range=with_zero, floor=scale_1e-10}",
    "fp8_group{group=2, axis=0}",
  };
  enum { TOKENS = 6, COLUMNS = 11 };
  double *x = create_values(TOKENS * COLUMNS, 12), scales[1024], zeros[1024], codes[128], values[128];
  for (size_t i = 0; i < QN_COUNT(schemes); i++) {
    quantization q = { .scheme = schemes[i], .rank = 2, .dims = { TOKENS, COLUMNS }, .x = x };
    quantize_well(&q);
    qn_context *context;
    cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
    qn_quantize_args args = {
      .scheme = &q.parsed, .rank = 2, .dims = q.dims, .scale = { scales, q.buffer.count }
    };
    for (uint64_t k = 0; k < q.buffer.count; k++) scales[k] = scale_at(&q, k), zeros[k] = zero_point_at(&q, k);
    if (q.parsed.zero_point) args.zero_point = (qn_numbers){ zeros, q.buffer.count };
    qn_elements_load((qn_dtype)q.parsed.target, q.codes, q.count, codes);
    cr_assert_eq(qn_dequantize(context, &args, codes, values), QN_OK, "%s", schemes[i]);
    for (int k = 0; k < TOKENS * COLUMNS; k++) {
      double largest = 0, step;
      for (int n = 0; n < TOKENS * COLUMNS; n++) largest = fmax(largest, fabs(x[n]));
      step = q.parsed.target == QN_S8 ? largest / 127 : fmax(fabs(x[k]) / 15, largest * 0x1p-16);
      cr_assert(fabs(values[k] - x[k]) <= step, "%s: %g, not %g", schemes[i], values[k], x[k]);
    }
    qn_context_destroy(context);
    release(&q);
  }
  free(x);
}
