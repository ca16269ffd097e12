// Graphs of the tests of whole graphs, and tensors for their inputs.
#ifndef TESTS_RUNTIME_GRAPH_INPUTS_H
#define TESTS_RUNTIME_GRAPH_INPUTS_H

#include <quench/quench.h>

enum { GRAPH_INPUTS_MAX = 8 };

typedef struct graph_inputs {
  qn_tensor tensors[GRAPH_INPUTS_MAX];
  uint32_t count;
} graph_inputs;

// Fails the test for a text that is none.
qn_graph *graph_of_text(qn_context *context, const char *text);
// Dims are B 2, T 5, N 7, M 3. Inputs `n`, `cq`, `ck` are lengths, vectors `s` and `p` factors; a number is
// 0.01 (`g` 300, `u` 1.5), an integer 3; all else lies between -2 and 2.
graph_inputs graph_inputs_make(const qn_graph *graph);
void graph_inputs_free(graph_inputs *inputs);

#endif
