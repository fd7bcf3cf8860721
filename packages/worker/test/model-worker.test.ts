/**
 * Goal: one attempt from request to reply, with every way it can end.
 * Method: the behaviour with a fake agent, scratch and engine under a virtual clock.
 */

import { AssertionError, CancelledError, EngineFailedError, RetryableError } from "@murakkab/kit";
import { describe, expect, test } from "vitest";
import { settle } from "../../testkit/src/virtual-clock.ts";
import type { EngineCall } from "../src/engine.ts";
import { artifactRef } from "./entries.ts";
import { attemptRequest, failureIn, outputsIn, workerFixture } from "./worker-fixture.ts";

describe("a good attempt", () => {
  test("answers with outputs and what they cost, and frees what it held", async () => {
    const { ask, agent, scratch, clock } = workerFixture({
      run: async ({ inputs }) => {
        clock.advance(40);
        return { answer: `re: ${String(inputs["question"])}` };
      },
    });
    const reply = await ask({ inputs: { question: { kind: "inline", value: "why?" } } });
    expect(reply).toEqual({
      outputs: { answer: { kind: "inline", value: "re: why?" } },
      measure: {
        runMs: 40,
        cpuSec: 0.5,
        memoryBytesMax: 1_000,
        startedAtMs: 1_000_000,
        endedAtMs: 1_000_040,
      },
    });
    expect(agent.log).toEqual(["acquire i-1.1 1", "release i-1.1"]);
    expect(scratch.dirs.size).toBe(0);
  });

  test("gets knob defaults, threads and its files by path", async () => {
    const calls: EngineCall[] = [];
    const { ask, agent } = workerFixture({
      entry: {
        inputs: { frame: { type: "frame" } },
        knobs: {
          size: { description: "s", values: [1, 2], default: 1 },
          fast: { description: "f", values: [true, false], default: false },
        },
      },
      run: async (call) => {
        calls.push(call);
        return { answer: await call.openArtifact(artifactRef("aa")) };
      },
    });
    const image = artifactRef("aa");
    const holders = [{ node: "n2", url: "http://n2" }];
    const reply = await ask({
      inputs: { frame: { kind: "inline", value: { atSec: 1, image } } },
      knobs: { size: 2 },
      artifacts: [{ ...image, holders }],
    });
    expect(outputsIn(reply)["answer"]).toEqual({ kind: "inline", value: "/store/aa" });
    expect(calls[0]).toMatchObject({ knobs: { size: 2, fast: false }, threads: 2 });
    // Fetched before cores were asked for, and once.
    expect(agent.log).toEqual(["open aa from n2", "acquire i-1.1 1", "release i-1.1"]);
  });

  test("takes spilled, listed and packed inputs", async () => {
    const files = {
      "/store/01": JSON.stringify(["a", "b", "c"]),
      "/store/02": JSON.stringify({
        kind: "list",
        items: [
          { kind: "inline", value: "x" },
          { kind: "spilled", artifact: artifactRef("01"), index: 2 },
        ],
      }),
    };
    const { ask, agent } = workerFixture({
      files,
      entry: {
        inputs: {
          one: { type: "text" },
          all: { type: "list<text>" },
          packed: { type: "list<text>" },
        },
      },
      run: async ({ inputs }) => ({ answer: inputs }),
    });
    const reply = await ask({
      inputs: {
        one: { kind: "spilled", artifact: artifactRef("01"), index: 1 },
        all: { kind: "spilled", artifact: artifactRef("01"), count: 3 },
        packed: { kind: "packed", artifact: artifactRef("02") },
      },
    });
    expect(outputsIn(reply)["answer"]).toEqual({
      kind: "inline",
      value: { one: "b", all: ["a", "b", "c"], packed: ["x", "c"] },
    });
    expect(agent.log.filter((line) => line.startsWith("open"))).toEqual(["open 01", "open 02"]);
  });
});

describe("a failed attempt", () => {
  test.each([
    [
      "program's own error",
      new EngineFailedError("exit 1", { detail: "boom" }),
      { code: "ENGINE_FAILED", retryable: false, detail: "boom" },
    ],
    [
      "crash",
      new RetryableError("ENGINE_CRASHED", "by SIGSEGV"),
      { code: "ENGINE_CRASHED", retryable: true },
    ],
    [
      "unknown error",
      new TypeError("x is not a function"),
      { code: "ENGINE_FAILED", retryable: false },
    ],
    [
      "full disk",
      Object.assign(new Error("write"), { code: "ENOSPC" }),
      { code: "DISK_FULL", retryable: true },
    ],
    [
      "out of processes",
      Object.assign(new Error("spawn"), { code: "EAGAIN" }),
      { code: "OVERLOADED", retryable: true },
    ],
  ])("%s: told with what it cost, and everything is freed", async (_what, error, expected) => {
    const { ask, agent, scratch, clock } = workerFixture({
      run: async () => {
        clock.advance(7);
        throw error;
      },
    });
    const reply = await ask();
    expect(failureIn(reply)).toMatchObject(expected);
    expect(reply.measure).toMatchObject({ runMs: 7, cpuSec: 0.5 });
    expect(agent.log.at(-1)).toBe("release i-1.1");
    expect(scratch.dirs.size).toBe(0);
  });

  test("at the executor's own limit: ENGINE_TIMEOUT, terminal", async () => {
    const { ask, clock, waitUntilAborted } = workerFixture({ entry: { timeLimitMs: 5_000 } });
    const reply = ask({ remainingMs: 60_000 });
    await waitUntilAborted.started;
    clock.advance(5_000);
    expect(failureIn(await reply)).toMatchObject({ code: "ENGINE_TIMEOUT", retryable: false });
    expect((await reply).measure.runMs).toBe(5_000);
  });

  test("at the job's deadline: DEADLINE_EXCEEDED", async () => {
    const { ask, clock, waitUntilAborted } = workerFixture({ entry: { timeLimitMs: 5_000 } });
    const reply = ask({ remainingMs: 3_000 });
    await waitUntilAborted.started;
    clock.advance(3_000);
    expect(failureIn(await reply)).toMatchObject({ code: "DEADLINE_EXCEEDED", retryable: false });
  });

  test("when the sender cancels: its reason", async () => {
    const { ask, sender, waitUntilAborted, agent } = workerFixture();
    const reply = ask();
    await waitUntilAborted.started;
    sender.abort(new CancelledError("job j was cancelled"));
    expect(failureIn(await reply)).toMatchObject({
      code: "CANCELLED",
      message: "job j was cancelled",
    });
    expect(agent.log.at(-1)).toBe("release i-1.1");
  });

  test("when the agent refuses cores: as given, and the request is taken back", async () => {
    const { ask, agent } = workerFixture();
    agent.refuseCores = new RetryableError("CORES_BUSY", "no cores");
    expect(failureIn(await ask())).toMatchObject({ code: "CORES_BUSY", retryable: true });
    expect(agent.log).toEqual(["acquire i-1.1 1", "release i-1.1"]);
  });

  test("when the store is full: as given", async () => {
    const { ask, agent } = workerFixture({
      run: async ({ scratchDir }) => ({
        answer: { outputFile: `${scratchDir}/1.png`, mediaType: "image/png" },
      }),
    });
    agent.refuseIngest = new RetryableError("STORE_FULL", "store full", { retryAfterMs: 500 });
    expect(failureIn(await ask())).toMatchObject({
      code: "STORE_FULL",
      retryable: true,
      retryAfterMs: 500,
    });
  });

  test.each([
    ["unknown knob", { knobs: { pace: 1 } }, "knobs.pace"],
    [
      "unknown input",
      { inputs: { question: { kind: "inline", value: "q" }, x: { kind: "inline", value: 1 } } },
      "inputs.x",
    ],
    ["missing input", { inputs: {} }, "inputs.question"],
  ] as const)("%s: INVALID_ARGUMENT before cores are asked for", async (_what, changes, field) => {
    const { ask, agent } = workerFixture();
    expect(failureIn(await ask(changes))).toMatchObject({ code: "INVALID_ARGUMENT", field });
    expect(agent.log).toEqual([]);
  });

  test("a knob value that is not allowed names the allowed ones", async () => {
    const knobs = { size: { description: "s", values: [1, 2], default: 1 } };
    const { ask } = workerFixture({ entry: { knobs } });
    expect(failureIn(await ask({ knobs: { size: 3 } })).message).toContain(
      "is 3, expected one of 1, 2",
    );
  });

  test("a defect of ours is no failure: it goes to the supervisor", async () => {
    const { ask, agent } = workerFixture({
      run: async () => {
        throw new AssertionError("U1");
      },
    });
    await expect(ask()).rejects.toBeInstanceOf(AssertionError);
    expect(agent.log.at(-1)).toBe("release i-1.1");
  });

  test("a message that is no attempt is refused", async () => {
    const { worker, context } = workerFixture();
    await expect(worker.handle({ jobId: "j" }, context())).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      field: "step",
    });
  });
});

describe("small work", () => {
  test("T5: with no core reserved neither the agent nor the disk is asked", async () => {
    const { ask, agent, scratch } = workerFixture({
      entry: { resources: { cores: 0, memoryMib: 64 } },
      run: async () => ({ answer: 1 }),
    });
    expect(outputsIn(await ask())).toEqual({ answer: { kind: "inline", value: 1 } });
    expect(agent.log).toEqual([]);
    expect(scratch.madeCount).toBe(0);
  });

  test("T2: a directory is made at the first touch, once, and never after the end", async () => {
    const calls: EngineCall[] = [];
    const { ask, scratch } = workerFixture({
      run: async (call) => {
        calls.push(call);
        return { answer: call.scratchDir === call.scratchDir };
      },
    });
    await ask();
    expect(scratch.madeCount).toBe(1);
    expect(scratch.dirs.size).toBe(0);
    expect(() => calls[0]?.scratchDir).toThrow("has ended");
    expect(scratch.madeCount).toBe(1);
  });
});

describe("repeats", () => {
  test("M2: a repeat joins what runs; a later attempt runs only after a failure", async () => {
    let runCount = 0;
    const { ask } = workerFixture({
      run: async () => {
        runCount += 1;
        if (runCount === 1) throw new RetryableError("ENGINE_CRASHED", "by SIGSEGV");
        return { answer: runCount };
      },
    });
    const [first, again] = await Promise.all([ask(), ask()]);
    expect(again).toBe(first);
    expect(await ask()).toBe(first);
    expect(runCount).toBe(1);
    const second = await ask({ attempt: 2 });
    expect(outputsIn(second)).toEqual({ answer: { kind: "inline", value: 2 } });
    expect(await ask({ attempt: 3 })).toBe(second);
    expect(await ask({ attempt: 1 })).toBe(second);
    expect(runCount).toBe(2);
  });

  // The scheduler that asked first may have been killed: its job's new owner asks again.
  test("whoever repeats an ask can cancel the attempt that it joined", async () => {
    const { worker, context, waitUntilAborted } = workerFixture();
    const first = worker.handle(attemptRequest(), context());
    await waitUntilAborted.started;
    const second = new AbortController();
    const again = worker.handle(attemptRequest(), { ...context(), signal: second.signal });
    second.abort(new CancelledError("cancelled by the user"));
    expect(await again).toMatchObject({ failure: { code: "CANCELLED" } });
    expect(await first).toMatchObject({ failure: { code: "CANCELLED" } });
  });

  test("two runs of one key hold cores under different names", async () => {
    const { ask, agent } = workerFixture({
      run: async () => {
        throw new RetryableError("ENGINE_CRASHED", "by SIGSEGV");
      },
    });
    await ask();
    await ask({ attempt: 2 });
    expect(agent.log).toEqual([
      "acquire i-1.1 1",
      "release i-1.1",
      "acquire i-1.2 1",
      "release i-1.2",
    ]);
  });
});

describe("while the bus is away", () => {
  test("M3: a result waits on the disk until it is asked for again", async () => {
    const { ask, bus, spool, worker } = workerFixture({ run: async () => ({ answer: 1 }) });
    bus.isThere = false;
    const reply = await ask();
    await settle();
    expect([...spool.results.values()]).toEqual([
      {
        jobId: "j",
        step: "s",
        item: 0,
        attempt: 1,
        key: "key-1",
        node: "n-1",
        instance: "i-1",
        reply,
      },
    ]);
    expect(await ask()).toBe(reply);
    expect(spool.results.size).toBe(1); // that answer was lost, too
    bus.isThere = true;
    expect(await ask()).toBe(reply);
    await worker.stop();
    expect(spool.results.size).toBe(0);
  });

  test("a failure is kept, too, but not one that nobody waits for", async () => {
    const errors = [new EngineFailedError("exit 1"), new CancelledError("by its owner")];
    for (const [index, error] of errors.entries()) {
      const { ask, bus, spool } = workerFixture({ run: () => Promise.reject(error) });
      bus.isThere = false;
      await ask();
      await settle();
      expect(spool.results.size).toBe(1 - index);
    }
  });

  test("with a full spool no attempt starts, repeats are answered", async () => {
    const { ask, spool } = workerFixture({ run: async () => ({ answer: 1 }) });
    const reply = await ask();
    spool.isFull = true;
    expect(await ask()).toBe(reply);
    await expect(ask({ key: "key-2" })).rejects.toMatchObject({
      code: "SPOOL_FULL",
      kind: "retryable",
    });
    spool.isFull = false;
    await ask({ key: "key-2" });
  });
});

test("an input that no holder has any more is the failure, whatever the engine made of it", async () => {
  const { ask, agent } = workerFixture({
    run: async (call) => {
      await call.openArtifact(artifactRef("aa")).catch(() => undefined);
      throw new EngineFailedError("nothing to read");
    },
  });
  const context = { artifact: artifactRef("aa").artifact };
  agent.openArtifact = () =>
    Promise.reject(new RetryableError("ARTIFACT_LOST", "no holder has it", { context }));
  expect(failureIn(await ask())).toMatchObject({ code: "ARTIFACT_LOST", retryable: true, context });
});

test("stop waits for the attempt that runs, then stops the engine", async () => {
  const { ask, worker, sender, waitUntilAborted, engineLog } = workerFixture();
  await worker.start();
  const reply = ask();
  await waitUntilAborted.started;
  const stopping = worker.stop();
  expect(engineLog).toEqual(["start"]);
  sender.abort(new CancelledError("instance stops"));
  await reply;
  await stopping;
  expect(engineLog).toEqual(["start", "stop"]);
});
