/** Where nats-server is on this host, and which version it is. */
import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { NotFoundError, UnavailableError } from "@murakkab/kit";

export interface NatsServerVersion {
  readonly text: string;
  readonly major: number;
  readonly minor: number;
}

export interface NatsServerBinary {
  readonly path: string;
  readonly version: NatsServerVersion;
}

export interface FindNatsServerOptions {
  /** Used instead of a search when given (what a user set). */
  readonly binary?: string;
  /** The project whose `.nats/` is searched. */
  readonly projectDirectory?: string;
  /** Default: that of this process. */
  readonly path?: string;
}

/** /usr/sbin is where Debian puts it, and is often not on a user's PATH. */
const USUAL_DIRECTORIES = ["/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/opt/homebrew/bin"];
/** Asking for the version takes some 20 ms; a hung file system should not hang us. */
const VERSION_TIMEOUT_MS = 10_000;

/** Errors: `NOT_FOUND` with what to install, `UNAVAILABLE` when it does not run. */
export async function findNatsServer(
  options: FindNatsServerOptions = {},
): Promise<NatsServerBinary> {
  const path = options.binary ?? (await search(options));
  if (path === null) {
    throw new NotFoundError(
      "nats-server was not found on PATH, in /usr/sbin, /usr/local/bin or .nats/: install the " +
        "package nats-server, or name the program with MURAKKAB_NATS_SERVER",
    );
  }
  return { path, version: await readVersion(path) };
}

async function search({ projectDirectory, path }: FindNatsServerOptions): Promise<string | null> {
  const project = projectDirectory === undefined ? [] : [join(projectDirectory, ".nats")];
  const directories = [
    ...(path ?? process.env["PATH"] ?? "").split(delimiter).filter((entry) => entry !== ""),
    ...USUAL_DIRECTORIES,
    ...project.flatMap((directory) => [directory, join(directory, "usr/sbin")]),
  ];
  for (const directory of directories) {
    const candidate = join(directory, "nats-server");
    const isThere = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return candidate;
  }
  return null;
}

async function readVersion(path: string): Promise<NatsServerVersion> {
  let output: string;
  try {
    const result = await promisify(execFile)(path, ["--version"], { timeout: VERSION_TIMEOUT_MS });
    output = result.stdout + result.stderr;
  } catch (cause) {
    const reason = (cause as { code?: string | number }).code ?? "no reason given";
    throw new UnavailableError(`nats-server at ${path} does not run: ${reason}`, { cause });
  }
  const match = /v?(\d+)\.(\d+)\.\d+\S*/.exec(output);
  if (match === null) {
    throw new UnavailableError(`${path} is not nats-server: it did not answer --version with one`);
  }
  return {
    text: match[0].replace(/^v/, ""),
    major: Number(match[1]),
    minor: Number(match[2]),
  };
}
