// Rows of choices in which every two choices of different factors meet.
#ifndef TESTS_KERNELS_COVER_H
#define TESTS_KERNELS_COVER_H

#include <stdbool.h>
#include <stdint.h>

enum { COVER_FACTORS_MAX = 24, COVER_CHOICES_MAX = 96 };

typedef uint8_t cover_row[COVER_FACTORS_MAX]; // a choice for each factor

typedef struct cover_space {
  uint32_t factors;
  const uint8_t *choices; // how many each factor has; choice 0 is the plain one, which goes with everything
  bool (*allows)(const void *user, const cover_row row);
  const void *user;
  uint32_t each; // rows that each choice of factor 0 gets, where there are too many for all pairs; 0: all pairs
} cover_space;

typedef struct cover_totals {
  uint32_t pairs, refused; // refused: not allowed even with plain choices for all else. With `each`, of the
                           // other factors
} cover_totals;

// Fills at most `max` rows and returns their number; always the same for the same space.
uint32_t cover_pairs(const cover_space *space, cover_row *out_rows, uint32_t max, cover_totals *out_totals);

uint32_t cover_random(uint64_t *state); // 31 bits
// A row that is allowed and agrees with `fixed` where that is not COVER_ANY; false if none was found.
#define COVER_ANY 0xFF
bool cover_complete(const cover_space *space, const cover_row fixed, uint64_t *random, cover_row out_row);

#endif
