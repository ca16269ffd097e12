// The parsed form of a rule: what rule_parse.c and build_parse.c make of its text, and what the matcher, the
// rewriter, the miss printer and rule_graphs.c read. Flat arrays and indices; immutable once made.
#ifndef QUENCH_PATTERNS_PROGRAM_PRIV_H
#define QUENCH_PATTERNS_PROGRAM_PRIV_H

#include "ir/lex_priv.h"
#include "patterns/rule_priv.h"

// Bounds of one rule. They are generous (the longest rule stays under a third) and make a hostile text
// harmless.
enum {
  QN_TERMS_MAX = 256,
  QN_KIDS_MAX = 512,
  QN_SLOTS_MAX = 96,
  QN_STMTS_MAX = 64,
  QN_TESTS_MAX = 128,
  QN_RULE_OUTPUTS_MAX = 8,
  QN_BUILD_NODES_MAX = 48,
  QN_NEST_MAX = 32 // parentheses inside one another
};
enum { QN_NO_INDEX = 0xffff };

// --- match side ------------------------------------------------------------------------------------------

typedef enum qn_term_kind {
  QN_TERM_OP,     // an operation with operands and attribute tests
  QN_TERM_SLOT,   // a name: a hole, or the value of a statement
  QN_TERM_NUMBER, // a constant with one element of this value
  QN_TERM_ANY,    // `_`
  QN_TERM_ALT     // arms, tried in order
} qn_term_kind;

typedef struct qn_term {
  uint8_t kind;          // qn_term_kind
  bool optional;         // SLOT, ANY: the operand may be absent
  bool rest;             // OP: `...`, more operands may follow
  bool any_attrs;        // OP: `[..]`, attributes that are not mentioned may have any value
  bool many;             // OP: the right side of a statement with several names, so any result may lead to it
  uint16_t slot;         // SLOT
  uint16_t stmt;         // OP, ALT: the statement whose right side this is, or QN_NO_INDEX
  uint16_t first, count; // OP: operands, ALT: arms; in `kids`
  uint16_t op_first, op_count;     // OP: the operations of the class; in `ops`
  uint16_t test_first, test_count; // OP: in `tests`
  uint32_t place;                  // byte of the match text where the term begins
  double number;                   // NUMBER
} qn_term;

// A literal of an attribute's kind.
typedef struct qn_literal {
  int64_t i;
  double f;
  const int64_t *ints;     // INTS
  const char *text;        // STRING
  const qn_tensor *tensor; // TENSOR, of a node
  size_t length;           // of ints or text
  qn_scheme scheme;
  bool exact_scheme; // written with braces: every field counts, not the family alone
} qn_literal;

// `[key=literal]`, `[key=name]`, `[key=name:literal]`, `[key=_]`.
typedef struct qn_attr_test {
  const qn_attr_info *attr; // of the first operation of the class; the others have it under the same name
  bool has_literal;
  uint16_t attr_slot; // bound to this variable, or QN_NO_INDEX
  uint32_t place;
  qn_literal literal;
} qn_attr_test;

typedef enum qn_hole_kind { QN_HOLE_ANY, QN_HOLE_CONST, QN_HOLE_SCALAR, QN_HOLE_PREDICATE } qn_hole_kind;

// A name of the match side that stands for a value.
typedef struct qn_slot {
  const char *name;
  uint16_t stmt;   // that defines it, or QN_NO_INDEX: a hole
  uint16_t result; // which name of the statement it is
  uint8_t kind;    // qn_hole_kind
  bool output;     // listed after =>
  bool built_from; // the build side reads it
  qn_predicate_fn predicate;
  const char *predicate_name;
} qn_slot;

// A name that stands for an attribute.
typedef struct qn_attr_slot {
  const char *name;
  const qn_attr_info *attr; // where it is bound first
} qn_attr_slot;

typedef struct qn_stmt {
  uint16_t term;
  uint16_t first_slot, slot_count; // its names, in order
  uint32_t begin, end;             // bytes of the match text, without surrounding space
} qn_stmt;

// A statement that the anchor does not lead to: looked up among the users of a value that is bound before.
typedef struct qn_find {
  uint16_t stmt;
  uint16_t operand; // position in the statement's operation
  uint16_t slot;    // the bound value there
} qn_find;

// An argument, resolved: exactly one of slot, attr_slot is an index, or it is the number.
typedef struct qn_arg_ref {
  const char *name;
  uint16_t slot, attr_slot;
  int64_t number;
} qn_arg_ref;

typedef struct qn_call {
  const char *name;
  qn_predicate_fn predicate; // of a guard
  qn_attr_fn function;       // of `@name`
  qn_arg_ref args[QN_GUARD_ARGS_MAX];
  uint8_t arg_count;
} qn_call;

// --- build side ------------------------------------------------------------------------------------------

typedef enum qn_source { QN_SOURCE_ABSENT, QN_SOURCE_SLOT, QN_SOURCE_BUILT, QN_SOURCE_OPERAND } qn_source;

// Where an operand or an output of the build comes from.
typedef struct qn_build_ref {
  uint8_t source;  // qn_source
  uint16_t index;  // SLOT: of the match side; BUILT: build node; OPERAND: statement of the match side
  uint16_t result; // BUILT: which of its results; OPERAND: which operand of the statement's node
} qn_build_ref;

typedef struct qn_build_attr {
  const qn_attr_info *attr;
  uint16_t attr_slot; // the variable that it takes its value from, or QN_NO_INDEX
  uint16_t call;      // `@name`, or QN_NO_INDEX
  qn_literal literal; // else
} qn_build_attr;

typedef struct qn_build_node {
  qn_op op;
  uint16_t result_count;
  uint16_t copy;                   // statement whose node's attributes are copied (`x..`), or QN_NO_INDEX
  uint16_t first, count;           // operands, in build_args
  uint16_t attr_first, attr_count; // in build_attrs
  uint32_t place;                  // byte of the build text
} qn_build_node;

// --- the whole -------------------------------------------------------------------------------------------

typedef struct qn_program {
  const qn_rule *rule;
  const qn_family *family;
  uint32_t order;      // of registration
  uint16_t operations; // that a match binds at least; the weight of the rule after its gain
  uint16_t height;     // operations on the longest way from the anchor to a hole

  const qn_term *terms;
  const uint16_t *kids;
  const uint16_t *ops;
  const qn_attr_test *tests;
  const qn_slot *slots;
  const qn_attr_slot *attr_slots;
  const qn_stmt *stmts;
  const qn_find *finds;
  uint16_t term_count, kid_count, op_count, test_count, slot_count, attr_slot_count, stmt_count, find_count;

  uint16_t anchor;                       // a SLOT term of the first output
  uint16_t outputs[QN_RULE_OUTPUTS_MAX]; // slots
  uint16_t output_count;

  qn_call guards[QN_GUARDS_MAX];
  uint16_t guard_count;

  const qn_build_node *build_nodes;
  const qn_build_ref *build_args;
  const qn_build_attr *build_attrs;
  const qn_call *build_calls;
  uint16_t build_node_count, build_arg_count, build_attr_count, build_call_count;
  qn_build_ref build_outputs[QN_RULE_OUTPUTS_MAX]; // one for each output

  // The operand filter: a root matches only if, for each mask, one of the operations that define its operands
  // is in it (bit: operation modulo 64).
  uint64_t need[3];
} qn_program;

struct qn_rule_set {
  qn_context *context;
  qn_arena arena;
  qn_program *programs; // in the order in which they are tried
  uint32_t count;
  uint32_t *by_op[QN_OP_COUNT]; // programs whose root may be this operation, ended by UINT32_MAX; or NULL
  uint16_t terms_max, slots_max, attr_slots_max, stmts_max, build_nodes_max, height_max, operations_max;
};

static inline uint64_t qn_op_bit(qn_op op) {
  return UINT64_C(1) << (op & 63);
}

// --- reading text ----------------------------------------------------------------------------------------

// A rule being read. Arrays that the program takes a copy of when the rule is complete.
typedef struct qn_rule_reader {
  qn_context *context;
  qn_arena *arena; // of the set
  qn_lexer lexer;
  qn_program *program;
  char place[96];
  uint16_t nest;
  qn_term terms[QN_TERMS_MAX];
  uint16_t kids[QN_KIDS_MAX];
  uint16_t ops[QN_TERMS_MAX];
  qn_attr_test tests[QN_TESTS_MAX];
  qn_slot slots[QN_SLOTS_MAX];
  qn_attr_slot attr_slots[QN_SLOTS_MAX];
  qn_stmt stmts[QN_STMTS_MAX];
  qn_find finds[QN_STMTS_MAX];
  qn_build_node build_nodes[QN_BUILD_NODES_MAX];
  qn_build_ref build_args[QN_KIDS_MAX];
  qn_build_attr build_attrs[QN_TESTS_MAX];
  qn_call build_calls[QN_BUILD_NODES_MAX];
  // Names of the build side.
  struct {
    const char *name;
    qn_build_ref ref;
  } built[QN_SLOTS_MAX];
  uint16_t built_count;
} qn_rule_reader;

// Read one side into reader and program (rule_parse.c, build_parse.c). The match side comes first.
qn_status qn_read_match(qn_rule_reader *reader);
qn_status qn_read_guards(qn_rule_reader *reader);
qn_status qn_read_build(qn_rule_reader *reader);

// What both sides share (rule_words.c).
// Adds `count` elements to an array of the program, or fails with QN_LIMIT at the current token.
qn_status qn_reader_grow(qn_rule_reader *reader, uint16_t *count, uint32_t added, uint32_t limit,
                         const char *what);
// A NAME or STRING token, copied; steps over it.
qn_status qn_reader_name(qn_rule_reader *reader, const char *what, const char **out_name);
// Index of a name, or QN_NO_INDEX.
uint16_t qn_reader_find_slot(const qn_rule_reader *reader, const char *name);
uint16_t qn_reader_find_attr_slot(const qn_rule_reader *reader, const char *name);
// Whether the current token is, or begins, a literal of the attribute's kind rather than a variable.
bool qn_reader_at_literal(const qn_rule_reader *reader, const qn_attr_info *attr);
qn_status qn_reader_literal(qn_rule_reader *reader, const qn_attr_info *attr, qn_literal *out_literal);
// Resolves one word of a guard or an `@name(..)`; false if the match side has no such name and it is no
// integer.
bool qn_reader_arg(const qn_rule_reader *reader, const char *word, qn_arg_ref *out_arg);
qn_predicate_fn qn_family_get_predicate(const qn_family *family, const char *name);
qn_attr_fn qn_family_get_function(const qn_family *family, const char *name);

// Attributes, whatever their kind (rule_words.c).
// The node's value; pointers into the graph.
qn_literal qn_attr_get(const qn_graph *graph, qn_node node, const qn_attr_info *attr);
// Whether a value is the wanted one; `wanted->exact_scheme` says how schemes are compared.
bool qn_literal_equal(qn_attr_kind kind, const qn_literal *value, const qn_literal *wanted);
// As a parameter for a new node of the same graph; a scheme is copied to `arena`. False if memory ran out.
bool qn_literal_to_attr(const qn_attr_info *attr, const qn_literal *literal, qn_arena *arena,
                        qn_attr *out_attr);
void qn_literal_write(const qn_attr_info *attr, const qn_literal *literal, char *out_text, size_t size);
// The number in a tensor of one element; false if there are more, or if no double names it exactly.
bool qn_number_read(const qn_tensor *tensor, double *out_number);
// The bits of a number in an element type; false if it has none.
bool qn_number_encode(qn_dtype dtype, double number, uint64_t *out_bits);
// Element type, shape and bytes.
bool qn_tensor_same(const qn_tensor *a, const qn_tensor *b);

#endif
