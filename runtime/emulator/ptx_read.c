// Reading PTX: the module's directives, and what is settled when the text has ended.
#include "runtime/emulator/ptx_read_priv.h"

#include <stdio.h>

enum { TEXT_MAX = 64 << 20, SHOWN_MAX = 100, FILES_MAX = 65535 };

// --- failing --------------------------------------------------------------------------------------------

static const char *trim(const char *start, const char *end, size_t *out_length) {
  while (start < end && (*start == ' ' || *start == '\t')) start++;
  while (end > start && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r')) end--;
  *out_length = (size_t)(end - start);
  return start;
}

qn_status qn_ptx_fail(const qn_ptx_reader *reader, const qn_ptx_lexeme *token, qn_status status,
                      const char *format, ...) {
  const char *text = reader->program->text, *start = token->text, *end = token->text;
  bool behind_mark = token->kind == QN_LEX_DOT || token->kind == QN_LEX_STRING;
  while (start > text && start[-1] != '\n') start--;
  while (end < reader->lexer.end && *end != '\n') end++;
  char place[256], words[400];
  snprintf(place, sizeof place, "%s:%u:%zu", reader->place ? reader->place : "ptx", token->line,
           (size_t)(token->text - start) + !behind_mark);
  va_list args;
  va_start(args, format);
  vsnprintf(words, sizeof words, format, args);
  va_end(args);
  size_t length;
  const char *line = trim(start, end, &length);
  return qn_fail(reader->context, status, place, "%s in \"%.*s%s\"", words,
                 (int)QN_MIN(length, (size_t)SHOWN_MAX), line, length > SHOWN_MAX ? "..." : "");
}

qn_status qn_ptx_fail_expected(const qn_ptx_reader *reader, const char *what) {
  const qn_ptx_lexeme *token = &reader->token;
  if (token->kind == QN_LEX_ERROR)
    return qn_ptx_fail(reader, token, QN_INVALID, "expected %s, found %s", what, token->problem);
  if (token->kind == QN_LEX_END)
    return qn_ptx_fail(reader, token, QN_INVALID, "expected %s, found the end of the text", what);
  return qn_ptx_fail(reader, token, QN_INVALID, "expected %s, found '%s%.*s'", what,
                     token->kind == QN_LEX_DOT ? "." : "", (int)token->length, token->text);
}

// --- tokens ---------------------------------------------------------------------------------------------

void qn_ptx_next(qn_ptx_reader *reader) {
  reader->token = qn_ptx_lex(&reader->lexer);
}

bool qn_ptx_accept(qn_ptx_reader *reader, int kind) {
  if (reader->token.kind != kind) return false;
  qn_ptx_next(reader);
  return true;
}

bool qn_ptx_accept_dot(qn_ptx_reader *reader, const char *word) {
  if (reader->token.kind != QN_LEX_DOT || !qn_ptx_is(&reader->token, word)) return false;
  qn_ptx_next(reader);
  return true;
}

qn_status qn_ptx_expect(qn_ptx_reader *reader, int kind, qn_ptx_lexeme *out_token) {
  if (reader->token.kind != kind) {
    char what[] = "' '";
    what[1] = (char)kind;
    return qn_ptx_fail_expected(reader, kind == QN_LEX_NAME     ? "a name"
                                        : kind == QN_LEX_STRING ? "a quoted text"
                                                                : what);
  }
  if (out_token) *out_token = reader->token;
  qn_ptx_next(reader);
  return QN_OK;
}

qn_status qn_ptx_expect_number(qn_ptx_reader *reader, uint64_t max, uint64_t *out_value) {
  if (reader->token.kind != QN_LEX_INT) return qn_ptx_fail_expected(reader, "a number");
  if (reader->token.bits > max)
    return qn_ptx_fail(reader, &reader->token, QN_LIMIT, "a number here is at most %llu",
                       (unsigned long long)max);
  *out_value = reader->token.bits;
  qn_ptx_next(reader);
  return QN_OK;
}

qn_status qn_ptx_expect_word(qn_ptx_reader *reader, qn_ptx_token_kind kind, const char *what,
                             qn_ptx_token *out_token) {
  const qn_ptx_lexeme *word = &reader->token;
  if (word->kind != QN_LEX_DOT) return qn_ptx_fail_expected(reader, what);
  qn_ptx_token token = qn_ptx_words_find_token(&reader->words, word->text, word->length);
  if (token == QN_PTX_NO_TOKEN || qn_ptx_token_get_info(token)->kind != kind)
    return qn_ptx_fail_expected(reader, what);
  *out_token = token;
  qn_ptx_next(reader);
  return QN_OK;
}

// --- the module -----------------------------------------------------------------------------------------

// .version 9.5
static qn_status read_version(qn_ptx_reader *reader) {
  const qn_ptx_lexeme token = reader->token;
  if (token.kind != QN_LEX_F64) return qn_ptx_fail_expected(reader, "a version such as 8.4");
  uint32_t major = 0, minor = 0;
  const char *at = token.text;
  while (*at >= '0' && *at <= '9' && major < 1000) major = 10 * major + (uint32_t)(*at++ - '0');
  if (at + 2 != token.text + token.length || *at != '.')
    return qn_ptx_fail_expected(reader, "a version such as 8.4");
  minor = (uint32_t)(at[1] - '0');
  if (major < 6)
    return qn_ptx_fail(reader, &token, QN_UNSUPPORTED, "PTX of version %u.%u is not read, only 6.0 and later",
                       major, minor);
  reader->program->version = 10 * major + minor;
  qn_ptx_next(reader);
  return QN_OK;
}

// .target sm_90a, debug
static qn_status read_target(qn_ptx_reader *reader) {
  qn_ptx_lexeme token, first = reader->token;
  do {
    QN_TRY(qn_ptx_expect(reader, QN_LEX_NAME, &token));
    if (token.length < 4 || memcmp(token.text, "sm_", 3) != 0) continue;
    uint32_t sm = 0;
    size_t i = 3;
    for (; i < token.length && token.text[i] >= '0' && token.text[i] <= '9' && sm < 10000; i++)
      sm = 10 * sm + (uint32_t)(token.text[i] - '0');
    bool suffixed = i + 1 == token.length && (token.text[i] == 'a' || token.text[i] == 'f');
    if (i < token.length && !suffixed)
      return qn_ptx_fail(reader, &token, QN_UNSUPPORTED, "there is no chip '%.*s'", (int)token.length,
                         token.text);
    if (sm < 75)
      return qn_ptx_fail(reader, &token, QN_UNSUPPORTED, "the target '%.*s' is older than sm_75",
                         (int)token.length, token.text);
    reader->program->sm = sm;
    reader->program->sm_suffix = suffixed ? token.text[i] : 0;
  } while (qn_ptx_accept(reader, ','));
  if (reader->program->sm == 0) return qn_ptx_fail(reader, &first, QN_INVALID, "the target names no sm_..");
  return QN_OK;
}

static qn_status read_address_size(qn_ptx_reader *reader) {
  qn_ptx_lexeme place = reader->token;
  uint64_t bits;
  QN_TRY(qn_ptx_expect_number(reader, UINT64_MAX, &bits));
  if (bits == 64) return QN_OK;
  return qn_ptx_fail(reader, &place, QN_UNSUPPORTED, "addresses have 64 bits");
}

// .file 1 "a.cu", 1700000000, 1234
static qn_status read_file(qn_ptx_reader *reader) {
  uint64_t number, ignored;
  qn_ptx_lexeme name;
  QN_TRY(qn_ptx_expect_number(reader, FILES_MAX, &number));
  QN_TRY(qn_ptx_expect(reader, QN_LEX_STRING, &name));
  while (qn_ptx_accept(reader, ',')) QN_TRY(qn_ptx_expect_number(reader, UINT64_MAX, &ignored));
  QN_TRY(QN_RESERVE(reader->context, reader->files, reader->file_capacity, number + 1));
  while (reader->file_count <= number) reader->files[reader->file_count++] = NULL;
  reader->files[number] = qn_arena_copy(&reader->program->arena, name.text, name.length);
  return reader->files[number] ? QN_OK : qn_fail_memory(reader->context);
}

// .section .debug_str { ... }: skipped.
static qn_status skip_section(qn_ptx_reader *reader) {
  if (!qn_ptx_accept(reader, QN_LEX_DOT)) QN_TRY(qn_ptx_expect(reader, QN_LEX_NAME, NULL));
  QN_TRY(qn_ptx_expect(reader, '{', NULL));
  for (uint32_t depth = 1; depth; qn_ptx_next(reader)) {
    if (reader->token.kind == QN_LEX_END || reader->token.kind == QN_LEX_ERROR)
      return qn_ptx_fail_expected(reader, "'}'");
    depth += reader->token.kind == '{';
    depth -= reader->token.kind == '}';
  }
  return QN_OK;
}

// A function or variable with its linkage, which matters to `.extern` alone.
static qn_status read_declaration(qn_ptx_reader *reader) {
  static const char *const linkages[] = { "extern", "visible", "weak", "common" };
  bool is_extern = false;
  for (uint32_t i = 0; i < QN_COUNT(linkages); i++)
    if (qn_ptx_accept_dot(reader, linkages[i])) {
      is_extern = i == 0;
      break;
    }
  if (qn_ptx_accept_dot(reader, "entry")) return qn_ptx_read_function(reader, true);
  if (qn_ptx_accept_dot(reader, "func")) return qn_ptx_read_function(reader, false);
  if (qn_ptx_accept_dot(reader, "global")) return qn_ptx_read_variables(reader, QN_PTX_global, is_extern);
  if (qn_ptx_accept_dot(reader, "const")) return qn_ptx_read_variables(reader, QN_PTX_const, is_extern);
  if (qn_ptx_accept_dot(reader, "shared")) return qn_ptx_read_variables(reader, QN_PTX_shared, is_extern);
  if (reader->token.kind != QN_LEX_DOT) return qn_ptx_fail_expected(reader, "a directive");
  return qn_ptx_fail(reader, &reader->token, QN_UNSUPPORTED, "the directive '.%.*s' is not known here",
                     (int)reader->token.length, reader->token.text);
}

static qn_status read_module(qn_ptx_reader *reader) {
  if (!qn_ptx_accept_dot(reader, "version")) return qn_ptx_fail_expected(reader, "'.version'");
  QN_TRY(read_version(reader));
  if (!qn_ptx_accept_dot(reader, "target")) return qn_ptx_fail_expected(reader, "'.target'");
  QN_TRY(read_target(reader));
  while (reader->token.kind != QN_LEX_END) {
    if (qn_ptx_accept_dot(reader, "address_size"))
      QN_TRY(read_address_size(reader));
    else if (qn_ptx_accept_dot(reader, "file"))
      QN_TRY(read_file(reader));
    else if (qn_ptx_accept_dot(reader, "loc"))
      QN_TRY(qn_ptx_read_loc(reader));
    else if (qn_ptx_accept_dot(reader, "pragma"))
      QN_TRY(qn_ptx_read_pragma(reader));
    else if (qn_ptx_accept_dot(reader, "section"))
      QN_TRY(skip_section(reader));
    else if (!qn_ptx_accept(reader, ';'))
      QN_TRY(read_declaration(reader));
  }
  return QN_OK;
}

// --- the end --------------------------------------------------------------------------------------------

// Dynamic shared memory begins where static shared memory ends, aligned as the strictest variable there wants.
static qn_status settle_variables(qn_ptx_reader *reader) {
  for (uint32_t i = 0; i < reader->extern_count; i++)
    if (reader->symbols[reader->externs[i].symbol].align == 0)
      return qn_ptx_fail(reader, &reader->externs[i].name, QN_UNSUPPORTED,
                         "a variable that is defined in another module");
  uint64_t align = 1;
  for (uint32_t i = 0; i < reader->symbol_count; i++)
    if (reader->symbols[i].bytes == 0) align = QN_MAX(align, (uint64_t)reader->symbols[i].align);
  for (uint32_t i = 0; i < reader->symbol_count; i++)
    if (reader->symbols[i].bytes == 0)
      reader->symbols[i].offset = (reader->program->shared_bytes + align - 1) & ~(align - 1);
  return QN_OK;
}

// A failure at an instruction that is read already.
static qn_status fail_at(const qn_ptx_reader *reader, uint32_t index, qn_status status, const char *words) {
  qn_ptx_lexeme place = { .line = reader->instrs[index].line, .text = reader->starts[index] };
  return qn_ptx_fail(reader, &place, status, "%s", words);
}

static bool same_sizes(const qn_ptx_reader *reader, const qn_ptx_instr *call, uint32_t slot, uint32_t first,
                       uint32_t count) {
  if (call->slots[slot].count != count) return false;
  for (uint32_t i = 0; i < count; i++) {
    const qn_ptx_symbol *given = &reader->symbols[qn_ptx_at(call, slot, i)->symbol];
    if (given->bytes != reader->symbols[first + i].bytes) return false;
  }
  return true;
}

static qn_status settle_instr(qn_ptx_reader *reader, uint32_t index) {
  qn_ptx_instr *instr = &reader->instrs[index];
  bool call = instr->target != QN_PTX_NONE;
  if (instr->slot_count == 1 && instr->operands->kind == QN_PTX_LABEL)
    instr->target = (uint32_t)instr->operands->value;
  if (call) {
    const qn_ptx_function *function = &reader->functions[instr->target];
    if (!same_sizes(reader, instr, 0, function->first_symbol, function->result_count))
      return fail_at(reader, index, QN_INVALID, "the call takes other results than the function gives");
    if (!same_sizes(reader, instr, 2, function->first_symbol + function->result_count, function->param_count))
      return fail_at(reader, index, QN_INVALID, "the call gives other arguments than the function takes");
  }
  const char *words = NULL;
  if (instr->row->bind(reader->program, instr, &words)) return QN_OK;
  return fail_at(reader, index, QN_UNSUPPORTED, words ? words : "the emulator does not know this form");
}

// Moves what was collected to the program's arena.
static qn_status keep(qn_ptx_reader *reader, void *out_array, const void *array, uint32_t count, size_t size) {
  void *copy = qn_arena_alloc(&reader->program->arena, count ? count * size : 1);
  if (!copy) return qn_fail_memory(reader->context);
  if (count) memcpy(copy, array, count * size);
  memcpy(out_array, &copy, sizeof copy);
  return QN_OK;
}

static qn_status finish(qn_ptx_reader *reader) {
  qn_ptx_program *program = reader->program;
  enum { COLUMN_PAD = 64 }; // a column may be read as the widest one
  program->columns = ((program->columns + 15) & ~15u) + COLUMN_PAD;
  QN_TRY(settle_variables(reader));
#define KEEP(array, from, count)                                                                               \
  QN_TRY(keep(reader, &program->array, reader->from, reader->count, sizeof *reader->from));                    \
  program->count = reader->count
  KEEP(functions, functions, function_count);
  KEEP(symbols, symbols, symbol_count);
  KEEP(files, files, file_count);
#undef KEEP
  QN_TRY(keep(reader, &program->groups, reader->groups, reader->group_count, sizeof *reader->groups));
  program->group_count = reader->group_count;
  QN_TRY(keep(reader, &program->target_lists, reader->lists, reader->list_count, sizeof *reader->lists));
  program->target_list_count = reader->list_count;
  for (uint32_t i = 0; i < reader->instr_count; i++) QN_TRY(settle_instr(reader, i));
  QN_TRY(keep(reader, &program->instrs, reader->instrs, reader->instr_count, sizeof *reader->instrs));
  program->instr_count = reader->instr_count;
  return QN_OK;
}

// --- reading --------------------------------------------------------------------------------------------

static void free_arrays(qn_ptx_reader *reader) {
#define FREE(array, capacity) qn_free(reader->context, reader->array, reader->capacity * sizeof *reader->array)
  FREE(instrs, instr_capacity);
  FREE(starts, start_capacity);
  FREE(functions, function_capacity);
  FREE(symbols, symbol_capacity);
  FREE(groups, group_capacity);
  FREE(lists, list_capacity);
  FREE(pendings, pending_capacity);
  FREE(externs, extern_capacity);
  FREE(files, file_capacity);
  FREE(operands, operand_capacity);
  FREE(names.names, names.capacity);
  FREE(names.buckets, names.bucket_count);
#undef FREE
}

static qn_status read_all(qn_ptx_reader *reader) {
  qn_ptx_next(reader);
  QN_TRY(read_module(reader));
  return finish(reader);
}

qn_status qn_ptx_read_with(qn_context *context, const qn_ptx_row_set *rows, const char *text, size_t length,
                           const char *place, qn_ptx_program **out_program) {
  *out_program = NULL;
  if (length > TEXT_MAX)
    return qn_fail(context, QN_LIMIT, place, "PTX of more than %d MiB is not read", TEXT_MAX >> 20);
  qn_ptx_program *program = qn_alloc_zero(context, sizeof *program);
  qn_ptx_reader *reader = qn_alloc_zero(context, sizeof *reader);
  qn_status status = QN_OK;
  if (program) {
    program->context = context;
    program->arena = QN_ARENA(context);
    program->text = qn_arena_copy(&program->arena, text, length);
  }
  if (!program || !reader || !program->text) {
    status = qn_fail_memory(context);
  } else {
    reader->context = context;
    reader->place = place;
    reader->program = program;
    reader->lexer = (qn_ptx_lexer){ .at = program->text, .end = program->text + length, .line = 1 };
    qn_ptx_words_init(&reader->words, rows);
    status = read_all(reader);
    free_arrays(reader);
  }
  qn_free(context, reader, sizeof *reader);
  if (status == QN_OK)
    *out_program = program;
  else
    qn_ptx_program_destroy(program);
  return status;
}

qn_status qn_ptx_read(qn_context *context, const char *text, size_t length, const char *place,
                      qn_ptx_program **out_program) {
  qn_ptx_row_set rows = qn_ptx_get_rows();
  return qn_ptx_read_with(context, &rows, text, length, place, out_program);
}
