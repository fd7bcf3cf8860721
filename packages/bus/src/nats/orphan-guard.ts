/**
 * Ends a child process when this one is gone, however it went.
 *
 * An `exit` listener does not run on SIGKILL, nor on a signal that nobody handles. So a tiny shell
 * waits on a pipe that closes with this process, in a session of its own, so that Ctrl-C in the
 * terminal does not reach it first.
 */
import { spawn } from "node:child_process";
import type { Cancel } from "@murakkab/kit";

/** `read` fails when the pipe closes without a line: then the child is ended. */
export const ORPHAN_GUARD_SCRIPT =
  'if read -r line; then exit 0; fi; kill -TERM "$1" 2>/dev/null; sleep 3; ' +
  'kill -KILL "$1" 2>/dev/null';

/** The returned function ends the guard: call it when the child has exited. */
export function guardAgainstOrphan(pid: number): Cancel {
  const guard = spawn("/bin/sh", ["-c", ORPHAN_GUARD_SCRIPT, "orphan-guard", String(pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  guard.on("error", () => undefined); // no shell, no guard: the exit listener still works
  guard.stdin.on("error", () => undefined); // it ended before us
  guard.unref();
  const pipe = guard.stdin as typeof guard.stdin & { unref?: () => void };
  pipe.unref?.();
  return () => {
    guard.stdin.end("done\n");
  };
}
