// Graphs that oneDNN Graph dumps as JSON (ONEDNN_GRAPH_DUMP=graph). Reading only.
#ifndef QUENCH_ONEDNN_H
#define QUENCH_ONEDNN_H

#include <quench/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

// Makes a graph of a dump; docs/onednn.md says what is read. Values are named t<id> after their logical
// tensors, node ids are 1 + the id of the operation. The caller owns the graph. Errors: QN_INVALID with the
// operation or the line at fault, QN_LIMIT for more than a million operations.
QN_API qn_status qn_onednn_read(qn_context *context, const char *place, const void *data, size_t length,
                                qn_graph **out_graph);

#ifdef __cplusplus
}
#endif
#endif
