// A compiled kernel and the bytes that the cache keeps of it.
#ifndef QUENCH_RUNTIME_KERNEL_PRIV_H
#define QUENCH_RUNTIME_KERNEL_PRIV_H

#include "codegen/launch_priv.h"
#include "ir/base_priv.h"
#include <quench/runtime.h>

struct qn_kernel {
  qn_context *context;
  qn_kernel_spec spec; // resolved
  qn_kernel_info info; // points into the rest
  char name[128], merge_name[QN_ENTRY_NAME];
  qn_buf binary;
  qn_buf log;
};

qn_status qn_kernel_create(qn_context *context, const qn_kernel_spec *spec, qn_binary binary,
                           qn_kernel **out_kernel);
// Fills the info from `binary` and `log`. False if the binary does not hold the kernel.
bool qn_kernel_read_info(qn_kernel *kernel);

// The kernel as bytes: the length of the log, the log, the binary. What the info says is read from these again.
void qn_kernel_pack(const qn_kernel *kernel, qn_buf *out);
bool qn_kernel_unpack(qn_kernel *kernel, const char *bytes, size_t length);

#endif
