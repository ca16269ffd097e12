// Interned strings and types, and the index that both (and dims) share.
#include "ir/graph_priv.h"

#include <xxhash.h>

// --- index -------------------------------------------------------------------------------------------------

uint32_t qn_index_find(const qn_index *index, uint32_t hash,
                       bool (*same)(const qn_graph *, uint32_t, const void *), const qn_graph *graph,
                       const void *key) {
  if (!index->capacity) return 0;
  uint32_t mask = index->capacity - 1;
  for (uint32_t i = hash & mask; index->slots[i]; i = (i + 1) & mask)
    if (same(graph, index->slots[i], key)) return index->slots[i];
  return 0;
}

static void index_put(qn_index *index, uint32_t hash, uint32_t entry) {
  uint32_t mask = index->capacity - 1, i = hash & mask;
  while (index->slots[i]) i = (i + 1) & mask;
  index->slots[i] = entry;
}

qn_status qn_index_add(qn_graph *graph, qn_index *index, uint32_t hash, uint32_t entry,
                       uint32_t (*hash_at)(const qn_graph *, uint32_t)) {
  if (index->count * 4ull >= index->capacity * 3ull) {
    qn_index grown = { .capacity = index->capacity ? index->capacity * 2 : 64, .count = index->count };
    grown.slots = qn_alloc_zero(graph->context, grown.capacity * sizeof *grown.slots);
    if (!grown.slots) return qn_fail_memory(graph->context);
    for (uint32_t i = 0; i < index->capacity; i++)
      if (index->slots[i]) index_put(&grown, hash_at(graph, index->slots[i]), index->slots[i]);
    qn_free(graph->context, index->slots, index->capacity * sizeof *index->slots);
    *index = grown;
  }
  index_put(index, hash, entry);
  index->count++;
  return QN_OK;
}

// --- want of memory ----------------------------------------------------------------------------------------

uint32_t qn_graph_starve(qn_graph *graph) {
  graph->starved = true;
  return 0;
}

qn_status qn_graph_check_memory(qn_graph *graph) {
  bool starved = graph->starved;
  graph->starved = false;
  return starved ? qn_fail_memory(graph->context) : QN_OK;
}

// --- strings -----------------------------------------------------------------------------------------------

static bool same_string(const qn_graph *graph, uint32_t entry, const void *key) {
  const qn_string *a = &graph->strings.at[entry], *b = key;
  return a->hash == b->hash && a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

uint32_t qn_string_hash(const char *text, size_t length) {
  return (uint32_t)XXH3_64bits(text, length);
}

static uint32_t string_hash(const qn_graph *graph, uint32_t entry) {
  return graph->strings.at[entry].hash;
}

uint32_t qn_string_intern(qn_graph *graph, const char *text, size_t length) {
  if (length == 0) return 0;
  if (length > UINT32_MAX) {
    qn_fail(graph->context, QN_LIMIT, NULL, "a name longer than 4 GiB");
    return 0;
  }
  qn_string key = { .text = text, .length = (uint32_t)length, .hash = qn_string_hash(text, length) };
  uint32_t found = qn_index_find(&graph->string_index, key.hash, same_string, graph, &key);
  if (found) return found;
  if (QN_RESERVE(graph->context, graph->strings.at, graph->strings.capacity, graph->strings.count + 1ull) !=
      QN_OK)
    return qn_graph_starve(graph);
  key.text = qn_arena_copy(&graph->arena, text, length);
  if (!key.text) return qn_graph_starve(graph);
  uint32_t entry = graph->strings.count;
  graph->strings.at[entry] = key;
  if (qn_index_add(graph, &graph->string_index, key.hash, entry, string_hash) != QN_OK)
    return qn_graph_starve(graph);
  graph->strings.count++;
  return entry;
}

qn_str qn_string_get(const qn_graph *graph, uint32_t string) {
  const qn_string *entry = &graph->strings.at[string];
  return (qn_str){ .text = entry->text, .length = entry->length };
}

// --- types -------------------------------------------------------------------------------------------------

static bool same_type(const qn_graph *graph, uint32_t entry, const void *key) {
  const qn_type_entry *a = &graph->types.at[entry], *b = key;
  return a->hash == b->hash && a->dtype == b->dtype && a->rank == b->rank &&
         (a->rank <= 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0);
}

static uint32_t type_hash(const qn_graph *graph, uint32_t entry) {
  return graph->types.at[entry].hash;
}

qn_type qn_type_get(qn_graph *graph, qn_dtype dtype, int32_t rank, const qn_dim *dims) {
  if (rank < QN_RANK_UNKNOWN || rank > QN_RANK_MAX || (unsigned)dtype >= QN_DTYPE_COUNT) return 0;
  if (dtype == QN_ANY && rank == QN_RANK_UNKNOWN) return 0;
  size_t bytes = rank > 0 ? (size_t)rank * sizeof *dims : 0;
  uint64_t seed = (uint64_t)dtype << 8 | (uint8_t)rank;
  qn_type_entry key = { .dims = dims, .dtype = (uint8_t)dtype, .rank = (int8_t)rank };
  key.hash = (uint32_t)XXH3_64bits_withSeed(bytes ? (const void *)dims : "", bytes, seed);
  uint32_t found = qn_index_find(&graph->type_index, key.hash, same_type, graph, &key);
  if (found) return found;
  if (QN_RESERVE(graph->context, graph->types.at, graph->types.capacity, graph->types.count + 1ull) != QN_OK)
    return qn_graph_starve(graph);
  qn_dim *copy = NULL;
  if (bytes) {
    copy = qn_arena_alloc(&graph->arena, bytes);
    if (!copy) return qn_graph_starve(graph);
    memcpy(copy, dims, bytes);
  }
  key.dims = copy;
  uint32_t entry = graph->types.count;
  graph->types.at[entry] = key;
  if (qn_index_add(graph, &graph->type_index, key.hash, entry, type_hash) != QN_OK)
    return qn_graph_starve(graph);
  graph->types.count++;
  return entry;
}

qn_type_info qn_type_get_info(const qn_graph *graph, qn_type type) {
  const qn_type_entry *entry = &graph->types.at[type];
  return (qn_type_info){ .dtype = (qn_dtype)entry->dtype, .rank = entry->rank, .dims = entry->dims };
}

qn_status qn_type_write(const qn_graph *graph, qn_type type, const qn_writer *writer) {
  qn_type_info info = qn_type_get_info(graph, type);
  QN_TRY(qn_write(writer, qn_dtype_name(info.dtype)));
  if (type == 0) return QN_OK;
  if (info.rank == QN_RANK_UNKNOWN) return qn_write(writer, "[...]");
  QN_TRY(qn_write(writer, "["));
  for (int32_t i = 0; i < info.rank; i++) {
    if (i) QN_TRY(qn_write(writer, ","));
    QN_TRY(qn_dim_write(graph, info.dims[i], writer));
  }
  return qn_write(writer, "]");
}
