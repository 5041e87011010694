/** The rows that the renderers share on the run: its data, failures and training, where it comes from, and the paper's numbers. */
import { describeForgetting, forgettingTable } from '../forgetting.ts';
import { compact, duration, paperNumber, percent, share } from '../format.ts';
import type { Report } from '../report.ts';
import type { Table, TitledTable } from '../table.ts';

export function dataFacts({ data, failures }: Report): Table {
  const kinds = Object.entries(failures.kinds).map(([kind, count]) => `${kind} ${count}`);
  return [
    ['data', ''],
    ['rows read', `${data.read}`],
    ['rows skipped as bad', `${data.skipped}`],
    ['duplicates', `${data.duplicates}`],
    ['queries for training, for test, unused', `${data.train}, ${data.test}, ${data.unused}`],
    ...(failures.queries === 0
      ? []
      : [
          ['queries sampled', `${failures.queries}`],
          ['queries kept as failures', `${failures.kept}`],
          ['draws that failed', share(failures.draws)],
          [
            'pass rate of one draw',
            failures.pass_rate === null ? 'none' : `${percent(failures.pass_rate)} % (unbiased)`,
          ],
          ['verdicts of the draws', kinds.join(', ') || 'none'],
        ]),
  ];
}

export function trainingFacts({ training, reward }: Report): Table {
  if (reward === null)
    return [
      ['training', ''],
      ['trained', 'by another run'],
    ];
  const { second_try, max_logprob_difference, self_check } = training;
  return [
    ['training', ''],
    ['reward', reward === 'shuffled' ? 'shuffled (the control)' : 'the verifier'],
    ['steps', `${training.steps.length}${training.resumed > 0 ? `, resumed ${training.resumed} times` : ''}`],
    [
      'second tries of the batches, first and last tenth',
      second_try ? `${percent(second_try.before)} % → ${percent(second_try.after)} %` : 'none',
    ],
    ['KL to the base model at the end', compact(training.kl)],
    [
      'largest log-probability gap of sampler and trainer',
      max_logprob_difference === null ? 'none' : compact(max_logprob_difference),
    ],
    [
      'largest gradient on a reflection token, on any other',
      self_check ? `${compact(self_check.inside)}, ${compact(self_check.outside)}` : 'not checked',
    ],
  ];
}

export function runFacts(report: Report): Table {
  const { commit, created, engines, machine } = report.origin;
  return [
    ['run', ''],
    ['task', report.task],
    ['base model', report.models.base],
    ['trained model', report.models.trained],
    ['seed', `${report.config.seed}`],
    ['begun', created || 'not told'],
    ...Object.entries(report.seconds).map(([stage, seconds]) => [`time, ${stage}`, duration(seconds)]),
    [
      'machine',
      machine ? `${machine.cpu}, ${machine.cores} cores, ${machine.memory_gib} GiB of memory` : 'not told',
    ],
    ['engines', engines.join('; ') || 'not told'],
    [
      'versions',
      [
        `rrr ${report.rrr}`,
        ...Object.entries(report.versions).map(([name, version]) => `${name} ${version}`),
      ].join(', '),
    ],
    ['commit of rrr', commit ?? 'not told'],
    ...Object.entries(report.hub).map(([name, commit]) => [`hub, ${name}`, commit]),
  ];
}

/** What makes the run again, and what tells whether its files are the same. */
export function originTables({ origin }: Report): TitledTable[] {
  return [
    {
      title: 'Where the configuration is not the default',
      table: [
        ['key', 'default', 'this run'],
        ...origin.changes.map(({ key, preset, here }) => [key, preset ?? 'none', here]),
      ],
      note: "The defaults are the paper's settings where it tells them.",
    },
    {
      title: 'Prompts',
      table: [
        ['prompt', 'template'],
        ...Object.entries(origin.prompts).map(([name, text]) => [name, text ?? 'none']),
      ],
    },
    {
      title: 'Files that the numbers follow from',
      table: [['file', 'sha256'], ...Object.entries(origin.hashes)],
    },
  ];
}

/** Empty where the benchmarks weren't run. */
export function forgettingTables({ forgetting }: Report): TitledTable[] {
  if (forgetting.length === 0) return [];
  return [
    {
      title: 'Forgetting: general benchmarks, item by item',
      table: forgettingTable(forgetting),
      note: describeForgetting(forgetting).join(' '),
    },
  ];
}

export const STATISTICS_NOTE =
  'Same queries before and after. Every interval is over the queries of these two models, not over training runs. One share: Wilson (1927); a paired difference: Newcombe (1998), method 10; p: exact McNemar test, two-sided; where a query has several tries, all by query. Holm p: adjusted (Holm 1979) for all comparisons in this report. Lost and won: passed only before, only after.';

export const PAPER_NOTE =
  'Accuracy in % that notes on the paper (arXiv 2505.24726) give, its second try being the first or second try above; recalled ones are from memory, unverified. Not a target: other models, data and prompts.';

export function paperTable({ paper }: Report): Table {
  return [
    ['the paper', 'first try before', 'first try after', 'second try before', 'second try after'],
    ...paper.map(({ model, first_try, second_try }) => [
      model,
      ...[first_try.before, first_try.after, second_try.before, second_try.after].map(paperNumber),
    ]),
  ];
}
