/** One agent over a fake bus, fake processes and virtual time. */
import { call, serve } from "@murakkab/bus";
import type { RuntimeError } from "@murakkab/kit";
import { SILENT_LOGGER, seededRandom } from "@murakkab/kit";
import type { ExecutorEntry, NodeRegistration } from "@murakkab/model";
import { nodeRegistrationSchema, subjects } from "@murakkab/protocol";
import { VirtualClock } from "../../../testkit/src/virtual-clock.ts";
import type { AgentComponents } from "../../src/agent.ts";
import { NodeAgent } from "../../src/agent.ts";
import { ArtifactStore } from "../../src/artifacts/artifact-store.ts";
import type { GenerationPort, HostFigures } from "../../src/ports.ts";
import { FakeMessaging } from "./fake-messaging.ts";
import { FakeProcesses } from "./fake-processes.ts";
import { FakeSpoolFiles } from "./fake-spool-files.ts";
import { MemoryBlobs } from "./memory-blobs.ts";

export const NODE = "n1";

const FIGURES: HostFigures = {
  cpu: { cores: 4, busyRatio: 0.5, perCore: [0.5, 0.5, 0.5, 0.5] },
  memory: { totalBytes: 8_000, usedBytes: 4_000 },
  disk: { totalBytes: null, usedBytes: null },
  network: { rxBytesPerSec: null, txBytesPerSec: null },
  gpus: [],
};

export function executorOf(changes: Partial<ExecutorEntry> = {}): ExecutorEntry {
  return {
    id: "tool",
    version: "1",
    kind: "tool",
    capability: "work",
    description: "works",
    keywords: [],
    inputs: {},
    outputs: {},
    knobs: {},
    engine: { kind: "function", function: "tool" },
    programs: [],
    resources: { cores: 1, memoryMib: 100 },
    timeLimitMs: 60_000,
    isPure: true,
    isDeterministic: true,
    provenance: { kind: "prior", note: "test" },
    ...changes,
  };
}

/** A disk that keeps one number and may refuse it. */
export class FakeGenerations implements GenerationPort {
  saved = 0;
  isFull = false;

  load(): Promise<{ generation: number; quarantinedAt: string | null }> {
    return Promise.resolve({ generation: this.saved, quarantinedAt: null });
  }

  save(generation: number): Promise<void> {
    if (this.isFull) return Promise.reject(new Error("ENOSPC"));
    this.saved = generation;
    return Promise.resolve();
  }
}

export function fleetOfOne(changes: Partial<AgentComponents> = {}) {
  const clock = new VirtualClock();
  const messaging = new FakeMessaging(clock);
  const processes = new FakeProcesses();
  const blobs = new MemoryBlobs();
  const store = new ArtifactStore({ clock, blobs }, { limitBytes: 1_000 });
  const refusals: unknown[] = [];
  const generations = new FakeGenerations();
  const files = new FakeSpoolFiles();
  const never = (): never => {
    throw new Error("not needed here");
  };
  const agent = new NodeAgent(
    {
      clock,
      random: seededRandom(1),
      messaging,
      log: SILENT_LOGGER,
      host: {
        identity: () => ({
          machineId: "m",
          bootId: "b",
          hostname: "host",
          cores: 4,
          memoryBytes: 8_000,
        }),
        programs: () => Promise.resolve({ ffmpeg: "ffmpeg version 6" }),
        hasProgram: (name) => Promise.resolve(name === "ffmpeg"),
      },
      processes,
      sampler: { sample: () => Promise.resolve(FIGURES) },
      store,
      source: { open: never },
      fetcher: { fetch: never },
      probe: { probe: never },
      paths: { resolveBelow: never },
      generations,
      spool: files,
      ...changes,
    },
    {
      node: NODE,
      offer: { cpus: 4, memoryMib: 250 },
      labels: { zone: "a" },
      artifactUrl: "http://127.0.0.1:1",
      version: "0.1.0",
      onRefused: (error) => refusals.push(error),
    },
  );
  const registrations: NodeRegistration[] = [];
  let refusal: RuntimeError | null = null;
  const leader = { generation: 0 };
  const listen = () =>
    serve(
      messaging,
      {
        subject: subjects.nodeRegister,
        schema: nodeRegistrationSchema,
        what: "registration",
        onDefect: never,
      },
      (registration) => {
        if (refusal !== null) throw refusal;
        registrations.push(registration);
        return { accepted: true, generation: leader.generation };
      },
    );
  return {
    agent,
    clock,
    messaging,
    processes,
    blobs,
    store,
    refusals,
    files,
    generations,
    leader,
    registrations,
    listen,
    refuse: (error: RuntimeError) => {
      refusal = error;
    },
    ask: (subject: string, value: unknown, timeoutMs = 60_000) =>
      call<unknown>(messaging, { subject, value }, { timeoutMs }),
    /** Runs virtual time until the promise settles. */
    settled: async <T>(promise: Promise<T>): Promise<T> => {
      let isOver = false;
      const over = (): void => {
        isOver = true;
      };
      promise.then(over, over);
      await clock.runUntil(() => isOver);
      return promise;
    },
    pass: async (ms: number): Promise<void> => {
      let isOver = false;
      clock.after(ms, () => {
        isOver = true;
      });
      await clock.runUntil(() => isOver);
    },
  };
}
