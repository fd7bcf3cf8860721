/**
 * The text form of SLOs: `latency<30s,cost<$2,energy<1Wh,quality>=0.8`, tiers as `good`,
 * `quality>=good` or `latency<good`. One grammar for the CLI, JSON and the SDK.
 *
 * Invariants:
 *   G1. Every error is `INVALID_ARGUMENT`, names the field (`slo`, or `slo.<axis>` in the object
 *       form) and carries the character at fault in `context.position`, counted from 1.
 *   G2. `parseSlo(formatSlo(slo))` gives `slo` again, to the last bit.
 */
import { InvalidArgumentError } from "@murakkab/kit";
import { SLO_AXES, type SloAxis } from "./prediction.ts";
import { SLO_TIERS, type Slo, type SloTier } from "./slo.ts";

/** Longest text: several times what all four bounds take; a longer one is no list of bounds. */
const SLO_CHARS_MAX = 256;
/** Characters of a term that a message repeats. */
const TERM_CHARS_SHOWN = 48;

type NumberKey = "latencyMsMax" | "costUsdMax" | "energyWhMax" | "qualityMin";
type TierKey = "qualityTier" | "latencyTier";

interface Axis {
  readonly key: NumberKey;
  readonly tierKey?: TierKey;
  readonly operators: readonly [string, string];
  /** What may stand before the number; the empty text is always allowed. */
  readonly sign: string;
  /** To the unit of `key`. The unit "" may be left out where there is one. */
  readonly units: Readonly<Record<string, number>>;
  /** Units that `formatSlo` tries, largest first; the last has factor 1, so it is always exact. */
  readonly formatUnits: readonly string[];
  readonly expected: string;
  /** In the unit of `key`: what lies outside is a slip of the pen. */
  readonly min: number;
  readonly max: number;
  readonly range: string;
}

const UPPER = ["<", "<="] as const;
const AXES: Readonly<Record<SloAxis, Axis>> = {
  latency: {
    key: "latencyMsMax",
    tierKey: "latencyTier",
    operators: UPPER,
    sign: "",
    units: { ms: 1, s: 1_000, min: 60_000, m: 60_000, h: 3_600_000 },
    formatUnits: ["h", "min", "s", "ms"],
    expected: "a time such as 30s, 500ms or 2min",
    min: 1, // Below a millisecond lies the cost of a single message.
    max: 7 * 24 * 3_600_000, // No job may run longer than that (the protocol's own limit).
    range: "from 1ms to 168h",
  },
  cost: {
    key: "costUsdMax",
    operators: UPPER,
    sign: "$",
    units: { "": 1, usd: 1, USD: 1 },
    formatUnits: [""],
    expected: "dollars such as $2 or 0.05usd",
    min: 1e-9, // About 0.1 ms of one core at 4 cents an hour: less than any step takes.
    max: 1_000_000, // A job of a million dollars is a misplaced digit.
    range: "from $0.000000001 to $1000000",
  },
  energy: {
    key: "energyWhMax",
    operators: UPPER,
    sign: "",
    units: { mWh: 0.001, Wh: 1, kWh: 1_000 },
    formatUnits: ["Wh"],
    expected: "an energy such as 1Wh or 200mWh",
    min: 1e-9, // A core at 10 W takes that within half a microsecond.
    max: 1_000_000, // A megawatt-hour: eight GPUs of 700 W each for a week.
    range: "from 0.000000001Wh to 1000kWh",
  },
  quality: {
    key: "qualityMin",
    tierKey: "qualityTier",
    operators: [">=", ">"],
    sign: "",
    units: { "": 1, "%": 0.01 },
    formatUnits: [""],
    expected: "a number from 0 to 1 or a percentage",
    min: 0, // A share of right answers; 0 is no bound, and harmless.
    max: 1,
    range: "from 0 to 1",
  },
};

const TIER_WORDS = SLO_TIERS.join(", ");
const TERM_EXPECTED = `a term such as cost<$2, latency<30s, energy<1Wh or quality>=0.8, or a tier (${TIER_WORDS})`;
const NAME_PATTERN = /^[A-Za-z]+/;
const OPERATOR_PATTERN = /^\s*(<=|>=|<|>|==?)?\s*/;
/** Sign or currency, number, unit. */
const AMOUNT_PATTERN =
  /^([^\d\s.+-]*)\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)(\s*)(\D.*)?$/;

type MutableSlo = { -readonly [K in keyof Slo]: Slo[K] };

/** Where a piece of text stands in what the user wrote, for messages. */
interface Piece {
  readonly text: string;
  /** Of its first character, from 1. */
  readonly position: number;
  /** The whole term that it is part of, and where that begins. */
  readonly term: string;
  readonly start: number;
  readonly field: string;
}

/** Errors: G1. A repeated axis is an error, not an override. */
export function parseSlo(text: string): Slo {
  if (text.length > SLO_CHARS_MAX) {
    const whole = { text, position: SLO_CHARS_MAX + 1, term: text, start: 1, field: "slo" };
    fail(whole, `the text has ${text.length} characters`, `at most ${SLO_CHARS_MAX}`);
  }
  const slo: MutableSlo = {};
  let position = 1;
  for (const raw of text.split(",")) {
    const term = trimmed(raw, position, "slo");
    const name = NAME_PATTERN.exec(term.text)?.[0] ?? "";
    if (name !== "" && name.length === term.text.length) setTierWord(slo, term);
    else if (name === "") fail(term, "the term has no axis", TERM_EXPECTED);
    else setBound(slo, axisOf(piece(term, 0, name.length)), rest(term, name.length));
    position += raw.length + 1;
  }
  return slo;
}

/**
 * The object form: `{ cost: "<$2", latency: "<30s", quality: "good" }`. Positions count within the
 * value. Errors: G1.
 */
export function parseSloObject(bounds: Readonly<Record<string, string>>): Slo {
  const slo: MutableSlo = {};
  for (const [name, bound] of Object.entries(bounds)) {
    const field = `slo.${name.slice(0, TERM_CHARS_SHOWN)}`;
    const axis = axisOf({ text: name, position: 1, term: name, start: 1, field });
    if (bound.length > SLO_CHARS_MAX) {
      const whole = { text: bound, position: SLO_CHARS_MAX + 1, term: bound, start: 1, field };
      fail(whole, `the bound has ${bound.length} characters`, `at most ${SLO_CHARS_MAX}`);
    }
    const value = trimmed(bound, 1, field);
    if (AXES[axis].tierKey !== undefined && isTier(value.text)) {
      setTier(slo, axis, value);
    } else setBound(slo, axis, value);
  }
  return slo;
}

/** The inverse of `parseSlo`. Where an axis has a tier and its number, the number is written. */
export function formatSlo(slo: Slo): string {
  return SLO_AXES.flatMap((name) => {
    const axis = AXES[name];
    const [operator] = axis.operators;
    const bound = slo[axis.key];
    if (bound !== undefined) return [`${name}${operator}${formatAmount(axis, bound)}`];
    const tier = axis.tierKey === undefined ? undefined : slo[axis.tierKey];
    return tier === undefined ? [] : [`${name}${operator}${tier}`];
  }).join(",");
}

/** The shortest way to write it that reads back as the very same number (G2). */
function formatAmount(axis: Axis, bound: number): string {
  const texts = axis.formatUnits.flatMap((unit) => {
    const factor = axis.units[unit] ?? 1;
    const amount = bound / factor;
    const isExact = amount >= 1 && Number(String(amount)) * factor === bound;
    return isExact || factor === 1 ? [`${axis.sign}${amount}${unit}`] : [];
  });
  return texts.reduce((best, text) => (text.length < best.length ? text : best));
}

function isTier(text: string): text is SloTier {
  return (SLO_TIERS as readonly string[]).includes(text);
}

function axisOf(name: Piece): SloAxis {
  const axis = SLO_AXES.find((known) => known === name.text);
  return (
    axis ?? fail(name, `axis "${shown(name.text)}" is not known`, `one of ${SLO_AXES.join(", ")}`)
  );
}

/** A word alone: a tier of quality. */
function setTierWord(slo: MutableSlo, word: Piece): void {
  const isAxis = (SLO_AXES as readonly string[]).includes(word.text);
  if (isAxis)
    fail(rest(word, word.text.length), "the bound is missing", boundOf(word.text as SloAxis));
  if (!isTier(word.text)) fail(word, `"${shown(word.text)}" is neither`, TERM_EXPECTED);
  setTier(slo, "quality", word);
}

function setTier(slo: MutableSlo, axis: SloAxis, word: Piece): void {
  const { tierKey, expected } = AXES[axis];
  if (tierKey === undefined) fail(word, `${axis} has no tiers`, expected);
  checkFree(slo, axis, word, true);
  slo[tierKey] = word.text as SloTier;
}

function setBound(slo: MutableSlo, name: SloAxis, bound: Piece): void {
  const axis = AXES[name];
  const [found, operator] = OPERATOR_PATTERN.exec(bound.text) ?? ["", undefined];
  const operatorAt = piece(bound, found.length - found.trimStart().length, found.length);
  if (operator === undefined || !axis.operators.includes(operator)) {
    const problem = operator === undefined ? "the operator is missing" : `"${operator}" is wrong`;
    fail(operatorAt, problem, `${name} ${axis.operators.join(" or ")}`);
  }
  const amount = rest(bound, found.length);
  if (isTier(amount.text)) return setTier(slo, name, amount);
  const value = readAmount(axis, amount);
  checkFree(slo, name, bound, false);
  slo[axis.key] = value;
}

/** One bound per axis, and a tier is one. */
function checkFree(slo: Slo, name: SloAxis, at: Piece, isNowTier: boolean): void {
  const { key, tierKey } = AXES[name];
  const hasTier = tierKey !== undefined && slo[tierKey] !== undefined;
  if (slo[key] === undefined && !hasTier) return;
  const problem =
    hasTier === isNowTier ? `${name} is bounded twice` : `${name} has a tier and a number`;
  fail({ ...at, position: at.start }, problem, `one bound on ${name}, and there is one already`);
}

function readAmount(axis: Axis, amount: Piece): number {
  const match = AMOUNT_PATTERN.exec(amount.text);
  if (match === null) {
    const tiers = axis.tierKey === undefined ? "" : ` or a tier (${TIER_WORDS})`;
    const problem =
      amount.text === "" ? "the bound is missing" : `"${shown(amount.text)}" is no amount`;
    fail(amount, problem, axis.expected + tiers);
  }
  const [, sign = "", digits = "", gap = "", unit = ""] = match;
  if (sign !== "" && sign !== axis.sign) {
    const what = axis.sign === "" ? "prefix" : "currency";
    fail(piece(amount, 0, sign.length), `${what} "${shown(sign)}" is not known`, axis.expected);
  }
  const unitAt = rest(amount, amount.text.length - unit.length - (unit === "" ? gap.length : 0));
  const factor = Object.hasOwn(axis.units, unit) ? axis.units[unit] : undefined;
  if (factor === undefined) {
    const problem =
      unit === "" ? "the unit is missing" : `${unitWord(axis)} "${shown(unit)}" is not known`;
    fail(unitAt, problem, axis.expected);
  }
  const value = Number(digits) * factor;
  const numberAt = rest(amount, amount.text.indexOf(digits));
  if (!(value >= axis.min && value <= axis.max)) {
    const problem = value > axis.max ? "the bound is too large" : "the bound is too small";
    fail(numberAt, problem, `${axis.expected}, ${axis.range}`);
  }
  return value;
}

function unitWord({ sign }: Axis): string {
  return sign === "" ? "unit" : "currency";
}

function boundOf(name: SloAxis): string {
  return `${name} ${AXES[name].operators.join(" or ")} ${AXES[name].expected}`;
}

function trimmed(raw: string, position: number, field: string): Piece {
  const text = raw.trim();
  const start = raw.length - raw.trimStart().length;
  const at = position + (text === "" ? 0 : start);
  return { text, position: at, term: text, start: at, field };
}

function piece(of: Piece, from: number, to: number): Piece {
  return { ...of, text: of.text.slice(from, to), position: of.position + from };
}

function rest(of: Piece, from: number): Piece {
  return piece(of, from, of.text.length);
}

function shown(text: string): string {
  return text.length <= TERM_CHARS_SHOWN ? text : `${text.slice(0, TERM_CHARS_SHOWN)}…`;
}

function fail({ position, term, field }: Piece, problem: string, expected: string): never {
  throw new InvalidArgumentError(
    `${field === "slo" ? "slo term" : field} "${shown(term)}" at character ${position} is not valid: ${problem}, expected ${expected}`,
    { field, context: { position } },
  );
}
