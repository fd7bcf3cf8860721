/** What the examples share: a bus, the directory, and as many "processes" as they like. */
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ActorDirectory, ActorSystem } from "@murakkab/actor";
import { connectNats, SYSTEM_CLOCK } from "@murakkab/bus/nats";
import { startNatsServer } from "@murakkab/bus/nats-server";
import { SILENT_LOGGER, seededRandom } from "@murakkab/kit";

export interface Runtime {
  /** An actor system with a connection of its own, as each process of a real system has one. */
  connect(): Promise<ActorSystem>;
  close(): Promise<void>;
}

/** Uses the server that `NATS_URL` names, or starts one that stores nothing beyond this run. */
export async function openRuntime(): Promise<Runtime> {
  const closers: (() => Promise<unknown>)[] = [];
  let servers = process.env["NATS_URL"];
  if (servers === undefined) {
    const directory = await mkdtemp(join(tmpdir(), "murakkab-example-"));
    const server = await startNatsServer({ directory });
    closers.push(
      () => rm(directory, { recursive: true, force: true }),
      () => server.stop(),
    );
    servers = server.url;
  }
  const components = async (url: string) => {
    const bus = await connectNats({ servers: url });
    closers.push(() => bus.close());
    const { messaging, state } = bus;
    const random = seededRandom(randomUUID());
    return { messaging, state, clock: SYSTEM_CLOCK, random, log: SILENT_LOGGER };
  };
  const directory = new ActorDirectory(await components(servers));
  await directory.start();
  closers.push(() => directory.stop());
  return {
    connect: async () => {
      const system = new ActorSystem(await components(servers));
      closers.push(() => system.stop());
      return system;
    },
    close: async () => {
      for (const close of closers.reverse()) await close();
    },
  };
}
