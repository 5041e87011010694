/**
 * RUN/train/model/README.md, and RUN/train/adapter/README.md with LoRA. `rrr train` writes them as it leaves the models, every
 * report of the run again with its results, unless somebody has made the file their own.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { resolvedConfigSchema } from '../config/schema.ts';
import { prepareResult, trainEvent } from '../protocol/methods.ts';
import { type BaseFacts, MARK, renderCard } from '../report/card.ts';
import type { Report } from '../report/report.ts';
import { readJson, readRecord, replaceFile } from '../run/files.ts';
import { sha256Of } from '../run/identity.ts';
import { readLines, readRecords } from '../run/journal.ts';
import { readManifest } from '../run/manifest.ts';
import type { RunPaths } from '../run/paths.ts';
import { failuresSummary, trainSummary, type WorkerEvent, workerEvent } from '../run/records.ts';

/** `evaluation`: null where a model has just been made. */
export async function writeCards(paths: RunPaths, evaluation: Report | null): Promise<void> {
  const folders = { model: paths.trainedModel, adapter: paths.trainedAdapter };
  const wanted = (['model', 'adapter'] as const).filter((kind) =>
    mayWrite(folders[kind], evaluation === null),
  );
  if (wanted.length === 0) return;
  const training = readRecord(paths.trainSummary, trainSummary);
  const facts = {
    config: resolvedConfigSchema.parse(readJson(paths.stageConfig('train'))),
    base: await readBase(paths),
    data: readRecord(paths.dataSummary, prepareResult),
    hashes: { train: sha256Of(paths.trainQueries), test: sha256Of(paths.testQueries) },
    failures: readRecord(paths.failuresSummary, failuresSummary),
    training,
    versions: versionsOf(await readRecords(paths.workerEvents, workerEvent)),
    rrr: training.rrr ?? { version: readManifest(paths)?.rrr_version ?? 'unknown', commit: null },
    evaluation,
  };
  for (const kind of wanted) replaceFile(cardIn(folders[kind]), renderCard({ kind, ...facts }));
}

const cardIn = (folder: string) => join(folder, 'README.md');

/** A card that is not rrr's any more is left alone; that of a new model is whatever the libraries left there. */
function mayWrite(folder: string, isNew: boolean): boolean {
  if (!existsSync(folder)) return false;
  const card = cardIn(folder);
  return isNew || !existsSync(card) || readFileSync(card, 'utf8').includes(MARK);
}

async function readBase({ trainEvents }: RunPaths): Promise<BaseFacts | null> {
  let base: BaseFacts | null = null;
  for await (const line of readLines(trainEvents)) {
    const event = trainEvent.parse(line);
    if (event.kind === 'base') base = event;
  }
  return base;
}

/** What the workers said of themselves when they started. */
export function versionsOf(events: readonly WorkerEvent[]): Record<string, string> {
  const versions: Record<string, string> = {};
  for (const event of events) if (event.event === 'hello') Object.assign(versions, event.versions);
  return versions;
}
