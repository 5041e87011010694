/** Counts by name, such as how often each kind of verdict was given. */

/** Adds `more` to `counts`, name by name. */
export function addCounts(counts: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(more)) counts[name] = (counts[name] ?? 0) + count;
}
