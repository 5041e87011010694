/** The hub: may this user have the models and the data of the config? */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { hubModels } from '../../config/hub-models.ts';
import type { Config } from '../../config/schema.ts';
import { hubHome } from './disks.ts';
import { error, type Finding, info, type Subject } from './finding.ts';

const TIMEOUT_MS = 10_000;
const HUB = 'https://huggingface.co';

interface Repository {
  kind: 'models' | 'datasets';
  name: string;
  key: string;
}

export async function checkHub({ config, env }: Subject): Promise<Finding[]> {
  const repositories = config ? repositoriesOf(config) : [];
  if (repositories.length > 0 && env.HF_HUB_OFFLINE && env.HF_HUB_OFFLINE !== '0') {
    const names = repositories.map(({ name }) => name).join(', ');
    const cure = 'nothing, where they are in the cache; else unset HF_HUB_OFFLINE';
    return [info('hub_not_asked', `HF_HUB_OFFLINE is set: nobody asked for ${names}`, cure)];
  }
  return (await Promise.all(repositories.map((repository) => ask(repository, env)))).flat();
}

function repositoriesOf(config: Config): Repository[] {
  const { engine, data } = config;
  // The name at an endpoint is no name on the hub.
  const models = hubModels(config).filter(({ key }) => engine.name === 'vllm' || key !== 'model.name');
  return [
    ...models.map((model) => ({ kind: 'models', ...model }) as const),
    ...(data.source === 'hub' && data.dataset !== undefined
      ? [{ kind: 'datasets', name: data.dataset, key: 'data.dataset' } as const]
      : []),
  ];
}

async function ask({ kind, name, key }: Repository, env: NodeJS.ProcessEnv): Promise<Finding[]> {
  const hub = (env.HF_ENDPOINT || HUB).replace(/\/+$/, '');
  const token = readToken(env);
  const what = `${key}: ${name}`;
  let reply: Response;
  try {
    reply = await fetch(`${hub}/api/${kind}/${name}/auth-check`, {
      headers: token ? { authorization: `Bearer ${token}` } : {},
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await reply.body?.cancel();
  } catch (cause) {
    const { message, cause: deeper } = cause as Error;
    const why = deeper instanceof Error ? deeper.message : message;
    const cure = 'nothing, where it is in the cache; else look at the connection, HF_ENDPOINT and the proxy';
    return [info('hub_not_asked', `${what}: ${hub} could not be asked: ${why}`, cure)];
  }
  const { ok, status, headers } = reply;
  if (ok) return [];
  const gated = headers.get('x-error-code') === 'GatedRepo';
  const page = `${hub}/${kind === 'models' ? '' : 'datasets/'}${name}`;
  if ((status === 401 || gated) && !token) {
    const found = `${what}: the hub wants to know who asks (HTTP ${status}): it is gated, private, or not there, and there is no token`;
    return [error('no_hub_token', found, `check the name, accept its terms at ${page}, and set HF_TOKEN`)];
  }
  if (gated || status === 403) {
    const found = `${what}: the hub refuses it to the owner of the token (HTTP ${status})`;
    return [error('gated_refused', found, `accept its terms at ${page}, or use the token of who has`)];
  }
  if (status === 401 || status === 404) {
    const found = `${what}: the hub has none of this name, or the token may not see it (HTTP ${status})`;
    return [error('not_on_hub', found, 'check the name and HF_TOKEN; a folder starts with ./ ../ / or ~')];
  }
  return [info('hub_not_asked', `${what}: ${hub} could not be asked: HTTP ${status}`, 'try again later')];
}

function readToken(env: NodeJS.ProcessEnv): string | undefined {
  const token = env.HF_TOKEN || env.HUGGING_FACE_HUB_TOKEN;
  if (token) return token.trim();
  try {
    return readFileSync(env.HF_TOKEN_PATH || join(hubHome(env), 'token'), 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}
