/**
 * The few SVG shapes that all drawings are made of.
 *
 * Owns:      number formatting, escaping and element syntax. Colours may be palette names.
 */
import { colorValue } from "./palette.ts";

/** What `LETTER_WIDTH_RATIO` in draw-text.ts was measured with; any other font will do. */
const FONT_FAMILY = "DejaVu Sans, sans-serif";

function num(value: number): string {
  return String(Math.round(value * 10) / 10);
}

/** An empty element, written `<name key="value" .../>`. */
function element(name: string, attributes: Readonly<Record<string, string | number>>): string {
  const pairs = Object.entries(attributes).map(
    ([key, value]) => ` ${key}="${typeof value === "number" ? num(value) : value}"`,
  );
  return `<${name}${pairs.join("")}/>`;
}

/** The box is left, top, width, height. */
export function rect(
  [x, y, width, height]: readonly [number, number, number, number],
  fill: string,
  radius = 0,
): string {
  return element("rect", { x, y, width, height, rx: radius, fill: colorValue(fill) });
}

export function circle([cx, cy, r]: readonly [number, number, number], fill: string): string {
  return element("circle", { cx, cy, r, fill: colorValue(fill) });
}

export function ellipse(
  [cx, cy, rx, ry]: readonly [number, number, number, number],
  fill: string,
): string {
  return element("ellipse", { cx, cy, rx, ry, fill: colorValue(fill) });
}

/** A filled polygon; `points` is SVG's list of corners, such as "0,0 10,0 5,8". */
export function polygon(points: string, fill: string): string {
  return `<polygon points="${points}" fill="${colorValue(fill)}"/>`;
}

/** A filled path; `data` is SVG path data. */
export function path(data: string, fill: string): string {
  return `<path d="${data}" fill="${colorValue(fill)}"/>`;
}

/** An unfilled line with round ends; `data` is SVG path data, `dashes` its dash pattern. */
export function stroke(data: string, color: string, width: number, dashes = "none"): string {
  return element("path", {
    d: data,
    fill: "none",
    stroke: colorValue(color),
    "stroke-width": width,
    "stroke-linecap": "round",
    "stroke-dasharray": dashes,
  });
}

export function translate(x: number, y: number, inner: string, scale = 1): string {
  const scaled = scale === 1 ? "" : ` scale(${scale})`;
  return `<g transform="translate(${num(x)} ${num(y)})${scaled}">${inner}</g>`;
}

export function rotate(degrees: number, [x, y]: readonly [number, number], inner: string): string {
  return `<g transform="rotate(${num(degrees)} ${num(x)} ${num(y)})">${inner}</g>`;
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
};

/** Bold text centred on `x`, its baseline at `y`. */
export function text(
  content: string,
  [x, y]: readonly [number, number],
  options: { readonly fontSize: number; readonly color: string },
): string {
  const escaped = content.replace(/[&<>"']/g, (char) => ESCAPES[char] ?? char);
  const font = `font-family="${FONT_FAMILY}" font-weight="bold" font-size="${num(options.fontSize)}"`;
  const place = `x="${num(x)}" y="${num(y)}" text-anchor="middle"`;
  return `<text ${place} ${font} fill="${colorValue(options.color)}">${escaped}</text>`;
}
