// One access of one lane: which memory it is, and every check.
#include "runtime/emulator/block_priv.h"

#include <stdio.h>

// What is said of an access: "shared memory: read of 4 bytes at 0x1a40".
typedef struct access_words {
  char text[96];
} access_words;

static const char *use_name(qn_emu_use use) {
  return use.reads && use.writes ? "atomic access" : use.writes ? "write" : "read";
}

static access_words write_access(const char *space, qn_emu_use use, uint32_t bytes, uint64_t address) {
  access_words words;
  snprintf(words.text, sizeof words.text, "%s memory: %s of %u byte%s at 0x%llx", space, use_name(use), bytes,
           bytes == 1 ? "" : "s", (unsigned long long)address);
  return words;
}

qn_ptx_token qn_emu_resolve(uint64_t generic, uint64_t *out_address) {
  static const qn_ptx_token spaces[] = {
    [2] = QN_PTX_shared_cluster, [3] = QN_PTX_local, [4] = QN_PTX_param, [5] = QN_PTX_const
  };
  uint64_t window = generic >> QN_EMU_WINDOW_BITS;
  if (window >= 2 && window < QN_COUNT(spaces)) {
    *out_address = generic & ((UINT64_C(1) << QN_EMU_WINDOW_BITS) - 1);
    return spaces[window];
  }
  *out_address = generic;
  return QN_PTX_global;
}

qn_emu_block *qn_emu_find_shared(qn_emu_block *block, uint64_t address, uint32_t *out_offset) {
  uint64_t rank = address >> QN_EMU_RANK_SHIFT;
  if (rank >= block->launch->cluster_blocks) return NULL;
  *out_offset = (uint32_t)address & ((1u << QN_EMU_RANK_SHIFT) - 1);
  return &block->cluster->blocks[rank];
}

// The state of bytes must be `written` for a read; of all of them at once.
static bool all_written(const uint8_t *state, uint32_t bytes) {
  const uint64_t ones = UINT64_C(0x0101010101010101);
  uint64_t word;
  uint32_t half;
  switch (bytes) {
  case 1: return *state == QN_EMU_WRITTEN;
  case 2: return state[0] == QN_EMU_WRITTEN && state[1] == QN_EMU_WRITTEN;
  case 4: memcpy(&half, state, 4); return half == (uint32_t)ones;
  case 8: memcpy(&word, state, 8); return word == ones;
  default:
    memcpy(&word, state, 8);
    if (word != ones) return false;
    memcpy(&word, state + 8, 8);
    return word == ones;
  }
}

static void *check_poison(qn_emu_state *state, const qn_ptx_instr *instr, int lane, access_words words,
                          uint8_t *data, uint8_t *data_state, uint32_t bytes, qn_emu_use use) {
  if (use.reads && state->warp.strict && !all_written(data_state, bytes)) {
    qn_emu_fault(&state->warp, instr, lane, "%s that nobody wrote", words.text);
    return NULL;
  }
  if (use.writes) memset(data_state, QN_EMU_WRITTEN, bytes);
  return data;
}

static void *touch_global(qn_emu_state *state, const qn_ptx_instr *instr, int lane, uint64_t address,
                          uint32_t bytes, qn_emu_use use) {
  if (!qn_emu_holds(state->last, address, bytes)) {
    const qn_emu_heap *heap = state->warp.block->launch->heap;
    state->last = qn_emu_heap_find(heap, address);
    if (!qn_emu_holds(state->last, address, bytes)) {
      char where[160];
      state->last = NULL;
      qn_emu_heap_describe(heap, address, where, sizeof where);
      qn_emu_fault(&state->warp, instr, lane, "%s, %s", write_access("global", use, bytes, address).text,
                   where);
      return NULL;
    }
  }
  uint64_t offset = address - state->last->address;
  uint8_t *data_state = state->last->state + offset;
  if (use.reads && state->warp.strict && !all_written(data_state, bytes)) {
    qn_emu_fault(&state->warp, instr, lane, "%s that nobody wrote",
                 write_access("global", use, bytes, address).text);
    return NULL;
  }
  if (use.writes && !all_written(data_state, bytes)) memset(data_state, QN_EMU_WRITTEN, bytes);
  return state->last->data + offset;
}

static void *touch_shared(qn_emu_state *state, const qn_ptx_instr *instr, int lane, bool own, uint64_t address,
                          uint32_t bytes, qn_emu_use use) {
  uint32_t offset = 0;
  qn_emu_block *block = qn_emu_find_shared(state->warp.block, address, &offset);
  const uint32_t size = state->warp.block->launch->shared_bytes;
  if (!block || offset > size || bytes > size - offset) {
    qn_emu_fault(&state->warp, instr, lane, "%s, the block has %u bytes",
                 write_access("shared", use, bytes, address).text, size);
    return NULL;
  }
  if (own && block != state->warp.block) {
    qn_emu_fault(&state->warp, instr, lane,
                 "%s, which is block %u of the cluster's and reached by shared::cluster alone",
                 write_access("shared", use, bytes, address).text, block->rank);
    return NULL;
  }
  uint8_t *data_state = block->shared_state + offset;
  if (state->warp.strict) {
    bool written = all_written(data_state, bytes);
    if (!written && memchr(data_state, QN_EMU_PENDING, bytes)) {
      qn_emu_fault(&state->warp, instr, lane, "%s before the wait of its asynchronous copy",
                   write_access("shared", use, bytes, address).text);
      return NULL;
    }
    if (!written && use.reads) {
      qn_emu_fault(&state->warp, instr, lane, "%s that nobody wrote",
                   write_access("shared", use, bytes, address).text);
      return NULL;
    }
    if (!qn_emu_shadow_access(state, instr, lane, block, offset, bytes, use)) return NULL;
    if (use.writes && !written) memset(data_state, QN_EMU_WRITTEN, bytes);
  }
  return block->shared + offset;
}

// Memory that a lane has for itself.
static void *touch_private(qn_emu_state *state, const qn_ptx_instr *instr, int lane, const char *space,
                           uint8_t *data, uint8_t *data_state, uint32_t size, uint64_t address, uint32_t bytes,
                           qn_emu_use use) {
  access_words words = write_access(space, use, bytes, address);
  if (address > size || bytes > size - address) {
    qn_emu_fault(&state->warp, instr, lane, "%s, there are %u", words.text, size);
    return NULL;
  }
  size_t at = (size_t)lane * size + address;
  return check_poison(state, instr, lane, words, data + at, data_state + at, bytes, use);
}

static void *touch_read_only(qn_emu_state *state, const qn_ptx_instr *instr, int lane, const char *space,
                             const uint8_t *data, uint64_t size, uint64_t address, uint32_t bytes,
                             qn_emu_use use) {
  if (use.writes)
    qn_emu_fault(&state->warp, instr, lane, "%s, which can only be read",
                 write_access(space, use, bytes, address).text);
  else if (address > size || bytes > size - address)
    qn_emu_fault(&state->warp, instr, lane, "%s, there are %llu", write_access(space, use, bytes, address).text,
                 (unsigned long long)size);
  else
    return (uint8_t *)(uintptr_t)(data + address); // only read
  return NULL;
}

static void *touch_param(qn_emu_state *state, const qn_ptx_instr *instr, int lane, uint64_t address,
                         uint32_t bytes, qn_emu_use use) {
  const qn_emu_launch *launch = state->warp.block->launch;
  if (address < launch->entry->param_bytes)
    return touch_read_only(state, instr, lane, "param", launch->params, launch->entry->param_bytes, address,
                           bytes, use);
  return touch_private(state, instr, lane, "param", state->frame, state->frame_state,
                       launch->module->frame_bytes, address, bytes, use);
}

void *qn_emu_touch_as(qn_emu_warp *warp, const qn_ptx_instr *instr, int lane, qn_ptx_token space,
                      uint64_t address, uint32_t bytes, qn_emu_use use) {
  qn_emu_state *state = qn_emu_state_of(warp);
  const qn_emu_module *module = warp->block->launch->module;
  if (address & (bytes - 1)) {
    const char *name = space == QN_PTX_NO_TOKEN ? "generic" : qn_ptx_token_get_info(space)->text;
    qn_emu_fault(warp, instr, lane, "%s, which is not a multiple of %u",
                 write_access(name, use, bytes, address).text, bytes);
    return NULL;
  }
  if (space == QN_PTX_NO_TOKEN) space = qn_emu_resolve(address, &address);
  switch (space) {
  case QN_PTX_global: return touch_global(state, instr, lane, address, bytes, use);
  case QN_PTX_shared:
  case QN_PTX_shared_cta: return touch_shared(state, instr, lane, true, address, bytes, use);
  case QN_PTX_shared_cluster: return touch_shared(state, instr, lane, false, address, bytes, use);
  case QN_PTX_local:
    return touch_private(state, instr, lane, "local", state->local, state->local_state, module->local_bytes,
                         address, bytes, use);
  case QN_PTX_param:
  case QN_PTX_param_entry:
  case QN_PTX_param_func: return touch_param(state, instr, lane, address, bytes, use);
  default:
    return touch_read_only(state, instr, lane, "const", module->constants, module->program->const_bytes,
                           address, bytes, use);
  }
}

void *qn_emu_touch(qn_emu_warp *warp, const qn_ptx_instr *instr, int lane, qn_ptx_token space, uint64_t address,
                   uint32_t bytes, qn_emu_access access) {
  static const qn_emu_use uses[] = { [QN_EMU_READ] = { .reads = true },
                                     [QN_EMU_WRITE] = { .writes = true },
                                     [QN_EMU_ATOMIC] = { .reads = true, .writes = true, .strong = true } };
  return qn_emu_touch_as(warp, instr, lane, space, address, bytes, uses[access]);
}

void qn_emu_lock(qn_emu_warp *warp) {
  pthread_mutex_lock(warp->block->launch->lock);
}

void qn_emu_unlock(qn_emu_warp *warp) {
  pthread_mutex_unlock(warp->block->launch->lock);
}
