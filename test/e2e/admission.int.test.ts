/** Goal: who may join, and what is told while nobody is there. */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { RealCluster, RealProcess, waitFor } from "@murakkab/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

const SCHEDULER = fileURLToPath(new URL("../../packages/scheduler/dist/main.js", import.meta.url));
const AGENT = fileURLToPath(new URL("../../packages/node-agent/dist/main.js", import.meta.url));
/** Nothing listens on the discard port of the loopback interface. */
const NOBODY = "nats://127.0.0.1:9";

let cluster: RealCluster;
let directory: string;
let token: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "murakkab-admission-"));
  token = join(directory, "token");
  await writeFile(token, randomBytes(32).toString("hex"), { mode: 0o600 });
  cluster = await RealCluster.start({ agents: [] });
});

afterAll(async () => {
  await cluster.stop();
  await rm(directory, { recursive: true, force: true });
});

/** Runs a process to its end; its exit code and what it said. */
async function runToEnd(
  program: string,
  args: readonly string[],
): Promise<{ code: number | null; said: string }> {
  const child = new RealProcess(
    program,
    spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "pipe"] }),
  );
  await waitFor(() => child.hasExited, { what: `${program} to end`, timeoutMs: 30_000 });
  return {
    code: child.exitCode,
    said: child.lines.filter((line) => !line.startsWith("{")).join("\n"),
  };
}

test("without an agent a submission is refused with what to start", async () => {
  await expect(cluster.submit({ description: "who is it?", inputs: [] })).rejects.toMatchObject({
    code: "NO_NODES",
    message: expect.stringContaining("murakkab node"),
  });
});

test("two agents that offer more than their host: the second is refused, both are named", async () => {
  cluster.startAgent({ node: "first", cpus: cpus().length });
  await cluster.agents.get("first")?.ready("node.ready");
  const args = [
    "--nats",
    cluster.server.url,
    "--token-file",
    token,
    "--node",
    "second",
    "--cpus",
    "1",
  ];
  const { code, said } = await runToEnd(AGENT, [
    ...args,
    "--memory",
    "512",
    "--data",
    join(directory, "second"),
  ]);
  expect(code).not.toBe(0);
  expect(said).toMatch(/first and second.*expected at most the host's/);
});

test("NATS down at start: one sentence with the address, not a stack", async () => {
  for (const program of [SCHEDULER, AGENT]) {
    const { code, said } = await runToEnd(program, [
      "--nats",
      NOBODY,
      "--token-file",
      token,
      "--connect-timeout",
      "1",
    ]);
    expect(code).not.toBe(0);
    expect(said).toContain("127.0.0.1:9");
    expect(said).not.toMatch(/\n\s+at /);
  }
});

test("a bus on another machine without credentials is refused", async () => {
  for (const program of [SCHEDULER, AGENT]) {
    const { code, said } = await runToEnd(program, [
      "--nats",
      "nats://bus.example:4222",
      "--token-file",
      token,
    ]);
    expect(code).not.toBe(0);
    expect(said).toMatch(/credentials.*--insecure/);
  }
});

test("an advertised address that does not answer is not used, and the agent says why", async () => {
  const agent = cluster.startAgent({
    node: "unreachable",
    cpus: 1,
    args: ["--advertise", "127.0.0.1:9", "--log-level", "debug"],
  });
  await waitFor(
    () => agent.lines.some((line) => line.includes("127.0.0.1:9") && line.includes("reach")),
    {
      what: "the agent to tell of the refusal",
      timeoutMs: 20_000,
    },
  );
  expect(agent.lines.join("\n")).not.toContain('"node.ready"');
});
