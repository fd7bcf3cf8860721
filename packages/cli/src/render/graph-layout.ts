/**
 * Layers, order and columns of a small directed graph, so that its edges only go down.
 *
 * Source: Sugiyama, Tagawa, Toda, "Methods for Visual Understanding of Hierarchical System
 * Structures", 1981: longest-path layers, dummy nodes for long edges, barycentre ordering.
 * Deterministic: ties keep the order of the input.
 */
export interface GraphNode {
  readonly id: string;
  readonly width: number;
  readonly sources: readonly string[];
  /** Stands right above its first reader instead of at the very top. */
  readonly sinksToReader: boolean;
}

export interface PlacedNode {
  readonly id: string;
  readonly layer: number;
  readonly width: number;
  /** A passage of a long edge through this layer: no box, one column wide. */
  readonly isDummy: boolean;
  readonly sources: string[];
  left: number;
}

export function centre(node: PlacedNode): number {
  return node.left + Math.floor(node.width / 2);
}

/** Columns between two boxes of one layer. */
const GAP = 3;
const SWEEP_COUNT = 8;

/** Layers from top to bottom, each from left to right. */
export function layoutGraph(nodes: readonly GraphNode[]): PlacedNode[][] {
  const layers = insertDummies(nodes, layerOf(nodes));
  const byId = new Map(layers.flat().map((node) => [node.id, node]));
  const readers = readersOf(layers.flat());
  for (const layer of layers) packLeft(layer);
  for (let sweep = 0; sweep < SWEEP_COUNT; sweep += 1) {
    const isDown = sweep % 2 === 0;
    for (const layer of isDown ? layers : layers.toReversed()) {
      const wanted = new Map(
        layer.map((node) => {
          const ids = isDown ? node.sources : (readers.get(node.id) ?? []);
          const near = ids.flatMap((id) => byId.get(id) ?? []);
          const sum = near.reduce((total, other) => total + centre(other), 0);
          return [node.id, near.length === 0 ? centre(node) : sum / near.length];
        }),
      );
      layer.sort((a, b) => (wanted.get(a.id) ?? 0) - (wanted.get(b.id) ?? 0));
      spread(layer, wanted);
    }
  }
  const leftMost = Math.min(...layers.flat().map((node) => node.left));
  for (const node of layers.flat()) node.left -= leftMost;
  return layers;
}

function layerOf(nodes: readonly GraphNode[]): Map<string, number> {
  const layers = new Map<string, number>();
  for (const node of nodes) {
    const above = node.sources.map((source) => layers.get(source) ?? 0);
    layers.set(node.id, above.length === 0 ? 0 : Math.max(...above) + 1);
  }
  for (const node of nodes) {
    if (!node.sinksToReader) continue;
    const below = nodes
      .filter((reader) => reader.sources.includes(node.id))
      .map((reader) => layers.get(reader.id) ?? 1);
    if (below.length > 0) layers.set(node.id, Math.min(...below) - 1);
  }
  return layers;
}

function insertDummies(
  nodes: readonly GraphNode[],
  layerById: ReadonlyMap<string, number>,
): PlacedNode[][] {
  const layers: PlacedNode[][] = [];
  const put = (node: PlacedNode): void => {
    while (layers.length <= node.layer) layers.push([]);
    layers[node.layer]?.push(node);
  };
  const passages = new Set<string>();
  for (const node of nodes) {
    const layer = layerById.get(node.id) ?? 0;
    const sources = node.sources.map((source) => {
      // One passage per source and layer, shared by all its readers further down.
      let above = source;
      for (let at = (layerById.get(source) ?? 0) + 1; at < layer; at += 1) {
        const id = `${source}\n${at}`;
        if (!passages.has(id)) {
          passages.add(id);
          put({ id, layer: at, width: 1, isDummy: true, sources: [above], left: 0 });
        }
        above = id;
      }
      return above;
    });
    put({ id: node.id, layer, width: node.width, isDummy: false, sources, left: 0 });
  }
  return layers;
}

function readersOf(nodes: readonly PlacedNode[]): Map<string, string[]> {
  const readers = new Map<string, string[]>();
  for (const node of nodes) {
    for (const source of node.sources) {
      readers.set(source, [...(readers.get(source) ?? []), node.id]);
    }
  }
  return readers;
}

function packLeft(layer: readonly PlacedNode[]): void {
  let left = 0;
  for (const node of layer) {
    node.left = left;
    left += node.width + GAP;
  }
}

/** Each node as near as possible to where it wants to be; mean of a push right and a push left. */
function spread(layer: readonly PlacedNode[], wanted: ReadonlyMap<string, number>): void {
  const want = layer.map((node) => (wanted.get(node.id) ?? 0) - Math.floor(node.width / 2));
  const pushedRight: number[] = [];
  for (const [index, node] of layer.entries()) {
    const previous = layer[index - 1];
    const free =
      previous === undefined
        ? Number.NEGATIVE_INFINITY
        : (pushedRight[index - 1] ?? 0) + previous.width + GAP;
    pushedRight.push(Math.max(want[index] ?? 0, free));
    node.left = 0;
  }
  let limit = Number.POSITIVE_INFINITY;
  for (let index = layer.length - 1; index >= 0; index -= 1) {
    const node = layer[index] as PlacedNode;
    const pushedLeft = Math.min(want[index] ?? 0, limit - node.width);
    limit = pushedLeft - GAP;
    node.left = Math.round(((pushedRight[index] ?? 0) + pushedLeft) / 2);
  }
  // Rounding may have eaten one column of a gap.
  for (let index = 1; index < layer.length; index += 1) {
    const previous = layer[index - 1] as PlacedNode;
    const node = layer[index] as PlacedNode;
    node.left = Math.max(node.left, previous.left + previous.width + GAP);
  }
}
