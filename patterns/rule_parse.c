// Reads the match side of a rule and its guards. The grammar is in docs/rules.md.
#include "patterns/program_priv.h"

enum { OPERANDS_MAX = 32, ARMS_MAX = 32, NAMES_MAX = QN_OP_RESULTS_MAX };

static qn_status read_alt(qn_rule_reader *reader, uint16_t *out_term);

static uint32_t place_of(const qn_rule_reader *reader, const qn_token *token) {
  return (uint32_t)(token->text - reader->program->rule->match);
}

static qn_status add_term(qn_rule_reader *reader, const qn_term *term, uint16_t *out_term) {
  qn_program *program = reader->program;
  *out_term = program->term_count;
  QN_TRY(qn_reader_grow(reader, &program->term_count, 1, QN_TERMS_MAX, "terms"));
  reader->terms[*out_term] = *term;
  return QN_OK;
}

static qn_status add_kids(qn_rule_reader *reader, const uint16_t *kids, uint16_t count, uint16_t *out_first) {
  qn_program *program = reader->program;
  *out_first = program->kid_count;
  QN_TRY(qn_reader_grow(reader, &program->kid_count, count, QN_KIDS_MAX, "operands"));
  memcpy(reader->kids + *out_first, kids, count * sizeof *kids);
  return QN_OK;
}

// --- names -----------------------------------------------------------------------------------------------

static qn_status add_slot(qn_rule_reader *reader, const qn_token *token, const qn_slot *slot,
                          uint16_t *out_slot) {
  qn_program *program = reader->program;
  if (qn_reader_find_attr_slot(reader, slot->name) != QN_NO_INDEX)
    return qn_lexer_fail(&reader->lexer, token, "'%s' already names an attribute", slot->name);
  *out_slot = program->slot_count;
  QN_TRY(qn_reader_grow(reader, &program->slot_count, 1, QN_SLOTS_MAX, "names"));
  reader->slots[*out_slot] = *slot;
  return QN_OK;
}

static qn_status read_hole_kind(qn_rule_reader *reader, qn_slot *slot) {
  qn_token token = reader->lexer.token;
  const char *name;
  QN_TRY(qn_reader_name(reader, "the kind of the value", &name));
  if (!strcmp(name, "const")) {
    slot->kind = QN_HOLE_CONST;
  } else if (!strcmp(name, "scalar")) {
    slot->kind = QN_HOLE_SCALAR;
  } else {
    slot->kind = QN_HOLE_PREDICATE;
    slot->predicate_name = name;
    slot->predicate = qn_family_get_predicate(reader->program->family, name);
    if (!slot->predicate) return qn_lexer_fail(&reader->lexer, &token, "no predicate is called '%s'", name);
  }
  return QN_OK;
}

// name [ ":" kind ] [ "?" ]
static qn_status read_slot(qn_rule_reader *reader, qn_term *term) {
  qn_lexer *lexer = &reader->lexer;
  qn_token token = lexer->token;
  qn_slot hole = { .stmt = QN_NO_INDEX };
  QN_TRY(qn_reader_name(reader, "an operand", &hole.name));
  term->kind = QN_TERM_SLOT;
  term->slot = qn_reader_find_slot(reader, hole.name);
  bool fresh = term->slot == QN_NO_INDEX;
  if (fresh) QN_TRY(add_slot(reader, &token, &hole, &term->slot));
  if (lexer->token.kind == ':') {
    if (!fresh)
      return qn_lexer_fail(lexer, &token, "the kind of '%s' is said where the name first occurs", hole.name);
    qn_lexer_next(lexer);
    QN_TRY(read_hole_kind(reader, &reader->slots[term->slot]));
  }
  term->optional = qn_lexer_accept(lexer, '?');
  return QN_OK;
}

// --- attributes ------------------------------------------------------------------------------------------

// The attribute of the class's first operation; the others must have the same one.
static qn_status find_attr(qn_rule_reader *reader, const qn_term *term, const qn_token *token,
                           const qn_attr_info **out_attr) {
  const qn_attr_info *first = NULL;
  for (uint16_t i = 0; i < term->op_count; i++) {
    qn_op op = (qn_op)reader->ops[term->op_first + i];
    const qn_op_info *info = qn_op_get_info(op);
    int index = qn_op_find_attr(op, token->text, token->length);
    if (index < 0)
      return qn_lexer_fail(&reader->lexer, token, "'%s' has no attribute '%.*s'", info->name,
                           (int)QN_MIN(token->length, 64), token->text);
    const qn_attr_info *attr = &info->attrs[index];
    bool same = !first || (first->kind == attr->kind &&
                           (first->kind != QN_ATTR_ENUM || !strcmp(first->choices, attr->choices)));
    if (!same)
      return qn_lexer_fail(&reader->lexer, token, "'%s' differs among the operations of the class", attr->name);
    if (!first) first = attr;
  }
  *out_attr = first;
  return QN_OK;
}

static qn_status bind_attr(qn_rule_reader *reader, const qn_attr_info *attr, uint16_t *out_slot) {
  qn_program *program = reader->program;
  qn_token token = reader->lexer.token;
  const char *name;
  QN_TRY(qn_reader_name(reader, "a literal or a name", &name));
  if (qn_reader_find_slot(reader, name) != QN_NO_INDEX)
    return qn_lexer_fail(&reader->lexer, &token, "'%s' already names a value", name);
  *out_slot = qn_reader_find_attr_slot(reader, name);
  if (*out_slot == QN_NO_INDEX) {
    *out_slot = program->attr_slot_count;
    QN_TRY(qn_reader_grow(reader, &program->attr_slot_count, 1, QN_SLOTS_MAX, "names of attributes"));
    reader->attr_slots[*out_slot] = (qn_attr_slot){ .name = name, .attr = attr };
  } else if (reader->attr_slots[*out_slot].attr->kind != attr->kind) {
    return qn_lexer_fail(&reader->lexer, &token, "'%s' already names an attribute of another kind", name);
  }
  return QN_OK;
}

// key "=" ( literal | name [ ":" literal ] | "_" )
static qn_status read_test(qn_rule_reader *reader, qn_term *term) {
  qn_lexer *lexer = &reader->lexer;
  qn_attr_test test = { .attr_slot = QN_NO_INDEX };
  qn_token key = lexer->token;
  test.place = place_of(reader, &key);
  if (key.kind != QN_TOKEN_NAME) return qn_lexer_fail_expected(lexer, "the name of an attribute, or '..'");
  QN_TRY(find_attr(reader, term, &key, &test.attr));
  for (uint16_t i = 0; i < term->test_count; i++)
    if (!strcmp(reader->tests[term->test_first + i].attr->name, test.attr->name))
      return qn_lexer_fail(lexer, &key, "'%s' is mentioned twice", test.attr->name);
  qn_lexer_next(lexer);
  QN_TRY(qn_lexer_expect(lexer, '='));
  if (qn_reader_at_literal(reader, test.attr)) {
    test.has_literal = true;
  } else if (qn_lexer_at_word(lexer, "_")) {
    qn_lexer_next(lexer);
  } else {
    QN_TRY(bind_attr(reader, test.attr, &test.attr_slot));
    test.has_literal = qn_lexer_accept(lexer, ':');
  }
  if (test.has_literal) QN_TRY(qn_reader_literal(reader, test.attr, &test.literal));
  QN_TRY(qn_reader_grow(reader, &reader->program->test_count, 1, QN_TESTS_MAX, "attributes"));
  reader->tests[term->test_first + term->test_count++] = test;
  return QN_OK;
}

// "[" { test "," } [ ".." ] "]"
static qn_status read_tests(qn_rule_reader *reader, qn_term *term) {
  qn_lexer *lexer = &reader->lexer;
  term->test_first = reader->program->test_count;
  if (!qn_lexer_accept(lexer, '[')) return QN_OK;
  do {
    if (qn_lexer_accept(lexer, QN_TOKEN_DOTS2)) {
      term->any_attrs = true;
      break;
    }
    QN_TRY(read_test(reader, term));
  } while (qn_lexer_accept(lexer, ','));
  return qn_lexer_expect(lexer, ']');
}

// --- expressions -----------------------------------------------------------------------------------------

static qn_status add_op(qn_rule_reader *reader, qn_term *term) {
  qn_lexer *lexer = &reader->lexer;
  if (lexer->token.kind != QN_TOKEN_NAME) return qn_lexer_fail_expected(lexer, "an operation");
  qn_op op = qn_op_find(lexer->token.text, lexer->token.length);
  if (op == QN_OP_NONE)
    return qn_lexer_fail(lexer, &lexer->token, "no operation is called '%.*s'",
                         (int)QN_MIN(lexer->token.length, 64), lexer->token.text);
  QN_TRY(qn_reader_grow(reader, &reader->program->op_count, 1, QN_TERMS_MAX, "operations"));
  reader->ops[term->op_first + term->op_count++] = (uint16_t)op;
  qn_lexer_next(lexer);
  return QN_OK;
}

static qn_status check_operand_count(qn_rule_reader *reader, const qn_token *token, const qn_term *term,
                                     uint16_t count) {
  for (uint16_t i = 0; i < term->op_count; i++) {
    const qn_op_info *info = qn_op_get_info((qn_op)reader->ops[term->op_first + i]);
    if (!info->operands_repeat && count > info->operand_count)
      return qn_lexer_fail(&reader->lexer, token, "'%s' has at most %u operands, not %u", info->name,
                           info->operand_count, count);
    if (!term->rest && count < info->operand_min)
      return qn_lexer_fail(&reader->lexer, token,
                           "'%s' has at least %u operands, not %u; '...' stands for more", info->name,
                           info->operand_min, count);
  }
  return QN_OK;
}

// op "(" [ alt { "," alt } [ "," "..." ] ] ")" [ attrs ]
static qn_status read_op(qn_rule_reader *reader, qn_term *term) {
  qn_lexer *lexer = &reader->lexer;
  qn_token token = lexer->token;
  uint16_t operands[OPERANDS_MAX], count = 0;
  term->kind = QN_TERM_OP;
  term->op_first = reader->program->op_count;
  if (qn_lexer_accept(lexer, '{')) {
    do QN_TRY(add_op(reader, term));
    while (qn_lexer_accept(lexer, '|'));
    QN_TRY(qn_lexer_expect(lexer, '}'));
  } else {
    QN_TRY(add_op(reader, term));
  }
  QN_TRY(qn_lexer_expect(lexer, '('));
  while (lexer->token.kind != ')') {
    if (qn_lexer_accept(lexer, QN_TOKEN_DOTS3)) {
      term->rest = true;
      break;
    }
    if (count == OPERANDS_MAX)
      return qn_lexer_fail_limit(lexer, &lexer->token, "an operation of a rule has at most %d operands",
                                 OPERANDS_MAX);
    QN_TRY(read_alt(reader, &operands[count++]));
    if (lexer->token.kind != ')') QN_TRY(qn_lexer_expect(lexer, ','));
  }
  QN_TRY(qn_lexer_expect(lexer, ')'));
  QN_TRY(check_operand_count(reader, &token, term, count));
  term->count = count;
  QN_TRY(add_kids(reader, operands, count, &term->first));
  return read_tests(reader, term);
}

static bool at_number(const qn_lexer *lexer) {
  int kind = lexer->token.kind;
  return kind == QN_TOKEN_INT || kind == QN_TOKEN_FLOAT || kind == '-' || qn_lexer_at_word(lexer, "inf") ||
         qn_lexer_at_word(lexer, "nan");
}

// Whether the name at the lexer is followed by a parenthesis: an operation and not a value.
static bool at_op(const qn_lexer *lexer) {
  if (lexer->token.kind == '{') return true;
  if (lexer->token.kind != QN_TOKEN_NAME) return false;
  qn_lexer ahead = *lexer;
  qn_lexer_next(&ahead);
  return ahead.token.kind == '(';
}

// `out_optional`: `op(x)?`, so that its first operand may stand in its place.
static qn_status read_expr(qn_rule_reader *reader, uint16_t *out_term, bool *out_optional) {
  qn_lexer *lexer = &reader->lexer;
  static const qn_attr_info number = { .name = "", .kind = QN_ATTR_FLOAT };
  qn_term term = { .place = place_of(reader, &lexer->token), .slot = QN_NO_INDEX, .stmt = QN_NO_INDEX };
  *out_optional = false;
  if (at_number(lexer)) {
    qn_literal literal;
    term.kind = QN_TERM_NUMBER;
    QN_TRY(qn_reader_literal(reader, &number, &literal));
    term.number = literal.f;
  } else if (qn_lexer_at_word(lexer, "_")) {
    term.kind = QN_TERM_ANY;
    qn_lexer_next(lexer);
    term.optional = qn_lexer_accept(lexer, '?');
  } else if (at_op(lexer)) {
    if (reader->nest == QN_NEST_MAX)
      return qn_lexer_fail_limit(lexer, &lexer->token, "operations are nested more than %d deep", QN_NEST_MAX);
    reader->nest++;
    QN_TRY(read_op(reader, &term));
    reader->nest--;
    qn_token mark = lexer->token;
    *out_optional = qn_lexer_accept(lexer, '?');
    if (*out_optional && !term.count)
      return qn_lexer_fail(lexer, &mark, "only an operation with an operand can be left out");
  } else {
    QN_TRY(read_slot(reader, &term));
  }
  return add_term(reader, &term, out_term);
}

// expr { "|" expr }. One arm stays as it is; `op(x)?` makes two.
static qn_status read_alt(qn_rule_reader *reader, uint16_t *out_term) {
  qn_lexer *lexer = &reader->lexer;
  uint16_t arms[ARMS_MAX], count = 0;
  qn_term alt = {
    .kind = QN_TERM_ALT, .place = place_of(reader, &lexer->token), .slot = QN_NO_INDEX, .stmt = QN_NO_INDEX
  };
  do {
    if (count + 2 > ARMS_MAX)
      return qn_lexer_fail_limit(lexer, &lexer->token, "an operand has at most %d alternatives", ARMS_MAX - 1);
    bool optional;
    QN_TRY(read_expr(reader, &arms[count], &optional));
    const qn_term *term = &reader->terms[arms[count++]];
    if (optional) arms[count++] = reader->kids[term->first];
  } while (qn_lexer_accept(lexer, '|'));
  if (count == 1) {
    *out_term = arms[0];
    return QN_OK;
  }
  alt.count = count;
  QN_TRY(add_kids(reader, arms, count, &alt.first));
  return add_term(reader, &alt, out_term);
}

// --- statements ------------------------------------------------------------------------------------------

// An operation that is an arm of a statement is the statement's node when that arm is taken. The operand that
// stands in for an absent `op(x)?` is not: it is matched below the operation as well.
static void name_arms(qn_rule_reader *reader, const qn_term *alt, uint16_t stmt) {
  for (uint16_t i = 0; i < alt->count; i++) {
    qn_term *arm = &reader->terms[reader->kids[alt->first + i]];
    const qn_term *previous = i ? &reader->terms[reader->kids[alt->first + i - 1]] : NULL;
    bool stands_in = previous && previous->kind == QN_TERM_OP && previous->count &&
                     reader->kids[previous->first] == reader->kids[alt->first + i];
    if (arm->kind == QN_TERM_OP && !stands_in) arm->stmt = stmt;
  }
}

static qn_status define(qn_rule_reader *reader, const qn_token *token, const char *name, uint16_t stmt,
                        uint16_t result) {
  uint16_t old = qn_reader_find_slot(reader, name), slot;
  if (old != QN_NO_INDEX && reader->slots[old].stmt != QN_NO_INDEX)
    return qn_lexer_fail(&reader->lexer, token, "'%s' is defined twice", name);
  if (old != QN_NO_INDEX)
    return qn_lexer_fail(&reader->lexer, token, "'%s' is used before the statement that defines it", name);
  return add_slot(reader, token, &(qn_slot){ .name = name, .stmt = stmt, .result = result }, &slot);
}

// name { "," name } "=" alt
static qn_status read_stmt(qn_rule_reader *reader) {
  qn_lexer *lexer = &reader->lexer;
  qn_program *program = reader->program;
  qn_token tokens[NAMES_MAX], start = lexer->token;
  const char *names[NAMES_MAX];
  uint16_t count = 0, index = program->stmt_count;
  if (!start.first_on_line) return qn_lexer_fail_expected(lexer, "the end of the line");
  do {
    if (count == NAMES_MAX)
      return qn_lexer_fail_limit(lexer, &lexer->token, "a statement has at most %d names", NAMES_MAX);
    tokens[count] = lexer->token;
    QN_TRY(qn_reader_name(reader, "the name of a value, or '=>'", &names[count]));
    if (!strcmp(names[count], "_") || !strcmp(names[count], "inf") || !strcmp(names[count], "nan"))
      return qn_lexer_fail(lexer, &tokens[count], "'%s' cannot be a name", names[count]);
    count++;
  } while (qn_lexer_accept(lexer, ','));
  QN_TRY(qn_lexer_expect(lexer, '='));
  qn_stmt stmt = { .slot_count = count, .begin = place_of(reader, &start) };
  QN_TRY(read_alt(reader, &stmt.term));
  qn_term *term = &reader->terms[stmt.term];
  // A shared term (`y = x`, or an arm of an optional operation) would make two statements of one place.
  if (term->kind != QN_TERM_OP && term->kind != QN_TERM_ALT)
    return qn_lexer_fail(lexer, &start, "the right side of '%s' is not an operation", names[0]);
  term->stmt = index;
  if (term->kind == QN_TERM_ALT) name_arms(reader, term, index);
  term->many = count > 1;
  if (term->many && term->kind != QN_TERM_OP)
    return qn_lexer_fail(lexer, &start, "several names need one operation, not alternatives");
  stmt.first_slot = program->slot_count;
  for (uint16_t i = 0; i < count; i++) QN_TRY(define(reader, &tokens[i], names[i], index, i));
  stmt.end = place_of(reader, &lexer->token);
  while (stmt.end > stmt.begin && strchr(" \t\r\n", program->rule->match[stmt.end - 1])) stmt.end--;
  QN_TRY(qn_reader_grow(reader, &program->stmt_count, 1, QN_STMTS_MAX, "statements"));
  reader->stmts[index] = stmt;
  return QN_OK;
}

static qn_status read_outputs(qn_rule_reader *reader) {
  qn_lexer *lexer = &reader->lexer;
  qn_program *program = reader->program;
  do {
    qn_token token = lexer->token;
    const char *name;
    QN_TRY(qn_reader_name(reader, "the name of an output", &name));
    uint16_t slot = qn_reader_find_slot(reader, name);
    if (slot == QN_NO_INDEX || reader->slots[slot].stmt == QN_NO_INDEX)
      return qn_lexer_fail(lexer, &token, "no statement defines '%s'", name);
    if (reader->slots[slot].output) return qn_lexer_fail(lexer, &token, "'%s' is listed twice", name);
    reader->slots[slot].output = true;
    QN_TRY(qn_reader_grow(reader, &program->output_count, 1, QN_RULE_OUTPUTS_MAX, "outputs"));
    program->outputs[program->output_count - 1] = slot;
  } while (qn_lexer_accept(lexer, ','));
  const qn_slot *anchor = &reader->slots[program->outputs[0]];
  const qn_term *root = &reader->terms[reader->stmts[anchor->stmt].term];
  for (uint16_t i = 0; root->kind == QN_TERM_ALT && i < root->count; i++)
    if (reader->terms[reader->kids[root->first + i]].kind != QN_TERM_OP)
      return qn_lexer_fail(lexer, &lexer->token,
                           "the first output '%s' must be an operation in every alternative", anchor->name);
  if (lexer->token.kind != QN_TOKEN_END) return qn_lexer_fail_expected(lexer, "the end of the rule");
  return QN_OK;
}

qn_status qn_read_match(qn_rule_reader *reader) {
  qn_program *program = reader->program;
  const char *text = program->rule->match;
  qn_lexer_init(&reader->lexer, reader->context, reader->place, text, strlen(text));
  while (reader->lexer.token.kind != QN_TOKEN_ARROW) {
    if (reader->lexer.token.kind == QN_TOKEN_END) return qn_lexer_fail_expected(&reader->lexer, "'=>'");
    QN_TRY(read_stmt(reader));
  }
  qn_lexer_next(&reader->lexer);
  QN_TRY(read_outputs(reader));
  qn_term anchor = { .kind = QN_TERM_SLOT,
                     .slot = program->outputs[0],
                     .stmt = QN_NO_INDEX,
                     .place = reader->stmts[reader->slots[program->outputs[0]].stmt].begin };
  return add_term(reader, &anchor, &program->anchor);
}

// --- guards ----------------------------------------------------------------------------------------------

qn_status qn_read_guards(qn_rule_reader *reader) {
  qn_program *program = reader->program;
  for (; program->guard_count < QN_GUARDS_MAX; program->guard_count++) {
    const char *const *words = program->rule->where[program->guard_count];
    qn_call *guard = &program->guards[program->guard_count];
    if (!words[0]) break;
    *guard = (qn_call){ .name = words[0], .predicate = qn_family_get_predicate(program->family, words[0]) };
    if (!guard->predicate)
      return qn_fail(reader->context, QN_INVALID, reader->place, "no predicate is called '%s'", words[0]);
    for (; guard->arg_count < QN_GUARD_ARGS_MAX && words[1 + guard->arg_count]; guard->arg_count++)
      if (!qn_reader_arg(reader, words[1 + guard->arg_count], &guard->args[guard->arg_count]))
        return qn_fail(reader->context, QN_INVALID, reader->place,
                       "guard '%s': the match side has no name '%s'", words[0], words[1 + guard->arg_count]);
  }
  return QN_OK;
}
