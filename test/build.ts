import { existsSync } from 'node:fs';
import { execa } from 'execa';

/** Types are checked by `npm run check`; here a program with a type error still runs. */
export async function setup(): Promise<void> {
  const { failed, stdout } = await execa('npm', ['run', '--silent', 'build'], { reject: false });
  if (failed) process.stderr.write(`${stdout}\n`);
  if (!existsSync('dist/main.js')) throw new Error('npm run build made no dist/main.js');
}
