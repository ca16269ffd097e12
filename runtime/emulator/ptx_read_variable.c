// Declarations of PTX: registers, variables of every state space, initialisers.
#include "runtime/emulator/ptx_read_priv.h"

enum { REGISTERS_MAX = 1 << 20, ALIGN_MAX = 4096, INIT_MAX = 16 << 20 };

// What a program (shared, global, const) or a function (local, param) may declare, in bytes.
static uint64_t bytes_max(qn_ptx_token space) {
  switch (space) {
  case QN_PTX_shared: return UINT64_C(1) << 20;
  case QN_PTX_local: return UINT64_C(512) << 10;
  case QN_PTX_global: return UINT64_C(1) << 30;
  case QN_PTX_const: return UINT64_C(1) << 20;
  default: return UINT64_C(64) << 10; // param
  }
}

// --- registers ------------------------------------------------------------------------------------------

static qn_status add_registers(qn_ptx_reader *reader, const qn_ptx_lexeme *name, qn_ptx_token type,
                               bool is_range, uint64_t count) {
  qn_ptx_program *program = reader->program;
  if (count > REGISTERS_MAX - program->register_count)
    return qn_ptx_fail(reader, name, QN_LIMIT, "a program has at most %d registers", REGISTERS_MAX);
  QN_TRY(
      QN_RESERVE(reader->context, reader->groups, reader->group_capacity, (uint64_t)reader->group_count + 1));
  char *copy = qn_arena_copy(&program->arena, name->text, name->length);
  if (!copy) return qn_fail_memory(reader->context);
  uint32_t words = qn_ptx_column_words(qn_ptx_bits(type));
  if (words > 1) program->columns = (program->columns + 15) & ~15u; // 64 bytes
  reader->groups[reader->group_count] = (qn_ptx_register_group){ .name = copy,
                                                                 .is_range = is_range,
                                                                 .type = type,
                                                                 .first = program->register_count,
                                                                 .count = (uint32_t)count,
                                                                 .column = program->columns };
  QN_TRY(qn_ptx_name_add(reader, name, is_range ? QN_PTX_NAME_RANGE : QN_PTX_NAME_REGISTER,
                         reader->group_count++));
  program->register_count += (uint32_t)count;
  program->columns += (uint32_t)count * words;
  return QN_OK;
}

// .reg .b32 %r<12>, %x;
qn_status qn_ptx_read_registers(qn_ptx_reader *reader) {
  qn_ptx_lexeme place = reader->token;
  qn_ptx_token type;
  if (place.kind == QN_LEX_DOT && place.length == 2 && place.text[0] == 'v')
    return qn_ptx_fail(reader, &place, QN_UNSUPPORTED, "vector registers are not supported");
  QN_TRY(qn_ptx_expect_word(reader, QN_PTX_TYPE, "a type", &type));
  if (qn_ptx_bits(type) > 64)
    return qn_ptx_fail(reader, &place, QN_UNSUPPORTED, "registers of more than 64 bits are not supported");
  do {
    qn_ptx_lexeme name;
    uint64_t count = 1;
    QN_TRY(qn_ptx_expect(reader, QN_LEX_NAME, &name));
    bool is_range = qn_ptx_accept(reader, '<');
    if (is_range) {
      QN_TRY(qn_ptx_expect_number(reader, UINT64_MAX, &count));
      QN_TRY(qn_ptx_expect(reader, '>', NULL));
    }
    QN_TRY(add_registers(reader, &name, type, is_range, count));
  } while (qn_ptx_accept(reader, ','));
  return qn_ptx_expect(reader, ';', NULL);
}

// --- layout ---------------------------------------------------------------------------------------------

static qn_status read_align(qn_ptx_reader *reader, uint32_t *out_align) {
  qn_ptx_lexeme place = reader->token;
  uint64_t align;
  QN_TRY(qn_ptx_expect_number(reader, UINT64_MAX, &align));
  if (align == 0 || align > ALIGN_MAX || (align & (align - 1)) != 0)
    return qn_ptx_fail(reader, &place, QN_INVALID, "an alignment is a power of two up to %d", ALIGN_MAX);
  *out_align = (uint32_t)align;
  return QN_OK;
}

// .ptr .global .align 4: what a parameter points to, which nothing here needs.
static qn_status skip_pointer(qn_ptx_reader *reader) {
  if (!qn_ptx_accept_dot(reader, "ptr")) return QN_OK;
  if (reader->token.kind == QN_LEX_DOT && !qn_ptx_is(&reader->token, "align")) {
    qn_ptx_token space;
    QN_TRY(qn_ptx_expect_word(reader, QN_PTX_SPACE, "a state space", &space));
  }
  uint32_t align;
  return qn_ptx_accept_dot(reader, "align") ? read_align(reader, &align) : QN_OK;
}

qn_status qn_ptx_read_layout(qn_ptx_reader *reader, qn_ptx_layout *layout) {
  layout->align = 0;
  layout->elements = 1;
  if (qn_ptx_accept_dot(reader, "attribute")) { // (.managed)
    QN_TRY(qn_ptx_expect(reader, '(', NULL));
    while (reader->token.kind == QN_LEX_DOT || reader->token.kind == ',') qn_ptx_next(reader);
    QN_TRY(qn_ptx_expect(reader, ')', NULL));
  }
  if (qn_ptx_accept_dot(reader, "align")) QN_TRY(read_align(reader, &layout->align));
  if (qn_ptx_accept_dot(reader, "v2")) layout->elements = 2;
  if (qn_ptx_accept_dot(reader, "v4")) layout->elements = 4;
  qn_ptx_lexeme place = reader->token;
  QN_TRY(qn_ptx_expect_word(reader, QN_PTX_TYPE, "a type", &layout->type));
  uint32_t bits = qn_ptx_bits(layout->type);
  if (bits < 8) return qn_ptx_fail(reader, &place, QN_INVALID, "a variable has a type of 8 bits or more");
  if (!layout->align) layout->align = layout->elements * bits / 8;
  return skip_pointer(reader);
}

// The dimensions behind a name. 0 bytes: "[]".
static qn_status read_bytes(qn_ptx_reader *reader, const qn_ptx_layout *layout, uint64_t *out_bytes) {
  uint64_t bytes = (uint64_t)layout->elements * qn_ptx_bits(layout->type) / 8;
  bool first = true;
  for (; qn_ptx_accept(reader, '['); first = false) {
    qn_ptx_lexeme place = reader->token;
    if (first && qn_ptx_accept(reader, ']')) {
      *out_bytes = 0;
      return QN_OK;
    }
    qn_ptx_operand count;
    QN_TRY(qn_ptx_read_constant(reader, &count));
    uint64_t most = bytes_max(layout->space);
    if (count.kind != QN_PTX_IMMEDIATE_INT || count.value <= 0)
      return qn_ptx_fail(reader, &place, QN_INVALID, "an array has at least one element");
    if ((uint64_t)count.value > most / bytes)
      return qn_ptx_fail(reader, &place, QN_LIMIT, "variables of '.%s' have at most %llu bytes",
                         qn_ptx_token_get_info(layout->space)->text, (unsigned long long)most);
    bytes *= (uint64_t)count.value;
    QN_TRY(qn_ptx_expect(reader, ']', NULL));
  }
  *out_bytes = bytes;
  return QN_OK;
}

static uint64_t align_up(uint64_t bytes, uint64_t align) {
  return (bytes + align - 1) & ~(align - 1);
}

// Gives a symbol its place in its state space.
static qn_status place_symbol(qn_ptx_reader *reader, const qn_ptx_lexeme *name, qn_ptx_symbol *symbol) {
  qn_ptx_program *program = reader->program;
  qn_ptx_function *function = reader->depth ? &reader->functions[reader->function] : NULL;
  uint64_t used = symbol->space == QN_PTX_shared   ? program->shared_bytes
                  : symbol->space == QN_PTX_global ? program->global_bytes
                  : symbol->space == QN_PTX_const  ? program->const_bytes
                  : symbol->space == QN_PTX_local  ? function->local_bytes
                                                   : reader->frame_bytes;
  symbol->offset = align_up(used, symbol->align);
  used = symbol->offset + symbol->bytes;
  if (used > bytes_max(symbol->space))
    return qn_ptx_fail(reader, name, QN_LIMIT, "variables of '.%s' have at most %llu bytes",
                       qn_ptx_token_get_info(symbol->space)->text,
                       (unsigned long long)bytes_max(symbol->space));
  switch (symbol->space) {
  case QN_PTX_shared: program->shared_bytes = used; break;
  case QN_PTX_global: program->global_bytes = used; break;
  case QN_PTX_const: program->const_bytes = used; break;
  case QN_PTX_local: function->local_bytes = (uint32_t)used; break;
  default:
    reader->frame_bytes = (uint32_t)used;
    function->frame_bytes = QN_MAX(function->frame_bytes, reader->frame_bytes);
  }
  return QN_OK;
}

static qn_status add_symbol(qn_ptx_reader *reader, const qn_ptx_lexeme *name, const qn_ptx_symbol *symbol,
                            uint32_t *out_symbol) {
  QN_TRY(QN_RESERVE(reader->context, reader->symbols, reader->symbol_capacity,
                    (uint64_t)reader->symbol_count + 1));
  if (!qn_ptx_is(name, "_")) QN_TRY(qn_ptx_name_add(reader, name, QN_PTX_NAME_SYMBOL, reader->symbol_count));
  *out_symbol = reader->symbol_count;
  reader->symbols[reader->symbol_count++] = *symbol;
  return QN_OK;
}

// A variable that was declared `.extern` before, in this scope and with no place yet (align 0); NULL.
static qn_ptx_symbol *find_declared(const qn_ptx_reader *reader, const qn_ptx_lexeme *token) {
  const qn_ptx_name *name = qn_ptx_name_find(reader, token);
  bool symbol = name && name->kind == QN_PTX_NAME_SYMBOL && name->depth == reader->depth;
  return symbol && reader->symbols[name->index].align == 0 ? &reader->symbols[name->index] : NULL;
}

static qn_status add_extern(qn_ptx_reader *reader, const qn_ptx_lexeme *name, qn_ptx_symbol *symbol,
                            uint32_t *out_symbol) {
  const qn_ptx_symbol *declared = find_declared(reader, name);
  if (declared) {
    *out_symbol = (uint32_t)(declared - reader->symbols);
    return QN_OK;
  }
  QN_TRY(QN_RESERVE(reader->context, reader->externs, reader->extern_capacity,
                    (uint64_t)reader->extern_count + 1));
  symbol->align = 0;
  QN_TRY(add_symbol(reader, name, symbol, out_symbol));
  reader->externs[reader->extern_count++] = (qn_ptx_extern){ *out_symbol, *name };
  return QN_OK;
}

qn_status qn_ptx_read_variable(qn_ptx_reader *reader, const qn_ptx_layout *layout, uint32_t *out_symbol) {
  qn_ptx_lexeme name;
  QN_TRY(qn_ptx_expect(reader, QN_LEX_NAME, &name));
  qn_ptx_symbol symbol = { .space = layout->space, .align = layout->align };
  QN_TRY(read_bytes(reader, layout, &symbol.bytes));
  symbol.name = qn_arena_copy(&reader->program->arena, name.text, name.length);
  if (!symbol.name) return qn_fail_memory(reader->context);
  bool dynamic = layout->is_extern && layout->space == QN_PTX_shared;
  if (dynamic && symbol.bytes == 0) return add_symbol(reader, &name, &symbol, out_symbol);
  if (layout->is_extern && !dynamic) return add_extern(reader, &name, &symbol, out_symbol);
  if (symbol.bytes == 0 && reader->token.kind != '=')
    return qn_ptx_fail(reader, &name, QN_INVALID, "the array '%.*s' has no size", (int)name.length, name.text);
  if (symbol.bytes) QN_TRY(place_symbol(reader, &name, &symbol));
  qn_ptx_symbol *declared = find_declared(reader, &name);
  if (!declared) return add_symbol(reader, &name, &symbol, out_symbol);
  *declared = symbol;
  *out_symbol = (uint32_t)(declared - reader->symbols);
  return QN_OK;
}

// --- initialisers ---------------------------------------------------------------------------------------

// The bytes of one value of the type, little-endian.
static qn_status read_value(qn_ptx_reader *reader, qn_ptx_token type, uint8_t *out_bytes) {
  qn_ptx_lexeme place = reader->token;
  qn_ptx_operand value;
  bool address = place.kind == QN_LEX_NAME && !qn_ptx_is(&place, "WARP_SZ"); // sym, generic(sym), 0xFF(sym)
  if (!address) QN_TRY(qn_ptx_read_constant(reader, &value));
  if (address || reader->token.kind == '(')
    return qn_ptx_fail(reader, &place, QN_UNSUPPORTED, "an address as an initial value is not supported");
  uint64_t bits = (uint64_t)value.value;
  if (type == QN_PTX_f32 && value.kind == QN_PTX_IMMEDIATE_F64) {
    double wide;
    memcpy(&wide, &bits, sizeof wide);
    float narrow = (float)wide;
    bits = 0;
    memcpy(&bits, &narrow, sizeof narrow);
  } else if (type == QN_PTX_f64 && value.kind == QN_PTX_IMMEDIATE_F32) {
    float narrow;
    memcpy(&narrow, &bits, sizeof narrow);
    double wide = (double)narrow;
    memcpy(&bits, &wide, sizeof wide);
  } else if ((type == QN_PTX_f32 || type == QN_PTX_f64) == (value.kind == QN_PTX_IMMEDIATE_INT)) {
    return qn_ptx_fail(reader, &place, QN_INVALID, "the initial value is not of type '.%s'",
                       qn_ptx_token_get_info(type)->text);
  }
  for (uint32_t i = 0; i < qn_ptx_bits(type) / 8; i++) out_bytes[i] = (uint8_t)(i < 8 ? bits >> 8 * i : 0);
  return QN_OK;
}

// Values in braces, nested as they like: they fill the elements in order, zeros follow. An array of no size
// takes as many as there are.
static qn_status read_initialiser(qn_ptx_reader *reader, const qn_ptx_layout *layout, uint32_t index,
                                  const qn_ptx_lexeme *name) {
  uint32_t size = qn_ptx_bits(layout->type) / 8, capacity = 0;
  uint64_t bytes = reader->symbols[index].bytes, most = bytes ? QN_MIN(bytes, (uint64_t)INIT_MAX) : INIT_MAX;
  uint8_t *data = NULL;
  uint64_t length = 0;
  uint32_t depth = 0;
  qn_status status = QN_OK;
  do {
    while (qn_ptx_accept(reader, '{')) depth++;
    if (reader->token.kind != '}') {
      if (length + size > most)
        status = qn_ptx_fail(reader, &reader->token, bytes > most || !bytes ? QN_LIMIT : QN_INVALID,
                             "more than %llu bytes of initial values", (unsigned long long)most);
      if (status == QN_OK) status = QN_RESERVE(reader->context, data, capacity, length + size);
      if (status == QN_OK) status = read_value(reader, layout->type, data + length);
      length += size;
    }
    while (status == QN_OK && depth && qn_ptx_accept(reader, '}')) depth--;
  } while (status == QN_OK && depth && qn_ptx_accept(reader, ','));
  if (status == QN_OK && depth) status = qn_ptx_fail_expected(reader, "'}'");
  qn_ptx_symbol *symbol = &reader->symbols[index];
  if (status == QN_OK && !bytes && !length)
    status =
        qn_ptx_fail(reader, name, QN_INVALID, "the array '%.*s' has no size", (int)name->length, name->text);
  if (status == QN_OK && !bytes) {
    symbol->bytes = length;
    status = place_symbol(reader, name, symbol);
  }
  if (status == QN_OK && symbol->bytes > INIT_MAX)
    status =
        qn_ptx_fail(reader, name, QN_LIMIT, "a variable with initial values has at most %d bytes", INIT_MAX);
  if (status == QN_OK) {
    uint8_t *init = qn_arena_alloc(&reader->program->arena, (size_t)symbol->bytes);
    if (init) {
      memset(init, 0, (size_t)symbol->bytes);
      if (length) memcpy(init, data, (size_t)length);
    } else {
      status = qn_fail_memory(reader->context);
    }
    symbol->init = init;
  }
  qn_free(reader->context, data, capacity);
  return status;
}

qn_status qn_ptx_read_variables(qn_ptx_reader *reader, qn_ptx_token space, bool is_extern) {
  qn_ptx_layout layout = { .space = space, .is_extern = is_extern };
  QN_TRY(qn_ptx_read_layout(reader, &layout));
  do {
    qn_ptx_lexeme name = reader->token;
    uint32_t symbol;
    QN_TRY(qn_ptx_read_variable(reader, &layout, &symbol));
    if (!qn_ptx_accept(reader, '=')) continue;
    if (is_extern || (space != QN_PTX_global && space != QN_PTX_const))
      return qn_ptx_fail(reader, &name, QN_INVALID,
                         "only a variable of .global or .const has an initial value");
    QN_TRY(read_initialiser(reader, &layout, symbol, &name));
  } while (qn_ptx_accept(reader, ','));
  return qn_ptx_expect(reader, ';', NULL);
}
