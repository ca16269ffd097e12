// What the files of the PTX reader share: tokens of the text, words, names in scopes, and the reader itself.
//
// The reader goes over the text once. Instructions are collected with their operands resolved; what can only be
// known later (labels, functions that are defined below a call of theirs) is kept in lists and settled when a
// scope or the text ends. The bind functions run last, over a program that is complete.
#ifndef QUENCH_RUNTIME_EMULATOR_PTX_READ_PRIV_H
#define QUENCH_RUNTIME_EMULATOR_PTX_READ_PRIV_H

#include "runtime/emulator/program_priv.h"

static inline uint32_t qn_ptx_hash(const char *text, size_t length) {
  uint32_t h = 2166136261u;
  for (size_t i = 0; i < length; i++) h = (h ^ (uint8_t)text[i]) * 16777619u;
  return h ^ h >> 15;
}

// Words of the column of a register (machine_priv.h).
static inline uint32_t qn_ptx_column_words(uint32_t bits) {
  return bits == 1 ? 1 : bits <= 32 ? 32 : 64;
}

// --- words: ptx_table.c ------------------------------------------------------------------------------------

enum { QN_PTX_WORD_SLOTS = 1024, QN_PTX_ROWS_MAX = 400 };

typedef struct qn_ptx_words {
  qn_ptx_row_set rows;
  // Hash tables of numbers in the tables, plus 1.
  uint16_t token_slots[QN_PTX_WORD_SLOTS], special_slots[QN_PTX_WORD_SLOTS], row_slots[QN_PTX_WORD_SLOTS];
  uint64_t accepted[QN_PTX_ROWS_MAX][4]; // by row: the set of its tokens, once it was met
} qn_ptx_words;

void qn_ptx_words_init(qn_ptx_words *words, const qn_ptx_row_set *set);
qn_ptx_token qn_ptx_words_find_token(const qn_ptx_words *words, const char *text, size_t length);
// QN_PTX_SPECIAL_COUNT if there is none.
qn_ptx_special qn_ptx_words_find_special(const qn_ptx_words *words, const char *text, size_t length);
const qn_ptx_row *qn_ptx_words_find_row(const qn_ptx_words *words, const char *text, size_t length);
bool qn_ptx_words_accept(qn_ptx_words *words, const qn_ptx_row *row, qn_ptx_token token);

// --- tokens of the text: ptx_lex.c -------------------------------------------------------------------------

// Punctuation is its own kind.
enum {
  QN_LEX_END = 0,
  QN_LEX_NAME = 256, // a letter, _, $ or %, then letters, digits, _ and $
  QN_LEX_DOT,        // ".reg", ".shared::cta"; `text` begins behind the point
  QN_LEX_INT,        // `bits` is its value
  QN_LEX_F32,        // 0f3F800000: `bits`
  QN_LEX_F64,        // 0d3FF0000000000000, 1.5: `bits` of the double
  QN_LEX_STRING,     // without its quotes
  QN_LEX_ERROR       // `problem` says what is wrong with it
};

typedef struct qn_ptx_lexeme {
  int kind;
  uint32_t line;    // from 1
  const char *text; // in the source, not terminated
  size_t length;
  uint64_t bits;
  const char *problem; // a static text
} qn_ptx_lexeme;

typedef struct qn_ptx_lexer {
  const char *at, *end; // a zero byte stands at the end
  uint32_t line;
} qn_ptx_lexer;

qn_ptx_lexeme qn_ptx_lex(qn_ptx_lexer *lexer);
bool qn_ptx_is(const qn_ptx_lexeme *token, const char *word);

// --- the reader --------------------------------------------------------------------------------------------

typedef enum qn_ptx_name_kind {
  QN_PTX_NAME_REGISTER, // index: of the group
  QN_PTX_NAME_RANGE,    // "%r" of "%r<12>"; index: of the group
  QN_PTX_NAME_SYMBOL,
  QN_PTX_NAME_FUNCTION,
  QN_PTX_NAME_LABEL,  // index: of the instruction behind it
  QN_PTX_NAME_TARGETS // index: of the target list
} qn_ptx_name_kind;

typedef struct qn_ptx_name {
  const char *text;
  uint32_t length, hash;
  qn_ptx_name_kind kind;
  uint32_t depth; // of its scope: 0 is the module
  uint32_t index;
  uint32_t next; // older names in the same bucket; QN_PTX_NONE
} qn_ptx_name;

// Names in the order of their declaration: leaving a scope drops the newest ones. A name that is found first in
// its bucket is the innermost.
typedef struct qn_ptx_names {
  qn_ptx_name *names;
  uint32_t count, capacity;
  uint32_t *buckets; // the newest name; QN_PTX_NONE
  uint32_t bucket_count;
  bool digits_before_range; // there is a range such as "%r1<10>", whose prefix ends in a digit
} qn_ptx_names;

// A use of a label that is not settled yet.
typedef struct qn_ptx_pending {
  qn_ptx_operand *operand;
  qn_ptx_lexeme label;
} qn_ptx_pending;

// A variable that is declared `.extern` and may be defined later.
typedef struct qn_ptx_extern {
  uint32_t symbol;
  qn_ptx_lexeme name;
} qn_ptx_extern;

enum { QN_PTX_DEPTH_MAX = 64, QN_PTX_OPERANDS_MAX = 1024 };

typedef struct qn_ptx_scope {
  uint32_t first_name, first_pending;
  uint32_t frame_bytes; // in use when the scope began
} qn_ptx_scope;

typedef struct qn_ptx_reader {
  qn_context *context;
  const char *place;
  qn_ptx_program *program; // its arrays are set at the end
  qn_ptx_lexer lexer;
  qn_ptx_lexeme token; // the current one
  qn_ptx_words words;
  qn_ptx_names names;
  uint32_t depth;
  qn_ptx_scope scopes[QN_PTX_DEPTH_MAX + 1]; // by depth
  uint32_t function;                         // whose body is read
  uint32_t frame_bytes;                      // of its param space that is in use
  uint32_t file, source_line;                // of the last .loc

  qn_ptx_instr *instrs;
  uint32_t instr_count, instr_capacity;
  const char **starts; // by instruction: its opcode in the text
  uint32_t start_capacity;
  qn_ptx_function *functions;
  uint32_t function_count, function_capacity;
  qn_ptx_symbol *symbols;
  uint32_t symbol_count, symbol_capacity;
  qn_ptx_register_group *groups;
  uint32_t group_count, group_capacity;
  qn_ptx_target_list *lists;
  uint32_t list_count, list_capacity;
  qn_ptx_pending *pendings;
  uint32_t pending_count, pending_capacity;
  qn_ptx_extern *externs;
  uint32_t extern_count, extern_capacity;
  const char **files;
  uint32_t file_count, file_capacity;
  qn_ptx_operand *operands; // of the instruction that is being read
  uint32_t operand_count, operand_capacity;
} qn_ptx_reader;

// A failure at a token: its place, and the text of its line behind the message.
qn_status qn_ptx_fail(const qn_ptx_reader *reader, const qn_ptx_lexeme *token, qn_status status,
                      const char *format, ...) QN_PRINTF(4, 5);
// "expected <what>, found <current token>"
qn_status qn_ptx_fail_expected(const qn_ptx_reader *reader, const char *what);

void qn_ptx_next(qn_ptx_reader *reader);
// Steps over the current token if it is of the kind; if it is this ".word".
bool qn_ptx_accept(qn_ptx_reader *reader, int kind);
bool qn_ptx_accept_dot(qn_ptx_reader *reader, const char *word);
// Steps over a token of the kind or fails. `out_token` may be NULL.
qn_status qn_ptx_expect(qn_ptx_reader *reader, int kind, qn_ptx_lexeme *out_token);
// Steps over an integer of at most `max`.
qn_status qn_ptx_expect_number(qn_ptx_reader *reader, uint64_t max, uint64_t *out_value);
// Steps over ".word", which must be a token of the kind; `what` names it.
qn_status qn_ptx_expect_word(qn_ptx_reader *reader, qn_ptx_token_kind kind, const char *what,
                             qn_ptx_token *out_token);

// Names: ptx_names.c. Adding fails if the scope has the name already.
qn_status qn_ptx_name_add(qn_ptx_reader *reader, const qn_ptx_lexeme *name, qn_ptx_name_kind kind,
                          uint32_t index);
// The innermost name that is no range; NULL.
const qn_ptx_name *qn_ptx_name_find(const qn_ptx_reader *reader, const qn_ptx_lexeme *name);
// The innermost register of that name, single or of a range, as an operand. False: there is none.
bool qn_ptx_name_find_register(const qn_ptx_reader *reader, const qn_ptx_lexeme *name,
                               qn_ptx_operand *out_operand);
qn_status qn_ptx_scope_open(qn_ptx_reader *reader, const qn_ptx_lexeme *token);
// Settles the labels of the scope.
qn_status qn_ptx_scope_close(qn_ptx_reader *reader);
// Makes the operand the label's, when the scope that has it ends.
qn_status qn_ptx_label_use(qn_ptx_reader *reader, const qn_ptx_lexeme *label, qn_ptx_operand *operand);

// Variables: ptx_read_variable.c.
typedef struct qn_ptx_layout {
  qn_ptx_token space, type;
  uint32_t elements; // of a vector type; 1
  uint32_t align;
  bool is_extern;
} qn_ptx_layout;
// [.align n] [.v2] .type [.ptr [.space] [.align n]], the layout's space being read already.
qn_status qn_ptx_read_layout(qn_ptx_reader *reader, qn_ptx_layout *layout);
// name[dimensions], without an initialiser. A parameter may be called "_".
qn_status qn_ptx_read_variable(qn_ptx_reader *reader, const qn_ptx_layout *layout, uint32_t *out_symbol);
// A declaration from behind its state space to its ";".
qn_status qn_ptx_read_variables(qn_ptx_reader *reader, qn_ptx_token space, bool is_extern);
qn_status qn_ptx_read_registers(qn_ptx_reader *reader);

// Functions: ptx_read_function.c. From behind .entry or .func to the end of the body, or to ";".
qn_status qn_ptx_read_function(qn_ptx_reader *reader, bool is_entry);
// Statements: ptx_read_body.c. From behind "{" to behind the matching "}".
qn_status qn_ptx_read_body(qn_ptx_reader *reader);
qn_status qn_ptx_read_loc(qn_ptx_reader *reader);
qn_status qn_ptx_read_pragma(qn_ptx_reader *reader);

// Instructions: ptx_read_instr.c. Guard and opcode are read; up to behind ";".
typedef struct qn_ptx_guard {
  bool negated;
  qn_ptx_operand operand; // kind SINK: there is no guard
} qn_ptx_guard;
qn_status qn_ptx_read_guard(qn_ptx_reader *reader, qn_ptx_guard *out_guard);
qn_status qn_ptx_read_instr(qn_ptx_reader *reader, const qn_ptx_guard *guard, const qn_ptx_lexeme *opcode);

// Operands: ptx_read_operand.c. What stands between two commas, appended to `operands`.
qn_status qn_ptx_read_slot(qn_ptx_reader *reader, qn_ptx_slot *out_slot);
qn_status qn_ptx_push_operand(qn_ptx_reader *reader, const qn_ptx_operand *operand);
// An integer expression or a floating literal.
qn_status qn_ptx_read_constant(qn_ptx_reader *reader, qn_ptx_operand *out_operand);

#endif
