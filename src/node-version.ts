/** Imported before all else: a Node too old for the rest says so, in place of an error that nobody understands. */

const OLDEST_NODE = 20;
/** What rrr's libraries can be loaded by, so that the doctor may look for what else is wrong. */
const OLDEST_FOR_DOCTOR = 18;
const major = Number.parseInt(process.versions.node, 10);
const doctor = process.argv[2] === 'doctor';

/** The doctor's finding on this Node. */
export const nodeTooOld =
  major < OLDEST_NODE
    ? ({
        id: 'node_too_old',
        level: 'error',
        found: `Node ${process.versions.node} is too old for rrr`,
        cure: `install Node.js ${OLDEST_NODE} or newer`,
      } as const)
    : undefined;

if (nodeTooOld && !(doctor && major >= OLDEST_FOR_DOCTOR)) {
  const { found: message, cure } = nodeTooOld;
  const json = doctor ? { ok: false, findings: [nodeTooOld] } : { error: { message, exit_code: 2, cure } };
  process.stderr.write(`error: ${message}\ncure: ${cure}\n`);
  if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify(json)}\n`);
  process.exit(2);
}
