/**
 * `murakkab scheduler` and `murakkab node`: the process itself, with the flags passed through.
 *
 * Node cannot replace its own process image, so this one stays as a thin parent: it hands signals
 * on and ends with the child's exit code.
 */
import { spawn } from "node:child_process";
import { UnavailableError } from "@murakkab/kit";
import type { ProgramName } from "../cluster/process-paths.ts";
import { NODE_FLAGS, programPath } from "../cluster/process-paths.ts";
import type { Context } from "../context.ts";
import { EXIT, Interrupted } from "../context.ts";

export async function runProcess(
  { env, signal }: Context,
  program: ProgramName,
  args: readonly string[],
): Promise<number> {
  const nodeArgs = [...NODE_FLAGS[program], programPath(program), ...args];
  const child = spawn(process.execPath, nodeArgs, { env, stdio: "inherit" });
  const forward = (): void => {
    const reason: unknown = signal.reason;
    // Ctrl-C in a terminal has reached the child too: its group is ours.
    const isFromTerminal = reason instanceof Interrupted && reason.signalName === "SIGINT";
    if (!isFromTerminal || process.stdin.isTTY !== true) child.kill("SIGTERM");
  };
  signal.addEventListener("abort", forward, { once: true });
  const killWithUs = (): void => void child.kill("SIGKILL");
  process.once("exit", killWithUs);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once("error", (cause) =>
        reject(new UnavailableError(`${program} could not be started`, { cause })),
      );
      child.once("exit", (code) => {
        if (signal.aborted && code === 0) signal.throwIfAborted();
        resolve(code ?? EXIT.failed);
      });
    });
  } finally {
    process.removeListener("exit", killWithUs);
    signal.removeEventListener("abort", forward);
  }
}
