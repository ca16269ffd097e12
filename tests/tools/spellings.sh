#!/bin/sh
# Every spelling of tests/models/spellings through the program: it fuses by the rule and under the scheme that
# expected.txt names, and the rewrite is verified; or it is missed with the code that stands there.
# Arguments: source folder, quench.
set -u
here=$(realpath "$(dirname "$0")")
quench=$(realpath "$2")
cd "$1/tests/models/spellings" && [ -x "$quench" ] || exit 2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. "$here/tap.sh"

fused() { # FILE RULE SCHEME
  grep -q "\"rule\": \"$2\"" "$dir/remarks" && grep -q '"verdict": "fused"' "$dir/remarks" || {
    echo "expected a fusion by $2, found:"
    cat "$dir/remarks"
  }
  "$quench" fuse "$1.onnx" --target sm_90a --emit text > "$dir/fused" 2>&1
  grep -qF "output=$3" "$dir/fused" || {
    echo "expected output=$3, found:"
    grep "attention(" "$dir/fused"
  }
  "$quench" verify "$1.onnx" --target sm_90a > "$dir/verdict" 2>&1
  grep -q "$kinds" "$dir/verdict" || cat "$dir/verdict"
}

while read -r name rule scheme; do
  case $name in '' | '#'*) continue ;; esac
  "$quench" explain "$name.onnx" --target sm_90a --json > "$dir/remarks" 2>&1
  if [ "$rule" = missed ]; then
    report "$name: missed, $scheme" "$(grep -v "\"code\": \"$scheme\"" "$dir/remarks")"
  else
    report "$name: $rule, $scheme" "$(fused "$name" "$rule" "$scheme")"
  fi
done < expected.txt
for file in *.onnx; do
  report "$file is in expected.txt" "$(grep -q "^${file%.onnx} " expected.txt || echo 'it is not')"
done
echo "1..$number"
