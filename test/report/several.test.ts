/** Several runs, made from the one of fixture.ts. */
import { describe, expect, test } from 'vitest';
import type { ReportInput } from '../../src/report/report.ts';
import { describeRuns } from '../../src/report/several/document.ts';
import { aggregateRuns, type EvaluatedRun } from '../../src/report/several/runs.ts';
import type { EvalRecord } from '../../src/run/records.ts';
import { episode, input } from './fixture.ts';

type Change = (record: EvalRecord) => Partial<EvalRecord>;

/** The fixture's run under another name and seed, its records changed. */
function runOf(
  name: string,
  {
    seed = 0,
    group = 'g',
    task = 'countdown',
    model = '/runs/a/train/model',
    change = () => ({}),
  }: {
    seed?: number;
    group?: string;
    task?: string;
    model?: string;
    change?: Change;
  } = {},
): EvaluatedRun {
  const records = input.records.map((record) => ({ ...record, ...change(record) }));
  const config: ReportInput['config'] = { ...input.config, seed, task: { ...input.config.task, name: task } };
  return { name, group, input: { ...input, config, records, trainedModel: model } };
}

/** Every first try was asked with this prompt. */
const asked =
  (prompt: string): Change =>
  ({ episode, id }) => ({ episode: episode.first ? { ...episode, prompt: `${prompt} ${id}` } : episode });

/** Of the ten failures the trained model now fixes those from 2 up to here. */
const fixesUpTo =
  (last: number): Change =>
  ({ arm, id }) =>
    arm === 'trained_on_base' ? { episode: episode(null, Number(id.slice(1)) <= last) } : {};

describe('runs that differ by their seed alone', () => {
  // Base fixes 2 and 3 of ten.
  const report = aggregateRuns([
    runOf('one', { seed: 1, change: fixesUpTo(7) }),
    runOf('two', { seed: 2, change: fixesUpTo(9) }),
    runOf('three', { seed: 3, change: fixesUpTo(5) }),
  ]);
  const [group] = report.joined;
  const second = group?.comparisons.find(
    ({ name, decoding }) => name === 'second_try' && decoding === 'sampled',
  );

  test('are joined: by query, as the same queries are in each, and over training runs', () => {
    expect(group?.seeds).toEqual([1, 2, 3]);
    expect(second?.differences.map((one) => one.toFixed(6))).toEqual(['0.400000', '0.600000', '0.200000']);
    expect(second?.result).toMatchObject({ n: 30, queries: 10 });
    expect(second?.result.difference).toBeCloseTo(0.4);
    // Mean 0.4, standard error 0.2 / sqrt(3), t of 2 degrees of freedom 4.3027.
    expect(second?.over_runs.difference).toBeCloseTo(0.4);
    expect(second?.over_runs.interval?.[0]).toBeCloseTo(0.4 - 4.3027 * (0.2 / Math.sqrt(3)), 4);
    expect(report.beside).toEqual([]);
    expect(report.transfer).toEqual([]);
  });

  test('have a sentence for every measure, with what each interval is over', () => {
    const { sentences } = describeRuns(report);
    expect(sentences).toHaveLength(6);
    expect(sentences[1]).toMatch(
      /^countdown, seeds 1, 2, 3, sampled, Second try on the base model's failures: no change shown, .*\+40\.0 points on average \(95 % interval over 3 training runs −9\.7 to 89\.7; over queries of these models /,
    );
  });
});

/** The same run on queries of its own. */
function onOtherQueries(run: EvaluatedRun, suffix: string): EvaluatedRun {
  const rename = <T extends { id: string }>(items: readonly T[]) =>
    items.map((item) => ({ ...item, id: `${item.id}${suffix}` }));
  const { queries, records } = run.input;
  return { ...run, input: { ...run.input, queries: rename(queries), records: rename(records) } };
}

test.each([
  ['agree', [7, 8, 8], 'a gain, 20.0 % to 66.7 %'],
  [
    'do not',
    [3, 7, 11],
    'a gain of these models, not shown to be one of other training runs, 20.0 % to 60.0 %',
  ],
])('three runs that %s', (_, fixed, said) => {
  const runs = fixed.map((last, seed) =>
    onOtherQueries(runOf(`${seed}`, { seed, change: fixesUpTo(last) }), `-${seed}`),
  );
  expect(describeRuns(aggregateRuns(runs)).sentences[1]).toContain(`failures: ${said}`);
});

test('another configuration is no further seed: its trained model stands beside, where both were asked the same', () => {
  const better: Change = (record) => ({
    ...asked('p')(record),
    ...(record.arm === 'trained' && { episode: { ...episode(true), prompt: `p ${record.id}` } }),
  });
  const report = aggregateRuns([
    runOf('plain', { change: asked('p') }),
    runOf('better', { group: 'other', change: better }),
  ]);
  expect(report.joined).toEqual([]);
  expect(report.beside.map(({ label, decoding }) => `${label}, ${decoding}`)).toEqual([
    'First try, sampled',
    'First or second try, sampled',
    'Second try on the same failed answers, sampled',
    'First try, greedy',
    'First or second try, greedy',
    'Second try on the same failed answers, greedy',
  ]);
  // The fixture's trained model passes three of twelve at first.
  expect(report.beside[0]).toMatchObject({
    one: 'plain',
    other: 'better',
    common: 12,
    either: 12,
    other_words: 0,
  });
  expect(report.beside[0]?.result).toMatchObject({ before: { k: 3 }, after: { k: 12 } });
  expect(describeRuns(report).sentences[0]).toContain(
    'better beside plain, sampled, First try: better is better: 25.0 % of plain, 100.0 % of better',
  );
});

test('queries that were asked in other words are not compared', () => {
  const half: Change = (record) => asked(Number(record.id.slice(1)) < 6 ? 'p' : 'q')(record);
  const some = aggregateRuns([
    runOf('one', { change: asked('p') }),
    runOf('other', { group: 'other', change: half }),
  ]).beside;
  expect(some[0]).toMatchObject({ common: 6, other_words: 6 });
  const none = aggregateRuns([
    runOf('one', { change: asked('p') }),
    runOf('other', { group: 'other', change: asked('q') }),
  ]);
  expect(none.beside).toEqual([]);
  expect(describeRuns(none).sentences.join()).toContain('nothing in common');
  // Without a hash nothing is known of the prompts.
  expect(aggregateRuns([runOf('one'), runOf('other', { group: 'other' })]).beside).toEqual([]);
});

test('transfer: what was trained on one task, evaluated on another', () => {
  const crossed = runOf('crossed', {
    group: 'x',
    task: 'near',
    model: '/runs/a/train/model',
    change: fixesUpTo(8),
  });
  crossed.input = {
    ...crossed.input,
    config: { ...crossed.input.config, eval: { ...crossed.input.config.eval, model: '/runs/a/train/model' } },
  };
  const report = aggregateRuns([runOf('own'), crossed]);
  const sampled = report.transfer.filter(({ decoding }) => decoding === 'sampled');
  expect(sampled.map(({ trained_on, evaluated_on }) => `${trained_on} on ${evaluated_on}`)).toEqual([
    'countdown on countdown',
    'countdown on near',
  ]);
  const { tables } = describeRuns(report);
  const matrix = tables.find(({ title }) => title.startsWith('Transfer, sampled'))?.table;
  expect(matrix?.[0]).toEqual(['trained on', 'countdown', 'near']);
  expect(matrix?.[1]?.[2]).toMatch(/^\+50\.0 \[.*\], n = 10$/);
});
