// The text of kernels: the same spec gives the same bytes, and a known spec known ones.

#include "codegen/launch_priv.h"
#include "ir/base_priv.h"

#include <criterion/criterion.h>
#include <xxhash.h>

static qn_context *ctx;

static void setup(void) {
  cr_assert_eq(qn_context_create(NULL, &ctx), QN_OK);
}
static void teardown(void) {
  qn_context_destroy(ctx);
}

TestSuite(source, .init = setup, .fini = teardown);
TestSuite(launch, .init = setup, .fini = teardown);

static qn_kernel_spec plain(void) {
  return (qn_kernel_spec){
    .target = QN_TARGET_sm_80,
    .dtype = QN_F16,
    .out_dtype = QN_F16,
    .head_dim = 64,
    .v_head_dim = 64,
    .heads = 8,
    .kv_heads = 2,
    .window_left = -1,
    .window_right = -1,
    .output = qn_scheme_of(QN_SCHEME_fp8_static),
  };
}

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
  cr_expect_eq(hash, 0x6fe4d32bcfef90ceull, "0x%016llxull", (unsigned long long)hash);
  qn_buf_free(&text);
}

Test(source, takes_only_what_it_needs) {
  qn_kernel_spec spec = plain();
  qn_buf text = source_of(&spec);
  cr_expect_null(strstr(text.text, "#include"));
  cr_expect_not_null(strstr(text.text, "===== codec ====="));
  cr_expect_null(strstr(text.text, "===== ptx_fp8 ====="));
  qn_buf_free(&text);
  spec.target = QN_TARGET_sm_89;
  text = source_of(&spec);
  cr_expect_null(strstr(text.text, "===== codec ====="));
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

// --- launches --------------------------------------------------------------------------------------------

static qn_attention_args arguments(void) {
  qn_attention_args args = {
    .batch = 3, .q_len = 130, .kv_len = 77, .q = 4096, .k = 8192, .v = 16384, .out = 32768, .output_scale = 64
  };
  qn_kernel_spec spec = plain();
  qn_attention_args_set_dense(&spec, QN_LAYOUT_BHSD, QN_LAYOUT_BHSD, QN_LAYOUT_BHSD, QN_LAYOUT_TM, &args);
  return args;
}

Test(launch, grid_block_and_parameters) {
  qn_kernel_spec spec = plain();
  qn_attention_args args = arguments();
  qn_launch launch;
  cr_assert_eq(qn_launch_prepare(ctx, &spec, &args, &launch), QN_OK);
  cr_expect_eq(launch.grid, 2 * 8 * 3);
  cr_expect_eq(launch.block, 128);
  cr_expect_eq(launch.shared_bytes, 128 * 64 * 2 + 2 * 2 * 64 * 64 * 2);
  cr_expect_eq(launch.params.q_len, 130);
  cr_expect_eq(launch.params.out_position, 8 * 64);
  args.q_len = 0;
  cr_assert_eq(qn_launch_prepare(ctx, &spec, &args, &launch), QN_OK);
  cr_expect_eq(launch.grid, 0);
}

// A batch stride says nothing where sequences lie end to end.
Test(launch, numbers_a_head_and_a_sequence) {
  qn_kernel_spec spec = plain();
  qn_attention_args args = arguments();
  qn_launch launch;
  spec.sinks_dtype = QN_F32;
  spec.alibi = spec.varlen = true;
  spec.lengths_dtype = QN_S32;
  args.sinks = 128, args.alibi_slopes = 256, args.cu_seqlens_q = 512, args.cu_seqlens_kv = 1024;
  qn_attention_args_set_dense(&spec, QN_LAYOUT_THD, QN_LAYOUT_THD, QN_LAYOUT_TM, QN_LAYOUT_THD, &args);
  args.q_stride.batch = 1;
  cr_assert_eq(qn_launch_prepare(ctx, &spec, &args, &launch), QN_OK, "%s", qn_context_get_error(ctx)->message);
  cr_expect_eq(launch.grid, 2 * 8 * 3);
  cr_expect_eq(launch.params.sinks, 128);
  cr_expect_eq(launch.params.alibi_slopes, 256);
  cr_expect_eq(launch.params.cu_seqlens_q, 512);
  cr_expect_eq(launch.params.cu_seqlens_kv, 1024);
  cr_expect_eq(launch.params.q_position, 8 * 64);
  cr_expect_eq(launch.params.v_position, 2 * 64);
  cr_expect_eq(launch.params.v_head, 64);
}

Test(launch, packed_heads_share_tiles) {
  qn_kernel_spec spec = plain();
  qn_attention_args args = arguments();
  qn_launch launch;
  spec.pack_heads = true;
  cr_assert_eq(qn_launch_prepare(ctx, &spec, &args, &launch), QN_OK);
  cr_expect_eq(launch.grid, (130 * 4 + 127) / 128 * 2 * 3);
}

Test(launch, shared_memory_holds_padded_rows) {
  qn_kernel_spec spec = plain();
  spec.head_dim = 72; // 9 chunks of q and k, and one of zeros
  spec.v_head_dim = 40;
  spec.tile_q = 64, spec.tile_kv = 32, spec.warps = 4, spec.stages = 2;
  cr_expect_eq(qn_kernel_get_shared_bytes(&spec), (64 * 10 + 2 * 32 * (10 + 5)) * 16);
  spec.dtype = spec.out_dtype = QN_F32; // 18 and 10 chunks; those of v at an odd distance
  cr_expect_eq(qn_kernel_get_shared_bytes(&spec), (64 * 18 + 2 * 32 * (18 + 11)) * 16);
}

#define REFUSED(change, status, message_)                                                                      \
  do {                                                                                                         \
    qn_kernel_spec spec = plain();                                                                             \
    qn_attention_args args = arguments();                                                                      \
    qn_launch launch;                                                                                          \
    change;                                                                                                    \
    cr_expect_eq(qn_launch_prepare(ctx, &spec, &args, &launch), status, #change);                              \
    cr_expect_str_eq(qn_context_get_error(ctx)->message, message_, "%s", qn_context_get_error(ctx)->message);  \
  } while (0)

Test(launch, refusals) {
  REFUSED(args.q = 0, QN_INVALID, "q is a null pointer");
  REFUSED(args.k += 8, QN_INVALID, "k must be aligned to 16 bytes, its address is 0x2008");
  REFUSED(args.v_stride.position = 65, QN_INVALID,
          "the position stride of v must be a multiple of 8 elements (16 bytes), found 65");
  REFUSED(args.k_stride.position = -(1ll << 30), QN_LIMIT,
          "two rows of k must be less than 2 GiB apart, its position stride is -1073741824");
  REFUSED(args.out = 0, QN_INVALID, "out is a null pointer, and the kernel needs it");
  REFUSED(args.output_scale = 0, QN_INVALID, "output_scale is a null pointer, and the kernel needs it");
  REFUSED(args.output_scale = 66, QN_INVALID,
          "output_scale must be aligned to its elements of 4 bytes, its address is 0x42");
  REFUSED(args.mask = 128, QN_INVALID, "mask is given to a kernel that does not use it");
  REFUSED((spec.mask = QN_MASK_BOOLEAN, args.mask = 128, args.mask_kv_stride = 1ll << 31), QN_LIMIT,
          "a row of the mask must span less than 2 GiB, its kv stride is 2147483648");
  REFUSED(args.q_len = 2000000000, QN_LIMIT, "q_len 2000000000 and kv_len 77 must not exceed 536870911");
  REFUSED(args.sinks = 128, QN_INVALID, "sinks is given to a kernel that does not use it");
  REFUSED((spec.sinks_dtype = QN_F16, args.sinks = 129), QN_INVALID,
          "sinks must be aligned to its elements of 2 bytes, its address is 0x81");
  REFUSED(spec.alibi = true, QN_INVALID, "alibi_slopes is a null pointer, and the kernel needs it");
  REFUSED((spec.alibi = true, args.alibi_slopes = 130), QN_INVALID,
          "alibi_slopes must be aligned to its elements of 4 bytes, its address is 0x82");
  REFUSED((spec.kv_lengths = true, spec.lengths_dtype = QN_S64, args.kv_lengths = 132), QN_INVALID,
          "kv_lengths must be aligned to its elements of 8 bytes, its address is 0x84");
  REFUSED((spec.varlen = true, spec.lengths_dtype = QN_S32, args.cu_seqlens_q = 128), QN_INVALID,
          "cu_seqlens_kv is a null pointer, and the kernel needs it");
  REFUSED(args.cu_seqlens_q = 128, QN_INVALID, "cu_seqlens_q is given to a kernel that does not use it");
  REFUSED((spec.pack_heads = true, args.q_len = 300000000), QN_LIMIT,
          "q_len 300000000 of 4 heads each must not exceed 1073741823 rows");
  REFUSED(args.batch = 4000000000, QN_LIMIT,
          "4000000000 batches of 8 heads and 2 query tiles are more than 2147483647 blocks");
}
