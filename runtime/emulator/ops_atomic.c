// atom and red: operations on memory that no other lane can come between. The lanes of a warp are served in
// their order.
#include "runtime/emulator/block_priv.h"
#include "runtime/emulator/forms_priv.h"
#include "runtime/emulator/values_priv.h"

enum { ELEMENTS_MAX = 8 };

// The new value of `old`; values are zero-extended from the type's width, and cut to it afterwards.
typedef uint64_t (*atomic_operation)(uint64_t old, uint64_t b, uint64_t c);

// --- integers -------------------------------------------------------------------------------------------

#define OPERATION(name, expression)                                                                            \
  static uint64_t name(uint64_t old, uint64_t b, uint64_t c) {                                                 \
    (void)old, (void)b, (void)c;                                                                               \
    return expression;                                                                                         \
  }
OPERATION(add, old + b)
OPERATION(min_unsigned, QN_MIN(old, b))
OPERATION(max_unsigned, QN_MAX(old, b))
OPERATION(min_s32, (int32_t)old < (int32_t)b ? old : b)
OPERATION(max_s32, (int32_t)old > (int32_t)b ? old : b)
OPERATION(min_s64, (int64_t)old < (int64_t)b ? old : b)
OPERATION(max_s64, (int64_t)old > (int64_t)b ? old : b)
OPERATION(increment, old >= b ? 0 : old + 1)
OPERATION(decrement, old == 0 || old > b ? b : old - 1)
OPERATION(bits_and, old &b)
OPERATION(bits_or, old | b)
OPERATION(bits_xor, old ^ b)
OPERATION(exchange, b)
OPERATION(compare_and_swap, old == b ? c : old)

// --- floats ---------------------------------------------------------------------------------------------

static uint32_t flush(uint64_t bits) {
  return (uint32_t)bits & ((bits & 0x7F800000u) == 0 ? 0x80000000u : UINT32_MAX);
}
OPERATION(add_f32, qn_put_f32(qn_get_f32((uint32_t)old) + qn_get_f32((uint32_t)b)))
// On global memory, where hardware adds in the L2 cache.
OPERATION(add_f32_flushed, flush(qn_put_f32(qn_get_f32(flush(old)) + qn_get_f32(flush(b)))))
OPERATION(add_f64, qn_put_f64(qn_get_f64(old) + qn_get_f64(b)))

// Of 16 bits. An f64 has more than twice the digits of both types, so rounding its sum again is rounding once.
#define X(type)                                                                                                \
  OPERATION(add_##type,                                                                                        \
            qn_put_##type(qn_get_##type((uint32_t)old & 0xFFFFu) + qn_get_##type((uint32_t)b & 0xFFFFu)))      \
  OPERATION(add_##type##x2, add_##type(old, b, c) | add_##type(old >> 16, b >> 16, c) << 16)
X(f16)
X(bf16)
#undef X
#undef OPERATION

// --- forms ----------------------------------------------------------------------------------------------

static const struct {
  uint8_t name, type; // qn_ptx_token
  bool has_vectors;
  atomic_operation operate;
} operations[] = {
  { QN_PTX_add, QN_PTX_u32, false, add },
  { QN_PTX_add, QN_PTX_s32, false, add },
  { QN_PTX_add, QN_PTX_u64, false, add },
  { QN_PTX_add, QN_PTX_f32, true, add_f32 },
  { QN_PTX_add, QN_PTX_f64, false, add_f64 },
  { QN_PTX_add, QN_PTX_f16, true, add_f16 },
  { QN_PTX_add, QN_PTX_f16x2, true, add_f16x2 },
  { QN_PTX_add, QN_PTX_bf16, true, add_bf16 },
  { QN_PTX_add, QN_PTX_bf16x2, true, add_bf16x2 },
  { QN_PTX_min, QN_PTX_u32, false, min_unsigned },
  { QN_PTX_min, QN_PTX_u64, false, min_unsigned },
  { QN_PTX_min, QN_PTX_s32, false, min_s32 },
  { QN_PTX_min, QN_PTX_s64, false, min_s64 },
  { QN_PTX_max, QN_PTX_u32, false, max_unsigned },
  { QN_PTX_max, QN_PTX_u64, false, max_unsigned },
  { QN_PTX_max, QN_PTX_s32, false, max_s32 },
  { QN_PTX_max, QN_PTX_s64, false, max_s64 },
  { QN_PTX_inc, QN_PTX_u32, false, increment },
  { QN_PTX_dec, QN_PTX_u32, false, decrement },
  { QN_PTX_and, QN_PTX_b32, false, bits_and },
  { QN_PTX_and, QN_PTX_b64, false, bits_and },
  { QN_PTX_or, QN_PTX_b32, false, bits_or },
  { QN_PTX_or, QN_PTX_b64, false, bits_or },
  { QN_PTX_xor, QN_PTX_b32, false, bits_xor },
  { QN_PTX_xor, QN_PTX_b64, false, bits_xor },
  { QN_PTX_exch, QN_PTX_b32, false, exchange },
  { QN_PTX_exch, QN_PTX_b64, false, exchange },
  { QN_PTX_cas, QN_PTX_b16, false, compare_and_swap },
  { QN_PTX_cas, QN_PTX_b32, false, compare_and_swap },
  { QN_PTX_cas, QN_PTX_b64, false, compare_and_swap },
};

// Fits into qn_ptx_instr.immediate.
typedef struct atomic_form {
  uint8_t operation; // index
  uint8_t space;     // qn_ptx_token
  uint8_t address;   // slot; the result is in front of it, the operands behind
  uint8_t bytes;     // of an element
  bool flushes, has_third;
  uint8_t unused[2];
} atomic_form;
_Static_assert(sizeof(atomic_form) == sizeof(uint64_t), "kept in an instruction");

// --- a warp ---------------------------------------------------------------------------------------------

typedef uint64_t element_values[ELEMENTS_MAX][QN_EMU_LANES];

static void load_elements(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t slot, uint32_t bytes,
                          uint32_t lanes, element_values out) {
  for (uint32_t e = 0; e < instr->slots[slot].count; e++) {
    uint32_t scratch[QN_EMU_LANES];
    if (bytes == 8) {
      memcpy(out[e], qn_emu_read64(warp, instr, qn_ptx_at(instr, slot, e), lanes, out[e]), sizeof out[e]);
      continue;
    }
    const uint32_t *values = qn_emu_read32(warp, instr, qn_ptx_at(instr, slot, e), lanes, scratch);
    for (int i = 0; i < QN_EMU_LANES; i++) out[e][i] = values[i];
  }
}

static void store_elements(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t bytes, uint32_t lanes,
                           element_values values) {
  for (uint32_t e = 0; e < instr->slots[0].count; e++) {
    uint32_t narrow[QN_EMU_LANES];
    if (bytes == 8) {
      qn_emu_write64(warp, qn_ptx_at(instr, 0, e), lanes, values[e]);
      continue;
    }
    for (int i = 0; i < QN_EMU_LANES; i++) narrow[i] = (uint32_t)values[e][i];
    qn_emu_write32(warp, qn_ptx_at(instr, 0, e), lanes, narrow);
  }
}

// One element; returns what stood there. Bytes as the device keeps them, which is as the host does.
static uint64_t operate(atomic_operation operation, uint8_t *memory, uint32_t bytes, uint64_t b, uint64_t c) {
  uint64_t old = 0;
  memcpy(&old, memory, bytes);
  uint64_t value = operation(old, b, c);
  memcpy(memory, &value, bytes);
  return old;
}

static atomic_operation find_function(const atomic_form *form, uint64_t address) {
  uint64_t offset;
  bool global = form->space == QN_PTX_global ||
                (form->space == QN_PTX_NO_TOKEN && qn_emu_resolve(address, &offset) == QN_PTX_global);
  return form->flushes && global ? add_f32_flushed : operations[form->operation].operate;
}

static void execute_atomic(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  atomic_form form;
  memcpy(&form, &instr->immediate, sizeof form);
  const uint32_t count = instr->slots[form.address + 1].count;
  const bool is_shared = form.space == QN_PTX_shared || form.space == QN_PTX_shared_cta;
  uint64_t addresses[QN_EMU_LANES];
  element_values b, c = { { 0 } }, old = { { 0 } };
  qn_emu_addresses(warp, instr, qn_ptx_at(instr, form.address, 0), lanes, addresses);
  load_elements(warp, instr, form.address + 1, form.bytes, lanes, b);
  if (form.has_third) load_elements(warp, instr, form.address + 2, form.bytes, lanes, c);
  if (!is_shared) qn_emu_lock(warp);
  for (int lane = 0; lane < QN_EMU_LANES; lane++) {
    if (!(lanes >> lane & 1)) continue;
    uint8_t *memory =
        qn_emu_touch(warp, instr, lane, form.space, addresses[lane], count * form.bytes, QN_EMU_ATOMIC);
    if (!memory) break;
    const atomic_operation operation = find_function(&form, addresses[lane]);
    for (uint32_t e = 0; e < count; e++)
      old[e][lane] = operate(operation, memory + e * form.bytes, form.bytes, b[e][lane], c[e][lane]);
  }
  if (!is_shared) qn_emu_unlock(warp);
  qn_emu_count_access(warp, form.space, addresses, lanes, count * form.bytes, true);
  warp->counters->atomics += (uint64_t)__builtin_popcount(lanes);
  if (form.address == 1) store_elements(warp, instr, form.bytes, lanes, old);
}

// --- binding --------------------------------------------------------------------------------------------

static bool find_operation(const qn_ptx_instr *instr, atomic_form *form) {
  qn_ptx_token type = qn_ptx_type(instr, 0);
  for (uint32_t i = 0; i < QN_COUNT(operations); i++)
    if (operations[i].type == type && qn_ptx_has(instr, operations[i].name)) {
      form->operation = (uint8_t)i;
      form->bytes = (uint8_t)(qn_ptx_bits(type) / 8);
      form->has_third = operations[i].name == QN_PTX_cas;
      return true;
    }
  return false;
}

// Scalars, or the vectors that sums of floats have.
static bool check_operands(const qn_ptx_instr *instr, const atomic_form *form) {
  qn_ptx_token vector = qn_ptx_find_token(instr, QN_PTX_VECTOR, 0);
  uint32_t count = vector ? qn_ptx_bits(vector) : 1, bits = 8u * form->bytes;
  if (count > 1 && !operations[form->operation].has_vectors) return false;
  if (count > ELEMENTS_MAX || count * form->bytes > QN_EMU_ACCESS_MAX) return false;
  if (form->address == 1 && !qn_emu_has_results(instr, 0, count, bits)) return false;
  for (uint32_t i = 1; i <= 1u + form->has_third; i++)
    if (!qn_emu_has_sources(instr, form->address + i, count, bits)) return false;
  return qn_emu_has_address(instr, form->address);
}

static bool check_space(qn_ptx_token space) {
  return space == QN_PTX_NO_TOKEN || space == QN_PTX_global || space == QN_PTX_shared ||
         space == QN_PTX_shared_cta || space == QN_PTX_shared_cluster;
}

static bool bind_atomic(qn_ptx_instr *instr, bool has_result, const char **out_words) {
  atomic_form form = { .space = qn_ptx_find_token(instr, QN_PTX_SPACE, 0), .address = has_result };
  qn_ptx_token type = qn_ptx_type(instr, 0);
  *out_words = "no atomic operation on this type";
  if (!find_operation(instr, &form)) return false;
  *out_words = "red has no .exch and no .cas";
  if (!has_result && (qn_ptx_has(instr, QN_PTX_exch) || form.has_third)) return false;
  *out_words = "sums of f16 and bf16 need .noftz, others take none";
  bool is_half = type == QN_PTX_f16 || type == QN_PTX_f16x2 || type == QN_PTX_bf16 || type == QN_PTX_bf16x2;
  if (is_half != qn_ptx_has(instr, QN_PTX_noftz)) return false;
  *out_words = "atomics are on global and shared memory";
  if (!check_space(form.space)) return false;
  *out_words = "not the address and the operands of this operation, of the width of its type";
  uint32_t hint = qn_ptx_has(instr, QN_PTX_L2_cache_hint);
  if (instr->slot_count != form.address + 2u + form.has_third + hint) return false;
  if (!check_operands(instr, &form)) return false;
  form.flushes = type == QN_PTX_f32;
  memcpy(&instr->immediate, &form, sizeof form);
  instr->execute = execute_atomic;
  return true;
}

bool qn_emu_bind_atom(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  return bind_atomic(instr, true, out_words);
}

bool qn_emu_bind_red(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  return bind_atomic(instr, false, out_words);
}
