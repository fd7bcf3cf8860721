/**
 * Where in a picture faces may be: compact blobs of one skin-like colour.
 *
 * Owns:      the search. Whether a body stands below is for measure-person.ts to say.
 *
 * Blobs are grown with several tolerances: a wide one follows the shading of a photographed face,
 * a narrow one parts a face from a wall of nearly the same colour.
 */
import { toHsv } from "./color-names.ts";
import { type PixelBox, pixelAt, type Raster, type Rgb } from "./raster.ts";

export interface Head {
  /** Middle of the face, in pixels. */
  readonly x: number;
  readonly y: number;
  /** Width of the face in pixels; bodies are measured in it. */
  readonly width: number;
  readonly skin: Rgb;
}

/** Summed over the channels, from the blob's first pixel. */
const TOLERANCES = [66, 36, 20] as const;
const SEED_DISTANCE_MAX = 20;
/** Of the picture's width; a smaller face has too few pixels to find clothes below it. */
const WIDTH_RATIO_MIN = 0.03;
const WIDTH_RATIO_MAX = 0.3;
/** Hats, hair and beards may leave a strip of a face three times as wide as high. */
const ASPECT_MIN = 0.5;
const ASPECT_MAX = 3.4;
/** A disc fills 0.79 of its box; hair takes its share, and glasses half. */
const FILL_RATIO_MIN = 0.4;
const NECK_TOLERANCE = 36;
/** Of the picture's width. Thinner patches are too few pixels to be even. */
const NECK_RATIO_MIN = 0.012;
const NECK_RATIO_MAX = 0.06;
/** Between chin and collar, a neck is about as high as wide, and a box rather than a disc. */
const NECK_ASPECT_MIN = 0.7;
const NECK_ASPECT_MAX = 2.6;
const NECK_FILL_RATIO_MIN = 0.8;
/** A face is about three necks wide; its middle is this many face widths above the neck's. */
const FACE_PER_NECK = 2.9;
const NECK_BELOW_FACE = 0.62;

export function findHeads(raster: Raster): Head[] {
  const heads: Head[] = [];
  const skin = markSkin(raster);
  for (const tolerance of TOLERANCES) {
    for (const head of findBlobs(raster, skin, { tolerance, toHead })) {
      const isKnown = heads.some(
        (it) =>
          Math.hypot(it.x - head.x, it.y - head.y) < 0.6 * head.width &&
          it.width < 1.5 * head.width,
      );
      if (!isKnown) heads.push(head);
    }
  }
  return heads;
}

/**
 * Heads above necks: a beard, glasses and a hat may leave nothing of a face but spots, while the
 * neck still shows as an even patch of skin.
 */
export function findHeadsByNeck(raster: Raster): Head[] {
  const skin = markSkin(raster);
  return findBlobs(raster, skin, { tolerance: NECK_TOLERANCE, toHead: toHeadOfNeck });
}

/** Skin of any tone lies in a narrow range of hues, from light to dark, never vivid. */
function isSkin(color: Rgb): boolean {
  const [hue, saturation, value] = toHsv(color);
  return hue >= 8 && hue <= 36 && saturation >= 0.16 && saturation <= 0.68 && value >= 0.28;
}

function markSkin({ width, height, data }: Raster): Uint8Array {
  const marks = new Uint8Array(width * height);
  for (let at = 0; at < marks.length; at++) {
    const r = data[3 * at] ?? 0;
    const g = data[3 * at + 1] ?? 0;
    const b = data[3 * at + 2] ?? 0;
    // Skin is redder than green and greener than blue: most pixels need no more than that.
    if (r > g && g > b && isSkin([r, g, b])) marks[at] = 1;
  }
  return marks;
}

type ToHead = (blob: Blob, pictureWidth: number, skin: Rgb) => Head | undefined;

function findBlobs(
  raster: Raster,
  skin: Uint8Array,
  { tolerance, toHead: accept }: { readonly tolerance: number; readonly toHead: ToHead },
): Head[] {
  const { width } = raster;
  // What is no skin counts as seen: it is neither a seed nor grown into.
  const seen = new Uint8Array(skin.length);
  for (let at = 0; at < seen.length; at++) seen[at] = 1 - (skin[at] ?? 0);
  const heads: Head[] = [];
  for (let start = 0; start < seen.length; start++) {
    if (seen[start] === 1) continue;
    if (!isEven(raster, start)) continue;
    const seed = pixelAt(raster, start % width, Math.floor(start / width));
    const blob = growBlob(raster, { start, seed, tolerance, seen });
    const head = accept(blob, width, seed);
    if (head !== undefined) heads.push(head);
  }
  return heads;
}

/** Seeds lie within a face, not on its edge, whose mixed colour would part it into rings. */
function isEven({ width, height, data }: Raster, at: number): boolean {
  const x = at % width;
  if (x + 2 >= width || (at - x) / width + 2 >= height) return false;
  return (
    distanceBetween(data, 3 * at, 3 * (at + 2)) <= SEED_DISTANCE_MAX &&
    distanceBetween(data, 3 * at, 3 * (at + 2 * width)) <= SEED_DISTANCE_MAX
  );
}

function distanceBetween(data: Uint8Array, a: number, b: number): number {
  return (
    Math.abs((data[a] ?? 0) - (data[b] ?? 0)) +
    Math.abs((data[a + 1] ?? 0) - (data[b + 1] ?? 0)) +
    Math.abs((data[a + 2] ?? 0) - (data[b + 2] ?? 0))
  );
}

interface Blob {
  readonly box: PixelBox;
  readonly count: number;
  /** First and last pixel of each row of the box. */
  readonly rows: ReadonlyMap<number, readonly [number, number]>;
}

/** Plain numbers, no objects: this looks at every pixel of skin several times. */
function growBlob(
  { width, height, data }: Raster,
  options: {
    readonly start: number;
    readonly seed: Rgb;
    readonly tolerance: number;
    readonly seen: Uint8Array;
  },
): Blob {
  const { tolerance, seen } = options;
  const [red, green, blue] = options.seed;
  const firsts = new Map<number, number>();
  const lasts = new Map<number, number>();
  const stack = [options.start];
  seen[options.start] = 1;
  let count = 0;
  const push = (next: number): void => {
    if (next < 0 || next >= width * height || seen[next] === 1) return;
    const at = 3 * next;
    const distance =
      Math.abs((data[at] ?? 0) - red) +
      Math.abs((data[at + 1] ?? 0) - green) +
      Math.abs((data[at + 2] ?? 0) - blue);
    if (distance > tolerance) return;
    seen[next] = 1;
    stack.push(next);
  };
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    const x = at % width;
    const y = (at - x) / width;
    if (x < (firsts.get(y) ?? width)) firsts.set(y, x);
    if (x > (lasts.get(y) ?? -1)) lasts.set(y, x);
    count++;
    if (x > 0) push(at - 1);
    if (x < width - 1) push(at + 1);
    push(at - width);
    push(at + width);
  }
  const rows = new Map(
    [...firsts].map(([y, first]): [number, [number, number]] => [
      y,
      [first, lasts.get(y) ?? first],
    ]),
  );
  const box = { left: width, right: 0, top: height, bottom: 0 };
  for (const [y, [first, last]] of rows) {
    box.left = Math.min(box.left, first);
    box.right = Math.max(box.right, last + 1);
    box.top = Math.min(box.top, y);
    box.bottom = Math.max(box.bottom, y + 1);
  }
  return { box, count, rows };
}

function toHead({ box, count, rows }: Blob, pictureWidth: number, skin: Rgb): Head | undefined {
  const width = box.right - box.left;
  const height = box.bottom - box.top;
  if (width < WIDTH_RATIO_MIN * pictureWidth || width > WIDTH_RATIO_MAX * pictureWidth)
    return undefined;
  if (width / height < ASPECT_MIN || width / height > ASPECT_MAX) return undefined;
  if (count < FILL_RATIO_MIN * width * height) return undefined;
  // The widest rows of a face are its middle, whatever covers its top and chin.
  const wide = [...rows].filter(([, [left, right]]) => right - left + 1 >= 0.92 * width);
  if (wide.length === 0) return undefined;
  const y = wide.reduce((sum, [row]) => sum + row, 0) / wide.length;
  const x = wide.reduce((sum, [, [left, right]]) => sum + (left + right) / 2, 0) / wide.length;
  return { x, y, width, skin };
}

function toHeadOfNeck({ box, count }: Blob, pictureWidth: number, skin: Rgb): Head | undefined {
  const width = box.right - box.left;
  const height = box.bottom - box.top;
  if (width < NECK_RATIO_MIN * pictureWidth || width > NECK_RATIO_MAX * pictureWidth)
    return undefined;
  if (width / height < NECK_ASPECT_MIN || width / height > NECK_ASPECT_MAX) return undefined;
  if (count < NECK_FILL_RATIO_MIN * width * height) return undefined;
  const faceWidth = FACE_PER_NECK * width;
  const y = (box.top + box.bottom) / 2 - NECK_BELOW_FACE * faceWidth;
  return { x: (box.left + box.right) / 2, y, width: faceWidth, skin };
}
