// Instructions of PTX: guard, opcode with its modifiers, operands; branches and calls.
#include "runtime/emulator/ptx_read_priv.h"

#include <stdio.h>

qn_status qn_ptx_read_guard(qn_ptx_reader *reader, qn_ptx_guard *out_guard) {
  *out_guard = (qn_ptx_guard){ .operand = { .kind = QN_PTX_SINK, .reg = QN_PTX_NONE } };
  if (!qn_ptx_accept(reader, '@')) return QN_OK;
  out_guard->negated = qn_ptx_accept(reader, '!');
  qn_ptx_lexeme name;
  QN_TRY(qn_ptx_expect(reader, QN_LEX_NAME, &name));
  if (!qn_ptx_name_find_register(reader, &name, &out_guard->operand))
    return qn_ptx_fail(reader, &name, QN_INVALID, "there is no register '%.*s' here", (int)name.length,
                       name.text);
  if (out_guard->operand.type != QN_PTX_pred)
    return qn_ptx_fail(reader, &name, QN_INVALID, "'%.*s' guards an instruction but is no predicate",
                       (int)name.length, name.text);
  return QN_OK;
}

static qn_status read_modifiers(qn_ptx_reader *reader, const qn_ptx_lexeme *opcode, qn_ptx_instr *instr) {
  for (; reader->token.kind == QN_LEX_DOT; qn_ptx_next(reader)) {
    const qn_ptx_lexeme *word = &reader->token;
    qn_ptx_token token = qn_ptx_words_find_token(&reader->words, word->text, word->length);
    if (token == QN_PTX_NO_TOKEN || !qn_ptx_words_accept(&reader->words, instr->row, token))
      return qn_ptx_fail(reader, word, QN_UNSUPPORTED, "'%.*s' does not take '.%.*s'", (int)opcode->length,
                         opcode->text, (int)word->length, word->text);
    if (instr->token_count == QN_PTX_TOKENS_MAX)
      return qn_ptx_fail(reader, word, QN_LIMIT, "an opcode with more than %d modifiers", QN_PTX_TOKENS_MAX);
    instr->tokens[instr->token_count++] = (uint8_t)token;
  }
  return QN_OK;
}

// --- operands by opcode ------------------------------------------------------------------------------------

static qn_status next_slot(qn_ptx_reader *reader, qn_ptx_instr *instr, qn_ptx_slot **out_slot) {
  if (instr->slot_count == QN_PTX_SLOTS_MAX)
    return qn_ptx_fail(reader, &reader->token, QN_INVALID, "an instruction has at most %d operands",
                       QN_PTX_SLOTS_MAX);
  *out_slot = &instr->slots[instr->slot_count++];
  return QN_OK;
}

static qn_status check_results(qn_ptx_reader *reader, const qn_ptx_instr *instr, const qn_ptx_lexeme *opcode) {
  for (uint32_t i = 0; i < instr->row->results; i++)
    for (uint32_t k = 0; k < instr->slots[i].count; k++) {
      const qn_ptx_operand *operand = &reader->operands[instr->slots[i].first + k];
      bool written = operand->kind == QN_PTX_REGISTER || operand->kind == QN_PTX_SINK;
      if (!written || operand->negated)
        return qn_ptx_fail(reader, opcode, QN_INVALID, "a result of '%.*s' is no register", (int)opcode->length,
                           opcode->text);
    }
  return QN_OK;
}

static qn_status read_operands(qn_ptx_reader *reader, const qn_ptx_lexeme *opcode, qn_ptx_instr *instr) {
  if (reader->token.kind != ';') {
    do {
      qn_ptx_slot *slot;
      QN_TRY(next_slot(reader, instr, &slot));
      QN_TRY(qn_ptx_read_slot(reader, slot));
    } while (qn_ptx_accept(reader, ','));
  }
  const qn_ptx_row *row = instr->row;
  uint32_t least = row->results + row->sources_min, most = row->results + row->sources_max;
  if (instr->slot_count < least || instr->slot_count > most) {
    char range[32];
    snprintf(range, sizeof range, least == most ? "%u" : "%u to %u", least, most);
    return qn_ptx_fail(reader, opcode, QN_INVALID, "'%.*s' takes %s operands, found %u", (int)opcode->length,
                       opcode->text, range, instr->slot_count);
  }
  return check_results(reader, instr, opcode);
}

// bra L; the label is settled when its scope ends. Its name stays in `out_label` until then.
static qn_status read_label(qn_ptx_reader *reader, qn_ptx_instr *instr, qn_ptx_lexeme *out_label) {
  qn_ptx_slot *slot;
  QN_TRY(next_slot(reader, instr, &slot));
  QN_TRY(qn_ptx_expect(reader, QN_LEX_NAME, out_label));
  *slot = (qn_ptx_slot){ (uint16_t)reader->operand_count, 1 };
  return qn_ptx_push_operand(
      reader, &(qn_ptx_operand){ .kind = QN_PTX_LABEL, .reg = QN_PTX_NONE, .symbol = QN_PTX_NONE });
}

// brx.idx %r1, list;
static qn_status read_indexed_branch(qn_ptx_reader *reader, qn_ptx_instr *instr) {
  qn_ptx_slot *slot;
  qn_ptx_lexeme token;
  QN_TRY(next_slot(reader, instr, &slot));
  QN_TRY(qn_ptx_read_slot(reader, slot));
  QN_TRY(qn_ptx_expect(reader, ',', NULL));
  QN_TRY(next_slot(reader, instr, &slot));
  QN_TRY(qn_ptx_expect(reader, QN_LEX_NAME, &token));
  const qn_ptx_name *name = qn_ptx_name_find(reader, &token);
  if (!name || name->kind != QN_PTX_NAME_TARGETS)
    return qn_ptx_fail(reader, &token, QN_INVALID, "there is no .branchtargets '%.*s' here", (int)token.length,
                       token.text);
  *slot = (qn_ptx_slot){ (uint16_t)reader->operand_count, 1 };
  return qn_ptx_push_operand(
      reader, &(qn_ptx_operand){
                  .kind = QN_PTX_TARGETS, .reg = QN_PTX_NONE, .symbol = QN_PTX_NONE, .value = name->index });
}

// "(a, b)" of a call: variables of space param.
static qn_status read_call_list(qn_ptx_reader *reader, qn_ptx_slot *slot) {
  slot->first = (uint16_t)reader->operand_count;
  QN_TRY(qn_ptx_expect(reader, '(', NULL));
  if (reader->token.kind != ')') {
    do {
      qn_ptx_lexeme start = reader->token;
      qn_ptx_slot one;
      QN_TRY(qn_ptx_read_slot(reader, &one));
      const qn_ptx_operand *operand = &reader->operands[one.first];
      bool param = operand->kind == QN_PTX_SYMBOL && reader->symbols[operand->symbol].space == QN_PTX_param;
      if (!param || operand->value != 0)
        return qn_ptx_fail(reader, &start, QN_UNSUPPORTED, "a call takes and gives .param variables only");
    } while (qn_ptx_accept(reader, ','));
  }
  slot->count = (uint16_t)(reader->operand_count - slot->first);
  return qn_ptx_expect(reader, ')', NULL);
}

// call (result), function, (a, b);
static qn_status read_call(qn_ptx_reader *reader, qn_ptx_instr *instr) {
  qn_ptx_lexeme token;
  instr->slot_count = 3;
  if (reader->token.kind == '(') {
    QN_TRY(read_call_list(reader, &instr->slots[0]));
    QN_TRY(qn_ptx_expect(reader, ',', NULL));
  }
  QN_TRY(qn_ptx_expect(reader, QN_LEX_NAME, &token));
  qn_ptx_operand operand;
  if (qn_ptx_name_find_register(reader, &token, &operand))
    return qn_ptx_fail(reader, &token, QN_UNSUPPORTED, "a call through a register is not supported");
  const qn_ptx_name *name = qn_ptx_name_find(reader, &token);
  if (!name || name->kind != QN_PTX_NAME_FUNCTION)
    return qn_ptx_fail(reader, &token, QN_INVALID, "there is no function '%.*s' here", (int)token.length,
                       token.text);
  instr->target = name->index;
  instr->slots[1] = (qn_ptx_slot){ (uint16_t)reader->operand_count, 1 };
  operand = (qn_ptx_operand){
    .kind = QN_PTX_FUNCTION, .reg = QN_PTX_NONE, .symbol = QN_PTX_NONE, .value = name->index
  };
  QN_TRY(qn_ptx_push_operand(reader, &operand));
  instr->slots[2].first = (uint16_t)reader->operand_count;
  return qn_ptx_accept(reader, ',') ? read_call_list(reader, &instr->slots[2]) : QN_OK;
}

// --- the whole -----------------------------------------------------------------------------------------------

static qn_status store(qn_ptx_reader *reader, const qn_ptx_lexeme *opcode, qn_ptx_instr *instr) {
  size_t bytes = reader->operand_count * sizeof(qn_ptx_operand);
  qn_ptx_operand *operands = qn_arena_alloc(&reader->program->arena, QN_MAX(bytes, (size_t)1));
  if (!operands) return qn_fail_memory(reader->context);
  if (bytes) memcpy(operands, reader->operands, bytes);
  instr->operands = operands;
  uint64_t needed = (uint64_t)reader->instr_count + 1;
  QN_TRY(QN_RESERVE(reader->context, reader->instrs, reader->instr_capacity, needed));
  QN_TRY(QN_RESERVE(reader->context, reader->starts, reader->start_capacity, needed));
  reader->starts[reader->instr_count] = opcode->text;
  reader->instrs[reader->instr_count++] = *instr;
  return QN_OK;
}

qn_status qn_ptx_read_instr(qn_ptx_reader *reader, const qn_ptx_guard *guard, const qn_ptx_lexeme *opcode) {
  qn_ptx_instr instr = { .row = qn_ptx_words_find_row(&reader->words, opcode->text, opcode->length),
                         .guard = guard->operand.reg,
                         .guard_column = guard->operand.column,
                         .guard_negated = guard->negated,
                         .target = QN_PTX_NONE,
                         .line = opcode->line,
                         .file = reader->file,
                         .source_line = reader->source_line };
  if (!instr.row)
    return qn_ptx_fail(reader, opcode, QN_UNSUPPORTED, "the opcode '%.*s' is not known", (int)opcode->length,
                       opcode->text);
  QN_TRY(read_modifiers(reader, opcode, &instr));
  reader->operand_count = 0;
  qn_ptx_lexeme label = { 0 };
  if (qn_ptx_is(opcode, "bra"))
    QN_TRY(read_label(reader, &instr, &label));
  else if (qn_ptx_is(opcode, "brx"))
    QN_TRY(read_indexed_branch(reader, &instr));
  else if (qn_ptx_is(opcode, "call"))
    QN_TRY(read_call(reader, &instr));
  else
    QN_TRY(read_operands(reader, opcode, &instr));
  QN_TRY(qn_ptx_expect(reader, ';', NULL));
  QN_TRY(store(reader, opcode, &instr));
  // The reader owns the operands that it has just copied to the arena.
  return label.text ? qn_ptx_label_use(reader, &label, (qn_ptx_operand *)instr.operands) : QN_OK;
}
