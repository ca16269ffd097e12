// The table of schedules: which tiles a kernel takes, by element size, head_dim and shared memory of the chip.

#include "codegen/spec_priv.h"

#include "ir/base_priv.h"

#define KIB 1024u

// clang-format off
// The first row that fits is taken. 32 rows a warp halve the traffic between shared memory and the tensor cores
// against 16, and cost twice the registers; chips with 100 KiB of shared memory take 16, so that two blocks fit.
static const struct {
  qn_schedule schedule;
  uint32_t element_bytes, head_dim;
  uint32_t shared_sm; // the chip has at least so much
  qn_tiles tiles;
} TILES[] = {
  //                   bytes dim  shared_sm   tile_q tile_kv warps stages
  { QN_SCHEDULE_mma,   2,    64,  0,          { 128,   64,     4,    2 } },
  { QN_SCHEDULE_mma,   2,    128, 160 * KIB,  { 128,   32,     4,    2 } },
  { QN_SCHEDULE_mma,   2,    128, 0,          { 64,    32,     4,    2 } },
  { QN_SCHEDULE_mma,   4,    64,  0,          { 64,    32,     4,    2 } },
  { QN_SCHEDULE_mma,   4,    128, 0,          { 64,    32,     4,    2 } },
};
// clang-format on

qn_tiles qn_schedule_get_tiles(qn_schedule schedule, uint32_t element_bytes, uint32_t head_dim,
                               qn_target target) {
  for (size_t i = 0; i < QN_COUNT(TILES); i++)
    if (TILES[i].schedule == schedule && TILES[i].element_bytes == element_bytes &&
        TILES[i].head_dim == head_dim && TILES[i].shared_sm <= qn_target_get_info(target)->shared_sm)
      return TILES[i].tiles;
  return (qn_tiles){ 0 };
}
