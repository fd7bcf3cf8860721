/**
 * Goal: an agent obeys no leader older than the newest it ever obeyed, also after a restart.
 * Method: the fence over a disk in memory and a real file, then the agent's commands.
 */
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SILENT_LOGGER } from "@murakkab/kit";
import { subjects } from "@murakkab/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { GenerationFile } from "../src/adapters/generation-file.ts";
import { GenerationFence } from "../src/generation-fence.ts";
import { executorOf, FakeGenerations, fleetOfOne, NODE } from "./fakes/fleet-of-one.ts";
import { temporaryDir } from "./fixtures/temporary.ts";

describe("the fence", () => {
  it("G1, G2: obeys in whatever order exactly what is not older, across restarts", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ given: fc.nat(5), isRestart: fc.boolean() })),
        async (commands) => {
          const store = new FakeGenerations();
          let fence = new GenerationFence({ store, log: SILENT_LOGGER });
          await fence.open();
          let highest = 0;
          for (const { given, isRestart } of commands) {
            if (isRestart) {
              fence = new GenerationFence({ store, log: SILENT_LOGGER });
              await fence.open();
            }
            const isObeyed = await fence.admit(given).then(
              () => true,
              () => false,
            );
            expect(isObeyed).toBe(given >= highest);
            highest = Math.max(highest, given);
            expect(store.saved).toBe(highest);
          }
        },
      ),
    );
  });

  it("refuses older ones even while the disk refuses the newer one", async () => {
    const store = new FakeGenerations();
    const fence = new GenerationFence({ store, log: SILENT_LOGGER });
    store.isFull = true;
    await expect(fence.admit(3)).rejects.toMatchObject({ code: "GENERATION_NOT_SAVED" });
    await expect(fence.admit(2)).rejects.toMatchObject({ code: "STALE_GENERATION" });
    store.isFull = false;
    await fence.admit(3);
    expect(store.saved).toBe(3);
  });
});

it("G1: a command that waited for the disk is refused when a newer leader spoke meanwhile", async () => {
  const store = new FakeGenerations();
  let finish: () => void = () => undefined;
  const save = store.save.bind(store);
  store.save = async (generation) => {
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
    await save(generation);
  };
  const fence = new GenerationFence({ store, log: SILENT_LOGGER });
  const older = fence.admit(1).catch((error: { code: string }) => error.code);
  const newer = fence.admit(2);
  finish();
  await Promise.resolve();
  for (let turn = 0; turn < 10; turn += 1) {
    finish();
    await Promise.resolve();
  }
  await newer;
  expect(await older).toBe("STALE_GENERATION");
  expect(store.saved).toBe(2);
});

describe("the file", () => {
  it("keeps the number", async () => {
    const path = join(temporaryDir(), "deep", "generation");
    expect(await new GenerationFile(path).load()).toEqual({ generation: 0, quarantinedAt: null });
    await new GenerationFile(path).save(7);
    await new GenerationFile(path).save(12);
    expect(await new GenerationFile(path).load()).toEqual({ generation: 12, quarantinedAt: null });
    expect(readdirSync(join(path, ".."))).toEqual(["generation"]);
  });

  it.each(["", "12", "92 0123456789abcdef\n", "\u0000\u0000"])(
    "sets %j aside and starts from nothing",
    async (content) => {
      const path = join(temporaryDir(), "generation");
      writeFileSync(path, content);
      const loaded = await new GenerationFile(path).load();
      expect(loaded).toEqual({ generation: 0, quarantinedAt: `${path}.corrupt` });
      expect(readdirSync(join(path, ".."))).toEqual(["generation.corrupt"]);
    },
  );
});

describe("the agent", () => {
  it("refuses a former leader's commands and tells the newest generation", async () => {
    const { agent, ask, clock, generations, leader, listen, messaging, registrations, settled } =
      fleetOfOne();
    generations.saved = 4;
    leader.generation = 6;
    listen();
    await settled(agent.start());
    expect(registrations[0]?.generation).toBe(4);
    const start = (instance: string, generation: number) =>
      settled(
        ask(subjects.instanceStart(NODE), {
          instance,
          executor: executorOf(),
          remainingMs: 5_000,
          generation,
        }),
      );
    await expect(start("i1", 5)).rejects.toMatchObject({
      code: "STALE_GENERATION",
      kind: "terminal",
      context: { given: 5, highest: 6 },
    });
    await start("i1", 8);
    expect(generations.saved).toBe(8);
    const stop = { instance: "i1", graceMs: 100 };
    await expect(settled(ask(subjects.instanceStop(NODE), stop))).rejects.toMatchObject({
      code: "STALE_GENERATION",
    });
    await settled(ask(subjects.instanceStop(NODE), { ...stop, generation: 8 }));
    messaging.publish(subjects.fleetReport, new Uint8Array());
    await clock.runUntil(() => registrations.length === 2);
    expect(registrations[1]?.generation).toBe(8);
  });
});
