/**
 * Persons in a frame and the colours they wear.
 *
 * Owns:      which finds are one person, and the background's colour.
 */
import { z } from "zod";
import type { ExecutorFunction, FunctionCall } from "../../function-executor.ts";
import { nameColor } from "./color-names.ts";
import { findHeads, findHeadsByNeck } from "./find-heads.ts";
import { type FoundPerson, measurePerson } from "./measure-person.ts";
import { dominantColors, type PixelBox, pixelsIn, type Raster, readRaster } from "./raster.ts";
import { type Frame, frameSchema, readInput, type ScenePeople } from "./values.ts";

/** More than this on one picture are taken for a texture that looks like skin. */
const PEOPLE_COUNT_MAX = 20;

export const detectPeople: ExecutorFunction = async (call) => {
  const given = call.inputs["frame"];
  if (call.isBatch !== true) {
    return { people: await lookAt(call, readInput(frameSchema, "frame", given)) };
  }
  const people: ScenePeople[] = [];
  for (const frame of readInput(z.array(frameSchema), "frame", given)) {
    people.push(await lookAt(call, frame));
  }
  return { people };
};

async function lookAt(call: FunctionCall, frame: Frame): Promise<ScenePeople> {
  const path = await call.openArtifact(frame.image);
  const raster = await readRaster(path, Number(call.knobs["width"]));
  return {
    atSec: frame.atSec,
    scene: frame.scene,
    sceneStartSec: frame.sceneStartSec,
    sceneEndSec: frame.sceneEndSec,
    people: findPeople(raster).map((it) => it.person),
    background: backgroundOf(raster),
  };
}

/** From left to right. */
export function findPeople(raster: Raster): FoundPerson[] {
  const heads = findHeads(raster).sort((a, b) => a.y - b.y);
  const found: FoundPerson[] = [];
  for (const head of heads) {
    // Hands and bare knees are skin too: what lies within a body above is part of it.
    if (found.some((it) => isInside(head, it.pixels))) continue;
    const person = measurePerson(raster, head);
    if (person !== undefined) found.push(person);
  }
  if (found.length === 0) found.push(...findByNecks(raster));
  found.sort((a, b) => a.pixels.left - b.pixels.left);
  return found.slice(0, PEOPLE_COUNT_MAX);
}

/** Walls and floors have these colours, and gaps between legs look like necks above them. */
const WALL_COLORS = new Set(["brown", "gray"]);

/** Where no face shows: less sure, so that only clothes count that are unlike a wall. */
function findByNecks(raster: Raster): FoundPerson[] {
  const found: FoundPerson[] = [];
  for (const head of findHeadsByNeck(raster)) {
    if (found.some((it) => isInside(head, aroundOf(it.pixels)))) continue;
    const person = measurePerson(raster, head);
    if (person === undefined || WALL_COLORS.has(person.person.top.color)) continue;
    found.push(person);
  }
  return found;
}

/** Arms reach out: a hand beside a body is no neck of somebody else. */
function aroundOf({ left, right, top, bottom }: PixelBox): PixelBox {
  const reach = (right - left) / 2;
  return { left: left - reach, right: right + reach, top: top - reach, bottom };
}

function isInside({ x, y }: { readonly x: number; readonly y: number }, box: PixelBox): boolean {
  return x >= box.left && x < box.right && y >= box.top && y < box.bottom;
}

function backgroundOf(raster: Raster): string {
  const whole = { left: 0, top: 0, right: raster.width, bottom: raster.height };
  const [first] = dominantColors(pixelsIn(raster, whole, 4), 1);
  return first === undefined ? "gray" : nameColor(first.color).shade;
}
