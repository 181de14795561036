#!/bin/bash
# The README's two commands on a machine that has nothing: a bare Debian in a chroot, the last commit cloned into it.
#
#   tests/fresh_machine.sh [--quick | --tests "PATHS"] [--mirror URL] [--suite NAME] [--keep]
#
#   --quick    `make run` alone: no suite
#   --tests    `make test` for these paths instead of the whole suite
#   --mirror   Debian mirror; default: the one of this machine's apt
#   --suite    Debian release, default bookworm
#   --keep     leave the chroot where it is, and say where
#
# Needs root, and apt-get if debootstrap is missing. Settings of this machine for apt, pip and npm (proxies, indexes, certificates) are copied in; those
# in ANTLIVE_* variables are passed on (ports, if this machine's are taken). Takes 1 to 2 GB below TMPDIR.
set -euo pipefail

suite=bookworm mirror="" keep="" suite_of_tests=all tests=""
inside="" # set where this script runs in the chroot

fail() { echo "fresh machine: $*" >&2; exit 1; }

while [ $# -gt 0 ]; do
    case $1 in
    --quick) suite_of_tests=none ;;
    --tests) suite_of_tests=some tests=${2:?--tests needs paths}; shift ;;
    --mirror) mirror=${2:?--mirror needs a URL}; shift ;;
    --suite) suite=${2:?--suite needs a name}; shift ;;
    --keep) keep=yes ;;
    --inside) inside=yes ;;
    *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2 ;;
    esac
    shift
done

# ---------------------------------------------------------------------------------------------- in the chroot

step() { # step NAME: ends the step before, whose time goes to the table
    local now=${EPOCHREALTIME/,/.}
    [ -z "${step_name:-}" ] || printf '%-44s %6.1f s\n' "$step_name" "$(awk "BEGIN { print $now - $step_at }")" >>/times
    step_name=$1 step_at=$now
    [ -z "$1" ] || echo "== $1"
}

viewer() { # viewer URL: waits for a master playlist with renditions, and for a part of the first of them
    .venv/bin/python - "$1" <<'PYTHON'
import re, sys, time, urllib.error, urllib.parse, urllib.request

def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read()

deadline_s = time.monotonic() + 60
master_url = sys.argv[1]
while True:
    try:
        master = fetch(master_url).decode()
        rendition_url = urllib.parse.urljoin(master_url, next(line for line in master.splitlines() if line and line[0] != "#"))
        playlist = fetch(rendition_url).decode()
        part_url = urllib.parse.urljoin(rendition_url, re.findall(r'#EXT-X-PART:.*?URI="([^"]+)"', playlist)[0])
        size_bytes = len(fetch(part_url))
        break
    except (urllib.error.HTTPError, StopIteration, IndexError):
        if time.monotonic() > deadline_s:
            raise
        time.sleep(0.1)
print(master, f"first part: {size_bytes} bytes", sep="\n")
PYTHON
}

left_over() { # processes of antlive that are there, but not as zombies
    grep -lsE 'antlive/|redis-server' /proc/[0-9]*/cmdline || true
}

until_ready() { # until_ready PID LOG
    until grep -q "antlive is ready" "$2"; do
        kill -0 "$1" 2>/dev/null || { cat "$2" >&2; fail "make run ended before it was ready"; }
        sleep 0.1
    done
}

ctrl_c() { # ctrl_c PID: of a process group's first
    kill -INT -- "-$1"
    wait "$1" || true
}

run_inside() {
    export HOME=/root
    step "apt-get install git make"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq git make >/dev/null
    step "git clone"
    git clone --quiet /repository.git /root/antlive
    cd /root/antlive
    step "make run: set-up until it is ready"
    # As in a terminal, where Ctrl-C reaches a process group: also if this script was started with signals ignored (nohup, &).
    set -m
    env --default-signal=INT make run >/run.log 2>&1 &
    local run=$!
    until_ready $run /run.log
    sed -E 's/(sk_|ak_)[[:alnum:]]+/\1…/' /run.log
    local player
    player=$(sed -n 's/^ *Player *//p' /run.log)
    step "make demo until the first part is fetched"
    env --default-signal=INT make demo >/demo.log 2>&1 &
    local demo=$!
    viewer "${player/\/player\//\/live\/}/master.m3u8" || { cat /run.log /demo.log >&2; fail "nothing to play"; }
    step "Ctrl-C to both"
    ctrl_c $demo
    ctrl_c $run
    [ -z "$(left_over)" ] || fail "left behind: $(for p in $(left_over); do tr '\0' ' ' <"$p"; echo; done)"
    step "make run again, warm"
    env --default-signal=INT make run >/run.log 2>&1 &
    run=$!
    until_ready $run /run.log
    step "Ctrl-C"
    ctrl_c $run
    if [ "$suite_of_tests" != none ]; then
        step "make test: set-up"
        make --silent .venv/.ready-dev
        step "make test ${tests:-(whole suite)}"
        make test TESTS="$tests"
    fi
    step ""
}

if [ -n "$inside" ]; then
    run_inside
    exit 0
fi

# ---------------------------------------------------------------------------------------------- on this machine

[ "$(id -u)" = 0 ] || fail "needs root (debootstrap, chroot)"
repository=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
. "$(dirname "$0")/bare_debian.sh"

root=$(mktemp -d "${TMPDIR:-/tmp}/antlive-fresh.XXXXXX")
trap '[ -n "$keep" ] && echo "chroot: $root" || rm -rf --one-file-system "$root"' EXIT
debootstrap_at=$SECONDS
bare_debian "$root" "$suite" "$mirror" || fail "debootstrap"
echo "debootstrap took $((SECONDS - debootstrap_at)) s"

git clone --quiet --bare "$repository" "$root/repository.git"
cp "$0" "$root/fresh_machine.sh"

# Nothing of this machine's environment but how to reach what is fetched, and the project's own settings.
mapfile -t passed < <(reaching; env | grep -E '^ANTLIVE_[A-Z_]+=' || true)
chosen=(--inside)
case $suite_of_tests in none) chosen+=(--quick) ;; some) chosen+=(--tests "$tests") ;; esac

# Namespaces of its own: mounts vanish with it, and every process ends with the first, which is a bash that reaps.
# shellcheck disable=SC2016
env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM=dumb "${passed[@]}" \
    unshare --mount --pid --fork --kill-child bash -euc '
        root=$0
        mount -t proc proc "$root/proc"
        mount -t sysfs -o ro sysfs "$root/sys"
        mount --rbind --make-rslave /dev "$root/dev"
        mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
        exec chroot "$root" bash /fresh_machine.sh "$@"
    ' "$root" "${chosen[@]}" || fail "see above"

echo
printf 'Debian %s on %s cores, commit %s\n' "$(cat "$root/etc/debian_version")" "$(nproc)" "$(git -C "$repository" rev-parse --short HEAD)"
cat "$root/times"
