/**
 * Reads a JetStream stream from where it was read last, over plain requests: the observer must not
 * create, configure or hold anything in the store that it watches.
 */
import type { Messaging } from "@murakkab/bus";
import type { StoredMessage } from "./journal-entries.ts";

const TIMEOUT_MS = 2_000;
/** Messages asked for at the same time: hides the round trip without flooding the server. */
const WINDOW_COUNT = 64;
/** Per call of `read`: a long backlog is taken in parts. */
const READ_COUNT_MAX = 20_000;

interface StreamInfo {
  readonly state?: { readonly first_seq: number; readonly last_seq: number };
}

interface StoredAnswer {
  readonly message?: { readonly subject: string; readonly seq: number; readonly data?: string };
}

export class StreamTail {
  private readonly messaging: Messaging;
  private readonly stream: string;
  private readSequence = 0;

  constructor(components: { readonly messaging: Messaging }, options: { readonly stream: string }) {
    this.messaging = components.messaging;
    this.stream = options.stream;
  }

  /** What came since the last read; nothing while the stream is not there. Errors: of the bus. */
  async read(): Promise<readonly StoredMessage[]> {
    const { state } = await this.ask<StreamInfo>(`STREAM.INFO.${this.stream}`, null);
    if (state === undefined) return [];
    const messages: StoredMessage[] = [];
    const fromSequence = Math.max(this.readSequence + 1, state.first_seq);
    const toSequence = Math.min(state.last_seq, fromSequence + READ_COUNT_MAX);
    for (let at = fromSequence; at <= toSequence; at += WINDOW_COUNT) {
      const count = Math.min(WINDOW_COUNT, toSequence - at + 1);
      const window = await Promise.all(
        Array.from({ length: count }, (_, index) => this.messageAt(at + index)),
      );
      messages.push(...window.filter((message) => message !== null));
      this.readSequence = at + count - 1;
    }
    return messages;
  }

  /** Null when it was purged meanwhile. */
  private async messageAt(sequence: number): Promise<StoredMessage | null> {
    const answer = await this.ask<StoredAnswer>(`STREAM.MSG.GET.${this.stream}`, { seq: sequence });
    const { message } = answer;
    if (message === undefined) return null;
    const data = Buffer.from(message.data ?? "", "base64");
    return { subject: message.subject, sequence: message.seq, data };
  }

  private async ask<T>(api: string, body: unknown): Promise<T> {
    const data = body === null ? new Uint8Array() : Buffer.from(JSON.stringify(body));
    const reply = await this.messaging.request(`$JS.API.${api}`, data, { timeoutMs: TIMEOUT_MS });
    return JSON.parse(Buffer.from(reply.data).toString("utf8")) as T;
  }
}
