/**
 * A whole picture: background, things, persons, sign and caption, as one SVG document.
 *
 * Owns:      what lies before what. Text lies on top, so that no figure ever covers a word.
 */
import { INDOOR_PLACES } from "./draw-indoors.ts";
import { OUTDOOR_PLACES, type PlaceDrawing } from "./draw-outdoors.ts";
import { drawPerson } from "./draw-person.ts";
import { drawProp } from "./draw-prop.ts";
import { drawCaption, drawSign } from "./draw-text.ts";
import type { Place, Scene } from "./scene-schema.ts";

export const PLACE_DRAWINGS: Readonly<Record<Place, PlaceDrawing>> = {
  ...OUTDOOR_PLACES,
  ...INDOOR_PLACES,
};

export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly svg: string;
}

/** The picture of `scene` at `timeSec` after its start; the scene lasts `durationSec`. */
export function drawScene(
  scene: Scene,
  at: { readonly timeSec: number; readonly durationSec: number },
  size: { readonly width: number; readonly height: number },
): Picture {
  const { place, skyColor, groundColor, accentColor } = scene.background;
  const { defaults, draw } = PLACE_DRAWINGS[place];
  const inner = [
    draw({
      sky: skyColor ?? defaults.sky,
      ground: groundColor ?? defaults.ground,
      accent: accentColor ?? defaults.accent,
    }),
    ...scene.props.map(drawProp),
    ...scene.persons.map((person) => drawPerson(person, at.timeSec, at.durationSec)),
    scene.sign === undefined ? "" : drawSign(scene.sign),
    scene.caption === undefined ? "" : drawCaption(scene.caption),
  ].join("");
  const sides = `width="${size.width}" height="${size.height}"`;
  const fit = `viewBox="0 0 640 360" preserveAspectRatio="none"`;
  return { ...size, svg: `<svg xmlns="http://www.w3.org/2000/svg" ${sides} ${fit}>${inner}</svg>` };
}
