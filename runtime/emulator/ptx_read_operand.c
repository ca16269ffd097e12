// Operands of PTX instructions: registers, constants, addresses, vectors, pairs.
#include "runtime/emulator/ptx_read_priv.h"

// --- constants -----------------------------------------------------------------------------------------------

enum { EXPRESSION_DEPTH = 32, WARP_SIZE = 32 };

static qn_status read_sum(qn_ptx_reader *reader, int depth, uint64_t *out_value);

static qn_status read_primary(qn_ptx_reader *reader, int depth, uint64_t *out_value) {
  qn_ptx_lexeme token = reader->token;
  if (depth == EXPRESSION_DEPTH)
    return qn_ptx_fail(reader, &token, QN_LIMIT, "an expression nests more than %d deep", EXPRESSION_DEPTH);
  bool unary = token.kind == '+' || token.kind == '-' || token.kind == '~';
  bool begins = unary || token.kind == '(' || token.kind == QN_LEX_INT || qn_ptx_is(&token, "WARP_SZ");
  if (!begins) return qn_ptx_fail_expected(reader, "a constant");
  qn_ptx_next(reader);
  if (token.kind == '(') {
    QN_TRY(read_sum(reader, depth + 1, out_value));
    return qn_ptx_expect(reader, ')', NULL);
  }
  if (unary) {
    QN_TRY(read_primary(reader, depth + 1, out_value));
    if (token.kind == '-') *out_value = 0 - *out_value;
    if (token.kind == '~') *out_value = ~*out_value;
  } else {
    *out_value = token.kind == QN_LEX_INT ? token.bits : WARP_SIZE;
  }
  return QN_OK;
}

static qn_status read_product(qn_ptx_reader *reader, int depth, uint64_t *out_value) {
  QN_TRY(read_primary(reader, depth, out_value));
  while (qn_ptx_accept(reader, '*')) {
    uint64_t factor;
    QN_TRY(read_primary(reader, depth, &factor));
    *out_value *= factor;
  }
  return QN_OK;
}

static qn_status read_sum(qn_ptx_reader *reader, int depth, uint64_t *out_value) {
  QN_TRY(read_product(reader, depth, out_value));
  while (reader->token.kind == '+' || reader->token.kind == '-') {
    bool minus = reader->token.kind == '-';
    uint64_t term;
    qn_ptx_next(reader);
    QN_TRY(read_product(reader, depth, &term));
    *out_value = minus ? *out_value - term : *out_value + term;
  }
  return QN_OK;
}

qn_status qn_ptx_read_constant(qn_ptx_reader *reader, qn_ptx_operand *out_operand) {
  *out_operand = (qn_ptx_operand){ .kind = QN_PTX_IMMEDIATE_INT, .reg = QN_PTX_NONE, .symbol = QN_PTX_NONE };
  qn_ptx_lexer before = reader->lexer;
  qn_ptx_lexeme first = reader->token;
  bool minus = qn_ptx_accept(reader, '-');
  uint64_t value = reader->token.bits;
  if (reader->token.kind == QN_LEX_F32) {
    out_operand->kind = QN_PTX_IMMEDIATE_F32;
    if (minus) value ^= UINT64_C(1) << 31;
    qn_ptx_next(reader);
  } else if (reader->token.kind == QN_LEX_F64) {
    out_operand->kind = QN_PTX_IMMEDIATE_F64;
    if (minus) value ^= UINT64_C(1) << 63;
    qn_ptx_next(reader);
  } else {
    reader->lexer = before;
    reader->token = first;
    QN_TRY(read_sum(reader, 0, &value));
  }
  out_operand->value = (int64_t)value;
  return QN_OK;
}

// --- names ----------------------------------------------------------------------------------------------

// "%tid.x" is a name and a word behind it without space.
static qn_status read_special(qn_ptx_reader *reader, const qn_ptx_lexeme *name, qn_ptx_operand *out_operand) {
  qn_ptx_lexeme whole = *name;
  bool dotted = reader->token.kind == QN_LEX_DOT && reader->token.text == name->text + name->length + 1;
  if (dotted) whole.length += 1 + reader->token.length;
  qn_ptx_special special = qn_ptx_words_find_special(&reader->words, whole.text, whole.length);
  if (special == QN_PTX_SPECIAL_COUNT)
    return qn_ptx_fail(reader, name, dotted ? QN_UNSUPPORTED : QN_INVALID, "there is no register '%.*s' here",
                       (int)whole.length, whole.text);
  if (dotted) qn_ptx_next(reader);
  out_operand->kind = QN_PTX_SPECIAL_REGISTER;
  out_operand->special = special;
  return QN_OK;
}

static qn_status read_offset(qn_ptx_reader *reader, qn_ptx_operand *operand) {
  if (reader->token.kind != '+' && reader->token.kind != '-') return QN_OK;
  uint64_t value;
  QN_TRY(read_sum(reader, 0, &value));
  operand->value = (int64_t)value;
  return QN_OK;
}

static qn_status read_name(qn_ptx_reader *reader, qn_ptx_operand *out_operand) {
  qn_ptx_lexeme token = reader->token;
  qn_ptx_next(reader);
  *out_operand = (qn_ptx_operand){ .reg = QN_PTX_NONE, .symbol = QN_PTX_NONE };
  if (qn_ptx_is(&token, "_")) {
    out_operand->kind = QN_PTX_SINK;
    return QN_OK;
  }
  if (qn_ptx_name_find_register(reader, &token, out_operand)) {
    if (reader->token.kind == QN_LEX_DOT)
      return qn_ptx_fail(reader, &reader->token, QN_UNSUPPORTED, "elements of vector registers are not read");
    return QN_OK;
  }
  const qn_ptx_name *name = qn_ptx_name_find(reader, &token);
  if (name && name->kind == QN_PTX_NAME_SYMBOL) {
    out_operand->kind = QN_PTX_SYMBOL;
    out_operand->symbol = name->index;
    return QN_OK;
  }
  if (name && name->kind == QN_PTX_NAME_FUNCTION)
    return qn_ptx_fail(reader, &token, QN_UNSUPPORTED, "the address of a function is not supported");
  if (token.text[0] == '%') return read_special(reader, &token, out_operand);
  return qn_ptx_fail(reader, &token, QN_INVALID, "there is no variable '%.*s' here", (int)token.length,
                     token.text);
}

// --- slots ----------------------------------------------------------------------------------------------

qn_status qn_ptx_push_operand(qn_ptx_reader *reader, const qn_ptx_operand *operand) {
  if (reader->operand_count == QN_PTX_OPERANDS_MAX)
    return qn_ptx_fail(reader, &reader->token, QN_LIMIT, "an instruction with more than %d operands",
                       QN_PTX_OPERANDS_MAX);
  QN_TRY(QN_RESERVE(reader->context, reader->operands, reader->operand_capacity,
                    (uint64_t)reader->operand_count + 1));
  reader->operands[reader->operand_count++] = *operand;
  return QN_OK;
}

// A register, a constant, a variable, "!p" or "_".
static qn_status read_single(qn_ptx_reader *reader) {
  qn_ptx_operand operand;
  qn_ptx_lexeme start = reader->token;
  bool negated = qn_ptx_accept(reader, '!');
  if (reader->token.kind == QN_LEX_NAME && !qn_ptx_is(&reader->token, "WARP_SZ")) {
    QN_TRY(read_name(reader, &operand));
    if (operand.kind == QN_PTX_SYMBOL) QN_TRY(read_offset(reader, &operand));
  } else {
    QN_TRY(qn_ptx_read_constant(reader, &operand));
  }
  operand.negated = negated;
  if (negated && (operand.kind != QN_PTX_REGISTER || operand.type != QN_PTX_pred))
    return qn_ptx_fail(reader, &start, QN_INVALID, "'!' stands before a predicate register only");
  return qn_ptx_push_operand(reader, &operand);
}

static qn_status read_address(qn_ptx_reader *reader) {
  qn_ptx_operand operand = { .reg = QN_PTX_NONE, .symbol = QN_PTX_NONE };
  qn_ptx_lexeme start = reader->token;
  if (start.kind == QN_LEX_NAME && !qn_ptx_is(&start, "WARP_SZ")) {
    QN_TRY(read_name(reader, &operand));
    bool narrow = operand.kind == QN_PTX_REGISTER && qn_ptx_bits(operand.type) < 32;
    if ((operand.kind != QN_PTX_REGISTER && operand.kind != QN_PTX_SYMBOL) || narrow)
      return qn_ptx_fail(reader, &start, QN_INVALID,
                         "an address begins with a register of 32 or 64 bits, a variable or a number");
    QN_TRY(read_offset(reader, &operand));
  } else {
    uint64_t value;
    QN_TRY(read_sum(reader, 0, &value));
    operand.value = (int64_t)value;
  }
  operand.kind = QN_PTX_ADDRESS;
  QN_TRY(qn_ptx_expect(reader, ']', NULL));
  return qn_ptx_push_operand(reader, &operand);
}

qn_status qn_ptx_read_slot(qn_ptx_reader *reader, qn_ptx_slot *out_slot) {
  uint32_t first = reader->operand_count;
  if (qn_ptx_accept(reader, '{')) {
    do QN_TRY(read_single(reader));
    while (qn_ptx_accept(reader, ','));
    QN_TRY(qn_ptx_expect(reader, '}', NULL));
  } else if (qn_ptx_accept(reader, '[')) {
    QN_TRY(read_address(reader));
  } else {
    QN_TRY(read_single(reader));
    if (qn_ptx_accept(reader, '|')) QN_TRY(read_single(reader));
  }
  *out_slot = (qn_ptx_slot){ (uint16_t)first, (uint16_t)(reader->operand_count - first) };
  return QN_OK;
}
