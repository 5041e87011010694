#!/usr/bin/env bash
# Makes a clone ready to use: the built command line (dist), and by it the Python environment of the workers (.venv).
# Needs Node >= 20 and Python >= 3.11. Does nothing when nothing changed; interrupted, it starts over cleanly.
#
#   scripts/setup.sh                     choose the stack by what the machine has
#   RRR_STACK=cpu|cuda|light scripts/setup.sh, or scripts/setup.sh --stack cpu|cuda|light
#                                        choose it yourself
#   PYTHON=/path/to/python3.12 scripts/setup.sh
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
die() { printf 'setup: %s\n' "$1" >&2; printf '       %s\n' "$2" >&2; exit 2; }

command -v node >/dev/null || die "node is not installed" "install Node.js 20 or newer"
node -e 'process.exit(Number.parseInt(process.versions.node) < 20 ? 1 : 0)' || die "Node $(node --version) is too old" "install Node.js 20 or newer"

stamp=$(cat package-lock.json <(node --version) | sha256sum)
if [ "$(cat node_modules/.rrr-stamp 2>/dev/null)" != "$stamp" ]; then
  say "installing Node packages"
  npm ci --no-audit --no-fund --loglevel=error >&2
  printf '%s' "$stamp" >node_modules/.rrr-stamp
fi
npm run --silent build
exec ./dist/main.js setup "$@" >&2
