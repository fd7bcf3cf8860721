/**
 * Checks what an executor tells the planner about itself: sizes, batches, drafts, kinds of questions.
 *
 * Owns:      the rules of `sizedBy`, `batchMax`, `staging` and `questionClasses` in one entry.
 * Does not:  look for who uses a focus (see lint-library.ts).
 */
import type { ExecutorEntry, Port, QuestionClass, Staging } from "@murakkab/model";
import { parseInterfaceType } from "@murakkab/model";
import type { YamlSource } from "./yaml-source.ts";

/** Type of the input that a question comes in by. */
const QUESTION_TYPE = "question";

export function lintPlanning(source: YamlSource, entry: ExecutorEntry): void {
  lintSizedBy(source, entry);
  lintBatch(source, entry);
  if (entry.staging !== undefined) lintStaging(source, entry, entry.staging);
  if (entry.questionClasses !== undefined) lintClasses(source, entry, entry.questionClasses);
}

function lintSizedBy(source: YamlSource, { sizedBy = [], inputs }: ExecutorEntry): void {
  for (const [index, port] of sizedBy.entries()) {
    if (!Object.hasOwn(inputs, port)) {
      const message = `input "${port}" is not declared, expected ${names(inputs)}`;
      source.error(["sizedBy", index], message);
    } else if (sizedBy.indexOf(port) < index) {
      source.error(["sizedBy", index], `input "${port}" is there twice, expected each once`);
    }
  }
}

/** A command's arguments name one file for each input: it can take no list of items. */
function lintBatch(source: YamlSource, { batchMax, engine, inputs }: ExecutorEntry): void {
  if (batchMax === undefined) return;
  if (engine.kind !== "function") {
    const message = `a ${engine.kind} takes one item at a time, expected batchMax only with an engine of kind function`;
    source.error(["batchMax"], message);
  }
  if (Object.values(inputs).some(({ type }) => !isList(type))) return;
  const message = "every input is a list, expected an input that a step can be fanned out over";
  source.error(["batchMax"], message);
}

function lintStaging(source: YamlSource, entry: ExecutorEntry, staging: Staging): void {
  const { confidence, atLeast, focus } = staging;
  const { outputs, inputs } = entry;
  if (!Object.hasOwn(outputs, confidence.port)) {
    const message = `output "${confidence.port}" is not declared, expected ${names(outputs)}`;
    source.error(["staging", "confidence", "port"], message);
  }
  for (const [index, threshold] of atLeast.entries()) {
    if (index === 0 || threshold > (atLeast[index - 1] ?? 0)) continue;
    const message = `threshold ${threshold} comes after ${atLeast[index - 1]}, expected rising numbers, each once`;
    source.error(["staging", "atLeast", index], message);
  }
  if (!Object.values(inputs).some(({ isOptional }) => isOptional === true)) {
    const message = "no input is optional, expected one: a draft is made without some of them";
    source.error(["staging"], message);
  }
  if (focus === undefined) return;
  const port = Object.hasOwn(outputs, focus) ? outputs[focus] : undefined;
  if (port === undefined) {
    const message = `output "${focus}" is not declared, expected ${names(outputs)}`;
    source.error(["staging", "focus"], message);
  } else if (focus === confidence.port) {
    const message = `output "${focus}" says how sure the draft is, expected another one`;
    source.error(["staging", "focus"], message);
  }
}

function lintClasses(
  source: YamlSource,
  { inputs }: ExecutorEntry,
  classes: readonly QuestionClass[],
): void {
  if (!Object.values(inputs).some((port: Port) => port.type === QUESTION_TYPE)) {
    const message = `no input has the type "${QUESTION_TYPE}", expected one where questionClasses are given`;
    source.error(["questionClasses"], message);
  }
  const seen = new Map<string, string>();
  for (const [index, { name, phrases }] of classes.entries()) {
    if (classes.findIndex((it) => it.name === name) < index) {
      const message = `class "${name}" is there twice, expected each once`;
      source.error(["questionClasses", index, "name"], message);
    }
    for (const [at, phrase] of phrases.entries()) {
      const words = phrase.toLowerCase().split(/\s+/).sort().join(" ");
      const taken = seen.get(words);
      if (taken !== undefined) {
        const message = `phrase "${phrase}" belongs to class "${taken}" already, expected each once`;
        source.error(["questionClasses", index, "phrases", at], message);
      }
      seen.set(words, name);
    }
  }
}

function isList(type: string): boolean {
  try {
    return parseInterfaceType(type).isList;
  } catch {
    return false; // told at the port already
  }
}

function names(declared: Readonly<Record<string, unknown>>): string {
  const list = Object.keys(declared);
  return list.length === 0 ? "none, because none is declared" : `one of ${list.join(", ")}`;
}
