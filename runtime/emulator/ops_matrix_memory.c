// ldmatrix, stmatrix and movmatrix: matrices of 8 by 8 elements of 16 bits between shared memory and the
// registers of a warp.
//
// Row r of matrix i is the 16 bytes at the address of lane 8 * i + r. Lane l holds the elements 2 * (l % 4) and
// 2 * (l % 4) + 1 of row l / 4 in one register; with .trans, of column l / 4.
#include "runtime/emulator/forms_priv.h"

enum { ROWS = 8, ROW_BYTES = 16 };

typedef uint16_t matrix[ROWS][ROWS];

// The rows' addresses are those of the first 8 * matrices lanes.
static uint32_t address_lanes(uint32_t matrices) {
  return matrices == 4 ? QN_EMU_ALL : (1u << ROWS * matrices) - 1;
}

// .shared may be left out; a generic address must then be one of shared memory, which only its window tells.
static qn_ptx_token space_of(const qn_ptx_instr *instr) {
  return qn_ptx_find_token(instr, QN_PTX_SPACE, 0);
}

static void pack(matrix m, bool transposed, uint32_t words[QN_EMU_LANES]) {
  for (int lane = 0; lane < QN_EMU_LANES; lane++) {
    int major = lane / 4, minor = 2 * (lane % 4);
    uint32_t low = transposed ? m[minor][major] : m[major][minor];
    uint32_t high = transposed ? m[minor + 1][major] : m[major][minor + 1];
    words[lane] = low | high << 16;
  }
}

static void unpack(const uint32_t *words, bool transposed, matrix m) {
  for (int lane = 0; lane < QN_EMU_LANES; lane++) {
    int major = lane / 4, minor = 2 * (lane % 4);
    *(transposed ? &m[minor][major] : &m[major][minor]) = (uint16_t)words[lane];
    *(transposed ? &m[minor + 1][major] : &m[major][minor + 1]) = (uint16_t)(words[lane] >> 16);
  }
}

// Between one matrix and its rows in memory.
static bool move_rows(qn_emu_warp *warp, const qn_ptx_instr *instr, const uint64_t addresses[QN_EMU_LANES],
                      uint32_t index, qn_emu_access access, matrix m) {
  for (uint32_t row = 0; row < ROWS; row++) {
    uint32_t lane = ROWS * index + row;
    void *memory = qn_emu_touch(warp, instr, (int)lane, space_of(instr), addresses[lane], ROW_BYTES, access);
    if (!memory) return false;
    memcpy(access == QN_EMU_READ ? m[row] : memory, access == QN_EMU_READ ? memory : m[row], ROW_BYTES);
  }
  qn_emu_count_access(warp, space_of(instr), addresses, 0xFFu << ROWS * index, ROW_BYTES,
                      access == QN_EMU_WRITE);
  return true;
}

static void execute_ldmatrix(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  const uint32_t count = instr->slots[0].count;
  uint64_t addresses[QN_EMU_LANES];
  uint32_t words[QN_EMU_LANES];
  matrix m;
  qn_emu_addresses(warp, instr, qn_ptx_at(instr, 1, 0), address_lanes(count), addresses);
  for (uint32_t i = 0; i < count; i++) {
    if (!move_rows(warp, instr, addresses, i, QN_EMU_READ, m)) return;
    pack(m, qn_ptx_has(instr, QN_PTX_trans), words);
    qn_emu_write32(warp, qn_ptx_at(instr, 0, i), lanes, words);
  }
}

static void execute_stmatrix(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  const uint32_t count = instr->slots[1].count;
  uint64_t addresses[QN_EMU_LANES];
  uint32_t scratch[QN_EMU_LANES];
  matrix m;
  qn_emu_addresses(warp, instr, qn_ptx_at(instr, 0, 0), address_lanes(count), addresses);
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t *words = qn_emu_read32(warp, instr, qn_ptx_at(instr, 1, i), lanes, scratch);
    unpack(words, qn_ptx_has(instr, QN_PTX_trans), m);
    if (!move_rows(warp, instr, addresses, i, QN_EMU_WRITE, m)) return;
  }
}

static void execute_movmatrix(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  uint32_t scratch[QN_EMU_LANES], words[QN_EMU_LANES];
  matrix m;
  unpack(qn_emu_read32(warp, instr, qn_ptx_at(instr, 1, 0), lanes, scratch), false, m);
  pack(m, true, words);
  qn_emu_write32(warp, qn_ptx_at(instr, 0, 0), lanes, words);
}

// --- forms ----------------------------------------------------------------------------------------------

static bool bind_matrix(qn_ptx_instr *instr, const char **out_words) {
  instr->counter = QN_COUNTER_matrix_loads;
  instr->sync = QN_PTX_SYNC_WARP;
  *out_words = "only .sync.aligned, .m8n8 and .b16 are executed";
  return qn_ptx_has(instr, QN_PTX_sync) && qn_ptx_has(instr, QN_PTX_aligned) &&
         qn_ptx_has(instr, QN_PTX_m8n8) && qn_ptx_type(instr, 0) == QN_PTX_b16;
}

// How many matrices; 0: not what the opcode takes.
static uint32_t find_count(const qn_ptx_instr *instr, const char **out_words) {
  qn_ptx_token vector = qn_ptx_find_token(instr, QN_PTX_VECTOR, 0);
  *out_words = "the matrices are .x1, .x2 or .x4, a register of 32 bits each";
  return vector == QN_PTX_x1 || vector == QN_PTX_x2 || vector == QN_PTX_x4 ? qn_ptx_bits(vector) : 0;
}

static bool check_memory(const qn_ptx_instr *instr, uint32_t slot, const char **out_words) {
  qn_ptx_token space = space_of(instr);
  *out_words = "the matrices are in shared memory";
  if (space != QN_PTX_NO_TOKEN && space != QN_PTX_shared && space != QN_PTX_shared_cta) return false;
  *out_words = "not an address";
  return qn_emu_has_address(instr, slot);
}

bool qn_emu_bind_ldmatrix(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  instr->execute = execute_ldmatrix;
  if (!bind_matrix(instr, out_words) || !check_memory(instr, 1, out_words)) return false;
  uint32_t count = find_count(instr, out_words);
  return count && qn_emu_has_results(instr, 0, count, 32);
}

bool qn_emu_bind_stmatrix(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  instr->execute = execute_stmatrix;
  if (!bind_matrix(instr, out_words) || !check_memory(instr, 0, out_words)) return false;
  uint32_t count = find_count(instr, out_words);
  return count && qn_emu_has_sources(instr, 1, count, 32);
}

bool qn_emu_bind_movmatrix(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  instr->execute = execute_movmatrix;
  if (!bind_matrix(instr, out_words)) return false;
  *out_words = "movmatrix is .trans, from one register of 32 bits to another";
  return qn_ptx_has(instr, QN_PTX_trans) && qn_emu_has_results(instr, 0, 1, 32) &&
         qn_emu_has_sources(instr, 1, 1, 32);
}
