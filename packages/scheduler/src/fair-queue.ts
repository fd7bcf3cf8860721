/**
 * Waiting work of several tenants: each tenant's by its due time, the tenants in turn.
 *
 * Invariants:
 *   W1. Work of one tenant leaves by its due time; of equal ones, what came first leaves first.
 *   W2. Between two takes from one tenant, every other tenant that waits is taken from once.
 *
 * Cost: push and take O(log n) in the tenant's backlog, push O(1) where due times come in order;
 * remove O(n).
 */
interface Waiting<T> {
  readonly item: T;
  readonly dueAtMs: number;
  readonly number: number;
}

export class FairQueue<T> {
  /** Binary heaps. A Map keeps the order of insertion: the first tenant is the next one. */
  private readonly heaps = new Map<string, Waiting<T>[]>();
  private total = 0;
  private pushCount = 0;

  get count(): number {
    return this.total;
  }

  push(tenant: string, item: T, dueAtMs: number): void {
    let heap = this.heaps.get(tenant);
    if (heap === undefined) {
      heap = [];
      this.heaps.set(tenant, heap);
    }
    this.pushCount += 1;
    heap.push({ item, dueAtMs, number: this.pushCount });
    siftUp(heap, heap.length - 1);
    this.total += 1;
  }

  /** What `take` would give. */
  peek(): T | undefined {
    return this.first()?.item;
  }

  /** Due time of what `take` would give; infinite when nothing waits. */
  get dueAtMs(): number {
    return this.first()?.dueAtMs ?? Number.POSITIVE_INFINITY;
  }

  private first(): Waiting<T> | undefined {
    return this.heaps.values().next().value?.[0];
  }

  take(): T | undefined {
    const next = this.heaps.entries().next().value;
    if (next === undefined) return undefined;
    const [tenant, heap] = next;
    const item = heap[0]?.item;
    removeAt(heap, 0);
    this.total -= 1;
    // Behind all others, or away (W2).
    this.heaps.delete(tenant);
    if (heap.length > 0) this.heaps.set(tenant, heap);
    return item;
  }

  /** Takes one item out, wherever it waits. False: it is not here. */
  remove(tenant: string, item: T): boolean {
    const heap = this.heaps.get(tenant);
    const index = heap?.findIndex((it) => it.item === item) ?? -1;
    if (heap === undefined || index < 0) return false;
    removeAt(heap, index);
    this.total -= 1;
    if (heap.length === 0) this.heaps.delete(tenant);
    return true;
  }

  /** All that waits, in no order. */
  all(): T[] {
    return [...this.heaps.values()].flatMap((heap) => heap.map((it) => it.item));
  }
}

/** W1. */
function isBefore<T>(a: Waiting<T>, b: Waiting<T>): boolean {
  return a.dueAtMs < b.dueAtMs || (a.dueAtMs === b.dueAtMs && a.number < b.number);
}

function removeAt<T>(heap: Waiting<T>[], index: number): void {
  const last = heap.pop();
  if (last === undefined || index === heap.length) return;
  heap[index] = last;
  siftDown(heap, index);
  siftUp(heap, index);
}

function siftUp<T>(heap: Waiting<T>[], from: number): void {
  let index = from;
  const moved = heap[index];
  if (moved === undefined) return;
  while (index > 0) {
    const parentIndex = (index - 1) >> 1;
    const parent = heap[parentIndex];
    if (parent === undefined || !isBefore(moved, parent)) break;
    heap[index] = parent;
    index = parentIndex;
  }
  heap[index] = moved;
}

function siftDown<T>(heap: Waiting<T>[], from: number): void {
  let index = from;
  const moved = heap[index];
  if (moved === undefined) return;
  for (;;) {
    const left = heap[2 * index + 1];
    const right = heap[2 * index + 2];
    if (left === undefined) break;
    const isRight = right !== undefined && isBefore(right, left);
    const child = isRight ? right : left;
    if (!isBefore(child, moved)) break;
    heap[index] = child;
    index = 2 * index + (isRight ? 2 : 1);
  }
  heap[index] = moved;
}
