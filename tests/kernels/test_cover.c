// The cover of all pairs, on small spaces.
#include "tests/kernels/cover.h"

#include <criterion/criterion.h>
#include <string.h>

static const uint8_t CHOICES[] = { 4, 3, 3, 2, 2, 5 };
enum { FACTORS = sizeof CHOICES, MAX = 64 };

static bool everything(const void *user, const cover_row row) {
  (void)user, (void)row;
  return true;
}

// Choice 2 of factor 0 excludes all of factor 5 but its plain choice, and choice 1 of factor 3.
static bool most(const void *user, const cover_row row) {
  (void)user;
  return row[0] != 2 || (row[5] == 0 && row[3] == 0);
}

static bool has_pair(cover_row *rows, uint32_t count, int a, int x, int b, int y) {
  for (uint32_t i = 0; i < count; i++)
    if (rows[i][a] == x && rows[i][b] == y) return true;
  return false;
}

// Counts the pairs that no row has.
static uint32_t count_missing(cover_row *rows, uint32_t count) {
  uint32_t missing = 0;
  for (int a = 0; a < FACTORS; a++)
    for (int b = a + 1; b < FACTORS; b++)
      for (int x = 0; x < CHOICES[a]; x++)
        for (int y = 0; y < CHOICES[b]; y++) missing += !has_pair(rows, count, a, x, b, y);
  return missing;
}

Test(cover, every_pair_is_met) {
  const cover_space space = { .factors = FACTORS, .choices = CHOICES, .allows = everything };
  cover_row rows[MAX];
  cover_totals totals;
  uint32_t count = cover_pairs(&space, rows, MAX, &totals);
  cr_assert_eq(count_missing(rows, count), 0);
  cr_assert_eq(totals.refused, 0);
  cr_assert_eq(totals.pairs,
               4 * 15 + 3 * 12 + 3 * 9 + 2 * 7 + 2 * 5); // each factor's choices by those behind it
  cr_assert_leq(count, 30, "%u rows; 20 are needed", count);
}

Test(cover, pairs_that_exclude_each_other_are_left_out_and_counted) {
  const cover_space space = { .factors = FACTORS, .choices = CHOICES, .allows = most };
  cover_row rows[MAX];
  cover_totals totals;
  uint32_t count = cover_pairs(&space, rows, MAX, &totals);
  cr_assert_eq(totals.refused, 4 + 1);
  cr_assert_eq(count_missing(rows, count), totals.refused);
  for (uint32_t i = 0; i < count; i++) cr_assert(most(NULL, rows[i]));
}

Test(cover, the_same_space_gives_the_same_rows) {
  const cover_space space = { .factors = FACTORS, .choices = CHOICES, .allows = most };
  cover_row rows[MAX] = { 0 }, again[MAX] = { 0 };
  cover_totals totals;
  uint32_t count = cover_pairs(&space, rows, MAX, &totals);
  cr_assert_eq(cover_pairs(&space, again, MAX, &totals), count);
  for (uint32_t i = 0; i < count; i++) cr_assert_arr_eq(rows[i], again[i], FACTORS);
}

Test(cover, completion_keeps_what_is_fixed) {
  const cover_space space = { .factors = FACTORS, .choices = CHOICES, .allows = most };
  cover_row fixed, row;
  uint64_t random = 7;
  memset(fixed, COVER_ANY, sizeof fixed);
  fixed[0] = 2;
  cr_assert(cover_complete(&space, fixed, &random, row));
  cr_assert_eq(row[0], 2);
  cr_assert_eq(row[5], 0);
  fixed[5] = 3;
  cr_assert_not(cover_complete(&space, fixed, &random, row));
}

// Factor 5 has the most choices; of factor 0 each gets two rows, and all pairs of the others are met.
Test(cover, a_factor_of_many_choices) {
  const cover_space space = { .factors = FACTORS, .choices = CHOICES, .allows = most, .each = 2 };
  cover_row rows[MAX];
  cover_totals totals;
  uint32_t count = cover_pairs(&space, rows, MAX, &totals), rows_of[4] = { 0 };
  cr_assert_eq(totals.refused, 0);
  cr_assert_eq(totals.pairs, 3 * 12 + 3 * 9 + 2 * 7 + 2 * 5);
  for (uint32_t i = 0; i < count; i++) {
    cr_assert(most(NULL, rows[i]));
    rows_of[rows[i][0]]++;
  }
  for (int x = 0; x < 4; x++) cr_assert_geq(rows_of[x], 2);
  for (int a = 1; a < FACTORS; a++)
    for (int b = a + 1; b < FACTORS; b++)
      for (int x = 0; x < CHOICES[a]; x++)
        for (int y = 0; y < CHOICES[b]; y++) cr_assert(has_pair(rows, count, a, x, b, y));
}
