/** Progress of uploads, for `submit` and `plan`. */
import type { Output } from "../context.ts";
import { formatBytes, formatRatio } from "../render/units.ts";

/** Files below this size are up before a line about them could be read, bytes. */
const SHOWN_UPLOAD_BYTES_MIN = 8 * 1024 ** 2;

/** One line per file and tenth, for large files. */
export function uploadProgress(
  output: Output | null,
): (path: string, sentBytes: number, totalBytes: number) => void {
  const shown = new Map<string, number>();
  return (path, sentBytes, totalBytes) => {
    if (output === null || totalBytes < SHOWN_UPLOAD_BYTES_MIN) return;
    const tenth = Math.floor((10 * sentBytes) / totalBytes);
    if (tenth <= (shown.get(path) ?? 0)) return;
    shown.set(path, tenth);
    output.write(`upload ${path} ${formatRatio(tenth / 10)} of ${formatBytes(totalBytes)}\n`);
  };
}
