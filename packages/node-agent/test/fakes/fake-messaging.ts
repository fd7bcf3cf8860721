/** Just enough of a bus for the agent: exact subjects, delivery in order after microtasks. */
import type { BusMessage, BusStatus, Messaging, RequestOptions } from "@murakkab/bus";
import { CancelledError, type Clock, NoRespondersError, TimeoutError } from "@murakkab/kit";
import { decode } from "@murakkab/protocol";

type Handler = (message: BusMessage) => void;

export class FakeMessaging implements Messaging {
  readonly maxPayloadBytes = 1_048_576;
  readonly published: { readonly subject: string; readonly value: unknown }[] = [];
  readonly #clock: Clock;
  readonly #handlers = new Map<string, Set<Handler>>();
  readonly #statusListeners = new Set<(status: BusStatus) => void>();
  #inboxCount = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  publish(
    subject: string,
    data: Uint8Array,
    options: { headers?: Readonly<Record<string, string>>; reply?: string } = {},
  ): void {
    const headers = options.headers ?? {};
    this.published.push({ subject, value: decode(data, headers).value });
    for (const handler of this.#handlers.get(subject) ?? []) {
      const { reply } = options;
      const message = { subject, data, headers, ...(reply === undefined ? {} : { reply }) };
      queueMicrotask(() => handler(message));
    }
  }

  subscribe(subject: string, handler: Handler): { unsubscribe(): void; drain(): Promise<void> } {
    const handlers = this.#handlers.get(subject) ?? new Set();
    handlers.add(handler);
    this.#handlers.set(subject, handlers);
    const unsubscribe = (): void => {
      handlers.delete(handler);
      if (handlers.size === 0) this.#handlers.delete(subject);
    };
    return { unsubscribe, drain: async () => unsubscribe() };
  }

  request(subject: string, data: Uint8Array, options: RequestOptions): Promise<BusMessage> {
    if (!this.#handlers.has(subject)) {
      return Promise.reject(new NoRespondersError(`nobody listens on ${subject}`));
    }
    this.#inboxCount += 1;
    const reply = `_INBOX.${this.#inboxCount}`;
    const { signal, headers } = options;
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        subscription.unsubscribe();
        cancel();
        reject(new CancelledError(`request on ${subject} was cancelled`));
      };
      const subscription = this.subscribe(reply, (message) => {
        cancel();
        subscription.unsubscribe();
        signal?.removeEventListener("abort", onAbort);
        resolve(message);
      });
      const cancel = this.#clock.after(options.timeoutMs, () => {
        subscription.unsubscribe();
        reject(new TimeoutError(`no answer on ${subject}`));
      });
      signal?.addEventListener("abort", onAbort);
      if (signal?.aborted) onAbort();
      else this.publish(subject, data, { ...(headers === undefined ? {} : { headers }), reply });
    });
  }

  requestStream(): AsyncIterable<BusMessage> {
    throw new Error("not needed here");
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  register(): { unsubscribe(): void } {
    return { unsubscribe: () => undefined };
  }

  onStatus(listener: (status: BusStatus) => void): { unsubscribe(): void } {
    this.#statusListeners.add(listener);
    return { unsubscribe: () => this.#statusListeners.delete(listener) };
  }

  setStatus(status: BusStatus): void {
    for (const listener of this.#statusListeners) listener(status);
  }

  get subscriptionCount(): number {
    return [...this.#handlers.keys()].filter((subject) => !subject.startsWith("_INBOX")).length;
  }

  subjectsWith(prefix: string): string[] {
    return [...this.#handlers.keys()].filter((subject) => subject.startsWith(prefix));
  }

  valuesOn(subject: string): unknown[] {
    return this.published.filter((one) => one.subject === subject).map(({ value }) => value);
  }
}
