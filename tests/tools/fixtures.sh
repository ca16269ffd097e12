#!/bin/sh
# Every model of tests/models through the program: every attention fuses; one remark an attention and a quantize; the rewrite verified, its kernels on a device, the outputs those of onnxruntime.
# Arguments: source folder, quench.
set -u
here=$(realpath "$(dirname "$0")")
quench=$(realpath "$2")
cd "$1/tests/models" && [ -x "$quench" ] || exit 2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
. "$here/tap.sh"

for model in */model.onnx; do
  name=${model%/model.onnx}
  # What the model holds, from the manifest: two numbers on lines of their own.
  about=$(sed -n "/\"name\": \"$name\"/,/}/p" manifest.json)
  attentions=$(echo "$about" | sed -n 's/.*"attentions": \([0-9]*\).*/\1/p')
  quantizes=$(echo "$about" | sed -n 's/.*"quantizes_after_attention": \([0-9]*\).*/\1/p')

  "$quench" explain --json "$model" > "$dir/remarks" 2> "$dir/err"
  lines=$(wc -l < "$dir/remarks")
  report "$name: one remark an attention and a quantize" \
    "$([ "$lines" = $((attentions + quantizes)) ] || echo "$lines remarks, expected $attentions + $quantizes"; cat "$dir/err")"
  report "$name: all fuse" "$(grep -v '"verdict": "fused"' "$dir/remarks")"
  "$quench" verify "$model" --input "$name" --expect "$name" > "$dir/verdict" 2> "$dir/err" ||
    echo "exit code $?" >> "$dir/err"
  grep -q "$kinds" "$dir/verdict" || echo "not $kinds" >> "$dir/err"
  report "$name: verified, $kinds" "$(grep -A 4 BAD "$dir/verdict"; cat "$dir/err")"
done
echo "1..$number"
