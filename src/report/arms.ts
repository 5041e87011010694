/**
 * The arms of the evaluation and what is compared. An arm is a model under a condition: what it starts from, and what follows
 * a failed answer. Every arm is run on the held-out queries under every decoding of eval.modes. Two of them, and the base
 * model's failures that the trained one reflects on, are always there; eval.controls and eval.baselines name the others.
 */
import type { Config } from '../config/schema.ts';

export type Control = Config['eval']['controls'][number];

export interface Arm {
  /** In the journal of the evaluation and in report.json. */
  name: string;
  /** For people. */
  label: string;
  /** base: model.name. trained: what training made of it, or eval.model. Any other: the baseline of that name. */
  model: string;
  /** The arm whose failed first tries this one goes on from; null: it makes a first try of its own. */
  failuresOf: string | null;
  /** What follows the failed answer. */
  follows: Follows;
}

export type Follows =
  /** Rounds of its own reflections and retries. */
  | { kind: 'reflect' }
  /** A retry that follows nothing, or the task's fixed hint. */
  | { kind: 'bare' | 'hint' }
  /** A retry that follows the first reflection of another arm, on the same query or, a donor's, on another one. */
  | { kind: 'given'; by: string; on: 'the same query' | 'another query' }
  /** First tries once more: one, or as many as the tokens pay for that the other arm spent after the same failure. */
  | { kind: 'sample'; spendAs: string | null };

export const BASE = 'base';
export const TRAINED = 'trained';
/** The trained model's reflection and retry on the same failed answers that the base model reflected on. */
export const TRAINED_ON_BASE = 'trained_on_base';

const REFLECT: Follows = { kind: 'reflect' };
const MODEL_LABELS: Record<string, string> = { [BASE]: 'before training', [TRAINED]: 'after training' };

/** A baseline by its name. */
export function modelLabel(model: string): string {
  return MODEL_LABELS[model] ?? model;
}

/** Two arms, query by query. */
export interface Comparison {
  /** In report.json. */
  name: string;
  label: string;
  /** Names of the arms. */
  before: string;
  after: string;
  /** The queries that count: all, or those that the base model failed at its first try. */
  among: 'all' | 'failures';
  /** What must pass: the first try, a retry, any of them, or the last answer, whatever passed before it. */
  outcome: 'first' | 'retry' | 'any' | 'last';
}

/** How a control stands: its own change by training, and what the trained model's own reflections have over it. */
export interface ControlComparisons {
  control: Control;
  label: string;
  gain: Comparison;
  own: Comparison;
}

const CONTROL_LABELS: Record<Control, string> = {
  bare_retry: 'Bare retry, no reflection',
  hint: 'A fixed hint in place of the reflection',
  donor: "Another query's reflection",
  base_reflection: "The base model's reflection, the trained model's retry",
  trained_reflection: "The trained model's reflection, the base model's retry",
  best_of_two: 'One more sample',
  equal_tokens: 'More samples, as many tokens',
};

/** The arm of a control under each model; where it mixes the two models, `before` is the base model by itself. */
function controlArms(control: Control): { before: string; after: string; arms: Arm[] } {
  const arm = (model: string, follows: Follows): Arm => ({
    name: `${control}_${model}`,
    label: `${CONTROL_LABELS[control]}, ${modelLabel(model)}`,
    model,
    failuresOf: BASE,
    follows,
  });
  const both = (follows: (own: string) => Follows) => {
    const arms = [arm(BASE, follows(BASE)), arm(TRAINED, follows(TRAINED_ON_BASE))];
    return { before: `${control}_${BASE}`, after: `${control}_${TRAINED}`, arms };
  };
  const mixed = (model: string, by: string) => {
    const made: Arm = {
      ...arm(model, { kind: 'given', by, on: 'the same query' }),
      name: control,
      label: CONTROL_LABELS[control],
    };
    return { before: BASE, after: control, arms: [made] };
  };
  switch (control) {
    case 'bare_retry':
      return both(() => ({ kind: 'bare' }));
    case 'hint':
      return both(() => ({ kind: 'hint' }));
    case 'donor':
      return both((own) => ({ kind: 'given', by: own, on: 'another query' }));
    case 'best_of_two':
      return both(() => ({ kind: 'sample', spendAs: null }));
    case 'equal_tokens':
      return both((own) => ({ kind: 'sample', spendAs: own }));
    case 'base_reflection':
      return mixed(TRAINED, BASE);
    case 'trained_reflection':
      return mixed(BASE, TRAINED_ON_BASE);
  }
}

export function armsOf({ controls, baselines }: Pick<Config['eval'], 'controls' | 'baselines'>): Arm[] {
  return [
    { name: BASE, label: modelLabel(BASE), model: BASE, failuresOf: null, follows: REFLECT },
    { name: TRAINED, label: modelLabel(TRAINED), model: TRAINED, failuresOf: null, follows: REFLECT },
    {
      name: TRAINED_ON_BASE,
      label: 'after training, on the same failed answer',
      model: TRAINED,
      failuresOf: BASE,
      follows: REFLECT,
    },
    ...controls.flatMap((control) => controlArms(control).arms),
    ...baselines.map(({ name }) => ({ name, label: name, model: name, failuresOf: null, follows: REFLECT })),
  ];
}

/** A decoding, and how many first tries a query has under it. */
export interface Mode {
  decoding: Config['eval']['modes'][number];
  samples: number;
}

/** Greedy tries of a query are all the same: one is enough. */
export function modesOf({ modes, samples }: Pick<Config['eval'], 'modes' | 'samples'>): Mode[] {
  return modes.map((decoding) => ({ decoding, samples: decoding === 'sampled' ? samples : 1 }));
}

/** The arms whose records the arm needs before it can begin. */
export function needsOf({ failuresOf, follows }: Arm): string[] {
  const others = [
    failuresOf,
    follows.kind === 'given' ? follows.by : null,
    follows.kind === 'sample' ? follows.spendAs : null,
  ];
  return others.filter((name) => name !== null);
}

/** What the report's verdict, its examples and its table of reflections are about. */
export const SECOND_TRY: Comparison = {
  name: 'second_try',
  label: "Second try on the base model's failures",
  before: BASE,
  after: TRAINED_ON_BASE,
  among: 'failures',
  outcome: 'retry',
};

/**
 * The second tries are on the same queries and the same failed answers, and, as seeds depend on query and purpose alone, with
 * the same random numbers: what differs is the model.
 */
export function comparisonsOf({ retry }: Pick<Config['eval'], 'retry'>): Comparison[] {
  const all = { before: BASE, after: TRAINED, among: 'all' } as const;
  return [
    { ...all, name: 'first_try', label: 'First try', outcome: 'first' },
    SECOND_TRY,
    { ...all, name: 'overall', label: 'First or second try', outcome: 'any' },
    ...(retry === 'all'
      ? [{ ...all, name: 'last_answer', label: 'Last answer, every one retried', outcome: 'last' } as const]
      : []),
  ];
}

export function controlsOf({ controls }: Pick<Config['eval'], 'controls'>): ControlComparisons[] {
  return controls.map((control) => {
    const { before, after } = controlArms(control);
    const label = CONTROL_LABELS[control];
    const compare = { label, among: 'failures', outcome: 'retry' } as const;
    return {
      control,
      label,
      gain: { ...compare, name: control, before, after },
      own: { ...compare, name: `own_over_${control}`, before: after, after: TRAINED_ON_BASE },
    };
  });
}

/** The trained model beside each baseline. */
export function baselinesOf({ baselines }: Pick<Config['eval'], 'baselines'>): Comparison[] {
  const all = { after: TRAINED, among: 'all' } as const;
  return baselines.flatMap(({ name }): Comparison[] => [
    { ...all, before: name, name: `${name}_first_try`, label: `${name}, first try`, outcome: 'first' },
    { ...all, before: name, name: `${name}_overall`, label: `${name}, first or second try`, outcome: 'any' },
  ]);
}
