/**
 * The agent's real process against a real nats-server, with a stub worker: it registers, starts
 * and stops instances, survives the end of the bus, and leaves nothing behind.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { TerminalError } from "@murakkab/kit";
import { subjects } from "@murakkab/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import { isLinux, readStat } from "../src/adapters/proc.ts";
import { processesOf } from "../src/adapters/reaper.ts";
import { executorOf } from "./fakes/fleet-of-one.ts";
import { busOf, launchAgent, MAIN } from "./fixtures/agent-process.ts";
import { temporaryDir, until } from "./fixtures/temporary.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));

beforeAll(() => {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  spawnSync(process.execPath, [tsc, "-b", "packages/node-agent"], { cwd: root });
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing, expected "tsc -b" to make it`);
});

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
      isWitnessed: true,
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
    expect(readdirSync(join(dir, "data")).sort()).toEqual([
      "artifact-port",
      "artifacts",
      "instances",
    ]);
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

  it.runIf(isLinux)("leaves its instance to the next agent when it is killed", async () => {
    const dir = temporaryDir();
    const { ask, registrations, server } = await busOf(dir);
    const agent = launchAgent(dir, ["--nats", server.url]);
    await until("ready line", () => agent.lines.length > 0, 20_000);
    const instance = `main-${process.pid}-4`;
    await ask(subjects.instanceStart("n1"), {
      instance,
      executor: executorOf({ engine: { kind: "function", function: "commands" } }),
      remainingMs: 10_000,
    });
    const scratchDir = join(dir, "data/instances", instance);
    const target = { instance, scratchDir, groupId: null, startTicks: null, isWitnessed: true };
    const groups = readFileSync(join(scratchDir, "pgids"), "utf8")
      .trim()
      .split("\n")
      .map((line) => Number(line.split(" ")[0]));
    expect(groups).toHaveLength(4); // one of them without the instance's name
    await until("commands run", () => processesOf(target).length >= 5);
    const count = processesOf(target).length;
    agent.child.kill("SIGKILL");
    await agent.exitCode;
    const next = launchAgent(dir, ["--nats", server.url]);
    await until("ready line", () => next.lines.length > 0, 20_000);
    expect(processesOf(target)).toHaveLength(count);
    // Whoever knows an artifact by the former agent's address still finds it.
    expect(registrations.at(-1)?.artifactUrl).toBe(registrations[0]?.artifactUrl);
    expect(registrations.at(-1)?.instances).toMatchObject([{ instance, state: "ready" }]);
    next.child.kill("SIGTERM");
    expect(await next.exitCode).toBe(0);
    expect(processesOf(target)).toEqual([]);
    expect(groups.filter((pid) => readStat(pid)?.isZombie === false)).toEqual([]);
  });

  it("ends with one sentence when its name is taken, at its start and later", async () => {
    const dir = temporaryDir();
    const { bus, heard, leader, server } = await busOf(dir);
    const sentence = 'node name "n1" is in use by a live agent on host other, expected a free name';
    leader.refusal = new TerminalError("NODE_NAME_TAKEN", sentence);
    const first = launchAgent(dir, ["--nats", server.url]);
    expect(await first.exitCode).toBe(1);
    expect(first.stderr().split("\n").at(-2)).toBe(sentence);
    expect(heard.some(({ subject }) => subject === subjects.nodeLeft("n1"))).toBe(false);
    leader.refusal = null;
    const second = launchAgent(dir, ["--nats", server.url]);
    await until("ready line", () => second.lines.length > 0, 20_000);
    leader.refusal = new TerminalError("NODE_NAME_TAKEN", sentence);
    bus.messaging.publish(subjects.fleetReport, new Uint8Array());
    expect(await second.exitCode).toBe(1);
    expect(second.stderr()).toContain(
      JSON.stringify(`node agent failed: ${sentence}`).slice(1, -1),
    );
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
