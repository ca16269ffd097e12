#!/bin/sh
# LLVM's own tool accepts what `quench dump --emit llvm` prints, prints it back as it was, and -O2 keeps every call.
# Arguments: opt quench
set -eu
opt=$1 quench=$(realpath "$2")
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat > "$dir/g.qn" <<'END'
graph "g" (q: bf16[B,8,T,64], k: bf16[B,2,T,64], v: bf16[B,2,T,64], s: f32[]) {
  o: bf16[B,8,T,64] = attention(q, k, v)[causal=top_left] {id=17, layer="layers.0.attn"}
  shape: s64[3] = const[value={0, 0, -1}]
  t: bf16[B,T,8,64] = transpose(o)[perm={0, 2, 1, 3}]
  r: bf16[B,T,512] = reshape(t, shape)
  y: e4m3[B,T,512] = quantize(r, s)[scheme=fp8_static]
  return y
}
END
"$quench" dump --emit llvm "$dir/g.qn" -o "$dir/g.ll"
"$opt" -passes=verify -S "$dir/g.ll" -o "$dir/again.ll"
# opt names the module after the file; all else is the same.
sed 1d "$dir/g.ll" > "$dir/a"
sed 1d "$dir/again.ll" > "$dir/b"
cmp "$dir/a" "$dir/b"
"$opt" -O2 -S "$dir/g.ll" -o "$dir/o2.ll"
test "$(grep -c 'call %' "$dir/o2.ll")" = 5
# Both sides of every rule.
for rule in $("$quench" rules | cut -d' ' -f1); do
  "$quench" rules --emit llvm "$rule" -o "$dir/rule.ll"
  "$opt" -passes=verify -S "$dir/rule.ll" -o /dev/null
done
