/**
 * The directory in which a cluster on this host keeps everything.
 *
 * Owns:      its layout, the cluster's token, and its removal when it was a temporary one.
 *
 * Invariants:
 *   D1. The directory is 0700 and the token file 0600: nobody else on the host can read them.
 *   D2. A directory that the user named is never removed.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describeError, UnavailableError } from "@murakkab/kit";

export interface DataDir {
  readonly path: string;
  readonly tokenFile: string;
  readonly isTemporary: boolean;
  /** A directory inside, made if need be. */
  sub(name: string): string;
  logFile(name: string): string;
  /** Synchronous, so that it also works while the process exits. Does nothing for a named one. */
  remove(): void;
}

/** Why 32: as many bytes as the HMAC-SHA-256 that is keyed with it. */
const TOKEN_BYTES = 32;

/** Errors: `UNAVAILABLE` naming the directory that cannot be made or written. */
export function openDataDir(named: string | undefined, isKept = false): DataDir {
  const isTemporary = named === undefined && !isKept;
  try {
    const path =
      named === undefined ? mkdtempSync(join(tmpdir(), "murakkab-")) : makeDir(resolve(named));
    const tokenFile = join(path, "cluster.token");
    try {
      const token = `${randomBytes(TOKEN_BYTES).toString("hex")}\n`;
      writeFileSync(tokenFile, token, { mode: 0o600, flag: "wx" });
    } catch (error) {
      // A kept directory keeps its token: agents elsewhere may have it.
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    return {
      path,
      tokenFile,
      isTemporary,
      sub: (name) => makeDir(join(path, name)),
      logFile: (name) => join(makeDir(join(path, "logs")), `${name}.log`),
      remove: () => {
        if (isTemporary) rmSync(path, { recursive: true, force: true, maxRetries: 3 }); // D2
      },
    };
  } catch (error) {
    throw new UnavailableError(
      `data directory ${named ?? tmpdir()} cannot be used: ${describeError(error)}`,
      { cause: error },
    );
  }
}

function makeDir(path: string): string {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  return path;
}
