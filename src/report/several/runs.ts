/** Several runs: those that differ by their seed alone joined, those with the same queries side by side, and transfer. */
import {
  armsOf,
  baselinesOf,
  type Comparison,
  comparisonsOf,
  controlsOf,
  modesOf,
  SECOND_TRY,
  TRAINED,
  TRAINED_ON_BASE,
} from '../arms.ts';
import { among, type Case, casesOf, PASSED } from '../cases.ts';
import { triesOf } from '../compare.ts';
import { adjust } from '../outcome.ts';
import type { Decoding, ReportInput } from '../report.ts';
import { compareRuns } from '../statistics/clustered.ts';
import { compareTries } from '../statistics/tries.ts';
import type { Interval, PairedComparison } from '../statistics.ts';

export interface EvaluatedRun {
  /** As the command line named it. */
  name: string;
  /** Equal for runs that differ by their seed alone. */
  group: string;
  input: ReportInput;
}

export interface SeveralRuns {
  runs: RunReport[];
  joined: JoinedGroup[];
  beside: BesideReport[];
  /** Empty unless several tasks were evaluated. */
  transfer: TransferCell[];
}

interface RunReport {
  name: string;
  task: string;
  seed: number;
  reward: string;
  base: string;
  trained: string;
  queries: number;
}

/** Runs of one configuration under other seeds. */
export interface JoinedGroup {
  runs: string[];
  seeds: number[];
  task: string;
  reward: string;
  comparisons: JoinedComparison[];
}

export interface JoinedComparison {
  decoding: Decoding;
  name: string;
  label: string;
  outcome: Comparison['outcome'];
  control: boolean;
  /** The difference that each run found. */
  differences: number[];
  /** All tries of all runs, by query: over queries of these models. */
  result: PairedComparison;
  adjusted_p: number;
  /** The mean difference over training runs, and its interval: null where the runs can't tell. */
  over_runs: { difference: number; interval: Interval | null };
}

/** Two runs on the queries that both asked with the same prompt. */
export interface BesideReport {
  decoding: Decoding;
  one: string;
  other: string;
  label: string;
  /** Queries that both have, of those that either has; pairs that were not asked in the same words are left out. */
  common: number;
  either: number;
  other_words: number;
  result: PairedComparison;
  adjusted_p: number;
}

export interface TransferCell {
  decoding: Decoding;
  trained_on: string;
  evaluated_on: string;
  runs: string[];
  result: PairedComparison;
}

export function aggregateRuns(runs: readonly EvaluatedRun[]): SeveralRuns {
  const evaluated = runs.map((run) => ({ ...run, cases: collect(run.input) }));
  const beside = standBeside(evaluated);
  adjust(beside);
  return {
    runs: evaluated.map(describe),
    joined: joinGroups(evaluated),
    beside,
    transfer: measureTransfer(evaluated),
  };
}

interface Evaluated extends EvaluatedRun {
  cases: Map<Decoding, Case[]>;
}

function collect(input: ReportInput): Map<Decoding, Case[]> {
  const arms = armsOf(input.config.eval);
  return new Map(modesOf(input.config.eval).map((mode) => [mode.decoding, casesOf(arms, mode, input)]));
}

const rewardOf = ({ config }: ReportInput) =>
  config.eval.model === undefined ? config.train.reward : 'another run';

function describe({ name, input }: Evaluated): RunReport {
  const { config } = input;
  return {
    name,
    task: config.task.name,
    seed: config.seed,
    reward: rewardOf(input),
    base: config.model.name,
    trained: input.trainedModel,
    queries: input.queries.length,
  };
}

/** All comparisons that a run's report makes; `control` for what the controls do. */
function allOf({ config }: ReportInput): { comparison: Comparison; control: boolean }[] {
  return [
    ...comparisonsOf(config.eval).map((comparison) => ({ comparison, control: false })),
    ...controlsOf(config.eval).flatMap(({ gain, own }) => [
      { comparison: gain, control: true },
      { comparison: { ...own, label: `Own reflections over: ${own.label}` }, control: true },
    ]),
    ...baselinesOf(config.eval).map((comparison) => ({ comparison, control: false })),
  ];
}

function joinGroups(runs: readonly Evaluated[]): JoinedGroup[] {
  const groups = new Map<string, Evaluated[]>();
  for (const run of runs) groups.set(run.group, [...(groups.get(run.group) ?? []), run]);
  return [...groups.values()].filter((group) => group.length > 1).map(joinGroup);
}

function joinGroup(group: readonly Evaluated[]): JoinedGroup {
  const [{ input }] = group as [Evaluated];
  const shared = (decoding: Decoding) => group.every(({ cases }) => cases.has(decoding));
  const made = ({ name }: Comparison) =>
    group.every((run) => allOf(run.input).some(({ comparison }) => comparison.name === name));
  const comparisons = input.config.eval.modes.filter(shared).flatMap((decoding) =>
    allOf(input)
      .filter(({ comparison }) => made(comparison))
      .map((each) => join(group, decoding, each)),
  );
  adjust(comparisons);
  return {
    runs: group.map(({ name }) => name),
    seeds: group.map((run) => run.input.config.seed),
    task: input.config.task.name,
    reward: rewardOf(input),
    comparisons,
  };
}

function join(
  group: readonly Evaluated[],
  decoding: Decoding,
  { comparison, control }: { comparison: Comparison; control: boolean },
): JoinedComparison {
  const tries = group.map(({ cases }) => triesOf(comparison, cases.get(decoding) as Case[]));
  const differences = tries.map((each) => compareTries(each).difference);
  const result = compareTries(tries.flat());
  const { name, label, outcome } = comparison;
  const over_runs = compareRuns(differences);
  return {
    decoding,
    name,
    label,
    outcome,
    control,
    differences,
    result,
    adjusted_p: result.p_value,
    over_runs: { difference: over_runs.difference, interval: over_runs.interval },
  };
}

/** The trained models of each two runs of other configurations. */
function standBeside(runs: readonly Evaluated[]): BesideReport[] {
  return runs.flatMap((one, index) =>
    runs
      .slice(index + 1)
      .filter(
        (other) => other.group !== one.group && other.input.config.task.name === one.input.config.task.name,
      )
      .flatMap((other) =>
        one.input.config.eval.modes
          .filter((decoding) => other.cases.has(decoding))
          .flatMap((decoding) => besideUnder(decoding, one, other)),
      ),
  );
}

function besideUnder(decoding: Decoding, one: Evaluated, other: Evaluated): BesideReport[] {
  const ofOne = one.cases.get(decoding) as Case[];
  const ofOther = new Map(byTry(other.cases.get(decoding) as Case[]));
  const both = [...byTry(ofOne)].flatMap(([key, mine]) => {
    const theirs = ofOther.get(key);
    return theirs ? [{ mine, theirs }] : [];
  });
  const same = both.filter(
    ({ mine, theirs }) => promptOf(mine) !== undefined && promptOf(mine) === promptOf(theirs),
  );
  const either = ofOne.length + ofOther.size - both.length;
  const base = { decoding, one: one.name, other: other.name, common: same.length, either };
  const measure = (label: string, pairs: typeof same, arm: string, outcome: Comparison['outcome']) => {
    const result = compareTries(
      pairs.map(({ mine, theirs }) => ({
        query: mine.id,
        before: PASSED[outcome](mine.episodes[arm]),
        after: PASSED[outcome](theirs.episodes[arm]),
      })),
    );
    return { ...base, label, other_words: both.length - same.length, result, adjusted_p: result.p_value };
  };
  if (same.length === 0) return [];
  const sameFailure = same.filter(
    ({ mine, theirs }) =>
      among(SECOND_TRY, [mine, theirs]).length === 2 &&
      mine.episodes.base?.first?.completion === theirs.episodes.base?.first?.completion,
  );
  return [
    measure('First try', same, TRAINED, 'first'),
    measure('First or second try', same, TRAINED, 'any'),
    ...(sameFailure.length > 0
      ? [measure('Second try on the same failed answers', sameFailure, TRAINED_ON_BASE, 'retry')]
      : []),
  ];
}

/** By query and number of its sample. */
function* byTry(cases: readonly Case[]): Generator<[string, Case]> {
  const seen = new Map<string, number>();
  for (const each of cases) {
    const sample = seen.get(each.id) ?? 0;
    seen.set(each.id, sample + 1);
    yield [`${each.id} ${sample}`, each];
  }
}

const promptOf = ({ episodes }: Case) => episodes[TRAINED]?.prompt;

function measureTransfer(runs: readonly Evaluated[]): TransferCell[] {
  const trainedBy = (model: string) =>
    runs.find(({ input }) => input.config.eval.model === undefined && input.trainedModel === model);
  const cells = runs.flatMap((run) => {
    const { config, trainedModel } = run.input;
    const trained_on = trainedBy(trainedModel)?.input.config.task.name ?? trainedModel;
    return [...run.cases].map(([decoding, cases]) => ({
      decoding,
      trained_on,
      evaluated_on: config.task.name,
      runs: [run.name],
      tries: triesOf(SECOND_TRY, cases),
    }));
  });
  if (new Set(cells.map(({ evaluated_on }) => evaluated_on)).size < 2) return [];
  const merged = new Map<string, (typeof cells)[number]>();
  for (const cell of cells) {
    const key = `${cell.decoding} ${cell.trained_on} ${cell.evaluated_on}`;
    const found = merged.get(key);
    merged.set(
      key,
      found ? { ...cell, runs: [...found.runs, ...cell.runs], tries: [...found.tries, ...cell.tries] } : cell,
    );
  }
  return [...merged.values()].map(({ tries, ...cell }) => ({ ...cell, result: compareTries(tries) }));
}
