/**
 * Short clips of the example videos, cut at random places: inputs that no profile has seen.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Random } from "@murakkab/kit";

const run = promisify(execFile);

export interface Clip {
  readonly file: string;
  readonly lengthSec: number;
  /** Where it was cut. */
  readonly video: string;
  readonly startSec: number;
}

export interface ClipSource {
  readonly video: string;
  readonly lengthSec: number;
}

export const CLIP_SEC_MIN = 6;
export const CLIP_SEC_MAX = 10;

/** Cut and encoded anew: a clip that only pointed into the whole would keep its key frames. */
export async function cutClips(
  sources: readonly ClipSource[],
  how: {
    readonly dir: string;
    readonly prefix: string;
    readonly count: number;
    readonly random: Random;
  },
): Promise<Clip[]> {
  const clips: Clip[] = [];
  for (let index = 0; index < how.count; index += 1) {
    const source = sources[index % sources.length];
    if (source === undefined) break;
    const lengthSec = CLIP_SEC_MIN + how.random.next() * (CLIP_SEC_MAX - CLIP_SEC_MIN);
    const startSec = how.random.next() * Math.max(0, source.lengthSec - lengthSec);
    const file = join(how.dir, `${how.prefix}-${index}.mp4`);
    await run("ffmpeg", [
      ...["-hide_banner", "-nostdin", "-loglevel", "error", "-y"],
      ...["-ss", startSec.toFixed(2), "-i", source.video, "-t", lengthSec.toFixed(2)],
      ...["-c:v", "libx264", "-preset", "veryfast", "-c:a", "aac", file],
    ]);
    clips.push({ file, lengthSec, video: source.video, startSec });
  }
  return clips;
}

export async function lengthSecOf(video: string): Promise<number> {
  const shown = ["-show_entries", "format=duration", "-of", "csv=p=0"];
  const { stdout } = await run("ffprobe", ["-v", "error", ...shown, video]);
  return Number(stdout.trim());
}
