/**
 * A key-value bucket in the layout of NATS' own: stream `KV_<bucket>`, subjects `$KV.<bucket>.<key>`.
 *
 * Other NATS clients can read and write it. One difference: after a delete its marker is removed
 * as well, because markers of a bucket without an age limit would pile up for ever.
 */
import type { KeyValue, KeyValueEntry, WriteOutcome } from "../state.ts";
import { checkKey } from "../subject.ts";
import type { JetStreamApi, StoredMessage } from "./jetstream-api.ts";
import { readStream } from "./stream-reader.ts";

const OPERATION_HEADER = "KV-Operation";
const NO_DATA = new Uint8Array(0);

export interface NatsKeyValueOptions {
  readonly bucket: string;
  /** Read from any copy: only right where there is one, or a read may miss our own write. */
  readonly isDirect: boolean;
}

export class NatsKeyValue implements KeyValue {
  private readonly api: JetStreamApi;
  private readonly stream: string;
  private readonly prefix: string;
  private readonly isDirect: boolean;

  constructor(api: JetStreamApi, { bucket, isDirect }: NatsKeyValueOptions) {
    this.api = api;
    this.stream = `KV_${bucket}`;
    this.prefix = `$KV.${bucket}.`;
    this.isDirect = isDirect;
  }

  async get(key: string): Promise<KeyValueEntry | null> {
    const last = await this.last(key);
    if (last === null || isMarker(last)) return null;
    return { key, value: last.data, revision: last.sequence };
  }

  async put(key: string, value: Uint8Array): Promise<number> {
    checkKey(key);
    const outcome = await this.api.store(this.write(key, value));
    if (outcome.kind === "conflict") throw new Error(`put of ${key} met a conflict`);
    return outcome.sequence;
  }

  async create(key: string, value: Uint8Array): Promise<WriteOutcome> {
    const outcome = await this.update(key, value, 0);
    if (outcome.kind === "written") return outcome;
    // Another client's delete leaves a marker, whose revision is the one to expect.
    const last = await this.last(key);
    if (last === null || !isMarker(last)) return { kind: "conflict" };
    return this.update(key, value, last.sequence);
  }

  async update(key: string, value: Uint8Array, expectedRevision: number): Promise<WriteOutcome> {
    checkKey(key);
    const outcome = await this.api.store({
      ...this.write(key, value),
      expectedLastSequence: expectedRevision,
    });
    return outcome.kind === "conflict"
      ? { kind: "conflict" }
      : { kind: "written", revision: outcome.sequence };
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    const outcome = await this.api.store({
      ...this.write(key, NO_DATA),
      headers: { [OPERATION_HEADER]: "DEL" },
    });
    if (outcome.kind === "conflict") return;
    // Up to and with the marker only: someone may have created the key since.
    await this.api.call(`STREAM.PURGE.${this.stream}`, {
      filter: this.prefix + key,
      seq: outcome.sequence + 1,
    });
  }

  async keys(prefix?: string): Promise<string[]> {
    if (prefix === undefined || prefix === "") return this.keysMatching(">");
    checkKey(prefix);
    const own = await this.get(prefix);
    const below = await this.keysMatching(`${prefix}.>`);
    return own === null ? below : [prefix, ...below];
  }

  async recent(limit: number): Promise<KeyValueEntry[]> {
    const { state } = await this.api.call<{ state: { first_seq: number; last_seq: number } }>(
      `STREAM.INFO.${this.stream}`,
      null,
    );
    const found = new Map<string, KeyValueEntry>();
    // Overwritten and deleted entries leave gaps: the window is widened until it holds enough.
    for (let span = 2 * limit; ; span *= 4) {
      const fromSequence = Math.max(state.first_seq, state.last_seq - span + 1);
      const messages = await readStream(this.api, {
        stream: this.stream,
        filter: `${this.prefix}>`,
        fromSequence,
      });
      for (const message of messages) {
        const key = message.subject.slice(this.prefix.length);
        const entry = { key, value: message.data, revision: message.sequence };
        if (isMarker(message)) found.delete(key);
        else found.set(key, entry);
      }
      if (found.size >= limit || fromSequence <= state.first_seq) break;
    }
    return [...found.values()].sort((a, b) => b.revision - a.revision).slice(0, limit);
  }

  private async keysMatching(filter: string): Promise<string[]> {
    const messages = await readStream(this.api, {
      stream: this.stream,
      filter: this.prefix + filter,
      isHeadersOnly: true,
    });
    const keys = new Set<string>();
    for (const message of messages) {
      const key = message.subject.slice(this.prefix.length);
      if (isMarker(message)) keys.delete(key);
      else keys.add(key);
    }
    return [...keys];
  }

  private write(key: string, data: Uint8Array) {
    return { stream: this.stream, subject: this.prefix + key, data };
  }

  private async last(key: string): Promise<StoredMessage | null> {
    checkKey(key);
    const { stream, isDirect } = this;
    return this.api.lastMessage({ stream, subject: this.prefix + key, isDirect });
  }
}

function isMarker(message: StoredMessage): boolean {
  const operation = message.headers[OPERATION_HEADER];
  return operation === "DEL" || operation === "PURGE";
}
