#!/bin/sh
# Holds the house of docs/house.md: one TAP line a rule. QN_BLESS=1 rewrites the generated pages instead of comparing.
# Arguments: source folder, build folder, C compiler, C++ compiler or "", quench.
set -u
build=$2 cc=$3 cxx=$4 quench=$(realpath "$5")
cd "$1" && [ -x "$quench" ] || exit 2
number=0
problems=$(mktemp)
trap 'rm -f "$problems"' EXIT

# result NAME: passes if nothing was written to $problems since the last one.
result() {
  number=$((number + 1))
  if [ -s "$problems" ]; then
    sed 's/^/# /' "$problems"
    echo "not ok $number - $1"
  else
    echo "ok $number - $1"
  fi
  : > "$problems"
}
skip() {
  number=$((number + 1))
  echo "ok $number - $1 # SKIP $2"
}

library="ir quant patterns passes formats/npy formats/onnx codegen runtime"
sources() { find "$@" -name '*.c' -o -name '*.h' -o -name '*.def' -o -name '*.cuh' | sort; }

# --- includes run downwards ------------------------------------------------------------------------------------
# The table of docs/house.md: a room's folder in column 1, what it includes in column 3.
rooms=$(sed -n 's/^| `\([a-z]*\)\/` |[^|]*| \(.*\) |$/\1: \2/p' docs/house.md)
for room in tools runtime codegen passes patterns formats quant ir; do
  allowed=$(echo "$rooms" | sed -n "s/^$room: //p" | tr -d '`' | tr ',' '\n' | sed 's/^ *//')
  [ -n "$allowed" ] || echo "docs/house.md has no row for $room/" >> "$problems"
  # "a/b.h" is another room's or one's own; "b.h" is in the same folder.
  for file in $(sources $room); do
    sed -n 's/^ *#include "\([^"]*\/[^"]*\)".*/\1/p' "$file" | while read -r included; do
      case $included in "$room"/*) continue ;; esac
      echo "$allowed" | grep -qxF -e "${included%%/*}" -e "$included" || echo "$file includes $included"
    done
  done >> "$problems"
done
grep -n '#include "' include/quench/*.h >> "$problems"
result "includes run downwards"

# --- public headers --------------------------------------------------------------------------------------------
flags="-Wall -Wextra -Wpedantic -Werror -fsyntax-only -Iinclude -I$build/include"
for header in include/quench/*.h; do
  $cc -x c -std=c17 $flags "$header" >> "$problems" 2>&1
done
result "every public header compiles alone as C"
if [ -n "$cxx" ]; then
  for header in include/quench/*.h; do
    $cxx -x c++ -std=c++17 $flags "$header" >> "$problems" 2>&1
  done
  result "every public header compiles alone as C++"
else
  skip "every public header compiles alone as C++" "no C++ compiler"
fi

# --- tables and their documentation ----------------------------------------------------------------------------
# page NAME FILE COMMAND...: a page that the tool prints.
page() {
  name=$1 file=$2
  shift 2
  if [ -n "${QN_BLESS:-}" ]; then "$@" > "$file"; fi
  "$@" 2>&1 | diff -u "$file" - 2>&1 | head -n 20 >> "$problems"
  result "$name"
}
page "docs/ops.md has every operation" docs/ops.md "$quench" ops --markdown
page "docs/rule-list.md has every rule" docs/rule-list.md "$quench" rules --markdown

for name in $("$quench" passes | cut -d' ' -f1); do
  grep -qF "\`$name\`" docs/passes.md || echo "docs/passes.md does not have $name"
  [ -f "passes/$(echo "$name" | tr - _).c" ] || echo "the pass $name has no file of its name"
done >> "$problems"
result "every pass has its file and is in docs/passes.md"

for name in $(sed -n 's/^COMMAND(\([a-z]*\),.*/\1/p' tools/commands.def); do
  [ -f "tools/cmd_$name.c" ] || echo "tools/cmd_$name.c is missing"
  grep -q "^## quench $name" docs/tool.md || echo "docs/tool.md has no section 'quench $name'"
done >> "$problems"
for file in tools/cmd_*.c; do
  name=$(basename "$file" .c)
  grep -q "^COMMAND(${name#cmd_}," tools/commands.def || echo "$file has no row in tools/commands.def"
done >> "$problems"
result "every subcommand has its file, its row and its section"

for name in $(sed -n 's/^OPTION([a-z_]*, *"\([a-z-]*\)".*/\1/p' tools/options.def); do
  grep -q -e "--$name" docs/tool.md || echo "docs/tool.md does not know --$name"
done >> "$problems"
result "every option is in docs/tool.md"

for file in $(find docs -name '*.md' ! -name README.md); do
  grep -q "(${file#docs/})" docs/README.md || echo "docs/README.md does not name ${file#docs/}"
done >> "$problems"
for link in $(grep -ho '](\([a-z0-9_/.-]*\.[a-z]*\))' docs/*.md | sed 's/](\(.*\))/\1/' | sort -u); do
  [ -e "docs/$link" ] || echo "docs: a link to $link, which is not there"
done >> "$problems"
result "docs/README.md names every page, and links lead somewhere"

# --- files -----------------------------------------------------------------------------------------------------
all="$library formats/llvm tools include bench tests"
for file in $(sources $all); do
  case $file in *.c) ;; *) continue ;; esac
  folder=$(dirname "$file") name=$(basename "$file")
  short=${name#test_} short=${short#fuzz_} # tests/X/meson.build may say 'a' for test_a.c
  grep -qF -e "'$name'" -e "/$name'" -e "'${short%.c}'" "$folder/meson.build" $(find tests bench -name meson.build) ||
    echo "$file is in no meson.build"
done >> "$problems"
result "every C file is built"

for file in $(sources $all); do
  head -n 1 "$file" | grep -q '^// .' || echo "$file does not begin with what it is for"
done >> "$problems"
result "every file begins with what it is for"

for file in $(sources $library formats/llvm tools); do
  lines=$(wc -l < "$file")
  [ "$lines" -le 600 ] || echo "$file has $lines lines; a room holds 600"
done >> "$problems"
result "no file has more than 600 lines"

grep -nE '\b(TODO|FIXME|XXX)\b' $(sources $all) >> "$problems"
result "nothing is left to do"

# The library prints nothing, ends nothing, and takes memory from the context. ir/base.c holds the default allocator;
# codegen/embed.c is a program of the build.
for file in $(sources $library); do
  case $file in ir/base.c | codegen/embed.c | *.cuh) continue ;; esac
  grep -nE '(^|[^_a-zA-Z0-9.>])(malloc|calloc|realloc|free|strdup|printf|fprintf|puts|putchar|perror|exit|abort|longjmp) ?\(' "$file" |
    grep -vE '^[0-9]+: *(//|\*)' | sed "s|^|$file:|"
done >> "$problems"
result "the library neither prints nor exits nor takes memory by itself"

echo "1..$number"
