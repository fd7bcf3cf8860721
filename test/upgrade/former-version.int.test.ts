/**
 * Goal: this version works with the one before it, so that a fleet can be upgraded one process
 * after the other. Our processes are real, on a real nats-server; those of the former version are
 * the messages that it sent.
 */
import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { call, serve } from "@murakkab/bus";
import { connectNats } from "@murakkab/bus/nats";
import { startNatsServer } from "@murakkab/bus/nats-server";
import { loadLibrary } from "@murakkab/library";
import { nodeProbeSchema, subjects } from "@murakkab/protocol";
import { connect } from "@murakkab/sdk";
import { RealCluster, RealProcess, waitFor } from "@murakkab/testkit";
import { connect as connectPlain, JSONCodec } from "nats";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { FormerAgent } from "./former-agent.ts";
import { formerAttempt, readAsFormer } from "./former-messages.ts";

const LIBRARY = fileURLToPath(new URL("../../bench/library", import.meta.url));
const AGENT = fileURLToPath(new URL("../../packages/node-agent/dist/main.js", import.meta.url));
const TASK = { workflow: "bench-dag", description: "a small job", fresh: true };

describe("schedulers of this version, an agent of the former one", () => {
  let cluster: RealCluster;
  let agent: FormerAgent;

  beforeEach(async () => {
    cluster = await RealCluster.start({ agents: [], libraries: [LIBRARY] });
    agent = await FormerAgent.start(cluster.bus, "former");
  });

  afterEach(async () => {
    agent.stop();
    await cluster.stop();
  });

  test("a job runs through, each attempt under a key of its own", async () => {
    const client = await connect({ nats: cluster.server.url });
    onTestFinished(() => client.close());
    const job = await client.submit(TASK);
    const { state, steps } = await job.result();
    expect([state, steps.map(({ node }) => node)]).toEqual(["succeeded", Array(5).fill("former")]);
    expect(new Set(agent.keys).size).toBe(5);
    expect(agent.errors).toEqual([]);
  });

  test("requests of the former clients, plain JSON, are answered as before", async () => {
    const connection = await connectPlain({ servers: cluster.server.url });
    onTestFinished(() => connection.close());
    const codec = JSONCodec();
    const ask = async (subject: string, body?: unknown): Promise<Record<string, unknown>> => {
      const data = body === undefined ? new Uint8Array() : codec.encode(body);
      const reply = await connection.request(subject, data, { timeout: 10_000 });
      return reply.json();
    };
    const jobId = randomUUID();
    const accepted = await ask("mk.v1.job.submit", { ...TASK, jobId, inputs: [] });
    expect(accepted).toMatchObject({
      jobId,
      decision: "accepted",
      plan: { workflow: "bench-dag" },
    });
    const receipt = await ask(`mk.v1.job.wait.${jobId}`, { timeoutMs: 9_000 });
    expect(receipt).toMatchObject({
      jobId,
      state: "succeeded",
      workflow: "bench-dag",
      evidence: [],
    });
    expect(await ask(`mk.v1.job.get.${jobId}`)).toEqual(receipt);
    const { events } = await ask(`mk.v1.job.events.${jobId}`, { after: 0 });
    const names = (events as { event: string; number: number }[]).map(({ event }) => event);
    expect([names[0], names[1], names.at(-1)]).toEqual(["accepted", "planned", "succeeded"]);
    expect(await ask("mk.v1.job.list", { limit: 5 })).toMatchObject({
      jobs: [{ jobId, state: "succeeded", stepStates: {} }],
    });
    expect(await ask("mk.v1.node.list")).toMatchObject({ nodes: [{ node: "former" }] });
    expect(await ask(`mk.v1.job.cancel.${jobId}`, { reason: "late" })).toEqual(receipt);
    const unknown = await ask(`mk.v1.job.get.${randomUUID()}`);
    expect(unknown).toMatchObject({ error: { code: "NOT_FOUND", retryable: false } });
  });

  test("a new leader learns of the agent by its heartbeat, and of what it runs", async () => {
    const client = await connect({ nats: cluster.server.url });
    onTestFinished(() => client.close());
    await (await client.submit(TASK)).result();
    const before = await client.instances();
    await cluster.restartScheduler();
    await waitFor(async () => (await client.nodes()).length === 1, { what: "the node again" });
    expect(agent.registrationCount).toBeGreaterThan(1);
    const after = await client.instances();
    expect(after.map(({ instance }) => instance)).toEqual(before.map(({ instance }) => instance));
    expect((await (await client.submit(TASK)).result()).state).toBe("succeeded");
    expect(agent.errors).toEqual([]);
  });
});

test("an agent of this version obeys a scheduler of the former one", async () => {
  const directory = await mkdtemp(join(tmpdir(), "murakkab-former-"));
  const token = join(directory, "token");
  await writeFile(token, "f".repeat(64), { mode: 0o600 });
  const server = await startNatsServer({ directory: join(directory, "nats") });
  const bus = await connectNats({ servers: server.url, name: "former-scheduler" });
  const onDefect = (error: unknown): never => {
    throw error;
  };
  const register = {
    subject: subjects.nodeRegister,
    schema: nodeProbeSchema,
    what: "it",
    onDefect,
  };
  serve(bus.messaging, register, () => ({ accepted: true, programs: [] }));
  const node = ["--node", "n1", "--cpus", "1", "--memory", "1024", "--data", join(directory, "n1")];
  const args = [AGENT, "--nats", server.url, "--token-file", token, ...node];
  const stdio: ("ignore" | "pipe")[] = ["ignore", "pipe", "pipe"];
  const agent = new RealProcess("n1", spawn(process.execPath, args, { stdio }));
  try {
    await agent.ready("node.ready");
    const executor = loadLibrary([LIBRARY]).executors.find(({ id }) => id === "bench-noop");
    const ask = (subject: string, value: unknown): Promise<unknown> =>
      call(bus.messaging, { subject, value }, { timeoutMs: 20_000 });
    const start = { instance: "i1", executor, remainingMs: 20_000 };
    expect(await ask(subjects.instanceStart("n1"), start)).toEqual({
      instance: "i1",
      state: "ready",
    });
    const payload = formerAttempt({ jobId: "j1", step: "a", value: "hello" });
    readAsFormer("attempt", payload);
    const envelope = { kind: "ask", id: randomUUID(), remainingMs: 10_000, payload };
    expect(await ask(subjects.actor("worker", "i1"), envelope)).toMatchObject({
      value: { outputs: { value: { kind: "inline", value: "hello" } } },
    });
    await ask(subjects.instanceStop("n1"), { instance: "i1", graceMs: 1_000 });
  } finally {
    agent.kill("SIGTERM");
    await agent.ended();
    await bus.close();
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  }
});
