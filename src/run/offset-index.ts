/** Where in a journal the record of each query is, by the query's index: 8 bytes a query, as there may be millions. */

const NONE = -1;

export class OffsetIndex {
  #offsets = new Float64Array(1 << 16).fill(NONE);

  has(index: number): boolean {
    return this.get(index) !== undefined;
  }

  /** In bytes from the start of the journal. */
  get(index: number): number | undefined {
    const offset = this.#offsets[index];
    return offset === NONE ? undefined : offset;
  }

  set(index: number, offset: number): void {
    if (index >= this.#offsets.length) {
      const grown = new Float64Array(Math.max(index + 1, 2 * this.#offsets.length)).fill(NONE);
      grown.set(this.#offsets);
      this.#offsets = grown;
    }
    this.#offsets[index] = offset;
  }
}
