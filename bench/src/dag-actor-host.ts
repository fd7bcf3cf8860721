/** The process of the actor that the `dag` bench asks directly: hands back what it gets. */
import { ActorSystem } from "@murakkab/actor";
import { connectNats, SYSTEM_CLOCK } from "@murakkab/bus/nats";
import { SILENT_LOGGER, seededRandom } from "@murakkab/kit";
import { BENCH_ACTOR } from "./dag-work.ts";
import { servePeer } from "./peer-process.ts";

/** More than the bench has in flight: three asks of each of 64 runs. */
const CONCURRENCY = 256;

const url = process.argv[2];
if (url === undefined) throw new Error("usage: dag-actor-host URL");
const bus = await connectNats({ servers: url, name: "bench-actor-host" });
const actors = new ActorSystem({
  messaging: bus.messaging,
  clock: SYSTEM_CLOCK,
  random: seededRandom("bench-actor-host"),
  log: SILENT_LOGGER,
});
actors.spawn(BENCH_ACTOR, () => ({ handle: async (message) => message }), {
  concurrency: CONCURRENCY,
});
await bus.messaging.flush();
servePeer(async () => null);
