// How the rows of a case lie in the device's memory, and the way there and back.
#ifndef TESTS_KERNELS_STORAGE_H
#define TESTS_KERNELS_STORAGE_H

#include "tests/kernels/data.h"

// Rows of one side within a buffer.
typedef struct kernel_rows {
  qn_strides stride;
  uint64_t start, bytes; // bytes before the first row; of the buffer
  uint32_t bits;         // of an element
} kernel_rows;

// Rows of q, k, v, or of an output of elements of so many bits. The sides of STORAGE_PACKED share a buffer.
kernel_rows kernel_storage_of(const kernel_data *data, kernel_side side, uint32_t bits);
// Between dense elements in the side's layout and the rows of a buffer.
void kernel_storage_scatter(const kernel_data *data, kernel_side side, const kernel_rows *rows,
                            const uint8_t *dense, uint8_t *buffer);
void kernel_storage_gather(const kernel_data *data, kernel_side side, const kernel_rows *rows,
                           const uint8_t *buffer, uint8_t *dense);

#endif
