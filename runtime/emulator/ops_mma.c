// mma.sync: D = A * B + C by a warp, A of 16 x k by rows, B of k x 8 by columns.
//
// Products are exact. A sum of floats begins with the element of C, takes the products in the order of k, in
// binary64, and is rounded once to the type of D, to nearest even; so it depends on nothing but the operands.
// It differs from the exact sum by less than k * 2^-52 of the sum of the magnitudes, before the last rounding.
// Hardware aligns the terms and cuts them off, in an order of its own. Sums of integers are exact.
#include "runtime/emulator/forms_priv.h"
#include "runtime/emulator/fragments_priv.h"
#include "runtime/emulator/values_priv.h"

typedef struct mma_type {
  qn_ptx_token token;
  uint32_t bits;
  void (*decode)(const uint32_t *codes, uint32_t count, double *out); // NULL: integers
  bool is_signed;
} mma_type;

// --- elements -------------------------------------------------------------------------------------------

#define X(type, value)                                                                                         \
  static void decode_##type(const uint32_t *codes, uint32_t count, double *out) {                              \
    for (uint32_t i = 0; i < count; i++) out[i] = value;                                                       \
  }
X(f16, qn_get_f16(codes[i]))
X(bf16, qn_get_bf16(codes[i]))
X(tf32, (double)qn_get_f32(codes[i] & 0xFFFFE000u)) // the last 13 bits of an f32 are no part of a TF32
X(e4m3, (double)qn_get_f32(qn_e4m3_to_f32(codes[i])))
X(e5m2, qn_get_f16(codes[i] << 8)) // the upper half of an f16
#undef X

// clang-format off
static const mma_type types[] = {
  { QN_PTX_f16,  16, decode_f16,  false },
  { QN_PTX_bf16, 16, decode_bf16, false },
  { QN_PTX_tf32, 32, decode_tf32, false },
  { QN_PTX_e4m3, 8,  decode_e4m3, false },
  { QN_PTX_e5m2, 8,  decode_e5m2, false },
  { QN_PTX_s8,   8,  NULL,        true },
  { QN_PTX_u8,   8,  NULL,        false },
  { QN_PTX_s4,   4,  NULL,        true },
  { QN_PTX_u4,   4,  NULL,        false },
};
// clang-format on

static const mma_type *find_type(qn_ptx_token token) {
  for (uint32_t i = 0; i < QN_COUNT(types); i++)
    if (types[i].token == token) return &types[i];
  return NULL;
}

// --- products -------------------------------------------------------------------------------------------

typedef struct mma_operands {
  uint32_t a[QN_FRAGMENT_M * QN_FRAGMENT_K_MAX], b[QN_FRAGMENT_K_MAX * QN_FRAGMENT_N];
  uint32_t c[QN_FRAGMENT_M * QN_FRAGMENT_N]; // of D afterwards
} mma_operands;

// Two neighbours of a row: gcc's and clang's vectors, which every machine has and which stay in registers, as
// an array of sums does not.
typedef double two_doubles __attribute__((vector_size(2 * sizeof(double))));

// Adds a row of A times B to a row of sums.
static void add_products(const double *a, const two_doubles *b, uint32_t k,
                         two_doubles sums[QN_FRAGMENT_N / 2]) {
  two_doubles s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
  for (uint32_t i = 0; i < k; i++, b += QN_FRAGMENT_N / 2) {
    const two_doubles factor = { a[i], a[i] };
    s0 += factor * b[0];
    s1 += factor * b[1];
    s2 += factor * b[2];
    s3 += factor * b[3];
  }
  sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

static void multiply_floats(const mma_type *a_type, const mma_type *b_type, uint32_t k, uint32_t d_bits,
                            mma_operands *o) {
  double a[QN_FRAGMENT_M * QN_FRAGMENT_K_MAX];
  two_doubles b[QN_FRAGMENT_K_MAX * QN_FRAGMENT_N / 2];
  a_type->decode(o->a, QN_FRAGMENT_M * k, a);
  b_type->decode(o->b, k * QN_FRAGMENT_N, (double *)b);
  for (uint32_t row = 0; row < QN_FRAGMENT_M; row++) {
    uint32_t *c = o->c + row * QN_FRAGMENT_N;
    two_doubles sums[QN_FRAGMENT_N / 2];
    double *each = (double *)sums;
    for (uint32_t n = 0; n < QN_FRAGMENT_N; n++)
      each[n] = d_bits == 16 ? qn_get_f16(c[n]) : (double)qn_get_f32(c[n]);
    add_products(a + row * k, b, k, sums);
    for (uint32_t n = 0; n < QN_FRAGMENT_N; n++)
      c[n] = d_bits == 16 ? qn_put_f16(each[n]) : qn_put_f32((float)each[n]);
  }
}

static int32_t to_int(const mma_type *type, uint32_t code) {
  int32_t half = 1 << (type->bits - 1);
  return type->is_signed && (int32_t)code >= half ? (int32_t)code - 2 * half : (int32_t)code;
}

static uint32_t add_ints(uint32_t c, int32_t sum, bool satfinite) {
  int64_t exact = (int64_t)(int32_t)c + sum;
  if (satfinite) exact = QN_MAX(INT32_MIN, QN_MIN(INT32_MAX, exact));
  return (uint32_t)exact;
}

static void multiply_ints(const mma_type *a_type, const mma_type *b_type, uint32_t k, bool satfinite,
                          mma_operands *o) {
  int32_t b[QN_FRAGMENT_K_MAX * QN_FRAGMENT_N];
  for (uint32_t i = 0; i < k * QN_FRAGMENT_N; i++) b[i] = to_int(b_type, o->b[i]);
  for (uint32_t row = 0; row < QN_FRAGMENT_M; row++) {
    uint32_t *c = o->c + row * QN_FRAGMENT_N;
    int32_t sums[QN_FRAGMENT_N] = { 0 }; // at most 64 products of 2^16
    for (uint32_t i = 0; i < k; i++) {
      const int32_t a = to_int(a_type, o->a[row * k + i]), *b_row = b + i * QN_FRAGMENT_N;
      for (uint32_t n = 0; n < QN_FRAGMENT_N; n++) sums[n] += a * b_row[n];
    }
    for (uint32_t n = 0; n < QN_FRAGMENT_N; n++) c[n] = add_ints(c[n], sums[n], satfinite);
  }
}

// --- instructions ---------------------------------------------------------------------------------------

// Fits into qn_ptx_instr.immediate.
typedef struct mma_shape {
  uint8_t a, b; // qn_ptx_token
  uint8_t k, d_bits;
  bool satfinite;
  uint8_t unused[3];
} mma_shape;
_Static_assert(sizeof(mma_shape) == sizeof(uint64_t), "kept in an instruction");

static void execute_mma(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  (void)lanes; // all of them
  mma_shape shape;
  memcpy(&shape, &instr->immediate, sizeof shape);
  const mma_type *a_type = find_type(shape.a), *b_type = find_type(shape.b);
  qn_fragment a, b, c;
  mma_operands operands;
  qn_fragment_read(warp, instr, 1, &a);
  qn_fragment_read(warp, instr, 2, &b);
  qn_fragment_read(warp, instr, 3, &c);
  qn_fragment_unpack_a(&a, a_type->bits, shape.k, operands.a);
  qn_fragment_unpack_b(&b, b_type->bits, shape.k, operands.b);
  qn_fragment_unpack_c(&c, shape.d_bits, operands.c);
  if (a_type->decode)
    multiply_floats(a_type, b_type, shape.k, shape.d_bits, &operands);
  else
    multiply_ints(a_type, b_type, shape.k, shape.satfinite, &operands);
  qn_fragment_write(warp, instr, 0, shape.d_bits, operands.c);
  warp->counters->multiply_adds += QN_FRAGMENT_M * QN_FRAGMENT_N * shape.k;
}

// Whether the ISA has the types together. A row: A and B are of one of `types` each, C and D of `result`.
typedef struct mma_family {
  uint8_t types[2], result; // qn_ptx_token
  uint8_t k[2];
} mma_family;

static const mma_family families[] = {
  { { QN_PTX_f16, QN_PTX_f16 }, QN_PTX_f32, { 8, 16 } },
  { { QN_PTX_f16, QN_PTX_f16 }, QN_PTX_f16, { 8, 16 } },
  { { QN_PTX_bf16, QN_PTX_bf16 }, QN_PTX_f32, { 8, 16 } },
  { { QN_PTX_tf32, QN_PTX_tf32 }, QN_PTX_f32, { 4, 8 } },
  { { QN_PTX_e4m3, QN_PTX_e5m2 }, QN_PTX_f32, { 16, 32 } },
  { { QN_PTX_e4m3, QN_PTX_e5m2 }, QN_PTX_f16, { 16, 32 } },
  { { QN_PTX_s8, QN_PTX_u8 }, QN_PTX_s32, { 16, 32 } },
  { { QN_PTX_s4, QN_PTX_u4 }, QN_PTX_s32, { 32, 64 } },
};

static bool is_one_of(qn_ptx_token type, const uint8_t pair[2]) {
  return type == pair[0] || type == pair[1];
}

static bool find_shape(const qn_ptx_instr *instr, mma_shape *shape) {
  static const struct {
    qn_ptx_token token;
    uint8_t k;
  } shapes[] = { { QN_PTX_m16n8k4, 4 },
                 { QN_PTX_m16n8k8, 8 },
                 { QN_PTX_m16n8k16, 16 },
                 { QN_PTX_m16n8k32, 32 },
                 { QN_PTX_m16n8k64, 64 } };
  for (uint32_t i = 0; i < QN_COUNT(shapes); i++)
    if (qn_ptx_has(instr, shapes[i].token)) shape->k = shapes[i].k;
  for (uint32_t i = 0; i < QN_COUNT(families) && shape->k; i++) {
    const mma_family *f = &families[i];
    if (is_one_of(qn_ptx_type(instr, 1), f->types) && is_one_of(qn_ptx_type(instr, 2), f->types) &&
        qn_ptx_type(instr, 0) == f->result && qn_ptx_type(instr, 3) == f->result &&
        (shape->k == f->k[0] || shape->k == f->k[1]))
      return true;
  }
  return false;
}

static bool has_registers(const qn_ptx_instr *instr, const mma_shape *shape) {
  uint32_t a_bits = find_type(shape->a)->bits, b_bits = find_type(shape->b)->bits;
  const uint32_t needed[] = { shape->d_bits / 8, shape->k * a_bits / 64, shape->k * b_bits / 128,
                              shape->d_bits / 8 };
  for (uint32_t slot = 1; slot < QN_COUNT(needed); slot++)
    if (!qn_emu_has_sources(instr, slot, needed[slot], 32)) return false;
  return qn_emu_has_results(instr, 0, needed[0], 32);
}

bool qn_emu_bind_mma(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  mma_shape shape = { .a = qn_ptx_type(instr, 1),
                      .b = qn_ptx_type(instr, 2),
                      .d_bits = qn_ptx_type(instr, 0) == QN_PTX_f16 ? 16 : 32,
                      .satfinite = qn_ptx_has(instr, QN_PTX_satfinite) };
  *out_words = "mma needs .sync.aligned and .row.col";
  if (!qn_ptx_has(instr, QN_PTX_sync) || !qn_ptx_has(instr, QN_PTX_aligned)) return false;
  if (!qn_ptx_has(instr, QN_PTX_row) || !qn_ptx_has(instr, QN_PTX_col)) return false;
  *out_words =
      "no shape and types that are executed: m16n8 with k 8, 16 for f16 and bf16, 4, 8 for tf32, 16, 32 "
      "for e4m3, e5m2, s8, u8 and 32, 64 for s4, u4";
  if (!find_shape(instr, &shape)) return false;
  *out_words = ".satfinite is for integers";
  if (shape.satfinite && qn_ptx_type(instr, 0) != QN_PTX_s32) return false;
  *out_words = "not the number of registers of 32 bits that this shape has";
  if (!has_registers(instr, &shape)) return false;
  memcpy(&instr->immediate, &shape, sizeof shape);
  instr->execute = execute_mma;
  instr->counter = QN_COUNTER_matrix;
  instr->sync = QN_PTX_SYNC_WARP;
  return true;
}
