/** The last bytes of a stream, as text from the first whole line that is left. */
export class TailBuffer {
  readonly #bytesMax: number;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #isCut = false;

  constructor(options: { readonly bytesMax: number }) {
    this.#bytesMax = options.bytesMax;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes <= 2 * this.#bytesMax) return; // cut in large steps, not with each line
    const kept = Buffer.concat(this.#chunks).subarray(-this.#bytesMax);
    this.#chunks = [Buffer.from(kept)]; // a copy, so that the large buffer is freed
    this.#bytes = kept.length;
    this.#isCut = true;
  }

  toString(): string {
    const all = Buffer.concat(this.#chunks);
    const text = all.subarray(-this.#bytesMax).toString("utf8");
    if (!this.#isCut && all.length <= this.#bytesMax) return text;
    return text.slice(text.indexOf("\n") + 1);
  }
}
