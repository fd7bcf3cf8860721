/**
 * The commands on a real bus, against a scheduler of the test's own that decides as it is told:
 * what goes to stdout and to stderr, which files are written, and the exit codes.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Bus, serve } from "@murakkab/bus";
import { connectNats } from "@murakkab/bus/nats";
import { type NatsServerProcess, startNatsServer } from "@murakkab/bus/nats-server";
import type { SubmitRequest } from "@murakkab/protocol";
import {
  jobCancelSchema,
  jobEventsSchema,
  jobWaitSchema,
  subjects,
  submitSchema,
} from "@murakkab/protocol";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { Context } from "../src/context.ts";
import { PLAIN } from "../src/render/paint.ts";
import { runCommand } from "../src/run-command.ts";
import { COSTED_PLAN, COSTED_RECEIPT, offerOn } from "./costed-fixtures.ts";
import { jobEvent } from "./fixtures.ts";

const { jobId } = COSTED_RECEIPT;
const COUNTER_OFFER = {
  jobId,
  decision: "counter-offer",
  message: "latency<1s and quality>=0.9 can't hold together",
  offers: [
    offerOn("latency", "latency<12s,quality>=0.9"),
    offerOn("quality", "latency<1s,quality>=0.5"),
  ],
};
const REJECTED = {
  jobId,
  decision: "rejected",
  message: "nothing transcribes",
  binding: "speech-to-text",
};
const ACCEPTED = {
  jobId,
  decision: "accepted",
  plan: COSTED_PLAN,
  notes: ["people are not looked for"],
};

let dir: string;
let server: NatsServerProcess;
let bus: Bus;
let submissions: SubmitRequest[];
let answers: unknown[];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "cli-decisions-"));
  server = await startNatsServer({ directory: join(dir, "nats") });
  bus = await connectNats({ servers: server.url });
  const onDefect = (error: unknown): never => {
    throw error;
  };
  for (const subject of [subjects.jobSubmit, subjects.jobPlan]) {
    serve(bus.messaging, { subject, schema: submitSchema, what: "submission", onDefect }, (job) => {
      submissions.push(job);
      return { ...(answers.shift() as object), jobId: job.jobId };
    });
  }
  const receipt = { what: "job", onDefect };
  serve(
    bus.messaging,
    { ...receipt, subject: subjects.jobGet("*"), schema: jobCancelSchema },
    () => COSTED_RECEIPT,
  );
  serve(
    bus.messaging,
    { ...receipt, subject: subjects.jobWait("*"), schema: jobWaitSchema },
    () => COSTED_RECEIPT,
  );
  serve(
    bus.messaging,
    { ...receipt, subject: subjects.jobEvents("*"), schema: jobEventsSchema },
    () => ({
      events: [jobEvent("planned", 1, { plan: COSTED_PLAN })],
      hasMore: false,
    }),
  );
  await bus.messaging.flush();
});

afterAll(async () => {
  await bus.close();
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

beforeEach(() => {
  submissions = [];
  answers = [];
});

async function murakkab(...args: readonly string[]) {
  const out = { stdout: "", stderr: "" };
  const context: Context = {
    stdout: { write: (text) => (out.stdout += text) },
    stderr: { write: (text) => (out.stderr += text) },
    env: { HOME: dir, NATS_URL: server.url },
    cwd: dir,
    signal: new AbortController().signal,
    paint: PLAIN,
    paintErr: PLAIN,
  };
  return { exitCode: await runCommand(context, args), ...out };
}

test("plan shows the decision's plan with the notes of the reply, and writes page and picture", async () => {
  answers.push(ACCEPTED);
  const done = await murakkab("plan", "who?", "--html", "plan.html", "--svg", "frontier.svg");
  expect(done.exitCode).toBe(0);
  expect(done.stdout).toContain("p50 5.14 s, p95 7.42 s");
  expect(done.stdout).toContain("note: people are not looked for");
  expect(readFileSync(join(dir, "plan.html"), "utf8")).toContain("<h1>who?</h1>");
  expect(readFileSync(join(dir, "frontier.svg"), "utf8")).toContain("<svg");
  expect(done.stderr).toContain("wrote plan.html");
});

test("plan of bounds that can't hold shows what can, with exit code 3, and writes no page", async () => {
  answers.push(COUNTER_OFFER, COUNTER_OFFER, REJECTED);
  const offered = await murakkab("plan", "who?", "--html", "none.html");
  expect(offered.exitCode).toBe(3);
  expect(offered.stdout).toContain("--slo 'latency<12s,quality>=0.9'");
  expect(existsSync(join(dir, "none.html"))).toBe(false);
  const json = await murakkab("plan", "who?", "--json");
  expect(json.exitCode).toBe(3);
  expect(JSON.parse(json.stdout)).toMatchObject({
    decision: "counter-offer",
    offers: COUNTER_OFFER.offers,
  });
  const rejected = await murakkab("plan", "who?");
  expect(rejected.exitCode).toBe(3);
  expect(rejected.stdout).toContain("speech-to-text");
});

test("submit tells a refusal on stderr, and with --json as the reply on stdout", async () => {
  answers.push(COUNTER_OFFER, COUNTER_OFFER, REJECTED);
  const offered = await murakkab("submit", "who?", "--slo", "latency<1s,quality>=0.9");
  expect(offered).toMatchObject({ exitCode: 3, stdout: "" });
  expect(offered.stderr).toContain("--slo 'latency<1s,quality>=0.5'");
  expect(offered.stderr).toContain("--accept-offer latency");
  const json = await murakkab("submit", "who?", "--json");
  expect(json).toMatchObject({ exitCode: 3, stderr: "" });
  expect(JSON.parse(json.stdout)).toMatchObject({
    decision: "counter-offer",
    offers: COUNTER_OFFER.offers,
  });
  const rejected = await murakkab("submit", "who?", "--json");
  expect(JSON.parse(rejected.stdout)).toMatchObject({
    decision: "rejected",
    binding: "speech-to-text",
  });
});

test("submit --accept-offer takes the offer on that axis and runs", async () => {
  answers.push(COUNTER_OFFER, ACCEPTED);
  const done = await murakkab(
    "submit",
    "who?",
    "--slo",
    "latency<1s,quality>=0.9",
    "--accept-offer",
    "quality",
    "--on-host",
  );
  expect(done.exitCode).toBe(0);
  expect(submissions.map(({ slo }) => slo)).toEqual([
    "latency<1s,quality>=0.9",
    "latency<1s,quality>=0.5",
  ]);
  expect(submissions[1]?.constraints).toEqual({ staysOnHost: true });
  expect(done.stderr).toContain("the offer on quality was taken");
  expect(done.stdout).toContain("said p50 5.14 s, p95 7.42 s: 1.14×");
});

test("explain holds what happened against what was said", async () => {
  const done = await murakkab("explain", jobId, "--html", "explain.html");
  expect(done.exitCode).toBe(0);
  expect(done.stdout).toMatch(/speech +3\.90 s +5\.46 s +4\.68 s +1\.20×/);
  expect(readFileSync(join(dir, "explain.html"), "utf8")).toContain("1.20×");
  const json = JSON.parse((await murakkab("explain", jobId, "--json")).stdout) as object;
  expect(json).toMatchObject({
    plan: { workflow: "video-qa" },
    explanation: { objective: "energy" },
    comparison: { latencyMs: { actual: 5_870, isWithin: true }, notRun: ["frames"] },
  });
});
