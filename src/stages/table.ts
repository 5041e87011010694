/** The stages of a run, in their order. To add one, write its folder and name it here. */
import { benchmarks } from './benchmarks/stage.ts';
import { evaluate } from './evaluate/stage.ts';
import { failures } from './failures/stage.ts';
import type { Stage } from './stage.ts';
import { train } from './train/stage.ts';

export const STAGES: Stage[] = [failures, train, evaluate, benchmarks];

/** Those that `rrr run` does, by name, in their order. */
export const RUN_STAGES: readonly string[] = [failures, train, evaluate].map(({ name }) => name);

/** Throws for a name that is in no entry of the table: a defect of the stage that needs it. */
export function findStage(name: string): Stage {
  const found = STAGES.find((stage) => stage.name === name);
  if (!found) throw new Error(`no stage ${name} in the table`);
  return found;
}
