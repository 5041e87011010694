/** The config of a smoke run: the task, the data, the prompts and the verifier of a real one, all else as small as it works. */
import type { Config } from './schema.ts';

/** Rows to read, held-out queries of them, and steps of training. */
export const SMOKE = { rows: 32, testRows: 8, steps: 2 };
/** Tokens that its model is told to read: to the tiny tokenizer most text is bytes. */
export const SMOKE_TOKENS = 8192;
const MOST_ANSWER_TOKENS = 64;
const MOST_REFLECTION_TOKENS = 32;
const MOST_DRAWS = 8;

/** `model`: the folder of a model that reads `SMOKE_TOKENS`. */
export function smokeConfig(config: Config, model: string): Config {
  const { sampling, engine, workers, data, failures, train } = config;
  const { openai, ...ownEngine } = engine;
  const { devices: _samplers, ...ownWorkers } = workers;
  const { train_rows, test_rows, ...ownData } = data;
  const { devices, processes, lora, micro_batch_size, max_logprob_difference, ...ownTrain } = train;
  const { model: _evaluated, ...ownEval } = config.eval;
  return {
    ...config,
    model: { name: model, dtype: 'float32', max_model_len: SMOKE_TOKENS },
    sampling: {
      ...sampling,
      max_answer_tokens: Math.min(sampling.max_answer_tokens, MOST_ANSWER_TOKENS),
      max_reflection_tokens: Math.min(sampling.max_reflection_tokens, MOST_REFLECTION_TOKENS),
    },
    engine: { ...ownEngine, name: 'vllm', tensor_parallel: 1, enforce_eager: true },
    workers: { ...ownWorkers, count: 1 },
    launch: { ...config.launch, kind: 'local' },
    // Halves, or of so few rows one split might be left empty.
    data: {
      ...ownData,
      rows: Math.min(data.rows ?? SMOKE.rows, SMOKE.rows),
      test_fraction: 0.5,
      train_fraction: 0.5,
      test_rows: SMOKE.testRows,
    },
    failures: {
      ...failures,
      max_draws: Math.min(failures.max_draws, MOST_DRAWS),
      failures_per_query: Math.min(failures.failures_per_query, MOST_DRAWS),
    },
    train: {
      ...ownTrain,
      steps: SMOKE.steps,
      batch_size: 8,
      num_generations: 4,
      retries_per_reflection: Math.min(train.retries_per_reflection, 2),
      sharding: 'none',
      engine_sleep: false,
      report_to: [],
    },
    eval: {
      ...ownEval,
      samples: Math.min(ownEval.samples, 2),
      rounds: Math.min(ownEval.rounds, 2),
      baselines: [],
    },
  };
}
