/** Problems of a config as text for people: all at once, each with its place, the line, a caret and the cure. */
import type { Place, Problem } from './document.ts';

export function renderProblems(problems: readonly Problem[]): string {
  return problems.map(renderProblem).join('\n\n');
}

function renderProblem({ key, message, cure, place }: Problem): string {
  const where = place ? [...renderPlace(place)] : [];
  const head = [place && isFile(place) ? `${place.source}:${place.line}:${place.column}` : '', key].filter(
    Boolean,
  );
  return [[...head, message].join(': '), ...where, `  cure: ${cure}`].join('\n');
}

function* renderPlace(place: Place): Generator<string> {
  const gutter = isFile(place) ? `${String(place.line).padStart(5)} | ` : '        ';
  // Tabs are kept so that the caret stands below the value whatever their width.
  const before = place.text.slice(0, place.column - 1).replace(/[^\t]/g, ' ');
  yield `${gutter}${place.text}`;
  yield `${isFile(place) ? '      | ' : '        '}${before}${'^'.repeat(place.width)}`;
}

const isFile = (place: Place) => place.text !== place.source;
