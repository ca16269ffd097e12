#!/bin/sh
# Makes one folder that holds all that a machine with a GPU needs: bundle.sh FOLDER PROGRAM...
# The programs need glibc, the driver and an NVRTC there (docs/nvrtc.md), nothing of this machine.
set -eu

folder=$1
shift
rm -rf "$folder"
mkdir -p "$folder/lib"
for program in "$@"; do
  cp "$program" "$folder/"
  # All but glibc goes along: it would be missing there.
  ldd "$program" | awk '$2 == "=>" { print $3 }' | grep -vE '/lib(c|m|dl|rt|pthread|resolv)\.so' | while read -r library; do
    cp -L "$library" "$folder/lib/"
  done
done

cat > "$folder/run" <<'RUN'
#!/bin/sh
# Runs the conformance suite, the kernel suite and the benchmark of this folder: run [RESULTS]
# Exit status: 0 all is well, 1 a case failed, 77 there is no device.
set -u

here=$(cd "$(dirname "$0")" && pwd)
results=${1:-$here/results}
mkdir -p "$results"
export LD_LIBRARY_PATH="$here/lib"
"$here/kernel_suite" --device cuda --json "$results/kernel_suite.jsonl" > "$results/kernel_suite.txt" 2>&1
status=$?
cat "$results/kernel_suite.txt"
[ "$status" -eq 77 ] && exit 77
QN_TEST_DEVICE=cuda "$here/test_device" > "$results/conformance.txt" 2>&1 || status=1
tail -n 3 "$results/conformance.txt"
"$here/bench_gpu" --json "$results/bench_gpu.jsonl" --svg "$results" > "$results/bench_gpu.txt" 2>&1 || status=1
cat "$results/bench_gpu.txt"
exit "$status"
RUN
chmod +x "$folder/run"
echo "$folder"
