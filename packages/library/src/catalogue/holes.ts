/**
 * The holes in a command's arguments and environment: `${input.video}`, `${threads}`.
 *
 * Owns:      their grammar; the linter checks with it, the command engine fills with it.
 * Does not:  know paths or values, or run anything. Holes are filled into single arguments of an
 *            array, so that no value can ever become a second argument or a shell word.
 */
import type { CommandArg, KnobValue, KnobValues } from "@murakkab/model";

export type Hole =
  | { readonly kind: "input" | "knob" | "output"; readonly name: string }
  | { readonly kind: "threads" | "scratch" };

export type TextPart = string | Hole;

export const HOLES_EXPECTED =
  "${input.NAME}, ${knob.NAME}, ${output.NAME}, ${threads} or ${scratch}";

const HOLE_PATTERN = /\$\{([^}]*)\}?/g;
const NAMED_PATTERN = /^(input|knob|output)\.([A-Za-z][A-Za-z0-9_-]*)$/;

export type HoleText =
  | { readonly kind: "parsed"; readonly parts: readonly TextPart[] }
  /** `hole` is the text that is no hole of ours. */
  | { readonly kind: "invalid"; readonly hole: string };

/** Splits a text into its literal parts and its holes. */
export function parseHoles(text: string): HoleText {
  const parts: TextPart[] = [];
  let end = 0;
  for (const match of text.matchAll(HOLE_PATTERN)) {
    const [whole, inside = ""] = match;
    const hole = whole.endsWith("}") ? parseHole(inside) : null;
    if (hole === null) return { kind: "invalid", hole: whole };
    if (match.index > end) parts.push(text.slice(end, match.index));
    parts.push(hole);
    end = match.index + whole.length;
  }
  if (end < text.length) parts.push(text.slice(end));
  return { kind: "parsed", parts };
}

function parseHole(inside: string): Hole | null {
  if (inside === "threads" || inside === "scratch") return { kind: inside };
  const match = NAMED_PATTERN.exec(inside);
  if (match === null) return null;
  return { kind: match[1] as "input" | "knob" | "output", name: match[2] ?? "" };
}

/**
 * The argument texts that these knobs ask for, holes not yet filled. Without `equals`, a
 * conditional group appears when the knob's value is neither `false`, `0` nor empty.
 */
export function selectArgs(args: readonly CommandArg[], knobs: KnobValues): string[] {
  return args.flatMap((arg) => {
    if (typeof arg === "string") return [arg];
    return isWanted(knobs[arg.when], arg.equals) ? arg.args : [];
  });
}

function isWanted(value: KnobValue | undefined, equals: KnobValue | undefined): boolean {
  if (value === undefined) return false;
  return equals === undefined ? value !== false && value !== 0 && value !== "" : value === equals;
}
