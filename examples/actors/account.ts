/** `npm run -s example -- actors/account`: state that outlives idleness and processes. */
import type { Behaviour } from "@murakkab/actor";
import { InvalidArgumentError } from "@murakkab/kit";
import { openRuntime } from "./runtime.ts";

interface Transfer {
  readonly amount: number;
}

function makeAccount(): Behaviour {
  let balance = 0;
  return {
    // With these two the actor is durable.
    dehydrate: () => ({ balance }),
    rehydrate: (state) => {
      ({ balance } = state as { balance: number });
    },
    handle: async (message, context) => {
      const { amount } = message as Transfer;
      if (balance + amount < 0) throw new InvalidArgumentError("the balance is too low");
      balance += amount;
      // When this resolves, it is stored, and no other activation can have written since.
      if (amount !== 0) await context.save();
      return { balance, generation: context.generation };
    },
  };
}

const runtime = await openRuntime();
const first = await runtime.connect();
// Let go after half a second without a message: what is idle costs nothing but its stored state.
await first.host({ type: "account", make: makeAccount, options: { idleMs: 500 } });

const sender = await runtime.connect();
const anna = sender.actor("account", "anna");
const ask = { deadlineMs: 10_000 };
const show = (what: string, value: unknown): void => {
  process.stdout.write(`${what}: ${JSON.stringify(value)}\n`);
};

show("paid in", await anna.ask({ amount: 100 }, ask));
const refused = await anna.ask({ amount: -500 }, ask).catch((error: Error) => error.message);
show("refused", refused);

while ((await first.activationCount()) > 0) await new Promise((resolve) => setTimeout(resolve, 50));
show("passivated, live activations", await first.activationCount());
show("woken", await anna.ask({ amount: 0 }, ask));

// Another process takes accounts, and the first one leaves.
const second = await runtime.connect();
await second.host({ type: "account", make: makeAccount });
await first.stop();
show("elsewhere", await anna.ask({ amount: -30 }, ask));

await runtime.close();
