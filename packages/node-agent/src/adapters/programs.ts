/**
 * Programs on this host's PATH: the ones that the library's executors are known to use.
 *
 * The list only tells the scheduler early; whether an instance may start is checked for the
 * program that its executor names, listed here or not.
 */
import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";

/** Name to the argument that prints its version. */
export const KNOWN_PROGRAMS: Readonly<Record<string, string>> = {
  ffmpeg: "-version",
  ffprobe: "-version",
  tesseract: "--version",
  python3: "--version",
  pdftotext: "-v",
  "whisper-cli": "--help",
  "nvidia-smi": "--version",
};
const VERSION_MS_MAX = 3_000;
const VERSION_CHARS_MAX = 120;

export async function findProgram(name: string, path: string): Promise<string | null> {
  if (isAbsolute(name)) return (await isExecutable(name)) ? name : null;
  if (name.includes("/")) return null;
  for (const dir of path.split(delimiter)) {
    const candidate = join(dir, name);
    if (dir !== "" && (await isExecutable(candidate))) return candidate;
  }
  return null;
}

/** Names to version lines of those that are there. */
export async function listPrograms(
  names: readonly string[],
  path: string,
): Promise<Record<string, string>> {
  const found = await Promise.all(
    names.map(async (name): Promise<[string, string] | null> => {
      const program = await findProgram(name, path);
      return program === null ? null : [name, await versionLine(name, program)];
    }),
  );
  return Object.fromEntries(found.filter((entry) => entry !== null));
}

/** A program that does not tell is still there: its version line is then empty. */
function versionLine(name: string, program: string): Promise<string> {
  const args = [KNOWN_PROGRAMS[name] ?? "--version"];
  const options = { timeout: VERSION_MS_MAX, killSignal: "SIGKILL" } as const;
  return new Promise((resolve) => {
    execFile(program, args, options, (_error, stdout, stderr) => {
      const line = `${stdout}\n${stderr}`.split("\n").find((text) => text.trim() !== "");
      resolve((line ?? "").trim().slice(0, VERSION_CHARS_MAX));
    });
  });
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}
