/**
 * A layered graph drawn with boxes and lines.
 *
 * Every edge enters its target in a column of its own, and edges of one source share a track: so
 * a branching (`┬`, `┴`, `├`) always belongs to one source and a `┼` is always a crossing.
 */
import type { GraphNode, PlacedNode } from "./graph-layout.ts";
import { centre, layoutGraph } from "./graph-layout.ts";
import { LineCanvas } from "./line-canvas.ts";

export interface DrawnNode extends Omit<GraphNode, "width"> {
  readonly lines: readonly string[];
  readonly hasBox: boolean;
}

interface Edge {
  readonly source: PlacedNode;
  readonly target: PlacedNode;
  readonly exitX: number;
  entryX: number;
}

const BOX_PADDING = 4;

/** `null` when the drawing would be wider than `columns`. Texts must be one column per character. */
export function drawGraph(nodes: readonly DrawnNode[], columns: number): string[] | null {
  const drawn = new Map(nodes.map((node) => [node.id, node]));
  const layers = layoutGraph(
    nodes.map(({ id, sources, sinksToReader, lines, hasBox }) => ({
      ...{ id, sources, sinksToReader },
      width: Math.max(...lines.map((line) => [...line].length)) + (hasBox ? BOX_PADDING : 0),
    })),
  );
  const placed = layers.flat();
  if (Math.max(...placed.map((node) => node.left + node.width)) > columns) return null;
  const byId = new Map(placed.map((node) => [node.id, node]));
  const canvas = new LineCanvas();
  let top = 0;
  for (const [index, layer] of layers.entries()) {
    const height = Math.max(...layer.map((node) => heightOf(drawn.get(node.id))));
    const below = layers[index + 1] ?? [];
    const edges = edgesInto(below, byId);
    for (const node of layer) {
      const hasReader = edges.some((edge) => edge.source === node);
      drawNode(canvas, { node, drawn: drawn.get(node.id), top, height, hasReader });
    }
    top = drawEdges(canvas, edges, top + height - 1);
  }
  return canvas.lines();
}

function heightOf(node: DrawnNode | undefined): number {
  return node === undefined ? 1 : node.lines.length + (node.hasBox ? 2 : 0);
}

interface NodeDrawing {
  readonly node: PlacedNode;
  readonly drawn: DrawnNode | undefined;
  readonly top: number;
  readonly height: number;
  readonly hasReader: boolean;
}

function drawNode(canvas: LineCanvas, drawing: NodeDrawing): void {
  const { node, drawn, top, height, hasReader } = drawing;
  const bottom = top + height - 1;
  if (drawn === undefined) return canvas.vertical(node.left, top, bottom);
  // Nodes without a box stand at the bottom of their layer, next to their readers.
  const ownTop = drawn.hasBox ? top : bottom - drawn.lines.length + 1;
  const ownHeight = heightOf(drawn);
  if (drawn.hasBox) {
    canvas.box({ left: node.left, top, width: node.width, height: ownHeight });
    if (hasReader) canvas.vertical(centre(node), top + ownHeight - 1, bottom);
  }
  for (const [index, line] of drawn.lines.entries()) {
    const x = node.left + (drawn.hasBox ? 2 : 0);
    canvas.text(x, ownTop + index + (drawn.hasBox ? 1 : 0), line);
  }
}

function edgesInto(layer: readonly PlacedNode[], byId: ReadonlyMap<string, PlacedNode>): Edge[] {
  const edges = layer.flatMap((target) =>
    target.sources.flatMap((id) => {
      const source = byId.get(id);
      return source === undefined ? [] : [{ source, target, exitX: centre(source), entryX: 0 }];
    }),
  );
  for (const target of layer) {
    const into = edges.filter((edge) => edge.target === target).sort((a, b) => a.exitX - b.exitX);
    chooseEntries(into, edges);
  }
  return edges;
}

/** Columns in which the edges of one target arrive: near their sources, apart, inside the box. */
function chooseEntries(into: readonly Edge[], all: readonly Edge[]): void {
  let free = Number.NEGATIVE_INFINITY;
  for (const [index, edge] of into.entries()) {
    const { left, width, isDummy } = edge.target;
    const room = 2 * (into.length - 1 - index);
    const last = isDummy ? left : left + width - 2 - room;
    const first = Math.max(isDummy ? left : left + 1, free);
    let x = Math.max(first, Math.min(last, edge.exitX));
    // Under the exit of another source the two lines would run over each other.
    const isTaken = (at: number): boolean =>
      all.some((other) => other.source !== edge.source && other.exitX === at);
    if (isTaken(x)) x = x < last ? x + 1 : Math.max(first, x - 1);
    edge.entryX = x;
    free = x + 2;
  }
}

/** Answers the first row below the edges. */
function drawEdges(canvas: LineCanvas, edges: readonly Edge[], bottom: number): number {
  if (edges.length === 0) return bottom + 1;
  const tracks = assignTracks(edges);
  const trackCount = Math.max(0, ...tracks.values());
  const arrowY = bottom + Math.max(1, trackCount) + 1;
  for (const edge of edges) {
    const turnY = bottom + (tracks.get(edge.source) ?? 1);
    if (edge.exitX === edge.entryX) canvas.vertical(edge.exitX, bottom + 1, arrowY);
    else {
      canvas.vertical(edge.exitX, bottom + 1, turnY);
      canvas.horizontal(turnY, edge.exitX, edge.entryX);
      canvas.vertical(edge.entryX, turnY, arrowY);
    }
    joinUp(canvas, edge, bottom);
    if (edge.target.isDummy) canvas.vertical(edge.entryX, arrowY, arrowY + 1);
    else canvas.text(edge.entryX, arrowY, "▼");
  }
  return arrowY + 1;
}

/** Lines start in the box's lower edge; a node without a box has its text there. */
function joinUp(canvas: LineCanvas, edge: Edge, bottom: number): void {
  canvas.vertical(edge.exitX, bottom, bottom + 1);
}

/**
 * Track (1 = highest) of each source whose edges bend. Where an edge arrives under another
 * source's exit, that source turns off above it.
 */
function assignTracks(edges: readonly Edge[]): Map<PlacedNode, number> {
  const bending = [
    ...new Set(edges.filter((edge) => edge.exitX !== edge.entryX).map((edge) => edge.source)),
  ];
  const tracks = new Map<PlacedNode, number>();
  const spans = new Map<PlacedNode, readonly [number, number]>();
  for (const source of orderByExits(bending, edges)) {
    const xs = edges.filter((e) => e.source === source).flatMap((e) => [e.exitX, e.entryX]);
    const span = [Math.min(...xs), Math.max(...xs)] as const;
    const blockers = [...spans].filter(
      ([other, [from, to]]) =>
        (from <= span[1] + 1 && to >= span[0] - 1) || arrivesUnder(source, other, edges),
    );
    tracks.set(source, 1 + Math.max(0, ...blockers.map(([other]) => tracks.get(other) ?? 0)));
    spans.set(source, span);
  }
  return tracks;
}

function arrivesUnder(source: PlacedNode, other: PlacedNode, edges: readonly Edge[]): boolean {
  return edges.some((edge) => edge.source === source && edge.entryX === centre(other));
}

/** Sources that must turn off first come first; otherwise from left to right. */
function orderByExits(sources: readonly PlacedNode[], edges: readonly Edge[]): PlacedNode[] {
  const left = [...sources].sort((a, b) => centre(a) - centre(b));
  const ordered: PlacedNode[] = [];
  while (left.length > 0) {
    const index = left.findIndex(
      (source) => !left.some((other) => other !== source && arrivesUnder(source, other, edges)),
    );
    ordered.push(...left.splice(Math.max(0, index), 1));
  }
  return ordered;
}
