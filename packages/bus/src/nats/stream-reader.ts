/**
 * Reads what a stream holds now, completely, in order.
 *
 * Owns:      a short-lived pull consumer, its batches, and starting anew where it went silent.
 * Does not:  follow the stream: messages that arrive during the read may or may not be in it.
 *
 * Why pull: a pushed read of a long stream overruns the server's buffer for this connection; and
 * ordered consumers of the client library stay blind for a minute after a server's crash.
 *
 * Invariants:
 *   D1. Ends: when the server says that nothing is pending, or with UnavailableError once nothing
 *       arrived for the total time-out.
 *   D2. After a restart of the read nothing is skipped and nothing comes twice.
 */
import { UnavailableError } from "@murakkab/kit";
import { encode } from "@murakkab/protocol";
import type { BusMessage } from "../messaging.ts";
import type { JetStreamApi, StoredMessage } from "./jetstream-api.ts";
import { copyBytes, hasErrCode, JETSTREAM_ERROR_CODES } from "./jetstream-api.ts";
import { NatsMessage } from "./nats-message.ts";

/** Messages per pull: large enough that the round trip does not show. */
const BATCH_COUNT = 1_000;
/** Bytes per pull: a fraction of the 64 MiB that the server buffers per connection. */
const BATCH_BYTES = 8 * 1024 * 1024;
/** The server forgets a consumer that nobody asks for this long, ms; we delete it ourselves. */
const CONSUMER_FORGOTTEN_AFTER_MS = 30_000;
const NANOS_PER_MS = 1_000_000;

export interface ReadRequest {
  readonly stream: string;
  readonly filter: string;
  readonly fromSequence?: number;
  /** Inclusive: what is behind it is left out. */
  readonly toSequence?: number;
  readonly isHeadersOnly?: boolean;
}

interface Consumer {
  readonly name: string;
  readonly pendingCount: number;
}

export async function readStream(
  api: JetStreamApi,
  request: ReadRequest,
): Promise<StoredMessage[]> {
  const read: StoredMessage[] = [];
  let lastProgressMs = api.clock.monotonicMs();
  for (;;) {
    const countBefore = read.length;
    const isComplete = await readOnce(api, request, read);
    const toSequence = request.toSequence ?? Number.POSITIVE_INFINITY;
    const isPast = (read.at(-1)?.sequence ?? 0) >= toSequence;
    if (isComplete || isPast) return read.filter((message) => message.sequence <= toSequence);
    const nowMs = api.clock.monotonicMs();
    if (read.length > countBefore) lastProgressMs = nowMs;
    if (nowMs - lastProgressMs > api.options.totalTimeoutMs || api.messaging.isClosed) {
      throw new UnavailableError(`reading ${request.filter} from ${request.stream} got stuck`);
    }
  }
}

/** False when it went silent; `read` then holds what came. */
async function readOnce(
  api: JetStreamApi,
  request: ReadRequest,
  read: StoredMessage[],
): Promise<boolean> {
  const fromSequence = Math.max((read.at(-1)?.sequence ?? 0) + 1, request.fromSequence ?? 1); // D2
  const consumer = await createConsumer(api, request, fromSequence);
  if (consumer === null || consumer.pendingCount === 0) {
    if (consumer !== null) deleteConsumer(api, request.stream, consumer.name);
    return true;
  }
  const inbox = `${api.options.inboxPrefix}.${api.nextId()}`;
  const batch = new Batch(api, read);
  const subscription = api.messaging.subscribe(inbox, (message) => {
    batch.take(message);
  });
  try {
    let pendingCount = consumer.pendingCount;
    while (pendingCount > 0) {
      // Of a bounded range there are at most as many messages as sequences.
      const rangeCount =
        (request.toSequence ?? Number.POSITIVE_INFINITY) -
        Math.max(fromSequence - 1, read.at(-1)?.sequence ?? 0);
      const wanted = Math.max(1, Math.min(pendingCount, BATCH_COUNT, rangeCount));
      const countBefore = read.length;
      const ended = batch.start(wanted);
      api.messaging.publish(
        `$JS.API.CONSUMER.MSG.NEXT.${request.stream}.${consumer.name}`,
        encode({ batch: wanted, max_bytes: batchBytes(api), no_wait: true }, "json"),
        { reply: inbox },
      );
      const end = await ended;
      if (end === "silent") return false;
      if (end === "status" && read.length === countBefore) return true; // removed meanwhile
      if ((read.at(-1)?.sequence ?? 0) >= (request.toSequence ?? Number.POSITIVE_INFINITY)) {
        return true;
      }
      pendingCount = batch.pendingCount;
    }
    return true;
  } finally {
    subscription.unsubscribe();
    deleteConsumer(api, request.stream, consumer.name);
  }
}

function batchBytes(api: JetStreamApi): number {
  return Math.max(BATCH_BYTES, 2 * api.messaging.maxPayloadBytes);
}

async function createConsumer(
  api: JetStreamApi,
  { stream, filter, isHeadersOnly }: ReadRequest,
  fromSequence: number,
): Promise<Consumer | null> {
  const config = {
    deliver_policy: fromSequence > 1 ? "by_start_sequence" : "all",
    ...(fromSequence > 1 ? { opt_start_seq: fromSequence } : {}),
    ack_policy: "none",
    replay_policy: "instant",
    filter_subject: filter,
    headers_only: isHeadersOnly === true,
    inactive_threshold: CONSUMER_FORGOTTEN_AFTER_MS * NANOS_PER_MS,
    mem_storage: true,
    num_replicas: 1,
  };
  try {
    const answer = await api.call<{ name: string; num_pending: number }>(
      `CONSUMER.CREATE.${stream}`,
      { stream_name: stream, config },
    );
    return { name: answer.name, pendingCount: answer.num_pending };
  } catch (error) {
    // A filter outside of the stream's subjects: nothing can be there.
    if (hasErrCode(error, JETSTREAM_ERROR_CODES.consumerFilterNotSubset)) return null;
    throw error;
  }
}

/** Without waiting: a consumer that is missed here is forgotten by the server soon. */
function deleteConsumer(api: JetStreamApi, stream: string, name: string): void {
  if (api.messaging.isClosed) return;
  api.messaging.publish(`$JS.API.CONSUMER.DELETE.${stream}.${name}`, new Uint8Array(0), {
    reply: `${api.options.inboxPrefix}.${api.nextId()}`,
  });
}

type BatchEnd = "full" | "status" | "silent";

/** Takes messages until as many came as were asked for, a status came, or it went silent. */
class Batch {
  pendingCount = 0;
  private readonly api: JetStreamApi;
  private readonly read: StoredMessage[];
  private wantedCount = 0;
  private lastArrivalMs = 0;
  private end: (end: BatchEnd) => void = () => undefined;

  constructor(api: JetStreamApi, read: StoredMessage[]) {
    this.api = api;
    this.read = read;
  }

  start(wantedCount: number): Promise<BatchEnd> {
    this.wantedCount = wantedCount;
    this.lastArrivalMs = this.api.clock.monotonicMs();
    return new Promise((resolve) => {
      let cancel = (): void => undefined;
      const watch = (delayMs: number): void => {
        cancel = this.api.clock.after(delayMs, () => {
          const silentMs = this.api.clock.monotonicMs() - this.lastArrivalMs;
          const leftMs = this.api.options.attemptTimeoutMs - silentMs;
          if (leftMs > 0) watch(leftMs);
          else resolve("silent");
        });
      };
      watch(this.api.options.attemptTimeoutMs);
      this.end = (end) => {
        cancel();
        resolve(end);
      };
    });
  }

  take(message: BusMessage): void {
    const delivery = message.reply === undefined ? null : parseDelivery(message.reply);
    if (delivery === null) {
      if (message instanceof NatsMessage && message.status !== 0) this.end("status");
      return;
    }
    const lastSequence = this.read.at(-1)?.sequence ?? 0;
    if (delivery.sequence <= lastSequence) return; // D2
    this.lastArrivalMs = this.api.clock.monotonicMs();
    this.pendingCount = delivery.pendingCount;
    this.read.push({
      subject: message.subject,
      sequence: delivery.sequence,
      data: copyBytes(message.data),
      headers: message.headers,
    });
    this.wantedCount -= 1;
    if (this.wantedCount === 0) this.end("full");
  }
}

/**
 * `$JS.ACK.<stream>.<consumer>.<tries>.<stream seq>.<consumer seq>.<time>.<pending>`, or with
 * domain and account behind `ACK` in newer servers.
 */
function parseDelivery(reply: string): { sequence: number; pendingCount: number } | null {
  if (!reply.startsWith("$JS.ACK.")) return null;
  const tokens = reply.split(".");
  const shift = tokens.length > 9 ? 2 : 0;
  return { sequence: Number(tokens[5 + shift]), pendingCount: Number(tokens[8 + shift]) };
}
