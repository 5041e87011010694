/** The command line as a user runs it: dist/main.js in a process of its own. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { makeModel } from './fixtures/model.ts';
import { livingMembers } from './workers/harness.ts';

const MAIN = resolve('dist/main.js');
let cwd: string;

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'rrr-cli-'));
  makeModel(join(cwd, 'model'));
  writeFileSync(
    join(cwd, 'a.yaml'),
    'model: {name: ./model}\ndata: {source: jsonl, path: rows.jsonl}\nfailures: {max_draws: 8}\ntrain: {steps: 3}\n',
  );
  writeFileSync(join(cwd, 'rows.jsonl'), '{"nums": [1, 2, 3], "target": 6}\n'.repeat(50));
});

const STAGE_RECORD = { config_sha: 'other', started: 'now', finished: 'now', attempts: 1, seconds: 1 };

const rrr = (...args: string[]) =>
  execa('node', [MAIN, ...args], { cwd, reject: false, env: { RRR_PYTHON: '' } });
const lastLine = (text: string) => JSON.parse(text.trimEnd().split('\n').at(-1) ?? '');

describe('exit code 0', () => {
  test('--help names the commands, --version the version', async () => {
    const { exitCode, stdout } = await rrr('--help');
    expect(exitCode).toBe(0);
    for (const command of ['run', 'build-failures', 'train', 'eval', 'report'])
      expect(stdout).toContain(`  ${command} `);
    expect((await rrr('--version')).stdout).toMatch(/^\d+\.\d+\.\d+$/);
  });

  test.each([
    [['help'], /^Usage: rrr \[options\] \[command\]$/m],
    [['help', 'train'], /^Usage: rrr train \[options\]$/m],
    [['version'], /^\d+\.\d+\.\d+$/],
  ])('rrr %j', async (args, expected) => {
    const { exitCode, stdout } = await rrr(...args);
    expect(stdout).toMatch(expected);
    expect(exitCode).toBe(0);
  });

  test('--dry-run shows the plan and touches nothing', async () => {
    const { exitCode, stdout, stderr } = await rrr('build-failures', '-c', 'a.yaml', '--dry-run');
    expect(stderr).toBe('');
    expect(exitCode).toBe(0);
    expect(stdout.replaceAll(cwd, 'CWD')).toMatchSnapshot();
    expect(existsSync(join(cwd, 'runs'))).toBe(false);
  });

  test.each([
    ['build-failures', { 'queries at most': 45, 'draws at most': 360 }, []],
    [
      'train',
      { steps: 3, 'reflections at most': 768, 'retries at most': 768, reward: 'verifier' },
      ['build-failures'],
    ],
    ['eval', { modes: 'sampled, greedy', 'queries at most': 5, 'episodes at most': 30 }, ['train']],
  ])('--dry-run --json of %s', async (command, work, missing) => {
    const { exitCode, stdout } = await rrr(command, '-c', 'a.yaml', '--run', 'here', '--dry-run', '--json');
    expect(exitCode).toBe(0);
    const plan = lastLine(stdout);
    expect(plan).toMatchObject({
      command,
      run: join(cwd, 'here'),
      queries: { train: 45, test: 5, exact: false },
      work,
    });
    expect(plan.missing.map((line: string) => line.match(/run rrr (\S+) first/)?.[1])).toEqual(missing);
    expect(existsSync(join(cwd, 'here'))).toBe(false);
  });

  test('--dry-run says what an earlier attempt has left', async () => {
    mkdirSync(join(cwd, 'runs/a/failures'), { recursive: true });
    const stages = { failures: { ...STAGE_RECORD, status: 'finished' } };
    const run = { format: 2, rrr_version: '0.1.0', created: 'now', date: '2026-01-31', stages };
    writeFileSync(join(cwd, 'runs/a/run.json'), JSON.stringify(run));
    writeFileSync(join(cwd, 'runs/a/failures/decides.json'), JSON.stringify({ seed: 7 }));
    const { earlier } = lastLine((await rrr('build-failures', '-c', 'a.yaml', '--dry-run', '--json')).stdout);
    expect(earlier[0]).toContain('belongs to another config');
    expect(earlier).toContain('  seed: 7 -> 0');
    const train = await rrr('train', '-c', 'a.yaml', '--dry-run');
    expect(train.stdout).toMatch(/^ {2}missing +.*runs\/a\/failures: belongs to another config$/m);
  });

  test('schema is JSON on stdout', async () => {
    expect(JSON.parse((await rrr('schema')).stdout).properties.train.type).toBe('object');
  });
});

describe('exit code 2, with the place and the cure', () => {
  test('problems of the config, all at once', async () => {
    const { exitCode, stderr } = await rrr(
      'train',
      '-c',
      'a.yaml',
      '--set',
      'train.stepz=4',
      '--set',
      'seed=-1',
    );
    expect(exitCode).toBe(2);
    expect(stderr).toMatchSnapshot();
  });

  test('the same as JSON', async () => {
    const { exitCode, stdout } = await rrr('train', '-c', 'a.yaml', '--set', 'train.stepz=4', '--json');
    expect(exitCode).toBe(2);
    const { error } = lastLine(stdout);
    expect(error).toMatchObject({ message: 'a problem in the configuration', exit_code: 2 });
    expect(error.details.join('\n')).toContain('did you mean steps?');
  });

  test.each([
    ['no config', ['train'], "--config <file>' not specified\ncure: name the config with -c FILE"],
    ['no run', ['status'], "missing required argument 'run'\ncure: name the run directory"],
    ['an unknown option', ['train', '-c', 'a.yaml', '--resum'], '--resume'],
    ['an unknown command', ['trian'], 'train'],
    ['a config that is not there', ['eval', '-c', 'b.yaml'], "can't read b.yaml"],
    ['training before failures', ['train', '-c', 'a.yaml'], 'rrr build-failures'],
    ['evaluation before training', ['eval', '-c', 'a.yaml'], 'rrr train'],
    ['a report of nothing', ['report', 'runs/a'], 'rrr eval'],
  ])('%s', async (_name, args, expected) => {
    const { exitCode, stderr } = await rrr(...args);
    expect(stderr).toContain(expected);
    expect(stderr).not.toMatch(/^ +at /m);
    expect(exitCode).toBe(2);
  });
});

test('exit code 2 as JSON, also for a command line that is none', async () => {
  const { exitCode, stdout } = await rrr('train', '--json');
  expect(exitCode).toBe(2);
  expect(lastLine(stdout).error).toMatchObject({
    exit_code: 2,
    message: expect.stringContaining('--config'),
  });
});

describe('--dry-run finds what the run would refuse, and starts nothing', () => {
  test.each([
    ['task.name=conutdown', "unknown task 'conutdown'"],
    ['task.options={answr: tag}', 'task.options.answr'],
    ['task.prompts.question={numbers} and {more}', 'unknown placeholder {more}'],
    ['task.verifier.command=[nonesuch]', 'task.verifier.command: nonesuch is not there'],
    ['data.columns={nums: numbers}', "rows.jsonl:1: column 'numbers' of data.columns is missing"],
    ['model.max_model_len=8192', 'has 4096 positions'],
  ])('%s', async (set, expected) => {
    writeFileSync(join(cwd, 'model/config.json'), '{"max_position_embeddings": 4096}');
    const { exitCode, stderr } = await rrr('build-failures', '-c', 'a.yaml', '--dry-run', '--set', set);
    expect(stderr).toContain(expected);
    expect(stderr).toContain('\ncure: ');
    expect(exitCode).toBe(2);
    expect(existsSync(join(cwd, 'runs'))).toBe(false);
  });
});

test.each(['0', '-1', '1.5', 'many', '1000000'])('logs --lines %s is refused', async (lines) => {
  const { exitCode, stderr } = await rrr('logs', '.', '--lines', lines);
  expect(exitCode).toBe(2);
  expect(stderr).toContain('It must be a whole number from 1.');
});

test('exit code 1 for a worker that fails, with its last words', async () => {
  const python = join(cwd, 'python');
  writeFileSync(python, '#!/bin/sh\necho no CUDA >&2\nexit 7\n');
  chmodSync(python, 0o755);
  const start = (...args: string[]) =>
    rrr('build-failures', '-c', 'a.yaml', '--set', `python=${python}`, ...args);
  const { exitCode, stderr } = await start();
  expect(exitCode).toBe(1);
  expect(stderr).toMatch(/^error: prepare: exit code 7\nno CUDA\ncure: its log may say more: /m);
  expect(lastLine((await start('--json')).stdout).error).toMatchObject({
    message: 'prepare: exit code 7',
    exit_code: 1,
    details: ['no CUDA'],
  });
});

test.each(['{"format": 2, "sta', '', '[]', '{"format": 2, "rrr_version": "0.1.0"}'])(
  'exit code 2 for a run.json that is damaged: %s',
  async (text) => {
    mkdirSync(join(cwd, 'runs/a'), { recursive: true });
    writeFileSync(join(cwd, 'runs/a/run.json'), text);
    for (const args of [
      ['status', 'runs/a'],
      ['build-failures', '-c', 'a.yaml', '--resume'],
    ]) {
      const { exitCode, stderr } = await rrr(...args);
      expect(stderr).toMatch(/run\.json( is damaged: |: this run was made by an rrr from before)/);
      expect(stderr).toContain('--run DIR');
      expect(exitCode).toBe(2);
    }
  },
);

test('exit code 2 for a Python without the packages, with the set-up as its cure', async () => {
  const python = join(cwd, 'python');
  const say = (line: string) => writeFileSync(python, `#!/bin/sh\necho "${line}" >&2\nexit 1\n`);
  say("python: Error while finding module specification for 'x' (ModuleNotFoundError: No module named 'x')");
  chmodSync(python, 0o755);
  const start = () => rrr('build-failures', '-c', 'a.yaml', '--set', `python=${python}`);
  const first = await start();
  expect(first.stderr).toContain(
    "error: this Python can't run the workers: ModuleNotFoundError: No module named 'x'\n",
  );
  expect(first.stderr).toContain('cure: rrr setup');
  expect(first.exitCode).toBe(2);
  say("ImportError: cannot import name 'NotRequired' from 'typing' (/usr/lib/python3.9/typing.py)");
  expect((await start()).exitCode).toBe(2);
});

test('exit code 3 for a defect; the stack only when asked for', async () => {
  mkdirSync(join(cwd, 'runs/a/run.json'), { recursive: true });
  const quiet = await rrr('report', 'runs/a');
  expect(quiet.exitCode).toBe(3);
  expect(quiet.stderr).toContain('please report it');
  expect(quiet.stderr).not.toMatch(/^ +at /m);
  expect((await rrr('report', 'runs/a', '--verbose')).stderr).toMatch(/^ +at /m);
});

describe('Ctrl-C', () => {
  /** A "Python" that never says a word and ignores SIGTERM; its process id goes to a file. */
  function startSilent(...args: string[]) {
    const python = join(cwd, 'python');
    writeFileSync(python, `#!/bin/sh\ntrap '' TERM\necho $$ > ${cwd}/pid\nsleep 60 & wait\nsleep 60\n`);
    chmodSync(python, 0o755);
    const command = ['build-failures', '-c', 'a.yaml', '--set', 'workers.stop_grace_s=0.2', ...args];
    const options = { cwd, reject: false, env: { RRR_PYTHON: python }, forceKillAfterDelay: false } as const;
    return execa('node', [MAIN, ...command], options);
  }
  const started = () =>
    vi.waitFor(() => expect(existsSync(join(cwd, 'pid'))).toBe(true), { timeout: 10_000 });
  const isAlive = () => livingMembers(Number(readFileSync(join(cwd, 'pid'), 'utf8'))).length > 0;

  test.each(['SIGINT', 'SIGTERM'] as const)(
    'once (%s): an end in good order, 130, and the line that resumes',
    async (signal) => {
      const child = startSilent('--set', 'task.prompts.system=Think, then answer.');
      await started();
      child.kill(signal);
      const { exitCode, stderr } = await child;
      expect(exitCode).toBe(130);
      const line =
        "build-failures -c a.yaml --set workers.stop_grace_s=0.2 --set 'task.prompts.system=Think, then answer.' --resume";
      expect(stderr).toContain(`dist/main.js ${line}`);
      expect(isAlive()).toBe(false);
    },
  );

  test('as JSON: the line is the cure', async () => {
    const child = startSilent('--json');
    await started();
    child.kill('SIGINT');
    const { exitCode, stdout } = await child;
    expect(exitCode).toBe(130);
    expect(lastLine(stdout).error).toMatchObject({
      exit_code: 130,
      cure: expect.stringMatching(/dist\/main\.js build-failures .* --json --resume$/),
    });
  });

  test('twice: at once, and nothing is left', async () => {
    const child = startSilent('--set', 'workers.stop_grace_s=60');
    await started();
    child.kill('SIGINT');
    await vi.waitFor(() => expect(isAlive()).toBe(true));
    await new Promise((done) => setTimeout(done, 300));
    child.kill('SIGINT');
    expect((await child).exitCode).toBe(130);
    await vi.waitFor(() => expect(isAlive()).toBe(false), { timeout: 2000 });
  });
});
