#!/bin/bash
# Builds the image of deploy/docker with podman and runs it as it is meant to run: read-only, as its own user, without capabilities.
#
#   tests/container_image.sh [--mirror URL] [--keep]
#
# No image registry is asked: the base image is made here, by debootstrap (see bare_debian.sh). Needs root, and apt-get if podman is missing.
# Podman's storage is one of its own, below TMPDIR, and goes away with --keep left out.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tests/bare_debian.sh
. tests/bare_debian.sh

suite=bookworm mirror="" keep=""
while [ $# -gt 0 ]; do
    case $1 in
    --mirror) mirror=${2:?--mirror needs a URL}; shift ;;
    --keep) keep=yes ;;
    *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
    esac
    shift
done
fail() { echo "container image: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || fail "needs root (debootstrap)"
if ! { command -v podman && command -v runc; } >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends podman runc >/dev/null
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/antlive-image.XXXXXX")
pod() { podman --root "$work/storage" --runroot "$work/run" --storage-driver vfs --runtime runc --cgroup-manager cgroupfs --events-backend none "$@"; }
containers=()
finish() {
    [ ${#containers[@]} = 0 ] || pod rm --force --time 3 "${containers[@]}" >/dev/null
    [ -n "$keep" ] && echo "kept: podman --root $work/storage --runroot $work/run --storage-driver vfs" && return
    rm -rf --one-file-system "$work"
}
trap finish EXIT

echo "== the base image"
bare_debian "$work/base" "$suite" "$mirror"
tar -C "$work/base" -c . | pod import --quiet - docker.io/library/debian:12-slim >/dev/null
rm -rf "$work/base"

echo "== build"
began=$SECONDS
mapfile -t reach < <(reaching | sed 's/^/--env=/')
pod build --quiet --pull=never --network host --isolation chroot "${reach[@]}" -f deploy/docker/Dockerfile -t antlive . >/dev/null
echo "built in $((SECONDS - began)) s"
base_bytes=$(pod image inspect --format '{{.Size}}' docker.io/library/debian:12-slim)
echo "size above the base image: $((($(pod image inspect --format '{{.Size}}' antlive) - base_bytes) / 1000000)) MB"

# As Kubernetes runs them: one network for the containers of a node, nothing writable but the volumes.
hardened=(--read-only --read-only-tmpfs=false --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --network host
    --ulimit nofile=8192:8192 --ulimit nproc=32768:32768)
volumes=(-v "$work/data:/data" -v "$work/media:/media")
install -d -o 10001 -g 10001 "$work/data" "$work/media" "$work/control"

role() { # role NAME ARGUMENTS...: starts a container of that name, in the background
    local name=$1
    shift
    containers+=("$name")
    pod run --detach --name "$name" "${hardened[@]}" "$@" >/dev/null
}
echo "== roles, each in a container of its own"
api_key=ak_$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
echo "$api_key" >"$work/api_key"
chmod 444 "$work/api_key"
settings=(--env ANTLIVE_REDIS_URL=redis://127.0.0.1:16379/0 --env ANTLIVE_BIND=127.0.0.1)
role redis --entrypoint redis-server antlive --port 16379 --bind 127.0.0.1 --save "" --dir /tmp
role control "${settings[@]}" -v "$work/control:/data" -v "$work/api_key:/run/secrets/api_key:ro" --env ANTLIVE_API_KEY_FILE=/run/secrets/api_key \
    --env ANTLIVE_HTTP_PORT=18080 --env ANTLIVE_RTMP_PORT=11935 --env ANTLIVE_SRT_PORT=19000 antlive control
role origin "${settings[@]}" "${volumes[@]}" --env ANTLIVE_HTTP_PORT=18081 antlive origin
role recorder "${settings[@]}" "${volumes[@]}" antlive recorder
role ingest "${settings[@]}" "${volumes[@]}" --env ANTLIVE_HTTP_PORT=18081 --env ANTLIVE_RTMP_PORT=11935 --env ANTLIVE_SRT_PORT=19000 antlive ingest

until_ok() { # until_ok WHAT COMMAND...
    local what=$1
    shift
    for _ in $(seq 300); do
        if "$@" >/dev/null 2>&1; then return 0; fi
        sleep 0.1
    done
    for name in "${containers[@]}"; do echo "-- $name"; pod logs "$name" 2>&1 | tail -20; done >&2
    fail "$what"
}
until_ok "control is not ready" curl -sf http://127.0.0.1:18080/readyz
until_ok "origin is not ready" curl -sf http://127.0.0.1:18081/readyz
stream=$(curl -sf -X POST http://127.0.0.1:18080/v1/live-streams -H "Authorization: Bearer $api_key" -H 'Content-Type: application/json' \
    -d '{"name": "image", "quality": "standard"}')
field() { python3 -c "import json, sys; print(json.loads(sys.argv[1])$1)" "$stream"; } # field PATH: of the created stream
key=$(field '["ingest"]["streamKey"]')
edge=$(field '["edgeId"]')
role encoder antlive demo --url "rtmp://127.0.0.1:11935/live/$key" --size 640x360
master=http://127.0.0.1:18081/live/$edge/master.m3u8
until_ok "nothing to play" curl -sf "$master"
curl -sf "$master"

echo "== what is kept from it"
[ "$(pod exec ingest id -u)" = 10001 ] || fail "runs as another user"
! pod exec ingest touch /opt/antlive/x 2>/dev/null || fail "its root can be written to"
pod exec ingest grep -q "^CapEff:.*0000000000000000" /proc/1/status || fail "has capabilities"
pod logs ingest 2>&1 | grep -q "$key" && fail "the stream key is in the log"

echo "== drain, then stop"
pod stop --time 10 encoder >/dev/null
curl -sf -X POST "http://127.0.0.1:18080/v1/live-streams/$(field '["streamId"]')/end" -H "Authorization: Bearer $api_key" >/dev/null
pod exec ingest antlive drain --seconds 30
for name in ingest recorder origin control; do
    pod stop --time 10 "$name" >/dev/null
    code=$(pod inspect --format '{{.State.ExitCode}}' "$name")
    [ "$code" = 0 ] || fail "$name ended with $code"
done

echo "== serve, all in one"
install -d -o 10001 -g 10001 "$work/all"
role serve --tmpfs /media -v "$work/all:/data" --env ANTLIVE_BIND=127.0.0.1 --env ANTLIVE_HTTP_PORT=18082 --env ANTLIVE_RTMP_PORT=11936 --env ANTLIVE_SRT_PORT=19001 antlive serve
until_ok "serve is not ready" curl -sf http://127.0.0.1:18082/readyz
pod stop --time 10 serve >/dev/null
echo "all roles of the image ran"
