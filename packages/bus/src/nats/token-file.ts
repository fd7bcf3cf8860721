/** The cluster token: whoever has it reads and writes every artifact, so its file is checked. */
import { readFileSync, statSync } from "node:fs";
import { InvalidArgumentError } from "@murakkab/kit";

/** 16 characters of base64 are 96 bits: beyond guessing. */
const TOKEN_CHARS_MIN = 16;
const OTHERS_MAY_READ = 0o004;

export function readTokenFile(path: string): string {
  let text: string;
  let mode: number;
  try {
    mode = statSync(path).mode;
    text = readFileSync(path, "utf8").trim();
  } catch (cause) {
    const code = String((cause as NodeJS.ErrnoException).code);
    throw new InvalidArgumentError(
      `token file ${path} cannot be read (${code}), expected the file that holds the cluster token`,
      { cause },
    );
  }
  if ((mode & OTHERS_MAY_READ) !== 0) {
    throw new InvalidArgumentError(
      `token file ${path} can be read by everyone, expected mode 600 (chmod 600 ${path})`,
    );
  }
  if (text.length < TOKEN_CHARS_MIN || !/^[\x21-\x7e]+$/.test(text)) {
    throw new InvalidArgumentError(
      `token file ${path} holds ${text.length} characters, ` +
        `expected at least ${TOKEN_CHARS_MIN} without spaces`,
    );
  }
  return text;
}
