// Strides of each kind of storage.
#include "tests/kernels/storage.h"

#include "ir/base_priv.h"
#include "quant/elements_priv.h"

static bool is_output(kernel_side side) {
  return side == SIDE_OUT || side == SIDE_CODES;
}

// Elements behind each row that nobody may touch. 16 keep rows aligned to 16 bytes, 3 do not; of codes that
// share bytes it is 3 bytes.
static uint32_t gap_of(const kernel_data *data, kernel_side side, uint32_t bits) {
  if (data->c.storage == STORAGE_PADDED) return bits < 8 ? 32 : 16;
  if (data->c.storage == STORAGE_UNALIGNED) return !is_output(side) ? 16 : bits < 8 ? 6 : 3;
  return 0;
}

static uint64_t tokens_of(const kernel_data *data, kernel_side side) {
  return side == SIDE_K || side == SIDE_V ? data->kv_tokens : data->q_tokens;
}

static uint32_t length_of(const kernel_data *data, kernel_side side) {
  return side == SIDE_K || side == SIDE_V ? data->c.kv_len : data->c.q_len;
}

// One row of a token: the heads of q, then of k, then of v.
static kernel_rows packed_rows(const kernel_data *data, kernel_side side, uint32_t bits) {
  uint64_t before = 0, row = 0;
  for (kernel_side s = SIDE_Q; s <= SIDE_V; s++) {
    if (s == side) before = row;
    row += (uint64_t)kernel_data_heads(data, s) * kernel_data_dim(data, s);
  }
  uint64_t tokens = QN_MAX(data->q_tokens, data->kv_tokens);
  return (kernel_rows){ .stride = { .batch = (int64_t)row * QN_MAX(data->c.q_len, data->c.kv_len),
                                    .head = kernel_data_dim(data, side),
                                    .position = (int64_t)row },
                        .start = before * bits / 8,
                        .bytes = tokens * row * bits / 8,
                        .bits = bits };
}

// A scheme that fills tokens up finds their end by heads that lie together: the gap is behind what is added.
kernel_rows kernel_storage_of(const kernel_data *data, kernel_side side, uint32_t bits) {
  if (data->c.storage == STORAGE_PACKED && !is_output(side)) return packed_rows(data, side, bits);
  int64_t gap = gap_of(data, side, bits), fill = side == SIDE_CODES ? data->fill : 0;
  bool together = side == SIDE_CODES && data->c.scheme.pad > 0;
  int64_t row = kernel_data_dim(data, side) + (together ? 0 : gap), heads = kernel_data_heads(data, side);
  int64_t length = length_of(data, side), token = heads * row + (together ? fill + gap : 0);
  bool heads_outside = kernel_data_layout(data, side) == QN_LAYOUT_BHSD;
  bool unaligned = data->c.storage == STORAGE_UNALIGNED && is_output(side);
  uint64_t start = unaligned ? QN_MAX(bits / 8, 1) : 0;
  return (kernel_rows){ .stride = { .batch = length * token,
                                    .head = heads_outside ? length * row : row,
                                    .position = heads_outside ? row : token },
                        .start = start,
                        .bytes = start + tokens_of(data, side) * (uint64_t)token * bits / 8,
                        .bits = bits };
}

// Calls `copy` with the bytes of each row in the buffer and in the dense tensor.
static void for_each_row(const kernel_data *data, kernel_side side, const kernel_rows *rows,
                         void (*copy)(uint8_t *stored, uint8_t *dense, size_t bytes), uint8_t *buffer,
                         uint8_t *dense) {
  bool varlen = data->c.lengths == LENGTHS_VARLEN, keys = side == SIDE_K || side == SIDE_V;
  uint32_t heads = kernel_data_heads(data, side), dim = kernel_data_dim(data, side);
  for (uint32_t b = 0; b < data->batch; b++)
    for (uint32_t h = 0; h < heads; h++)
      for (uint32_t i = 0; i < kernel_data_tokens(data, side, b); i++) {
        const kernel_sequence *s = &data->sequences[b];
        int64_t position = (varlen ? keys ? s->first_kv : s->first_q : 0) + (int64_t)i;
        int64_t at =
            (varlen ? 0 : b * rows->stride.batch) + h * rows->stride.head + position * rows->stride.position;
        uint32_t fill = side == SIDE_CODES && h == heads - 1 ? data->fill : 0;
        copy(buffer + rows->start + (uint64_t)at * rows->bits / 8,
             dense + kernel_data_row(data, side, b, h, i) * rows->bits / 8,
             (size_t)(dim + fill) * rows->bits / 8);
      }
}

static void to_buffer(uint8_t *stored, uint8_t *dense, size_t bytes) {
  memcpy(stored, dense, bytes);
}

static void to_dense(uint8_t *stored, uint8_t *dense, size_t bytes) {
  memcpy(dense, stored, bytes);
}

void kernel_storage_scatter(const kernel_data *data, kernel_side side, const kernel_rows *rows,
                            const uint8_t *dense, uint8_t *buffer) {
  for_each_row(data, side, rows, to_buffer, buffer, (uint8_t *)dense);
}

void kernel_storage_gather(const kernel_data *data, kernel_side side, const kernel_rows *rows,
                           const uint8_t *buffer, uint8_t *dense) {
  for_each_row(data, side, rows, to_dense, (uint8_t *)buffer, dense);
}
