/** Objects in NATS' own object store, so that its command-line tool can list and fetch them. */
import { InvalidArgumentError, UnavailableError } from "@murakkab/kit";
import type { ObjectStore as LibraryObjectStore } from "nats";
import type { ObjectStore } from "../state.ts";
import type { JetStreamApi } from "./jetstream-api.ts";

/** Slowest transfer that is still waited for; local ones run at 40 MiB/s. */
const SLOWEST_BYTES_PER_MS = 1024;

export class NatsObjects implements ObjectStore {
  private readonly api: JetStreamApi;
  private readonly library: LibraryObjectStore;
  private readonly bucket: string;

  constructor(api: JetStreamApi, library: LibraryObjectStore, bucket: string) {
    this.api = api;
    this.library = library;
    this.bucket = bucket;
  }

  async put(name: string, data: Uint8Array): Promise<void> {
    checkName(name);
    await this.run(`put of ${name}`, data.length, () => this.library.putBlob({ name }, data));
  }

  async get(name: string): Promise<Uint8Array | null> {
    checkName(name);
    const info = await this.run(`look-up of ${name}`, 0, () => this.library.info(name));
    if (info === null || info.deleted) return null;
    return this.run(`get of ${name}`, info.size, () => this.library.getBlob(name));
  }

  async delete(name: string): Promise<void> {
    checkName(name);
    await this.run(`delete of ${name}`, 0, async () => {
      const info = await this.library.info(name);
      if (info !== null && !info.deleted) await this.library.delete(name);
    });
  }

  /** Repeatable: a put replaces, a delete of what is gone does nothing. */
  private run<T>(what: string, sizeBytes: number, attempt: () => Promise<T>): Promise<T> {
    const label = `${what} in object store ${this.bucket}`;
    return this.api.repeat(label, async () => {
      if (!this.api.messaging.isConnected) throw new UnavailableError("the connection is down");
      const limitMs = this.api.options.totalTimeoutMs / 2 + sizeBytes / SLOWEST_BYTES_PER_MS;
      return this.within(limitMs, label, attempt());
    });
  }

  /** The library's reads have no time-out of their own. */
  private within<T>(limitMs: number, label: string, work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = this.api.clock.after(limitMs, () => {
        reject(new UnavailableError(`${label} took over ${limitMs} ms`));
      });
      work.then(
        (value) => {
          cancel();
          resolve(value);
        },
        (cause: unknown) => {
          cancel();
          reject(new UnavailableError(`${label} failed`, { cause }));
        },
      );
    });
  }
}

function checkName(name: string): void {
  if (name !== "" && name.length <= 512) return;
  throw new InvalidArgumentError("object name is not valid, expected 1 to 512 characters");
}
