/** `npm run murakkab -- …`: the command-line client and the processes behind it. */
import { start } from "./bootstrap/start.mjs";
import { NEEDS } from "./bootstrap/system-programs.mjs";

/** Commands that bring up a whole cluster on this machine, with a bus of its own. */
const LOCAL_CLUSTER = new Set(["demo", "up"]);

const args = process.argv.slice(2);
await start({
  mode: "runtime",
  // A client of a running fleet needs no program of this machine, an agent offers what is there.
  needs: LOCAL_CLUSTER.has(args[0]) ? NEEDS.demo : NEEDS.none,
  entry: "packages/cli/dist/main.js",
  args,
});
