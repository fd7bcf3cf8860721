/**
 * The highest leader generation as a file: the number and a checksum, so that a damaged digit is
 * not taken for another number.
 */
import { readFile } from "node:fs/promises";
import { sha256Hex } from "@murakkab/kit";
import type { GenerationPort } from "../ports.ts";
import { quarantine, writeAtomically } from "./atomic-file.ts";

/** 64 bits: damage that goes unseen is beyond chance. */
const CHECKSUM_CHARS = 16;

export class GenerationFile implements GenerationPort {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async load(): Promise<{ generation: number; quarantinedAt: string | null }> {
    let text: string;
    try {
      text = await readFile(this.#path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      return { generation: 0, quarantinedAt: null };
    }
    const generation = Number(/^\d{1,16}(?= )/.exec(text)?.[0]);
    if (Number.isSafeInteger(generation) && text === lineOf(generation)) {
      return { generation, quarantinedAt: null };
    }
    return { generation: 0, quarantinedAt: await quarantine(this.#path) };
  }

  save(generation: number): Promise<void> {
    return writeAtomically(this.#path, lineOf(generation));
  }
}

function lineOf(generation: number): string {
  return `${generation} ${sha256Hex(`generation ${generation}`).slice(0, CHECKSUM_CHARS)}\n`;
}
