/** `rrr doctor`: every check, none of which may fail the others. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConfigRequest, loadConfig } from '../../config/load.ts';
import { nodeTooOld } from '../../node-version.ts';
import { checkDisks, checkHubCache, checkRunDirectory } from './disks.ts';
import { error, type Finding, type Findings, type Subject, warning } from './finding.ts';
import { checkGpus } from './gpus.ts';
import { checkHub } from './hub.ts';
import { checkLimits, checkPort, checkTemporaryFolder } from './machine.ts';
import { examinePython } from './python.ts';
import { checkSlurm } from './slurm.ts';

export interface DoctorRequest {
  /** Undefined: the machine alone. */
  config: ConfigRequest | undefined;
  run: string;
  env: NodeJS.ProcessEnv;
}

export interface Diagnosis {
  /** Whether no finding is an error. */
  ok: boolean;
  findings: Finding[];
}

const LONGEST_MS = 60_000;
const LEVELS = ['error', 'warning', 'info'];

export async function examine({ config: request, run, env }: DoctorRequest): Promise<Diagnosis> {
  const subject: Subject = { env, run };
  const findings = [
    ...(nodeTooOld ? [nodeTooOld] : []),
    ...(await attempt('the config', () => readConfig(request, subject))),
  ];
  // What the others find depends on it.
  const python = examinePython(subject);
  const others = await Promise.all([
    attempt('Python', async () => (await python).findings),
    attempt('GPUs', async () => checkGpus(subject, (await python.catch(() => undefined))?.probe)),
    attempt('disks', () => checkDisks(subject)),
    attempt('the run directory', () => checkRunDirectory(subject)),
    attempt("the hub's cache", () => checkHubCache(subject)),
    attempt('the temporary folder', () => checkTemporaryFolder(subject)),
    attempt('limits', () => checkLimits()),
    attempt('the port', () => checkPort(subject)),
    attempt('the hub', () => checkHub(subject)),
    attempt('Slurm', () => checkSlurm(subject)),
  ]);
  findings.push(...others.flat());
  findings.sort((a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level));
  return { ok: findings.every(({ level }) => level !== 'error'), findings };
}

/** A check that fails, or gets no answer from a disk or a driver, says so, and the others go on. */
async function attempt(what: string, check: () => Findings): Promise<Finding[]> {
  try {
    return await Promise.race([check(), timeOut()]);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    return [warning('check_failed', `${what} could not be looked at: ${why}`, 'look at it by hand')];
  }
}

async function timeOut(): Promise<never> {
  await sleep(LONGEST_MS, undefined, { ref: false });
  throw new Error(`no answer within ${LONGEST_MS / 1000} s`);
}

/** Fills in the subject. */
function readConfig(request: ConfigRequest | undefined, subject: Subject): Finding[] {
  if (!request) return [];
  const { config, problems } = loadConfig(request);
  subject.config = config;
  return problems.map(({ key, message, cure, place }) => {
    const where = place && `${place.source}:${place.line}:${place.column}`;
    return error('config_problem', [where, key, message].filter(Boolean).join(': '), cure);
  });
}
