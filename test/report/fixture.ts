/** A small run with known counts: 12 queries, of which the base model fails 10 in either mode. */
import { configSchema } from '../../src/config/schema.ts';
import { JsonText } from '../../src/protocol/jsonl.ts';
import type { Attempt, EpisodeResult, TrainEvent } from '../../src/protocol/methods.ts';
import type { Decoding, ReportInput } from '../../src/report/report.ts';
import type { EvalRecord, Tally } from '../../src/run/records.ts';

const written = configSchema.parse({
  model: { name: '/models/tiny' },
  data: { source: 'generator', rows: 100 },
  eval: { modes: ['sampled', 'greedy'], examples: 2 },
});
const config = {
  ...written,
  data: { ...written.data, train_fraction: 0.9 },
};

export function attempt(passed: boolean, kind = 'missed_target', completion = '1 + 2'): Attempt {
  const verdict = { passed, kind: passed ? 'passed' : kind, detail: '' };
  return { completion, tokens: 4, finish_reason: 'stop', verdict };
}

export function episode(
  first: boolean | null,
  second?: boolean,
  reflection = 'Try * first.',
  tokens = 5,
): EpisodeResult {
  const round = {
    reflection: { completion: reflection, tokens, finish_reason: 'stop' as const },
    retry: attempt(second === true, 'wrong_numbers'),
  };
  return {
    first: first === null ? null : attempt(first),
    rounds: second === undefined ? [] : [round],
  };
}

/** Queries 0 and 1 pass at once. Of 2..11 the base retry passes 2 and 3, the trained one 3 to 8; the first try after training passes 0, 2, 3. */
function records(decoding: Decoding): EvalRecord[] {
  return Array.from({ length: 12 }, (_, i) => i).flatMap((i) => {
    const record = (arm: string, episode: EvalRecord['episode']) => ({
      arm,
      decoding,
      sample: 0,
      id: `q${i}`,
      episode,
    });
    const first = i < 2;
    const trained = i === 0 || i === 2 || i === 3;
    return [
      record('base', first ? episode(true) : episode(false, i <= 3, 'long words', 9)),
      record('trained', trained ? episode(true) : episode(false, i % 2 === 1)),
      ...(first ? [] : [record('trained_on_base', episode(null, i >= 3 && i <= 8))]),
    ];
  });
}

export function step(number: number, second_try: number): TrainEvent {
  return {
    kind: 'step',
    step: number,
    reward: second_try,
    second_try,
    reward_std: 0.3,
    kl: number / 1e4,
    loss: 0,
    grad_norm: 1,
    learning_rate: 1e-4,
    reflection_tokens: 12 - number / 10,
    reflection_truncated: 0,
    logprob_difference: 1e-6 * number,
    tokens_per_second: 900,
    seconds: 1,
  };
}

export const input: ReportInput = {
  rrr: '0.1.0',
  versions: { torch: '2.13.0' },
  hub: {},
  seconds: { 'build-failures': 58, train: 80, eval: 30 },
  config,
  trainedModel: '/runs/a/train/model',
  data: {
    read: 100,
    train: 86,
    test: 12,
    unused: 0,
    duplicates: 1,
    skipped: 1,
    skipped_examples: ['row 3'],
    warnings: [],
    prompts: {},
  },
  tallies: [
    { draws: 3, passed: 2, pass_rate: 1, kinds: { passed: 2, missed_target: 1 }, kept: true },
    { draws: 64, passed: 64, pass_rate: 1, kinds: { passed: 64 }, kept: false },
    { draws: 1, passed: 0, pass_rate: 0, kinds: { wrong_numbers: 1 }, kept: true },
  ].map((counted, index) => ({
    id: `t${index}`,
    index,
    prompt_tokens: 5,
    completion_tokens: 3,
    ...(counted as Pick<Tally, 'draws' | 'passed' | 'pass_rate' | 'kinds' | 'kept'>),
  })),
  events: [
    { kind: 'self_check', inside: 0.5, outside: 0 },
    ...Array.from({ length: 20 }, (_, i) => step(i + 1, 0.1 + i / 100)),
    { kind: 'checkpoint', step: 20, path: 'checkpoint-20' },
    { kind: 'resumed', step: 10, path: 'checkpoint-10' },
    ...Array.from({ length: 10 }, (_, i) => step(i + 11, 0.2 + i / 100)),
  ],
  queries: Array.from({ length: 12 }, (_, index) => ({
    id: `q${index}`,
    index,
    fields: new JsonText(JSON.stringify({ nums: [1, 2, index], target: 6 })),
  })),
  records: [...records('sampled'), ...records('greedy')],
  unfinished: false,
  origin: {
    created: '2026-01-02T03:04:05.678Z',
    command: 'rrr run -c /runs/a/eval/config.json --run ANOTHER-RUN',
    commit: null,
    machine: { cpu: 'A processor', cores: 2, memory_gib: 8 },
    engines: ['vllm on cpu, float32'],
    prompts: { question: 'Use {numbers} to make {target}.', system: null },
    hashes: { 'data/test.jsonl': 'e3b0' },
    changes: [{ key: 'data.rows', preset: null, here: '100' }],
  },
  forgetting: [],
};
