/**
 * What deploy/ ships works: the server takes the configuration, each role may do its work and no
 * more, and systemd takes the units. A real nats-server is started with deploy/nats.conf itself.
 */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { canSyncAlways, findNatsServer as findBinary } from "@murakkab/bus/nats-server";
import { subjects } from "@murakkab/protocol";
import { connect as connectSdk } from "@murakkab/sdk";
import { RealProcess } from "@murakkab/testkit";
import { connect, JSONCodec, type NatsConnection, NatsError } from "nats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findNatsServer, findOnPath } from "../scripts/bootstrap/system-programs.mjs";

const DEPLOY = join(dirname(import.meta.dirname), "deploy");
const CONFIG = join(DEPLOY, "nats.conf");
const ENVIRONMENT = {
  MK_NATS_STORE_DIR: "/tmp/not-used-by-a-check",
  MK_SCHEDULER_PASSWORD: "s0123",
  MK_AGENT_PASSWORD: "a4567",
  MK_CLIENT_PASSWORD: "c89ab",
};
const PASSWORD_OF = { scheduler: "s0123", agent: "a4567", client: "c89ab" } as const;
type Role = keyof typeof PASSWORD_OF;
const START_LIMIT_MS = 15_000;
/** What schedulers say to each other, and where they keep it. */
const SCHEDULERS_ONLY = [
  subjects.schedulerBeat,
  subjects.schedulerProbe("s1"),
  subjects.schedulerHandOver("s1"),
  subjects.schedulerJobs("s1"),
  subjects.partitionRequest(0),
  subjects.journal(0),
  subjects.nodeRegistered("n1"),
  subjects.nodeProbe("n1", "i1"),
  subjects.fleetReport,
  subjects.fleetView,
  subjects.instanceWant,
  subjects.artifactCopy("n1"),
  subjects.actorHost("h1"),
  "$KV.MK_JOB_INDEX.j1",
  "$KV.MK_JOB_KEYS.k1",
  "$KV.MK_JOB_MARKS.0",
  "$KV.MK_GENERATIONS.leader",
  "$KV.MK_LEASES.leader",
  "$KV.MK_NODES.n1",
  "$KV.MK_QUARANTINE.x",
  "$KV.MK_ACTORS.x",
  "$KV.MK_PROFILES.x",
];

function natsServer(): string {
  const path = findNatsServer();
  if (path === null) throw new Error("nats-server is not installed, and this test needs it");
  return path;
}

describe("nats.conf", () => {
  let directory = "";
  let server: ChildProcess;
  let port = 0;
  const connections: NatsConnection[] = [];

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "murakkab-deploy-"));
    const place = ["-a", "127.0.0.1", "-p", "-1", "-m", "-1", "--ports_file_dir", directory];
    server = spawn(natsServer(), ["-c", CONFIG, ...place], {
      env: { ...process.env, ...ENVIRONMENT, MK_NATS_STORE_DIR: join(directory, "store") },
      stdio: "ignore",
    });
    port = await waitForPort(directory);
  });

  afterAll(async () => {
    await Promise.all(connections.map((connection) => connection.close()));
    const ended = new Promise((resolve) => server.once("exit", resolve));
    // False when it is gone already: then nothing would tell of its end any more.
    if (server.exitCode === null && server.kill("SIGKILL")) await ended;
    rmSync(directory, { recursive: true, force: true });
  });

  async function connectAs(role: Role): Promise<NatsConnection> {
    const connection = await connect({
      servers: `127.0.0.1:${port}`,
      user: role,
      pass: PASSWORD_OF[role],
      ...(role === "scheduler" ? { inboxPrefix: "_INBOX_scheduler" } : {}),
    });
    connections.push(connection);
    return connection;
  }

  /** What a request ends in: an answer, nobody there (allowed), or a refusal by the server. */
  async function ask(role: Role, subject: string, body: unknown = {}): Promise<unknown> {
    const connection = await connectAs(role);
    try {
      const reply = await connection.request(subject, JSONCodec().encode(body), { timeout: 5_000 });
      return reply.json();
    } catch (error) {
      if (error instanceof NatsError) return error.code === "503" ? "allowed" : error.code;
      throw error;
    }
  }

  test("is accepted by the server's own check, and not without passwords", () => {
    const check = (env: Record<string, string>): string =>
      execFileSync(natsServer(), ["-c", CONFIG, "-t"], {
        env: { ...process.env, ...env },
        encoding: "utf8",
        stdio: "pipe",
      });
    expect(() => check(ENVIRONMENT)).not.toThrow();
    expect(() => check({})).toThrow(/variable reference/);
  });

  test("its line for servers from 2.10 on is what the installed server makes of it", async () => {
    const { version } = await findBinary();
    const text = readFileSync(CONFIG, "utf8");
    expect(text).toContain('  # include "nats-sync.conf"\n');
    copyFileSync(join(DEPLOY, "nats-sync.conf"), join(directory, "nats-sync.conf"));
    const synced = join(directory, "nats.conf");
    writeFileSync(synced, text.replace('# include "nats-sync.conf"', 'include "nats-sync.conf"'));
    const env = { ...process.env, ...ENVIRONMENT };
    const run = spawnSync(natsServer(), ["-c", synced, "-t"], { env, encoding: "utf8" });
    if (canSyncAlways(version)) expect(run.status).toBe(0);
    else expect(run.stderr).toContain('unknown field "sync_interval"');
  });

  test("a wrong password is refused", async () => {
    const attempt = connect({ servers: `127.0.0.1:${port}`, user: "client", pass: "x" });
    await expect(attempt).rejects.toThrow(/Authorization/i);
  });

  test("a client's submission reaches the scheduler and is answered", async () => {
    const scheduler = await connectAs("scheduler");
    const subscription = scheduler.subscribe(subjects.jobSubmit, {
      callback: (_, message) => message.respond(JSONCodec().encode({ jobId: "j1" })),
    });
    await scheduler.flush();
    expect(await ask("client", subjects.jobSubmit, { description: "x" })).toEqual({ jobId: "j1" });
    subscription.unsubscribe();
    await scheduler.flush();
  });

  test("a client has no more than a client's subjects", async () => {
    for (const subject of [
      subjects.jobSubmit,
      subjects.jobPlan,
      subjects.jobList,
      subjects.jobGet("j1"),
      subjects.jobWait("j1"),
      subjects.jobEvents("j1"),
      subjects.jobCancel("j1"),
      subjects.nodeList,
      subjects.instanceList,
      subjects.libraryList,
      subjects.schedulerPing,
      subjects.artifactUpload,
      subjects.artifactDownload,
    ]) {
      expect([subject, await ask("client", subject)]).toEqual([subject, "allowed"]);
    }
    for (const subject of [
      subjects.instanceStart("n1"),
      subjects.instanceStop("n1"),
      subjects.nodeRegister,
      subjects.nodeHeartbeat("n1"),
      subjects.artifactOpen("n1"),
      subjects.actor("model", "m1"),
      ...SCHEDULERS_ONLY,
      subjects.attemptResult,
      "$JS.API.STREAM.DELETE.MK_JOURNAL",
      "$JS.API.STREAM.NAMES",
    ]) {
      expect([subject, await ask("client", subject)]).toEqual([subject, "PERMISSIONS_VIOLATION"]);
    }
  });

  test("an agent does its work and touches no stream and no job", async () => {
    const create = { name: "MK_JOURNAL", subjects: [subjects.allJournals], storage: "memory" };
    const created = await ask("scheduler", "$JS.API.STREAM.CREATE.MK_JOURNAL", create);
    expect(created).toMatchObject({ config: { name: "MK_JOURNAL" } });
    for (const subject of [
      subjects.nodeRegister,
      subjects.nodeHeartbeat("n1"),
      subjects.nodeSampled("n1"),
      subjects.nodeLeft("n1"),
      subjects.instanceReady("n1"),
      subjects.instanceExited("n1"),
      subjects.coresAcquire("n1"),
      subjects.coresRelease("n1"),
      subjects.artifactOpen("n1"),
      subjects.artifactIngest("n1"),
      subjects.actor("job", "j1"),
      subjects.attemptResult,
      subjects.actorActivate,
      subjects.actorHostBeat,
      subjects.opsOf(subjects.nodeSampled("n1")),
    ]) {
      expect([subject, await ask("agent", subject)]).toEqual([subject, "allowed"]);
    }
    for (const subject of [
      "$JS.API.STREAM.DELETE.MK_JOURNAL",
      "$JS.API.STREAM.PURGE.MK_JOURNAL",
      "$JS.API.STREAM.CREATE.OTHER",
      subjects.jobSubmit,
      subjects.jobEvent("finished", "j1"),
      subjects.instanceStart("n2"),
      ...SCHEDULERS_ONLY,
    ]) {
      expect([subject, await ask("agent", subject)]).toEqual([subject, "PERMISSIONS_VIOLATION"]);
    }
    const info = await ask("scheduler", "$JS.API.STREAM.INFO.MK_JOURNAL");
    expect(info).toMatchObject({ config: { name: "MK_JOURNAL" } });
  });

  test("each role may listen to what it serves, and to no more", async () => {
    const mayHear = async (role: Role, subject: string): Promise<boolean> => {
      const connection = await connectAs(role);
      let isRefused = false;
      connection.subscribe(subject, { callback: (error) => (isRefused ||= error !== null) });
      await connection.flush(); // The refusal comes before the answer to this.
      return !isRefused;
    };
    for (const [role, subject, isAllowed] of [
      ["agent", subjects.nodeProbe("n1", "i1"), true],
      ["agent", subjects.fleetReport, true],
      ["agent", subjects.artifactCopy("n1"), true],
      ["agent", subjects.actorHost("h1"), true],
      ["agent", subjects.schedulerBeat, false],
      ["agent", subjects.partitionRequest(0), false],
      ["agent", subjects.allJournals, false],
      ["client", subjects.schedulerBeat, true],
      ["client", subjects.partitionRequest(0), false],
      ["client", subjects.allJournals, false],
      ["client", subjects.attemptResult, false],
      ["scheduler", subjects.allJournals, true],
    ] as const) {
      const heard = await mayHear(role, subject);
      expect([role, subject, heard]).toEqual([role, subject, isAllowed]);
    }
  });

  test("nobody but the scheduler hears the scheduler's answers", async () => {
    for (const role of ["agent", "client"] as const) {
      const connection = await connectAs(role);
      const subscription = connection.subscribe("_INBOX_scheduler.>");
      const heard = (async () => {
        for await (const _ of subscription);
      })();
      await expect(heard).rejects.toThrow(/Permissions Violation/i);
    }
  });

  test("scheduler, agent, worker and client do a whole job, each with its own role", async () => {
    // Another test made a stream of this name with settings of its own.
    await ask("scheduler", "$JS.API.STREAM.DELETE.MK_JOURNAL");
    const token = join(directory, "token");
    writeFileSync(token, "f".repeat(64), { mode: 0o600 });
    writeFileSync(join(directory, "lines.txt"), "b\na\n");
    const start = (role: "scheduler" | "agent", name: string, args: readonly string[]) => {
      const main = join(dirname(DEPLOY), "packages", name, "dist/main.js");
      const common = ["--nats", `nats://127.0.0.1:${port}`, "--token-file", token];
      const env = { ...process.env, NATS_USER: role, NATS_PASSWORD: PASSWORD_OF[role] };
      const stdio: ("ignore" | "pipe")[] = ["ignore", "pipe", "pipe"];
      return new RealProcess(
        name,
        spawn(process.execPath, [main, ...common, ...args], { env, stdio }),
      );
    };
    const library = join(import.meta.dirname, "e2e/library");
    const node = ["--node", "deployed", "--cpus", "1", "--memory", "1024"];
    const processes = [
      start("scheduler", "scheduler", ["--library", library]),
      start("agent", "node-agent", [
        ...node,
        ...["--input-root", directory, "--data", join(directory, "agent")],
      ]),
    ];
    try {
      await processes[0]?.ready("scheduler.ready");
      await processes[1]?.ready("node.ready");
      const job = { description: "line sorting", inputs: ["lines.txt"] };
      const reply = (await ask("client", subjects.jobSubmit, job)) as { jobId: string };
      expect(reply).toMatchObject({ decision: "accepted" });
      const receipt = await ask("client", subjects.jobWait(reply.jobId), { timeoutMs: 4_000 });
      expect(receipt).toMatchObject({ state: "succeeded", steps: [{ node: "deployed" }] });
      const env = { NATS_USER: "client", NATS_PASSWORD: PASSWORD_OF.client };
      const client = await connectSdk({ nats: `nats://127.0.0.1:${port}`, env });
      try {
        expect(await client.schedulers()).toMatchObject({ schedulers: [{ isLeader: true }] });
        const own = await client.submit({
          description: "line sorting",
          inputs: [join(directory, "lines.txt")],
        });
        expect((await own.result()).state).toBe("succeeded");
      } finally {
        await client.close();
      }
    } finally {
      for (const it of processes) it.kill("SIGTERM");
      for (const it of processes) await it.ended();
    }
  });
});

async function waitForPort(directory: string): Promise<number> {
  const untilMs = performance.now() + START_LIMIT_MS;
  while (performance.now() < untilMs) {
    const file = readdirSync(directory).find((name) => name.endsWith(".ports"));
    const text = file === undefined ? "" : readFileSync(join(directory, file), "utf8");
    const match = /nats:\/\/127\.0\.0\.1:(\d+)/.exec(text);
    if (match !== null) return Number(match[1]);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`nats-server did not start with ${CONFIG} within ${START_LIMIT_MS} ms`);
}

const analyze = findOnPath("systemd-analyze");

describe("systemd units", () => {
  const units = readdirSync(DEPLOY).filter((name) => name.endsWith(".service"));

  test("are all there, with an example of each environment file they read", () => {
    expect(units.sort()).toEqual([
      "murakkab-node.service",
      "murakkab-scheduler@.service",
      "nats.service",
    ]);
    for (const unit of units) {
      const text = readFileSync(join(DEPLOY, unit), "utf8");
      const file = /^EnvironmentFile=\/etc\/murakkab\/(.*)$/m.exec(text)?.[1];
      const example = join(DEPLOY, `${file}.example`);
      expect(existsSync(example)).toBe(true);
      const given = readFileSync(example, "utf8");
      for (const [, name] of text.matchAll(/\$\{(\w+)\}/g)) {
        expect(given).toMatch(new RegExp(`^${name}=`, "m"));
      }
    }
  });

  // Says why in the report when it is skipped.
  const title = `pass systemd-analyze verify${analyze === null ? " (it is not installed)" : ""}`;
  test.skipIf(analyze === null)(`${title}`, () => {
    const directory = mkdtempSync(join(tmpdir(), "murakkab-units-"));
    try {
      for (const unit of units) {
        const path = join(directory, unit.replace("@.service", "@1.service"));
        writeFileSync(path, readFileSync(join(DEPLOY, unit), "utf8"));
        const output = execFileSync(String(analyze), ["verify", "--man=no", path], {
          encoding: "utf8",
          stdio: "pipe",
        });
        expect(output).toBe("");
      }
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
