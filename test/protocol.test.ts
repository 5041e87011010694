import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { BadLine, encodeLine, LineDecoder, parseWorkerLine } from '../src/protocol/jsonl.ts';
import { parentFrame } from '../src/protocol/messages.ts';

const fixture = readFileSync(new URL('fixtures/frames.jsonl', import.meta.url));

const decodeAll = (chunks: Buffer[], decoder = new LineDecoder()) =>
  chunks.flatMap((chunk) => [...decoder.push(chunk)]);

function cut(bytes: Buffer, size: number): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) chunks.push(bytes.subarray(at, at + size));
  return chunks;
}

test('every frame of the shared fixture is understood, and none loses anything', () => {
  for (const line of decodeAll([fixture])) {
    const { from, frame } = JSON.parse(line);
    const parsed = from === 'worker' ? parseWorkerLine(JSON.stringify(frame)) : parentFrame.parse(frame);
    expect(parsed).toEqual(frame);
  }
});

test('lines do not depend on where chunks end, in the middle of a character either', () => {
  const text = 'a\u2028b\n\nüß😀\n{"x":"\u2029\r"}\n';
  const bytes = Buffer.from(text);
  for (let size = 1; size <= bytes.length; size++) {
    expect(decodeAll(cut(bytes, size))).toEqual(['a\u2028b', '', 'üß😀', '{"x":"\u2029\r"}']);
  }
});

test('a line without its end stays pending', () => {
  const decoder = new LineDecoder();
  expect(decodeAll([Buffer.from('whole\nto')], decoder)).toEqual(['whole']);
  expect(decodeAll([Buffer.from('rn\n')], decoder)).toEqual(['torn']);
});

test('what came after the last whole line can be read', () => {
  const decoder = new LineDecoder();
  expect(decoder.rest).toBe('');
  decodeAll(cut(Buffer.from('whole\nto😀rn'), 1), decoder);
  expect(decoder.rest).toBe('to😀rn');
  decodeAll([Buffer.from('\n')], decoder);
  expect(decoder.rest).toBe('');
});

test('a line that is too long is refused before it is complete', () => {
  const decoder = new LineDecoder({ maxBytes: 10 });
  expect(decodeAll([Buffer.from('0123456789\n')], decoder)).toEqual(['0123456789']);
  expect(() => decodeAll(cut(Buffer.from('01234567890'), 3), decoder)).toThrow(BadLine);
});

test.each([
  ['no JSON', 'warning: ...'],
  ['an unknown type', '{"type":"progres"}'],
  ['a result without an id', '{"type":"result","value":1}'],
  ['a result without a value', '{"type":"result","id":1}'],
  ['a negative id', '{"type":"result","id":-1,"value":1}'],
  ['an event without an id', '{"type":"event","event":1}'],
  ['no object', '17'],
])('%s is a bad line', (_, line) => {
  expect(() => parseWorkerLine(line)).toThrow(BadLine);
});

test('bytes that are no UTF-8 are a bad line', () => {
  expect(() => decodeAll([Buffer.from([0xc3, 0x28, 0x0a])])).toThrow(BadLine);
});

test('bytes that are no UTF-8 can be replaced, wherever they are cut', () => {
  const bytes = Buffer.concat([Buffer.from('ü'), Buffer.from([0xc3, 0x28, 0x0a, 0xf0, 0x9f])]);
  for (let size = 1; size <= bytes.length; size++) {
    const decoder = new LineDecoder({ invalid: 'replace' });
    expect(decodeAll(cut(bytes, size), decoder)).toEqual(['ü\ufffd(']);
    expect(decoder.rest).toBe('\ufffd');
  }
});

test('an encoded value is one line', () => {
  const value = { text: 'a\nb\u2028c' };
  const line = encodeLine(value);
  expect(line.indexOf('\n')).toBe(line.length - 1);
  expect(JSON.parse(line)).toEqual(value);
});
