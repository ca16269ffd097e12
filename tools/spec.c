// Reads a kernel spec from the command line, by a table of its fields.
#include "spec.h"

#include "tool.h"

#include <stdlib.h>
#include <string.h>

typedef enum field_kind { BOOLEAN, UNSIGNED, SIGNED, REAL, DTYPE, SCHEME, CHOICE } field_kind;

// clang-format off
#define X(name, doc) "|" #name
#define SCHEDULES &(QN_SCHEDULE_MAP(X))[1]
static const struct {
  const char *key;
  field_kind kind;
  size_t offset;
  const char *choices; // of an enum, in the order of its values
} spec_fields[] = {
#define FIELD(field, kind, choices) { #field, kind, offsetof(qn_kernel_spec, field), choices }
  FIELD(schedule,     CHOICE, SCHEDULES),
  FIELD(dtype,        DTYPE,       NULL),
  FIELD(kv_dtype,     DTYPE,       NULL),
  FIELD(k_scale,      CHOICE, "none|tensor|head"),
  FIELD(v_scale,      CHOICE, "none|tensor|head"),
  FIELD(page_size,    UNSIGNED,    NULL),
  FIELD(out_dtype,    DTYPE,       NULL),
  FIELD(head_dim,     UNSIGNED,    NULL),
  FIELD(v_head_dim,   UNSIGNED,    NULL),
  FIELD(heads,        UNSIGNED,    NULL),
  FIELD(kv_heads,     UNSIGNED,    NULL),
  FIELD(causal,       CHOICE, "none|top_left|bottom_right"),
  FIELD(mask,         CHOICE, "none|additive|boolean"),
  FIELD(mask_dtype,   DTYPE,       NULL),
  FIELD(window_left,  SIGNED,      NULL),
  FIELD(window_right, SIGNED,      NULL),
  FIELD(scale,        REAL,        NULL),
  FIELD(softcap,      REAL,        NULL),
  FIELD(sinks_dtype,  DTYPE,       NULL),
  FIELD(alibi,        BOOLEAN,     NULL),
  FIELD(kv_lengths,   BOOLEAN,     NULL),
  FIELD(varlen,       BOOLEAN,     NULL),
  FIELD(lengths_dtype, DTYPE,      NULL),
  FIELD(pack_heads,   BOOLEAN,     NULL),
  FIELD(output,       SCHEME,      NULL),
  FIELD(pre_scale_dtype, DTYPE,    NULL),
  FIELD(scale_bound,  BOOLEAN,     NULL),
  FIELD(unquantized,  BOOLEAN,     NULL),
  FIELD(f32_mode,     CHOICE, "tf32x3|tf32"),
  FIELD(tile_q,       UNSIGNED,    NULL),
  FIELD(tile_kv,      UNSIGNED,    NULL),
  FIELD(warps,        UNSIGNED,    NULL),
  FIELD(stages,       UNSIGNED,    NULL),
#undef FIELD
};
#undef X
// clang-format on
enum { FIELD_COUNT = sizeof spec_fields / sizeof spec_fields[0], VALUE_MAX = QN_SCHEME_TEXT_MAX };

static bool spec_error(const char *what, const char *key) {
  char message[320], keys[640] = "the keys are";
  snprintf(message, sizeof message, "%.200s '%.64s'", what, key);
  for (int i = 0; i < FIELD_COUNT; i++)
    snprintf(keys + strlen(keys), sizeof keys - strlen(keys), " %s", spec_fields[i].key);
  tool_error("--spec", message, keys);
  return false;
}

static bool parse_choice(const char *choices, const char *value, int *out_index) {
  int index = 0;
  for (const char *at = choices;; at++, index++) {
    size_t length = strcspn(at, "|");
    if (strlen(value) == length && memcmp(at, value, length) == 0) {
      *out_index = index;
      return true;
    }
    at += length;
    if (!*at) return false;
  }
}

static bool store_field(int index, const char *value, qn_kernel_spec *spec) {
  void *field = (char *)spec + spec_fields[index].offset;
  char *end = (char *)value;
  int choice;
  switch (spec_fields[index].kind) {
  case BOOLEAN:
    if (!parse_choice("false|true", value, &choice)) return false;
    *(bool *)field = choice == 1;
    return true;
  case UNSIGNED: {
    unsigned long number = strtoul(value, &end, 10);
    if (*value < '0' || *value > '9' || *end || number > UINT32_MAX) return false;
    *(uint32_t *)field = (uint32_t)number;
    return true;
  }
  case SIGNED: {
    long number = strtol(value, &end, 10);
    if (end == value || *end || number < -1 || number > INT32_MAX) return false;
    *(int32_t *)field = (int32_t)number;
    return true;
  }
  case REAL: *(float *)field = strtof(value, &end); return end != value && !*end;
  case DTYPE: {
    qn_dtype dtype = qn_dtype_find(value);
    if (dtype == QN_DTYPE_COUNT) return false;
    *(qn_dtype *)field = dtype;
    return true;
  }
  case SCHEME: return qn_scheme_parse(value, field);
  case CHOICE:
    if (!parse_choice(spec_fields[index].choices, value, &choice)) return false;
    memcpy(field, &(unsigned){ (unsigned)choice }, sizeof(unsigned));
    return true;
  }
  return false;
}

// The length of one KEY=VALUE: up to a comma outside of the braces of a scheme.
static size_t item_length(const char *text) {
  int depth = 0;
  size_t n = 0;
  for (; text[n] && (text[n] != ',' || depth > 0); n++) depth += (text[n] == '{') - (text[n] == '}');
  return n;
}

bool tool_spec_parse(const char *text, qn_kernel_spec *out_spec) {
  qn_kernel_spec spec = { .dtype = QN_BF16,
                          .head_dim = 64,
                          .heads = 1,
                          .window_left = -1,
                          .window_right = -1,
                          .output = qn_scheme_of(QN_SCHEME_none) };
  for (const char *at = text; *at;) {
    size_t length = item_length(at), key_length = strcspn(at, "=,");
    char key[32], value[VALUE_MAX];
    snprintf(key, sizeof key, "%.*s", (int)(key_length < length ? key_length : length), at);
    if (key_length >= length) return spec_error("no value for", key);
    if (length - key_length - 1 >= sizeof value) return spec_error("too long a value for", key);
    snprintf(value, sizeof value, "%.*s", (int)(length - key_length - 1), at + key_length + 1);
    int index = 0;
    while (index < FIELD_COUNT && strcmp(spec_fields[index].key, key) != 0) index++;
    if (index == FIELD_COUNT) return spec_error("unknown key", key);
    if (!store_field(index, value, &spec)) {
      char what[VALUE_MAX + 64];
      snprintf(what, sizeof what, "'%s' is no value for", value);
      return spec_error(what, key);
    }
    at += length + (at[length] == ',');
  }
  if (spec.out_dtype == QN_ANY) spec.out_dtype = spec.dtype;
  if (spec.mask_dtype == QN_ANY) spec.mask_dtype = spec.dtype;
  if (spec.lengths_dtype == QN_ANY && (spec.kv_lengths || spec.varlen)) spec.lengths_dtype = QN_S32;
  if (!spec.v_head_dim) spec.v_head_dim = spec.head_dim;
  if (!spec.kv_heads) spec.kv_heads = spec.heads;
  *out_spec = spec;
  return true;
}
