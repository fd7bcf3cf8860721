/**
 * Goal: over a real nats-server, an actor moves with its state to another process when its own is
 * cut off, and the one left behind cannot write any more.
 *
 * Method: two hosts, each with one connection for messages and one for its state, so that the
 * first can lose its messages and still reach the store.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ActorContext, ActorDirectory, ActorSystem } from "@murakkab/actor";
import type { Bus } from "@murakkab/bus";
import { connectNats, SYSTEM_CLOCK } from "@murakkab/bus/nats";
import { type NatsServerProcess, startNatsServer } from "@murakkab/bus/nats-server";
import { SILENT_LOGGER, seededRandom } from "@murakkab/kit";
import { waitFor } from "@murakkab/testkit";
import { afterEach, beforeEach, expect, test } from "vitest";

const ASK = { deadlineMs: 10_000 };
let path: string;
let server: NatsServerProcess;
const buses: Bus[] = [];

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), "murakkab-actors-"));
  server = await startNatsServer({ directory: path });
});

afterEach(async () => {
  for (const bus of buses.splice(0)) await bus.close();
  await server.stop();
  await rm(path, { recursive: true, force: true });
});

async function connect(): Promise<Bus> {
  const bus = await connectNats({ servers: server.url });
  buses.push(bus);
  return bus;
}

function components(name: string, bus: Bus, state: Bus = bus) {
  const random = seededRandom(name);
  const { messaging } = bus;
  return { messaging, state: state.state, clock: SYSTEM_CLOCK, random, log: SILENT_LOGGER };
}

async function host(name: string, contexts: ActorContext[], idleMs = 60_000) {
  const [messages, state] = [await connect(), await connect()];
  const system = new ActorSystem(components(name, messages, state), { hostId: name });
  const make = () => {
    let count = 0;
    return {
      dehydrate: () => count,
      rehydrate: (stored: unknown) => {
        count = stored as number;
      },
      handle: async (_message: unknown, context: ActorContext) => {
        contexts.push(context);
        count += 1;
        await context.save();
        return { count, generation: context.generation, host: name };
      },
    };
  };
  await system.host({ type: "counter", make, options: { idleMs } });
  return { system, messages };
}

test("cut off: state intact elsewhere, generation grown, the old one's save refused", async () => {
  const directory = new ActorDirectory(components("directory", await connect()));
  await directory.start();
  const contexts: ActorContext[] = [];
  const a = await host("a", contexts);
  await waitFor(() => directory.hosts().length === 1, { what: "host a" });
  const sender = new ActorSystem(components("sender", await connect()));
  const counter = sender.actor("counter", "one");
  expect(await counter.ask("add", ASK)).toEqual({ count: 1, generation: 1, host: "a" });
  expect(await counter.ask("add", ASK)).toEqual({ count: 2, generation: 1, host: "a" });

  const b = await host("b", []);
  await waitFor(() => directory.hosts().length === 2, { what: "host b" });
  await a.messages.close();
  // An ask that was on its way to the one that is cut off is told so; the next one finds the other.
  const answers: { count: number; generation: number; host: string }[] = [];
  await waitFor(
    async () => {
      const answer = await counter.ask("add", ASK).catch(() => null);
      if (answer !== null) answers.push(answer as (typeof answers)[number]);
      return answer !== null;
    },
    { what: "an answer of host b" },
  );
  const found = answers[0]?.count ?? 0;
  expect(answers[0]).toMatchObject({ generation: 2, host: "b" });
  expect(found).toBeGreaterThanOrEqual(3);
  await expect(contexts[0]?.save()).rejects.toMatchObject({ code: "STALE_GENERATION" });
  expect(await counter.ask("add", ASK)).toEqual({ count: found + 1, generation: 2, host: "b" });

  await b.system.stop();
  await sender.stop();
  await directory.stop();
});

test("passivated over a real server: 50 actors come back with what they saved", async () => {
  const directory = new ActorDirectory(components("directory", await connect()));
  await directory.start();
  const { system } = await host("a", [], 300);
  await waitFor(() => directory.hosts().length === 1, { what: "host a" });
  const sender = new ActorSystem(components("sender", await connect()));
  const keys = Array.from({ length: 50 }, (_, n) => `k${n}`);
  const askAll = () => Promise.all(keys.map((key) => sender.actor("counter", key).ask("add", ASK)));
  await askAll();
  await waitFor(async () => (await system.activationCount()) === 0, { what: "empty host" });
  const again = (await askAll()) as { count: number }[];
  expect(again.map((it) => it.count)).toEqual(keys.map(() => 2));
  await system.stop();
  await sender.stop();
  await directory.stop();
});
