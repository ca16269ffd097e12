// A folder of small files, shared by processes, that may vanish or be damaged at any time. docs/cache.md
#ifndef QUENCH_RUNTIME_CACHE_PRIV_H
#define QUENCH_RUNTIME_CACHE_PRIV_H

#include "ir/base_priv.h"

typedef struct qn_cache_key {
  uint8_t bytes[16];
} qn_cache_key;

// XXH3-128 of the bytes, in canonical (big-endian) order.
qn_cache_key qn_cache_hash(const void *bytes, size_t length);

// Never fails for the user: where the folder cannot be used, every get is a miss, every put does nothing, and
// `state` says why.
typedef struct qn_cache {
  qn_context *context;
  int folder; // descriptor; -1: no cache
  uint64_t limit;
  char *state; // "/home/x/.cache/quench", or "off: ..."
  size_t state_size;
} qn_cache;

// `folder` NULL: the user's; "": none. `limit` in bytes; the oldest entries go when it is passed.
// Errors: QN_MEMORY.
qn_status qn_cache_open(qn_context *context, const char *folder, uint64_t limit, qn_cache *out_cache);
void qn_cache_close(qn_cache *cache);

// Appends the entry to `out`. False if there is none; a damaged one is removed.
bool qn_cache_get(qn_cache *cache, qn_cache_key key, qn_buf *out);
void qn_cache_put(qn_cache *cache, qn_cache_key key, const void *bytes, size_t length);
// For an entry whose content proved unusable.
void qn_cache_remove(qn_cache *cache, qn_cache_key key);

#endif
