// A greedy cover: each row is built around a pair that is still missing, and is the one of several random
// completions that brings the most missing pairs with it.
#include "tests/kernels/cover.h"

#include <stdlib.h>
#include <string.h>

enum { CANDIDATES = 48, ATTEMPTS = 40 };

typedef enum pair_state { MISSING, COVERED, REFUSED } pair_state;
typedef uint8_t pair_table[COVER_FACTORS_MAX][COVER_CHOICES_MAX][COVER_FACTORS_MAX][COVER_CHOICES_MAX];

uint32_t cover_random(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (uint32_t)(*state >> 33);
}

// Whole rows are rarely refused where a few options exclude each other; after some attempts the free factors
// become plain one after the other, so that the last attempts ask for little.
bool cover_complete(const cover_space *space, const cover_row fixed, uint64_t *random, cover_row out_row) {
  for (uint32_t attempt = 0; attempt < ATTEMPTS; attempt++) {
    for (uint32_t f = 0; f < space->factors; f++) {
      bool plain = cover_random(random) % ATTEMPTS < attempt;
      out_row[f] = fixed[f] != COVER_ANY ? fixed[f]
                   : plain               ? 0
                                         : (uint8_t)(cover_random(random) % space->choices[f]);
    }
    if (space->allows(space->user, out_row)) return true;
  }
  for (uint32_t f = 0; f < space->factors; f++) out_row[f] = fixed[f] != COVER_ANY ? fixed[f] : 0;
  return space->allows(space->user, out_row);
}

static void fix_pair(cover_row row, uint32_t a, uint32_t choice_a, uint32_t b, uint32_t choice_b) {
  memset(row, COVER_ANY, sizeof(cover_row));
  row[a] = (uint8_t)choice_a;
  row[b] = (uint8_t)choice_b;
}

static bool is_allowed(const cover_space *space, uint32_t a, uint32_t choice_a, uint32_t b, uint32_t choice_b) {
  cover_row row = { 0 };
  row[a] = (uint8_t)choice_a;
  row[b] = (uint8_t)choice_b;
  return space->allows(space->user, row);
}

#define FOR_EACH_PAIR(space, a, x, b, y)                                                                       \
  for (uint32_t a = (space)->each > 0; a < (space)->factors; a++)                                              \
    for (uint32_t b = a + 1; b < (space)->factors; b++)                                                        \
      for (uint32_t x = 0; x < (space)->choices[a]; x++)                                                       \
        for (uint32_t y = 0; y < (space)->choices[b]; y++)

static cover_totals mark_refused(const cover_space *space, pair_table pairs) {
  cover_totals totals = { 0 };
  FOR_EACH_PAIR(space, a, x, b, y) {
    totals.pairs++;
    if (is_allowed(space, a, x, b, y)) continue;
    totals.refused++;
    pairs[a][x][b][y] = REFUSED;
  }
  return totals;
}

// How many missing pairs a row has; with `mark` they are covered from now on.
static uint32_t cover(const cover_space *space, pair_table pairs, const cover_row row, bool mark) {
  uint32_t fresh = 0;
  for (uint32_t a = 0; a < space->factors; a++)
    for (uint32_t b = a + 1; b < space->factors; b++) {
      uint8_t *pair = &pairs[a][row[a]][b][row[b]];
      fresh += *pair == MISSING;
      if (mark && *pair == MISSING) *pair = COVERED;
    }
  return fresh;
}

// False if no row is allowed.
static bool best_row(const cover_space *space, pair_table pairs, const cover_row fixed, uint64_t *random,
                     cover_row out_row) {
  int64_t best = -1;
  for (int i = 0; i < CANDIDATES; i++) {
    cover_row row;
    if (!cover_complete(space, fixed, random, row)) continue;
    uint32_t fresh = cover(space, pairs, row, false);
    if (fresh <= best) continue;
    best = fresh;
    memcpy(out_row, row, sizeof(cover_row));
  }
  return best >= 0;
}

// The row around `fixed`, if there is one.
static void add_row(const cover_space *space, pair_table pairs, const cover_row fixed, uint64_t *random,
                    cover_row *out_rows, uint32_t max, uint32_t *count) {
  if (*count == max || !best_row(space, pairs, fixed, random, out_rows[*count])) return;
  cover(space, pairs, out_rows[*count], true);
  (*count)++;
}

uint32_t cover_pairs(const cover_space *space, cover_row *out_rows, uint32_t max, cover_totals *out_totals) {
  uint8_t(*pairs)[COVER_CHOICES_MAX][COVER_FACTORS_MAX][COVER_CHOICES_MAX] = calloc(1, sizeof(pair_table));
  uint64_t random = 1;
  uint32_t count = 0;
  *out_totals = (cover_totals){ 0 };
  if (!pairs) return 0;
  *out_totals = mark_refused(space, pairs);
  cover_row fixed;
  for (uint32_t i = 0; i < space->each * space->choices[0]; i++) {
    memset(fixed, COVER_ANY, sizeof(fixed));
    fixed[0] = (uint8_t)(i / space->each);
    add_row(space, pairs, fixed, &random, out_rows, max, &count);
  }
  FOR_EACH_PAIR(space, a, x, b, y) {
    if (pairs[a][x][b][y] != MISSING) continue;
    fix_pair(fixed, a, x, b, y);
    add_row(space, pairs, fixed, &random, out_rows, max, &count);
  }
  free(pairs);
  return count;
}
