/**
 * Ends a child's process group when this process is gone, even by SIGKILL, which runs no exit
 * listener: a tiny shell waits on a pipe that closes with this process.
 */
import { spawn } from "node:child_process";

/** `read` fails when the pipe closes without a line: then the group is ended. */
const SCRIPT =
  'if read -r line; then exit 0; fi; kill -TERM "$1" 2>/dev/null; sleep 3; kill -KILL "-$1" 2>/dev/null';

/** The returned function dismisses the guard: call it when the child has exited. */
export function guardGroup(pid: number): () => void {
  const guard = spawn("/bin/sh", ["-c", SCRIPT, "murakkab-guard", String(pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true, // Ctrl-C in the terminal must not reach it first.
  });
  guard.on("error", () => undefined); // No shell, no guard: the exit listener still works.
  guard.stdin.on("error", () => undefined);
  guard.unref();
  (guard.stdin as typeof guard.stdin & { unref?: () => void }).unref?.();
  return () => guard.stdin.end("done\n");
}
