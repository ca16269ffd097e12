// How far a generated kernel may be from attention in exact arithmetic on the same operands.
//
// Derived, not tuned: every rounding below is one that the kernel makes, at its largest. One row of the output
// is
//
//   o = (sum_j w_j v_j) / l     w_j = exp(s_j - m), l = sum_j w_j (and the sink's), m = max_j s_j
//
// with n keys, head_dim d, u = 2^-24 (a sum or product rounded to f32) and A = |q| |k|, the largest sum of |q_i
// k_i| (Cauchy and Schwarz). Let p_j = w_j / l.
//
// Matrix products. Those of f16, bf16 and tf32 operands are exact. A tensor core adds K of them and the
// accumulator: all are shifted to the largest and cut off below 2^-23 of it, then the sum is cut off there too.
// That loses at most (K + 2) 2^-23 of the largest a step, and none of these exceeds the sum of magnitudes: for
// n products in n / K steps, n (1 + 2 / K) 2^-23 of it. K is at least 4 on every chip. A unit that rounds, as
// an emulator's may, loses less. An f32 operand is split into two tf32 numbers of 11 bits: cutting off the rest
// of the low one leaves out 2^-22 of each operand, the product of the two low ones another 2^-22, and there are
// three products for one. A single tf32 product keeps 2^-11 of each operand.
//
// Scores. An error e of s_j is a factor exp(e) of w_j, and so of a term of l:
//   product   matrix(d) and the split, of A; scale and log2(e), each rounded and multiplied: 4 u, of A |scale|
//   softcap   c tanh(s / c) has a slope of at most 1: errors before it do not grow. Division and product: 3 u
//   of |s|;
//             tanh itself is off by at most 2^-20, of c
//   offset    adding masks and slopes, and rounding slope * distance, gives 4 u of what the largest score has
//   of
//             them; a sink's distance from m is at most the sum of all these
//   distance  s_j - m and its way through exp2 round 4 times: 4 u (m - s_j). Since p_j = exp(s_j - m) / l has
//   an
//             entropy of at most ln (n + 1), sum_j p_j (m - s_j) is no more, and this adds 4 u ln (n + 1) of
//             max |v|
//   exp2      ex2.approx: 2^-22
//
// Weights and sums:
//   weights   rounded to the element type for the product with v, not for l; f16 also has a smallest step
//   output    matrix(n), of sum_j p_j |v_j|
//   l         at most n + 3 additions of positive terms: (n + 3) u
//   shrink    when m grows, what was summed shrinks by one factor, in sum and l alike, but not as exp of the
//   new m
//             would have it: exp2's error and 2 u, once for each of at most n / 16 + 1 tiles
//   end       1 / l and the product with it: 2 u
//   merge     of keys that blocks share (device/parts.cuh): parts get one base in 4 steps, the parts of a
//   block's
//             warps, of the splits of a merging warp, of these warps, and a sink. Each is exp2's error, 2 u
//             and, for the difference of two bases and its product, 2 u (m - m_part), which is no more than 2 u
//             (m - s_j) of the part's keys and so has the bound of `distance`. 8, 32 + 5, 4 and 1 parts are
//             added up with one rounding each; 1 / l has two more
//
// Codes of a cache are elements exactly. A scale of k rounds the product once more, one of v takes the place of
// the 1 over l.
//
// Relative errors are added and passed through expm1, since they multiply; they act on numerator and on l,
// hence twice where both have them, and on terms whose magnitudes sum to sum_j p_j |v_j|, which is attention
// over |v|. The finished value is rounded to the output type.
#include "ir/base_priv.h"

#include <math.h>
#include <quench/runtime.h>

#define U          0x1p-24
#define EXP2_ERROR 0x1p-22
#define TANH_ERROR 0x1p-20

typedef struct precision {
  double unit; // of rounding to the nearest, relative
  double step; // the same of subnormal numbers, absolute
} precision;

static precision precision_of(qn_dtype dtype) {
  switch (dtype) {
  case QN_F16: return (precision){ 0x1p-11, 0x1p-25 };
  case QN_BF16: return (precision){ 0x1p-8, 0x1p-134 };
  default: return (precision){ U, 0x1p-150 };
  }
}

// What a matrix product over `length` products gets wrong, relative to the sum of their magnitudes.
static double matrix_error(const qn_kernel_spec *spec, double length) {
  const double cut = 1.5 * 0x1p-23;
  if (spec->dtype != QN_F32) return length * cut;
  if (spec->f32_mode == QN_F32_TF32) return length * cut + 0x1.1p-10;
  return 3 * length * cut + 3 * 0x1p-22;
}

enum { MERGES = 4, MERGED_PARTS = 50 };

static double merge_error(const qn_kernel_spec *spec) {
  return spec->schedule == QN_SCHEDULE_split ? MERGES * (EXP2_ERROR + 2 * U) + (MERGED_PARTS + 2) * U : 0;
}

static double score_error(const qn_kernel_spec *spec, const qn_attention_norms *norms) {
  double scale = spec->scale != 0 ? fabs((double)spec->scale) : 1 / sqrt((double)spec->head_dim);
  double product = norms->q * norms->k * scale;
  double softcap = spec->softcap > 0 ? 3 * U * product + TANH_ERROR * (double)spec->softcap : 0;
  return product * (matrix_error(spec, spec->head_dim) + (spec->k_scale ? 5 : 4) * U) + softcap +
         4 * U * (product + norms->offset);
}

qn_attention_bound qn_attention_get_bound(const qn_kernel_spec *spec, const qn_attention_norms *norms) {
  double n = (double)QN_MAX(norms->keys, 1), tiles = n / 16 + 1;
  precision operand = precision_of(spec->dtype), out = precision_of(spec->out_dtype);
  bool staged_f32 = spec->output.family != QN_SCHEME_none && spec->numerics == QN_DIRECT;
  if (staged_f32) out = precision_of(QN_F32);
  double weight = score_error(spec, norms) + EXP2_ERROR + tiles * (EXP2_ERROR + 2 * U) + merge_error(spec);
  double rounded = spec->dtype == QN_F32 ? 0 : operand.unit; // an f32 weight is split: matrix_error
  double relative = 2 * weight + rounded + matrix_error(spec, n) + (n + 3) * U + 2 * U;
  double differences = 4 + (spec->schedule == QN_SCHEDULE_split ? 2 * MERGES : 0);
  double distance = 2 * differences * U * log(n + 1);
  return (qn_attention_bound){ .relative = expm1(relative),
                               .absolute = (expm1(distance) + n * operand.step) * norms->v,
                               .unit = out.unit,
                               .step = out.step };
}

double qn_attention_bound_at(const qn_attention_bound *bound, double exact, double over_abs_v) {
  double error = bound->relative * over_abs_v + bound->absolute;
  return error + bound->unit * (fabs(exact) + error) + bound->step;
}
