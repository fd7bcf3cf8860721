/**
 * The frontier as a chart of characters: latency to the right, cost or energy upwards, quality as
 * how full the mark is.
 *
 * Why no chart library: those for terminals draw lines and bars; a scatter whose marks carry a
 * third figure, with bounds drawn in, is what is left to do by hand.
 */
import type { FrontierPoint, PlanExplanation } from "@murakkab/model";
import type { Paint } from "./paint.ts";
import type { FrontierAxis } from "./plan-facts.ts";
import { formatShare, frontierAxis } from "./plan-facts.ts";
import type { Scale } from "./scale.ts";
import { durationTicks, makeScale, roundTicks, shownBound, tickText } from "./scale.ts";
import { dropToFit, renderTable } from "./table.ts";
import { padEnd, padStart, printable, textWidth, truncate } from "./text-width.ts";
import { formatDuration, formatUsd, formatWh } from "./units.ts";

export interface FrontierOptions {
  readonly columns: number;
  readonly paint: Paint;
}

/** Why 11 rows: enough to tell points apart; more would push the plan off the screen. */
const ROWS = 11;
const PLOT_COLUMNS_MAX = 84;
/** From the least to the best quality of the frontier. */
const QUALITY_MARKS = ["○", "◔", "◑", "◕", "●"] as const;
const UNKNOWN_MARK = "×";
const CHOSEN_MARK = "◆";

export function renderFrontier(explanation: PlanExplanation, options: FrontierOptions): string[] {
  const { frontier } = explanation;
  const [first] = frontier;
  if (first === undefined) return [];
  const { columns, paint } = options;
  const axis = frontierAxis(explanation);
  const title = paint.bold("frontier");
  const what = `${frontier.length} configuration${frontier.length === 1 ? "" : "s"} that no other beats on every axis`;
  return [
    `${title} ${paint.dim(truncate(what, columns - 9))}`,
    "",
    ...(frontier.length === 1 ? [] : [...chart(explanation, axis, options), ""]),
    ...extremes(explanation, options),
  ];
}

interface Plot {
  readonly cells: string[][];
  readonly xScale: Scale;
  readonly yScale: Scale;
  readonly boundX: number | null;
  readonly boundY: number | null;
}

function chart(
  explanation: PlanExplanation,
  axis: FrontierAxis,
  { columns, paint }: FrontierOptions,
): string[] {
  const { frontier, slo } = explanation;
  const xs = frontier.map(({ latencyMs }) => latencyMs);
  const ys = frontier.map(axis.of);
  const boundX = shownBound(slo.latencyMsMax, xs);
  const boundY = shownBound(axis.bound, ys);
  const xScale = makeScale(boundX === null ? xs : [...xs, boundX]);
  const yScale = makeScale(boundY === null ? ys : [...ys, boundY]);
  const labels = new Map(
    roundTicks(yScale, 4).map((value) => [
      ROWS - 1 - column(yScale, value, ROWS),
      tickText(axis.format(value)),
    ]),
  );
  const labelColumns = Math.max(0, ...[...labels.values()].map(textWidth));
  const width = Math.max(16, Math.min(PLOT_COLUMNS_MAX, columns - labelColumns - 4));
  const cells = Array.from({ length: ROWS }, () => Array.from({ length: width }, () => " "));
  const plot: Plot = { cells, xScale, yScale, boundX, boundY };
  drawBounds(plot, paint);
  drawPoints(plot, explanation, axis, paint);
  const rows = cells.map((row, index) => {
    const text = labels.get(index);
    const label = padStart(text ?? "", labelColumns);
    return `${paint.dim(`${label} ${text === undefined ? "│" : "┤"}`)}${row.join("").trimEnd()}`;
  });
  const log = (scale: Scale): string => (scale.isLog ? ", log scale" : "");
  return [
    paint.dim(`expected ${axis.name} per job${log(yScale)}`),
    ...rows,
    ...xTicks(xScale, { width, labelColumns, paint }),
    paint.dim(padStart(`expected latency${log(xScale)}`, labelColumns + 2 + width)),
    ...legend(explanation, axis, plot)
      .flatMap((parts) => packed(parts, columns - 2))
      .map((text) => paint.dim(`  ${text}`)),
  ];
}

function column(scale: Scale, value: number, width: number): number {
  return Math.max(0, Math.min(width - 1, Math.round(scale.position(value) * (width - 1))));
}

function drawBounds({ cells, xScale, yScale, boundX, boundY }: Plot, paint: Paint): void {
  const width = cells[0]?.length ?? 0;
  if (boundY !== null) {
    const y = ROWS - 1 - column(yScale, boundY, ROWS);
    for (let x = 0; x < width; x += 1) put(cells, x, y, paint.dim("╌"));
  }
  if (boundX === null) return;
  const x = column(xScale, boundX, width);
  for (let y = 0; y < ROWS; y += 1) put(cells, x, y, paint.dim("╎"));
}

/** Points of high quality are drawn over others, the chosen one over all. */
function drawPoints(
  { cells, xScale, yScale }: Plot,
  { frontier }: PlanExplanation,
  axis: FrontierAxis,
  paint: Paint,
): void {
  const width = cells[0]?.length ?? 0;
  const marks = qualityMarks(frontier);
  const order = (point: FrontierPoint): number =>
    point.isChosen ? Number.POSITIVE_INFINITY : (point.quality ?? -1);
  for (const point of [...frontier].sort((a, b) => order(a) - order(b))) {
    const x = column(xScale, point.latencyMs, width);
    const y = ROWS - 1 - column(yScale, axis.of(point), ROWS);
    const mark = point.isChosen
      ? paint.bold(paint.green(CHOSEN_MARK))
      : paint.cyan(marks(point.quality));
    put(cells, x, y, mark);
  }
}

function put(cells: string[][], x: number, y: number, text: string): void {
  const row = cells[y];
  if (row !== undefined && x >= 0 && x < row.length) row[x] = text;
}

function knownQualities(frontier: readonly FrontierPoint[]): number[] {
  return frontier.flatMap(({ quality }) => (quality === null ? [] : [quality]));
}

function qualityMarks(frontier: readonly FrontierPoint[]): (quality: number | null) => string {
  const known = knownQualities(frontier);
  const low = Math.min(...known);
  const span = Math.max(...known) - low;
  return (quality) => {
    if (quality === null) return UNKNOWN_MARK;
    const share = span > 0 ? (quality - low) / span : 1;
    return QUALITY_MARKS[Math.round(share * (QUALITY_MARKS.length - 1))] ?? UNKNOWN_MARK;
  };
}

/** The line below the plot and a few round figures under it. */
function xTicks(
  scale: Scale,
  { width, labelColumns, paint }: { width: number; labelColumns: number; paint: Paint },
): string[] {
  const line = Array.from({ length: width }, () => "─");
  const end = labelColumns + 2 + width;
  let labels = "";
  for (const value of durationTicks(scale, width >= 56 ? 5 : 3)) {
    const x = column(scale, value, width);
    line[x] = "┬";
    const text = tickText(formatDuration(value));
    const left = Math.min(labelColumns + 2 + x - Math.floor(text.length / 2), end - text.length);
    // A figure without room is left out; its tick stays.
    if (left > textWidth(labels)) labels = `${padEnd(labels, left)}${text}`;
  }
  return [paint.dim(`${" ".repeat(labelColumns)} └${line.join("")}`), paint.dim(labels)];
}

function legend(
  { frontier, slo }: PlanExplanation,
  axis: FrontierAxis,
  { boundX, boundY }: Plot,
): string[][] {
  const known = knownQualities(frontier);
  const low = Math.min(...known);
  const high = Math.max(...known);
  const range =
    known.length === 0
      ? []
      : low === high
        ? [`${QUALITY_MARKS.at(-1)} quality ${formatShare(high)}`]
        : [`quality ${QUALITY_MARKS.join("")} ${formatShare(low)} to ${formatShare(high)}`];
  const lines = [
    ...(boundX === null ? [] : ["╎ latency bound"]),
    ...(boundY === null ? [] : [`╌ ${axis.name} bound`]),
    ...(slo.latencyMsMax !== undefined && boundX === null
      ? [`latency bound ${formatDuration(slo.latencyMsMax)} outside`]
      : []),
    ...(axis.bound !== undefined && boundY === null
      ? [`${axis.name} bound ${axis.format(axis.bound)} outside`]
      : []),
  ];
  const unknown = known.length < frontier.length ? [`${UNKNOWN_MARK} quality not known`] : [];
  const chosen = frontier.some(({ isChosen }) => isChosen) ? [`${CHOSEN_MARK} chosen`] : [];
  return [[...chosen, ...range, ...unknown], lines];
}

/** Parts side by side, on as many lines as they need. */
function packed(parts: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  for (const part of parts) {
    const longer = `${lines.at(-1) ?? ""}   ${part}`;
    if (lines.length > 0 && textWidth(longer) <= columns) lines[lines.length - 1] = longer;
    else lines.push(truncate(part, columns));
  }
  return lines;
}

/** The chosen point beside the ends of the frontier, each once. */
function extremes(
  { frontier, objective }: PlanExplanation,
  { columns, paint }: FrontierOptions,
): string[] {
  const least = (read: (point: FrontierPoint) => number): FrontierPoint =>
    frontier.reduce((best, point) => (read(point) < read(best) ? point : best));
  const named: [string, FrontierPoint | undefined][] = [
    [`${CHOSEN_MARK} chosen`, frontier.find(({ isChosen }) => isChosen)],
    ["fastest", least(({ latencyMs }) => latencyMs)],
    ["cheapest", least(({ costUsd }) => costUsd)],
    ...(objective === "energy" || objective === "resources"
      ? [["least energy", least(({ energyWh }) => energyWh)] as [string, FrontierPoint]]
      : []),
    ...(knownQualities(frontier).length === 0
      ? []
      : [["best", least(({ quality }) => -(quality ?? -1))] as [string, FrontierPoint]]),
  ];
  const byPoint = new Map<FrontierPoint, string[]>();
  for (const [name, point] of named) {
    if (point !== undefined) byPoint.set(point, [...(byPoint.get(point) ?? []), name]);
  }
  const rows = [...byPoint].map(([point, names]) => [
    names.join(", "),
    formatDuration(point.latencyMs),
    formatUsd(point.costUsd),
    formatWh(point.energyWh),
    point.quality === null ? "not known" : formatShare(point.quality),
    printable(point.summary),
  ]);
  const all = [
    { title: "", columnsMin: 9 },
    { title: "latency", align: "right" },
    { title: "cost", align: "right", dropOrder: 2 },
    { title: "energy", align: "right", dropOrder: 1 },
    { title: "quality", align: "right" },
    { title: "configuration", columnsMin: 24, dropOrder: 3 },
  ] as const;
  const { columns: shown, rows: cells } = dropToFit(all, rows, columns);
  const paintCell = (text: string, row: number, at: number): string =>
    row === 0 && text.includes(CHOSEN_MARK)
      ? paint.green(text)
      : shown[at]?.title === "configuration"
        ? paint.dim(text)
        : text;
  return renderTable(shown, cells, { columns, paintTitle: paint.dim, paintCell });
}
