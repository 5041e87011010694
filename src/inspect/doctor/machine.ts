/** Node, limits of the system, the temporary folder, the port. */
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import * as fs from 'node:fs/promises'; // an old Node has no statfs
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { error, type Finding, type Subject, warning } from './finding.ts';

/** Of the path of a Unix socket (sun_path, less its end). */
const LONGEST_SOCKET = 107;
/** vLLM's processes meet at TMPDIR/UUID. */
const SOCKET_NAME = '/00000000-0000-0000-0000-000000000000'.length;
const FEWEST_FILES = 4096;
const SMALLEST_SHM_GIB = 1;
const GIB = 2 ** 30;

export function checkTemporaryFolder({ env }: Subject): Finding[] {
  const folder = env.VLLM_RPC_BASE_PATH ?? tmpdir();
  if (!existsSync(folder)) {
    return [
      error('no_tmpdir', `the temporary folder ${folder} is not there`, 'make it, or set TMPDIR to another'),
    ];
  }
  const length = Buffer.byteLength(folder) + SOCKET_NAME;
  if (length <= LONGEST_SOCKET) return [];
  const found = `the temporary folder ${folder} is too long a path: vLLM's sockets in it would have ${length} bytes, and ${LONGEST_SOCKET} are allowed`;
  return [error('tmpdir_too_long', found, 'set TMPDIR to a short path, such as /tmp')];
}

export async function checkLimits(): Promise<Finding[]> {
  const findings: Finding[] = [];
  const limits = existsSync('/proc/self/limits') ? readFileSync('/proc/self/limits', 'utf8') : '';
  // Node raises its own limit, which its children have too, as far as it may.
  const files = Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Number.POSITIVE_INFINITY);
  if (files < FEWEST_FILES) {
    const found = `a process may open ${files} files; many workers or processes of training may need more`;
    findings.push(warning('few_open_files', found, `raise the limit: ulimit -Hn ${FEWEST_FILES}`));
  }
  if (existsSync('/dev/shm')) {
    const { blocks, bsize } = await fs.statfs('/dev/shm');
    const gib = (blocks * bsize) / GIB;
    if (gib < SMALLEST_SHM_GIB) {
      const found = `/dev/shm has ${gib.toFixed(2)} GiB, through which the processes of vLLM and NCCL talk`;
      findings.push(
        warning('small_shm', found, 'give the container more: docker run --shm-size=8g, or --ipc=host'),
      );
    }
  }
  return findings;
}

/** Training takes a free port, unless the environment names one. */
export async function checkPort({ env: { MASTER_PORT: port } }: Subject): Promise<Finding[]> {
  if (port === undefined) return [];
  const cure = 'unset MASTER_PORT: training then takes a free port';
  const server = createServer();
  try {
    server.listen(Number(port));
    await once(server, 'listening');
    return [];
  } catch (cause) {
    return [error('port_taken', `MASTER_PORT ${port} can't be used: ${(cause as Error).message}`, cure)];
  } finally {
    server.close();
  }
}
