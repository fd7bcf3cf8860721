#!/usr/bin/env node
/**
 * The `murakkab` command: the only file here that reads the process it runs in.
 *
 * Owns:      signals (the first ends things in order, the second at once) and the exit code.
 */
import type { Context } from "./context.ts";
import { Interrupted } from "./context.ts";
import { makePaint, wantsColour } from "./render/paint.ts";
import { runCommand } from "./run-command.ts";

const { stdout, stderr, env } = process;
const interrupt = new AbortController();
const CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

for (const [name, code] of Object.entries(CODES)) {
  process.on(name, () => {
    if (interrupt.signal.aborted) process.exit(code);
    interrupt.abort(new Interrupted(name as NodeJS.Signals));
  });
}
// `murakkab events | head` closes the pipe: that is no error of ours.
for (const stream of [stdout, stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    interrupt.abort(new Interrupted("SIGPIPE"));
  });
}

const context: Context = {
  ...{ stdout, stderr, env, signal: interrupt.signal },
  cwd: process.cwd(),
  paint: makePaint(wantsColour(env, stdout.isTTY === true)),
  paintErr: makePaint(wantsColour(env, stderr.isTTY === true)),
};
process.exitCode = await runCommand(context, process.argv.slice(2));
// What is printed must be out before the process ends: pipes are written in the background.
await Promise.all([stdout, stderr].map((stream) => new Promise((done) => stream.write("", done))));
process.exit();
