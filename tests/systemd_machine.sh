#!/bin/bash
# The units of deploy/systemd under a real systemd: a bare Debian, set up as deploy/README.md says, booted with systemd-nspawn in a network of its own.
#
#   tests/systemd_machine.sh [--mirror URL]
#
# Needs root, and apt-get if debootstrap or systemd-nspawn is missing. What is checked is tests/systemd_check.py, run in there.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tests/bare_debian.sh
. tests/bare_debian.sh

mirror=""
[ "${1:-}" != --mirror ] || mirror=${2:?--mirror needs a URL}
[ "$(id -u)" = 0 ] || { echo "systemd machine: needs root" >&2; exit 1; }
command -v systemd-nspawn >/dev/null || {
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends systemd-container >/dev/null
}
root=$(mktemp -d "${TMPDIR:-/tmp}/antlive-systemd.XXXXXX")
trap 'umount --quiet "$root/proc" || true; rm -rf --one-file-system "$root"' EXIT
bare_debian "$root" bookworm "$mirror"
git clone --quiet . "$root/opt/antlive"

mapfile -t reach < <(reaching)
in_root() { env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "${reach[@]}" chroot "$root" "$@"; }
mount --bind /proc "$root/proc"
in_root sh -euc '
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends dbus make redis-server systemd systemd-sysv >/dev/null
    make -s -C /opt/antlive setup
    cp -r /opt/antlive/deploy/systemd/antlive* /etc/systemd/system/
    install -D -m 644 /opt/antlive/deploy/systemd/sysusers.conf /etc/sysusers.d/antlive.conf
    systemd-sysusers
'
umount "$root/proc"
cat >"$root/etc/systemd/system/check.service" <<'UNIT'
[Unit]
After=multi-user.target redis-server.service
[Service]
Type=oneshot
ExecStart=/opt/antlive/.venv/bin/python /opt/antlive/tests/systemd_check.py
ExecStopPost=/bin/sh -c 'echo "$EXIT_STATUS" >/result; journalctl -b --no-pager -o cat -u "antlive*" -u check >/journal; systemctl poweroff'
UNIT
mkdir -p "$root/etc/systemd/system/default.target.wants"
ln -sf /etc/systemd/system/check.service "$root/etc/systemd/system/default.target.wants/check.service"
timeout 300 systemd-nspawn --quiet --directory "$root" --private-network --register=no --keep-unit --boot >"$root/console" 2>&1 || true
if [ "$(cat "$root/result" 2>/dev/null)" = 0 ]; then
    grep "^ok " "$root/journal"
else
    tail -30 "$root/console" >&2
    [ ! -e "$root/journal" ] || tail -60 "$root/journal" >&2
    exit 1
fi
