/** Where things are in a run directory. */
import { join } from 'node:path';

export type ReportFormat = 'json' | 'md' | 'html';

export type SamplesFormat = 'csv' | 'parquet';

export const samplesIn = (folder: string, format: SamplesFormat) => join(folder, `samples.${format}`);
export const reportIn = (folder: string, format: ReportFormat) => join(folder, `report.${format}`);

export function runPaths(run: string) {
  return {
    run,
    manifest: join(run, 'run.json'),
    lock: join(run, 'lock'),
    status: join(run, 'status.json'),
    workerEvents: join(run, 'workers.jsonl'),
    logs: join(run, 'logs'),
    log: join(run, 'logs', 'rrr.log'),
    /** Of the Slurm job that `rrr submit` made of the run. */
    job: join(run, 'job'),
    jobRecord: join(run, 'job', 'job.json'),
    jobLock: join(run, 'job', 'lock'),
    jobScript: join(run, 'job', 'script.sh'),
    jobConfig: join(run, 'job', 'config.yaml'),
    jobAttempts: join(run, 'job', 'attempts.jsonl'),
    /** What Slurm and the script say; what rrr says in an attempt, and a link to that of the last one. */
    jobLog: join(run, 'job', 'slurm.log'),
    attemptLog: (attempt: number) => join(run, 'job', `attempt_${attempt}.log`),
    lastAttemptLog: join(run, 'job', 'latest'),
    data: join(run, 'data'),
    trainQueries: join(run, 'data', 'train.jsonl'),
    testQueries: join(run, 'data', 'test.jsonl'),
    dataSummary: join(run, 'data', 'summary.json'),
    /** The folder of a stage's files, and the resolved config that it was last started with. */
    stage: (name: string) => join(run, name),
    stageConfig: (name: string) => join(run, name, 'config.json'),
    /** What of that config decides the stage's result, by dotted key. */
    stageDecides: (name: string) => join(run, name, 'decides.json'),
    failuresJournal: join(run, 'failures', 'journal.jsonl'),
    failures: join(run, 'failures', 'failures.jsonl'),
    tallies: join(run, 'failures', 'tallies.jsonl'),
    failuresSummary: join(run, 'failures', 'summary.json'),
    trainEvents: join(run, 'train', 'events.jsonl'),
    trainedModel: join(run, 'train', 'model'),
    /** With train.lora alone. */
    trainedAdapter: join(run, 'train', 'adapter'),
    trainSummary: join(run, 'train', 'summary.json'),
    /** The items of one benchmark as a model answered them: written whole, so what is there is finished. */
    benchmarkItems: (model: string, task: string) => join(run, 'benchmarks', model, `${task}.jsonl`),
    benchmarksSummary: join(run, 'benchmarks', 'summary.json'),
    evalJournal: join(run, 'eval', 'journal.jsonl'),
    samples: (format: SamplesFormat) => samplesIn(join(run, 'eval'), format),
    report: (format: ReportFormat) => reportIn(join(run, 'eval'), format),
  };
}

export type RunPaths = ReturnType<typeof runPaths>;
