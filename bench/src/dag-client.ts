/** The client process of the benches `dag` and `overload`: offers load and measures the answers. */
import { ActorSystem } from "@murakkab/actor";
import { connectNats, SYSTEM_CLOCK } from "@murakkab/bus/nats";
import { assertNever, SILENT_LOGGER, seededRandom } from "@murakkab/kit";
import { connect } from "nats";
import type { ClientCommand, ClientCommands } from "./client-commands.ts";
import { runClosedLoop } from "./closed-loop.ts";
import { JobClient, runOverActors, runRaw } from "./dag-work.ts";
import { runBurst, runFlood, runPaced } from "./offered-load.ts";
import { servePeer } from "./peer-process.ts";

const url = process.argv[2];
if (url === undefined) throw new Error("usage: dag-client URL");
const connection = await connect({ servers: url, noAsyncTraces: true, name: "bench-client" });
const jobs = new JobClient(connection);
const bus = await connectNats({ servers: url, name: "bench-actor-caller" });
const actors = new ActorSystem({
  messaging: bus.messaging,
  clock: SYSTEM_CLOCK,
  random: seededRandom("bench-actor-caller"),
  log: SILENT_LOGGER,
});

function runOf({ side, isDurable }: ClientCommands["loop"]): () => Promise<void> {
  switch (side) {
    case "jobs":
      return () => jobs.run({ isDurable });
    case "raw":
      return () => runRaw(connection, isDurable);
    case "actors":
      return () => runOverActors(actors);
    default:
      return assertNever(side);
  }
}

servePeer(async (command: ClientCommand) => {
  switch (command.kind) {
    case "loop":
      return runClosedLoop(runOf(command), command);
    case "burst":
      return runBurst(jobs, command);
    case "flood":
      return runFlood(jobs, command);
    case "paced":
      return runPaced(jobs, command);
    default:
      return assertNever(command);
  }
});
