// Names of the PTX reader: scopes, registers of ranges, labels.
#include "runtime/emulator/ptx_read_priv.h"

static uint32_t *bucket_of(const qn_ptx_names *names, uint32_t h) {
  return &names->buckets[h & (names->bucket_count - 1)];
}

static const qn_ptx_name *find(const qn_ptx_names *names, const char *text, size_t length, uint32_t h,
                               uint32_t from) {
  for (uint32_t at = from; at != QN_PTX_NONE; at = names->names[at].next) {
    const qn_ptx_name *name = &names->names[at];
    if (name->hash == h && name->length == length && memcmp(name->text, text, length) == 0) return name;
  }
  return NULL;
}

// The innermost name at or behind `from` in its bucket that is a range, or that is none.
static const qn_ptx_name *find_kind(const qn_ptx_names *names, const char *text, size_t length, uint32_t h,
                                    bool range, uint32_t from) {
  const qn_ptx_name *name = find(names, text, length, h, from);
  while (name && (name->kind == QN_PTX_NAME_RANGE) != range) name = find(names, text, length, h, name->next);
  return name;
}

static const qn_ptx_name *find_first(const qn_ptx_names *names, const char *text, size_t length, uint32_t h,
                                     bool range) {
  return names->bucket_count ? find_kind(names, text, length, h, range, *bucket_of(names, h)) : NULL;
}

static qn_status grow_buckets(qn_ptx_reader *reader) {
  qn_ptx_names *names = &reader->names;
  uint32_t count = QN_MAX(names->bucket_count * 2, 1024u);
  uint32_t *buckets = qn_alloc(reader->context, count * sizeof *buckets);
  if (!buckets) return qn_fail_memory(reader->context);
  qn_free(reader->context, names->buckets, names->bucket_count * sizeof *buckets);
  names->buckets = buckets;
  names->bucket_count = count;
  memset(buckets, 0xFF, count * sizeof *buckets); // QN_PTX_NONE
  for (uint32_t i = 0; i < names->count; i++) {
    uint32_t *bucket = bucket_of(names, names->names[i].hash);
    names->names[i].next = *bucket;
    *bucket = i;
  }
  return QN_OK;
}

qn_status qn_ptx_name_add(qn_ptx_reader *reader, const qn_ptx_lexeme *token, qn_ptx_name_kind kind,
                          uint32_t index) {
  qn_ptx_names *names = &reader->names;
  if (names->count >= names->bucket_count) QN_TRY(grow_buckets(reader));
  QN_TRY(QN_RESERVE(reader->context, names->names, names->capacity, (uint64_t)names->count + 1));
  bool range = kind == QN_PTX_NAME_RANGE;
  uint32_t h = qn_ptx_hash(token->text, token->length);
  const qn_ptx_name *old = find_first(names, token->text, token->length, h, range);
  if (old && old->depth == reader->depth)
    return qn_ptx_fail(reader, token, QN_INVALID, "the scope has a '%.*s' already", (int)token->length,
                       token->text);
  char last = token->text[token->length - 1];
  if (range && last >= '0' && last <= '9') names->digits_before_range = true;
  uint32_t *bucket = bucket_of(names, h);
  names->names[names->count] = (qn_ptx_name){ .text = token->text,
                                              .length = (uint32_t)token->length,
                                              .hash = h,
                                              .kind = kind,
                                              .depth = reader->depth,
                                              .index = index,
                                              .next = *bucket };
  *bucket = names->count++;
  return QN_OK;
}

const qn_ptx_name *qn_ptx_name_find(const qn_ptx_reader *reader, const qn_ptx_lexeme *token) {
  uint32_t h = qn_ptx_hash(token->text, token->length);
  return find_first(&reader->names, token->text, token->length, h, false);
}

// --- registers -----------------------------------------------------------------------------------------------

// The innermost range that has register `number` of a prefix.
static const qn_ptx_name *find_range(const qn_ptx_reader *reader, const char *text, size_t prefix, uint32_t h,
                                     uint64_t number) {
  const qn_ptx_names *names = &reader->names;
  const qn_ptx_name *range = find_first(names, text, prefix, h, true);
  while (range && number >= reader->groups[range->index].count)
    range = find_kind(names, text, prefix, h, true, range->next);
  return range;
}

bool qn_ptx_name_find_register(const qn_ptx_reader *reader, const qn_ptx_lexeme *token,
                               qn_ptx_operand *out_operand) {
  const qn_ptx_name *best = qn_ptx_name_find(reader, token);
  uint64_t index = 0;
  // "%r12" may be number 12 of "%r" or, though hardly ever, number 2 of "%r1". Numbers have no leading zeros.
  const char *text = token->text;
  size_t digits = 0;
  while (digits < token->length && text[token->length - 1 - digits] >= '0' &&
         text[token->length - 1 - digits] <= '9')
    digits++;
  uint64_t number = 0, power = 1;
  for (size_t n = 1; n <= digits && n <= 7; n++, power *= 10) {
    size_t prefix = token->length - n;
    number += power * (uint64_t)(text[prefix] - '0');
    if ((n < digits && !reader->names.digits_before_range) || (text[prefix] == '0' && n > 1)) continue;
    uint32_t h = qn_ptx_hash(text, prefix);
    const qn_ptx_name *range = find_range(reader, text, prefix, h, number);
    if (!range || (best && best > range)) continue; // newer names are further in
    best = range;
    index = number;
  }
  if (!best || (best->kind != QN_PTX_NAME_REGISTER && best->kind != QN_PTX_NAME_RANGE)) return false;
  const qn_ptx_register_group *group = &reader->groups[best->index];
  uint32_t bits = qn_ptx_bits(group->type);
  *out_operand = (qn_ptx_operand){ .kind = QN_PTX_REGISTER,
                                   .type = group->type,
                                   .reg = group->first + (uint32_t)index,
                                   .column = group->column + (uint32_t)index * qn_ptx_column_words(bits),
                                   .symbol = QN_PTX_NONE };
  return true;
}

// --- scopes and labels ----------------------------------------------------------------------------------

qn_status qn_ptx_scope_open(qn_ptx_reader *reader, const qn_ptx_lexeme *token) {
  if (reader->depth == QN_PTX_DEPTH_MAX)
    return qn_ptx_fail(reader, token, QN_LIMIT, "scopes nest more than %d deep", QN_PTX_DEPTH_MAX);
  reader->scopes[++reader->depth] = (qn_ptx_scope){ .first_name = reader->names.count,
                                                    .first_pending = reader->pending_count,
                                                    .frame_bytes = reader->frame_bytes };
  return QN_OK;
}

qn_status qn_ptx_label_use(qn_ptx_reader *reader, const qn_ptx_lexeme *label, qn_ptx_operand *operand) {
  QN_TRY(QN_RESERVE(reader->context, reader->pendings, reader->pending_capacity,
                    (uint64_t)reader->pending_count + 1));
  reader->pendings[reader->pending_count++] = (qn_ptx_pending){ operand, *label };
  return QN_OK;
}

// A label may stand below its uses, and an inner one shadows an outer one wherever it stands: so a use is
// settled when the innermost scope that has the label ends.
static qn_status settle_labels(qn_ptx_reader *reader, uint32_t first) {
  uint32_t kept = first;
  for (uint32_t i = first; i < reader->pending_count; i++) {
    qn_ptx_pending *pending = &reader->pendings[i];
    const qn_ptx_name *name = qn_ptx_name_find(reader, &pending->label);
    bool here = name && name->kind == QN_PTX_NAME_LABEL && name->depth == reader->depth;
    if (here)
      pending->operand->value = name->index;
    else if (reader->depth == 1)
      return qn_ptx_fail(reader, &pending->label, QN_INVALID, "there is no label '%.*s' here",
                         (int)pending->label.length, pending->label.text);
    else
      reader->pendings[kept++] = *pending;
  }
  reader->pending_count = kept;
  return QN_OK;
}

qn_status qn_ptx_scope_close(qn_ptx_reader *reader) {
  const qn_ptx_scope *scope = &reader->scopes[reader->depth];
  QN_TRY(settle_labels(reader, scope->first_pending));
  qn_ptx_names *names = &reader->names;
  while (names->count > scope->first_name) {
    const qn_ptx_name *name = &names->names[--names->count];
    *bucket_of(names, name->hash) = name->next;
  }
  reader->frame_bytes = scope->frame_bytes;
  reader->depth--;
  return QN_OK;
}
