// .npy files, format 1.0 to 3.0: a magic number, a Python dict as text, the bytes of the array.
#include "ir/base_priv.h"

#include <quench/reference.h>

#include <errno.h>
#include <stdio.h>

struct qn_npy {
  qn_context *context;
  char *file; // the tensor's data points into it
  size_t file_size;
  qn_tensor tensor;
};

// clang-format off
// The type strings behind the byte order mark, and the element type that each stands for by itself.
static const struct { const char *descr; qn_dtype dtype; } types[] = {
  { "b1", QN_BOOL }, { "i1", QN_S8 },  { "u1", QN_U8 },  { "i2", QN_S16 }, { "u2", QN_U16 }, { "i4", QN_S32 },
  { "u4", QN_U32 },  { "i8", QN_S64 }, { "u8", QN_U64 }, { "f2", QN_F16 }, { "f4", QN_F32 }, { "f8", QN_F64 },
  { "V1", QN_ANY },  { "V2", QN_ANY }, // ml_dtypes writes its types so
};
// clang-format on

// --- the header --------------------------------------------------------------------------------------------

typedef struct {
  qn_context *context;
  const char *place;
  const char *at, *end;
} reader;

static qn_status fail(const reader *r, const char *what) {
  return qn_fail(r->context, QN_INVALID, r->place, "%s", what);
}

static void skip_spaces(reader *r) {
  while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t')) r->at++;
}

static bool take(reader *r, const char *text) {
  size_t length = strlen(text);
  skip_spaces(r);
  if ((size_t)(r->end - r->at) < length || memcmp(r->at, text, length) != 0) return false;
  r->at += length;
  return true;
}

// A quoted word of at most 15 characters.
static bool take_word(reader *r, char out_word[16]) {
  size_t length = 0;
  skip_spaces(r);
  if (r->at == r->end || (*r->at != '\'' && *r->at != '"')) return false;
  char quote = *r->at++;
  for (; r->at < r->end && *r->at != quote; r->at++) {
    if (length == 15) return false;
    out_word[length++] = *r->at;
  }
  out_word[length] = 0;
  return r->at++ < r->end;
}

static qn_status read_shape(reader *r, qn_tensor *tensor) {
  if (!take(r, "(")) return fail(r, "the shape is not a tuple");
  while (!take(r, ")")) {
    int64_t dim = 0;
    bool digits = false;
    skip_spaces(r);
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++, digits = true)
      if (__builtin_mul_overflow(dim, 10, &dim) || __builtin_add_overflow(dim, *r->at - '0', &dim))
        return fail(r, "a dim does not fit 64 bits");
    if (!digits) return fail(r, "the shape is not a tuple of integers");
    if (tensor->rank == QN_RANK_MAX)
      return qn_fail(r->context, QN_UNSUPPORTED, r->place, "an array of more than %d dims", QN_RANK_MAX);
    tensor->dims[tensor->rank++] = dim;
    if (take(r, ",")) continue;
    if (take(r, ")")) return QN_OK;
    return fail(r, "the shape is not a tuple of integers");
  }
  return QN_OK;
}

static qn_status read_type(reader *r, const char *descr, qn_dtype wanted, qn_tensor *tensor) {
  if (descr[0] == '>') return qn_fail(r->context, QN_UNSUPPORTED, r->place, "big-endian elements (%s)", descr);
  const char *bare = descr + (descr[0] == '<' || descr[0] == '|' || descr[0] == '=');
  for (size_t i = 0; i < QN_COUNT(types); i++) {
    if (strcmp(bare, types[i].descr) != 0) continue;
    uint32_t bits = 8 * (uint32_t)(bare[1] - '0');
    if (wanted != QN_ANY && qn_dtype_bits(wanted) != bits)
      return qn_fail(r->context, QN_INVALID, r->place, "elements of type %s cannot be %s", descr,
                     qn_dtype_name(wanted));
    tensor->dtype = wanted != QN_ANY ? wanted : types[i].dtype;
    if (tensor->dtype == QN_ANY)
      return qn_fail(r->context, QN_UNSUPPORTED, r->place, "elements of type %s need their type said", descr);
    return QN_OK;
  }
  return qn_fail(r->context, QN_UNSUPPORTED, r->place, "elements of type '%s'", descr);
}

static qn_status read_dict(reader *r, qn_dtype wanted, qn_tensor *tensor) {
  enum { DESCR = 1, ORDER = 2, SHAPE = 4 };
  unsigned seen = 0;
  if (!take(r, "{")) return fail(r, "the header is not a dict");
  while (!take(r, "}")) {
    char key[16], descr[16];
    unsigned field;
    if (!take_word(r, key) || !take(r, ":")) return fail(r, "the header is not a dict with quoted keys");
    field = strcmp(key, "descr") == 0           ? DESCR
            : strcmp(key, "fortran_order") == 0 ? ORDER
            : strcmp(key, "shape") == 0         ? SHAPE
                                                : 0;
    if (field == 0 || (seen & field)) return fail(r, "the header has a key that is unknown or given twice");
    seen |= field;
    if (field == DESCR) {
      if (!take_word(r, descr)) return fail(r, "the element type is not a word");
      QN_TRY(read_type(r, descr, wanted, tensor));
    } else if (field == ORDER) {
      if (take(r, "True")) return qn_fail(r->context, QN_UNSUPPORTED, r->place, "an array in Fortran order");
      if (!take(r, "False")) return fail(r, "fortran_order is neither True nor False");
    } else {
      QN_TRY(read_shape(r, tensor));
    }
    if (!take(r, ",") && !(r->at < r->end && *r->at == '}')) return fail(r, "the header is not a dict");
  }
  if (seen != (DESCR | ORDER | SHAPE)) return fail(r, "the header lacks descr, fortran_order or shape");
  return QN_OK;
}

static qn_status parse(qn_npy *npy, const char *place, qn_dtype wanted) {
  const unsigned char *bytes = (const unsigned char *)npy->file;
  reader r = { npy->context, place, npy->file, npy->file + npy->file_size };
  qn_tensor *tensor = &npy->tensor;
  uint64_t count = 1;
  if (npy->file_size < 10 || memcmp(bytes, "\x93NUMPY", 6) != 0) return fail(&r, "not an .npy file");
  bool longer = bytes[6] >= 2;
  if (bytes[6] < 1 || bytes[6] > 3)
    return qn_fail(npy->context, QN_UNSUPPORTED, place, ".npy format %u.%u", bytes[6], bytes[7]);
  if (longer && npy->file_size < 12) return fail(&r, "the file ends inside of the header");
  size_t length = bytes[8] | (size_t)bytes[9] << 8, start = longer ? 12 : 10;
  if (longer) length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
  if (length > npy->file_size - start) return fail(&r, "the file ends inside of the header");
  r.at = npy->file + start;
  r.end = r.at + length;
  QN_TRY(read_dict(&r, wanted, tensor));
  for (int32_t d = 0; d < tensor->rank; d++)
    if (__builtin_mul_overflow(count, (uint64_t)tensor->dims[d], &count))
      return fail(&r, "the shape has more than 2^64 elements");
  tensor->bytes = qn_dtype_bytes(tensor->dtype, count);
  if (tensor->bytes != npy->file_size - start - length)
    return qn_fail(npy->context, QN_INVALID, place, "the shape takes %llu bytes, the file holds %llu",
                   (unsigned long long)tensor->bytes, (unsigned long long)(npy->file_size - start - length));
  tensor->data = r.end;
  return QN_OK;
}

qn_status qn_npy_read_file(qn_context *context, const char *path, qn_dtype dtype, qn_npy **out_npy) {
  qn_npy *npy = qn_alloc_zero(context, sizeof(*npy));
  if (!npy) return qn_fail_memory(context);
  npy->context = context;
  qn_status status = qn_read_file(context, path, &npy->file, &npy->file_size);
  if (status == QN_OK) status = parse(npy, path, dtype);
  if (status != QN_OK)
    qn_npy_destroy(npy);
  else
    *out_npy = npy;
  return status;
}

const qn_tensor *qn_npy_get_tensor(const qn_npy *npy) {
  return &npy->tensor;
}

void qn_npy_destroy(qn_npy *npy) {
  if (!npy) return;
  if (npy->file) qn_free(npy->context, npy->file, npy->file_size + 1);
  qn_free(npy->context, npy, sizeof(*npy));
}

// --- writing -----------------------------------------------------------------------------------------------

// The own type string, or the unsigned integer of the same width.
static const char *descr_of(qn_dtype dtype) {
  for (size_t i = 0; i < QN_COUNT(types); i++)
    if (types[i].dtype == dtype && dtype != QN_ANY) return types[i].descr;
  return qn_dtype_bits(dtype) == 8 ? "u1" : qn_dtype_bits(dtype) == 16 ? "u2" : NULL;
}

qn_status qn_npy_write_file(qn_context *context, const char *path, const qn_tensor *tensor) {
  const char *descr = descr_of(tensor->dtype);
  qn_buf header = QN_BUF(context);
  if (!descr)
    return qn_fail(context, QN_UNSUPPORTED, path, "elements of type %s in an .npy file",
                   qn_dtype_name(tensor->dtype));
  if (!tensor->data && tensor->bytes > 0)
    return qn_fail(context, QN_INVALID, path, "a tensor without its bytes");
  qn_buf_printf(&header, "{'descr': '%s%s', 'fortran_order': False, 'shape': (", descr[1] == '1' ? "|" : "<",
                descr);
  for (int32_t d = 0; d < tensor->rank; d++)
    qn_buf_printf(&header, "%s%lld%s", d ? " " : "", (long long)tensor->dims[d],
                  d + 1 < tensor->rank || d == 0 ? "," : "");
  qn_buf_printf(&header, "), }");
  while ((10 + header.length + 1) % 64 != 0)
    qn_buf_append(&header, " ", 1); // the data start at a multiple of 64
  qn_buf_append(&header, "\n", 1);
  if (header.status != QN_OK) {
    qn_buf_free(&header);
    return header.status;
  }
  FILE *file = fopen(path, "wb");
  bool written = file != NULL;
  unsigned char front[10] = {
    0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)header.length, (unsigned char)(header.length >> 8)
  };
  if (written) {
    written = fwrite(front, 1, sizeof(front), file) == sizeof(front) &&
              fwrite(header.text, 1, header.length, file) == header.length &&
              (tensor->bytes == 0 || fwrite(tensor->data, 1, (size_t)tensor->bytes, file) == tensor->bytes);
    written = fclose(file) == 0 && written;
  }
  int error = errno;
  qn_buf_free(&header);
  if (written) return QN_OK;
  if (file) remove(path);
  return qn_fail(context, QN_IO, path, "cannot be written: %s", strerror(error));
}
