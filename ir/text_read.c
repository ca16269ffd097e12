// Reads the text form, docs/text.md. Types and dims are in text_type.c, attributes in text_attr.c.
#include "ir/text_priv.h"

#include <stdio.h>

static qn_status read_metadata(text_reader *r, qn_node_params *params) {
  qn_lexer *lex = &r->lex;
  if (!qn_lexer_accept(lex, '{')) return QN_OK;
  const struct {
    const char *key;
    const char **text;
  } texts[] = { { "name", &params->name }, { "layer", &params->layer }, { "location", &params->location } };
  bool seen_id = false;
  do {
    qn_token key = lex->token;
    const char **text = NULL;
    bool is_id = qn_lexer_at_word(lex, "id");
    for (size_t i = 0; i < QN_COUNT(texts); i++)
      if (qn_lexer_at_word(lex, texts[i].key)) text = texts[i].text;
    if (!is_id && !text) return qn_lexer_fail_expected(lex, "id, name, layer or location");
    if (is_id ? seen_id : *text != NULL)
      return qn_lexer_fail(lex, &key, "'%.*s' is given twice", (int)key.length, key.text);
    qn_lexer_next(lex);
    QN_TRY(qn_lexer_expect(lex, '='));
    if (is_id) {
      seen_id = true;
      params->id = lex->token.bits;
      QN_TRY(qn_lexer_expect(lex, QN_TOKEN_INT));
    } else {
      if (lex->token.kind != QN_TOKEN_STRING) return qn_lexer_fail_expected(lex, "a string");
      QN_TRY(qn_text_read_name(r, "a string", text));
    }
  } while (qn_lexer_accept(lex, ','));
  return qn_lexer_expect(lex, '}');
}

// --- nodes -----------------------------------------------------------------------------------------------

static void clear_node(text_reader *r) {
  r->result_count = r->operand_count = r->attr_count = 0;
  qn_arena_reset(&r->scratch);
}

// `name [: type]`
static qn_status read_result(text_reader *r) {
  uint32_t at = r->result_count;
  QN_TRY(QN_RESERVE(r->context, r->results, r->result_capacity, at + 1ull));
  QN_TRY(QN_RESERVE(r->context, r->names, r->name_capacity, at + 1ull));
  QN_TRY(QN_RESERVE(r->context, r->types, r->type_capacity, at + 1ull));
  text_result *result = &r->results[at];
  *result = (text_result){ .token = r->lex.token };
  QN_TRY(qn_text_read_name(r, "the name of a value", &r->names[at]));
  r->types[at] = 0;
  if (qn_lexer_accept(&r->lex, ':')) {
    result->typed = true;
    QN_TRY(qn_text_read_type(r, &r->types[at]));
  }
  r->result_count++;
  return QN_OK;
}

static qn_status read_value(text_reader *r, qn_value *out_value) {
  qn_lexer *lex = &r->lex;
  qn_token token = lex->token;
  if (token.kind == QN_TOKEN_NAME) {
    *out_value = qn_graph_find_value(r->graph, token.text, token.length);
  } else if (token.kind == QN_TOKEN_STRING) {
    size_t length;
    const char *text = qn_token_decode(&token, &r->scratch, &length);
    if (!text) return qn_fail_memory(r->context);
    *out_value = qn_graph_find_value(r->graph, text, length);
  } else {
    return qn_lexer_fail_expected(lex, "the name of a value");
  }
  if (*out_value == QN_NONE)
    return qn_lexer_fail(lex, &token, "expected a value that is defined above, found '%.*s'",
                         (int)QN_MIN(token.length, (size_t)100), token.text);
  qn_lexer_next(lex);
  return QN_OK;
}

static qn_status read_operands(text_reader *r) {
  qn_lexer *lex = &r->lex;
  if (!qn_lexer_accept(lex, '(')) return QN_OK;
  do {
    QN_TRY(QN_RESERVE(r->context, r->operands, r->operand_capacity, r->operand_count + 1ull));
    qn_value value = QN_NONE;
    if (qn_lexer_at_word(lex, "_"))
      qn_lexer_next(lex);
    else
      QN_TRY(read_value(r, &value));
    r->operands[r->operand_count++] = value;
  } while (qn_lexer_accept(lex, ','));
  return qn_lexer_expect(lex, ')');
}

// Adds the node that was read. Its names must not be taken, and its declared types stand as they are written:
// a less precise one than what the shape rule finds is no error, and is written back as it came.
static qn_status add_node(text_reader *r, const qn_token *place, qn_node_params *params) {
  params->result_count = r->result_count;
  params->names = r->result_count ? r->names : NULL;
  params->types = r->result_count ? r->types : NULL;
  QN_TRY(QN_RESERVE(r->context, r->values, r->value_capacity, r->result_count));
  qn_status status = qn_graph_add(r->graph, params, r->values);
  if (status != QN_OK)
    return qn_fail_within(r->context, status, "%s:%u:%u", r->lex.place, (unsigned)place->line,
                          (unsigned)place->column);
  for (uint32_t i = 0; i < r->result_count; i++) {
    const qn_token *token = &r->results[i].token;
    if (strcmp(qn_value_get_name(r->graph, r->values[i]).text, r->names[i]) != 0)
      return qn_lexer_fail(&r->lex, token, "expected a new name, found %.*s, which an earlier value has",
                           (int)QN_MIN(token->length, (size_t)100), token->text);
    if (r->results[i].typed) qn_value_set_type(r->graph, r->values[i], r->types[i]);
  }
  return QN_OK;
}

static qn_status read_results(text_reader *r) {
  qn_lexer *lex = &r->lex;
  // An op stands here where a node has no results: a name that neither ':' nor ',' nor '=' follows.
  qn_lexer ahead = *lex;
  qn_lexer_next(&ahead);
  int next = ahead.token.kind;
  if (lex->token.kind == QN_TOKEN_NAME && next != ':' && next != ',' && next != '=') return QN_OK;
  do QN_TRY(read_result(r));
  while (qn_lexer_accept(lex, ','));
  return qn_lexer_expect(lex, '=');
}

static qn_status read_node(text_reader *r) {
  qn_lexer *lex = &r->lex;
  clear_node(r);
  if (!lex->token.first_on_line) return qn_lexer_fail_expected(lex, "the end of the line");
  QN_TRY(read_results(r));
  qn_token place = lex->token;
  r->op = place.kind == QN_TOKEN_NAME ? qn_op_find(place.text, place.length) : QN_OP_NONE;
  if (r->op == QN_OP_NONE) return qn_lexer_fail_expected(lex, "an operation of ops.def");
  if (r->op == QN_OP_input)
    return qn_lexer_fail(lex, &place, "inputs stand between the parentheses of the graph");
  if (r->result_count == 0 && qn_op_get_info(r->op)->result_min > 0)
    return qn_lexer_fail_expected(lex, "a result and '=' in front of the operation");
  qn_lexer_next(lex);
  QN_TRY(read_operands(r));
  QN_TRY(qn_text_read_attrs(r));
  qn_node_params params = { .op = r->op,
                            .operands = r->operands,
                            .operand_count = r->operand_count,
                            .attrs = r->attrs,
                            .attr_count = r->attr_count };
  QN_TRY(read_metadata(r, &params));
  return add_node(r, &place, &params);
}

// --- the file --------------------------------------------------------------------------------------------

static qn_status read_inputs(text_reader *r) {
  qn_lexer *lex = &r->lex;
  QN_TRY(qn_lexer_expect(lex, '('));
  if (qn_lexer_accept(lex, ')')) return QN_OK;
  do {
    clear_node(r);
    qn_token place = lex->token;
    QN_TRY(read_result(r));
    if (!r->results[0].typed) return qn_lexer_fail_expected(lex, "':' and the type of the input");
    qn_node_params params = { .op = QN_OP_input };
    QN_TRY(read_metadata(r, &params));
    QN_TRY(add_node(r, &place, &params));
  } while (qn_lexer_accept(lex, ','));
  return qn_lexer_expect(lex, ')');
}

static qn_status read_outputs(text_reader *r) {
  qn_lexer *lex = &r->lex;
  if (!lex->token.first_on_line) return qn_lexer_fail_expected(lex, "the end of the line");
  qn_lexer_next(lex);
  if (lex->token.kind == '}') return QN_OK;
  do {
    qn_value value;
    const char *name = NULL;
    QN_TRY(read_value(r, &value));
    if (qn_lexer_at_word(lex, "as")) {
      qn_lexer_next(lex);
      if (lex->token.kind != QN_TOKEN_STRING)
        return qn_lexer_fail_expected(lex, "the name of the output as a string");
      QN_TRY(qn_text_read_name(r, "the name of an output", &name));
    }
    QN_TRY(qn_graph_add_output(r->graph, value, name));
    qn_arena_reset(&r->scratch);
  } while (qn_lexer_accept(lex, ','));
  return QN_OK;
}

// A fresh dim must not take the name of one that the text brings later.
static qn_status reserve_fresh_dims(text_reader *r, const char *text, size_t length) {
  enum { HIGHEST = 1000000000 };
  uint64_t highest = 0;
  for (const char *at = text, *end = text + length; (at = memchr(at, '?', (size_t)(end - at)));) {
    uint64_t n = 0;
    for (at++; at < end && *at >= '0' && *at <= '9' && n <= HIGHEST; at++) n = n * 10 + (uint64_t)(*at - '0');
    highest = QN_MAX(highest, n);
  }
  if (highest > HIGHEST)
    return qn_fail(r->context, QN_LIMIT, r->lex.place, "a dim ?n with n above %d", HIGHEST);
  char name[16];
  int name_length = snprintf(name, sizeof name, "?%u", (unsigned)highest);
  if (highest) qn_dim_symbol(r->graph, name, (size_t)name_length);
  return QN_OK;
}

static qn_status read_graph(text_reader *r, const char *text, size_t length) {
  qn_lexer *lex = &r->lex;
  if (!qn_lexer_at_word(lex, "graph")) return qn_lexer_fail_expected(lex, "'graph'");
  qn_lexer_next(lex);
  const char *name = NULL;
  if (lex->token.kind == QN_TOKEN_STRING) QN_TRY(qn_text_read_string(r, "the name of the graph", &name));
  QN_TRY(qn_graph_create(r->context, name, &r->graph));
  QN_TRY(reserve_fresh_dims(r, text, length));
  QN_TRY(read_inputs(r));
  QN_TRY(qn_lexer_expect(lex, '{'));
  while (!qn_lexer_at_word(lex, "return")) QN_TRY(read_node(r));
  QN_TRY(read_outputs(r));
  QN_TRY(qn_lexer_expect(lex, '}'));
  QN_TRY(qn_lexer_expect(lex, QN_TOKEN_END));
  return qn_graph_check_memory(r->graph);
}

qn_status qn_graph_read_text(qn_context *context, const char *place, const char *text, size_t length,
                             qn_graph **out_graph) {
  *out_graph = NULL;
  text_reader r = { .context = context, .scratch = QN_ARENA(context) };
  qn_lexer_init(&r.lex, context, place ? place : "text", text, length);
  qn_status status = read_graph(&r, text, length);
  qn_free(context, r.results, r.result_capacity * sizeof *r.results);
  qn_free(context, r.names, r.name_capacity * sizeof *r.names);
  qn_free(context, r.types, r.type_capacity * sizeof *r.types);
  qn_free(context, r.values, r.value_capacity * sizeof *r.values);
  qn_free(context, r.operands, r.operand_capacity * sizeof *r.operands);
  qn_arena_free(&r.scratch);
  if (status != QN_OK)
    qn_graph_destroy(r.graph);
  else
    *out_graph = r.graph;
  return status;
}
