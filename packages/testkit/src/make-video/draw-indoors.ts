/**
 * Backgrounds inside a building. `sky` colours the wall, `ground` the floor.
 */
import type { PlaceDrawing } from "./draw-outdoors.ts";
import { shade } from "./palette.ts";
import { circle, ellipse, path, polygon, rect, stroke } from "./svg.ts";

const room = (wall: string, floor: string): string =>
  rect([0, 0, 640, 360], wall) +
  rect([0, 222, 640, 138], floor) +
  rect([0, 214, 640, 8], shade(wall, -0.25));

function drawWindow(x: number, y: number, width: number, height: number): string {
  return (
    rect([x - 5, y - 5, width + 10, height + 10], "#f2efe8") +
    rect([x, y, width, height], "#b4dcf2") +
    rect([x + width / 2 - 2, y, 4, height], "#f2efe8") +
    rect([x, y + height / 2 - 2, width, 4], "#f2efe8")
  );
}

export const INDOOR_PLACES = {
  cafe: {
    defaults: { sky: "#ead7bd", ground: "#8a5f3d", accent: "#5a3825" },
    draw: (colors) =>
      room(colors.sky, colors.ground) +
      drawWindow(40, 90, 110, 90) +
      rect([420, 176, 220, 68], colors.accent) +
      rect([412, 168, 228, 10], shade(colors.accent, 0.3)) +
      [450, 490, 530, 570, 610]
        .map((x) => rect([x, 132, 22, 26], shade(colors.accent, 0.5), 3))
        .join("") +
      rect([430, 158, 200, 5], shade(colors.accent, 0.2)) +
      circle([320, 20, 22], "#ffe9a8") +
      stroke("M320 0V10", "charcoal", 3),
  },
  museum: {
    defaults: { sky: "#c8d5c8", ground: "#a08468", accent: "#b98b2e" },
    draw: (colors) =>
      room(colors.sky, colors.ground) +
      [30, 470]
        .map(
          (x) =>
            rect([x, 96, 140, 92], colors.accent) +
            rect([x + 9, 105, 122, 74], "#e8ead8") +
            path(
              `M${x + 9} 179L${x + 54} 130L${x + 84} 158L${x + 104} 140L${x + 131} 179Z`,
              "#6f8f8a",
            ),
        )
        .join("") +
      [210, 420]
        .map((x) => rect([x - 12, 0, 24, 224], "#efe9dc") + rect([x - 18, 214, 36, 12], "#d8cfbc"))
        .join(""),
  },
  office: {
    defaults: { sky: "#e6ebf0", ground: "#7d8794", accent: "#4b6f94" },
    draw: (colors) =>
      room(colors.sky, colors.ground) +
      drawWindow(30, 76, 130, 104) +
      drawWindow(480, 76, 130, 104) +
      rect([210, 180, 220, 10], colors.accent) +
      rect([222, 190, 10, 52], shade(colors.accent, -0.3)) +
      rect([408, 190, 10, 52], shade(colors.accent, -0.3)) +
      rect([286, 140, 62, 38], "#2a2d33", 3) +
      rect([310, 176, 14, 6], "#2a2d33"),
  },
  hotel: {
    defaults: { sky: "#f0dcc8", ground: "#6e3d3a", accent: "#4a2f24" },
    draw: (colors) =>
      room(colors.sky, colors.ground) +
      rect([40, 70, 84, 150], colors.accent) +
      circle([112, 148, 4], "#e3c16f") +
      rect([150, 70, 84, 150], colors.accent) +
      circle([162, 148, 4], "#e3c16f") +
      rect([440, 170, 200, 76], shade(colors.accent, 0.2)) +
      rect([432, 162, 208, 10], shade(colors.accent, 0.45)) +
      polygon("330,0 300,40 360,40", "#e3c16f") +
      ellipse([330, 42, 30, 6], "#fff2c2") +
      circle([560, 110, 28], "#fff8ea") +
      stroke("M560 110V92M560 110L572 116", "charcoal", 3),
  },
  airport: {
    defaults: { sky: "#dbe9f2", ground: "#9aa3ab", accent: "#7fa9c9" },
    draw: (colors) =>
      room(colors.sky, colors.ground) +
      rect([0, 66, 640, 136], colors.accent) +
      rect([0, 168, 640, 34], "#8a9a86") +
      path(
        "M120 150C130 132 160 128 200 128H420C470 128 500 140 520 156C480 166 160 168 120 150Z",
        "#f4f6f8",
      ) +
      polygon("130,140 106,96 136,96 172,132", "#f4f6f8") +
      polygon("260,150 214,188 252,188 330,150", "#cdd5db") +
      [210, 240, 270, 300, 330, 360, 390].map((x) => circle([x, 140, 4], "#4c6a84")).join("") +
      [0, 160, 320, 480, 636].map((x) => rect([x, 66, 5, 136], "#eef2f5")).join(""),
  },
} as const satisfies Readonly<Record<string, PlaceDrawing>>;
