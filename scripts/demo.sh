#!/usr/bin/env bash
# The whole method on one machine without a GPU: set-up, a tiny model, its failures, training, evaluation.
#   scripts/demo.sh [countdown|functions] [options of rrr run: --run DIR, --set train.reward=shuffled, ...]
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
./dist/main.js run -c "configs/$config.yaml" --run "runs/$config" --resume --json "$@"
