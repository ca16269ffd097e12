// Built and run at build time: turns text files into C arrays, so that the library carries its device code.
//
//   embed OUTPUT.h FILE...      ->      static const char qn_text_<name>[] = { ... };
//
// <name> is the file's name up to its first dot. Bytes are written as numbers, because a string literal that
// long is outside of the C standard's limits.

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static int embed(FILE *out, const char *path) {
  const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
  FILE *in = fopen(path, "rb");
  int c, column = 0;

  if (in == NULL) {
    perror(path);
    return 1;
  }
  fprintf(out, "static const char qn_text_");
  for (; *name != '\0' && *name != '.'; name++) fputc(isalnum((unsigned char)*name) ? *name : '_', out);
  fprintf(out, "[] = {");
  while ((c = fgetc(in)) != EOF) fprintf(out, "%s%d,", column++ % 24 == 0 ? "\n" : "", c);
  fprintf(out, "\n0};\n");
  int failed = ferror(in);
  fclose(in);
  if (failed) fprintf(stderr, "%s: cannot be read\n", path);
  return failed;
}

int main(int argc, char **argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: embed OUTPUT FILE...\n");
    return 2;
  }
  FILE *out = fopen(argv[1], "wb");
  if (out == NULL) {
    perror(argv[1]);
    return 1;
  }
  int failed = 0;
  for (int i = 2; i < argc && !failed; i++) failed = embed(out, argv[i]);
  if (fclose(out) != 0) failed = 1;
  return failed;
}
