/**
 * A bounded queue between a callback and a `for await` loop.
 *
 * A reader that is too slow loses the oldest items, counted in `droppedCount`: it is meant for
 * samples, where only the latest matter. Job events have their own feed, which loses nothing.
 */
export class PushQueue<T> implements AsyncIterable<T> {
  readonly #limit: number;
  readonly #onClose: () => void;
  readonly #items: T[] = [];
  #wake: (() => void) | null = null;
  #isClosed = false;
  droppedCount = 0;

  constructor(limit: number, onClose: () => void) {
    this.#limit = limit;
    this.#onClose = onClose;
  }

  push(item: T): void {
    if (this.#isClosed) return;
    if (this.#items.length >= this.#limit) {
      this.#items.shift();
      this.droppedCount += 1;
    }
    this.#items.push(item);
    this.#wake?.();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#onClose();
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        const item = this.#items.shift();
        if (item !== undefined) yield item;
        else if (this.#isClosed) return;
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      this.close();
    }
  }
}
