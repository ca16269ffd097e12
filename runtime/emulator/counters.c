// What an access costs: sectors of global memory, passes over the banks of shared memory.
#include "runtime/emulator/block_priv.h"

enum { SECTOR = 32, BANKS = 32, BANK_BYTES = 4 };

// How many different values there are. Lanes mostly go upwards, and then one look back is enough.
static uint32_t count_sectors(const uint64_t addresses[QN_EMU_LANES], uint32_t lanes, uint32_t bytes) {
  uint64_t sectors[2 * QN_EMU_LANES];
  uint32_t count = 0, highest = 0;
  for (uint32_t left = lanes; left; left &= left - 1) {
    uint64_t address = addresses[qn_emu_first(left)];
    for (uint64_t at = address / SECTOR; at <= (address + bytes - 1) / SECTOR && count < QN_COUNT(sectors);
         at++) {
      bool known = false;
      if (count && at <= sectors[highest])
        for (uint32_t i = 0; i < count && !known; i++) known = sectors[i] == at;
      if (known) continue;
      if (!count || at > sectors[highest]) highest = count;
      sectors[count++] = at;
    }
  }
  return count;
}

// The passes that a group of lanes needs: as many as there are different words in the bank that has most.
static uint32_t count_passes(const uint64_t addresses[QN_EMU_LANES], uint32_t lanes, uint32_t bytes) {
  uint32_t words[BANKS][QN_EMU_LANES], used[BANKS] = { 0 }, passes = 1;
  for (uint32_t left = lanes; left; left &= left - 1) {
    uint32_t first = (uint32_t)addresses[qn_emu_first(left)] / BANK_BYTES;
    for (uint32_t word = first; word < first + (bytes + BANK_BYTES - 1) / BANK_BYTES; word++) {
      uint32_t bank = word % BANKS, i = 0;
      while (i < used[bank] && words[bank][i] != word) i++;
      if (i < used[bank]) continue;
      words[bank][used[bank]++] = word;
      passes = QN_MAX(passes, used[bank]);
    }
  }
  return passes;
}

// Accesses of 8 bytes are served in two phases of 16 lanes, of 16 bytes in four of 8.
static uint32_t count_conflicts(const uint64_t addresses[QN_EMU_LANES], uint32_t lanes, uint32_t bytes) {
  uint32_t width = bytes <= 4 ? 32 : bytes == 8 ? 16 : 8, conflicts = 0;
  uint32_t phase = width == 32 ? QN_EMU_ALL : (1u << width) - 1;
  for (uint32_t first = 0; first < QN_EMU_LANES; first += width) {
    uint32_t group = lanes & phase << first;
    if (group) conflicts += count_passes(addresses, group, bytes) - 1;
  }
  return conflicts;
}

void qn_emu_count_access(qn_emu_warp *warp, qn_ptx_token space, const uint64_t addresses[QN_EMU_LANES],
                         uint32_t lanes, uint32_t bytes, bool write) {
  if (!lanes) return;
  uint64_t ignored, total = (uint64_t)qn_emu_count_lanes(lanes) * bytes;
  qn_counters *counters = warp->counters;
  if (space == QN_PTX_NO_TOKEN) space = qn_emu_resolve(addresses[qn_emu_first(lanes)], &ignored);
  switch (space) {
  case QN_PTX_global:
    counters->global_sectors += count_sectors(addresses, lanes, bytes);
    if (write) {
      counters->global_stores++;
      counters->global_written_bytes += total;
    } else {
      counters->global_loads++;
      counters->global_read_bytes += total;
    }
    break;
  case QN_PTX_shared:
  case QN_PTX_shared_cta:
  case QN_PTX_shared_cluster:
    counters->bank_conflicts += count_conflicts(addresses, lanes, bytes);
    if (write)
      counters->shared_written_bytes += total;
    else
      counters->shared_read_bytes += total;
    break;
  default: break; // other spaces are not counted
  }
}
