/**
 * SVG to pixels, with sharp.
 *
 * Owns:      the check that letters can be drawn at all: sharp brings no fonts of its own.
 */
import sharp from "sharp";
import type { Picture } from "./draw-scene.ts";
import { MakeVideoError } from "./make-video-error.ts";
import { text } from "./svg.ts";

/** The picture as raw pixels: rows of red, green, blue, one byte each. */
export async function renderPicture(picture: Picture): Promise<Buffer> {
  return await sharp(Buffer.from(picture.svg)).removeAlpha().raw().toBuffer();
}

/**
 * Errors: `MakeVideoError` when the machine has no font.
 *
 * Two letters are drawn and compared: with no font both are empty or both the same box, which a
 * list of font files (`fc-list`, often not installed) would not tell.
 */
export async function requireFont(): Promise<void> {
  const [first, second] = await Promise.all(["A", "W"].map(drawLetter));
  if (first === undefined || second === undefined || first.equals(second)) {
    throw new MakeVideoError(
      "cannot draw text: no system font was found; install one, such as the Debian package fonts-dejavu-core",
    );
  }
}

async function drawLetter(letter: string): Promise<Buffer> {
  const inner = text(letter, [20, 32], { fontSize: 30, color: "black" });
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40">${inner}</svg>`;
  return await sharp(Buffer.from(svg)).flatten({ background: "#ffffff" }).raw().toBuffer();
}
