/** The tiny model of smoke runs and demos: made once a user, kept in the cache under a hash of its recipe, and linked. */
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { RunError, UserError } from '../errors.ts';
import { cacheFolder, tinyModelLink, WORKERS } from '../launch/environment.ts';
import { missingPackages } from '../launch/python.ts';
import type { SetupRequest } from './setup.ts';

/** Returns the link. Throws UserError where `python` lacks torch. */
export async function makeTinyModel(python: string, request: Omit<SetupRequest, 'stack'>): Promise<string> {
  const { signal, say } = request;
  if (missingPackages(python, ['torch']).length > 0) {
    throw new UserError(`making the tiny model needs torch, which ${python} has not: a light set-up`, {
      cure: 'rrr setup --stack cpu --tiny-model',
    });
  }
  const env = { ...request.env, PYTHONPATH: WORKERS };
  const run = async (...options: string[]) => {
    const command = ['-m', 'rrr_demos.tiny', ...options];
    const { failed, stdout } = await execa(python, command, {
      env,
      cancelSignal: signal,
      reject: false,
      stderr: 'inherit',
    });
    signal.throwIfAborted();
    if (failed) throw new RunError('the tiny model was not made', { cure: 'the lines above say why' });
    return stdout;
  };
  const folder = join(cacheFolder(request.env), `tiny-${await run('--print-hash')}`);
  if (!existsSync(folder)) {
    say('making the tiny model, once: about 8 minutes on two cores');
    await run('--out', folder);
    await execa('chmod', ['-R', '+r', folder]); // safetensors writes for the owner alone
  }
  const link = tinyModelLink(request.env);
  mkdirSync(dirname(link), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(folder, link);
  say(`the tiny model is ${link}`);
  return link;
}
