// PTX as the emulator holds it: what the reader (ptx_*.c) makes of a text and the machine (machine_priv.h)
// executes.
//
// A program is flat: the instructions of all functions stand in one array, registers of all functions and
// scopes have numbers of their own, and names are resolved. An instruction keeps its modifiers as a list of
// tokens in the order in which they were written; its row of opcodes.def says which tokens it takes, and the
// row's bind function turns tokens and operands into the function that executes it.
#ifndef QUENCH_RUNTIME_EMULATOR_PROGRAM_PRIV_H
#define QUENCH_RUNTIME_EMULATOR_PROGRAM_PRIV_H

#include "ir/base_priv.h"

// Every word that may follow a "." in an opcode, and the types: tokens.def.
typedef enum qn_ptx_token {
  QN_PTX_NO_TOKEN,
#define TOKEN(name, text, kind, bits) QN_PTX_##name,
#include "runtime/emulator/tokens.def"
  QN_PTX_TOKEN_COUNT
} qn_ptx_token;

typedef enum qn_ptx_token_kind {
  QN_PTX_TYPE,  // bits: of one value
  QN_PTX_SPACE, // state spaces
  QN_PTX_ROUND, // roundings
  QN_PTX_COMPARE,
  QN_PTX_VECTOR, // bits: elements
  QN_PTX_ORDER,  // memory orders, scopes and cache hints, which change nothing that an emulator can show
  QN_PTX_OTHER
} qn_ptx_token_kind;

typedef struct qn_ptx_token_info {
  const char *text; // "shared::cta"
  qn_ptx_token_kind kind;
  uint32_t bits;
} qn_ptx_token_info;
const qn_ptx_token_info *qn_ptx_token_get_info(qn_ptx_token token);

// Special registers: %tid.x is QN_PTX_tid_x. specials.def.
typedef enum qn_ptx_special {
#define SPECIAL(name, text, bits) QN_PTX_##name,
#include "runtime/emulator/specials.def"
  QN_PTX_SPECIAL_COUNT
} qn_ptx_special;

#define QN_PTX_NONE UINT32_MAX

typedef enum qn_ptx_operand_kind {
  QN_PTX_REGISTER,
  QN_PTX_IMMEDIATE_INT, // value: sign-extended or as written, 64 bits
  QN_PTX_IMMEDIATE_F32, // value: the bits of 0f...
  QN_PTX_IMMEDIATE_F64, // value: the bits of 0d... or of a decimal literal
  QN_PTX_SPECIAL_REGISTER,
  QN_PTX_ADDRESS,  // [register + value], [symbol + value] or [value]
  QN_PTX_SYMBOL,   // a variable or a parameter by its name, plus value
  QN_PTX_FUNCTION, // value: index into functions
  QN_PTX_LABEL,    // value: index into instrs; may be one past the function's last instruction
  QN_PTX_TARGETS,  // value: index into target_lists
  QN_PTX_SINK      // "_"
} qn_ptx_operand_kind;

typedef struct qn_ptx_operand {
  qn_ptx_operand_kind kind;
  bool negated;      // "!%p1"
  qn_ptx_token type; // of a register: as declared
  qn_ptx_special special;
  uint32_t reg;    // number of the register, also the base of an ADDRESS; QN_PTX_NONE
  uint32_t column; // where the register's lanes begin, in words (machine_priv.h)
  uint32_t symbol; // index of the symbol, also the base of an ADDRESS; QN_PTX_NONE
  int64_t value;
} qn_ptx_operand;

// One place between the commas: a single operand, a vector {a, b} or a pair a|b. Three opcodes differ:
//   bra   slot 0: the LABEL, which is also `target`
//   brx   slot 0: the index; slot 1: the TARGETS
//   call  always three slots: the `.param` SYMBOLs that take the results (none: count 0), the FUNCTION, which
//   is
//         also `target`, and the `.param` SYMBOLs that hold the arguments. They agree with the function's
//         symbols in number and size.
typedef struct qn_ptx_slot {
  uint16_t first, count; // of the instruction's operands
} qn_ptx_slot;

enum { QN_PTX_TOKENS_MAX = 16, QN_PTX_SLOTS_MAX = 8 };

// Who must execute an instruction together (machine_priv.h).
typedef enum qn_ptx_sync {
  QN_PTX_SYNC_NONE,
  QN_PTX_SYNC_WARP,   // all 32 lanes: `.sync.aligned`
  QN_PTX_SYNC_ALIVE,  // all that have not exited: aligned barriers of the block and the cluster
  QN_PTX_SYNC_MEMBERS // the lanes of the mask in slot `members`
} qn_ptx_sync;

struct qn_emu_warp;
struct qn_ptx_program;
struct qn_ptx_row;
struct qn_emu_operation;

typedef struct qn_ptx_instr {
  // Executes for the lanes that are set; all of them are at this instruction and pass its guard.
  void (*execute)(struct qn_emu_warp *warp, const struct qn_ptx_instr *instr, uint32_t lanes);
  const struct qn_ptx_row *row;
  const qn_ptx_operand *operands;
  qn_ptx_slot slots[QN_PTX_SLOTS_MAX]; // results first, as written
  uint8_t slot_count, token_count;
  uint8_t tokens[QN_PTX_TOKENS_MAX]; // qn_ptx_token
  uint32_t guard, guard_column;      // predicate register; QN_PTX_NONE: always
  bool guard_negated;
  uint32_t target;            // of a branch: an index into instrs; of a call: of functions. QN_PTX_NONE
  uint32_t line;              // in the PTX text, from 1
  uint32_t file, source_line; // of the last .loc; source_line 0: there was none
  // Filled by the row's bind function:
  uint8_t counter; // index of the counter in QN_COUNTER_MAP that it adds to, beside the totals
  uint8_t sync;    // qn_ptx_sync
  uint8_t members; // slot of the mask
  const struct qn_emu_operation *operation; // of arithmetic: operation_priv.h
  uint64_t immediate; // whatever the execute function wants to know early: widths, shapes, tables
} qn_ptx_instr;

// The row of one opcode family: opcodes.def.
typedef struct qn_ptx_row {
  const char *name; // "add"
  uint8_t results;  // slots that are written
  uint8_t sources_min, sources_max;
  // Chooses `execute`, `counter`, `sync`. Called when all of the text is read; `program` is complete but for
  // `instrs`. False: the form is none that this family has; out_words then says what is wrong with it in a few
  // words, a static text.
  bool (*bind)(const struct qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words);
  const char *accepts; // the tokens it takes, with spaces between
} qn_ptx_row;

typedef struct qn_ptx_symbol {
  const char *name;
  qn_ptx_token space; // global, shared, local, const, param
  uint32_t align;
  uint64_t bytes; // 0: `.extern .shared x[]`, dynamic shared memory
  // Where it stands: for shared, local and param an offset that the reader lays out, per function for local and
  // param; dynamic shared memory begins where static shared memory ends, aligned. For global and const an
  // offset into one block of each space that the machine allocates.
  uint64_t offset;
  const uint8_t *init; // `bytes` long; NULL: zeros (global, const), poison (shared, local)
} qn_ptx_symbol;

typedef struct qn_ptx_function {
  const char *name;
  bool is_entry, is_defined; // a function that is only declared has no instructions
  uint32_t first, count;     // instructions
  // The function's results, then its parameters, as symbols that follow each other.
  uint32_t first_symbol, result_count, param_count;
  uint32_t param_bytes;    // of an entry: its parameters. Of a device function: its results and parameters
  uint32_t frame_bytes;    // its whole param space: after these the `.param` variables that its scopes declare
  uint32_t local_bytes;    // a lane, `.local` variables
  uint32_t threads_max[3]; // .maxntid or .reqntid; 0: not said
  bool threads_required;   // .reqntid
  uint32_t cluster[3];     // .reqnctapercluster; 0: none
} qn_ptx_function;

// Registers of one declaration: their numbers and columns follow each other.
typedef struct qn_ptx_register_group {
  const char *name; // "%r" of "%r<12>", or a single register's own name
  bool is_range;
  qn_ptx_token type;
  uint32_t first, count;
  uint32_t column; // of the first one
} qn_ptx_register_group;

// The labels of a .branchtargets.
typedef struct qn_ptx_target_list {
  const qn_ptx_operand *labels;
  uint32_t count;
} qn_ptx_target_list;

// The param space of a function is a frame of its own: results and parameters first (frame_bytes). `.param`
// variables that a caller declares in a scope are symbols in the caller's frame; a call copies its arguments
// from there to the callee's frame, and its results back.
typedef struct qn_ptx_program {
  qn_context *context;
  qn_arena arena;       // holds all of it
  uint32_t version, sm; // 10 * major + minor of .version; the number of .target
  char sm_suffix; // 'a': for that chip alone; 'f': for it and later ones of its major number; 0: for all later
                  // ones
  qn_ptx_instr *instrs;
  uint32_t instr_count;
  qn_ptx_function *functions;
  uint32_t function_count;
  qn_ptx_symbol *symbols;
  uint32_t symbol_count;
  uint32_t register_count;
  qn_ptx_register_group *groups; // in order of `first`
  uint32_t group_count;
  qn_ptx_target_list *target_lists;
  uint32_t target_list_count;
  uint32_t columns;      // words of all register columns of a warp, with room to read the last as the widest
  uint64_t shared_bytes; // static shared memory of a block, of all functions
  uint64_t global_bytes, const_bytes;
  const char *const *files; // of .file, by its number; NULL where there is none
  uint32_t file_count;
  const char *text; // a copy of the PTX, zero-terminated, for messages
} qn_ptx_program;

// What the reader takes: everything that NVRTC and nvcc write for a module that is complete, debug sections
// (skipped) and the scopes of inline assembly included; sums and products in constant expressions. Well formed
// but refused (QN_UNSUPPORTED): addresses of functions, calls through registers (.callprototype, .calltargets),
// addresses as initial values, variables and functions' parameters in vector or 128-bit registers, variables
// that another module defines, .alias, textures. A function that is declared and has no body may be called; the
// call faults when it is executed.
//
// Reads PTX 6.0 and later for sm_75 and later. `place` names it in messages: "kernel.ptx" gives
// "kernel.ptx:12:7". Errors: QN_INVALID for what is no PTX, QN_UNSUPPORTED for an opcode, a modifier or a
// directive that the emulator does not know; both name line and column and hold the line's text. QN_LIMIT,
// QN_MEMORY.
qn_status qn_ptx_read(qn_context *context, const char *text, size_t length, const char *place,
                      qn_ptx_program **out_program);
void qn_ptx_program_destroy(qn_ptx_program *program);
// The same with other opcodes than those of opcodes.def: for tests of the reader itself.
typedef struct qn_ptx_row_set {
  const qn_ptx_row *rows;
  uint32_t count;
} qn_ptx_row_set;
qn_ptx_row_set qn_ptx_get_rows(void);
qn_status qn_ptx_read_with(qn_context *context, const qn_ptx_row_set *rows, const char *text, size_t length,
                           const char *place, qn_ptx_program **out_program);
// NULL if there is none.
const qn_ptx_function *qn_ptx_find_entry(const qn_ptx_program *program, const char *name);

// For messages: the name of a register, "%r12", in `out`; a line of the text without the space around it.
void qn_ptx_write_register(const qn_ptx_program *program, uint32_t reg, char *out, size_t size);
const char *qn_ptx_get_line(const qn_ptx_program *program, uint32_t line, size_t *out_length);

// --- for bind functions ---------------------------------------------------------------------------------

#define OP(name, results, sources_min, sources_max, bind, accepts)                                             \
  bool qn_emu_bind_##bind(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words);
#include "runtime/emulator/opcodes.def"

static inline bool qn_ptx_has(const qn_ptx_instr *instr, qn_ptx_token token) {
  for (uint32_t i = 0; i < instr->token_count; i++)
    if (instr->tokens[i] == token) return true;
  return false;
}
// The n-th token of a kind, from 0; QN_PTX_NO_TOKEN.
qn_ptx_token qn_ptx_find_token(const qn_ptx_instr *instr, qn_ptx_token_kind kind, uint32_t n);
static inline qn_ptx_token qn_ptx_type(const qn_ptx_instr *instr, uint32_t n) {
  return qn_ptx_find_token(instr, QN_PTX_TYPE, n);
}
static inline uint32_t qn_ptx_bits(qn_ptx_token type) {
  return qn_ptx_token_get_info(type)->bits;
}
// Whether every register of a slot has exactly `bits` bits (1: predicates); other operands always do. What a
// bind function promises to the code that reads and writes columns.
bool qn_ptx_fits(const qn_ptx_instr *instr, uint32_t slot, uint32_t bits);
static inline const qn_ptx_operand *qn_ptx_at(const qn_ptx_instr *instr, uint32_t slot, uint32_t element) {
  return &instr->operands[instr->slots[slot].first + element];
}

#endif
