/**
 * The hosting process of the `actors` benchmark: accounts with state, a plain responder for the
 * comparison, and the figures that only this process can take.
 */
import { ActorSystem, type Behaviour } from "@murakkab/actor";
import { connectNats, SYSTEM_CLOCK } from "@murakkab/bus/nats";
import { SILENT_LOGGER, seededRandom } from "@murakkab/kit";
import { contentHeaders } from "@murakkab/protocol";

/** As long as nobody is let go by himself while it is measured, ms. */
const IDLE_MS = 3_600_000;

const [url, hostId, type, rawSubject] = process.argv.slice(2);
if (url === undefined || hostId === undefined || type === undefined || rawSubject === undefined) {
  throw new Error("usage: actor-host-process URL HOST TYPE RAW_SUBJECT");
}

function makeAccount(): Behaviour {
  let state = { owner: "", balance: 0 };
  return {
    dehydrate: () => state,
    rehydrate: (stored) => {
      state = stored as typeof state;
    },
    handle: async (message) => {
      if (message === "read") return state;
      state.balance += 1;
      return message;
    },
  };
}

const bus = await connectNats({ servers: url, name: "bench-actor-host" });
const system = new ActorSystem(
  {
    messaging: bus.messaging,
    state: bus.state,
    clock: SYSTEM_CLOCK,
    random: seededRandom(hostId),
    log: SILENT_LOGGER,
  },
  { hostId },
);
await system.host({ type, make: makeAccount, options: { idleMs: IDLE_MS } });
const headers = contentHeaders("msgpack");
bus.messaging.subscribe(rawSubject, (message) => {
  if (message.reply !== undefined) bus.messaging.publish(message.reply, message.data, { headers });
});
await bus.messaging.flush();

/** Everything that is not garbage: what lives in the heap and what it holds outside of it. */
async function usedBytes(): Promise<number> {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error("run with --expose-gc");
  // Finalizers run between two collections, and free what the first one only found.
  for (let count = 0; count < 3; count += 1) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

process.on("message", () => {
  void usedBytes().then(async (bytes) => {
    process.send?.({ bytes, activationCount: await system.activationCount() });
  });
});
process.send?.("ready");
// Ends with the benchmark, however that ends.
process.on("disconnect", () => {
  process.exit(0);
});
