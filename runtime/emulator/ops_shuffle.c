// What lanes of a warp tell each other: shfl, vote, match, redux, activemask, elect.
//
// Each instruction takes a mask of the lanes that take part. Lanes with different masks may stand at the same
// instruction; each mask is then served by itself.
#include "runtime/emulator/forms_priv.h"

// --- members --------------------------------------------------------------------------------------------

typedef struct members {
  const uint32_t *masks;
  uint32_t scratch[QN_EMU_LANES];
  uint32_t rest;  // lanes that are still to be served
  uint32_t group; // lanes that are served together
} members;

static void members_begin(members *m, qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  m->masks = qn_emu_read32(warp, instr, qn_ptx_at(instr, instr->members, 0), lanes, m->scratch);
  m->rest = lanes;
}

static bool members_next(members *m) {
  if (!m->rest) return false;
  uint32_t first = (uint32_t)__builtin_ctz(m->rest);
  m->group = (m->masks[first] & m->rest) | 1u << first;
  m->rest &= ~m->group;
  return true;
}

static bool bind_members(qn_ptx_instr *instr, const char **out_words) {
  *out_words = "only the form with .sync is executed";
  if (!qn_ptx_has(instr, QN_PTX_sync)) return false;
  instr->counter = QN_COUNTER_moves;
  instr->sync = QN_PTX_SYNC_MEMBERS;
  instr->members = instr->slot_count - 1;
  *out_words = "the mask of the lanes that take part is of 32 bits";
  return qn_emu_has_sources(instr, instr->members, 1, 32);
}

// A result of 32 bits and, after a "|", a predicate: needed or not.
static bool has_result_pair(const qn_ptx_instr *instr, bool needed) {
  const qn_ptx_operand *pred = qn_ptx_at(instr, 0, instr->slots[0].count - 1u);
  if (instr->slots[0].count == 1) return !needed && qn_ptx_fits(instr, 0, 32);
  if (instr->slots[0].count != 2) return false;
  const qn_ptx_operand *value = qn_ptx_at(instr, 0, 0);
  return (value->kind == QN_PTX_SINK || qn_ptx_bits(value->type) == 32) &&
         (pred->kind == QN_PTX_SINK || pred->type == QN_PTX_pred);
}

// --- shfl -----------------------------------------------------------------------------------------------

// The lane that `lane` reads from by the ISA's rule; *out_inside is false where that would leave its segment
// and it reads its own value.
static uint32_t source_lane(qn_ptx_token mode, uint32_t lane, uint32_t b, uint32_t c, bool *out_inside) {
  uint32_t offset = b & 31, clamp = c & 31, segment = c >> 8 & 31;
  uint32_t largest = (lane & segment) | (clamp & ~segment), least = lane & segment, source = 0;
  switch (mode) {
  case QN_PTX_up:
    source = lane - offset;
    *out_inside = (int32_t)source >= (int32_t)largest;
    break;
  case QN_PTX_down:
    source = lane + offset;
    *out_inside = source <= largest;
    break;
  case QN_PTX_bfly:
    source = lane ^ offset;
    *out_inside = source <= largest;
    break;
  default:
    source = least | (offset & ~segment);
    *out_inside = source <= largest;
    break;
  }
  return *out_inside ? source : lane;
}

static void execute_shfl(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  const qn_ptx_token mode = (qn_ptx_token)instr->immediate;
  uint32_t scratch[3][QN_EMU_LANES], results[QN_EMU_LANES] = { 0 }, inside_bits = 0;
  const uint32_t *a = qn_emu_read32(warp, instr, qn_ptx_at(instr, 1, 0), lanes, scratch[0]);
  const uint32_t *b = qn_emu_read32(warp, instr, qn_ptx_at(instr, 2, 0), lanes, scratch[1]);
  const uint32_t *c = qn_emu_read32(warp, instr, qn_ptx_at(instr, 3, 0), lanes, scratch[2]);
  members m;
  members_begin(&m, warp, instr, lanes);
  while (members_next(&m))
    for (uint32_t lane = 0; lane < QN_EMU_LANES; lane++) {
      bool inside = false;
      if (!(m.group >> lane & 1)) continue;
      uint32_t source = source_lane(mode, lane, b[lane], c[lane], &inside);
      if (warp->strict && !(m.group >> source & 1)) {
        qn_emu_fault(warp, instr, (int)lane, "shfl reads lane %u, which does not take part", source);
        return;
      }
      results[lane] = a[source];
      inside_bits |= (uint32_t)inside << lane;
    }
  qn_emu_write32(warp, qn_ptx_at(instr, 0, 0), lanes, results);
  if (instr->slots[0].count == 2) qn_emu_write_pred(warp, qn_ptx_at(instr, 0, 1), lanes, inside_bits);
}

bool qn_emu_bind_shfl(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  static const qn_ptx_token modes[] = { QN_PTX_up, QN_PTX_down, QN_PTX_bfly, QN_PTX_idx };
  (void)program;
  if (!bind_members(instr, out_words)) return false;
  *out_words = "shfl.sync takes a value, a lane, a clamp and a mask, of 32 bits each";
  if (instr->slot_count != 5 || !has_result_pair(instr, false)) return false;
  for (uint32_t slot = 1; slot < 4; slot++)
    if (!qn_emu_has_sources(instr, slot, 1, 32)) return false;
  for (uint32_t i = 0; i < QN_COUNT(modes); i++)
    if (qn_ptx_has(instr, modes[i])) instr->immediate = modes[i];
  instr->execute = execute_shfl;
  *out_words = "shfl.sync is .up, .down, .bfly or .idx, of .b32";
  return instr->immediate && qn_ptx_type(instr, 0) == QN_PTX_b32;
}

// --- vote, activemask, elect ----------------------------------------------------------------------------

static void execute_vote(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  uint32_t given = qn_emu_read_pred(warp, instr, qn_ptx_at(instr, 1, 0), lanes), pred = 0;
  uint32_t ballots[QN_EMU_LANES] = { 0 };
  members m;
  members_begin(&m, warp, instr, lanes);
  while (members_next(&m)) {
    uint32_t set = given & m.group;
    bool result = instr->immediate == QN_PTX_any   ? set != 0
                  : instr->immediate == QN_PTX_all ? set == m.group
                                                   : set == 0 || set == m.group;
    if (result) pred |= m.group;
    for (uint32_t lane = 0; lane < QN_EMU_LANES; lane++)
      if (m.group >> lane & 1) ballots[lane] = set;
  }
  if (instr->immediate == QN_PTX_ballot)
    qn_emu_write32(warp, qn_ptx_at(instr, 0, 0), lanes, ballots);
  else
    qn_emu_write_pred(warp, qn_ptx_at(instr, 0, 0), lanes, pred);
}

bool qn_emu_bind_vote(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  static const qn_ptx_token modes[] = { QN_PTX_all, QN_PTX_any, QN_PTX_uni, QN_PTX_ballot };
  (void)program;
  if (!bind_members(instr, out_words)) return false;
  *out_words = "vote.sync takes a predicate and a mask";
  if (instr->slot_count != 3 || !qn_emu_has_sources(instr, 1, 1, 1)) return false;
  for (uint32_t i = 0; i < QN_COUNT(modes); i++)
    if (qn_ptx_has(instr, modes[i])) instr->immediate = modes[i];
  instr->execute = execute_vote;
  *out_words = "vote.sync is .all, .any, .uni of .pred or .ballot of .b32";
  bool ballot = instr->immediate == QN_PTX_ballot;
  return instr->immediate && qn_ptx_type(instr, 0) == (ballot ? QN_PTX_b32 : QN_PTX_pred) &&
         qn_emu_has_results(instr, 0, 1, ballot ? 32 : 1);
}

static void execute_activemask(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  uint32_t values[QN_EMU_LANES];
  for (int i = 0; i < QN_EMU_LANES; i++) values[i] = lanes;
  qn_emu_write32(warp, qn_ptx_at(instr, 0, 0), lanes, values);
}

bool qn_emu_bind_activemask(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  instr->execute = execute_activemask;
  instr->counter = QN_COUNTER_moves;
  *out_words = "activemask is of .b32";
  return qn_ptx_type(instr, 0) == QN_PTX_b32 && qn_emu_has_results(instr, 0, 1, 32);
}

// The lowest lane is elected.
static void execute_elect(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  uint32_t leaders[QN_EMU_LANES] = { 0 }, elected = 0;
  members m;
  members_begin(&m, warp, instr, lanes);
  while (members_next(&m)) {
    uint32_t leader = (uint32_t)__builtin_ctz(m.group);
    elected |= 1u << leader;
    for (uint32_t lane = 0; lane < QN_EMU_LANES; lane++)
      if (m.group >> lane & 1) leaders[lane] = leader;
  }
  qn_emu_write32(warp, qn_ptx_at(instr, 0, 0), lanes, leaders);
  qn_emu_write_pred(warp, qn_ptx_at(instr, 0, 1), lanes, elected);
}

bool qn_emu_bind_elect(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  if (!bind_members(instr, out_words)) return false;
  instr->execute = execute_elect;
  *out_words = "elect.sync gives a lane and a predicate: d|p";
  return has_result_pair(instr, true);
}

// --- match ----------------------------------------------------------------------------------------------

// The lanes of a group that hold the same value as `lane`.
static uint32_t equal_lanes(const uint64_t *values, uint32_t group, uint32_t lane) {
  uint32_t equal = 0;
  for (uint32_t i = 0; i < QN_EMU_LANES; i++)
    if ((group >> i & 1) && values[i] == values[lane]) equal |= 1u << i;
  return equal;
}

static void execute_match(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  const bool all = qn_ptx_has(instr, QN_PTX_all);
  uint64_t wide[QN_EMU_LANES];
  uint32_t scratch[QN_EMU_LANES], results[QN_EMU_LANES] = { 0 }, pred = 0;
  const uint64_t *values = wide;
  if (qn_ptx_type(instr, 0) == QN_PTX_b64) {
    values = qn_emu_read64(warp, instr, qn_ptx_at(instr, 1, 0), lanes, wide);
  } else {
    const uint32_t *narrow = qn_emu_read32(warp, instr, qn_ptx_at(instr, 1, 0), lanes, scratch);
    for (int i = 0; i < QN_EMU_LANES; i++) wide[i] = narrow[i];
  }
  members m;
  members_begin(&m, warp, instr, lanes);
  while (members_next(&m))
    for (uint32_t lane = 0; lane < QN_EMU_LANES; lane++) {
      if (!(m.group >> lane & 1)) continue;
      uint32_t equal = equal_lanes(values, m.group, lane);
      results[lane] = !all || equal == m.group ? equal : 0;
      pred |= (uint32_t)(equal == m.group) << lane;
    }
  qn_emu_write32(warp, qn_ptx_at(instr, 0, 0), lanes, results);
  if (instr->slots[0].count == 2) qn_emu_write_pred(warp, qn_ptx_at(instr, 0, 1), lanes, pred);
}

bool qn_emu_bind_match(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  if (!bind_members(instr, out_words)) return false;
  bool all = qn_ptx_has(instr, QN_PTX_all);
  qn_ptx_token type = qn_ptx_type(instr, 0);
  instr->execute = execute_match;
  *out_words = "match.sync is .any or .all, of .b32 or .b64";
  if (all == qn_ptx_has(instr, QN_PTX_any) || (type != QN_PTX_b32 && type != QN_PTX_b64)) return false;
  *out_words = "a value that is not of the type";
  if (!qn_emu_has_sources(instr, 1, 1, qn_ptx_bits(type))) return false;
  *out_words = "only match.all has a second result, a predicate";
  return has_result_pair(instr, false) && (all || instr->slots[0].count == 1);
}

// --- redux ----------------------------------------------------------------------------------------------

typedef uint32_t (*reduction)(uint32_t a, uint32_t b);

static uint32_t add(uint32_t a, uint32_t b) {
  return a + b;
}
static uint32_t min_u32(uint32_t a, uint32_t b) {
  return QN_MIN(a, b);
}
static uint32_t max_u32(uint32_t a, uint32_t b) {
  return QN_MAX(a, b);
}
static uint32_t min_s32(uint32_t a, uint32_t b) {
  return (int32_t)a < (int32_t)b ? a : b;
}
static uint32_t max_s32(uint32_t a, uint32_t b) {
  return (int32_t)a > (int32_t)b ? a : b;
}
static uint32_t and_b32(uint32_t a, uint32_t b) {
  return a & b;
}
static uint32_t or_b32(uint32_t a, uint32_t b) {
  return a | b;
}
static uint32_t xor_b32(uint32_t a, uint32_t b) {
  return a ^ b;
}

// The bits of a float in the order of its values, -0 below +0.
static int32_t float_order(uint32_t bits) {
  return (int32_t)(bits >> 31 ? bits ^ 0x7FFFFFFFu : bits);
}
static bool is_nan(uint32_t bits) {
  return (bits & 0x7FFFFFFFu) > 0x7F800000u;
}
// NaN is left out unless all are NaN.
static uint32_t min_f32(uint32_t a, uint32_t b) {
  if (is_nan(a) || is_nan(b)) return is_nan(a) ? b : a;
  return float_order(a) < float_order(b) ? a : b;
}
static uint32_t max_f32(uint32_t a, uint32_t b) {
  if (is_nan(a) || is_nan(b)) return is_nan(a) ? b : a;
  return float_order(a) > float_order(b) ? a : b;
}

static const struct {
  uint8_t operation, type; // qn_ptx_token
  reduction reduce;
} reductions[] = {
  { QN_PTX_add, QN_PTX_u32, add },     { QN_PTX_add, QN_PTX_s32, add },     { QN_PTX_min, QN_PTX_u32, min_u32 },
  { QN_PTX_max, QN_PTX_u32, max_u32 }, { QN_PTX_min, QN_PTX_s32, min_s32 }, { QN_PTX_max, QN_PTX_s32, max_s32 },
  { QN_PTX_and, QN_PTX_b32, and_b32 }, { QN_PTX_or, QN_PTX_b32, or_b32 },   { QN_PTX_xor, QN_PTX_b32, xor_b32 },
  { QN_PTX_min, QN_PTX_f32, min_f32 }, { QN_PTX_max, QN_PTX_f32, max_f32 },
};

static void execute_redux(qn_emu_warp *warp, const qn_ptx_instr *instr, uint32_t lanes) {
  const reduction reduce = reductions[instr->immediate].reduce;
  const bool is_float = qn_ptx_type(instr, 0) == QN_PTX_f32, keep_nan = qn_ptx_has(instr, QN_PTX_NaN);
  const uint32_t keep = qn_ptx_has(instr, QN_PTX_abs) ? 0x7FFFFFFFu : UINT32_MAX;
  uint32_t scratch[QN_EMU_LANES], results[QN_EMU_LANES] = { 0 };
  const uint32_t *values = qn_emu_read32(warp, instr, qn_ptx_at(instr, 1, 0), lanes, scratch);
  members m;
  members_begin(&m, warp, instr, lanes);
  while (members_next(&m)) {
    uint32_t first = (uint32_t)__builtin_ctz(m.group), result = values[first] & keep;
    bool nan = is_nan(result);
    for (uint32_t lane = first + 1; lane < QN_EMU_LANES; lane++) {
      if (!(m.group >> lane & 1)) continue;
      nan = nan || is_nan(values[lane]);
      result = reduce(result, values[lane] & keep);
    }
    if (is_float && (is_nan(result) || (keep_nan && nan))) result = 0x7FFFFFFFu;
    for (uint32_t lane = 0; lane < QN_EMU_LANES; lane++)
      if (m.group >> lane & 1) results[lane] = result;
  }
  qn_emu_write32(warp, qn_ptx_at(instr, 0, 0), lanes, results);
}

bool qn_emu_bind_redux(const qn_ptx_program *program, qn_ptx_instr *instr, const char **out_words) {
  (void)program;
  if (!bind_members(instr, out_words)) return false;
  qn_ptx_token type = qn_ptx_type(instr, 0);
  instr->execute = execute_redux;
  *out_words = ".abs and .NaN are for f32";
  if ((qn_ptx_has(instr, QN_PTX_abs) || qn_ptx_has(instr, QN_PTX_NaN)) && type != QN_PTX_f32) return false;
  *out_words = "redux.sync is of 32 bits";
  if (!qn_emu_has_results(instr, 0, 1, 32) || !qn_emu_has_sources(instr, 1, 1, 32)) return false;
  *out_words = "redux.sync is .add, .min, .max of u32 and s32, .and, .or, .xor of b32, .min, .max of f32";
  for (uint32_t i = 0; i < QN_COUNT(reductions); i++)
    if (reductions[i].type == type && qn_ptx_has(instr, reductions[i].operation)) {
      instr->immediate = i;
      return true;
    }
  return false;
}
