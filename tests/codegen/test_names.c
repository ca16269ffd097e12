// The name of a kernel is its identity in a program: two specs that differ have two names.

#include "ir/base_priv.h"

#include "tests/codegen/codegen_test.h"
#include <stdio.h>
#include <stdlib.h>

enum { NAMES_MAX = 200000 };

typedef struct named {
  char name[128];
  qn_kernel_spec spec;
} named;

static named *names;
static size_t count;

static void setup(void) {
  names = malloc(NAMES_MAX * sizeof *names);
  cr_assert_not_null(names);
  count = 0;
}
static void teardown(void) {
  free(names);
}
TestSuite(names, .init = setup, .fini = teardown);

static void add(const qn_kernel_spec *spec) {
  cr_assert_lt(count, NAMES_MAX);
  names[count].spec = *spec;
  qn_kernel_format_name(spec, names[count].name);
  for (const char *c = names[count].name; *c != '\0'; c++)
    cr_assert((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_', "%s", names[count].name);
  count++;
}

static int compare(const void *a, const void *b) {
  return strcmp(((const named *)a)->name, ((const named *)b)->name);
}

// The same scheme may be said in two ways; the other fields of these specs are said in one.
static bool same(const qn_kernel_spec *a, const qn_kernel_spec *b) {
  qn_kernel_spec x = *a, y = *b;
  if (!qn_scheme_equal(&a->output, &b->output)) return false;
  x.output = y.output = qn_scheme_of(QN_SCHEME_none);
  return memcmp(&x, &y, sizeof x) == 0;
}

static void expect_distinct(void) {
  qsort(names, count, sizeof *names, compare);
  for (size_t i = 1; i < count; i++)
    if (strcmp(names[i - 1].name, names[i].name) == 0 && !same(&names[i - 1].spec, &names[i].spec)) {
      char a[QN_SCHEME_TEXT_MAX], b[QN_SCHEME_TEXT_MAX];
      qn_scheme_format(&names[i - 1].spec.output, a);
      qn_scheme_format(&names[i].spec.output, b);
      cr_assert_fail("%s: %s and %s", names[i].name, a, b);
    }
}

static const char *const FIELDS[] = {
  "target=e5m2",
  "target=s8",
  "target=u8",
  "target=e2m1",
  "granularity=tensor",
  "granularity=channel",
  "granularity=token",
  "granularity=group",
  "dynamic=true",
  "dynamic=false",
  "scale=?",
  "scale=f16",
  "scale=bf16",
  "scale=e8m0",
  "scale_layout=column",
  "scale_layout=packed",
  "scale_layout=swizzled",
  "rule=reciprocal",
  "rule=product",
  "rule=up_1_75",
  "rule=up",
  "range=half",
  "range=with_zero",
  "floor=amax_1e-10",
  "floor=scale_1e-10",
  "floor=codes_512",
  "zero=one",
  "zero=eps",
  "scale_compute=f16",
  "scale_compute=bf16",
  "global=multiplier",
  "global=divisor",
  "zero_point=after",
  "zero_point=before",
  "zero_point_rule=inner",
  "zero_point_type=s32",
  "zero_point_type=u8",
  "arithmetic=multiply",
  "arithmetic=reciprocal",
  "arithmetic=range",
  "compute=f16",
  "compute=bf16",
  "round=f16",
  "round=bf16",
  "round=f32",
  "saturate=false",
  "nan=largest",
  "zero_sign=set",
  "zero_sign=exact",
  "ties=towards_zero",
  "narrow=true",
  "group=32",
  "group=64",
  "pad=32",
  "pad=320",
  "axis=1",
  "axis=-1",
  "axis=-2",
};

// Every family with every two fields that deviate.
Test(names, of_schemes) {
  for (int family = 1; family < QN_SCHEME_FAMILY_COUNT; family++)
    for (size_t i = 0; i < QN_COUNT(FIELDS); i++)
      for (size_t j = i; j < QN_COUNT(FIELDS); j++) {
        char text[QN_SCHEME_TEXT_MAX];
        qn_kernel_spec spec = usual();
        snprintf(text, sizeof text, "%s{%s%s%s}", qn_scheme_family_name((qn_scheme_family)family), FIELDS[i],
                 i == j ? "" : ", ", i == j ? "" : FIELDS[j]);
        bool two_of_one = i != j && strcspn(FIELDS[i], "=") == strcspn(FIELDS[j], "=") &&
                          strncmp(FIELDS[i], FIELDS[j], strcspn(FIELDS[i], "=")) == 0;
        if (two_of_one) continue;
        cr_assert(qn_scheme_parse(text, &spec.output), "%s", text);
        add(&spec);
      }
  expect_distinct();
}

// Every two of the other fields.
#define CHANGES(X)                                                                                             \
  X(s.dtype = s.out_dtype = QN_F16)                                                                            \
  X((s.dtype = s.out_dtype = QN_F32, s.f32_mode = QN_F32_TF32))                                                \
  X(s.schedule = QN_SCHEDULE_split)                                                                            \
  X(s.kv_dtype = QN_E4M3)                                                                                      \
  X(s.kv_dtype = QN_E5M2)                                                                                      \
  X(s.k_scale = QN_KV_SCALE_TENSOR)                                                                            \
  X(s.v_scale = QN_KV_SCALE_TENSOR)                                                                            \
  X(s.k_scale = QN_KV_SCALE_HEAD)                                                                              \
  X(s.v_scale = QN_KV_SCALE_HEAD)                                                                              \
  X(s.page_size = 16)                                                                                          \
  X(s.page_size = 256)                                                                                         \
  X(s.head_dim = 64)                                                                                           \
  X(s.heads = 8)                                                                                               \
  X(s.pack_heads = true)                                                                                       \
  X(s.causal = QN_CAUSAL_TOP_LEFT)                                                                             \
  X(s.window_left = 16)                                                                                        \
  X(s.window_right = 16)                                                                                       \
  X(s.mask = QN_MASK_BOOLEAN)                                                                                  \
  X((s.mask = QN_MASK_ADDITIVE, s.mask_dtype = QN_F32))                                                        \
  X(s.softcap = 30)                                                                                            \
  X(s.alibi = true)                                                                                            \
  X(s.sinks_dtype = QN_F32)                                                                                    \
  X((s.kv_lengths = true, s.lengths_dtype = QN_S32))                                                           \
  X((s.varlen = true, s.lengths_dtype = QN_S64))                                                               \
  X(s.scale = 1)                                                                                               \
  X(s.output = qn_scheme_of(QN_SCHEME_fp8_static))                                                             \
  X(s.output = qn_scheme_of(QN_SCHEME_nvfp4))                                                                  \
  X((s.output = qn_scheme_of(QN_SCHEME_nvfp4), s.scale_bound = true))                                          \
  X((s.output = qn_scheme_of(QN_SCHEME_fp8_static), s.pre_scale_dtype = QN_F16))                               \
  X((s.output = qn_scheme_of(QN_SCHEME_fp8_static), s.pre_scale_dtype = QN_F32))                               \
  X((s.output = qn_scheme_of(QN_SCHEME_fp8_static), s.unquantized = true))                                     \
  X((s.output = qn_scheme_of(QN_SCHEME_fp8_static), s.numerics = QN_DIRECT))

enum {
#define X(change) +1
  CHANGE_COUNT = 0 CHANGES(X)
#undef X
};

static void apply(qn_kernel_spec *spec, int index) {
  qn_kernel_spec s = *spec;
  int i = 0;
#define X(change)                                                                                              \
  if (i++ == index) change;
  CHANGES(X)
#undef X
  *spec = s;
}

Test(names, of_specs) {
  for (int i = 0; i < CHANGE_COUNT; i++)
    for (int j = i; j < CHANGE_COUNT; j++) {
      qn_kernel_spec spec = usual();
      apply(&spec, i);
      apply(&spec, j);
      add(&spec);
    }
  expect_distinct();
}
