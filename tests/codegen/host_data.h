// The problems that kernels are run on in host.c: tensors in their layouts, masks, and numbers a head and a
// sequence.
#ifndef QUENCH_TESTS_CODEGEN_HOST_DATA_H
#define QUENCH_TESTS_CODEGEN_HOST_DATA_H

#include <quench/runtime.h>

// Elements of f16, bf16 and f32.
uint32_t bits_of(float value);
float float_of(uint32_t bits);
float round_to(qn_dtype dtype, float value);
float get(const void *values, qn_dtype dtype, int64_t index);
void set(void *values, qn_dtype dtype, int64_t index, float value);

// A tensor [batch, heads, positions, head_dim] in some layout, with `gap` unused elements after each position.
typedef struct tensor {
  uint8_t *data;
  uint64_t bytes;
  qn_dtype dtype;
  qn_strides stride;
  const int32_t *starts; // of sequences that lie end to end; NULL: there is a batch axis
} tensor;

int64_t offset(const tensor *t, uint32_t b, uint32_t h, uint32_t i);

enum { SEQUENCES = 4 }; // where they lie end to end

typedef struct problem {
  uint32_t batch, q_len, kv_len;
  bool bshd;
  uint32_t gap;      // unused elements after each row of q, k, v
  uint32_t out_gap;  // the same for the output; where odd, its rows are not aligned
  bool mask_per_row; // else one row for all of q, and all heads
} problem;

// A problem with its data, for one kernel and all that differ from it in the output only.
typedef struct data {
  tensor q, k, v;
  uint8_t *mask;
  uint64_t mask_bytes;
  qn_dtype mask_dtype;
  int64_t mask_batch, mask_head, mask_q;
  uint8_t sinks[64];
  float slopes[8];
  int32_t kv_lengths[4], starts_q[SEQUENCES + 1], starts_kv[SEQUENCES + 1];
  int64_t wide[3][SEQUENCES + 1]; // the three of them for a kernel that reads s64
} data;

// Where a problem is made of sequences that lie end to end: a whole one, one without queries, one without keys,
// and one of other lengths.
uint32_t q_length(const qn_kernel_spec *spec, const problem *p, uint32_t b);
uint32_t kv_length(const qn_kernel_spec *spec, const problem *p, uint32_t b);
float mask_value(const data *d, uint32_t b, uint32_t h, uint32_t i, uint32_t j);

// What the values are made from.
void data_seed(uint32_t seed);
// In place: tensors point to the lengths beside them.
void data_make(const qn_kernel_spec *spec, const problem *p, data *out);
void data_free(data *d);
// An output with a pattern in every byte.
tensor out_make(const qn_kernel_spec *spec, const problem *p, const data *d, qn_dtype dtype);

#endif
