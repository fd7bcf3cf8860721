/**
 * Goal: what becomes of keyed actors when real processes are killed or stopped.
 *
 * Method: real nats-server, hosting processes of the `actors` benchmark, signals. The stopped one
 * keeps its connections, so that only its lease tells that it hangs.
 */
import { type ChildProcess, fork } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ACTOR_STATE_BUCKET, ActorDirectory, ActorSystem, encodeActorState } from "@murakkab/actor";
import { type Bus, call } from "@murakkab/bus";
import { connectNats, SYSTEM_CLOCK } from "@murakkab/bus/nats";
import { type NatsServerProcess, startNatsServer } from "@murakkab/bus/nats-server";
import { SILENT_LOGGER, seededRandom } from "@murakkab/kit";
import { subjects } from "@murakkab/protocol";
import { waitFor } from "@murakkab/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";

const HOST_PROCESS = fileURLToPath(
  new URL("../../bench/dist/actor-host-process.js", import.meta.url),
);
const ASK = { deadlineMs: 40_000 };
const STORED = { owner: "anna", balance: 7 };

let path: string;
let server: NatsServerProcess;
let bus: Bus;
let directory: ActorDirectory;
const children: ChildProcess[] = [];

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "murakkab-actor-hosts-"));
  server = await startNatsServer({ directory: path });
  bus = await connectNats({ servers: server.url });
  directory = new ActorDirectory(components("directory"));
  await directory.start();
  const store = await bus.state.openKeyValue(ACTOR_STATE_BUCKET);
  await store.put("account.anna", encodeActorState({ version: 1, generation: 0, state: STORED }));
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill("SIGKILL");
    await exitOf(child);
  }
  await directory.stop();
  await bus.close();
  await server.stop();
  await rm(path, { recursive: true, force: true });
});

function components(name: string) {
  const { messaging, state } = bus;
  return { messaging, state, clock: SYSTEM_CLOCK, random: seededRandom(name), log: SILENT_LOGGER };
}

async function exitOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  await new Promise((resolve) => child.once("exit", resolve));
}

async function startHost(hostId: string): Promise<ChildProcess> {
  const child = fork(HOST_PROCESS, [server.url, hostId, "account", `test.raw.${hostId}`], {
    execArgv: ["--expose-gc"],
  });
  children.push(child);
  await new Promise((resolve, reject) => {
    child.once("message", resolve);
    child.once("exit", (code) => reject(new Error(`host ${hostId} exited with ${code}`)));
  });
  await waitFor(() => directory.hosts().some((it) => it.host === hostId), { what: hostId });
  return child;
}

const activationCountOf = async (child: ChildProcess): Promise<number> => {
  const reply = new Promise((resolve) => child.once("message", resolve));
  child.send("measure");
  return ((await reply) as { activationCount: number }).activationCount;
};

test("killed: back at once with its state. Stopped: back after its lease; woken, it gives up what it had", async () => {
  const sender = new ActorSystem(components("sender"));
  const anna = sender.actor("account", "anna");
  const first = await startHost("first");
  expect(await anna.ask("read", ASK)).toEqual(STORED);

  const second = await startHost("second");
  first.kill("SIGKILL");
  await exitOf(first);
  const killedAtMs = performance.now();
  expect(await anna.ask("read", ASK)).toEqual(STORED);
  expect(performance.now() - killedAtMs).toBeLessThan(3_000);

  const third = await startHost("third");
  second.kill("SIGSTOP");
  expect(await anna.ask("read", { ...ASK, messageId: "read-1" })).toEqual(STORED);
  expect(await activationCountOf(third)).toBe(1);

  second.kill("SIGCONT");
  await waitFor(async () => (await activationCountOf(second)) === 0, {
    what: "the end of the old",
  });
  expect(await anna.ask("read", ASK)).toEqual(STORED);
  const command = { kind: "activate", type: "account", key: "anna", generation: 2 };
  const late = call(
    bus.messaging,
    { subject: subjects.actorHost("second"), value: command },
    { timeoutMs: 5_000 },
  );
  await expect(late).rejects.toMatchObject({ code: "STALE_GENERATION" });
  await sender.stop();
});
