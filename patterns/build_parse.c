// Reads the build side of a rule: statements that make nodes out of what the match side bound.
#include "patterns/program_priv.h"

enum { OPERANDS_MAX = 32, NAMES_MAX = QN_OP_RESULTS_MAX };

static qn_status read_expr(qn_rule_reader *reader, uint16_t result_count, qn_build_ref *out_ref);

// --- names -----------------------------------------------------------------------------------------------

static const qn_build_ref *find_built(const qn_rule_reader *reader, const char *name) {
  for (uint16_t i = 0; i < reader->built_count; i++)
    if (!strcmp(reader->built[i].name, name)) return &reader->built[i].ref;
  return NULL;
}

// A name on the right: what the build has made under it, else what the match side bound.
static qn_status read_name(qn_rule_reader *reader, qn_build_ref *out_ref) {
  qn_token token = reader->lexer.token;
  const char *name;
  QN_TRY(qn_reader_name(reader, "an operand", &name));
  const qn_build_ref *built = find_built(reader, name);
  if (built) {
    *out_ref = *built;
    return QN_OK;
  }
  uint16_t slot = qn_reader_find_slot(reader, name);
  if (slot == QN_NO_INDEX) return qn_lexer_fail(&reader->lexer, &token, "no value is called '%s'", name);
  if (reader->slots[slot].output)
    return qn_lexer_fail(&reader->lexer, &token, "'%s' is replaced, so the build cannot read it", name);
  reader->slots[slot].built_from = true;
  *out_ref = (qn_build_ref){ .source = QN_SOURCE_SLOT, .index = slot };
  return QN_OK;
}

// --- attributes ------------------------------------------------------------------------------------------

// "@" name [ "(" [ name { "," name } ] ")" ]
static qn_status read_call(qn_rule_reader *reader, uint16_t *out_call) {
  qn_lexer *lexer = &reader->lexer;
  qn_program *program = reader->program;
  qn_token token = lexer->token;
  qn_call call = { 0 };
  QN_TRY(qn_reader_name(reader, "the name of a function", &call.name));
  call.function = qn_family_get_function(program->family, call.name);
  if (!call.function) return qn_lexer_fail(lexer, &token, "no function is called '%s'", call.name);
  if (qn_lexer_accept(lexer, '(')) {
    while (lexer->token.kind != ')') {
      if (call.arg_count == QN_GUARD_ARGS_MAX)
        return qn_lexer_fail_limit(lexer, &lexer->token, "a function has at most %d arguments",
                                   QN_GUARD_ARGS_MAX);
      token = lexer->token;
      if (token.kind != QN_TOKEN_NAME && token.kind != QN_TOKEN_INT)
        return qn_lexer_fail_expected(lexer, "a name or an integer");
      const char *word = qn_arena_copy(reader->arena, token.text, token.length);
      if (!word) return qn_fail_memory(reader->context);
      if (!qn_reader_arg(reader, word, &call.args[call.arg_count++]))
        return qn_lexer_fail(lexer, &token, "the match side has no name '%s'", word);
      qn_lexer_next(lexer);
      if (lexer->token.kind != ')') QN_TRY(qn_lexer_expect(lexer, ','));
    }
    qn_lexer_next(lexer);
  }
  *out_call = program->build_call_count;
  QN_TRY(qn_reader_grow(reader, &program->build_call_count, 1, QN_BUILD_NODES_MAX, "functions"));
  reader->build_calls[*out_call] = call;
  return QN_OK;
}

// Whether the token after the name at the lexer is of a kind.
static bool is_followed_by(const qn_lexer *lexer, int kind) {
  qn_lexer ahead = *lexer;
  qn_lexer_next(&ahead);
  return lexer->token.kind == QN_TOKEN_NAME && ahead.token.kind == kind;
}

// `x..`: a statement of the match side.
static qn_status read_stmt_name(qn_rule_reader *reader, uint16_t *out_stmt) {
  qn_lexer *lexer = &reader->lexer;
  qn_token token = lexer->token;
  const char *name;
  QN_TRY(qn_reader_name(reader, "a statement", &name));
  QN_TRY(qn_lexer_expect(lexer, QN_TOKEN_DOTS2));
  uint16_t slot = qn_reader_find_slot(reader, name);
  if (slot == QN_NO_INDEX || reader->slots[slot].stmt == QN_NO_INDEX)
    return qn_lexer_fail(lexer, &token, "no statement of the match side is called '%s'", name);
  *out_stmt = reader->slots[slot].stmt;
  return QN_OK;
}

// The statement whose attributes are copied.
static qn_status read_copy(qn_rule_reader *reader, const qn_token *token, qn_build_node *node) {
  if (node->copy != QN_NO_INDEX) return qn_lexer_fail(&reader->lexer, token, "attributes are copied twice");
  return read_stmt_name(reader, &node->copy);
}

// key "=" ( literal | name | "@" function )
static qn_status read_attr(qn_rule_reader *reader, const qn_token *key, qn_build_node *node) {
  qn_lexer *lexer = &reader->lexer;
  qn_program *program = reader->program;
  const qn_op_info *info = qn_op_get_info(node->op);
  int index = qn_op_find_attr(node->op, key->text, key->length);
  if (index < 0)
    return qn_lexer_fail(lexer, key, "'%s' has no attribute '%.*s'", info->name, (int)QN_MIN(key->length, 64),
                         key->text);
  qn_build_attr attr = { .attr = &info->attrs[index], .attr_slot = QN_NO_INDEX, .call = QN_NO_INDEX };
  for (uint16_t i = 0; i < node->attr_count; i++)
    if (reader->build_attrs[node->attr_first + i].attr == attr.attr)
      return qn_lexer_fail(lexer, key, "'%s' is given twice", attr.attr->name);
  qn_lexer_next(lexer);
  QN_TRY(qn_lexer_expect(lexer, '='));
  if (qn_lexer_accept(lexer, '@')) {
    QN_TRY(read_call(reader, &attr.call));
  } else if (qn_reader_at_literal(reader, attr.attr)) {
    QN_TRY(qn_reader_literal(reader, attr.attr, &attr.literal));
    attr.literal.exact_scheme = true;
  } else {
    qn_token token = lexer->token;
    const char *name;
    QN_TRY(qn_reader_name(reader, "a literal, a name or '@'", &name));
    attr.attr_slot = qn_reader_find_attr_slot(reader, name);
    if (attr.attr_slot == QN_NO_INDEX)
      return qn_lexer_fail(lexer, &token, "no attribute of the match side is called '%s'", name);
    if (reader->attr_slots[attr.attr_slot].attr->kind != attr.attr->kind)
      return qn_lexer_fail(lexer, &token, "'%s' is of another kind than '%s'", name, attr.attr->name);
  }
  QN_TRY(qn_reader_grow(reader, &program->build_attr_count, 1, QN_TESTS_MAX, "attributes"));
  reader->build_attrs[node->attr_first + node->attr_count++] = attr;
  return QN_OK;
}

static qn_status read_attrs(qn_rule_reader *reader, qn_build_node *node) {
  qn_lexer *lexer = &reader->lexer;
  node->attr_first = reader->program->build_attr_count;
  if (!qn_lexer_accept(lexer, '[')) return QN_OK;
  do {
    qn_token token = lexer->token;
    if (token.kind != QN_TOKEN_NAME)
      return qn_lexer_fail_expected(lexer, "the name of an attribute, or of a statement");
    if (is_followed_by(lexer, QN_TOKEN_DOTS2))
      QN_TRY(read_copy(reader, &token, node));
    else
      QN_TRY(read_attr(reader, &token, node));
  } while (qn_lexer_accept(lexer, ','));
  return qn_lexer_expect(lexer, ']');
}

// --- expressions -----------------------------------------------------------------------------------------

// `x..` among operands: what the node of statement x has from this position on.
static qn_status read_rest(qn_rule_reader *reader, qn_build_ref *operands, uint16_t *count) {
  qn_lexer *lexer = &reader->lexer;
  qn_token token = lexer->token;
  uint16_t stmt;
  QN_TRY(read_stmt_name(reader, &stmt));
  const qn_term *term = &reader->terms[reader->stmts[stmt].term];
  const qn_op_info *info = term->kind == QN_TERM_OP && term->op_count == 1
                               ? qn_op_get_info((qn_op)reader->ops[term->op_first])
                               : NULL;
  if (!info || info->operands_repeat)
    return qn_lexer_fail(lexer, &token,
                         "operands are taken from a statement of one operation that names them all");
  for (; *count < info->operand_count; (*count)++)
    operands[*count] = (qn_build_ref){ QN_SOURCE_OPERAND, stmt, *count };
  return QN_OK;
}

// operand "=" make: at the place that the op table has for the name; those between are absent.
static qn_status read_named(qn_rule_reader *reader, const qn_op_info *info, qn_build_ref *operands,
                            uint16_t *count) {
  qn_lexer *lexer = &reader->lexer;
  qn_token token = lexer->token;
  uint32_t place = 0;
  for (; place < info->operand_count; place++) {
    size_t length = strcspn(info->operands[place], "?*");
    if (length == token.length && !memcmp(info->operands[place], token.text, length)) break;
  }
  if (place == info->operand_count)
    return qn_lexer_fail(lexer, &token, "'%s' has no operand '%.*s'", info->name, (int)QN_MIN(token.length, 64),
                         token.text);
  qn_lexer_next(lexer);
  QN_TRY(qn_lexer_expect(lexer, '='));
  while (*count <= place) operands[(*count)++] = (qn_build_ref){ .source = QN_SOURCE_ABSENT };
  return read_expr(reader, 1, &operands[place]);
}

// [ operand { "," operand } ]; those without a name come first.
static qn_status read_operands(qn_rule_reader *reader, const qn_op_info *info, qn_build_ref *operands,
                               uint16_t *out_count) {
  qn_lexer *lexer = &reader->lexer;
  bool by_name = false;
  *out_count = 0;
  while (lexer->token.kind != ')') {
    bool rest = is_followed_by(lexer, QN_TOKEN_DOTS2), named = is_followed_by(lexer, '=');
    if (by_name && !named) return qn_lexer_fail_expected(lexer, "the name of an operand and '='");
    by_name = rest || named;
    if (*out_count == OPERANDS_MAX)
      return qn_lexer_fail_limit(lexer, &lexer->token, "an operation of a rule has at most %d operands",
                                 OPERANDS_MAX);
    if (rest)
      QN_TRY(read_rest(reader, operands, out_count));
    else if (named)
      QN_TRY(read_named(reader, info, operands, out_count));
    else
      QN_TRY(read_expr(reader, 1, &operands[(*out_count)++]));
    if (lexer->token.kind != ')') QN_TRY(qn_lexer_expect(lexer, ','));
  }
  return QN_OK;
}

// op "(" [ operands ] ")" [ attrs ]
static qn_status read_op(qn_rule_reader *reader, uint16_t result_count, qn_build_ref *out_ref) {
  qn_lexer *lexer = &reader->lexer;
  qn_program *program = reader->program;
  qn_token token = lexer->token;
  qn_build_node node = { .op = qn_op_find(token.text, token.length),
                         .copy = QN_NO_INDEX,
                         .place = (uint32_t)(token.text - program->rule->build) };
  if (node.op == QN_OP_NONE)
    return qn_lexer_fail(lexer, &token, "no operation is called '%.*s'", (int)QN_MIN(token.length, 64),
                         token.text);
  const qn_op_info *info = qn_op_get_info(node.op);
  if (result_count > info->result_count && !info->results_repeat)
    return qn_lexer_fail(lexer, &token, "'%s' has at most %u results, not %u", info->name, info->result_count,
                         result_count);
  node.result_count = QN_MAX(result_count, info->result_min);
  qn_lexer_next(lexer);
  QN_TRY(qn_lexer_expect(lexer, '('));
  qn_build_ref operands[OPERANDS_MAX];
  QN_TRY(read_operands(reader, info, operands, &node.count));
  qn_lexer_next(lexer);
  if (node.count < info->operand_min || (node.count > info->operand_count && !info->operands_repeat))
    return qn_lexer_fail(lexer, &token, "'%s' has %u to %u operands, not %u", info->name, info->operand_min,
                         info->operand_count, node.count);
  QN_TRY(read_attrs(reader, &node));
  node.first = program->build_arg_count;
  QN_TRY(qn_reader_grow(reader, &program->build_arg_count, node.count, QN_KIDS_MAX, "operands"));
  memcpy(reader->build_args + node.first, operands, node.count * sizeof *operands);
  *out_ref = (qn_build_ref){ .source = QN_SOURCE_BUILT, .index = program->build_node_count };
  QN_TRY(qn_reader_grow(reader, &program->build_node_count, 1, QN_BUILD_NODES_MAX, "new operations"));
  reader->build_nodes[out_ref->index] = node;
  return QN_OK;
}

static qn_status read_expr(qn_rule_reader *reader, uint16_t result_count, qn_build_ref *out_ref) {
  qn_lexer *lexer = &reader->lexer;
  if (qn_lexer_at_word(lexer, "_")) {
    *out_ref = (qn_build_ref){ .source = QN_SOURCE_ABSENT };
    qn_lexer_next(lexer);
    return QN_OK;
  }
  qn_lexer ahead = *lexer;
  qn_lexer_next(&ahead);
  if (lexer->token.kind != QN_TOKEN_NAME || ahead.token.kind != '(') return read_name(reader, out_ref);
  if (reader->nest == QN_NEST_MAX)
    return qn_lexer_fail_limit(lexer, &lexer->token, "operations are nested more than %d deep", QN_NEST_MAX);
  reader->nest++;
  QN_TRY(read_op(reader, result_count, out_ref));
  reader->nest--;
  return QN_OK;
}

// --- statements ------------------------------------------------------------------------------------------

static qn_status read_stmt(qn_rule_reader *reader) {
  qn_lexer *lexer = &reader->lexer;
  const char *names[NAMES_MAX];
  uint16_t count = 0;
  if (!lexer->token.first_on_line) return qn_lexer_fail_expected(lexer, "the end of the line");
  qn_token start = lexer->token;
  do {
    if (count == NAMES_MAX)
      return qn_lexer_fail_limit(lexer, &lexer->token, "a statement has at most %d names", NAMES_MAX);
    qn_token token = lexer->token;
    QN_TRY(qn_reader_name(reader, "the name of a value", &names[count]));
    if (find_built(reader, names[count]))
      return qn_lexer_fail(lexer, &token, "'%s' is built twice", names[count]);
    count++;
  } while (qn_lexer_accept(lexer, ','));
  QN_TRY(qn_lexer_expect(lexer, '='));
  qn_build_ref ref;
  QN_TRY(read_expr(reader, count, &ref));
  if (ref.source == QN_SOURCE_ABSENT)
    return qn_lexer_fail(lexer, &start, "'%s' is built from nothing", names[0]);
  if (count > 1 && ref.source != QN_SOURCE_BUILT)
    return qn_lexer_fail(lexer, &start, "several names need an operation");
  for (uint16_t i = 0; i < count; i++) {
    QN_TRY(qn_reader_grow(reader, &reader->built_count, 1, QN_SLOTS_MAX, "names"));
    reader->built[reader->built_count - 1].name = names[i];
    reader->built[reader->built_count - 1].ref =
        (qn_build_ref){ ref.source, ref.index, (uint16_t)(ref.result + i) };
  }
  return QN_OK;
}

qn_status qn_read_build(qn_rule_reader *reader) {
  qn_program *program = reader->program;
  const char *text = program->rule->build;
  qn_lexer_init(&reader->lexer, reader->context, reader->place, text, strlen(text));
  while (reader->lexer.token.kind != QN_TOKEN_END) QN_TRY(read_stmt(reader));
  for (uint16_t i = 0; i < program->output_count; i++) {
    const char *name = reader->slots[program->outputs[i]].name;
    const qn_build_ref *ref = find_built(reader, name);
    if (!ref)
      return qn_lexer_fail(&reader->lexer, &reader->lexer.token, "nothing is built for the output '%s'", name);
    program->build_outputs[i] = *ref;
  }
  return QN_OK;
}
