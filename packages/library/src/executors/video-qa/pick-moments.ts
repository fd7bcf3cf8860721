/**
 * At which moments of a video to look.
 *
 * Invariants:
 *   M1. At most `frameCount` moments, in order of time, none twice.
 *   M2. With enough of them every scene gets one, in its middle: cuts and fades are avoided.
 *   M3. A scene gets a further one only for each `SCENE_SEC_PER_FRAME` that it lasts: a still
 *       picture says no more when it is looked at again, and each look costs.
 */
import type { Scene } from "./values.ts";

export interface Moment {
  readonly atSec: number;
  readonly scene: Scene;
}

/** People come and go within a long scene; few texts stay for less than this. */
const SCENE_SEC_PER_FRAME = 8;

export function pickMoments(
  scenes: readonly Scene[],
  options: { readonly frameCount: number; readonly at: "scene-midpoints" | "uniform" },
): Moment[] {
  return options.at === "uniform"
    ? pickUniform(scenes, options.frameCount)
    : pickInScenes(scenes, options.frameCount);
}

function pickUniform(scenes: readonly Scene[], frameCount: number): Moment[] {
  const endSec = scenes.at(-1)?.endSec ?? 0;
  return Array.from({ length: frameCount }, (_, index) => {
    const atSec = ((index + 0.5) * endSec) / frameCount;
    const scene = scenes.findLast((it) => it.startSec <= atSec);
    return scene === undefined ? undefined : { atSec: roundMs(atSec), scene };
  }).filter((it) => it !== undefined);
}

function pickInScenes(scenes: readonly Scene[], frameCount: number): Moment[] {
  if (scenes.length > frameCount) {
    const step = scenes.length / frameCount;
    const spread = Array.from(
      { length: frameCount },
      (_, i) => scenes[Math.floor((i + 0.5) * step)],
    );
    return spread.filter((it) => it !== undefined).flatMap((it) => splitScene(it, 1));
  }
  const counts = scenes.map(() => 1);
  const wantOf = (scene: Scene): number =>
    Math.max(1, Math.round((scene.endSec - scene.startSec) / SCENE_SEC_PER_FRAME));
  for (let left = frameCount - scenes.length; left > 0; left--) {
    const shares = scenes.map((it, i) => (it.endSec - it.startSec) / (counts[i] ?? 1));
    const open = shares.map((it, i) => ((counts[i] ?? 0) < wantOf(scenes[i] as Scene) ? it : 0));
    const longest = open.indexOf(Math.max(...open));
    if ((open[longest] ?? 0) === 0) break;
    counts[longest] = (counts[longest] ?? 1) + 1;
  }
  return scenes.flatMap((scene, index) => splitScene(scene, counts[index] ?? 1));
}

function splitScene(scene: Scene, count: number): Moment[] {
  const lengthSec = scene.endSec - scene.startSec;
  return Array.from({ length: count }, (_, index) => ({
    atSec: roundMs(scene.startSec + ((index + 0.5) * lengthSec) / count),
    scene,
  }));
}

function roundMs(sec: number): number {
  return Math.round(sec * 1000) / 1000;
}
