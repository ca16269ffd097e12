// Samples and forms: see generated.h.
#include "generated.h"

#include "ir/element_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t draw(uint64_t *state) {
  *state += 0x9e3779b97f4a7c15u;
  uint64_t z = *state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// --- samples ---------------------------------------------------------------------------------------------

static const char *skip(const char *at) {
  while (*at == ' ') at++;
  return at;
}

static const char *read_word(const char *at, char out[32]) {
  size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
  if (length > 31) length = 31;
  memcpy(out, at, length);
  out[length] = 0;
  return skip(at + length);
}

static const char *read_elements(const char *at, sample_hole *hole) {
  bool list = *at == '{';
  at = skip(at + list);
  for (;;) {
    char *end;
    if (hole->element_count == SAMPLE_ELEMENTS) return NULL;
    hole->elements[hole->element_count++] = strtod(at, &end);
    if (end == at) return NULL;
    at = skip(end);
    if (!list) return at;
    if (*at == '}') return skip(at + 1);
    if (*at++ != ',') return NULL;
    at = skip(at);
  }
}

// ":" has been read: the type of the holes from `first` on.
static const char *read_type(const char *at, sample *s, uint32_t first) {
  char word[32];
  sample_hole *hole = &s->holes[first];
  at = read_word(at, word);
  hole->dtype = qn_dtype_find(word);
  if (hole->dtype == QN_DTYPE_COUNT || *at != '[') return NULL;
  for (at = skip(at + 1); *at != ']'; at = skip(at)) {
    char *end;
    if (hole->rank == QN_RANK_MAX) return NULL;
    hole->dims[hole->rank++] = strtoll(at, &end, 10);
    if (end == at) return NULL;
    at = skip(end);
    if (*at == ',') at++;
  }
  at = skip(at + 1);
  if (*at == '=') {
    hole->constant = true;
    at = read_elements(skip(at + 1), hole);
  }
  if (*at == 'a') {
    at = read_word(at, word);
    if (strcmp(word, "attended")) return NULL;
    hole->attended = true;
  }
  for (uint32_t i = first + 1; i < s->hole_count; i++) {
    char name[32];
    memcpy(name, s->holes[i].name, sizeof name);
    s->holes[i] = *hole;
    memcpy(s->holes[i].name, name, sizeof name);
  }
  return at;
}

static const char *read_attr_text(const char *at, char out[128]) {
  size_t length = 0, depth = 0;
  while (at[length] && length < 127 && (depth || !strchr(";]|", at[length]))) {
    depth += at[length] == '{';
    depth -= at[length] == '}';
    length++;
  }
  memcpy(out, at, length);
  while (length && out[length - 1] == ' ') length--;
  out[length] = 0;
  return skip(at + length);
}

static const char *read_item(const char *at, sample *s) {
  char word[32];
  at = read_word(at, word);
  if (!strcmp(word, "then")) {
    at = read_word(at, word);
    s->then_quantize = true;
    return strcmp(word, "quantize") ? NULL : at;
  }
  if (!strcmp(word, "within")) {
    char *end;
    s->within = strtod(at, &end);
    return skip(end);
  }
  if (*at == '=' || *at == '[') {
    sample_attr *attr = &s->attrs[s->attr_count++];
    memcpy(attr->name, word, sizeof word);
    if (*at == '=') return read_attr_text(skip(at + 1), attr->text);
    at = read_word(skip(at + 1), attr->key);
    if (*at != '=') return NULL;
    at = read_attr_text(skip(at + 1), attr->text);
    return *at == ']' ? skip(at + 1) : NULL;
  }
  uint32_t first = s->hole_count;
  for (;;) {
    memcpy(s->holes[s->hole_count++].name, word, sizeof word);
    if (*at != ',') break;
    at = read_word(skip(at + 1), word);
  }
  return *at == ':' ? read_type(skip(at + 1), s, first) : NULL;
}

const char *sample_read(const char *text, sample *out_sample) {
  *out_sample = (sample){ 0 };
  for (const char *at = skip(text);; at = skip(at + 1)) {
    at = read_item(at, out_sample);
    if (!at || (*at && *at != ';' && *at != '|')) return NULL;
    if (*at != ';') return *at ? skip(at + 1) : at;
  }
}

static const sample_hole *find_hole(const sample *s, const char *name) {
  for (uint32_t i = 0; i < s->hole_count; i++)
    if (!strcmp(s->holes[i].name, name)) return &s->holes[i];
  return NULL;
}

// --- forms -----------------------------------------------------------------------------------------------

static uint32_t answer(form *f, uint32_t count) {
  uint32_t at = f->asked++;
  if (at >= FORM_CHOICES) return 0;
  if (f->random) f->answers[at] = (uint32_t)(draw(&f->random) % count);
  if (f->answers[at] >= count) f->answers[at] = count - 1;
  f->counts[at] = count;
  return f->answers[at];
}

bool form_step(form *f) {
  uint32_t at = QN_MIN(f->asked, (uint32_t)FORM_CHOICES);
  while (at > 0 && f->answers[at - 1] + 1 == f->counts[at - 1]) at--;
  if (at == 0) return false;
  f->answers[at - 1]++;
  for (uint32_t i = at; i < FORM_CHOICES; i++) f->answers[i] = 0;
  f->asked = 0;
  return true;
}

// --- instances -------------------------------------------------------------------------------------------

typedef struct provider {
  const sample *sample;
  form *form;
  bool prefix;
  char missing[64];
  qn_scheme scheme; // the last one that was asked for
  int64_t ints[16];
} provider;

static qn_status add_constant(qn_graph *graph, const sample_hole *hole, qn_value *out_value) {
  unsigned char data[SAMPLE_ELEMENTS * 64 * 8] = { 0 };
  qn_tensor tensor = { .dtype = hole->dtype, .rank = hole->rank, .data = data };
  uint64_t count = 1;
  for (int32_t d = 0; d < hole->rank; d++) count *= (uint64_t)(tensor.dims[d] = hole->dims[d]);
  if (count * 8 > sizeof data) return QN_LIMIT;
  for (uint64_t i = 0; i < count; i++) {
    uint64_t bits = 0;
    qn_number_encode(hole->dtype, hole->elements[i < hole->element_count ? i : 0], &bits);
    qn_element_store(hole->dtype, data, i, bits);
  }
  tensor.bytes = qn_dtype_bytes(hole->dtype, count);
  return qn_graph_add_const(graph, hole->name, &tensor, false, out_value);
}

static qn_status add_hole(void *user, qn_graph *graph, const qn_slot *slot, qn_value *out_value) {
  provider *p = user;
  const sample_hole *hole = find_hole(p->sample, slot->name);
  if (!hole) {
    snprintf(p->missing, sizeof p->missing, "the sample says nothing of '%s'", slot->name);
    return QN_NOT_FOUND;
  }
  if (hole->constant) return add_constant(graph, hole, out_value);
  qn_dim dims[QN_RANK_MAX];
  for (int32_t d = 0; d < hole->rank; d++) dims[d] = qn_dim_const(graph, hole->dims[d]);
  qn_type type = qn_type_get(graph, hole->dtype, hole->rank, dims);
  QN_TRY(qn_graph_add_input(graph, hole->name, type, out_value));
  if (hole->attended) {
    qn_value operands[3] = { *out_value, *out_value, *out_value };
    return qn_graph_add(graph, qn_node_params(.op = QN_OP_attention, .operands = operands, .operand_count = 3),
                        out_value);
  }
  if (!p->prefix || !qn_dtype_is_float(hole->dtype)) return QN_OK;
  qn_value input = *out_value;
  return qn_graph_add(graph, qn_node_params(.op = QN_OP_neg, .operands = &input, .operand_count = 1),
                      out_value);
}

static bool set_attr(provider *p, const char *text, const qn_attr_info *attr, qn_attr *out_attr) {
  out_attr->name = attr->name;
  switch (attr->kind) {
  case QN_ATTR_INT:
  case QN_ATTR_BOOL: out_attr->i = strtoll(text, NULL, 10); return true;
  case QN_ATTR_FLOAT: out_attr->f = strtod(text, NULL); return true;
  case QN_ATTR_ENUM: out_attr->text = text; return true;
  case QN_ATTR_DTYPE: out_attr->i = qn_dtype_find(text); return true;
  case QN_ATTR_SCHEME: out_attr->scheme = &p->scheme; return qn_scheme_parse(text, &p->scheme);
  case QN_ATTR_INTS:
    out_attr->ints = p->ints;
    for (const char *at = text + 1; *at && *at != '}' && out_attr->length < 16;
         at += strcspn(at, ",}"), at += *at == ',')
      p->ints[out_attr->length++] = strtoll(at, NULL, 10);
    return true;
  default: return false;
  }
}

static bool get_attr(void *user, const char *variable, const qn_attr_info *attr, qn_attr *out_attr) {
  provider *p = user;
  for (uint32_t i = 0; i < p->sample->attr_count; i++)
    if (!p->sample->attrs[i].key[0] && !strcmp(p->sample->attrs[i].name, variable))
      return set_attr(p, p->sample->attrs[i].text, attr, out_attr);
  return false;
}

static uint32_t get_open_attrs(void *user, const char *stmt, qn_op op, qn_attr *out_attrs) {
  provider *p = user;
  uint32_t count = 0;
  for (uint32_t i = 0; i < p->sample->attr_count; i++) {
    const sample_attr *given = &p->sample->attrs[i];
    int index = qn_op_find_attr(op, given->key, strlen(given->key));
    if (!given->key[0] || strcmp(given->name, stmt) || index < 0) continue;
    out_attrs[count] = (qn_attr){ 0 };
    count += set_attr(p, given->text, &qn_op_get_info(op)->attrs[index], &out_attrs[count]);
  }
  return count;
}

// An optional operand that the sample does not know stays absent.
static bool take_optional(void *user, const char *name) {
  provider *p = user;
  return find_hole(p->sample, name) && answer(p->form, 2) == 0;
}

static uint32_t choose(void *user, uint32_t count) {
  provider *p = user;
  return answer(p->form, count);
}

static qn_status add_quantize(qn_graph *graph, qn_value value) {
  static const float half = 0.5f;
  qn_scheme scheme = qn_scheme_of(QN_SCHEME_fp8_static);
  qn_tensor tensor = { .dtype = QN_F32, .data = &half, .bytes = sizeof half };
  qn_value operands[2] = { value }, result;
  QN_TRY(qn_graph_add_const(graph, NULL, &tensor, false, &operands[1]));
  QN_TRY(
      qn_graph_add(graph,
                   qn_node_params(.op = QN_OP_quantize, .operands = operands, .operand_count = 2,
                                  .attrs = &(qn_attr){ .name = "scheme", .scheme = &scheme }, .attr_count = 1),
                   &result));
  return qn_graph_add_output(graph, result, NULL);
}

qn_status generate(qn_context *context, const qn_rule_set *set, uint32_t rule, const sample *s, form *f,
                   bool prefix, generated *out) {
  provider p = { .sample = s, .form = f, .prefix = prefix };
  qn_instance instance = { .user = &p,
                           .refines = true,
                           .add_hole = add_hole,
                           .get_attr = get_attr,
                           .get_open_attrs = get_open_attrs,
                           .take_optional = take_optional,
                           .choose = choose };
  const qn_program *program = &set->programs[rule];
  *out = (generated){ 0 };
  QN_TRY(qn_graph_create(context, "generated", &out->graph));
  qn_status status = qn_rule_instantiate(set, rule, &instance, out->graph, out->values);
  if (p.missing[0]) {
    fprintf(stderr, "rule %s: %s\n", program->rule->name, p.missing);
    abort();
  }
  for (uint16_t i = 0; status == QN_OK && i < program->output_count; i++) {
    qn_value value = out->values[program->outputs[i]];
    if (value == QN_NONE) continue;
    status = i == 0 && s->then_quantize ? add_quantize(out->graph, value)
                                        : qn_graph_add_output(out->graph, value, NULL);
  }
  out->anchor = out->values[program->outputs[0]];
  if (status != QN_OK) {
    qn_graph_destroy(out->graph);
    out->graph = NULL;
  }
  return status;
}

// --- inputs ----------------------------------------------------------------------------------------------

uint32_t inputs_create(const qn_graph *graph, uint64_t seed, qn_tensor **out_inputs) {
  uint32_t count = 0;
  qn_tensor *inputs = calloc(SAMPLE_HOLES, sizeof *inputs);
  for (qn_node node = qn_graph_get_first(graph); node != QN_NONE; node = qn_node_get_next(graph, node)) {
    if (qn_node_get_op(graph, node) != QN_OP_input) continue;
    qn_type_info type = qn_type_get_info(graph, qn_value_get_type(graph, qn_node_get_result(graph, node, 0)));
    qn_tensor *tensor = &inputs[count++];
    uint64_t elements = 1;
    *tensor = (qn_tensor){ .dtype = type.dtype, .rank = type.rank };
    for (int32_t d = 0; d < type.rank; d++) {
      qn_dim_is_const(graph, type.dims[d], &tensor->dims[d]);
      elements *= (uint64_t)tensor->dims[d];
    }
    tensor->bytes = qn_dtype_bytes(type.dtype, elements);
    unsigned char *data = calloc(1, (size_t)tensor->bytes + 1);
    for (uint64_t i = 0; i < elements; i++) {
      uint64_t bits = 0;
      double value = (double)(draw(&seed) % 4096) / 1024 - 2;
      if (type.dtype == QN_BOOL)
        bits = value < 0;
      else
        qn_number_encode(type.dtype, qn_dtype_is_float(type.dtype) ? value : floor(value) + 2, &bits);
      qn_element_store(type.dtype, data, i, bits);
    }
    tensor->data = data;
  }
  *out_inputs = inputs;
  return count;
}

void inputs_free(qn_tensor *inputs, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) free((void *)inputs[i].data);
  free(inputs);
}
