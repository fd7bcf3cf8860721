/** Values of command-line options. Every error is a UsageError naming option, value, expectation. */
import { describeError, isRuntimeError } from "@murakkab/kit";
import type { KnobValue, KnobValues, SloAxis } from "@murakkab/model";
import { OBJECTIVES, type Objective, parseSlo, SLO_AXES } from "@murakkab/model";
import { UsageError } from "./context.ts";
import { caretLines } from "./render/caret.ts";

function refuse(option: string, value: string, expected: string): never {
  throw new UsageError(`--${option} is "${value}", expected ${expected}`, { field: option });
}

const DURATION_PATTERN = /^(\d+(?:\.\d+)?)(ms|s|min|m|h)?$/;
const MS_PER_UNIT: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
};

/** `60s` → 60000. A number alone is refused: its unit would be a guess. */
export function parseDurationMs(option: string, text: string): number {
  const match = DURATION_PATTERN.exec(text);
  const unit = match?.[2];
  const durationMs = Number(match?.[1]) * (MS_PER_UNIT[unit ?? ""] ?? Number.NaN);
  if (Number.isFinite(durationMs) && durationMs >= 1) return Math.round(durationMs);
  return refuse(option, text, "a time with a unit such as 60s, 500ms or 2min");
}

export function parseCount(option: string, text: string, max: number): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= max) return count;
  return refuse(option, text, `a whole number from 1 to ${max}`);
}

export function parseObjective(text: string): Objective {
  const found = OBJECTIVES.find((objective) => objective === text);
  return found ?? refuse("objective", text, `one of ${OBJECTIVES.join(", ")}`);
}

/** The axis of a counter-offer that may give way. */
export function parseAxis(option: string, text: string): SloAxis {
  const found = SLO_AXES.find((axis) => axis === text);
  return found ?? refuse(option, text, `one of ${SLO_AXES.join(", ")}`);
}

/** Several `--slo` are one list. The text goes to the scheduler as it is, once it is known good. */
export function parseSloOption(texts: readonly string[]): string {
  const slo = texts.join(",");
  try {
    parseSlo(slo);
  } catch (error) {
    const position = isRuntimeError(error) ? error.context["position"] : undefined;
    throw new UsageError(`--slo: ${describeError(error)}`, {
      field: "slo",
      ...(typeof position === "number" ? { detail: caretLines(slo, position).join("\n") } : {}),
    });
  }
  return slo;
}

/** `name=value` pairs of a repeated option. */
export function parsePairs(option: string, texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(texts.map((text) => parsePair(option, text)));
}

function parsePair(option: string, text: string): [string, string] {
  const at = text.indexOf("=");
  if (at < 1 || at === text.length - 1) refuse(option, text, "the form name=value");
  return [text.slice(0, at), text.slice(at + 1)];
}

/** `executor.knob=value`; the executor may be a capability and may itself have dots. */
export function parseKnobs(texts: readonly string[]): Record<string, KnobValues> {
  const knobs: Record<string, Record<string, KnobValue>> = {};
  for (const text of texts) {
    const at = text.indexOf("=");
    const dot = text.lastIndexOf(".", at);
    if (at < 0 || dot < 1 || dot + 1 === at || at === text.length - 1) {
      refuse("knob", text, "the form executor.knob=value");
    }
    const owner = text.slice(0, dot);
    knobs[owner] = { ...knobs[owner], [text.slice(dot + 1, at)]: knobValue(text.slice(at + 1)) };
  }
  return knobs;
}

/** Numbers and booleans as such; quotes make a text of anything. */
function knobValue(text: string): KnobValue {
  if (text === "true" || text === "false") return text === "true";
  if (/^-?\d+(?:\.\d+)?$/.test(text)) return Number(text);
  const quoted = /^"(.*)"$|^'(.*)'$/.exec(text);
  return quoted === null ? text : (quoted[1] ?? quoted[2] ?? "");
}
