#!/bin/sh
# Makes .venv exactly as uv.lock says; arguments go to `uv sync`. It needs Python 3.11 or newer, or root and apt-get to install that with;
# uv itself comes from the Python package index, in the version of uv.lock, into Jobyard's cache.
set -eu

cd "$(dirname "$0")/.."
cache=${JOBYARD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/jobyard}
version=$(sed -n '/^name = "uv"$/{n;s/^version = "\(.*\)"$/\1/p;}' uv.lock)
uv=$cache/uv/$version/bin/uv

fail() {
    echo "bootstrap: $*" >&2
    exit 1
}

is_suitable() {
    "$1" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if is_suitable "$name"; then
            command -v "$name"
            return
        fi
    done
}

install_python() {
    command -v apt-get >/dev/null || fail "Python 3.11 or newer with its venv module is needed, and there is no apt-get"
    [ "$(id -u)" = 0 ] || fail "Python 3.11 or newer with its venv module is needed: sudo apt-get install python3-venv"
    echo "bootstrap: installing python3-venv"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
}

if [ ! -x "$uv" ]; then
    python=$(find_python)
    if [ -z "$python" ]; then
        install_python
        python=$(find_python)
        [ -n "$python" ] || fail "this system's Python is older than 3.11"
    fi
    echo "bootstrap: installing uv $version"
    rm -rf "$cache/uv/$version"
    "$python" -m venv "$cache/uv/$version"
    "$cache/uv/$version/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$version"
fi
# Hard links need one file system; where the checkout is on another, copying is what is wanted, without a warning.
UV_LINK_MODE=${UV_LINK_MODE:-copy} "$uv" sync --quiet --locked "$@"
