# Shared by the scripts that run models through the program; sourced with $quench and $dir set.

# Where NVRTC is, kernels are verified on a device too.
kinds="2 of 3 kinds"
"$quench" compile --spec head_dim=64 > /dev/null 2>&1 && kinds="3 of 3 kinds"
number=0

report() { # NAME PROBLEM
  number=$((number + 1))
  if [ -z "$2" ]; then echo "ok $number - $1"; else
    echo "$2" | sed 's/^/# /'
    echo "not ok $number - $1"
  fi
}
