// The emulated device's memory: allocations far apart, so that no pointer slips from one to another, each with
// the state of its bytes.
#include "runtime/emulator/block_priv.h"

#include <stdio.h>

enum { ALIGNMENT = 256, GAP = 1 << 20 };
#define BYTES_MAX (UINT64_C(1) << 40)

// Where an allocation is, or would be inserted.
static uint32_t upper_bound(const qn_emu_heap *heap, uint64_t address) {
  uint32_t low = 0, high = heap->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (heap->allocations[middle].address <= address)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

qn_status qn_emu_heap_allocate(qn_emu_heap *heap, size_t bytes, uint64_t *out_address) {
  if (bytes > BYTES_MAX)
    return qn_fail(heap->context, QN_LIMIT, "emulator", "an allocation of %zu bytes, the most is 2^40", bytes);
  QN_TRY(QN_RESERVE(heap->context, heap->allocations, heap->capacity, (uint64_t)heap->count + 1));
  qn_emu_allocation fresh = { .address = QN_MAX(heap->next, QN_EMU_GLOBAL_FIRST), .bytes = bytes };
  fresh.data = qn_alloc(heap->context, bytes);
  fresh.state = qn_alloc_zero(heap->context, bytes);
  if (!fresh.data || !fresh.state) {
    qn_free(heap->context, fresh.data, bytes);
    qn_free(heap->context, fresh.state, bytes);
    return qn_fail_memory(heap->context);
  }
  // What nobody wrote is the same on every machine, also where it may be read.
  memset(fresh.data, 0xCD, bytes);
  uint64_t end = fresh.address + bytes + GAP;
  heap->next = (end + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  heap->allocations[heap->count++] = fresh; // addresses grow
  *out_address = fresh.address;
  return QN_OK;
}

static void free_bytes(const qn_emu_heap *heap, const qn_emu_allocation *allocation) {
  qn_free(heap->context, allocation->data, allocation->bytes);
  qn_free(heap->context, allocation->state, allocation->bytes);
}

bool qn_emu_heap_free(qn_emu_heap *heap, uint64_t address) {
  uint32_t at = upper_bound(heap, address);
  if (at == 0 || heap->allocations[at - 1].address != address) return false;
  free_bytes(heap, &heap->allocations[at - 1]);
  memmove(&heap->allocations[at - 1], &heap->allocations[at], (heap->count - at) * sizeof(*heap->allocations));
  heap->count--;
  return true;
}

void qn_emu_heap_destroy(qn_emu_heap *heap) {
  for (uint32_t i = 0; i < heap->count; i++) free_bytes(heap, &heap->allocations[i]);
  qn_free(heap->context, heap->allocations, heap->capacity * sizeof(*heap->allocations));
}

const qn_emu_allocation *qn_emu_heap_find(const qn_emu_heap *heap, uint64_t address) {
  uint32_t at = upper_bound(heap, address);
  return at ? &heap->allocations[at - 1] : NULL;
}

void qn_emu_heap_describe(const qn_emu_heap *heap, uint64_t address, char *out, size_t size) {
  const qn_emu_allocation *below = qn_emu_heap_find(heap, address);
  const qn_emu_allocation *above = below ? below + 1 : heap->allocations;
  uint64_t end = below ? below->address + below->bytes : 0;
  if (below && address < end)
    snprintf(out, size, "which ends beyond an allocation of %zu bytes: it begins %llu bytes before its end",
             below->bytes, (unsigned long long)(end - address));
  else if (below && address - end < GAP / 2)
    snprintf(out, size, "%llu bytes behind the end of an allocation of %zu bytes",
             (unsigned long long)(address - end), below->bytes);
  else if (heap->count && above < heap->allocations + heap->count && above->address - address < GAP / 2)
    snprintf(out, size, "%llu bytes in front of an allocation of %zu bytes",
             (unsigned long long)(above->address - address), above->bytes);
  else if (address < QN_EMU_SHARED_WINDOW && address < 1 << 16)
    snprintf(out, size, "a null pointer");
  else
    snprintf(out, size, "where no allocation is near");
}
