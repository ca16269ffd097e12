// Asynchronous effects: what was started, the event that publishes it, and who may read it then.
// docs/emulator.md tells how further instructions become rows on this.
//
// The bytes are taken and put down when a copy starts; what is under way is the right to see them. Until it is
// published, its destination is QN_EMU_PENDING, and every access there is a fault (memory.c).
//
// cp.async: the effect belongs to a group of its thread. Waiting for the group publishes it to that thread, as
// if the thread had written the bytes there and then; other threads need a barrier behind the wait, as with any
// write (shadow.c).
#include "runtime/emulator/block_priv.h"

// Starts an effect on [address, address + bytes) of the block's shared memory: an entry of the lane's group.
static void begin(qn_emu_state *state, int lane, uint32_t offset, uint32_t bytes) {
  qn_emu_block *block = state->warp.block;
  memset(block->shared_state + offset, QN_EMU_PENDING, bytes);
  // Bytes under way cannot be written again, so the pool, made for all of shared memory, suffices.
  uint32_t index = block->pending_free;
  qn_emu_pending *entry = &block->pending[index];
  block->pending_free = entry->next;
  *entry = (qn_emu_pending){ .address = offset,
                             .group = state->group[lane],
                             .next = QN_PTX_NONE,
                             .bytes = (uint8_t)bytes,
                             .lane = (uint8_t)lane };
  if (state->pending_first == QN_PTX_NONE)
    state->pending_first = index;
  else
    block->pending[state->pending_last].next = index;
  state->pending_last = index;
}

// The event: what lanes have started in groups below their `before` can be seen.
static void publish(qn_emu_state *state, uint32_t lanes, const uint32_t before[QN_EMU_LANES]) {
  qn_emu_block *block = state->warp.block;
  uint32_t *link = &state->pending_first;
  state->pending_last = QN_PTX_NONE;
  while (*link != QN_PTX_NONE) {
    uint32_t index = *link;
    qn_emu_pending *entry = &block->pending[index];
    if (!(lanes >> entry->lane & 1) || entry->group >= before[entry->lane]) {
      state->pending_last = index;
      link = &entry->next;
      continue;
    }
    memset(block->shared_state + entry->address, QN_EMU_WRITTEN, entry->bytes);
    qn_emu_shadow_publish(state, entry->address, entry->bytes);
    *link = entry->next;
    entry->next = block->pending_free;
    block->pending_free = index;
  }
}

void qn_emu_async_reset(qn_emu_block *block) {
  uint32_t count = block->launch->shared_bytes / 4;
  for (uint32_t i = 0; i < count; i++) block->pending[i].next = i + 1 < count ? i + 1 : QN_PTX_NONE;
  block->pending_free = count ? 0 : QN_PTX_NONE;
}

// --- cp.async ----------------------------------------------------------------------------------------------

// What the bind function leaves in `immediate`.
enum { NO_SLOT = 0xFF };
typedef struct form {
  uint8_t bytes;
  uint8_t source_size, ignore; // slots
} form;

static form form_of(const qn_ptx_instr *instr) {
  form f;
  memcpy(&f, &instr->immediate, sizeof f);
  return f;
}

static bool copy_lane(qn_emu_warp *warp, const qn_ptx_instr *instr, int lane, uint64_t to, uint64_t from,
                      uint32_t bytes, uint32_t source_bytes) {
  uint8_t value[QN_EMU_ACCESS_MAX] = { 0 };
  uint8_t *destination = qn_emu_touch(warp, instr, lane, QN_PTX_shared, to, bytes, QN_EMU_WRITE);
  if (!destination) return false;
  // The source is aligned as a whole, also where less of it is read.
  if (source_bytes && from % bytes) {
    qn_emu_fault(warp, instr, lane, "the source 0x%llx of a copy of %u bytes is not a multiple of %u",
                 (unsigned long long)from, bytes, bytes);
    return false;
  }
  for (uint32_t i = 0; i < source_bytes;) {
    uint32_t piece = bytes - i;
    while (piece > source_bytes - i || (i & (piece - 1))) piece /= 2;
    const void *source = qn_emu_touch(warp, instr, lane, QN_PTX_global, from + i, piece, QN_EMU_READ);
    if (!source) return false;
    memcpy(value + i, source, piece);
    i += piece;
  }
  memcpy(destination, value, bytes);
  // Hardware may be done at any time; without the checks it is done at once.
  if (warp->strict) begin(qn_emu_state_of(warp), lane, (uint32_t)to & ((1u << QN_EMU_RANK_SHIFT) - 1), bytes);
  return true;
}

static void execute_copy(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  const form f = form_of(instr);
  uint64_t to[QN_EMU_LANES], from[QN_EMU_LANES];
  uint32_t scratch[QN_EMU_LANES], ignored = 0, reading = lanes, fewer = 0;
  const uint32_t *sizes = NULL;
  qn_emu_addresses(warp, instr, qn_ptx_at(instr, 0, 0), lanes, to);
  qn_emu_addresses(warp, instr, qn_ptx_at(instr, 1, 0), lanes, from);
  if (f.source_size != NO_SLOT)
    sizes = qn_emu_read32(warp, instr, qn_ptx_at(instr, f.source_size, 0), lanes, scratch);
  if (f.ignore != NO_SLOT) ignored = qn_emu_read_pred(warp, instr, qn_ptx_at(instr, f.ignore, 0), lanes);
  for (uint32_t left = lanes; left; left &= left - 1) {
    int lane = qn_emu_first(left);
    uint32_t source_bytes = ignored >> lane & 1 ? 0 : sizes ? sizes[lane] : f.bytes;
    if (source_bytes > f.bytes) {
      qn_emu_fault(warp, instr, lane, "%u bytes of the source are asked for, the copy has %u", source_bytes,
                   f.bytes);
      return;
    }
    if (source_bytes == 0) reading &= ~(1u << lane);
    fewer += f.bytes - source_bytes;
    if (!copy_lane(warp, instr, lane, to[lane], from[lane], f.bytes, source_bytes)) return;
  }
  warp->counters->async_copies += qn_emu_count_lanes(lanes);
  qn_emu_count_access(warp, QN_PTX_global, from, reading, f.bytes, false);
  // Lanes that read nothing are not in `reading`; of the others only what they asked for is read.
  warp->counters->global_read_bytes -=
      fewer - (qn_emu_count_lanes(lanes) - qn_emu_count_lanes(reading)) * f.bytes;
  qn_emu_count_access(warp, QN_PTX_shared, to, lanes, f.bytes, true);
}

static void execute_commit(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  (void)instr;
  qn_emu_state *state = qn_emu_state_of(warp);
  for (uint32_t left = lanes; left; left &= left - 1) state->group[qn_emu_first(left)]++;
}

// All groups but the last `immediate` ones.
static void execute_wait_group(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  qn_emu_state *state = qn_emu_state_of(warp);
  uint32_t before[QN_EMU_LANES];
  for (int i = 0; i < QN_EMU_LANES; i++)
    before[i] = state->group[i] > instr->immediate ? state->group[i] - (uint32_t)instr->immediate : 0;
  publish(state, lanes, before);
}

// All copies, those that no group has yet among them.
static void execute_wait_all(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  uint32_t before[QN_EMU_LANES];
  (void)instr;
  memset(before, 0xFF, sizeof before);
  publish(qn_emu_state_of(warp), lanes, before);
}

// [to], [from], bytes{, source bytes or predicate}{, cache policy}
static bool bind_copy(qn_ptx_instr *instr, const char **out_words) {
  bool whole = qn_ptx_has(instr, QN_PTX_cg), policy = qn_ptx_has(instr, QN_PTX_L2_cache_hint);
  form f = { .source_size = NO_SLOT, .ignore = NO_SLOT };
  uint32_t slots = instr->slot_count - policy;
  *out_words = NULL;
  if (instr->slot_count < 3 + policy || slots > 4 || whole == qn_ptx_has(instr, QN_PTX_ca) ||
      qn_ptx_find_token(instr, QN_PTX_SPACE, 1) != QN_PTX_global) {
    *out_words = "expected cp.async.ca or .cg.shared.global [to], [from], bytes{, source bytes or predicate}";
    return false;
  }
  const qn_ptx_operand *bytes = qn_ptx_at(instr, 2, 0);
  bool known = bytes->value == 16 || (!whole && (bytes->value == 4 || bytes->value == 8));
  if (bytes->kind != QN_PTX_IMMEDIATE_INT || !known) {
    *out_words = "a copy has 4, 8 or 16 bytes with .ca, 16 with .cg";
    return false;
  }
  f.bytes = (uint8_t)bytes->value;
  if (slots == 4) {
    const qn_ptx_operand *last = qn_ptx_at(instr, 3, 0);
    bool is_predicate = last->kind == QN_PTX_REGISTER && last->type == QN_PTX_pred;
    if (!is_predicate && !qn_ptx_fits(instr, 3, 32)) {
      *out_words = "the number of source bytes has 32 bits";
      return false;
    }
    *(is_predicate ? &f.ignore : &f.source_size) = 3;
  }
  memcpy(&instr->immediate, &f, sizeof f);
  instr->execute = execute_copy;
  return true;
}

bool qn_emu_bind_cp(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  bool commits = qn_ptx_has(instr, QN_PTX_commit_group), waits = qn_ptx_has(instr, QN_PTX_wait_group);
  if (!commits && !waits && !qn_ptx_has(instr, QN_PTX_wait_all)) return bind_copy(instr, out_words);
  const qn_ptx_operand *groups = waits && instr->slot_count == 1 ? qn_ptx_at(instr, 0, 0) : NULL;
  if (instr->slot_count != waits || (waits && (groups->kind != QN_PTX_IMMEDIATE_INT || groups->value < 0))) {
    *out_words = "expected commit_group, wait_all or wait_group with a number";
    return false;
  }
  instr->immediate = waits ? (uint64_t)groups->value : 0;
  instr->execute = commits ? execute_commit : waits ? execute_wait_group : execute_wait_all;
  return true;
}
