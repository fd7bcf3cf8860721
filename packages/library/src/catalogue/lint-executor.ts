/**
 * Checks one executor beyond its shape: names refer to things that exist, every output is made.
 *
 * Owns:      the rules of a single entry.
 * Does not:  compare entries with one another (see lint-library.ts).
 */

import { describeError } from "@murakkab/kit";
import type { CommandEngine, ExecutorEntry, KnobValue, Port } from "@murakkab/model";
import { parseInterfaceType } from "@murakkab/model";
import { HOLES_EXPECTED, type Hole, parseHoles } from "./holes.ts";
import { lintPlanning } from "./lint-planning.ts";
import type { FieldPath, YamlSource } from "./yaml-source.ts";

/** Names that `engine.function` and `engine.parse` may use. Absent = not checked. */
export interface KnownNames {
  readonly functions?: readonly string[];
  readonly parsers?: readonly string[];
}

export function lintExecutor(source: YamlSource, entry: ExecutorEntry, known: KnownNames): void {
  lintPorts(source, "inputs", entry.inputs);
  lintPorts(source, "outputs", entry.outputs);
  lintKnobs(source, entry);
  lintResources(source, entry);
  lintPlanning(source, entry);
  if (entry.engine.kind === "command") lintCommand(source, entry, entry.engine, known);
  else lintName(source, ["engine", "function"], entry.engine.function, known.functions);
}

function lintPorts(
  source: YamlSource,
  field: "inputs" | "outputs",
  ports: Readonly<Record<string, Port>>,
): void {
  for (const [name, port] of Object.entries(ports)) {
    try {
      parseInterfaceType(port.type);
    } catch (error) {
      source.error([field, name, "type"], describeError(error));
    }
    if (field === "outputs" && port.isOptional === true) {
      source.error([field, name, "optional"], "an output cannot be optional, expected inputs only");
    }
    if (field === "inputs" && port.sizeUnit !== undefined) {
      const message = "an input has the size of what is connected to it, expected outputs only";
      source.error([field, name, "sizeUnit"], message);
    }
    if (port.bytesPerSec !== undefined && (field === "inputs" || port.sizeUnit !== "sec")) {
      const message =
        "bytes per second say how long a file lasts, expected an output with sizeUnit: sec";
      source.error([field, name, "bytesPerSec"], message);
    }
  }
}

function lintKnobs(source: YamlSource, entry: ExecutorEntry): void {
  for (const [name, knob] of Object.entries(entry.knobs)) {
    const shown = knob.values.map(showKnob).join(", ");
    if (!knob.values.includes(knob.default)) {
      const message = `default ${showKnob(knob.default)} is not allowed, expected one of ${shown}`;
      source.error(["knobs", name, "default"], message);
    }
    if (new Set(knob.values).size < knob.values.length) {
      source.error(
        ["knobs", name, "values"],
        `a value is there twice in ${shown}, expected each once`,
      );
    }
  }
}

/** A program has the instance for itself: its usage and its end are the instance's own. */
function lintResources(source: YamlSource, { engine, resources }: ExecutorEntry): void {
  if (engine.kind !== "command") return;
  if (resources.concurrency !== undefined && resources.concurrency > 1) {
    const message = `a command runs one attempt at a time per instance, expected no concurrency or 1`;
    source.error(["resources", "concurrency"], message);
  }
  if (resources.cores === 0) {
    const message = "a program needs a core while it runs, expected cores above 0";
    source.warn(["resources", "cores"], message);
  }
}

function lintCommand(
  source: YamlSource,
  entry: ExecutorEntry,
  engine: CommandEngine,
  known: KnownNames,
): void {
  if (!entry.programs.includes(engine.program)) {
    const message = `program "${engine.program}" is not in "programs", expected it there too: nodes are chosen by that list`;
    source.error(["engine", "program"], message);
  }
  for (const [index, arg] of engine.args.entries()) {
    const path: FieldPath = ["engine", "args", index];
    if (typeof arg === "string") {
      lintHoles(source, path, arg, entry);
      continue;
    }
    lintCondition(source, path, arg, entry);
    for (const [inner, text] of arg.args.entries()) {
      lintHoles(source, [...path, "args", inner], text, entry);
    }
  }
  for (const [name, text] of Object.entries(engine.env ?? {})) {
    lintHoles(source, ["engine", "env", name], text, entry);
  }
  if (engine.parse !== undefined)
    lintName(source, ["engine", "parse"], engine.parse, known.parsers);
  lintOutputsMade(source, entry, engine);
}

function lintCondition(
  source: YamlSource,
  path: FieldPath,
  { when, equals }: { readonly when: string; readonly equals?: KnobValue },
  entry: ExecutorEntry,
): void {
  const knob = Object.hasOwn(entry.knobs, when) ? entry.knobs[when] : undefined;
  if (knob === undefined) {
    source.error(
      [...path, "when"],
      `knob "${when}" is not declared, expected ${names(entry.knobs)}`,
    );
  } else if (equals !== undefined && !knob.values.includes(equals)) {
    const shown = knob.values.map(showKnob).join(", ");
    source.error(
      [...path, "equals"],
      `${showKnob(equals)} is no value of knob "${when}", expected one of ${shown}`,
    );
  }
}

function lintHoles(source: YamlSource, path: FieldPath, text: string, entry: ExecutorEntry): void {
  const parsed = parseHoles(text);
  if (parsed.kind === "invalid") {
    source.error(path, `"${parsed.hole}" is no hole, expected ${HOLES_EXPECTED}`);
    return;
  }
  for (const part of parsed.parts) {
    if (typeof part !== "string") lintHole(source, path, part, entry);
  }
}

function lintHole(source: YamlSource, path: FieldPath, hole: Hole, entry: ExecutorEntry): void {
  if (!("name" in hole)) return;
  const declared = { input: entry.inputs, knob: entry.knobs, output: entry.outputs }[hole.kind];
  if (!Object.hasOwn(declared, hole.name)) {
    const message = `${hole.kind} "${hole.name}" is not declared, expected ${names(declared)}`;
    source.error(path, message);
    return;
  }
  if (hole.kind === "input" && entry.inputs[hole.name]?.isOptional === true) {
    source.error(path, `input "${hole.name}" is optional, expected a required one in an argument`);
  }
  if (hole.kind === "output" && entry.engine.kind === "command") {
    if (Object.hasOwn(entry.engine.files ?? {}, hole.name)) return;
    source.error(path, `output "${hole.name}" has no file, expected it in "engine.files"`);
  }
}

function lintOutputsMade(source: YamlSource, entry: ExecutorEntry, engine: CommandEngine): void {
  const files = engine.files ?? {};
  for (const port of Object.keys(files)) {
    if (Object.hasOwn(entry.outputs, port)) continue;
    const message = `output "${port}" is not declared, expected ${names(entry.outputs)}`;
    source.error(["engine", "files", port], message);
  }
  const missing = Object.keys(entry.outputs).filter((port) => !Object.hasOwn(files, port));
  if (engine.parse !== undefined) {
    if (missing.length > 0) return;
    source.warn(["engine", "parse"], "every output is a file, so that the parser makes nothing");
    return;
  }
  for (const port of missing) {
    source.error(["outputs", port], `nothing makes output "${port}", expected a file or a parser`);
  }
}

function lintName(
  source: YamlSource,
  path: FieldPath,
  name: string,
  known: readonly string[] | undefined,
): void {
  if (known === undefined || known.includes(name)) return;
  source.error(path, `"${name}" is not known, expected one of ${known.join(", ") || "none"}`);
}

function names(declared: Readonly<Record<string, unknown>>): string {
  const list = Object.keys(declared);
  return list.length === 0 ? "none, because none is declared" : `one of ${list.join(", ")}`;
}

function showKnob(value: KnobValue): string {
  return JSON.stringify(value);
}
