// What bind functions of opcodes with vectors and addresses ask of their operands. Execute functions trust the
// answers.
#ifndef QUENCH_RUNTIME_EMULATOR_FORMS_PRIV_H
#define QUENCH_RUNTIME_EMULATOR_FORMS_PRIV_H

#include "runtime/emulator/machine_priv.h"

// Whether a slot has `count` operands that values of `bits` bits can be read from.
bool qn_emu_has_sources(const qn_ptx_instr *instr, uint32_t slot, uint32_t count, uint32_t bits);
// The same for results. The reader has seen that they are registers or "_".
bool qn_emu_has_results(const qn_ptx_instr *instr, uint32_t slot, uint32_t count, uint32_t bits);
// Whether a slot is one address.
bool qn_emu_has_address(const qn_ptx_instr *instr, uint32_t slot);

#endif
