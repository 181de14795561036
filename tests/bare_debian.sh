# shellcheck shell=bash
# A bare Debian in a directory, made with debootstrap, that reaches package registries the way this machine does. Sourced by the scripts beside it.

debian_sources() { # debian_sources SUITE [MIRROR]: lines for sources.list: of the mirror that is given, or what apt has here for the suite
    if [ -n "${2:-}" ]; then
        echo "deb $2 $1 main"
    else
        # shellcheck disable=SC2016
        apt-get indextargets --format 'deb $(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
            grep -E " $1(-updates|-security)? main\$" | sort -u
    fi
}

bare_debian() { # bare_debian ROOT SUITE [MIRROR]: installs debootstrap if it is missing; settings for apt, pip and npm (proxies, indexes, certificates) are copied in
    local root=$1 suite=$2 sources file
    sources=$(debian_sources "$suite" "${3:-}") || { echo "apt of this machine has no mirror of $suite: name one" >&2; return 1; }
    command -v debootstrap >/dev/null || {
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends debootstrap >/dev/null
    }
    debootstrap --variant=minbase "$suite" "$root" "$(awk -v suite="$suite" '$3 == suite { print $2; exit }' <<<"$sources")" >"$root.log" ||
        { tail "$root.log" >&2; return 1; }
    rm "$root.log"
    chmod 755 "$root" # as every root directory: apt and services use users of their own
    echo "$sources" >"$root/etc/apt/sources.list"
    apt-config dump | grep -E '^Acquire::(http|https)::|^Acquire::Retries' >"$root/etc/apt/apt.conf.d/90this-machine" || true
    for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/npmrc /root/.npmrc /root/.config/pip/pip.conf /usr/local/share/ca-certificates; do
        [ ! -e "$file" ] || { mkdir -p "$root$(dirname "$file")" && cp -rL "$file" "$root$(dirname "$file")/"; }
    done
    if [ -e /etc/ssl/certs/ca-certificates.crt ]; then # what variables and the files above may name
        mkdir -p "$root/etc/ssl/certs"
        cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    fi
}

reaching() { # lines NAME=VALUE of this machine's environment that say how registries are reached
    env | grep -E '^(https?_proxy|no_proxy|HTTPS?_PROXY|NO_PROXY|PIP_(INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|CERT|DEFAULT_TIMEOUT)|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|(npm_config|NPM_CONFIG)_[a-z_]+)=' || true
}
