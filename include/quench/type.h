// Element types, symbolic dimensions and tensor types.
#ifndef QUENCH_TYPE_H
#define QUENCH_TYPE_H

#include <quench/base.h>

#ifdef __cplusplus
extern "C" {
#endif

// clang-format off
//            name      text    bits  kind        what it is
#define QN_DTYPE_MAP(X)                                                                          \
  X(ANY,      "?",      0,  OTHER,    "not known (an operation that Quench does not read)")      \
  X(BOOL,     "bool",   8,  BOOL,     "0 or 1 in a byte")                                        \
  X(S4,       "s4",     4,  SIGNED,   "two to a byte, the first in the low nibble")              \
  X(U4,       "u4",     4,  UNSIGNED, "two to a byte, the first in the low nibble")              \
  X(S8,       "s8",     8,  SIGNED,   "")                                                        \
  X(U8,       "u8",     8,  UNSIGNED, "")                                                        \
  X(S16,      "s16",    16, SIGNED,   "")                                                        \
  X(U16,      "u16",    16, UNSIGNED, "")                                                        \
  X(S32,      "s32",    32, SIGNED,   "")                                                        \
  X(U32,      "u32",    32, UNSIGNED, "")                                                        \
  X(S64,      "s64",    64, SIGNED,   "")                                                        \
  X(U64,      "u64",    64, UNSIGNED, "")                                                        \
  X(F16,      "f16",    16, FLOAT,    "IEEE binary16")                                           \
  X(BF16,     "bf16",   16, FLOAT,    "upper half of binary32")                                  \
  X(F32,      "f32",    32, FLOAT,    "IEEE binary32")                                           \
  X(F64,      "f64",    64, FLOAT,    "IEEE binary64")                                           \
  X(E4M3,     "e4m3",   8,  FLOAT,    "OCP FP8 E4M3 (\"fn\": no infinity, largest 448)")          \
  X(E5M2,     "e5m2",   8,  FLOAT,    "OCP FP8 E5M2 (infinities, largest 57344)")                \
  X(E4M3FNUZ, "e4m3fnuz", 8, FLOAT,   "FP8 E4M3 without infinity and negative zero, largest 240") \
  X(E5M2FNUZ, "e5m2fnuz", 8, FLOAT,   "FP8 E5M2 without infinity and negative zero, largest 57344") \
  X(E2M1,     "e2m1",   4,  FLOAT,    "OCP FP4, largest 6; two to a byte, the first in the low nibble") \
  X(E8M0,     "e8m0",   8,  FLOAT,    "a power of two, 2^(code-127); 255 is NaN")                \
  X(STRING,   "string", 0,  OTHER,    "text; carried through graphs, never computed with")
// clang-format on

typedef enum qn_dtype {
#define X(name, text, bits, kind, doc) QN_##name,
  QN_DTYPE_MAP(X)
#undef X
      QN_DTYPE_COUNT
} qn_dtype;

// The text above; a static string.
QN_API const char *qn_dtype_name(qn_dtype dtype);
// QN_DTYPE_COUNT if no type has that name.
QN_API qn_dtype qn_dtype_find(const char *name);
// Bits of one element: 4 for packed types, 0 for ANY and STRING.
QN_API uint32_t qn_dtype_bits(qn_dtype dtype);
// Whether the type is one of the FLOAT / SIGNED or UNSIGNED rows.
QN_API bool qn_dtype_is_float(qn_dtype dtype);
QN_API bool qn_dtype_is_integer(qn_dtype dtype);
// Bytes of `count` elements, the last byte of a packed type rounded up. Saturates at UINT64_MAX.
QN_API uint64_t qn_dtype_bytes(qn_dtype dtype, uint64_t count);

// A dimension: a constant, or an expression over symbols with + * ceil_div, interned in its graph in one
// canonical form, so that two dimensions of one graph are equal exactly if the handles are.
// Constants below 2^31 are their own handle.
typedef uint32_t qn_dim;
#define QN_DIM_CONST_LIMIT 0x80000000u

enum { QN_RANK_MAX = 8, QN_RANK_UNKNOWN = -1 };

// A tensor type: element type, rank and dimensions, interned in its graph; 0 is "nothing known": `?`.
typedef uint32_t qn_type;

// What a `qn_type` stands for. `dims` lives as long as the graph.
typedef struct qn_type_info {
  qn_dtype dtype;
  int32_t rank;       // QN_RANK_UNKNOWN, or 0..8
  const qn_dim *dims; // rank of them; NULL if the rank is unknown or 0
} qn_type_info;

// A dense row-major tensor in host memory. Packed 4-bit types: the last byte may hold one element.
typedef struct qn_tensor {
  qn_dtype dtype;
  int32_t rank;
  int64_t dims[QN_RANK_MAX];
  const void *data; // NULL for an elided constant: the type is known, the bytes are elsewhere
  uint64_t bytes;
} qn_tensor;

#ifdef __cplusplus
}
#endif
#endif
