// Reads a cubin: a 64-bit little-endian ELF file whose `.nv.info` section tells what each function uses.
//
// The layout of `.nv.info` is not published; these records are stable since CUDA 5 and are what `cuobjdump`
// shows: u8 format, u8 attribute, then by format: none, u8 or u16 in the same word, or u16 size and that many
// bytes.
#include "runtime/cubin_priv.h"

#include <elf.h>
#include <string.h>

enum { MACHINE_CUDA = 190, FORMAT_SIZED = 4, ATTRIBUTE_FRAME_SIZE = 0x11, ATTRIBUTE_REGISTERS = 0x2f };

typedef struct image {
  const uint8_t *bytes;
  size_t length;
  Elf64_Ehdr head;
} image;

static bool inside(const image *elf, uint64_t offset, uint64_t size) {
  return offset <= elf->length && size <= elf->length - offset;
}

static bool section_at(const image *elf, uint32_t index, Elf64_Shdr *out) {
  if (index >= elf->head.e_shnum) return false;
  uint64_t offset = elf->head.e_shoff + (uint64_t)index * sizeof(*out); // e_shoff was checked
  if (!inside(elf, offset, sizeof(*out))) return false;
  memcpy(out, elf->bytes + offset, sizeof(*out));
  return out->sh_type == SHT_NOBITS || inside(elf, out->sh_offset, out->sh_size);
}

// Whether the string at `offset` of a string section is `text`.
static bool string_is(const image *elf, uint32_t strings, uint32_t offset, const char *text) {
  Elf64_Shdr section;
  size_t size = strlen(text) + 1;
  if (!section_at(elf, strings, &section) || section.sh_type != SHT_STRTAB) return false;
  return offset <= section.sh_size && size <= section.sh_size - offset &&
         memcmp(elf->bytes + section.sh_offset + offset, text, size) == 0;
}

// The index of the function symbol `entry` in the symbol table, and its size.
static bool find_function(const image *elf, const char *entry, uint32_t *out_index, uint64_t *out_size) {
  Elf64_Shdr table;
  for (uint32_t i = 0; i < elf->head.e_shnum; i++) {
    if (!section_at(elf, i, &table) || table.sh_type != SHT_SYMTAB) continue;
    for (uint64_t at = 0, index = 0; table.sh_size - at >= sizeof(Elf64_Sym);
         at += sizeof(Elf64_Sym), index++) {
      Elf64_Sym symbol;
      memcpy(&symbol, elf->bytes + table.sh_offset + at, sizeof(symbol));
      if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC) continue;
      if (!string_is(elf, table.sh_link, symbol.st_name, entry)) continue;
      *out_index = (uint32_t)index;
      *out_size = symbol.st_size;
      return true;
    }
  }
  return false;
}

// Takes the records of one `.nv.info` section that speak of a symbol.
static void read_records(const uint8_t *bytes, uint64_t length, uint32_t symbol, qn_cubin_info *info,
                         bool *has_registers) {
  for (uint64_t at = 0; length - at >= 4;) {
    uint8_t format = bytes[at], attribute = bytes[at + 1];
    uint16_t size;
    memcpy(&size, bytes + at + 2, sizeof(size));
    at += 4;
    if (format != FORMAT_SIZED) continue;
    if (size > length - at) return;
    uint32_t pair[2];
    if (size == sizeof(pair)) {
      memcpy(pair, bytes + at, sizeof(pair));
      if (pair[0] == symbol && attribute == ATTRIBUTE_REGISTERS) {
        info->registers = pair[1];
        *has_registers = true;
      }
      if (pair[0] == symbol && attribute == ATTRIBUTE_FRAME_SIZE) info->frame_bytes = pair[1];
    }
    at += size;
  }
}

bool qn_cubin_read(const void *bytes, size_t length, const char *entry, qn_cubin_info *out_info) {
  image elf = { .bytes = bytes, .length = length };
  if (length < sizeof(elf.head)) return false;
  memcpy(&elf.head, bytes, sizeof(elf.head));
  const unsigned char *ident = elf.head.e_ident;
  if (memcmp(ident, ELFMAG, SELFMAG) != 0 || ident[EI_CLASS] != ELFCLASS64 || ident[EI_DATA] != ELFDATA2LSB)
    return false;
  if (elf.head.e_machine != MACHINE_CUDA || elf.head.e_shentsize != sizeof(Elf64_Shdr)) return false;
  if (!inside(&elf, elf.head.e_shoff, (uint64_t)elf.head.e_shnum * sizeof(Elf64_Shdr))) return false;

  uint32_t symbol;
  uint64_t code_bytes;
  if (!find_function(&elf, entry, &symbol, &code_bytes) || code_bytes > length) return false;
  qn_cubin_info info = { .code_bytes = (uint32_t)code_bytes };
  bool has_registers = false;
  for (uint32_t i = 0; i < elf.head.e_shnum; i++) {
    Elf64_Shdr section;
    if (!section_at(&elf, i, &section) || section.sh_type == SHT_NOBITS) continue;
    if (!string_is(&elf, elf.head.e_shstrndx, section.sh_name, ".nv.info")) continue;
    read_records(elf.bytes + section.sh_offset, section.sh_size, symbol, &info, &has_registers);
  }
  if (has_registers) *out_info = info;
  return has_registers;
}
