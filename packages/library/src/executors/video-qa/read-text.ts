/**
 * The words in a frame, or in many, with tesseract.
 *
 * Owns:      how the picture is prepared, and what is a caption and what a sign.
 *
 * Invariants:
 *   T1. Tesseract starts at most once, for one frame or for a batch, and not at all where nothing
 *       looks like text: it takes 0.1 s to start and 0.03 s for a page.
 *   T2. Tesseract runs on one thread: with more it takes twice the time on a small machine.
 *   T3. Each frame is a page of its own: a batch reads the same as its frames alone.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EngineFailedError } from "@murakkab/kit";
import { z } from "zod";
import type { ExecutorFunction, FunctionCall } from "../../function-executor.ts";
import { findTextRegions, type TextRegion } from "./find-text-regions.ts";
import { parsePages, type ReadLine } from "./parse-tesseract.ts";
import { loadSharp, type PixelBox, type Raster, readRaster } from "./raster.ts";
import { composeSheet, type GrayPicture, type TextSheet, toPgm } from "./text-sheet.ts";
import { type Frame, frameSchema, readInput, type ScreenLine, type ScreenText } from "./values.ts";

/** Captions stand below this height; signs that low are rare. */
const CAPTION_TOP_RATIO = 0.72;
/** What `crops: bands` looks at: a band at the top and one at the bottom. */
const BANDS = [
  { from: 0, to: 0.25 },
  { from: 0.78, to: 1 },
] as const;

export const readText: ExecutorFunction = async (call) => {
  const given = call.inputs["frame"];
  if (call.isBatch !== true) {
    const [text] = await readFrames(call, [readInput(frameSchema, "frame", given)]);
    return { text };
  }
  return { text: await readFrames(call, readInput(z.array(frameSchema), "frame", given)) };
};

/** What tesseract gets of one frame, and how its lines are led back to the frame. */
interface Page {
  readonly size: { readonly width: number; readonly height: number };
  /** Null where the whole picture is the page. */
  readonly sheet: Omit<TextSheet, "picture"> | null;
}

async function readFrames(call: FunctionCall, frames: readonly Frame[]): Promise<ScreenText[]> {
  const pages: (Page | null)[] = [];
  const pictures: Buffer[] = [];
  for (const frame of frames) {
    const raster = await readRaster(
      await call.openArtifact(frame.image),
      Number(call.knobs["width"]),
    );
    const prepared = await preparePage(call, raster);
    pages.push(prepared?.page ?? null);
    if (prepared !== null) pictures.push(toPgm(prepared.picture));
  }
  const read = await runTesseract(call, pictures);
  return frames.map(({ atSec, scene, sceneStartSec, sceneEndSec }, index) => {
    const page = pages[index] ?? null;
    const lines = page === null ? [] : placeLines(page, read.shift() ?? []);
    return { atSec, scene, sceneStartSec, sceneEndSec, lines };
  });
}

/** Null where nothing looks like text. */
async function preparePage(
  { knobs }: FunctionCall,
  raster: Raster,
): Promise<{ page: Page; picture: GrayPicture } | null> {
  const size = { width: raster.width, height: raster.height };
  if (knobs["crops"] === "none")
    return { page: { size, sheet: null }, picture: await toGray(raster) };
  const regions = knobs["crops"] === "bands" ? bandsOf(raster) : findTextRegions(raster);
  if (regions.length === 0) return null;
  const { picture, lines } = await composeSheet(raster, regions);
  return { page: { size, sheet: { lines } }, picture };
}

function placeLines({ size, sheet }: Page, read: readonly ReadLine[]): ScreenLine[] {
  return read.flatMap((line) => {
    const box = sheet === null ? line.box : boxOnSheet(line, sheet);
    return box === undefined ? [] : [toScreenLine(line, box, size)];
  });
}

/** The lines of each picture, in order (T1, T3). */
async function runTesseract(
  call: FunctionCall,
  pictures: readonly Buffer[],
): Promise<ReadLine[][]> {
  const [only] = pictures;
  if (only === undefined) return [];
  const options = ["stdout", "--dpi", "150", "--psm", String(call.knobs["pageMode"]), "tsv"];
  const env = { OMP_THREAD_LIMIT: "1" };
  const { stdout } =
    pictures.length === 1
      ? await call.run("tesseract", ["stdin", ...options], { stdin: only, env })
      : await call.run("tesseract", [await writePages(call, pictures), ...options], { env });
  const pages = parsePages(Buffer.from(stdout).toString("utf8"));
  if (pages.length === pictures.length) return pages;
  throw new EngineFailedError(
    `tesseract read ${pages.length} pages, expected ${pictures.length}: one for each frame with text`,
  );
}

/** A list of picture files is a document of so many pages. */
async function writePages(call: FunctionCall, pictures: readonly Buffer[]): Promise<string> {
  const paths: string[] = [];
  for (const [index, picture] of pictures.entries()) {
    const path = join(call.scratchDir, `page-${index}.pgm`);
    await writeFile(path, picture);
    paths.push(path);
  }
  const list = join(call.scratchDir, "pages.txt");
  await writeFile(list, `${paths.join("\n")}\n`);
  return list;
}

async function toGray(raster: Raster): Promise<GrayPicture> {
  const sharp = await loadSharp();
  const { width, height, data } = raster;
  const gray = await sharp(data, { raw: { width, height, channels: 3 } })
    .greyscale()
    .toColourspace("b-w")
    .raw()
    .toBuffer();
  return { width, height, data: gray };
}

function bandsOf({ width, height, data }: Raster): TextRegion[] {
  return BANDS.map(({ from, to }) => {
    const box = {
      left: 0,
      top: Math.round(from * height),
      right: width,
      bottom: Math.round(to * height),
    };
    const corner = 3 * (Math.round((box.top + box.bottom) / 2) * width + 2);
    const background = [data[corner] ?? 0, data[corner + 1] ?? 0, data[corner + 2] ?? 0] as const;
    return { box, background, evenness: 1 };
  });
}

/** The picture's box of a line that was read on the sheet. */
function boxOnSheet(line: ReadLine, sheet: Pick<TextSheet, "lines">): PixelBox | undefined {
  const middle = (line.box.top + line.box.bottom) / 2;
  const nearest = sheet.lines.find((it) => it.top - 8 <= middle && middle <= it.bottom + 8);
  return nearest?.region.box;
}

function toScreenLine(line: ReadLine, box: PixelBox, { width, height }: Page["size"]): ScreenLine {
  const isCaption = (box.top + box.bottom) / 2 >= CAPTION_TOP_RATIO * height;
  return {
    text: line.text,
    confidence: line.confidence,
    region: isCaption ? "caption" : "sign",
    box: {
      x: roundRatio(box.left / width),
      y: roundRatio(box.top / height),
      width: roundRatio((box.right - box.left) / width),
      height: roundRatio((box.bottom - box.top) / height),
    },
  };
}

function roundRatio(ratio: number): number {
  return Math.round(ratio * 1000) / 1000;
}
