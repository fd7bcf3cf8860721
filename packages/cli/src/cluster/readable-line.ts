/** A log line for people: JSON lines become `level message (error)`, others stay what they are. */
import { printable } from "../render/text-width.ts";

const LEVELS: Readonly<Record<number, string>> = {
  10: "trace",
  20: "debug",
  30: "info",
  40: "warn",
  50: "error",
  60: "fatal",
};

interface LogLine {
  readonly level?: number;
  readonly msg?: string;
  readonly event?: string;
  readonly err?: { readonly message?: string; readonly detail?: string };
}

export function readableLine(line: string): string {
  if (!line.startsWith("{")) return printable(line.trimEnd());
  try {
    const { level, msg, event, err } = JSON.parse(line) as LogLine;
    const what = [LEVELS[level ?? 30] ?? "info", msg ?? event ?? ""].join(" ");
    const reason = [err?.message, err?.detail].filter((part) => part !== undefined).join(": ");
    return printable(reason === "" ? what : `${what} (${reason})`);
  } catch {
    return printable(line);
  }
}
