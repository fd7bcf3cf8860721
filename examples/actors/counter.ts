/** `npm run -s example -- actors/counter`: an actor that counts, wherever it lives. */
import type { Behaviour } from "@murakkab/actor";
import { openRuntime } from "./runtime.ts";

const runtime = await openRuntime();

// One process takes counters …
const host = await runtime.connect();
await host.host({ type: "counter", make: makeCounter });

function makeCounter(): Behaviour {
  let count = 0;
  return {
    handle: async (message) => {
      count += Number(message);
      return count;
    },
  };
}

// … and any other one talks to them. The first message brings the actor to life.
const sender = await runtime.connect();
const apples = sender.actor("counter", "apples");
process.stdout.write(`apples: ${await apples.ask(2, { deadlineMs: 5_000 })}\n`);
process.stdout.write(`apples: ${await apples.ask(3, { deadlineMs: 5_000 })}\n`);

const pears = sender.actor("counter", "pears");
await pears.tell(10); // resolves once it waits in the mailbox
process.stdout.write(`pears: ${await pears.ask(1, { deadlineMs: 5_000, priority: "low" })}\n`);

await runtime.close();
