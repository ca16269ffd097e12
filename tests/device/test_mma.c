// mma.sync: where each element of a fragment belongs, by the tables of the PTX ISA, and what comes out.
//
// The tables are written down below a type and shape each, as the ISA has them: the row and the column of
// element i of a lane, with g = lane / 4 and t = lane % 4.
#include "quant/codec_priv.h"
#include "tests/device/cvt_reference.h"

#include <math.h>

enum { M = 16, N = 8, K_MAX = 64, WORDS_MAX = 10 };

// --- the ISA's tables -----------------------------------------------------------------------------------

typedef struct place {
  int row, column;
} place;

// m16n8k4, .tf32
static place a_k4_32(int g, int t, int i) {
  return (place){ i == 0 ? g : g + 8, t };
}
static place b_k4_32(int g, int t, int i) {
  (void)i;
  return (place){ t, g };
}
// m16n8k8, .tf32
static place a_k8_32(int g, int t, int i) {
  return (place){ i == 0 || i == 2 ? g : g + 8, i == 0 || i == 1 ? t : t + 4 };
}
static place b_k8_32(int g, int t, int i) {
  return (place){ i == 0 ? t : t + 4, g };
}
// m16n8k8, .f16 and .bf16
static place a_k8_16(int g, int t, int i) {
  return (place){ i == 0 || i == 1 ? g : g + 8, t * 2 + (i & 1) };
}
static place b_k8_16(int g, int t, int i) {
  return (place){ t * 2 + i, g };
}
// m16n8k16, .f16 and .bf16
static place a_k16_16(int g, int t, int i) {
  bool upper = (0 <= i && i < 2) || (4 <= i && i < 6);
  return (place){ upper ? g : g + 8, i < 4 ? t * 2 + (i & 1) : t * 2 + (i & 1) + 8 };
}
static place b_k16_16(int g, int t, int i) {
  return (place){ i < 2 ? t * 2 + (i & 1) : t * 2 + (i & 1) + 8, g };
}
// m16n8k16, .u8, .s8, .e4m3 and .e5m2
static place a_k16_8(int g, int t, int i) {
  return (place){ i < 4 ? g : g + 8, t * 4 + (i & 3) };
}
static place b_k16_8(int g, int t, int i) {
  return (place){ t * 4 + i, g };
}
// m16n8k32, .u8, .s8, .e4m3 and .e5m2
static place a_k32_8(int g, int t, int i) {
  bool upper = (0 <= i && i < 4) || (8 <= i && i < 12);
  return (place){ upper ? g : g + 8, i < 8 ? t * 4 + (i & 3) : t * 4 + (i & 3) + 16 };
}
static place b_k32_8(int g, int t, int i) {
  return (place){ i < 4 ? t * 4 + (i & 3) : t * 4 + (i & 3) + 16, g };
}
// m16n8k32, .u4 and .s4
static place a_k32_4(int g, int t, int i) {
  return (place){ i < 8 ? g : g + 8, t * 8 + (i & 7) };
}
static place b_k32_4(int g, int t, int i) {
  return (place){ t * 8 + (i & 7), g };
}
// m16n8k64, .u4 and .s4
static place a_k64_4(int g, int t, int i) {
  bool upper = (0 <= i && i < 8) || (16 <= i && i < 24);
  return (place){ upper ? g : g + 8, i < 16 ? t * 8 + (i & 7) : t * 8 + (i & 7) + 32 };
}
static place b_k64_4(int g, int t, int i) {
  return (place){ i < 8 ? t * 8 + (i & 7) : t * 8 + (i & 7) + 32, g };
}
// C and D of all of them
static place cd(int g, int t, int i) {
  return (place){ i < 2 ? g : g + 8, t * 2 + (i & 1) };
}

typedef place (*table)(int g, int t, int i);

static const struct {
  int k, bits;
  table a, b;
} shapes[] = {
  { 4, 32, a_k4_32, b_k4_32 },    { 8, 32, a_k8_32, b_k8_32 }, { 8, 16, a_k8_16, b_k8_16 },
  { 16, 16, a_k16_16, b_k16_16 }, { 16, 8, a_k16_8, b_k16_8 }, { 32, 8, a_k32_8, b_k32_8 },
  { 32, 4, a_k32_4, b_k32_4 },    { 64, 4, a_k64_4, b_k64_4 },
};

// --- types ----------------------------------------------------------------------------------------------

typedef struct type_info {
  const char *name;
  int bits;
  uint32_t one;
  const float_type *floats; // NULL: integers
} type_info;

static const type_info infos[] = {
  { "f16", 16, 0x3C00, &type_f16 },
  { "bf16", 16, 0x3F80, &type_bf16 },
  { "tf32", 32, 0x3F800000, &type_f32 },
  { "e4m3", 8, 0x38, &type_e4m3 },
  { "e5m2", 8, 0x3C, &type_e5m2 },
  { "s8", 8, 1, NULL },
  { "u8", 8, 1, NULL },
  { "s4", 4, 1, NULL },
  { "u4", 4, 1, NULL },
  { "f32", 32, 0x3F800000, &type_f32 },
  { "s32", 32, 1, NULL },
};

static const type_info *info_of(const char *name) {
  for (size_t i = 0; i < QN_COUNT(infos); i++)
    if (strcmp(infos[i].name, name) == 0) return &infos[i];
  cr_assert(false, "no type %s", name);
  return NULL;
}

static long double value_of(const type_info *type, uint32_t code) {
  if (type->floats) return decode(type->floats, strcmp(type->name, "tf32") == 0 ? code & 0xFFFFE000u : code);
  if (type->name[0] == 'u') return (long double)code;
  return (long double)((int32_t)(code << (32 - type->bits)) >> (32 - type->bits));
}

// --- running --------------------------------------------------------------------------------------------

typedef struct form {
  int k;
  const char *a, *b, *c; // C and D
  bool satfinite;
} form;

typedef struct problem {
  uint32_t a[M][K_MAX], b[K_MAX][N], c[M][N], d[M][N];
} problem;

static void put(uint32_t *words, int bits, int i, uint32_t code) {
  words[i * bits / 32] |= code << i * bits % 32;
}
static uint32_t get(const uint32_t *words, int bits, int i) {
  return (uint32_t)low_bits(words[i * bits / 32] >> i * bits % 32, bits);
}

static size_t find_shape(int k, int bits) {
  for (size_t i = 0; i < QN_COUNT(shapes); i++)
    if (shapes[i].k == k && shapes[i].bits == bits) return i;
  cr_assert(false, "no table for k %d and %d bits", k, bits);
  return 0;
}

static void pack_lane(const form *f, const problem *p, int lane, uint32_t words[WORDS_MAX]) {
  int bits = info_of(f->a)->bits, c_bits = info_of(f->c)->bits, g = lane / 4, t = lane % 4;
  int a_count = M * f->k / 32, b_count = N * f->k / 32;
  size_t shape = find_shape(f->k, bits);
  memset(words, 0, WORDS_MAX * sizeof *words);
  for (int i = 0; i < a_count; i++) {
    place at = shapes[shape].a(g, t, i);
    put(words, bits, i, p->a[at.row][at.column]);
  }
  for (int i = 0; i < b_count; i++) {
    place at = shapes[shape].b(g, t, i);
    put(words + a_count * bits / 32, bits, i, p->b[at.row][at.column]);
  }
  for (int i = 0; i < 4; i++)
    put(words + (a_count + b_count) * bits / 32, c_bits, i, p->c[cd(g, t, i).row][cd(g, t, i).column]);
}

static void write_list(char *out, size_t size, int first, int count) {
  int n = snprintf(out, size, "{");
  for (int i = 0; i < count; i++) n += snprintf(out + n, size - (size_t)n, "%s%%x%d", i ? ", " : "", first + i);
  snprintf(out + n, size - (size_t)n, "}");
}

static void write_kernel(const form *f, char *body, size_t size) {
  int bits = info_of(f->a)->bits, d_words = info_of(f->c)->bits / 8;
  int a_words = M * f->k / 32 * bits / 32, b_words = N * f->k / 32 * bits / 32;
  char a[64], b[64], c[64], d[64];
  write_list(a, sizeof a, 0, a_words);
  write_list(b, sizeof b, a_words, b_words);
  write_list(c, sizeof c, a_words + b_words, d_words);
  write_list(d, sizeof d, WORDS_MAX, d_words);
  int n = snprintf(body, size,
                   ".reg .b32 %%x<%d>, %%i;\n.reg .b64 %%a, %%b;\nmov.u32 %%i, %%ctaid.x;\n"
                   "mad.lo.u32 %%i, %%i, 32, %%thread;\nmad.wide.u32 %%a, %%i, %d, %%in;\n"
                   "mad.wide.u32 %%b, %%i, 16, %%out;\n",
                   WORDS_MAX + 4, WORDS_MAX * 4);
  for (int i = 0; i < a_words + b_words + d_words; i++)
    n += snprintf(body + n, size - (size_t)n, "ld.global.b32 %%x%d, [%%a+%d];\n", i, 4 * i);
  n += snprintf(body + n, size - (size_t)n, "mma.sync.aligned.m16n8k%d.row.col%s.%s.%s.%s.%s %s, %s, %s, %s;\n",
                f->k, f->satfinite ? ".satfinite" : "", f->c, f->a, f->b, f->c, d, a, b, c);
  for (int i = 0; i < d_words; i++)
    n += snprintf(body + n, size - (size_t)n, "st.global.b32 [%%b+%d], %%x%d;\n", 4 * i, WORDS_MAX + i);
}

// Fills d of each problem.
static void run(const form *f, problem *problems, size_t count) {
  static uint32_t in[2048][32][WORDS_MAX], out[2048][32][4];
  char body[2048];
  const type_info *a = info_of(f->a), *c = info_of(f->c);
  cr_assert(count <= QN_COUNT(in));
  for (size_t p = 0; p < count; p++)
    for (int lane = 0; lane < 32; lane++) pack_lane(f, &problems[p], lane, in[p][lane]);
  write_kernel(f, body, sizeof body);
  bool narrow = a->bits == 8 && a->floats;
  device_run(device_kernel(.body = body, .blocks = (uint32_t)count, .target = narrow ? "sm_89" : NULL,
                           .version = narrow ? (f->k == 16 || c->bits == 16 ? "8.7" : "8.4") : NULL),
             in, count * sizeof in[0], out, count * sizeof out[0]);
  for (size_t p = 0; p < count; p++)
    for (int lane = 0; lane < 32; lane++)
      for (int i = 0; i < 4; i++)
        problems[p].d[cd(lane / 4, lane % 4, i).row][cd(lane / 4, lane % 4, i).column] =
            get(out[p][lane], c->bits, i);
}

// --- places ---------------------------------------------------------------------------------------------

static problem problems[2048];

// Each element of A alone meets a row of ones of B, each element of B alone a column of ones of A, each element
// of C nothing: what comes out tells the place of every one of them.
static size_t fill_single(const form *f) {
  uint32_t a_one = info_of(f->a)->one, b_one = info_of(f->b)->one, c_one = info_of(f->c)->one;
  size_t n = 0;
  memset(problems, 0, sizeof problems);
  for (int i = 0; i < M; i++)
    for (int k = 0; k < f->k; k++, n++) {
      problems[n].a[i][k] = a_one;
      for (int j = 0; j < N; j++) problems[n].b[k][j] = b_one;
    }
  for (int k = 0; k < f->k; k++)
    for (int j = 0; j < N; j++, n++) {
      problems[n].b[k][j] = b_one;
      for (int i = 0; i < M; i++) problems[n].a[i][k] = a_one;
    }
  for (int i = 0; i < M; i++)
    for (int j = 0; j < N; j++, n++) problems[n].c[i][j] = c_one;
  return n;
}

static uint32_t expected_single(const form *f, size_t n, int i, int j) {
  size_t b_first = (size_t)(M * f->k), c_first = b_first + (size_t)(f->k * N);
  bool is_one = n < b_first   ? (int)n / f->k == i
                : n < c_first ? (int)(n - b_first) % N == j
                              : (int)(n - c_first) == i * N + j;
  return is_one ? info_of(f->c)->one : 0;
}

static void check_places(const form *f) {
  size_t count = fill_single(f);
  run(f, problems, count);
  for (size_t p = 0; p < count; p++)
    for (int i = 0; i < M; i++)
      for (int j = 0; j < N; j++)
        cr_assert_eq(problems[p].d[i][j], expected_single(f, p, i, j), "k %d %s %s: problem %zu, d(%d,%d) = %x",
                     f->k, f->a, f->b, p, i, j, problems[p].d[i][j]);
}

#define PLACES(name, ...)                                                                                      \
  Test(mma, places_##name) {                                                                                   \
    check_places(&(form){ __VA_ARGS__ });                                                                      \
  }
PLACES(m16n8k8_f16, 8, "f16", "f16", "f32", false)
PLACES(m16n8k16_f16, 16, "f16", "f16", "f32", false)
PLACES(m16n8k8_f16_f16, 8, "f16", "f16", "f16", false)
PLACES(m16n8k16_f16_f16, 16, "f16", "f16", "f16", false)
PLACES(m16n8k8_bf16, 8, "bf16", "bf16", "f32", false)
PLACES(m16n8k16_bf16, 16, "bf16", "bf16", "f32", false)
PLACES(m16n8k4_tf32, 4, "tf32", "tf32", "f32", false)
PLACES(m16n8k8_tf32, 8, "tf32", "tf32", "f32", false)
PLACES(m16n8k16_e4m3, 16, "e4m3", "e4m3", "f32", false)
PLACES(m16n8k32_e4m3, 32, "e4m3", "e4m3", "f32", false)
PLACES(m16n8k32_e4m3_e5m2, 32, "e4m3", "e5m2", "f32", false)
PLACES(m16n8k32_e5m2_e4m3, 32, "e5m2", "e4m3", "f32", false)
PLACES(m16n8k32_e5m2, 32, "e5m2", "e5m2", "f32", false)
PLACES(m16n8k32_e4m3_f16, 32, "e4m3", "e4m3", "f16", false)
PLACES(m16n8k16_s8, 16, "s8", "s8", "s32", false)
PLACES(m16n8k32_s8, 32, "s8", "s8", "s32", false)
PLACES(m16n8k32_u8_s8, 32, "u8", "s8", "s32", false)
PLACES(m16n8k32_s4, 32, "s4", "s4", "s32", false)
PLACES(m16n8k64_s4, 64, "s4", "s4", "s32", false)
PLACES(m16n8k64_u4_s4, 64, "u4", "s4", "s32", false)

// --- sums of integers -----------------------------------------------------------------------------------

enum { RANDOM = 64 };

static void fill_random_ints(const form *f) {
  uint64_t state = 11;
  memset(problems, 0, RANDOM * sizeof *problems);
  for (size_t p = 0; p < RANDOM; p++) {
    for (int i = 0; i < M; i++)
      for (int k = 0; k < f->k; k++)
        problems[p].a[i][k] = (uint32_t)low_bits(device_random(&state), info_of(f->a)->bits);
    for (int k = 0; k < f->k; k++)
      for (int j = 0; j < N; j++)
        problems[p].b[k][j] = (uint32_t)low_bits(device_random(&state), info_of(f->b)->bits);
    // Some at the ends of the range, so that sums leave it.
    for (int i = 0; i < M; i++)
      for (int j = 0; j < N; j++)
        problems[p].c[i][j] = p % 4 ? device_random(&state) : 0x7FFFFFF0u + (p % 8) * 4;
  }
}

static void check_ints(const form *f) {
  fill_random_ints(f);
  run(f, problems, RANDOM);
  for (size_t p = 0; p < RANDOM; p++)
    for (int i = 0; i < M; i++)
      for (int j = 0; j < N; j++) {
        int64_t sum = (int32_t)problems[p].c[i][j];
        for (int k = 0; k < f->k; k++)
          sum += (int64_t)(value_of(info_of(f->a), problems[p].a[i][k]) *
                           value_of(info_of(f->b), problems[p].b[k][j]));
        if (f->satfinite) sum = sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum;
        cr_assert_eq(problems[p].d[i][j], (uint32_t)sum, "%s %s k %d: d(%d,%d) = %x, expected %x", f->a, f->b,
                     f->k, i, j, problems[p].d[i][j], (uint32_t)sum);
      }
}
Test(mma, sums_of_bytes) {
  static const char *const types[] = { "s8", "u8" };
  for (int a = 0; a < 2; a++)
    for (int b = 0; b < 2; b++)
      for (int k = 16; k <= 32; k += 16)
        for (int saturate = 0; saturate < 2; saturate++)
          check_ints(&(form){ k, types[a], types[b], "s32", saturate });
}
Test(mma, sums_of_nibbles) {
  static const char *const types[] = { "s4", "u4" };
  for (int a = 0; a < 2; a++)
    for (int b = 0; b < 2; b++)
      for (int k = 32; k <= 64; k += 32)
        for (int saturate = 0; saturate < 2; saturate++)
          check_ints(&(form){ k, types[a], types[b], "s32", saturate });
}

// --- sums of floats -------------------------------------------------------------------------------------

static uint32_t random_float(const type_info *type, uint64_t *state) {
  // From 2^-6 to 2^6, and zero.
  long double value = ((long double)device_random(state) / 4294967296.0L - 0.5L) * 2;
  value = ldexpl(value, (int)(device_random(state) % 12) - 6);
  uint32_t code = (uint32_t)encode(type->floats, value, "rn", true);
  return device_random(state) % 16 ? code : 0;
}

// Whether each sum is the exact one within the error of its additions and of one rounding; hardware cuts off
// what it aligns, at about the last place of the largest term.
static void check_floats(const form *f) {
  const type_info *a = info_of(f->a), *b = info_of(f->b), *c = info_of(f->c);
  uint64_t state = 13;
  memset(problems, 0, RANDOM * sizeof *problems);
  for (size_t p = 0; p < RANDOM; p++) {
    for (int i = 0; i < M * f->k; i++) problems[p].a[i / f->k][i % f->k] = random_float(a, &state);
    for (int i = 0; i < N * f->k; i++) problems[p].b[i / N][i % N] = random_float(b, &state);
    for (int i = 0; i < M * N; i++) problems[p].c[i / N][i % N] = random_float(c, &state);
  }
  run(f, problems, RANDOM);
  for (size_t p = 0; p < RANDOM; p++)
    for (int i = 0; i < M; i++)
      for (int j = 0; j < N; j++) {
        long double exact = value_of(c, problems[p].c[i][j]), magnitude = fabsl(exact);
        for (int k = 0; k < f->k; k++) {
          long double product = value_of(a, problems[p].a[i][k]) * value_of(b, problems[p].b[k][j]);
          exact += product;
          magnitude += fabsl(product);
        }
        long double rounding = ldexpl(1, -c->floats->mantissa - 1), found = value_of(c, problems[p].d[i][j]);
        long double bound = rounding * fabsl(exact) + ldexpl(f->k, -52) * magnitude + ldexpl(1, -25);
        if (c->floats == &type_f32) bound -= ldexpl(1, -25);
        if (!device_is_emulator())
          bound = 4 * rounding * fabsl(exact) + f->k * ldexpl(1, -13 - (a->bits > 8) * 8) * magnitude;
        cr_assert(fabsl(found - exact) <= bound, "%s %s k %d: d(%d,%d) = %.10Lg, exactly %.10Lg", f->a, f->b,
                  f->k, i, j, found, exact);
      }
}
Test(mma, sums_of_f16) {
  check_floats(&(form){ 8, "f16", "f16", "f32", false });
  check_floats(&(form){ 16, "f16", "f16", "f32", false });
}
Test(mma, sums_of_f16_in_f16) {
  check_floats(&(form){ 8, "f16", "f16", "f16", false });
  check_floats(&(form){ 16, "f16", "f16", "f16", false });
}
Test(mma, sums_of_bf16) {
  check_floats(&(form){ 8, "bf16", "bf16", "f32", false });
  check_floats(&(form){ 16, "bf16", "bf16", "f32", false });
}
Test(mma, sums_of_tf32) {
  check_floats(&(form){ 4, "tf32", "tf32", "f32", false });
  check_floats(&(form){ 8, "tf32", "tf32", "f32", false });
}
Test(mma, sums_of_e4m3_and_e5m2) {
  static const char *const types[] = { "e4m3", "e5m2" };
  for (int a = 0; a < 2; a++)
    for (int b = 0; b < 2; b++) check_floats(&(form){ 32, types[a], types[b], "f32", false });
}

// Every code times one, and one times every code, also what is no number.
static void check_codes(const form *f) {
  const type_info *a = info_of(f->a), *b = info_of(f->b);
  uint32_t codes = a->bits == 8 ? 256 : 65536, used = codes / (M * N) < 512 ? codes / (M * N) : 512;
  memset(problems, 0, sizeof problems);
  for (uint32_t p = 0; p < used; p++)
    for (int i = 0; i < M; i++) {
      problems[p].a[i][0] = (p * M + (uint32_t)i) % codes;
      for (int j = 0; j < N; j++) problems[p].b[0][j] = b->one;
    }
  run(f, problems, used);
  for (uint32_t p = 0; p < used; p++)
    for (int i = 0; i < M; i++) {
      uint64_t expected = encode(&type_f32, value_of(a, problems[p].a[i][0]), "rn", false);
      if (expected == 0x80000000u) expected = 0; // -0 + 0
      cr_assert_eq(problems[p].d[i][0], expected, "%s %x: %x, expected %llx", f->a, problems[p].a[i][0],
                   problems[p].d[i][0], (unsigned long long)expected);
    }
}
Test(mma, codes) {
  check_codes(&(form){ 16, "f16", "f16", "f32", false });
  check_codes(&(form){ 16, "bf16", "bf16", "f32", false });
  check_codes(&(form){ 32, "e4m3", "e4m3", "f32", false });
  check_codes(&(form){ 32, "e5m2", "e5m2", "f32", false });
}

Test(mma, tf32_has_no_last_13_bits) {
  form f = { 8, "tf32", "tf32", "f32", false };
  memset(problems, 0, sizeof *problems);
  problems[0].a[3][2] = 0x3F801FFF; // 1 and what is cut off
  for (int j = 0; j < N; j++) problems[0].b[2][j] = 0x40400000;
  run(&f, problems, 1);
  cr_assert_eq(problems[0].d[3][5], 0x40400000);
}

// Infinity, NaN and sums beyond the range.
Test(mma, what_is_no_number) {
  form f = { 16, "f16", "f16", "f32", false };
  memset(problems, 0, sizeof *problems);
  problems[0].a[0][0] = 0x7C00; // infinity times zero
  problems[0].a[1][1] = 0x7C00; // infinity times one
  problems[0].a[2][1] = 0x7BFF;
  problems[0].c[3][0] = 0xFF800000; // infinity - infinity
  problems[0].a[3][1] = 0x7C00;
  problems[0].b[1][0] = 0x3C00;
  run(&f, problems, 1);
  cr_assert_eq(problems[0].d[0][0], 0x7FFFFFFF);
  cr_assert_eq(problems[0].d[1][0], 0x7F800000);
  cr_assert_eq(problems[0].d[2][0], 0x477FE000);
  cr_assert_eq(problems[0].d[3][0], 0x7FFFFFFF);
}

Test(mma, refusals_are_worded) {
  static const struct {
    const char *op, *words;
  } refused[] = {
    { "mma.sync.aligned.m16n8k4.row.col.f32.f16.f16.f32 {%r1,%r2,%r3,%r4}, {%r1,%r2}, {%r1}, {%r1,%r2,%r3,%r4}",
      "no shape and types that are executed" },
    { "mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%d1,%d2}, {%d1}, {%d1}, {%d1,%d2}",
      "no shape and types that are executed" },
    { "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%r1,%r2,%r3,%r4}, {%r1,%r2}, {%r1,%r2}, "
      "{%r1,%r2,%r3,%r4}",
      "not the number of registers" },
    { "mma.sync.aligned.m16n8k16.row.row.f32.f16.f16.f32 {%r1,%r2,%r3,%r4}, {%r1,%r2,%r3,%r4}, {%r1,%r2}, "
      "{%r1,%r2,%r3,%r4}",
      "mma needs .sync.aligned and .row.col" },
    { "mma.sync.aligned.m16n8k8.row.col.satfinite.f32.f16.f16.f32 {%r1,%r2,%r3,%r4}, {%r1,%r2}, {%r1}, "
      "{%r1,%r2,%r3,%r4}",
      ".satfinite is for integers" },
  };
  uint32_t nothing = 0;
  if (!device_is_emulator()) cr_skip_test("the driver has words of its own");
  for (size_t i = 0; i < QN_COUNT(refused); i++) {
    char body[512];
    snprintf(body, sizeof body, ".reg .b32 %%r<5>; .reg .b64 %%d<5>;\n%s;", refused[i].op);
    cr_assert_eq(device_try(device_kernel(.body = body), &nothing, 4, &nothing, 4), QN_UNSUPPORTED, "%s",
                 refused[i].op);
    cr_assert(strstr(device_message(), refused[i].words), "%s: %s", refused[i].op, device_message());
  }
}
