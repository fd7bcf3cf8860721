/**
 * From a script to the program behind it: bootstrap, then run, then end with its exit code.
 *
 * Owns:      the directory and the environment that the program runs in.
 *
 * package.json calls the scripts with `exec`: npm sends SIGTERM to the shell that it starts, and
 * a shell in between would end without passing it on.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { bootstrap, ROOT } from "../bootstrap.mjs";
import { runInTerminal, ScriptError, tellFailure } from "./run-program.mjs";
import { findNatsServer, findOnPath } from "./system-programs.mjs";

/**
 * Relative paths that the user gives count from where npm was called: npm itself changes to the
 * root first. `INIT_CWD` is inherited by everything below, so it only counts where npm put us.
 */
export function callerDirectory() {
  const calledFrom = process.env.INIT_CWD;
  return calledFrom && process.cwd() === ROOT && existsSync(calledFrom)
    ? calledFrom
    : process.cwd();
}

/** The program's environment: it must find a nats-server that only this script's search found. */
function childEnvironment() {
  const env = { ...process.env };
  if (!env.MURAKKAB_NATS_SERVER && !env.NATS_URL && findOnPath("nats-server", []) === null) {
    const path = findNatsServer();
    if (path !== null) env.MURAKKAB_NATS_SERVER = path;
  }
  return env;
}

/** Options: `entry` (below the root), `args`, and bootstrap's `mode` and `needs`. */
export async function start({ entry, args, ...options }) {
  const isVerbose = process.argv.includes("--verbose");
  try {
    await bootstrap({ ...options, isVerbose });
    const path = join(ROOT, entry);
    if (!existsSync(path)) throw new ScriptError(`${entry} does not exist in this version`);
    process.exitCode = await runInTerminal(process.execPath, [path, ...args], {
      cwd: callerDirectory(),
      env: childEnvironment(),
    });
  } catch (error) {
    process.exitCode = tellFailure(error, isVerbose);
  }
}
