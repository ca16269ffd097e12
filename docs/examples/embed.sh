#!/bin/sh
# The example fuses both layers, names the nodes by their ids, and compiles both kernels or says why it does not.
set -eu
out=$("$1")
echo "$out"
for layer in 1 2; do
  # Attention, transpose, reshape and quantize went into one attention; the dequantize did not.
  echo "$out" | grep -q "attention_fp8_static: ${layer}01 ${layer}02 ${layer}03 ${layer}04 -> attention"
done
[ "$(echo "$out" | grep -cE '^(kernel qn_attention_.* 0 bytes spilled|no kernel compiled: ..)')" -ge 1 ]
