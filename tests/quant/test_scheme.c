// Schemes as text: writing and reading are inverse, and what is no scheme is refused.
#include <criterion/criterion.h>
#include <quench/scheme.h>
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
    "fp8_static{zero_point=after}", "fp8_static{arithmetic=reciprocal}", "fp8_static{arithmetic=multiply}",
    "fp8_static{compute=f16}", "fp8_static{round=bf16}", "fp8_static{saturate=false}", "fp8_block{group=16}",
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

Test(scheme, all_fields_at_once_fit) {
  qn_scheme scheme = { .family = QN_SCHEME_int16_static,
                       .target = QN_E4M3FNUZ,
                       .granularity = QN_PER_CHANNEL,
                       .dynamic = 1,
                       .scale_dtype = QN_E4M3FNUZ,
                       .zero_point = 0,
                       .arithmetic = QN_RECIPROCAL,
                       .compute = QN_E4M3FNUZ,
                       .round_input = QN_E4M3FNUZ,
                       .saturate = 0,
                       .group = UINT16_MAX,
                       .axis = INT32_MIN };
  round_trip(scheme, NULL);
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
