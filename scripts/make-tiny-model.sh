#!/usr/bin/env bash
# Makes the tiny model of the demos once a machine and links it as models/tiny. scripts/setup.sh comes first.
# It is kept in $RRR_CACHE (default ~/.cache/rrr) under a hash of its recipe.
set -euo pipefail
cd "$(dirname "$0")/.."

exec ./dist/main.js setup --tiny-model >&2
