/**
 * ffmpeg with the arguments that every call of ours has, and its complaints in plain words.
 */
import { EngineFailedError, isRuntimeError } from "@murakkab/kit";
import type { FunctionCall } from "../../function-executor.ts";

/** No questions, no banner, errors only; files of an earlier try are overwritten. */
const QUIET_ARGS = ["-hide_banner", "-nostdin", "-loglevel", "error", "-y"] as const;

/** Errors: EngineFailedError whose message is `failure` and ffmpeg's first complaint. */
export async function runFfmpeg(
  call: FunctionCall,
  args: readonly string[],
  failure: string,
): Promise<void> {
  try {
    await call.run("ffmpeg", [...QUIET_ARGS, ...args]);
  } catch (err) {
    if (!isRuntimeError(err) || err.code !== "ENGINE_FAILED") throw err;
    const detail = err.detail ?? "";
    if (/matches no streams|does not contain any stream/i.test(detail)) {
      throw new EngineFailedError(failure, { cause: err, detail });
    }
    throw new EngineFailedError(
      `ffmpeg could not read the file, expected a complete video or audio file`,
      { cause: err, detail },
    );
  }
}

/** Length of a media file in seconds. Errors: EngineFailedError when it has none. */
export async function probeDurationSec(call: FunctionCall, path: string): Promise<number> {
  const shown = ["-show_entries", "format=duration", "-of", "csv=p=0"];
  const { stdout } = await call.run("ffprobe", ["-v", "error", ...shown, path]);
  const durationSec = Number(Buffer.from(stdout).toString("utf8").trim());
  if (Number.isFinite(durationSec) && durationSec > 0) return durationSec;
  throw new EngineFailedError("the video has no known length, expected a complete video file");
}
