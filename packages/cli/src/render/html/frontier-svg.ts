/**
 * The frontier as a picture: latency to the right, cost or energy upwards, quality as colour and
 * size, bounds as dashed lines with what lies outside them shaded.
 */
import type { FrontierPoint, PlanExplanation } from "@murakkab/model";
import type { FrontierAxis } from "../plan-facts.ts";
import { formatShare, frontierAxis } from "../plan-facts.ts";
import type { Scale } from "../scale.ts";
import { durationTicks, makeScale, roundTicks, shownBound, tickText } from "../scale.ts";
import { formatDuration, formatUsd, formatWh } from "../units.ts";
import { escapeHtml } from "./escape.ts";
import { PICTURE_STYLE } from "./style.ts";

export interface PictureSize {
  readonly width: number;
  readonly height: number;
}

const QUALITY_CLASS_COUNT = 5;
const EDGE = { top: 34, right: 18, bottom: 46, left: 68 } as const;
/** Average, at 12 pixels. */
const CHARACTER_WIDTH = 6.4;
const NARROW_WIDTH = 500;
const PICTURE: PictureSize = { width: 760, height: 420 };

interface Frame extends PictureSize {
  readonly axis: FrontierAxis;
  readonly xScale: Scale;
  readonly yScale: Scale;
  readonly boundX: number | null;
  readonly boundY: number | null;
}

/** A picture that stands alone, such as in a README. */
export function frontierPicture(explanation: PlanExplanation): string {
  const { width, height } = PICTURE;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeHtml(describe(explanation))}">`,
    `<style>${PICTURE_STYLE}</style>`,
    `<rect class="paper" width="${width}" height="${height}" rx="6"/>`,
    frontierBody(explanation, PICTURE),
    "</svg>",
    "",
  ].join("\n");
}

/** The same within a page, whose style colours it. */
export function frontierSvg(
  explanation: PlanExplanation,
  { width, height }: PictureSize,
  className: string,
): string {
  return `<svg class="${className}" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeHtml(describe(explanation))}">${frontierBody(explanation, { width, height })}</svg>`;
}

function describe(explanation: PlanExplanation): string {
  const { name } = frontierAxis(explanation);
  return `${explanation.frontier.length} configurations by latency and ${name}; the chosen one is marked`;
}

function frontierBody(explanation: PlanExplanation, size: PictureSize): string {
  const frame = makeFrame(explanation, size);
  return [
    outside(frame),
    ticks(frame),
    bounds(frame),
    points(frame, explanation.frontier),
    chosenLabel(frame, explanation.frontier),
    legend(frame, explanation.frontier),
  ].join("\n");
}

function makeFrame(explanation: PlanExplanation, size: PictureSize): Frame {
  const axis = frontierAxis(explanation);
  const xs = explanation.frontier.map(({ latencyMs }) => latencyMs);
  const ys = explanation.frontier.map(axis.of);
  const boundX = shownBound(explanation.slo.latencyMsMax, xs);
  const boundY = shownBound(axis.bound, ys);
  return {
    ...size,
    axis,
    boundX,
    boundY,
    xScale: makeScale(boundX === null ? xs : [...xs, boundX]),
    yScale: makeScale(boundY === null ? ys : [...ys, boundY]),
  };
}

function right({ width }: Frame): number {
  return width - EDGE.right;
}

function bottom({ height }: Frame): number {
  return height - EDGE.bottom;
}

function xOf(frame: Frame, latencyMs: number): number {
  return round(EDGE.left + frame.xScale.position(latencyMs) * (right(frame) - EDGE.left));
}

function yOf(frame: Frame, value: number): number {
  return round(bottom(frame) - frame.yScale.position(value) * (bottom(frame) - EDGE.top));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function text(x: number, y: number, content: string, attributes = ""): string {
  return `<text x="${round(x)}" y="${round(y)}" ${attributes}>${escapeHtml(content)}</text>`;
}

function line(x1: number, y1: number, x2: number, y2: number, className: string): string {
  return `<line class="${className}" x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}"/>`;
}

/** What the bounds rule out. */
function outside(frame: Frame): string {
  const { boundX, boundY } = frame;
  const rects: string[] = [];
  const x = boundX === null ? right(frame) : xOf(frame, boundX);
  if (boundX !== null) {
    rects.push(
      `<rect class="out" x="${x}" y="${EDGE.top}" width="${round(right(frame) - x)}" height="${bottom(frame) - EDGE.top}"/>`,
    );
  }
  if (boundY !== null) {
    const height = round(yOf(frame, boundY) - EDGE.top);
    rects.push(
      `<rect class="out" x="${EDGE.left}" y="${EDGE.top}" width="${round(x - EDGE.left)}" height="${height}"/>`,
    );
  }
  return rects.join("");
}

function ticks(frame: Frame): string {
  const { axis, xScale, yScale, width } = frame;
  const log = (scale: Scale): string => (scale.isLog ? " (log scale)" : "");
  const xs = durationTicks(xScale, width < NARROW_WIDTH ? 3 : 6).map((value) => {
    const x = xOf(frame, value);
    const content = tickText(formatDuration(value));
    const isCut = x + (content.length * CHARACTER_WIDTH) / 2 > width;
    const anchor = `class="tick" text-anchor="${isCut ? "end" : "middle"}"`;
    const label = text(isCut ? width - 4 : x, bottom(frame) + 17, content, anchor);
    return line(x, EDGE.top, x, bottom(frame), "grid") + label;
  });
  const ys = roundTicks(yScale, 4).map((value) => {
    const y = yOf(frame, value);
    const label = text(
      EDGE.left - 8,
      y + 4,
      tickText(axis.format(value)),
      'class="tick" text-anchor="end"',
    );
    return line(EDGE.left, y, right(frame), y, "grid") + label;
  });
  return [
    ...xs,
    ...ys,
    line(EDGE.left, bottom(frame), right(frame), bottom(frame), "axis"),
    text(
      right(frame),
      bottom(frame) + 35,
      `expected latency${log(xScale)}`,
      'class="name" text-anchor="end"',
    ),
    text(10, 18, `expected ${axis.name} per job${log(yScale)}`, 'class="name"'),
  ].join("\n");
}

function bounds(frame: Frame): string {
  const { axis, boundX, boundY } = frame;
  const parts: string[] = [];
  if (boundX !== null) {
    const x = xOf(frame, boundX);
    const isLeft = x > right(frame) - 110;
    parts.push(
      line(x, EDGE.top, x, bottom(frame), "bound"),
      text(
        x + (isLeft ? -6 : 6),
        EDGE.top + 13,
        `≤ ${tickText(formatDuration(boundX))}`,
        `class="bound-name" text-anchor="${isLeft ? "end" : "start"}"`,
      ),
    );
  }
  if (boundY !== null) {
    const y = yOf(frame, boundY);
    parts.push(
      line(EDGE.left, y, right(frame), y, "bound"),
      text(
        right(frame) - 6,
        y - 6,
        `≤ ${tickText(axis.format(boundY))}`,
        'class="bound-name" text-anchor="end"',
      ),
    );
  }
  return parts.join("");
}

interface QualityRange {
  readonly low: number;
  readonly high: number;
}

function qualityRange(frontier: readonly FrontierPoint[]): QualityRange | null {
  const known = frontier.flatMap(({ quality }) => (quality === null ? [] : [quality]));
  return known.length === 0 ? null : { low: Math.min(...known), high: Math.max(...known) };
}

/** 0 to 1; null where quality is not known. */
function qualityShare(quality: number | null, range: QualityRange | null): number | null {
  if (quality === null || range === null) return null;
  return range.high > range.low ? (quality - range.low) / (range.high - range.low) : 1;
}

function markOf(share: number | null): { className: string; radius: number } {
  if (share === null) return { className: "q unknown", radius: 4.5 };
  const level = Math.round(share * (QUALITY_CLASS_COUNT - 1));
  return { className: `q q${level}`, radius: round(4 + 4 * share) };
}

/** Small ones over large ones, the chosen one over all: nothing is hidden. */
function points(frame: Frame, frontier: readonly FrontierPoint[]): string {
  const range = qualityRange(frontier);
  const order = (point: FrontierPoint): number =>
    point.isChosen ? Number.POSITIVE_INFINITY : -(qualityShare(point.quality, range) ?? 0);
  return [...frontier]
    .sort((a, b) => order(a) - order(b))
    .map((point) => {
      const x = xOf(frame, point.latencyMs);
      const y = yOf(frame, frame.axis.of(point));
      const { className, radius } = markOf(qualityShare(point.quality, range));
      const ring = point.isChosen
        ? `<circle class="ring" cx="${x}" cy="${y}" r="${radius + 4.5}"/>`
        : "";
      return `<g class="point" tabindex="0"><title>${escapeHtml(pointText(point))}</title>${ring}<circle class="${className}" cx="${x}" cy="${y}" r="${radius}"/></g>`;
    })
    .join("\n");
}

function pointText(point: FrontierPoint): string {
  return `${pointFigures(point)}\n${point.summary}`;
}

export function pointFigures(point: FrontierPoint): string {
  const quality = point.quality === null ? "not known" : formatShare(point.quality);
  const figures = `${formatDuration(point.latencyMs)} · ${formatUsd(point.costUsd)} · ${formatWh(point.energyWh)} · quality ${quality}`;
  return `${point.isChosen ? "Chosen: " : ""}${figures}`;
}

/** Beside the point, in the corner where it hides the fewest others. */
function chosenLabel(frame: Frame, frontier: readonly FrontierPoint[]): string {
  const chosen = frontier.find(({ isChosen }) => isChosen);
  if (chosen === undefined) return "";
  const quality = chosen.quality === null ? "" : `, quality ${formatShare(chosen.quality)}`;
  const value = frame.axis.format(frame.axis.of(chosen));
  // On a phone the figures would run over other points: the caption has them.
  const isNarrow = frame.width < NARROW_WIDTH;
  const figures = isNarrow ? "" : `${formatDuration(chosen.latencyMs)}, ${value}${quality}`;
  const x = xOf(frame, chosen.latencyMs);
  const y = yOf(frame, frame.axis.of(chosen));
  const width = Math.max("chosen".length, figures.length) * CHARACTER_WIDTH;
  const height = isNarrow ? 14 : 28;
  const corners = [-1, 1].flatMap((down) =>
    [1, -1].map((side) => ({
      side,
      left: side > 0 ? x + 14 : x - 14 - width,
      top: down < 0 ? y - 8 - height : y + 8,
    })),
  );
  const others = frontier.filter((point) => point !== chosen);
  const badness = ({ left, top }: (typeof corners)[number]): number => {
    const isOut =
      left < EDGE.left ||
      left + width > right(frame) ||
      top < EDGE.top ||
      top + height > bottom(frame);
    const hidden = others.filter((point) => {
      const at = { x: xOf(frame, point.latencyMs), y: yOf(frame, frame.axis.of(point)) };
      const isBeside = at.x < left - 6 || at.x > left + width + 6;
      return !isBeside && at.y > top - 6 && at.y < top + height + 6;
    });
    return (isOut ? 1_000 : 0) + hidden.length;
  };
  const corner = corners.reduce((best, one) => (badness(one) < badness(best) ? one : best));
  const anchor = `text-anchor="${corner.side > 0 ? "start" : "end"}"`;
  const textX = corner.side > 0 ? corner.left : corner.left + width;
  return [
    text(textX, corner.top + 11, "chosen", `class="chosen" ${anchor}`),
    ...(isNarrow
      ? []
      : [text(textX, corner.top + 25, figures, `class="chosen-figures" ${anchor}`)]),
  ].join("");
}

function legend(frame: Frame, frontier: readonly FrontierPoint[]): string {
  const range = qualityRange(frontier);
  if (range === null)
    return text(right(frame), 18, "quality not known", 'class="tick" text-anchor="end"');
  const isRange = range.high > range.low;
  const levels = isRange ? [0, 1, 2, 3, 4] : [QUALITY_CLASS_COUNT - 1];
  const low = isRange ? `quality ${formatShare(range.low)}` : "quality";
  const high = formatShare(range.high);
  const highX = right(frame);
  const lastX = highX - 9 * Math.max(2, high.length) - 2;
  const marks = levels.map((level, index) => {
    const { className, radius } = markOf(level / (QUALITY_CLASS_COUNT - 1));
    const x = lastX - (levels.length - 1 - index) * 20;
    return `<circle class="${className}" cx="${x}" cy="14" r="${radius}"/>`;
  });
  const firstX = lastX - (levels.length - 1) * 20 - 12;
  return [
    text(firstX, 18, low, 'class="tick" text-anchor="end"'),
    ...marks,
    text(highX, 18, high, 'class="tick" text-anchor="end"'),
  ].join("");
}
