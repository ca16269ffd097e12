// What a compiled kernel costs, read from the machine code file itself and from the assembler's words.
#ifndef QUENCH_RUNTIME_CUBIN_PRIV_H
#define QUENCH_RUNTIME_CUBIN_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct qn_cubin_info {
  uint32_t registers;
  uint32_t frame_bytes; // stack frame, which is local memory: arrays, and spilled registers
  uint32_t code_bytes;
} qn_cubin_info;

// Reads the ELF file for one entry. False if the bytes are no cubin that holds it; nothing in them is trusted.
bool qn_cubin_read(const void *bytes, size_t length, const char *entry, qn_cubin_info *out_info);

typedef struct qn_ptxas_info {
  uint32_t registers;
  uint32_t frame_bytes;
  uint32_t spill_bytes;  // stores + loads
  uint32_t shared_bytes; // static
} qn_ptxas_info;

// Reads the report of `--ptxas-options=-v` for one entry. False if the log has none.
bool qn_ptxas_read(const char *log, const char *entry, qn_ptxas_info *out_info);

#endif
