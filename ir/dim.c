// Symbolic dimensions: polynomials with integer coefficients over symbols and ceil_div(a, b), interned.
//
// Canonical form: a sum is a list of terms, a term a coefficient and a sorted list of atoms. Terms are ordered
// by degree, highest first, then by their atoms; atoms by the text of their symbols, ceil_div after symbols.
// The order never looks at indices, so a graph and its reread text agree. A result that would overflow int64 or
// grow past the limits below becomes a fresh symbol: nothing is known of it, and nothing wrong is claimed.
#include "ir/graph_priv.h"
#include "ir/lex_priv.h"

#include <stdio.h>
#include <xxhash.h>

enum { TERMS_MAX = 24, ATOMS_MAX = 8, DEPTH_MAX = 32 };

typedef struct term {
  int64_t coefficient;
  uint32_t atom_count;
  qn_dim atoms[ATOMS_MAX];
} term;

typedef struct sum {
  uint32_t count;
  term terms[TERMS_MAX];
} sum;

static const qn_dim_entry *entry_of(const qn_graph *graph, qn_dim dim) {
  return &graph->dims.at[dim & ~QN_DIM_CONST_LIMIT];
}

static uint32_t depth_of(const qn_graph *graph, qn_dim dim);

// --- interning ---------------------------------------------------------------------------------------------

static bool same_dim(const qn_graph *graph, uint32_t entry, const void *key) {
  const qn_dim_entry *a = &graph->dims.at[entry], *b = key;
  return a->hash == b->hash && a->kind == b->kind && a->count == b->count &&
         memcmp(a->words, b->words, a->count * sizeof *a->words) == 0;
}

static uint32_t dim_hash(const qn_graph *graph, uint32_t entry) {
  return graph->dims.at[entry].hash;
}

// Without memory the result is the constant 0 and the graph remembers it.
static qn_dim intern(qn_graph *graph, qn_dim_kind kind, const int64_t *words, uint32_t count) {
  qn_dim_entry key = { .words = words, .count = count, .kind = kind };
  key.hash = (uint32_t)XXH3_64bits_withSeed(words, count * sizeof *words, (uint64_t)kind);
  uint32_t found = qn_index_find(&graph->dim_index, key.hash, same_dim, graph, &key);
  if (found) return QN_DIM_CONST_LIMIT | found;
  if (QN_RESERVE(graph->context, graph->dims.at, graph->dims.capacity, graph->dims.count + 1ull) != QN_OK)
    return qn_graph_starve(graph);
  int64_t *copy = qn_arena_alloc(&graph->arena, count * sizeof *copy);
  if (!copy) return qn_graph_starve(graph);
  memcpy(copy, words, count * sizeof *copy);
  key.words = copy;
  key.depth = kind == QN_DIM_CEIL_DIV
                  ? 1 + QN_MAX(depth_of(graph, (qn_dim)words[0]), depth_of(graph, (qn_dim)words[1]))
                  : 0;
  if (kind == QN_DIM_SUM) // the atoms stand among coefficients and counts
    for (uint32_t t = 0, w = 1; t < (uint32_t)words[0]; t++, w += 2 + (uint32_t)words[w + 1])
      for (uint32_t k = 0; k < (uint32_t)words[w + 1]; k++)
        key.depth = QN_MAX(key.depth, depth_of(graph, (qn_dim)words[w + 2 + k]));
  uint32_t entry = graph->dims.count;
  graph->dims.at[entry] = key;
  if (qn_index_add(graph, &graph->dim_index, key.hash, entry, dim_hash) != QN_OK) return qn_graph_starve(graph);
  graph->dims.count++;
  return QN_DIM_CONST_LIMIT | entry;
}

qn_dim qn_dim_const(qn_graph *graph, int64_t value) {
  if (value >= 0 && value < (int64_t)QN_DIM_CONST_LIMIT) return (qn_dim)value;
  return intern(graph, QN_DIM_BIG, &value, 1);
}

qn_dim qn_dim_symbol(qn_graph *graph, const char *name, size_t length) {
  int64_t string = qn_string_intern(graph, name, length);
  // A reread graph holds `?7`; what is given out later must not meet it.
  if (length > 1 && name[0] == '?') {
    uint64_t n = 0;
    for (size_t i = 1; i < length && name[i] >= '0' && name[i] <= '9' && n < UINT32_MAX; i++)
      n = n * 10 + (uint64_t)(name[i] - '0');
    if (n > graph->fresh_dims && n < UINT32_MAX) graph->fresh_dims = (uint32_t)n;
  }
  return intern(graph, QN_DIM_SYMBOL, &string, 1);
}

qn_dim qn_dim_fresh(qn_graph *graph) {
  char name[16];
  int length = snprintf(name, sizeof name, "?%u", graph->fresh_dims + 1);
  return qn_dim_symbol(graph, name, (size_t)length);
}

bool qn_dim_is_const(const qn_graph *graph, qn_dim dim, int64_t *out_value) {
  if (dim < QN_DIM_CONST_LIMIT) {
    *out_value = dim;
    return true;
  }
  const qn_dim_entry *entry = entry_of(graph, dim);
  if (entry->kind != QN_DIM_BIG) return false;
  *out_value = entry->words[0];
  return true;
}

// --- order -------------------------------------------------------------------------------------------------

static int compare_dims(const qn_graph *graph, qn_dim a, qn_dim b);

static int compare_atoms(const qn_graph *graph, qn_dim a, qn_dim b) {
  if (a == b) return 0;
  const qn_dim_entry *x = entry_of(graph, a), *y = entry_of(graph, b);
  if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
  if (x->kind == QN_DIM_SYMBOL) {
    qn_str s = qn_string_get(graph, (uint32_t)x->words[0]), t = qn_string_get(graph, (uint32_t)y->words[0]);
    int order = memcmp(s.text ? s.text : "", t.text ? t.text : "", QN_MIN(s.length, t.length));
    return order ? order : s.length < t.length ? -1 : 1;
  }
  int order = compare_dims(graph, (qn_dim)x->words[0], (qn_dim)y->words[0]);
  return order ? order : compare_dims(graph, (qn_dim)x->words[1], (qn_dim)y->words[1]);
}

static int compare_terms(const qn_graph *graph, const term *a, const term *b) {
  if (a->atom_count != b->atom_count) return a->atom_count > b->atom_count ? -1 : 1;
  for (uint32_t i = 0; i < a->atom_count; i++) {
    int order = compare_atoms(graph, a->atoms[i], b->atoms[i]);
    if (order) return order;
  }
  return 0;
}

// --- sums --------------------------------------------------------------------------------------------------

static void to_sum(const qn_graph *graph, qn_dim dim, sum *out) {
  int64_t value;
  if (qn_dim_is_const(graph, dim, &value)) {
    out->count = value != 0;
    out->terms[0] = (term){ .coefficient = value };
    return;
  }
  const qn_dim_entry *entry = entry_of(graph, dim);
  if (entry->kind != QN_DIM_SUM) {
    out->count = 1;
    out->terms[0] = (term){ .coefficient = 1, .atom_count = 1, .atoms = { dim } };
    return;
  }
  const int64_t *word = entry->words;
  out->count = (uint32_t)*word++;
  for (uint32_t i = 0; i < out->count; i++) {
    term *t = &out->terms[i];
    t->coefficient = *word++;
    t->atom_count = (uint32_t)*word++;
    for (uint32_t k = 0; k < t->atom_count; k++) t->atoms[k] = (qn_dim)*word++;
  }
}

static qn_dim from_sum(qn_graph *graph, const sum *s) {
  if (s->count == 0) return 0;
  const term *t = &s->terms[0];
  if (s->count == 1 && t->atom_count == 0) return qn_dim_const(graph, t->coefficient);
  if (s->count == 1 && t->atom_count == 1 && t->coefficient == 1) return t->atoms[0];
  int64_t words[1 + TERMS_MAX * (2 + ATOMS_MAX)];
  uint32_t n = 0;
  words[n++] = s->count;
  for (uint32_t i = 0; i < s->count; i++, t++) {
    words[n++] = t->coefficient;
    words[n++] = t->atom_count;
    for (uint32_t k = 0; k < t->atom_count; k++) words[n++] = t->atoms[k];
  }
  return intern(graph, QN_DIM_SUM, words, n);
}

// Adds one term, keeping the order. False where a limit is passed.
static bool add_term(const qn_graph *graph, sum *s, const term *t) {
  if (t->coefficient == 0) return true;
  uint32_t i = 0;
  for (; i < s->count; i++) {
    int order = compare_terms(graph, t, &s->terms[i]);
    if (order < 0) break;
    if (order == 0) {
      if (__builtin_add_overflow(s->terms[i].coefficient, t->coefficient, &s->terms[i].coefficient))
        return false;
      if (s->terms[i].coefficient == 0) {
        s->count--;
        memmove(&s->terms[i], &s->terms[i + 1], (s->count - i) * sizeof *s->terms);
      }
      return true;
    }
  }
  if (s->count == TERMS_MAX) return false;
  memmove(&s->terms[i + 1], &s->terms[i], (s->count - i) * sizeof *s->terms);
  s->terms[i] = *t;
  s->count++;
  return true;
}

static bool multiply_terms(const qn_graph *graph, const term *a, const term *b, term *out) {
  term product = { 0 };
  if (__builtin_mul_overflow(a->coefficient, b->coefficient, &product.coefficient)) return false;
  if (a->atom_count + b->atom_count > ATOMS_MAX) return false;
  for (uint32_t i = 0, k = 0; i < a->atom_count || k < b->atom_count;) {
    bool take_a =
        k == b->atom_count || (i < a->atom_count && compare_atoms(graph, a->atoms[i], b->atoms[k]) <= 0);
    product.atoms[product.atom_count++] = take_a ? a->atoms[i++] : b->atoms[k++];
  }
  *out = product;
  return true;
}

// a / b for single terms; false if b does not divide a.
static bool divide_terms(const term *a, const term *b, term *out) {
  term quotient = { 0 };
  if (a->coefficient % b->coefficient != 0) return false;
  quotient.coefficient = a->coefficient / b->coefficient;
  uint32_t k = 0;
  for (uint32_t i = 0; i < a->atom_count; i++) {
    if (k < b->atom_count && a->atoms[i] == b->atoms[k])
      k++;
    else
      quotient.atoms[quotient.atom_count++] = a->atoms[i];
  }
  if (k != b->atom_count) return false;
  *out = quotient;
  return true;
}

static int compare_dims(const qn_graph *graph, qn_dim a, qn_dim b) {
  if (a == b) return 0;
  sum x, y;
  to_sum(graph, a, &x);
  to_sum(graph, b, &y);
  for (uint32_t i = 0; i < x.count && i < y.count; i++) {
    int order = compare_terms(graph, &x.terms[i], &y.terms[i]);
    if (order) return order;
    if (x.terms[i].coefficient != y.terms[i].coefficient)
      return x.terms[i].coefficient < y.terms[i].coefficient ? -1 : 1;
  }
  return x.count < y.count ? -1 : 1;
}

// How deep ceil_div is nested; bounded, so that the recursions of this file are.
static uint32_t depth_of(const qn_graph *graph, qn_dim dim) {
  int64_t value;
  if (qn_dim_is_const(graph, dim, &value)) return 0;
  return entry_of(graph, dim)->depth;
}

static qn_dim make_ceil_div(qn_graph *graph, qn_dim a, qn_dim b) {
  if (QN_MAX(depth_of(graph, a), depth_of(graph, b)) >= DEPTH_MAX) return qn_dim_fresh(graph);
  int64_t words[2] = { a, b };
  return intern(graph, QN_DIM_CEIL_DIV, words, 2);
}

// --- arithmetic --------------------------------------------------------------------------------------------

qn_dim qn_dim_add(qn_graph *graph, qn_dim a, qn_dim b) {
  if (a < QN_DIM_CONST_LIMIT && b < QN_DIM_CONST_LIMIT) return qn_dim_const(graph, (int64_t)a + b);
  sum x, y;
  to_sum(graph, a, &x);
  to_sum(graph, b, &y);
  for (uint32_t i = 0; i < y.count; i++)
    if (!add_term(graph, &x, &y.terms[i])) return qn_dim_fresh(graph);
  return from_sum(graph, &x);
}

qn_dim qn_dim_mul(qn_graph *graph, qn_dim a, qn_dim b) {
  if (a == 1) return b;
  if (b == 1) return a;
  if (a < QN_DIM_CONST_LIMIT && b < QN_DIM_CONST_LIMIT) return qn_dim_const(graph, (int64_t)a * b);
  sum x, y, product = { .count = 0 };
  to_sum(graph, a, &x);
  to_sum(graph, b, &y);
  for (uint32_t i = 0; i < x.count; i++)
    for (uint32_t k = 0; k < y.count; k++) {
      term t;
      if (!multiply_terms(graph, &x.terms[i], &y.terms[k], &t) || !add_term(graph, &product, &t))
        return qn_dim_fresh(graph);
    }
  return from_sum(graph, &product);
}

// Long division by one divisor; exact or nothing. The leading term shrinks in the term order with each step.
static bool divide_sums(const qn_graph *graph, sum *rest, const sum *by, sum *quotient) {
  quotient->count = 0;
  if (by->count == 0) return false;
  for (int step = 0; rest->count > 0; step++) {
    term q;
    if (step == 4 * TERMS_MAX || !divide_terms(&rest->terms[0], &by->terms[0], &q)) return false;
    if (!add_term(graph, quotient, &q)) return false;
    for (uint32_t i = 0; i < by->count; i++) {
      term t;
      if (!multiply_terms(graph, &q, &by->terms[i], &t)) return false;
      if (__builtin_sub_overflow(0, t.coefficient, &t.coefficient) || !add_term(graph, rest, &t)) return false;
    }
  }
  return true;
}

bool qn_dim_divide(qn_graph *graph, qn_dim a, qn_dim b, qn_dim *out_quotient) {
  if (b == 1) {
    *out_quotient = a;
    return true;
  }
  if (a < QN_DIM_CONST_LIMIT && b < QN_DIM_CONST_LIMIT) {
    if (b == 0 || a % b) return false;
    *out_quotient = a / b;
    return true;
  }
  sum rest, by, quotient;
  to_sum(graph, a, &rest);
  to_sum(graph, b, &by);
  if (by.count && by.terms[0].coefficient == -1)
    return false; // INT64_MIN / -1 overflows; such a dim is no divisor
  if (!divide_sums(graph, &rest, &by, &quotient)) return false;
  *out_quotient = from_sum(graph, &quotient);
  return true;
}

static int64_t floor_div(int64_t a, int64_t b) {
  return a / b - (a % b < 0);
} // b > 0

qn_dim qn_dim_ceil_div(qn_graph *graph, qn_dim a, qn_dim b) {
  qn_dim quotient;
  int64_t divisor;
  bool constant = qn_dim_is_const(graph, b, &divisor);
  if (constant && divisor <= 0) return qn_dim_fresh(graph);
  if (qn_dim_divide(graph, a, b, &quotient)) return quotient;
  if (!constant) return make_ceil_div(graph, a, b);
  // ceil((b q + r) / b) = q + ceil(r / b): what b divides moves out, so that one dim has one form.
  sum all, whole = { .count = 0 }, rest = { .count = 0 };
  to_sum(graph, a, &all);
  for (uint32_t i = 0; i < all.count; i++) {
    term out = all.terms[i], in = all.terms[i];
    out.coefficient = floor_div(out.coefficient, divisor);
    in.coefficient -= out.coefficient * divisor;
    if (!add_term(graph, &whole, &out) || !add_term(graph, &rest, &in)) return qn_dim_fresh(graph);
  }
  qn_dim remainder = from_sum(graph, &rest);
  int64_t value;
  qn_dim last = qn_dim_is_const(graph, remainder, &value) ? (qn_dim)(value > 0) // 0 <= value < divisor
                                                          : make_ceil_div(graph, remainder, b);
  return qn_dim_add(graph, from_sum(graph, &whole), last);
}

// --- reading -----------------------------------------------------------------------------------------------

bool qn_dim_evaluate(const qn_graph *graph, qn_dim dim, qn_dim_lookup_fn lookup, void *user,
                     int64_t *out_value) {
  if (qn_dim_is_const(graph, dim, out_value)) return true;
  const qn_dim_entry *entry = entry_of(graph, dim);
  if (entry->kind == QN_DIM_SYMBOL)
    return lookup(user, qn_string_get(graph, (uint32_t)entry->words[0]).text, out_value);
  if (entry->kind == QN_DIM_CEIL_DIV) {
    int64_t a, b;
    if (!qn_dim_evaluate(graph, (qn_dim)entry->words[0], lookup, user, &a)) return false;
    if (!qn_dim_evaluate(graph, (qn_dim)entry->words[1], lookup, user, &b) || b <= 0) return false;
    *out_value = floor_div(a, b) + (a % b != 0);
    return true;
  }
  sum s;
  to_sum(graph, dim, &s);
  int64_t total = 0;
  for (uint32_t i = 0; i < s.count; i++) {
    int64_t product = s.terms[i].coefficient, factor;
    for (uint32_t k = 0; k < s.terms[i].atom_count; k++) {
      if (!qn_dim_evaluate(graph, s.terms[i].atoms[k], lookup, user, &factor)) return false;
      if (__builtin_mul_overflow(product, factor, &product)) return false;
    }
    if (__builtin_add_overflow(total, product, &total)) return false;
  }
  *out_value = total;
  return true;
}

bool qn_dim_never_negative(const qn_graph *graph, qn_dim dim) {
  int64_t value;
  if (qn_dim_is_const(graph, dim, &value)) return value >= 0;
  const qn_dim_entry *entry = entry_of(graph, dim);
  if (entry->kind == QN_DIM_SYMBOL) return true;
  if (entry->kind == QN_DIM_CEIL_DIV)
    return qn_dim_never_negative(graph, (qn_dim)entry->words[0]) &&
           qn_dim_never_negative(graph, (qn_dim)entry->words[1]);
  sum s;
  to_sum(graph, dim, &s);
  for (uint32_t i = 0; i < s.count; i++) {
    if (s.terms[i].coefficient < 0) return false;
    for (uint32_t k = 0; k < s.terms[i].atom_count; k++)
      if (!qn_dim_never_negative(graph, s.terms[i].atoms[k])) return false;
  }
  return true;
}

// `?7` stands as it is; every other symbol is written like any name.
static bool is_unknown(qn_str name) {
  if (name.length < 2 || name.text[0] != '?') return false;
  for (size_t i = 1; i < name.length; i++)
    if (name.text[i] < '0' || name.text[i] > '9') return false;
  return true;
}

static qn_status write_symbol(const qn_graph *graph, qn_str name, const qn_writer *writer) {
  if (is_unknown(name) || qn_name_is_plain(name.text, name.length))
    return writer->write(writer->user, name.text, name.length);
  qn_buf buf = QN_BUF(graph->context);
  qn_buf_quoted(&buf, name.text, name.length);
  qn_status status = buf.status == QN_OK ? writer->write(writer->user, buf.text, buf.length) : buf.status;
  qn_buf_free(&buf);
  return status;
}

qn_status qn_dim_write(const qn_graph *graph, qn_dim dim, const qn_writer *writer) {
  int64_t value;
  if (qn_dim_is_const(graph, dim, &value)) return qn_writef(writer, "%lld", (long long)value);
  const qn_dim_entry *entry = entry_of(graph, dim);
  if (entry->kind == QN_DIM_SYMBOL)
    return write_symbol(graph, qn_string_get(graph, (uint32_t)entry->words[0]), writer);
  if (entry->kind == QN_DIM_CEIL_DIV) {
    QN_TRY(qn_write(writer, "ceil_div("));
    QN_TRY(qn_dim_write(graph, (qn_dim)entry->words[0], writer));
    QN_TRY(qn_write(writer, ", "));
    QN_TRY(qn_dim_write(graph, (qn_dim)entry->words[1], writer));
    return qn_write(writer, ")");
  }
  sum s;
  to_sum(graph, dim, &s);
  for (uint32_t i = 0; i < s.count; i++) {
    const term *t = &s.terms[i];
    bool negative = t->coefficient < 0;
    uint64_t size = negative ? 0 - (uint64_t)t->coefficient : (uint64_t)t->coefficient;
    QN_TRY(qn_write(writer, i == 0 ? (negative ? "-" : "") : negative ? " - " : " + "));
    bool shown = size != 1 || t->atom_count == 0;
    if (shown) QN_TRY(qn_writef(writer, "%llu", (unsigned long long)size));
    for (uint32_t k = 0; k < t->atom_count; k++) {
      if (shown || k) QN_TRY(qn_write(writer, "*"));
      QN_TRY(qn_dim_write(graph, t->atoms[k], writer));
    }
  }
  return QN_OK;
}
