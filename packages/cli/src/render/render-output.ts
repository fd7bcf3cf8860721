/**
 * A workflow's output that is no answer, for people.
 *
 * Owns:      finding what reads as text: timed segments, lines, plain values.
 * Does not:  wrap or paint. What is left out is said, with the way to see all of it.
 */
import { formatTimecode } from "./units.ts";

/** Lines that are shown: more than a screen says less than a hint at `--json`. */
const LINES_SHOWN_MAX = 30;

/** Null when there is no output. */
export function outputLines(output: unknown): string[] | null {
  if (output === undefined || output === null) return null;
  const lines = timedLines(output) ?? valueLines(output);
  if (lines.length <= LINES_SHOWN_MAX) return lines;
  const left = lines.length - LINES_SHOWN_MAX;
  return [...lines.slice(0, LINES_SHOWN_MAX), `… and ${left} more lines (--json shows all)`];
}

/** `mm:ss  text` for a list of `{ startSec | atSec, text }`, or for an object that holds one. */
function timedLines(output: unknown): string[] | null {
  const lists = Array.isArray(output)
    ? [output as unknown[]]
    : Object.values(output as Record<string, unknown>).filter((it) => Array.isArray(it));
  for (const list of lists) {
    const lines = (list as unknown[]).map(timedLine);
    if (lines.length > 0 && lines.every((line) => line !== null)) return lines;
  }
  return null;
}

function timedLine(item: unknown): string | null {
  if (item === null || typeof item !== "object") return null;
  const { startSec, atSec, text } = item as { startSec?: unknown; atSec?: unknown; text?: unknown };
  const at = typeof startSec === "number" ? startSec : atSec;
  if (typeof at !== "number" || typeof text !== "string") return null;
  return `${formatTimecode(at)}  ${text}`;
}

function valueLines(output: unknown): string[] {
  if (typeof output === "string") return output.split("\n");
  if (Array.isArray(output)) return output.map((item) => JSON.stringify(item));
  return JSON.stringify(output, null, 2).split("\n");
}
