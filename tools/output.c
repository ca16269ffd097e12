// Files that appear under their name only when they are whole: written beside it, then renamed.
#include "tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool output_fail(const char *path, const char *doing) {
  char message[160];
  snprintf(message, sizeof message, "cannot %s: %s", doing, strerror(errno));
  tool_error(path, message, NULL);
  return false;
}

// A rename would replace a device or a pipe by a file, so those are written in place.
static bool is_special(const char *path) {
  struct stat about;
  return stat(path, &about) == 0 && !S_ISREG(about.st_mode);
}

static void output_free(tool_output *output) {
  free(output->path);
  free(output->temporary);
  *output = (tool_output){ 0 };
}

bool tool_output_open(tool_output *output, const char *path) {
  *output = (tool_output){ .file = stdout };
  if (!path || strcmp(path, "-") == 0) return true;
  output->path = strdup(path);
  if (output->path && !is_special(path)) {
    size_t size = strlen(path) + 32;
    output->temporary = malloc(size);
    if (output->temporary) snprintf(output->temporary, size, "%s.%ld.tmp", path, (long)getpid());
  }
  output->file = fopen(output->temporary ? output->temporary : path, "wb");
  if (output->path && output->file) return true;
  output_fail(path, "write");
  output_free(output);
  return false;
}

bool tool_output_close(tool_output *output, bool keep) {
  bool wrote = fflush(output->file) == 0 && !ferror(output->file);
  if (!wrote && keep) output_fail(output->path ? output->path : "<stdout>", "write");
  if (!output->path) return wrote;
  wrote = fclose(output->file) == 0 && wrote;
  if (output->temporary) {
    if (wrote && keep && rename(output->temporary, output->path) != 0)
      wrote = output_fail(output->path, "write");
    if (!wrote || !keep) unlink(output->temporary);
  }
  output_free(output);
  return wrote;
}

static qn_status write_file(void *user, const char *text, size_t length) {
  return fwrite(text, 1, length, user) == length ? QN_OK : QN_IO;
}

qn_writer tool_output_writer(tool_output *output) {
  return (qn_writer){ .write = write_file, .user = output->file };
}

int tool_with_output(tool *t, const char *path, int (*body)(tool *t, tool_output *output, void *user),
                     void *user) {
  tool_output output;
  if (!tool_output_open(&output, path)) return TOOL_BAD;
  int code = body(t, &output, user);
  if (!tool_output_close(&output, code != TOOL_BAD)) return TOOL_BAD;
  return code;
}
