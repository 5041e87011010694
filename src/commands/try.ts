/** `rrr try`: one query, before and after training: the first answer, its verdict, the reflection, the retry. */
import { readQuery, withoutRun } from '../inspect/question.ts';
import { requireRun } from '../inspect/require-run.ts';
import type { Attempt, EpisodeResult } from '../protocol/methods.ts';
import { BASE, modesOf, TRAINED, TRAINED_ON_BASE } from '../report/arms.ts';
import type { Decoding } from '../report/report.ts';
import {
  type AskedModel,
  askQuery,
  chooseQuery,
  type Episodes,
  modelsToAsk,
  readConfig,
  readRecorded,
} from '../stages/evaluate/one-query.ts';
import { requireIn } from '../stages/packages.ts';
import type { Context, Outcome } from '../terminal/context.ts';
import { ProgressRenderer } from '../terminal/progress.ts';
import { resolveUserPath } from '../user-path.ts';

export interface TryOptions {
  id?: string;
  query?: string;
  model?: AskedModel | 'both';
  decoding?: Decoding;
}

const LABELS: Record<string, string> = {
  [BASE]: 'before training',
  [TRAINED]: 'after training',
  [TRAINED_ON_BASE]: 'after training, on the failed answer from before training',
};

/** Takes no lock and writes nothing into the run. */
export async function runTry(context: Context, run: string, options: TryOptions): Promise<Outcome> {
  const { signal, stderr } = context;
  const paths = requireRun(resolveUserPath(context.cwd, run));
  const config = readConfig(paths);
  requireIn(['vllm'], config, () => 'rrr try');
  const models = modelsToAsk(config, paths, options.model);
  const decoding = options.decoding ?? mainDecoding(config.eval);
  const recorded = await readRecorded(paths, decoding);
  const query =
    options.query === undefined
      ? await chooseQuery(paths, recorded, options.id)
      : await readQuery(options.query, { config, signal });
  const progress = new ProgressRenderer(stderr);
  const episodes = await withoutRun({ config }, (worker) =>
    askQuery(query, decoding, models, { ...worker, config, paths, signal, progress }),
  );
  const compared = compare(episodes, recorded.get(query.id));
  const notes = [
    ...(compared === null ? [] : [SAYS[compared]]),
    ...(options.model === undefined && models.length === 1
      ? ['nothing was trained in this run so far: this is the base model alone']
      : []),
  ];
  const text = [
    `query ${query.id}  ${query.fields.text}`,
    `${decoding} decoding, seed ${config.seed}`,
    ...notes,
    ...Object.entries(episodes).flatMap(([arm, episode]) => ['', LABELS[arm] ?? arm, ...render(episode)]),
  ].join('\n');
  // The fields as text, which also are what --query takes: JavaScript would round large integers.
  const json = { run: paths.run, id: query.id, query: query.fields.text, decoding, seed: config.seed };
  return { text, json: { ...json, evaluation: compared, episodes } };
}

/** The one that the evaluation's last line is about. */
function mainDecoding(evaluation: Parameters<typeof modesOf>[0]): Decoding {
  const decodings = modesOf(evaluation).map(({ decoding }) => decoding);
  return decodings.includes('sampled') ? 'sampled' : 'greedy';
}

const SAYS = {
  same: "the evaluation's own answers: seeds belong to the query, and they came out the same again",
  other:
    'not the answers of the evaluation, which had the same prompts and seeds: only in float32 the same texts must come out again',
};

/** The texts held against those in the journal of the evaluation; null where it has none of them. */
function compare(episodes: Episodes, recorded: Episodes = {}): keyof typeof SAYS | null {
  const known = Object.keys(episodes).filter((arm) => arm in recorded);
  if (known.length === 0) return null;
  const same = known.every((arm) => textsOf(episodes[arm]) === textsOf(recorded[arm]));
  return same ? 'same' : 'other';
}

function textsOf(episode: EpisodeResult | undefined): string {
  const rounds = episode?.rounds.flatMap(({ reflection, retry }) => [
    reflection?.completion,
    retry.completion,
  ]);
  return JSON.stringify([episode?.first?.completion, rounds]);
}

function render({ first, rounds }: EpisodeResult): string[] {
  return [
    ...(first ? renderTry('first try', first) : []),
    ...rounds.flatMap(({ reflection, retry }) => [
      ...(reflection ? ['  reflection', indent(reflection.completion)] : []),
      ...renderTry('retry', retry),
    ]),
  ];
}

function renderTry(name: string, { completion, verdict: { passed, kind, detail } }: Attempt): string[] {
  const why = passed ? 'passed' : `failed, ${kind}${detail ? `: ${detail}` : ''}`;
  return [`  ${name}: ${why}`, indent(completion)];
}

const indent = (text: string) => text.replace(/^/gm, '    ');
