// The table of schedules: which tiles a kernel takes, by element size, head dims, mask and shared memory of
// the chip; and how the rows of the tiles lie.

#include "codegen/launch_priv.h"
#include "codegen/spec_priv.h"
#include "codegen/tokens_priv.h"

#include "ir/base_priv.h"

#define KIB 1024u

// clang-format off
// The first row that fits is taken: one whose head dims are no smaller than the kernel's, since fewer elements need less of
// everything. 32 rows a warp halve the traffic between shared memory and the tensor cores against 16, and cost twice
// the registers. Loads of a mask need registers too, and so does ptxas from sm_100 on. Where the shared memory of a
// chip holds two blocks of 4 warps, it gets them; else one of 8. f32 computes three products for one, so a short
// kv tile costs it little and halves its code.
static const struct {
  qn_schedule schedule;
  uint32_t element_bytes, head_dim, v_head_dim;
  bool mask;          // only for kernels with a mask
  uint32_t shared_sm; // the chip has at least so much
  uint32_t sm_below;  // the chip is older than this; 0: any
  qn_tiles tiles;
} TILES[] = {
  //                 bytes qk   v    mask   shared_sm  below   tile_q tile_kv warps stages
  { QN_SCHEDULE_mma, 2,    64,  64,  true,  0,         0,      { 64,    64,     4,    2 } },
  { QN_SCHEDULE_mma, 2,    64,  64,  false, 0,         0,      { 128,   64,     4,    2 } },
  { QN_SCHEDULE_mma, 2,    128, 128, true,  0,         0,      { 64,    32,     4,    2 } },
  { QN_SCHEDULE_mma, 2,    96,  96,  false, 0,         0,      { 128,   32,     4,    2 } },
  { QN_SCHEDULE_mma, 2,    128, 128, false, 160 * KIB, 100,    { 128,   32,     4,    2 } },
  { QN_SCHEDULE_mma, 2,    128, 128, false, 0,         0,      { 64,    32,     4,    2 } },
  { QN_SCHEDULE_mma, 2,    192, 128, true,  160 * KIB, 0,      { 64,    32,     4,    2 } },
  { QN_SCHEDULE_mma, 2,    192, 128, false, 200 * KIB, 100,    { 128,   32,     4,    2 } },
  { QN_SCHEDULE_mma, 2,    192, 192, false, 160 * KIB, 0,      { 64,    32,     4,    2 } },
  { QN_SCHEDULE_mma, 2,    192, 192, false, 0,         0,      { 128,   32,     8,    2 } },
  { QN_SCHEDULE_mma, 2,    256, 256, false, 160 * KIB, 0,      { 128,   32,     8,    2 } },
  { QN_SCHEDULE_mma, 2,    256, 256, false, 0,         0,      { 128,   16,     8,    2 } },
  { QN_SCHEDULE_mma, 2,    256, 256, false, 0,         0,      { 64,    16,     4,    2 } },
  { QN_SCHEDULE_mma, 4,    64,  64,  false, 0,         0,      { 64,    32,     4,    2 } },
  { QN_SCHEDULE_mma, 4,    192, 192, false, 0,         0,      { 64,    16,     4,    2 } },
  { QN_SCHEDULE_mma, 4,    256, 256, false, 160 * KIB, 0,      { 64,    16,     4,    2 } },
  { QN_SCHEDULE_mma, 4,    256, 256, false, 0,         0,      { 32,    16,     2,    2 } },
  // All warps share the rows, each with 16 keys of a tile. What is read from memory bounds the time: two blocks of a
  // multiprocessor keep 32 KiB and more each on the way.
  { QN_SCHEDULE_split, 2,  64,  64,  false, 160 * KIB, 0,      { 16,    64,     4,    4 } },
  { QN_SCHEDULE_split, 2,  128, 128, false, 160 * KIB, 0,      { 16,    64,     4,    3 } },
  { QN_SCHEDULE_split, 2,  256, 256, false, 160 * KIB, 0,      { 16,    64,     4,    2 } },
  { QN_SCHEDULE_split, 2,  64,  64,  false, 0,         0,      { 16,    64,     4,    3 } },
  { QN_SCHEDULE_split, 2,  128, 128, false, 0,         0,      { 16,    32,     2,    3 } },
  { QN_SCHEDULE_split, 2,  256, 256, false, 0,         0,      { 16,    32,     2,    2 } },
  { QN_SCHEDULE_split, 4,  128, 128, false, 160 * KIB, 0,      { 16,    32,     2,    3 } },
  { QN_SCHEDULE_split, 4,  256, 256, false, 160 * KIB, 0,      { 16,    32,     2,    2 } },
  { QN_SCHEDULE_split, 4,  64,  64,  false, 0,         0,      { 16,    32,     2,    2 } },
  { QN_SCHEDULE_split, 4,  256, 256, false, 0,         0,      { 16,    16,     1,    2 } },
};
// clang-format on

const char *qn_schedule_name(qn_schedule schedule) {
  static const char *const NAMES[] = {
#define X(name, doc) #name,
    QN_SCHEDULE_MAP(X)
#undef X
  };
  return (unsigned)schedule < QN_SCHEDULE_COUNT ? NAMES[schedule] : "?";
}

// A product takes two chunks of a row of q and k: an odd chunk has one of zeros beside it. Of v in f32, two
// chunks of every other row are read together, in which rows whose stride is no multiple of 8 never meet where
// it is odd.
qn_row_strides qn_schedule_get_strides(const qn_kernel_spec *spec) {
  uint32_t bytes = qn_dtype_bits(spec->dtype) / 8;
  uint32_t qk = spec->head_dim * bytes / 16, v = spec->v_head_dim * bytes / 16;
  return (qn_row_strides){ .qk = (qk + 1) / 2 * 2, .v = bytes == 4 && v % 8 != 0 ? v | 1 : v };
}

// The q tile, then `stages` pairs of a k tile and a v tile; at the end of a block its output rows instead, or
// the parts of its warps (device/parts.cuh).
static uint32_t shared_bytes(const qn_kernel_spec *spec, const qn_tiles *tiles) {
  qn_row_strides stride = qn_schedule_get_strides(spec);
  uint32_t q = tiles->tile_q * stride.qk, kv = tiles->tile_kv * (stride.qk + stride.v),
           ring = tiles->stages * kv;
  if (qn_kernel_get_kv_dtype(spec) != spec->dtype) // codes, and one tile of elements behind them
    ring = tiles->stages * tiles->tile_kv * (spec->head_dim + spec->v_head_dim) / 16 + kv;
  uint32_t staged_bytes = qn_dtype_bits(qn_kernel_get_staged_dtype(spec)) / 8;
  uint32_t finished = spec->schedule == QN_SCHEDULE_split
                          ? tiles->warps * tiles->tile_q * (spec->v_head_dim * 4 + 8)
                          : tiles->tile_q * spec->v_head_dim * staged_bytes;
  return QN_MAX((q + ring) * 16, finished);
}

uint32_t qn_kernel_get_shared_bytes(const qn_kernel_spec *spec) {
  qn_kernel_spec r = *spec;
  qn_kernel_spec_resolve(&r);
  if (r.schedule == QN_SCHEDULE_quantize) return qn_tokens_get_shared_bytes(&r);
  return shared_bytes(&r, &(qn_tiles){ r.tile_q, r.tile_kv, r.warps, r.stages });
}

qn_tiles qn_schedule_get_tiles(const qn_kernel_spec *spec) {
  if ((unsigned)spec->target >= QN_TARGET_COUNT) return (qn_tiles){ 0 };
  // Without tiles: one row of one key.
  if (spec->schedule == QN_SCHEDULE_quantize) return (qn_tiles){ 1, 1, qn_token_plan_of(spec).threads / 32, 1 };
  const qn_target_info *info = qn_target_get_info(spec->target);
  uint32_t bytes = qn_dtype_bits(spec->dtype) / 8;
  for (size_t i = 0; i < QN_COUNT(TILES); i++)
    if (TILES[i].schedule == spec->schedule && TILES[i].element_bytes == bytes &&
        spec->head_dim <= TILES[i].head_dim && spec->v_head_dim <= TILES[i].v_head_dim &&
        (!TILES[i].mask || spec->mask != QN_MASK_NONE) && TILES[i].shared_sm <= info->shared_sm &&
        (!TILES[i].sm_below || info->sm < TILES[i].sm_below) &&
        shared_bytes(spec, &TILES[i].tiles) <= info->shared_block)
      return TILES[i].tiles;
  return (qn_tiles){ 0 };
}
