/**
 * The words in a picture: the caption band, the board of a sign, a name tag.
 */
import { shade } from "./palette.ts";
import type { Scene } from "./scene-schema.ts";
import { rect, stroke, text } from "./svg.ts";

/** The band takes the lower fifth of the picture, as captions of real videos do. */
export const CAPTION_TOP = 288;
const CAPTION_FONT_SIZE = 34;
const CAPTION_WIDTH_MAX = 604;
/** Mean width of a capital of DejaVu Sans Bold, in ratio of the font size; the widest letters. */
const LETTER_WIDTH_RATIO = 0.74;

function widthOf(content: string, fontSize: number): number {
  return content.length * fontSize * LETTER_WIDTH_RATIO;
}

export function drawCaption(caption: NonNullable<Scene["caption"]>): string {
  const dark = caption.style === "light-on-dark";
  const tooWide = widthOf(caption.text, CAPTION_FONT_SIZE) / CAPTION_WIDTH_MAX;
  const fontSize = Math.floor(CAPTION_FONT_SIZE / Math.max(1, tooWide));
  return (
    rect([0, CAPTION_TOP, 640, 360 - CAPTION_TOP], dark ? "#14161c" : "#f4f1e6") +
    text(caption.text, [320, CAPTION_TOP + 36 + fontSize * 0.36], {
      fontSize,
      color: dark ? "white" : "black",
    })
  );
}

/** A board on two posts (or a wall), its upper edge at `sign.y`, centred on `sign.x`. */
export function drawSign(sign: NonNullable<Scene["sign"]>): string {
  const width = widthOf(sign.text, sign.fontSize) + sign.fontSize * 1.2;
  const height = sign.fontSize * 1.8;
  const left = Math.min(Math.max(sign.x - width / 2, 4), 636 - width);
  return (
    stroke(
      `M${left + 14} ${sign.y}V${sign.y - 8}M${left + width - 14} ${sign.y}V${sign.y - 8}`,
      shade(sign.boardColor, -0.25),
      4,
    ) +
    rect([left, sign.y, width, height], shade(sign.boardColor, -0.12), 4) +
    rect([left + 3, sign.y + 3, width - 6, height - 6], sign.boardColor, 2) +
    text(sign.text, [left + width / 2, sign.y + height / 2 + sign.fontSize * 0.36], {
      fontSize: sign.fontSize,
      color: sign.textColor,
    })
  );
}

/** A name above the head of a figure whose feet are at (0, 0). */
export function drawNameTag(name: string): string {
  const width = widthOf(name, 16) + 14;
  return (
    rect([-width / 2, -226, width, 24], "black", 5) +
    rect([-width / 2 + 2, -224, width - 4, 20], "white", 4) +
    text(name, [0, -208], { fontSize: 16, color: "black" })
  );
}
