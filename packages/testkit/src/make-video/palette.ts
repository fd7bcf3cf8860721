/**
 * The named colours that scene files may use.
 *
 * Owns:      colour names, their values, and the skin tones.
 * Why named: a viewer, a question file and a colour finder must agree on what "purple" is, so each
 *            value sits close to the middle of what people call by that name.
 */

export const COLORS = {
  red: "#d3202c",
  maroon: "#7a1426",
  pink: "#f28ab2",
  orange: "#f2831c",
  yellow: "#f4cf1e",
  beige: "#e3d3ae",
  brown: "#7a4a23",
  green: "#2e8b3a",
  lime: "#8fce3c",
  teal: "#12807c",
  turquoise: "#2bc4bd",
  skyblue: "#9fd3f0",
  blue: "#1f5fd0",
  navy: "#1b2a63",
  purple: "#7b2fa5",
  lavender: "#c3b1e6",
  black: "#1d1d1f",
  charcoal: "#3a3d42",
  gray: "#8b8f94",
  grey: "#8b8f94",
  silver: "#c9ced3",
  white: "#f7f7f7",
  blond: "#e3c16f",
  ginger: "#b5541c",
} as const;

export type ColorName = keyof typeof COLORS;

export const SKIN_TONES = {
  light: "#f1c9a5",
  tan: "#dba77c",
  brown: "#a86e42",
  dark: "#6f472c",
} as const;

const HEX_COLOR = /^#[0-9a-f]{6}$/;

/** Whether `value` is a colour that a scene file may use: a palette name or lower-case #rrggbb. */
export function isColor(value: string): boolean {
  return Object.hasOwn(COLORS, value) || HEX_COLOR.test(value);
}

/** The #rrggbb value of a palette name; a #rrggbb value is its own value. */
export function colorValue(color: string): string {
  return Object.hasOwn(COLORS, color) ? COLORS[color as ColorName] : color;
}

/** `color` made darker (`amount` below 0) or lighter (above 0); `amount` is a ratio in [-1, 1]. */
export function shade(color: string, amount: number): string {
  const value = colorValue(color);
  const target = amount < 0 ? 0 : 255;
  const channels = [1, 3, 5].map((at) => Number.parseInt(value.slice(at, at + 2), 16));
  return `#${channels
    .map((channel) => Math.round(channel + (target - channel) * Math.abs(amount)))
    .map((channel) => channel.toString(16).padStart(2, "0"))
    .join("")}`;
}
