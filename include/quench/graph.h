// The dataflow graph: typed SSA values, nodes with named operands, results and attributes.
//
// Nodes and values are 32-bit indices into their graph, never pointers, so arrays may move and a handle stays
// valid until its node is removed; indices are never reused. Index 0 is "none": an absent optional operand.
#ifndef QUENCH_GRAPH_H
#define QUENCH_GRAPH_H

#include <quench/scheme.h>
#include <quench/type.h>

#ifdef __cplusplus
extern "C" {
#endif

// --- operations ------------------------------------------------------------------------------------------

// QN_OP_ADD is spelled QN_OP_add: the enumerator carries the name that every other form uses.
typedef enum qn_op {
  QN_OP_NONE,
#define OP(name, in, out, at, facts, doc) QN_OP_##name,
#include <quench/ops.def>
  QN_OP_COUNT
} qn_op;

typedef enum qn_attr_kind {
  QN_ATTR_INT,
  QN_ATTR_FLOAT,
  QN_ATTR_BOOL,
  QN_ATTR_ENUM, // an index into the choices
  QN_ATTR_DTYPE,
  QN_ATTR_INTS,
  QN_ATTR_TENSOR,
  QN_ATTR_STRING, // bytes with a length; may hold zeros
  QN_ATTR_SCHEME
} qn_attr_kind;

enum {
  QN_FACT_COMMUTATIVE = 1 << 0,
  QN_FACT_ELEMENTWISE = 1 << 1,
  QN_FACT_VIEW = 1 << 2,
  QN_FACT_LAYOUT = 1 << 3,
  QN_FACT_EFFECT = 1 << 4,
  QN_FACT_LEAF = 1 << 5
};

enum { QN_OP_OPERANDS_MAX = 20, QN_OP_RESULTS_MAX = 8, QN_OP_ATTRS_MAX = 20 };

typedef struct qn_attr_info {
  const char *name; // NULL ends the list
  qn_attr_kind kind;
  const char *choices; // "a|b|c" of an enum, else NULL
  int64_t i;           // default of INT, BOOL, ENUM, DTYPE
  double f;            // default of FLOAT; INTS, TENSOR, STRING default to empty, SCHEME to `none`
} qn_attr_info;

// One row of ops.def. Static, immutable.
typedef struct qn_op_info {
  const char *name;
  const char *operands[QN_OP_OPERANDS_MAX]; // NULL-terminated, with the marks ? and * of the table
  const char *results[QN_OP_RESULTS_MAX];
  qn_attr_info attrs[QN_OP_ATTRS_MAX];
  uint32_t facts; // QN_FACT_*
  const char *doc;
  uint8_t operand_count; // named operands; a repeated last one counts once
  uint8_t operand_min;   // those without a mark
  uint8_t result_count;
  uint8_t result_min;
  bool operands_repeat; // the last operand is `*`
  bool results_repeat;
} qn_op_info;

// Never NULL for op < QN_OP_COUNT.
QN_API const qn_op_info *qn_op_get_info(qn_op op);
// QN_OP_NONE if there is no such row.
QN_API qn_op qn_op_find(const char *name, size_t length);
// The index of an attribute in the row, or -1.
QN_API int qn_op_find_attr(qn_op op, const char *name, size_t length);
// The index of a choice of an enum attribute, or -1.
QN_API int qn_attr_find_choice(const qn_attr_info *attr, const char *name, size_t length);
// Copies choice `index` of an enum attribute as text; "" if out of range.
QN_API void qn_attr_format_choice(const qn_attr_info *attr, int64_t index, char out_text[32]);

// --- attention -------------------------------------------------------------------------------------------

// Operands of `quantize`, operands and results of `attention`: positions in their rows of ops.def.
// docs/schemes.md and docs/attention.md say what they mean.
typedef enum qn_quantize_operand {
  QN_QUANTIZE_X,
  QN_QUANTIZE_SCALE,
  QN_QUANTIZE_ZERO_POINT,
  QN_QUANTIZE_PRE_SCALE,
  QN_QUANTIZE_SCALE_BOUND
} qn_quantize_operand;

typedef enum qn_attention_operand {
  QN_ATTENTION_Q,
  QN_ATTENTION_K,
  QN_ATTENTION_V,
  QN_ATTENTION_MASK,
  QN_ATTENTION_PAST_KEY,
  QN_ATTENTION_PAST_VALUE,
  QN_ATTENTION_KV_LENGTHS,
  QN_ATTENTION_OUTPUT_SCALE,
  QN_ATTENTION_SINKS,
  QN_ATTENTION_ALIBI_SLOPES,
  QN_ATTENTION_CU_SEQLENS_Q,
  QN_ATTENTION_CU_SEQLENS_KV,
  QN_ATTENTION_OUTPUT_ZERO_POINT,
  QN_ATTENTION_PRE_SCALE,
  QN_ATTENTION_SCALE_BOUND,
  QN_ATTENTION_PAGE_TABLE,
  QN_ATTENTION_K_SCALE,
  QN_ATTENTION_V_SCALE,
  QN_ATTENTION_OPERAND_COUNT
} qn_attention_operand;
typedef enum qn_attention_result {
  QN_ATTENTION_OUT,
  QN_ATTENTION_BLOCK_SCALE,
  QN_ATTENTION_ZERO_POINT,
  QN_ATTENTION_UNQUANTIZED,
  QN_ATTENTION_PRESENT_KEY,
  QN_ATTENTION_PRESENT_VALUE,
  QN_ATTENTION_SCORES,
  QN_ATTENTION_RESULT_COUNT
} qn_attention_result;

// The choices of its enum attributes, in the same order.
typedef enum qn_causal { QN_CAUSAL_NONE, QN_CAUSAL_TOP_LEFT, QN_CAUSAL_BOTTOM_RIGHT } qn_causal;
// bhsd [B,H,S,D], bshd [B,S,H,D], bsm [B,S,H*D], tm [T,H*D], thd [T,H,D]. T is B*S, or the tokens of all
// sequences where cumulative lengths tell them apart. Of k and v also pages, which page_table names: pshd
// [P,S,H,D] and phsd [P,H,S,D] with S positions a page.
typedef enum qn_layout {
  QN_LAYOUT_BHSD,
  QN_LAYOUT_BSHD,
  QN_LAYOUT_BSM,
  QN_LAYOUT_TM,
  QN_LAYOUT_THD,
  QN_LAYOUT_PSHD,
  QN_LAYOUT_PHSD,
  QN_LAYOUT_COUNT
} qn_layout;
typedef enum qn_numerics { QN_EXACT, QN_DIRECT } qn_numerics;

// --- graphs ----------------------------------------------------------------------------------------------

typedef uint32_t qn_node;
typedef uint32_t qn_value;
enum { QN_NONE = 0 };

// A string with a length; `text` is zero-terminated too. Lives as long as its graph.
typedef struct qn_str {
  const char *text;
  size_t length;
} qn_str;

// Thread-safety: unsafe; any number of threads may read one graph while none changes it, except that
// functions which intern types or dims change it.
typedef struct qn_graph qn_graph;

QN_API qn_status qn_graph_create(qn_context *context, const char *name, qn_graph **out_graph);
// NULL is allowed.
QN_API void qn_graph_destroy(qn_graph *graph);
// A deep copy with the same node and value indices. Borrowed tensor data stays borrowed.
QN_API qn_status qn_graph_clone(const qn_graph *graph, qn_graph **out_graph);
QN_API qn_context *qn_graph_get_context(const qn_graph *graph);
QN_API qn_str qn_graph_get_name(const qn_graph *graph);

// Dims. A result with bit 31 set is an expression or a large constant of this graph.
// Overflow of int64 in a constant gives QN_LIMIT through out-of-range results being refused where they are
// used; here they saturate to a fresh unknown symbol.
QN_API qn_dim qn_dim_const(qn_graph *graph, int64_t value);
QN_API qn_dim qn_dim_symbol(qn_graph *graph, const char *name, size_t length);
// A symbol that occurs nowhere else, named `?1`, `?2`, ...
QN_API qn_dim qn_dim_fresh(qn_graph *graph);
QN_API qn_dim qn_dim_add(qn_graph *graph, qn_dim a, qn_dim b);
QN_API qn_dim qn_dim_mul(qn_graph *graph, qn_dim a, qn_dim b);
// The smallest integer not below a / b. b must not be the constant 0.
QN_API qn_dim qn_dim_ceil_div(qn_graph *graph, qn_dim a, qn_dim b);
// True and the value if the dim is a constant.
QN_API bool qn_dim_is_const(const qn_graph *graph, qn_dim dim, int64_t *out_value);
// Exact quotient a / b if b divides a as polynomials (b * result == a), else false.
QN_API bool qn_dim_divide(qn_graph *graph, qn_dim a, qn_dim b, qn_dim *out_quotient);
// The value of a dim under an assignment of its symbols. `lookup` returns false for a symbol without a value.
typedef bool (*qn_dim_lookup_fn)(void *user, const char *symbol, int64_t *out_value);
QN_API bool qn_dim_evaluate(const qn_graph *graph, qn_dim dim, qn_dim_lookup_fn lookup, void *user,
                            int64_t *out_value);
// The canonical text: `8`, `T`, `2*T + 1`, `128*ceil_div(T, 128)`.
QN_API qn_status qn_dim_write(const qn_graph *graph, qn_dim dim, const qn_writer *writer);

// Types. `rank` QN_RANK_UNKNOWN with dims NULL: only the element type is known. rank > 8 gives type 0.
QN_API qn_type qn_type_get(qn_graph *graph, qn_dtype dtype, int32_t rank, const qn_dim *dims);
QN_API qn_type_info qn_type_get_info(const qn_graph *graph, qn_type type);
// `f16[B,8,64]`, `f32[]`, `f32[...]` for an unknown rank, `?` for nothing known.
QN_API qn_status qn_type_write(const qn_graph *graph, qn_type type, const qn_writer *writer);

// --- building --------------------------------------------------------------------------------------------

// One attribute of a node to be made. The value follows the kind of the attribute in ops.def.
typedef struct qn_attr {
  const char *name;
  int64_t i;           // INT, BOOL, ENUM (the choice's index), DTYPE; TENSOR without data: XXH3-64 of its bytes
  double f;            // FLOAT
  const char *text;    // ENUM by name (wins over `i`), STRING
  const int64_t *ints; // INTS
  size_t length;       // of ints, or of text where it is no C string (0: strlen)
  const qn_tensor *tensor; // TENSOR
  const qn_scheme *scheme; // SCHEME
  bool borrow;             // TENSOR: keep the pointer (the caller's bytes outlive the graph) instead of a copy
} qn_attr;

// A node to be made. Everything is copied.
typedef struct qn_node_params {
  qn_op op;
  const qn_value *operands; // positions as in ops.def, QN_NONE for an absent optional one
  uint32_t operand_count;
  const qn_attr *attrs;
  uint32_t attr_count;
  uint32_t result_count;    // 0: as many as the row requires; for `x*` results the count
  const qn_type *types;     // result_count types, or NULL: inferred from operands and attributes
  const char *const *names; // result_count value names, or NULL; made unique by a suffix where taken
  qn_node before;           // insert in front of this node; QN_NONE: at the end
  const char *name;         // the node's own name, or NULL
  const char *layer;        // "model.layers.0.self_attn", or NULL
  const char *location;     // "model.onnx:12", or NULL
  uint64_t id;              // the embedder's own id; 0: none
} qn_node_params;
#define qn_node_params(...) (&(const qn_node_params){ __VA_ARGS__ })

// Adds a node and writes its results (result_count of them) to `out_results`, which may be NULL.
// Errors: QN_INVALID with the operand or attribute that breaks the row, or with the shapes that disagree.
QN_API qn_status qn_graph_add(qn_graph *graph, const qn_node_params *params, qn_value *out_results);

// Short forms of qn_graph_add.
QN_API qn_status qn_graph_add_input(qn_graph *graph, const char *name, qn_type type, qn_value *out_value);
QN_API qn_status qn_graph_add_const(qn_graph *graph, const char *name, const qn_tensor *tensor, bool borrow,
                                    qn_value *out_value);
// Appends a graph output; a value may be an output more than once. `name` may be NULL: the value's name.
QN_API qn_status qn_graph_add_output(qn_graph *graph, qn_value value, const char *name);

// --- reading ---------------------------------------------------------------------------------------------

// In execution order; QN_NONE ends.
QN_API qn_node qn_graph_get_first(const qn_graph *graph);
QN_API qn_node qn_graph_get_last(const qn_graph *graph);
QN_API qn_node qn_node_get_next(const qn_graph *graph, qn_node node);
QN_API qn_node qn_node_get_previous(const qn_graph *graph, qn_node node);
QN_API uint32_t qn_graph_count_nodes(const qn_graph *graph);
// One past the largest index ever given out: for arrays indexed by node or value.
QN_API uint32_t qn_graph_get_node_limit(const qn_graph *graph);
QN_API uint32_t qn_graph_get_value_limit(const qn_graph *graph);
QN_API uint32_t qn_graph_get_output_count(const qn_graph *graph);
QN_API qn_value qn_graph_get_output(const qn_graph *graph, uint32_t index);
QN_API qn_str qn_graph_get_output_name(const qn_graph *graph, uint32_t index);
// Changes whenever the graph does.
QN_API uint64_t qn_graph_get_version(const qn_graph *graph);

QN_API qn_op qn_node_get_op(const qn_graph *graph, qn_node node); // QN_OP_NONE if the node was removed
QN_API uint32_t qn_node_get_operand_count(const qn_graph *graph, qn_node node);
// QN_NONE for an absent operand and beyond the count.
QN_API qn_value qn_node_get_operand(const qn_graph *graph, qn_node node, uint32_t index);
QN_API uint32_t qn_node_get_result_count(const qn_graph *graph, qn_node node);
QN_API qn_value qn_node_get_result(const qn_graph *graph, qn_node node, uint32_t index);
QN_API qn_str qn_node_get_name(const qn_graph *graph, qn_node node);
QN_API qn_str qn_node_get_layer(const qn_graph *graph, qn_node node);
QN_API qn_str qn_node_get_location(const qn_graph *graph, qn_node node);
QN_API uint64_t qn_node_get_id(const qn_graph *graph, qn_node node);

// Attributes by name; the default where the node does not say. Asserts that the op has the attribute and that
// it is of that kind.
QN_API int64_t qn_node_get_int(const qn_graph *graph, qn_node node, const char *name); // INT, BOOL, ENUM, DTYPE
QN_API double qn_node_get_float(const qn_graph *graph, qn_node node, const char *name);
QN_API qn_str qn_node_get_string(const qn_graph *graph, qn_node node, const char *name);
// Returns the count; `out_ints` points into the graph.
QN_API uint32_t qn_node_get_ints(const qn_graph *graph, qn_node node, const char *name,
                                 const int64_t **out_ints);
QN_API const qn_tensor *qn_node_get_tensor(const qn_graph *graph, qn_node node, const char *name); // or NULL
QN_API qn_scheme qn_node_get_scheme(const qn_graph *graph, qn_node node, const char *name);
// Whether the node says it, with a value other than the default.
QN_API bool qn_node_has_attr(const qn_graph *graph, qn_node node, const char *name);
// Whether the node is ordered and must stay (the EFFECT fact, lifted by extern's `pure`).
QN_API bool qn_node_has_effect(const qn_graph *graph, qn_node node);

QN_API qn_node qn_value_get_node(const qn_graph *graph, qn_value value);
QN_API uint32_t qn_value_get_result_index(const qn_graph *graph, qn_value value);
QN_API qn_type qn_value_get_type(const qn_graph *graph, qn_value value);
QN_API qn_str qn_value_get_name(const qn_graph *graph, qn_value value);
// The value of that name, or QN_NONE.
QN_API qn_value qn_graph_find_value(const qn_graph *graph, const char *name, size_t length);
// The constant behind a value, or NULL if its node is not `const`.
QN_API const qn_tensor *qn_value_get_const(const qn_graph *graph, qn_value value);
// Whether the value is a graph output.
QN_API bool qn_value_is_output(const qn_graph *graph, qn_value value);
// Uses: one for each operand slot. An iterator: `for (qn_use u = first; u != QN_NONE; u = next)`.
typedef uint32_t qn_use;
QN_API qn_use qn_value_get_first_use(const qn_graph *graph, qn_value value);
QN_API qn_use qn_use_get_next(const qn_graph *graph, qn_use use);
QN_API qn_node qn_use_get_user(const qn_graph *graph, qn_use use);
QN_API uint32_t qn_use_get_operand_index(const qn_graph *graph, qn_use use);

// --- changing --------------------------------------------------------------------------------------------

QN_API qn_status qn_node_set_operand(qn_graph *graph, qn_node node, uint32_t index, qn_value value);
QN_API qn_status qn_node_set_attr(qn_graph *graph, qn_node node, const qn_attr *attr);
QN_API void qn_value_set_type(qn_graph *graph, qn_value value, qn_type type);
// Every use and every graph output of `from` becomes one of `to`. If `take_name`, `to` takes the name of
// `from` too, which is how a rewritten value stays known to the embedder under its old name.
QN_API qn_status qn_value_replace(qn_graph *graph, qn_value from, qn_value to, bool take_name);
// Removes a node whose results have no uses. Asserts that.
QN_API void qn_node_remove(qn_graph *graph, qn_node node);
// Moves a node in front of another; the caller keeps the order topological.
QN_API void qn_node_move_before(qn_graph *graph, qn_node node, qn_node before);

// --- checking, printing ----------------------------------------------------------------------------------

// Checks every rule of the graph: operands before uses, arity, attribute kinds, types against the shape rules,
// use lists. Errors: QN_BUG naming node, operand, expected and found.
QN_API qn_status qn_graph_verify(const qn_graph *graph);
// Recomputes the result types of all nodes from the inputs; a declared type that is less precise is refined.
// Errors: QN_INVALID where shapes disagree.
QN_API qn_status qn_graph_infer_types(qn_graph *graph);

typedef struct qn_text_params {
  uint32_t inline_limit; // elements of a constant that are printed; larger ones as a hash. 0: 64
  bool no_metadata;      // leave out ids, names, layers and locations of nodes
} qn_text_params;
// The text form (docs/text.md). `params` may be NULL.
QN_API qn_status qn_graph_write_text(const qn_graph *graph, const qn_text_params *params,
                                     const qn_writer *writer);
// One node in the text form, without a newline: `y: e4m3[B,T,512] = quantize(r, s)[scheme=fp8_static]`.
QN_API qn_status qn_node_write_text(const qn_graph *graph, qn_node node, const qn_text_params *params,
                                    const qn_writer *writer);
// One attribute as the text form spells it: `top_left`, `{0, 2, 1, 3}`, `0.125`; nothing where the node does
// not say it. Asserts that the op has the attribute.
QN_API qn_status qn_node_write_attr(const qn_graph *graph, qn_node node, const char *name,
                                    const qn_writer *writer);
// Reads the text form. `place` names the source in messages ("model.qn"). Errors: QN_INVALID with line:column.
QN_API qn_status qn_graph_read_text(qn_context *context, const char *place, const char *text, size_t length,
                                    qn_graph **out_graph);

typedef struct qn_dot_params {
  bool expand_repeats; // draw every repeated layer instead of one with its count
  uint32_t node_limit; // 0: 400; what is cut is said in the drawing
} qn_dot_params;
// Graphviz: layers as clusters, repeated layers collapsed. `params` may be NULL.
QN_API qn_status qn_graph_write_dot(const qn_graph *graph, const qn_dot_params *params,
                                    const qn_writer *writer);

#ifdef __cplusplus
}
#endif
#endif
