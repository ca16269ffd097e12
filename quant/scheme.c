// Schemes as text: a family and the fields in which a scheme deviates from it.
#include "ir/base_priv.h"
#include <quench/scheme.h>

#include <stddef.h>
#include <stdio.h>

// clang-format off
#define X(name, text, ...) text,
static const char *const GRANULARITIES[] = { QN_GRANULARITY_MAP(X) NULL };
static const char *const ARITHMETICS[] = { QN_ARITHMETIC_MAP(X) NULL };
static const char *const RULES[] = { QN_SCALE_RULE_MAP(X) NULL };
static const char *const RANGES[] = { QN_SCALE_RANGE_MAP(X) NULL };
static const char *const FLOORS[] = { QN_SCALE_FLOOR_MAP(X) NULL };
static const char *const ZEROS[] = { QN_SCALE_ZERO_MAP(X) NULL };
static const char *const GLOBALS[] = { QN_GLOBAL_SCALE_MAP(X) NULL };
static const char *const LAYOUTS[] = { QN_SCALE_LAYOUT_MAP(X) NULL };
static const char *const ZERO_POINTS[] = { QN_ZERO_POINT_MAP(X) NULL };
static const char *const ZERO_POINT_RULES[] = { QN_ZERO_POINT_RULE_MAP(X) NULL };
static const char *const NANS[] = { QN_NAN_MAP(X) NULL };
static const char *const ZERO_SIGNS[] = { QN_ZERO_SIGN_MAP(X) NULL };
static const char *const TIES[] = { QN_TIES_MAP(X) NULL };
#undef X
static const char *const BOOLEANS[] = { "false", "true", NULL };

// What a row does not say comes first and is overridden by what it says.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static const struct family {
  const char *name;
  const char *doc;
  qn_scheme scheme;
} families[QN_SCHEME_FAMILY_COUNT] = {
#define X(id, text, ...)                                                                                         \
  [QN_SCHEME_##id] = { #id, text, { .family = QN_SCHEME_##id, .target = QN_E4M3, .scale_dtype = QN_F32,             \
    .scale_compute = QN_F32, .compute = QN_F32, .round_input = QN_ANY, .saturate = true, __VA_ARGS__ } },
  QN_SCHEME_MAP(X)
#undef X
};
#pragma GCC diagnostic pop

// The fields that may deviate, in the order in which they are written. Words index the field's values.
enum field_kind { FIELD_DTYPE, FIELD_WORD, FIELD_COUNT, FIELD_AXIS };

static const struct field {
  const char *name;
  enum field_kind kind;
  size_t offset;
  const char *const *words; // of FIELD_WORD
} fields[] = {
  { "target",          FIELD_DTYPE, offsetof(qn_scheme, target),          NULL },
  { "granularity",     FIELD_WORD,  offsetof(qn_scheme, granularity),     GRANULARITIES },
  { "dynamic",         FIELD_WORD,  offsetof(qn_scheme, dynamic),         BOOLEANS },
  { "scale",           FIELD_DTYPE, offsetof(qn_scheme, scale_dtype),     NULL },
  { "scale_layout",    FIELD_WORD,  offsetof(qn_scheme, scale_layout),    LAYOUTS },
  { "rule",            FIELD_WORD,  offsetof(qn_scheme, rule),            RULES },
  { "range",           FIELD_WORD,  offsetof(qn_scheme, range),           RANGES },
  { "floor",           FIELD_WORD,  offsetof(qn_scheme, floor),           FLOORS },
  { "zero",            FIELD_WORD,  offsetof(qn_scheme, zero),            ZEROS },
  { "scale_compute",   FIELD_DTYPE, offsetof(qn_scheme, scale_compute),   NULL },
  { "global",          FIELD_WORD,  offsetof(qn_scheme, global),          GLOBALS },
  { "zero_point",      FIELD_WORD,  offsetof(qn_scheme, zero_point),      ZERO_POINTS },
  { "zero_point_rule", FIELD_WORD,  offsetof(qn_scheme, zero_point_rule), ZERO_POINT_RULES },
  { "zero_point_type", FIELD_DTYPE, offsetof(qn_scheme, zero_point_dtype), NULL },
  { "arithmetic",      FIELD_WORD,  offsetof(qn_scheme, arithmetic),      ARITHMETICS },
  { "compute",         FIELD_DTYPE, offsetof(qn_scheme, compute),         NULL },
  { "round",           FIELD_DTYPE, offsetof(qn_scheme, round_input),     NULL },
  { "saturate",        FIELD_WORD,  offsetof(qn_scheme, saturate),        BOOLEANS },
  { "nan",             FIELD_WORD,  offsetof(qn_scheme, nan),             NANS },
  { "zero_sign",       FIELD_WORD,  offsetof(qn_scheme, zero_sign),       ZERO_SIGNS },
  { "ties",            FIELD_WORD,  offsetof(qn_scheme, ties),            TIES },
  { "narrow",          FIELD_WORD,  offsetof(qn_scheme, narrow),          BOOLEANS },
  { "group",           FIELD_COUNT, offsetof(qn_scheme, group),           NULL },
  { "pad",             FIELD_COUNT, offsetof(qn_scheme, pad),             NULL },
  { "axis",            FIELD_AXIS,  offsetof(qn_scheme, axis),            NULL },
};
// clang-format on

static int32_t field_get(const struct field *field, const qn_scheme *scheme) {
  switch (field->kind) {
  case FIELD_COUNT: {
    uint16_t count;
    memcpy(&count, (const uint8_t *)scheme + field->offset, sizeof count);
    return count;
  }
  case FIELD_AXIS: return scheme->axis;
  default: return *((const uint8_t *)scheme + field->offset);
  }
}

static void field_set(const struct field *field, qn_scheme *scheme, int32_t value) {
  switch (field->kind) {
  case FIELD_COUNT: {
    uint16_t count = (uint16_t)value;
    memcpy((uint8_t *)scheme + field->offset, &count, sizeof count);
    break;
  }
  case FIELD_AXIS: scheme->axis = value; break;
  default: *((uint8_t *)scheme + field->offset) = (uint8_t)value;
  }
}

static const struct family *find_family(qn_scheme_family family) {
  return &families[(unsigned)family < QN_SCHEME_FAMILY_COUNT ? family : QN_SCHEME_none];
}

qn_scheme qn_scheme_of(qn_scheme_family family) {
  qn_scheme scheme = find_family(family)->scheme;
  if (scheme.granularity == QN_PER_CHANNEL || scheme.granularity == QN_PER_GROUP) scheme.axis = -1;
  return scheme;
}
const char *qn_scheme_family_name(qn_scheme_family family) {
  return find_family(family)->name;
}
const char *qn_scheme_family_doc(qn_scheme_family family) {
  return find_family(family)->doc;
}

bool qn_scheme_has_scale(const qn_scheme *scheme) {
  return scheme->scale_dtype != QN_ANY;
}

qn_dtype qn_scheme_get_read_scale(const qn_scheme *scheme) {
  if (scheme->dynamic) return scheme->global != QN_GLOBAL_NONE ? QN_F32 : QN_ANY;
  return (qn_dtype)scheme->scale_dtype;
}

qn_dtype qn_scheme_get_zero_point(const qn_scheme *scheme) {
  if (scheme->zero_point == QN_ZERO_POINT_NONE) return QN_ANY;
  return (qn_dtype)(scheme->zero_point_dtype != QN_ANY ? scheme->zero_point_dtype : scheme->target);
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
  const qn_scheme plain = qn_scheme_of((qn_scheme_family)scheme->family);
  bool deviates = false;
  for (size_t i = 0; i < QN_COUNT(fields); i++) {
    const struct field *field = &fields[i];
    int32_t value = field_get(field, scheme);
    if (value == field_get(field, &plain)) continue;
    char number[16];
    snprintf(number, sizeof number, "%d", (int)value);
    const char *word = number;
    if (field->kind == FIELD_DTYPE && value < QN_DTYPE_COUNT) word = qn_dtype_name((qn_dtype)value);
    if (field->kind == FIELD_WORD) {
      int32_t index = 0;
      while (index < value && field->words[index]) index++;
      if (field->words[index]) word = field->words[index];
    }
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
  case FIELD_COUNT: return parse_number(word, 0, UINT16_MAX, out_value);
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
    qn_scheme scheme = qn_scheme_of((qn_scheme_family)i);
    if (*text == '{') text = parse_fields(text, &scheme);
    if (!text || *text != '\0') return false;
    *out_scheme = scheme;
    return true;
  }
  return false;
}
