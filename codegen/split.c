// The schedule split on the host: among how many blocks the keys of a row are shared out, and what they leave.

#include "codegen/launch_priv.h"
#include "codegen/spec_priv.h"

#include "ir/base_priv.h"

#include <stdio.h>

// What a block costs beside its tiles, in tiles: the way of q and of the first tile to the multiprocessor, in
// which it computes nothing, and its part of the output, written by it and read by the merge.
enum { BLOCK_COST = 2 };

uint32_t qn_kernel_get_kv_warps(const qn_kernel_spec *spec) {
  return spec->schedule == QN_SCHEDULE_split ? spec->warps : 1;
}

void qn_kernel_format_merge_name(const qn_kernel_spec *spec, char out_name[QN_ENTRY_NAME]) {
  char name[128];
  qn_kernel_format_name(spec, name);
  snprintf(out_name, QN_ENTRY_NAME, "%s_merge", name);
}

// The parts of the block's warps and their states, then the finished row.
qn_launch_step qn_kernel_get_merge(const qn_kernel_spec *spec) {
  if (spec->schedule != QN_SCHEDULE_split) return (qn_launch_step){ 0 };
  uint32_t staged_bytes = qn_dtype_bits(qn_kernel_get_staged_dtype(spec)) / 8;
  return (qn_launch_step){ .block = QN_MERGE_WARPS * 32,
                           .shared_bytes =
                               QN_MERGE_WARPS * (spec->v_head_dim * 4 + 8) + spec->v_head_dim * staged_bytes };
}

// The most keys that the rows of a tile see: those of a window, if it has two ends, around each of its
// positions.
static uint64_t seen_keys(const qn_kernel_spec *spec, const qn_attention_args *args) {
  int64_t right = spec->causal != QN_CAUSAL_NONE ? 0 : spec->window_right;
  if (spec->window_left < 0 || right < 0) return args->kv_len;
  uint64_t positions = QN_MIN(args->q_len, spec->tile_q);
  return QN_MIN(args->kv_len, (uint64_t)spec->window_left + (uint64_t)right + positions);
}

// Blocks run in waves of as many as fit the chip at once, and a wave takes as long as one block.
static uint64_t time_of(uint64_t blocks, uint64_t slots, uint64_t tiles, uint32_t splits) {
  return (blocks * splits + slots - 1) / slots * ((tiles + splits - 1) / splits + BLOCK_COST);
}

// Blocks that run at once: by shared memory, and by the registers that the kernels are compiled for.
static uint64_t slots_of(const qn_kernel_spec *spec) {
  const uint32_t system = 1024; // bytes of each block's shared memory
  const qn_target_info *info = qn_target_get_info(spec->target);
  uint32_t resident = QN_MIN(info->shared_sm / (qn_kernel_get_shared_bytes(spec) + system), 8 / spec->warps);
  return (uint64_t)info->multiprocessors * QN_MAX(resident, 1);
}

// The fewest that take at most a twentieth longer than the best number does.
uint32_t qn_kernel_choose_splits(const qn_kernel_spec *unresolved, const qn_attention_args *args) {
  qn_kernel_spec spec = *unresolved;
  if (spec.schedule != QN_SCHEDULE_split) return 1;
  if (args->splits != 0) return args->splits;
  qn_kernel_spec_resolve(&spec);
  uint32_t pack = qn_kernel_get_pack(&spec), splits = 1;
  uint64_t tiles = (seen_keys(&spec, args) + spec.tile_kv - 1) / spec.tile_kv, slots = slots_of(&spec);
  uint64_t q_tiles = ((uint64_t)args->q_len * pack + spec.tile_q - 1) / spec.tile_q;
  uint64_t blocks = q_tiles * args->batch * (spec.heads / pack), least = UINT64_MAX;
  for (uint32_t i = 1; i <= QN_MIN(tiles, QN_SPLITS_MAX); i++)
    least = QN_MIN(least, time_of(blocks, slots, tiles, i));
  while (splits < QN_MIN(tiles, QN_SPLITS_MAX) && 20 * time_of(blocks, slots, tiles, splits) > 21 * least)
    splits++;
  return splits;
}

// A part is a row in f32, its base and its sum: device/parts.cuh.
uint64_t qn_split_get_workspace_bytes(const qn_kernel_spec *spec, const qn_attention_args *args) {
  uint64_t rows = (uint64_t)args->batch * args->q_len * spec->heads;
  return rows * qn_kernel_choose_splits(spec, args) * (spec->v_head_dim * 4 + 8);
}
