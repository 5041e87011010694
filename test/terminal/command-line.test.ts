import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { nextLine, resumeLine, showPath } from '../../src/terminal/command-line.ts';

const RESUMABLE = ['build-failures', 'train'];
const call = (...args: string[]) => ({ cwd: '/home/me', program: '/usr/bin/rrr', args });

test('the line that resumes is the same with --resume, once and at its end', () => {
  expect(resumeLine(call('train', '-c', 'a.yaml'), RESUMABLE)).toBe('rrr train -c a.yaml --resume');
  expect(resumeLine(call('train', '--resume', '-c', 'a.yaml', '--json'), RESUMABLE)).toBe(
    'rrr train -c a.yaml --json --resume',
  );
});

test('a command that can not be resumed is started over', () => {
  expect(resumeLine(call('data', 'stats', '-c', 'a.yaml'), RESUMABLE)).toBe('rrr data stats -c a.yaml');
  expect(resumeLine(call(), RESUMABLE)).toBe('rrr');
});

test('the next command has the same config and run, and none of the flags of the last one', () => {
  const args = ['train', '-c', 'a.yaml', '--resume', '--json', '--run', 'runs/b', '--verbose'];
  expect(nextLine(call(...args), 'eval')).toBe('rrr eval -c a.yaml --run runs/b');
});

test.each([
  ['/usr/local/bin/rrr', 'rrr'],
  ['/home/me/dist/main.js', './dist/main.js'],
  ['/opt/rrr/dist/main.js', '/opt/rrr/dist/main.js'],
])('%s is started as %s', (program, shown) => {
  expect(nextLine({ ...call('train'), program }, 'eval')).toBe(`${shown} eval`);
});

test('paths are shown from the current folder where they are below it', () => {
  expect(showPath('/home/me/runs/a', '/home/me')).toBe('runs/a');
  expect(showPath('/home/me', '/home/me')).toBe('.');
  expect(showPath('/home/you/runs/a', '/home/me')).toBe('/home/you/runs/a');
});

test('a shell reads the line as the words it was made of', () => {
  const words = [
    'a b',
    "it's",
    '$HOME',
    '*',
    '~',
    '',
    '\\',
    '"',
    'a\nb',
    ';',
    '&',
    'ü',
    '#',
    '!x',
    'a=b',
    '{a,b}',
  ];
  const line = resumeLine(call('train', ...words), RESUMABLE);
  const script = `rrr() { printf '%s\\0' "$@"; }\n${line}`;
  const read = execFileSync('bash', ['-c', script], { encoding: 'utf8' });
  expect(read.split('\0').slice(0, -1)).toEqual(['train', ...words, '--resume']);
});

test('a plain word stays as it is', () => {
  const plain = ['--set', 'a.b=1', '/x/y-z_1.yaml', 'user@host:22', 'a,b', '10%', '+'];
  expect(resumeLine(call('train', ...plain), RESUMABLE)).toBe(`rrr train ${plain.join(' ')} --resume`);
});
