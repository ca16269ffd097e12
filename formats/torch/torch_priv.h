// Inside of formats/torch: what an operation of PyTorch means in Quench's own operations.
//
// A graph that was taken from PyTorch holds each of its operations as an `extern` (docs/torch.md says how). The
// table torch_ops.def has a row for each operation that is known: how its arguments are called and of what kind
// they are, and which reader turns it into own operations. A reader builds nodes in front of the extern and
// says which value stands for which result. What it cannot say exactly it refuses, in words, and everything
// stays as it was.
#ifndef QN_FORMATS_TORCH_PRIV_H
#define QN_FORMATS_TORCH_PRIV_H

#include "ir/base_priv.h"

#include <quench/graph.h>

enum { QN_TORCH_ARGS_MAX = 16, QN_TORCH_NODES_MAX = 64, QN_TORCH_RESULTS_MAX = 12 };

// An argument as its kind asks for it. `value` is QN_NONE for one that is not given.
typedef struct qn_torch_arg {
  const char *name; // in the row; not terminated
  uint32_t name_length;
  char kind; // see torch_ops.def
  qn_value value;
  int64_t i; // of I, B (0 or 1) and D (a qn_dtype)
  double f;  // of F
} qn_torch_arg;

// The reading of one extern.
typedef struct qn_torch_reader {
  qn_context *context;
  qn_graph *graph;
  qn_node node; // the extern
  const struct qn_torch_op *row;
  qn_torch_arg args[QN_TORCH_ARGS_MAX];
  uint32_t arg_count;
  qn_status status; // of the first step that failed; later ones do nothing
  qn_node before;   // new nodes go in front of this one
  qn_node partner;  // the extern that chose the scale, read together with this one, or QN_NONE
  qn_node created[QN_TORCH_NODES_MAX];
  uint32_t created_count;
  struct {
    qn_value from, to;
  } results[QN_TORCH_RESULTS_MAX];
  uint32_t result_count;
  char reason[256]; // of a refusal
} qn_torch_reader;

typedef void (*qn_torch_read_fn)(qn_torch_reader *r);

// One row of torch_ops.def.
typedef struct qn_torch_op {
  const char *name;
  const char *args;
  qn_torch_read_fn read;
  int64_t op;   // what the reader builds, if it serves several rows: a qn_op or a choice of its own
  bool chooses; // chooses a scale: read with the quantizer that takes it, or else by itself
  const char *doc;
} qn_torch_op;

// Rows in the order of the table, for tests and documentation; NULL at the end.
const qn_torch_op *qn_torch_op_get(uint32_t index);
// The row of an operation by name and the number of its operands; NULL if there is none. Where the name is
// known but no row takes that many, the first row of the name.
const qn_torch_op *qn_torch_op_find(qn_str name, uint32_t operand_count);

// What became of an extern. All memory is inline.
typedef struct qn_torch_reading {
  bool read;
  char reason[256];    // why not
  qn_node consumed[2]; // the extern, then its partner
  uint32_t consumed_count;
  qn_node created[QN_TORCH_NODES_MAX]; // in order
  uint32_t created_count;
  struct {
    qn_value from, to;
  } results[QN_TORCH_RESULTS_MAX]; // each used result of what is consumed, and what stands for it
  uint32_t result_count;
} qn_torch_reading;

// Builds what the extern means, by `row`, in front of it; the caller then replaces the results and removes what
// is consumed, in order. If it cannot be read the graph is as it was. Errors: QN_MEMORY, QN_LIMIT.
qn_status qn_torch_read(qn_graph *graph, qn_node node, const qn_torch_op *row, qn_torch_reading *out_reading);

// --- arguments (args.c) ------------------------------------------------------------------------------------

// Reads the operands of the extern as the row's arguments; refuses what is not of its kind.
void qn_torch_read_args(qn_torch_reader *r);
// The argument of that name, which the row has.
const qn_torch_arg *qn_torch_get(const qn_torch_reader *r, const char *name);
qn_value qn_torch_value(const qn_torch_reader *r, const char *name); // QN_NONE: not given
bool qn_torch_has(const qn_torch_reader *r, const char *name);       // false too where the row lacks it
int64_t qn_torch_int(const qn_torch_reader *r, const char *name, int64_t otherwise);
double qn_torch_float(const qn_torch_reader *r, const char *name, double otherwise);
qn_dtype qn_torch_dtype_arg(const qn_torch_reader *r, const char *name, qn_dtype otherwise);
// The text of a string argument: "NAME=TEXT" on a line of the node's `raw`; empty where there is none.
qn_str qn_torch_text(const qn_torch_reader *r, const char *name);
// A list of integers as dims (QN_DIM_NONE: not known) or as constants; false if that is not known.
enum { QN_TORCH_INTS_MAX = 32 };
bool qn_torch_dims(qn_torch_reader *r, const char *name, qn_dim out_dims[QN_TORCH_INTS_MAX],
                   uint32_t *out_count);
bool qn_torch_ints(qn_torch_reader *r, const char *name, int64_t out_ints[QN_TORCH_INTS_MAX],
                   uint32_t *out_count);
// The axis in 0..rank-1 that an I argument counts from either end; refuses others.
int32_t qn_torch_axis(qn_torch_reader *r, int64_t axis, int32_t rank);
// The ScalarType number of PyTorch; QN_ANY if Quench has no such type.
qn_dtype qn_torch_scalar_type(int64_t number);

qn_type_info qn_torch_type(const qn_torch_reader *r, qn_value value);
// A constant of one element as a number; false if it is none.
bool qn_torch_constant(const qn_graph *graph, qn_value value, double *out_number);
// Whether every element of a constant is 0.
bool qn_torch_is_zero(const qn_graph *graph, qn_value value);
// Whether the value has one element, as far as that is known.
bool qn_torch_is_single(const qn_torch_reader *r, qn_value value);

// --- building (build.c) ------------------------------------------------------------------------------------

// Refuses: the graph stays as it was, and the reason is told.
void qn_torch_refuse(qn_torch_reader *r, const char *format, ...) QN_PRINTF(2, 3);

// A node; its first result, or QN_NONE after a failure or refusal. `out_results` may be NULL.
qn_value qn_torch_add(qn_torch_reader *r, const qn_node_params *params, qn_value *out_results);
qn_value qn_torch_unary(qn_torch_reader *r, qn_op op, qn_value x);
qn_value qn_torch_binary(qn_torch_reader *r, qn_op op, qn_value a, qn_value b);
// x itself where it has that type.
qn_value qn_torch_cast(qn_torch_reader *r, qn_value x, qn_dtype to);
qn_value qn_torch_bitcast(qn_torch_reader *r, qn_value x, qn_dtype to);
qn_value qn_torch_transpose(qn_torch_reader *r, qn_value x, const int64_t *perm, uint32_t rank);
// To the shape of these dims; x itself where it has it. `dims` may hold one QN_DIM_NONE, which is inferred.
qn_value qn_torch_reshape(qn_torch_reader *r, qn_value x, const int64_t *shape, uint32_t rank);
qn_value qn_torch_int_list(qn_torch_reader *r, const int64_t *ints, uint32_t count);
// A scalar of a type, the value rounded to it.
qn_value qn_torch_scalar(qn_torch_reader *r, qn_dtype dtype, double value);
// Says what stands for result `index` of the extern, or of its partner.
void qn_torch_result(qn_torch_reader *r, uint32_t index, qn_value value);
void qn_torch_partner_result(qn_torch_reader *r, uint32_t index, qn_value value);

// --- arithmetic (arithmetic.c) -----------------------------------------------------------------------------

// The operands of an elementwise operation brought to the type in which PyTorch computes.
typedef struct qn_torch_promoted {
  qn_value at[2];
  qn_dtype result; // what the operation's result is rounded to
} qn_torch_promoted;
qn_torch_promoted qn_torch_promote(qn_torch_reader *r, qn_value a, qn_value b, bool divides);

// --- schemes (scheme.c) ------------------------------------------------------------------------------------

// What a quantizer is put together from. Values that are not given are QN_NONE.
typedef struct qn_torch_quantizer {
  qn_scheme scheme;
  qn_value x, scale, zero_point, pre_scale, bound;
  qn_value codes, scale_out, zero_point_out; // filled by qn_torch_quantize
} qn_torch_quantizer;

// The quantize node with as many results as the scheme has.
void qn_torch_quantize(qn_torch_reader *r, qn_torch_quantizer *q);
// The scheme's `narrow` from the bounds of the codes. Returns whether the codes must be clipped to them
// afterwards; refuses bounds outside of the type.
bool qn_torch_bounds(qn_torch_reader *r, qn_scheme *scheme, double least, double greatest);
qn_value qn_torch_clip_codes(qn_torch_reader *r, qn_value codes, double least, double greatest);
// The scheme's zero point from an operand: none where it is constant 0.
void qn_torch_set_zero_point(qn_torch_reader *r, qn_torch_quantizer *q, qn_value zero_point,
                             qn_zero_point when);
// Granularity, axis and group from torchao's block_size.
void qn_torch_block(qn_torch_reader *r, const char *name, qn_value x, qn_scheme *scheme);
// How many elements of a row share a scale, from a scale in the shape of x but for its last dim; refuses others.
uint16_t qn_torch_group(qn_torch_reader *r, qn_value x, qn_value scale);
// The scale's floor from PyTorch's eps, of the scale or of amax; refuses one that no scheme has.
void qn_torch_floor(qn_torch_reader *r, qn_scheme *scheme, double eps, bool of_amax);

// --- choosers (choose.c) -----------------------------------------------------------------------------------

// Whether an extern chooses the scale (and the zero point, if that is given) from x. Its arguments are then
// read into `out_chooser`, it becomes the partner of `r`, and new nodes go in front of it.
bool qn_torch_take_chooser(qn_torch_reader *r, qn_value x, qn_value scale, qn_value zero_point,
                           qn_torch_reader *out_chooser);
// A value for result `index` of the partner, in the type and, where its shape is constant, the shape it
// declares.
void qn_torch_partner_like(qn_torch_reader *r, uint32_t index, qn_value value);

#define TORCH(name, args, reader, op, doc)        void qn_torch_read_##reader(qn_torch_reader *r);
#define TORCH_CHOOSE(name, args, reader, op, doc) void qn_torch_read_##reader(qn_torch_reader *r);
#include "formats/torch/torch_ops.def"

#endif
