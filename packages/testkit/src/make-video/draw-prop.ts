/**
 * Things that stand in a scene beside the persons. Feet or wheels at (0, 0), y up is negative.
 */
import { shade } from "./palette.ts";
import type { Prop } from "./scene-schema.ts";
import { circle, ellipse, path, polygon, rect, stroke, translate } from "./svg.ts";

function drawWheels(...xs: readonly number[]): string {
  return xs.map((x) => circle([x, -16, 16], "black") + circle([x, -16, 7], "silver")).join("");
}

const PROP_DRAWINGS: Readonly<Record<Prop["kind"], (color: string) => string>> = {
  car: (color) =>
    path(
      "M-92 -18V-46C-90 -56 -66 -58 -54 -60L-34 -88H34L58 -60C80 -58 92 -52 94 -44V-18Z",
      color,
    ) +
    polygon("-42,-60 -28,-82 -3,-82 -3,-60", "skyblue") +
    polygon("4,-60 4,-82 30,-82 46,-60", "skyblue") +
    stroke("M0 -84V-22", shade(color, -0.25), 2) +
    circle([88, -42, 5], "yellow") +
    drawWheels(-54, 54),
  bus: (color) =>
    rect([-110, -112, 220, 98], color, 10) +
    [-98, -58, -18, 22].map((x) => rect([x, -100, 32, 32], "skyblue", 3)).join("") +
    rect([66, -100, 34, 80], "skyblue", 3) +
    rect([-110, -56, 170, 6], "white") +
    drawWheels(-66, 44),
  boat: (color) =>
    polygon("-70,-30 70,-30 48,0 -52,0", color) +
    stroke("M0 -30V-120", "brown", 4) +
    polygon("4,-116 4,-38 58,-38", "white") +
    polygon("-4,-104 -4,-38 -44,-38", "beige"),
  bicycle: (color) =>
    [-28, 28]
      .map((x) => stroke(`M${x - 19} -19a19 19 0 1 0 38 0a19 19 0 1 0 -38 0`, "charcoal", 3.5))
      .join("") +
    stroke(
      "M-28 -19L-12 -48H18L28 -19M-12 -48L0 -19L18 -48M-28 -19H0M18 -48L14 -62H26",
      color,
      4.5,
    ) +
    stroke("M-20 -54H-6", "black", 6),
  dog: (color) =>
    rect([-26, -34, 46, 20], color, 9) +
    [-22, -12, 6, 14].map((x) => rect([x, -20, 7, 20], color, 3)).join("") +
    circle([24, -42, 12], color) +
    ellipse([34, -38, 8, 6], color) +
    circle([40, -40, 3], "black") +
    ellipse([18, -44, 5, 10], shade(color, -0.4)) +
    circle([27, -45, 2], "black") +
    stroke("M-25 -30C-36 -36 -38 -46 -34 -52", color, 5),
  table: (color) =>
    rect([-70, -66, 140, 9], color, 3) +
    rect([-60, -58, 8, 58], shade(color, -0.25)) +
    rect([52, -58, 8, 58], shade(color, -0.25)),
  tent: (color) =>
    polygon("-96,0 0,-112 96,0", color) +
    polygon("-26,0 0,-78 26,0", shade(color, -0.5)) +
    stroke("M0 -112V-124", "brown", 4),
  fire: (color) =>
    stroke("M-26 -2L26 -12M-26 -12L26 -2", "brown", 9) +
    path("M-20 -10C-26 -40 -4 -42 0 -70C10 -48 28 -40 20 -10Z", color) +
    path("M-10 -10C-12 -30 2 -28 2 -44C10 -30 14 -24 10 -10Z", "yellow"),
};

/** Where things stand: before the background, a little behind the persons. */
const PROP_Y = 280;

export function drawProp(prop: Prop): string {
  return translate(prop.x, PROP_Y, PROP_DRAWINGS[prop.kind](prop.color), prop.scale);
}
