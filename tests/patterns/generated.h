// Graphs made from the rules themselves: a rule's match side in all its forms, with the holes of its sample.
//
//   samples := sample { "|" sample }
//   sample  := item { ";" item }
//   item    := name { "," name } ":" dtype "[" [ int { "," int } ] "]" [ "=" number | "{" numbers "}" |
//   "attended" ]
//                                                      attended: what an attention over that type gives
//            | name "=" literal                        an attribute variable, or an attribute whose value is
//            free (`_`) | name "[" key "=" literal "]"            an attribute that the statement leaves open
//            | "then" "quantize"                       what reads the first output
//            | "within" number                         how far both sides may be apart, relative to the largest
//            value;
//                                                      without it they have the same bytes
#ifndef QUENCH_TESTS_GENERATED_H
#define QUENCH_TESTS_GENERATED_H

#include "patterns/instance_priv.h"

enum { SAMPLE_HOLES = 32, SAMPLE_ATTRS = 16, SAMPLE_ELEMENTS = 64, FORM_CHOICES = 64 };

typedef struct sample_hole {
  char name[32];
  qn_dtype dtype;
  int32_t rank;
  int64_t dims[QN_RANK_MAX];
  bool constant, attended;
  uint32_t element_count; // given; one stands for all
  double elements[SAMPLE_ELEMENTS];
} sample_hole;

typedef struct sample_attr {
  char name[32]; // variable, attribute or statement
  char key[32];  // "" unless the attribute of a statement
  char text[128];
} sample_attr;

typedef struct sample {
  sample_hole holes[SAMPLE_HOLES];
  sample_attr attrs[SAMPLE_ATTRS];
  uint32_t hole_count, attr_count;
  bool then_quantize;
  double within;
} sample;

// A form: the answers to the choices in the order in which they are asked.
typedef struct form {
  uint32_t answers[FORM_CHOICES], counts[FORM_CHOICES];
  uint32_t asked;
  uint64_t random; // not 0: answers are drawn
} form;

typedef struct generated {
  qn_graph *graph;
  qn_value values[QN_SLOTS_MAX]; // by slot
  qn_value anchor;
} generated;

// Reads one sample and returns what follows its "|", or "" at the end; NULL if the text is malformed.
const char *sample_read(const char *text, sample *out_sample);
// The next form in order; false after the last.
bool form_step(form *f);
// Makes the graph of a form. `prefix`: holes are computed by an operation in front, so that the rule stands in
// the middle of a graph. Returns a status other than QN_OK where the form's shapes do not fit each other.
qn_status generate(qn_context *context, const qn_rule_set *set, uint32_t rule, const sample *s, form *f,
                   bool prefix, generated *out);
// Random tensors for the inputs of a graph, in their order; free with inputs_free.
uint32_t inputs_create(const qn_graph *graph, uint64_t seed, qn_tensor **out_inputs);
void inputs_free(qn_tensor *inputs, uint32_t count);
uint64_t draw(uint64_t *state);

#endif
