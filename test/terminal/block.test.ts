import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { Block } from '../../src/terminal/block.ts';

function capture(terminal?: { columns: number; rows: number }) {
  let text = '';
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  Object.assign(stream, terminal && { isTTY: true, ...terminal });
  return { block: new Block(stream as NodeJS.WriteStream), text: () => text };
}

const CONTROLS = new RegExp(`(\\n)|${String.fromCharCode(27)}\\[(\\d*[AJ])`);

/** What a terminal shows after this text: of its controls, those that Block uses. */
function screen(text: string): string[] {
  let lines: string[] = [''];
  for (const part of text.split(CONTROLS).filter(Boolean)) {
    if (/^\d+A$/.test(part)) lines = [...lines.slice(0, -1 - Number.parseInt(part, 10)), ''];
    else if (part === '\n') lines.push('');
    else if (!/^\d*J$/.test(part)) lines[lines.length - 1] += part;
  }
  return lines;
}

test('on a terminal the new takes the place of the old, and the last one stays whole', () => {
  const { block, text } = capture({ columns: 10, rows: 4 });
  block.show('one\ntwo\nthree');
  block.show('a line that is too long\nb');
  expect(screen(text())).toEqual(['a line th', 'b', '']);
  block.show('1\n2\n3\n4\n5');
  expect(screen(text())).toEqual(['1', '2', '3', '']);
  block.end('1\n2\n3\n4\nthe end, in full');
  expect(screen(text())).toEqual(['1', '2', '3', '4', 'the end, in full', '']);
});

test('a terminal without a size is one of 80 columns and 24 rows', () => {
  const { block, text } = capture({ columns: 0, rows: 0 });
  block.show('one\ntwo');
  expect(screen(text())).toEqual(['one', 'two', '']);
});

test('elsewhere one stands below the other', () => {
  const { block, text } = capture();
  block.show('one\ntwo');
  block.end('three');
  expect(text()).toBe('one\ntwo\n\nthree\n');
});
