/**
 * Goal: jobs on real processes over a real nats-server with plain JSON: the way to an answer, bad
 * input of every kind, and the loss of each part in mid-job.
 */
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { call } from "@murakkab/bus";
import { isRuntimeError } from "@murakkab/kit";
import type { JobReply, Receipt } from "@murakkab/model";
import { decode, encode, type JobEvent, subjects } from "@murakkab/protocol";
import { connect } from "@murakkab/sdk";
import { RealCluster, waitFor } from "@murakkab/testkit";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const LIBRARY = fileURLToPath(new URL("library", import.meta.url));
const UUID = "0b7f3f0e-6c43-4f0e-9a52-3a1c5f1f6a00";

let cluster: RealCluster;
let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "murakkab-root-"));
  await writeFile(join(root, "lines.txt"), "b\na\nc\n");
  await writeFile(join(root, "empty.txt"), "");
  await writeFile(join(root, "words.mp4"), "this is no video\n");
  await mkdir(join(root, "outside"));
  await symlink("/etc/hostname", join(root, "outside", "link"));
  cluster = await RealCluster.start({
    agents: ["n1", "n2"].map((node) => ({ node, cpus: 1, args: ["--input-root", root] })),
    libraries: [LIBRARY],
  });
});

afterAll(async () => {
  await cluster.stop();
  await rm(root, { recursive: true, force: true });
});

/** Every step runs: jobs of this file are much the same. */
async function runTask(
  description: string,
  more: Readonly<Record<string, unknown>> = {},
): Promise<Receipt> {
  const reply = await cluster.submit({
    description,
    inputs: ["lines.txt"],
    fresh: true,
    ...more,
  });
  if (!("jobId" in reply)) throw new Error(`not accepted: ${JSON.stringify(reply)}`);
  return cluster.wait(reply.jobId);
}

async function refusal(
  body: unknown,
): Promise<{ code: string; message: string; field: string | undefined }> {
  try {
    const value = { subject: subjects.jobSubmit, value: body };
    const reply = await call<JobReply>(cluster.bus.messaging, value, {
      timeoutMs: 30_000,
      encoding: "json",
    });
    throw new Error(`was accepted: ${JSON.stringify(reply)}`);
  } catch (error) {
    if (!isRuntimeError(error)) throw error;
    return { code: error.code, message: error.message, field: error.field };
  }
}

describe("a job", () => {
  test("runs in a worker of a named node; the receipt has its cost and its place", async () => {
    const receipt = await runTask("line sorting please");
    expect(receipt).toMatchObject({ state: "succeeded", workflow: "type-directed" });
    expect(receipt.output).toMatchObject({ bytes: 6, mediaType: "text/plain" });
    expect(receipt.costUsd).toBeGreaterThan(0);
    expect(receipt.energyProvenance).toBe("modelled");
    const [step] = receipt.steps;
    expect(step).toMatchObject({ executor: "sort-lines", attempts: 1 });
    expect(["n1", "n2"]).toContain(step?.node);
  });

  test("events are numbered from 1 without a gap and kept", async () => {
    const receipt = await runTask("line sorting please");
    const request = { subject: subjects.jobEvents(receipt.jobId), value: { after: 0 } };
    const { events } = await call<{ events: JobEvent[] }>(cluster.bus.messaging, request, {
      timeoutMs: 5_000,
      encoding: "json",
    });
    expect(events.map((event) => event.number)).toEqual(events.map((_event, index) => index + 1));
    expect(events[0]?.event).toBe("accepted");
    expect(events.at(-1)?.event).toBe("succeeded");
  });

  test("the same idempotency key and the same job id give the same job", async () => {
    const body = { description: "line sorting", inputs: ["lines.txt"], idempotencyKey: "once" };
    const first = await cluster.submit(body);
    const second = await cluster.submit(body);
    expect(second).toMatchObject({ jobId: (first as { jobId: string }).jobId });
    const own = { jobId: UUID, description: "line sorting", inputs: ["lines.txt"] };
    expect(await cluster.submit(own)).toMatchObject({ jobId: UUID });
    expect(await cluster.submit(own)).toMatchObject({ jobId: UUID });
    expect(await refusal({ ...own, description: "slow copying" })).toMatchObject({
      code: "JOB_ID_TAKEN",
      field: "jobId",
    });
  });

  test("an inline workflow runs, and its plan can be had without running", async () => {
    const workflow = {
      name: "two-steps",
      inputs: { file: "file" },
      steps: [
        {
          id: "sort",
          capability: "line-sorting",
          inputs: { file: { kind: "input", input: "file" } },
        },
      ],
      output: { kind: "step", step: "sort", output: "result" },
    };
    const body = { workflow, inputs: ["lines.txt"] };
    const plan = await call<JobReply>(
      cluster.bus.messaging,
      { subject: subjects.jobPlan, value: body },
      { timeoutMs: 10_000 },
    );
    expect(plan).toMatchObject({
      plan: { workflow: "two-steps", steps: [{ executor: "sort-lines" }] },
    });
    const reply = await cluster.submit(body);
    expect(await cluster.wait((reply as { jobId: string }).jobId)).toMatchObject({
      state: "succeeded",
    });
  });

  test("a bound on what was never measured is refused; others are judged by the outcome", async () => {
    const body = { description: "line sorting", inputs: ["lines.txt"], fresh: true };
    expect(await cluster.submit({ ...body, slo: "cost<$2,quality>=0.5" })).toMatchObject({
      decision: "rejected",
      binding: "quality",
      message: expect.stringContaining("never measured"),
    });
    const reply = await cluster.submit({ ...body, slo: "cost<$2" });
    const receipt = await cluster.wait((reply as { jobId: string }).jobId);
    expect(receipt.sloMet).toEqual({ cost: true });
  });
});

describe("artifacts", () => {
  test("the file that a job made can be fetched with a ticket, and only with one", async () => {
    const receipt = await runTask("line sorting please");
    const { artifact } = receipt.output as { artifact: string };
    const client = await connect({ nats: cluster.server.url });
    const path = join(root, "sorted.txt");
    try {
      expect(await client.download(artifact, path)).toMatchObject({ artifact, bytes: 6 });
      expect(await readFile(path, "utf8")).toBe("a\nb\nc\n");
      const unknown = `artifact://sha256/${"1".repeat(64)}`;
      await expect(client.download(unknown, path)).rejects.toMatchObject({ code: "NOT_FOUND" });
      const request = { subject: subjects.artifactDownload, value: { artifact } };
      const { url } = await call<{ url: string }>(cluster.bus.messaging, request, {
        timeoutMs: 5_000,
      });
      expect((await fetch(url)).status).toBe(401);
    } finally {
      await client.close();
    }
  });
});

describe("refused submissions name field, value and what was expected", () => {
  const cases: readonly [string, unknown, { code: string; field?: string; says: RegExp }][] = [
    [
      "nothing asked",
      { inputs: [] },
      { code: "INVALID_ARGUMENT", says: /at least one of description and workflow/ },
    ],
    [
      "empty question",
      { description: "  ", inputs: [] },
      { code: "INVALID_ARGUMENT", field: "description", says: /at least one character/ },
    ],
    [
      "unknown field",
      { description: "x", inputs: [], colour: "red" },
      { code: "INVALID_ARGUMENT", field: "colour", says: /unknown field "colour"/ },
    ],
    [
      "unknown workflow",
      { workflow: "nope", inputs: [] },
      {
        code: "INVALID_ARGUMENT",
        field: "workflow",
        says: /"nope" is not known, expected one of: /,
      },
    ],
    [
      "unknown objective",
      { description: "x", objective: "speed" },
      { code: "INVALID_ARGUMENT", field: "objective", says: /"speed".*cost, energy/ },
    ],
    [
      "bad slo",
      { description: "x", slo: "cost<2 bananas" },
      { code: "INVALID_ARGUMENT", field: "slo", says: /character 8 .*dollars/ },
    ],
    [
      "knob outside its values",
      {
        description: "slow copying",
        inputs: ["lines.txt"],
        constraints: { knobs: { "slow-copy": { delayMs: 7 } } },
      },
      { code: "INVALID_ARGUMENT", says: /delayMs.* is 7, expected one of 100, 1500, 20000/ },
    ],
    [
      "missing file",
      { description: "line sorting", inputs: ["nothing.txt"] },
      { code: "INVALID_ARGUMENT", field: "inputs.0", says: /nothing\.txt/ },
    ],
    [
      "empty file",
      { description: "line sorting", inputs: ["empty.txt"] },
      { code: "INVALID_ARGUMENT", field: "inputs.0", says: /empty/ },
    ],
    [
      "text named mp4",
      { description: "who is it?", inputs: ["words.mp4"] },
      { code: "INVALID_ARGUMENT", says: /words\.mp4.*expected a video/ },
    ],
    [
      "path outside the roots",
      { description: "line sorting", inputs: ["/etc/hostname"] },
      { code: "INVALID_ARGUMENT", field: "inputs.0", says: /outside/ },
    ],
    [
      "link out of the roots",
      { description: "line sorting", inputs: ["outside/link"] },
      { code: "INVALID_ARGUMENT", field: "inputs.0", says: /outside/ },
    ],
    [
      "private address",
      { description: "line sorting", inputs: ["http://127.0.0.1:1/x"] },
      { code: "INVALID_ARGUMENT", field: "inputs.0", says: /127\.0\.0\.1/ },
    ],
    [
      "unknown artifact",
      { description: "line sorting", inputs: [`artifact://sha256/${"0".repeat(64)}`] },
      { code: "NOT_FOUND", field: "inputs.0", says: /held by no node/ },
    ],
    [
      "program that no node has",
      { description: "absent working", inputs: ["lines.txt"] },
      { code: "NO_PLAN", says: /program-that-nobody-has/ },
    ],
  ];
  test.each(cases)("%s", async (_name, body, expected) => {
    const told = await refusal(body);
    expect(told.message).toMatch(expected.says);
    expect(told.code).toBe(expected.code);
    if (expected.field !== undefined) expect(told.field).toBe(expected.field);
  });

  test("JSON that is none, and a message over the limit", async () => {
    const { messaging } = cluster.bus;
    const headers = { "Content-Type": "application/json" };
    const reply = await messaging.request(subjects.jobSubmit, new TextEncoder().encode("{oops"), {
      timeoutMs: 5_000,
      headers,
    });
    expect(decode(reply.data, reply.headers).value).toMatchObject({
      error: { code: "INVALID_ARGUMENT", message: expect.stringContaining("not valid JSON") },
    });
    const huge = encode({ description: "x".repeat(2_000_000) }, "json");
    await expect(
      messaging.request(subjects.jobSubmit, huge, { timeoutMs: 5_000 }),
    ).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });
});

describe("programs that misbehave fail the job with one clear sentence", () => {
  const cases: readonly [string, string, RegExp][] = [
    ["crash working", "ENGINE_FAILED", /exit code 3/],
    ["hang working", "ENGINE_TIMEOUT", /1 ?s|1000 ms/],
    ["flood working", "OUTPUT_LIMIT", /more than its limit/],
  ];
  test.each(cases)("%s", async (description, code, says) => {
    const receipt = await runTask(description);
    expect(receipt).toMatchObject({ state: "failed", error: { code } });
    expect(receipt.error?.message).toMatch(says);
    expect(receipt.answer).toBeNull();
  });

  test("the last lines of stderr are the detail", async () => {
    const receipt = await runTask("crash working");
    expect(receipt.error?.detail).toContain("the disk of cards fell");
  });

  test("a program that dies by a signal is tried again, then the job fails", async () => {
    const receipt = await runTask("abort working");
    expect(receipt).toMatchObject({ state: "failed", error: { code: "ENGINE_CRASHED" } });
    expect(receipt.steps[0]?.attempts).toBe(3);
  });
});

describe("losses in mid-job", () => {
  const slow = (delayMs: number, jobId: string) => ({
    jobId,
    description: "slow copying",
    inputs: ["lines.txt"],
    fresh: true,
    constraints: { knobs: { "slow-copy": { delayMs } } },
  });
  let counter = 1;
  const nextId = () =>
    `0b7f3f0e-6c43-4f0e-9a52-3a1c5f1f6b${String((counter += 1)).padStart(2, "0")}`;

  test("cancel ends the program and the job", async () => {
    const jobId = nextId();
    const started = cluster.nextEvent(jobId, "attempt-started");
    await cluster.submit(slow(20_000, jobId));
    const instance = String((await started).data["instance"]);
    await waitFor(async () => (await cluster.pidsOfInstance(instance)).length >= 1, {
      what: "the program to run",
    });
    const request = { subject: subjects.jobCancel(jobId), value: null };
    const receipt = await call<Receipt>(cluster.bus.messaging, request, { timeoutMs: 10_000 });
    expect(receipt).toMatchObject({ state: "cancelled", error: { code: "CANCELLED" } });
    await waitFor(async () => (await cluster.pidsOfInstance(instance)).length <= 1, {
      what: "the program to be gone",
    });
  });

  test("a deadline ends the job", async () => {
    const jobId = nextId();
    await cluster.submit({ ...slow(20_000, jobId), deadlineMs: 500 });
    expect(await cluster.wait(jobId)).toMatchObject({
      state: "failed",
      error: { code: "DEADLINE_EXCEEDED" },
    });
  });

  test("kill -9 of the worker: the answer comes with two attempts, nothing is left behind", async () => {
    const jobId = nextId();
    const started = cluster.nextEvent(jobId, "attempt-started");
    await cluster.submit(slow(1_500, jobId));
    const instance = String((await started).data["instance"]);
    await waitFor(async () => (await cluster.pidsOfInstance(instance)).length >= 2, {
      what: "worker and program",
    });
    const pids = await cluster.pidsOfInstance(instance);
    process.kill(Math.min(...pids), "SIGKILL");
    const receipt = await cluster.wait(jobId);
    expect(receipt).toMatchObject({ state: "succeeded", steps: [{ attempts: 2 }] });
    await waitFor(async () => (await cluster.pidsOfInstance(instance)).length === 0, {
      what: "all of the dead instance to be gone",
    });
  });

  test("nats-server goes away and comes back: the job still answers", async () => {
    const jobId = nextId();
    const started = cluster.nextEvent(jobId, "attempt-started");
    await cluster.submit(slow(1_500, jobId));
    await started;
    await cluster.server.restart({ isKill: true });
    await waitFor(
      async () => {
        const request = { subject: subjects.jobGet(jobId), value: null };
        const status = await call<Receipt>(cluster.bus.messaging, request, {
          timeoutMs: 1_000,
        }).catch(() => null);
        return status?.state === "succeeded";
      },
      { what: "the job to succeed", timeoutMs: 30_000 },
    );
  });

  test("kill -9 of the scheduler: the next one runs the job to its end", async () => {
    const jobId = nextId();
    const started = cluster.nextEvent(jobId, "attempt-started");
    await cluster.submit(slow(1_500, jobId));
    await started;
    await cluster.restartScheduler();
    const receipt = await cluster.wait(jobId);
    expect(receipt).toMatchObject({ state: "succeeded" });
    const request = { subject: subjects.jobEvents(jobId), value: { after: 0 } };
    const { events } = await call<{ events: JobEvent[] }>(cluster.bus.messaging, request, {
      timeoutMs: 5_000,
    });
    expect(events.map((event) => event.number)).toEqual(events.map((_event, index) => index + 1));
    expect(events.filter((event) => event.event === "succeeded")).toHaveLength(1);
  });

  test("kill -9 of an agent: its node is lost, the job answers from the other one", async () => {
    const jobId = nextId();
    // No file: an input that only the dead host held could not be read again.
    const workflow = {
      name: "echo",
      inputs: { question: "question" },
      steps: [
        {
          id: "echo",
          capability: "slow-echoing",
          inputs: { question: { kind: "input", input: "question" } },
        },
      ],
      output: { kind: "step", step: "echo", output: "result" },
    };
    const started = cluster.nextEvent(jobId, "attempt-started");
    await cluster.submit({ jobId, description: "who is there?", workflow });
    const node = String((await started).data["node"]);
    cluster.agents.get(node)?.kill("SIGKILL");
    const receipt = await cluster.wait(jobId);
    expect(receipt).toMatchObject({ state: "succeeded" });
    expect(receipt.steps[0]?.attempts).toBeGreaterThanOrEqual(2);
    expect(receipt.steps[0]?.node).not.toBe(node);
    cluster.startAgent({ node, cpus: 1, args: ["--input-root", root] });
    await cluster.agents.get(node)?.ready("node.ready");
  });
});
