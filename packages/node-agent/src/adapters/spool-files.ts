/** The spool as a directory: one msgpack file per result, named after the hash of its key. */
import { readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { assert } from "@murakkab/kit";
import type { AttemptResult } from "@murakkab/protocol";
import { attemptResultSchema, decode, spoolFileName, validate } from "@murakkab/protocol";
import { SPOOL_QUARANTINE_COUNT_MAX } from "../limits.ts";
import type { SpoolFilesPort } from "../ports.ts";
import { sendSignal } from "./reaper.ts";

const NAME_PATTERN = /^[0-9a-f]{64}$/;
const ASIDE_SUFFIX = ".corrupt";
const MSGPACK = { "Content-Type": "application/msgpack" };

export class SpoolFiles implements SpoolFilesPort {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Not what is being written or was set aside; removes what dead workers had begun to write. */
  async list(): Promise<string[]> {
    const names = await this.#names();
    for (const name of names) {
      const pid = Number(/^(\d+)-.*\.tmp$/.exec(name)?.[1] ?? 0);
      if (pid > 0 && !sendSignal(pid, 0)) await this.remove(name);
    }
    return names.filter((name) => NAME_PATTERN.test(name)).sort();
  }

  async read(name: string): Promise<AttemptResult | null> {
    let data: Uint8Array;
    try {
      data = await readFile(join(this.#dir, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
      throw error;
    }
    const result = validate(attemptResultSchema, decode(data, MSGPACK).value, "spooled result");
    if (spoolFileName(result.key) !== name) throw new Error("its name is not the hash of its key");
    return result;
  }

  async remove(name: string): Promise<void> {
    await rm(join(this.#dir, name), { force: true });
  }

  async quarantine(name: string): Promise<string> {
    assert(NAME_PATTERN.test(name), `${name} is no name of the spool`);
    const aside = join(this.#dir, `${name}${ASIDE_SUFFIX}`);
    await rename(join(this.#dir, name), aside);
    await this.#prune();
    return aside;
  }

  /** What was set aside counts for the spool's limit: only the latest few stay. */
  async #prune(): Promise<void> {
    const names = (await this.#names()).filter((name) => name.endsWith(ASIDE_SUFFIX));
    if (names.length <= SPOOL_QUARANTINE_COUNT_MAX) return;
    const aged = await Promise.all(
      names.map(async (name) => ({ name, atMs: (await stat(join(this.#dir, name))).ctimeMs })),
    );
    aged.sort((a, b) => a.atMs - b.atMs);
    for (const { name } of aged.slice(0, -SPOOL_QUARANTINE_COUNT_MAX)) {
      await rm(join(this.#dir, name), { force: true });
    }
  }

  async #names(): Promise<string[]> {
    try {
      return await readdir(this.#dir);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return []; // nothing was ever spooled
      throw error;
    }
  }
}
