// Where the elements of a matrix stand in the registers of a warp, for mma: the PTX ISA's "matrix fragments".
//
// One rule gives all of its tables. Let a register hold `pack` elements (32 bits of them), g = lane / 4 and
// t = lane % 4; element j of register r of a lane is
//
//   of A (16 rows):   row g + 8 * (r % 2), column k = 4 * pack * (r / 2) + pack * t + j
//   of B (8 columns): row k = 4 * pack * r + pack * t + j, column g
//   of C and D, 32 bits an element: row g + 8 * (r / 2), column 2 * t + r % 2
//   of C and D, 16 bits an element: row g + 8 * r, column 2 * t + j
#ifndef QUENCH_RUNTIME_EMULATOR_FRAGMENTS_PRIV_H
#define QUENCH_RUNTIME_EMULATOR_FRAGMENTS_PRIV_H

#include "runtime/emulator/machine_priv.h"

enum { QN_FRAGMENT_M = 16, QN_FRAGMENT_N = 8, QN_FRAGMENT_K_MAX = 64 };

// The registers of one operand of a warp.
typedef struct qn_fragment {
  const uint32_t *registers[4]; // 32 lanes each
  uint32_t scratch[4][QN_EMU_LANES];
} qn_fragment;

// Reads the registers of a slot.
void qn_fragment_read(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t slot, qn_fragment *out_fragment);

// The elements' codes, `bits` (4, 8, 16, 32) each: A as 16 rows of k, B as k rows of 8, C as 16 rows of 8.
void qn_fragment_unpack_a(const qn_fragment *fragment, uint32_t bits, uint32_t k, uint32_t *out_codes);
void qn_fragment_unpack_b(const qn_fragment *fragment, uint32_t bits, uint32_t k, uint32_t *out_codes);
void qn_fragment_unpack_c(const qn_fragment *fragment, uint32_t bits, uint32_t *out_codes);
// Writes 16 rows of 8 codes of 16 or 32 bits to the registers of a slot.
void qn_fragment_write(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t slot, uint32_t bits,
                       const uint32_t *codes);

#endif
