/** The last part of a program's stderr, bounded in bytes and cut at a line. */
import { STDERR_TAIL_BYTES } from "@murakkab/protocol";

/** Lines that an error's detail shows: enough for a program's own last words. */
const DETAIL_LINES_MAX = 20;

export class OutputTail {
  private bytes: Buffer = Buffer.alloc(0);
  private isCut = false;

  push(chunk: Buffer): void {
    const joined = this.bytes.length === 0 ? chunk : Buffer.concat([this.bytes, chunk]);
    if (joined.length > STDERR_TAIL_BYTES) this.isCut = true;
    // Copied, so that a large chunk's memory is not kept for its last bytes.
    this.bytes = this.isCut ? Buffer.from(joined.subarray(-STDERR_TAIL_BYTES)) : joined;
  }

  text(): string {
    const text = this.bytes.toString("utf8");
    if (!this.isCut) return text;
    const lineEnd = text.indexOf("\n");
    return lineEnd === -1 ? text : text.slice(lineEnd + 1);
  }

  lastLines(): string {
    return this.text()
      .trimEnd()
      .split(/[\r\n]+/)
      .slice(-DETAIL_LINES_MAX)
      .join("\n");
  }
}
