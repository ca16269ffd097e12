// The machine that executes a program: warps of 32 lanes, blocks, memory, and what every instruction is written
// with.
//
// Registers. Each register of 8, 16 or 32 bits has a column of 32 words, one a lane; of 64 bits, a column of 64
// words, read as 32 times 64 bits; narrower values are kept zero-extended. A predicate has one word, a bit a
// lane. `defined` has a word for each register, a bit a lane: what was never written is poison, and reading it
// is a fault.
//
// Order. The lanes of a warp have program counters of their own. The machine executes the lanes that stand at
// the lowest one, together; so lanes that a branch has parted meet again where their paths do. A lane that
// reaches an instruction with `sync` waits there until all that must execute it together have come; if they
// cannot come any more, that is a fault with the places where the others stand.
//
// A fault ends the launch. An execute function that meets one calls qn_emu_fault and returns; what it does
// after that is never seen.
#ifndef QUENCH_RUNTIME_EMULATOR_MACHINE_PRIV_H
#define QUENCH_RUNTIME_EMULATOR_MACHINE_PRIV_H

#include "runtime/device_priv.h"
#include "runtime/emulator/program_priv.h"

enum { QN_EMU_LANES = 32, QN_EMU_ACCESS_MAX = 16 };
#define QN_EMU_ALL 0xFFFFFFFFu

struct qn_emu_block;

// What an instruction sees of its warp; the rest is block_priv.h's.
typedef struct qn_emu_warp {
  uint32_t *columns; // the register file; 64-byte aligned
  uint32_t *defined; // by register
  bool strict;
  qn_counters *counters; // of the host thread, added up at the end
  const qn_ptx_program *program;
  struct qn_emu_block *block;
  uint32_t index; // in the block
  uint32_t carry; // the flag CC.CF, a bit a lane
  uint32_t alive; // lanes that exist and have not exited
} qn_emu_warp;

// Records a fault of `lane` (-1: of the warp) at an instruction. The first one of a launch is kept.
void qn_emu_fault(qn_emu_warp *warp, const qn_ptx_instr *instr, int lane, const char *format, ...)
    QN_PRINTF(4, 5);

// --- operands -------------------------------------------------------------------------------------------

// "register %r12 is read before it was written", for the first of `lanes` that are undefined.
void qn_emu_fault_poison(qn_emu_warp *warp, const qn_ptx_instr *instr, const qn_ptx_operand *operand,
                         uint32_t lanes);
// 32 values of an operand that is no register, of `bits` bits: an immediate, a special register, the address of
// a symbol.
void qn_emu_expand(qn_emu_warp *warp, const qn_ptx_instr *instr, const qn_ptx_operand *operand, uint32_t bits,
                   uint64_t out[QN_EMU_LANES]);

static inline bool qn_emu_check_defined(qn_emu_warp *warp, const qn_ptx_instr *instr,
                                        const qn_ptx_operand *operand, uint32_t lanes) {
  if ((lanes & ~warp->defined[operand->reg]) == 0 || !warp->strict) return true;
  qn_emu_fault_poison(warp, instr, operand, lanes & ~warp->defined[operand->reg]);
  return false;
}

// The values of a source of up to 32 bits, one a lane: the register's own column, or `scratch` filled. Lanes
// that are not in `lanes` hold anything.
static inline const uint32_t *qn_emu_read32(qn_emu_warp *warp, const qn_ptx_instr *instr,
                                            const qn_ptx_operand *operand, uint32_t lanes,
                                            uint32_t scratch[QN_EMU_LANES]) {
  if (operand->kind == QN_PTX_REGISTER) {
    qn_emu_check_defined(warp, instr, operand, lanes);
    return warp->columns + operand->column;
  }
  uint64_t wide[QN_EMU_LANES];
  qn_emu_expand(warp, instr, operand, 32, wide);
  for (int i = 0; i < QN_EMU_LANES; i++) scratch[i] = (uint32_t)wide[i];
  return scratch;
}
// The same for 64 bits.
static inline const uint64_t *qn_emu_read64(qn_emu_warp *warp, const qn_ptx_instr *instr,
                                            const qn_ptx_operand *operand, uint32_t lanes,
                                            uint64_t scratch[QN_EMU_LANES]) {
  if (operand->kind == QN_PTX_REGISTER) {
    qn_emu_check_defined(warp, instr, operand, lanes);
    return (const uint64_t *)(warp->columns + operand->column);
  }
  qn_emu_expand(warp, instr, operand, 64, scratch);
  return scratch;
}
// A predicate, a bit a lane, negated where the operand says so.
static inline uint32_t qn_emu_read_pred(qn_emu_warp *warp, const qn_ptx_instr *instr,
                                        const qn_ptx_operand *operand, uint32_t lanes) {
  if (operand->kind != QN_PTX_REGISTER) return (operand->value != 0) != operand->negated ? QN_EMU_ALL : 0;
  qn_emu_check_defined(warp, instr, operand, lanes);
  uint32_t bits = warp->columns[operand->column];
  return operand->negated ? ~bits : bits;
}

// Writes a result of up to 32 bits to the lanes; values are cut to the register's width. "_" takes anything.
static inline void qn_emu_write32(qn_emu_warp *warp, const qn_ptx_operand *operand, uint32_t lanes,
                                  const uint32_t values[QN_EMU_LANES]) {
  if (operand->kind == QN_PTX_SINK) return;
  uint32_t *column = warp->columns + operand->column;
  uint32_t keep = qn_ptx_bits(operand->type) == 16 ? 0xFFFFu : QN_EMU_ALL;
  if (lanes == QN_EMU_ALL)
    for (int i = 0; i < QN_EMU_LANES; i++) column[i] = values[i] & keep;
  else
    for (int i = 0; i < QN_EMU_LANES; i++)
      if (lanes >> i & 1) column[i] = values[i] & keep;
  warp->defined[operand->reg] |= lanes;
}
static inline void qn_emu_write64(qn_emu_warp *warp, const qn_ptx_operand *operand, uint32_t lanes,
                                  const uint64_t values[QN_EMU_LANES]) {
  if (operand->kind == QN_PTX_SINK) return;
  uint64_t *column = (uint64_t *)(warp->columns + operand->column);
  for (int i = 0; i < QN_EMU_LANES; i++)
    if (lanes >> i & 1) column[i] = values[i];
  warp->defined[operand->reg] |= lanes;
}
static inline void qn_emu_write_pred(qn_emu_warp *warp, const qn_ptx_operand *operand, uint32_t lanes,
                                     uint32_t bits) {
  if (operand->kind == QN_PTX_SINK) return;
  uint32_t *column = warp->columns + operand->column;
  *column = (*column & ~lanes) | (bits & lanes);
  warp->defined[operand->reg] |= lanes;
}

// --- memory ---------------------------------------------------------------------------------------------

typedef enum qn_emu_access { QN_EMU_READ, QN_EMU_WRITE, QN_EMU_ATOMIC } qn_emu_access;

// The addresses of an ADDRESS operand, one a lane.
void qn_emu_addresses(qn_emu_warp *warp, const qn_ptx_instr *instr, const qn_ptx_operand *operand,
                      uint32_t lanes, uint64_t out[QN_EMU_LANES]);
// The host's memory for `bytes` (1 to 16, a power of two) at an address of a space (QN_PTX_NO_TOKEN: generic),
// after every check: bounds, alignment, poison, races, copies under way. NULL after a fault. A write or an
// atomic marks the bytes as written. The pointer is good for this one access. Atomics on memory that other
// blocks reach are made between qn_emu_lock and qn_emu_unlock.
void *qn_emu_touch(qn_emu_warp *warp, const qn_ptx_instr *instr, int lane, qn_ptx_token space, uint64_t address,
                   uint32_t bytes, qn_emu_access access);
void qn_emu_lock(qn_emu_warp *warp);
void qn_emu_unlock(qn_emu_warp *warp);
// Counts one access of a warp: bytes, sectors or bank conflicts, by space.
void qn_emu_count_access(qn_emu_warp *warp, qn_ptx_token space, const uint64_t addresses[QN_EMU_LANES],
                         uint32_t lanes, uint32_t bytes, bool write);

// --- the device -----------------------------------------------------------------------------------------

// `index` of QN_COUNTER_MAP by name, for bind functions: instr->counter = QN_COUNTER_integer.
enum {
#define X(name, doc) QN_COUNTER_##name,
  QN_COUNTER_MAP(X)
#undef X
};

#endif
