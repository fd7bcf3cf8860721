/**
 * Goal: a worker as it runs in production, over a bus: actor system, agent client, real programs.
 * Method: the in-memory bus, an agent that answers on its subjects, the system clock.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { ActorSystem } from "@murakkab/actor";
import { MemoryBroker, serve } from "@murakkab/bus";
import { SYSTEM_CLOCK } from "@murakkab/bus/nats";
import { CancelledError, SILENT_LOGGER, seededRandom } from "@murakkab/kit";
import type { ExecutorFunction } from "@murakkab/library";
import { isArtifactRef } from "@murakkab/model";
import type { AttemptReply, AttemptRequest } from "@murakkab/protocol";
import {
  artifactIngestSchema,
  artifactOpenSchema,
  coresAcquireSchema,
  coresReleaseSchema,
  subjects,
} from "@murakkab/protocol";
import { expect, onTestFinished, test } from "vitest";
import { FunctionCallEngine } from "../src/adapters/function-engine.ts";
import { ScratchDisk } from "../src/adapters/scratch-disk.ts";
import { UsageMeter } from "../src/adapters/usage-meter.ts";
import { AgentClient } from "../src/agent-client.ts";
import { ModelWorker } from "../src/model-worker.ts";
import { NO_SPOOL } from "../src/ports.ts";
import { groupMembers, programFixture, until } from "./adapters/program-fixture.ts";
import { artifactRef, executorEntry } from "./entries.ts";
import { attemptRequest, failureIn, outputsIn } from "./worker-fixture.ts";

function fixture(fn: ExecutorFunction) {
  const { runner, ledger, dir } = programFixture();
  const random = seededRandom(1);
  const broker = new MemoryBroker({ clock: SYSTEM_CLOCK });
  const { messaging } = broker.connect("worker");
  const clock = SYSTEM_CLOCK;
  const entry = executorEntry({
    programs: ["printf", "sleep", "cp"],
    engine: { kind: "function", function: "f" },
  });
  const system = new ActorSystem({ messaging, clock, random, log: SILENT_LOGGER });
  const components = {
    agent: new AgentClient({ messaging, clock }, { node: "n-1", instance: "i-1" }),
    scratch: new ScratchDisk(dir),
    usage: new UsageMeter(runner),
    engine: new FunctionCallEngine({ programs: runner, functions: { f: fn } }, entry, "f"),
    clock,
    log: SILENT_LOGGER,
    spool: NO_SPOOL,
    isBusThere: () => true,
  };
  const address = { type: "worker", key: "i-1" };
  const handle = system.spawn(
    address,
    () => new ModelWorker(components, { entry, threads: 1, node: "n-1" }),
  );
  onTestFinished(() => handle.stop({ graceMs: 0 }));

  const caller = new ActorSystem({
    messaging: broker.connect("scheduler").messaging,
    clock,
    random: random.stream("caller"),
    log: SILENT_LOGGER,
  });
  const ask = (
    changes: Partial<AttemptRequest> = {},
    signal?: AbortSignal,
  ): Promise<AttemptReply> =>
    caller.ask(address, attemptRequest(changes), {
      deadlineMs: 20_000,
      ...(signal === undefined ? {} : { signal }),
    }) as Promise<AttemptReply>;
  return { ask, ledger, dir, handle, messaging: broker.connect("agent").messaging };
}

/** The agent's end: cores in a set, a store in a folder. */
function serveAgent({ messaging, dir }: Pick<ReturnType<typeof fixture>, "messaging" | "dir">) {
  const held = new Set<string>();
  const store = join(dir, "store");
  mkdirSync(store);
  const lost = { releaseCount: 0 };
  const onDefect = (error: unknown): never => expect.fail(String(error));
  const on = <T>(
    subject: string,
    schema: Parameters<typeof serve<T>>[1]["schema"],
    handle: (value: T) => unknown,
  ) => serve<T>(messaging, { subject, schema, what: "request", onDefect }, handle);
  on(subjects.coresAcquire("n-1"), coresAcquireSchema, ({ attempt }) => {
    held.add(attempt);
    return { ok: true };
  });
  on(subjects.coresRelease("n-1"), coresReleaseSchema, ({ attempt }) => {
    if (lost.releaseCount > 0) {
      lost.releaseCount -= 1;
      return new Promise(() => undefined);
    }
    held.delete(attempt);
    return { ok: true };
  });
  on(subjects.artifactOpen("n-1"), artifactOpenSchema, () => ({ path: "/dev/null" }));
  on(subjects.artifactIngest("n-1"), artifactIngestSchema, ({ path, mediaType }) => {
    renameSync(path, join(store, "1"));
    return { artifact: artifactRef("01", mediaType) };
  });
  return { held, store, lost };
}

test("an attempt's file goes into the store, and nothing is left", async () => {
  const worker = fixture(async (call) => {
    await call.run("cp", ["/proc/self/status", "out.txt"]);
    return { answer: { outputFile: join(call.scratchDir, "out.txt"), mediaType: "text/plain" } };
  });
  const { held, store } = serveAgent(worker);
  const reply = await worker.ask();
  const { answer } = outputsIn(reply);
  expect(answer?.kind === "inline" && isArtifactRef(answer.value)).toBe(true);
  expect(readFileSync(join(store, "1"), "utf8")).toContain("Name:\tcp");
  expect(reply.measure.memoryBytesMax).toBeGreaterThan(0);
  await until(() => held.size === 0);
  expect(readdirSync(join(worker.dir, "attempts"))).toEqual([]);
});

test("a cancelled ask ends the program and answers with what it cost", async () => {
  const worker = fixture(async (call) => ({ answer: await call.run("sleep", ["1000"]) }));
  const { held } = serveAgent(worker);
  const controller = new AbortController();
  const reply = worker.ask({}, controller.signal);
  await until(() => worker.ledger.active.length === 1);
  const [pgid = 0] = worker.ledger.active;
  expect(worker.handle.inFlightCount).toBe(1);
  controller.abort(new CancelledError("job was cancelled"));
  expect(failureIn(await reply)).toMatchObject({ code: "CANCELLED", retryable: false });
  expect((await reply).measure.runMs).toBeGreaterThan(0);
  expect(groupMembers(pgid)).toEqual([]);
  await until(() => held.size === 0);
});

test("stopping the actor ends the program, and its cleaning is waited for", async () => {
  const worker = fixture(async (call) => ({ answer: await call.run("sleep", ["1000"]) }));
  const { held } = serveAgent(worker);
  const reply = worker.ask().catch((error: unknown) => error);
  await until(() => worker.ledger.active.length === 1);
  const [pgid = 0] = worker.ledger.active;
  await worker.handle.stop({ graceMs: 0 });
  expect(groupMembers(pgid)).toEqual([]);
  await until(() => held.size === 0);
  expect(existsSync(join(worker.dir, "attempts"))).toBe(true);
  expect(readdirSync(join(worker.dir, "attempts"))).toEqual([]);
  expect(await reply).toMatchObject({ code: "UNAVAILABLE", kind: "retryable" });
});

test("an agent that is away is waited for within the attempt's time", async () => {
  const worker = fixture(async () => ({ answer: 1 }));
  const failure = failureIn(await worker.ask({ remainingMs: 500 }));
  expect(failure).toMatchObject({ code: "UNAVAILABLE", retryable: true });
  expect(failure.message).toContain('agent of node "n-1" is not there');
  const reply = worker.ask({ key: "key-2" });
  await until(() => worker.handle.inFlightCount === 1);
  const { held } = serveAgent(worker);
  expect(outputsIn(await reply)).toEqual({ answer: { kind: "inline", value: 1 } });
  await until(() => held.size === 0);
});

test("a lost release is repeated, so that no core leaks", async () => {
  const worker = fixture(async () => ({ answer: 1 }));
  const { held, lost } = serveAgent(worker);
  lost.releaseCount = 1;
  expect(outputsIn(await worker.ask())).toEqual({ answer: { kind: "inline", value: 1 } });
  await until(() => held.size === 0);
});
