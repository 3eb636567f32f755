#!/bin/sh
# The UI in Chromium against a running server: run-browser.sh BASE_URL [AREA…]
# Leaves its screenshots in a new directory and says which. Exits with 77 where there is no Chromium.
set -eu

base_url=${1:?usage: run-browser.sh BASE_URL [AREA…]}
cd "$(dirname "$0")/.."

CHROMIUM=${CHROMIUM:-/usr/bin/chromium}
export CHROMIUM
if [ ! -x "$CHROMIUM" ]; then
    echo "no Chromium at $CHROMIUM: the UI is not tested in a browser" >&2
    exit 77
fi

# The same mark as in build.rs: the lock file that node_modules was installed from.
if ! cmp -s package-lock.json node_modules/.installed-lock.json; then
    npm ci --ignore-scripts --no-audit --no-fund --prefer-offline
    cp package-lock.json node_modules/.installed-lock.json
fi

screenshots=$(mktemp -d)
echo "screenshots: $screenshots"
shift
node tests/browser/run.mjs "$base_url" "$screenshots" "$@"
