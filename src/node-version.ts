/** Imported before all else: a Node too old for the rest says so, in place of an error that nobody understands. */
export const OLDEST_NODE = 20;

export function isNodeTooOld(): boolean {
  return Number.parseInt(process.versions.node, 10) < OLDEST_NODE;
}

// The doctor does what it can.
if (isNodeTooOld() && process.argv[2] !== 'doctor') {
  const message = `Node ${process.versions.node} is too old for rrr`;
  const cure = `install Node.js ${OLDEST_NODE} or newer; rrr doctor looks for what else is wrong`;
  process.stderr.write(`error: ${message}\ncure: ${cure}\n`);
  if (process.argv.includes('--json'))
    process.stdout.write(`${JSON.stringify({ error: { message, exit_code: 2, cure } })}\n`);
  process.exit(2);
}
