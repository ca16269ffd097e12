// Printing a graph as a textual LLVM IR module. A library of its own, libquench-llvm, since it links libLLVM.
#ifndef QUENCH_LLVM_H
#define QUENCH_LLVM_H

#include <quench/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

// Writes one module with one function for each graph: values as named one-field structs, operations as calls of
// `@quench.<op>`, attributes as operand bundles (docs/llvm.md). The module is verified, and read back and
// compared, before anything is written. All graphs are of one context, to which errors go. Errors: QN_BUG with
// LLVM's own words if the module is not valid.
QN_API qn_status qn_graphs_write_llvm(const qn_graph *const *graphs, uint32_t count, const qn_writer *writer);
QN_API qn_status qn_graph_write_llvm(const qn_graph *graph, const qn_writer *writer);
// Reads a module that qn_graph_write_llvm wrote, verifies it and prints it again: the same bytes.
// Errors: QN_INVALID with LLVM's own words.
QN_API qn_status qn_llvm_normalize(qn_context *context, const char *place, const char *text, size_t length,
                                   const qn_writer *writer);

#ifdef __cplusplus
}
#endif
#endif
