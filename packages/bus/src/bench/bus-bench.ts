/**
 * Requests per second of the public port against the client library's own request path.
 *
 * Method: one nats-server, one responder process, three callers in this process, each with its own
 * connection and 64 requests in flight. All send the same bytes (256 bytes of msgpack and one
 * header) and decode the answer. They take turns, so that what else the machine does meets all of
 * them; ratios are formed per round and the medians are reported. "Ours" is `call` of rpc.ts, with
 * codec, time-out and no-responder detection.
 */
import { fork } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encode } from "@murakkab/protocol";
import { connectNats } from "../nats/nats-bus.ts";
import type { NatsServerProcess } from "../nats/nats-server-process.ts";
import { startNatsServer } from "../nats/nats-server-process.ts";
import { connectRawCaller } from "../nats/raw-caller.ts";
import { call } from "../rpc.ts";

export { connectRawCaller, type RawCaller } from "../nats/raw-caller.ts";

export interface BusBenchOptions {
  /** Program to use instead of the one that is found. */
  readonly natsServerBinary?: string;
  readonly projectDirectory?: string;
  /** Rounds; each lets all three run once. Default 15. */
  readonly roundCount?: number;
  /** How long each runs per round, ms. Default 1000. */
  readonly sliceMs?: number;
  readonly onProgress?: (line: string) => void;
}

export interface BenchFigure {
  readonly key: string;
  readonly value: number;
  readonly unit: string;
  readonly target?: string;
  readonly met?: boolean;
  readonly note?: string;
}

export interface BenchReport {
  readonly name: string;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly node: string;
    readonly natsServer: string;
  };
  readonly settings: Readonly<Record<string, string | number>>;
  readonly figures: readonly BenchFigure[];
}

const IN_FLIGHT_COUNT = 64;
const PAYLOAD_BYTES = 256;
const TIMEOUT_MS = 5_000;
const SUBJECT = "mk.v1.bench.echo";
const ROUND_COUNT_DEFAULT = 15;
const SLICE_MS_DEFAULT = 1_000;
/** Before the first round, so that compilation and connection buffers do not count, ms. */
const WARM_UP_MS = 1_500;

type CallOnce = () => Promise<unknown>;

interface Callers {
  readonly ours: CallOnce;
  readonly clientDefault: CallOnce;
  readonly clientTuned: CallOnce;
}

type CallerName = keyof Callers;
const CALLER_NAMES: readonly CallerName[] = ["ours", "clientDefault", "clientTuned"];
type Round = Readonly<Record<CallerName, number>>;

export async function runBusBench(options: BusBenchOptions = {}): Promise<BenchReport> {
  const roundCount = options.roundCount ?? ROUND_COUNT_DEFAULT;
  const sliceMs = options.sliceMs ?? SLICE_MS_DEFAULT;
  const directory = await mkdtemp(join(tmpdir(), "murakkab-bench-bus-"));
  const cleanUps: (() => Promise<unknown>)[] = [
    () => rm(directory, { recursive: true, force: true }),
  ];
  try {
    const server = await startNatsServer({
      directory,
      ...(options.natsServerBinary === undefined ? {} : { binary: options.natsServerBinary }),
      ...(options.projectDirectory === undefined
        ? {}
        : { projectDirectory: options.projectDirectory }),
    });
    cleanUps.unshift(() => server.stop());
    cleanUps.unshift(await startResponder(server.url));
    const callers = await connectCallers(server.url, cleanUps);
    for (const name of CALLER_NAMES) await measure(callers[name], WARM_UP_MS);
    const rounds: Round[] = [];
    for (let index = 0; index < roundCount; index += 1) {
      rounds.push(await runRound(callers, index, sliceMs));
      options.onProgress?.(`round ${index + 1} of ${roundCount}: ${showRound(rounds.at(-1))}`);
    }
    return report(server, rounds, { roundCount, sliceMs });
  } finally {
    for (const cleanUp of cleanUps) await cleanUp();
  }
}

async function connectCallers(url: string, cleanUps: (() => Promise<unknown>)[]): Promise<Callers> {
  const bus = await connectNats({ servers: url, name: "bench-ours" });
  cleanUps.unshift(() => bus.close());
  const clientDefault = await connectRawCaller(url, { hasAsyncTraces: true });
  cleanUps.unshift(() => clientDefault.close());
  const clientTuned = await connectRawCaller(url, { hasAsyncTraces: false });
  cleanUps.unshift(() => clientTuned.close());
  const value = makeValue();
  const question = { subject: SUBJECT, value };
  return {
    ours: () => call(bus.messaging, question, { timeoutMs: TIMEOUT_MS }),
    clientDefault: () => clientDefault.call(SUBJECT, value, TIMEOUT_MS),
    clientTuned: () => clientTuned.call(SUBJECT, value, TIMEOUT_MS),
  };
}

/** A value of the usual kind, filled up to the payload size. */
function makeValue(): unknown {
  const make = (text: string): unknown => ({ id: "job-0001", step: 3, isLast: false, text });
  const fillCount = PAYLOAD_BYTES - encode(make("x".repeat(100)), "msgpack").length + 100;
  return make("x".repeat(fillCount));
}

async function runRound(callers: Callers, index: number, sliceMs: number): Promise<Round> {
  const perSec: Record<CallerName, number> = { ours: 0, clientDefault: 0, clientTuned: 0 };
  for (let turn = 0; turn < CALLER_NAMES.length; turn += 1) {
    // Another one begins in each round.
    const name = CALLER_NAMES[(turn + index) % CALLER_NAMES.length] as CallerName;
    perSec[name] = await measure(callers[name], sliceMs);
  }
  return perSec;
}

/** Answers per second with IN_FLIGHT_COUNT requests in flight. */
async function measure(callOnce: CallOnce, forMs: number): Promise<number> {
  const startMs = performance.now();
  const endMs = startMs + forMs;
  let count = 0;
  const callInTurn = async (): Promise<void> => {
    while (performance.now() < endMs) {
      await callOnce();
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT_COUNT }, callInTurn));
  return (count * 1000) / (performance.now() - startMs);
}

async function startResponder(url: string): Promise<() => Promise<void>> {
  // The file next to this one, as source or built.
  const file = fileURLToPath(import.meta.url).replace(/bus-bench(\.\w+)$/, "bus-responder$1");
  const child = fork(file, [url, SUBJECT]);
  const exited = new Promise<void>((resolve) => {
    child.on("exit", () => {
      resolve();
    });
  });
  await new Promise<void>((resolve, reject) => {
    child.on("message", () => {
      resolve();
    });
    child.on("exit", (code) => {
      reject(new Error(`the responder exited with ${code}`));
    });
  });
  return async () => {
    child.kill();
    await exited;
  };
}

function report(
  server: NatsServerProcess,
  rounds: readonly Round[],
  settings: { readonly roundCount: number; readonly sliceMs: number },
): BenchReport {
  const rate = (name: CallerName): number => Math.round(median(rounds.map((r) => r[name])));
  const ratio = (name: CallerName): number =>
    Math.round(100 * median(rounds.map((round) => round.ours / round[name]))) / 100;
  const requestRatio = ratio("clientDefault");
  const tunedRequestRatio = ratio("clientTuned");
  const list = cpus();
  return {
    name: "bus",
    machine: {
      cpu: list[0]?.model ?? "unknown",
      cores: list.length,
      node: process.version,
      natsServer: server.version,
    },
    settings: {
      ...settings,
      inFlight: IN_FLIGHT_COUNT,
      payloadBytes: PAYLOAD_BYTES,
      codec: "msgpack",
      responder: "one other process",
    },
    figures: [
      { key: "requestsPerSec", value: rate("ours"), unit: "1/s" },
      { key: "clientRequestsPerSec", value: rate("clientDefault"), unit: "1/s" },
      { key: "tunedClientRequestsPerSec", value: rate("clientTuned"), unit: "1/s" },
      {
        key: "requestRatio",
        value: requestRatio,
        unit: "ratio",
        target: ">= 2",
        met: requestRatio >= 2,
        note: "ours / client library with default settings, median of the rounds' ratios",
      },
      {
        key: "tunedRequestRatio",
        value: tunedRequestRatio,
        unit: "ratio",
        target: ">= 1.2",
        met: tunedRequestRatio >= 1.2,
        note: "ours / client library with noAsyncTraces",
      },
    ],
  };
}

function median(values: readonly number[]): number {
  const ascending = [...values].sort((a, b) => a - b);
  const middle = Math.floor(ascending.length / 2);
  const upper = ascending[middle] ?? 0;
  return ascending.length % 2 === 1 ? upper : ((ascending[middle - 1] ?? 0) + upper) / 2;
}

function showRound(round: Round | undefined): string {
  if (round === undefined) return "";
  return CALLER_NAMES.map((name) => `${name} ${Math.round(round[name])}/s`).join(", ");
}
