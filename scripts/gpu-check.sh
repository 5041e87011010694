#!/usr/bin/env bash
# What can only be checked on a machine with NVIDIA GPUs: sampling, training on one and on all of them, with LoRA,
# resuming, and that stale weights are noticed. Takes less than 10 minutes; needs no network once rrr is installed.
#
#   scripts/gpu-check.sh [--no-engine] [--model 1.5b|7b|both] [--budget-s 540] [--out DIR]
#
# Runs scripts/setup.sh first where .venv is missing. RRR_PYTHON=PATH names another Python, which is used as it is.
# With --no-engine it needs torch, transformers, accelerate, peft and TRL alone. The last line is JSON.
# Exit codes: 0 nothing failed, 1 a part failed, 2 there is no GPU, or a wrong option.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ " $* " != *" --on-cpu "* && " $* " != *" --help "* ]] && ! nvidia-smi -L 2>/dev/null | grep -q GPU; then
  echo "no GPU: nvidia-smi finds none" >&2
  exit 2
fi
if [ -z "${RRR_PYTHON:-}" ] && [ ! -x .venv/bin/python ]; then
  scripts/setup.sh
fi
export PYTHONPATH="$PWD/scripts:$PWD/workers${PYTHONPATH:+:$PYTHONPATH}"
exec "${RRR_PYTHON:-.venv/bin/python}" -m gpu_check "$@"
