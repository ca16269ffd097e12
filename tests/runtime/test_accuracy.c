// The bound on a kernel's error: arithmetic at its worst stays within it, and a key that is left out does not.
#include <criterion/criterion.h>
#include <math.h>
#include <quench/runtime.h>
#include <stdlib.h>

enum { DIM = 64, KEYS = 96 };

static double random_unit(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (double)(*state >> 11) * 0x1p-52 - 1;
}

// Keeps `bits` bits of the significand.
static double cut(double x, int bits) {
  int exponent;
  double m = frexp(x, &exponent);
  return ldexp(trunc(ldexp(m, bits)), exponent - bits);
}

// A value rounded to f16, of ordinary size.
static double f16_of(double x) {
  int exponent;
  double m = frexp(x, &exponent);
  return ldexp(nearbyint(ldexp(m, 11)), exponent - 11);
}

// Adds `count` products as a matrix unit does at its worst: eight at a time, each cut off below 2^-23 of the
// largest, the sum cut off to 24 bits.
static double matrix_sum(const double *a, const double *b, int count, int b_stride) {
  double sum = 0;
  for (int from = 0; from < count; from += 8) {
    double largest = fabs(sum), step, next;
    for (int i = from; i < from + 8; i++) largest = fmax(largest, fabs(a[i] * b[i * b_stride]));
    step = largest > 0 ? ldexp(1, ilogb(largest) - 23) : 1;
    next = trunc(sum / step) * step;
    for (int i = from; i < from + 8; i++) next += trunc(a[i] * b[i * b_stride] / step) * step;
    sum = cut(next, 24);
  }
  return sum;
}

typedef struct row {
  double q[DIM], k[KEYS][DIM], v[KEYS], scores[KEYS], weights[KEYS];
  double exact, over_abs_v;
  qn_attention_norms norms;
} row;

static double draw(uint64_t *random, bool positive) {
  double x = random_unit(random);
  return positive ? fabs(x) : x;
}

static double norm(const double *x) {
  double sum = 0;
  for (int i = 0; i < DIM; i++) sum += x[i] * x[i];
  return sqrt(sum);
}

// Random operands, all positive for even seeds, so that what is cut off adds up; and attention over them in
// f64.
static void make_row(row *r, uint64_t seed, double size) {
  uint64_t random = seed;
  double sum = 0;
  bool positive = seed % 2 == 0;
  *r = (row){ .norms.keys = KEYS };
  for (int i = 0; i < DIM; i++) r->q[i] = f16_of(size * draw(&random, positive));
  for (int j = 0; j < KEYS; j++) {
    for (int i = 0; i < DIM; i++) r->k[j][i] = f16_of(size * draw(&random, positive));
    r->v[j] = f16_of(draw(&random, positive));
    double s = 0;
    for (int i = 0; i < DIM; i++) s += r->q[i] * r->k[j][i];
    double weight = exp(s / 8);
    sum += weight;
    r->exact += weight * r->v[j];
    r->over_abs_v += weight * fabs(r->v[j]);
    r->norms.k = fmax(r->norms.k, norm(r->k[j]));
    r->norms.v = fmax(r->norms.v, fabs(r->v[j]));
  }
  r->exact /= sum;
  r->over_abs_v /= sum;
  r->norms.q = norm(r->q);
}

// The same in the arithmetic of a kernel, every rounding downwards, not rounded to f16 in the end; `left_out`
// is a key that is forgotten, or -1.
static double run_row(row *r, int left_out) {
  double largest = -INFINITY, sum = 0;
  for (int j = 0; j < KEYS; j++) {
    r->scores[j] = cut(matrix_sum(r->q, r->k[j], DIM, 1) * 0.125, 24);
    largest = fmax(largest, r->scores[j]);
  }
  for (int j = 0; j < KEYS; j++) {
    double weight = j == left_out ? 0 : cut(exp(cut(r->scores[j] - largest, 24)) * (1 - 0x1p-22), 24);
    sum = cut(sum + weight, 24);
    r->weights[j] = f16_of(weight);
  }
  return cut(matrix_sum(r->weights, r->v, KEYS, 1) / sum, 24);
}

static const qn_kernel_spec spec = { .dtype = QN_F16, .out_dtype = QN_F32, .head_dim = DIM, .v_head_dim = DIM };

Test(accuracy, arithmetic_that_cuts_off_stays_within) {
  row *r = malloc(sizeof *r);
  for (uint64_t seed = 1; seed <= 200; seed++) {
    make_row(r, seed, seed % 4 + 0.5);
    qn_attention_bound bound = qn_attention_get_bound(&spec, &r->norms);
    double allowed = qn_attention_bound_at(&bound, r->exact, r->over_abs_v);
    double error = fabs(run_row(r, -1) - r->exact);
    cr_assert_leq(error, allowed, "seed %d: %g, at most %g", (int)seed, error, allowed);
  }
  free(r);
}

Test(accuracy, a_forgotten_key_is_outside) {
  row *r = malloc(sizeof *r);
  int outside = 0, tried = 0;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    make_row(r, seed, 1);
    qn_attention_bound bound = qn_attention_get_bound(&spec, &r->norms);
    double allowed = qn_attention_bound_at(&bound, r->exact, r->over_abs_v);
    for (int j = 0; j < KEYS; j++, tried++) outside += fabs(run_row(r, j) - r->exact) > allowed;
  }
  cr_assert_geq(outside, tried * 4 / 5, "%d of %d", outside,
                tried); // some weigh nothing, or v is near the mean
  free(r);
}

static double relative_of(const qn_kernel_spec *of, const qn_attention_norms *norms) {
  return qn_attention_get_bound(of, norms).relative;
}

Test(accuracy, it_grows_with_what_errors_grow_with) {
  const qn_attention_norms norms = { .keys = 128, .q = 8, .k = 8, .v = 3, .offset = 1 };
  qn_attention_norms larger = norms;
  qn_kernel_spec other = spec;
  double plain = relative_of(&spec, &norms);
  larger.keys = 4096;
  cr_assert_gt(relative_of(&spec, &larger), plain);
  larger = norms;
  larger.q = 80;
  cr_assert_gt(relative_of(&spec, &larger), plain);
  larger = norms;
  larger.offset = 65504;
  cr_assert_gt(relative_of(&spec, &larger), plain);
  other.softcap = 50;
  cr_assert_gt(relative_of(&other, &norms), plain);
  other = spec;
  other.dtype = QN_BF16;
  cr_assert_gt(relative_of(&other, &norms), plain);
  other.dtype = QN_F32;
  double split = relative_of(&other, &norms);
  cr_assert_lt(split, plain);
  other.f32_mode = QN_F32_TF32;
  cr_assert_gt(relative_of(&other, &norms), split * 8);
}

Test(accuracy, direct_numerics_leave_out_the_rounding_of_the_output) {
  const qn_attention_norms norms = { .keys = 16, .q = 8, .k = 8, .v = 3 };
  qn_kernel_spec direct = spec;
  direct.out_dtype = QN_F16;
  direct.output = qn_scheme_of(QN_SCHEME_fp8_static);
  cr_assert_eq(qn_attention_get_bound(&direct, &norms).unit, 0x1p-11);
  direct.numerics = QN_DIRECT;
  cr_assert_eq(qn_attention_get_bound(&direct, &norms).unit, 0x1p-24);
}

Test(accuracy, nothing_to_attend_to_has_no_error) {
  const qn_attention_norms norms = { .keys = 0 };
  qn_attention_bound bound = qn_attention_get_bound(&spec, &norms);
  cr_assert_leq(qn_attention_bound_at(&bound, 0, 0), 0x1p-25);
}
