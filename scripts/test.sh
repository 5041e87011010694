#!/usr/bin/env bash
# Everything that must hold before a change lands: set-up, lint, types, and the tests of both languages.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/setup.sh
scripts/make-tiny-model.sh
# The tests of the report need a browser: in CI they fail without one, elsewhere they say that they are skipped.
if [ "${CI:-}" = true ] && [ "$(id -u)" = 0 ] && ! command -v chromium >/dev/null; then
  apt-get update -qq
  apt-get install -yqq --no-install-recommends chromium >/dev/null
fi
export OMP_WAIT_POLICY=PASSIVE # two engines on few cores must not spin while they wait

npm run --silent check
(cd workers && ../.venv/bin/ruff check . ../scripts && ../.venv/bin/ruff format --check . ../scripts && ../.venv/bin/mypy)

# Jobs on a real Slurm cluster, which mostly wait. Elsewhere than in CI nothing is installed for it.
cluster=
if [ -x /usr/sbin/slurmctld ] || [ "${CI:-}" = true ]; then
  mkdir -p .cache
  scripts/cluster.sh test --short >.cache/cluster.log 2>&1 &
  cluster=$!
fi

status=0
(cd workers && ../.venv/bin/pytest -q) || status=1
npx vitest run --reporter=default --reporter=json --outputFile.json=.cache/vitest.json || status=1
node -e '
  const { numPassedTests, numFailedTests, numPendingTests } = require("./.cache/vitest.json");
  console.log(`vitest: ${numPassedTests} passed, ${numFailedTests} failed, ${numPendingTests} skipped`);
'

if [ -n "$cluster" ]; then
  wait "$cluster" || status=1
  cat .cache/cluster.log
else
  echo "scripts/cluster.sh test --short: left out, no Slurm is installed here"
fi
exit $status
