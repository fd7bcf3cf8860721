/**
 * What this process sends, written to the socket once per turn of the event loop.
 *
 * Owns:      the protocol lines of published messages and the buffer that they wait in.
 * Does not:  subscribe, ping or reconnect: the client library does, over the same transport.
 *
 * Why not the library's own way: it hands its buffer to the socket in a microtask, so a process
 * that answers hundreds of messages of one read makes as many system calls, with some ten
 * allocations per message. On a scheduler under load both were a third of all its time.
 *
 * It reaches into the library (2.29, pinned), which offers no such setting; where its insides look
 * different the library's own `publish` is used.
 *
 * Invariants:
 *   O1. Messages leave in the order in which they were added.
 *   O2. A subscription that was made before a message was added is known to the server before it;
 *       what the library sends after `drain` follows what was added before it.
 */
import type { NatsConnection } from "nats";

interface Protocol {
  transport?: { send?: (frame: Uint8Array) => void };
  /** Hands the library's own buffer (SUB, UNSUB, PING) to the transport. */
  flushPending?: () => void;
}

/** More than this is not held back until the end of the turn, bytes. */
const HELD_BYTES_MAX = 64 * 1024;
const SCRATCH_BYTES = 128 * 1024;

export class Outbox {
  private readonly protocol: Protocol;
  private scratch = Buffer.allocUnsafe(SCRATCH_BYTES);
  private used = 0;
  private isArmed = false;

  private constructor(protocol: Protocol) {
    this.protocol = protocol;
  }

  /** Null where the library's insides are not as expected. */
  static on(connection: NatsConnection): Outbox | null {
    const { protocol } = connection as { protocol?: Protocol };
    const isKnown =
      typeof protocol?.transport?.send === "function" &&
      typeof protocol.flushPending === "function";
    return isKnown ? new Outbox(protocol) : null;
  }

  /** `headers`: the encoded block, without it an empty one. A string is sent as UTF-8. */
  add(
    subject: string,
    reply: string | undefined,
    headers: Uint8Array | null,
    data: Uint8Array | string,
  ): void {
    const dataBytes = typeof data === "string" ? Buffer.byteLength(data) : data.length;
    const headerBytes = headers?.length ?? 0;
    const target = reply === undefined ? subject : `${subject} ${reply}`;
    const line =
      headers === null
        ? `PUB ${target} ${dataBytes}\r\n`
        : `HPUB ${target} ${headerBytes} ${headerBytes + dataBytes}\r\n`;
    // A subject may hold any character but blanks: three bytes for one at most, in UTF-16 units.
    this.reserve(3 * line.length + headerBytes + dataBytes + 2);
    const { scratch } = this;
    this.used += scratch.write(line, this.used, "utf8");
    if (headers !== null) {
      scratch.set(headers, this.used);
      this.used += headerBytes;
    }
    if (typeof data === "string") scratch.write(data, this.used, "utf8");
    else scratch.set(data, this.used);
    this.used += dataBytes;
    scratch[this.used] = CARRIAGE_RETURN;
    scratch[this.used + 1] = LINE_FEED;
    this.used += 2;
    if (this.used >= HELD_BYTES_MAX) this.drain();
    else if (!this.isArmed) {
      this.isArmed = true;
      setImmediate(this.onImmediate);
    }
  }

  /** Hands everything to the socket now. */
  drain(): void {
    if (this.used === 0) return;
    // A copy: the socket keeps what it is given until the kernel took it.
    const frame = Buffer.from(this.scratch.subarray(0, this.used));
    this.used = 0;
    this.protocol.flushPending?.(); // O2
    this.protocol.transport?.send?.(frame);
  }

  private readonly onImmediate = (): void => {
    this.isArmed = false;
    this.drain();
  };

  private reserve(bytes: number): void {
    if (this.used + bytes <= this.scratch.length) return;
    this.drain();
    if (bytes > this.scratch.length) this.scratch = Buffer.allocUnsafe(2 * bytes);
  }
}

const CARRIAGE_RETURN = 13;
const LINE_FEED = 10;
