/**
 * The engine of `command` executors: fills the holes, runs the program, reads its output.
 *
 * Owns:      what a hole becomes.
 * Does not:  run anything through a shell; each argument stays one argument, whatever is in it.
 */
import { join } from "node:path";
import { EngineFailedError, InvalidArgumentError } from "@murakkab/kit";
import type { OutputParser } from "@murakkab/library";
import { type Hole, parseHoles, selectArgs } from "@murakkab/library/command";
import { type CommandEngine, collectArtifactRefs, type ExecutorEntry } from "@murakkab/model";
import type { Engine, EngineCall, Values } from "../engine.ts";
import type { ProgramRunner } from "./program.ts";

export interface CommandEngineComponents {
  readonly programs: ProgramRunner;
  readonly parsers: Readonly<Record<string, OutputParser>>;
}

export class CommandLineEngine implements Engine {
  readonly capabilities = { concurrencyMax: 1 };
  private readonly programs: ProgramRunner;
  private readonly entry: ExecutorEntry;
  private readonly spec: CommandEngine;
  private readonly parser: OutputParser | null;

  /** Errors: `INVALID_ARGUMENT` when the entry's parser is not known. */
  constructor(components: CommandEngineComponents, entry: ExecutorEntry, spec: CommandEngine) {
    this.programs = components.programs;
    this.entry = entry;
    this.spec = spec;
    this.parser = spec.parse === undefined ? null : findParser(components.parsers, spec.parse);
  }

  async start(): Promise<void> {}

  async run(call: EngineCall): Promise<Values> {
    const { program, args, env = {}, files = {}, stdoutLimitBytes } = this.spec;
    const filled: string[] = [];
    for (const text of selectArgs(args, call.knobs)) filled.push(await this.fill(text, call));
    const variables: Record<string, string> = {};
    for (const [name, text] of Object.entries(env)) variables[name] = await this.fill(text, call);

    const { scratchDir, signal, knobs } = call;
    const output = await this.programs.run({
      program,
      args: filled,
      env: variables,
      cwd: scratchDir,
      signal,
      stdoutLimitBytes,
    });
    const written = Object.entries(files).map(([port, { name, mediaType }]) => [
      port,
      { outputFile: join(scratchDir, name), mediaType },
    ]);
    const stdout = Buffer.from(output.stdout).toString("utf8");
    const parsed = this.parser?.({ stdout, stderr: output.stderr, knobs }) ?? {};
    return { ...parsed, ...(Object.fromEntries(written) as Values) };
  }

  async stop(): Promise<void> {}

  private async fill(text: string, call: EngineCall): Promise<string> {
    const parsed = parseHoles(text);
    if (parsed.kind === "invalid") {
      throw new EngineFailedError(
        `executor "${this.entry.id}" has "${parsed.hole}" in a command, expected a documented hole`,
      );
    }
    const [first] = parsed.parts;
    let filled = "";
    for (const part of parsed.parts) {
      const value = typeof part === "string" ? part : await this.valueOf(part, call);
      // A user's text must not become an option of the program.
      if (
        part === first &&
        typeof part !== "string" &&
        part.kind === "input" &&
        value.startsWith("-")
      ) {
        throw new InvalidArgumentError(
          `input "${part.name}" of executor "${this.entry.id}" starts with "-", expected a value that no program takes for an option`,
          { field: `inputs.${part.name}` },
        );
      }
      filled += value;
    }
    return filled;
  }

  private async valueOf(hole: Hole, call: EngineCall): Promise<string> {
    switch (hole.kind) {
      case "threads":
        return String(call.threads);
      case "scratch":
        return call.scratchDir;
      case "knob":
        return String(call.knobs[hole.name]);
      case "output": {
        const file = this.spec.files?.[hole.name];
        if (file !== undefined) return join(call.scratchDir, file.name);
        throw new EngineFailedError(
          `output "${hole.name}" of executor "${this.entry.id}" has no file, expected one in engine.files`,
        );
      }
      case "input":
        return this.inputText(hole.name, call);
    }
  }

  /** A plain value as text; of a file, or a record with one file in it, the file's local path. */
  private async inputText(name: string, call: EngineCall): Promise<string> {
    const value = call.inputs[name];
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
      return String(value);
    }
    const [ref, ...others] = Array.isArray(value) ? [] : collectArtifactRefs(value);
    if (ref !== undefined && others.length === 0) return call.openArtifact(ref);
    const type = this.entry.inputs[name]?.type ?? "unknown";
    throw new InvalidArgumentError(
      `input "${name}" (${type}) of executor "${this.entry.id}" cannot be an argument, expected a text, a number or one file`,
      { field: `inputs.${name}` },
    );
  }
}

function findParser(parsers: CommandEngineComponents["parsers"], name: string): OutputParser {
  const parser = Object.hasOwn(parsers, name) ? parsers[name] : undefined;
  if (parser !== undefined) return parser;
  const known = Object.keys(parsers).join(", ") || "none";
  throw new InvalidArgumentError(`parser "${name}" is not known, expected one of ${known}`);
}
