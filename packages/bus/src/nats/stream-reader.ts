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
 *   D3. Complete as of its start: a consumer may live on a copy that lags behind the leader, so
 *       of a replicated stream the leader is asked how far the read must come.
 *   D4. Of a bounded range no more is fetched from behind it than it holds itself, or than
 *       BOUNDED_BATCH_COUNT.
 */
import { delay, UnavailableError } from "@murakkab/kit";
import { encode } from "@murakkab/protocol";
import type { BusMessage } from "../messaging.ts";
import type { JetStreamApi, StoredMessage } from "./jetstream-api.ts";
import { copyBytes, hasErrCode, JETSTREAM_ERROR_CODES } from "./jetstream-api.ts";
import { NatsMessage } from "./nats-message.ts";

/** Messages per pull: large enough that the round trip does not show. */
const BATCH_COUNT = 1_000;
/** First pull of a bounded range, which may hold far fewer messages of the filter than sequences. */
const BOUNDED_BATCH_COUNT = 64;
/** Before a read is started anew that ended without an answer's reason to wait, ms. */
const RESTART_PAUSE_MS = 20;
/** Status of a pull to which nothing is left, and of one that got less than it asked for. */
const [NO_MESSAGES, REQUEST_TIMEOUT] = [404, 408];
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
  /** Whether copies of the stream may lag (D3). */
  readonly isReplicated?: boolean;
}

interface Consumer {
  readonly name: string;
  readonly pendingCount: number;
}

/** Errors: `STORE_MISSING`, `UNAVAILABLE`. */
export async function readStream(
  api: JetStreamApi,
  request: ReadRequest,
): Promise<StoredMessage[]> {
  const { isReplicated = false, toSequence = Number.POSITIVE_INFINITY } = request;
  if (toSequence < (request.fromSequence ?? 1)) return [];
  const read: StoredMessage[] = [];
  let goalSequence = isReplicated ? await leaderSequence(api, request) : 0;
  let lastProgressMs = api.clock.monotonicMs();
  for (;;) {
    const countBefore = read.length;
    let isComplete = await readOnce(api, request, read);
    const lastSequence = read.at(-1)?.sequence ?? 0;
    if (lastSequence >= toSequence) isComplete = true;
    else if (isComplete && lastSequence < goalSequence) {
      // Either the copy lags, or what the leader had was dropped meanwhile.
      goalSequence = Math.min(goalSequence, await leaderSequence(api, request));
      isComplete = lastSequence >= goalSequence;
    }
    if (isComplete) return read.filter((message) => message.sequence <= toSequence);
    const nowMs = api.clock.monotonicMs();
    if (read.length > countBefore) lastProgressMs = nowMs;
    if (nowMs - lastProgressMs > api.options.totalTimeoutMs || api.messaging.isClosed) {
      throw new UnavailableError(`reading ${request.filter} from ${request.stream} got stuck`);
    }
    await delay(api.clock, RESTART_PAUSE_MS);
  }
}

/**
 * The last sequence that the leader has on `filter`, 0 when the read need not come that far. For a
 * bounded range, too: a copy that has it delivers something at or behind the range's end.
 */
async function leaderSequence(api: JetStreamApi, request: ReadRequest): Promise<number> {
  const { stream, filter, fromSequence = 1 } = request;
  const last = await api.lastMessage({ stream, subject: filter, isDirect: false });
  return last === null || last.sequence < fromSequence ? 0 : last.sequence;
}

/** False when it must be started anew; `read` then holds what came. */
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
  const toSequence = request.toSequence ?? Number.POSITIVE_INFINITY;
  const batch = new Batch(api, { read, toSequence });
  const subscription = api.messaging.subscribe(inbox, (message) => {
    batch.take(message);
  });
  try {
    let pendingCount = consumer.pendingCount;
    while (pendingCount > 0) {
      const nextSequence = Math.max(fromSequence, (read.at(-1)?.sequence ?? 0) + 1);
      if (nextSequence > toSequence) return true;
      const countBefore = read.length;
      const wantedCount = Math.min(pendingCount, batchCount(read, nextSequence, toSequence));
      const ended = batch.start(wantedCount);
      api.messaging.publish(
        `$JS.API.CONSUMER.MSG.NEXT.${request.stream}.${consumer.name}`,
        encode({ batch: wantedCount, max_bytes: batchBytes(api), no_wait: true }, "json"),
        { reply: inbox },
      );
      const end = await ended;
      if (end === "silent") return false;
      const isWithout = end === NO_MESSAGES || end === REQUEST_TIMEOUT;
      if (isWithout && read.length === countBefore) return true; // removed meanwhile
      // Any other status (the consumer is gone, its server stops) tells nothing of the rest.
      if (typeof end === "number" && read.length === countBefore) return false;
      pendingCount = batch.pendingCount;
    }
    return true;
  } finally {
    subscription.unsubscribe();
    deleteConsumer(api, request.stream, consumer.name);
  }
}

/** How many messages the next pull asks for (D4). */
function batchCount(
  read: readonly StoredMessage[],
  nextSequence: number,
  toSequence: number,
): number {
  if (toSequence === Number.POSITIVE_INFINITY) return BATCH_COUNT;
  // Of a bounded range there are at most as many messages as sequences.
  const rangeCount = toSequence - nextSequence + 1;
  return Math.min(BATCH_COUNT, rangeCount, Math.max(BOUNDED_BATCH_COUNT, read.length));
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
    const answer = await api.callStream<{ name: string; num_pending: number }>(
      "CONSUMER.CREATE",
      stream,
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

/** A number is the server's status. */
type BatchEnd = "full" | "silent" | number;

interface BatchTarget {
  /** Taken messages are added here. */
  readonly read: StoredMessage[];
  readonly toSequence: number;
}

/** Takes messages until as many came as were asked for, a status came, or it went silent. */
class Batch {
  pendingCount = 0;
  private readonly api: JetStreamApi;
  private readonly target: BatchTarget;
  private wantedCount = 0;
  private lastArrivalMs = 0;
  private end: (end: BatchEnd) => void = () => undefined;

  constructor(api: JetStreamApi, target: BatchTarget) {
    this.api = api;
    this.target = target;
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
    const { read, toSequence } = this.target;
    const delivery = message.reply === undefined ? null : parseDelivery(message.reply);
    if (delivery === null) {
      if (message instanceof NatsMessage && message.status !== 0) this.end(message.status);
      return;
    }
    const lastSequence = read.at(-1)?.sequence ?? 0;
    if (delivery.sequence <= lastSequence) return; // D2
    this.lastArrivalMs = this.api.clock.monotonicMs();
    this.pendingCount = delivery.pendingCount;
    read.push({
      subject: message.subject,
      sequence: delivery.sequence,
      data: copyBytes(message.data),
      headers: message.headers,
    });
    this.wantedCount -= 1;
    // The server may have less than was asked for: then this was the last one.
    const isLast = this.pendingCount === 0 || delivery.sequence >= toSequence;
    if (this.wantedCount === 0 || isLast) this.end("full");
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
