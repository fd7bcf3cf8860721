/** What a caller gets when a job is not simply accepted, and what became of a prediction. */
import type { CounterOffer, Prediction, StepPrediction } from "@murakkab/model";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Client, connect, JobNotAcceptedError } from "../src/index.ts";
import { FakeScheduler, PLAN, receiptOf } from "./fake-scheduler.ts";

const PREDICTION: Prediction = {
  latencyMs: { p50: 1_000, p95: 1_500 },
  costUsd: { p50: 0.0001, p95: 0.0002 },
  energyWh: { p50: 0.02, p95: 0.03 },
  quality: null,
  gpuSec: 0,
  coreSec: 2,
  queueMs: 0,
};
const offer = (sloText: string): CounterOffer => ({
  axis: "latency",
  slo: { latencyMsMax: 45_000 },
  sloText,
  prediction: PREDICTION,
});
const counterOffer = (...offers: CounterOffer[]) => ({
  jobId: "x",
  decision: "counter-offer",
  message: "latency<1s and quality>=0.9 can't hold together",
  offers,
});
const REJECTED = {
  jobId: "x",
  decision: "rejected",
  message: "no executor for speech-to-text",
  binding: "speech-to-text",
};
const TASK = { description: "what is said?", slo: "latency<1s,quality>=0.9" };

let scheduler: FakeScheduler;
let client: Client;

beforeEach(async () => {
  scheduler = new FakeScheduler();
  client = await connect({ bus: scheduler.bus });
});

afterEach(() => scheduler.close());

describe("submit", () => {
  test("a counter-offer is thrown with its offers as data", async () => {
    scheduler.answers.push(counterOffer(offer("latency<45s,quality>=0.9")));
    const error = await client.submit(TASK).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(JobNotAcceptedError);
    expect(error).toMatchObject({
      code: "COUNTER_OFFER",
      kind: "terminal",
      message: "latency<1s and quality>=0.9 can't hold together",
      offers: [{ axis: "latency", sloText: "latency<45s,quality>=0.9", prediction: PREDICTION }],
      binding: null,
    });
    expect((error as JobNotAcceptedError).offerOn("cost")).toBeUndefined();
  });

  test("a rejection is thrown with what binds", async () => {
    scheduler.answers.push(REJECTED);
    await expect(client.submit(TASK)).rejects.toMatchObject({
      code: "REJECTED",
      offers: [],
      binding: "speech-to-text",
      message: "no executor for speech-to-text",
    });
  });

  test("the offer on the named axis is taken under the same job id, and said", async () => {
    scheduler.answers.push(counterOffer(offer("latency<45s,quality>=0.9")));
    const job = await client.submit(TASK, { acceptOffer: "latency" });
    expect(scheduler.submissions.map(({ slo }) => slo)).toEqual([
      TASK.slo,
      "latency<45s,quality>=0.9",
    ]);
    expect(scheduler.submissions.map(({ jobId }) => jobId)).toEqual([job.jobId, job.jobId]);
    expect(job.notes[0]).toContain("latency<45s,quality>=0.9");
  });

  test("without an offer on that axis, and after too many, the counter-offer is thrown", async () => {
    scheduler.answers.push(counterOffer(offer("latency<45s")));
    await expect(client.submit(TASK, { acceptOffer: "cost" })).rejects.toMatchObject({
      code: "COUNTER_OFFER",
    });
    expect(scheduler.submissions).toHaveLength(1);
    for (let count = 0; count < 9; count += 1) {
      scheduler.answers.push(counterOffer(offer(`latency<${45 + count}s`)));
    }
    await expect(client.submit(TASK, { acceptOffer: "latency" })).rejects.toMatchObject({
      code: "COUNTER_OFFER",
    });
    expect(scheduler.submissions).toHaveLength(1 + 4);
  });

  test("constraints may keep the data on its host", async () => {
    await client.submit({ ...TASK, constraints: { staysOnHost: true } });
    expect(scheduler.submissions[0]?.constraints).toEqual({ staysOnHost: true });
  });
});

describe("plan", () => {
  test("answers whatever was decided", async () => {
    expect(await client.plan(TASK)).toEqual({ decision: "accepted", plan: PLAN, notes: [] });
    scheduler.answers.push(counterOffer(offer("latency<45s")), REJECTED);
    expect(await client.plan(TASK)).toMatchObject({ decision: "counter-offer", notes: [] });
    expect(await client.plan(TASK)).toMatchObject({
      decision: "rejected",
      binding: "speech-to-text",
    });
  });

  test("takes answers of former schedulers, and refuses what is no decision", async () => {
    scheduler.answers.push({ plan: PLAN }, PLAN, { decision: "maybe" }, null);
    const accepted = { decision: "accepted", plan: PLAN, notes: PLAN.notes };
    expect(await client.plan(TASK)).toEqual(accepted);
    expect(await client.plan(TASK)).toEqual(accepted);
    await expect(client.plan(TASK)).rejects.toThrow(/no decision, expected accepted/);
    await expect(client.plan(TASK)).rejects.toThrow(/no decision, expected accepted/);
  });
});

describe("explain", () => {
  const jobId = "0b7f3f0e-6c43-4f0e-9a52-3a1c5f1f6a09";
  const said: StepPrediction = {
    runMs: { p50: 500, p95: 700 },
    cpuSec: { p50: 0.5, p95: 0.7 },
    costUsd: { p50: 0, p95: 0 },
    energyWh: { p50: 0.01, p95: 0.02 },
    items: 1,
    probability: 1,
    provenance: { kind: "measured", note: "12 runs on this kind of node" },
  };
  const step = {
    ...{ capability: "c", executor: "e", knobs: {}, node: "n", instance: "i", items: 1 },
    ...{ queueMs: 1, cpuSec: null, memoryBytesMax: null, costUsd: 0, energyWh: 0.03, nodes: [] },
  };

  test("holds what happened against what was said, step by step", async () => {
    const plan = {
      ...PLAN,
      predicted: PREDICTION,
      steps: [...PLAN.steps, { ...PLAN.steps[0], step: "late" }],
    };
    scheduler.append(jobId, "accepted");
    scheduler.append(jobId, "planned", { data: { plan } });
    scheduler.append(jobId, "succeeded");
    scheduler.eventsPerAnswer = 1;
    const receipt = receiptOf(jobId, {
      latencyMs: 1_250,
      predicted: PREDICTION,
      steps: [
        { ...step, step: "scenes", attempts: 1, runMs: 750, predicted: said },
        { ...step, step: "late", attempts: 0, runMs: 0, predicted: said },
      ],
    });
    scheduler.receipts.set(jobId, receipt);
    const explained = await client.explain(jobId);
    expect(explained).toMatchObject({
      state: "succeeded",
      plan: { steps: [{ step: "scenes" }, { step: "late" }] },
      explanation: null,
      predicted: PREDICTION,
      comparison: {
        latencyMs: { actual: 1_250, ratio: 1.25, isWithin: true },
        steps: [
          {
            step: "scenes",
            runMs: { expected: said.runMs, actual: 750, ratio: 1.5, isWithin: false },
            costUsd: { ratio: null, isWithin: true },
            provenance: said.provenance,
          },
        ],
        notRun: ["late"],
      },
    });
  });

  test("a running job, and one of which nothing was said, have no comparison", async () => {
    scheduler.append(jobId, "accepted");
    expect(await client.explain(jobId)).toMatchObject({
      state: "running",
      plan: PLAN,
      receipt: null,
      comparison: null,
    });
    scheduler.receipts.set(jobId, receiptOf(jobId));
    expect(await client.explain(jobId)).toMatchObject({ plan: null, comparison: null });
  });
});
