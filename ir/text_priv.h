// What the files of the text reader and the writer share.
#ifndef QUENCH_IR_TEXT_PRIV_H
#define QUENCH_IR_TEXT_PRIV_H

#include "ir/graph_priv.h"
#include "ir/lex_priv.h"

// --- reading ---------------------------------------------------------------------------------------------

typedef struct text_result {
  qn_token token; // of its name
  bool typed;
} text_result;

typedef struct text_reader {
  qn_context *context;
  qn_graph *graph;
  qn_lexer lex;
  qn_arena scratch; // of the node that is being read
  qn_op op;
  text_result *results; // result_count of these, of the names, the types and, once added, the values
  const char **names;
  qn_type *types;
  qn_value *values;
  qn_value *operands;
  qn_attr attrs[QN_OP_ATTRS_MAX];
  uint32_t result_count, operand_count, attr_count;
  uint32_t result_capacity, name_capacity, type_capacity, value_capacity, operand_capacity;
} text_reader;

// The text of a NAME or STRING token, in the scratch arena; refuses zero bytes, and _name empty text too.
// `what` names it in the message.
qn_status qn_text_read_string(text_reader *reader, const char *what, const char **out_text);
qn_status qn_text_read_name(text_reader *reader, const char *what, const char **out_text);
// `[-] int`, at most INT64_MAX above and INT64_MIN below.
qn_status qn_text_read_int(text_reader *reader, int64_t *out_value);
qn_status qn_text_read_type(text_reader *reader, qn_type *out_type);
// `[key=value, ...]` of the node reader->op, or nothing.
qn_status qn_text_read_attrs(text_reader *reader);

// --- writing ---------------------------------------------------------------------------------------------

// `key=value, ...` without the brackets: the attributes of a node that are not their default.
void qn_text_append_attrs(qn_buf *buf, const qn_graph *graph, qn_node node);

// --- tensors ---------------------------------------------------------------------------------------------

// Elements of a tensor; saturates at UINT64_MAX.
uint64_t qn_tensor_count(const qn_tensor *tensor);
// Whether the tensor stands for bytes that it does not have.
bool qn_tensor_is_elided(const qn_tensor *tensor);

#endif
