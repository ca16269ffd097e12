// Functions of PTX: results, parameters, performance directives.
#include "runtime/emulator/ptx_read_priv.h"

// "(.param .b32 a, .param .align 8 .b8 b[16])"
static qn_status read_params(qn_ptx_reader *reader, uint32_t *out_count) {
  *out_count = 0;
  if (!qn_ptx_accept(reader, '(')) return QN_OK;
  if (qn_ptx_accept(reader, ')')) return QN_OK;
  do {
    if (reader->token.kind == QN_LEX_DOT && qn_ptx_is(&reader->token, "reg"))
      return qn_ptx_fail(reader, &reader->token, QN_UNSUPPORTED,
                         "parameters in registers are not supported, only those of .param");
    if (!qn_ptx_accept_dot(reader, "param")) return qn_ptx_fail_expected(reader, "'.param'");
    qn_ptx_layout layout = { .space = QN_PTX_param };
    uint32_t symbol;
    QN_TRY(qn_ptx_read_layout(reader, &layout));
    QN_TRY(qn_ptx_read_variable(reader, &layout, &symbol));
    ++*out_count;
  } while (qn_ptx_accept(reader, ','));
  return qn_ptx_expect(reader, ')', NULL);
}

// --- performance directives -----------------------------------------------------------------------------

typedef enum directive_use { IGNORED, THREADS_MAX, THREADS_REQUIRED, CLUSTER } directive_use;

// .word and up to `numbers` numbers, of which the first must be there.
static const struct directive {
  const char *word;
  uint32_t numbers;
  directive_use use;
} directives[] = {
  { "maxntid", 3, THREADS_MAX },    { "reqntid", 3, THREADS_REQUIRED },     { "reqnctapercluster", 3, CLUSTER },
  { "minnctapersm", 1, IGNORED },   { "maxnctapersm", 1, IGNORED },         { "maxnreg", 1, IGNORED },
  { "maxclusterrank", 1, IGNORED }, { "explicitcluster", 0, IGNORED },      { "noreturn", 0, IGNORED },
  { "abi_preserve", 1, IGNORED },   { "abi_preserve_control", 1, IGNORED },
};

static qn_status read_directive(qn_ptx_reader *reader, const struct directive *directive) {
  uint32_t numbers[3] = { 1, 1, 1 };
  qn_ptx_next(reader);
  for (uint32_t i = 0; i < directive->numbers; i++) {
    uint64_t value;
    if (i > 0 && !qn_ptx_accept(reader, ',')) break;
    QN_TRY(qn_ptx_expect_number(reader, UINT32_MAX, &value));
    numbers[i] = (uint32_t)value;
  }
  qn_ptx_function *function = &reader->functions[reader->function];
  switch (directive->use) {
  case THREADS_MAX:
  case THREADS_REQUIRED:
    memcpy(function->threads_max, numbers, sizeof numbers);
    function->threads_required = directive->use == THREADS_REQUIRED;
    break;
  case CLUSTER: memcpy(function->cluster, numbers, sizeof numbers); break;
  case IGNORED: break;
  }
  return QN_OK;
}

static qn_status read_directives(qn_ptx_reader *reader) {
  while (reader->token.kind == QN_LEX_DOT) {
    if (qn_ptx_accept_dot(reader, "pragma")) {
      QN_TRY(qn_ptx_read_pragma(reader));
      continue;
    }
    const struct directive *found = NULL;
    for (uint32_t i = 0; i < QN_COUNT(directives); i++)
      if (qn_ptx_is(&reader->token, directives[i].word)) found = &directives[i];
    if (!found)
      return qn_ptx_fail(reader, &reader->token, QN_UNSUPPORTED, "the directive '.%.*s' is not known here",
                         (int)reader->token.length, reader->token.text);
    QN_TRY(read_directive(reader, found));
  }
  return QN_OK;
}

// --- functions ------------------------------------------------------------------------------------------

// The function of a name: the one that is declared already, or a new one. Its own name belongs to the module.
static qn_status find_or_add(qn_ptx_reader *reader, const qn_ptx_lexeme *token, bool is_entry) {
  const qn_ptx_name *name = qn_ptx_name_find(reader, token);
  if (name && name->kind == QN_PTX_NAME_FUNCTION) {
    reader->function = name->index;
    const qn_ptx_function *function = &reader->functions[name->index];
    if (function->is_defined || function->is_entry != is_entry)
      return qn_ptx_fail(reader, token, QN_INVALID, "there is a function '%.*s' already", (int)token->length,
                         token->text);
    return QN_OK;
  }
  QN_TRY(QN_RESERVE(reader->context, reader->functions, reader->function_capacity,
                    (uint64_t)reader->function_count + 1));
  QN_TRY(qn_ptx_name_add(reader, token, QN_PTX_NAME_FUNCTION, reader->function_count));
  char *copy = qn_arena_copy(&reader->program->arena, token->text, token->length);
  if (!copy) return qn_fail_memory(reader->context);
  reader->function = reader->function_count;
  reader->functions[reader->function_count++] = (qn_ptx_function){ .name = copy, .is_entry = is_entry };
  return QN_OK;
}

// Results come before the name, but the name decides which function they belong to: so they are read twice, at
// first only to find their end.
static qn_status find_name(const qn_ptx_reader *reader, qn_ptx_lexeme *out_name) {
  qn_ptx_lexer lexer = reader->lexer;
  qn_ptx_lexeme token = reader->token;
  if (token.kind == '(') {
    while (token.kind != ')' && token.kind != QN_LEX_END) token = qn_ptx_lex(&lexer);
    token = qn_ptx_lex(&lexer);
  }
  *out_name = token;
  if (token.kind == QN_LEX_NAME) return QN_OK;
  return qn_ptx_fail(reader, &token, QN_INVALID, "expected the name of a function");
}

qn_status qn_ptx_read_function(qn_ptx_reader *reader, bool is_entry) {
  qn_ptx_lexeme name;
  QN_TRY(find_name(reader, &name));
  QN_TRY(find_or_add(reader, &name, is_entry));
  qn_ptx_function *function = &reader->functions[reader->function];
  function->first_symbol = reader->symbol_count;
  function->param_bytes = function->frame_bytes = 0;
  reader->frame_bytes = 0;
  reader->file = reader->source_line = 0;
  QN_TRY(qn_ptx_scope_open(reader, &name));
  if (!is_entry) QN_TRY(read_params(reader, &function->result_count));
  QN_TRY(qn_ptx_expect(reader, QN_LEX_NAME, NULL));
  QN_TRY(read_params(reader, &function->param_count));
  function->param_bytes = function->frame_bytes;
  QN_TRY(read_directives(reader));
  function->first = reader->instr_count;
  if (qn_ptx_accept(reader, '{')) {
    function->is_defined = true;
    QN_TRY(qn_ptx_read_body(reader));
    function->count = reader->instr_count - function->first;
  } else {
    QN_TRY(qn_ptx_expect(reader, ';', NULL));
  }
  return qn_ptx_scope_close(reader);
}
