// Random operands of all kinds, in any layout.
#include "tests/kernels/data.h"

#include "ir/base_priv.h"
#include "quant/elements_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

double kernel_uniform(uint64_t *state) {
  *state = *state * 6364136223846793005u + 1442695040888963407u;
  return (double)(*state >> 11) * 0x1p-53;
}

// Nearly normal, at most 6 in magnitude.
static double normal(uint64_t *state) {
  double sum = -6;
  for (int i = 0; i < 12; i++) sum += kernel_uniform(state);
  return sum;
}

// --- tensors -----------------------------------------------------------------------------------------------

uint64_t kernel_tensor_count(const qn_tensor *tensor) {
  uint64_t count = 1;
  for (int32_t i = 0; i < tensor->rank; i++) count *= (uint64_t)tensor->dims[i];
  return count;
}

bool kernel_tensor_set(qn_tensor *tensor, double *values) {
  uint64_t count = kernel_tensor_count(tensor);
  tensor->bytes = count * qn_element_size(tensor->dtype);
  void *bytes = values ? malloc(tensor->bytes + 1) : NULL; // there, even if empty
  if (bytes) qn_elements_store(tensor->dtype, values, count, true, bytes);
  tensor->data = bytes;
  free(values);
  return bytes != NULL;
}

static double *values_for(const qn_tensor *tensor) {
  return malloc((kernel_tensor_count(tensor) + 1) * sizeof(double));
}

static bool fill_normal(qn_tensor *tensor, uint64_t *random) {
  uint64_t count = kernel_tensor_count(tensor);
  double *values = values_for(tensor);
  for (uint64_t i = 0; values && i < count; i++) values[i] = normal(random);
  return kernel_tensor_set(tensor, values);
}

static qn_tensor vector_of(qn_dtype dtype, uint32_t length) {
  return (qn_tensor){ .dtype = dtype, .rank = 1, .dims = { length } };
}

// --- rows --------------------------------------------------------------------------------------------------

uint32_t kernel_data_heads(const kernel_data *data, kernel_side side) {
  return side == SIDE_K || side == SIDE_V ? data->c.kv_heads : data->c.heads;
}

uint32_t kernel_data_dim(const kernel_data *data, kernel_side side) {
  return side == SIDE_Q || side == SIDE_K ? data->c.head_dim : data->c.v_head_dim;
}

qn_layout kernel_data_layout(const kernel_data *data, kernel_side side) {
  const qn_layout layouts[SIDES] = { data->c.q_layout, data->c.k_layout, data->c.v_layout, data->c.out_layout,
                                     data->c.out_layout };
  return layouts[side];
}

static bool is_keys(kernel_side side) {
  return side == SIDE_K || side == SIDE_V;
}

uint32_t kernel_data_tokens(const kernel_data *data, kernel_side side, uint32_t sequence) {
  const kernel_sequence *s = &data->sequences[sequence];
  return is_keys(side) ? s->kv_len : s->q_len;
}

uint64_t kernel_data_row(const kernel_data *data, kernel_side side, uint32_t sequence, uint32_t head,
                         uint32_t position) {
  const kernel_sequence *s = &data->sequences[sequence];
  uint64_t heads = kernel_data_heads(data, side), dim = kernel_data_dim(data, side);
  if (kernel_data_layout(data, side) == QN_LAYOUT_BHSD)
    return ((sequence * heads + head) * kernel_data_tokens(data, side, sequence) + position) * dim;
  uint64_t token = (is_keys(side) ? s->first_kv : s->first_q) + (uint64_t)position;
  return (token * heads + head) * dim + (side == SIDE_CODES ? token * data->fill : 0);
}

static qn_tensor shape_of(const kernel_data *data, kernel_side side, uint32_t dim) {
  const kernel_case *c = &data->c;
  int64_t heads = kernel_data_heads(data, side), batch = data->batch;
  int64_t length = is_keys(side) ? c->kv_len : c->q_len;
  int64_t tokens = is_keys(side) ? data->kv_tokens : data->q_tokens;
  switch (kernel_data_layout(data, side)) {
  case QN_LAYOUT_BHSD:
    return (qn_tensor){ .dtype = c->dtype, .rank = 4, .dims = { batch, heads, length, dim } };
  case QN_LAYOUT_BSHD:
    return (qn_tensor){ .dtype = c->dtype, .rank = 4, .dims = { batch, length, heads, dim } };
  case QN_LAYOUT_BSM:
    return (qn_tensor){ .dtype = c->dtype, .rank = 3, .dims = { batch, length, heads * dim } };
  case QN_LAYOUT_THD: return (qn_tensor){ .dtype = c->dtype, .rank = 3, .dims = { tokens, heads, dim } };
  default: return (qn_tensor){ .dtype = c->dtype, .rank = 2, .dims = { tokens, heads * dim } };
  }
}

int32_t kernel_data_out_dims(const kernel_data *data, bool codes, int64_t out_dims[QN_RANK_MAX]) {
  qn_tensor out = shape_of(data, SIDE_OUT, data->c.v_head_dim);
  memcpy(out_dims, out.dims, sizeof out.dims);
  if (codes) out_dims[out.rank - 1] += data->fill;
  return out.rank;
}

// --- masks -------------------------------------------------------------------------------------------------

double kernel_lowest(qn_dtype dtype) {
  return dtype == QN_F16 ? -65504.0 : dtype == QN_BF16 ? -0x1.FEp127 : -0x1.FFFFFEp127;
}

kernel_mask_row kernel_data_mask_row(const kernel_data *data, uint32_t query) {
  if (!data->c.mask_per_query) return MASK_ROW_ORDINARY;
  return query == 3   ? MASK_ROW_NOTHING
         : query == 4 ? MASK_ROW_LOWEST
         : query == 5 ? MASK_ROW_ONE_KEY
                      : MASK_ROW_ORDINARY;
}

// One key in five is masked, by false or by -inf.
static double mask_value(const kernel_data *data, kernel_mask_row row, uint32_t key, uint64_t *random) {
  bool masked = kernel_uniform(random) < 0.2, boolean = data->c.mask == QN_MASK_BOOLEAN;
  double value = boolean ? 1 : normal(random), least = boolean ? 0 : -(double)INFINITY;
  if (row == MASK_ROW_NOTHING || (row == MASK_ROW_ONE_KEY && key != 0)) return least;
  if (row == MASK_ROW_LOWEST && !boolean) return kernel_lowest(data->c.mask_dtype);
  return masked && row == MASK_ROW_ORDINARY ? least : value;
}

static bool create_mask(kernel_data *data, uint64_t *random) {
  const kernel_case *c = &data->c;
  qn_tensor *mask = &data->operands[QN_ATTENTION_MASK];
  uint32_t queries = c->mask_per_query ? c->q_len : 1;
  *mask = (qn_tensor){ .dtype = c->mask_dtype,
                       .rank = 4,
                       .dims = { c->mask_per_batch ? data->batch : 1, c->mask_per_head ? c->heads : 1, queries,
                                 c->kv_len } };
  uint64_t count = kernel_tensor_count(mask);
  double *values = values_for(mask);
  for (uint64_t i = 0; values && i < count; i++)
    values[i] = mask_value(data, kernel_data_mask_row(data, (uint32_t)(i / c->kv_len % queries)),
                           (uint32_t)(i % c->kv_len), random);
  return kernel_tensor_set(mask, values);
}

// --- lengths -----------------------------------------------------------------------------------------------

// Sequences of variable length: short, without queries, the longest, without keys.
static void lay_out_sequences(kernel_data *data) {
  const kernel_case *c = &data->c;
  const uint32_t lengths[KERNEL_SEQUENCES_MAX][2] = {
    { c->q_len / 3 + 1, c->kv_len / 2 }, { 0, c->kv_len / 3 }, { c->q_len, c->kv_len }, { c->q_len / 2, 0 }
  };
  bool varlen = c->lengths == LENGTHS_VARLEN;
  data->batch = varlen ? KERNEL_SEQUENCES_MAX : c->batch;
  for (uint32_t b = 0; b < data->batch; b++) {
    kernel_sequence *s = &data->sequences[b];
    *s = (kernel_sequence){ .first_q = data->q_tokens,
                            .q_len = varlen ? QN_MIN(lengths[b][0], c->q_len) : c->q_len,
                            .first_kv = data->kv_tokens,
                            .kv_len = varlen ? lengths[b][1] : c->kv_len };
    data->q_tokens += s->q_len;
    data->kv_tokens += s->kv_len;
  }
}

static bool create_cumulative(kernel_data *data, uint32_t operand, bool keys) {
  qn_tensor *tensor = &data->operands[operand];
  *tensor = vector_of(data->c.lengths_dtype, data->batch + 1);
  double *values = values_for(tensor);
  for (uint32_t b = 0; values && b < data->batch; b++)
    values[b] = keys ? data->sequences[b].first_kv : data->sequences[b].first_q;
  if (values) values[data->batch] = keys ? data->kv_tokens : data->q_tokens;
  return kernel_tensor_set(tensor, values);
}

// A part of the keys, none, all.
static bool create_kv_lengths(kernel_data *data) {
  const uint32_t lengths[] = { (data->c.kv_len * 2 + 2) / 3, 0, data->c.kv_len };
  qn_tensor *tensor = &data->operands[QN_ATTENTION_KV_LENGTHS];
  *tensor = vector_of(data->c.lengths_dtype, data->batch);
  double *values = values_for(tensor);
  for (uint32_t b = 0; values && b < data->batch; b++) values[b] = lengths[b % QN_COUNT(lengths)];
  return kernel_tensor_set(tensor, values);
}

static bool create_lengths(kernel_data *data) {
  switch (data->c.lengths) {
  case LENGTHS_KV: return create_kv_lengths(data);
  case LENGTHS_VARLEN:
    return create_cumulative(data, QN_ATTENTION_CU_SEQLENS_Q, false) &&
           create_cumulative(data, QN_ATTENTION_CU_SEQLENS_KV, true);
  default: return true;
  }
}

// --- the whole ---------------------------------------------------------------------------------------------

// The slopes of the paper for a power of two of heads: 2^-1, .. 2^-8 spread over the heads.
static bool create_slopes(kernel_data *data) {
  qn_tensor *tensor = &data->operands[QN_ATTENTION_ALIBI_SLOPES];
  *tensor = vector_of(QN_F32, data->c.heads);
  double *values = values_for(tensor);
  for (uint32_t h = 0; values && h < data->c.heads; h++) values[h] = exp2(-8.0 * (h + 1) / data->c.heads);
  return kernel_tensor_set(tensor, values);
}

static bool create_operands(kernel_data *data, uint64_t *random) {
  const kernel_case *c = &data->c;
  qn_tensor *operands = data->operands;
  operands[QN_ATTENTION_Q] = shape_of(data, SIDE_Q, c->head_dim);
  operands[QN_ATTENTION_K] = shape_of(data, SIDE_K, c->head_dim);
  operands[QN_ATTENTION_V] = shape_of(data, SIDE_V, c->v_head_dim);
  operands[QN_ATTENTION_SINKS] = vector_of(c->sinks, c->heads);
  return fill_normal(&operands[QN_ATTENTION_Q], random) && fill_normal(&operands[QN_ATTENTION_K], random) &&
         fill_normal(&operands[QN_ATTENTION_V], random) && (!c->mask || create_mask(data, random)) &&
         (c->sinks == QN_ANY || fill_normal(&operands[QN_ATTENTION_SINKS], random)) &&
         (!c->alibi || create_slopes(data)) && create_lengths(data);
}

qn_status kernel_data_create(qn_context *context, const kernel_case *c, uint64_t seed, kernel_data *out_data) {
  uint64_t random = seed;
  *out_data = (kernel_data){ .c = *c };
  lay_out_sequences(out_data);
  out_data->out_count = (uint64_t)out_data->q_tokens * c->heads * c->v_head_dim;
  uint32_t width = c->heads * c->v_head_dim, pad = c->scheme.pad;
  out_data->fill = pad ? (width + pad - 1) / pad * pad - width : 0;
  int64_t dims[QN_RANK_MAX];
  int32_t rank = kernel_data_out_dims(out_data, true, dims);
  if (c->scheme.dynamic && !qn_scale_buffer_of(&c->scheme, rank, dims, &out_data->scales))
    return qn_fail(context, QN_INVALID, "case", "scales that have no buffer");
  if (create_operands(out_data, &random)) return QN_OK;
  kernel_data_free(out_data);
  return qn_fail_memory(context);
}

void kernel_data_free(kernel_data *data) {
  for (int i = 0; i < QN_ATTENTION_OPERAND_COUNT; i++) free((void *)data->operands[i].data);
  *data = (kernel_data){ 0 };
}

// --- the node ----------------------------------------------------------------------------------------------

static qn_status add_input(qn_graph *graph, uint32_t operand, const qn_tensor *like, qn_value *out_value) {
  qn_dim dims[QN_RANK_MAX];
  char name[16];
  snprintf(name, sizeof(name), "operand%u", operand);
  for (int32_t i = 0; i < like->rank; i++) dims[i] = qn_dim_const(graph, like->dims[i]);
  return qn_graph_add_input(graph, name, qn_type_get(graph, like->dtype, like->rank, dims), out_value);
}

bool kernel_data_has_result(const kernel_data *data, uint32_t result) {
  const qn_scheme *scheme = &data->c.scheme;
  switch (result) {
  case QN_ATTENTION_OUT: return true;
  case QN_ATTENTION_BLOCK_SCALE: return scheme->dynamic;
  case QN_ATTENTION_ZERO_POINT: return scheme->dynamic && scheme->zero_point;
  default: return result == QN_ATTENTION_UNQUANTIZED && data->c.unquantized;
  }
}

// The operands of the output scheme have their types before they have their values.
static qn_tensor operand_of(const kernel_data *data, uint32_t operand, uint32_t v_head_dim) {
  return operand == QN_ATTENTION_V ? shape_of(data, SIDE_V, v_head_dim) : data->operands[operand];
}

static bool is_there(const kernel_data *data, uint32_t operand, bool fused) {
  bool of_scheme = operand == QN_ATTENTION_OUTPUT_SCALE ||
                   (operand >= QN_ATTENTION_OUTPUT_ZERO_POINT && operand <= QN_ATTENTION_SCALE_BOUND);
  return data->operands[operand].data != NULL && (fused || !of_scheme);
}

static qn_status add_outputs(qn_graph *graph, const kernel_data *data, bool fused, const qn_value *results) {
  static const char *const names[] = { "out", "block_scale", "zero_point", "unquantized" };
  QN_TRY(qn_graph_add_output(graph, results[0], names[0]));
  for (uint32_t i = 1; fused && i < QN_COUNT(names); i++)
    if (kernel_data_has_result(data, i)) QN_TRY(qn_graph_add_output(graph, results[i], names[i]));
  return QN_OK;
}

static qn_status build(qn_graph *graph, const kernel_data *data, bool fused, uint32_t v_head_dim,
                       qn_node *out_node) {
  const kernel_case *c = &data->c;
  qn_value operands[QN_ATTENTION_OPERAND_COUNT] = { 0 }, results[QN_ATTENTION_UNQUANTIZED + 1];
  uint32_t result_count = 1;
  for (uint32_t i = 1; fused && i <= QN_ATTENTION_UNQUANTIZED; i++)
    if (kernel_data_has_result(data, i)) result_count = i + 1;
  for (uint32_t i = 0; i < QN_ATTENTION_OPERAND_COUNT; i++) {
    qn_tensor like = operand_of(data, i, v_head_dim);
    if (is_there(data, i, fused)) QN_TRY(add_input(graph, i, &like, &operands[i]));
  }
  const qn_scheme none = qn_scheme_of(QN_SCHEME_none);
  const qn_attr attrs[] = {
    { .name = "scale", .f = (double)c->scale },
    { .name = "causal", .i = c->causal },
    { .name = "window_left", .i = c->window_left },
    { .name = "window_right", .i = c->window_right },
    { .name = "softcap", .f = (double)c->softcap },
    { .name = "heads", .i = c->heads },
    { .name = "kv_heads", .i = c->kv_heads },
    { .name = "q_layout", .i = c->q_layout },
    { .name = "k_layout", .i = c->k_layout },
    { .name = "v_layout", .i = c->v_layout },
    { .name = "out_layout", .i = c->out_layout },
    { .name = "out_type", .i = fused ? c->dtype : kernel_case_twin_dtype(c) },
    { .name = "output", .scheme = fused ? &c->scheme : &none },
    { .name = "numerics", .i = fused ? c->numerics : QN_EXACT },
  };
  QN_TRY(qn_graph_add(graph,
                      qn_node_params(.op = QN_OP_attention, .operands = operands,
                                     .operand_count = QN_ATTENTION_OPERAND_COUNT, .attrs = attrs,
                                     .attr_count = QN_COUNT(attrs), .result_count = result_count),
                      results));
  *out_node = qn_graph_get_last(graph);
  return add_outputs(graph, data, fused, results);
}

qn_status kernel_data_build(qn_context *context, const kernel_data *data, bool fused, uint32_t v_head_dim,
                            qn_graph **out_graph, qn_node *out_node) {
  QN_TRY(qn_graph_create(context, "case", out_graph));
  qn_status status = build(*out_graph, data, fused, v_head_dim, out_node);
  if (status != QN_OK) qn_graph_destroy(*out_graph);
  return status;
}

qn_status kernel_data_run_reference(qn_context *context, const kernel_data *data, bool fused,
                                    qn_reference_mode mode, const qn_tensor *v, uint32_t v_head_dim,
                                    qn_results **out_results) {
  qn_tensor inputs[QN_ATTENTION_OPERAND_COUNT];
  uint32_t count = 0;
  for (uint32_t i = 0; i < QN_ATTENTION_OPERAND_COUNT; i++)
    if (is_there(data, i, fused)) inputs[count++] = i == QN_ATTENTION_V ? *v : data->operands[i];
  qn_graph *graph;
  qn_node node;
  QN_TRY(kernel_data_build(context, data, fused, v_head_dim, &graph, &node));
  qn_status status = qn_reference_run(
      graph, qn_reference_params(.inputs = inputs, .input_count = count, .mode = mode), out_results);
  qn_graph_destroy(graph);
  return status;
}
