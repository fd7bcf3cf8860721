/**
 * The worker's log on stderr, which is a pipe to its agent: one that is gone reads no more.
 *
 * Lines are written at once, so that the last one before an exit gets out. After the first that
 * nobody reads the rest is dropped instead of kept for a reader that never comes: an adopting
 * agent has no end of this pipe.
 */
import { writeSync } from "node:fs";

const STDERR = 2;

export class StderrLines {
  private isClosed = false;

  write(line: string): void {
    if (this.isClosed) return;
    try {
      writeSync(STDERR, line);
    } catch (error) {
      // EAGAIN: the reader is slow, and only this line is lost.
      this.isClosed = (error as NodeJS.ErrnoException).code !== "EAGAIN";
    }
  }
}
