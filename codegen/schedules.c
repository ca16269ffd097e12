// The table of schedules: which tiles a kernel takes, by element size, head_dim, mask and shared memory of the
// chip.

#include "codegen/spec_priv.h"

#include "ir/base_priv.h"

#define KIB 1024u

// clang-format off
// The first row that fits is taken. 32 rows a warp halve the traffic between shared memory and the tensor cores
// against 16, and cost twice the registers. Loads of a mask need registers too; chips with 100 KiB of shared memory
// take 16 rows for head_dim 128, so that two blocks fit, and so do those from sm_100 on, where ptxas needs more registers.
// f32 computes three products for one, so a short kv tile costs it little and halves its code.
static const struct {
  qn_schedule schedule;
  uint32_t element_bytes, head_dim;
  bool mask;          // only for kernels with a mask
  uint32_t shared_sm; // the chip has at least so much
  uint32_t sm_below;  // the chip is older than this; 0: any
  qn_tiles tiles;
} TILES[] = {
  //                 bytes dim  mask   shared_sm  below   tile_q tile_kv warps stages
  { QN_SCHEDULE_mma, 2,    64,  true,  0,         0,      { 64,    64,     4,    2 } },
  { QN_SCHEDULE_mma, 2,    64,  false, 0,         0,      { 128,   64,     4,    2 } },
  { QN_SCHEDULE_mma, 2,    128, true,  0,         0,      { 64,    32,     4,    2 } },
  { QN_SCHEDULE_mma, 2,    128, false, 160 * KIB, 100,    { 128,   32,     4,    2 } },
  { QN_SCHEDULE_mma, 2,    128, false, 0,         0,      { 64,    32,     4,    2 } },
  { QN_SCHEDULE_mma, 4,    64,  false, 0,         0,      { 64,    32,     4,    2 } },
  { QN_SCHEDULE_mma, 4,    128, false, 0,         0,      { 64,    16,     4,    2 } },
};
// clang-format on

qn_tiles qn_schedule_get_tiles(const qn_kernel_spec *spec) {
  if ((unsigned)spec->target >= QN_TARGET_COUNT) return (qn_tiles){ 0 };
  const qn_target_info *info = qn_target_get_info(spec->target);
  uint32_t shared_sm = info->shared_sm, bytes = qn_dtype_bits(spec->dtype) / 8;
  for (size_t i = 0; i < QN_COUNT(TILES); i++)
    if (TILES[i].schedule == spec->schedule && TILES[i].element_bytes == bytes &&
        TILES[i].head_dim == spec->head_dim && (!TILES[i].mask || spec->mask != QN_MASK_NONE) &&
        TILES[i].shared_sm <= shared_sm && (!TILES[i].sm_below || info->sm < TILES[i].sm_below))
      return TILES[i].tiles;
  return (qn_tiles){ 0 };
}
