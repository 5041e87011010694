import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { encodeJson } from '../../src/protocol/jsonl.ts';
import { aggregate } from '../../src/report/aggregate.ts';
import type { ReportInput } from '../../src/report/report.ts';
import { readManifest } from '../../src/run/manifest.ts';
import { runPaths } from '../../src/run/paths.ts';
import type { Manifest } from '../../src/run/records.ts';
import { readRun } from '../../src/stages/evaluate/read-run.ts';
import { writeReport } from '../../src/stages/evaluate/report.ts';
import { input } from '../report/fixture.ts';
import { writeRun } from './finished-run.ts';

test('a report follows from the files of the run alone, and says the same each time', async () => {
  const run = mkdtempSync(join(tmpdir(), 'rrr-run-'));
  writeRun(run, input);
  const report = await writeReport(runPaths(run));
  const read = await readRun(runPaths(run));
  expect(read).toMatchObject({
    ...{ records: input.records, queries: input.queries, events: input.events },
    seconds: { failures: 58, train: 80, eval: 30 },
    trainedModel: join(run, 'train/model'),
    origin: {
      command: `rrr run -c ${join(run, 'eval/config.json')} --run ANOTHER-RUN`,
      changes: expect.arrayContaining([{ key: 'eval.examples', preset: '10', here: '2' }]),
    },
  });
  expect(report).toEqual(aggregate(read));

  const files = (['json', 'md', 'html'] as const).map((format) => runPaths(run).report(format));
  const written = files.map((file) => readFileSync(file, 'utf8'));
  expect(JSON.parse(written[0] as string)).toEqual(JSON.parse(encodeJson(report)));
  await writeReport(runPaths(run));
  expect(files.map((file) => readFileSync(file, 'utf8'))).toEqual(written);
});

test('a run without a finished evaluation has no report', async () => {
  const run = mkdtempSync(join(tmpdir(), 'rrr-run-'));
  await expect(writeReport(runPaths(run))).rejects.toThrow('holds no finished evaluation');
});

/** The command line in a folder with two finished runs, of seeds 1 and 2. */
function home() {
  const cwd = mkdtempSync(join(tmpdir(), 'rrr-home-'));
  for (const seed of [1, 2]) {
    const run = join(cwd, 'runs', `seed-${seed}`);
    writeRun(run, { ...input, config: { ...input.config, seed } });
  }
  return (...args: string[]) => execa('node', [resolve('dist/main.js'), ...args], { cwd, reject: false });
}

test('rrr report --out writes elsewhere, and not into the run', async () => {
  const rrr = home();
  const { stdout } = await rrr('report', 'runs/seed-1', '--out', 'mine', '--json');
  expect(JSON.parse(stdout)).toMatchObject({
    report: 'mine/report.html',
    comparisons: expect.arrayContaining([
      expect.objectContaining({ decoding: 'sampled', name: 'second_try', n: 10, holm_p: expect.any(Number) }),
    ]),
  });
  expect((await rrr('report', 'runs/seed-1', '--out', 'runs/seed-1/run.json')).exitCode).toBe(2);
});

test('rrr compare joins seeds, and refuses a run named twice', async () => {
  const rrr = home();
  const { stdout, stderr } = await rrr('compare', 'runs/seed-1', 'runs/seed-2', '--out', 'joined', '--json');
  expect(stderr).toContain('over 2 training runs');
  expect(JSON.parse(stdout)).toMatchObject({
    joined: [{ seeds: [1, 2], runs: ['runs/seed-1', 'runs/seed-2'] }],
  });
  const again = await rrr('compare', 'runs/seed-1', 'runs/seed-1');
  expect(again).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('named twice') });
});

test('where there is no run, a report makes none', async () => {
  const cwd = mkdtempSync(join(tmpdir(), 'rrr-home-'));
  for (const more of [[], ['--out', 'mine']]) {
    const { exitCode, stderr } = await execa(
      'node',
      [resolve('dist/main.js'), 'report', 'nowhere', ...more],
      {
        cwd,
        reject: false,
      },
    );
    expect(stderr).toContain('holds no evaluation');
    expect(exitCode).toBe(2);
  }
  expect(readdirSync(cwd)).toEqual([]);
});

/** Both models' first tries and reflections, of so many queries; the trained model's reflections on the base's of fewer. */
function partOf(done: number): ReportInput {
  const of = (id: string) => Number(id.slice(1));
  const records = input.records.filter(({ arm, id }) => arm === 'base' || of(id) < done);
  return { ...input, records };
}

test.each([0, 5])(
  'an evaluation that goes on has a report, which says first how far it is: %i',
  async (done) => {
    const cwd = mkdtempSync(join(tmpdir(), 'rrr-home-'));
    const run = join(cwd, 'run');
    writeRun(run, partOf(done));
    const manifest = readManifest(runPaths(run)) as Manifest;
    Object.assign(manifest.stages.eval ?? {}, { status: 'running', finished: null });
    writeFileSync(runPaths(run).manifest, JSON.stringify(manifest));

    await expect(writeReport(runPaths(run))).rejects.toThrow('holds no finished evaluation');
    const { stdout } = await execa('node', [resolve('dist/main.js'), 'report', 'run'], { cwd });
    const far = `Not finished, sampled decoding: ${done} of 12 queries so far have all their answers (first tries: 12 before training, ${done} after training)`;
    expect(stdout.startsWith(far)).toBe(true);
    expect(readFileSync(runPaths(run).report('html'), 'utf8')).toContain(`<p class="lead">${far}`);
    expect(readFileSync(runPaths(run).report('md'), 'utf8').split('\n')[2]).toContain(far);
    expect(
      JSON.parse(readFileSync(runPaths(run).report('json'), 'utf8')).decodings[0].comparisons[0].result.n,
    ).toBe(done);
    // q0 and q1 pass at once, and after them nothing is owed.
    const second = { 0: 'nothing to compare yet', 5: 'n = 3' }[done];
    expect(stdout).toContain(second);
  },
);

test('samples.csv has the query and every completion, also one with quotes and lines', async () => {
  const run = mkdtempSync(join(tmpdir(), 'rrr-run-'));
  const said = 'a "b",\nc';
  const [first, ...others] = input.records.map((record) => structuredClone(record));
  if (!first?.episode.first) throw new Error('no first try');
  first.episode.first.completion = said;
  writeRun(run, { ...input, records: [first, ...others] });
  await writeReport(runPaths(run));
  const text = readFileSync(runPaths(run).samples('csv'), 'utf8');
  expect(text.split('\r\n').slice(0, 3)).toEqual([
    'decoding,sample,id,arm,step,round,text,tokens,prompt_tokens,truncated,passed,kind,detail',
    'sampled,0,q0,,query,0,"{""nums"":[1,2,0],""target"":6}",,,,,,',
    'sampled,0,q0,base,first,0,"a ""b"",\nc",4,,false,true,passed,',
  ]);
});
