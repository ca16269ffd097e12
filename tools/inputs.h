// Tensors for a model's inputs: read from .npy files, or generated from a seed.
#ifndef QUENCH_TOOLS_INPUTS_H
#define QUENCH_TOOLS_INPUTS_H

#include "tool.h"

// One tensor for each `input` node, in graph order.
typedef struct tool_inputs {
  qn_tensor *tensors;
  qn_npy **files; // NULL where the tensor was generated
  uint32_t count;
} tool_inputs;

// As --input, --dim and --seed say. False after a message.
bool tool_inputs_make(tool *t, const qn_graph *graph, tool_inputs *out_inputs);
void tool_inputs_destroy(tool_inputs *inputs);
// The file that --input or --expect (`prefix` "input" or "expected") gives for a name. False if none does.
bool tool_find_npy(const tool_list *list, const char *prefix, qn_str name, char *out_path, size_t size);
// Reads it, as elements of `dtype` where .npy has no such type. NULL after a message.
qn_npy *tool_read_npy(tool *t, const char *path, qn_dtype dtype);

#endif
