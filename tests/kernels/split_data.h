// The operands of a test of few queries, with caches of every kind, and attention over them in f64.
#ifndef TESTS_KERNELS_SPLIT_DATA_H
#define TESTS_KERNELS_SPLIT_DATA_H

#include <quench/runtime.h>

enum { SPLIT_BATCH_MAX = 4, SPLIT_TABLE_MAX = 4096 };

typedef struct split_case {
  qn_kernel_spec spec;
  uint32_t batch, q_len, kv_len, splits;
  uint32_t lengths[SPLIT_BATCH_MAX]; // of keys, where the spec has kv_lengths
  bool heads_outside;                // k and v as [batch or page, head, position, head_dim]
} split_case;

// Values as an operand's type holds them, and the bytes of that.
typedef struct plane {
  qn_dtype dtype;
  uint64_t count;
  double *values;
  void *bytes;
} plane;

typedef struct split_data {
  split_case c;
  plane q, k, v, slopes, sinks, mask, k_scale, v_scale;
  uint32_t pages; // of the pool
  int32_t table[SPLIT_TABLE_MAX];
  int64_t table_stride;
  qn_strides k_stride, v_stride;
} split_data;

// Rows of k and v that are no key of a sequence are NaN, and entries of the page table that no key needs lead
// far beyond the pool.
split_data *split_data_create(const split_case *c);
void split_data_destroy(split_data *d);

// A row of the output in exact arithmetic, and of attention over |v|.
void split_reference_row(const split_data *d, uint32_t b, uint32_t h, uint32_t i, double *out,
                         double *over_abs);
// What the bound of the case's kernels goes by.
qn_attention_norms split_norms(const split_data *d);

#endif
