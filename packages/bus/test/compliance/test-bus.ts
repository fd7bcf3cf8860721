/** What the compliance suite needs of an adapter under test. */
import type { Bus } from "../../src/bus.ts";

export interface TestBus {
  /** Another connection, as another process would have it. The suite closes it. */
  connect(name?: string): Promise<Bus>;
  /** Ends the server; what it stored stays. */
  stopServer(): Promise<void>;
  /** Starts it again where it was. */
  startServer(): Promise<void>;
  /** Deletes what is stored there, behind the back of everyone who has it open. */
  deleteStore(kind: "bucket" | "log", name: string): Promise<void>;
  close(): Promise<void>;
}

const DEADLINE_MS = 10_000;
const POLL_MS = 5;

/** Resolves once `isTrue`; fails after a deadline that names what was waited for. */
export async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + DEADLINE_MS;
  while (!(await isTrue())) {
    if (performance.now() > deadlineMs) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function text(data: Uint8Array | null | undefined): string | null {
  return data === null || data === undefined ? null : new TextDecoder().decode(data);
}

/** The `code` of what `promise` fails with, or "resolved". */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "resolved";
  } catch (error) {
    return String((error as { code?: unknown }).code ?? error);
  }
}
