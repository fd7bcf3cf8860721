/**
 * The words in a frame, with tesseract.
 *
 * Owns:      how the picture is prepared, and what is a caption and what a sign.
 *
 * Invariants:
 *   T1. Tesseract starts at most once for a frame, and not at all where nothing looks like text.
 *   T2. Tesseract runs on one thread: with more it takes twice the time on a small machine.
 */
import type { ExecutorFunction, FunctionCall } from "../../function-executor.ts";
import { findTextRegions, type TextRegion } from "./find-text-regions.ts";
import { parseTesseract, type ReadLine } from "./parse-tesseract.ts";
import { loadSharp, type PixelBox, type Raster, readRaster } from "./raster.ts";
import { composeSheet, type TextSheet } from "./text-sheet.ts";
import { frameSchema, readInput, type ScreenLine, type ScreenText } from "./values.ts";

/** Captions stand below this height; signs that low are rare. */
const CAPTION_TOP_RATIO = 0.72;
/** What `crops: bands` looks at: a band at the top and one at the bottom. */
const BANDS = [
  { from: 0, to: 0.25 },
  { from: 0.78, to: 1 },
] as const;

export const readText: ExecutorFunction = async (call) => {
  const frame = readInput(frameSchema, "frame", call.inputs["frame"]);
  const path = await call.openArtifact(frame.image);
  const raster = await readRaster(path, Number(call.knobs["width"]));
  const lines = await readLines(call, raster);
  const text: ScreenText = {
    atSec: frame.atSec,
    scene: frame.scene,
    sceneStartSec: frame.sceneStartSec,
    sceneEndSec: frame.sceneEndSec,
    lines,
  };
  return { text };
};

async function readLines(call: FunctionCall, raster: Raster): Promise<ScreenLine[]> {
  if (call.knobs["crops"] === "none") {
    const read = await runTesseract(call, await toPng(raster));
    return read.map((it) => toScreenLine(it, it.box, raster));
  }
  const regions = call.knobs["crops"] === "bands" ? bandsOf(raster) : findTextRegions(raster);
  if (regions.length === 0) return [];
  const sheet = await composeSheet(raster, regions);
  const read = await runTesseract(call, sheet.png);
  return read.flatMap((line) => {
    const box = boxOnSheet(line, sheet);
    return box === undefined ? [] : [toScreenLine(line, box, raster)];
  });
}

async function runTesseract(call: FunctionCall, png: Buffer): Promise<ReadLine[]> {
  const args = ["stdin", "stdout", "--dpi", "150", "--psm", String(call.knobs["pageMode"]), "tsv"];
  const { stdout } = await call.run("tesseract", args, {
    stdin: png,
    env: { OMP_THREAD_LIMIT: "1" },
  });
  return parseTesseract(Buffer.from(stdout).toString("utf8"));
}

async function toPng(raster: Raster): Promise<Buffer> {
  const sharp = await loadSharp();
  const { width, height, data } = raster;
  return await sharp(Buffer.from(data), { raw: { width, height, channels: 3 } })
    .greyscale()
    .png({ compressionLevel: 1 })
    .toBuffer();
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
function boxOnSheet(line: ReadLine, sheet: TextSheet): PixelBox | undefined {
  const middle = (line.box.top + line.box.bottom) / 2;
  const nearest = sheet.lines.find((it) => it.top - 8 <= middle && middle <= it.bottom + 8);
  return nearest?.region.box;
}

function toScreenLine(line: ReadLine, box: PixelBox, raster: Raster): ScreenLine {
  const { width, height } = raster;
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
