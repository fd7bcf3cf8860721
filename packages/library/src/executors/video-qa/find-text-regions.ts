/**
 * Where in a picture text may stand: lines of dense vertical strokes on an even background.
 *
 * Owns:      the search; it works for any two colours, light on dark or dark on light.
 * Does not:  read. What is no text is sorted out by the reader's confidence.
 *
 * Sizes are ratios of the picture's width, so that they hold for any width.
 */
import {
  type ColorShare,
  colorDistance,
  dominantColors,
  type PixelBox,
  pixelsIn,
  type Raster,
  type Rgb,
} from "./raster.ts";

export interface TextRegion {
  readonly box: PixelBox;
  readonly background: Rgb;
  /** Share of the box that has the background's or the ink's colour, in [0, 1]. */
  readonly evenness: number;
}

/** Difference between neighbours, summed over the channels, that makes the edge of a stroke. */
const EDGE_DISTANCE_MIN = 96;
/** Gap between two edges of one line: a space between words is about half a letter's height. */
const GAP_RATIO = 0.028;
const LINE_WIDTH_RATIO_MIN = 0.03;
const LINE_HEIGHT_RATIO_MIN = 0.012;
const LINE_HEIGHT_RATIO_MAX = 0.14;
/** Edges per pixel of a line's box: letters have 0.2 to 0.5, drawings less. */
const EDGE_DENSITY_MIN = 0.1;
/** Of the fullest row's edges: rows of letters have a third of them or more, frames a few. */
const ROW_EDGES_RATIO_MIN = 0.3;
/** Of the picture's width: how far from its ends a line's frame may be. */
const FRAME_RATIO = 0.012;
/** Of the height of the small letters: how far the tall ones stand out. */
const ASCENDER_RATIO_MAX = 0.7;
const EVENNESS_MIN = 0.55;
const BACKGROUND_RATIO_MIN = 0.2;
const INK_RATIO_MIN = 0.1;
/** Of the rows just above and below: a drawing goes on there, a line of text does not. */
const AROUND_RATIO_MIN = 0.6;
/** Summed over the channels; what compression makes of one colour lies within. */
const SAME_DISTANCE_MAX = 60;
/** A picture full of fine texture has hundreds of candidates; the evenest are text if any is. */
const REGIONS_COUNT_MAX = 10;

export function findTextRegions(raster: Raster): TextRegion[] {
  const edges = markEdges(raster);
  const closed = closeGaps(edges, raster, Math.round(GAP_RATIO * raster.width));
  const regions = findComponents(closed, raster)
    .map((it) => trimRows(it, edges, raster.width))
    .filter((it) => looksLikeLine(it, edges, raster.width))
    .map((box) => withBackground(raster, box))
    .filter((it) => it !== undefined);
  return regions
    .sort((a, b) => b.evenness - a.evenness)
    .slice(0, REGIONS_COUNT_MAX)
    .sort((a, b) => a.box.top - b.box.top || a.box.left - b.box.left);
}

/** 1 where a pixel differs much from the one to the left: strokes of letters have such sides. */
function markEdges({ width, height, data }: Raster): Uint8Array {
  const edges = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 2; x < width; x++) {
      const at = 3 * (y * width + x);
      const before = at - 6;
      const distance =
        Math.abs((data[at] ?? 0) - (data[before] ?? 0)) +
        Math.abs((data[at + 1] ?? 0) - (data[before + 1] ?? 0)) +
        Math.abs((data[at + 2] ?? 0) - (data[before + 2] ?? 0));
      if (distance >= EDGE_DISTANCE_MIN) edges[y * width + x - 1] = 1;
    }
  }
  return edges;
}

/** Fills the gaps of each row that are no wider than `gapPx`. */
function closeGaps(edges: Uint8Array, { width, height }: Raster, gapPx: number): Uint8Array {
  const closed = new Uint8Array(edges);
  for (let y = 0; y < height; y++) {
    let last = -1;
    for (let x = 0; x < width; x++) {
      if (edges[y * width + x] === 0) continue;
      if (last >= 0 && x - last <= gapPx) closed.fill(1, y * width + last, y * width + x);
      last = x;
    }
  }
  return closed;
}

/** Boxes of the areas that hang together. */
function findComponents(closed: Uint8Array, { width, height }: Raster): PixelBox[] {
  const boxes: PixelBox[] = [];
  const seen = new Uint8Array(closed.length);
  const stack: number[] = [];
  for (let start = 0; start < closed.length; start++) {
    if (closed[start] === 0 || seen[start] === 1) continue;
    const box = { left: width, top: height, right: 0, bottom: 0 };
    seen[start] = 1;
    stack.push(start);
    for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
      const x = at % width;
      const y = (at - x) / width;
      box.left = Math.min(box.left, x);
      box.right = Math.max(box.right, x + 1);
      box.top = Math.min(box.top, y);
      box.bottom = Math.max(box.bottom, y + 1);
      for (const next of [
        x > 0 ? at - 1 : -1,
        x < width - 1 ? at + 1 : -1,
        at - width,
        at + width,
      ]) {
        if (next < 0 || next >= closed.length || closed[next] === 0 || seen[next] === 1) continue;
        seen[next] = 1;
        stack.push(next);
      }
    }
    boxes.push(box);
  }
  return boxes;
}

/**
 * Cuts off what is above and below the letters: the frame of a board, a post, a wire.
 *
 * The fullest rows are the middle of the letters; from there on to the first empty row, so that
 * ascenders stay. The ends of the rows do not count: a frame has its sides there.
 */
function trimRows(box: PixelBox, edges: Uint8Array, width: number): PixelBox {
  const inset = Math.min(Math.round(FRAME_RATIO * width), Math.floor((box.right - box.left) / 4));
  const counts: number[] = [];
  for (let y = box.top; y < box.bottom; y++) {
    let count = 0;
    for (let x = box.left + inset; x < box.right - inset; x++) count += edges[y * width + x] ?? 0;
    counts.push(count);
  }
  const enough = ROW_EDGES_RATIO_MIN * Math.max(...counts);
  let first = counts.findIndex((it) => it >= enough);
  let last = counts.findLastIndex((it) => it >= enough);
  const reach = Math.ceil(ASCENDER_RATIO_MAX * (last - first + 1));
  const [firstMin, lastMax] = [first - reach, last + reach];
  while (first > Math.max(0, firstMin) && (counts[first - 1] ?? 0) > 0) first--;
  while (last < Math.min(counts.length - 1, lastMax) && (counts[last + 1] ?? 0) > 0) last++;
  return { ...box, top: box.top + first, bottom: box.top + last + 1 };
}

function looksLikeLine(box: PixelBox, edges: Uint8Array, width: number): boolean {
  const lineWidth = box.right - box.left;
  const lineHeight = box.bottom - box.top;
  if (lineWidth < LINE_WIDTH_RATIO_MIN * width || lineWidth < 1.2 * lineHeight) return false;
  if (lineHeight < LINE_HEIGHT_RATIO_MIN * width) return false;
  if (lineHeight > LINE_HEIGHT_RATIO_MAX * width) return false;
  let count = 0;
  for (let y = box.top; y < box.bottom; y++) {
    for (let x = box.left; x < box.right; x++) count += edges[y * width + x] ?? 0;
  }
  return count >= EDGE_DENSITY_MIN * lineWidth * lineHeight;
}

/**
 * Letters stand in one colour on another: a box of many colours is a drawing.
 *
 * The background is the colour around the strokes: bold letters cover half of their own box.
 */
function withBackground(raster: Raster, box: PixelBox): TextRegion | undefined {
  const around = [...pixelsAround(raster, box)];
  const inside = [...pixelsIn(raster, box)];
  const background = mostCommon(around, around);
  if (background === undefined) return undefined;
  const far = inside.filter((it) => colorDistance(it, background.color) > EDGE_DISTANCE_MIN);
  const ink = mostCommon(far, inside);
  const backgroundRatio = shareNear(inside, background.color);
  const evenness = (ink?.ratio ?? 0) + backgroundRatio;
  const isText =
    evenness >= EVENNESS_MIN &&
    background.ratio >= AROUND_RATIO_MIN &&
    backgroundRatio >= BACKGROUND_RATIO_MIN &&
    (ink?.ratio ?? 0) >= INK_RATIO_MIN;
  return isText ? { box, background: background.color, evenness } : undefined;
}

/** The colour that most of `pixels` are close to, with its share of `whole`. */
function mostCommon(pixels: readonly Rgb[], whole: readonly Rgb[]): ColorShare | undefined {
  const shares = dominantColors(pixels, 4).map(({ color }) => ({
    color,
    ratio: (shareNear(pixels, color) * pixels.length) / Math.max(1, whole.length),
  }));
  return shares.sort((a, b) => b.ratio - a.ratio)[0];
}

function shareNear(pixels: readonly Rgb[], color: Rgb): number {
  let count = 0;
  for (const pixel of pixels) if (colorDistance(pixel, color) <= SAME_DISTANCE_MAX) count++;
  return count / Math.max(1, pixels.length);
}

/** The rows just above and below the strokes, where a line of text has only its background. */
function* pixelsAround(raster: Raster, box: PixelBox): Generator<Rgb> {
  const { left, right } = box;
  yield* pixelsIn(raster, { left, right, top: box.top - 3, bottom: box.top - 1 });
  yield* pixelsIn(raster, { left, right, top: box.bottom + 1, bottom: box.bottom + 3 });
}
