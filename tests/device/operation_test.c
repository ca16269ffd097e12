// Makes a kernel of one instruction, operands for it, and compares what it computes.
#include "tests/device/operation_test.h"

#include "ir/base_priv.h"
#include "quant/codec_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 256, INPUTS = 8 * THREADS };

// --- letters -------------------------------------------------------------------------------------------------

// Notable values of 16 bits of each kind, of 32 and of 64.
static const uint64_t ints16[] = { 0, 1, 2, 7, 8, 15, 16, 17, 0xFF, 0x7FFF, 0x8000, 0x8001, 0xFFFE, 0xFFFF };
static const uint64_t ints32[] = { 0,          1,          2,          3,          7,
                                   31,         32,         33,         0xFF,       0xFFFF,
                                   0x10000,    0x7FFFFF,   0x800000,   0x55555555, 0xAAAAAAAA,
                                   0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFE, 0xFFFFFFFF };
static const uint64_t ints64[] = { 0,
                                   1,
                                   2,
                                   63,
                                   64,
                                   65,
                                   0x7FFFFFFF,
                                   0x80000000,
                                   0xFFFFFFFF,
                                   0x100000000,
                                   INT64_MAX,
                                   1ull << 63,
                                   UINT64_MAX,
                                   UINT64_MAX - 1,
                                   0x5555555555555555 };
static const uint64_t predicates[] = { 0, 1 };
// Zeros, subnormals, the smallest normals, numbers around 1, the largest, infinities, NaN.
static const uint64_t floats16[] = { 0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x83FF, 0x0400,
                                     0x8400, 0x3BFF, 0x3C00, 0xBC00, 0x3C01, 0x3555, 0x4000,
                                     0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7FFF };
static const uint64_t bfloats16[] = { 0x0000, 0x8000, 0x0001, 0x8001, 0x007F, 0x807F, 0x0080,
                                      0x8080, 0x3F7F, 0x3F80, 0xBF80, 0x3F81, 0x3EAB, 0x4000,
                                      0x7F7F, 0xFF7F, 0x7F80, 0xFF80, 0x7FFF };
static const uint64_t floats32[] = { 0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007FFFFF, 0x807FFFFF,
                                     0x00800000, 0x80800000, 0x3F7FFFFF, 0x3F800000, 0xBF800000, 0x3F800001,
                                     0x3EAAAAAB, 0x40000000, 0x42FE0000, 0x7E800001, 0x7F000000, 0x7F7FFFFF,
                                     0xFF7FFFFF, 0x7F800000, 0xFF800000, 0x7FFFFFFF };
static const uint64_t floats64[] = { 0,
                                     1ull << 63,
                                     1,
                                     0x000FFFFFFFFFFFFF,
                                     0x8010000000000000,
                                     0x3FEFFFFFFFFFFFFF,
                                     0x3FF0000000000000,
                                     0xBFF0000000000000,
                                     0x3FF0000000000001,
                                     0x3FD5555555555555,
                                     0x7FEFFFFFFFFFFFFF,
                                     0xFFEFFFFFFFFFFFFF,
                                     0x7FF0000000000000,
                                     0xFFF0000000000000,
                                     0x7FFFFFFFFFFFFFFF };

typedef struct kind {
  char letter;
  uint32_t bits;
  bool is_float, is_pair;
  const uint64_t *notable; // of a half, for pairs
  uint32_t count;
} kind;
static const kind kinds[] = {
  { 'p', 1, false, false, predicates, QN_COUNT(predicates) },
  { 'h', 16, false, false, ints16, QN_COUNT(ints16) },
  { 'H', 32, false, true, ints16, QN_COUNT(ints16) },
  { 'r', 32, false, false, ints32, QN_COUNT(ints32) },
  { 'd', 64, false, false, ints64, QN_COUNT(ints64) },
  { 'e', 16, true, false, floats16, QN_COUNT(floats16) },
  { 'E', 32, true, true, floats16, QN_COUNT(floats16) },
  { 'b', 16, true, false, bfloats16, QN_COUNT(bfloats16) },
  { 'B', 32, true, true, bfloats16, QN_COUNT(bfloats16) },
  { 'f', 32, true, false, floats32, QN_COUNT(floats32) },
  { 'F', 64, true, true, floats32, QN_COUNT(floats32) },
  { 'g', 64, true, false, floats64, QN_COUNT(floats64) },
};

static const kind *kind_of(char letter) {
  for (size_t i = 0; i < QN_COUNT(kinds); i++)
    if (kinds[i].letter == letter) return &kinds[i];
  cr_assert_fail("no kind of operand is '%c'", letter);
  return NULL;
}

static uint64_t mask_of(uint32_t bits) {
  return bits < 64 ? (UINT64_C(1) << bits) - 1 : UINT64_MAX;
}

// --- the kernel ----------------------------------------------------------------------------------------------

static void write_body(const operation *op, qn_buf *body) {
  uint32_t sources = (uint32_t)strlen(op->operands) - 1;
  qn_buf_printf(body,
                ".reg .pred %%p0, %%p1, %%p2, %%p3, %%p4;\n.reg .b16 %%h0, %%h1, %%h2, %%h3, %%h4;\n"
                ".reg .b32 %%r0, %%r1, %%r2, %%r3, %%r4, %%word, %%block;\n"
                ".reg .b64 %%d0, %%d1, %%d2, %%d3, %%d4;\n"
                "mov.u32 %%block, %%ctaid.x;\nmad.wide.u32 %%src, %%block, %d, %%src;\n"
                "mad.wide.u32 %%dst, %%block, %d, %%dst;\n",
                THREADS * OPERATION_SOURCES * 8, THREADS * 8);
  char names[OPERATION_SOURCES + 1];
  for (uint32_t i = 0; i <= sources; i++) {
    uint32_t bits = kind_of(op->operands[i])->bits;
    names[i] = bits == 1 ? 'p' : bits == 16 ? 'h' : bits == 32 ? 'r' : 'd';
    if (i == 0) continue;
    if (bits == 1)
      qn_buf_printf(body, "ld.global.b32 %%word, [%%src+%u];\nsetp.ne.u32 %%p%u, %%word, 0;\n", 8 * (i - 1), i);
    else
      qn_buf_printf(body, "ld.global.b%u %%%c%u, [%%src+%u];\n", bits, names[i], i, 8 * (i - 1));
  }
  qn_buf_printf(body, "%s %%%c0", op->text, names[0]);
  for (uint32_t i = 1; i <= sources; i++) qn_buf_printf(body, ", %%%c%u", names[i], i);
  qn_buf_printf(body, "%s;\nst.global.u64 [%%dst], 0;\n", op->tail ? op->tail : "");
  if (names[0] == 'p')
    qn_buf_printf(body, "selp.u32 %%r0, 1, 0, %%p0;\nst.global.b32 [%%dst], %%r0;");
  else
    qn_buf_printf(body, "st.global.b%u [%%dst], %%%c0;", kind_of(op->operands[0])->bits, names[0]);
}

void operation_run(const operation *op, const uint64_t *in, uint64_t *out, uint32_t threads) {
  qn_context *context = NULL;
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  qn_buf body = QN_BUF(context);
  write_body(op, &body);
  cr_assert_eq(body.status, QN_OK);
  bool whole = threads % THREADS == 0;
  device_run(device_kernel(.body = body.text, .target = op->target, .version = op->version,
                           .threads = whole ? THREADS : threads, .blocks = whole ? threads / THREADS : 1,
                           .in_stride = 8 * OPERATION_SOURCES, .out_stride = 8),
             in, 8 * OPERATION_SOURCES * threads, out, 8 * threads);
  qn_buf_free(&body);
  qn_context_destroy(context);
}

void operation_refused(const char *instruction, const char *words) {
  char body[256];
  uint32_t word = 0;
  snprintf(body, sizeof(body),
           ".reg .pred %%p<4>;\n.reg .b16 %%h<4>;\n.reg .b32 %%r<5>;\n.reg .b64 %%d<4>;\n%s", instruction);
  qn_status status = device_try(device_kernel(.body = body, .threads = 1), &word, 4, &word, 4);
  cr_expect_neq(status, QN_OK, "%s is taken", instruction);
  cr_expect(strstr(device_message(), words) != NULL, "%s: %s", instruction, device_message());
}

// --- operands ------------------------------------------------------------------------------------------------

// Bits at random; floats near each other in magnitude, so that they meet in sums; small integers for shifts.
static uint64_t random_half(const kind *k, uint32_t bits, uint64_t *random) {
  uint64_t value = (uint64_t)device_random(random) << 32 | device_random(random);
  uint32_t choice = device_random(random) % 8;
  if (choice == 0) return k->notable[value % k->count];
  value &= mask_of(bits);
  if (choice > 4) return value;
  if (!k->is_float) return choice > 2 ? value : value >> device_random(random) % bits;
  uint32_t fraction = k->letter == 'g'                       ? 52
                      : k->letter == 'f' || k->letter == 'F' ? 23
                      : k->letter == 'e' || k->letter == 'E' ? 10
                                                             : 7;
  uint64_t fractions = mask_of(fraction) | UINT64_C(1) << (bits - 1);
  uint64_t exponent = (mask_of(bits - 2 - fraction) - 6 + device_random(random) % 12) << fraction;
  return (value & fractions) | exponent;
}

static uint64_t random_value(const kind *k, uint64_t *random) {
  if (!k->is_pair) return random_half(k, k->bits, random);
  uint64_t low = random_half(k, k->bits / 2, random);
  return random_half(k, k->bits / 2, random) << k->bits / 2 | low;
}

static void make_inputs(const operation *op, uint64_t *in) {
  uint64_t random = 0x51;
  const kind *first = kind_of(op->operands[1]), *second = kind_of(op->operands[op->operands[2] ? 2 : 1]);
  for (uint32_t i = 0; i < INPUTS; i++) {
    uint64_t *s = in + (size_t)i * OPERATION_SOURCES;
    for (uint32_t j = 0; op->operands[j + 1]; j++) s[j] = random_value(kind_of(op->operands[j + 1]), &random);
    // All pairs of notable values come first, upper halves of pairs random.
    if (i >= first->count * second->count) continue;
    s[0] = first->is_pair ? (s[0] & ~mask_of(first->bits / 2)) | first->notable[i % first->count]
                          : first->notable[i % first->count];
    if (op->operands[2])
      s[1] = second->is_pair ? (s[1] & ~mask_of(second->bits / 2)) | second->notable[i / first->count]
                             : second->notable[i / first->count];
  }
}

// --- comparison ----------------------------------------------------------------------------------------------

static double value_of(char letter, uint64_t bits) {
  uint32_t word = (uint32_t)bits;
  float value = 0;
  double wide = 0;
  if (letter == 'e' || letter == 'E') word = qn_f16_to_f32(word & 0xFFFF);
  if (letter == 'b' || letter == 'B') word = qn_bf16_to_f32(word & 0xFFFF);
  memcpy(&value, &word, sizeof(value));
  memcpy(&wide, &bits, sizeof(wide));
  return letter == 'g' ? wide : value;
}

static bool is_close(const operation *op, uint64_t found, uint64_t expected) {
  if (found == expected) return true;
  char letter = op->operands[0];
  if (!kind_of(letter)->is_float) return false;
  double f = value_of(letter, found), e = value_of(letter, expected);
  if (isnan(f) && isnan(e)) return op->any_nan || letter == 'g';
  if (device_is_emulator() || (op->relative == 0 && op->absolute == 0)) return false;
  return fabs(f - e) <= fabs(e) * op->relative + op->absolute;
}

static bool is_same(const operation *op, uint64_t found, uint64_t expected) {
  const kind *k = kind_of(op->operands[0]);
  if (!k->is_pair) return is_close(op, found, expected);
  uint64_t mask = mask_of(k->bits / 2);
  return is_close(op, found & mask, expected & mask) &&
         is_close(op, found >> k->bits / 2, expected >> k->bits / 2);
}

void operation_check(const operation *op) {
  uint64_t *in = calloc(INPUTS * OPERATION_SOURCES, 8), *out = calloc(INPUTS, 8);
  cr_assert(in && out);
  make_inputs(op, in);
  operation_run(op, in, out, INPUTS);
  uint32_t wrong = 0;
  for (uint32_t i = 0; i < INPUTS; i++) {
    const uint64_t *s = in + (size_t)i * OPERATION_SOURCES;
    uint64_t expected = op->expected(s) & mask_of(kind_of(op->operands[0])->bits);
    if (is_same(op, out[i], expected) || wrong++ >= 3) continue;
    cr_expect_fail("%s of %llx, %llx, %llx, %llx is %llx, not %llx", op->text, (unsigned long long)s[0],
                   (unsigned long long)s[1], (unsigned long long)s[2], (unsigned long long)s[3],
                   (unsigned long long)out[i], (unsigned long long)expected);
  }
  cr_expect_eq(wrong, 0, "%s: %u of %d are wrong", op->text, wrong, INPUTS);
  free(in);
  free(out);
}
