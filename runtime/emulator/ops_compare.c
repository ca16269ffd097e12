// Comparisons: setp, which gives predicates, and set, which gives numbers.
#include "runtime/emulator/operation_priv.h"

#define FTZ QN_EMU_FLAG(ftz)

// --- comparisons as operations: types[1] is the comparison ----------------------------------------------

#define EQUALITY(X, type, lanes)                                                                               \
  X(type, lanes, eq, 0, a == b)                                                                                \
  X(type, lanes, ne, 0, a != b)
#define ORDER(X, type, lanes)                                                                                  \
  EQUALITY(X, type, lanes)                                                                                     \
  X(type, lanes, lt, 0, a < b)                                                                                 \
  X(type, lanes, le, 0, a <= b)                                                                                \
  X(type, lanes, gt, 0, a > b)                                                                                 \
  X(type, lanes, ge, 0, a >= b)
// lower, lower or same, higher, higher or same
#define UNSIGNED(X, type)                                                                                      \
  ORDER(X, type, type)                                                                                         \
  X(type, type, lo, 0, a < b)                                                                                  \
  X(type, type, ls, 0, a <= b)                                                                                 \
  X(type, type, hi, 0, a > b)                                                                                  \
  X(type, type, hs, 0, a >= b)
// With a NaN the ordered ones are false, `ne` too; the others are true.
#define FLOAT(X, type, lanes, modifiers)                                                                       \
  X(type, lanes, eq, modifiers, a == b)                                                                        \
  X(type, lanes, ne, modifiers, a<b || a> b)                                                                   \
  X(type, lanes, lt, modifiers, a < b)                                                                         \
  X(type, lanes, le, modifiers, a <= b)                                                                        \
  X(type, lanes, gt, modifiers, a > b)                                                                         \
  X(type, lanes, ge, modifiers, a >= b)                                                                        \
  X(type, lanes, equ, modifiers, !(a < b || a > b))                                                            \
  X(type, lanes, neu, modifiers, a != b)                                                                       \
  X(type, lanes, ltu, modifiers, !(a >= b))                                                                    \
  X(type, lanes, leu, modifiers, !(a > b))                                                                     \
  X(type, lanes, gtu, modifiers, !(a <= b))                                                                    \
  X(type, lanes, geu, modifiers, !(a < b))                                                                     \
  X(type, lanes, num, modifiers, a == a && b == b)                                                             \
  X(type, lanes, nan, modifiers, a != a || b != b)

#define COMPARE_MAP(X)                                                                                         \
  EQUALITY(X, b16, u16)                                                                                        \
  EQUALITY(X, b32, u32)                                                                                        \
  EQUALITY(X, b64, u64)                                                                                        \
  UNSIGNED(X, u16)                                                                                             \
  UNSIGNED(X, u32)                                                                                             \
  UNSIGNED(X, u64)                                                                                             \
  ORDER(X, s16, s16)                                                                                           \
  ORDER(X, s32, s32)                                                                                           \
  ORDER(X, s64, s64)                                                                                           \
  FLOAT(X, f16, f16, FTZ)                                                                                      \
  FLOAT(X, f16x2, f16, FTZ)                                                                                    \
  FLOAT(X, bf16, bf16, 0)                                                                                      \
  FLOAT(X, bf16x2, bf16, 0)                                                                                    \
  FLOAT(X, f32, f32, FTZ)                                                                                      \
  FLOAT(X, f64, f64, 0)

#define COMPARE_COMPUTE(type, lanes, comparison, modifiers, expression)                                        \
  QN_EMU_COMPUTE(compare, comparison, type, pred, lanes, lanes, none, none, 0, expression)
#define COMPARE_ROW(type, lanes, comparison, modifiers, expression)                                            \
  { .opcode = "compare",                                                                                       \
    .types = { QN_PTX_##type, QN_PTX_##comparison },                                                           \
    .result = QN_EMU_pred,                                                                                     \
    .sources = { QN_EMU_##lanes, QN_EMU_##lanes },                                                             \
    .optional = modifiers,                                                                                     \
    .compute = compare_##comparison##_##type },

COMPARE_MAP(COMPARE_COMPUTE)
static const qn_emu_operation rows[] = { COMPARE_MAP(COMPARE_ROW) };
static const qn_emu_operations comparisons = { rows, QN_COUNT(rows), QN_COUNTER_integer };

// --- combination with a predicate -----------------------------------------------------------------------

// Slot 3, where there is one.
static uint32_t combine(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes, uint32_t bits) {
  if (instr->slot_count < 4) return bits;
  uint32_t other = qn_emu_read_pred(warp, instr, qn_ptx_at(instr, 3, 0), lanes);
  if (qn_ptx_has(instr, QN_PTX_and)) return bits & other;
  return qn_ptx_has(instr, QN_PTX_or) ? bits | other : bits ^ other;
}

// The second predicate of a pair is that of the inverted comparison or, of packed values, of the upper halves;
// a single one is that of the lower halves.
static void execute_setp(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  qn_emu_column out[2];
  qn_emu_apply_halves(warp, instr, 1, lanes, out);
  uint32_t first = qn_emu_gather(out[0].words);
  uint32_t second = qn_emu_is_packed(instr->operation) ? qn_emu_gather(out[1].words) : ~first;
  // Both are computed before either is written: a result may be the predicate that is combined.
  first = combine(warp, instr, lanes, first);
  if (instr->slots[0].count == 2) {
    second = combine(warp, instr, lanes, second);
    qn_emu_write_pred(warp, qn_ptx_at(instr, 0, 1), lanes, second);
  }
  qn_emu_write_pred(warp, qn_ptx_at(instr, 0, 0), lanes, first);
}

// The words for true, by the type of the result; false is 0.
static uint32_t truth_of(qn_ptx_token type) {
  switch (type) {
  case QN_PTX_f32: return 0x3F800000;
  case QN_PTX_f16: return 0x3C00;
  case QN_PTX_bf16: return 0x3F80;
  case QN_PTX_f16x2: return 0x3C003C00;
  case QN_PTX_bf16x2: return 0x3F803F80;
  default: return UINT32_MAX;
  }
}

static void execute_set(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  qn_emu_column out[2];
  uint32_t words[QN_EMU_LANES];
  bool packed = qn_emu_is_packed(instr->operation);
  uint32_t truth = truth_of(qn_ptx_type(instr, 0));
  qn_emu_apply_halves(warp, instr, 1, lanes, out);
  uint32_t low = combine(warp, instr, lanes, qn_emu_gather(out[0].words));
  uint32_t high = packed ? combine(warp, instr, lanes, qn_emu_gather(out[1].words)) : low;
  for (int i = 0; i < QN_EMU_LANES; i++)
    words[i] = (low >> i & 1 ? truth & 0xFFFF : 0) | (high >> i & 1 ? truth & 0xFFFF0000 : 0);
  qn_emu_write32(warp, qn_ptx_at(instr, 0, 0), lanes, words);
}

// --- binding -------------------------------------------------------------------------------------------------

// `type` is that of what is compared.
static bool bind_comparison(qn_ptx_instr *instr, qn_ptx_token type, const char **out_words) {
  static const qn_emu_operations *const tables[] = { &comparisons };
  bool combined =
      qn_ptx_has(instr, QN_PTX_and) || qn_ptx_has(instr, QN_PTX_or) || qn_ptx_has(instr, QN_PTX_xor);
  // .lo and .hi are comparisons here.
  uint32_t modifiers = qn_emu_modifiers(instr) & ~(QN_EMU_FLAG(lo) | QN_EMU_FLAG(hi));
  const qn_emu_wanted wanted = { .opcode = "compare",
                                 .types = { type, qn_ptx_find_token(instr, QN_PTX_COMPARE, 0) },
                                 .modifiers = modifiers,
                                 .sources = instr->slot_count - 1u - combined };
  const qn_emu_operation *row = qn_emu_find_operation(tables, 1, &wanted, &instr->counter, out_words);
  if (!row) {
    if (wanted.types[1] == QN_PTX_NO_TOKEN) *out_words = "no comparison";
    return false;
  }
  if (!qn_emu_sources_fit(instr, row, 1, out_words)) return false;
  if (combined && !qn_emu_slot_fits(instr, 3, 1, QN_EMU_INTEGER, out_words)) return false;
  if (row->sources[0] >= QN_EMU_f16) instr->counter = QN_COUNTER_floating;
  qn_emu_set_operation(instr, row, modifiers);
  return true;
}

bool qn_emu_bind_setp(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  if (!bind_comparison(instr, qn_ptx_type(instr, 0), out_words)) return false;
  instr->execute = execute_setp;
  *out_words = "results of setp that are not one or two predicates";
  if (instr->slots[0].count < 1 || instr->slots[0].count > 2 || !qn_ptx_fits(instr, 0, 1)) return false;
  for (uint32_t i = 0; i < instr->slots[0].count; i++) {
    qn_ptx_operand_kind kind = qn_ptx_at(instr, 0, i)->kind;
    if (kind != QN_PTX_REGISTER && kind != QN_PTX_SINK) return false;
  }
  return true;
}

static bool is_one_of(qn_ptx_token type, const qn_ptx_token *types, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    if (types[i] == type) return true;
  return false;
}

// What a comparison of `source` may give: halves to themselves or integers, packed to packed or a word.
static bool gives(qn_ptx_token source, qn_ptx_token result) {
  static const qn_ptx_token wide[] = { QN_PTX_u32, QN_PTX_s32, QN_PTX_f32, QN_PTX_f16, QN_PTX_bf16 };
  static const qn_ptx_token half[] = { QN_PTX_u16, QN_PTX_s16, QN_PTX_u32, QN_PTX_s32 };
  static const qn_ptx_token packed[] = { QN_PTX_u32, QN_PTX_s32 };
  if (source == QN_PTX_f16x2 || source == QN_PTX_bf16x2)
    return result == source || is_one_of(result, packed, QN_COUNT(packed));
  if (source == QN_PTX_f16 || source == QN_PTX_bf16)
    return result == source || is_one_of(result, half, QN_COUNT(half));
  return is_one_of(result, wide, QN_COUNT(wide));
}

bool qn_emu_bind_set(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  qn_ptx_token result = qn_ptx_type(instr, 0), source = qn_ptx_type(instr, 1);
  (void)program;
  *out_words = "types that do not go together";
  if (source == QN_PTX_NO_TOKEN || !gives(source, result)) return false;
  if (!bind_comparison(instr, source, out_words)) return false;
  instr->execute = execute_set;
  return qn_emu_slot_fits(instr, 0, qn_ptx_bits(result), QN_EMU_RESULT, out_words);
}
