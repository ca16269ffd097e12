// The words of PTX as tables: tokens.def, specials.def and opcodes.def, and finding in them.
#include "runtime/emulator/ptx_read_priv.h"

static const qn_ptx_token_info tokens[] = {
  { "", QN_PTX_OTHER, 0 },
#define TOKEN(name, text, kind, bits) { text, QN_PTX_##kind, bits },
#include "runtime/emulator/tokens.def"
};
_Static_assert(QN_COUNT(tokens) <= UINT8_MAX + 1, "an instruction keeps a token in a byte");

static const char *const specials[] = {
#define SPECIAL(name, text, bits) text,
#include "runtime/emulator/specials.def"
};
// With an end row, so that there is one whatever the table holds.
static const qn_ptx_row rows[] = {
#define OP(name, results, sources_min, sources_max, bind, accepts)                                             \
  { #name, results, sources_min, sources_max, qn_emu_bind_##bind, accepts },
#include "runtime/emulator/opcodes.def"
  { 0 }
};

const qn_ptx_token_info *qn_ptx_token_get_info(qn_ptx_token token) {
  return &tokens[token];
}

qn_ptx_row_set qn_ptx_get_rows(void) {
  return (qn_ptx_row_set){ rows, QN_COUNT(rows) - 1 };
}

static bool same(const char *word, const char *name, size_t length) {
  return strncmp(word, name, length) == 0 && word[length] == 0;
}

qn_ptx_token qn_ptx_find_token(const qn_ptx_instr *instr, qn_ptx_token_kind kind, uint32_t n) {
  for (uint32_t i = 0; i < instr->token_count; i++)
    if (tokens[instr->tokens[i]].kind == kind && n-- == 0) return instr->tokens[i];
  return QN_PTX_NO_TOKEN;
}

bool qn_ptx_fits(const qn_ptx_instr *instr, uint32_t slot, uint32_t bits) {
  for (uint32_t i = 0; i < instr->slots[slot].count; i++) {
    const qn_ptx_operand *operand = qn_ptx_at(instr, slot, i);
    if (operand->kind == QN_PTX_REGISTER && tokens[operand->type].bits != bits) return false;
  }
  return true;
}

// --- the index of one reader -------------------------------------------------------------------------------

// A reader looks every word up in tables of the .def files' order, so each has an index of hashes, made anew
// for each reading: it takes a few microseconds and needs no state that outlives the reader.
static void add(uint16_t slots[QN_PTX_WORD_SLOTS], const char *word, uint32_t number) {
  uint32_t at = qn_ptx_hash(word, strlen(word));
  while (slots[at % QN_PTX_WORD_SLOTS]) at++;
  slots[at % QN_PTX_WORD_SLOTS] = (uint16_t)(number + 1);
}

void qn_ptx_words_init(qn_ptx_words *words, const qn_ptx_row_set *set) {
  *words = (qn_ptx_words){ .rows = *set };
  for (uint32_t i = 1; i < QN_COUNT(tokens); i++) add(words->token_slots, tokens[i].text, i);
  for (uint32_t i = 0; i < QN_COUNT(specials); i++) add(words->special_slots, specials[i], i);
  for (uint32_t i = 0; i < set->count; i++) add(words->row_slots, set->rows[i].name, i);
}

qn_ptx_token qn_ptx_words_find_token(const qn_ptx_words *words, const char *text, size_t length) {
  for (uint32_t at = qn_ptx_hash(text, length);; at++) {
    uint32_t found = words->token_slots[at % QN_PTX_WORD_SLOTS];
    if (!found) return QN_PTX_NO_TOKEN;
    if (same(tokens[found - 1].text, text, length)) return (qn_ptx_token)(found - 1);
  }
}

qn_ptx_special qn_ptx_words_find_special(const qn_ptx_words *words, const char *text, size_t length) {
  for (uint32_t at = qn_ptx_hash(text, length);; at++) {
    uint32_t found = words->special_slots[at % QN_PTX_WORD_SLOTS];
    if (!found) return QN_PTX_SPECIAL_COUNT;
    if (same(specials[found - 1], text, length)) return (qn_ptx_special)(found - 1);
  }
}

const qn_ptx_row *qn_ptx_words_find_row(const qn_ptx_words *words, const char *text, size_t length) {
  for (uint32_t at = qn_ptx_hash(text, length);; at++) {
    uint32_t found = words->row_slots[at % QN_PTX_WORD_SLOTS];
    if (!found) return NULL;
    if (same(words->rows.rows[found - 1].name, text, length)) return &words->rows.rows[found - 1];
  }
}

// Turns the row's list of tokens into a set, when the row is met for the first time.
static void fill_accepted(qn_ptx_words *words, uint32_t index, const char *accepts) {
  uint64_t *set = words->accepted[index];
  set[0] = 1; // NO_TOKEN: the set is filled
  for (const char *at = accepts; *at;) {
    size_t length = strcspn(at, " ");
    uint32_t token = length ? qn_ptx_words_find_token(words, at, length) : QN_PTX_NO_TOKEN;
    set[token / 64] |= UINT64_C(1) << token % 64;
    at += length + (at[length] == ' ');
  }
}

bool qn_ptx_words_accept(qn_ptx_words *words, const qn_ptx_row *row, qn_ptx_token token) {
  uint32_t index = (uint32_t)(row - words->rows.rows);
  if (!words->accepted[index][0]) fill_accepted(words, index, row->accepts);
  return words->accepted[index][token / 64] >> token % 64 & 1;
}
