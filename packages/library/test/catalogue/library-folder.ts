/** A folder of library files for one test, removed when the test ends. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";

export function libraryFolder(files: Readonly<Record<string, string>>): string {
  const dir = mkdtempSync(join(tmpdir(), "mk-library-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    const path = join(dir, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  return dir;
}

/** A sound executor; line numbers in the tests count on its layout. */
export const SOUND_EXECUTOR = `id: cutter
version: "1.0.0"
kind: tool
capability: audio-extraction
description: Takes the sound out of a video.
keywords: [audio, sound]
inputs:
  video: { type: video }
outputs:
  audio: { type: audio }
knobs:
  rate:
    description: Samples per second.
    values: [8000, 16000]
    default: 16000
  isQuiet:
    description: Says less.
    values: [true, false]
    default: true
engine:
  kind: command
  program: ffmpeg
  args:
    - -i
    - \${input.video}
    - { when: isQuiet, args: [-loglevel, error] }
    - { when: rate, equals: 8000, args: [-ar, "\${knob.rate}"] }
    - -threads
    - \${threads}
    - \${output.audio}
  env:
    CACHE: \${scratch}/cache
  files:
    audio: { name: audio.wav, mediaType: audio/wav }
programs: [ffmpeg]
resources: { cores: 1, memoryMib: 128 }
timeLimitSec: 60
pure: true
deterministic: true
price: { perCoreHourUsd: 0.05 }
provenance: { kind: prior, note: rule of thumb }
missingMeans: speech is not heard
`;
