// What the quantizer refuses: schemes that contradict themselves, operands that do not fit; and in which words.
#include "quant_test.h"

static const double NUMBERS[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8 };

static void refuse(quantization q, qn_status status, const char *message) {
  q.x = NUMBERS;
  quantize(&q);
  cr_expect_eq(q.status, status, "%s: %s %s", q.scheme, qn_status_name(q.status), q.message);
  cr_expect(strstr(q.message, message), "%s: '%s'", q.scheme, q.message);
  release(&q);
}
#define NUMBERS_OF(n) ((qn_numbers){ NUMBERS, (n) })

Test(refusals, schemes_that_contradict_themselves) {
  static const struct {
    const char *scheme, *message;
  } cases[] = {
    { "none", "has a target that codes are not written in" },
    { "fp8_static{target=f16}", "has a target that codes are not written in" },
    { "fp8_static{target=e8m0}", "has a target that codes are not written in" },
    { "int8_static{target=s32}", "has a target that codes are not written in" },
    { "fp8_static{zero_point=after}", "has zero points and codes that are no integers" },
    { "fp8_static{compute=e4m3}", "rounds the quotient to a type other than" },
    { "fp8_static{compute=f64}", "rounds the quotient to a type other than" },
    { "fp8_static{round=s8}", "rounds the value to a type other than" },
    { "fp8_static{ties=towards_zero}", "for e2m1" },
    { "fp8_static{zero_sign=dropped}", "for e2m1" },
    { "fp8_static{zero_sign=set}", "for e2m1" },
    { "int8_static{zero_sign=exact}", "codes that have none" },
    { "fp8_block", "has groups of 0 elements" },
    { "nvfp4{group=0}", "has groups of 0 elements" },
    { "fp8_static{arithmetic=range}", "has arithmetic range, which needs amax, and is not dynamic" },
    { "fp8_token{scale=?}", "is dynamic and has no scale" },
    { "fp8_token{scale=s8}", "stores scales in a type that is no float" },
    { "fp8_token{scale_compute=e4m3}", "rounds the scale to a type other than" },
    { "fp8_token{rule=multiplier}", "needs rule multiplier and arithmetic multiply together" },
    { "fp8_token{arithmetic=multiply}", "needs rule multiplier and arithmetic multiply together" },
    { "nvfp4{rule=product}", "needs a global divisor for rule product" },
    { "nvfp4{rule=up}", "has a global scale and a rule that has none" },
    { "nvfp4{arithmetic=range}", "has a global scale and an arithmetic that has none" },
    { "int8_token_zp{rule=reciprocal}", "is for symmetric codes" },
    { "int8_token_zp{global=divisor}", "is for symmetric codes" },
    { "int8_token_zp{arithmetic=range}", "is for symmetric codes" },
    { "mxfp8{scale=f16}", "stores them as neither e8m0 nor f32" },
    { "fp8_group{scale_layout=packed}", "packs scales other than those of e8m0" },
    { "fp8_dynamic{scale_layout=swizzled}", "has a layout of scales that is for groups and tokens" },
    { "int8_token{range=with_zero}", "has range with_zero and no zero points" },
  };
  for (size_t i = 0; i < QN_COUNT(cases); i++) {
    quantization q = { .scheme = cases[i].scheme, .rank = 2, .dims = { 2, 4 } };
    refuse(q, QN_INVALID, cases[i].message);
    qn_scheme scheme;
    cr_assert(qn_scheme_parse(cases[i].scheme, &scheme));
    cr_assert_not_null(qn_scheme_find_fault(&scheme));
  }
}

// All rows but `none`, and those that wait for a group, are well as they are.
Test(refusals, no_family_contradicts_itself) {
  for (int family = 1; family < QN_SCHEME_FAMILY_COUNT; family++) {
    qn_scheme scheme = qn_scheme_of((qn_scheme_family)family);
    if (scheme.granularity == QN_PER_GROUP && scheme.group == 0) scheme.group = 32;
    const char *fault = qn_scheme_find_fault(&scheme);
    cr_expect_null(fault, "%s %s", qn_scheme_family_name((qn_scheme_family)family), fault);
  }
}

#define AT(...) ((quantization){ .rank = 2, .dims = { 2, 4 }, .scheme = __VA_ARGS__ })

Test(refusals, scales_in_another_number) {
  refuse(AT("fp8_static"), QN_INVALID, "expected 1 scales, found 0");
  refuse(AT("fp8_static", .scale = NUMBERS_OF(2)), QN_INVALID, "expected 1 scales, found 2");
  refuse(AT("fp8_channel", .scale = NUMBERS_OF(2)), QN_INVALID, "expected 4 scales, found 2");
  refuse(AT("fp8_channel{axis=0}", .scale = NUMBERS_OF(4)), QN_INVALID, "expected 2 scales, found 4");
  refuse(AT("fp8_block{group=3}", .scale = NUMBERS_OF(2)), QN_INVALID, "expected 4 scales, found 2");
  refuse(AT("fp8_cast", .scale = NUMBERS_OF(1)), QN_INVALID, "expected 0 scales, found 1");
  refuse(AT("fp8_token", .scale = NUMBERS_OF(1)), QN_INVALID, "expected 0 global scales, found 1");
  refuse(AT("nvfp4"), QN_INVALID, "expected 1 global scales, found 0");
  refuse(AT("nvfp4", .scale = NUMBERS_OF(2)), QN_INVALID, "expected 1 global scales, found 2");
}

Test(refusals, zero_points_in_another_number) {
  refuse(AT("int8_static", .scale = NUMBERS_OF(1), .zero_point = NUMBERS_OF(2)), QN_INVALID,
         "expected 1 zero points, found 2");
  refuse(AT("int8_channel", .scale = NUMBERS_OF(4), .zero_point = NUMBERS_OF(2)), QN_INVALID,
         "expected 4 zero points, found 2");
  refuse(AT("int8_dynamic", .zero_point = NUMBERS_OF(1)), QN_INVALID, "expected 0 zero points, found 1");
}

Test(refusals, zero_points_where_there_are_none) {
  refuse(AT("fp8_static", .scale = NUMBERS_OF(1), .zero_point = NUMBERS_OF(1)), QN_INVALID,
         "a zero point of 1 under a scheme without zero points");
  refuse(AT("int8_static{zero_point=none}", .scale = NUMBERS_OF(1), .zero_point = NUMBERS_OF(1)), QN_INVALID,
         "a zero point of 1 under a scheme without zero points");
  quantization q = AT("fp8_static", .scale = NUMBERS_OF(1), .zero_point = ONE(0), .x = NUMBERS);
  quantize_well(&q);
  release(&q);
}

Test(refusals, factors_that_fit_no_axis) {
  refuse(AT("fp8_token", .pre_scale = NUMBERS_OF(2)), QN_INVALID,
         "2 elements of pre_scale fit none of the last axes");
  refuse(AT("fp8_token", .pre_scale = NUMBERS_OF(16)), QN_INVALID, "16 elements of pre_scale");
}

Test(refusals, bounds_of_what_has_no_amax) {
  refuse(AT("fp8_static", .scale = NUMBERS_OF(1), .scale_bound = NUMBERS_OF(1)), QN_INVALID, "a bound of amax");
  refuse(AT("int8_token_zp", .scale_bound = NUMBERS_OF(1)), QN_INVALID, "a bound of amax");
  refuse(AT("fp8_token", .scale_bound = NUMBERS_OF(2)), QN_INVALID, "expected 1 bounds of amax, found 2");
}

Test(refusals, axes_that_there_are_not) {
  refuse(AT("fp8_channel{axis=2}", .scale = NUMBERS_OF(1)), QN_INVALID,
         "the scheme's axis 2 is not an axis of a tensor of rank 2");
  refuse(AT("fp8_group{axis=-3}"), QN_INVALID, "the scheme's axis -3 is not an axis of a tensor of rank 2");
  quantization scalar = { .scheme = "fp8_token", .rank = 0 };
  refuse(scalar, QN_INVALID, "the scheme's axis -1 is not an axis of a tensor of rank 0");
}

Test(refusals, layouts_of_groups_along_another_axis) {
  refuse(AT("fp8_group{group=2, axis=0, scale_layout=column}"), QN_INVALID,
         "scales in another layout than row need groups along the last axis");
}

static void refuse_back(const char *text, uint64_t scales, qn_status status, const char *message) {
  qn_context *context;
  qn_scheme scheme;
  double out[8];
  cr_assert_eq(qn_context_create(NULL, &context), QN_OK);
  cr_assert(qn_scheme_parse(text, &scheme));
  const qn_quantize_args args = {
    .scheme = &scheme, .rank = 2, .dims = (int64_t[]){ 2, 4 }, .scale = NUMBERS_OF(scales)
  };
  cr_expect_eq(qn_dequantize(context, &args, NUMBERS, out), status);
  cr_expect(strstr(qn_context_get_error(context)->message, message), "%s",
            qn_context_get_error(context)->message);
  qn_context_destroy(context);
}

Test(refusals, dequantizing) {
  refuse_back("fp8_token", 3, QN_INVALID, "expected 2 scales, found 3");
  refuse_back("mxfp8{scale_layout=swizzled}", 2, QN_INVALID, "expected 512 scales, found 2");
  refuse_back("fp8_block", 1, QN_INVALID, "has groups of 0 elements");
  refuse_back("nvfp4", 512, QN_UNSUPPORTED, "dequantizing under a global scale");
  refuse_back("fp8_cast", 1, QN_INVALID, "dequantizing without a scale");
}
