// Data, expectation and error bound of a case.
#include "tests/gpu/oracle.h"

#include "ir/base_priv.h"
#include "quant/elements_priv.h"
#include "quant/quantize_priv.h"

#include <math.h>
#include <stdlib.h>

// --- data --------------------------------------------------------------------------------------------------

static double uniform(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (double)(*state >> 11) * 0x1p-53;
}

// Nearly normal, at most 6 in magnitude.
static double normal(uint64_t *state) {
  double sum = -6;
  for (int i = 0; i < 12; i++) sum += uniform(state);
  return sum;
}

static uint64_t count_of(const qn_tensor *tensor) {
  uint64_t count = 1;
  for (int32_t i = 0; i < tensor->rank; i++) count *= (uint64_t)tensor->dims[i];
  return count;
}

// Gives a tensor its bytes from `values`, rounded to its type; frees them.
static bool set_values(qn_tensor *tensor, double *values) {
  uint64_t count = count_of(tensor);
  tensor->bytes = count * qn_element_size(tensor->dtype);
  void *bytes = values ? malloc(tensor->bytes) : NULL;
  if (bytes) qn_elements_store(tensor->dtype, values, count, true, bytes);
  tensor->data = bytes;
  free(values);
  return bytes != NULL;
}

static qn_tensor shaped(qn_dtype dtype, qn_layout layout, uint32_t batch, uint32_t heads, uint32_t length,
                        uint32_t dim) {
  switch (layout) {
  case QN_LAYOUT_BHSD: return (qn_tensor){ .dtype = dtype, .rank = 4, .dims = { batch, heads, length, dim } };
  case QN_LAYOUT_BSHD: return (qn_tensor){ .dtype = dtype, .rank = 4, .dims = { batch, length, heads, dim } };
  case QN_LAYOUT_BSM:
    return (qn_tensor){ .dtype = dtype, .rank = 3, .dims = { batch, length, (int64_t)heads * dim } };
  default:
    return (qn_tensor){ .dtype = dtype, .rank = 2, .dims = { (int64_t)batch * length, (int64_t)heads * dim } };
  }
}

static bool fill_normal(qn_tensor *tensor, uint64_t *random) {
  uint64_t count = count_of(tensor);
  double *values = malloc(count * sizeof(*values));
  for (uint64_t i = 0; values && i < count; i++) values[i] = normal(random);
  return set_values(tensor, values);
}

// One key in five is masked, by false or by -inf; some rows may lose all of their keys.
static bool fill_mask(qn_tensor *tensor, qn_mask_kind kind, uint64_t *random) {
  uint64_t count = count_of(tensor);
  double *values = malloc(count * sizeof(*values));
  for (uint64_t i = 0; values && i < count; i++) {
    bool masked = uniform(random) < 0.2;
    values[i] = kind == QN_MASK_BOOLEAN ? !masked : masked ? -INFINITY : normal(random);
  }
  return set_values(tensor, values);
}

// --- graphs ------------------------------------------------------------------------------------------------

static qn_status add_input(qn_graph *graph, const char *name, const qn_tensor *like, qn_value *out_value) {
  qn_dim dims[QN_RANK_MAX];
  for (int32_t i = 0; i < like->rank; i++) dims[i] = qn_dim_const(graph, like->dims[i]);
  return qn_graph_add_input(graph, name, qn_type_get(graph, like->dtype, like->rank, dims), out_value);
}

static qn_tensor mask_shape(const gpu_case *c) {
  return (qn_tensor){ .dtype = c->mask_dtype,
                      .rank = 4,
                      .dims = { c->mask_per_batch ? c->batch : 1, c->mask_per_head ? c->heads : 1,
                                c->mask_per_query ? c->q_len : 1, c->kv_len } };
}

static qn_status build(qn_graph *graph, const gpu_case *c, bool fused, qn_node *out_node) {
  enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, KV_LENGTHS, OUTPUT_SCALE, OPERANDS };
  qn_value operands[OPERANDS] = { 0 }, out;
  qn_tensor q = shaped(c->dtype, c->q_layout, c->batch, c->heads, c->q_len, c->head_dim);
  qn_tensor k = shaped(c->dtype, c->k_layout, c->batch, c->kv_heads, c->kv_len, c->head_dim);
  qn_tensor v = shaped(c->dtype, c->v_layout, c->batch, c->kv_heads, c->kv_len, c->head_dim);
  qn_tensor mask = mask_shape(c), scale = { .dtype = (qn_dtype)c->scheme.scale_dtype };
  QN_TRY(add_input(graph, "q", &q, &operands[Q]));
  QN_TRY(add_input(graph, "k", &k, &operands[K]));
  QN_TRY(add_input(graph, "v", &v, &operands[V]));
  if (c->mask) QN_TRY(add_input(graph, "mask", &mask, &operands[MASK]));
  if (fused) QN_TRY(add_input(graph, "scale", &scale, &operands[OUTPUT_SCALE]));
  const qn_scheme none = qn_scheme_of(QN_SCHEME_none);
  const qn_attr attrs[] = {
    { .name = "scale", .f = (double)c->scale },
    { .name = "causal", .i = c->causal },
    { .name = "heads", .i = c->heads },
    { .name = "kv_heads", .i = c->kv_heads },
    { .name = "q_layout", .i = c->q_layout },
    { .name = "k_layout", .i = c->k_layout },
    { .name = "v_layout", .i = c->v_layout },
    { .name = "out_layout", .i = c->out_layout },
    { .name = "out_type", .i = c->dtype },
    { .name = "output", .scheme = fused ? &c->scheme : &none },
    { .name = "numerics", .i = fused ? c->numerics : QN_EXACT },
  };
  QN_TRY(qn_graph_add(graph,
                      qn_node_params(.op = QN_OP_attention, .operands = operands, .operand_count = OPERANDS,
                                     .attrs = attrs, .attr_count = QN_COUNT(attrs), .result_count = 1),
                      &out));
  *out_node = qn_graph_get_last(graph);
  return qn_graph_add_output(graph, out, "out");
}

qn_status gpu_case_build(qn_context *context, const gpu_case *c, bool fused, qn_graph **out_graph,
                         qn_node *out_node) {
  QN_TRY(qn_graph_create(context, "case", out_graph));
  qn_status status = build(*out_graph, c, fused, out_node);
  if (status != QN_OK) qn_graph_destroy(*out_graph);
  return status;
}

qn_status gpu_data_run_reference(qn_context *context, const gpu_data *data, bool fused, qn_reference_mode mode,
                                 const qn_tensor *v, qn_results **out_results) {
  qn_tensor inputs[5] = { data->q, data->k, v ? *v : data->v };
  uint32_t count = 3;
  if (data->c.mask) inputs[count++] = data->mask;
  if (fused) inputs[count++] = data->scale;
  qn_graph *graph;
  qn_node node;
  QN_TRY(gpu_case_build(context, &data->c, fused, &graph, &node));
  qn_status status = qn_reference_run(
      graph, qn_reference_params(.inputs = inputs, .input_count = count, .mode = mode), out_results);
  qn_graph_destroy(graph);
  return status;
}

// --- bound -------------------------------------------------------------------------------------------------
//
// For one output o = sum p_j v_j / l with p_j = exp(s_j - m), l = sum p_j:
//
//   s_j   d products, exact, added in f32 in steps of 8; scaled and biased: off by at most `score`
//   p_j   relative error 2 * score from the exponents of p_j and of l, plus the exponential's own; rounded to
//   the
//         operand type `weight` before the product with v
//   sum   kv_len products added in f32 in steps of 8
//
// so |o' - o| <= (weight + 2 score + sum) * sum p_j |v_j| / l. The last factor is attention over |v|, which the
// reference executor computes. The result is then rounded to the output's type.

typedef struct precision {
  double unit;     // rounding to the type: relative
  double smallest; // half of its smallest step: absolute
} precision;

static precision precision_of(qn_dtype dtype) {
  switch (dtype) {
  case QN_F16: return (precision){ 0x1p-11, 0x1p-25 };
  case QN_BF16: return (precision){ 0x1p-8, 0x1p-134 };
  default: return (precision){ 0x1p-24, 0x1p-150 };
  }
}

// The largest Euclidean norm of the rows of head_dim elements, in any layout, and the largest magnitude.
static bool largest(const qn_tensor *tensor, uint32_t head_dim, double *out_norm, double *out_value) {
  uint64_t count = count_of(tensor);
  double *values = malloc(count * sizeof(*values));
  if (!values) return false;
  qn_elements_load(tensor->dtype, tensor->data, count, values);
  *out_norm = *out_value = 0;
  for (uint64_t row = 0; row < count; row += head_dim) {
    double sum = 0;
    for (uint64_t i = row; i < row + head_dim; i++) {
      sum += values[i] * values[i];
      *out_value = fmax(*out_value, fabs(values[i]));
    }
    *out_norm = fmax(*out_norm, sqrt(sum));
  }
  free(values);
  return true;
}

static bool set_bound(gpu_data *data, const double *attention_of_abs_v) {
  const gpu_case *c = &data->c;
  const double step = 0x1p-22; // one addition inside the matrix unit, which cuts off instead of rounding
  double q_norm, k_norm, v_norm, unused;
  if (!largest(&data->q, c->head_dim, &q_norm, &unused) || !largest(&data->k, c->head_dim, &k_norm, &unused) ||
      !largest(&data->v, c->head_dim, &v_norm, &data->abs_v_max))
    return false;
  double factor = c->scale > 0 ? (double)c->scale : 1 / sqrt((double)c->head_dim);
  double score_max = q_norm * k_norm * factor + (c->mask == QN_MASK_ADDITIVE ? 6 : 0);
  // Three TF32 products leave out the product of the two low parts.
  double product = c->dtype == QN_F32 ? 0x1p-20 : 0;
  double score = score_max * ((c->head_dim / 8 + 4) * step + product);
  precision operand = precision_of(c->dtype), out = precision_of(c->dtype);
  double weight = c->dtype == QN_F32 ? 0x1p-20 : operand.unit;
  double relative = weight + 2 * score + (c->kv_len / 8 + 4) * step + 0x1p-20;
  double absolute = c->kv_len * operand.smallest * data->abs_v_max;
  for (uint64_t i = 0; i < data->out_count; i++) {
    double error = relative * attention_of_abs_v[i] + absolute;
    data->bound[i] = error + out.unit * (fabs(data->expected[i]) + error) + out.smallest;
  }
  return true;
}

// --- the whole ---------------------------------------------------------------------------------------------

static bool create_inputs(gpu_data *data, uint64_t *random) {
  const gpu_case *c = &data->c;
  data->q = shaped(c->dtype, c->q_layout, c->batch, c->heads, c->q_len, c->head_dim);
  data->k = shaped(c->dtype, c->k_layout, c->batch, c->kv_heads, c->kv_len, c->head_dim);
  data->v = shaped(c->dtype, c->v_layout, c->batch, c->kv_heads, c->kv_len, c->head_dim);
  data->mask = mask_shape(c);
  data->out_count = (uint64_t)c->batch * c->heads * c->q_len * c->head_dim;
  data->expected = calloc(data->out_count, sizeof(double));
  data->bound = calloc(data->out_count, sizeof(double));
  return data->expected && data->bound && fill_normal(&data->q, random) && fill_normal(&data->k, random) &&
         fill_normal(&data->v, random) && (!c->mask || fill_mask(&data->mask, c->mask, random));
}

// The largest outputs lie a little beyond the largest code, so that saturation occurs.
static bool create_scale(gpu_data *data) {
  double amax = 0;
  for (uint64_t i = 0; i < data->out_count; i++) amax = fmax(amax, fabs(data->expected[i]));
  double *scale = malloc(sizeof(*scale));
  if (!scale) return false;
  *scale = amax > 0 ? amax / ((data->c.scheme.target == QN_E4M3 ? 448 : 57344) * 1.07) : 1;
  if (data->c.scheme.arithmetic == QN_MULTIPLY) *scale = 1 / *scale;
  data->scale = (qn_tensor){ .dtype = (qn_dtype)data->c.scheme.scale_dtype };
  return set_values(&data->scale, scale);
}

static qn_status run_f64(qn_context *context, const gpu_data *data, const qn_tensor *v, double *out) {
  qn_results *results;
  QN_TRY(gpu_data_run_reference(context, data, false, QN_REFERENCE_F64, v, &results));
  const qn_tensor *tensor = qn_results_get(results, 0);
  memcpy(out, tensor->data, data->out_count * sizeof(*out));
  qn_results_destroy(results);
  return QN_OK;
}

// A copy of the values without their signs.
static bool absolute_of(const qn_tensor *tensor, qn_tensor *out) {
  uint64_t count = count_of(tensor);
  double *values = malloc(count * sizeof(*values));
  if (!values) return false;
  qn_elements_load(tensor->dtype, tensor->data, count, values);
  for (uint64_t i = 0; i < count; i++) values[i] = fabs(values[i]);
  *out = *tensor;
  return set_values(out, values);
}

static qn_status fill(qn_context *context, uint64_t seed, gpu_data *data) {
  uint64_t random = seed;
  qn_tensor abs_v = { 0 };
  if (!create_inputs(data, &random) || !absolute_of(&data->v, &abs_v)) return qn_fail_memory(context);
  double *abs_out = malloc(data->out_count * sizeof(*abs_out));
  qn_status status = abs_out ? run_f64(context, data, NULL, data->expected) : qn_fail_memory(context);
  if (status == QN_OK) status = run_f64(context, data, &abs_v, abs_out);
  if (status == QN_OK && !(set_bound(data, abs_out) && create_scale(data))) status = qn_fail_memory(context);
  free(abs_out);
  free((void *)abs_v.data);
  return status;
}

qn_status gpu_data_create(qn_context *context, const gpu_case *c, uint64_t seed, gpu_data *out_data) {
  *out_data = (gpu_data){ .c = *c };
  qn_status status = fill(context, seed, out_data);
  if (status != QN_OK) gpu_data_free(out_data);
  return status;
}

void gpu_data_free(gpu_data *data) {
  const qn_tensor *const tensors[] = { &data->q, &data->k, &data->v, &data->mask, &data->scale };
  for (size_t i = 0; i < QN_COUNT(tensors); i++) free((void *)tensors[i]->data);
  free(data->expected);
  free(data->bound);
  *data = (gpu_data){ 0 };
}

// --- checks ------------------------------------------------------------------------------------------------

qn_status gpu_data_quantize(qn_context *context, const gpu_data *data, const double *values,
                            uint8_t *out_codes) {
  const int64_t dims[] = { (int64_t)data->out_count };
  double scale;
  qn_elements_load(data->scale.dtype, data->scale.data, 1, &scale);
  const qn_quantize_args args = {
    .scheme = &data->c.scheme, .rank = 1, .dims = dims, .scale = &scale, .scale_count = 1
  };
  return qn_quantize(context, &args, values, out_codes);
}

static void take(gpu_verdict *verdict, uint64_t index, double error, double bound, bool outside) {
  verdict->max_error = fmax(verdict->max_error, error);
  if (bound > 0) verdict->worst = fmax(verdict->worst, error / bound);
  if (outside && verdict->outside++ == 0) verdict->first = index;
}

gpu_verdict gpu_data_check_values(const gpu_data *data, const void *out) {
  gpu_verdict verdict = { 0 };
  uint32_t size = qn_element_size(data->c.dtype);
  for (uint64_t i = 0; i < data->out_count; i++) {
    double value;
    qn_elements_load(data->c.dtype, (const char *)out + i * size, 1, &value);
    double error = fabs(value - data->expected[i]);
    take(&verdict, i, error, data->bound[i], !(error <= data->bound[i])); // NaN is outside
  }
  return verdict;
}

// The value of the code for each end of the interval.
static qn_status quantize_end(qn_context *context, const gpu_data *data, double sign, uint8_t *codes,
                              double *values) {
  for (uint64_t i = 0; i < data->out_count; i++) {
    values[i] = data->expected[i] + sign * data->bound[i];
    if (data->c.numerics == QN_EXACT) values[i] = qn_element_round(data->c.dtype, values[i]);
  }
  QN_TRY(gpu_data_quantize(context, data, values, codes));
  qn_elements_load((qn_dtype)data->c.scheme.target, codes, data->out_count, values);
  return QN_OK;
}

qn_status gpu_data_check_codes(qn_context *context, const gpu_data *data, const uint8_t *codes,
                               gpu_verdict *out_verdict) {
  uint64_t count = data->out_count;
  double *low = malloc(count * sizeof(*low)), *high = malloc(count * sizeof(*high));
  uint8_t *scratch = malloc(count);
  qn_status status = low && high && scratch ? QN_OK : qn_fail_memory(context);
  if (status == QN_OK) status = quantize_end(context, data, -1, scratch, low);
  if (status == QN_OK) status = quantize_end(context, data, 1, scratch, high);
  *out_verdict = (gpu_verdict){ 0 };
  for (uint64_t i = 0; status == QN_OK && i < count; i++) {
    double code;
    qn_elements_load((qn_dtype)data->c.scheme.target, &codes[i], 1, &code);
    double middle = (low[i] + high[i]) / 2;
    take(out_verdict, i, fabs(code - middle), (high[i] - low[i]) / 2, !(code >= low[i] && code <= high[i]));
  }
  free(low);
  free(high);
  free(scratch);
  return status;
}
