/** `npm run -s example -- actors/streaming`: an answer in many parts, no faster than it is read. */
import type { Behaviour } from "@murakkab/actor";
import { openRuntime } from "./runtime.ts";

const runtime = await openRuntime();
const host = await runtime.connect();
const progress = { madeCount: 0 };

await host.host({
  type: "numbers",
  make: (): Behaviour => ({
    handle: async () => null,
    async *stream(message) {
      for (let n = 0; n < Number(message); n += 1) {
        progress.madeCount += 1;
        yield n;
      }
    },
  }),
});

const sender = await runtime.connect();
let sum = 0;
for await (const n of sender.actor("numbers", "all").stream(1_000, { deadlineMs: 5_000 })) {
  sum += Number(n);
}
process.stdout.write(`sum of 1000: ${sum}\n`);

// Leaving the loop cancels the rest; the actor was at most its credit of 64 items ahead.
progress.madeCount = 0;
for await (const n of sender.actor("numbers", "all").stream(1_000_000, { deadlineMs: 5_000 })) {
  if (n === 9) break;
}
process.stdout.write(`read 10, made fewer than 200: ${progress.madeCount < 200}\n`);

await runtime.close();
