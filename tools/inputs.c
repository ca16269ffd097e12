// A model's inputs from files, and generated ones.
#include "inputs.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SYMBOLS_MAX = 64, SYMBOL_NAME_MAX = 128 };

// The sizes of symbolic dims: from --dim, from the files that were given, else small and different from each
// other.
typedef struct dim_table {
  struct {
    char name[SYMBOL_NAME_MAX];
    int64_t value;
  } rows[SYMBOLS_MAX];
  int count;
} dim_table;

static bool dim_table_set(dim_table *table, const char *name, size_t length, int64_t value) {
  if (table->count == SYMBOLS_MAX || length >= SYMBOL_NAME_MAX) return false;
  memcpy(table->rows[table->count].name, name, length);
  table->rows[table->count].name[length] = '\0';
  table->rows[table->count++].value = value;
  return true;
}

static bool dim_table_find(const dim_table *table, const char *name, int64_t *out_value) {
  for (int i = 0; i < table->count; i++) {
    if (strcmp(table->rows[i].name, name) != 0) continue;
    *out_value = table->rows[i].value;
    return true;
  }
  return false;
}

// For qn_dim_evaluate: a symbol that nobody gave a size gets the next of a short series.
static bool lookup_or_choose(void *user, const char *symbol, int64_t *out_value) {
  static const int64_t series[] = { 2, 9, 5, 7, 3 };
  dim_table *table = user;
  if (dim_table_find(table, symbol, out_value)) return true;
  *out_value = series[(size_t)table->count % (sizeof series / sizeof series[0])];
  return dim_table_set(table, symbol, strlen(symbol), *out_value);
}

// For learning sizes from a file: remembers the one symbol that a dim asks for.
typedef struct symbol_probe {
  char name[SYMBOL_NAME_MAX];
  int asked;
  int64_t value;
} symbol_probe;

static bool lookup_probe(void *user, const char *symbol, int64_t *out_value) {
  symbol_probe *probe = user;
  probe->asked++;
  snprintf(probe->name, sizeof probe->name, "%s", symbol);
  *out_value = probe->value;
  return true;
}

// If a dim is a lone symbol, the file's size is its value.
static void learn_dims(dim_table *table, const qn_graph *graph, qn_type type, const qn_tensor *tensor) {
  qn_type_info info = qn_type_get_info(graph, type);
  for (int32_t i = 0; i < info.rank && i < tensor->rank; i++) {
    symbol_probe probe = { .value = tensor->dims[i] };
    int64_t value, known;
    if (!qn_dim_evaluate(graph, info.dims[i], lookup_probe, &probe, &value)) continue;
    if (probe.asked == 1 && value == tensor->dims[i] && !dim_table_find(table, probe.name, &known))
      dim_table_set(table, probe.name, strlen(probe.name), value);
  }
}

// --- files -----------------------------------------------------------------------------------------------

bool tool_find_npy(const tool_list *list, const char *prefix, qn_str name, char *out_path, size_t size) {
  for (unsigned i = 0; i < list->count; i++) {
    const char *item = list->items[i], *equals = strrchr(item, '=');
    struct stat about;
    if (!equals) { // a folder
      snprintf(out_path, size, "%s/%s.%.*s.npy", item, prefix, (int)name.length, name.text);
      if (stat(out_path, &about) == 0) return true;
    } else if ((size_t)(equals - item) == name.length && memcmp(item, name.text, name.length) == 0) {
      snprintf(out_path, size, "%s", equals + 1);
      return true;
    }
  }
  return false;
}

qn_npy *tool_read_npy(tool *t, const char *path, qn_dtype dtype) {
  qn_npy *file = NULL;
  if (qn_npy_read_file(t->context, path, dtype, &file) != QN_OK) tool_fail(t);
  return file;
}

// --- generated values ------------------------------------------------------------------------------------

// splitmix64 (Steele, Lea, Flood 2014): small, and the same everywhere.
static uint64_t next_random(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// A float of either sign and magnitude 2^-8 .. 1, made of its bits, so that no rounding is involved.
static uint64_t random_float(qn_dtype dtype, uint64_t *state) {
  static const struct {
    uint8_t dtype, mantissa, bias_bits;
  } forms[] = { { QN_F16, 10, 5 },  { QN_BF16, 7, 8 }, { QN_F32, 23, 8 },
                { QN_F64, 52, 11 }, { QN_E4M3, 3, 4 }, { QN_E5M2, 2, 5 } };
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    if (forms[i].dtype != dtype) continue;
    uint64_t bias = (1u << (forms[i].bias_bits - 1)) - 1, random = next_random(state);
    uint64_t steps = bias - 1 < 8 ? bias - 1 : 8;
    uint64_t exponent = bias - 1 - random % steps,
             mantissa = (random >> 8) & ((UINT64_C(1) << forms[i].mantissa) - 1);
    return ((random >> 63) << (forms[i].mantissa + forms[i].bias_bits)) | (exponent << forms[i].mantissa) |
           mantissa;
  }
  return 0;
}

// Floats as above. Integers are 0 or 1, which is a valid token and a valid mask; the first of each row is 1, so
// that a mask keeps something.
static void fill_random(qn_tensor *tensor, void *data, uint64_t *state) {
  uint64_t count = 1, row = tensor->rank ? (uint64_t)tensor->dims[tensor->rank - 1] : 1;
  for (int32_t i = 0; i < tensor->rank; i++) count *= (uint64_t)tensor->dims[i];
  size_t size = qn_dtype_bits(tensor->dtype) / 8;
  for (uint64_t i = 0; i < count; i++) {
    uint64_t bits = qn_dtype_is_float(tensor->dtype) ? random_float(tensor->dtype, state)
                    : row && i % row == 0            ? 1
                                                     : next_random(state) & 1;
    memcpy((char *)data + i * size, &bits, size); // little-endian, as everything that Quench runs on
  }
}

// --- generated values with a meaning -----------------------------------------------------------------------

// The node that reads a value as one of the operands that `mask` has a bit for, and as which; QN_NONE.
static qn_node find_reader(const qn_graph *graph, qn_value value, qn_op op, uint64_t mask,
                           uint32_t *out_operand) {
  for (qn_use use = qn_value_get_first_use(graph, value); use != QN_NONE; use = qn_use_get_next(graph, use)) {
    qn_node user = qn_use_get_user(graph, use);
    *out_operand = qn_use_get_operand_index(graph, use);
    if (qn_node_get_op(graph, user) == op && *out_operand < 64 && mask >> *out_operand & 1) return user;
  }
  return QN_NONE;
}
#define OPERAND(name) (UINT64_C(1) << QN_ATTENTION_##name)

static bool find_size(const qn_graph *graph, qn_node node, uint32_t operand, int32_t axis, dim_table *dims,
                      int64_t *out_size) {
  qn_type_info type =
      qn_type_get_info(graph, qn_value_get_type(graph, qn_node_get_operand(graph, node, operand)));
  return axis < type.rank && qn_dim_evaluate(graph, type.dims[axis], lookup_or_choose, dims, out_size);
}

// Sequences of about equal length: cumulative lengths rise from 0 to the number of tokens, and of the keys of
// the b-th of B sequences b + 1 parts of B are counted. False if the value is none of these.
static bool fill_lengths(const qn_graph *graph, qn_value value, dim_table *dims, const qn_tensor *tensor,
                         void *data) {
  uint32_t operand;
  qn_node attention =
      find_reader(graph, value, QN_OP_attention,
                  OPERAND(KV_LENGTHS) | OPERAND(CU_SEQLENS_Q) | OPERAND(CU_SEQLENS_KV), &operand);
  if (attention == QN_NONE || tensor->rank != 1) return false;
  bool cumulative = operand != QN_ATTENTION_KV_LENGTHS, of_q = operand == QN_ATTENTION_CU_SEQLENS_Q;
  int64_t layout = qn_node_get_int(graph, attention, "k_layout");
  int32_t axis = cumulative ? 0 : layout == QN_LAYOUT_BHSD || layout == QN_LAYOUT_PHSD ? 2 : 1;
  int64_t positions, pages = 1, parts = tensor->dims[0] - cumulative;
  if (!find_size(graph, attention, of_q ? QN_ATTENTION_Q : QN_ATTENTION_K, axis, dims, &positions) || parts < 1)
    return false;
  if (qn_node_get_operand(graph, attention, QN_ATTENTION_PAGE_TABLE) != QN_NONE &&
      !find_size(graph, attention, QN_ATTENTION_PAGE_TABLE, 1, dims, &pages))
    return false;
  size_t size = qn_dtype_bits(tensor->dtype) / 8;
  for (int64_t i = 0; i < tensor->dims[0]; i++) {
    int64_t length = positions * pages * (cumulative ? i : i + 1) / parts;
    memcpy((char *)data + (size_t)i * size, &length, size);
  }
  return true;
}

// Pages that there are, in no order. False if the value is no page table.
static bool fill_pages(const qn_graph *graph, qn_value value, dim_table *dims, const qn_tensor *tensor,
                       void *data) {
  uint32_t operand;
  int64_t pages;
  qn_node attention = find_reader(graph, value, QN_OP_attention, OPERAND(PAGE_TABLE), &operand);
  if (attention == QN_NONE || tensor->rank != 2 || tensor->dtype != QN_S32 ||
      !find_size(graph, attention, QN_ATTENTION_K, 0, dims, &pages) || pages < 1)
    return false;
  int32_t *to = data;
  for (int64_t i = 0, count = tensor->dims[0] * tensor->dims[1]; i < count; i++)
    to[i] = (int32_t)((i * 7 + 3) % pages);
  return true;
}

// Whether a value scales others: then it is positive. It never is 1, as no generated float is.
static bool is_scale(const qn_graph *graph, qn_value value) {
  uint32_t operand;
  const uint64_t of_attention =
      OPERAND(OUTPUT_SCALE) | OPERAND(PRE_SCALE) | OPERAND(SCALE_BOUND) | OPERAND(K_SCALE) | OPERAND(V_SCALE);
  const uint64_t of_quantize = 1 << 1 | 1 << 3 | 1 << 4; // scale, pre_scale, scale_bound
  return find_reader(graph, value, QN_OP_attention, of_attention, &operand) != QN_NONE ||
         find_reader(graph, value, QN_OP_quantize, of_quantize, &operand) != QN_NONE ||
         find_reader(graph, value, QN_OP_dequantize, 1 << 1, &operand) != QN_NONE;
}

static void drop_signs(const qn_tensor *tensor, void *data) {
  size_t size = qn_dtype_bits(tensor->dtype) / 8;
  for (uint64_t i = 0; size > 0 && i + size <= tensor->bytes; i += size)
    ((unsigned char *)data)[i + size - 1] &= 0x7f;
}

static bool generate(tool *t, const qn_graph *graph, qn_value value, dim_table *dims, uint64_t *state,
                     qn_tensor *out_tensor) {
  qn_type_info info = qn_type_get_info(graph, qn_value_get_type(graph, value));
  qn_str name = qn_value_get_name(graph, value);
  char place[256];
  snprintf(place, sizeof place, "input %.*s", (int)name.length, name.text);
  *out_tensor = (qn_tensor){ .dtype = info.dtype, .rank = info.rank };
  bool sized = info.rank >= 0 && qn_dtype_bits(info.dtype) >= 8;
  uint64_t count = 1;
  for (int32_t i = 0; sized && i < info.rank; i++) {
    int64_t *dim = &out_tensor->dims[i];
    sized = qn_dim_evaluate(graph, info.dims[i], lookup_or_choose, dims, dim) && *dim >= 0 &&
            count <= (UINT64_C(1) << 32);
    if (sized) count *= (uint64_t)*dim;
  }
  if (!sized || count > (UINT64_C(1) << 32)) {
    tool_error(place, "its type does not say what to generate", "give it with --input NAME=FILE.npy");
    return false;
  }
  out_tensor->bytes = qn_dtype_bytes(info.dtype, count);
  void *data = calloc(1, out_tensor->bytes ? out_tensor->bytes : 1);
  out_tensor->data = data;
  if (!data) {
    tool_error(place, "out of memory", NULL);
    return false;
  }
  (void)t;
  if (fill_lengths(graph, value, dims, out_tensor, data) || fill_pages(graph, value, dims, out_tensor, data))
    return true;
  fill_random(out_tensor, data, state);
  if (qn_dtype_is_float(info.dtype) && is_scale(graph, value)) drop_signs(out_tensor, data);
  return true;
}

// --- all of them -----------------------------------------------------------------------------------------

static bool parse_dims(const tool *t, dim_table *dims) {
  for (unsigned i = 0; i < t->options.dim.count; i++) {
    const char *item = t->options.dim.items[i], *equals = strrchr(item, '=');
    char *end = NULL;
    long long value = equals ? strtoll(equals + 1, &end, 10) : -1;
    if (value < 0 || *end || !dim_table_set(dims, item, (size_t)(equals - item), value)) {
      tool_error("--dim", "no size of a dim", "--dim batch=2");
      return false;
    }
  }
  return true;
}

// Every NAME=FILE is for an input that there is.
static bool check_names(const tool *t, const qn_graph *graph) {
  for (unsigned i = 0; i < t->options.input.count; i++) {
    const char *item = t->options.input.items[i], *equals = strrchr(item, '=');
    if (!equals) continue;
    qn_value value = qn_graph_find_value(graph, item, (size_t)(equals - item));
    if (value != QN_NONE && qn_node_get_op(graph, qn_value_get_node(graph, value)) == QN_OP_input) continue;
    char message[192];
    snprintf(message, sizeof message, "the model has no input '%.*s'", (int)(equals - item), item);
    tool_error("--input", message, "quench dump prints the model's inputs in its first line");
    return false;
  }
  return true;
}

static bool read_files(tool *t, const qn_graph *graph, tool_inputs *inputs, dim_table *dims) {
  uint32_t index = 0;
  for (qn_node node = qn_graph_get_first(graph); node != QN_NONE; node = qn_node_get_next(graph, node)) {
    if (qn_node_get_op(graph, node) != QN_OP_input) continue;
    qn_value value = qn_node_get_result(graph, node, 0);
    qn_type type = qn_value_get_type(graph, value);
    char path[4096];
    if (tool_find_npy(&t->options.input, "input", qn_value_get_name(graph, value), path, sizeof path)) {
      inputs->files[index] = tool_read_npy(t, path, qn_type_get_info(graph, type).dtype);
      if (!inputs->files[index]) return false;
      inputs->tensors[index] = *qn_npy_get_tensor(inputs->files[index]);
      learn_dims(dims, graph, type, &inputs->tensors[index]);
    }
    index++;
  }
  return true;
}

bool tool_inputs_make(tool *t, const qn_graph *graph, tool_inputs *out_inputs) {
  dim_table dims = { .count = 0 };
  uint32_t count = 0;
  for (qn_node node = qn_graph_get_first(graph); node != QN_NONE; node = qn_node_get_next(graph, node))
    count += qn_node_get_op(graph, node) == QN_OP_input;
  *out_inputs = (tool_inputs){ .tensors = calloc(count + 1, sizeof(qn_tensor)),
                               .files = calloc(count + 1, sizeof(qn_npy *)),
                               .count = count };
  if (!out_inputs->tensors || !out_inputs->files)
    return tool_error(t->command->name, "out of memory", NULL), false;
  if (!parse_dims(t, &dims) || !check_names(t, graph) || !read_files(t, graph, out_inputs, &dims)) return false;

  uint64_t state = t->options.seed;
  uint32_t index = 0;
  for (qn_node node = qn_graph_get_first(graph); node != QN_NONE; node = qn_node_get_next(graph, node)) {
    if (qn_node_get_op(graph, node) != QN_OP_input) continue;
    qn_value value = qn_node_get_result(graph, node, 0);
    if (!out_inputs->files[index] && !generate(t, graph, value, &dims, &state, &out_inputs->tensors[index]))
      return false;
    index++;
  }
  return true;
}

void tool_inputs_destroy(tool_inputs *inputs) {
  for (uint32_t i = 0; i < inputs->count; i++) {
    if (inputs->files && inputs->files[i])
      qn_npy_destroy(inputs->files[i]);
    else if (inputs->tensors)
      free((void *)inputs->tensors[i].data);
  }
  free(inputs->tensors);
  free(inputs->files);
  *inputs = (tool_inputs){ 0 };
}
