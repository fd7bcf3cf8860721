/**
 * Names of colours, as people use them for clothes.
 *
 * Owns:      the eleven basic names and the finer shades, and which name is nearest to a pixel.
 */
import type { Rgb } from "./raster.ts";

export const BASIC_COLORS = [
  "red",
  "orange",
  "yellow",
  "green",
  "blue",
  "purple",
  "pink",
  "brown",
  "black",
  "white",
  "gray",
] as const;
export type BasicColor = (typeof BASIC_COLORS)[number];

interface NamedColor {
  /** What people may call it beside the basic name; the basic name itself where there is none. */
  readonly shade: string;
  readonly basic: BasicColor;
}

/** Typical values of each name; several for names that cover a wide range. */
const SAMPLES: readonly (NamedColor & { readonly hex: string })[] = [
  { shade: "red", basic: "red", hex: "#d3202c" },
  { shade: "red", basic: "red", hex: "#e53935" },
  { shade: "dark red", basic: "red", hex: "#a11a24" },
  { shade: "maroon", basic: "red", hex: "#7a1426" },
  { shade: "orange", basic: "orange", hex: "#f2831c" },
  { shade: "orange", basic: "orange", hex: "#e06a10" },
  { shade: "yellow", basic: "yellow", hex: "#f4cf1e" },
  { shade: "yellow", basic: "yellow", hex: "#ffe94d" },
  { shade: "mustard", basic: "yellow", hex: "#c9a227" },
  { shade: "beige", basic: "brown", hex: "#e3d3ae" },
  { shade: "beige", basic: "brown", hex: "#cdb892" },
  { shade: "brown", basic: "brown", hex: "#7a4a23" },
  { shade: "brown", basic: "brown", hex: "#5a3820" },
  { shade: "light brown", basic: "brown", hex: "#a8743f" },
  { shade: "green", basic: "green", hex: "#2e8b3a" },
  { shade: "green", basic: "green", hex: "#4caf50" },
  { shade: "dark green", basic: "green", hex: "#1d5226" },
  { shade: "lime", basic: "green", hex: "#8fce3c" },
  { shade: "olive", basic: "green", hex: "#74772b" },
  { shade: "teal", basic: "green", hex: "#12807c" },
  { shade: "turquoise", basic: "blue", hex: "#2bc4bd" },
  { shade: "light blue", basic: "blue", hex: "#9fd3f0" },
  { shade: "light blue", basic: "blue", hex: "#64b0e4" },
  { shade: "blue", basic: "blue", hex: "#1f5fd0" },
  { shade: "blue", basic: "blue", hex: "#2f74d0" },
  { shade: "navy", basic: "blue", hex: "#1b2a63" },
  { shade: "purple", basic: "purple", hex: "#7b2fa5" },
  { shade: "purple", basic: "purple", hex: "#5b2380" },
  { shade: "lavender", basic: "purple", hex: "#c3b1e6" },
  { shade: "pink", basic: "pink", hex: "#f28ab2" },
  { shade: "pink", basic: "pink", hex: "#f7b6cb" },
  { shade: "pink", basic: "pink", hex: "#e84d97" },
  { shade: "black", basic: "black", hex: "#1d1d1f" },
  { shade: "black", basic: "black", hex: "#000000" },
  { shade: "dark gray", basic: "gray", hex: "#46494f" },
  { shade: "gray", basic: "gray", hex: "#8b8f94" },
  { shade: "gray", basic: "gray", hex: "#6b6e72" },
  { shade: "light gray", basic: "gray", hex: "#c0c4c8" },
  { shade: "white", basic: "white", hex: "#f7f7f7" },
  { shade: "white", basic: "white", hex: "#e6e6e6" },
];

const LAB_SAMPLES = SAMPLES.map((it) => ({ ...it, lab: toLab(parseHex(it.hex)) }));

/** The name whose sample is nearest, in a space where distances are what the eye sees. */
export function nameColor(color: Rgb): NamedColor {
  const lab = toLab(color);
  let best = LAB_SAMPLES[0];
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const sample of LAB_SAMPLES) {
    const distance = Math.hypot(...lab.map((it, index) => it - (sample.lab[index] ?? 0)));
    if (distance < bestDistance) [best, bestDistance] = [sample, distance];
  }
  return { shade: best?.shade ?? "gray", basic: best?.basic ?? "gray" };
}

function parseHex(hex: string): Rgb {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** sRGB to CIE L*a*b*, white point D65. */
function toLab(color: Rgb): readonly [number, number, number] {
  const [r = 0, g = 0, b = 0] = color.map((it) => {
    const ratio = it / 255;
    return ratio <= 0.04045 ? ratio / 12.92 : ((ratio + 0.055) / 1.055) ** 2.4;
  });
  const [x = 0, y = 0, z = 0] = [
    (0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505,
    0.2126 * r + 0.7152 * g + 0.0722 * b,
    (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089,
  ].map((it) => (it > 0.008856 ? Math.cbrt(it) : 7.787 * it + 16 / 116));
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

/** Hue in degrees [0, 360), saturation and value in [0, 1]. */
export function toHsv([r, g, b]: Rgb): readonly [number, number, number] {
  const max = Math.max(r, g, b);
  const range = max - Math.min(r, g, b);
  if (range === 0) return [0, 0, max / 255];
  const sixth =
    max === r ? ((g - b) / range + 6) % 6 : max === g ? (b - r) / range + 2 : (r - g) / range + 4;
  return [60 * sixth, range / max, max / 255];
}
