#!/usr/bin/env bash
# The whole method on one machine without a GPU: set-up, a tiny model, its failures, training, evaluation.
#   scripts/demo.sh [countdown|functions] [options of every rrr command: --run DIR, --set train.reward=shuffled, ...]
# Ends with one line of JSON. Run again after an interruption, it continues; finished stages are kept.
set -euo pipefail
cd "$(dirname "$0")/.."

config=demo
case ${1:-} in
  countdown) shift ;;
  functions) config=demo-functions && shift ;;
esac

scripts/setup.sh
scripts/make-tiny-model.sh

rrr() { ./dist/main.js "$1" -c "configs/$config.yaml" --run "runs/$config" --resume "${@:2}"; }
rrr build-failures "$@" >&2
rrr train "$@" >&2
rrr eval --json "$@"
