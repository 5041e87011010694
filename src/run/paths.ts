/** Where things are in a run directory. */
import { join } from 'node:path';

export function runPaths(run: string) {
  return {
    run,
    manifest: join(run, 'run.json'),
    lock: join(run, 'lock'),
    status: join(run, 'status.json'),
    logs: join(run, 'logs'),
    log: join(run, 'logs', 'rrr.log'),
    data: join(run, 'data'),
    trainQueries: join(run, 'data', 'train.jsonl'),
    testQueries: join(run, 'data', 'test.jsonl'),
    dataSummary: join(run, 'data', 'summary.json'),
    failuresDir: join(run, 'failures'),
    failuresJournal: join(run, 'failures', 'journal.jsonl'),
    failures: join(run, 'failures', 'failures.jsonl'),
    tallies: join(run, 'failures', 'tallies.jsonl'),
    failuresSummary: join(run, 'failures', 'summary.json'),
    trainDir: join(run, 'train'),
    trainEvents: join(run, 'train', 'events.jsonl'),
    trainedModel: join(run, 'train', 'model'),
    trainSummary: join(run, 'train', 'summary.json'),
    evalDir: join(run, 'eval'),
    evalJournal: join(run, 'eval', 'journal.jsonl'),
    report: (format: 'json' | 'md' | 'html') => join(run, 'eval', `report.${format}`),
  };
}

export type RunPaths = ReturnType<typeof runPaths>;
