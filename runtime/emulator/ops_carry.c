// Sums with a carry that one instruction leaves for the next: add.cc, addc, sub.cc, subc, mad.cc, madc.
//
// A difference a - b - borrow is the sum a + ~b + (1 - borrow), whose carry out is the inverted borrow; so
// there is one kind of sum. The flag itself, CC.CF, is a bit a lane of the warp.
#include "runtime/emulator/operation_priv.h"

enum { SUBTRACTS = 1, MULTIPLIES = 2, HIGH = 4, SIGNED = 8, WIDE = 16, READS = 32, WRITES = 64 };

// Either half of the product of two values of 32 or 64 bits.
static uint64_t product(uint64_t a, uint64_t b, uint64_t form) {
  if (!(form & HIGH)) return a * b;
  if (form & WIDE) return form & SIGNED ? qn_emu_high_s64(a, b) : qn_emu_high_u64(a, b);
  if (form & SIGNED) return (uint32_t)((uint64_t)((int64_t)(int32_t)a * (int32_t)b) >> 32);
  return a * b >> 32;
}

typedef struct sum {
  uint64_t value;
  bool carry;
} sum;

static sum add(uint64_t a, uint64_t b, bool carry, uint64_t largest) {
  uint64_t value = (a + b + carry) & largest;
  return (sum){ value, value < a || (carry && value == a) };
}

// What is added to what, of three sources.
static sum compute(const uint64_t source[3], bool flag, uint64_t form) {
  uint64_t largest = form & WIDE ? UINT64_MAX : UINT32_MAX;
  if (form & MULTIPLIES) return add(product(source[0], source[1], form) & largest, source[2], flag, largest);
  if (!(form & SUBTRACTS)) return add(source[0], source[1], flag, largest);
  sum difference = add(source[0], ~source[1] & largest, !flag, largest);
  difference.carry = !difference.carry;
  return difference;
}

static uint64_t read_lane(const void *words, uint64_t form, int lane) {
  return form & WIDE ? ((const uint64_t *)words)[lane] : ((const uint32_t *)words)[lane];
}

static void execute(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  uint64_t form = instr->immediate;
  int sources = form & MULTIPLIES ? 3 : 2;
  qn_emu_column scratch[3], out;
  const void *in[3];
  uint32_t flags = form & READS ? warp->carry : 0;
  for (int s = 0; s < sources; s++) {
    const qn_ptx_operand *operand = qn_ptx_at(instr, 1 + (uint32_t)s, 0);
    if (form & WIDE)
      in[s] = qn_emu_read64(warp, instr, operand, lanes, scratch[s].wide);
    else
      in[s] = qn_emu_read32(warp, instr, operand, lanes, scratch[s].words);
  }
  for (int i = 0; i < QN_EMU_LANES; i++) {
    uint64_t source[3] = { 0 };
    for (int s = 0; s < sources; s++) source[s] = read_lane(in[s], form, i);
    sum result = compute(source, flags >> i & 1, form);
    if (form & WIDE)
      out.wide[i] = result.value;
    else
      out.words[i] = (uint32_t)result.value;
    flags = (flags & ~(1u << i)) | (uint32_t)result.carry << i;
  }
  if (form & WIDE)
    qn_emu_write64(warp, qn_ptx_at(instr, 0, 0), lanes, out.wide);
  else
    qn_emu_write32(warp, qn_ptx_at(instr, 0, 0), lanes, out.words);
  if (form & WRITES) warp->carry = (warp->carry & ~lanes) | (flags & lanes);
}

static bool bind_carry(qn_ptx_instr *instr, uint64_t form, const char **out_words) {
  qn_ptx_token type = qn_ptx_type(instr, 0);
  uint32_t modifiers = qn_emu_modifiers(instr), half = modifiers & (QN_EMU_FLAG(lo) | QN_EMU_FLAG(hi));
  bool halved = half == QN_EMU_FLAG(lo) || half == QN_EMU_FLAG(hi);
  *out_words = "a type that has no carry";
  if (type != QN_PTX_u32 && type != QN_PTX_s32 && type != QN_PTX_u64 && type != QN_PTX_s64) return false;
  *out_words = "modifiers that do not go together, or one is missing";
  if (modifiers != half || (form & MULTIPLIES ? !halved : half != 0)) return false;
  *out_words = "not as many operands as this form has";
  if (instr->slot_count != (form & MULTIPLIES ? 4 : 3)) return false;
  uint32_t bits = qn_ptx_bits(type);
  for (uint32_t s = 0; s < instr->slot_count; s++)
    if (!qn_emu_slot_fits(instr, s, bits, s == 0 ? QN_EMU_RESULT : QN_EMU_INTEGER, out_words)) return false;
  if (half == QN_EMU_FLAG(hi)) form |= HIGH;
  if (type == QN_PTX_s32 || type == QN_PTX_s64) form |= SIGNED;
  if (bits == 64) form |= WIDE;
  if (qn_ptx_has(instr, QN_PTX_cc)) form |= WRITES;
  instr->immediate = form;
  instr->counter = QN_COUNTER_integer;
  instr->execute = execute;
  return true;
}

// `add` and so on without .cc are arithmetic like any other.
#define BIND(name, form)                                                                                       \
  bool qn_emu_bind_##name(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {        \
    if (!((form) & READS) && !qn_ptx_has(instr, QN_PTX_cc))                                                    \
      return qn_emu_bind_arithmetic(program, instr, out_words);                                                \
    return bind_carry(instr, form, out_words);                                                                 \
  }
BIND(add, 0)
BIND(addc, READS)
BIND(sub, SUBTRACTS)
BIND(subc, SUBTRACTS | READS)
BIND(mad, MULTIPLIES)
BIND(madc, MULTIPLIES | READS)
