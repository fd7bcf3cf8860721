/**
 * What waits under running numbers, for a short time as a rule.
 *
 * A ring of slots; what still waits when its slot's turn comes again moves to a map. Not a map for
 * all: V8 grows one anew every hundred deletions or so, and the tables that it leaves behind keep
 * each other, and what was in them, alive until the next full collection.
 */
const SLOT_COUNT = 1_024; // a power of two, above what is usually in flight

export class TokenRing<T> {
  private readonly tokens = new Float64Array(SLOT_COUNT);
  private readonly items: (T | undefined)[] = Array.from({ length: SLOT_COUNT }, () => undefined);
  private readonly late = new Map<number, T>();
  private count = 0;
  private lastToken = 0;

  get size(): number {
    return this.count;
  }

  /** Answers the token, which is greater than all before it. */
  add(item: T): number {
    const token = (this.lastToken += 1);
    const slot = token & (SLOT_COUNT - 1);
    const before = this.items[slot];
    if (before !== undefined) this.late.set(this.tokens[slot] ?? 0, before);
    this.items[slot] = item;
    this.tokens[slot] = token;
    this.count += 1;
    return token;
  }

  get(token: number): T | undefined {
    const slot = token & (SLOT_COUNT - 1);
    return this.tokens[slot] === token ? this.items[slot] : this.late.get(token);
  }

  delete(token: number): boolean {
    const slot = token & (SLOT_COUNT - 1);
    if (this.tokens[slot] !== token) {
      if (!this.late.delete(token)) return false;
    } else if (this.items[slot] === undefined) {
      return false;
    } else {
      this.items[slot] = undefined;
    }
    this.count -= 1;
    return true;
  }

  /** Those that wait now; may be deleted from meanwhile. */
  entries(): [number, T][] {
    const found: [number, T][] = [...this.late];
    for (const [slot, item] of this.items.entries()) {
      if (item !== undefined) found.push([this.tokens[slot] ?? 0, item]);
    }
    return found.sort(([a], [b]) => a - b);
  }
}
