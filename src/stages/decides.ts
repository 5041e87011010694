/** What of the config decides the result of a stage: a stage's own keys beside those of the stages before it. */
import type { Config } from '../config/schema.ts';
import { commandIdentity, fileIdentity, modelIdentity, taskIdentity } from '../run/identity.ts';

/** What decides the failures decides all that is made of them. */
export function decideFailures(config: Config) {
  const { model, sampling, failures, engine } = config;
  return {
    ...decideData(config),
    model: { ...model, name: modelIdentity(model.name) },
    sampling,
    failures,
    engine: {
      name: engine.name,
      openai: engine.openai?.tools === 'text' ? undefined : { tools: engine.openai?.tools },
    },
  };
}

/** What the prepared data follows from. */
export function decideData({ seed, task, data }: Config) {
  const { processes, ...verifier } = task.verifier ?? {};
  // Rows that stop one run are skipped by the other: what is kept is the same.
  const { on_bad_row, path, ...rows } = data;
  // Only controls of the evaluation are asked with these.
  const { bare_retry, hint, ...prompts } = task.prompts;
  return {
    seed,
    task: {
      ...task,
      prompts,
      name: taskIdentity(task.name),
      verifier: task.verifier && { ...verifier, command: commandIdentity(task.verifier.command) },
    },
    data: { ...rows, path: path && fileIdentity(path) },
  };
}

export function decideTraining(config: Config) {
  const {
    devices,
    processes,
    sharding,
    checkpoint_every,
    checkpoint_minutes,
    keep_checkpoints,
    max_restarts,
    step_timeout_s,
    report_to,
    gpu_memory_utilization,
    engine_sleep,
    ...train
  } = config.train;
  return { ...decideFailures(config), train };
}

/**
 * What an evaluation's episodes follow from. How many there are (samples, controls, baselines) may grow: what is done stays.
 * Defaults of keys that earlier versions didn't know are left out, so that what these finished stays finished.
 */
export function decideEvaluation(config: Config) {
  const { model, modes, retry, rounds } = config.eval;
  const { bare_retry, hint } = config.task.prompts;
  const training = decideTraining(config);
  return {
    ...training,
    task: { ...training.task, prompts: { ...training.task.prompts, bare_retry, hint } },
    eval: {
      model: model && modelIdentity(model),
      modes,
      ...(retry !== 'failed' && { retry }),
      ...(rounds !== 1 && { rounds }),
    },
  };
}
