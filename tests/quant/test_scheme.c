// Schemes as text: writing and reading are inverse, and what is no scheme is refused.
#include <criterion/criterion.h>
#include <quench/scheme.h>
#include <stdio.h>
#include <string.h>

static void round_trip(qn_scheme scheme, const char *expected) {
  char text[QN_SCHEME_TEXT_MAX];
  memset(text, 'x', sizeof text);
  qn_scheme_format(&scheme, text);
  cr_assert(memchr(text, '\0', sizeof text));
  if (expected) cr_assert_str_eq(text, expected);
  qn_scheme back;
  cr_assert(qn_scheme_parse(text, &back), "%s", text);
  cr_assert(qn_scheme_equal(&scheme, &back), "%s", text);
}

Test(scheme, each_family_is_its_name) {
  for (int family = 0; family < QN_SCHEME_FAMILY_COUNT; family++) {
    qn_scheme scheme = qn_scheme_of((qn_scheme_family)family);
    cr_assert_eq(scheme.family, family);
    round_trip(scheme, qn_scheme_family_name((qn_scheme_family)family));
    cr_assert(strlen(qn_scheme_family_doc((qn_scheme_family)family)) > 0);
  }
}

Test(scheme, defaults_of_the_rows) {
  qn_scheme scheme = qn_scheme_of(QN_SCHEME_fp8_static);
  cr_assert_eq(scheme.target, QN_E4M3);
  cr_assert_eq(scheme.scale_dtype, QN_F32);
  cr_assert_eq(scheme.compute, QN_F32);
  cr_assert_eq(scheme.arithmetic, QN_DIVIDE);
  cr_assert_eq(scheme.round_input, QN_ANY);
  cr_assert_eq(scheme.saturate, 1);
  cr_assert_eq(scheme.axis, 0);
  cr_assert_eq(qn_scheme_of(QN_SCHEME_int8_channel).axis, -1);
  cr_assert_eq(qn_scheme_of(QN_SCHEME_int8_dynamic).dynamic, 1);
}

Test(scheme, each_field_deviates) {
  // clang-format off
  static const char *const texts[] = {
    "fp8_static{target=e5m2}", "fp8_static{granularity=token}", "fp8_static{dynamic=true}", "fp8_static{scale=f16}",
    "fp8_token{scale_layout=column}", "fp8_token{scale_layout=tma_aligned}", "mxfp8{scale_layout=packed}", "mxfp8{scale_layout=swizzled}",
    "nvfp4{scale_layout=row}", "fp8_token{rule=reciprocal}", "nvfp4{rule=product}", "fp8_token{rule=multiplier}", "mxfp8{rule=up}",
    "mxfp8{rule=up_1_75}", "mxfp8{rule=even}", "mxfp8{rule=ceil}", "mxfp8{rule=divide}", "fp8_token{rule=floor}",
    "int8_token{range=half}", "int8_token_zp{range=with_zero}", "int8_dynamic{range=full}", "fp8_token{floor=none}",
    "fp8_token{floor=amax_1e-10}", "fp8_token{floor=amax_1e-12}", "fp8_token{floor=scale_1e-10}", "fp8_dynamic{floor=codes_512}",
    "fp8_token{floor=eps_f32}", "nvfp4{floor=subnormal}", "nvfp4{floor=normal}", "fp8_token{zero=one}", "fp8_token{zero=eps}",
    "fp8_token{zero=codes}", "nvfp4{zero=computed}", "fp8_token{scale_compute=bf16}", "fp8_token{scale_compute=f16}",
    "nvfp4{global=none}", "nvfp4{global=divisor}", "fp4_block{global=multiplier}", "fp8_static{zero_point=after}",
    "int8_static{zero_point=none}", "int8_static{zero_point=before}", "int8_token_zp{zero_point_rule=inner}",
    "int8_token_zp{zero_point_type=s8}", "int8_token_zp{zero_point_type=?}",
    "fp8_static{arithmetic=reciprocal}", "fp8_static{arithmetic=multiply}", "fp8_token{arithmetic=range}", "nvfp4{arithmetic=divide}",
    "fp8_static{compute=f16}", "fp8_static{round=bf16}", "fp8_static{saturate=false}", "fp8_static{nan=largest}",
    "nvfp4{zero_sign=exact}", "nvfp4{zero_sign=dropped}", "nvfp4{zero_sign=set}", "nvfp4{ties=towards_zero}", "int8_static{narrow=true}",
    "fp8_block{group=16}", "nvfp4{pad=64}", "nvfp4{pad=65535}",
    "fp8_channel{axis=1}", "int8_channel{axis=-2147483648}", "fp4_block{scale=e4m3, group=65535, axis=2147483647}",
    "fp8_static{target=e5m2, arithmetic=reciprocal, compute=f16, round=f16, saturate=false, axis=1}", "none{target=u8}",
  };
  // clang-format on
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    qn_scheme scheme;
    cr_assert(qn_scheme_parse(texts[i], &scheme), "%s", texts[i]);
    round_trip(scheme, texts[i]);
  }
}

// Every field of a family at its longest word: QN_SCHEME_TEXT_MAX holds them all, and none is cut off.
Test(scheme, all_fields_at_once_fit) {
  static const char fields[] =
      "target=e4m3fnuz, granularity=channel, dynamic=true, scale=e4m3fnuz, scale_layout=tma_aligned, "
      "rule=multiplier, "
      "range=with_zero, floor=scale_1e-10, zero=computed, scale_compute=e4m3fnuz, global=multiplier, "
      "zero_point=before, "
      "zero_point_rule=inner, zero_point_type=e4m3fnuz, arithmetic=reciprocal, compute=e4m3fnuz, "
      "round=e4m3fnuz, "
      "saturate=false, nan=largest, zero_sign=dropped, ties=towards_zero, narrow=true, group=65535, pad=65535, "
      "axis=-2147483648";
  qn_scheme longest;
  char text[QN_SCHEME_TEXT_MAX + 64];
  size_t most = 0;
  for (int family = 0; family < QN_SCHEME_FAMILY_COUNT; family++) {
    snprintf(text, sizeof text, "%s{%s}", qn_scheme_family_name((qn_scheme_family)family), fields);
    cr_assert(qn_scheme_parse(text, &longest), "%s", text);
    round_trip(longest, NULL);
    qn_scheme_format(&longest, text);
    most = strlen(text) > most ? strlen(text) : most;
  }
  cr_assert(most < QN_SCHEME_TEXT_MAX - 1, "%zu", most);
  cr_assert(most > 400, "%zu", most);
}

Test(scheme, spaces_and_order_are_free) {
  qn_scheme a, b;
  cr_assert(qn_scheme_parse("  fp8_static { axis = 1 ,target=e5m2 }  ", &a));
  cr_assert(qn_scheme_parse("fp8_static{target=e5m2, axis=1}", &b));
  cr_assert(qn_scheme_equal(&a, &b));
}

Test(scheme, what_is_no_scheme_is_refused) {
  // clang-format off
  static const char *const texts[] = {
    "", " ", "fp8", "fp8_staticx", "FP8_static", "fp8_static{", "fp8_static}", "fp8_static{}", "fp8_static{axis}", "fp8_static{axis=}",
    "fp8_static{=1}", "fp8_static{axis=1", "fp8_static{axis=1,}", "fp8_static{axis=1}x", "fp8_static{axis=1 axis=2}",
    "fp8_static{axis=1, axis=1}", "fp8_static{axis=2147483648}", "fp8_static{axis=-2147483649}", "fp8_static{axis=01}",
    "fp8_static{axis=-0}", "fp8_static{axis=-}", "fp8_static{axis=1e3}", "fp8_static{axis=99999999999999999999}", "fp8_static{group=-1}",
    "fp8_static{group=65536}", "fp8_static{target=e4m4}", "fp8_static{dynamic=1}", "fp8_static{saturate=maybe}", "fp8_static{color=red}",
    "fp8_static{granularity=row}", "fp8_static fp8_static", "fp8_static{axis=1}{axis=1}",
    "fp8_static{target=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}",
  };
  // clang-format on
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    qn_scheme scheme = { .axis = 77 };
    cr_expect_not(qn_scheme_parse(texts[i], &scheme), "%s", texts[i]);
    cr_expect_eq(scheme.axis, 77);
  }
}

// --- the page ----------------------------------------------------------------------------------------------

// docs/schemes.md has every family, every word of every field, and no scheme that cannot be read.
Test(scheme, page_has_every_word) {
  // clang-format off
#define X(name, text, ...) text,
  static const char *const words[] = {
    QN_GRANULARITY_MAP(X) QN_ARITHMETIC_MAP(X) QN_SCALE_RULE_MAP(X) QN_SCALE_RANGE_MAP(X) QN_SCALE_FLOOR_MAP(X)
    QN_SCALE_ZERO_MAP(X) QN_GLOBAL_SCALE_MAP(X) QN_SCALE_LAYOUT_MAP(X) QN_ZERO_POINT_MAP(X) QN_ZERO_POINT_RULE_MAP(X)
    QN_NAN_MAP(X) QN_ZERO_SIGN_MAP(X) QN_TIES_MAP(X)
  };
#undef X
  // clang-format on
  static char page[0x10000];
  FILE *file = fopen(QN_TEST_SCHEMES_PAGE, "r");
  cr_assert(file);
  page[fread(page, 1, sizeof page - 1, file)] = '\0';
  fclose(file);
  char quoted[64];
  for (int family = 1; family < QN_SCHEME_FAMILY_COUNT; family++) {
    snprintf(quoted, sizeof quoted, "`%s`", qn_scheme_family_name((qn_scheme_family)family));
    cr_expect(strstr(page, quoted), "%s", quoted);
  }
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    snprintf(quoted, sizeof quoted, "`%s`", words[i]);
    cr_expect(strstr(page, quoted), "%s", quoted);
  }
  int read = 0;
  for (char *at = page; (at = strchr(at, '`')); at++) {
    char text[QN_SCHEME_TEXT_MAX], *end = strchr(at + 1, '`');
    cr_assert(end);
    size_t length = (size_t)(end - at - 1);
    snprintf(text, sizeof text, "%.*s", (int)length, at + 1);
    at = end;
    if (!strchr(text, '{') || strstr(text, "...")) continue;
    for (char *type = text; (type = strpbrk(type, "TU")); type++) *type = '?'; // the tensor's type
    qn_scheme scheme;
    cr_expect(qn_scheme_parse(text, &scheme), "%s", text);
    read++;
  }
  cr_assert(read > 30, "%d", read);
}
