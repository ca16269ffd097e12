// A walk over the bytes of a model before they are decoded: structure, nesting and duplicates are checked
// without allocating anything, so that the decoder, which recurses and merges, never sees a hostile file.
#include "formats/onnx/onnx_priv.h"

// Google's own readers stop at 100 nested messages. protobuf-c takes about 1.2 KiB of stack for each.
enum { DEPTH_MAX = 100 };

typedef struct frame {
  const ProtobufCMessageDescriptor *message;
  size_t end;
  uint64_t seen; // fields of message type that may occur once, by index in the descriptor
} frame;

typedef struct scanner {
  qn_context *context;
  const char *place;
  const uint8_t *data;
  size_t at;
  frame stack[DEPTH_MAX];
  uint32_t depth;
} scanner;

static const char *message_name(const scanner *s) {
  return s->stack[s->depth].message->short_name;
}

static qn_status truncated(scanner *s) {
  return qn_fail(s->context, QN_INVALID, s->place, "the protobuf ends in the middle of a %s, at byte %zu",
                 message_name(s), s->stack[s->depth].end);
}

static qn_status read_varint(scanner *s, uint64_t *out_value) {
  size_t end = s->stack[s->depth].end;
  uint64_t value = 0;
  if (s->at < end && s->data[s->at] < 0x80) { // nearly every tag and length
    *out_value = s->data[s->at++];
    return QN_OK;
  }
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (s->at == end) return truncated(s);
    uint8_t byte = s->data[s->at++];
    if (shift < 64) value |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) {
      *out_value = value;
      return QN_OK;
    }
  }
  return qn_fail(s->context, QN_INVALID, s->place, "a number of more than ten bytes in a %s, at byte %zu",
                 message_name(s), s->at);
}

// The wire type that a field has when it is not packed.
static ProtobufCWireType wire_of(ProtobufCType type) {
  switch (type) {
  case PROTOBUF_C_TYPE_FLOAT:
  case PROTOBUF_C_TYPE_FIXED32:
  case PROTOBUF_C_TYPE_SFIXED32: return PROTOBUF_C_WIRE_TYPE_32BIT;
  case PROTOBUF_C_TYPE_DOUBLE:
  case PROTOBUF_C_TYPE_FIXED64:
  case PROTOBUF_C_TYPE_SFIXED64: return PROTOBUF_C_WIRE_TYPE_64BIT;
  case PROTOBUF_C_TYPE_STRING:
  case PROTOBUF_C_TYPE_BYTES:
  case PROTOBUF_C_TYPE_MESSAGE: return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
  default: return PROTOBUF_C_WIRE_TYPE_VARINT;
  }
}

static qn_status enter(scanner *s, const ProtobufCFieldDescriptor *field, size_t end) {
  frame *top = &s->stack[s->depth];
  if (field->label != PROTOBUF_C_LABEL_REPEATED) {
    uint64_t bit = 1ull << (field - top->message->fields);
    if (top->seen & bit)
      return qn_fail(s->context, QN_INVALID, s->place, "field '%s' occurs twice in a %s, at byte %zu",
                     field->name, message_name(s), s->at);
    top->seen |= bit;
  }
  if (s->depth + 1 == DEPTH_MAX)
    return qn_fail(s->context, QN_LIMIT, s->place, "messages are nested deeper than %d, at byte %zu", DEPTH_MAX,
                   s->at);
  s->stack[++s->depth] = (frame){ .message = field->descriptor, .end = end };
  return QN_OK;
}

static qn_status scan_field(scanner *s) {
  uint64_t tag = 0, length = 0;
  QN_TRY(read_varint(s, &tag));
  uint64_t number = tag >> 3;
  ProtobufCWireType wire = (ProtobufCWireType)(tag & 7);
  if (number == 0 || number > 0x1fffffff)
    return qn_fail(s->context, QN_INVALID, s->place, "a %s has a field of number %llu, at byte %zu",
                   message_name(s), (unsigned long long)number, s->at);
  const ProtobufCFieldDescriptor *field =
      protobuf_c_message_descriptor_get_field(s->stack[s->depth].message, (unsigned)number);
  if (field && wire != wire_of(field->type)) {
    bool packed = field->label == PROTOBUF_C_LABEL_REPEATED && wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    if (!packed)
      return qn_fail(s->context, QN_INVALID, s->place,
                     "field '%s' of a %s has wire type %d where %d is due, at byte %zu", field->name,
                     message_name(s), (int)wire, (int)wire_of(field->type), s->at);
  }
  size_t left = s->stack[s->depth].end - s->at;
  switch ((int)wire) {
  case PROTOBUF_C_WIRE_TYPE_VARINT: return read_varint(s, &length);
  case PROTOBUF_C_WIRE_TYPE_64BIT: length = 8; break;
  case PROTOBUF_C_WIRE_TYPE_32BIT: length = 4; break;
  case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
    QN_TRY(read_varint(s, &length));
    left = s->stack[s->depth].end - s->at;
    break;
  default:
    return qn_fail(s->context, QN_INVALID, s->place, "a %s has a field of wire type %d, at byte %zu",
                   message_name(s), (int)wire, s->at);
  }
  if (length > left)
    return qn_fail(s->context, QN_INVALID, s->place,
                   "field %llu of a %s needs %llu bytes and %zu are left, at byte %zu",
                   (unsigned long long)number, message_name(s), (unsigned long long)length, left, s->at);
  if (field && field->type == PROTOBUF_C_TYPE_MESSAGE) return enter(s, field, s->at + (size_t)length);
  // The decoded form of a string ends at its first zero byte; what follows would be lost on the way back.
  if (field && field->type == PROTOBUF_C_TYPE_STRING && length && memchr(s->data + s->at, 0, (size_t)length))
    return qn_fail(s->context, QN_INVALID, s->place, "string '%s' of a %s holds a zero byte, at byte %zu",
                   field->name, message_name(s), s->at);
  s->at += (size_t)length;
  return QN_OK;
}

qn_status qn_onnx_scan(qn_context *context, const char *place, const void *data, size_t length) {
  scanner s = { .context = context, .place = place, .data = data };
  s.stack[0] = (frame){ .message = &onnx__model_proto__descriptor, .end = length };
  for (;;) {
    while (s.at == s.stack[s.depth].end) {
      if (s.depth-- == 0) return QN_OK;
    }
    QN_TRY(scan_field(&s));
  }
}
