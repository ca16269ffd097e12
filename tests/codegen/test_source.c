// The text of kernels: the same spec gives the same bytes, and a known spec known ones.

#include "ir/base_priv.h"

#include "tests/codegen/codegen_test.h"
#include <xxhash.h>

static qn_context *ctx;

static void setup(void) {
  cr_assert_eq(qn_context_create(NULL, &ctx), QN_OK);
}
static void teardown(void) {
  qn_context_destroy(ctx);
}

TestSuite(source, .init = setup, .fini = teardown);

static qn_buf source_of(const qn_kernel_spec *spec) {
  qn_buf text = QN_BUF(ctx);
  qn_writer writer = qn_buf_writer(&text);
  cr_assert_eq(qn_kernel_write_source(ctx, spec, &writer), QN_OK, "%s", qn_context_get_error(ctx)->message);
  return text;
}

Test(source, same_spec_same_bytes) {
  qn_kernel_spec spec = plain(), resolved = plain();
  qn_kernel_spec_resolve(&resolved);
  qn_buf a = source_of(&spec), b = source_of(&resolved);
  cr_expect_eq(a.length, b.length);
  cr_expect_str_eq(a.text, b.text);
  qn_buf_free(&a);
  qn_buf_free(&b);
}

// Device text is meant to change: then this number does, and the disk cache forgets the old kernels.
Test(source, known_bytes) {
  qn_kernel_spec spec = plain();
  qn_buf text = source_of(&spec);
  uint64_t hash = XXH3_64bits(text.text, text.length);
  cr_expect_eq(hash, 0x72965ab385e2bb9cull, "0x%016llxull", (unsigned long long)hash);
  qn_buf_free(&text);
}

Test(source, takes_only_what_it_needs) {
  qn_kernel_spec spec = plain();
  qn_buf text = source_of(&spec);
  cr_expect_null(strstr(text.text, "#include"));
  cr_expect_not_null(strstr(text.text, "===== fp8_software ====="));
  cr_expect_null(strstr(text.text, "===== ptx_fp8 ====="));
  qn_buf_free(&text);
  spec.target = QN_TARGET_sm_89;
  text = source_of(&spec);
  cr_expect_null(strstr(text.text, "===== fp8_software ====="));
  cr_expect_not_null(strstr(text.text, "===== ptx_fp8 ====="));
  cr_expect_not_null(strstr(text.text, "\nqn_attention_mma_f16_d64_h8_2_fp8_static(const __grid_constant__"));
  qn_buf_free(&text);
}

Test(source, floats_are_exact_in_every_locale) {
  qn_kernel_spec spec = plain();
  spec.scale = -0.1f;
  qn_buf text = source_of(&spec);
  cr_expect_not_null(strstr(text.text, "constexpr float SCALE = -0x1.99999ap-4f;"));
  qn_buf_free(&text);
}

Test(source, refuses_what_is_not_supported) {
  qn_kernel_spec spec = plain();
  qn_buf text = QN_BUF(ctx);
  qn_writer writer = qn_buf_writer(&text);
  spec.softcap = -30;
  cr_expect_eq(qn_kernel_write_source(ctx, &spec, &writer), QN_UNSUPPORTED);
  cr_expect_str_eq(
      qn_context_get_error(ctx)->message,
      "no kernel for this softcap: expected softcap from 1/1024 to 1024, or 0 for none, found softcap -30");
  cr_expect_eq(text.length, 0);
}
