/** Goal: bad flags of `murakkab chaos` are refused in one sentence before anything is started. */
import { describe, expect, test } from "vitest";
import { chaosSettings } from "../src/commands/chaos.ts";

const settings = (flags: Parameters<typeof chaosSettings>[0]) => chaosSettings(flags, () => 42);

describe("chaos flags", () => {
  test("defaults", () => {
    expect(settings({})).toMatchObject({ seed: 42, forMs: 60_000, jobsInFlight: 16 });
    expect(settings({}).kinds).toHaveLength(6);
  });

  test("values", () => {
    const flags = { seed: "7", for: "5s", kill: "nats, worker", jobsInFlight: "4", agents: "3" };
    expect(settings({ ...flags, schedulers: "2" })).toEqual({
      ...{ seed: 7, forMs: 5_000, kinds: ["worker", "nats"] },
      ...{ jobsInFlight: 4, schedulerCount: 2, agentCount: 3 },
    });
  });

  test.each([
    [{ seed: "-1" }, '--seed is "-1", expected a whole number from 0 to 9007199254740991'],
    [{ for: "60" }, '--for is "60", expected a time with a unit such as 60s, 500ms or 2min'],
    [{ for: "2h" }, '--for is "2h", expected a time from 1s to 1h'],
    [
      { kill: "worker,dog" },
      '--kill is "worker,dog", expected a list of worker, agent, scheduler, nats, pause, disk',
    ],
    [{ jobsInFlight: "0" }, '--jobs-in-flight is "0", expected a whole number from 1 to 1000'],
    [{ schedulers: "99" }, '--schedulers is "99", expected a whole number from 1 to 8'],
    [{ agents: "x" }, '--agents is "x", expected a whole number from 1 to 64'],
  ])("%j", (flags, message) => {
    expect(() => settings(flags)).toThrow(message);
  });
});
