// Tensor names of the main graph: a hash table over an array in order of appearance.
#include "formats/onnx/onnx_priv.h"
#include <xxhash.h>

static uint32_t find_slot(const qn_onnx_names *names, const char *text, size_t length) {
  uint32_t mask = names->slot_count - 1;
  uint32_t slot = (uint32_t)XXH3_64bits(text, length) & mask;
  while (names->slots[slot]) {
    const qn_onnx_name *name = &names->entries[names->slots[slot] - 1];
    if (name->length == length && memcmp(name->text, text, length) == 0) break;
    slot = (slot + 1) & mask;
  }
  return slot;
}

static qn_status resize(qn_onnx_names *names, qn_context *context, uint32_t slot_count) {
  uint32_t *slots = qn_alloc_zero(context, slot_count * sizeof *slots);
  if (!slots) return qn_fail_memory(context);
  qn_free(context, names->slots, names->slot_count * sizeof *slots);
  names->slots = slots;
  names->slot_count = slot_count;
  for (uint32_t i = 0; i < names->count; i++)
    slots[find_slot(names, names->entries[i].text, names->entries[i].length)] = i + 1;
  return QN_OK;
}

qn_status qn_onnx_names_init(qn_onnx_names *names, qn_context *context, uint32_t expected) {
  uint32_t slot_count = 64;
  while (slot_count / 2 < expected && slot_count < 1u << 30) slot_count *= 2;
  return resize(names, context, slot_count);
}

void qn_onnx_names_free(qn_onnx_names *names, qn_context *context) {
  qn_free(context, names->entries, names->capacity * sizeof *names->entries);
  qn_free(context, names->slots, names->slot_count * sizeof *names->slots);
  *names = (qn_onnx_names){ 0 };
}

qn_onnx_name *qn_onnx_names_find(const qn_onnx_names *names, const char *text, size_t length) {
  if (!names->slot_count) return NULL;
  uint32_t index = names->slots[find_slot(names, text, length)];
  return index ? &names->entries[index - 1] : NULL;
}

qn_onnx_name *qn_onnx_names_get(qn_onnx_names *names, qn_context *context, const char *text, size_t length) {
  if (names->count >= names->slot_count / 2 && resize(names, context, names->slot_count * 2) != QN_OK)
    return NULL;
  uint32_t slot = find_slot(names, text, length);
  if (names->slots[slot]) return &names->entries[names->slots[slot] - 1];
  if (QN_RESERVE(context, names->entries, names->capacity, (uint64_t)names->count + 1) != QN_OK) return NULL;
  names->slots[slot] = names->count + 1;
  qn_onnx_name *name = &names->entries[names->count++];
  *name = (qn_onnx_name){ .text = text, .length = (uint32_t)length };
  return name;
}
