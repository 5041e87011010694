#!/usr/bin/env bash
# Makes the tiny model of the demos once a machine and links it as models/tiny.
# It is kept in $RRR_CACHE (default ~/.cache/rrr) under a hash of its recipe.
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${RRR_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/rrr}
made=$cache/tiny-$(.venv/bin/python -m rrr_demos.tiny --print-hash)
[ -d "$made" ] || .venv/bin/python -m rrr_demos.tiny --out "$made" >/dev/null
chmod -R +r "$made" # safetensors writes for the owner alone
mkdir -p models
ln -sfn "$made" models/tiny
