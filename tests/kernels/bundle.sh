#!/bin/sh
# Makes one folder that holds all that a machine with a GPU needs: bundle.sh FOLDER PROGRAM...
# The programs need glibc, the driver and an NVRTC there (docs/nvrtc.md), nothing of this machine.
set -eu

folder=$1
shift
rm -rf "$folder"
mkdir -p "$folder"
for program in "$@"; do
  # Anything but glibc would be missing there.
  extra=$(ldd "$program" | awk '{ print $1 }' | grep -vE '^(linux-vdso|lib(c|m|dl|pthread)\.so|.*/ld-linux)' || true)
  if [ -n "$extra" ]; then
    echo "bundle.sh: $program needs $extra" >&2
    exit 1
  fi
  cp "$program" "$folder/"
done

cat > "$folder/run" <<'RUN'
#!/bin/sh
# Runs the kernel suite and the benchmark of this folder: run [RESULTS]
# Exit status: 0 all is well, 1 a case failed, 77 there is no device.
set -u

here=$(cd "$(dirname "$0")" && pwd)
results=${1:-$here/results}
mkdir -p "$results"
"$here/kernel_suite" --device cuda --json "$results/kernel_suite.jsonl" > "$results/kernel_suite.txt" 2>&1
status=$?
cat "$results/kernel_suite.txt"
[ "$status" -eq 77 ] && exit 77
"$here/bench_gpu" --json "$results/bench_gpu.jsonl" > "$results/bench_gpu.txt" 2>&1 || status=1
cat "$results/bench_gpu.txt"
exit "$status"
RUN
chmod +x "$folder/run"
echo "$folder"
