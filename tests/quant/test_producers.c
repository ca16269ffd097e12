// What compressed-tensors, ModelOpt, torchao and PyTorch themselves give, byte for byte, under the scheme that
// stands for each of their quantizers. tests/models/producers.py wrote producers.txt and says what its lines
// are.
#include "quant_test.h"

#include <errno.h>

enum { INPUTS_MAX = 8, NAME_MAX_ = 200, TENSOR_MAX = 4096 };

typedef struct {
  char name[16];
  qn_dtype dtype;
  int32_t rank;
  int64_t dims[2];
  double *values;
} input;

typedef struct {
  char name[NAME_MAX_], scheme[QN_SCHEME_TEXT_MAX];
  const input *of;
  double scale[TENSOR_MAX], zero_point[TENSOR_MAX];
  uint64_t scale_count, zero_point_count;
  uint8_t codes[TENSOR_MAX], scales[TENSOR_MAX], zero_points[TENSOR_MAX];
  uint64_t code_bytes, scale_bytes, zero_point_bytes;
} golden;

static uint64_t read_hex(const char *text, uint8_t *out, uint64_t limit) {
  uint64_t count = 0;
  for (; text[0] > ' ' && text[1] > ' '; text += 2) {
    unsigned byte;
    cr_assert_eq(sscanf(text, "%2x", &byte), 1);
    cr_assert(count < limit);
    out[count++] = (uint8_t)byte;
  }
  return count;
}

static void read_input(const char *line, input *in) {
  static uint8_t bytes[4 * TENSOR_MAX];
  char dtype[8];
  long long rows, columns;
  int at;
  cr_assert_eq(sscanf(line, "%15s %7s %lld,%lld %n", in->name, dtype, &rows, &columns, &at), 4);
  in->dtype = qn_dtype_find(dtype);
  in->rank = 2, in->dims[0] = rows, in->dims[1] = columns;
  uint64_t size = read_hex(line + at, bytes, sizeof bytes), count = (uint64_t)(rows * columns);
  cr_assert_eq(size, count * qn_element_size(in->dtype));
  in->values = filled(count * sizeof(double));
  qn_elements_load(in->dtype, bytes, count, in->values);
}

static uint64_t read_numbers(const char *line, double *out) {
  uint64_t count = 0;
  for (char *end; *line; line = end, count++) {
    cr_assert(count < TENSOR_MAX);
    out[count] = strtod(line, &end);
    if (end == line) break;
  }
  return count;
}

// Bytes of a result in the packed form, 4-bit codes two a byte. NaN has one code here; producers keep its sign,
// too.
static void compare(const golden *g, const char *what, qn_dtype dtype, const uint8_t *found, uint64_t count,
                    const uint8_t *expected, uint64_t size) {
  uint8_t packed[4 * TENSOR_MAX];
  cr_assert_eq(qn_dtype_bytes(dtype, count), size, "%s: %s of %llu bytes, not %llu", g->name, what,
               (unsigned long long)size, (unsigned long long)qn_dtype_bytes(dtype, count));
  qn_elements_pack(dtype, found, count, packed);
  uint64_t different = 0, first = 0;
  for (uint64_t i = 0; i < size; i++) {
    bool same = packed[i] == expected[i] || (dtype == QN_E4M3 && packed[i] == 0x7F && expected[i] == 0xFF) ||
                (dtype == QN_E5M2 && packed[i] == 0x7F && (expected[i] & 0x7F) > 0x7C);
    if (!same && different++ == 0) first = i;
  }
  cr_expect_eq(different, 0, "%s under %s: %llu of %llu bytes of %s differ, byte %llu is %02x, not %02x",
               g->name, g->scheme, (unsigned long long)different, (unsigned long long)size, what,
               (unsigned long long)first, packed[first], expected[first]);
}

static void check_golden(golden *g) {
  quantization q = { .scheme = g->scheme, .rank = g->of->rank, .x = g->of->values };
  memcpy(q.dims, g->of->dims, sizeof g->of->dims);
  if (g->scale_count) q.scale = (qn_numbers){ g->scale, g->scale_count };
  if (g->zero_point_count) q.zero_point = (qn_numbers){ g->zero_point, g->zero_point_count };
  quantize(&q);
  cr_expect_eq(q.status, QN_OK, "%s: %s", g->name, q.message);
  if (q.status == QN_OK) {
    compare(g, "codes", (qn_dtype)q.parsed.target, q.codes, q.count, g->codes, g->code_bytes);
    if (q.parsed.dynamic)
      compare(g, "scales", (qn_dtype)q.parsed.scale_dtype, q.scales, q.buffer.count, g->scales, g->scale_bytes);
    if (q.parsed.dynamic && q.parsed.zero_point)
      compare(g, "zero points", qn_scheme_get_zero_point(&q.parsed), q.zero_points, q.buffer.count,
              g->zero_points, g->zero_point_bytes);
  }
  release(&q);
}

// Checks the cases of one producer and returns their number.
static int check_producer(const char *producer) {
  static golden g;
  static char line[0x10000];
  input inputs[INPUTS_MAX];
  int input_count = 0, cases = 0;
  bool ours = false;
  FILE *file = fopen(QN_TEST_PRODUCERS, "r");
  cr_assert(file, "%s: %s", QN_TEST_PRODUCERS, strerror(errno));
  while (fgets(line, sizeof line, file)) {
    char word[16];
    int at;
    line[strcspn(line, "\n")] = '\0';
    if (*line == '#' || sscanf(line, "%15s %n", word, &at) != 1) continue;
    const char *rest = line + at;
    if (strcmp(word, "input") == 0) {
      cr_assert(input_count < INPUTS_MAX);
      read_input(rest, &inputs[input_count++]);
    } else if (strcmp(word, "case") == 0) {
      if (ours) check_golden(&g);
      ours = strncmp(rest, producer, strlen(producer)) == 0 && rest[strlen(producer)] == ',';
      cases += ours;
      memset(&g, 0, sizeof g);
      snprintf(g.name, sizeof g.name, "%s", rest);
    } else if (strcmp(word, "scheme") == 0) {
      snprintf(g.scheme, sizeof g.scheme, "%s", rest);
    } else if (strcmp(word, "of") == 0) {
      for (int i = 0; i < input_count; i++)
        if (strcmp(inputs[i].name, rest) == 0) g.of = &inputs[i];
      cr_assert(g.of, "%s", rest);
    } else if (strcmp(word, "operand") == 0) {
      bool scale = strncmp(rest, "scale ", 6) == 0;
      uint64_t count = read_numbers(strchr(rest, ' '), scale ? g.scale : g.zero_point);
      *(scale ? &g.scale_count : &g.zero_point_count) = count;
    } else if (strcmp(word, "codes") == 0) {
      g.code_bytes = read_hex(rest, g.codes, sizeof g.codes);
    } else if (strcmp(word, "scales") == 0) {
      g.scale_bytes = read_hex(rest, g.scales, sizeof g.scales);
    } else if (strcmp(word, "zero_points") == 0) {
      g.zero_point_bytes = read_hex(rest, g.zero_points, sizeof g.zero_points);
    } else {
      cr_assert(false, "%s", word);
    }
  }
  if (ours) check_golden(&g);
  fclose(file);
  for (int i = 0; i < input_count; i++) free(inputs[i].values);
  return cases;
}

// As many cases as producers.py has, so that an empty file does not pass.
Test(producers, compressed_tensors) {
  cr_assert_eq(check_producer("compressed-tensors"), 45);
}
Test(producers, modelopt) {
  cr_assert_eq(check_producer("ModelOpt"), 21);
}
Test(producers, torchao) {
  cr_assert_eq(check_producer("torchao"), 88);
}
Test(producers, pytorch) {
  cr_assert_eq(check_producer("PyTorch"), 15);
}
