/**
 * Goal: three servers with deploy/nats-cluster.conf keep what they acknowledged when one is killed.
 * Method: the shipped file, real processes on free ports, SIGKILL of the stream's leader under load.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Bus, Log } from "@murakkab/bus";
import { connectNats } from "@murakkab/bus/nats";
import { findNatsServer } from "@murakkab/bus/nats-server";
import { subjects } from "@murakkab/protocol";
import { waitFor } from "@murakkab/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

const CONFIG = join(dirname(import.meta.dirname), "deploy/nats-cluster.conf");
const NO_DATA = new Uint8Array(0);
/** Election of the servers' own leader and of the stream's; see docs/durability.md. */
const ELECTION_LIMIT_MS = 15_000;

interface Member {
  readonly name: string;
  readonly port: number;
  readonly clusterPort: number;
  process: ChildProcess | null;
}

let directory = "";
let members: Member[] = [];
let bus: Bus;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "murakkab-cluster-"));
  const ports = await freePorts(6);
  members = ["n1", "n2", "n3"].map((name, index) => ({
    name,
    port: Number(ports[index]),
    clusterPort: Number(ports[index + 3]),
    process: null,
  }));
  await Promise.all(members.map((member) => startMember(member)));
  bus = await connectNats({
    servers: members.map(({ port }) => `127.0.0.1:${port}`).join(","),
    user: "scheduler",
    password: "s0123",
    inboxPrefix: "_INBOX_scheduler",
    replicaCount: 3,
    stateTimeoutMs: ELECTION_LIMIT_MS,
  });
});

afterAll(async () => {
  await bus.close();
  await Promise.all(members.map((member) => killMember(member)));
  rmSync(directory, { recursive: true, force: true });
});

async function startMember(member: Member): Promise<void> {
  const { path } = await findNatsServer();
  const routes = members.map((it) => `"nats-route://cluster:r0123@127.0.0.1:${it.clusterPort}"`);
  const place = ["-a", "127.0.0.1", "-p", String(member.port), "-m", "-1"];
  const cluster = ["--cluster", `nats://127.0.0.1:${member.clusterPort}`];
  member.process = spawn(path, ["-c", CONFIG, ...place, ...cluster], {
    env: {
      ...process.env,
      MK_NATS_STORE_DIR: join(directory, member.name),
      MK_NATS_SERVER_NAME: member.name,
      MK_NATS_CLUSTER_PASSWORD: "r0123",
      MK_NATS_ROUTES: `[${routes.join(", ")}]`,
      MK_SCHEDULER_PASSWORD: "s0123",
      MK_AGENT_PASSWORD: "a4567",
      MK_CLIENT_PASSWORD: "c89ab",
    },
    stdio: "ignore",
  });
}

async function killMember(member: Member): Promise<void> {
  const child = member.process;
  if (child === null || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}

/** The name of the server that leads this stream; undefined during an election. */
async function leaderOf(stream: string): Promise<string | undefined> {
  const subject = `$JS.API.STREAM.INFO.${stream}`;
  const reply = await bus.messaging
    .request(subject, NO_DATA, { timeoutMs: 1_000 })
    .catch(() => null);
  if (reply === null) return undefined;
  const info = JSON.parse(new TextDecoder().decode(reply.data)) as {
    cluster?: { leader?: string };
  };
  return info.cluster?.leader;
}

test("killing the leader of a stream pauses appends and loses none of them", async () => {
  const log = await openWhenReady();
  const acknowledged: string[] = [];
  const pausesMs: number[] = [];
  let isStopped = false;
  const appending = (async () => {
    let expectedLastSequence = 0;
    for (let index = 0; !isStopped; index += 1) {
      const startMs = performance.now();
      const data = new TextEncoder().encode(String(index));
      const options = { messageId: `m-${index}`, expectedLastSequence };
      const outcome = await log.append(subjects.journal(0), data, options);
      if (outcome.kind === "conflict") throw new Error(`conflict at ${index}`);
      pausesMs.push(performance.now() - startMs);
      acknowledged.push(String(index));
      expectedLastSequence = outcome.sequence;
    }
  })();
  await waitFor(() => acknowledged.length > 200, { what: "first appends" });
  const leader = await leaderOf("MK_JOURNAL");
  const victim = members.find((member) => member.name === leader);
  if (victim === undefined) throw new Error(`leader ${leader} is not one of ours`);
  const countBefore = acknowledged.length;
  await killMember(victim);
  await waitFor(() => acknowledged.length > countBefore + 200, {
    what: "appends after the election",
    timeoutMs: ELECTION_LIMIT_MS,
  });
  isStopped = true;
  await appending;
  expect(Math.max(...pausesMs)).toBeLessThan(ELECTION_LIMIT_MS);
  const read = async (): Promise<string[]> =>
    (await log.read(subjects.journal(0))).map((entry) => new TextDecoder().decode(entry.data));
  expect(await read()).toEqual(acknowledged);
  // The one that was killed comes back and may serve the read itself.
  await startMember(victim);
  for (let count = 0; count < 5; count += 1) expect(await read()).toEqual(acknowledged);
});

test("another number of copies is an error that names both, or is changed", async () => {
  const single = await connectNats({
    servers: members.map(({ port }) => `127.0.0.1:${port}`).join(","),
    user: "scheduler",
    password: "s0123",
    inboxPrefix: "_INBOX_scheduler",
    replicaCount: 1,
  });
  const settings = { subjects: [subjects.allJobEvents], maxAgeMs: 0 };
  await single.state.openLog("ONE", settings);
  await expect(bus.state.openLog("ONE", settings)).rejects.toThrow(
    'log "ONE" exists with number of copies 1, but 3 was asked for',
  );
  const log = await bus.state.openLog("ONE", { ...settings, mayUpdate: true });
  expect(await log.append(subjects.jobEvent("accepted", "j1"), NO_DATA)).toMatchObject({
    kind: "appended",
  });
  await single.close();
});

/** A cluster takes streams once its servers found each other and elected a leader. */
async function openWhenReady(): Promise<Log> {
  let log: Log | null = null;
  await waitFor(
    async () => {
      log = await bus.state
        .openLog("MK_JOURNAL", { subjects: [subjects.allJournals], maxAgeMs: 0 })
        .catch(() => null);
      return log !== null && (await leaderOf("MK_JOURNAL")) !== undefined;
    },
    { what: "stream in the cluster", timeoutMs: ELECTION_LIMIT_MS },
  );
  if (log === null) throw new Error("no stream");
  return log;
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, "127.0.0.1", () => {
            resolve((server.address() as { port: number }).port);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
