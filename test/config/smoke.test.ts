/** What a smoke run keeps of a config, and what it takes from it. */
import { expect, test } from 'vitest';
import type { Config } from '../../src/config/schema.ts';
import { SMOKE_TOKENS, smokeConfig } from '../../src/config/smoke.ts';
import { makeConfig } from '../workers/harness.ts';

const real: Config = makeConfig({
  seed: 7,
  model: { name: 'Qwen/Qwen2.5-1.5B-Instruct', revision: 'main', dtype: 'bfloat16', max_model_len: 4096 },
  task: { name: '/t/near.py:Near', options: { distance: 2 }, prompts: { system: 'Think.' } },
  data: { source: 'hub', dataset: 'a/b', columns: { nums: 'n' }, test_fraction: 0.05, train_rows: 15000 },
  engine: {
    name: 'openai',
    tensor_parallel: 4,
    openai: { base_urls: ['http://x/v1'], api_key_env: 'K', max_retries: 1, tools: 'text' },
  },
  workers: { count: 8, devices: ['0', '1'], call_timeout_s: 77 },
  train: {
    devices: ['0', '1'],
    sharding: 'fsdp2',
    micro_batch_size: 16,
    beta: 0.5,
    report_to: ['wandb'],
    lora: { rank: 1, alpha: 1, dropout: 0, targets: ['x'], base_dtype: 'float32' },
  },
  eval: { model: '/gone', modes: ['greedy'] },
});

test('the task and the data stay, all that needs a GPU goes', () => {
  const smoke = smokeConfig(real, '/run-smoke/model');
  expect(smoke.model).toEqual({ name: '/run-smoke/model', dtype: 'float32', max_model_len: SMOKE_TOKENS });
  expect([smoke.seed, smoke.task]).toEqual([real.seed, real.task]);
  expect(smoke.data).toMatchObject({
    source: 'hub',
    dataset: 'a/b',
    columns: { nums: 'n' },
    rows: 32,
    test_rows: 8,
  });
  expect(smoke.data.train_rows).toBeUndefined();
  expect(smoke.engine).toMatchObject({ name: 'vllm', tensor_parallel: 1, enforce_eager: true });
  expect(smoke.workers).toMatchObject({ count: 1, call_timeout_s: 77 });
  expect(smoke.train).toMatchObject({
    steps: 2,
    batch_size: 8,
    num_generations: 4,
    sharding: 'none',
    beta: 0.5,
  });
  expect(smoke.train.report_to).toEqual([]);
  for (const key of ['devices', 'processes', 'lora', 'micro_batch_size'] as const)
    expect(smoke.train[key]).toBeUndefined();
  expect([smoke.workers.devices, smoke.engine.openai, smoke.eval.model]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
  expect(smoke.eval.modes).toEqual(['greedy']);
});

test('what is small already stays as it is', () => {
  const { sampling, data, failures } = smokeConfig(
    makeConfig({
      data: { source: 'generator', rows: 9 },
      sampling: { max_answer_tokens: 12, max_reflection_tokens: 24 },
      failures: { max_draws: 3 },
    }),
    '/m',
  );
  expect(sampling).toMatchObject({ max_answer_tokens: 12, max_reflection_tokens: 24, temperature: 1 });
  expect([data.rows, failures.max_draws, failures.failures_per_query]).toEqual([9, 3, 1]);
});
