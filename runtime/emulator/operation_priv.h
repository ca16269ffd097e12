// Operations that compute every lane by itself, without memory: one row of a table each, made from one line.
//
// A row says for which opcode, type and modifiers it is and holds the function that computes 32 lanes, without
// regard to which of them are active: what is computed for the others is not written. Modifiers that mean the
// same for every operation (.ftz, .sat and .relu of floats, directed roundings, packed types) are no business
// of that function: operation.c wraps them around it.
#ifndef QUENCH_RUNTIME_EMULATOR_OPERATION_PRIV_H
#define QUENCH_RUNTIME_EMULATOR_OPERATION_PRIV_H

#include "runtime/emulator/machine_priv.h"
#include "runtime/emulator/values_priv.h"

// --- lanes ---------------------------------------------------------------------------------------------------

// What a lane holds, by the type that a column is computed in: the C type of its value and of the column's
// word. Integers of fewer than 32 bits are zero-extended in their word. Floats of 16 bits are computed as f64.
// clang-format off
//    type   value     word      bits in a register
#define QN_EMU_LANE_MAP(X)                 \
  X(none,  uint32_t, uint32_t, 0)          \
  X(pred,  uint32_t, uint32_t, 1)          \
  X(u16,   uint16_t, uint32_t, 16)         \
  X(s16,   int16_t,  uint32_t, 16)         \
  X(u32,   uint32_t, uint32_t, 32)         \
  X(s32,   int32_t,  uint32_t, 32)         \
  X(u64,   uint64_t, uint64_t, 64)         \
  X(s64,   int64_t,  uint64_t, 64)         \
  X(f16,   double,   uint32_t, 16)         \
  X(bf16,  double,   uint32_t, 16)         \
  X(f32,   float,    uint32_t, 32)         \
  X(f64,   double,   uint64_t, 64)
// clang-format on

typedef enum qn_emu_lane {
#define X(type, value, word, bits) QN_EMU_##type,
  QN_EMU_LANE_MAP(X)
#undef X
} qn_emu_lane;

#define X(type, value, word, bits)                                                                             \
  typedef value qn_value_##type;                                                                               \
  typedef word qn_word_##type;
QN_EMU_LANE_MAP(X)
#undef X

#define QN_EMU_INTEGER_LANE(type, narrow)                                                                      \
  static inline qn_value_##type qn_get_##type(qn_word_##type word) {                                           \
    return (qn_value_##type)word;                                                                              \
  }                                                                                                            \
  static inline qn_word_##type qn_put_##type(qn_value_##type value) {                                          \
    return (narrow)value;                                                                                      \
  }
QN_EMU_INTEGER_LANE(none, uint32_t)
QN_EMU_INTEGER_LANE(pred, uint32_t)
QN_EMU_INTEGER_LANE(u16, uint16_t)
QN_EMU_INTEGER_LANE(s16, uint16_t)
QN_EMU_INTEGER_LANE(u32, uint32_t)
QN_EMU_INTEGER_LANE(s32, uint32_t)
QN_EMU_INTEGER_LANE(u64, uint64_t)
QN_EMU_INTEGER_LANE(s64, uint64_t)
#undef QN_EMU_INTEGER_LANE

// a + b rounded to odd in f64: an inexact sum has its last bit set. Rounding that once more to 51 bits or fewer
// gives what rounding the exact sum would (Boldo and Melquiond, 2008). Neither the sum nor what is lost of it
// may leave the range of normal numbers of f64, as for sums of f32 and of products of f32.
// In integers, without a branch, so that lanes are computed together.
static inline double qn_odd_sum(double a, double b) {
  double sum = a + b;
  double b_part = sum - a;
  double lost = (a - (sum - b_part)) + (b - b_part); // exact: Knuth's TwoSum
  uint64_t bits = qn_bits_f64(sum);
  // One step towards the exact sum: up in magnitude where what was lost has the sum's sign. Infinity loses NaN.
  uint64_t step = lost != 0 && lost == lost ? ~bits & 1 : 0;
  uint64_t opposite = (qn_bits_f64(lost) ^ bits) >> 63;
  return qn_get_f64(bits + step - 2 * (step & opposite));
}

// --- modifiers -----------------------------------------------------------------------------------------------

// Each bit is a token, but for the roundings.
// clang-format off
#define QN_EMU_MODIFIER_MAP(X)                                                                                 \
  X(lo) X(hi) X(wide) X(sat) X(clamp) X(wrap) X(shiftamt) X(l) X(r) X(approx) X(full) X(ftz) X(NaN)            \
  X(xorsign) X(abs) X(relu) X(finite) X(infinite) X(number) X(notanumber) X(normal) X(subnormal)               \
  X(f4e) X(b4e) X(rc8) X(ecl) X(ecr) X(rc16)
// clang-format on

enum {
#define X(token) QN_EMU_BIT_##token,
  QN_EMU_MODIFIER_MAP(X)
#undef X
      QN_EMU_BIT_rounded, // has a rounding
  QN_EMU_BIT_directed,    // one that is not .rn
};
_Static_assert(QN_EMU_BIT_directed < 32, "modifiers are bits of a word");
#define QN_EMU_FLAG(token) (UINT32_C(1) << QN_EMU_BIT_##token)

// The modifiers that a form cannot be without.
#define QN_EMU_FORM_plain        0u
#define QN_EMU_FORM_lo           QN_EMU_FLAG(lo)
#define QN_EMU_FORM_hi           QN_EMU_FLAG(hi)
#define QN_EMU_FORM_wide         QN_EMU_FLAG(wide)
#define QN_EMU_FORM_sat          QN_EMU_FLAG(sat)
#define QN_EMU_FORM_hi_sat       (QN_EMU_FLAG(hi) | QN_EMU_FLAG(sat))
#define QN_EMU_FORM_relu         QN_EMU_FLAG(relu)
#define QN_EMU_FORM_clamp        QN_EMU_FLAG(clamp)
#define QN_EMU_FORM_wrap         QN_EMU_FLAG(wrap)
#define QN_EMU_FORM_shiftamt     QN_EMU_FLAG(shiftamt)
#define QN_EMU_FORM_l_clamp      (QN_EMU_FLAG(l) | QN_EMU_FLAG(clamp))
#define QN_EMU_FORM_l_wrap       (QN_EMU_FLAG(l) | QN_EMU_FLAG(wrap))
#define QN_EMU_FORM_r_clamp      (QN_EMU_FLAG(r) | QN_EMU_FLAG(clamp))
#define QN_EMU_FORM_r_wrap       (QN_EMU_FLAG(r) | QN_EMU_FLAG(wrap))
#define QN_EMU_FORM_f4e          QN_EMU_FLAG(f4e)
#define QN_EMU_FORM_b4e          QN_EMU_FLAG(b4e)
#define QN_EMU_FORM_rc8          QN_EMU_FLAG(rc8)
#define QN_EMU_FORM_ecl          QN_EMU_FLAG(ecl)
#define QN_EMU_FORM_ecr          QN_EMU_FLAG(ecr)
#define QN_EMU_FORM_rc16         QN_EMU_FLAG(rc16)
#define QN_EMU_FORM_rounded      QN_EMU_FLAG(rounded)
#define QN_EMU_FORM_directed     (QN_EMU_FLAG(rounded) | QN_EMU_FLAG(directed))
#define QN_EMU_FORM_rounded_relu (QN_EMU_FLAG(rounded) | QN_EMU_FLAG(relu))
#define QN_EMU_FORM_approx       QN_EMU_FLAG(approx)
#define QN_EMU_FORM_approx_ftz   (QN_EMU_FLAG(approx) | QN_EMU_FLAG(ftz))
#define QN_EMU_FORM_full         QN_EMU_FLAG(full)
#define QN_EMU_FORM_NaN          QN_EMU_FLAG(NaN)
#define QN_EMU_FORM_abs          QN_EMU_FLAG(abs)
#define QN_EMU_FORM_NaN_abs      (QN_EMU_FLAG(NaN) | QN_EMU_FLAG(abs))
#define QN_EMU_FORM_xorsign      (QN_EMU_FLAG(xorsign) | QN_EMU_FLAG(abs))
#define QN_EMU_FORM_NaN_xorsign  (QN_EMU_FLAG(NaN) | QN_EMU_FLAG(xorsign) | QN_EMU_FLAG(abs))
#define QN_EMU_FORM_finite       QN_EMU_FLAG(finite)
#define QN_EMU_FORM_infinite     QN_EMU_FLAG(infinite)
#define QN_EMU_FORM_number       QN_EMU_FLAG(number)
#define QN_EMU_FORM_notanumber   QN_EMU_FLAG(notanumber)
#define QN_EMU_FORM_normal       QN_EMU_FLAG(normal)
#define QN_EMU_FORM_subnormal    QN_EMU_FLAG(subnormal)

// --- rows ----------------------------------------------------------------------------------------------------

enum { QN_EMU_SOURCES_MAX = 4 };

// Computes 32 lanes. `out` and each of `in` are columns of words of the row's lanes; absent sources are zeros.
// Predicates are words of 0 and 1.
typedef void qn_emu_compute(void *restrict out, const void *const in[QN_EMU_SOURCES_MAX]);

typedef struct qn_emu_operation {
  const char *opcode;
  uint8_t types[2];                    // qn_ptx_token, as written; QN_PTX_NO_TOKEN: none
  uint8_t result;                      // qn_emu_lane. Half the bits of types[0]: packed, computed twice
  uint8_t sources[QN_EMU_SOURCES_MAX]; // QN_EMU_none behind the last
  uint32_t required, optional;         // modifiers
  qn_emu_compute *compute;
} qn_emu_operation;

typedef struct qn_emu_operations {
  const qn_emu_operation *rows;
  uint32_t count;
  uint8_t counter; // QN_COUNTER_...
} qn_emu_operations;

// The tables of the files ops_*.c.
extern const qn_emu_operations qn_emu_integers, qn_emu_bits, qn_emu_logic, qn_emu_selections, qn_emu_floats,
    qn_emu_extremes, qn_emu_halves, qn_emu_specials;

// One operation, of the parameters of a line: opcode, form, type as written, lanes of the result and of four
// sources, modifiers that it may have, and the result as an expression of a, b, c and d. Lists of such lines
// are expanded twice, to functions and to rows.
#define QN_EMU_COMPUTE(opcode, form, type, R, A, B, C, D, optional, expression)                                \
  static void opcode##_##form##_##type(void *restrict out, const void *const in[QN_EMU_SOURCES_MAX]) {         \
    qn_word_##R *restrict results = out;                                                                       \
    const qn_word_##A *a_words = in[0];                                                                        \
    const qn_word_##B *b_words = in[1];                                                                        \
    const qn_word_##C *c_words = in[2];                                                                        \
    const qn_word_##D *d_words = in[3];                                                                        \
    for (int lane = 0; lane < QN_EMU_LANES; lane++) {                                                          \
      const qn_value_##A a = qn_get_##A(a_words[lane]);                                                        \
      const qn_value_##B b = qn_get_##B(b_words[lane]);                                                        \
      const qn_value_##C c = qn_get_##C(c_words[lane]);                                                        \
      const qn_value_##D d = qn_get_##D(d_words[lane]);                                                        \
      (void)a, (void)b, (void)c, (void)d;                                                                      \
      results[lane] = qn_put_##R((qn_value_##R)(expression));                                                  \
    }                                                                                                          \
  }
#define QN_EMU_ROW(name, form, type, R, A, B, C, D, optional_flags, expression)                                \
  { .opcode = #name,                                                                                           \
    .types = { QN_PTX_##type, QN_PTX_NO_TOKEN },                                                               \
    .result = QN_EMU_##R,                                                                                      \
    .sources = { QN_EMU_##A, QN_EMU_##B, QN_EMU_##C, QN_EMU_##D },                                             \
    .required = QN_EMU_FORM_##form,                                                                            \
    .optional = optional_flags,                                                                                \
    .compute = name##_##form##_##type },
#define QN_EMU_TABLE(name, rows, counts)                                                                       \
  const qn_emu_operations name = { rows, QN_COUNT(rows), QN_COUNTER_##counts }

// --- execution: operation.c ----------------------------------------------------------------------------------

// 32 words of a lane each.
typedef union qn_emu_column {
  uint32_t words[QN_EMU_LANES];
  uint64_t wide[QN_EMU_LANES];
} qn_emu_column;

// The row of tables for an opcode with these types; `modifiers` may be those of qn_emu_modifiers or fewer.
// NULL: out_words says why there is none. `sources` is how many operands it must take.
typedef struct qn_emu_wanted {
  const char *opcode;
  qn_ptx_token types[2];
  uint32_t modifiers, sources;
} qn_emu_wanted;
const qn_emu_operation *qn_emu_find_operation(const qn_emu_operations *const *tables, uint32_t count,
                                              const qn_emu_wanted *wanted, uint8_t *out_counter,
                                              const char **out_words);

// The modifiers of an instruction, as bits.
uint32_t qn_emu_modifiers(const qn_ptx_instr *instr);
// What may stand in a place beside a register of its width.
typedef enum qn_emu_place {
  QN_EMU_RESULT,    // "_"
  QN_EMU_REGISTERS, // nothing
  QN_EMU_INTEGER,   // an integer
  QN_EMU_FLOAT,     // a float
  QN_EMU_BITS       // an integer, or a float of that width
} qn_emu_place;
// The place of a source of a type.
qn_emu_place qn_emu_place_of(qn_ptx_token type);
// Whether a slot holds one operand that fits its place.
bool qn_emu_slot_fits(const qn_ptx_instr *instr, uint32_t slot, uint32_t bits, qn_emu_place place,
                      const char **out_words);
// The same for all sources of a row, from `slot` on.
bool qn_emu_sources_fit(const qn_ptx_instr *instr, const qn_emu_operation *row, uint32_t slot,
                        const char **out_words);
// Whether the row computes two values in each word.
bool qn_emu_is_packed(const qn_emu_operation *row);
uint32_t qn_emu_source_count(const qn_emu_operation *row);

// Makes the row the instruction's: `operation`, and in `immediate` the modifiers that qn_emu_apply wraps around
// it.
void qn_emu_set_operation(qn_ptx_instr *instr, const qn_emu_operation *row, uint32_t modifiers);
// Computes the instruction's operation from the sources in slots from `slot` on. Two results where it is
// packed, of the lower and the upper halves; else one.
void qn_emu_apply_halves(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t slot, uint32_t lanes,
                         qn_emu_column out[2]);

// The upper 64 bits of a product of 128, of unsigned and of signed factors: ops_integer.c.
uint64_t qn_emu_high_u64(uint64_t a, uint64_t b);
uint64_t qn_emu_high_s64(uint64_t a, uint64_t b);

// A predicate as words of 0 and 1, and back.
void qn_emu_spread(uint32_t bits, uint32_t out[QN_EMU_LANES]);
uint32_t qn_emu_gather(const uint32_t words[QN_EMU_LANES]);

#endif
