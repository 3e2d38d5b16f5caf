#!/usr/bin/env bash
# Builds the images of both services and runs them on the CPU, on a machine without Docker: with Debian's buildah, podman and
# runc, as root, on base images that debootstrap creates. Needs Debian packages over the network, and Maven artifacts that
# are not in the repository below.
#
#   --cache FOLDER              cache for the base systems
#   --prepare                   only put the base systems into the cache
#   --maven-repository FOLDER   Maven's local repository (~/.m2/repository)
#   --offline                   build with the artifacts of that repository only
#   --mirror URL                Debian mirror for the base systems (default: the one that apt uses)
#   --cuda                      build the images for CUDA: they run on the CPU, and refuse a missing GPU
#   --compose                   also run compose.yaml, without Grafana, on a Docker engine that is started for it; also
#                               needs Debian's docker.io, docker-compose, iproute2 and prometheus
#
# Exit codes: 0 passed, 1 failed, 2 invalid options or a missing package, 77 no container can run on this machine or, with
# --compose, no Docker engine.
set -euo pipefail

usage() {
  sed -n '2,16s/^# \{0,1\}//p' "$0"
}

cache=
repository=${HOME:-/root}/.m2/repository
offline=
mirror=
variant=cpu
needed=(debootstrap buildah podman runc curl python3)
compose_too=
prepare=
while [ $# -gt 0 ]; do
  case $1 in
    --cache) cache=${2:?--cache needs a folder}; shift ;;
    --maven-repository) repository=${2:?--maven-repository needs a folder}; shift ;;
    --offline) offline=-o ;;
    --prepare) prepare=yes ;;
    --mirror) mirror=${2:?--mirror needs a URL}; shift ;;
    --cuda) variant=cuda ;;
    --compose) compose_too=yes; needed+=(docker dockerd docker-compose ip prometheus) ;;
    --help) usage; exit 0 ;;
    *) usage >&2; echo "check: unknown option $1" >&2; exit 2 ;;
  esac
  shift
done

missing=()
for program in "${needed[@]}"; do
  case $program in
    docker | dockerd) package=docker.io ;;
    ip) package=iproute2 ;;
    *) package=$program ;;
  esac
  command -v "$program" >/dev/null || [[ " ${missing[*]} " = *" $package "* ]] || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "check: missing: ${missing[*]}; apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 2
fi
if [ "$(id -u)" != 0 ]; then
  echo "check: must run as root, for debootstrap and chroot" >&2
  exit 2
fi

if [ "$variant" = cuda ] && [ -n "$compose_too" ]; then
  echo "check: --compose runs the images for the CPU; expected --compose or --cuda, not both" >&2
  exit 2
fi
mirror=${mirror:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Release: bookworm' 'Component: main' | head -n 1)}
if [ -z "$mirror" ]; then
  echo "check: cannot find the Debian 12 mirror of apt; name one with --mirror URL" >&2
  exit 2
fi

cd "$(dirname "$0")/../.."
work=$(mktemp -d)
mkdir "$work/tmp" "$work/out"
export TMPDIR=$work/tmp # Also for the cache of buildah.
cache=${cache:-$work/cache}
mkdir -p "$cache" "$repository"
driver=overlay
started=$SECONDS

# Separate storage, so that existing images and containers are not touched.
storage() {
  echo --root "$work/$driver" --runroot "$work/run-$driver" --storage-driver "$driver"
}
# shellcheck disable=SC2046 # Words, all.
pod() {
  podman $(storage) --runtime runc --cgroup-manager cgroupfs "$@"
}

clean() {
  status=$?
  if [ -n "${engine:-}" ]; then
    docker ps --all --quiet 2>/dev/null | xargs --no-run-if-empty docker rm --force >/dev/null 2>&1 || true
    kill -KILL "$engine" 2>/dev/null || true
    wait "$engine" 2>/dev/null || true
  fi
  [ -z "${collector:-}" ] || kill "$collector" 2>/dev/null || true
  pod rm --force --all --time 0 >/dev/null 2>&1 || true
  umount --lazy "$work/$driver/$driver" 2>/dev/null || true
  rm -rf --one-file-system "$work" || true
  exit "$status"
}
trap clean EXIT

say() {
  printf '\n==> %s (%d s)\n' "$*" $((SECONDS - started))
}

ok() {
  echo "    ok: $*"
}

fail() {
  echo "check: $*" >&2
  exit 1
}

# As in compose.yaml, but stricter: /tmp is noexec, as in Docker's tmpfs.
memory=()
# The images for CUDA must be set to use the CPU.
device=()
if [ "$variant" = cuda ]; then device=(--env DCGAN_DEVICE=cpu --env DCGAN_PROVIDER=cpu); fi
run() {
  pod run --pull never --network host --env DCGAN_INSECURE=true "${device[@]}" --ulimit nofile=20000:20000 --ulimit nproc=4096:4096 \
    --read-only --read-only-tmpfs=false --tmpfs /tmp:rw,noexec,nosuid,nodev,size=64m \
    --cap-drop ALL --security-opt no-new-privileges "$@"
}

# until_log CONTAINER PATTERN: waits for a line in the log and prints it.
until_log() {
  local running line
  for _ in $(seq 600); do
    running=$(pod inspect --format '{{.State.Running}}' "$1")
    line=$(pod logs "$1" 2>&1 | grep -e "$2" || true)
    if [ -n "$line" ]; then
      head -n 1 <<<"$line"
      return
    fi
    [ "$running" = true ] || break
    sleep 0.2
  done
  pod logs "$1" >&2
  fail "$1 did not log '$2'"
}

# confined CONTAINER: checks the privileges of its first process.
confined() {
  local pid status
  pid=$(pod inspect --format '{{.State.Pid}}' "$1")
  status=$(cat "/proc/$pid/status")
  [ "$(awk '/^NSpid:/ {print $NF}' <<<"$status")" = 1 ] || fail "$1: not process 1"
  [ "$(readlink "/proc/$pid/exe")" = /opt/java/bin/java ] || fail "$1: process 1 is $(readlink "/proc/$pid/exe")"
  grep -qP '^Uid:\t10001\t10001\t10001\t10001$' <<<"$status" || fail "$1: $(grep ^Uid <<<"$status")"
  grep -qP '^CapEff:\t0+$' <<<"$status" || fail "$1: $(grep ^CapEff <<<"$status")"
  grep -qP '^NoNewPrivs:\t1$' <<<"$status" || fail "$1: may gain privileges"
  awk '$5 == "/" {print $6}' "/proc/$pid/mountinfo" | grep -qw ro || fail "$1: / is writable"
  ok "$1: process 1 is the JVM, user 10001, no capabilities, no new privileges, / is read-only"
  local unpacked
  # Except the counters of the JVM, and an image while ImageIO writes it.
  unpacked=$(find "/proc/$pid/root/tmp" -ignore_readdir_race -type f -not -path '*/hsperfdata_*' -not -name 'imageio*.tmp' -printf '%p ')
  [ -z "$unpacked" ] || fail "$1: unpacked $unpacked"
  ok "$1: nothing unpacked; native libraries from: $(sed -n 's|.* \(/.*\)/[^/]*\.so[^/]*$|\1|p' "/proc/$pid/maps" | sort -u | paste -sd' ')"
}

# ended CONTAINER: stops it as Kubernetes does; it must exit with code 0.
ended() {
  local since=$SECONDS code
  pod stop --time 60 "$1" >/dev/null
  code=$(pod inspect --format '{{.State.ExitCode}}' "$1")
  [ "$code" = 0 ] || { pod logs "$1" >&2; fail "$1: exit code $code after SIGTERM"; }
  ok "$1: exit code 0, $((SECONDS - since)) s after SIGTERM"
}

# archive NAME PACKAGE...: puts Debian 12 with these packages into the cache.
archive() {
  local tar=$cache/$1.tar
  if [ ! -f "$tar" ]; then
    debootstrap --variant=minbase --include="$(IFS=,; echo "${*:2}")" bookworm "$work/$1" \
      "$mirror" >"$work/debootstrap.log" 2>&1 \
      || { tail -20 "$work/debootstrap.log" >&2; fail "debootstrap: see above"; }
    tar --create --directory "$work/$1" --exclude './var/cache/apt/archives/*.deb' --file "$tar.part" .
    mv "$tar.part" "$tar"
    rm -rf --one-file-system "${work:?}/$1"
  fi
}

# debian:bookworm-slim, and the libraries that Debian's JDK takes from the system and Temurin includes.
runtime=(check-runtime libjpeg62-turbo liblcms2-2)
build=(check-build openjdk-17-jdk-headless maven)

if [ -n "$prepare" ]; then
  archive "${runtime[@]}"
  archive "${build[@]}"
  exit
fi

# base NAME PACKAGE...: creates an image of Debian 12 with these packages.
base() {
  archive "$@"
  pod import --quiet "$cache/$1.tar" "localhost/$1" >/dev/null
}

say "create base images in the place of those in the Dockerfile"
probe() {
  run --rm "$@" localhost/check-runtime true 2>"$work/probe.log"
}
if ! base "${runtime[@]}" 2>"$work/probe.log" || ! probe; then
  driver=vfs
  if ! base "${runtime[@]}" 2>"$work/probe.log" || ! probe; then
    cat "$work/probe.log" >&2
    echo "check: cannot run a container on this machine: see above" >&2
    exit 77
  fi
fi
base "${build[@]}"
if probe --memory 1g && ! grep -q 'limits are not supported' "$work/probe.log"; then
  limit() { memory=(--memory "$1" --memory-swap "$1"); }
else
  limit() { :; }
  echo "    memory limits are not supported on this machine: running without"
fi
ok "a container runs, with storage driver $driver"

say "build both services, for $variant"
for target in trainer sampler; do
  # shellcheck disable=SC2046 # Words, all.
  buildah $(storage) build --isolation chroot --pull-never --layers --volume "$(realpath "$repository"):/m2" \
    --build-arg MAVEN_FLAGS="$offline -Dmaven.repo.local=/m2" --build-arg VARIANT=$variant \
    --build-arg BUILD_IMAGE=localhost/check-build --build-arg RUNTIME_IMAGE=localhost/check-runtime \
    --file deploy/docker/Dockerfile --target "$target" --tag "localhost/dcgan-$target" . >"$work/build.log" 2>&1 \
    || { tail -40 "$work/build.log" >&2; fail "buildah: see above"; }
  ok "dcgan-$target, $(($(pod image inspect --format '{{.Size}}' "localhost/dcgan-$target") >> 20)) MiB, of that the base $(($(pod image inspect --format '{{.Size}}' localhost/check-runtime) >> 20)) MiB"
done

if [ "$variant" = cuda ]; then
  say "refuse a missing GPU"
  for command in "trainer train --device cuda --dataset digits --runs /tmp/runs --repository /tmp/models --http-port 0" "sampler serve --provider cuda"; do
    # shellcheck disable=SC2086 # Words, all.
    set -- $command
    if run --rm "localhost/dcgan-$1" "${@:2}" >"$work/refused.log" 2>&1; then
      fail "$command: started without a GPU"
    fi
    grep -q 'NVIDIA driver' "$work/refused.log" || { cat "$work/refused.log" >&2; fail "$command: the error does not name the driver"; }
    sed 's/^/    /' "$work/refused.log"
  done
fi

say "train on drawn digits, publish"
pod volume create models >/dev/null
pod volume create runs >/dev/null
limit 3g
run --name train "${memory[@]}" --volume models:/models --volume runs:/runs localhost/dcgan-trainer \
  train --dataset digits --images 1500 --epochs 2 --width 16 --model digits --http-port 0 >"$work/train.log" 2>&1 \
  || { cat "$work/train.log" >&2; fail "trainer: see above"; }
ok "$(grep -m 1 -o 'published digits/1 .*' "$work/train.log")"

say "stop a trainer during a run"
run --detach --name trainer "${memory[@]}" --volume models:/models --volume runs:/runs localhost/dcgan-trainer \
  train --dataset digits --images 1500 --epochs 1000 --width 16 --publish never --http-port 0 >/dev/null
until_log trainer 'epoch 1/1000' | sed 's/^/    /'
confined trainer
ended trainer
interrupted=$(until_log trainer 'interrupted at step')
echo "    $interrupted"
name=$(grep -oP -- '--resume \K[^` ]+' <<<"$interrupted")
checkpoint=$(find "$(pod volume inspect --format '{{.Mountpoint}}' runs)/$name/checkpoints" -name 'step-*.safetensors' -size +100k | sort | tail -n 1)
[ -n "$checkpoint" ] || fail "trainer: no checkpoint in the run's folder"
ok "trainer: kept $(basename "$checkpoint"), $(stat --format %s "$checkpoint") bytes"

say "start the trainer as a service, the default of the image"
run --detach --name service "${memory[@]}" --volume models:/models --volume runs:/runs \
  --env DCGAN_PORT=0 --env DCGAN_HTTP_PORT=0 localhost/dcgan-trainer >/dev/null
http=$(until_log service 'metrics on ' | grep -o '[0-9]*/metrics' | cut -d/ -f1)
[ "$(curl --silent --fail --retry 20 --retry-delay 1 --retry-all-errors "http://localhost:$http/readyz")" = ready ] || fail "service: not ready"
ok "service: /readyz says ready"
ended service

say "serve, call, trace"
# In the place of a trace collector: prints the path of each request.
python3 -u -c '
import http.server
class Collector(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        size = len(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        print("received", self.path, size, "bytes")
    def log_message(self, *args):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
print("port", server.server_port)
server.serve_forever()' >"$work/collector.log" &
collector=$!
for _ in $(seq 100); do grep -q port "$work/collector.log" && break; sleep 0.1; done
limit 1g
run --detach --name sampler "${memory[@]}" --volume models:/models:ro \
  --env "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:$(awk '/^port/ {print $2}' "$work/collector.log")" localhost/dcgan-sampler \
  serve --port 0 --http-port 0 --drain-delay 1s >/dev/null
until_log sampler 'serving digits/1' | sed 's/^/    /'
ports=$(until_log sampler 'gRPC on port')
grpc=$(grep -oP 'gRPC on port \K[0-9]+' <<<"$ports")
http=$(grep -oP '[0-9]+(?=/metrics)' <<<"$ports")
[ "$(curl --silent --fail --retry 20 --retry-delay 1 --retry-all-errors "http://localhost:$http/readyz")" = ready ] || fail "sampler: not ready"
ok "sampler: /readyz says ready"
confined sampler
if [ ${#memory[@]} -gt 0 ]; then
  heap=$(pod exec sampler /opt/java/bin/jcmd 1 VM.flags 2>/dev/null | grep -oP -- '-XX:MaxHeapSize=\K[0-9]+')
  [ "$heap" -eq $((256 << 20)) ] || fail "sampler: the heap is $heap bytes; expected a quarter of 1 GiB"
  ok "sampler: the heap is at most 256 MiB of 1 GiB"
fi
chown 10001:10001 "$work/out"
chmod 0755 "$work"
run --rm --volume "$work/out:/out" localhost/dcgan-sampler \
  generate --target "localhost:$grpc" --seed 42 --count 25 --out /out/sheet.png | sed 's/^/    /'
curl --silent --fail --output "$work/out/http.png" "http://localhost:$http/v1/images?seed=42&count=25"
[ "$(head -c 4 "$work/out/sheet.png" | tail -c 3)" = PNG ] || fail "generate: no PNG"
cmp "$work/out/sheet.png" "$work/out/http.png" || fail "gRPC and HTTP differ"
ok "Generate from another container: PNG, $(stat --format %s "$work/out/sheet.png") bytes, identical over HTTP"
ended sampler
for line in draining ended; do
  until_log sampler ": $line\$" | sed 's/^/    /'
done
kill "$collector"
collector=
grep -q 'received /v1/traces' "$work/collector.log" || { pod logs sampler >&2; fail "sampler: sent no trace"; }
ok "traces: $(grep -m 1 received "$work/collector.log")"

if [ -n "$compose_too" ]; then
  say "run compose.yaml on a separate Docker engine"
  mkdir "$work/docker" "$work/prometheus"
  echo '{}' >"$work/docker/daemon.json"
  export DOCKER_HOST=unix://$work/docker/socket
  # In namespaces: it changes no firewall, uses no port, and ends with all processes that it started.
  unshare --net --pid --fork --kill-child --mount-proc sh -c 'ip link set lo up && exec dockerd "$@"' dockerd \
    --config-file "$work/docker/daemon.json" --data-root "$work/docker/data" --exec-root "$work/docker/exec" \
    --pidfile "$work/docker/pid" --host "$DOCKER_HOST" --exec-opt native.cgroupdriver=cgroupfs \
    >"$work/docker/log" 2>&1 &
  engine=$!
  server() {
    docker version --format '{{.Server.Version}}' 2>/dev/null
  }
  for _ in $(seq 300); do
    if server >/dev/null || ! kill -0 "$engine" 2>/dev/null; then break; fi
    sleep 0.2
  done
  if ! server >/dev/null; then
    tail -5 "$work/docker/log" >&2
    echo "check: cannot start a Docker engine on this machine: see above" >&2
    exit 77
  fi

  pod save --quiet localhost/check-runtime | docker load --quiet >/dev/null
  if ! { docker network create probe \
    && docker run --rm --network probe --memory 64m localhost/check-runtime true; } >"$work/probe.log" 2>&1; then
    cat "$work/probe.log" >&2
    echo "check: cannot run a container with Docker on this machine: see above" >&2
    exit 77
  fi

  # The image of Prometheus is not available here: this one has the same user and folders, and the installed program.
  cp "$(command -v prometheus)" "$work/prometheus"
  printf '%s\n' 'FROM localhost/check-runtime' 'COPY prometheus /bin/prometheus' \
    'RUN mkdir /prometheus && chown nobody:nogroup /prometheus' 'USER nobody' 'ENTRYPOINT ["/bin/prometheus"]' \
    >"$work/prometheus/Dockerfile"
  # shellcheck disable=SC2046 # Words, all.
  buildah $(storage) build --isolation chroot --pull-never --tag localhost/check-prometheus "$work/prometheus" \
    >"$work/build.log" 2>&1 || { tail -40 "$work/build.log" >&2; fail "buildah: see above"; }
  pod save --quiet --multi-image-archive localhost/dcgan-trainer localhost/dcgan-sampler localhost/check-prometheus \
    | docker load --quiet >/dev/null
  export REGISTRY=localhost TAG=check GRAFANA_ADMIN_PASSWORD=unused
  unset DCGAN_DATA
  for service in trainer sampler; do
    docker tag "localhost/dcgan-$service" "localhost/dcgan-$service:$TAG-cpu"
  done
  printf 'services:\n  prometheus:\n    image: localhost/check-prometheus\n' >"$work/stand-in.yaml"
  # Debian 12's docker-compose does not support the key name.
  grep -v '^name:' deploy/docker/compose.yaml >"$work/compose.yaml"
  compose() {
    docker-compose --project-name dcgan --project-directory deploy/docker \
      --file "$work/compose.yaml" --file "$work/stand-in.yaml" "$@"
  }
  # fetch ADDRESS: requests a URL as from this machine, with retries for some minutes.
  fetch() {
    nsenter --net="/proc/$engine/ns/net" curl --silent --fail --max-time 10 --retry 180 --retry-delay 1 \
      --retry-all-errors "http://localhost:$1"
  }

  compose up -d --no-build trainer sampler prometheus >"$work/compose.log" 2>&1 \
    || { cat "$work/compose.log" >&2; fail "compose up: see above"; }
  wrong() {
    compose logs --no-color --tail 30 >&2
    fail "$@"
  }
  [ "$(fetch 9401/readyz)" = ready ] || wrong "trainer: not ready"
  ok "Docker $(server): trainer, sampler and Prometheus are up"
  run=$(compose run --rm --no-deps -T trainer start --target trainer:50061 \
    --dataset digits --images 1500 --epochs 2 --width 16 --model digits 2>"$work/start.log") \
    || { cat "$work/start.log" >&2; wrong "trainer: accepted no run"; }
  [ "$(fetch 9402/readyz)" = ready ] || wrong "sampler: not ready"
  fetch "9402/v1/images?seed=42&count=25" >"$work/out/compose.png" || wrong "sampler: no image"
  [ "$(head -c 4 "$work/out/compose.png" | tail -c 3)" = PNG ] || wrong "sampler: no PNG"
  ok "run $run is published and served: PNG, $(stat --format %s "$work/out/compose.png") bytes"
  for _ in $(seq 180); do
    up=$(fetch "9090/api/v1/query?query=sum(up)" | grep -oP '"value":\[[^]]*"\K\d+(?="\])' || true)
    [ "$up" != 2 ] || break
    sleep 1
  done
  [ "$up" = 2 ] || wrong "Prometheus: sum(up) is '$up'; expected both services"
  alerts=$(fetch 9090/api/v1/rules | grep -o '"type":"alerting"' | wc -l) || wrong "Prometheus: no alerts"
  ok "Prometheus scrapes both services and has $alerts alerts"

  since=$SECONDS
  compose stop >/dev/null 2>&1 || wrong "compose stop"
  failed=$(docker ps --all --format '{{.Names}}: {{.Status}}' | grep -v ': Exited (0)' || true)
  [ -z "$failed" ] || wrong "after stop: $failed"
  ok "all exited with code 0, $((SECONDS - since)) s after stop"
  compose down --volumes >/dev/null 2>&1 || fail "compose down"
fi

say "containers: all checks passed"
