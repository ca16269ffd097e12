// Device memory that a launch needs beside its operands and results.

#include "codegen/launch_priv.h"

// The schedule mma keeps all that it needs in shared memory.
uint64_t qn_kernel_get_workspace_bytes(const qn_kernel_spec *spec, const qn_attention_args *args) {
  return spec->schedule == QN_SCHEDULE_split ? qn_split_get_workspace_bytes(spec, args) : 0;
}
