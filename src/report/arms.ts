/**
 * The arms of the evaluation and what is compared. An arm is a model under a condition: what it starts from, and how many
 * rounds of reflection and retry it has. Every arm is run on the held-out queries under every decoding of eval.modes. A
 * control is one entry of ARMS, and one of COMPARISONS that holds it against another arm.
 */
export interface Arm {
  /** In the journal of the evaluation and in report.json. */
  name: string;
  /** base: model.name. trained: what training made of it, or eval.model. */
  model: 'base' | 'trained';
  /** The arm whose failed first tries this one reflects on; null: it makes a first try of its own. */
  failuresOf: string | null;
  /** Rounds of reflection and retry, at most. */
  rounds: number;
}

const BASE: Arm = { name: 'base', model: 'base', failuresOf: null, rounds: 1 };
const TRAINED: Arm = { name: 'trained', model: 'trained', failuresOf: null, rounds: 1 };
/** The trained model's reflection and retry on the same failed answers that the base model reflected on. */
const TRAINED_ON_BASE: Arm = { name: 'trained_on_base', model: 'trained', failuresOf: BASE.name, rounds: 1 };

/** An arm stands after the one whose failures it starts from. */
export const ARMS: readonly Arm[] = [BASE, TRAINED, TRAINED_ON_BASE];

/** Two arms, query by query. */
export interface Comparison {
  /** In report.json. */
  name: string;
  label: string;
  /** Names of the arms. */
  before: string;
  after: string;
  /** The queries that count: all, or those that the arm `before` failed at its first try. */
  among: 'all' | 'failures';
  /** What must pass: the first try, a retry, or any of them. */
  outcome: 'first' | 'retry' | 'any';
}

const FIRST_TRY: Comparison = {
  name: 'first_try',
  label: 'First try',
  before: BASE.name,
  after: TRAINED.name,
  among: 'all',
  outcome: 'first',
};
/**
 * On the same queries and the same failed answers, and, as seeds depend on query and purpose alone, with the same random
 * numbers: what differs is the model.
 */
const SECOND_TRY: Comparison = {
  name: 'second_try',
  label: "Second try on the base model's failures",
  before: BASE.name,
  after: TRAINED_ON_BASE.name,
  among: 'failures',
  outcome: 'retry',
};
const OVERALL: Comparison = {
  name: 'overall',
  label: 'First or second try',
  before: BASE.name,
  after: TRAINED.name,
  among: 'all',
  outcome: 'any',
};

export const COMPARISONS: readonly Comparison[] = [FIRST_TRY, SECOND_TRY, OVERALL];
/** What the report's verdict, its examples and its table of reflections are about. */
export const MAIN_COMPARISON = SECOND_TRY;
