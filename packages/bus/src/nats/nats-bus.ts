/**
 * Connects to NATS and keeps the connection.
 *
 * Owns:      dialling with a deadline, credentials, the status events of the client library.
 * Does not:  send or receive (nats-messaging.ts), store (nats-state.ts).
 */
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Clock, Logger, Random } from "@murakkab/kit";
import { backoffMs, delay, InvalidArgumentError, SILENT_LOGGER, seededRandom } from "@murakkab/kit";
import type { ConnectionOptions, NatsConnection, TlsOptions } from "nats";
import { connect, credsAuthenticator, Events } from "nats";
import type { Bus } from "../bus.ts";
import { JetStreamApi } from "./jetstream-api.ts";
import { connectFailure, isWorthAnotherDial } from "./nats-errors.ts";
import { NatsMessaging } from "./nats-messaging.ts";
import { NatsState } from "./nats-state.ts";
import type { ServerAddresses } from "./server-address.ts";
import { parseServerAddresses } from "./server-address.ts";
import { SYSTEM_CLOCK } from "./system-clock.ts";

export interface NatsBusOptions {
  /** `nats://[user:password@]host:port`, comma-separated for several. */
  readonly servers: string;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** Path of a credentials file (user JWT and seed). */
  readonly credsFile?: string;
  readonly tls?: {
    readonly caFile?: string;
    readonly certFile?: string;
    readonly keyFile?: string;
  };
  /** Shown in the server's connection list. Default "murakkab". */
  readonly name?: string;
  readonly log?: Logger;
  readonly clock?: Clock;
  readonly random?: Random;
  /** How long connecting is tried, ms. Default 5000; 0 = one attempt. */
  readonly waitForConnectMs?: number;
  /** First part of the subjects for answers. Give each role its own and permit only that. */
  readonly inboxPrefix?: string;
  /** One attempt of a JetStream request, ms. Default 500; see REQUEST_TIMEOUT_MS_DEFAULT. */
  readonly requestTimeoutMs?: number;
  /** All attempts of one operation on the state port together, ms. Default 10 000. */
  readonly stateTimeoutMs?: number;
  /**
   * Copies of each stream: 1, 3 or 5; more than one needs a cluster. A stream that is there with
   * another number is an error, or changed where `mayUpdate` permits it. Default: streams are made
   * with one copy, and are taken with any number.
   */
  readonly replicaCount?: number;
  /** Told of handlers that throw. Default: thrown again outside of the read loop. */
  readonly onDefect?: (error: unknown, subject: string) => void;
}

/** A lost answer costs this much before the repeat; all repeats are idempotent. */
const REQUEST_TIMEOUT_MS_DEFAULT = 500;
/** Longer than the 4 to 7 s that a cluster needs to elect a stream's new leader. */
const STATE_TIMEOUT_MS_DEFAULT = 10_000;
const WAIT_FOR_CONNECT_MS_DEFAULT = 5_000;
/** One dial; a server that does not greet within this is treated as away. */
const DIAL_TIMEOUT_MS = 2_000;
const DIAL_BACKOFF = { baseMs: 50, maxMs: 500 };
/** Pause between two dials to the same server after a disconnect, with jitter below. */
const RECONNECT_DELAY_MS = 250;
/** What is pending gets this long to leave on close, ms. */
const CLOSE_FLUSH_MS_MAX = 1_000;
/** Three missed pings: a dead peer is noticed after half a minute instead of four minutes. */
const PING_INTERVAL_MS = 10_000;

/**
 * Errors: `UNAVAILABLE` naming the address when nobody greets in time, `UNAUTHORIZED` when the
 * server refuses the credentials.
 */
export async function connectNats(options: NatsBusOptions): Promise<Bus> {
  const addresses = parseServerAddresses(options.servers);
  checkReplicaCount(options.replicaCount);
  const clock = options.clock ?? SYSTEM_CLOCK;
  const random = options.random ?? seededRandom(randomUUID());
  const log = options.log ?? SILENT_LOGGER;
  const inboxPrefix = options.inboxPrefix ?? "_INBOX";
  const settings = await connectionOptions(options, addresses, random);
  const connection = await dial(settings, {
    addresses,
    clock,
    random,
    waitMs: options.waitForConnectMs ?? WAIT_FOR_CONNECT_MS_DEFAULT,
  });
  const messaging = new NatsMessaging(
    { connection, clock, random, log },
    {
      address: addresses.display,
      inboxPrefix,
      onDefect: options.onDefect ?? throwLater,
    },
  );
  // Its iteration does not end when the connection closes (client 2.29), so nobody waits for it.
  void watchStatus(connection, messaging, log);
  const closed = connection.closed().then((error) => {
    if (error instanceof Error) log.error({ event: "bus.closed", err: error }, "bus closed");
    messaging.setStatus("closed");
  });
  const api = new JetStreamApi(
    { messaging, clock, random },
    {
      attemptTimeoutMs: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS_DEFAULT,
      totalTimeoutMs: options.stateTimeoutMs ?? STATE_TIMEOUT_MS_DEFAULT,
      inboxPrefix,
    },
  );
  const state = new NatsState({ api, connection, log }, { replicaCount: options.replicaCount });
  return {
    messaging,
    state,
    description: `nats-server ${connection.info?.version ?? "?"} at ${addresses.display}`,
    close: async () => {
      if (messaging.isConnected) {
        await flushWithin(CLOSE_FLUSH_MS_MAX, messaging, clock);
      }
      messaging.setStatus("closed");
      await connection.close();
      await closed;
    },
  };
}

/** What JetStream takes, and of it what can lose a copy and go on: an even number gains nothing. */
function checkReplicaCount(replicaCount: number | undefined): void {
  if (replicaCount === undefined || [1, 3, 5].includes(replicaCount)) return;
  throw new InvalidArgumentError(`replica count ${replicaCount} is not valid, expected 1, 3 or 5`, {
    field: "replicaCount",
  });
}

async function connectionOptions(
  options: NatsBusOptions,
  addresses: ServerAddresses,
  random: Random,
): Promise<ConnectionOptions> {
  const user = options.user ?? addresses.user;
  const password = options.password ?? addresses.password;
  const token = options.token ?? addresses.token;
  const tls: TlsOptions | undefined = options.tls ?? (addresses.isTls ? {} : undefined);
  const reconnects = random.stream("reconnect");
  return {
    servers: [...addresses.hostPorts],
    name: options.name ?? "murakkab",
    timeout: DIAL_TIMEOUT_MS,
    maxReconnectAttempts: -1, // the default gives up for good after 10
    reconnectDelayHandler: () => RECONNECT_DELAY_MS * (0.5 + reconnects.next() / 2),
    pingInterval: PING_INTERVAL_MS,
    noAsyncTraces: true, // a stack trace per request otherwise
    ...(options.inboxPrefix === undefined ? {} : { inboxPrefix: options.inboxPrefix }),
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { pass: password }),
    ...(token === undefined ? {} : { token }),
    ...(tls === undefined ? {} : { tls }),
    ...(options.credsFile === undefined
      ? {}
      : { authenticator: credsAuthenticator(await readFile(options.credsFile)) }),
  };
}

interface DialContext {
  readonly addresses: ServerAddresses;
  readonly clock: Clock;
  readonly random: Random;
  readonly waitMs: number;
}

async function dial(settings: ConnectionOptions, context: DialContext): Promise<NatsConnection> {
  const { addresses, clock, random, waitMs } = context;
  const deadlineMs = clock.monotonicMs() + waitMs;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await connect(settings);
    } catch (cause) {
      const pauseMs = backoffMs(attempt, DIAL_BACKOFF, random);
      const isOver = clock.monotonicMs() + pauseMs > deadlineMs;
      if (isOver || !isWorthAnotherDial(cause)) {
        throw connectFailure(cause, addresses.display, waitMs);
      }
      await delay(clock, pauseMs);
    }
  }
}

/** What could not leave until then is lost, as with any disconnect. */
function flushWithin(limitMs: number, messaging: NatsMessaging, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const cancel = clock.after(limitMs, resolve);
    const finish = (): void => {
      cancel();
      resolve();
    };
    messaging.flush().then(finish, finish);
  });
}

async function watchStatus(
  connection: NatsConnection,
  messaging: NatsMessaging,
  log: Logger,
): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === Events.Disconnect) {
      log.warn({ event: "bus.disconnected" }, "disconnected from the bus");
      messaging.setStatus("disconnected");
    } else if (status.type === Events.Reconnect) {
      log.info({ event: "bus.reconnected" }, "reconnected to the bus");
      messaging.setStatus("connected");
    } else if (status.type === Events.Error) {
      const denied = status.permissionContext;
      if (denied !== undefined) messaging.onPermissionDenied(denied.operation, denied.subject);
      else
        log.warn({ event: "bus.server-error", code: JSON.stringify(status.data) }, "server error");
    }
  }
}

function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
