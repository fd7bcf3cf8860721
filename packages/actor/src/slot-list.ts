/**
 * A set of objects that come and go quickly: each knows its place in one array.
 *
 * Not a `Set`: V8 grows one anew every hundred deletions or so, and the tables that it leaves behind
 * keep each other, and what was in them, alive until the next full collection. In a busy process
 * that was most of what survived the short ones, and its slowest answers.
 */
export interface Slotted {
  /** Its place in the list; -1 outside of it. Written by the list only. */
  slot: number;
}

export class SlotList<T extends Slotted> {
  readonly items: T[] = [];

  add(item: T): void {
    item.slot = this.items.length;
    this.items.push(item);
  }

  /** False when it was not there. The last item takes its place. */
  delete(item: T): boolean {
    const { items } = this;
    const { slot } = item;
    if (slot < 0 || items[slot] !== item) return false;
    const last = items.pop();
    if (last !== undefined && last !== item) {
      items[slot] = last;
      last.slot = slot;
    }
    item.slot = -1;
    return true;
  }
}
