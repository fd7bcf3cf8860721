/**
 * The text form of SLOs: `cost<$2,latency<30s,energy<1Wh,quality>=0.8`. One grammar for the CLI,
 * JSON and the SDK; errors point at the character.
 */
import { InvalidArgumentError } from "@murakkab/kit";
import type { Slo } from "./slo.ts";

interface Axis {
  readonly key: keyof Slo;
  readonly isUpperBound: boolean;
  readonly pattern: RegExp;
  readonly expected: string;
  readonly units: Readonly<Record<string, number>>;
}

const AXES: Readonly<Record<string, Axis>> = {
  latency: {
    key: "latencyMsMax",
    isUpperBound: true,
    pattern: /^(\d+(?:\.\d+)?)(ms|s|min|m|h)$/,
    expected: "a time such as 30s, 500ms or 2min",
    units: { ms: 1, s: 1_000, min: 60_000, m: 60_000, h: 3_600_000 },
  },
  cost: {
    key: "costUsdMax",
    isUpperBound: true,
    pattern: /^\$?(\d+(?:\.\d+)?)(usd|USD)?$/,
    expected: "dollars such as $2 or 0.05usd",
    units: { "": 1, usd: 1, USD: 1 },
  },
  energy: {
    key: "energyWhMax",
    isUpperBound: true,
    pattern: /^(\d+(?:\.\d+)?)(mWh|Wh|kWh)$/,
    expected: "an energy such as 1Wh or 200mWh",
    units: { mWh: 0.001, Wh: 1, kWh: 1_000 },
  },
  quality: {
    key: "qualityMin",
    isUpperBound: false,
    pattern: /^(\d+(?:\.\d+)?)(%)?$/,
    expected: "a number from 0 to 1 or a percentage",
    units: { "": 1, "%": 0.01 },
  },
};

const TERM_PATTERN = /^\s*([A-Za-z]+)\s*(<=|>=|<|>|=)\s*(\S.*?)\s*$/;

/**
 * Errors: `INVALID_ARGUMENT` with field `slo`, naming the term, its position (from 1) and what was
 * expected. A repeated axis is an error, not an override.
 */
export function parseSlo(text: string): Slo {
  const slo: Record<string, number> = {};
  let position = 1;
  for (const term of text.split(",")) {
    const match = TERM_PATTERN.exec(term);
    if (match === null) {
      fail(term, position, "a term such as cost<$2, latency<30s, energy<1Wh or quality>=0.8");
    }
    const [, name = "", operator = "", amount = ""] = match;
    const [key, value] = parseBound({ name, operator, amount, term, position });
    if (key in slo) fail(term, position, `one bound on ${name}, and there is one already`);
    slo[key] = value;
    position += term.length + 1;
  }
  return slo;
}

/** The object form: `{ cost: "<$2", latency: "<30s" }`. Errors as `parseSlo`. */
export function parseSloObject(bounds: Readonly<Record<string, string>>): Slo {
  const terms = Object.entries(bounds).map(([name, bound]) => `${name}${bound}`);
  return terms.length === 0 ? {} : parseSlo(terms.join(","));
}

interface Term {
  readonly name: string;
  readonly operator: string;
  readonly amount: string;
  readonly term: string;
  readonly position: number;
}

function parseBound({ name, operator, amount, term, position }: Term): [keyof Slo, number] {
  const axis = Object.hasOwn(AXES, name) ? AXES[name] : undefined;
  if (axis === undefined) fail(term, position, `one of ${Object.keys(AXES).join(", ")}`);
  const operators = axis.isUpperBound ? ["<", "<="] : [">", ">="];
  if (!operators.includes(operator)) fail(term, position, `${name} ${operators.join(" or ")}`);
  const match = axis.pattern.exec(amount);
  if (match === null) fail(term, position, axis.expected);
  const value = Number(match[1]) * (axis.units[match[2] ?? ""] ?? Number.NaN);
  const isInRange = axis.isUpperBound ? value > 0 : value >= 0 && value <= 1;
  if (!Number.isFinite(value) || !isInRange) fail(term, position, axis.expected);
  return [axis.key, value];
}

function fail(term: string, position: number, expected: string): never {
  throw new InvalidArgumentError(
    `slo term "${term.trim()}" at character ${position} is not valid, expected ${expected}`,
    { field: "slo", context: { position } },
  );
}
