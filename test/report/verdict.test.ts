/** The sentences of a report, read from tables of counts. */
import { describe, expect, test } from 'vitest';
import { type Comparison, type Control, comparisonsOf, controlsOf } from '../../src/report/arms.ts';
import { outcomeOf } from '../../src/report/outcome.ts';
import type { ComparisonReport, Decoding, DecodingReport } from '../../src/report/report.ts';
import { comparePaired } from '../../src/report/statistics.ts';
import { judge } from '../../src/report/verdict.ts';

/** Tries that passed under both, only before, only after, and under neither. */
type Counts = readonly [both: number, lost: number, won: number, neither: number];

const pairs = ([both, lost, won, neither]: Counts) => [
  ...Array(both).fill({ before: true, after: true }),
  ...Array(lost).fill({ before: true, after: false }),
  ...Array(won).fill({ before: false, after: true }),
  ...Array(neither).fill({ before: false, after: false }),
];

function table(comparison: Comparison, counts: Counts): ComparisonReport {
  const result = comparePaired(pairs(counts));
  return { ...comparison, result, adjusted_p: result.p_value, kinds: null };
}

interface Tables {
  first: Counts;
  second: Counts;
  overall: Counts;
  last?: Counts;
  /** The control before and after training, and the trained model's own reflections beside it. */
  controls?: Partial<Record<Control, { gain: Counts; own: Counts }>>;
}

function decodingReport(
  decoding: Decoding,
  { first, second, overall, last, controls = {} }: Tables,
): DecodingReport {
  const comparisons = comparisonsOf({ retry: last ? 'all' : 'failed' });
  const counts = [first, second, overall, ...(last ? [last] : [])];
  return {
    decoding,
    samples: 1,
    comparisons: comparisons.map((comparison, index) => table(comparison, counts[index] as Counts)),
    controls: controlsOf({ controls: Object.keys(controls) as Control[] }).map(
      ({ control, label, gain, own }) => ({
        control,
        label,
        gain: table(gain, controls[control]?.gain as Counts),
        own: table(own, controls[control]?.own as Counts),
      }),
    ),
    baselines: [],
    arms: {},
    phrases: null,
    lengths: [],
    examples: [],
  };
}

const STILL: Counts = [200, 50, 50, 700];

/** The demo, Countdown, seed 1: the second try gains, and greedily the first try loses. */
const DEMO = [
  decodingReport('sampled', {
    first: [209, 139, 143, 996],
    second: [161, 106, 295, 577],
    overall: [502, 112, 292, 581],
  }),
  decodingReport('greedy', {
    first: [345, 72, 21, 1049],
    second: [10, 10, 458, 661],
    overall: [400, 20, 400, 667],
  }),
];

describe('every measure has its sentence, a loss like a gain', () => {
  const said = judge(DEMO, 'verifier');

  test('the second try, in plain words first', () => {
    expect(said[1]).toBe(
      "Sampled decoding, second try on the base model's failures: when wrong, it now fixes 40 of 100 answers after " +
        'reflecting; before, 23. A gain of 16.6 points (23.4 % to 40.0 %; 95 % interval 13.3 to 19.9, Holm p = 1.0e-21, n = 1139).',
    );
  });

  test('a first try that was lost', () => {
    expect(said[3]).toBe(
      'Greedy decoding, first try: its first answer is right 25 times in 100; before, 28. A loss of 3.4 points ' +
        '(28.0 % to 24.6 %; 95 % interval −4.7 to −2.2, Holm p = 1.0e-7, n = 1487).',
    );
  });

  test('one that did not move', () => {
    expect(said[0]).toContain('before, 23. No change shown: +0.3 points (23.4 % to 23.7 %; 95 % interval');
  });

  test('six measures, then what is missing and what the intervals do not say', () => {
    expect(said.slice(0, 6).map((sentence) => sentence.split(':')[0])).toEqual([
      'Sampled decoding, first try',
      "Sampled decoding, second try on the base model's failures",
      'Sampled decoding, first or second try',
      'Greedy decoding, first try',
      "Greedy decoding, second try on the base model's failures",
      'Greedy decoding, first or second try',
    ]);
    expect(said[6]).toContain('No control was run');
    expect(said[7]).toContain("The reward was the verifier's.");
    expect(said[8]).toContain(
      'over the queries of these two models: how another training run would turn out they do not say',
    );
    expect(said).toHaveLength(9);
  });
});

describe('a shuffled reward', () => {
  /** Greedily 23 first tries won and one lost, nothing else moved. */
  const moved = [
    decodingReport('sampled', { first: STILL, second: STILL, overall: STILL }),
    decodingReport('greedy', { first: [300, 1, 23, 1163], second: STILL, overall: STILL }),
  ];

  test('names whatever moved, the first try too', () => {
    const said = judge(moved, 'shuffled');
    expect(said[3]).toContain('A gain of 1.5 points (20.2 % to 21.7 %');
    expect(said.at(-2)).toBe(
      'This is the control, trained on a shuffled reward, which teaches nothing: and yet 1 of its 6 measures moved ' +
        '(points: first try, greedy, by +1.5). Training alone moves answers by so much: hold every gain against that, not against zero.',
    );
  });

  test('names a loss as well', () => {
    const lost = decodingReport('greedy', { first: [300, 23, 1, 1163], second: STILL, overall: STILL });
    expect(judge([lost], 'shuffled').at(-2)).toContain('(points: first try, greedy, by −1.5)');
  });

  test('says of how many measures none moved', () => {
    const still = decodingReport('sampled', { first: STILL, second: STILL, overall: STILL });
    expect(judge([still], 'shuffled').at(-2)).toContain('none of its 3 measures is shown to have moved');
  });
});

describe('controls', () => {
  const second: Counts = [161, 106, 295, 577]; // 23.4 % to 40.0 % of 1139
  const judgeWith = (controls: Required<Tables>['controls']) =>
    judge([decodingReport('sampled', { first: STILL, second, overall: STILL, controls })], 'verifier').filter(
      (sentence) => sentence.includes('same failures'),
    );

  test('own reflections are held against the best of them', () => {
    const [said, ...others] = judgeWith({
      bare_retry: { gain: [40, 60, 70, 969], own: [60, 50, 396, 633] },
      donor: { gain: [150, 100, 130, 759], own: [200, 80, 256, 603] },
    });
    expect(said).toBe(
      'Sampled decoding, on the same failures, after training: its own reflections fix 40.0 %; bare retry, no reflection: ' +
        "9.7 %; another query's reflection: 24.6 %. Its own reflections are better than the best of these, another " +
        "query's reflection: +15.5 points, 95 % interval 12.4 to 18.5, Holm p = 1.3e-22.",
    );
    expect(others).toEqual([]);
  });

  test('one that does as well takes the gain away', () => {
    const [said] = judgeWith({ hint: { gain: [200, 60, 250, 629], own: [400, 50, 56, 633] } });
    expect(said).toContain(
      'not shown to be better than the best of these, a fixed hint in place of the reflection: +0.5',
    );
    expect(said).toContain('the gain needs no reflection of its own.');
  });

  const better = { gain: [200, 60, 350, 529], own: [400, 150, 56, 533] } as const;

  test('one that does better says so', () => {
    const [said] = judgeWith({ bare_retry: better });
    expect(said).toContain('worse than the best of these, bare retry, no reflection: −8.3 points');
    expect(said).toContain('what was gained is not reflecting.');
  });

  test('asking again is held against them apart, as the verifier picks among its answers', () => {
    const [retry, sample, ...others] = judgeWith({
      donor: { gain: [150, 100, 130, 759], own: [200, 80, 256, 603] },
      equal_tokens: better,
    });
    expect(retry).toContain("better than the best of these, another query's reflection");
    expect(sample).toMatch(
      /asked again: its own reflections fix 40\.0 %; more samples, as many tokens: 48\.3 %\. Its own reflections are worse than the best of these, .*: where a verifier picks, sampling again does better\.$/,
    );
    expect(others).toEqual([]);
  });

  test('mixed models tell who improved, and are no rivals', () => {
    const [said, ...others] = judgeWith({
      base_reflection: { gain: [260, 7, 10, 862], own: [200, 70, 256, 613] },
      trained_reflection: { gain: [161, 106, 290, 582], own: [440, 11, 16, 672] },
    });
    expect(said).toBe(
      "Sampled decoding, on the same failures, who improved: of the change of +16.6 points, the base model's reflection, " +
        "the trained model's retry: +0.3; the trained model's reflection, the base model's retry: +16.2.",
    );
    expect(others).toEqual([]);
  });
});

test('what was evaluated under one decoding only says so', () => {
  const one = (decoding: Decoding) =>
    judge([decodingReport(decoding, { first: STILL, second: STILL, overall: STILL })], 'verifier').join('\n');
  expect(one('sampled')).toContain('Greedy decoding was not evaluated');
  expect(one('greedy')).not.toMatch(/Sampled decoding|was not evaluated/);
});

test('ungated, the last answer is a measure of its own', () => {
  const tables = { first: STILL, second: STILL, overall: STILL, last: [200, 100, 30, 670] } as const;
  const said = judge([decodingReport('sampled', tables)], 'verifier');
  expect(said[3]).toContain(
    'reflecting on every answer, right or wrong, it ends right 23 times in 100; before, 30. A loss of 7.0',
  );
});

test('a base model that failed nothing leaves nothing to compare', () => {
  const tables = { first: [9, 0, 0, 0], second: [0, 0, 0, 0], overall: [9, 0, 0, 0] } as const;
  const said = judge([decodingReport('sampled', tables)], 'verifier');
  expect(said[1]).toContain('failed nothing, so there is nothing to compare');
});

// Exact McNemar: 1 against 7 is 0.0703, 0 against 5 is 0.0625, 0 against 6 is 0.0313, 1 against 8 is 0.0391.
test.each([
  [1, 7, 'no change shown'],
  [7, 1, 'no change shown'],
  [0, 5, 'no change shown'],
  [0, 6, 'gain'],
  [1, 8, 'gain'],
  [8, 1, 'loss'],
  [0, 0, 'no change shown'],
])('%i passed only before, %i only after: %s', (lost, won, outcome) => {
  const result = comparePaired(pairs([0, lost, won, 0]));
  expect(outcomeOf({ result, adjusted_p: result.p_value })).toBe(outcome);
});

test('an adjusted p-value of 0.05 shows nothing, one below it does', () => {
  const result = comparePaired(pairs([0, 0, 6, 0]));
  expect(outcomeOf({ result, adjusted_p: 0.05 })).toBe('no change shown');
  expect(outcomeOf({ result, adjusted_p: 0.0499 })).toBe('gain');
});
