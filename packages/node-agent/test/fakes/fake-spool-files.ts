/** A spool in memory. */
import type { AttemptResult } from "@murakkab/protocol";
import type { SpoolFilesPort } from "../../src/ports.ts";

export class FakeSpoolFiles implements SpoolFilesPort {
  readonly results = new Map<string, AttemptResult | "damaged">();
  readonly aside: string[] = [];

  list(): Promise<string[]> {
    return Promise.resolve([...this.results.keys()]);
  }

  read(name: string): Promise<AttemptResult | null> {
    const result = this.results.get(name) ?? null;
    return result === "damaged"
      ? Promise.reject(new Error("not msgpack"))
      : Promise.resolve(result);
  }

  remove(name: string): Promise<void> {
    this.results.delete(name);
    return Promise.resolve();
  }

  quarantine(name: string): Promise<string> {
    this.results.delete(name);
    this.aside.push(name);
    return Promise.resolve(`${name}.corrupt`);
  }
}
