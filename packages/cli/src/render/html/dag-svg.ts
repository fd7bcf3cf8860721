/** A plan's graph as a picture: a box per step with its option, dashed where it may never run. */
import type { JobPlan, PlannedStep } from "@murakkab/model";
import type { PlacedNode } from "../graph-layout.ts";
import { centre, layoutGraph } from "../graph-layout.ts";
import { batchText, fanOutText, isDeferred, knobText, stageMarks } from "../plan-facts.ts";
import { truncate, wrap } from "../text-width.ts";
import { formatDuration } from "../units.ts";
import { escapeHtml } from "./escape.ts";

/** Pixels per column of the layout, which thinks in characters. */
const UNIT = 8;
const LINE_HEIGHT = 17;
const PADDING = 10;
const LAYER_GAP = 34;
/** Average width of a character at 12 pixels; a little generous, so that texts stay inside. */
const CHARACTER_WIDTH = 6.9;
/** The name of a step is bold and a pixel larger. */
const NAME_CHARACTER_WIDTH = 8.4;
const TEXT_CHARACTERS_MAX = 30;
/** A wide drawing shrinks to this share before it has to be scrolled: smaller could not be read. */
const SHRINK_MIN = 0.78;

interface Line {
  readonly text: string;
  readonly className: string;
}

interface Drawn {
  readonly lines: readonly Line[];
  readonly isBox: boolean;
  readonly isDeferred: boolean;
}

export function dagSvg(plan: JobPlan): string {
  const drawn = drawnNodes(plan);
  const layers = layoutGraph(
    [...drawn].map(([id, node]) => ({
      id,
      width: Math.ceil(boxWidth(node) / UNIT),
      sources: id.startsWith("step.") ? sourcesOf(plan, id.slice("step.".length)) : [],
      sinksToReader: !node.isBox,
    })),
  );
  const tops = layerTops(layers, drawn);
  const placed = new Map(layers.flat().map((node) => [node.id, node]));
  const width = Math.max(...layers.flat().map(({ left, width: columns }) => left + columns)) * UNIT;
  const height = (tops.at(-1) ?? 0) - LAYER_GAP;
  const edges = layers.flat().flatMap((node) => edgesInto(node, { placed, tops, drawn }));
  const boxes = layers.flat().map((node) => boxOf(node, topOf(node, tops, drawn), drawn));
  return [
    `<svg viewBox="-1 -1 ${width + 2} ${height + 2}" style="max-width:${width + 2}px;min-width:${Math.round(width * SHRINK_MIN)}px" role="img" aria-label="the steps of the plan">`,
    '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="head" d="M0 0L8 4L0 8z"/></marker></defs>',
    ...edges,
    ...boxes,
    "</svg>",
  ].join("\n");
}

function drawnNodes(plan: JobPlan): Map<string, Drawn> {
  const used = new Set(
    plan.steps.flatMap(({ inputs }) =>
      Object.values(inputs).flatMap((from) => (from.kind === "input" ? [from.input] : [])),
    ),
  );
  const inputs = Object.keys(plan.inputs).filter((name) => used.has(name));
  return new Map<string, Drawn>([
    ...inputs.map((name): [string, Drawn] => [
      `input.${name}`,
      { lines: [{ text: name, className: "input" }], isBox: false, isDeferred: false },
    ]),
    ...plan.steps.map((step): [string, Drawn] => [
      `step.${step.step}`,
      { lines: stepLines(plan, step), isBox: true, isDeferred: isDeferred(plan, step.step) },
    ]),
  ]);
}

function stepLines(plan: JobPlan, step: PlannedStep): Line[] {
  const lines = (texts: readonly string[], className: string): Line[] =>
    texts
      .filter((text) => text !== "")
      .flatMap((text) => wrap(text, TEXT_CHARACTERS_MAX))
      .map((text) => ({ text: truncate(text, TEXT_CHARACTERS_MAX), className }));
  const { predicted } = step;
  return [
    ...lines([`${step.step}${fanOutText(step, undefined)}`], "step"),
    ...lines([step.executor], "executor"),
    ...lines([knobText(step), batchText(step.batchItems)], "knobs"),
    ...lines(predicted === undefined ? [] : [`≈ ${formatDuration(predicted.runMs.p50)}`], "time"),
    ...lines(stageMarks(plan, step), "mark"),
  ];
}

function sourcesOf(plan: JobPlan, step: string): string[] {
  const planned = plan.steps.find((candidate) => candidate.step === step);
  const ids = Object.values(planned?.inputs ?? {}).map((from) =>
    from.kind === "input" ? `input.${from.input}` : `step.${from.step}`,
  );
  return [...new Set(ids)];
}

function boxWidth({ lines, isBox }: Drawn): number {
  const widths = lines.map(
    ({ text, className }) =>
      text.length * (className === "step" ? NAME_CHARACTER_WIDTH : CHARACTER_WIDTH),
  );
  return Math.max(24, Math.max(...widths) + (isBox ? 2 * PADDING + 6 : 0));
}

function boxHeight(drawn: Drawn | undefined): number {
  if (drawn === undefined) return 0;
  return drawn.lines.length * LINE_HEIGHT + (drawn.isBox ? 2 * PADDING - 4 : 2);
}

/** Top of each layer, and of the one that would come after the last. */
function layerTops(
  layers: readonly (readonly PlacedNode[])[],
  drawn: ReadonlyMap<string, Drawn>,
): number[] {
  const tops = [0];
  for (const layer of layers) {
    const height = Math.max(...layer.map(({ id }) => boxHeight(drawn.get(id))));
    tops.push((tops.at(-1) ?? 0) + height + LAYER_GAP);
  }
  return tops;
}

interface Placing {
  readonly placed: ReadonlyMap<string, PlacedNode>;
  readonly tops: readonly number[];
  readonly drawn: ReadonlyMap<string, Drawn>;
}

/** A passage of a long edge is drawn straight through its layer. */
function edgesInto(target: PlacedNode, { placed, tops, drawn }: Placing): string[] {
  const top = tops[target.layer] ?? 0;
  const below = (tops[target.layer + 1] ?? 0) - LAYER_GAP;
  const sources = target.sources
    .flatMap((id) => placed.get(id) ?? [])
    .sort((a, b) => centre(a) - centre(b));
  const entries = sources.map((source, index) => {
    const from = { x: centre(source) * UNIT, y: bottomOf(source, { placed, tops, drawn }) };
    const spread = target.isDummy ? 0 : (index - (sources.length - 1) / 2) * 14;
    const to = { x: centre(target) * UNIT + spread, y: topOf(target, tops, drawn) };
    const bend = Math.max(14, (to.y - from.y) / 2);
    const head = target.isDummy ? "" : ' marker-end="url(#head)"';
    return `<path class="edge"${head} d="M${from.x} ${from.y}C${from.x} ${from.y + bend} ${to.x} ${to.y - bend} ${to.x} ${to.y}"/>`;
  });
  const through = target.isDummy
    ? [`<path class="edge" d="M${centre(target) * UNIT} ${top}V${below}"/>`]
    : [];
  return [...entries, ...through];
}

function bottomOf(node: PlacedNode, { tops, drawn }: Placing): number {
  const own = drawn.get(node.id);
  const top = tops[node.layer] ?? 0;
  const layerBottom = (tops[node.layer + 1] ?? 0) - LAYER_GAP;
  return own?.isBox === true ? top + boxHeight(own) : layerBottom;
}

/** Inputs stand at the bottom of their layer, next to their readers. */
function topOf(
  node: PlacedNode,
  tops: readonly number[],
  drawn: ReadonlyMap<string, Drawn>,
): number {
  const own = drawn.get(node.id);
  if (own === undefined || own.isBox) return tops[node.layer] ?? 0;
  return (tops[node.layer + 1] ?? 0) - LAYER_GAP - boxHeight(own);
}

function boxOf(node: PlacedNode, top: number, drawn: ReadonlyMap<string, Drawn>): string {
  const own = drawn.get(node.id);
  if (own === undefined) return "";
  const x = node.left * UNIT;
  const width = node.width * UNIT;
  const texts = (y: number): string[] =>
    own.lines.map(({ text, className }, index) => {
      const at = y + index * LINE_HEIGHT;
      const where = own.isBox
        ? `x="${x + PADDING + 2}"`
        : `x="${x + width / 2}" text-anchor="middle"`;
      return `<text class="${className}" ${where} y="${at}">${escapeHtml(text)}</text>`;
    });
  if (!own.isBox) return texts(top + 13).join("");
  const className = own.isDeferred ? "box deferred" : "box";
  return [
    `<rect class="${className}" x="${x}" y="${top}" width="${width}" height="${boxHeight(own)}" rx="7"/>`,
    ...texts(top + PADDING + 10),
  ].join("");
}
