/** A model worker whose agent, scratch, usage and engine are fakes in memory. */

import type { MessageContext } from "@murakkab/actor";
import { AbortSource, SILENT_LOGGER } from "@murakkab/kit";
import type { ExecutorEntry } from "@murakkab/model";
import type { AttemptReply, AttemptRequest, AttemptResult } from "@murakkab/protocol";
import { expect } from "vitest";
import type { Engine, EngineCall, Values } from "../src/engine.ts";
import { ModelWorker } from "../src/model-worker.ts";
import type { AgentPort, ScratchPort, SpoolPort } from "../src/ports.ts";
import { artifactRef, executorEntry } from "./entries.ts";
import { VirtualClock } from "./virtual-clock.ts";

export class FakeAgent implements AgentPort {
  readonly log: string[] = [];
  refuseCores: Error | null = null;
  refuseIngest: Error | null = null;

  async acquireCores({ attempt, cores }: Parameters<AgentPort["acquireCores"]>[0]): Promise<void> {
    this.log.push(`acquire ${attempt} ${cores}`);
    if (this.refuseCores !== null) throw this.refuseCores;
  }

  async releaseCores(attempt: string): Promise<void> {
    this.log.push(`release ${attempt}`);
  }

  async openArtifact({ artifact }: Parameters<AgentPort["openArtifact"]>[0]): Promise<string> {
    const name = artifact.artifact.slice(-2);
    const from = artifact.holders.map(({ node }) => ` from ${node}`).join("");
    this.log.push(`open ${name}${from}`);
    return `/store/${name}`;
  }

  async ingest({ path, mediaType }: Parameters<AgentPort["ingest"]>[0]) {
    if (this.refuseIngest !== null) throw this.refuseIngest;
    this.log.push(`ingest ${path.slice(path.lastIndexOf("/") + 1)} ${mediaType}`);
    return artifactRef("f0", mediaType);
  }
}

export class FakeScratch implements ScratchPort {
  readonly dirs = new Set<string>();
  madeCount = 0;
  private readonly files: Readonly<Record<string, string>>;

  constructor(files: Readonly<Record<string, string>>) {
    this.files = files;
  }

  make(): string {
    this.madeCount += 1;
    this.dirs.add("/scratch/1");
    return "/scratch/1";
  }

  async remove(dir: string): Promise<void> {
    this.dirs.delete(dir);
  }

  async readText(path: string): Promise<string> {
    return this.files[path] ?? "";
  }

  async writeText(dir: string): Promise<string> {
    return `${dir}/spilled.json`;
  }

  async resolveBelow(dir: string, path: string): Promise<string | null> {
    return path.startsWith(`${dir}/`) ? path : null;
  }
}

export class FakeSpool implements SpoolPort {
  readonly results = new Map<string, AttemptResult>();
  isFull = false;

  async put(result: AttemptResult): Promise<void> {
    this.results.set(result.key, result);
  }

  async remove(key: string): Promise<void> {
    this.results.delete(key);
  }
}

export interface FixtureOptions {
  readonly entry?: Partial<ExecutorEntry>;
  readonly files?: Readonly<Record<string, string>>;
  /** Default: waits until it is aborted. */
  readonly run?: (call: EngineCall) => Promise<Values>;
}

export function workerFixture(options: FixtureOptions = {}) {
  const clock = new VirtualClock();
  const agent = new FakeAgent();
  const scratch = new FakeScratch(options.files ?? {});
  const spool = new FakeSpool();
  const bus = { isThere: true };
  const sender = new AbortSource();
  const engineLog: string[] = [];
  let onStarted: () => void = () => undefined;
  const waitUntilAborted = { started: new Promise<void>((resolve) => (onStarted = resolve)) };
  const hang = ({ signal }: EngineCall): Promise<never> =>
    new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      onStarted();
    });
  const engine: Engine = {
    capabilities: { concurrencyMax: 1 },
    start: async () => void engineLog.push("start"),
    stop: async () => void engineLog.push("stop"),
    run: options.run ?? hang,
  };
  const worker = new ModelWorker(
    {
      agent,
      scratch,
      engine,
      clock,
      log: SILENT_LOGGER,
      usage: { begin: () => () => ({ cpuSec: 0.5, memoryBytesMax: 1_000 }) },
      spool,
      isBusThere: () => bus.isThere,
    },
    { entry: executorEntry(options.entry), threads: 2, node: "n-1" },
  );
  const context = (): MessageContext => ({
    self: { type: "worker", key: "i-1" },
    signal: sender.signal,
    remainingMs: () => 60_000,
  });
  const ask = (changes: Partial<AttemptRequest> = {}) =>
    worker.handle(attemptRequest(changes), context());
  return {
    ask,
    worker,
    context,
    agent,
    scratch,
    spool,
    bus,
    clock,
    sender,
    engineLog,
    waitUntilAborted,
  };
}

export function attemptRequest(changes: Partial<AttemptRequest> = {}): AttemptRequest {
  return {
    jobId: "j",
    step: "s",
    item: 0,
    attempt: 1,
    key: "key-1",
    inputs: { question: { kind: "inline", value: "q" } },
    knobs: {},
    artifacts: [],
    remainingMs: 60_000,
    ...changes,
  };
}

export function failureIn(reply: AttemptReply) {
  if ("failure" in reply) return reply.failure;
  return expect.fail(`expected a failure, got ${JSON.stringify(reply)}`);
}

export function outputsIn(reply: AttemptReply) {
  if ("outputs" in reply) return reply.outputs;
  return expect.fail(`expected outputs, got ${JSON.stringify(reply)}`);
}
