/**
 * A picture as raw pixels, and the little that both finders need to know about it.
 *
 * `sharp` is loaded on first use: a worker of another executor never pays for it.
 */
import { EngineFailedError } from "@murakkab/kit";
import type { Sharp, SharpConstructor } from "sharp";

/** Rows of red, green, blue, one byte each. */
export interface Raster {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

export type Rgb = readonly [number, number, number];

/** Pixel coordinates; `right` and `bottom` lie one past the last pixel. */
export interface PixelBox {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Whatever a file claims to be: 50 megapixels are 150 MB of raw pixels. */
const PIXELS_COUNT_MAX = 50_000_000;

export async function loadSharp(): Promise<SharpConstructor> {
  const { default: sharp } = await import("sharp");
  // One attempt has one core: more threads would only compete with its neighbours.
  sharp.concurrency(1);
  sharp.cache(false);
  return sharp;
}

/** Errors: EngineFailedError when the file is no readable picture. */
export async function readRaster(path: string, width: number): Promise<Raster> {
  const sharp = await loadSharp();
  const picture: Sharp = sharp(path, { limitInputPixels: PIXELS_COUNT_MAX })
    .resize({ width, withoutEnlargement: true })
    .flatten({ background: "#ffffff" })
    .toColourspace("srgb")
    .removeAlpha()
    .raw();
  try {
    const { data, info } = await picture.toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, data };
  } catch (err) {
    throw new EngineFailedError("the frame is not readable, expected a PNG or JPEG picture", {
      cause: err,
    });
  }
}

export function pixelAt(raster: Raster, x: number, y: number): Rgb {
  const at = 3 * (y * raster.width + x);
  const { data } = raster;
  return [data[at] ?? 0, data[at + 1] ?? 0, data[at + 2] ?? 0];
}

/** Sum of the channels' differences; in [0, 765]. */
export function colorDistance(a: Rgb, b: Rgb): number {
  return Math.abs(a[0] - b[0]) + Math.abs(a[1] - b[1]) + Math.abs(a[2] - b[2]);
}

/** Five bits of each channel: antialiased edges and noise fall together, named colours do not. */
const BIN_BITS = 5;

export interface ColorShare {
  readonly color: Rgb;
  /** In [0, 1], of the pixels looked at. */
  readonly ratio: number;
}

/** The most frequent colours, most frequent first; each is the mean of its bin. */
export function dominantColors(pixels: Iterable<Rgb>, count: number): ColorShare[] {
  const bins = new Map<number, { count: number; red: number; green: number; blue: number }>();
  let total = 0;
  const shift = 8 - BIN_BITS;
  for (const pixel of pixels) {
    const [r, g, b] = pixel;
    const key = ((r >> shift) << (2 * BIN_BITS)) | ((g >> shift) << BIN_BITS) | (b >> shift);
    let bin = bins.get(key);
    if (bin === undefined) {
      bin = { count: 0, red: 0, green: 0, blue: 0 };
      bins.set(key, bin);
    }
    bin.count++;
    bin.red += r;
    bin.green += g;
    bin.blue += b;
    total++;
  }
  const sorted = [...bins.values()].sort((a, b) => b.count - a.count);
  return sorted.slice(0, count).map((bin) => ({
    color: [bin.red / bin.count, bin.green / bin.count, bin.blue / bin.count],
    ratio: bin.count / total,
  }));
}

/** The pixels of a box, cut to the picture; every `step`th of each row and column. */
export function* pixelsIn(raster: Raster, box: PixelBox, step = 1): Generator<Rgb> {
  const right = Math.min(raster.width, Math.round(box.right));
  const bottom = Math.min(raster.height, Math.round(box.bottom));
  for (let y = Math.max(0, Math.round(box.top)); y < bottom; y += step) {
    for (let x = Math.max(0, Math.round(box.left)); x < right; x += step) {
      yield pixelAt(raster, x, y);
    }
  }
}
