// A kernel spec from the words of `quench compile --spec`.
#ifndef QUENCH_TOOLS_SPEC_H
#define QUENCH_TOOLS_SPEC_H

#include <quench/kernel.h>

// Reads `dtype=bf16,head_dim=128,output=fp8_static`. What is not given: dtype bf16, head_dim 64, one head, no
// mask, unfused; out_dtype, v_head_dim and kv_heads follow dtype, head_dim and heads. False after a message.
bool tool_spec_parse(const char *text, qn_kernel_spec *out_spec);

#endif
