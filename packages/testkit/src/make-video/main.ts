/**
 * The command: `node main.js SCENES.yaml OUT.mp4`.
 *
 * Owns:      arguments, signals, exit codes and what is printed.
 */

import { makeVideo, type VideoReport } from "./make-video.ts";
import { MakeVideoError } from "./make-video-error.ts";

const USAGE = "usage: make-video SCENES.yaml OUT.mp4";
/** What shells use for a program ended by a signal: 128 and the signal's number. */
const SIGNAL_EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

function formatReport(outFile: string, report: VideoReport): string {
  const lines = report.scenes.flatMap((scene) => [
    `${scene.startSec.toFixed(1).padStart(6)} s  ${scene.id}`,
    ...scene.sentences.map((it) => `${it.startSec.toFixed(1).padStart(12)} s  ${it.text}`),
  ]);
  const { scenes, durationSec, frameCount } = report;
  const summary = `${outFile}: ${scenes.length} scenes, ${durationSec.toFixed(1)} s, ${frameCount} frames`;
  return `${[...lines, summary].join("\n")}\n`;
}

async function main(args: readonly string[]): Promise<number> {
  const [scenesFile, outFile, ...rest] = args;
  if (scenesFile === undefined || outFile === undefined || rest.length > 0) {
    process.stderr.write(`${USAGE}\n`);
    return 2;
  }
  const stop = new AbortController();
  let signalExitCode: number | undefined;
  for (const [name, exitCode] of Object.entries(SIGNAL_EXIT_CODES)) {
    // Once: a second signal ends the process at once, the usual way.
    process.once(name, () => {
      signalExitCode = exitCode;
      stop.abort();
    });
  }
  try {
    const report = await makeVideo(scenesFile, outFile, { signal: stop.signal });
    process.stdout.write(formatReport(outFile, report));
    return 0;
  } catch (err) {
    if (signalExitCode !== undefined) return signalExitCode;
    if (!(err instanceof MakeVideoError)) throw err;
    process.stderr.write(`make-video: ${err.message}\n`);
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
