/** Goal: a library function runs under the same limits as a program. */

import { CancelledError } from "@murakkab/kit";
import type { ExecutorFunction } from "@murakkab/library";
import { expect, test } from "vitest";
import { FunctionCallEngine } from "../../src/adapters/function-engine.ts";
import { executorEntry } from "../entries.ts";
import { groupMembers, programFixture, tempDir } from "./program-fixture.ts";

function fixture(fn: ExecutorFunction) {
  const { runner, controller, ledger } = programFixture();
  const entry = executorEntry({
    programs: ["printf", "sleep"],
    engine: { kind: "function", function: "f" },
  });
  const engine = new FunctionCallEngine({ programs: runner, functions: { f: fn } }, entry, "f");
  const scratchDir = tempDir();
  const run = () =>
    engine.run({
      inputs: { question: "q" },
      knobs: { size: 1 },
      threads: 2,
      scratchDir,
      signal: controller.signal,
      openArtifact: async () => "/store/aa",
    });
  return { run, controller, ledger, scratchDir };
}

test("takes as many attempts at a time as its entry says, one by default", () => {
  const { runner: programs } = programFixture();
  const functions = { f: async () => ({}) };
  const capabilitiesOf = (resources: { cores: number; memoryMib: number; concurrency?: number }) =>
    new FunctionCallEngine({ programs, functions }, executorEntry({ resources }), "f").capabilities;
  expect(capabilitiesOf({ cores: 1, memoryMib: 64 })).toEqual({ concurrencyMax: 1 });
  expect(capabilitiesOf({ cores: 0, memoryMib: 64, concurrency: 8 })).toEqual({
    concurrencyMax: 8,
  });
});

test("the signal is the call's, whenever it is looked at", async () => {
  const { run, controller } = fixture(async (call) => {
    controller.abort(new CancelledError("too late"));
    expect(call.signal.aborted).toBe(true); // looked at only now
    return new Promise<never>(() => undefined);
  });
  await expect(run()).rejects.toMatchObject({ code: "CANCELLED" });
  let left: AbortSignal | null = null;
  const { run: runAgain } = fixture(async (call) => {
    left = call.signal;
    return { aborted: call.signal.aborted };
  });
  expect(await runAgain()).toEqual({ aborted: false });
  expect((left as unknown as AbortSignal).aborted).toBe(true); // what was left behind hears the end
});

test("gets its call and may run programs in its scratch directory", async () => {
  const { run, scratchDir } = fixture(async (call) => {
    const { stdout } = await call.run("printf", ["%s", call.scratchDir]);
    return {
      dir: Buffer.from(stdout).toString(),
      question: call.inputs["question"],
      threads: call.threads,
    };
  });
  expect(await run()).toEqual({ dir: scratchDir, question: "q", threads: 2 });
});

test("may run only programs that its entry declares", async () => {
  const { run } = fixture(async (call) => ({ out: await call.run("true", []) }));
  await expect(run()).rejects.toThrow(
    'ran program "true", expected one that it declares: printf, sleep',
  );
});

test("programs that it did not wait for end with its call", async () => {
  const { run, ledger } = fixture(async (call) => {
    call.run("sleep", ["1000"]).catch(() => undefined);
    return {};
  });
  const running = run();
  const [pgid = 0] = ledger.active;
  await running;
  expect(groupMembers(pgid)).toEqual([]);
});

test("a function that ignores its signal is left behind when the call is cancelled", async () => {
  const later: (() => Promise<unknown>)[] = [];
  const { run, controller } = fixture((call) => {
    later.push(() => call.run("sleep", ["0"]));
    return new Promise(() => undefined);
  });
  const running = run();
  const reason = new CancelledError("job was cancelled");
  controller.abort(reason);
  await expect(running).rejects.toBe(reason);
  expect(later).toHaveLength(1);
  for (const start of later) await expect(start()).rejects.toBe(reason);
});
