#!/usr/bin/env bash
# Checks the CUDA build as far as is possible without a GPU, after: mvn -Pcuda -DskipTests package
#
# All native libraries are found and have no undefined symbols; the trainer trains on the CPU, is killed, resumes and gives the
# same weights as without the kill; both programs refuse a missing GPU with one line that names the driver.
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
  # With both on the class path DJL would silently use the library for the CPU.
  ! compgen -G "$program/lib/pytorch-native-*" >/dev/null || fail "$program/lib has libtorch for the CPU"
done

echo "==> native libraries: sizes and undefined symbols"
du -sh "$trainer"/native/* "$sampler"/native/*
# libcuda is part of the driver; Provider_GetHost is defined by the library that loads the provider.
missing=$(for library in "$trainer"/native/*/*.so* "$sampler"/native/{cuda/*.so*,onnxruntime/*_cuda.so}; do
  program=${library%/native/*}
  LD_LIBRARY_PATH=$program/native/torch:$program/native/cuda ldd -r "$library" 2>&1 \
    | grep -E 'not found|undefined symbol' | grep -vE 'libcuda\.so\.1 => not found|Provider_GetHost' || true
done)
[ -z "$missing" ] || fail "$missing"
echo "    none"

export LD_BIND_NOW=1 # Resolve all symbols when a library is loaded, and not when they are first called.
train() {
  "$trainer/bin/trainer" train --dataset digits --images 1500 --epochs 6 --batch-size 64 --width 16 --device cpu \
    --checkpoint-every 5 --publish last --model digits --run check --http-port 0 --runs "$work/$1/runs" --repository "$work/$1/models"
}
weights() {
  sha256sum <"$work/$1/models/digits/1/model.onnx"
}

echo "==> train on the CPU with the libraries for CUDA"
train whole 2>&1 | tail -n 2
echo "==> the same, killed during the run and resumed"
mkfifo "$work/log"
train killed >"$work/log" 2>&1 &
sed -n '/epoch 2\//q' <"$work/log" # Returns at the second epoch; later output has no reader.
pkill -KILL -P $! 2>/dev/null || true
kill -KILL $! 2>/dev/null || true
wait $! 2>/dev/null || true
train killed 2>&1 | tee "$work/resumed.log" | tail -n 2
grep -q 'resuming from' "$work/resumed.log" || fail "the killed run was not resumed: it had ended, or had no checkpoint"
[ "$(weights whole)" = "$(weights killed)" ] || fail "the weights differ after a kill and a resume"
echo "    the same model.onnx: $(weights whole | cut -c1-16)..."

# refuses COMMAND...: expects one line that names the driver.
refuses() {
  local code=0
  timeout 60 "$@" >"$work/refused.log" 2>&1 || code=$?
  [ "$code" = 1 ] || fail "$*: exit code $code; expected 1"
  [ "$(wc -l <"$work/refused.log")" = 1 ] && grep -q 'NVIDIA driver' "$work/refused.log" \
    || { cat "$work/refused.log" >&2; fail "$*: expected one line that names the NVIDIA driver"; }
  sed 's/^/    /' "$work/refused.log"
}

if [ -e /dev/nvidiactl ]; then
  echo "==> this machine has an NVIDIA driver: the refusal is not checked"
else
  echo "==> refuse a missing GPU"
  refuses "$trainer/bin/trainer" train --dataset digits --device cuda --http-port 0 --runs "$work/runs"
  refuses "$sampler/bin/sampler" serve --provider cuda --repository "$work/whole/models" --port 0 --http-port 0
fi
echo "check-cuda: passed"
