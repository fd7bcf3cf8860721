/** `npm run demo`: the whole system on this machine, from a checkout with nothing installed. */
import { start } from "./bootstrap/start.mjs";
import { NEEDS } from "./bootstrap/system-programs.mjs";

await start({
  mode: "runtime",
  needs: NEEDS.demo,
  entry: "packages/cli/dist/main.js",
  args: ["demo", ...process.argv.slice(2)],
});
