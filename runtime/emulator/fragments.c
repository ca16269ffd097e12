// Between the registers of a warp and matrices.
#include "runtime/emulator/fragments_priv.h"

void qn_fragment_read(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t slot, qn_fragment *out_fragment) {
  for (uint32_t r = 0; r < instr->slots[slot].count; r++)
    out_fragment->registers[r] =
        qn_emu_read32(warp, instr, qn_ptx_at(instr, slot, r), QN_EMU_ALL, out_fragment->scratch[r]);
}

static inline uint32_t element(uint32_t word, uint32_t bits, uint32_t index) {
  return bits == 32 ? word : word >> bits * index & ((1u << bits) - 1);
}

// `bits` is a constant wherever these are called: mma is what attention spends its time in.
static inline void unpack_a(const qn_fragment *fragment, uint32_t bits, uint32_t k, uint32_t *out_codes) {
  const uint32_t pack = 32 / bits;
  for (uint32_t r = 0; r < k / (2 * pack); r++)
    for (uint32_t lane = 0; lane < QN_EMU_LANES; lane++) {
      uint32_t word = fragment->registers[r][lane];
      uint32_t *to = out_codes + (lane / 4 + 8 * (r % 2)) * k + pack * (4 * (r / 2) + lane % 4);
      for (uint32_t j = 0; j < pack; j++) to[j] = element(word, bits, j);
    }
}

static inline void unpack_b(const qn_fragment *fragment, uint32_t bits, uint32_t k, uint32_t *out_codes) {
  const uint32_t pack = 32 / bits;
  for (uint32_t r = 0; r < k / (4 * pack); r++)
    for (uint32_t lane = 0; lane < QN_EMU_LANES; lane++) {
      uint32_t word = fragment->registers[r][lane];
      uint32_t *to = out_codes + pack * (4 * r + lane % 4) * QN_FRAGMENT_N + lane / 4;
      for (uint32_t j = 0; j < pack; j++) to[j * QN_FRAGMENT_N] = element(word, bits, j);
    }
}

void qn_fragment_unpack_a(const qn_fragment *fragment, uint32_t bits, uint32_t k, uint32_t *out_codes) {
  switch (bits) {
  case 4: unpack_a(fragment, 4, k, out_codes); return;
  case 8: unpack_a(fragment, 8, k, out_codes); return;
  case 16: unpack_a(fragment, 16, k, out_codes); return;
  default: unpack_a(fragment, 32, k, out_codes); return;
  }
}

void qn_fragment_unpack_b(const qn_fragment *fragment, uint32_t bits, uint32_t k, uint32_t *out_codes) {
  switch (bits) {
  case 4: unpack_b(fragment, 4, k, out_codes); return;
  case 8: unpack_b(fragment, 8, k, out_codes); return;
  case 16: unpack_b(fragment, 16, k, out_codes); return;
  default: unpack_b(fragment, 32, k, out_codes); return;
  }
}

// Where register `r` of `lane` begins in C; the elements of a register stand side by side.
static uint32_t place_in_c(uint32_t bits, uint32_t r, uint32_t lane) {
  uint32_t row = lane / 4 + 8 * (bits == 32 ? r / 2 : r), column = 2 * (lane % 4) + (bits == 32 ? r % 2 : 0);
  return row * QN_FRAGMENT_N + column;
}

void qn_fragment_unpack_c(const qn_fragment *fragment, uint32_t bits, uint32_t *out_codes) {
  for (uint32_t r = 0; r < bits / 8; r++)
    for (uint32_t lane = 0; lane < QN_EMU_LANES; lane++)
      for (uint32_t j = 0; j < 32 / bits; j++)
        out_codes[place_in_c(bits, r, lane) + j] = element(fragment->registers[r][lane], bits, j);
}

void qn_fragment_write(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t slot, uint32_t bits,
                       const uint32_t *codes) {
  for (uint32_t r = 0; r < bits / 8; r++) {
    uint32_t words[QN_EMU_LANES];
    for (uint32_t lane = 0; lane < QN_EMU_LANES; lane++) {
      const uint32_t *from = codes + place_in_c(bits, r, lane);
      words[lane] = bits == 32 ? from[0] : from[0] | from[1] << 16;
    }
    qn_emu_write32(warp, qn_ptx_at(instr, slot, r), QN_EMU_ALL, words);
  }
}
