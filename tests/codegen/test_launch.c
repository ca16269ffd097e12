// Arguments to grid, block and parameters, and the arguments that no kernel takes.

#include "codegen/launch_priv.h"
#include "ir/base_priv.h"

#include "tests/codegen/codegen_test.h"

static qn_context *ctx;

static void setup(void) {
  cr_assert_eq(qn_context_create(NULL, &ctx), QN_OK);
}
static void teardown(void) {
  qn_context_destroy(ctx);
}

TestSuite(launch, .init = setup, .fini = teardown);

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
  cr_expect_eq(launch.attention.grid, 2 * 8 * 3);
  cr_expect_eq(launch.attention.block, 128);
  cr_expect_eq(launch.attention.shared_bytes, 128 * 64 * 2 + 2 * 2 * 64 * 64 * 2);
  cr_expect_eq(launch.params.q_len, 130);
  cr_expect_eq(launch.params.out_position, 8 * 64);
  args.q_len = 0;
  cr_assert_eq(qn_launch_prepare(ctx, &spec, &args, &launch), QN_OK);
  cr_expect_eq(launch.attention.grid, 0);
}

static qn_kernel_spec split(void) {
  qn_kernel_spec spec = plain();
  spec.schedule = QN_SCHEDULE_split;
  spec.pack_heads = true;
  return spec;
}

// One token of each sequence, of 64 keys a tile; 216 blocks of this chip run at once.
static uint32_t splits_of(uint32_t batch, uint32_t kv_len) {
  const qn_kernel_spec spec = split();
  const qn_attention_args args = { .batch = batch, .q_len = 1, .kv_len = kv_len };
  return qn_kernel_choose_splits(&spec, &args);
}

Test(launch, splits_fill_the_chip) {
  cr_expect_eq(splits_of(1, 0), 1);
  cr_expect_eq(splits_of(1, 64), 1);
  cr_expect_eq(splits_of(1, 640), 10, "a tile each");
  cr_expect_eq(splits_of(1, 1 << 20), 104, "nearly as many as run at once, of 2 kv heads");
  cr_expect_eq(splits_of(8, 1 << 20), 13);
  cr_expect_eq(splits_of(108, 1 << 20), 1, "the sequences fill it alone");
  cr_expect_eq(splits_of(60, 1 << 20), 7, "four waves, of which one would leave half of the chip idle");
  cr_expect_eq(splits_of(10000, 1 << 20), 1);
  qn_kernel_spec spec = split();
  qn_attention_args args = { .batch = 1, .q_len = 1, .kv_len = 1 << 20 };
  spec.window_left = 1000;
  spec.causal = QN_CAUSAL_BOTTOM_RIGHT;
  cr_expect_eq(qn_kernel_choose_splits(&spec, &args), 16, "a tile of what a window shows each");
  args.splits = 5;
  cr_expect_eq(qn_kernel_choose_splits(&spec, &args), 5);
  spec = plain();
  args.splits = 0;
  cr_expect_eq(qn_kernel_choose_splits(&spec, &args), 1);
}

Test(launch, a_split_is_two_kernels) {
  qn_kernel_spec spec = split();
  qn_attention_args args = arguments();
  qn_launch launch;
  args.q_len = 5;
  args.splits = 7;
  args.workspace = 256;
  cr_assert_eq(qn_launch_prepare(ctx, &spec, &args, &launch), QN_OK, "%s", qn_context_get_error(ctx)->message);
  cr_expect_eq(launch.attention.grid, 3 * 2 * 2 * 7, "two tiles of 16 rows for 20");
  cr_expect_eq(launch.merge.grid, 3 * 5 * 8);
  cr_expect_eq(launch.merge.block, 128);
  cr_expect_eq(launch.merge.shared_bytes, 4 * (64 * 4 + 8) + 64 * 2);
  cr_expect_eq(launch.params.splits, 7);
  cr_expect_geq(qn_kernel_get_workspace_bytes(&spec, &args), 3u * 5 * 8 * 7 * (64 * 4 + 8));
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
  cr_expect_eq(launch.attention.grid, 2 * 8 * 3);
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
  cr_expect_eq(launch.attention.grid, (130 * 4 + 127) / 128 * 2 * 3);
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
          "4000000000 batches of 8 heads and 2 query tiles in 1 splits are more than 2147483647 blocks");
}

// A spec of a scheme, and arguments that it takes.
static qn_kernel_spec spec_of(qn_scheme_family family) {
  qn_kernel_spec spec = plain();
  spec.output = qn_scheme_of(family);
  return spec;
}

static qn_attention_args arguments_of(const qn_kernel_spec *spec) {
  qn_attention_args args = arguments();
  const qn_scheme *scheme = &spec->output;
  if (qn_scheme_get_read_scale(scheme) == QN_ANY) args.output_scale = 0;
  if (scheme->dynamic) args.block_scale = 65536, args.block_scale_rows = 390;
  if (scheme->dynamic && scheme->zero_point) args.zero_points = 131072;
  if (qn_kernel_get_workspace_bytes(spec, &args) > 0) args.workspace = 262144;
  if (!scheme->dynamic && scheme->zero_point) args.output_zero_point = 96;
  return args;
}

#define REFUSED_OF(family, change, status, message_)                                                           \
  do {                                                                                                         \
    qn_kernel_spec spec = spec_of(QN_SCHEME_##family);                                                         \
    qn_attention_args args = arguments_of(&spec);                                                              \
    qn_launch launch;                                                                                          \
    cr_expect_eq(qn_launch_prepare(ctx, &spec, &args, &launch), QN_OK, "%s",                                   \
                 qn_context_get_error(ctx)->message);                                                          \
    change;                                                                                                    \
    cr_expect_eq(qn_launch_prepare(ctx, &spec, &args, &launch), status, #change);                              \
    cr_expect_str_eq(qn_context_get_error(ctx)->message, message_, "%s", qn_context_get_error(ctx)->message);  \
  } while (0)

Test(launch, refusals_of_scales) {
  REFUSED_OF(fp8_cast, args.output_scale = 64, QN_INVALID,
             "output_scale is given to a kernel that does not use it");
  REFUSED_OF(fp8_group, args.output_scale = 64, QN_INVALID,
             "output_scale is given to a kernel that does not use it");
  REFUSED_OF(nvfp4, args.output_scale = 0, QN_INVALID,
             "output_scale is a null pointer, and the kernel needs it");
  REFUSED_OF(nvfp4, args.output_scale = 66, QN_INVALID,
             "output_scale must be aligned to its elements of 4 bytes, its address is 0x42");
  REFUSED_OF(int8_static, spec.output.zero_point = QN_ZERO_POINT_NONE, QN_INVALID,
             "output_zero_point is given to a kernel that does not use it");
  REFUSED_OF(int8_static, args.output_zero_point = 0, QN_INVALID,
             "output_zero_point is a null pointer, and the kernel needs it");
  REFUSED_OF(fp8_channel, (spec.pre_scale_dtype = QN_F16, args.pre_scale = 129), QN_INVALID,
             "pre_scale must be aligned to its elements of 2 bytes, its address is 0x81");
  REFUSED_OF(fp8_channel, args.output_scale = 72, QN_INVALID,
             "output_scale of channels must be aligned to 16 bytes, its address is 0x48");
  REFUSED_OF(int8_channel, args.output_zero_point = 97, QN_INVALID,
             "output_zero_point of channels must be aligned to 16 bytes, its address is 0x61");
  REFUSED_OF(fp8_channel, args.output_scale_head = 68, QN_INVALID,
             "the heads of output_scale must be a multiple of 8 elements apart, found 68");
  REFUSED_OF(fp8_static, (spec.pre_scale_dtype = QN_F32, args.pre_scale = 132), QN_INVALID,
             "pre_scale of channels must be aligned to 16 bytes, its address is 0x84");
  REFUSED_OF(fp8_static, (spec.pre_scale_dtype = QN_F32, args.pre_scale = 128, args.pre_scale_head = 4),
             QN_INVALID, "the heads of pre_scale must be a multiple of 8 elements apart, found 4");
  REFUSED_OF(fp8_token, spec.scale_bound = true, QN_INVALID,
             "scale_bound is a null pointer, and the kernel needs it");
  REFUSED_OF(fp8_static, args.scale_bound = 64, QN_INVALID,
             "scale_bound is given to a kernel that does not use it");
}

Test(launch, refusals_of_results) {
  REFUSED_OF(fp8_token, args.block_scale = 0, QN_INVALID,
             "block_scale is a null pointer, and the kernel needs it");
  REFUSED_OF(fp8_token, args.block_scale = 65538, QN_INVALID,
             "block_scale must be aligned to its elements of 4 bytes, its address is 0x10002");
  REFUSED_OF(fp8_static, args.block_scale = 65536, QN_INVALID,
             "block_scale is given to a kernel that does not use it");
  REFUSED_OF(int8_token_zp, args.zero_points = 0, QN_INVALID,
             "zero_points is a null pointer, and the kernel needs it");
  REFUSED_OF(int8_token, args.zero_points = 128, QN_INVALID,
             "zero_points is given to a kernel that does not use it");
  REFUSED_OF(mxfp8, spec.unquantized = true, QN_INVALID,
             "unquantized is a null pointer, and the kernel needs it");
  REFUSED_OF(mxfp8, args.unquantized = 128, QN_INVALID,
             "unquantized is given to a kernel that does not use it");
  REFUSED_OF(mxfp8, (spec.unquantized = true, args.unquantized = 129), QN_INVALID,
             "unquantized must be aligned to its elements of 2 bytes, its address is 0x81");
  REFUSED_OF(fp8_token, (spec.unquantized = true, args.unquantized = 136), QN_INVALID,
             "unquantized must be aligned to 16 bytes, its address is 0x88");
  REFUSED_OF(mxfp4, args.out_stride.position = 513, QN_INVALID,
             "the strides of out must be even: two codes of e2m1 share a byte");
  REFUSED_OF(fp8_group, args.block_scale_row = 5, QN_INVALID,
             "block_scale_row is 5; scales that are not packed or swizzled start at their address");
  REFUSED_OF(nvfp4, args.block_scale_rows = 389, QN_INVALID, "block_scale_rows of 389 for 390 tokens");
  REFUSED_OF(nvfp4, args.block_scale_row = INT32_MAX, QN_LIMIT,
             "block_scale_row 2147483647 and block_scale_rows 390 must not exceed 2147483647 together");
}

Test(launch, refusals_of_a_cache) {
  REFUSED(args.k_scale = 64, QN_INVALID, "k_scale is given to a kernel that does not use it");
  REFUSED(spec.v_scale = QN_KV_SCALE_HEAD, QN_INVALID, "v_scale is a null pointer, and the kernel needs it");
  REFUSED((spec.k_scale = QN_KV_SCALE_TENSOR, args.k_scale = 66), QN_INVALID,
          "k_scale must be aligned to its elements of 4 bytes, its address is 0x42");
  REFUSED(args.page_table = 64, QN_INVALID, "page_table is given to a kernel that does not use it");
  REFUSED(spec.page_size = 16, QN_INVALID, "page_table is a null pointer, and the kernel needs it");
  REFUSED(args.splits = 2, QN_INVALID, "2 splits for a kernel that does not split its keys");
  REFUSED((spec.schedule = QN_SCHEDULE_split, args.splits = 129, args.workspace = 16), QN_LIMIT,
          "129 splits are more than 128");
  REFUSED(spec.schedule = QN_SCHEDULE_split, QN_INVALID,
          "workspace is a null pointer, and the kernel needs it");
  REFUSED((spec.page_size = 16, args.page_table = 64, args.page_table_stride = 4), QN_INVALID,
          "77 keys take 5 pages of 16, the page table has 4 a sequence");
  REFUSED((spec.kv_dtype = QN_E4M3, args.k_stride.head = 8), QN_INVALID,
          "the head stride of k must be a multiple of 16 elements (16 bytes), found 8");
  REFUSED(args.workspace = 64, QN_INVALID, "workspace is given to a kernel that does not use it");
}

// The rows to quantize come as q: of out_dtype, and alone.
Test(launch, refusals_of_what_only_quantizes) {
  REFUSED(spec.schedule = QN_SCHEDULE_quantize, QN_INVALID, "k is given to a kernel that does not use it");
  REFUSED((spec.schedule = QN_SCHEDULE_quantize, args.k = args.v = 0, args.q += 4), QN_INVALID,
          "q must be aligned to 16 bytes, its address is 0x1004");
}
