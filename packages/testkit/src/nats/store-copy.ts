/**
 * Copies of a server's store, and putting an older one back: what a restored backup, a machine
 * image or a disk that lost its last writes looks like to the runtime.
 *
 * Owns:      the copies, and that the server is down while its files are read or replaced.
 * Does not:  judge what is lost by it.
 */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NatsServerProcess } from "@murakkab/bus/nats-server";

export class StoreCopies {
  private readonly server: NatsServerProcess;
  private readonly directories: string[] = [];

  constructor(server: NatsServerProcess) {
    this.server = server;
  }

  /** Stops the server, copies its store aside and starts it again. Answers the copy's name. */
  async take(): Promise<string> {
    await this.server.stop();
    const copy = await mkdtemp(join(tmpdir(), "murakkab-store-copy-"));
    this.directories.push(copy);
    await cp(this.server.storeDir, copy, { recursive: true, force: true });
    await this.server.restart();
    return copy;
  }

  /**
   * The server comes back on its port with what `copy` holds; null: with nothing. What was written
   * since is gone, though it was acknowledged. `isKill`: it is killed, not stopped.
   */
  async restore(
    copy: string | null,
    { isKill = false }: { readonly isKill?: boolean } = {},
  ): Promise<void> {
    if (isKill) process.kill(this.server.pid, "SIGKILL");
    await this.server.stop();
    await rm(this.server.storeDir, { recursive: true, force: true });
    if (copy !== null) await cp(copy, this.server.storeDir, { recursive: true });
    await this.server.restart();
  }

  /** Deletes the copies. */
  async close(): Promise<void> {
    for (const directory of this.directories) await rm(directory, { recursive: true, force: true });
  }
}
