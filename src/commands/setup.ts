/** `rrr setup`: the Python environment of the workers, and the tiny model where it is asked for. */
import { setUp } from '../setup/setup.ts';
import { makeTinyModel } from '../setup/tiny-model.ts';
import type { Context, Outcome } from '../terminal/context.ts';

export interface SetupOptions {
  stack?: string;
  tinyModel?: boolean;
}

export async function runSetup(context: Context, { stack, tinyModel }: SetupOptions): Promise<Outcome> {
  const { signal, stderr } = context;
  const { env } = process;
  const say = (line: string) => void stderr.write(`setup: ${line}\n`);
  const result = await setUp({ stack, env, signal, say });
  const model = tinyModel ? await makeTinyModel(result.python, { env, signal, say }) : undefined;
  return {
    text: `ready: the ${result.stack} stack, ${result.python}`,
    json: { ...result, tiny_model: model },
  };
}
