#!/bin/sh
# Runs everything from end to end on a machine with JDK 17 and Maven: build, train, publish, serve, call.
# Writes out/digits.png.
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

say "1/5 build both programs, without the tests"
step=$start
case $device in cuda) profile=-Pcuda ;; *) profile= ;; esac
# shellcheck disable=SC2086 # Empty or one word.
mvn -B -q $profile -pl trainer,sampler -am -Dmaven.test.skip=true package
echo "    trainer/target/trainer/bin/trainer and sampler/target/sampler/bin/sampler"
took "$step"

say "2/5 train a narrow generator for a few epochs on ${data:-drawn digits}"
step=$(date +%s)
rm -rf "$out"
mkdir -p "$out"
if [ -n "$data" ]; then
  set -- --data "$data" --epochs 2
else
  set -- --dataset digits --images 10000 --epochs 8
fi
trainer/target/trainer/bin/trainer train "$@" --width 32 --batch-size 64 --learning-rate 0.002 \
  --device "$device" --model digits --runs "$out/runs" --repository "$out/models" --http-port 0
took "$step"

say "3/5 serve the published model on port $port, with metrics on http://localhost:$http_port/metrics"
sampler/target/sampler/bin/sampler serve --repository "$out/models" --provider "$device" --port "$port" --http-port "$http_port" \
  --drain-delay 0 >"$out/sampler.log" 2>&1 &
sampler=$!
echo $sampler >"$out/sampler.pid"
stop() {
  kill "$sampler" 2>/dev/null && wait "$sampler"
}
trap stop EXIT
tries=0
until grep -q 'serving digits/' "$out/sampler.log"; do
  kill -0 "$sampler" 2>/dev/null || { cat "$out/sampler.log" >&2; fail "the sampler did not start"; }
  tries=$((tries + 1))
  [ $tries -lt 300 ] || fail "the sampler has served no model for a minute; see $out/sampler.log"
  sleep 0.2
done
sed 's/^/    /' "$out/sampler.log"

say "4/5 call Generate(seed 42, count 25)"
sampler/target/sampler/bin/sampler generate --target "localhost:$port" --seed 42 --count 25 \
  --out "$out/digits.png" | sed 's/^/    /'

if $keep; then
  trap - EXIT
  say "5/5 the sampler keeps running as process $sampler; stop it with: kill $sampler"
  cat <<EOF
    Call it from the command line:
      sampler/target/sampler/bin/sampler generate --target localhost:$port --seed 7 --count 10 --out out/seven.png
    from a browser:
      http://localhost:$http_port/v1/images?seed=7
    from grpcurl, through reflection:
      grpcurl -plaintext -d '{"seed": 7, "count": 1}' localhost:$port dcgan.v1.SamplerService/Generate
    from Python (pip install grpcio-tools, then
      python -m grpc_tools.protoc -I proto/api/src/main/proto --python_out=. --grpc_python_out=. dcgan/v1/model.proto dcgan/v1/sampler.proto):
      import grpc
      from dcgan.v1 import sampler_pb2, sampler_pb2_grpc
      sampler = sampler_pb2_grpc.SamplerServiceStub(grpc.insecure_channel("localhost:$port"))
      response = sampler.Generate(sampler_pb2.GenerateRequest(seed=7, count=1))
      open("seven.png", "wb").write(response.png[0])
EOF
else
  say "5/5 stop the sampler"
  trap - EXIT
  kill "$sampler"
  wait "$sampler" || fail "the sampler exited with code $?; see $out/sampler.log"
  echo "    it drained and exited"
fi

say "done in $(($(date +%s) - start)) s: see $out/digits.png, and $out/runs for the training run"
