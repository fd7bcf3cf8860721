/**
 * Pictures and sound to an MP4 file, with ffmpeg.
 *
 * Owns:      the encoder's settings. Pictures go through a pipe: no frame touches the disk.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { drawScene } from "./draw-scene.ts";
import { type Narration, SAMPLE_RATE_HZ, type TimedScene } from "./narrate.ts";
import { renderPicture } from "./render-picture.ts";
import { runProgram } from "./run-program.ts";

export interface EncodeOptions {
  readonly title: string;
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  readonly workDir: string;
  readonly outFile: string;
  readonly signal: AbortSignal;
}

/** Frames drawn at the same time: sharp works on its own threads, and four keep them busy. */
const FRAMES_AHEAD = 4;

async function* renderFrames(
  scenes: readonly TimedScene[],
  options: EncodeOptions,
): AsyncGenerator<Buffer> {
  const { width, height, fps, signal } = options;
  for (const { scene, frameCount } of scenes) {
    const durationSec = frameCount / fps;
    for (let first = 0; first < frameCount; first += FRAMES_AHEAD) {
      signal.throwIfAborted();
      const batchCount = Math.min(FRAMES_AHEAD, frameCount - first);
      const frames = Array.from({ length: batchCount }, (_, index) => {
        const timeSec = (first + index) / fps;
        return renderPicture(drawScene(scene, { timeSec, durationSec }, { width, height }));
      });
      yield* await Promise.all(frames);
    }
  }
}

export async function encodeVideo(narration: Narration, options: EncodeOptions): Promise<void> {
  const soundFile = join(options.workDir, "narration.raw");
  await writeFile(soundFile, narration.samples);
  await runProgram({
    program: "ffmpeg",
    packageName: "ffmpeg",
    signal: options.signal,
    input: renderFrames(narration.scenes, options),
    args: listArgs(options, soundFile),
  });
}

function listArgs(options: EncodeOptions, soundFile: string): readonly string[] {
  const { width, height, fps } = options;
  const args: readonly (readonly string[])[] = [
    ["-hide_banner", "-loglevel", "error", "-y"],
    ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", `${width}x${height}`, "-r", `${fps}`],
    ["-i", "pipe:0"],
    ["-f", "s16le", "-ar", `${SAMPLE_RATE_HZ}`, "-ac", "1", "-i", soundFile],
    // 4:2:0 is what browsers play; 24 keeps flat areas and small letters clean at a low rate.
    ["-c:v", "libx264", "-preset", "medium", "-crf", "24", "-pix_fmt", "yuv420p"],
    // The frames are RGB: without this players would guess other colours than were drawn.
    ["-vf", "scale=out_color_matrix=bt709:out_range=tv"],
    ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"],
    ["-c:a", "aac", "-b:a", "48k", "-ac", "1"],
    // The same input gives the same bytes, with the same ffmpeg: no version strings, no dates,
    // and a fixed number of threads, which shapes the encoder's choices.
    ["-threads", "2", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact"],
    ["-metadata", `title=${options.title}`, "-movflags", "+faststart"],
    [options.outFile],
  ];
  return args.flat();
}
