// A scheme as device text: the enumerations that its arithmetic is written in, and its recipe as a constant.

#include "codegen/source_priv.h"

#include "quant/real_priv.h"

#include <inttypes.h>

void qn_source_write_float(qn_buf *buf, float value) {
  uint32_t bits = qn_real_bits(value), field = bits >> 23 & 0xFF, fraction = (bits & 0x7FFFFF) << 1;
  int exponent = field == 0 ? (fraction == 0 ? 0 : -126) : (int)field - 127;
  qn_buf_printf(buf, "%s0x%d.%06" PRIx32 "p%df", bits >> 31 ? "-" : "", field != 0, fraction, exponent);
}

// --- enumerations ----------------------------------------------------------------------------------------

// clang-format off
#define X(name, ...) "QN_" #name,
static const char *const DTYPES[] = { QN_DTYPE_MAP(X) NULL };
static const char *const ARITHMETICS[] = { QN_ARITHMETIC_MAP(X) NULL };
#undef X
#define X(name, ...) "QN_RULE_" #name,
static const char *const RULES[] = { QN_SCALE_RULE_MAP(X) NULL };
#undef X
#define X(name, ...) "QN_RANGE_" #name,
static const char *const RANGES[] = { QN_SCALE_RANGE_MAP(X) NULL };
#undef X
#define X(name, ...) "QN_ZERO_" #name,
static const char *const ZEROS[] = { QN_SCALE_ZERO_MAP(X) NULL };
#undef X
#define X(name, ...) "QN_GLOBAL_" #name,
static const char *const GLOBALS[] = { QN_GLOBAL_SCALE_MAP(X) NULL };
#undef X
#define X(name, ...) "QN_SCALES_" #name,
static const char *const LAYOUTS[] = { QN_SCALE_LAYOUT_MAP(X) NULL };
#undef X
#define X(name, ...) "QN_ZERO_POINT_" #name,
static const char *const ZERO_POINTS[] = { QN_ZERO_POINT_MAP(X) NULL };
#undef X
#define X(name, ...) "QN_ZERO_POINT_RULE_" #name,
static const char *const ZERO_POINT_RULES[] = { QN_ZERO_POINT_RULE_MAP(X) NULL };
#undef X
#define X(name, ...) "QN_NAN_" #name,
static const char *const NANS[] = { QN_NAN_MAP(X) NULL };
#undef X
#define X(name, ...) "QN_ZERO_SIGN_" #name,
static const char *const ZERO_SIGNS[] = { QN_ZERO_SIGN_MAP(X) NULL };
#undef X
#define X(name, ...) "QN_TIES_" #name,
static const char *const TIES[] = { QN_TIES_MAP(X) NULL };
#undef X
// clang-format on

static void write_enumeration(qn_buf *buf, const char *const *names) {
  for (const char *const *name = names; *name != NULL; name++)
    qn_buf_printf(buf, "%s%s%s", name == names ? "enum { " : ", ", *name, name[1] != NULL ? "" : " };\n");
}

void qn_source_write_dtypes(qn_buf *buf) {
  write_enumeration(buf, DTYPES);
}

void qn_source_write_choices(qn_buf *buf) {
  static const char *const *const ENUMERATIONS[] = {
    ARITHMETICS, RULES, RANGES, ZEROS, GLOBALS, LAYOUTS, ZERO_POINTS, ZERO_POINT_RULES, NANS, ZERO_SIGNS, TIES,
  };
  for (size_t i = 0; i < QN_COUNT(ENUMERATIONS); i++) write_enumeration(buf, ENUMERATIONS[i]);
}

const char *qn_source_dtype_name(qn_dtype dtype) {
  return DTYPES[dtype];
}

// --- the recipe ------------------------------------------------------------------------------------------

// The words of the fields that are a choice; the others are numbers.
#define WORDS_scale_dtype     DTYPES
#define WORDS_scale_compute   DTYPES
#define WORDS_compute         DTYPES
#define WORDS_round_input     DTYPES
#define WORDS_rule            RULES
#define WORDS_range_rule      RANGES
#define WORDS_zero            ZEROS
#define WORDS_global          GLOBALS
#define WORDS_zero_point      ZERO_POINTS
#define WORDS_zero_point_rule ZERO_POINT_RULES
#define WORDS_arithmetic      ARITHMETICS
#define WORDS_nan             NANS
#define WORDS_zero_sign       ZERO_SIGNS
#define WORDS_ties            TIES
#define WORDS_exponent        NULL
#define WORDS_bump            NULL
#define WORDS_range           NULL
#define WORDS_inverse_range   NULL
#define WORDS_amax_floor      NULL
#define WORDS_scale_floor     NULL
#define WORDS_scale_of_zero   NULL
#define WORDS_least           NULL
#define WORDS_greatest        NULL

static void write_int(qn_buf *buf, int value, const char *const *words) {
  if (words != NULL)
    qn_buf_printf(buf, "%s;\n", words[value]);
  else
    qn_buf_printf(buf, "%d;\n", value);
}
static void write_unsigned(qn_buf *buf, unsigned value, const char *const *words) {
  (void)words;
  qn_buf_printf(buf, "0x%xu;\n", value);
}
static void write_real(qn_buf *buf, qn_real value, const char *const *words) {
  (void)words;
  qn_source_write_float(buf, value);
  qn_buf_printf(buf, "; // %.9g\n", (double)value);
}

// Field by field: in which order they stand is the affair of recipe_priv.h alone.
static void write_recipe(qn_buf *buf, const qn_scheme *scheme) {
  const qn_recipe recipe = qn_recipe_of(scheme);
  qn_buf_printf(buf, "DEVICE constexpr qn_recipe make_recipe() {\n  qn_recipe r = {};\n");
#define X(type, name)                                                                                          \
  qn_buf_printf(buf, "  r.%s = ", #name);                                                                      \
  _Generic(recipe.name, int: write_int, unsigned: write_unsigned, qn_real: write_real)(buf, recipe.name,       \
                                                                                       WORDS_##name);
  QN_RECIPE_MAP(X)
#undef X
  qn_buf_printf(buf, "  return r;\n}\nstatic __device__ constexpr qn_recipe RECIPE = make_recipe();\n");
}

// --- groups ----------------------------------------------------------------------------------------------

static uint32_t ceil_div(uint32_t a, uint32_t b) {
  return (a + b - 1) / b;
}

// The groups of a last axis that the codes fill up to `pad`.
static uint32_t room_of(const qn_scheme *scheme, uint32_t width) {
  return ceil_div(scheme->pad > 0 ? ceil_div(width, scheme->pad) * scheme->pad : width, scheme->group);
}

// How many groups a head and a token have, and for how many there is room; see scales.cuh.
static void write_groups(qn_buf *buf, const qn_kernel_spec *spec) {
  const qn_scheme *scheme = &spec->output;
  uint32_t width = spec->heads * spec->v_head_dim, group = scheme->group;
  uint32_t head = 0, token = 1, head_room = 0, token_room = 1;
  if (scheme->granularity == QN_PER_GROUP) {
    token = ceil_div(width, group);
    token_room = room_of(scheme, width);
  }
  if (scheme->granularity == QN_PER_GROUP && spec->v_head_dim % group == 0) {
    head = spec->v_head_dim / group;
    head_room = room_of(scheme, spec->v_head_dim);
  }
  if (scheme->scale_layout == QN_SCALES_PACKED || scheme->scale_layout == QN_SCALES_SWIZZLED)
    token_room = ceil_div(token_room, 4) * 4;
  qn_buf_printf(buf, "constexpr u32 GROUP = %" PRIu32 ", HEAD_GROUPS = %" PRIu32, group, head);
  qn_buf_printf(buf, ", TOKEN_GROUPS = %" PRIu32 ", HEAD_ROOM = %" PRIu32, token, head_room);
  qn_buf_printf(buf, ", TOKEN_ROOM = %" PRIu32 ";\n", token_room);
  qn_buf_printf(buf, "constexpr int SCALE_LAYOUT = %s;\n", LAYOUTS[scheme->scale_layout]);
  qn_buf_printf(buf, "constexpr bool SCALE_BOUND = %s;\n", spec->scale_bound ? "true" : "false");
}

void qn_source_write_scheme(qn_buf *buf, const qn_kernel_spec *spec) {
  const qn_scheme *scheme = &spec->output;
  write_recipe(buf, scheme);
  qn_buf_printf(buf, "constexpr int CODES = %s, SCALE_TYPE = %s, ZERO_POINT_TYPE = %s, PRE_SCALE_TYPE = %s;\n",
                DTYPES[scheme->target], DTYPES[scheme->scale_dtype], DTYPES[qn_scheme_get_zero_point(scheme)],
                DTYPES[spec->pre_scale_dtype]);
  if (scheme->dynamic)
    write_groups(buf, spec);
  else
    qn_buf_printf(buf, "constexpr bool PER_CHANNEL = %s;\n",
                  scheme->granularity == QN_PER_CHANNEL ? "true" : "false");
}
