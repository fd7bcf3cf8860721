/** Real child processes with a stub worker: the spec, the channel, the end of all that they start. */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { ChildProcesses } from "../../src/adapters/child-processes.ts";
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
      const target = { instance, scratchDir: child.scratchDir, groupId: null, startTicks: 0 };
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
    const { processes } = launch("serve");
    await new ChildProcesses({
      dir,
      node: "n1",
      workerMain: STUB,
      bus: { servers: "" },
      logLevel: "info",
      env: {},
      onStderr: () => undefined,
    }).recover();
    expect(processes).toBeDefined();
    expect(readdirSync(dir)).toEqual([]);
    await until("orphan is gone", () => readStat(orphan.pid ?? 0)?.isZombie !== false);
  });
});
