#!/usr/bin/env bash
# Checks the CUDA build as far as a machine without a GPU can, after: mvn -Pcuda -DskipTests package
#
# All native libraries find each other and miss no symbol; the trainer trains on the CPU, is killed, resumes and ends with
# the same weights as without the kill; both programs refuse a GPU that is not there, in one line that names the driver.
set -euo pipefail
cd "$(dirname "$0")/.."
trainer=$PWD/trainer/target/trainer
sampler=$PWD/sampler/target/sampler
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
  echo "check-cuda: $*" >&2
  exit 1
}

for program in "$trainer" "$sampler"; do
  [ -d "$program/native" ] || fail "$program has no folder native/: run mvn -Pcuda -DskipTests package first"
  # On one class path DJL would take the library for the CPU, in silence.
  ! compgen -G "$program/lib/pytorch-native-*" >/dev/null || fail "$program/lib has libtorch for the CPU"
done

echo "==> native libraries: size, and symbols that no library has"
du -sh "$trainer"/native/* "$sampler"/native/*
# The driver is not there; the provider's host is the library that loads it.
missing=$(for library in "$trainer"/native/*/*.so* "$sampler"/native/{cuda/*.so*,onnxruntime/*_cuda.so}; do
  program=${library%/native/*}
  LD_LIBRARY_PATH=$program/native/torch:$program/native/cuda ldd -r "$library" 2>&1 \
    | grep -E 'not found|undefined symbol' | grep -vE 'libcuda\.so\.1 => not found|Provider_GetHost' || true
done)
[ -z "$missing" ] || fail "$missing"
echo "    none"

export LD_BIND_NOW=1 # Each symbol is looked up when its library is loaded, not when it is first called.
train() {
  "$trainer/bin/trainer" train --dataset digits --images 1500 --epochs 6 --batch-size 64 --width 16 --device cpu \
    --checkpoint-every 5 --publish last --model digits --run check --http-port 0 --runs "$work/$1/runs" --repository "$work/$1/models"
}
weights() {
  sha256sum <"$work/$1/models/digits/1/model.onnx"
}

echo "==> train on the CPU with the libraries for CUDA"
train whole 2>&1 | tail -n 2
echo "==> the same, killed on the way and resumed"
mkfifo "$work/log"
train killed >"$work/log" 2>&1 &
sed -n '/epoch 2\//q' <"$work/log" # Returns at the second epoch; what the program says later has no reader.
pkill -KILL -P $! 2>/dev/null || true
kill -KILL $! 2>/dev/null || true
wait $! 2>/dev/null || true
train killed 2>&1 | tee "$work/resumed.log" | tail -n 2
grep -q 'resuming from' "$work/resumed.log" || fail "the killed run was not resumed: it had ended, or had no checkpoint"
[ "$(weights whole)" = "$(weights killed)" ] || fail "the weights differ after a kill and a resume"
echo "    the same model.onnx: $(weights whole | cut -c1-16)..."

# refuses COMMAND...: one line, which names the driver.
refuses() {
  local code=0
  timeout 60 "$@" >"$work/refused.log" 2>&1 || code=$?
  [ "$code" = 1 ] || fail "$*: exit code $code; expected 1"
  [ "$(wc -l <"$work/refused.log")" = 1 ] && grep -q 'NVIDIA driver' "$work/refused.log" \
    || { cat "$work/refused.log" >&2; fail "$*: expected one line that names the NVIDIA driver"; }
  sed 's/^/    /' "$work/refused.log"
}

if [ -e /dev/nvidiactl ]; then
  echo "==> this machine has an NVIDIA driver: no refusal to see"
else
  echo "==> refuse a GPU that is not there"
  refuses "$trainer/bin/trainer" train --dataset digits --device cuda --http-port 0 --runs "$work/runs"
  refuses "$sampler/bin/sampler" serve --provider cuda --repository "$work/whole/models" --port 0 --http-port 0
fi
echo "check-cuda: passed"
