/** The engine of an executor. What an executor does not need is not loaded: instances start often. */
import { assertNever } from "@murakkab/kit";
import type { ExecutorEntry } from "@murakkab/model";
import type { Engine } from "../engine.ts";
import type { ProgramRunner } from "./program.ts";

export async function makeEngine(entry: ExecutorEntry, programs: ProgramRunner): Promise<Engine> {
  const { engine } = entry;
  switch (engine.kind) {
    case "command": {
      const { CommandLineEngine } = await import("./command-engine.ts");
      const parsers =
        engine.parse === undefined
          ? {}
          : (await import("@murakkab/library/functions")).OUTPUT_PARSERS;
      return new CommandLineEngine({ programs, parsers }, entry, engine);
    }
    case "function": {
      const { FunctionCallEngine } = await import("./function-engine.ts");
      const { EXECUTOR_FUNCTIONS } = await import("@murakkab/library/functions");
      const functions = EXECUTOR_FUNCTIONS;
      return new FunctionCallEngine({ programs, functions }, entry, engine.function);
    }
    default:
      return assertNever(engine);
  }
}
