/** Where in a journal the result of each query is, by the query's index: 8 bytes a query, as there may be millions. */

const NONE = -1;

export class Places {
  #places = new Float64Array(1 << 16).fill(NONE);

  has(index: number): boolean {
    return this.get(index) !== undefined;
  }

  get(index: number): number | undefined {
    const place = this.#places[index];
    return place === NONE ? undefined : place;
  }

  set(index: number, place: number): void {
    if (index >= this.#places.length) {
      const grown = new Float64Array(Math.max(index + 1, 2 * this.#places.length)).fill(NONE);
      grown.set(this.#places);
      this.#places = grown;
    }
    this.#places[index] = place;
  }
}
