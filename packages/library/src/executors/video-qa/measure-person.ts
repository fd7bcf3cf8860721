/**
 * Whether a body stands below a head, and in which colours it is dressed.
 *
 * Owns:      the proportions of a figure, all in widths of its face.
 *
 * Invariants:
 *   P1. A torso is a stretch of one colour that ends on both sides: a wall below a lamp does not.
 *   P2. The skin's colour never counts as clothes.
 */
import { nameColor, toHsv } from "./color-names.ts";
import type { Head } from "./find-heads.ts";
import {
  type ColorShare,
  colorDistance,
  dominantColors,
  type PixelBox,
  pixelAt,
  pixelsIn,
  type Raster,
  type Rgb,
} from "./raster.ts";
import type { SeenColor, SeenPerson } from "./values.ts";

/** From the middle of the face, in face widths: x outwards, y downwards. */
const SHOULDER_Y = 0.72;
const WAIST_Y = 2.2;
const HIP_Y = 2.75;
const KNEE_Y = 4.3;
const FOOT_Y = 5.1;
const CROWN_Y = -0.85;
const TORSO_X = 0.58;

/** Summed over the channels; what shading and compression make of one cloth. */
const SAME_CLOTH_DISTANCE = 72;
const SAME_WALL_DISTANCE = 24;
const TORSO_RATIO_MIN = 0.34;
/** Torsos are this wide, in face widths; a coat that opens, with its sleeves, is the widest. */
const TORSO_WIDTH_MIN = 0.6;
const TORSO_WIDTH_MAX = 4.2;
/** Share of the sides of the torso that must show a colour for it to be the shirt's own. */
const SIDE_RATIO_MIN = 0.12;
const HAT_RATIO_MIN = 0.45;

export interface FoundPerson {
  readonly person: SeenPerson;
  readonly pixels: PixelBox;
}

export function measurePerson(raster: Raster, head: Head): FoundPerson | undefined {
  const clothes = clothesOf(raster, head);
  if (clothes === undefined) return undefined;
  const { top, others, isSkinLike } = clothes;
  const bottom = bottomOf(raster, head);
  // P2: a case or a crate of wood is brown all over; a person is not.
  if (isSkinLike && (bottom === undefined || bottom.color === top.color)) return undefined;
  const hat = hatOf(raster, head);
  const pixels = boxAt(head, { x: 1, from: CROWN_Y, to: FOOT_Y });
  return {
    pixels,
    person: {
      box: toRatioBox(raster, pixels),
      top,
      ...(bottom === undefined ? {} : { bottom }),
      ...(hat === undefined ? {} : { hat }),
      others,
    },
  };
}

interface Clothes {
  readonly top: SeenColor;
  readonly others: SeenColor[];
  readonly isSkinLike: boolean;
}

/** The colour of the upper body, and colours on it that an apron, a scarf or a tie may have. */
function clothesOf(raster: Raster, head: Head): Clothes | undefined {
  const middle = colorsIn(raster, head, [{ x: TORSO_X, from: SHOULDER_Y, to: WAIST_Y }]);
  const main = middle[0];
  if (main === undefined || main.ratio < TORSO_RATIO_MIN) return undefined;
  if (!isBounded(raster, head, main.color)) return undefined;
  const beyond = colorsBeside(raster, head, { x: 0.2, from: SHOULDER_Y, to: 1.7 }, 1.7);
  const besideHead = colorsBeside(raster, head, { x: 0.25, from: -0.3, to: 0.3 }, 1.1);
  const isWall = (it: Rgb): boolean => colorDistance(it, main.color) < SAME_WALL_DISTANCE;
  if (beyond.every(isWall) || besideHead.every(isWall)) return undefined;
  const sides = sideColors(raster, head);
  const isAtSides = sides.some(
    (it) => it.ratio >= SIDE_RATIO_MIN && isSameCloth(it.color, main.color),
  );
  const own = sides.find(
    (it) =>
      it.ratio >= SIDE_RATIO_MIN &&
      !beyond.some((far) => colorDistance(far, it.color) < SAME_WALL_DISTANCE),
  );
  const top = isAtSides || own === undefined ? main : own;
  const others = [...middle.slice(0, 4), ...colorsIn(raster, head, [NECK])]
    .filter((it) => it.ratio >= 0.1 && !isSameCloth(it.color, top.color))
    .map(toSeen)
    .filter((it, at, all) => all.findIndex((other) => other.color === it.color) === at);
  return {
    top: toSeen(top),
    others: others.filter((it) => it.color !== toSeen(top).color),
    isSkinLike: isSameCloth(top.color, head.skin),
  };
}

/** In face widths from the middle of the face: half-width, upper and lower edge. */
interface Zone {
  readonly x: number;
  readonly from: number;
  readonly to: number;
}
const NECK: Zone = { x: 0.4, from: 0.5, to: 0.8 };

function boxAt(head: Head, { x, from, to }: Zone, shift = 0): PixelBox {
  return {
    left: head.x + (shift - x) * head.width,
    right: head.x + (shift + x) * head.width,
    top: head.y + from * head.width,
    bottom: head.y + to * head.width,
  };
}

/** The cloth colours of some zones, most frequent first, near ones joined; skin left out. */
function colorsIn(raster: Raster, head: Head, zones: readonly Zone[], shifts = [0]): ColorShare[] {
  const pixels = zones.flatMap((zone) =>
    shifts.flatMap((shift) => [...pixelsIn(raster, boxAt(head, zone, shift))]),
  );
  const joined: { color: Rgb; ratio: number }[] = [];
  for (const { color, ratio } of dominantColors(pixels, 16)) {
    if (colorDistance(color, head.skin) < 50) continue;
    const same = joined.find((it) => isSameCloth(it.color, color));
    if (same === undefined) joined.push({ color, ratio });
    else same.ratio += ratio;
  }
  return joined.sort((a, b) => b.ratio - a.ratio);
}

/** Left and right of an apron: the shirt's sides and its sleeves. */
function sideColors(raster: Raster, head: Head): ColorShare[] {
  return colorsIn(raster, head, [{ x: 0.12, from: SHOULDER_Y, to: 1.7 }], [-0.64, 0.64]);
}

/** What lies in a zone to the left and to the right of the figure: the background. */
function colorsBeside(raster: Raster, head: Head, zone: Zone, shift: number): Rgb[] {
  return [-shift, shift].flatMap((it) => {
    const [first] = dominantColors(pixelsIn(raster, boxAt(head, zone, it)), 1);
    return first === undefined ? [] : [first.color];
  });
}

/** Cloth in shade is darker by the same ratio in all channels. */
function isSameCloth(a: Rgb, b: Rgb): boolean {
  if (colorDistance(a, b) <= SAME_CLOTH_DISTANCE) return true;
  const [hueA, satA, valueA] = toHsv(a);
  const [hueB, satB, valueB] = toHsv(b);
  const hueGap = Math.min(Math.abs(hueA - hueB), 360 - Math.abs(hueA - hueB));
  return satA > 0.35 && satB > 0.35 && hueGap < 10 && Math.abs(valueA - valueB) < 0.3;
}

/** P1: at several heights the colour runs no wider than a body does. */
function isBounded(raster: Raster, head: Head, color: Rgb): boolean {
  let fits = 0;
  const heights = [0.95, 1.2, 1.45, 1.7, 1.95];
  for (const height of heights) {
    const y = Math.round(head.y + height * head.width);
    if (y >= raster.height) return false;
    const runWidth = runThrough(raster, head, y, color) / head.width;
    if (runWidth >= TORSO_WIDTH_MIN && runWidth <= TORSO_WIDTH_MAX) fits++;
  }
  return fits >= heights.length - 2;
}

/** Distance between the outermost pixels of the cloth's colour, with gaps of a tie or an apron. */
function runThrough(raster: Raster, head: Head, y: number, color: Rgb): number {
  const gapMax = 0.9 * head.width;
  const reach = (step: 1 | -1): number => {
    let last = head.x;
    for (let x = Math.round(head.x); x >= 0 && x < raster.width; x += step) {
      if (Math.abs(x - last) > gapMax) break;
      if (isSameCloth(pixelAt(raster, x, y), color)) last = x;
    }
    return last;
  };
  return reach(1) - reach(-1);
}

function bottomOf(raster: Raster, head: Head): SeenColor | undefined {
  const legs = colorsIn(raster, head, [{ x: 0.2, from: HIP_Y, to: KNEE_Y }], [-0.33, 0.33]);
  const found = legs[0];
  return found === undefined || found.ratio < TORSO_RATIO_MIN ? undefined : toSeen(found);
}

/** Colours that no hair has; a hat in a hair's colour cannot be told from hair. */
const HAT_ONLY_COLORS = new Set(["red", "green", "blue", "purple", "pink", "orange", "beige"]);

function hatOf(raster: Raster, head: Head): SeenColor | undefined {
  const crown = colorsIn(raster, head, [{ x: 0.38, from: -0.8, to: -0.32 }])[0];
  if (crown === undefined || crown.ratio < HAT_RATIO_MIN) return undefined;
  // A bald head or a gap above it shows what is behind: the same colour beside the head.
  const around = [-1.1, 1.1].map(
    (shift) =>
      dominantColors(pixelsIn(raster, boxAt(head, { x: 0.2, from: -0.9, to: -0.3 }, shift)), 1)[0],
  );
  if (around.some((it) => it !== undefined && colorDistance(it.color, crown.color) < 50))
    return undefined;
  const hat = toSeen(crown);
  return HAT_ONLY_COLORS.has(hat.color) || HAT_ONLY_COLORS.has(hat.shade ?? "") ? hat : undefined;
}

function toSeen({ color, ratio }: ColorShare): SeenColor {
  const { basic, shade } = nameColor(color);
  const seen = { color: basic, ratio: Math.round(Math.min(1, ratio) * 100) / 100 };
  return shade === basic ? seen : { ...seen, shade };
}

function toRatioBox(raster: Raster, box: PixelBox): SeenPerson["box"] {
  const ratio = (value: number, side: number): number =>
    Math.round(Math.min(1, Math.max(0, value / side)) * 1000) / 1000;
  const [x, y] = [ratio(box.left, raster.width), ratio(box.top, raster.height)];
  return {
    x,
    y,
    width: Math.round((ratio(box.right, raster.width) - x) * 1000) / 1000,
    height: Math.round((ratio(box.bottom, raster.height) - y) * 1000) / 1000,
  };
}
