// Element types.
#include "ir/base_priv.h"

#include <quench/type.h>

enum { BOOL, SIGNED, UNSIGNED, FLOAT, OTHER };

static const struct {
  const char *name;
  uint8_t bits, kind;
} dtypes[] = {
#define X(name, text, bits, kind, doc) { text, bits, kind },
  QN_DTYPE_MAP(X)
#undef X
};

const char *qn_dtype_name(qn_dtype dtype) {
  return dtype < QN_DTYPE_COUNT ? dtypes[dtype].name : "?";
}

qn_dtype qn_dtype_find(const char *name) {
  for (int i = 0; i < QN_DTYPE_COUNT; i++)
    if (strcmp(dtypes[i].name, name) == 0) return (qn_dtype)i;
  return QN_DTYPE_COUNT;
}

uint32_t qn_dtype_bits(qn_dtype dtype) {
  return dtype < QN_DTYPE_COUNT ? dtypes[dtype].bits : 0;
}

bool qn_dtype_is_float(qn_dtype dtype) {
  return dtype < QN_DTYPE_COUNT && dtypes[dtype].kind == FLOAT;
}

bool qn_dtype_is_integer(qn_dtype dtype) {
  return dtype < QN_DTYPE_COUNT && (dtypes[dtype].kind == SIGNED || dtypes[dtype].kind == UNSIGNED);
}

uint64_t qn_dtype_bytes(qn_dtype dtype, uint64_t count) {
  uint64_t bits = qn_dtype_bits(dtype);
  if (bits < 8) return bits ? count / 2 + count % 2 : 0;
  uint64_t each = bits / 8;
  return count > UINT64_MAX / each ? UINT64_MAX : count * each;
}
