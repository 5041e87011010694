/**
 * Results of "Reflect, Retry, Reward" (Bensal et al., arXiv 2505.24726), shown beside a run's own. They are not to be
 * met or missed: other models, data and prompts. `notes` numbers come from notes on the paper, `recalled` ones from
 * memory, unverified.
 */
export interface PaperNumber {
  /** Accuracy in percent. */
  value: number;
  source: 'notes' | 'recalled';
}

export interface PaperRow {
  model: string;
  first_try: { before: PaperNumber; after: PaperNumber };
  second_try: { before: PaperNumber; after: PaperNumber };
}

type Cell = readonly [value: number, mark: 'N' | 'R'];

function row(
  model: string,
  firstBefore: Cell,
  secondBefore: Cell,
  firstAfter: Cell,
  secondAfter: Cell,
): PaperRow {
  const number = ([value, mark]: Cell): PaperNumber => ({
    value,
    source: mark === 'N' ? 'notes' : 'recalled',
  });
  return {
    model,
    first_try: { before: number(firstBefore), after: number(firstAfter) },
    second_try: { before: number(secondBefore), after: number(secondAfter) },
  };
}

const RESULTS: Record<string, PaperRow[]> = {
  countdown: [
    row('Qwen2.5-1.5B', [6.0, 'N'], [10.2, 'N'], [34.9, 'N'], [45.0, 'N']),
    row('Qwen2.5-3B', [18.8, 'R'], [29.0, 'R'], [38.8, 'R'], [47.3, 'R']),
    row('Qwen2.5-7B', [31.7, 'N'], [38.0, 'R'], [41.6, 'N'], [50.3, 'R']),
    row('Llama-3.1-8B', [2.2, 'N'], [4.6, 'R'], [8.8, 'N'], [17.8, 'R']),
  ],
  function_calling: [
    row('Qwen2-1.5B', [32.6, 'N'], [34.8, 'N'], [48.6, 'N'], [52.9, 'N']),
    row('Qwen2-7B', [66.4, 'N'], [69.4, 'R'], [72.2, 'N'], [77.3, 'N']),
    row('Llama-3.1-8B', [64.9, 'N'], [70.9, 'R'], [68.7, 'N'], [74.9, 'R']),
    row('Phi-3.5-mini', [47.5, 'R'], [50.2, 'R'], [52.9, 'R'], [56.0, 'R']),
  ],
};

/** The row of a model by its hub id, such as Qwen/Qwen2.5-7B-Instruct. */
export function paperRowOf(task: string, model: string): PaperRow | undefined {
  const name = model.split('/').at(-1)?.toLowerCase() ?? '';
  return paperRows(task).find((row) => `${name}-`.startsWith(`${row.model.toLowerCase()}-`));
}

export function paperRows(task: string): PaperRow[] {
  return RESULTS[task] ?? [];
}
