# What the steps share. Sourced, not run.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_INCREMENTAL=0
export CARGO_TERM_COLOR=never

# Settings of whoever runs this must not reach the tests.
for name in "${!MILLSTREAM_@}"; do
    unset "$name"
done
unset RUSTFLAGS RUSTDOCFLAGS

# need <command> <package>: installs what is missing, by its Debian name.
need() {
    if command -v "$1" >/dev/null; then
        return
    fi
    local sudo=()
    if [ "$(id -u)" -ne 0 ]; then
        sudo=(sudo)
    fi
    "${sudo[@]}" apt-get update -q >&2
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "$2" >&2
}

# skip <reason>: ends a step that cannot run here. `run` tells this by the exit code.
skip() {
    echo "skipped: $*"
    exit 77
}

need cc gcc
