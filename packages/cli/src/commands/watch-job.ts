/** A job's progress on a terminal (a block that is redrawn) or elsewhere (one line per change). */
import type { JobPlan } from "@murakkab/model";
import type { JobEvent } from "@murakkab/sdk";
import type { Output } from "../context.ts";
import { columnsOf } from "../context.ts";
import type { JobProgress } from "../render/job-progress.ts";
import { applyEvent, startProgress } from "../render/job-progress.ts";
import { LiveBlock } from "../render/live-block.ts";
import type { Paint } from "../render/paint.ts";
import { eventLine, renderProgress } from "../render/render-progress.ts";

export interface WatchOptions {
  readonly output: Output;
  readonly paint: Paint;
  readonly plan: JobPlan | null;
  /** Also attempts, not only steps. Plain lines only. */
  readonly isDetailed?: boolean;
  readonly signal: AbortSignal;
}

/** Why 120 ms: smooth to the eye, and still little work for a slow terminal. */
const REDRAW_INTERVAL_MS = 120;

/** Shows events until the terminal one; answers the last state. */
export async function watchJob(
  events: AsyncIterable<JobEvent>,
  options: WatchOptions,
): Promise<JobProgress> {
  const isLive = options.output.isTTY === true && options.isDetailed !== true;
  return isLive ? watchLive(events, options) : watchPlain(events, options);
}

async function watchPlain(
  events: AsyncIterable<JobEvent>,
  { output, plan, isDetailed, signal }: WatchOptions,
): Promise<JobProgress> {
  let progress = emptyProgress(plan);
  for await (const event of events) {
    if (signal.aborted) break;
    progress = applyEvent(progress, event);
    const columns = output.isTTY === true ? columnsOf(output) : Number.POSITIVE_INFINITY;
    const line = eventLine(event, progress, { columns, isDetailed: isDetailed === true });
    if (line !== null) output.write(`${line}\n`);
  }
  return progress;
}

async function watchLive(
  events: AsyncIterable<JobEvent>,
  { output, paint, plan, signal }: WatchOptions,
): Promise<JobProgress> {
  const block = new LiveBlock(output);
  let progress = emptyProgress(plan);
  let frame = 0;
  let lastEventAtMs = performance.now();
  const draw = (): void => {
    // Between events the job's clock goes on.
    const isOver = !["accepted", "running"].includes(progress.state);
    const sinceEventMs = isOver ? 0 : performance.now() - lastEventAtMs;
    const nowMs = progress.sinceMs + sinceEventMs;
    block.draw(renderProgress(progress, { columns: columnsOf(output), paint, nowMs, frame }));
    frame += 1;
  };
  const timer = setInterval(draw, REDRAW_INTERVAL_MS);
  const end = (): void => {
    clearInterval(timer);
    block.end();
  };
  signal.addEventListener("abort", end, { once: true });
  try {
    draw();
    for await (const event of events) {
      if (signal.aborted) break;
      progress = applyEvent(progress, event);
      lastEventAtMs = performance.now();
    }
    if (!signal.aborted) draw();
    return progress;
  } finally {
    signal.removeEventListener("abort", end);
    end();
  }
}

function emptyProgress(plan: JobPlan | null): JobProgress {
  return plan === null ? { steps: [], state: "accepted", sinceMs: 0 } : startProgress(plan);
}
