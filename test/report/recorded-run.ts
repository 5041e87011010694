import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';

/** The files of a finished run with all that an evaluation can do: those of workers/tests/test_recount.py. Its folder, which is the caller's. */
export async function recordedRun(task = 'countdown'): Promise<string> {
  const run = mkdtempSync(join(tmpdir(), 'rrr-recorded-'));
  const script = `
import sys
from pathlib import Path
from recorded_run import EVERYTHING, RecordedRun
RecordedRun(Path(sys.argv[1]), seed=2, task=sys.argv[2], eval=EVERYTHING).write(benchmarks=True)
`;
  const python = process.env.RRR_PYTHON ?? resolve('.venv/bin/python');
  await execa(python, ['-c', script, run, task], { cwd: 'workers/tests' });
  return run;
}

/** `rrr report` of a run, into a folder of its own. */
export async function writeReportOf(run: string, ...more: string[]): Promise<string> {
  const folder = join(run, `report${more.join('')}`);
  await execa('node', ['dist/main.js', 'report', run, '--out', folder, ...more]);
  return folder;
}
