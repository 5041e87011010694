/** --help ends with examples that hold. */
import { expect, test } from 'vitest';
import { EXAMPLES } from '../src/terminal/examples.ts';
import { checkLine, helpOf } from './fixtures/command-lines.ts';

/** Every command that --help names, those below another one with both words. */
async function commandsBelow(words: readonly string[] = []): Promise<string[]> {
  const listed = /^Commands:\n((?: {2}.*\n?)+)/m.exec(await helpOf(words))?.[1] ?? '';
  const names = [...listed.matchAll(/^ {2}([a-z-]+)/gm)]
    .map(([, name]) => `${name}`)
    .filter((name) => name !== 'help');
  if (names.length === 0) return [words.join(' ')];
  return (await Promise.all(names.map((name) => commandsBelow([...words, name])))).flat();
}

test('every command has examples, and shows them', async () => {
  const commands = await commandsBelow();
  expect(commands.length).toBeGreaterThan(10);
  expect(
    Object.keys(EXAMPLES)
      .filter((name) => name !== '')
      .sort(),
  ).toEqual(commands.sort());
  for (const command of ['', ...commands]) {
    const help = await helpOf(command === '' ? [] : command.split(' '));
    for (const line of EXAMPLES[command] ?? []) expect(help).toContain(line);
  }
  expect(await helpOf([])).toContain('Exit codes:');
});

test.each(Object.values(EXAMPLES).flat())('%s', async (line) => {
  expect((await checkLine(line)).unknown).toEqual([]);
});
