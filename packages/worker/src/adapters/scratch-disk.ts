/** Private directories of attempts, below the instance's scratch directory. */
import { mkdirSync, mkdtempSync } from "node:fs";
import { readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { isAbsolute, join, resolve, sep } from "node:path";
import type { ScratchPort } from "../ports.ts";

export class ScratchDisk implements ScratchPort {
  private readonly root: string;
  private fileCount = 0;

  constructor(instanceScratchDir: string) {
    this.root = join(instanceScratchDir, "attempts");
  }

  make(): string {
    mkdirSync(this.root, { recursive: true, mode: 0o700 });
    return mkdtempSync(join(this.root, "a-"));
  }

  async remove(dir: string): Promise<void> {
    await rm(dir, { recursive: true, force: true, maxRetries: 3 });
  }

  readText(path: string): Promise<string> {
    return readFile(path, "utf8");
  }

  async writeText(dir: string, text: string): Promise<string> {
    this.fileCount += 1;
    const path = join(dir, `.spilled-${this.fileCount}.json`);
    await writeFile(path, text, { flag: "wx" });
    return path;
  }

  async resolveBelow(dir: string, path: string): Promise<string | null> {
    try {
      const real = await realpath(isAbsolute(path) ? path : resolve(dir, path));
      const root = await realpath(dir);
      if (!real.startsWith(`${root}${sep}`)) return null;
      return (await stat(real)).isFile() ? real : null;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP") return null;
      throw error;
    }
  }
}
