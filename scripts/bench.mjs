/** `npm run bench -- NAME`: one of the measurements in bench/. */
import { start } from "./bootstrap/start.mjs";
import { NEEDS } from "./bootstrap/system-programs.mjs";

await start({
  mode: "all", // it uses testkit, which is no part of a run-time install
  needs: NEEDS.demo,
  entry: "bench/dist/main.js",
  args: process.argv.slice(2),
});
