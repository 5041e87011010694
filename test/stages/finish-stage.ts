/** A stage that is finished, for the tests of those that need it. */
import type { Config } from '../../src/config/schema.ts';
import { beginAttempt } from '../../src/run/attempt.ts';
import type { RunPaths } from '../../src/run/paths.ts';
import type { Stage } from '../../src/stages/stage.ts';

/** `work` writes what the stage would have made. */
export async function finishStage(
  run: string,
  stage: Stage,
  config: Config,
  work: (paths: RunPaths) => void = () => {},
): Promise<void> {
  const attempt = beginAttempt({ run, stage, config, resume: false });
  if (attempt.finished) throw new Error('it was finished before');
  await attempt.during(async () => work(attempt.paths));
}
