/** Real child processes with a stub worker: the spec, the channel, the end of all that they start. */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SILENT_LOGGER } from "@murakkab/kit";
import { describe, expect, it, onTestFinished } from "vitest";
import { ChildProcesses } from "../../src/adapters/child-processes.ts";
import { recordOf, writeRecord } from "../../src/adapters/instance-record.ts";
import { isLinux, processTree, readStat } from "../../src/adapters/proc.ts";
import { processesOf } from "../../src/adapters/reaper.ts";
import type { InstanceProcess, ProcessExit, WorkerStatus } from "../../src/ports.ts";
import { executorOf } from "../fakes/fleet-of-one.ts";
import { temporaryDir, until } from "../fixtures/temporary.ts";

const STUB = fileURLToPath(new URL("../fixtures/stub-worker.mjs", import.meta.url));
let instanceCount = 0;

function launch(mode: string, dir = temporaryDir()) {
  instanceCount += 1;
  const instance = `test-${process.pid}-${instanceCount}`;
  const seen = { isReady: false, exits: [] as ProcessExit[], status: null as WorkerStatus | null };
  const processes = new ChildProcesses({
    dir,
    node: "n1",
    workerMain: STUB,
    bus: { servers: "nats://127.0.0.1:4222", password: "hidden-password" },
    logLevel: "info",
    orphanLimitMs: 30_000,
    log: SILENT_LOGGER,
    env: { ...process.env, NATS_PASSWORD: "hidden-password" },
    onStderr: () => undefined,
  });
  const executor = executorOf({ engine: { kind: "function", function: mode } });
  const child: InstanceProcess = processes.spawn(
    { instance, executor },
    {
      onReady: () => {
        seen.isReady = true;
      },
      onStatus: (status) => {
        seen.status = status;
      },
      onExit: (exit) => seen.exits.push(exit),
    },
  );
  onTestFinished(async () => {
    child.kill();
    await child.reap();
  });
  return { child, dir, instance, processes, seen };
}

function processesIn(dir: string): ChildProcesses {
  return new ChildProcesses({
    dir,
    node: "n1",
    workerMain: STUB,
    bus: { servers: "" },
    logLevel: "info",
    orphanLimitMs: 30_000,
    log: SILENT_LOGGER,
    env: {},
    onStderr: () => undefined,
  });
}

describe("child processes", () => {
  it("gives the spec over stdin, secrets nowhere else, and hears ready and status", async () => {
    const { child, seen, instance } = launch("serve");
    await until("ready", () => seen.isReady);
    expect(seen.status).toMatchObject({ queuedCount: 0, inFlightCount: 1 });
    const told = JSON.parse(readFileSync(join(child.scratchDir, "seen.json"), "utf8"));
    expect(told.spec).toMatchObject({
      node: "n1",
      instance,
      scratchDir: child.scratchDir,
      bus: { password: "hidden-password" },
    });
    expect(told.env["MURAKKAB_INSTANCE"]).toBe(instance);
    expect(JSON.stringify([told.argv, told.env])).not.toContain("hidden-password");
  });

  it("tells how it ended, with its last words and without credentials", async () => {
    const { seen } = launch("crash");
    await until("exit", () => seen.exits.length === 1);
    expect(seen.exits[0]).toEqual({
      code: 3,
      signal: null,
      stderrTail: "connecting to nats://***@host\nno such engine",
    });
    expect(seen.isReady).toBe(false);
  });

  it("measures the tree and ends a deaf one with SIGKILL", async () => {
    const { child, seen } = launch("deaf");
    await until("ready", () => seen.isReady);
    if (isLinux) {
      expect(child.usage()?.memoryBytes).toBeGreaterThan(10_000_000);
      expect(child.usage()?.cpuSec).toBeGreaterThan(0);
    }
    child.kill();
    await until("exit", () => seen.exits.length === 1);
    expect(seen.exits[0]).toMatchObject({ signal: "SIGKILL" });
    await child.reap();
    expect(existsSync(child.scratchDir)).toBe(false);
  });

  it.runIf(isLinux)(
    "leaves nothing of a killed worker: groups, grandchildren, strays",
    async () => {
      const { child, instance, seen } = launch("commands");
      await until("ready", () => seen.isReady);
      const target = {
        instance,
        scratchDir: child.scratchDir,
        groupId: null,
        startTicks: 0,
        isWitnessed: true,
      };
      await until("all commands run", () => processesOf(target).length === 6);
      const pids = processesOf(target);
      child.kill();
      await until("exit", () => seen.exits.length === 1);
      await child.reap();
      const left = pids.filter((pid) => readStat(pid)?.isZombie === false);
      expect(left).toEqual([]);
    },
  );

  it.runIf(isLinux)("spares strangers in a group whose number was taken over", async () => {
    const { child, seen, instance } = launch("serve");
    await until("ready", () => seen.isReady);
    const stranger = spawn("sleep", ["1000"], {
      detached: true,
      stdio: "ignore",
      env: { PATH: process.env["PATH"], MURAKKAB_INSTANCE: `${instance}-other` },
    });
    onTestFinished(() => void stranger.kill("SIGKILL"));
    await until("stranger runs", () => readStat(stranger.pid ?? 0) !== null);
    writeFileSync(join(child.scratchDir, "pgids"), `${stranger.pid}\nnonsense\n0\n-1\n1\n`);
    child.kill();
    await child.reap();
    expect(processTree(stranger.pid ?? 0)).toEqual([stranger.pid]);
    expect(readStat(stranger.pid ?? 0)?.isZombie).toBe(false);
  });

  it.runIf(isLinux)(
    "D4: offers a ready worker to the next agent, and tells of its end",
    async () => {
      const { child, dir, instance, seen } = launch("serve");
      await until("ready", () => seen.isReady);
      const [left, ...others] = await processesIn(dir).recover();
      expect(others).toEqual([]);
      expect(left?.request).toEqual({
        instance,
        executor: executorOf({ engine: { kind: "function", function: "serve" } }),
      });
      const exits: ProcessExit[] = [];
      const adopted = left?.adopt({
        onReady: () => undefined,
        onStatus: () => undefined,
        onExit: (exit) => exits.push(exit),
      });
      expect(adopted?.usage()?.memoryBytes).toBeGreaterThan(10_000_000);
      const endedAtMs = performance.now();
      adopted?.terminate();
      await until("its end is told", () => exits.length === 1);
      expect(performance.now() - endedAtMs).toBeLessThan(2_000);
      expect(exits[0]).toMatchObject({ error: "ended, adopted from a former agent" });
      await adopted?.reap();
      expect(existsSync(child.scratchDir)).toBe(false);
      adopted?.kill(); // nobody is there any more, and nobody else is hit
    },
  );

  it.runIf(isLinux).each([
    ["was not ready", (record: object) => JSON.stringify({ ...record, isReady: false })],
    [
      "has another entry",
      (record: object) => JSON.stringify({ ...record, executor: executorOf() }),
    ],
    ["is of another version", (record: object) => JSON.stringify({ ...record, format: 99 })],
    ["has half a record", (record: object) => JSON.stringify(record).slice(0, 50)],
  ])("D4: ends a worker that %s", async (_what, damage) => {
    const { child, dir, seen } = launch("serve");
    await until("ready", () => seen.isReady);
    const path = join(child.scratchDir, "instance.json");
    writeFileSync(path, damage(JSON.parse(readFileSync(path, "utf8")) as object));
    expect(await processesIn(dir).recover()).toEqual([]);
    await until("it is ended", () => seen.exits.length === 1);
    expect(existsSync(child.scratchDir)).toBe(false);
  });

  it.runIf(isLinux)("K1: never touches a stranger that was given a recorded number", async () => {
    const dir = temporaryDir();
    const stranger = spawn("sleep", ["1000"], {
      detached: true,
      stdio: "ignore",
      env: { PATH: process.env["PATH"] },
    });
    onTestFinished(() => void stranger.kill("SIGKILL"));
    const pid = stranger.pid ?? 0;
    await until("stranger runs", () => readStat(pid) !== null);
    const startTicks = readStat(pid)?.startTicks ?? 0;
    const scratchDir = join(dir, "gone-1");
    mkdirSync(scratchDir);
    const record = recordOf({ pid, instance: "gone-1", executor: executorOf() });
    if (record === null) expect.fail("no record");
    // The worker had this pid earlier, and so had one of its programs, another time.
    writeRecord(scratchDir, { ...record, startTicks: startTicks - 500, isReady: true });
    writeFileSync(join(scratchDir, "pgids"), `${pid} ${startTicks - 400}\n${pid}\n`);
    expect(await processesIn(dir).recover()).toEqual([]);
    expect(readStat(pid)?.isZombie).toBe(false);
    expect(existsSync(scratchDir)).toBe(false);
    // Even with the right start time: it does not name the instance, so that it is not the worker.
    mkdirSync(scratchDir);
    writeRecord(scratchDir, { ...record, isReady: true });
    expect(await processesIn(dir).recover()).toEqual([]);
    expect(readStat(pid)?.isZombie).toBe(false);
  });

  it.runIf(isLinux)("cleans up after an agent that was killed", async () => {
    const dir = temporaryDir();
    mkdirSync(join(dir, "orphan-1"));
    const orphan = spawn("sleep", ["1000"], {
      detached: true,
      stdio: "ignore",
      env: { PATH: process.env["PATH"], MURAKKAB_INSTANCE: "orphan-1" },
    });
    onTestFinished(() => void orphan.kill("SIGKILL"));
    await until("orphan named", () => readStat(orphan.pid ?? 0) !== null);
    expect(await processesIn(dir).recover()).toEqual([]);
    expect(readdirSync(dir)).toEqual([]);
    await until("orphan is gone", () => readStat(orphan.pid ?? 0)?.isZombie !== false);
  });
});
