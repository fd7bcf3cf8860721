/**
 * Keyed actors: the way of an ask, the memory of an idle one, and whether a woken one knows itself.
 *
 * Method: one nats-server, one hosting process, the directory and the sender in this process. The
 * states of 100,000 addresses are stored; 10,000 of them are activated through the directory.
 * Then asks over all active ones, 64 in flight, take turns with requests of the client library to
 * a plain subscription in the same hosting process: the same payload, the same answer, the same
 * codec. Memory is what the hosting process holds after forced collections, per activation, once
 * the answers that are kept for repeats have aged out. At last 1,000 passive ones are woken, half
 * of which were active, changed without a save and were passivated, and their states compared.
 */
import { fork } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ACTOR_STATE_BUCKET, ActorDirectory, ActorSystem, encodeActorState } from "@murakkab/actor";
import { call } from "@murakkab/bus";
import { connectRawCaller } from "@murakkab/bus/bench";
import { connectNats, SYSTEM_CLOCK } from "@murakkab/bus/nats";
import { startNatsServer } from "@murakkab/bus/nats-server";
import { SILENT_LOGGER, seededRandom } from "@murakkab/kit";
import { subjects } from "@murakkab/protocol";
import type { Bench, BenchContext, Report } from "./report.ts";
import { bounded, describeMachine, median, quantile, round } from "./report.ts";

const ADDRESS_COUNT = 100_000;
const ACTIVE_COUNT = 10_000;
const WOKEN_COUNT = 1_000;
const IN_FLIGHT = 64;
/** Stores and activations at a time: as many as keep the server busy. */
const PIPELINE = 128;
const ROUND_COUNT = 10;
const SLICE_MS = 1_500;
const WARM_UP_MS = 2_000;
const DEADLINE_MS = 10_000;
/** Answers are kept for 10 s; the sweep comes at most a slot later. */
const AGED_OUT_MS = 21_500;
const TYPE = "account";
const HOST = "bench-host";
const RAW_SUBJECT = "mk.v1.bench.raw";
const TEXT = "x".repeat(200);

export const actorsBench: Bench = {
  method:
    "asks over 10,000 active actors of 100,000 addresses in one process, 64 in flight, in turn with plain requests of the client library",
  run: async (context) => {
    const cleanUps: (() => Promise<unknown>)[] = [];
    try {
      return await runBench(context, (cleanUp) => void cleanUps.unshift(cleanUp));
    } finally {
      for (const cleanUp of cleanUps) await cleanUp();
    }
  },
};

type OnEnd = (cleanUp: () => Promise<unknown>) => void;

async function runBench({ say, signal }: BenchContext, onEnd: OnEnd): Promise<Report> {
  const directoryPath = await mkdtemp(join(tmpdir(), "murakkab-bench-actors-"));
  onEnd(() => rm(directoryPath, { recursive: true, force: true }));
  const server = await startNatsServer({ directory: directoryPath });
  onEnd(() => server.stop());
  const { system, state, messaging } = await startSender(server.url, onEnd);
  const raw = await connectRawCaller(server.url, { hasAsyncTraces: false });
  onEnd(() => raw.close());
  const host = await startHost(server.url, onEnd);
  const check = (): void => signal.throwIfAborted();

  say(`storing ${ADDRESS_COUNT} states`);
  const store = await state.openKeyValue(ACTOR_STATE_BUCKET);
  await pipelined(ADDRESS_COUNT, async (n) => {
    const stored = { version: 1, generation: 0, state: stateOf(n) };
    await store.put(`${TYPE}.${keyOf(n)}`, encodeActorState(stored));
  });
  check();

  // The first few compile the code and fill the pools of both processes.
  await pipelined(200, (n) => activate(ADDRESS_COUNT - 1 - n));
  await new Promise((resolve) => setTimeout(resolve, 500));
  const before = await host.measure();
  say(`activating ${ACTIVE_COUNT} actors`);
  const activatedMs = await timed(() => pipelined(ACTIVE_COUNT, activate));
  say(`activated in ${round(activatedMs / 1000, 1)} s; waiting until they are idle`);
  await new Promise((resolve) => setTimeout(resolve, AGED_OUT_MS));
  const after = await host.measure();
  const activationCount = after.activationCount - before.activationCount;
  const bytesPerIdle = (after.bytes - before.bytes) / activationCount;
  say(`${activationCount} idle activations, ${Math.round(bytesPerIdle)} bytes each`);
  check();

  const draw = seededRandom("actors-bench");
  const touches = new Map<number, number>();
  const payload = { op: "touch", text: TEXT };
  const askOnce = async (): Promise<void> => {
    const n = draw.index(ACTIVE_COUNT);
    await system.actor(TYPE, keyOf(n)).ask(payload, { deadlineMs: DEADLINE_MS });
    touches.set(n, (touches.get(n) ?? 0) + 1);
  };
  const rawOnce = async (): Promise<void> => {
    await raw.call(RAW_SUBJECT, payload, DEADLINE_MS);
  };
  await measure(askOnce, WARM_UP_MS, []);
  await measure(rawOnce, WARM_UP_MS, []);
  const rounds: { asks: number; raws: number; askMs: number[]; rawMs: number[] }[] = [];
  for (let index = 0; index < ROUND_COUNT; index += 1) {
    check();
    const isAskFirst = index % 2 === 0;
    const [askMs, rawMs]: [number[], number[]] = [[], []];
    const early = isAskFirst ? 0 : await measure(rawOnce, SLICE_MS, rawMs);
    const asks = await measure(askOnce, SLICE_MS, askMs);
    const raws = isAskFirst ? await measure(rawOnce, SLICE_MS, rawMs) : early;
    rounds.push({ asks, raws, askMs, rawMs });
    say(
      `round ${index + 1} of ${ROUND_COUNT}: ${Math.round(asks)} asks/s (p99 ${p99(askMs)} ms), ${Math.round(raws)} plain requests/s (p99 ${p99(rawMs)} ms)`,
    );
  }

  say(`waking ${WOKEN_COUNT} passive actors`);
  const wokenWrong = await wake();
  const rate = (pick: (it: (typeof rounds)[number]) => number): number => median(rounds.map(pick));
  const askMs = rounds.flatMap((it) => it.askMs);
  return {
    name: "actors",
    machine: describeMachine(server.version),
    settings: {
      addresses: ADDRESS_COUNT,
      active: ACTIVE_COUNT,
      inFlight: IN_FLIGHT,
      rounds: ROUND_COUNT,
      sliceMs: SLICE_MS,
      payloadBytes: TEXT.length,
    },
    figures: [
      { key: "askMsP50", value: round(quantile(askMs, 0.5), 2), unit: "ms" },
      bounded(
        {
          key: "askMsP99",
          value: round(
            rate((it) => p99(it.askMs)),
            2,
          ),
          unit: "ms",
          note: "median of the rounds' 99th percentiles",
        },
        { atMost: 10 },
      ),
      { key: "askMsP99All", value: p99(askMs), unit: "ms", note: "over all rounds together" },
      {
        key: "rawMsP99",
        value: round(
          rate((it) => p99(it.rawMs)),
          2,
        ),
        unit: "ms",
        note: "of the plain requests, as askMsP99: what the machine itself makes of it",
      },
      { key: "asksPerSec", value: Math.round(rate((it) => it.asks)), unit: "1/s" },
      { key: "rawPerSec", value: Math.round(rate((it) => it.raws)), unit: "1/s" },
      bounded(
        {
          key: "rawAskRatio",
          value: round(
            rate((it) => it.asks / it.raws),
            2,
          ),
          unit: "ratio",
          note: "asks / requests of the client library with noAsyncTraces, median of the rounds",
        },
        { atLeast: 0.5 },
      ),
      bounded(
        { key: "bytesPerIdleActivation", value: Math.round(bytesPerIdle), unit: "bytes" },
        { atMost: 4_096 },
      ),
      bounded({ key: "wokenWrong", value: wokenWrong, unit: "count" }, { atMost: 0 }),
      {
        key: "activationsPerSec",
        value: Math.round((ACTIVE_COUNT * 1000) / activatedMs),
        unit: "1/s",
        note: "through the directory, with placement and fence written",
      },
    ],
  };

  async function activate(n: number): Promise<void> {
    await system.actor(TYPE, keyOf(n)).ask("read", { deadlineMs: DEADLINE_MS });
  }

  async function wake(): Promise<number> {
    const half = WOKEN_COUNT / 2;
    await pipelined(half, async (n) => {
      const command = { kind: "passivate", type: TYPE, key: keyOf(n) };
      await call(
        messaging,
        { subject: subjects.actorHost(HOST), value: command },
        { timeoutMs: 5_000 },
      );
    });
    const { activationCount: leftCount } = await host.measure();
    say(`${after.activationCount - leftCount} were passivated`);
    let wrongCount = after.activationCount - leftCount === half ? 0 : half;
    await pipelined(WOKEN_COUNT, async (at) => {
      // The first half changed while they were active; the others were never active.
      const n = at < half ? at : ACTIVE_COUNT + at;
      const expected = { ...stateOf(n), balance: n + (touches.get(n) ?? 0) };
      const found = await system.actor(TYPE, keyOf(n)).ask("read", { deadlineMs: DEADLINE_MS });
      if (JSON.stringify(found) !== JSON.stringify(expected)) wrongCount += 1;
    });
    return wrongCount;
  }
}

async function startSender(url: string, onEnd: OnEnd) {
  const bus = await connectNats({ servers: url, name: "bench-actor-sender" });
  onEnd(() => bus.close());
  const directoryBus = await connectNats({ servers: url, name: "bench-actor-directory" });
  onEnd(() => directoryBus.close());
  const common = { clock: SYSTEM_CLOCK, random: seededRandom("actors"), log: SILENT_LOGGER };
  const { messaging, state } = bus;
  const directory = new ActorDirectory({
    ...common,
    messaging: directoryBus.messaging,
    state: directoryBus.state,
  });
  await directory.start();
  onEnd(() => directory.stop());
  const system = new ActorSystem({ ...common, messaging });
  onEnd(() => system.stop());
  return { system, messaging, state };
}

interface Measured {
  readonly bytes: number;
  readonly activationCount: number;
}

async function startHost(url: string, onEnd: OnEnd): Promise<{ measure(): Promise<Measured> }> {
  // The file next to this one, as source or built.
  const file = fileURLToPath(import.meta.url).replace(/actors(\.\w+)$/, "actor-host-process$1");
  const child = fork(file, [url, HOST, TYPE, RAW_SUBJECT], { execArgv: ["--expose-gc"] });
  const exited = new Promise<void>((resolve) => {
    child.on("exit", () => resolve());
  });
  onEnd(async () => {
    child.kill();
    await exited;
  });
  const nextMessage = (): Promise<unknown> =>
    new Promise((resolve, reject) => {
      child.once("message", resolve);
      child.once("exit", (code) => reject(new Error(`the hosting process exited with ${code}`)));
    });
  await nextMessage();
  return {
    measure: async () => {
      const reply = nextMessage();
      child.send("measure");
      return (await reply) as Measured;
    },
  };
}

/** Runs `work` for 0 to count - 1, PIPELINE of them at a time. */
async function pipelined(count: number, work: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const runInTurn = async (): Promise<void> => {
    for (let n = next++; n < count; n = next++) await work(n);
  };
  await Promise.all(Array.from({ length: PIPELINE }, runInTurn));
}

/** Answers per second with IN_FLIGHT calls in flight; adds each one's time to `latencies`. */
async function measure(
  callOnce: () => Promise<void>,
  forMs: number,
  latencies: number[],
): Promise<number> {
  const startMs = performance.now();
  const endMs = startMs + forMs;
  let count = 0;
  const callInTurn = async (): Promise<void> => {
    for (let atMs = performance.now(); atMs < endMs; ) {
      await callOnce();
      const nowMs = performance.now();
      latencies.push(nowMs - atMs);
      atMs = nowMs;
      count += 1;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, callInTurn));
  return (count * 1000) / (performance.now() - startMs);
}

function p99(latenciesMs: readonly number[]): number {
  return round(quantile(latenciesMs, 0.99), 2);
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

function keyOf(n: number): string {
  return `a${n}`;
}

function stateOf(n: number): { owner: string; balance: number } {
  return { owner: `owner number ${n}`, balance: n };
}
