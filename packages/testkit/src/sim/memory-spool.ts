/** The spool of a simulated host: what workers put there, the agent finds, also the next one. */
import type { SpoolFilesPort } from "@murakkab/node-agent";
import { type AttemptResult, spoolFileName } from "@murakkab/protocol";
import type { SpoolPort } from "@murakkab/worker";

export class MemorySpool implements SpoolPort, SpoolFilesPort {
  private readonly results = new Map<string, AttemptResult>();
  readonly isFull = false;

  get count(): number {
    return this.results.size;
  }

  async put(result: AttemptResult): Promise<void> {
    this.results.set(spoolFileName(result.key), result);
  }

  async list(): Promise<readonly string[]> {
    return [...this.results.keys()].sort();
  }

  async read(name: string): Promise<AttemptResult | null> {
    return this.results.get(name) ?? null;
  }

  /** A key from a worker, a file's name from an agent. */
  async remove(keyOrName: string): Promise<void> {
    this.results.delete(keyOrName);
    this.results.delete(spoolFileName(keyOrName));
  }

  async quarantine(name: string): Promise<string> {
    this.results.delete(name);
    return `${name}.corrupt`;
  }
}
