/**
 * The file through which `murakkab up` tells other programs of the same user where its bus is.
 *
 * Owns:      where the file lies, its form, and when it is stale.
 * Does not:  start or reach the cluster.
 *
 * Invariants:
 *   C1. Only the owner can read the file (mode 0600, directory 0700): the URL may hold a password.
 *   C2. A file whose process is gone, or that cannot be read, counts as absent.
 *   C3. A process removes only the file that it wrote.
 */
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

export interface CurrentCluster {
  readonly natsUrl: string;
  /** Process id of the `murakkab up` that runs the cluster. */
  readonly pid: number;
  readonly dataDir?: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Where the file may lie, best first. */
export function currentClusterPaths(env: Environment): string[] {
  const runtimeDir = env["XDG_RUNTIME_DIR"];
  const home = env["HOME"] ?? homedir();
  return [
    ...(runtimeDir === undefined || runtimeDir === ""
      ? []
      : [join(runtimeDir, "murakkab", "current.json")]),
    join(home, ".murakkab", "current.json"),
  ];
}

/** `null` when no cluster of this user runs (C2). */
export async function readCurrentCluster(env: Environment): Promise<CurrentCluster | null> {
  for (const path of currentClusterPaths(env)) {
    const cluster = await readClusterFile(path);
    if (cluster !== null && isAlive(cluster.pid)) return cluster;
  }
  return null;
}

/** Answers the path that was written. The first directory that can be written is used. */
export async function writeCurrentCluster(
  env: Environment,
  cluster: CurrentCluster,
): Promise<string> {
  let lastError: unknown;
  for (const path of currentClusterPaths(env)) {
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      // Written aside and renamed, so that a reader never sees half a file.
      const draft = `${path}.${cluster.pid}`;
      await writeFile(draft, `${JSON.stringify(cluster)}\n`, { mode: 0o600 });
      await rename(draft, path);
      return path;
    } catch (error) {
      lastError = error;
    }
  }
  throw lastError;
}

/** Removes the file when it is `pid`'s own (C3). */
export async function removeCurrentCluster(env: Environment, pid: number): Promise<void> {
  for (const path of currentClusterPaths(env)) {
    const cluster = await readClusterFile(path);
    if (cluster?.pid === pid) await rm(path, { force: true });
  }
}

async function readClusterFile(path: string): Promise<CurrentCluster | null> {
  try {
    const value = JSON.parse(await readFile(path, "utf8")) as Partial<CurrentCluster> | null;
    if (typeof value?.natsUrl !== "string" || !Number.isSafeInteger(value.pid)) return null;
    return value as CurrentCluster;
  } catch {
    return null; // C2
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // The process is there but another user's: alive, and the file is still ours to use.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
