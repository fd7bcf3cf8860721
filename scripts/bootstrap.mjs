/**
 * Makes a fresh checkout ready to run: packages, build, system programs. Nothing but Node needed.
 *
 * Owns:      the order of things and the fast answer "all is there".
 * Does not:  run anything of the product.
 *
 * Used by every script next to it, and by itself: `node scripts/bootstrap.mjs [runtime|all]`.
 * Progress goes to stderr, one line per thing, and only when there is something to do: what the
 * program behind it prints on stdout stays machine-readable.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildSources, isBuilt } from "./bootstrap/build-sources.mjs";
import { installPackages, isInstalled } from "./bootstrap/install-packages.mjs";
import { withLock } from "./bootstrap/lock.mjs";
import { ScriptError, tellFailure } from "./bootstrap/run-program.mjs";
import { ensurePrograms, hasPrograms, NEEDS } from "./bootstrap/system-programs.mjs";

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const LOCK = join(ROOT, ".murakkab/bootstrap.lock");

function say(line) {
  process.stderr.write(`[setup] ${line}\n`);
}

function checkNode() {
  const { engines } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
  const match = />=(\d+)\.(\d+)/.exec(engines.node);
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (match === null)
    throw new ScriptError(`package.json engines.node is not understood: ${engines.node}`);
  const [majorMin, minorMin] = match.slice(1).map(Number);
  if (major > majorMin || (major === majorMin && minor >= minorMin)) return;
  throw new ScriptError(
    `Node ${majorMin}.${minorMin} or newer is needed, this is ${process.versions.node}`,
  );
}

/**
 * Brings the checkout up to date. Cheap when it already is (some tens of milliseconds).
 *
 * `mode`:  "runtime" or "all", see install-packages.mjs.
 * `needs`: a value of NEEDS, the system programs.
 * `build`: false leaves the compiler to the caller. Default true.
 */
export async function bootstrap({ mode, needs = NEEDS.none, build = true, isVerbose = false }) {
  checkNode();
  const context = { say, isVerbose };
  const isReady = () => isInstalled(ROOT, mode) && (!build || isBuilt(ROOT, mode));
  const startedMs = performance.now();
  let isChanged = false;
  if (!isReady()) {
    isChanged = true;
    await withLock(
      LOCK,
      async () => {
        // Whoever held the lock before may have done it all.
        if (!isInstalled(ROOT, mode)) await installPackages(ROOT, mode, context);
        if (build && !isBuilt(ROOT, mode)) await buildSources(ROOT, mode, context);
      },
      {
        onWait: (pid) => say(`waiting for another setup of this checkout (process ${pid ?? "?"})`),
      },
    );
  }
  if (!hasPrograms(ROOT, needs)) await ensurePrograms(ROOT, needs, context);
  if (isChanged) say(`ready after ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const isVerbose = process.argv.includes("--verbose");
  const mode = process.argv.includes("all") ? "all" : "runtime";
  try {
    await bootstrap({ mode, needs: mode === "all" ? NEEDS.test : NEEDS.demo, isVerbose });
  } catch (error) {
    process.exitCode = tellFailure(error, isVerbose);
  }
}
