/**
 * Goal: jobs survive the loss, the pause and the orderly end of their scheduler, under virtual
 * time and many seeds: none is lost, none has two ends, and no finished step runs again.
 */
import { call } from "@murakkab/bus";
import { type Clock, delay, isRuntimeError } from "@murakkab/kit";
import type { ExecutorEntry, JobReply, Receipt, Workflow } from "@murakkab/model";
import { type JobEvent, subjects } from "@murakkab/protocol";
import { buildExecutor, SimFleet } from "@murakkab/testkit";
import { describe, expect, test } from "vitest";

const JOB_COUNT = 12;
const SEEDS = Number(process.env["MURAKKAB_SIM_SEEDS"] ?? 12);

const ports = { inputs: { text: "question" }, outputs: { text: "question" } };
const effect: Partial<ExecutorEntry> = { isPure: false, isDeterministic: false };
const EXECUTORS = [
  buildExecutor("first", "first", ports),
  buildExecutor("effect", "effect", ports, effect),
  buildExecutor(
    "join",
    "join",
    { inputs: { a: "question", b: "question", c: "question" }, outputs: { text: "question" } },
    effect,
  ),
].map((entry) => ({ ...entry, resources: { cores: 0.2, memoryMib: 64 } }));

const from = (step: string) => ({ kind: "step", step, output: "text" }) as const;
const WORKFLOW: Workflow = {
  name: "diamond",
  inputs: { question: "question" },
  steps: [
    { id: "a", capability: "first", inputs: { text: { kind: "input", input: "question" } } },
    { id: "b1", capability: "effect", inputs: { text: from("a") } },
    { id: "b2", capability: "effect", inputs: { text: from("a") } },
    { id: "b3", capability: "effect", inputs: { text: from("a") } },
    { id: "c", capability: "join", inputs: { a: from("b1"), b: from("b2"), c: from("b3") } },
  ],
  output: from("c"),
};

interface Outcome {
  readonly receipts: readonly Receipt[];
  readonly events: ReadonlyMap<string, readonly JobEvent[]>;
  /** Times that an engine ran, by its input text. */
  readonly effects: ReadonlyMap<string, number>;
}

async function play(
  seed: string,
  schedulers: number,
  disturb: (fleet: SimFleet, clock: Clock) => void,
): Promise<Outcome> {
  const effects = new Map<string, number>();
  const engine = {
    runMs: 120,
    outputs: ({ inputs }: { inputs: Readonly<Record<string, unknown>> }) => {
      const text = Object.values(inputs).join("+");
      effects.set(text, (effects.get(text) ?? 0) + 1);
      return { text: `${text}.` };
    },
  };
  const fleet = new SimFleet({
    seed,
    schedulers,
    executors: EXECUTORS,
    workflows: [WORKFLOW],
    engines: { first: engine, effect: engine, join: engine },
    hosts: ["n1", "n2"].map((node) => ({ node, cpus: 2, memoryMib: 2_048, programs: [] })),
  });
  await fleet.start();
  const { messaging } = fleet.client;
  const ask = async <T>(subject: string, value: unknown, timeoutMs: number): Promise<T> => {
    // What a client does: the same question again when nobody or nothing answered.
    for (let tries = 1; ; tries += 1) {
      try {
        return await call<T>(messaging, { subject, value }, { timeoutMs });
      } catch (error) {
        if (!isRuntimeError(error) || !error.isRetryable || tries > 60) throw error;
        await delay(fleet.clock, 200);
      }
    }
  };
  disturb(fleet, fleet.clock);
  const ids = Array.from({ length: JOB_COUNT }, (_, index) => jobIdOf(index));
  return fleet.run(async () => {
    const receipts = await Promise.all(
      ids.map(async (jobId, index) => {
        await delay(fleet.clock, index * 40);
        const job = { jobId, workflow: "diamond", description: `job ${index}` };
        const reply = await ask<JobReply>(subjects.jobSubmit, job, 1_000);
        expect(reply).toMatchObject({ jobId, decision: "accepted" });
        for (;;) {
          const answer = await ask<Receipt>(subjects.jobWait(jobId), { timeoutMs: 1_000 }, 2_000);
          if ("steps" in answer) return answer;
        }
      }),
    );
    const events = new Map<string, readonly JobEvent[]>();
    for (const jobId of ids) {
      const kept = await ask<{ events: JobEvent[] }>(
        subjects.jobEvents(jobId),
        { after: 0 },
        2_000,
      );
      events.set(jobId, kept.events);
    }
    return { receipts, events, effects };
  }, 300_000);
}

function jobIdOf(index: number): string {
  // The last two digits are the partition: spread over all of them.
  const tail = ((index * 37) % 256).toString(16).padStart(2, "0");
  return `7c0f3c1e-0000-4000-8000-${index.toString(16).padStart(10, "0")}${tail}`;
}

function check({ receipts, events, effects }: Outcome): void {
  expect(receipts.map((it) => [it.jobId, it.state, it.error])).toEqual(
    receipts.map((it) => [it.jobId, "succeeded", undefined]),
  );
  let failureCount = 0;
  for (const list of events.values()) {
    expect(list.map((event) => event.number)).toEqual(list.map((_event, index) => index + 1));
    expect(list.filter((event) => event.event === "succeeded")).toHaveLength(1);
    failureCount += list.filter((event) => event.event === "attempt-failed").length;
    const finished = list.filter((event) => event.event === "attempt-finished");
    expect(finished).toHaveLength(5);
  }
  // Three equal steps per job have equal inputs; all others are alone with theirs.
  let extra = 0;
  for (const [text, count] of effects) {
    const wanted = /^job \d+\.$/.test(text) ? 3 : 1;
    extra += Math.max(0, count - wanted);
  }
  expect(extra).toBeLessThanOrEqual(failureCount);
}

describe("takeover under virtual time", () => {
  test.each(Array.from({ length: SEEDS }, (_, index) => `kill-${index}`))(
    "%s: a scheduler is killed, the other one goes on",
    async (seed) => {
      check(
        await play(seed, 2, (fleet, clock) => {
          const at = 100 + (hash(seed) % 900);
          const victim = `scheduler-${1 + (hash(seed) % 2)}`;
          clock.after(at, () => void fleet.killScheduler(victim));
        }),
      );
    },
  );

  test.each(Array.from({ length: Math.ceil(SEEDS / 2) }, (_, index) => `restart-${index}`))(
    "%s: the only scheduler is killed, a new one is started",
    async (seed) => {
      check(
        await play(seed, 1, (fleet, clock) => {
          clock.after(100 + (hash(seed) % 900), () => {
            void fleet.killScheduler("scheduler-1");
            clock.after(700, () => void fleet.addScheduler().scheduler.start());
          });
        }),
      );
    },
  );

  test.each(Array.from({ length: Math.ceil(SEEDS / 2) }, (_, index) => `cut-${index}`))(
    "%s: a scheduler is cut off for seconds and comes back: it writes nothing more",
    async (seed) => {
      check(
        await play(seed, 2, (fleet, clock) => {
          const victim = `scheduler-${1 + (hash(seed) % 2)}`;
          clock.after(100 + (hash(seed) % 900), () => {
            fleet.broker.cut(victim);
            clock.after(5_000, () => fleet.broker.heal(victim));
          });
        }),
      );
    },
  );

  test.each(Array.from({ length: Math.ceil(SEEDS / 2) }, (_, index) => `leave-${index}`))(
    "%s: a scheduler joins, then the first one leaves in order",
    async (seed) => {
      check(
        await play(seed, 1, (fleet, clock) => {
          clock.after(100 + (hash(seed) % 300), () => {
            void fleet
              .addScheduler()
              .scheduler.start()
              .then(() => fleet.scheduler.stop());
          });
        }),
      );
    },
  );
});

function hash(text: string): number {
  let value = 7;
  for (const char of text) value = (value * 31 + char.charCodeAt(0)) % 100_003;
  return value;
}
