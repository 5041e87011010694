/** What the evaluation asks: which models, on which engine, and the call of an episode. */
import type { Config } from '../../config/schema.ts';
import { BASE, TRAINED } from '../../report/arms.ts';
import type { RunPaths } from '../../run/paths.ts';
import type { OwedEpisode } from './ledger.ts';

/** An endpoint doesn't serve what was trained here, and two models are only comparable on one engine. */
export function withVllm(config: Config): Config {
  return config.engine.name === 'vllm' ? config : { ...config, engine: { ...config.engine, name: 'vllm' } };
}

export interface EvaluatedModel {
  /** As Arm.model names it. */
  key: string;
  /** In progress and messages. */
  label: string;
  /** What a worker loads, under which config. */
  model: string;
  config: Config;
}

export function modelsOf(config: Config, paths: RunPaths): EvaluatedModel[] {
  const { model, baselines } = config.eval;
  return [
    { key: BASE, label: 'before training', model: config.model.name, config },
    { key: TRAINED, label: 'after training', model: model ?? paths.trainedModel, config },
    ...baselines.map(({ name, model, openai }) => ({
      key: name,
      label: `the baseline ${name}`,
      model: model ?? (openai?.model as string),
      config: openai ? { ...config, engine: { ...config.engine, name: 'openai' as const, openai } } : config,
    })),
  ];
}

/** Parameters of the call `episode`. */
export function paramsOf(
  { arm, decoding, sample, query, failedAnswer, reflection, tokens }: OwedEpisode,
  config: Config,
) {
  const { rounds, retry } = config.eval;
  const { kind } = arm.follows;
  // The first sample's purpose is that of every query's only one.
  const purpose = `eval${kind === 'sample' ? '-again' : ''}${sample === 0 ? '' : `-${sample}`}`;
  const gated = retry === 'failed';
  return {
    query,
    decoding,
    purpose,
    failed_answer: failedAnswer,
    retry:
      kind === 'reflect'
        ? { kind, rounds, gated }
        : { kind, ...(reflection !== undefined && { reflection }), ...(tokens !== undefined && { tokens }) },
  };
}
