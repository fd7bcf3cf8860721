/** What every command gets instead of reaching for `process`: that is what makes them testable. */
import { InvalidArgumentError } from "@murakkab/kit";
import type { Client } from "@murakkab/sdk";
import { connect } from "@murakkab/sdk";
import type { Paint } from "./render/paint.ts";

export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

export interface Context {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** Aborted by Ctrl-C and SIGTERM; the reason is an `Interrupted`. */
  readonly signal: AbortSignal;
  /** For stdout; plain when it is no terminal. */
  readonly paint: Paint;
  readonly paintErr: Paint;
}

export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  /** A counter-offer or a rejection. */
  notAccepted: 3,
  interrupted: 130,
  terminated: 143,
} as const;

/** Reason of an aborted signal. */
export class Interrupted extends Error {
  readonly signalName: NodeJS.Signals;

  constructor(signalName: NodeJS.Signals) {
    super(`interrupted by ${signalName}`);
    this.name = "Interrupted";
    this.signalName = signalName;
  }
}

/** The command line is wrong: exit code 2. */
export class UsageError extends InvalidArgumentError {}

export interface CommonOptions {
  readonly nats?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

/** Columns of a stream that is no terminal: what fits into an issue or a log viewer. */
const COLUMNS_DEFAULT = 120;
const COLUMNS_MIN = 40;

export function columnsOf(output: Output): number {
  return Math.max(COLUMNS_MIN, output.columns ?? COLUMNS_DEFAULT);
}

export function printLines(output: Output, lines: readonly string[]): void {
  if (lines.length > 0) output.write(`${lines.join("\n")}\n`);
}

export function printJson(output: Output, value: unknown): void {
  output.write(`${JSON.stringify(value)}\n`);
}

/** Connects for the time of `use`. An interrupt closes the connection under it. */
export async function withClient<T>(
  { env, signal }: Context,
  { nats }: CommonOptions,
  use: (client: Client) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const client = await connect({
    env,
    name: "murakkab-cli",
    ...(nats === undefined ? {} : { nats }),
  });
  try {
    return await orInterrupted(use(client), signal);
  } finally {
    await client.close();
  }
}

/** `work`, or the rejection of the signal, whichever comes first. */
export async function orInterrupted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort);
  });
  work.catch(() => undefined); // It may fail later, because the connection was closed under it.
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
