// An endpoint that takes its time for every answer, and always says the same.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const MODELS = { object: 'list', data: [{ id: 'slow', object: 'model' }] };
const ANSWER = {
  choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'no idea' } }],
  usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 },
};

/** @param {number} milliseconds for an answer */
export async function serveSlowly(milliseconds) {
  const server = createServer(async (request, reply) => {
    if (request.method === 'POST') await sleep(milliseconds);
    reply.writeHead(200, { 'content-type': 'application/json' });
    reply.end(JSON.stringify(request.method === 'POST' ? ANSWER : MODELS));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${port}/v1`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
