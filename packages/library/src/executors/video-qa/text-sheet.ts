/**
 * The lines of a picture as one sheet of dark text on white, all lines equally high.
 *
 * Why: the reader takes 0.13 s to start, so one call reads all lines; and it misses coloured
 *      boards, small letters and light text on dark that it reads well once they look like print.
 */
import type { TextRegion } from "./find-text-regions.ts";
import { loadSharp, type PixelBox, pixelAt, type Raster, type Rgb } from "./raster.ts";

/** Letters of 30 to 40 pixels are what the reader was trained on. */
const LINE_HEIGHT_PX = 44;
const MARGIN_PX = 22;
/** Longer lines are made smaller; nothing that a picture holds needs more. */
const LINE_WIDTH_PX_MAX = 2400;
/** Space around the found strokes, in ratio of their height: room for what hangs below. */
const PADDING_RATIO = 0.3;
/** Above this share of the ink's distance a pixel counts as ink when borders are removed. */
const INK_RATIO = 0.35;

export interface SheetLine {
  readonly region: TextRegion;
  /** Where the line stands on the sheet, in pixels. */
  readonly top: number;
  readonly bottom: number;
}

export interface TextSheet {
  /** One byte per pixel. */
  readonly picture: GrayPicture;
  readonly lines: readonly SheetLine[];
}

export interface GrayPicture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** As a file that needs neither packing nor unpacking, which would cost as much as the reading. */
export function toPgm({ width, height, data }: GrayPicture): Buffer {
  return Buffer.concat([Buffer.from(`P5\n${width} ${height}\n255\n`, "latin1"), data]);
}

export async function composeSheet(
  raster: Raster,
  regions: readonly TextRegion[],
): Promise<TextSheet> {
  const strips: GrayPicture[] = [];
  for (const region of regions) strips.push(await stripOf(raster, region));
  const width = Math.max(0, ...strips.map((it) => it.width)) + 2 * MARGIN_PX;
  const height = strips.reduce((sum, it) => sum + it.height + MARGIN_PX, MARGIN_PX);
  const data = new Uint8Array(width * height).fill(255);
  const lines: SheetLine[] = [];
  let top = MARGIN_PX;
  for (const [index, strip] of strips.entries()) {
    for (let y = 0; y < strip.height; y++) {
      const row = strip.data.subarray(y * strip.width, (y + 1) * strip.width);
      data.set(row, (top + y) * width + MARGIN_PX);
    }
    const region = regions[index];
    if (region !== undefined) lines.push({ region, top, bottom: top + strip.height });
    top += strip.height + MARGIN_PX;
  }
  return { picture: { width, height, data }, lines };
}

async function stripOf(raster: Raster, region: TextRegion): Promise<GrayPicture> {
  const sharp = await loadSharp();
  const box = padBox(region.box, raster);
  const ink = eraseBorder(inkOf(raster, box, region.background), box);
  const { data, info } = await sharp(ink, { raw: { ...sizeOf(box), channels: 1 } })
    .resize({ height: LINE_HEIGHT_PX, width: LINE_WIDTH_PX_MAX, fit: "inside", kernel: "cubic" })
    .toColourspace("b-w")
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, data };
}

function sizeOf(box: PixelBox): { width: number; height: number } {
  return { width: box.right - box.left, height: box.bottom - box.top };
}

function padBox(box: PixelBox, raster: Raster): PixelBox {
  const padding = Math.max(3, Math.round(PADDING_RATIO * (box.bottom - box.top)));
  return {
    left: Math.max(0, box.left - padding),
    top: Math.max(0, box.top - padding),
    right: Math.min(raster.width, box.right + padding),
    bottom: Math.min(raster.height, box.bottom + padding),
  };
}

/** One byte per pixel: 255 is the background's colour, 0 the colour farthest from it. */
function inkOf(raster: Raster, box: PixelBox, background: Rgb): Uint8Array {
  const { width, height } = sizeOf(box);
  const distances = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const pixel = pixelAt(raster, box.left + x, box.top + y);
      distances[y * width + x] = Math.hypot(
        pixel[0] - background[0],
        pixel[1] - background[1],
        pixel[2] - background[2],
      );
    }
  }
  // Not the maximum: a stray pixel must not make the letters pale.
  const sorted = Float32Array.from(distances).sort();
  const ink = Math.max(60, sorted[Math.floor(0.97 * sorted.length)] ?? 0);
  return Uint8Array.from(distances, (it) => 255 - Math.min(255, Math.round((255 * it) / ink)));
}

/** Whitens all ink that touches the box's border: the edge of a board, what lies beyond it. */
function eraseBorder(gray: Uint8Array, box: PixelBox): Uint8Array {
  const { width, height } = sizeOf(box);
  const inkMax = 255 * (1 - INK_RATIO);
  const stack: number[] = [];
  const push = (at: number): void => {
    if ((gray[at] ?? 255) >= inkMax) return;
    gray[at] = 255;
    stack.push(at);
  };
  for (let x = 0; x < width; x++) {
    push(x);
    push((height - 1) * width + x);
  }
  for (let y = 0; y < height; y++) {
    push(y * width);
    push(y * width + width - 1);
  }
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    const x = at % width;
    if (x > 0) push(at - 1);
    if (x < width - 1) push(at + 1);
    if (at >= width) push(at - width);
    if (at + width < gray.length) push(at + width);
  }
  return gray;
}
