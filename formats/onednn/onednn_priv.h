// Inside of the reader of oneDNN's dumps: one operation at a time, and the table of operations.
#ifndef QUENCH_FORMATS_ONEDNN_PRIV_H
#define QUENCH_FORMATS_ONEDNN_PRIV_H

#include "ir/base_priv.h"

#include <jansson.h>
#include <quench/graph.h>

enum { QN_ONEDNN_OPERANDS_MAX = 8 };

// The operation that is being read. A special changes what the table's row says of it.
typedef struct qn_onednn_op {
  qn_context *context;
  qn_graph *graph;
  json_t *json;
  const char *kind, *name, *place; // "file: operation 'name' (kind)"
  uint64_t id;
  qn_op op;
  qn_value operands[QN_ONEDNN_OPERANDS_MAX];
  uint32_t operand_count;
  qn_attr attrs[4];
  uint32_t attr_count;
  qn_scheme scheme;          // storage of an attribute
  int64_t ints[QN_RANK_MAX]; // the same
  qn_type type;              // of the result, as declared
  const char *result;        // its name
} qn_onednn_op;

// `*out_read` false: the operation stays extern.
typedef qn_status (*qn_onednn_special)(qn_onednn_op *op, bool *out_read);

// `attrs` lists the attributes that are understood; one that it does not name leaves the operation extern.
typedef struct qn_onednn_row {
  const char *kind;
  qn_op op;
  uint32_t operands_min, operands_max;
  const char *attrs;
  qn_onednn_special special; // or NULL
} qn_onednn_row;

const qn_onednn_row *qn_onednn_find(const char *kind);

// Attributes of the operation, or what is given where it has none of that name and kind.
int64_t qn_onednn_get_int(const qn_onednn_op *op, const char *name, int64_t otherwise);
double qn_onednn_get_float(const qn_onednn_op *op, const char *name, double otherwise);
bool qn_onednn_get_bool(const qn_onednn_op *op, const char *name, bool otherwise);
const char *qn_onednn_get_text(const qn_onednn_op *op, const char *name, const char *otherwise);
// A list of numbers; NULL if there is none.
const json_t *qn_onednn_get_list(const qn_onednn_op *op, const char *name);
// At most QN_RANK_MAX integers. False if it is no such list.
bool qn_onednn_get_ints(const qn_onednn_op *op, const char *name, int64_t *out_ints, size_t *out_count);

// Nodes beside the operation's own, named after its result.
qn_status qn_onednn_add_const(qn_onednn_op *op, const char *suffix, qn_dtype dtype, int32_t rank,
                              int64_t length, const void *data, uint64_t bytes, qn_value *out_value);
qn_status qn_onednn_add_node(qn_onednn_op *op, const char *suffix, qn_op kind, const qn_value *operands,
                             uint32_t operand_count, const qn_attr *attr, qn_value *out_value);
qn_type_info qn_onednn_operand_type(const qn_onednn_op *op, uint32_t index);

// Specials of quantize.c.
qn_status qn_onednn_quantize(qn_onednn_op *op, bool *out_read);
qn_status qn_onednn_dequantize(qn_onednn_op *op, bool *out_read);

#endif
