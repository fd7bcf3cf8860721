/**
 * What a scene file may say.
 *
 * Owns:      the format of `*.yaml` scene files (strict: an unknown field is an error).
 * Does not:  draw, speak or encode.
 *
 * Positions are in the drawing's own units, 640 wide and 360 high, whatever the size of the video.
 */
import { z } from "zod";
import { COLORS, isColor } from "./palette.ts";

/** Scenes are held in memory as sound, and each costs seconds to draw. */
export const SCENES_COUNT_MAX = 60;
/** More figures than this do not fit side by side. */
export const PERSONS_COUNT_MAX = 5;
/** Longer captions would need letters too small to read at 640x360. */
export const CAPTION_CHARS_MAX = 40;

const color = z.string().refine(isColor, {
  error: `expected #rrggbb in lower case or one of: ${Object.keys(COLORS).join(", ")}`,
});
const id = z
  .string()
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, "expected a kebab-case id such as bus-stop");
const x = z.number().min(20).max(620);

export const PLACES = [
  "street",
  "highway",
  "beach",
  "harbor",
  "station",
  "park",
  "mountain",
  "lake",
  "farm",
  "forest",
  "market",
  "cafe",
  "museum",
  "office",
  "hotel",
  "airport",
] as const;

export const ITEMS = [
  "suitcase",
  "bag",
  "basket",
  "box",
  "umbrella",
  "balloon",
  "flowers",
  "book",
  "map",
  "cup",
  "cake",
  "camera",
  "guitar",
  "fish",
  "surfboard",
  "lantern",
  "laptop",
  "backpack",
  "stick",
  "rope",
] as const;

export const PROPS = ["car", "bus", "boat", "bicycle", "dog", "table", "tent", "fire"] as const;

const coloredItem = z.strictObject({ item: z.enum(ITEMS), color });

const person = z
  .strictObject({
    name: z.string().min(1).max(20),
    nameTag: z.boolean().default(false),
    x,
    walkToX: x.optional(),
    scale: z.number().min(0.5).max(1.2).default(1),
    skin: z.enum(["light", "tan", "brown", "dark"]).default("light"),
    hair: z.strictObject({ style: z.enum(["short", "long", "bun", "curly", "bald"]), color }),
    beard: z.boolean().default(false),
    glasses: z.boolean().default(false),
    clothes: z.enum(["shirt", "sweater", "jacket", "coat", "suit", "dress"]),
    topColor: color,
    bottom: z.enum(["trousers", "shorts", "skirt"]).default("trousers"),
    bottomColor: color.optional(),
    hat: z.strictObject({ kind: z.enum(["cap", "straw", "beanie", "helmet"]), color }).optional(),
    scarfColor: color.optional(),
    apronColor: color.optional(),
    carries: coloredItem.optional(),
  })
  .refine((it) => (it.clothes === "dress") === (it.bottomColor === undefined), {
    path: ["bottomColor"],
    error: "expected a colour for every kind of clothes but a dress, which has none",
  });

const scene = z.strictObject({
  id,
  background: z.strictObject({
    place: z.enum(PLACES),
    skyColor: color.optional(),
    groundColor: color.optional(),
    accentColor: color.optional(),
  }),
  caption: z
    .strictObject({
      text: z.string().min(1).max(CAPTION_CHARS_MAX),
      style: z.enum(["light-on-dark", "dark-on-light"]).default("light-on-dark"),
    })
    .optional(),
  sign: z
    .strictObject({
      text: z.string().min(1).max(28),
      x,
      y: z.number().min(10).max(200),
      fontSize: z.number().min(14).max(40).default(24),
      boardColor: color.default("white"),
      textColor: color.default("black"),
    })
    .optional(),
  say: z.array(z.string().min(1).max(200)).max(5).default([]),
  persons: z.array(person).max(PERSONS_COUNT_MAX).default([]),
  props: z
    .array(
      z.strictObject({
        kind: z.enum(PROPS),
        x,
        color,
        scale: z.number().min(0.3).max(2).default(1),
      }),
    )
    .max(6)
    .default([]),
  minSec: z.number().min(1).max(60).default(3),
});

export const sceneFileSchema = z
  .strictObject({
    title: z.string().min(1).max(80),
    size: z
      .string()
      .regex(/^[1-9]\d{2,3}x[1-9]\d{2,3}$/, "expected WIDTHxHEIGHT such as 640x360")
      .refine((it) => it.split("x").every((side) => Number(side) % 2 === 0), {
        error: "expected even numbers, which the video encoder needs",
      })
      .default("640x360"),
    fps: z.number().int().min(5).max(30).default(12),
    voice: z.enum(["slt", "rms", "awb"]),
    pauseSec: z.number().min(0).max(5).default(0.7),
    scenes: z.array(scene).min(1).max(SCENES_COUNT_MAX),
  })
  .refine((file) => new Set(file.scenes.map((it) => it.id)).size === file.scenes.length, {
    path: ["scenes"],
    error: "expected a different id for each scene",
  });

export type SceneFile = z.infer<typeof sceneFileSchema>;
export type Scene = z.infer<typeof scene>;
export type Person = z.infer<typeof person>;
export type Prop = Scene["props"][number];
export type Place = (typeof PLACES)[number];
export type Item = (typeof ITEMS)[number];
