/** Goal: servers start, stop, crash and end with us. Method: real processes, also a killed parent. */
import { spawn, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { natsServerConfig } from "../src/nats/nats-server-config.ts";
import { ORPHAN_GUARD_SCRIPT } from "../src/nats/orphan-guard.ts";
import type { NatsServerExit } from "../src/nats/server-entry.ts";
import { findNatsServer, startNatsServer } from "../src/nats/server-entry.ts";
import { codeOf, until } from "./compliance/test-bus.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "murakkab-server-"));
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test("starts on a free port, restarts there, and is gone after stop", async () => {
  const exits: NatsServerExit[] = [];
  const onExit = (exit: NatsServerExit): void => {
    exits.push(exit);
  };
  const server = await startNatsServer({ directory: join(directory, "one"), onExit });
  const { port, pid } = server;
  expect(port).toBeGreaterThan(1024);
  expect(server.version).toMatch(/^\d+\.\d+\.\d+/);
  await server.restart();
  expect(server.port).toBe(port);
  expect(server.pid).not.toBe(pid);
  expect(isAlive(pid)).toBe(false);
  await server.stop();
  expect(isAlive(server.pid)).toBe(false);
  expect(server.isRunning).toBe(false);
  expect(exits).toEqual([]);
});

test("a crash is reported", async () => {
  const exits: NatsServerExit[] = [];
  const server = await startNatsServer({
    directory: join(directory, "crash"),
    onExit: (exit) => exits.push(exit),
  });
  process.kill(server.pid, "SIGKILL");
  await until("the crash was reported", () => exits.length === 1);
  expect(exits[0]?.signal).toBe("SIGKILL");
  expect(exits[0]?.lastLogLines.join("\n")).toContain("Server is ready");
  await server.restart();
  expect(server.isRunning).toBe(true);
  await server.stop();
});

test("a port that is taken is said in one sentence", async () => {
  const taken = createServer();
  const port = await new Promise<number>((resolve) => {
    taken.listen(0, "127.0.0.1", () => {
      resolve((taken.address() as { port: number }).port);
    });
  });
  const starting = startNatsServer({ directory: join(directory, "taken"), port });
  await expect(starting).rejects.toThrow(/^nats-server \S+ did not start: it exited \(.*in use/);
  taken.close();
});

test("a bad configuration and a bad program are told", async () => {
  const broken = startNatsServer({ directory: join(directory, "bad"), extraConfig: "nonsense {" });
  await expect(broken).rejects.toThrow(/did not start/);
  const missing = startNatsServer({ directory, binary: join(directory, "no-such-program") });
  expect(await codeOf(missing)).toBe("UNAVAILABLE");
  const stranger = join(directory, "stranger");
  await writeFile(stranger, "#!/bin/sh\necho hello\n");
  await chmod(stranger, 0o755);
  await expect(findNatsServer({ binary: stranger })).rejects.toThrow(/is not nats-server/);
});

describe("the configuration holds only what the version knows", () => {
  const settings = {
    host: "127.0.0.1",
    port: -1,
    storeDirectory: "/s",
    portsDirectory: "/p",
  };
  test.each([
    ["2.8.4", 2, 8, false],
    ["2.9.10", 2, 9, false],
    ["2.9.25", 2, 9, false],
    ["2.10.0", 2, 10, true],
    ["2.12.1", 2, 12, true],
    ["3.0.0-dev", 3, 0, true],
  ] as const)("%s", (text, major, minor, isSynced) => {
    const version = { text, major, minor };
    const lines = ["jetstream {", 'store_dir: "/s"'];
    for (const line of lines) expect(natsServerConfig(settings, version)).toContain(line);
    expect(natsServerConfig(settings, version).includes("sync_interval: always")).toBe(isSynced);
    const fast = { ...settings, isSyncAlways: false };
    expect(natsServerConfig(fast, version)).not.toContain("sync_interval");
  });

  test("the server that is installed takes what is decided for it, and nothing newer", async () => {
    const { path, version } = await findNatsServer();
    const check = (text: string): string | null => {
      const file = join(directory, "check.conf");
      writeFileSync(file, text);
      const run = spawnSync(path, ["-c", file, "-t"], { encoding: "utf8" });
      return run.status === 0 ? null : run.stderr;
    };
    expect(check(natsServerConfig(settings, version))).toBeNull();
    const newest = { text: "99.0.0", major: 99, minor: 0 };
    const refused = check(natsServerConfig(settings, newest));
    if (version.major === 2 && version.minor < 10) expect(refused).toContain("sync_interval");
    else expect(refused).toBeNull();
  });
});

test("a child does not outlive a parent that was killed (P2)", async () => {
  // The guard alone: its pipe closes as it would with the parent's death.
  const child = spawn("/bin/sh", ["-c", "exec sleep 600"], { stdio: "ignore" });
  const exited = new Promise<string | null>((resolve) => {
    child.on("exit", (_code, signal) => {
      resolve(signal);
    });
  });
  const parent = spawn(process.execPath, [
    "-e",
    `const { spawn } = require("node:child_process");
     const guard = spawn("/bin/sh", ["-c", process.argv[1], "guard", process.argv[2]], {
       stdio: ["pipe", "ignore", "ignore"], detached: true });
     guard.on("spawn", () => process.stdout.write("up"));
     setInterval(() => {}, 1000);`,
    ORPHAN_GUARD_SCRIPT,
    String(child.pid),
  ]);
  await new Promise((resolve) => parent.stdout.once("data", resolve));
  parent.kill("SIGKILL");
  expect(await exited).toBe("SIGTERM");
});
