// Inside of a graph. Other files of ir/ may look; the rooms above use the public functions and the few
// internal ones at the end.
#ifndef QUENCH_IR_GRAPH_PRIV_H
#define QUENCH_IR_GRAPH_PRIV_H

#include "ir/base_priv.h"

#include <quench/graph.h>

// Open addressing from a hash to an index; 0 is an empty slot. Only ever probed, never iterated.
typedef struct qn_index {
  uint32_t *slots;
  uint32_t capacity, count;
} qn_index;

typedef struct qn_string {
  const char *text;
  uint32_t length;
  uint32_t hash;
  qn_value value; // the value of that name, or QN_NONE
} qn_string;

typedef enum qn_dim_kind { QN_DIM_SYMBOL, QN_DIM_BIG, QN_DIM_CEIL_DIV, QN_DIM_SUM } qn_dim_kind;

// SYMBOL: { string }. BIG: { value }. CEIL_DIV: { a, b }. SUM: { terms, { coefficient, atoms, atom... }... },
// terms and atoms in the canonical order of dim.c.
typedef struct qn_dim_entry {
  const int64_t *words;
  uint32_t count, hash;
  qn_dim_kind kind;
  uint32_t depth; // of nested ceil_div
} qn_dim_entry;

typedef struct qn_type_entry {
  const qn_dim *dims;
  uint32_t hash;
  uint8_t dtype;
  int8_t rank;
} qn_type_entry;

// The tensor of an attribute. An elided one has data NULL and keeps the hash of the bytes it stands for.
typedef struct qn_attr_tensor {
  qn_tensor tensor;
  uint64_t elided_hash;
  bool borrowed; // the bytes are the embedder's
} qn_attr_tensor;

typedef struct qn_node_attr {
  uint16_t index;  // in the op's row
  uint16_t kind;   // qn_attr_kind
  uint32_t length; // of ints or string
  union {
    int64_t i;
    double f;
    const int64_t *ints;
    const char *string;
    const qn_attr_tensor *tensor;
    const qn_scheme *scheme;
  };
} qn_node_attr;

typedef struct qn_node_entry {
  uint64_t id;
  uint32_t uses;   // first operand slot, in graph->uses
  uint32_t values; // first result, in graph->values
  uint32_t attrs;  // first, in graph->attrs
  uint32_t previous, next;
  uint32_t name, layer, location; // strings
  uint32_t origin;                // rewrite of the pipeline that made the node, plus 1; 0: the embedder
  uint16_t op;
  uint16_t operand_count, result_count;
  uint8_t attr_count;
} qn_node_entry;

typedef struct qn_value_entry {
  qn_type type;
  qn_node node;
  qn_use first_use;
  uint32_t name;
  uint32_t output_count;
} qn_value_entry;

typedef struct qn_use_entry {
  qn_value value;
  qn_node user;
  qn_use next, previous;
} qn_use_entry;

typedef struct qn_output_entry {
  qn_value value;
  uint32_t name; // string
} qn_output_entry;

// A growing array with entry 0 standing for "none".
#define QN_ARRAY(type)                                                                                         \
  struct {                                                                                                     \
    type *at;                                                                                                  \
    uint32_t count, capacity;                                                                                  \
  }

struct qn_graph {
  qn_context *context;
  qn_arena arena; // text, dims, attribute payloads
  uint32_t name;
  QN_ARRAY(qn_node_entry) nodes;
  QN_ARRAY(qn_value_entry) values;
  QN_ARRAY(qn_use_entry) uses;
  QN_ARRAY(qn_node_attr) attrs;
  QN_ARRAY(qn_output_entry) outputs; // the one array without an entry 0
  QN_ARRAY(qn_string) strings;
  QN_ARRAY(qn_dim_entry) dims;
  QN_ARRAY(qn_type_entry) types;
  qn_index string_index, dim_index, type_index;
  qn_node first, last;
  uint32_t live;
  uint32_t fresh_dims; // how many `?n` were given out
  bool starved;        // memory ended while something was interned
  uint64_t version;
};

// Finds the entry whose hash is `hash` and for which `same` holds, or returns 0. `hash_at` gives an entry's
// hash.
uint32_t qn_index_find(const qn_index *index, uint32_t hash,
                       bool (*same)(const qn_graph *, uint32_t, const void *), const qn_graph *graph,
                       const void *key);
qn_status qn_index_add(qn_graph *graph, qn_index *index, uint32_t hash, uint32_t entry,
                       uint32_t (*hash_at)(const qn_graph *, uint32_t));

// Interned text; 0 for the empty string or without memory (then the context's error is QN_MEMORY).
uint32_t qn_string_intern(qn_graph *graph, const char *text, size_t length);
qn_str qn_string_get(const qn_graph *graph, uint32_t string);
uint32_t qn_string_hash(const char *text, size_t length);

// The name of a value for messages: its own, or `_<index>`, which is also how the text form writes it.
const char *qn_value_label(const qn_graph *graph, qn_value value, char buffer[16]);
// The name of a node for messages: its own, or that of its first result.
const char *qn_node_label(const qn_graph *graph, qn_node node, char buffer[16]);

// Copies into the graph's arena; NULL without memory. A borrowed tensor keeps pointing at the embedder's bytes.
void *qn_graph_copy_bytes(qn_graph *graph, const void *from, size_t size);
const qn_attr_tensor *qn_graph_copy_tensor(qn_graph *graph, const qn_tensor *tensor, uint64_t elided_hash,
                                           bool borrow);

// Who made the node: see qn_node_entry.
uint32_t qn_node_get_origin(const qn_graph *graph, qn_node node);
void qn_node_set_origin(qn_graph *graph, qn_node node, uint32_t origin);
// Names that a rewrite hands on to the node it makes.
void qn_node_set_name(qn_graph *graph, qn_node node, qn_str name);
void qn_node_set_layer(qn_graph *graph, qn_node node, qn_str layer);
void qn_node_set_location(qn_graph *graph, qn_node node, qn_str location);
// The stored attribute at `index` of the op's row, or NULL where the node has the default.
const qn_node_attr *qn_node_find_attr(const qn_graph *graph, qn_node node, int index);
// Whether two nodes have the same op and the same attributes (operands are not compared).
bool qn_node_same_attrs(const qn_graph *graph, qn_node a, qn_node b);

// Whether a dim is at least 0 whatever its symbols, which stand for sizes: no term has a negative coefficient.
bool qn_dim_never_negative(const qn_graph *graph, qn_dim dim);

// Interning returns a plain index, so want of memory is noted here (the result is 0) and said by the next
// qn_graph_check_memory, which every qn_graph_add ends with.
uint32_t qn_graph_starve(qn_graph *graph);
qn_status qn_graph_check_memory(qn_graph *graph);

// ir/shape.c: sets the result types of a node from its operands and attributes; a declared type is refined.
qn_status qn_shape_infer(qn_graph *graph, qn_node node);
// Compares the result types of a node with its shape rule: QN_BUG if they disagree. Interns types, changes no
// node.
qn_status qn_shape_check(qn_graph *graph, qn_node node);

#endif
