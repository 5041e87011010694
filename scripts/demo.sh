#!/usr/bin/env bash
# The whole method on one machine without a GPU: set-up, a tiny model, its failures, training, evaluation.
# Ends with one line of JSON. Options go to every rrr command: --run DIR, --set train.reward=shuffled, ...
# Run again after an interruption, it continues; finished stages are kept.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh
scripts/make-tiny-model.sh

rrr() { ./dist/main.js "$1" -c configs/demo.yaml --run runs/demo --resume "${@:2}"; }
rrr build-failures "$@" >&2
rrr train "$@" >&2
rrr eval --json "$@"
