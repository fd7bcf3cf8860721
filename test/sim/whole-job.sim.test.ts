/**
 * Goal: a whole job, from submission to receipt, through scheduler, agents and workers on the
 * in-memory bus under virtual time. The same seed gives the same event log, byte for byte.
 */
import { call } from "@murakkab/bus";
import type { JobReply, Receipt } from "@murakkab/model";
import { type JobEvent, subjects } from "@murakkab/protocol";
import { SimFleet, type SimHostOptions, videoExecutors } from "@murakkab/testkit";
import { describe, expect, test } from "vitest";

const JOB_ID = "7c0f3c1e-0000-4000-8000-000000000001";
const VIDEO = new Map([["clip.mp4", new Uint8Array([1, 2, 3, 4])]]);

const ENGINES = {
  scenes: { runMs: 200, outputs: () => ({ scenes: [{ index: 0 }, { index: 1 }] }) },
  frames: { runMs: 150, outputs: () => ({ frames: [{ atSec: 1 }, { atSec: 2 }, { atSec: 3 }] }) },
  audio: {
    runMs: 50,
    outputs: () => ({
      audio: { artifact: `artifact://sha256/${"a".repeat(64)}`, bytes: 1, mediaType: "audio/wav" },
    }),
  },
  speech: { runMs: 900, outputs: () => ({ transcript: { words: [] } }) },
  text: { runMs: 130, outputs: () => ({ text: { lines: ["Anna"] } }) },
  people: { runMs: 40, outputs: () => ({ people: { people: [] } }) },
  answer: {
    runMs: 5,
    outputs: () => ({
      answer: {
        text: "Anna",
        found: true,
        evidence: [{ source: "screen-text", atSec: 2, text: "Anna" }],
      },
    }),
  },
};

const HOSTS = ["n1", "n2"].map((node) => ({
  node,
  cpus: 1,
  memoryMib: 1_024,
  programs: ["pocketsphinx", "tesseract"],
}));

interface History {
  readonly log: string;
  readonly events: readonly JobEvent[];
  readonly receipt: Receipt;
}

async function playJob(
  seed: string,
  disturb?: (fleet: SimFleet, event: JobEvent) => void,
  hosts: readonly SimHostOptions[] = HOSTS,
): Promise<History> {
  // The simulated speech engine never opens its audio, so the reference needs no bytes behind it.
  const executors = videoExecutors().map((entry) =>
    entry.id === "speech" ? { ...entry, inputs: { audio: { type: "audio" } } } : entry,
  );
  const engines = { ...ENGINES, audio: { ...ENGINES.audio, outputs: ENGINES.audio.outputs } };
  const fleet = new SimFleet({ seed, executors, engines, hosts, inputs: VIDEO });
  await fleet.start();
  const lines: string[] = [];
  const { messaging } = fleet.client;
  messaging.subscribe(subjects.jobEventsOf(JOB_ID), (message) => {
    const line = new TextDecoder().decode(message.data);
    const event = JSON.parse(line) as JobEvent;
    lines.push(line);
    disturb?.(fleet, event);
  });
  const submission = { jobId: JOB_ID, description: "Who is it?", inputs: ["clip.mp4"] };
  return fleet.run(async () => {
    const reply = await call<JobReply>(
      messaging,
      { subject: subjects.jobSubmit, value: submission },
      { timeoutMs: 60_000 },
    );
    expect(reply).toMatchObject({ decision: "accepted", jobId: JOB_ID });
    const wait = { subject: subjects.jobWait(JOB_ID), value: { timeoutMs: 60_000 } };
    const receipt = await call<Receipt>(messaging, wait, { timeoutMs: 61_000 });
    // What a subscriber missed while it was cut off, the stream has kept.
    const kept = { subject: subjects.jobEvents(JOB_ID), value: { after: 0 } };
    const { events } = await call<{ events: JobEvent[] }>(messaging, kept, { timeoutMs: 1_000 });
    return { log: lines.join("\n"), events, receipt };
  });
}

describe("a whole job under virtual time", () => {
  test("answers with evidence, a bill and one place per step", async () => {
    const { receipt, events } = await playJob("one");
    expect(receipt.error).toBeUndefined();
    expect(receipt).toMatchObject({
      state: "succeeded",
      answer: "Anna",
      workflow: "type-directed",
    });
    expect(receipt.evidence[0]).toMatchObject({ atSec: 2 });
    expect(receipt.costUsd).toBeGreaterThan(0);
    expect(receipt.energyWh).toBeGreaterThan(0);
    expect(receipt.steps.map((step) => step.step).sort()).toHaveLength(7);
    for (const step of receipt.steps) {
      expect(step.attempts).toBe(1);
      expect(["n1", "n2"]).toContain(step.node);
    }
    expect(events.map((event) => event.number)).toEqual(events.map((_event, index) => index + 1));
    expect(
      events.filter((event) => ["succeeded", "failed", "cancelled"].includes(event.event)),
    ).toHaveLength(1);
  });

  test("the same seed gives the same event log, byte for byte; another seed another one", async () => {
    const first = await playJob("seed-1");
    const second = await playJob("seed-1");
    const other = await playJob("seed-2");
    expect(second.log).toBe(first.log);
    expect(other.log).not.toBe(first.log);
    expect(other.receipt.answer).toBe(first.receipt.answer);
  });

  test("a worker that dies in mid-step costs one more attempt, not the answer", async () => {
    let hasCrashed = false;
    const { receipt } = await playJob("crash", (fleet, { event, data }) => {
      if (hasCrashed || event !== "attempt-started" || data["step"] !== "speech-to-text") return;
      hasCrashed = true;
      for (const host of fleet.hosts) host.crash(String(data["instance"]));
    });
    expect(hasCrashed).toBe(true);
    expect(receipt).toMatchObject({ state: "succeeded", answer: "Anna" });
    expect(receipt.steps.find((step) => step.step === "speech-to-text")?.attempts).toBe(2);
  });

  test("every agent is killed in mid-step and comes back: the job ends with one answer", async () => {
    let hasCrashed = false;
    const { receipt, events } = await playJob("agents", (fleet, { event, data }) => {
      if (hasCrashed || event !== "attempt-started" || data["step"] !== "speech-to-text") return;
      hasCrashed = true;
      for (const host of fleet.hosts) {
        const before = host.instances;
        host.crashAgent();
        fleet.clock.after(600, () => {
          expect(host.instances.length).toBeGreaterThan(0); // they outlive their agent
          for (const instance of host.instances) expect(before).toContain(instance);
          void host.restartAgent();
        });
      }
    });
    expect(hasCrashed).toBe(true);
    expect(receipt).toMatchObject({ state: "succeeded", answer: "Anna" });
    expect(events.map((event) => event.number)).toEqual(events.map((_event, index) => index + 1));
    const ends = ["succeeded", "failed", "cancelled"];
    expect(events.filter((event) => ends.includes(event.event))).toHaveLength(1);
  });

  test("the bus goes away in mid-job and comes back: the job ends with one answer", async () => {
    let hasStopped = false;
    const { receipt, events } = await playJob("outage", (fleet, { event, data }) => {
      if (hasStopped || event !== "attempt-started" || data["step"] !== "speech-to-text") return;
      hasStopped = true;
      fleet.broker.stop();
      fleet.clock.after(3_000, () => fleet.broker.start());
    });
    expect(hasStopped).toBe(true);
    expect(receipt).toMatchObject({ state: "succeeded", answer: "Anna" });
    expect(events.map((event) => event.number)).toEqual(events.map((_event, index) => index + 1));
  });

  test("a host with memory for two instances at a time makes room again and again", async () => {
    const small = {
      ...HOSTS[0],
      node: "small",
      cpus: 1,
      memoryMib: 130,
      programs: ["pocketsphinx", "tesseract"],
    };
    const { receipt } = await playJob("small", undefined, [small]);
    expect(receipt).toMatchObject({ state: "succeeded", answer: "Anna" });
    for (const step of receipt.steps) expect(step.nodes).toEqual(["small"]);
  });
});
