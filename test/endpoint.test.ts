/** `rrr build-failures` against an endpoint: what crosses both languages, and an endpoint that takes its time. */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryFolder } from './workers/harness.ts';

interface Request {
  messages: { role: string; content: string }[];
  seed: number;
}

/** An endpoint that serves model "m"; `answer` gives the reply's status and body. */
async function serve(answer: (request: Request) => Promise<[status: number, body: unknown]>) {
  const requests: Request[] = [];
  const server = createServer(async (incoming, reply) => {
    let text = '';
    for await (const chunk of incoming) text += chunk;
    if (incoming.method === 'GET') {
      reply.end(JSON.stringify({ object: 'list', data: [{ id: 'm', object: 'model' }] }));
      return;
    }
    const request = JSON.parse(text) as Request;
    requests.push(request);
    const [status, body] = await answer(request);
    reply.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/v1`, requests };
}

const say = (content: string): [number, unknown] => [
  200,
  {
    choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content } }],
    usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 },
  },
];

/** A project whose verifier writes down what it is asked, and passes nothing. */
function makeProject(url: string, rows: readonly string[], sections: Record<string, unknown> = {}) {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, 'rows.jsonl'), rows.map((row) => `${row}\n`).join(''));
  writeFileSync(
    join(cwd, 'verify.py'),
    'import json, sys\nfor line in sys.stdin:\n    open("asked", "a").write(line)\n' +
      '    print(json.dumps({"id": json.loads(line)["id"], "passed": False, "kind": "wrong"}), flush=True)\n',
  );
  const config = {
    model: { name: 'm' },
    task: {
      name: 'custom',
      options: { fields: ['q', 'a'] },
      prompts: { question: 'Say {q}' },
      verifier: { command: ['python3', './verify.py'] },
    },
    data: { source: 'jsonl', path: 'rows.jsonl', test_fraction: 0.5 },
    engine: { name: 'openai', openai: { base_urls: [url], max_retries: 0 } },
    failures: { max_draws: 2 },
    ...sections,
  };
  writeFileSync(join(cwd, 'a.yaml'), JSON.stringify(config)); // JSON is YAML
  const build = () =>
    execa('node', [resolve('dist/main.js'), 'build-failures', '-c', 'a.yaml', '--json'], {
      cwd,
      reject: false,
    });
  const read = (path: string) => readFileSync(join(cwd, path), 'utf8').split('\n').slice(0, -1);
  return { build, read };
}

// Each of them is another value in JavaScript, or written in another way.
const ODD_ROWS = [
  '{"q": 12345678901234567890, "a": 9007199254740993}',
  '{"q": 12345678901234567891, "a": 9007199254740992}',
  '{"q": 5.0, "a": 1e-07}',
  '{"q": {"10": 1, "2": 2}, "a": -0.0}',
  '{"q": "a\u2028b", "a": "\u{1f600}"}',
];

const compact = (json: string) => json.replaceAll(/(?<=[:,]) (?=["{\d-])/g, '');
const inAscii = (json: string) =>
  json.replaceAll(
    /[^\0-\x7f]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

test('what the data holds reaches prompt, verifier and failures as it is', async () => {
  const { url, requests } = await serve(async () => say('no'));
  const { build, read } = makeProject(url, ODD_ROWS);
  const { exitCode, stderr } = await build();
  expect(exitCode, stderr).toBe(0);
  const trained = read('runs/a/data/train.jsonl').map((line) => /"fields":(.*)\}$/s.exec(line)?.[1] ?? '');
  expect(trained.length).toBeGreaterThan(1);
  for (const fields of trained) expect(ODD_ROWS.map(compact)).toContain(fields);
  const failures = read('runs/a/failures/failures.jsonl');
  expect(failures.map((line) => /"query":(.*?),"draw"/s.exec(line)?.[1])).toEqual(trained);
  const asked = read('asked').map((line) => compact(/"query": (.*), "completion"/.exec(line)?.[1] ?? ''));
  expect(new Set(asked)).toEqual(new Set(trained.map(inAscii)));
  const prompts = requests.map(({ messages }) => messages[0]?.content);
  for (const fields of trained) {
    const q = /^\{"q":(.*),"a":/s.exec(fields)?.[1] ?? '';
    expect(prompts).toContain(`Say ${q.startsWith('{') ? "{'10': 1, '2': 2}" : q.replaceAll('"', '')}`);
  }
});

const rows = Array.from({ length: 12 }, (_, index) => `{"q": ${index}, "a": 1}`);

test('an endpoint whose answers take long, but not too long, loses no worker', async () => {
  const { url } = await serve(async () => {
    await sleep(500);
    return say('no');
  });
  const failures = { max_draws: 6, failures_per_query: 6 };
  const { build } = makeProject(url, rows, { failures, workers: { call_timeout_s: 1.5, max_in_flight: 4 } });
  const { exitCode, stdout, stderr } = await build();
  expect(exitCode, stderr).toBe(0);
  expect(stderr).not.toContain('starting it again');
  const { queries, draws } = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
  expect(draws).toBe(6 * queries);
});

test('an odd reply costs its query, and is named', async () => {
  const { url } = await serve(async ({ messages }) =>
    /^Say [02468]$/.test(messages[0]?.content ?? '')
      ? [400, { error: { message: 'flagged', code: 'content_filter' } }]
      : say('no'),
  );
  const { build, read } = makeProject(url, rows, {
    data: { source: 'jsonl', path: 'rows.jsonl', test_fraction: 0.2 },
  });
  const { exitCode, stdout, stderr } = await build();
  expect(exitCode, stderr).toBe(0);
  const { refused, kept, queries } = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
  expect(refused).toBeGreaterThan(0);
  expect(kept + refused).toBe(queries);
  expect(read('runs/a/failures/failures.jsonl')).toHaveLength(kept);
  expect(stderr).toMatch(new RegExp(`^query \\w+ is left out: ${url} says: HTTP 400: .*flagged`, 'm'));
});
