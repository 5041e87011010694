// CPU time of `rrr --help`, what every command pays before it does anything. Promise: under 150 ms.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const meter =
  'process.on("exit",()=>{const{user,system}=process.cpuUsage();process.stderr.write(String(user+system))})';
const runs = Array.from({ length: 15 }, () => {
  const { stderr } = spawnSync(
    process.execPath,
    ['--import', `data:text/javascript,${meter}`, main, '--help'],
    {
      encoding: 'utf8',
    },
  );
  return Number(stderr) / 1000;
}).sort((a, b) => a - b);
const [median = Number.NaN, worst = Number.NaN] = [runs[7], runs[14]];
process.stdout.write(
  `${JSON.stringify({ median_cpu_ms: Math.round(median), worst_cpu_ms: Math.round(worst), runs: runs.length })}\n`,
);
