/** The GPUs: is the driver new enough, is torch built for them, is their memory free? */
import { readFileSync } from 'node:fs';
import { execa } from 'execa';
import { lockFile } from '../../launch/environment.ts';
import { PROGRAM_TIMEOUT_MS } from '../../setup/machine.ts';
import { error, type Finding, type Subject, warning } from './finding.ts';
import type { Probe } from './python.ts';

/** The oldest Linux driver that runs programs of a CUDA major version: NVIDIA, "CUDA Compatibility", minor version compatibility. */
const OLDEST_DRIVERS: Record<number, number> = { 11: 450, 12: 525, 13: 580 };
const QUERY = '--query-gpu=index,name,driver_version,memory.total,memory.used';
const PROCESSES = '--query-compute-apps=pid,process_name,used_memory';
const PLAIN = '--format=csv,noheader,nounits';
const DEFAULT_SHARE = 0.9;

interface Gpu {
  index: string;
  name: string;
  driver: string;
  totalMib: number;
  usedMib: number;
}

export async function checkGpus(subject: Subject, probe: Probe | undefined): Promise<Finding[]> {
  const smi = (...args: string[]) =>
    execa('nvidia-smi', args, { env: subject.env, reject: false, timeout: PROGRAM_TIMEOUT_MS });
  const { failed, code, stdout, stderr, shortMessage } = await smi(QUERY, PLAIN);
  const wanted = probe?.stack === 'cuda';
  const gpus = failed
    ? []
    : stdout
        .split('\n')
        .map(parseGpu)
        .filter(({ driver }) => /^\d/.test(driver));
  const [first] = gpus;
  if (!first) {
    // A machine without a GPU needs no driver.
    if (code === 'ENOENT' && !wanted) return [];
    const said = (stdout || stderr || shortMessage || 'nothing').split('\n')[0];
    const why = code === 'ENOENT' ? 'there is no nvidia-smi' : `nvidia-smi says: ${said}`;
    const cure = "install NVIDIA's driver, or use the CPU: rrr setup --stack cpu";
    return [(wanted ? error : warning)('no_driver', `no GPU can be used: ${why}`, cure)];
  }
  return [
    ...judgeDriver(first, probe),
    ...judgeTorch(first, probe),
    ...(probe && !wanted
      ? []
      : await judgeMemory(gpus, subject, async () => (await smi(PROCESSES, PLAIN)).stdout)),
  ];
}

function parseGpu(line: string): Gpu {
  const [index = '', name = '', driver = '', total, used] = line.split(',').map((cell) => cell.trim());
  return { index, name, driver, totalMib: Number(total), usedMib: Number(used) };
}

/** The CUDA major version of the torch that is installed, or would be. */
function cudaWanted(probe: Probe | undefined): number {
  return Number.parseInt(probe?.torch?.cuda ?? '', 10) || cudaLocked();
}

function cudaLocked(): number {
  const version = /^nvidia-cuda-runtime==(\d+)/m.exec(readFileSync(lockFile('cuda'), 'utf8'))?.[1];
  return Number(version);
}

function judgeDriver({ driver }: Gpu, probe: Probe | undefined): Finding[] {
  const cuda = cudaWanted(probe);
  const oldest = OLDEST_DRIVERS[cuda];
  if (oldest === undefined || !(Number.parseInt(driver, 10) < oldest)) return [];
  const found = `driver ${driver} is too old for CUDA ${cuda}, which torch is built for: that needs ${oldest} or newer`;
  const cure = `update NVIDIA's driver to ${oldest} or newer`;
  return [(probe && probe.stack !== 'cuda' ? warning : error)('driver_too_old', found, cure)];
}

function judgeTorch({ name }: Gpu, probe: Probe | undefined): Finding[] {
  if (!probe?.torch) return [];
  const { stack, torch } = probe;
  if (torch.cuda === null) {
    const found = `torch ${torch.version} is built for CPUs, and there is a GPU: ${name}`;
    const cure = 'rrr setup --stack cuda';
    return [(stack === 'cuda' ? error : warning)('torch_cuda_mismatch', found, cure)];
  }
  const built = Number.parseInt(torch.cuda, 10);
  if (built === cudaLocked()) return [];
  const found = `torch ${torch.version} is built for CUDA ${torch.cuda}, vLLM and what else is locked for CUDA ${cudaLocked()}`;
  return [error('torch_cuda_mismatch', found, 'rrr setup --stack cuda')];
}

async function judgeMemory(
  gpus: Gpu[],
  { config, env }: Subject,
  processes: () => Promise<string>,
): Promise<Finding[]> {
  const named =
    config?.workers.devices ?? (env.CUDA_VISIBLE_DEVICES ? [env.CUDA_VISIBLE_DEVICES] : undefined);
  const used = named && new Set(named.flatMap((device) => device.split(',')).map((device) => device.trim()));
  const share = config?.engine.gpu_memory_utilization ?? DEFAULT_SHARE;
  const short = gpus.filter(
    ({ index, totalMib, usedMib }) => (!used || used.has(index)) && totalMib - usedMib < share * totalMib,
  );
  if (short.length === 0) return [];
  const holders = (await processes())
    .split('\n')
    .filter(Boolean)
    .map((line) => `process ${line}`);
  const found = short.map(
    ({ index, totalMib, usedMib }) =>
      `GPU ${index}: ${usedMib} of ${totalMib} MiB are taken, and a sampling worker wants ${share} of it`,
  );
  const by = holders.length > 0 ? ` (${holders.join('; ')})` : '';
  const cure =
    'end what holds it, name other GPUs in workers.devices, or lower engine.gpu_memory_utilization';
  return [error('gpu_memory_taken', `${found.join('; ')}${by}`, cure)];
}
