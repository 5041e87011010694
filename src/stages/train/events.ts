/**
 * RUN/train/events.jsonl. A trainer that goes on from a checkpoint makes the steps after it once more: their earlier events
 * are cut off, so that every step is in the file once, as in a run without interruption.
 */
import { type TrainEvent, trainEvent } from '../../protocol/methods.ts';
import { Journal } from '../../run/journal.ts';

type Step = Extract<TrainEvent, { kind: 'step' }>;
interface StoredStep {
  event: Step;
  offset: number;
}

export class TrainEvents {
  readonly #journal: Journal;
  readonly #steps: StoredStep[];
  #furthest: number;

  private constructor(journal: Journal, steps: StoredStep[]) {
    this.#journal = journal;
    this.#steps = steps;
    this.#furthest = this.lastStep;
  }

  static async open(path: string): Promise<TrainEvents> {
    const steps: StoredStep[] = [];
    const journal = await Journal.open(path, (line, offset) => {
      const event = trainEvent.parse(line);
      if (event.kind === 'step') steps.push({ event, offset });
    });
    return new TrainEvents(journal, steps);
  }

  /** Every step that is in the file, in order. */
  get steps(): Step[] {
    return this.#steps.map(({ event }) => event);
  }

  get lastStep(): number {
    return this.#steps.at(-1)?.event.step ?? 0;
  }

  /** The highest step ever reached, also one that was cut off. */
  get furthest(): number {
    return this.#furthest;
  }

  add(event: TrainEvent): void {
    if (event.kind === 'resumed') this.#cutAfter(event.step);
    if (event.kind === 'step') this.#cutAfter(event.step - 1); // resumed from no checkpoint: all over again
    const offset = this.#journal.append(event);
    if (event.kind === 'step') {
      this.#steps.push({ event, offset });
      this.#furthest = Math.max(this.#furthest, event.step);
    }
  }

  close(): void {
    this.#journal.close();
  }

  #cutAfter(step: number): void {
    let cut: number | undefined;
    while (this.lastStep > step) cut = this.#steps.pop()?.offset;
    if (cut !== undefined) this.#journal.truncate(cut);
  }
}
