/**
 * What kind of media a file is, asked of `ffprobe`.
 *
 * The file comes from a stranger: only the `file` protocol is allowed, and formats that name other
 * files or URLs (playlists) count as no media, so that a probe reads nothing but this file.
 */
import { execFile } from "node:child_process";
import type { MediaInfo } from "@murakkab/protocol";
import type { ProbeOutcome, ProbePort } from "../ports.ts";

/** Damaged files can keep ffprobe searching; a healthy one takes well under a second. */
const PROBE_MS_MAX = 8_000;
const OUTPUT_BYTES_MAX = 4 * 1_048_576;
/** Probes at once: each is a process that reads a file. */
const PROBE_COUNT_MAX = 2;

const NO_MEDIA: MediaInfo = {
  type: "file",
  hasAudio: false,
  hasPictures: false,
  durationSec: null,
};
/** Playlists, and text that ffprobe would draw as pictures. */
const REFUSED_FORMATS = ["hls", "dash", "concat", "tty", "imf", "sdp", "rtsp", "vobsub"];
const IMAGE_FORMATS = /(?:_pipe|^image2|^gif$|^ico$|^apng$)/;

interface ProbedStream {
  readonly codec_type?: string;
  readonly disposition?: { readonly attached_pic?: number };
}

export class Ffprobe implements ProbePort {
  readonly #program: string;
  readonly #waiting: (() => void)[] = [];
  #runningCount = 0;

  constructor(options: { readonly program?: string } = {}) {
    this.#program = options.program ?? "ffprobe";
  }

  async probe(path: string): Promise<ProbeOutcome> {
    if (this.#runningCount >= PROBE_COUNT_MAX) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#runningCount += 1;
    }
    try {
      return await this.#run(path);
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#runningCount -= 1;
      else next();
    }
  }

  #run(path: string): Promise<ProbeOutcome> {
    const args = ["-v", "error", "-protocol_whitelist", "file", "-of", "json"];
    args.push("-show_entries", "format=format_name,duration:stream=codec_type,duration");
    args.push("-show_entries", "stream_disposition=attached_pic", `file:${path}`);
    const options = {
      timeout: PROBE_MS_MAX,
      killSignal: "SIGKILL",
      maxBuffer: OUTPUT_BYTES_MAX,
    } as const;
    return new Promise((resolve) => {
      execFile(this.#program, args, options, (error, stdout) => {
        if ((error as NodeJS.ErrnoException | null)?.code === "ENOENT") {
          resolve({ media: null, problem: "ffprobe is not on this node's PATH" });
        } else if (error?.killed === true) {
          resolve({
            media: NO_MEDIA,
            problem: `file {name} could not be probed within ${PROBE_MS_MAX / 1_000} s`,
          });
        } else {
          resolve(error === null ? interpretProbe(stdout) : unreadable());
        }
      });
    });
  }
}

/** Exported for tests. */
export function interpretProbe(stdout: string): ProbeOutcome {
  let parsed: { format?: { format_name?: string; duration?: string }; streams?: ProbedStream[] };
  try {
    parsed = JSON.parse(stdout) as typeof parsed;
  } catch {
    return unreadable();
  }
  const formats = (parsed.format?.format_name ?? "").split(",");
  const streams = parsed.streams ?? [];
  const hasAudio = streams.some((stream) => stream.codec_type === "audio");
  const hasPictures = streams.some(
    (stream) => stream.codec_type === "video" && stream.disposition?.attached_pic !== 1,
  );
  const isRefused = formats.some((format) => REFUSED_FORMATS.includes(format));
  if (isRefused || (!hasAudio && !hasPictures)) return unreadable();
  const seconds = Number(parsed.format?.duration);
  const isImage = hasPictures && !hasAudio && formats.some((format) => IMAGE_FORMATS.test(format));
  return {
    media: {
      type: isImage ? "image" : hasPictures ? "video" : "audio",
      hasAudio,
      hasPictures,
      durationSec: !isImage && Number.isFinite(seconds) && seconds >= 0 ? seconds : null,
    },
  };
}

function unreadable(): ProbeOutcome {
  return { media: NO_MEDIA, problem: "file {name} is not a media file that ffprobe can read" };
}
