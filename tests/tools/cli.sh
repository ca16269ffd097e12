#!/bin/sh
# The program from outside: exit codes, the words of errors, what is written and what is not. One TAP line a case.
# QN_BLESS=1 rewrites tests/tools/golden instead of comparing. Arguments: source folder, quench, an
# NVRTC that makes mistakes.
set -u
bent=$(realpath "$3")
quench=$(realpath "$2") models=$1/tests/models
cd "$1/tests/tools" && [ -x "$quench" ] || exit 2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export XDG_CACHE_HOME="$dir/cache" NO_COLOR=1
number=0

report() { # NAME PROBLEM
  number=$((number + 1))
  if [ -z "$2" ]; then echo "ok $number - $1"; else
    echo "$2" | sed 's/^/# /'
    echo "not ok $number - $1"
  fi
}
skip() {
  number=$((number + 1))
  echo "ok $number - $1 # SKIP $2"
}

# expect NAME CODE WORDS ARGUMENT...: the exit code, and for an error exactly one line on standard error, which has the
# words. Standard output goes to $dir/out.
expect() {
  name=$1 code=$2 words=$3
  shift 3
  "$quench" "$@" > "$dir/out" 2> "$dir/err" < "${stdin:-/dev/null}"
  got=$? problem=
  [ $got = "$code" ] || problem="exit code $got, expected $code; $(cat "$dir/err")"
  if [ "$code" = 2 ]; then
    [ "$(wc -l < "$dir/err")" = 1 ] || problem="$problem not one line of error: $(cat "$dir/err")"
    grep -q '^quench: ' "$dir/err" || problem="$problem no 'quench: ' in front: $(cat "$dir/err")"
    [ ! -s "$dir/out" ] || problem="$problem something on standard output"
  fi
  grep -qF -e "$words" "$dir/err" "$dir/out" || problem="$problem no '$words' in: $(head -c 500 "$dir/err")"
  report "$name" "$problem"
}
# refuse NAME WORDS ARGUMENT...: as expect with code 2, and with `-o` no file appears.
refuse() {
  name=$1 words=$2
  shift 2
  mkdir -p "$dir/made"
  expect "$name" 2 "$words" "$@" -o "$dir/made/out.qn"
  left=$(ls -A "$dir/made")
  [ -z "$left" ] || report "$name leaves nothing behind" "$left"
  rm -rf "$dir/made"
}
# golden NAME ARGUMENT...: standard output, whole.
golden() {
  name=$1
  shift
  "$quench" "$@" > "$dir/out" 2> "$dir/err"
  if [ -n "${QN_BLESS:-}" ]; then cp "$dir/out" "golden/$name.txt"; fi
  report "golden $name" "$(diff -u "golden/$name.txt" "$dir/out" 2>&1 | head -n 30)"
}

# --- usage -----------------------------------------------------------------------------------------------------
report "no subcommand" "$("$quench" > /dev/null 2> "$dir/err"; [ $? = 2 ] && grep -q 'COMMAND --help' "$dir/err" || cat "$dir/err")"
expect "help" 0 "Exit codes" help
expect "version" 0 "quench " --version
expect "unknown subcommand" 2 "dum: unknown subcommand" dum
expect "unknown option, with the one that is meant" 2 "is --target meant?" dump --targt sm_80 two.qn
expect "unknown short option" 2 "-z" dump -z two.qn
expect "an option of another subcommand" 2 "unknown option --spec" dump --spec x two.qn
expect "no argument" 2 "it takes FILE" dump two.qn -o
expect "an argument where none is taken" 2 "it takes none" explain --json=1 two.qn
expect "no number" 2 "no number after --fuel" dump --fuel=-1 two.qn
expect "a word that is not accepted" 2 "it takes text|llvm|dot|json" dump --emit onnx two.qn
expect "no model" 2 "no MODEL" dump
expect "two models" 2 "one is taken" dump two.qn two.qn
expect "an operand that is not taken" 2 "it takes none" passes x
expect "unknown target" 2 "unknown target 'sm_12'" explain --target sm_12 two.qn
expect "unknown pass" 2 "nonsense" dump --passes nonsense two.qn
expect "unknown check" 2 "verify, clone and round-trip" dump --passes all --check wrong two.qn
expect "unknown operation" 2 "no such operation" ops nonsense
expect "unknown rule" 2 "no such rule" rules nonsense
expect "a rule's name is needed" 2 "needs the name" rules --emit text
expect "two formats at once" 2 "exclude each other" explain --json --yaml two.qn
expect "a model and a spec" 2 "one MODEL or one --spec" compile --spec head_dim=64 two.qn
for command in dump fuse explain compile run verify rules ops passes; do expect "$command --help" 0 "--help" $command --help; done

# --- bad input -------------------------------------------------------------------------------------------------
refuse "a missing file" "No such file" dump "$dir/none.onnx"
refuse "a folder" "Is a directory" dump "$dir"
: > "$dir/empty"
refuse "an empty file" "$dir/empty" dump "$dir/empty"
model=$models/llama-decomposed-fp8/model.onnx
head -c 1000 "$model" > "$dir/cut.onnx"
refuse "a truncated ONNX file" "$dir/cut.onnx" dump "$dir/cut.onnx"
{ head -c 40 "$model"; printf '\377\377\377\377\377\377\377\377\377\377\377'; tail -c +52 "$model"; } > "$dir/flip.onnx"
refuse "a damaged ONNX file" "$dir/flip.onnx" fuse "$dir/flip.onnx"
stdin=$dir/cut.onnx refuse "a truncated ONNX file from standard input" "<stdin>" dump -
head -c 300 two.qn > "$dir/cut.qn"
refuse "a truncated .qn file" "cut.qn:" dump "$dir/cut.qn"
printf 'graph (x: f32[4]) {\n  a: f32[4] = neg(b)\n  b: f32[4] = neg(a)\n  return a\n}\n' > "$dir/cycle.qn"
refuse "a cycle" "cycle.qn:2:" dump "$dir/cycle.qn"
printf 'graph (x: f32[4], y: f32[3]) {\n  a: f32[4] = add(x, y)\n  return a\n}\n' > "$dir/shape.qn"
refuse "shapes that disagree" "shape.qn" dump "$dir/shape.qn"
printf 'graph (x: f32[99999999999999999999]) {\n  return x\n}\n' > "$dir/overflow.qn"
refuse "a dim that overflows" "overflow.qn:1:" dump "$dir/overflow.qn"
{ printf 'graph (x: f32['; head -c 10000 /dev/zero | tr '\0' '('; printf 'T'; } > "$dir/deep.qn"
refuse "an expression of depth 10,000" "deep.qn:1:" dump "$dir/deep.qn"
cp "$models/llama-attention-int8-external/model.onnx" "$dir/external.onnx"
refuse "missing external data" "external.onnx" dump "$dir/external.onnx"
for command in fuse explain compile run verify; do expect "$command of a broken file" 2 "cut.onnx" $command "$dir/cut.onnx"; done

# --- files -----------------------------------------------------------------------------------------------------
expect "an output folder that is not there" 2 "cannot write" dump two.qn -o "$dir/none/out.qn"
expect "an ONNX output folder that is not there" 2 "$dir/none" fuse "$model" -o "$dir/none/out.onnx"
expect "ONNX to standard output" 2 "-o OUT.onnx" fuse --emit onnx "$model"
expect ".qn to ONNX" 2 "cannot be written as ONNX" fuse two.qn -o "$dir/out.onnx"
expect "dump to ONNX" 2 "dump does not write ONNX" dump two.qn -o "$dir/out.onnx"
echo old > "$dir/kept.qn"
"$quench" dump "$dir/cut.qn" -o "$dir/kept.qn" 2> /dev/null
report "a failure leaves the old file" "$(echo old | diff - "$dir/kept.qn")"
"$quench" dump two.qn -o "$dir/kept.qn"
report "what is dumped and dumped again is the same" "$("$quench" dump "$dir/kept.qn" | diff "$dir/kept.qn" - | head -n 5)"
report "standard input gives what the file gives" "$("$quench" dump - < two.qn | diff "$dir/kept.qn" - | head -n 5)"
report "ONNX from standard input gives what the file gives" \
  "$("$quench" dump --no-metadata "$model" > "$dir/a.qn"; "$quench" dump --no-metadata - < "$model" | diff "$dir/a.qn" - | head -n 5)"
if [ -w /dev/full ]; then
  "$quench" dump two.qn -o /dev/full 2> "$dir/err" > /dev/null
  report "a full disk" "$([ $? = 2 ] && grep -q 'No space' "$dir/err" || cat "$dir/err")"
  report "a device stays a device" "$([ -c /dev/full ] || echo gone)"
fi
rm -rf "$dir/dumps"
"$quench" dump two.qn --passes all --dump-dir "$dir/dumps" > /dev/null
report "--dump-dir numbers the passes" "$(ls "$dir/dumps" | head -n 1 | grep -qx 00-input.qn || ls "$dir/dumps")"
report "--dump-dir has one file a pass" "$([ "$(ls "$dir/dumps" | wc -l)" = $(($("$quench" passes | wc -l) + 1)) ] || ls "$dir/dumps")"

# --- what it is for --------------------------------------------------------------------------------------------
expect "fuse says how many" 0 "fused 2 of 2 attentions" fuse two.qn -o "$dir/fused.qn"
report "the fused file reads back" "$("$quench" dump "$dir/fused.qn" | diff "$dir/fused.qn" - | head -n 5)"
expect "nothing to fuse is exit code 1" 1 "fused 0 of 2 attentions" fuse --passes fold two.qn -o "$dir/unfused.qn"
expect "fuel 0 is no bound, fuel 1 is one rewrite" 0 "attention" dump --passes all --fuel 1 two.qn
expect "explain of what does not all fuse" 0 "fused 1 of 3 attentions" explain missed.qn
expect "checks after every pass hold" 0 "attention" dump --passes all --check verify,clone,round-trip two.qn
fields='"node":"op":"layer":"verdict":"rule":"stage":"code":"at":"expected":"found":"closest":"depth":"hint":'
report "explain --json has the fields that are promised" \
  "$("$quench" explain --json missed.qn | while read -r line; do
    [ "$(echo "$line" | grep -o '"[a-z]*":' | tr -d '\n')" = "$fields" ] || echo "$line"
  done)"
report "explain has a line for each attention and each quantize" "$([ "$("$quench" explain --json missed.qn | wc -l)" = 6 ] || echo others)"
expect "verify" 0 "verified" verify two.qn --seed 3 --dim B=1 --dim T=5
cat > "$dir/sequences.qn" <<'QN'
graph "sequences" (q: f16[T,4,64], k: f16[U,2,64], v: f16[U,2,64], a: s32[4], b: s32[4], s: f32[]) {
  o: f16[T,4,64] = attention(q, k, v, _, _, _, _, _, _, _, a, b)[q_layout=thd, k_layout=thd, v_layout=thd, out_layout=thd, causal=bottom_right]
  y: e4m3[T,4,64] = quantize(o, s)[scheme=fp8_static]
  return y
}
QN
expect "generated lengths of sequences are valid" 0 "verified" verify "$dir/sequences.qn" --device reference --dim T=11 --dim U=20
# One graph a kind of scheme: its name, scheme, inputs, operands and results of quantize, outputs.
mkdir "$dir/schemes"
scheme() {
  cat > "$dir/schemes/$1.qn" <<QN
graph (q: bf16[B,T,4,64], k: bf16[B,T,2,64], v: bf16[B,T,2,64]$3) {
  o: bf16[B,T,256] = attention(q, k, v)[q_layout=bshd, k_layout=bshd, v_layout=bshd, out_layout=bsm, causal=top_left]
  $5 = quantize(o$4)[scheme=$2]
  return $6
}
QN
}
scheme channel "fp8_channel" ", s: f32[256]" ", s" "y" "y"
scheme int8 "int8_static" ", s: f32[], z: s8[]" ", s, z" "y" "y"
scheme group "fp8_group{group=32}" "" "" "y, b" "y, b"
scheme pre_scale "mxfp8{round=bf16, scale_layout=swizzled}" ", p: f32[256]" ", _, _, p" "y, b" "y, b"
scheme nvfp4 "nvfp4" ", g: f32[]" ", g" "y, b" "y, b"
scheme token "int8_token_zp" "" "" "y, b, z" "y, b, z"
scheme bound "fp8_token" ", m: f32[]" ", _, _, _, m" "y, b" "y, b"
scheme both "nvfp4{scale_layout=row}" ", g: f32[]" ", g" "y, b" "y, b, o"
cat > "$dir/schemes/pages.qn" <<'QN'
graph (q: bf16[4,1,8,64], k: bf16[9,16,2,64], v: bf16[9,16,2,64], n: s32[4], t: s32[4,3], s: f32[]) {
  o: bf16[4,1,512] = attention(q, k, v, _, _, _, n, _, _, _, _, _, _, _, _, t)[q_layout=bshd, k_layout=pshd, v_layout=pshd, out_layout=bsm]
  y: e4m3[4,1,512] = quantize(o, s)[scheme=fp8_static]
  return y
}
QN
expect "verify without a device says so" 0 "2 of 3 kinds" verify two.qn --device reference --dim B=1 --dim T=5
expect "verify in direct numerics" 0 "next to it" verify two.qn --device reference --numerics direct --dim B=1 --dim T=5
QUENCH_NVRTC=/dev/null expect "verify without NVRTC" 0 "skipped: " verify two.qn --dim B=1 --dim T=5
expect "--dim that is none" 2 "no size of a dim" verify two.qn --dim B
expect "--why names the rule" 2 "no such rule" explain two.qn --why nonsense
for form in text llvm dot json; do
  if [ $form = llvm ] && ! "$quench" dump --emit llvm two.qn > /dev/null 2>&1; then
    skip "dump --emit llvm" "built without LLVM"
  else
    expect "dump --emit $form" 0 "attention" dump --emit $form two.qn
  fi
done

for rule in $("$quench" rules | cut -d' ' -f1); do
  "$quench" rules --emit text "$rule" > "$dir/out" 2> "$dir/err" || report "rules --emit text $rule" "$(cat "$dir/err")"
done
report "every rule has its two sides as graphs" "$(grep -q '^graph' "$dir/out" || echo none)"

# --- running ---------------------------------------------------------------------------------------------------
run="run --device reference"
expect "codes of four bits as bytes" 0 "output b: e4m3[128,16]" $run "$dir/schemes/nvfp4.qn" -o "$dir/fp4" --dim B=2 --dim T=3
report "one byte each" "$([ "$(wc -c < "$dir/fp4/y.npy")" = $((2 * 3 * 256 + 128)) ] || wc -c "$dir/fp4/y.npy")"
printf 'graph (x: f32[4]) {\n  y: f32[4] = neg(x)\n  z: f32[4] = neg(y)\n  return y as "a/b", z as "a_b", y as ".c"\n}\n' > "$dir/names.qn"
expect "run a model without attention" 0 "output a_b: f32[4]" $run "$dir/names.qn" -o "$dir/outputs"
report "names of outputs that are safe for files" "$(ls -A "$dir/outputs" | tr '\n' ' ' | grep -vxF '_c.npy a_b.2.npy a_b.npy ')"
"$quench" $run two.qn --dim B=1 --dim T=5 -o "$dir/first" > /dev/null
"$quench" $run two.qn --dim B=1 --dim T=5 --seed 0 -o "$dir/again" > /dev/null
"$quench" $run two.qn --dim B=1 --dim T=5 --seed 1 -o "$dir/other" > /dev/null
report "the same seed gives the same bytes" "$(cmp "$dir/first/first.npy" "$dir/again/first.npy" 2>&1)"
report "another seed gives others" "$(cmp -s "$dir/first/first.npy" "$dir/other/first.npy" && echo same)"
"$quench" $run two.qn --dim B=1 --dim T=5 --passes fold -o "$dir/unfused" > /dev/null
report "fused or not, the bytes are the same" "$(cmp "$dir/first/second.npy" "$dir/unfused/second.npy" 2>&1)"
QUENCH_NVRTC=/dev/null expect "run without NVRTC says so" 0 "no device, so the reference executor" run two.qn --dim B=1 --dim T=5
QUENCH_NVRTC=/dev/null expect "an emulator without NVRTC" 2 "NVRTC" run --device emulator two.qn
expect "run on an unknown device" 2 "it takes cuda|emulator|reference" run --device tpu two.qn
expect "an input that the model has not" 2 "the model has no input 'x'" $run two.qn --input x=y.npy
expect "an input whose file is missing" 2 "No such file" $run two.qn --input "q=$dir/none.npy"
expect "an input of another rank" 2 "rank 4, found 3" $run two.qn --input "q=$dir/first/first.npy"
expect "an input of another type" 2 "cannot be bf16" $run two.qn --input "q=$dir/outputs/a_b.npy"
printf 'graph (x: f32[5]) {\n  y: f32[5] = neg(x)\n  return y as "size"\n}\n' > "$dir/size.qn"
"$quench" $run "$dir/size.qn" -o "$dir" > /dev/null
expect "an input of another size" 2 "is declared as 4 here, found" $run "$dir/names.qn" --input "x=$dir/size.npy"
head -c 100 "$dir/outputs/a_b.npy" > "$dir/cut.npy"
expect "an input that is cut off" 2 "cut.npy" $run "$dir/names.qn" --input "x=$dir/cut.npy"
expect "a folder whose parent is missing" 2 "No such file or directory" $run two.qn -o "$dir/none/outputs"
expect "a file in the place of the folder" 2 "Not a directory" $run two.qn -o "$dir/names.qn"
expect "a model that is not there" 2 "No such file" run "$dir/none.onnx"
printf 'graph (x: f32[4]) {\n  y = extern(x)[name="ai::Op"]\n  return y\n}\n' > "$dir/extern.qn"
expect "an operation that nobody knows" 2 "ai::Op" $run "$dir/extern.qn"

# --- kernels ---------------------------------------------------------------------------------------------------
expect "a spec of an unknown key" 2 "unknown key 'head_dm'" compile --spec head_dm=64
expect "a spec of an impossible value" 2 "is no value for 'dtype'" compile --spec dtype=bf15
expect "a spec of a choice that is none" 2 "'1' is no value for 'alibi'" compile --spec alibi=1
expect "a spec of what stands between scores and softmax" 0 "qn_attention_mma_bf16_d64_h1_w255_0_softcap41f00000_alibi_sinks_f32_kvlen_s64(" \
  compile --emit cuda -o - --spec window_left=255,window_right=0,softcap=30,alibi=true,sinks_dtype=f32,kv_lengths=true,lengths_dtype=s64
expect "a spec of sequences" 0 "_varlen(" compile --emit cuda -o - --spec varlen=true
expect "a spec of any scheme" 0 "_nvfp4_scale_layout_row_pad_64_pre_f32_both(" compile --emit cuda -o - \
  --spec 'head_dim=80,output=nvfp4{scale_layout=row, pad=64},pre_scale_dtype=f32,unquantized=true'
expect "a spec of a cache in pages" 0 "split_" compile --emit cuda -o - \
  --spec schedule=split,kv_dtype=e4m3,k_scale=head,v_scale=tensor,page_size=16,kv_lengths=true
expect "a scheme that is none" 2 "is no value for 'output'" compile --spec 'output=nvfp4{group=big}'
expect "a schedule that is none" 2 "'' is no value for 'schedule'" compile --spec schedule=
expect "a spec that has no kernel" 1 "head_dim 84" compile --spec head_dim=84
expect "a missing NVRTC" 2 "libnvrtc" compile --spec head_dim=64 --nvrtc "$dir/none" --cache-dir ""
: > "$dir/occupied"
expect "a named cache folder that cannot be written" 2 "the cache folder cannot be used: $dir/occupied/x: Not a directory" compile --spec head_dim=64 --cache-dir "$dir/occupied/x"
expect "CUDA C needs no NVRTC" 0 'extern "C"' compile two.qn --emit cuda --nvrtc "$dir/none"
expect "several kernels to one file" 2 "let -o name a folder" compile two.qn --emit cuda --target sm_80 --target sm_90a
if "$quench" compile --spec head_dim=64 > /dev/null 2>&1; then
  expect "the kernels of a model" 0 "0 bytes spilled" compile two.qn
  expect "the second time from the cache" 0 "from the cache" compile two.qn
  expect "which NVRTC" 0 "libnvrtc" compile two.qn --verbose
  : > "$dir/file"
  XDG_CACHE_HOME="$dir/file" expect "the user's cache folder cannot be used" 0 "1 kernel compiled" compile two.qn
  expect "kernels into a folder" 0 "7 kernels compiled" compile two.qn --target all --emit ptx -o "$dir/kernels/"
  report "one file a target" "$([ "$(ls "$dir/kernels" | wc -l)" = 7 ] || ls "$dir/kernels")"
  run="run --device emulator --dim B=1 --dim T=5"
  expect "run on the emulator" 0 "2 of 2 attentions on emulator" $run two.qn -o "$dir/emulated"
  expect "for another chip" 0 "kernels for sm_80" $run --target sm_80 two.qn
  expect "what it executed" 0 "warp instructions" $run --stats two.qn
  report "counters do not change" "$("$quench" $run --stats two.qn > "$dir/a"; "$quench" $run --stats two.qn | diff "$dir/a" -)"
  expect "counters as JSON" 0 '"multiply_adds": ' $run --stats --json two.qn
  expect "what has no kernel, and why" 0 "the reference executor, since" $run missed.qn
  expect "a refused fusion is two kernels" 0 "2 of 3 attentions and 1 of 2 quantizes on emulator" $run missed.qn
  expect "a quantize with its kernel" 0 "quantize y2: qn_quantize_bf16_d64_h1_fp8_static" $run missed.qn
  expect "a quantize without one" 0 "quantize y1: the reference executor, since" $run missed.qn
  expect "what all nodes executed" 0 "3 nodes together" $run --stats missed.qn
  expect "a quantize as JSON" 0 '{"quantize": "y2", "layer": "layers.2", "device": "emulator: sm_90a", ' $run --json missed.qn
  QUENCH_LIBCUDA=/nowhere expect "no CUDA" 2 "/nowhere" run --device cuda two.qn
  expect "verify on the emulator" 0 "3 of 3 kinds" verify --device emulator two.qn --dim B=1 --dim T=5
  # A kernel that divides wrongly, then one whose weights are wrong, which its codes cannot know of.
  BENT_NVRTC=$("$quench" compile --spec head_dim=64 --verbose --cache-dir "" 2>&1 | sed -n 's/^NVRTC [0-9.]*: //p')
  export BENT_NVRTC
  bad="verify two.qn --device emulator --dim B=1 --dim T=5 --nvrtc $bent --cache-dir"
  BENT_FROM=div.rn.f32 BENT_TO=mul.rn.f32 expect "a kernel whose codes are wrong is found" 1 "BAD  codes" $bad ""
  report "with the places where they are" "$(grep -qE '^       at b,h,i,d = \[0, [0-9], [0-9], [0-9]+\]: .* \(0x..\), expected .* \(0x..\)$' "$dir/out" || cat "$dir/out")"
  BENT_FROM=ex2.approx BENT_TO=lg2.approx expect "a kernel whose values are wrong is found" 1 "BAD  values" $bad ""
  report "and told from its codes" "$(grep -E 'BAD  (codes|output|attention)' "$dir/out")"
  BENT_FROM=ex2.approx BENT_TO=lg2.approx expect "a difference as JSON" 1 '"differences": [{"at": [0, ' $bad "" --json
  BENT_FROM=mma.sync BENT_TO=mma.sink expect "a kernel that cannot be loaded" 2 "mma.sink" $run two.qn --nvrtc "$bent" --cache-dir ""
  BENT_FROM=ld.param.u64 BENT_TO=ld.param.u16 expect "a kernel that the emulator stops" 2 "attention 'y0'" $run two.qn --nvrtc "$bent" --cache-dir ""
  expect "and in direct numerics" 0 "3 of 3 kinds" verify --device emulator two.qn --numerics direct --dim B=1 --dim T=5
  # Every result of every kind of scheme leaves the device and is compared: codes alone, with scales, with zero points,
  # beside the unquantized output; numbers for channels, a bound; pages.
  for model in $(ls "$dir/schemes"); do
    expect "verify $model" 0 "3 of 3 kinds" verify --device emulator "$dir/schemes/$model" --dim B=2 --dim T=9
    expect "verify $model in direct numerics" 0 "good codes" verify --device emulator --numerics direct "$dir/schemes/$model" --dim B=2 --dim T=9
  done
  expect "scales are compared" 0 "good scales b: 2048 of 2048 the same" verify --device emulator "$dir/schemes/nvfp4.qn" --dim B=2 --dim T=3
  expect "the unquantized output is compared" 0 "good unquantized o: " verify --device emulator "$dir/schemes/both.qn" --dim B=2 --dim T=3
  printf '%s\n' 'graph (q: f32[1,1,2,8], k: f32[1,1,2,8], s: f32[]) {' \
    '  v: f32[1,1,2,8] = const[value={nan, inf, -inf, 0, 1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 8}]' \
    '  o: f32[1,1,2,8] = attention(q, k, v)' '  y: e4m3[1,1,2,8] = quantize(o, s)[scheme=fp8_static]' '  return y' '}' >"$dir/nan.qn"
  expect "NaN and infinities are as they should be" 0 "good values y: 16 of 16 within the bound" verify --device emulator "$dir/nan.qn"
  expect "results on the emulator" 0 "1 of 1 attentions on emulator" run --device emulator "$dir/schemes/both.qn" -o "$dir/both" --dim B=2 --dim T=3
else
  skip "compiling" "no NVRTC"
fi

# --- whole outputs ---------------------------------------------------------------------------------------------
golden help help
for command in dump fuse explain compile run verify rules ops passes; do golden "help-$command" $command --help; done
golden dump-json dump --emit json two.qn
golden dump-fused dump --passes all two.qn
golden ops-attention ops attention
golden explain explain missed.qn
golden explain-json explain --json missed.qn
golden explain-yaml explain --yaml missed.qn
golden verify verify two.qn --device reference --dim B=1 --dim T=5
golden verify-json verify --json two.qn --device reference --dim B=1 --dim T=5
golden run run two.qn --device reference --dim B=1 --dim T=5
golden run-json run --json two.qn --device reference --dim B=1 --dim T=5

echo "1..$number"
