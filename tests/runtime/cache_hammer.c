// One of the processes that share a cache in test_cache.c: writes, reads and damages a few entries.
//
//   cache_hammer FOLDER SEED
//
// A program of its own, since a child of a test that only forks may find a lock held that nobody will open.
#include "runtime/cache_priv.h"

#include <stdio.h>
#include <stdlib.h>

static qn_cache_key key_of(const char *text) {
  return qn_cache_hash(text, strlen(text));
}

// Whoever reads an entry reads a whole one.
static int hammer(const char *folder, int seed) {
  qn_context *own;
  qn_cache cache;
  if (qn_context_create(NULL, &own) != QN_OK || qn_cache_open(own, folder, 6000, &cache) != QN_OK) return 1;
  int hits = 0;
  for (int i = 0; i < 400; i++) {
    char key[16], text[900];
    int entry = (i * 7 + seed) % 8;
    snprintf(key, sizeof(key), "k%d", entry);
    memset(text, 'a' + entry, sizeof(text));
    qn_buf out = QN_BUF(own);
    if ((i + seed) % 3 == 0)
      qn_cache_put(&cache, key_of(key), text, sizeof(text));
    else if (qn_cache_get(&cache, key_of(key), &out)) {
      hits++;
      if (out.length != sizeof(text) || memcmp(out.text, text, sizeof(text)) != 0) return 2;
    }
    qn_buf_free(&out);
  }
  qn_cache_close(&cache);
  qn_context_destroy(own);
  return hits > 0 ? 0 : 3;
}

int main(int argc, char **argv) {
  return argc == 3 ? hammer(argv[1], atoi(argv[2])) : 4;
}
