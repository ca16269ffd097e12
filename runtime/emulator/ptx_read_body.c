// Bodies of PTX functions: scopes, declarations, labels, source places.
#include "runtime/emulator/ptx_read_priv.h"

// .pragma "nounroll";
qn_status qn_ptx_read_pragma(qn_ptx_reader *reader) {
  do QN_TRY(qn_ptx_expect(reader, QN_LEX_STRING, NULL));
  while (qn_ptx_accept(reader, ','));
  return qn_ptx_expect(reader, ';', NULL);
}

// .loc 1 23 5, function_name $L__info_string0+12, inlined_at 1 40 3: the place itself is kept.
qn_status qn_ptx_read_loc(qn_ptx_reader *reader) {
  uint64_t file, line, column;
  QN_TRY(qn_ptx_expect_number(reader, UINT32_MAX, &file));
  QN_TRY(qn_ptx_expect_number(reader, UINT32_MAX, &line));
  QN_TRY(qn_ptx_expect_number(reader, UINT32_MAX, &column));
  reader->file = (uint32_t)file;
  reader->source_line = (uint32_t)line;
  while (qn_ptx_accept(reader, ',')) {
    qn_ptx_lexeme word;
    QN_TRY(qn_ptx_expect(reader, QN_LEX_NAME, &word));
    if (qn_ptx_is(&word, "function_name")) {
      QN_TRY(qn_ptx_expect(reader, QN_LEX_NAME, NULL));
      if (qn_ptx_accept(reader, '+')) QN_TRY(qn_ptx_expect_number(reader, UINT64_MAX, &column));
    } else if (qn_ptx_is(&word, "inlined_at")) {
      for (int i = 0; i < 3; i++) QN_TRY(qn_ptx_expect_number(reader, UINT32_MAX, &column));
    } else {
      return qn_ptx_fail(reader, &word, QN_UNSUPPORTED, "'.loc' does not take '%.*s'", (int)word.length,
                         word.text);
    }
  }
  return QN_OK;
}

// name: .branchtargets L1, L2;
static qn_status read_targets(qn_ptx_reader *reader, const qn_ptx_lexeme *name) {
  enum { STEP = 64 };
  QN_TRY(QN_RESERVE(reader->context, reader->lists, reader->list_capacity, (uint64_t)reader->list_count + 1));
  QN_TRY(qn_ptx_name_add(reader, name, QN_PTX_NAME_TARGETS, reader->list_count));
  uint32_t count = 0;
  qn_ptx_lexer start = reader->lexer;
  qn_ptx_lexeme first = reader->token;
  do {
    QN_TRY(qn_ptx_expect(reader, QN_LEX_NAME, NULL));
    count++;
  } while (qn_ptx_accept(reader, ','));
  // Once more, now that their number is known.
  reader->lexer = start;
  reader->token = first;
  qn_ptx_operand *labels = qn_arena_alloc(&reader->program->arena, count * sizeof *labels);
  if (!labels) return qn_fail_memory(reader->context);
  for (uint32_t i = 0; i < count; i++) {
    labels[i] = (qn_ptx_operand){ .kind = QN_PTX_LABEL, .reg = QN_PTX_NONE, .symbol = QN_PTX_NONE };
    QN_TRY(qn_ptx_label_use(reader, &reader->token, &labels[i]));
    qn_ptx_next(reader);
    qn_ptx_accept(reader, ',');
  }
  reader->lists[reader->list_count++] = (qn_ptx_target_list){ labels, count };
  return qn_ptx_expect(reader, ';', NULL);
}

static qn_status read_label(qn_ptx_reader *reader, const qn_ptx_lexeme *name) {
  if (name->text[0] == '%') return qn_ptx_fail(reader, name, QN_INVALID, "a label does not begin with '%%'");
  if (qn_ptx_accept_dot(reader, "branchtargets")) return read_targets(reader, name);
  if (reader->token.kind == QN_LEX_DOT &&
      (qn_ptx_is(&reader->token, "callprototype") || qn_ptx_is(&reader->token, "calltargets")))
    return qn_ptx_fail(reader, &reader->token, QN_UNSUPPORTED, "a call through a register is not supported");
  return qn_ptx_name_add(reader, name, QN_PTX_NAME_LABEL, reader->instr_count);
}

static qn_status read_directive(qn_ptx_reader *reader) {
  static const qn_ptx_token spaces[] = { QN_PTX_param, QN_PTX_local, QN_PTX_shared, QN_PTX_global,
                                         QN_PTX_const };
  if (qn_ptx_accept_dot(reader, "reg")) return qn_ptx_read_registers(reader);
  if (qn_ptx_accept_dot(reader, "loc")) return qn_ptx_read_loc(reader);
  if (qn_ptx_accept_dot(reader, "pragma")) return qn_ptx_read_pragma(reader);
  for (uint32_t i = 0; i < QN_COUNT(spaces); i++)
    if (qn_ptx_accept_dot(reader, qn_ptx_token_get_info(spaces[i])->text))
      return qn_ptx_read_variables(reader, spaces[i], false);
  return qn_ptx_fail(reader, &reader->token, QN_UNSUPPORTED, "the directive '.%.*s' is not known here",
                     (int)reader->token.length, reader->token.text);
}

static qn_status read_instruction_or_label(qn_ptx_reader *reader) {
  qn_ptx_guard guard;
  qn_ptx_lexeme name;
  bool guarded = reader->token.kind == '@';
  QN_TRY(qn_ptx_read_guard(reader, &guard));
  if (reader->token.kind != QN_LEX_NAME) return qn_ptx_fail_expected(reader, "an instruction");
  name = reader->token;
  qn_ptx_next(reader);
  if (!guarded && qn_ptx_accept(reader, ':')) return read_label(reader, &name);
  return qn_ptx_read_instr(reader, &guard, &name);
}

qn_status qn_ptx_read_body(qn_ptx_reader *reader) {
  // The function's own scope is open: the braces inside of it are counted by those that are opened here.
  for (uint32_t depth = reader->depth;;) {
    qn_ptx_lexeme token = reader->token;
    if (qn_ptx_accept(reader, '{')) {
      QN_TRY(qn_ptx_scope_open(reader, &token));
    } else if (qn_ptx_accept(reader, '}')) {
      if (reader->depth == depth) return QN_OK;
      QN_TRY(qn_ptx_scope_close(reader));
    } else if (token.kind == QN_LEX_DOT) {
      QN_TRY(read_directive(reader));
    } else if (!qn_ptx_accept(reader, ';')) {
      QN_TRY(read_instruction_or_label(reader));
    }
  }
}
