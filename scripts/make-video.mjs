/** `npm run make-video -- SCENES.yaml OUT.mp4`: draws and narrates a test video. */
import { start } from "./bootstrap/start.mjs";
import { NEEDS } from "./bootstrap/system-programs.mjs";

await start({
  mode: "all", // testkit is no part of a run-time install
  needs: NEEDS.makeVideo,
  entry: "packages/testkit/dist/make-video/main.js",
  args: process.argv.slice(2),
});
