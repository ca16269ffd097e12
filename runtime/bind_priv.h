// From an attention's tensors in host memory to the arguments of a launch.
#ifndef QUENCH_RUNTIME_BIND_PRIV_H
#define QUENCH_RUNTIME_BIND_PRIV_H

#include "ir/base_priv.h"
#include <quench/runtime.h>

// An operand that a kernel reads: where it stands in the node, and its address among the arguments.
typedef struct qn_bound_operand {
  uint32_t index;
  size_t address; // offset in qn_attention_args
} qn_bound_operand;

enum { QN_BOUND_OPERANDS_MAX = 10 };

typedef struct qn_binding {
  qn_attention_args args; // sizes and strides; the addresses are 0
  qn_bound_operand operands[QN_BOUND_OPERANDS_MAX];
  uint32_t operand_count;
  qn_tensor out; // dtype, rank, dims; no bytes
} qn_binding;

// False with the reason for tensors that a kernel of this spec cannot take. The layouts are the node's.
bool qn_bind_attention(const qn_kernel_spec *spec, const qn_graph *graph, qn_node attention,
                       const qn_tensor *const *operands, uint32_t operand_count, qn_binding *out_binding,
                       qn_reason *out_reason);

// Uploads, launches, waits, downloads. `out_data` takes the result's bytes.
qn_status qn_run_binding(const qn_loaded_kernel *loaded, const qn_binding *binding,
                         const qn_tensor *const *operands, void *out_data);

#endif
