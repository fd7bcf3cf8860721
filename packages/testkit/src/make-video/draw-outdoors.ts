/**
 * Backgrounds under the open sky: 640 wide, seen down to the caption band at y 288.
 */
import { shade } from "./palette.ts";
import { circle, ellipse, path, polygon, rect, stroke } from "./svg.ts";

export interface PlaceColors {
  readonly sky: string;
  readonly ground: string;
  /** Houses, water, awnings, walls: whatever the place is known by. */
  readonly accent: string;
}

export interface PlaceDrawing {
  readonly defaults: PlaceColors;
  readonly draw: (colors: PlaceColors) => string;
}

function drawCloud(x: number, y: number): string {
  return (
    ellipse([x, y, 34, 12], "white") +
    ellipse([x + 22, y - 8, 24, 13], "white") +
    ellipse([x - 20, y - 5, 20, 10], "white")
  );
}

function drawTree(x: number, y: number, leaves: string): string {
  return (
    rect([x - 6, y - 60, 12, 60], "#6a4526") +
    circle([x, y - 84, 34], leaves) +
    circle([x - 22, y - 66, 22], leaves) +
    circle([x + 22, y - 66, 22], shade(leaves, -0.1))
  );
}

function drawPine(x: number, y: number, leaves: string): string {
  return (
    rect([x - 5, y - 16, 10, 16], "#5a3a20") +
    polygon(`${x - 34},${y - 14} ${x},${y - 84} ${x + 34},${y - 14}`, leaves) +
    polygon(`${x - 26},${y - 54} ${x},${y - 120} ${x + 26},${y - 54}`, shade(leaves, 0.08))
  );
}

function drawHouse(x: number, width: number, height: number, color: string): string {
  const columns = Math.floor(width / 32);
  const rows = Math.floor((height - 30) / 40);
  let windows = "";
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      windows += rect(
        [x + 10 + column * 32, 214 - height + 14 + row * 40, 16, 22],
        shade(color, -0.22),
      );
    }
  }
  return rect([x, 214 - height, width, height], color) + windows;
}

const sky = (color: string): string => rect([0, 0, 640, 360], color);
const ground = (y: number, color: string): string => rect([0, y, 640, 360 - y], color);

export const OUTDOOR_PLACES = {
  street: {
    defaults: { sky: "#bfe3f5", ground: "#a3a09a", accent: "#d9b48c" },
    draw: (colors) =>
      sky(colors.sky) +
      drawHouse(0, 140, 180, colors.accent) +
      drawHouse(140, 110, 132, shade(colors.accent, 0.35)) +
      drawHouse(250, 170, 196, shade(colors.accent, -0.18)) +
      drawHouse(420, 100, 146, shade(colors.accent, 0.2)) +
      drawHouse(520, 120, 188, shade(colors.accent, -0.05)) +
      ground(214, colors.ground) +
      rect([0, 214, 640, 10], shade(colors.ground, 0.4)),
  },
  highway: {
    defaults: { sky: "#a6d8f5", ground: "#55585c", accent: "#8fbf6a" },
    draw: (colors) =>
      sky(colors.sky) +
      drawCloud(120, 60) +
      drawCloud(500, 44) +
      path("M0 200C120 110 260 150 340 190C440 120 560 130 640 180V260H0Z", colors.accent) +
      ground(206, shade(colors.accent, -0.12)) +
      ground(230, colors.ground) +
      stroke("M0 258H640", "yellow", 4, "36 26"),
  },
  beach: {
    defaults: { sky: "#fbd9a5", ground: "#ecd9a6", accent: "#3f9fc9" },
    draw: (colors) =>
      sky(colors.sky) +
      circle([520, 84, 40], "#ffb347") +
      ground(150, colors.accent) +
      stroke("M20 172H120M200 186H330M420 168H560", shade(colors.accent, 0.45), 3) +
      path("M0 222C160 206 300 232 640 214V360H0Z", colors.ground),
  },
  harbor: {
    defaults: { sky: "#cfe6ee", ground: "#b58a5a", accent: "#2f7d9c" },
    draw: (colors) =>
      sky(colors.sky) +
      drawCloud(420, 40) +
      ground(140, colors.accent) +
      stroke("M30 168H150M230 190H380M470 160H600", shade(colors.accent, 0.4), 3) +
      polygon("440,140 580,140 556,170 464,170", "#e8e8e8") +
      stroke("M510 140V66", "#5a3a20", 4) +
      polygon("514,70 514,132 560,132", "#f5f0e0") +
      ground(226, colors.ground) +
      [0, 80, 160, 240, 320, 400, 480, 560]
        .map((x) => rect([x, 226, 3, 62], shade(colors.ground, -0.3)))
        .join(""),
  },
  station: {
    defaults: { sky: "#dfe4e8", ground: "#b9b4ab", accent: "#5d6d7e" },
    draw: (colors) =>
      sky(colors.sky) +
      rect([0, 0, 640, 16], shade(colors.accent, -0.3)) +
      [60, 580].map((x) => rect([x - 8, 0, 16, 230], shade(colors.accent, -0.15))).join("") +
      rect([0, 112, 640, 92], colors.accent) +
      [20, 100, 180, 260, 340, 420, 500, 580]
        .map((x) => rect([x, 124, 54, 38], "#e9f2f7", 4))
        .join("") +
      rect([0, 176, 640, 7], "#f0e7c8") +
      ground(204, "#4d4a46") +
      ground(222, colors.ground) +
      rect([0, 226, 640, 6], "yellow"),
  },
  park: {
    defaults: { sky: "#c9ecfa", ground: "#86c167", accent: "#3f8f45" },
    draw: (colors) =>
      sky(colors.sky) +
      drawCloud(300, 40) +
      path("M0 190C200 150 420 170 640 184V300H0Z", shade(colors.ground, -0.12)) +
      ground(204, colors.ground) +
      drawTree(60, 220, colors.accent) +
      drawTree(590, 214, shade(colors.accent, 0.15)) +
      path("M250 288C300 240 330 220 360 204H382C380 224 400 250 440 288Z", "#e2d2a8"),
  },
  mountain: {
    defaults: { sky: "#d7e7f7", ground: "#7f8f6a", accent: "#6e7787" },
    draw: (colors) =>
      sky(colors.sky) +
      polygon("-40,230 150,40 330,230", colors.accent) +
      polygon("110,80 150,40 188,80 164,92 146,78 128,94", "white") +
      polygon("240,230 460,62 700,230", shade(colors.accent, -0.18)) +
      polygon("412,98 460,62 511,98 478,112 456,96 436,114", "white") +
      path("M0 224C160 200 420 232 640 212V360H0Z", colors.ground),
  },
  lake: {
    defaults: { sky: "#1d2747", ground: "#33422f", accent: "#33507d" },
    draw: (colors) =>
      sky(colors.sky) +
      circle([90, 60, 24], "#f3edc8") +
      [180, 250, 330, 420, 500, 560, 610]
        .map((x, index) => circle([x, 24 + ((index * 37) % 80), 1.8], "white"))
        .join("") +
      path(
        "M0 160C140 110 300 140 420 120C520 104 600 130 640 140V230H0Z",
        shade(colors.ground, -0.45),
      ) +
      rect([0, 164, 640, 52], colors.accent) +
      stroke("M60 186H190M300 198H440M500 178H600", shade(colors.accent, 0.35), 2) +
      ground(214, colors.ground),
  },
  farm: {
    defaults: { sky: "#f6e7b8", ground: "#c9ab5b", accent: "#8c4a36" },
    draw: (colors) =>
      sky(colors.sky) +
      circle([80, 60, 30], "#ffd34d") +
      rect([400, 120, 170, 104], colors.accent) +
      polygon("388,124 485,62 582,124", shade(colors.accent, -0.4)) +
      rect([462, 158, 48, 66], shade(colors.accent, -0.3)) +
      ground(214, colors.ground) +
      stroke("M0 196H390M0 210H390", "#e9dfc6", 5) +
      [20, 100, 180, 260, 340].map((x) => rect([x, 184, 8, 40], "#e9dfc6")).join(""),
  },
  forest: {
    defaults: { sky: "#bfd8c2", ground: "#6b7d4a", accent: "#24583a" },
    draw: (colors) =>
      sky(colors.sky) +
      [10, 90, 170, 250, 330, 410, 490, 570, 640]
        .map((x, index) => drawPine(x, 196 + (index % 2) * 10, shade(colors.accent, 0.22)))
        .join("") +
      ground(200, colors.ground) +
      drawPine(34, 236, colors.accent) +
      drawPine(612, 240, colors.accent),
  },
  market: {
    defaults: { sky: "#f7efe0", ground: "#cdb892", accent: "#3b8a6a" },
    draw: (colors) =>
      sky(colors.sky) +
      rect([0, 90, 640, 120], shade(colors.ground, 0.3)) +
      ground(210, colors.ground) +
      [0, 220, 440].map((left) => drawStall(left + 10, colors.accent)).join(""),
  },
} as const satisfies Readonly<Record<string, PlaceDrawing>>;

function drawStall(left: number, color: string): string {
  const stripes = [0, 1, 2, 3, 4]
    .map((at) => rect([left + at * 36, 84, 36, 26], at % 2 === 0 ? color : "white"))
    .join("");
  const goods = [0, 1, 2, 3, 4, 5, 6]
    .map((at) => circle([left + 20 + at * 23, 184, 10], at % 2 === 0 ? "#e8973a" : "#b8c94a"))
    .join("");
  return (
    rect([left + 4, 84, 6, 136], "#7a5a36") +
    rect([left + 170, 84, 6, 136], "#7a5a36") +
    stripes +
    goods +
    rect([left, 190, 180, 34], "#9c7444")
  );
}
