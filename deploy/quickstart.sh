#!/bin/sh
# Runs everything from end to end on a machine with JDK 17 and Maven: build, train, publish, serve, call.
# Writes out/digits.png. What an earlier run left in out/ stays there: each run publishes the model's next version.
#
#   --data PATH   train on these images (a folder of IDX files, such as MNIST) instead of on drawn digits
#   --device cuda train and serve on an NVIDIA GPU, with the CUDA build (which downloads 3.7 GB the first time)
#   --keep        leave the sampler running, and print how to call it
#   --port PORT, --http-port PORT   ports of the sampler (50051, 9402); the trainer uses any free port for its metrics
set -eu

usage() {
  sed -n '2,9s/^# \{0,1\}//p' "$0"
}

fail() {
  echo "quickstart: $*" >&2
  exit 1
}

say() {
  printf '\n==> %s\n' "$*"
}

data=
device=cpu
keep=false
port=50051
http_port=9402
while [ $# -gt 0 ]; do
  case $1 in
    --data) [ $# -gt 1 ] || fail "--data needs a path"; data=$2; shift ;;
    --device)
      [ $# -gt 1 ] || fail "--device needs cpu or cuda"
      case $2 in cpu | cuda) device=$2 ;; *) fail "--device $2: expected cpu or cuda" ;; esac
      shift
      ;;
    --port) [ $# -gt 1 ] || fail "--port needs a number"; port=$2; shift ;;
    --http-port) [ $# -gt 1 ] || fail "--http-port needs a number"; http_port=$2; shift ;;
    --keep) keep=true ;;
    --help) usage; exit 0 ;;
    *) usage >&2; fail "unknown option $1" ;;
  esac
  shift
done
if [ -n "$data" ]; then
  [ -e "$data" ] || fail "--data $data: no such file or folder"
  data=$(cd "$(dirname "$data")" && pwd)/$(basename "$data")
fi

cd "$(dirname "$0")/.."
out=$PWD/out
for tool in java mvn; do
  command -v $tool >/dev/null || fail "cannot find $tool on the PATH; install JDK 17 or later, and Maven"
done
if [ "$device" = cuda ]; then
  nvidia-smi >/dev/null 2>&1 || fail "--device cuda: nvidia-smi found no GPU; install NVIDIA's driver, 525.60.13 or newer"
fi
start=$(date +%s)
took() {
  echo "    $(($(date +%s) - $1)) s"
}
mkdir -p "$out"
children=
# shellcheck disable=SC2086 # A list.
stop() {
  [ -z "$children" ] || { kill $children && wait $children; } 2>/dev/null
}
trap stop EXIT
trap 'exit 130' INT TERM

say "1/5 build both programs, without the tests; the first time Maven downloads the libraries"
step=$start
case $device in cuda) profile=-Pcuda ;; *) profile= ;; esac
# The list of libraries takes longer than the rest, and nobody who tries the programs needs it.
# shellcheck disable=SC2086 # Empty or one word.
mvn -B $profile -pl trainer,sampler -am -Dmaven.test.skip=true -Dcyclonedx.skip package >"$out/build.log" 2>&1 &
build=$!
children=$build
shown=
while kill -0 $build 2>/dev/null; do
  sleep 1
  module=$(sed -n 's/^\[INFO\] Building \(dcgan-[^ ]*\) .*/\1/p' "$out/build.log" | tail -n 1)
  downloads=$(grep -c '^Downloaded from' "$out/build.log" || true)
  if [ "$module $((downloads / 20))" != "$shown" ]; then
    shown="$module $((downloads / 20))"
    case $downloads in 0) files= ;; *) files=", $downloads files downloaded" ;; esac
    echo "    ${module:-Maven starts}$files"
  fi
done
children=
wait $build || { grep '^\[ERROR\]' "$out/build.log" >&2 || true; fail "the build failed; see $out/build.log"; }
took "$step"

# The sampler starts before the training, so that a port that is in use is found out at once.
say "2/5 start the sampler, which waits for a model: gRPC on port $port, HTTP on port $http_port"
: >"$out/sampler.log" # It exists before it is searched.
sampler/target/sampler/bin/sampler serve --repository "$out/models" --provider "$device" --port "$port" --http-port "$http_port" \
  --drain-delay 0 >>"$out/sampler.log" 2>&1 &
sampler=$!
children=$sampler
await() { # until the sampler's log has the pattern $1
  tries=0
  until grep -q "$1" "$out/sampler.log"; do
    kill -0 "$sampler" 2>/dev/null || {
      cat "$out/sampler.log" >&2
      fail "the sampler did not start; if a port is in use, choose others with --port and --http-port"
    }
    tries=$((tries + 1))
    [ $tries -lt 300 ] || fail "the sampler is not ready after a minute; see $out/sampler.log"
    sleep 0.2
  done
}
await 'gRPC on port'
echo $sampler >"$out/sampler.pid"
echo "    its log is $out/sampler.log"

say "3/5 train a narrow generator for a few epochs on ${data:-drawn digits}, and publish it"
step=$(date +%s)
if [ -n "$data" ]; then
  set -- --data "$data" --epochs 1
else
  set -- --dataset digits --images 10000 --epochs 6
fi
run=$(date -u +%Y%m%d-%H%M%S)-digits
# `export` publishes without the quality evaluation, which would take as long as half of this training.
trainer/target/trainer/bin/trainer train "$@" --preset mnist28-fast --width 32 --batch-size 32 \
  --generator-learning-rate 0.002 --discriminator-learning-rate 0.001 --ema-decay 0.99 --learning-rate-decay 0 \
  --device "$device" --runs "$out/runs" --run "$run" --publish never --http-port 0
checkpoint=$(find "$out/runs/$run/checkpoints" -name '*.safetensors' | sort | tail -n 1)
trainer/target/trainer/bin/trainer export --checkpoint "$checkpoint" --repository "$out/models" --model digits
version=$(find "$out/models/digits" -mindepth 1 -maxdepth 1 -name '[1-9]*' | sed 's:.*/::' | sort -n | tail -n 1)
took "$step"

say "4/5 call Generate(seed 42, count 25)"
await "serving digits/$version"
sampler/target/sampler/bin/sampler generate --target "localhost:$port" --seed 42 --count 25 --scale 4 \
  --out "$out/digits.png" | sed 's/^/    /'

if $keep; then
  children=
  say "5/5 the sampler keeps running as process $sampler; stop it with: kill $sampler"
  cat <<EOF
    Call it from the command line:
      sampler/target/sampler/bin/sampler generate --target localhost:$port --seed 7 --count 10 --scale 4 --out out/seven.png
    from a browser:
      http://localhost:$http_port/?seed=7
    from grpcurl, through reflection:
      grpcurl -plaintext -d '{"seed": 7, "count": 1}' localhost:$port dcgan.v1.SamplerService/Generate
    from Java, Python or Node: README.md, "Call it"
EOF
else
  say "5/5 stop the sampler"
  children=
  kill "$sampler"
  wait "$sampler" || fail "the sampler exited with code $?; see $out/sampler.log"
  echo "    it drained and exited"
fi

say "done in $(($(date +%s) - start)) s: see $out/digits.png, and $out/runs/$run for the training run"
cat <<EOF
    Serve the model again, then open http://localhost:9402/?seed=42:
      sampler/target/sampler/bin/sampler serve --repository out/models
    Watch the losses (TensorBoard is not part of this project):
      tensorboard --logdir out/runs
    Train on your own images, then serve them:
      trainer/target/trainer/bin/trainer train --data <folder>
      sampler/target/sampler/bin/sampler serve --repository models
EOF
