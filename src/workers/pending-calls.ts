/** The calls that a worker has not answered yet, each with the time that it may go without progress. */

export interface CallOptions {
  /** Seconds without a result, an event or progress after which the worker is taken for hung, and killed. */
  timeoutS: number;
  onEvent?: (event: unknown) => void;
}

interface PendingCall extends Pick<CallOptions, 'onEvent'> {
  resolve: (value: unknown) => void;
  reject: (error: unknown) => void;
  timer: NodeJS.Timeout;
}

const MAX_TIMER_MS = 2 ** 31 - 1;

/** Node fires a timer that is too long for 32 bits at once. */
export const toMs = (seconds: number) => Math.min(seconds * 1000, MAX_TIMER_MS);

export class PendingCalls {
  readonly #calls = new Map<number, PendingCall>();
  #nextId = 0;

  /** Another call, with its id; `onTimeout` is told the id when it goes too long without progress. */
  add({ timeoutS, onEvent }: CallOptions, onTimeout: (id: number) => void) {
    const id = this.#nextId++;
    const answer = new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(() => onTimeout(id), toMs(timeoutS));
      this.#calls.set(id, { resolve, reject, timer, ...(onEvent && { onEvent }) });
    });
    return { id, answer };
  }

  /** Progress of this call: its time starts again. */
  refresh(id: number): void {
    this.#calls.get(id)?.timer.refresh();
  }

  /** An event of this call. What its handler throws is the outcome of the call. */
  receiveEvent(id: number, event: unknown): void {
    this.refresh(id);
    try {
      this.#calls.get(id)?.onEvent?.(event);
    } catch (error) {
      this.#take(id)?.reject(error);
    }
  }

  /** False for an id that nobody waits for. */
  resolve(id: number, value: unknown): boolean {
    const call = this.#take(id);
    call?.resolve(value);
    return call !== undefined;
  }

  /** False for an id that nobody waits for. */
  reject(id: number, error: unknown): boolean {
    const call = this.#take(id);
    call?.reject(error);
    return call !== undefined;
  }

  /** From now on no call times out: their worker is ending. */
  stopTimers(): void {
    for (const { timer } of this.#calls.values()) clearTimeout(timer);
  }

  rejectAll(errorOf: (id: number) => unknown): void {
    for (const id of [...this.#calls.keys()]) this.reject(id, errorOf(id));
  }

  #take(id: number): PendingCall | undefined {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    clearTimeout(call?.timer);
    return call;
  }
}
