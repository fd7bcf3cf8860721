/**
 * The agent's real process against a real nats-server, with a stub worker: it registers, starts
 * and stops instances, survives the end of the bus, and leaves nothing behind.
 */
import type { ChildProcess } from "node:child_process";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Bus } from "@murakkab/bus";
import { call, serve } from "@murakkab/bus";
import { connectNats } from "@murakkab/bus/nats";
import { startNatsServer } from "@murakkab/bus/nats-server";
import type { NodeRegistration } from "@murakkab/model";
import { decode, nodeRegistrationSchema, subjects } from "@murakkab/protocol";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { isLinux, readStat } from "../src/adapters/proc.ts";
import { processesOf } from "../src/adapters/reaper.ts";
import { executorOf } from "./fakes/fleet-of-one.ts";
import { temporaryDir, until } from "./fixtures/temporary.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const MAIN = join(root, "packages/node-agent/dist/main.js");
const STUB = fileURLToPath(new URL("fixtures/stub-worker.mjs", import.meta.url));

beforeAll(() => {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  spawnSync(process.execPath, [tsc, "-b", "packages/node-agent"], { cwd: root });
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing, expected "tsc -b" to make it`);
});

interface Agent {
  readonly child: ChildProcess;
  readonly lines: string[];
  readonly stderr: () => string;
  readonly exitCode: Promise<number | null>;
}

function launchAgent(dir: string, args: readonly string[], env = {}): Agent {
  const tokenFile = join(dir, "token");
  writeFileSync(tokenFile, "a-cluster-token-of-tests", { mode: 0o600 });
  mkdirSync(join(dir, "data"), { recursive: true });
  const child = spawn(
    process.execPath,
    [MAIN, "--node", "n1", "--data", join(dir, "data"), "--token-file", tokenFile, ...args],
    { env: { PATH: process.env["PATH"], MURAKKAB_WORKER_MAIN: STUB, ...env } },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  const lines: string[] = [];
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => lines.push(...chunk.toString().trim().split("\n")));
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const exitCode = new Promise<number | null>((resolve) => {
    child.on("close", resolve);
  });
  return { child, lines, stderr: () => stderr, exitCode };
}

async function busOf(dir: string) {
  const server = await startNatsServer({ directory: join(dir, "nats") });
  onTestFinished(() => server.stop());
  const bus: Bus = await connectNats({ servers: server.url });
  onTestFinished(() => bus.close());
  const registrations: NodeRegistration[] = [];
  serve(
    bus.messaging,
    {
      subject: subjects.nodeRegister,
      schema: nodeRegistrationSchema,
      what: "registration",
      onDefect: (error) => {
        throw error;
      },
    },
    (registration) => {
      registrations.push(registration);
      return { accepted: true };
    },
  );
  const heard: { readonly subject: string; readonly value: unknown }[] = [];
  bus.messaging.subscribe("mk.v1.>", ({ subject, data, headers }) => {
    heard.push({ subject, value: decode(data, headers).value });
  });
  await bus.messaging.flush();
  const ask = (subject: string, value: unknown) =>
    call<unknown>(bus.messaging, { subject, value }, { timeoutMs: 10_000 });
  return { ask, bus, heard, registrations, server };
}

describe("node agent process", () => {
  it("registers, runs an instance, tells of its death, and leaves nothing", async () => {
    const dir = temporaryDir();
    const { ask, heard, registrations, server } = await busOf(dir);
    const agent = launchAgent(dir, ["--nats", server.url, "--cpus", "1", "--memory", "500"]);
    await until("ready line", () => agent.lines.length > 0, 20_000);
    const ready = JSON.parse(agent.lines[0] ?? "") as { event: string; artifactUrl: string };
    expect(ready).toMatchObject({ event: "node.ready", node: "n1" });
    expect(registrations[0]).toMatchObject({ node: "n1", offer: { cpus: 1, memoryMib: 500 } });
    expect(registrations[0]?.artifactUrl).toBe(ready.artifactUrl);
    expect((await fetch(`${ready.artifactUrl}/healthz`)).status).toBe(200);

    const start = (instance: string, mode: string) =>
      ask(subjects.instanceStart("n1"), {
        instance,
        executor: executorOf({ engine: { kind: "function", function: mode } }),
        remainingMs: 10_000,
      });
    const [one, two] = [`main-${process.pid}-1`, `main-${process.pid}-2`];
    expect(await start(one, "commands")).toEqual({ instance: one, state: "ready" });
    const targetOf = (instance: string) => ({
      instance,
      scratchDir: join(dir, "data/instances", instance),
      groupId: null,
      startTicks: null,
    });
    if (isLinux) {
      const workers = (): number[] => processesOf(targetOf(one));
      await until("commands run", () => workers().length >= 5);
      process.kill(workers()[0] ?? 0, "SIGKILL"); // the worker has the lowest pid
      await until("death is told", () =>
        heard.some(({ subject }) => subject === subjects.instanceExited("n1")),
      );
      expect(heard.find(({ subject }) => subject === subjects.instanceExited("n1"))).toMatchObject({
        value: { instance: one, reason: "signal SIGKILL", wasExpected: false },
      });
      expect(workers()).toEqual([]);
    }
    await start(two, "deaf");
    agent.child.kill("SIGTERM");
    expect(await agent.exitCode).toBe(0);
    expect(heard.some(({ subject }) => subject === subjects.nodeLeft("n1"))).toBe(true);
    if (isLinux) expect(processesOf(targetOf(two))).toEqual([]);
    expect(readdirSync(join(dir, "data")).sort()).toEqual(["artifacts", "instances"]);
    expect(readdirSync(join(dir, "data/instances"))).toEqual([]);
    await expect(fetch(`${ready.artifactUrl}/healthz`)).rejects.toThrow("fetch failed");
    expect(agent.lines).toHaveLength(1);
  });

  it("registers again when the bus is back, with the instance that kept running", async () => {
    const dir = temporaryDir();
    const { ask, registrations, server } = await busOf(dir);
    const agent = launchAgent(dir, ["--nats", server.url]);
    await until("ready line", () => agent.lines.length > 0, 20_000);
    const instance = `main-${process.pid}-3`;
    await ask(subjects.instanceStart("n1"), {
      instance,
      executor: executorOf({ engine: { kind: "function", function: "serve" } }),
      remainingMs: 10_000,
    });
    await server.restart({ isKill: true });
    await until("registered again", () => registrations.length > 1, 20_000);
    expect(registrations.at(-1)?.instances).toMatchObject([{ instance }]);
    agent.child.kill("SIGINT");
    expect(await agent.exitCode).toBe(0);
  });

  it.runIf(isLinux)("takes its instances with it when it is killed", async () => {
    const dir = temporaryDir();
    const { ask, server } = await busOf(dir);
    const agent = launchAgent(dir, ["--nats", server.url]);
    await until("ready line", () => agent.lines.length > 0, 20_000);
    const instance = `main-${process.pid}-4`;
    await ask(subjects.instanceStart("n1"), {
      instance,
      executor: executorOf({ engine: { kind: "function", function: "commands" } }),
      remainingMs: 10_000,
    });
    const target = { instance, scratchDir: "/nonexistent", groupId: null, startTicks: null };
    const groups = readFileSync(join(dir, "data/instances", instance, "pgids"), "utf8")
      .trim()
      .split("\n")
      .map(Number);
    expect(groups).toHaveLength(4); // one of them without the instance's name
    agent.child.kill("SIGKILL");
    await agent.exitCode;
    // The next agent on the same directory removes what the killed one and its worker left.
    const next = launchAgent(dir, ["--nats", server.url]);
    await until("ready line", () => next.lines.length > 0, 20_000);
    expect(processesOf(target)).toEqual([]);
    expect(groups.filter((pid) => readStat(pid)?.isZombie === false)).toEqual([]);
    next.child.kill("SIGTERM");
    expect(await next.exitCode).toBe(0);
  });

  it("ends with one sentence when the bus is away, a flag is wrong, or the bus is open to all", async () => {
    const dir = temporaryDir();
    const away = launchAgent(dir, [
      "--nats",
      "nats://me:pw-secret@127.0.0.1:1",
      "--connect-timeout",
      "1",
    ]);
    expect(await away.exitCode).toBe(1);
    expect(away.stderr()).toContain("127.0.0.1:1");
    expect(away.stderr()).not.toContain("pw-secret");
    const wrong = launchAgent(dir, ["--cpus", "none"]);
    expect(await wrong.exitCode).toBe(1);
    expect(wrong.stderr()).toBe('--cpus is "none", expected a number above 0\n');
    const open = launchAgent(dir, ["--nats", "nats://192.0.2.1:4222"]);
    expect(await open.exitCode).toBe(1);
    expect(open.stderr()).toContain("no credentials are given");
    expect(readdirSync(join(dir, "data"))).toEqual([]);
  });
});
