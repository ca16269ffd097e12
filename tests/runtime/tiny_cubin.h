// The smallest file that the cubin reader accepts, for tests and for the imitation of NVRTC.
#ifndef TESTS_RUNTIME_TINY_CUBIN_H
#define TESTS_RUNTIME_TINY_CUBIN_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { TINY_CUBIN_MAX = 2048 };

typedef struct tiny_record {
  uint8_t format, attribute;
  uint16_t size;
  uint32_t symbol, value;
} tiny_record;

// Writes it to `out` and returns its length. `entry` has at most 127 characters.
static inline size_t tiny_cubin(uint8_t out[TINY_CUBIN_MAX], const char *entry, uint32_t registers,
                                uint32_t frame) {
  static const char section_names[] = "\0.shstrtab\0.strtab\0.symtab\0.nv.info\0.text";
  enum { NULL_SECTION, SHSTRTAB, STRTAB, SYMTAB, NV_INFO, TEXT, SECTIONS };
  char strings[160] = { 0 };
  size_t strings_size = (size_t)snprintf(strings + 1, sizeof(strings) - 1, "%s", entry) + 2;
  const Elf64_Sym symbols[2] = {
    { 0 },
    { .st_name = 1, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), .st_shndx = TEXT, .st_size = 128 },
  };
  // A one-word record and one of another symbol stand before those that are looked for.
  const tiny_record records[] = {
    { 0x04, 0x2f, 8, 0, 99 },
    { 0x04, 0x2f, 8, 1, registers },
    { 0x04, 0x11, 8, 1, frame },
  };
  const uint32_t word_record = 0x00010103;
  uint8_t code[128] = { 0 };

  memset(out, 0, TINY_CUBIN_MAX);
  size_t at = sizeof(Elf64_Ehdr);
  Elf64_Shdr sections[SECTIONS] = { 0 };
#define PUT(index, name_offset, kind, link, bytes, count)                                                      \
  do {                                                                                                         \
    at = (at + 7) & ~(size_t)7;                                                                                \
    memcpy(out + at, (bytes), (count));                                                                        \
    sections[index] = (Elf64_Shdr){                                                                            \
      .sh_name = (name_offset), .sh_type = (kind), .sh_link = (link), .sh_offset = at, .sh_size = (count)      \
    };                                                                                                         \
    at += (count);                                                                                             \
  } while (0)
  PUT(SHSTRTAB, 1, SHT_STRTAB, 0, section_names, sizeof(section_names));
  PUT(STRTAB, 11, SHT_STRTAB, 0, strings, strings_size);
  PUT(SYMTAB, 19, SHT_SYMTAB, STRTAB, symbols, sizeof(symbols));
  uint8_t info[sizeof(word_record) + sizeof(records)];
  memcpy(info, &word_record, sizeof(word_record));
  memcpy(info + sizeof(word_record), records, sizeof(records));
  PUT(NV_INFO, 27, SHT_LOPROC, SYMTAB, info, sizeof(info));
  PUT(TEXT, 36, SHT_PROGBITS, 0, code, sizeof(code));
#undef PUT
  at = (at + 7) & ~(size_t)7;
  Elf64_Ehdr head = { .e_type = ET_EXEC,
                      .e_machine = 190,
                      .e_version = 1,
                      .e_shoff = at,
                      .e_ehsize = sizeof(Elf64_Ehdr),
                      .e_shentsize = sizeof(Elf64_Shdr),
                      .e_shnum = SECTIONS,
                      .e_shstrndx = SHSTRTAB };
  memcpy(head.e_ident, ELFMAG, SELFMAG);
  head.e_ident[EI_CLASS] = ELFCLASS64;
  head.e_ident[EI_DATA] = ELFDATA2LSB;
  head.e_ident[EI_VERSION] = 1;
  memcpy(out, &head, sizeof(head));
  memcpy(out + at, sections, sizeof(sections));
  return at + sizeof(sections);
}

#endif
