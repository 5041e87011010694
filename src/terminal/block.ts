/** Lines that are shown again and again: on a terminal each time in place of the last, elsewhere below them. */
import { clearScreenDown, moveCursor } from 'node:readline';

export class Block {
  readonly #stream: NodeJS.WriteStream;
  /** Lines that are on the terminal. */
  #height = 0;
  #isFirst = true;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  show(text: string): void {
    const { isTTY, columns, rows } = this.#stream;
    if (!isTTY) {
      this.#stream.write(`${this.#isFirst ? '' : '\n'}${text}\n`);
      this.#isFirst = false;
      return;
    }
    // What is wrapped, or has left the screen, could not be cleared. Some terminals have no size: they say 0.
    const lines = text
      .split('\n')
      .slice(0, (rows || 24) - 1)
      .map((line) => line.slice(0, (columns || 80) - 1));
    this.#clear();
    this.#stream.write(`${lines.join('\n')}\n`);
    this.#height = lines.length;
  }

  /** The last one, which stays: as it is, however long. */
  end(text: string): void {
    this.#clear();
    if (this.#stream.isTTY) this.#stream.write(`${text}\n`);
    else this.show(text);
  }

  #clear(): void {
    if (!this.#stream.isTTY) return;
    moveCursor(this.#stream, 0, -this.#height);
    clearScreenDown(this.#stream);
    this.#height = 0;
  }
}
