/**
 * One figure, as it stands at one moment.
 *
 * Owns:      body, clothes, hair and the way figures sway or walk.
 * Frame:     feet at (0, 0), y up is negative, about 190 units high.
 *
 * Invariants:
 *   P1. Same person and time give the same drawing: nothing here is random.
 *   P2. Clothes are flat areas of the colour that the scene file names, large enough to be seen.
 */
import { drawHat, drawItem, ITEMS_ON_BACK } from "./draw-item.ts";
import { drawNameTag } from "./draw-text.ts";
import { SKIN_TONES, shade } from "./palette.ts";
import type { Person } from "./scene-schema.ts";
import { circle, ellipse, path, polygon, rect, rotate, stroke, translate } from "./svg.ts";

/** The feet of every figure, just above the caption band. */
const GROUND_Y = 282;
const HEAD_Y = -166;
const HIP_Y = -92;
/** Steps and breaths per second; slow enough to look calm at 12 frames per second. */
const STEP_HZ = 1.5;
const SWAY_HZ = 0.45;

interface Motion {
  /** Swing of legs and arms in degrees, at this moment. */
  readonly legDegrees: number;
  readonly armDegrees: number;
  readonly bobY: number;
}

function motionAt(person: Person, timeSec: number): Motion {
  const isWalking = person.walkToX !== undefined;
  // The position shifts the phase, or all figures would sway as one.
  const phase = 2 * Math.PI * (isWalking ? STEP_HZ : SWAY_HZ) * timeSec + person.x / 40;
  const swing = Math.sin(phase);
  return isWalking
    ? { legDegrees: 20 * swing, armDegrees: 22 * swing, bobY: -3 * Math.abs(Math.cos(phase)) }
    : { legDegrees: 0, armDegrees: 7 * swing, bobY: 2 * swing };
}

function drawLeg(person: Person, side: -1 | 1, degrees: number): string {
  const skin = SKIN_TONES[person.skin];
  const cover = person.clothes === "dress" || person.bottom === "skirt" ? "none" : person.bottom;
  const x = side * 11 - 8;
  const bare = rect([x + 2, HIP_Y, 12, 86], skin, 4);
  const cloth =
    cover === "none"
      ? ""
      : rect([x, HIP_Y, 16, cover === "shorts" ? 42 : 84], person.bottomColor ?? "", 3);
  const shoe = ellipse([side * 11 + 3, -4, 12, 5.5], "#2b2320");
  return rotate(degrees, [side * 11, HIP_Y], bare + cloth + shoe);
}

function hasShortSleeves(person: Person): boolean {
  return person.clothes === "shirt" || person.clothes === "dress";
}

/** An arm that hangs from the shoulder, on the side `side` of the picture. */
function drawHangingArm(person: Person, side: -1 | 1, degrees: number): string {
  const x = side * 26 - 6;
  const arm =
    rect([x + 1, -138, 10, 54], SKIN_TONES[person.skin], 5) +
    rect([x, -141, 12.5, hasShortSleeves(person) ? 26 : 50], shade(person.topColor, -0.12), 6);
  return rotate(degrees - side * 6, [side * 25, -138], arm);
}

/** The arm bent to hold something; its hand is at (50, -100). */
function drawHoldingArm(person: Person): string {
  const sleeve = shade(person.topColor, -0.12);
  const forearm = hasShortSleeves(person) ? SKIN_TONES[person.skin] : sleeve;
  return (
    stroke("M34 -112L47 -101", forearm, 11) +
    stroke("M25 -134L34 -113", sleeve, 13) +
    circle([50, -100, 6.5], SKIN_TONES[person.skin])
  );
}

function drawClothes(person: Person): string {
  const color = person.topColor;
  const dark = shade(color, -0.3);
  const torso = (toY: number, flare: number): string =>
    path(`M-26 -143C-14 -149 14 -149 26 -143L${20 + flare} ${toY}H-${20 + flare}Z`, color);
  const skirt =
    person.bottom === "skirt"
      ? polygon("-20,-96 20,-96 30,-46 -30,-46", person.bottomColor ?? "")
      : "";
  switch (person.clothes) {
    case "dress":
      return (
        path(
          "M-26 -143C-14 -149 14 -149 26 -143L18 -102L42 -34C20 -27 -20 -27 -42 -34L-18 -102Z",
          color,
        ) + stroke("M-18 -102H18", dark, 4)
      );
    case "shirt":
      return (
        skirt +
        torso(-86, 0) +
        polygon("-9,-147 9,-147 0,-136", dark) +
        stroke("M0 -134V-90", dark, 1.5)
      );
    case "sweater":
      return (
        skirt + torso(-84, 1) + rect([-21, -90, 42, 6], dark, 2) + rect([-10, -149, 20, 7], dark, 3)
      );
    case "jacket":
      return (
        skirt +
        torso(-80, 3) +
        polygon("-10,-147 10,-147 0,-118", "white") +
        stroke("M0 -118V-82", dark, 2.5) +
        stroke("M-17 -98H-9M9 -98H17", dark, 2.5)
      );
    case "coat":
      return (
        skirt +
        torso(-46, 10) +
        polygon("-13,-148 0,-136 13,-148 10,-126 0,-132 -10,-126", dark) +
        stroke("M0 -130V-48", dark, 2.5) +
        [-118, -102, -86].map((y) => circle([6, y, 2.2], dark)).join("")
      );
    case "suit":
      return (
        skirt +
        torso(-80, 2) +
        polygon("-10,-147 10,-147 0,-108", "white") +
        polygon("-3,-143 3,-143 4,-118 0,-112 -4,-118", "maroon") +
        stroke("M0 -106V-82", dark, 2)
      );
  }
}

function drawHead(person: Person): string {
  const skin = SKIN_TONES[person.skin];
  const { style, color } = person.hair;
  const y = HEAD_Y;
  const behind =
    style === "long"
      ? path(
          `M-19 ${y - 6}C-24 ${y + 30} -24 ${y + 34} -19 ${y + 38}H19C24 ${y + 34} 24 ${y + 30} 19 ${y - 6}Z`,
          color,
        )
      : "";
  const bun = style === "bun" ? circle([0, y - 24, 9], color) : "";
  const top =
    style === "curly"
      ? [-15, -8, 0, 8, 15].map((x) => circle([x, y - 17 + Math.abs(x) / 2.2, 8], color)).join("")
      : style === "bald"
        ? ""
        : path(
            `M-18.5 ${y + 2}C-22 ${y - 26} 22 ${y - 26} 18.5 ${y + 2}C14 ${y - 10} -8 ${y - 12} -18.5 ${y + 2}Z`,
            color,
          );
  const face =
    circle([-6, y - 1, 2], "black") +
    circle([6, y - 1, 2], "black") +
    stroke(`M-6 ${y + 7}C-3 ${y + 11} 3 ${y + 11} 6 ${y + 7}`, shade(skin, -0.5), 2);
  const beard = person.beard
    ? path(
        `M-16 ${y + 4}C-14 ${y + 24} 14 ${y + 24} 16 ${y + 4}C8 ${y + 8} -8 ${y + 8} -16 ${y + 4}Z`,
        color,
      )
    : "";
  const glasses = person.glasses
    ? stroke(
        `M-11 ${y - 1}a5 5 0 1 0 10 0a5 5 0 1 0 -10 0M1 ${y - 1}a5 5 0 1 0 10 0a5 5 0 1 0 -10 0`,
        "charcoal",
        1.8,
      )
    : "";
  const hat = person.hat === undefined ? "" : translate(0, y, drawHat(person.hat));
  return (
    behind +
    rect([-6, y + 12, 12, 14], shade(skin, -0.1)) +
    bun +
    circle([0, y, 17], skin) +
    beard +
    face +
    top +
    glasses +
    hat
  );
}

/**
 * The figure at `timeSec` after the start of a scene that lasts `durationSec`.
 *
 * Units: seconds. Someone who walks is at `walkToX` when the scene ends.
 */
export function drawPerson(person: Person, timeSec: number, durationSec: number): string {
  const { legDegrees, armDegrees, bobY } = motionAt(person, timeSec);
  const goal = person.walkToX ?? person.x;
  const x = person.x + (goal - person.x) * Math.min(1, timeSec / durationSec);
  const isOnBack = person.carries !== undefined && ITEMS_ON_BACK.includes(person.carries.item);
  const item = person.carries === undefined ? "" : drawItem(person.carries);
  const holds = item !== "" && !isOnBack;
  const body =
    (isOnBack ? item : "") +
    drawHangingArm(person, -1, armDegrees) +
    (holds ? "" : drawHangingArm(person, 1, -armDegrees)) +
    drawClothes(person) +
    (person.apronColor === undefined
      ? ""
      : polygon("-13,-134 13,-134 19,-58 -19,-58", person.apronColor)) +
    drawHead(person) +
    (person.scarfColor === undefined
      ? ""
      : rect([-15, -150, 30, 10], person.scarfColor, 5) +
        rect([-14, -146, 11, 40], person.scarfColor, 3)) +
    (holds
      ? rotate(armDegrees / 3, [50, -100], translate(50, -100, item)) + drawHoldingArm(person)
      : "") +
    (person.nameTag ? drawNameTag(person.name) : "");
  return translate(
    x,
    GROUND_Y,
    ellipse([0, 1, 32, 5], "#00000030") +
      drawLeg(person, -1, legDegrees) +
      drawLeg(person, 1, -legDegrees) +
      translate(0, bobY, body),
    person.scale,
  );
}
