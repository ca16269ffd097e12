// ld, ldu and st: vectors of up to eight elements, and all spaces.
#include "runtime/emulator/block_priv.h"

enum { ELEMENTS_MAX = 8 };

// What the bind function leaves in `immediate`.
typedef struct form {
  uint8_t bytes, count; // of an element; elements
  uint8_t chunk;        // bytes that are touched at once: all of them, or 16
  uint8_t space;        // qn_ptx_token
  bool is_signed, strong;
} form;
_Static_assert(sizeof(form) <= sizeof(uint64_t), "a form is kept in an instruction");

static form form_of(const qn_ptx_instr *instr) {
  form f;
  memcpy(&f, &instr->immediate, sizeof f);
  return f;
}

static uint64_t load_value(const uint8_t *at, form f) {
  uint64_t value = 0;
  switch (f.bytes) { // hosts are little-endian, as devices are
  case 1: memcpy(&value, at, 1); break;
  case 2: memcpy(&value, at, 2); break;
  case 4: memcpy(&value, at, 4); break;
  default: memcpy(&value, at, 8); break;
  }
  if (!f.is_signed || f.bytes == 8) return value;
  uint64_t sign = UINT64_C(1) << (8 * f.bytes - 1);
  return (value ^ sign) - sign;
}

static void put_value(const qn_emu_warp *warp, const qn_ptx_operand *operand, int lane, uint64_t value) {
  uint32_t *column = warp->columns + operand->column;
  switch (qn_ptx_bits(operand->type)) {
  case 64: ((uint64_t *)column)[lane] = value; break;
  case 32: column[lane] = (uint32_t)value; break;
  case 16: column[lane] = (uint16_t)value; break;
  default: column[lane] = (uint8_t)value;
  }
}

// Vectors of more than 16 bytes are touched in pieces, and aligned as a whole.
static bool check_wide(qn_emu_warp *warp, const qn_ptx_instr *instr, int lane, uint64_t address,
                       uint32_t bytes) {
  if (bytes <= QN_EMU_ACCESS_MAX || address % bytes == 0) return true;
  qn_emu_fault(warp, instr, lane, "an access of %u bytes at 0x%llx, which is not a multiple of %u", bytes,
               (unsigned long long)address, bytes);
  return false;
}

static void execute_load(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  const form f = form_of(instr);
  const qn_emu_use use = { .reads = true, .strong = f.strong };
  const uint32_t total = (uint32_t)f.bytes * f.count;
  const qn_ptx_operand *results = qn_ptx_at(instr, 0, 0);
  uint64_t addresses[QN_EMU_LANES];
  qn_emu_addresses(warp, instr, qn_ptx_at(instr, 1, 0), lanes, addresses);
  for (uint32_t left = lanes; left; left &= left - 1) {
    int lane = qn_emu_first(left);
    const uint8_t *at = NULL;
    if (!check_wide(warp, instr, lane, addresses[lane], total)) return;
    for (uint32_t i = 0; i < f.count; i++) {
      uint32_t offset = i * f.bytes;
      if (offset % f.chunk == 0) {
        at = qn_emu_touch_as(warp, instr, lane, (qn_ptx_token)f.space, addresses[lane] + offset, f.chunk, use);
        if (!at) return;
      }
      if (results[i].kind == QN_PTX_REGISTER)
        put_value(warp, &results[i], lane, load_value(at + offset % f.chunk, f));
    }
  }
  for (uint32_t i = 0; i < f.count; i++)
    if (results[i].kind == QN_PTX_REGISTER) warp->defined[results[i].reg] |= lanes;
  qn_emu_count_access(warp, (qn_ptx_token)f.space, addresses, lanes, total, false);
}

typedef struct source {
  const uint32_t *narrow;
  const uint64_t *wide; // or NULL
} source;

static void execute_store(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  const form f = form_of(instr);
  const qn_emu_use use = { .writes = true, .strong = f.strong };
  const uint32_t total = (uint32_t)f.bytes * f.count;
  const qn_ptx_operand *operands = qn_ptx_at(instr, 1, 0);
  uint64_t addresses[QN_EMU_LANES], scratch[ELEMENTS_MAX][QN_EMU_LANES];
  source sources[ELEMENTS_MAX] = { 0 };
  for (uint32_t i = 0; i < f.count; i++) {
    bool wide = operands[i].kind == QN_PTX_REGISTER ? qn_ptx_bits(operands[i].type) == 64 : f.bytes == 8;
    if (wide)
      sources[i].wide = qn_emu_read64(warp, instr, &operands[i], lanes, scratch[i]);
    else
      sources[i].narrow = qn_emu_read32(warp, instr, &operands[i], lanes, (uint32_t *)scratch[i]);
  }
  qn_emu_addresses(warp, instr, qn_ptx_at(instr, 0, 0), lanes, addresses);
  for (uint32_t left = lanes; left; left &= left - 1) {
    int lane = qn_emu_first(left);
    uint8_t *at = NULL;
    if (!check_wide(warp, instr, lane, addresses[lane], total)) return;
    for (uint32_t i = 0; i < f.count; i++) {
      uint32_t offset = i * f.bytes;
      if (offset % f.chunk == 0) {
        at = qn_emu_touch_as(warp, instr, lane, (qn_ptx_token)f.space, addresses[lane] + offset, f.chunk, use);
        if (!at) return;
      }
      uint64_t value = sources[i].wide ? sources[i].wide[lane] : sources[i].narrow[lane];
      memcpy(at + offset % f.chunk, &value, f.bytes);
    }
  }
  qn_emu_count_access(warp, (qn_ptx_token)f.space, addresses, lanes, total, true);
}

// --- binding -----------------------------------------------------------------------------------------------

static bool check_registers(const qn_ptx_instr *instr, uint32_t slot, uint32_t bits, const char **out_words) {
  for (uint32_t i = 0; i < instr->slots[slot].count; i++) {
    const qn_ptx_operand *operand = qn_ptx_at(instr, slot, i);
    if (operand->kind != QN_PTX_REGISTER) continue;
    uint32_t held = qn_ptx_bits(operand->type);
    if (held >= bits && held <= 64 && operand->type != QN_PTX_pred) continue;
    *out_words = "a register is narrower than the type";
    return false;
  }
  return true;
}

static bool bind_access(qn_ptx_instr *instr, uint32_t address, uint32_t values, const char **out_words) {
  qn_ptx_token type = qn_ptx_type(instr, 0), vector = qn_ptx_find_token(instr, QN_PTX_VECTOR, 0);
  uint32_t bits = qn_ptx_bits(type),
           count = vector == QN_PTX_NO_TOKEN ? 1 : qn_ptx_token_get_info(vector)->bits;
  *out_words = NULL;
  if (bits < 8 || bits > 64 || qn_ptx_type(instr, 1) != QN_PTX_NO_TOKEN)
    *out_words = "expected one type of 8, 16, 32 or 64 bits";
  else if (bits * count > 256)
    *out_words = "a vector has at most 256 bits";
  else if (instr->slots[values].count != count)
    *out_words = "the vector has another number of elements than the instruction says";
  else if (qn_ptx_at(instr, address, 0)->kind != QN_PTX_ADDRESS)
    *out_words = "expected an address in brackets";
  if (*out_words || !check_registers(instr, values, bits, out_words)) return false;
  uint32_t total = bits / 8 * count;
  const form f = { .bytes = (uint8_t)(bits / 8),
                   .count = (uint8_t)count,
                   .chunk = (uint8_t)QN_MIN(total, (uint32_t)QN_EMU_ACCESS_MAX),
                   .space = (uint8_t)qn_ptx_find_token(instr, QN_PTX_SPACE, 0),
                   .is_signed = type == QN_PTX_s8 || type == QN_PTX_s16 || type == QN_PTX_s32,
                   .strong = qn_ptx_has(instr, QN_PTX_volatile) || qn_ptx_has(instr, QN_PTX_relaxed) ||
                             qn_ptx_has(instr, QN_PTX_acquire) || qn_ptx_has(instr, QN_PTX_release) ||
                             qn_ptx_has(instr, QN_PTX_mmio) };
  memcpy(&instr->immediate, &f, sizeof f);
  return true;
}

bool qn_emu_bind_ld(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  instr->execute = execute_load;
  return bind_access(instr, 1, 0, out_words);
}

bool qn_emu_bind_st(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  instr->execute = execute_store;
  return bind_access(instr, 0, 1, out_words);
}
