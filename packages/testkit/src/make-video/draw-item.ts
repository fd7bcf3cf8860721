/**
 * Things that persons hold, and their hats.
 *
 * Items are drawn with the hand at (0, 0), and to the right of it, so that they leave the clothes
 * free. Hats are drawn with the middle of the head at (0, 0); its radius is 17.
 */
import { shade } from "./palette.ts";
import type { Item, Person } from "./scene-schema.ts";
import { circle, ellipse, path, polygon, rect, stroke } from "./svg.ts";

/** What hangs on the back is drawn behind the figure; all else before it. */
export const ITEMS_ON_BACK: readonly Item[] = ["backpack"];

const ITEM_DRAWINGS: Readonly<Record<Item, (color: string) => string>> = {
  suitcase: (color) =>
    stroke("M-8 8V0H8V8", "charcoal", 3.5) +
    rect([-24, 8, 48, 60], color, 5) +
    rect([-24, 22, 48, 4], shade(color, -0.35)) +
    rect([-24, 50, 48, 4], shade(color, -0.35)),
  bag: (color) =>
    stroke("M-10 14C-8 -6 8 -6 10 14", shade(color, -0.3), 3.5) +
    polygon("-17,13 17,13 21,46 -21,46", color),
  basket: (color) =>
    stroke("M-20 18C-14 -10 14 -10 20 18", shade(color, -0.3), 4) +
    polygon("-24,16 24,16 17,42 -17,42", color) +
    stroke("M-22 24H22M-19 33H19", shade(color, -0.3), 2) +
    circle([-9, 13, 7], "red") +
    circle([4, 12, 7], "lime") +
    circle([14, 14, 6], "red"),
  box: (color) =>
    rect([-12, -16, 50, 40], color, 2) +
    rect([8, -16, 9, 40], shade(color, 0.35)) +
    rect([-12, -16, 50, 4], shade(color, -0.2)),
  umbrella: (color) =>
    stroke("M0 6V-108", "charcoal", 3.5) +
    path(
      "M-46 -88C-40 -132 40 -132 46 -88C34 -96 24 -96 15 -88C6 -96 -6 -96 -15 -88C-24 -96 -34 -96 -46 -88Z",
      color,
    ),
  balloon: (color) =>
    stroke("M0 0C8 -30 -4 -50 4 -78", "charcoal", 1.5) +
    ellipse([5, -104, 21, 26], color) +
    ellipse([-2, -113, 5, 8], shade(color, 0.5)),
  flowers: (color) =>
    polygon("0,16 -14,-16 14,-16", "green") +
    [
      [-12, -22],
      [0, -28],
      [12, -22],
      [-6, -14],
      [7, -14],
    ]
      .map(([x = 0, y = 0]) => circle([x, y, 8], color) + circle([x, y, 3], "yellow"))
      .join(""),
  book: (color) =>
    rect([-8, -20, 34, 30], color, 2) +
    rect([20, -18, 5, 26], "white") +
    rect([-2, -12, 16, 4], shade(color, 0.6)),
  map: (color) =>
    polygon("-10,-24 8,-18 26,-24 44,-18 44,14 26,8 8,14 -10,8", color) +
    stroke("M-4 -8L12 2L24 -12L38 4", "red", 2, "4 4") +
    stroke("M8 -18V14M26 -24V8", shade(color, -0.2), 1.5),
  cup: (color) =>
    polygon("-6,-16 16,-16 13,10 -3,10", color) +
    stroke("M15 -10C24 -10 24 2 14 3", color, 3) +
    stroke("M1 -20C-3 -26 5 -28 1 -34M9 -20C5 -26 13 -28 9 -34", "silver", 2),
  cake: (color) =>
    rect([-10, 2, 56, 4], "silver") +
    rect([-4, -22, 44, 24], color, 3) +
    rect([-4, -22, 44, 8], "white", 3) +
    [6, 18, 30]
      .map((x) => rect([x - 1.5, -34, 3, 12], "skyblue") + circle([x, -37, 3], "orange"))
      .join(""),
  camera: (color) =>
    rect([-8, -18, 36, 25], color, 4) +
    rect([0, -23, 12, 6], color) +
    circle([12, -5, 9], "silver") +
    circle([12, -5, 6], "navy"),
  guitar: (color) =>
    stroke("M10 6L36 -72", "#4a2d16", 6) +
    rect([31, -86, 12, 18], "#4a2d16", 2) +
    circle([4, 26, 20], color) +
    circle([13, 2, 14], color) +
    circle([8, 14, 6], "black"),
  fish: (color) =>
    stroke("M0 0V8", "charcoal", 1.5) +
    ellipse([0, 30, 12, 23], color) +
    polygon("0,48 -13,64 13,64", color) +
    circle([-4, 17, 2.5], "black") +
    stroke("M-8 26C-2 30 2 30 8 26", shade(color, -0.3), 2),
  surfboard: (color) => ellipse([14, -10, 17, 84], color) + rect([12, -92, 4, 164], "white"),
  lantern: (color) =>
    stroke("M-8 10C-6 -4 6 -4 8 10", "charcoal", 2.5) +
    rect([-11, 10, 22, 6], color) +
    rect([-9, 16, 18, 22], "#ffe680") +
    rect([-11, 38, 22, 6], color) +
    circle([0, 27, 5], "orange"),
  laptop: (color) =>
    polygon("-10,8 36,8 42,14 -14,14", shade(color, -0.25)) +
    rect([-8, -22, 42, 30], color, 3) +
    rect([-4, -18, 34, 22], "skyblue"),
  backpack: (color) =>
    rect([-39, -146, 26, 58], color, 9) +
    rect([13, -146, 26, 58], color, 9) +
    rect([-30, -152, 60, 58], color, 10),
  stick: (color) => stroke("M0 -40L10 98", color, 5),
  rope: (color) =>
    stroke(
      "M4 22m-16 0a16 20 0 1 0 32 0a16 20 0 1 0 -32 0M4 22m-11 0a11 15 0 1 0 22 0a11 15 0 1 0 -22 0",
      color,
      4,
    ),
};

export function drawItem(carries: NonNullable<Person["carries"]>): string {
  return ITEM_DRAWINGS[carries.item](carries.color);
}

export function drawHat({ kind, color }: NonNullable<Person["hat"]>): string {
  const dark = shade(color, -0.25);
  switch (kind) {
    case "cap":
      return (
        path("M-19 -5C-19 -28 19 -28 19 -5Z", color) + path("M4 -6H33C33 -11 26 -12 14 -11Z", dark)
      );
    case "straw":
      return (
        ellipse([0, -9, 33, 6], color) +
        path("M-16 -9C-16 -31 16 -31 16 -9Z", color) +
        rect([-16, -14, 32, 4], dark)
      );
    case "beanie":
      return (
        path("M-19 -4C-20 -32 20 -32 19 -4Z", color) +
        rect([-20, -9, 40, 8], dark, 3) +
        circle([0, -27, 5], dark)
      );
    case "helmet":
      return (
        path("M-21 -2C-22 -32 22 -32 21 -2Z", color) +
        rect([-23, -6, 46, 5], dark, 2) +
        rect([-3, -25, 6, 20], dark, 2)
      );
  }
}
