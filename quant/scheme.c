// Schemes as text: a family and the fields in which a scheme deviates from it.
#include "ir/base_priv.h"
#include <quench/scheme.h>

#include <stddef.h>
#include <stdio.h>

// clang-format off
static const struct family {
  const char *name;
  const char *doc;
  qn_scheme scheme;
} families[QN_SCHEME_FAMILY_COUNT] = {
#define HAS_AXIS(granularity) (QN_PER_##granularity == QN_PER_CHANNEL || QN_PER_##granularity == QN_PER_GROUP)
#define X(id, code, grain, is_dynamic, scale, has_zero_point, text)                                           \
  [QN_SCHEME_##id] = { #id, text, { .family = QN_SCHEME_##id, .target = QN_##code, .granularity = QN_PER_##grain, \
    .dynamic = is_dynamic, .scale_dtype = QN_##scale, .zero_point = has_zero_point, .arithmetic = QN_DIVIDE,     \
    .compute = QN_F32, .round_input = QN_ANY, .saturate = true, .group = 0, .axis = HAS_AXIS(grain) ? -1 : 0 } },
  QN_SCHEME_MAP(X)
#undef X
#undef HAS_AXIS
};

// The fields that may deviate, in the order in which they are written. Words index the field's values.
enum field_kind { FIELD_DTYPE, FIELD_WORD, FIELD_GROUP, FIELD_AXIS };

static const struct field {
  const char *name;
  enum field_kind kind;
  size_t offset;
  const char *words[5];
} fields[] = {
  { "target",      FIELD_DTYPE, offsetof(qn_scheme, target),      { NULL } },
  { "granularity", FIELD_WORD,  offsetof(qn_scheme, granularity), { "tensor", "channel", "token", "group" } },
  { "dynamic",     FIELD_WORD,  offsetof(qn_scheme, dynamic),     { "false", "true" } },
  { "scale",       FIELD_DTYPE, offsetof(qn_scheme, scale_dtype), { NULL } },
  { "zero_point",  FIELD_WORD,  offsetof(qn_scheme, zero_point),  { "false", "true" } },
  { "arithmetic",  FIELD_WORD,  offsetof(qn_scheme, arithmetic),  { "divide", "reciprocal", "multiply" } },
  { "compute",     FIELD_DTYPE, offsetof(qn_scheme, compute),     { NULL } },
  { "round",       FIELD_DTYPE, offsetof(qn_scheme, round_input), { NULL } },
  { "saturate",    FIELD_WORD,  offsetof(qn_scheme, saturate),    { "false", "true" } },
  { "group",       FIELD_GROUP, offsetof(qn_scheme, group),       { NULL } },
  { "axis",        FIELD_AXIS,  offsetof(qn_scheme, axis),        { NULL } },
};
// clang-format on

static int32_t field_get(const struct field *field, const qn_scheme *scheme) {
  switch (field->kind) {
  case FIELD_GROUP: return scheme->group;
  case FIELD_AXIS: return scheme->axis;
  default: return *((const uint8_t *)scheme + field->offset);
  }
}

static void field_set(const struct field *field, qn_scheme *scheme, int32_t value) {
  switch (field->kind) {
  case FIELD_GROUP: scheme->group = (uint16_t)value; break;
  case FIELD_AXIS: scheme->axis = value; break;
  default: *((uint8_t *)scheme + field->offset) = (uint8_t)value;
  }
}

static const struct family *find_family(qn_scheme_family family) {
  return &families[(unsigned)family < QN_SCHEME_FAMILY_COUNT ? family : QN_SCHEME_none];
}

qn_scheme qn_scheme_of(qn_scheme_family family) {
  return find_family(family)->scheme;
}
const char *qn_scheme_family_name(qn_scheme_family family) {
  return find_family(family)->name;
}
const char *qn_scheme_family_doc(qn_scheme_family family) {
  return find_family(family)->doc;
}

bool qn_scheme_equal(const qn_scheme *a, const qn_scheme *b) {
  if (a->family != b->family) return false;
  for (size_t i = 0; i < QN_COUNT(fields); i++)
    if (field_get(&fields[i], a) != field_get(&fields[i], b)) return false;
  return true;
}

// --- writing ---------------------------------------------------------------------------------------------

void qn_scheme_format(const qn_scheme *scheme, char out_text[QN_SCHEME_TEXT_MAX]) {
  const struct family *family = find_family(scheme->family);
  size_t length = (size_t)snprintf(out_text, QN_SCHEME_TEXT_MAX, "%s", family->name);
  bool deviates = false;
  for (size_t i = 0; i < QN_COUNT(fields); i++) {
    const struct field *field = &fields[i];
    int32_t value = field_get(field, scheme);
    if (value == field_get(field, &family->scheme)) continue;
    char number[16];
    snprintf(number, sizeof number, "%d", (int)value);
    const char *word = number;
    if (field->kind == FIELD_DTYPE && value < QN_DTYPE_COUNT) word = qn_dtype_name((qn_dtype)value);
    if (field->kind == FIELD_WORD && (size_t)value < QN_COUNT(field->words) && field->words[value])
      word = field->words[value];
    length += (size_t)snprintf(out_text + length, QN_SCHEME_TEXT_MAX - length, "%s%s=%s", deviates ? ", " : "{",
                               field->name, word);
    deviates = true;
  }
  if (deviates) snprintf(out_text + length, QN_SCHEME_TEXT_MAX - length, "}");
}

// --- reading ---------------------------------------------------------------------------------------------

enum { WORD_MAX = 24 };

static const char *skip_spaces(const char *text) {
  while (*text == ' ' || *text == '\t') text++;
  return text;
}

// Takes a word of letters, digits, `_`, `-` and `?`. Returns what follows it, or NULL if none stands here.
static const char *take_word(const char *text, char out_word[WORD_MAX]) {
  text = skip_spaces(text);
  size_t length = 0;
  for (; *text != '\0'; text++) {
    bool in_word = (*text >= 'a' && *text <= 'z') || (*text >= '0' && *text <= '9') || strchr("_-?", *text);
    if (!in_word) break;
    if (length + 1 == WORD_MAX) return NULL;
    out_word[length++] = *text;
  }
  out_word[length] = '\0';
  return length ? skip_spaces(text) : NULL;
}

static bool parse_number(const char *word, int64_t low, int64_t high, int32_t *out_value) {
  bool negative = *word == '-';
  if (negative) word++;
  // The one spelling that is written: no leading zeros, no "-0".
  if (*word == '\0' || (*word == '0' && (word[1] != '\0' || negative))) return false;
  int64_t value = 0;
  for (; *word; word++) {
    if (*word < '0' || *word > '9') return false;
    value = value * 10 + (*word - '0');
    if (value > (int64_t)INT32_MAX + 1) return false;
  }
  if (negative) value = -value;
  if (value < low || value > high) return false;
  *out_value = (int32_t)value;
  return true;
}

static bool field_parse(const struct field *field, const char *word, int32_t *out_value) {
  switch (field->kind) {
  case FIELD_DTYPE: {
    qn_dtype dtype = qn_dtype_find(word);
    *out_value = (int32_t)dtype;
    return dtype != QN_DTYPE_COUNT;
  }
  case FIELD_WORD:
    for (int32_t i = 0; field->words[i]; i++) {
      if (strcmp(field->words[i], word) != 0) continue;
      *out_value = i;
      return true;
    }
    return false;
  case FIELD_GROUP: return parse_number(word, 0, UINT16_MAX, out_value);
  case FIELD_AXIS: return parse_number(word, INT32_MIN, INT32_MAX, out_value);
  }
  return false;
}

static const struct field *find_field(const char *name) {
  for (size_t i = 0; i < QN_COUNT(fields); i++)
    if (strcmp(fields[i].name, name) == 0) return &fields[i];
  return NULL;
}

// `{key=value, ...}`. Returns what follows the brace, or NULL.
static const char *parse_fields(const char *text, qn_scheme *scheme) {
  uint32_t seen = 0;
  char word[WORD_MAX];
  do {
    text = take_word(text + 1, word);
    const struct field *field = text && *text == '=' ? find_field(word) : NULL;
    if (!field || (seen & 1u << (field - fields))) return NULL;
    seen |= 1u << (field - fields);
    text = take_word(text + 1, word);
    int32_t value;
    if (!text || !field_parse(field, word, &value)) return NULL;
    field_set(field, scheme, value);
  } while (*text == ',');
  return *text == '}' ? skip_spaces(text + 1) : NULL;
}

bool qn_scheme_parse(const char *text, qn_scheme *out_scheme) {
  char word[WORD_MAX];
  text = take_word(text, word);
  if (!text) return false;
  for (size_t i = 0; i < QN_SCHEME_FAMILY_COUNT; i++) {
    if (strcmp(families[i].name, word) != 0) continue;
    qn_scheme scheme = families[i].scheme;
    if (*text == '{') text = parse_fields(text, &scheme);
    if (!text || *text != '\0') return false;
    *out_scheme = scheme;
    return true;
  }
  return false;
}
