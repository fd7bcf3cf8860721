/** Who is there is heard, not asked: beats of the real form, and the leader that a ping names. */
import { createMemoryBus, publishValue, serve } from "@murakkab/bus";
import { SYSTEM_CLOCK } from "@murakkab/bus/nats";
import { seededRandom } from "@murakkab/kit";
import { nodeProbeSchema, type SchedulerBeat, subjects } from "@murakkab/protocol";
import { beforeEach, describe, expect, test } from "vitest";
import { connect } from "../src/index.ts";

let bus: ReturnType<typeof createMemoryBus>;

beforeEach(() => {
  bus = createMemoryBus({ clock: SYSTEM_CLOCK, random: seededRandom("schedulers") });
});

/** The question that the client asks; the beats are sent in answer to it. */
function onPing(leader: string | null, beats: readonly Partial<SchedulerBeat>[]): void {
  const onDefect = (error: unknown): never => {
    throw error;
  };
  const ping = { subject: subjects.schedulerPing, schema: nodeProbeSchema, what: "ping", onDefect };
  serve(bus.messaging, ping, () => {
    for (const beat of beats) {
      const base = { version: "1", config: "c", generation: 4, owned: "0f" };
      publishValue(bus.messaging, subjects.schedulerBeat, { ...base, ...beat });
    }
    return { ok: true, scheduler: "a", leader };
  });
}

describe("schedulers", () => {
  test("are told with their share; of two that lead the later one does", async () => {
    onPing("a", [
      { scheduler: "b", leads: 3, owned: "ff01" },
      { scheduler: "a", leads: 2, isLeaving: true },
      { scheduler: "not a token" },
    ]);
    const view = await (await connect({ bus })).schedulers();
    expect(view.leader).toBe("b");
    expect(view.schedulers).toEqual([
      {
        scheduler: "a",
        version: "1",
        generation: 4,
        ownedPartitionCount: 4,
        isLeaving: true,
        isLeader: false,
      },
      expect.objectContaining({ scheduler: "b", ownedPartitionCount: 9, isLeader: true }),
    ]);
  });

  test("of the former version tell no names: the only one leads", async () => {
    const onDefect = (error: unknown): never => {
      throw error;
    };
    const subject = subjects.schedulerPing;
    serve(bus.messaging, { subject, schema: nodeProbeSchema, what: "ping", onDefect }, () => ({
      ok: true,
    }));
    const view = await (await connect({ bus })).schedulers();
    expect(view).toEqual({ schedulers: [], leader: "an unnamed scheduler" });
  });

  test("without a leader, and without anybody", async () => {
    onPing(null, [{ scheduler: "a" }]);
    const client = await connect({ bus });
    expect((await client.schedulers()).leader).toBeNull();
    bus = createMemoryBus({ clock: SYSTEM_CLOCK, random: seededRandom("nobody") });
    const alone = await connect({ bus });
    await expect(alone.schedulers()).rejects.toThrow(/no scheduler answers/);
  });
});
