/**
 * Waiting work of several tenants: each tenant's in order, the tenants in turn.
 *
 * Invariants:
 *   W1. Work of one tenant leaves in the order in which it came.
 *   W2. Between two takes from one tenant, every other tenant that waits is taken from once.
 */
export class FairQueue<T> {
  private readonly queues = new Map<string, { items: T[]; head: number }>();
  private total = 0;

  get count(): number {
    return this.total;
  }

  push(tenant: string, item: T): void {
    const queue = this.queues.get(tenant);
    if (queue === undefined) this.queues.set(tenant, { items: [item], head: 0 });
    else queue.items.push(item);
    this.total += 1;
  }

  /** What `take` would give. */
  peek(): T | undefined {
    const first = this.queues.values().next().value;
    return first?.items[first.head];
  }

  take(): T | undefined {
    const next = this.queues.entries().next().value;
    if (next === undefined) return undefined;
    const [tenant, queue] = next;
    const item = queue.items[queue.head];
    queue.head += 1;
    this.total -= 1;
    // Behind all others, or away (W2): a Map keeps the order of insertion.
    this.queues.delete(tenant);
    if (queue.head < queue.items.length) {
      if (queue.head > 32 && queue.head * 2 > queue.items.length) {
        queue.items = queue.items.slice(queue.head);
        queue.head = 0;
      }
      this.queues.set(tenant, queue);
    }
    return item;
  }

  /** Takes one item out, wherever it waits. False: it is not here. */
  remove(tenant: string, item: T): boolean {
    const queue = this.queues.get(tenant);
    const index = queue?.items.indexOf(item, queue.head) ?? -1;
    if (queue === undefined || index < 0) return false;
    queue.items.splice(index, 1);
    this.total -= 1;
    if (queue.head >= queue.items.length) this.queues.delete(tenant);
    return true;
  }

  /** All that waits, in no order. */
  all(): T[] {
    return [...this.queues.values()].flatMap((queue) => queue.items.slice(queue.head));
  }
}
