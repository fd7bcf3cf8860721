/** From an argument list to an exit code. Never throws. */
import { describeError, isRuntimeError } from "@murakkab/kit";
import { CommanderError } from "commander";
import type { Context } from "./context.ts";
import { EXIT, Interrupted, UsageError } from "./context.ts";
import { buildProgram } from "./program.ts";
import { printable } from "./render/text-width.ts";

export async function runCommand(context: Context, args: readonly string[]): Promise<number> {
  let exitCode: number = EXIT.ok;
  const program = buildProgram(context, (code) => {
    exitCode = code;
  });
  if (args.length === 0) {
    program.outputHelp({ error: true });
    return EXIT.usage;
  }
  try {
    await program.parseAsync([...args], { from: "user" });
    return exitCode;
  } catch (error) {
    return report(error, context, args.includes("--verbose"));
  }
}

function report(error: unknown, { stderr, signal }: Context, isVerbose: boolean): number {
  if (error instanceof CommanderError) {
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage; // Commander has printed it.
  }
  if (signal.aborted || error instanceof Interrupted) {
    const reason: unknown = signal.reason ?? error;
    const isInterrupt = reason instanceof Interrupted && reason.signalName === "SIGINT";
    return isInterrupt ? EXIT.interrupted : EXIT.terminated;
  }
  const hint = error instanceof UsageError ? " (see murakkab --help)" : "";
  stderr.write(`murakkab: ${printable(describeError(error))}${hint}\n`);
  if (isRuntimeError(error) && error.detail !== undefined) {
    for (const line of error.detail.trimEnd().split("\n")) stderr.write(`  | ${printable(line)}\n`);
  }
  if (isVerbose && error instanceof Error) stderr.write(`${error.stack ?? ""}\n`);
  // A request that is wrong in itself is a usage error wherever that was found out.
  return isRuntimeError(error) && error.code === "INVALID_ARGUMENT" ? EXIT.usage : EXIT.failed;
}
