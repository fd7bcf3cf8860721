/** A small fleet with two or more schedulers, jobs on it, and what must hold of all of them. */
import { call } from "@murakkab/bus";
import { delay, isRuntimeError, type Logger } from "@murakkab/kit";
import type { ExecutorEntry, JobReply, JobStatus, Receipt, Workflow } from "@murakkab/model";
import { type JobEvent, subjects } from "@murakkab/protocol";
import { buildExecutor, SimFleet, type SimFleetOptions } from "@murakkab/testkit";
import { expect } from "vitest";

const ports = { inputs: { text: "question" }, outputs: { text: "question" } };
const effect: Partial<ExecutorEntry> = { isPure: false, isDeterministic: false };
const EXECUTORS = [
  buildExecutor("first", "first", ports),
  buildExecutor("effect", "effect", ports, effect),
  buildExecutor("slow", "slow", ports, { timeLimitMs: 3_600_000 }),
].map((entry) => ({ ...entry, resources: { cores: 0.1, memoryMib: 64, concurrency: 4 } }));

const from = (step: string) => ({ kind: "step", step, output: "text" }) as const;
const question = { kind: "input", input: "question" } as const;
const WORKFLOWS: readonly Workflow[] = [
  {
    name: "chain",
    inputs: { question: "question" },
    steps: [
      { id: "a", capability: "first", inputs: { text: question } },
      { id: "b", capability: "effect", inputs: { text: from("a") } },
      { id: "c", capability: "effect", inputs: { text: from("b") } },
    ],
    output: from("c"),
  },
  {
    name: "long",
    inputs: { question: "question" },
    steps: [
      { id: "a", capability: "first", inputs: { text: question } },
      { id: "b", capability: "slow", inputs: { text: from("a") } },
      { id: "c", capability: "effect", inputs: { text: from("b") } },
    ],
    output: from("c"),
  },
];

export interface Job {
  readonly jobId?: string;
  readonly workflow: "chain" | "long";
  readonly description: string;
  readonly tenant?: string;
  readonly idempotencyKey?: string;
  readonly deadlineMs?: number;
  readonly durable?: boolean;
}

export interface PlayOptions {
  readonly schedulers?: number;
  readonly runMs?: number;
  readonly slowMs?: number;
  readonly fleet?: Partial<SimFleetOptions>;
  readonly log?: Logger;
}

export class JobPlay {
  readonly fleet: SimFleet;
  /** Times that an engine ran to its end, by its input text. */
  readonly runs = new Map<string, number>();
  /** Input texts in the order in which they were done. */
  readonly order: string[] = [];

  constructor(seed: string, options: PlayOptions = {}) {
    const engine = (runMs: number) => ({
      runMs,
      outputs: ({ inputs }: { inputs: Readonly<Record<string, unknown>> }) => {
        const text = String(inputs["text"]);
        this.runs.set(text, (this.runs.get(text) ?? 0) + 1);
        this.order.push(text);
        return { text: `${text}.` };
      },
    });
    const normal = engine(options.runMs ?? 120);
    this.fleet = new SimFleet({
      seed,
      schedulers: options.schedulers ?? 2,
      executors: EXECUTORS,
      workflows: WORKFLOWS,
      engines: { first: normal, effect: normal, slow: engine(options.slowMs ?? 1_000) },
      hosts: ["n1", "n2"].map((node) => ({ node, cpus: 2, memoryMib: 2_048, programs: [] })),
      ...(options.log === undefined ? {} : { log: options.log }),
      ...options.fleet,
    });
  }

  /** What a client does: the same question again when nobody or nothing answered. */
  async ask<T>(subject: string, value: unknown, timeoutMs = 1_000): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await call<T>(this.fleet.client.messaging, { subject, value }, { timeoutMs });
      } catch (error) {
        if (!isRuntimeError(error) || !error.isRetryable || tries > 100) throw error;
        await delay(this.fleet.clock, 200);
      }
    }
  }

  async submit(job: Job): Promise<string> {
    const reply = await this.ask<JobReply>(subjects.jobSubmit, job);
    expect(reply).toMatchObject({ decision: "accepted", plan: { workflow: job.workflow } });
    return (reply as { jobId: string }).jobId;
  }

  async end(jobId: string): Promise<Receipt> {
    for (;;) {
      const answer = await this.ask<Receipt>(subjects.jobWait(jobId), { timeoutMs: 1_000 }, 2_000);
      if ("steps" in answer) return answer;
    }
  }

  async play(job: Job): Promise<Receipt> {
    return this.end(await this.submit(job));
  }

  async get(jobId: string): Promise<JobStatus> {
    return this.ask<JobStatus>(subjects.jobGet(jobId), {});
  }

  async events(jobId: string): Promise<readonly JobEvent[]> {
    return (await this.ask<{ events: JobEvent[] }>(subjects.jobEvents(jobId), { after: 0 })).events;
  }

  /** One end, events without a gap, and nothing that is shown as done was done again. */
  async check(receipt: Receipt, state: Receipt["state"] = "succeeded"): Promise<void> {
    expect([receipt.state, receipt.error]).toEqual([
      state,
      state === "succeeded" ? undefined : expect.anything(),
    ]);
    const events = await this.events(receipt.jobId);
    expect(events.map((event) => event.number)).toEqual(events.map((_event, index) => index + 1));
    const ends = events.filter((it) => ["succeeded", "failed", "cancelled"].includes(it.event));
    expect(ends.map((it) => it.event)).toEqual([state]);
    const done = events.filter((it) => it.event === "attempt-finished");
    expect(new Set(done.map((it) => it.data["step"])).size).toBe(done.length);
    if (state === "succeeded") expect(done).toHaveLength(3);
  }

  /** Each step of these jobs ran once, but for attempts that failed for a reason. */
  async checkRuns(jobIds: readonly string[]): Promise<void> {
    let failedCount = 0;
    for (const jobId of jobIds) {
      const events = await this.events(jobId);
      failedCount += events.filter((it) => it.event === "attempt-failed").length;
    }
    const extra = [...this.runs.values()].reduce((sum, count) => sum + count - 1, 0);
    expect(extra).toBeLessThanOrEqual(failedCount);
  }
}

/** The last two digits are the partition. */
export function jobIdOf(index: number, partition = (index * 37) % 256): string {
  const tail = partition.toString(16).padStart(2, "0");
  return `7c0f3c1e-0000-4000-8000-${index.toString(16).padStart(10, "0")}${tail}`;
}

export function hashOf(text: string): number {
  let value = 7;
  for (const char of text) value = (value * 31 + char.charCodeAt(0)) % 100_003;
  return value;
}
