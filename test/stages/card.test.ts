/** The card of a trained model: what stands in it, when it is written, and that the hub's own library reads it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { findPython } from '../../src/launch/python.ts';
import { aggregate } from '../../src/report/aggregate.ts';
import { type CardInput, MARK, renderCard } from '../../src/report/card.ts';
import { runPaths } from '../../src/run/paths.ts';
import { writeCards } from '../../src/stages/card.ts';
import { writeReport } from '../../src/stages/evaluate/report.ts';
import { input } from '../report/fixture.ts';
import { temporaryFolder } from '../workers/harness.ts';
import { writeRun } from './finished-run.ts';

const report = aggregate(input);
const prompts = {
  question: 'Use {numbers} "now".',
  reflection: 'Why?',
  retry: 'Use {{numbers}} again.',
  system: null,
  hint: 'Look.',
};
const facts: CardInput = {
  kind: 'model',
  config: input.config,
  base: null,
  data: { ...input.data, prompts },
  hashes: { train: 'abc', test: 'def' },
  failures: { kept: 2, queries: 3 },
  training: {
    steps: 20,
    restarts: 0,
    second_try: { before: 0.1, after: 0.25 },
    kl: 0.002,
    max_logprob_difference: 1e-6,
  },
  versions: { torch: '2.13.0' },
  rrr: { version: '0.1.0', commit: 'c0ffee' },
  evaluation: report,
};

test('every measure stands in the card, a loss like a gain; before there are any, it says so', () => {
  const card = renderCard(facts);
  expect(report.verdict.length).toBeGreaterThan(5);
  for (const sentence of report.verdict) expect(card).toContain(`- ${sentence}`);
  for (const { comparisons } of report.decodings)
    for (const { label, result } of comparisons)
      expect(card).toMatch(new RegExp(`\\| ${label} \\|.*\\| ${result.n} \\|`));
  expect(card).toContain('rrr | 0.1.0, commit c0ffee');
  const before = renderCard({ ...facts, evaluation: null });
  expect(before).toContain('Not evaluated yet');
  expect(before).not.toContain('model-index');
  const control = { ...input.config, train: { ...input.config.train, reward: 'shuffled' as const } };
  expect(renderCard({ ...facts, config: control })).toContain('**This is a control');
});

test('the prompts are verbatim, and those of controls are left out', () => {
  const card = renderCard(facts);
  expect(card).toContain('question:\n```text\nUse {numbers} "now".\n```');
  expect(card).toContain('fields = {"numbers": ...}');
  expect(card).toContain('retry_prompt="Use {{numbers}} again.".format(**fields)');
  expect(card).not.toContain('Look.');
});

test('no path of this machine is in it', () => {
  const home = '/home/somebody';
  const config = {
    ...input.config,
    model: { ...input.config.model, name: `${home}/models/tiny` },
    task: { ...input.config.task, name: `${home}/near.py:Near` },
    data: { ...input.config.data, source: 'jsonl' as const, path: `${home}/rows.jsonl` },
    python: `${home}/python`,
  };
  for (const kind of ['model', 'adapter'] as const) {
    const card = renderCard({
      ...facts,
      kind,
      config,
      evaluation: aggregate({ ...input, config, trainedModel: home }),
    });
    expect(card).not.toContain(home);
    expect(card).toContain('The task is `Near`.');
  }
});

/** What huggingface_hub makes of it, which raises for metadata that it can't read. */
async function readByHub(card: string): Promise<{ data: Record<string, unknown>; results: unknown[] }> {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'README.md'), card);
  const code = `import json, sys
from huggingface_hub import ModelCard
data = ModelCard.load(sys.argv[1]).data
results = [[each.dataset_name, each.metric_name, each.metric_value] for each in data.eval_results or []]
print(json.dumps({"data": {k: v for k, v in data.to_dict().items() if k != "model-index"}, "results": results}))`;
  const { stdout } = await execa(findPython({}), ['-c', code, join(folder, 'README.md')]);
  return JSON.parse(stdout);
}

test("the hub's library reads it", async () => {
  const config = {
    ...input.config,
    model: { ...input.config.model, name: 'Qwen/Qwen2.5-1.5B-Instruct' },
    data: { ...input.config.data, source: 'hub' as const, dataset: 'Jiayi-Pan/Countdown-Tasks-3to4' },
    train: {
      ...input.config.train,
      lora: { rank: 10, alpha: 16, dropout: 0, targets: ['q_proj'], base_dtype: 'float32' as const },
    },
  };
  const base = {
    commit: 'abc123',
    license: 'other',
    license_name: 'qwen',
    license_link: 'https://example.org/licence',
  };
  const { data, results } = await readByHub(renderCard({ ...facts, config, base }));
  expect(data).toMatchObject({
    base_model: 'Qwen/Qwen2.5-1.5B-Instruct',
    license: 'other',
    license_name: 'qwen',
    license_link: 'https://example.org/licence',
    datasets: ['Jiayi-Pan/Countdown-Tasks-3to4'],
    library_name: 'transformers',
    pipeline_tag: 'text-generation',
    tags: expect.arrayContaining(['rrr', 'lora']),
  });
  expect(results).toHaveLength(6);
  expect(results).toContainEqual([
    'Jiayi-Pan/Countdown-Tasks-3to4, held out by rrr, greedy decoding',
    "second_try: Second try on the base model's failures, % of 10 (before training: 20.0)",
    60,
  ]);
  const adapter = renderCard({ ...facts, kind: 'adapter', config, base });
  expect((await readByHub(adapter)).data).toMatchObject({ library_name: 'peft' });
  expect(adapter).toContain('vllm serve Qwen/Qwen2.5-1.5B-Instruct --enable-lora --max-lora-rank 16');
  const local = await readByHub(renderCard({ ...facts, evaluation: null }));
  expect(local.data).not.toHaveProperty('base_model');
  expect(local.data).not.toHaveProperty('license');
});

test("written with the model, completed by the report, and left alone once it is somebody's own", async () => {
  const run = temporaryFolder();
  writeRun(run, input);
  const paths = runPaths(run);
  const card = () => readFileSync(join(paths.trainedModel, 'README.md'), 'utf8');
  // As from before there were cards, and of a model that is not there.
  await writeReport(paths);
  mkdirSync(paths.trainedModel);
  mkdirSync(paths.trainedAdapter);
  writeFileSync(paths.stageConfig('train'), JSON.stringify(input.config));
  writeFileSync(paths.trainSummary, JSON.stringify(facts.training));
  const failures = {
    queries: 3,
    kept: 2,
    failures: 2,
    too_long: 0,
    draws: 68,
    wasted_draws: 0,
    pass_rate: 0.5,
    kinds: {},
  };
  writeFileSync(
    paths.failuresSummary,
    JSON.stringify({ ...failures, prompt_tokens: 9, completion_tokens: 9 }),
  );
  writeFileSync(paths.trainQueries, '');
  writeFileSync(join(paths.trainedAdapter, 'README.md'), 'what peft leaves');

  await writeCards(paths, null);
  expect(card()).toContain('Not evaluated yet');
  expect(readFileSync(join(paths.trainedAdapter, 'README.md'), 'utf8')).toContain('LoRA adapter');
  await writeReport(paths, { folder: join(run, 'elsewhere') });
  expect(card()).toContain('Not evaluated yet');
  await writeReport(paths);
  expect(card()).toContain(report.verdict[0]);
  const mine = card().replace(MARK, 'mine');
  writeFileSync(join(paths.trainedModel, 'README.md'), mine);
  await writeReport(paths);
  expect(card()).toBe(mine);
});
