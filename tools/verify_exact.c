// What an unquantized attention is in f64, and how far a kernel may be from it, element by element.
//
// The reference executor gives all that the bound of <quench/runtime.h> asks for: attention over v and over
// |v|, and the scores of every row before and after masks and slopes, whose difference at a row's largest score
// is what rounding there grows with.
#include "verify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SCORES_CAPPED = 1, SCORES_MASKED = 2 }; // scores_mode

static double element(const qn_tensor *tensor, uint64_t index) {
  double value = 0;
  uint64_t bits;
  qn_tensor_get_element(tensor, index, &value, &bits);
  return value;
}

static uint64_t count_of(const qn_tensor *tensor) {
  uint64_t count = 1;
  for (int32_t d = 0; d < tensor->rank; d++) count *= (uint64_t)tensor->dims[d];
  return count;
}

// The largest Euclidean norm of `length` elements that lie together, which a head's row does in every layout.
static double largest_norm(const qn_tensor *tensor, uint64_t length) {
  double largest = 0;
  for (uint64_t row = 0, count = count_of(tensor); length > 0 && row + length <= count; row += length) {
    double sum = 0;
    for (uint64_t i = row; i < row + length; i++) sum += element(tensor, i) * element(tensor, i);
    largest = fmax(largest, sqrt(sum));
  }
  return largest;
}

static double largest_value(const qn_tensor *tensor) {
  double largest = 0;
  for (uint64_t i = 0, count = count_of(tensor); i < count; i++)
    if (isfinite(element(tensor, i))) largest = fmax(largest, fabs(element(tensor, i)));
  return largest;
}

// A copy without signs: that of every floating-point type is its highest bit. The caller frees its data.
static bool absolute_of(const qn_tensor *tensor, qn_tensor *out) {
  uint32_t size = qn_dtype_bits(tensor->dtype) / 8;
  unsigned char *data = malloc(tensor->bytes + 1);
  if (!data) return false;
  if (tensor->bytes > 0) memcpy(data, tensor->data, tensor->bytes);
  for (uint64_t i = size - 1; i < tensor->bytes; i += size) data[i] &= 0x7f;
  *out = *tensor;
  out->data = data;
  return true;
}

// --- bounds ----------------------------------------------------------------------------------------------

typedef struct bounding {
  const qn_kernel_spec *spec;
  const qn_tensor *const *operands;
  qn_attention_norms norms; // of the whole launch, but for `offset`
  double product;           // the largest |scale q k|
  const qn_tensor *plain,
      *masked; // scores before and after masks and slopes; NULL where the attention has no such result
} bounding;

// What masks and slopes add to the largest score of a row, at most. A magnitude next to which f64 and f32 both
// lose the scores altogether, as finfo.min of f32 is, leaves equal weights and no error.
static double offset_of_row(const bounding *b, uint64_t head, uint64_t row) {
  const qn_tensor *sinks = b->operands[QN_ATTENTION_SINKS], *slopes = b->operands[QN_ATTENTION_ALIBI_SLOPES];
  double offset = 0, largest = -(double)INFINITY;
  if (b->masked) {
    uint64_t keys = (uint64_t)b->masked->dims[3];
    for (uint64_t j = row * keys; j < (row + 1) * keys; j++) {
      double score = element(b->masked, j);
      if (!(score > largest)) continue;
      largest = score;
      offset = fabs(score - element(b->plain, j));
    }
  } else { // the longest distance there is, the largest number that is added
    const qn_tensor *mask = b->operands[QN_ATTENTION_MASK];
    if (slopes) offset = fabs(element(slopes, head)) * (double)b->norms.keys;
    if (mask && mask->dtype != QN_BOOL) offset += largest_value(mask);
  }
  if (b->product < 0x1p-54 * offset) offset = 0;
  return sinks ? fmax(offset, fabs(element(sinks, head))) : offset;
}

static void set_bounds(bounding *b, const verify_axes *axes, const qn_tensor *over_abs_v, verify_exact *exact) {
  qn_attention_bound bound = { 0 };
  uint64_t dim = b->spec->v_head_dim;
  for (uint64_t i = 0; i < exact->count; i++) {
    if (i % dim == 0) { // a row of one head, which lies together in every layout
      int64_t at[QN_RANK_MAX];
      verify_axes_locate(axes, i, at);
      bool sequences = axes->rank == 3; // [head, token]
      uint64_t head = (uint64_t)at[sequences ? 0 : 1];
      uint64_t row =
          b->masked ? ((uint64_t)at[0] * b->spec->heads + head) * (uint64_t)b->masked->dims[2] + (uint64_t)at[2]
                    : 0;
      b->norms.offset = offset_of_row(b, head, row);
      bound = qn_attention_get_bound(b->spec, &b->norms);
    }
    exact->bounds[i] = qn_attention_bound_at(&bound, element(exact->out, i), element(over_abs_v, i));
  }
}

// The largest of the numbers that elements of a cache stand for a multiple of; 1 if there is none.
static double cache_scale(const bounding *b, uint32_t operand) {
  return b->operands[operand] ? largest_value(b->operands[operand]) : 1;
}

static void set_norms(bounding *b) {
  const qn_kernel_spec *spec = b->spec;
  const qn_tensor *k = b->operands[QN_ATTENTION_K], *table = b->operands[QN_ATTENTION_PAGE_TABLE];
  double scale = spec->scale != 0 ? fabs((double)spec->scale) : 1 / sqrt((double)spec->head_dim);
  b->norms = (qn_attention_norms){ .q = largest_norm(b->operands[QN_ATTENTION_Q], spec->head_dim),
                                   .k = largest_norm(k, spec->head_dim) * cache_scale(b, QN_ATTENTION_K_SCALE),
                                   .v = largest_value(b->operands[QN_ATTENTION_V]) *
                                        cache_scale(b, QN_ATTENTION_V_SCALE) };
  b->norms.keys = b->masked ? (uint64_t)b->masked->dims[3]
                  : table   ? (uint64_t)table->dims[1] * spec->page_size
                            : (uint64_t)k->dims[0];
  b->product = b->norms.q * b->norms.k * scale;
}

bool verify_exact_make(tool *t, const qn_graph *graph, qn_node node, const qn_tensor *const *operands,
                       const qn_kernel_spec *spec, verify_exact *out_exact) {
  const qn_tensor *with_abs_v[QN_OP_OPERANDS_MAX];
  qn_tensor abs_v = { 0 };
  qn_results *over_abs_v = NULL;
  // Sequences that lie end to end and those in pages have no scores as one tensor.
  bool no_scores = spec->varlen || spec->page_size > 0;
  verify_alone alone = { graph, node, operands, true, no_scores ? -1 : SCORES_MASKED };
  memset(out_exact, 0, sizeof *out_exact);
  memcpy(with_abs_v, operands, sizeof with_abs_v);
  with_abs_v[QN_ATTENTION_V] = &abs_v;
  bool good = verify_run_alone(t, &alone, &out_exact->results);
  if (good && !absolute_of(operands[QN_ATTENTION_V], &abs_v))
    good = false, tool_error("verify", "out of memory", NULL);
  alone.operands = with_abs_v;
  alone.scores_mode = no_scores ? -1 : SCORES_CAPPED;
  good = good && verify_run_alone(t, &alone, &over_abs_v);
  if (good) {
    out_exact->out = qn_results_get(out_exact->results, 0);
    out_exact->count = count_of(out_exact->out);
    out_exact->bounds = calloc(out_exact->count + 1, sizeof(double));
    good = out_exact->bounds != NULL || (tool_error("verify", "out of memory", NULL), false);
  }
  if (good) {
    bounding b = { .spec = spec,
                   .operands = operands,
                   .plain = no_scores ? NULL : qn_results_get(over_abs_v, 1),
                   .masked = no_scores ? NULL : qn_results_get(out_exact->results, 1) };
    verify_axes axes = verify_axes_of_attention(graph, node, operands, out_exact->out);
    set_norms(&b);
    set_bounds(&b, &axes, qn_results_get(over_abs_v, 0), out_exact);
  }
  qn_results_destroy(over_abs_v);
  free((void *)abs_v.data);
  return good;
}

void verify_exact_destroy(verify_exact *exact) {
  qn_results_destroy(exact->results);
  free(exact->bounds);
  memset(exact, 0, sizeof *exact);
}
