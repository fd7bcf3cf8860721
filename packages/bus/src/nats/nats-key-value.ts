/**
 * A key-value bucket in the layout of NATS' own: stream `KV_<bucket>`, subjects `$KV.<bucket>.<key>`.
 *
 * Other NATS clients can read and write it. One difference: after a delete its marker is removed
 * as well, because markers of a bucket without an age limit would pile up for ever.
 */
import type { DeleteOutcome, KeyValue, KeyValueEntry, WriteOutcome } from "../state.ts";
import { checkKey } from "../subject.ts";
import type { JetStreamApi, StoredMessage } from "./jetstream-api.ts";
import { NO_DATA } from "./jetstream-api.ts";
import type { StoreOutcome } from "./store-message.ts";
import { storeMessage } from "./store-message.ts";
import type { StreamGuard } from "./stream-guard.ts";
import { readStream } from "./stream-reader.ts";

const OPERATION_HEADER = "KV-Operation";
const DELETE_HEADERS = Object.freeze({ [OPERATION_HEADER]: "DEL" });

export interface NatsKeyValueOptions {
  readonly bucket: string;
  readonly guard: StreamGuard;
}

interface Write {
  readonly key: string;
  readonly data: Uint8Array;
  readonly expectedRevision?: number | undefined;
  readonly isDelete?: boolean;
}

export class NatsKeyValue implements KeyValue {
  private readonly api: JetStreamApi;
  private readonly guard: StreamGuard;
  private readonly stream: string;
  private readonly prefix: string;

  constructor(api: JetStreamApi, { bucket, guard }: NatsKeyValueOptions) {
    this.api = api;
    this.guard = guard;
    this.stream = guard.stream;
    this.prefix = `$KV.${bucket}.`;
  }

  async get(key: string): Promise<KeyValueEntry | null> {
    checkKey(key);
    const last = await this.guard.run(() => this.last(key));
    if (last === null || isMarker(last)) return null;
    return { key, value: last.data, revision: last.sequence };
  }

  async put(key: string, value: Uint8Array): Promise<number> {
    const outcome = await this.guard.run(() => this.write({ key, data: value }));
    if (outcome.kind === "conflict") throw new Error(`put of ${key} met a conflict`);
    return outcome.sequence;
  }

  async create(key: string, value: Uint8Array): Promise<WriteOutcome> {
    const outcome = await this.update(key, value, 0);
    if (outcome.kind === "written") return outcome;
    // Another client's delete leaves a marker, whose revision is the one to expect.
    const last = await this.guard.run(() => this.last(key));
    if (last === null || !isMarker(last)) return { kind: "conflict" };
    return this.update(key, value, last.sequence);
  }

  async update(key: string, value: Uint8Array, expectedRevision: number): Promise<WriteOutcome> {
    const outcome = await this.guard.run(() => this.write({ key, data: value, expectedRevision }));
    return outcome.kind === "conflict"
      ? { kind: "conflict" }
      : { kind: "written", revision: outcome.sequence };
  }

  async delete(
    key: string,
    options: { readonly expectedRevision?: number } = {},
  ): Promise<DeleteOutcome> {
    return this.guard.run(async () => {
      const marker = await this.write({ key, data: NO_DATA, isDelete: true, ...options });
      if (marker.kind === "conflict") return { kind: "conflict" };
      // Up to and with the marker only: someone may have created the key since.
      await this.api.callStream("STREAM.PURGE", this.stream, {
        filter: this.prefix + key,
        seq: marker.sequence + 1,
      });
      return { kind: "deleted" };
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
    if (limit < 1) return [];
    return this.guard.run(() => this.recentOf(limit));
  }

  private async recentOf(limit: number): Promise<KeyValueEntry[]> {
    const { state } = await this.api.callStream<{
      state: { first_seq: number; last_seq: number };
    }>("STREAM.INFO", this.stream, null);
    // Overwritten and deleted entries leave gaps: the window is widened until it holds enough.
    for (let span = 2 * limit; ; span *= 4) {
      const fromSequence = Math.max(1, state.first_seq, state.last_seq - span + 1);
      // Read anew, not added to: what was deleted or overwritten meanwhile must not stay.
      const found = await this.entriesFrom(fromSequence);
      if (found.size >= limit || fromSequence <= Math.max(1, state.first_seq)) {
        return [...found.values()].sort((a, b) => b.revision - a.revision).slice(0, limit);
      }
    }
  }

  private async entriesFrom(fromSequence: number): Promise<Map<string, KeyValueEntry>> {
    const messages = await readStream(this.api, {
      ...this.readRequest,
      filter: `${this.prefix}>`,
      fromSequence,
    });
    const found = new Map<string, KeyValueEntry>();
    for (const message of messages) {
      const key = message.subject.slice(this.prefix.length);
      if (isMarker(message)) found.delete(key);
      else found.set(key, { key, value: message.data, revision: message.sequence });
    }
    return found;
  }

  private async keysMatching(filter: string): Promise<string[]> {
    const messages = await this.guard.run(() =>
      readStream(this.api, {
        ...this.readRequest,
        filter: this.prefix + filter,
        isHeadersOnly: true,
      }),
    );
    const keys = new Set<string>();
    for (const message of messages) {
      const key = message.subject.slice(this.prefix.length);
      if (isMarker(message)) keys.delete(key);
      else keys.add(key);
    }
    return [...keys];
  }

  private get readRequest() {
    return { stream: this.stream, isReplicated: this.guard.config.num_replicas > 1 };
  }

  private async write({ key, data, expectedRevision, isDelete }: Write): Promise<StoreOutcome> {
    checkKey(key);
    return storeMessage(this.api, {
      stream: this.stream,
      subject: this.prefix + key,
      data,
      ...(expectedRevision === undefined ? {} : { expectedLastSequence: expectedRevision }),
      ...(isDelete === true ? { headers: DELETE_HEADERS } : {}),
    });
  }

  private async last(key: string): Promise<StoredMessage | null> {
    // From any copy only where there is one, or a read may miss our own write.
    const { allow_direct, num_replicas } = this.guard.config;
    const isDirect = allow_direct && num_replicas === 1;
    return this.api.lastMessage({ stream: this.stream, subject: this.prefix + key, isDirect });
  }
}

function isMarker(message: StoredMessage): boolean {
  const operation = message.headers[OPERATION_HEADER];
  return operation === "DEL" || operation === "PURGE";
}
