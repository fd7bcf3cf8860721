/**
 * Goal: on real processes and programs, with the profiles that are shipped: a plan with its price
 * before anything runs, an honest no, shared results, feedback, and what is refused.
 */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { call } from "@murakkab/bus";
import { isRuntimeError } from "@murakkab/kit";
import type { JobPlan, JobReply, PlanExplanation, Receipt } from "@murakkab/model";
import { subjects } from "@murakkab/protocol";
import { RealCluster } from "@murakkab/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

const run = promisify(execFile);
const SAMPLE = fileURLToPath(new URL("../../examples/video-qa/road_trip.mp4", import.meta.url));
const WHO = "Who is wearing the red dress?";

let cluster: RealCluster;
let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "murakkab-plan-"));
  const copy = ["-hide_banner", "-loglevel", "error", "-nostdin", "-y", "-t", "12", "-i", SAMPLE];
  await run("ffmpeg", [...copy, "-c", "copy", join(root, "clip.mp4")]);
  cluster = await RealCluster.start({
    agents: ["n1", "n2"].map((node) => ({ node, cpus: 1, args: ["--input-root", root] })),
  });
});

afterAll(async () => {
  await cluster.stop();
  await rm(root, { recursive: true, force: true });
});

function ask<T>(subject: string, value: unknown): Promise<T> {
  return call<T>(cluster.bus.messaging, { subject, value }, { timeoutMs: 60_000 });
}

function job(more: Readonly<Record<string, unknown>> = {}) {
  return { description: WHO, inputs: ["clip.mp4"], ...more };
}

async function finish(more: Readonly<Record<string, unknown>>): Promise<Receipt> {
  const reply = await cluster.submit(job(more));
  if (!("jobId" in reply)) throw new Error(JSON.stringify(reply));
  return cluster.wait(reply.jobId);
}

async function codeOf(answer: Promise<unknown>): Promise<string> {
  return answer.then(
    (value) => `answered ${JSON.stringify(value)}`,
    (error: unknown) => (isRuntimeError(error) ? error.code : String(error)),
  );
}

test("a plan says what it takes, what else there was, and why not that", async () => {
  const request = job({ slo: "good", objective: "energy" });
  const { plan } = await ask<{ plan: JobPlan }>(subjects.jobPlan, request);
  const { predicted, explanation } = plan;
  expect(predicted?.latencyMs.p50).toBeGreaterThan(0);
  expect(predicted?.latencyMs.p95).toBeGreaterThanOrEqual(predicted?.latencyMs.p50 ?? 0);
  expect(predicted?.quality?.low).toBeGreaterThan(0.3);
  expect(plan.steps.every((step) => (step.predicted?.provenance.note ?? "") !== "")).toBe(true);
  expect(explanation?.frontier.filter((it) => it.isChosen)).toHaveLength(1);
  expect(explanation?.frontier.length).toBeGreaterThan(2);
  expect(explanation?.rejected.length).toBeGreaterThan(3);
  expect(explanation?.slo.qualityMin).toBeGreaterThan(0.3);
});

test("a job runs as planned, its receipt compares, and it is explained afterwards", async () => {
  const receipt = await finish({ slo: "good,latency<60s,cost<$1", objective: "energy" });
  expect(receipt).toMatchObject({ state: "succeeded", answer: "Anna" });
  expect(receipt.sloMet).toMatchObject({ latency: true, cost: true });
  expect(receipt.predicted?.costUsd.p95).toBeGreaterThan(0);
  expect(receipt.configuration).toContain("question-answering");
  const { explanation } = await ask<{ explanation: PlanExplanation | null }>(
    subjects.jobExplain(receipt.jobId),
    null,
  );
  expect(explanation?.configuration).toBe(receipt.configuration);
  expect(explanation?.rejected.length).toBeGreaterThan(0);
});

test("what can't be kept leaves nothing behind, and what is offered instead is taken", async () => {
  const jobId = randomUUID();
  const refused = await cluster.submit(job({ jobId, slo: "latency<20ms,quality>=0.3" }));
  if (!("decision" in refused) || refused.decision !== "counter-offer") {
    throw new Error(JSON.stringify(refused));
  }
  const offer = refused.offers.find((it) => it.axis === "latency");
  expect(offer?.slo.latencyMsMax).toBeGreaterThan(20);
  expect(await codeOf(ask(subjects.jobGet(jobId), null))).toBe("NOT_FOUND");
  const taken: JobReply = await cluster.submit(job({ jobId, slo: offer?.sloText }));
  expect(taken).toMatchObject({ jobId, decision: "accepted" });
  expect(await cluster.wait(jobId)).toMatchObject({ state: "succeeded" });
});

test("quality that nothing has, and a budget that buys nothing, are not promised", async () => {
  for (const slo of ["quality>=0.9999", "cost<$0.000000001"]) {
    const reply = await cluster.submit(job({ slo }));
    expect(reply, slo).toMatchObject({ decision: "counter-offer" });
  }
});

test("equal steps run once within a tenant, and afresh when the job says so", async () => {
  const tenant = `t-${randomUUID().slice(0, 8)}`;
  const first = await finish({ tenant });
  expect(first.steps.every((step) => step.shared === undefined)).toBe(true);
  const second = await finish({ tenant });
  expect(second.steps.every((step) => step.shared?.fromJobs.includes(first.jobId))).toBe(true);
  expect(second.costUsd).toBe(0);
  expect(second.answer).toBe(first.answer);
  const other = await finish({ tenant: `${tenant}-other` });
  expect(other.costUsd).toBeGreaterThan(0);
  const fresh = await finish({ tenant, fresh: true });
  expect(fresh.costUsd).toBeGreaterThan(0);
});

test("feedback is taken once per finished job of one's own", async () => {
  const { jobId } = await finish({ tenant: "mine" });
  const feedback = (id: string, value: Readonly<Record<string, unknown>>): Promise<unknown> =>
    ask(subjects.jobFeedback, { jobId: id, ...value });
  expect(await feedback(jobId, { score: 1, tenant: "mine" })).toMatchObject({ jobId });
  expect(await codeOf(feedback(jobId, { score: 1, tenant: "other" }))).toBe("FORBIDDEN");
  expect(await codeOf(feedback(jobId, { score: 2, tenant: "mine" }))).toBe("INVALID_ARGUMENT");
  expect(await codeOf(feedback(randomUUID(), { score: 1 }))).toBe("NOT_FOUND");
  const running = await cluster.submit(job({ tenant: "mine", fresh: true }));
  if (!("jobId" in running)) throw new Error(JSON.stringify(running));
  const early = feedback(running.jobId, { score: 1, tenant: "mine" });
  expect(await codeOf(early)).toBe("JOB_NOT_FINISHED");
  await cluster.wait(running.jobId);
});

test("a configuration runs as it is named; nonsense and bounds beside it are refused", async () => {
  const { configuration = "" } = await finish({ slo: "good" });
  const again = await finish({ constraints: { configuration }, fresh: true });
  expect(again.state).toBe("succeeded");
  const refused = (more: Readonly<Record<string, unknown>>): Promise<string> =>
    codeOf(cluster.submit(job(more)));
  expect(await refused({ constraints: { configuration: "nonsense" } })).toBe("INVALID_ARGUMENT");
  const both = { constraints: { configuration }, slo: "cost<$1" };
  expect(await refused(both)).toBe("INVALID_ARGUMENT");
});
