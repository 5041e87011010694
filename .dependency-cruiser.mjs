// The import table of src, which `npm run check` holds every file to. A room is a folder or a file of src. It may import itself and
// what its line names: rooms, single files, and behind "type" the types alone. Of this repository it may import nothing else,
// so no tests and no scripts. Nowhere is a circle allowed, be it one of types.
import { existsSync } from 'node:fs';
import { allExtensions } from 'dependency-cruiser';

const BASE = ['counts.ts', 'errors.ts', 'node-version.ts', 'text.ts', 'user-path.ts'];
const DATA = [...BASE, 'config', 'protocol'];
const PROCESSES = [...DATA, 'launch', 'run', 'workers'];
const WORK = [...PROCESSES, 'setup', 'jobs', 'report', 'stages', 'inspect', 'terminal'];

/** @type {Record<string, string[]>} */
const MAY_IMPORT = {
  'errors.ts': [],
  'counts.ts': [],
  'node-version.ts': [],
  'text.ts': [],
  'user-path.ts': [],
  config: BASE,
  protocol: [...BASE, 'type config'],
  launch: [...BASE, 'type config', 'type protocol'],
  setup: [...BASE, 'launch'],
  run: DATA,
  workers: [...DATA, 'launch', 'run'],
  jobs: [...DATA, 'run'],
  report: ['counts.ts', 'text.ts', 'type config', 'type protocol', 'type run'],
  stages: [...PROCESSES, 'report'],
  inspect: [...PROCESSES, 'setup', 'jobs', 'report', 'stages/table.ts', 'type stages/stage.ts'],
  terminal: [...BASE, 'config', 'report/format.ts', 'run/progress.ts', 'type report', 'type run'],
  commands: WORK,
  'cli.ts': [...WORK, 'commands'],
  'main.ts': [...WORK, 'commands', 'cli.ts'],
};

/** @param {string} name */
const pattern = (name) => `^src/${name}${name.endsWith('.ts') ? '$' : '/'}`;

/** @param {[room: string, names: string[]]} line */
function rulesOf([room, names]) {
  const types = names.filter((name) => name.startsWith('type ')).map((name) => name.slice('type '.length));
  const whole = [room, ...names.filter((name) => !name.startsWith('type '))];
  for (const name of [...whole, ...types]) {
    if (!existsSync(`src/${name}`)) throw new Error(`.dependency-cruiser.mjs: there is no src/${name}`);
  }
  const from = { path: pattern(room) };
  const known = [...whole, ...types].map(pattern);
  return [
    rule(`${room} may not import this`, from, { dependencyTypes: ['local'], pathNot: known }),
    rule(`${room} may import only types of this`, from, {
      dependencyTypes: ['local'],
      dependencyTypesNot: ['type-only'],
      pathNot: whole.map(pattern),
      path: known,
    }),
  ];
}

/** @param {string} name @param {object} from @param {object} to */
function rule(name, from, to) {
  return { name, severity: 'error', from, to };
}

// Without a parser for it TypeScript is skipped, and every rule holds.
if (!allExtensions.some(({ extension, available }) => extension === '.ts' && available)) {
  throw new Error(
    'dependency-cruiser cannot read TypeScript: it needs `typescript` 6 or older, see package.json',
  );
}

export default {
  forbidden: [
    ...Object.entries(MAY_IMPORT).flatMap(rulesOf),
    rule('not in the import table', { path: '^src/', pathNot: Object.keys(MAY_IMPORT).map(pattern) }, {}),
    rule('circle', {}, { circular: true }),
    rule('not found', {}, { couldNotResolve: true }),
  ],
  options: {
    tsPreCompilationDeps: true,
    detectJSDocImports: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['types', 'import', 'node', 'default'],
    },
  },
};
