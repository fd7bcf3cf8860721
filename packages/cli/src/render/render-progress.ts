/** Progress as a block of lines that is redrawn, and as single lines for pipes and logs. */
import type { JobEvent } from "@murakkab/protocol";
import type { JobProgress, StepProgress } from "./job-progress.ts";
import type { Paint } from "./paint.ts";
import { padEnd, padStart, printable, truncate } from "./text-width.ts";
import { formatDuration } from "./units.ts";

export interface ProgressOptions {
  readonly columns: number;
  readonly paint: Paint;
  /** Milliseconds since the job was accepted, as far as the viewer knows. */
  readonly nowMs: number;
  /** Counts redraws; turns the wheel of running steps. */
  readonly frame: number;
}

const WHEEL = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"] as const;
const BAR_COLUMNS = 10;

/** One line per step and one for the job; never wider than `columns`. */
export function renderProgress(progress: JobProgress, options: ProgressOptions): string[] {
  const { columns, paint, nowMs } = options;
  const nameColumns = longest(progress.steps.map((step) => step.step));
  const executorColumns = longest(progress.steps.map((step) => step.executor));
  const barColumns = longest(progress.steps.map(barText));
  const lines = progress.steps.map((step) => {
    const elapsed = elapsedText(step, nowMs);
    const parts = [
      padEnd(step.step, nameColumns),
      padEnd(step.executor, executorColumns),
      ...(barColumns > 0 ? [padEnd(barText(step), barColumns)] : []),
      padStart(elapsed, 10),
      [step.nodes.join(","), retryText(step), skippedText(step)]
        .filter((text) => text !== "")
        .join(" "),
    ];
    const text = truncate(parts.join("  ").trimEnd(), columns - 4);
    return `  ${glyph(step, options)} ${isIdle(step) ? paint.dim(text) : text}`;
  });
  const doneCount = progress.steps.filter((step) => step.state === "done").length;
  const skippedCount = progress.steps.filter((step) => step.state === "skipped").length;
  const skipped = skippedCount === 0 ? "" : `, ${skippedCount} not needed`;
  const summary = `${doneCount}/${progress.steps.length} steps${skipped}, ${formatDuration(nowMs)}`;
  return [...lines, paint.dim(truncate(`  ${progress.state}  ${summary}`, columns))];
}

function longest(texts: readonly string[]): number {
  return Math.max(0, ...texts.map((text) => text.length));
}

function glyph(step: StepProgress, { paint, frame }: ProgressOptions): string {
  switch (step.state) {
    case "waiting":
      return paint.dim("○");
    case "running":
      return paint.cyan(WHEEL[frame % WHEEL.length] ?? "⠋");
    case "done":
      return paint.green("✔");
    case "failed":
      return paint.red("✘");
    case "skipped":
      return paint.dim("–");
  }
}

function barText(step: StepProgress): string {
  if (!step.isFannedOut || step.total === null) return "";
  const share = step.total === 0 ? 1 : step.done / step.total;
  const filled = Math.round(share * BAR_COLUMNS);
  return `${"█".repeat(filled)}${"░".repeat(BAR_COLUMNS - filled)} ${step.done}/${step.total}`;
}

function elapsedText({ startedAtMs, endedAtMs }: StepProgress, nowMs: number): string {
  if (startedAtMs === null) return "";
  return formatDuration(Math.max(0, (endedAtMs ?? nowMs) - startedAtMs));
}

function isIdle({ state }: StepProgress): boolean {
  return state === "waiting" || state === "skipped";
}

function skippedText({ state }: StepProgress): string {
  return state === "skipped" ? "not needed" : "";
}

function retryText({ retryCount }: StepProgress): string {
  if (retryCount === 0) return "";
  return retryCount === 1 ? "(1 retry)" : `(${retryCount} retries)`;
}

/** One plain line for an event that a reader of a log wants, or null. */
export function eventLine(
  event: JobEvent,
  progress: JobProgress,
  options: { readonly columns: number; readonly isDetailed?: boolean },
): string | null {
  const text = eventText(event, progress, options.isDetailed === true);
  if (text === null) return null;
  const at = padStart(formatDuration(event.sinceMs), 10);
  return truncate(`${at}  ${printable(text)}`, options.columns);
}

function eventText(
  { event, data }: JobEvent,
  progress: JobProgress,
  isDetailed: boolean,
): string | null {
  const name = textOf(data["step"], "");
  const step = progress.steps.find((candidate) => candidate.step === name);
  const item = step?.isFannedOut === true ? ` item ${Number(data["item"] ?? 0) + 1}` : "";
  switch (event) {
    case "step-started": {
      const total = step?.isFannedOut === true ? ` ×${data["total"]}` : "";
      return `${name}${total} started (${textOf(data["executor"], step?.executor ?? "?")})`;
    }
    case "attempt-failed": {
      const next = data["willRetry"] === false ? "no more tries" : "trying again";
      return `${name}${item} failed on ${textOf(data["node"], "no node")}: ${errorText(data["error"])}, ${next}`;
    }
    case "attempt-started":
    case "attempt-finished": {
      if (!isDetailed) return null;
      const what = event === "attempt-started" ? "runs" : "ran";
      const run = typeof data["runMs"] === "number" ? ` ${formatDuration(data["runMs"])}` : "";
      return `${name}${item} ${what}${run} on ${textOf(data["node"], "?")}`;
    }
    case "step-finished": {
      const nodes =
        step === undefined || step.nodes.length === 0 ? "" : ` on ${step.nodes.join(",")}`;
      const total = step?.isFannedOut === true ? ` ${data["done"]}/${data["total"]}` : "";
      return `${name}${total} done${nodes}`;
    }
    case "attempt-stopped":
      return isDetailed ? `${name}${item} stopped: it is not needed any more` : null;
    case "stage-settled": {
      const sure = data["isSure"] === true ? "sure enough" : "not sure enough";
      const confidence = typeof data["confidence"] === "number" ? data["confidence"] : "unknown";
      return `${textOf(data["draft"], "?")} was ${sure} (${confidence} of ${Number(data["atLeast"])})`;
    }
    case "replanned":
      return `steps chosen again: ${textOf(data["reason"], "?")}`;
    case "planned":
    case "accepted":
      return isDetailed ? `job ${event}` : null; // Who submitted has seen both.
    default:
      return `job ${event}`;
  }
}

/** An event comes over the wire: a field may be missing or of another kind. */
function textOf(value: unknown, otherwise: string): string {
  return typeof value === "string" ? value : otherwise;
}

function errorText(error: unknown): string {
  if (typeof error === "string") return error;
  const message = (error as { message?: unknown } | null)?.message;
  return typeof message === "string" ? message : "no reason was given";
}
