/**
 * The messages of the former version, as it sent them and as it read them.
 *
 * Owns:      their exact fields. Nothing here may follow the present schemas: that is the point.
 * Does not:  know what is done with them (former-agent.ts).
 *
 * Against now: a registration has no `generation`, nor has the answer to it; an instance is started
 * and stopped without one; the key of an attempt is job, step, item and number of the attempt.
 */

export interface FormerRegistration {
  readonly node: string;
  readonly host: {
    readonly machineId: string;
    readonly bootId: string;
    readonly hostname: string;
    readonly cores: number;
    readonly memoryBytes: number;
  };
  readonly offer: { readonly cpus: number; readonly memoryMib: number };
  readonly labels: Readonly<Record<string, string>>;
  readonly programs: Readonly<Record<string, string>>;
  readonly gpus: readonly never[];
  readonly artifactUrl: string;
  readonly incarnation: string;
  readonly instances: readonly FormerInstance[];
}

export interface FormerInstance {
  readonly instance: string;
  readonly executor: string;
  readonly state: "ready";
  readonly cpuSec: null;
  readonly memoryBytes: null;
  readonly queuedCount: number;
  readonly inFlightCount: number;
}

export function formerRegistration(of: {
  readonly node: string;
  readonly incarnation: string;
  readonly artifactUrl: string;
  readonly instances: readonly FormerInstance[];
}): FormerRegistration {
  const host = { machineId: "m", bootId: "b", hostname: "h", cores: 2, memoryBytes: 2 ** 32 };
  const offer = { cpus: 2, memoryMib: 2_048 };
  return { ...of, host, offer, labels: {}, programs: {}, gpus: [] };
}

export function formerInstance(instance: string, executor: string): FormerInstance {
  const counts = { queuedCount: 0, inFlightCount: 0 };
  return { instance, executor, state: "ready", cpuSec: null, memoryBytes: null, ...counts };
}

/** Of the one attempt per item that the former version made. */
export function formerAttempt(of: { jobId: string; step: string; value: unknown }) {
  const { jobId, step, value } = of;
  return {
    ...{ jobId, step, item: 0, attempt: 1, key: `${jobId}.${step}.0.1` },
    inputs: { value: { kind: "inline", value } },
    knobs: {},
    artifacts: [],
    remainingMs: 10_000,
  };
}

export const FORMER_MEASURE = {
  runMs: 1,
  cpuSec: null,
  memoryBytesMax: null,
  startedAtMs: 1,
  endedAtMs: 2,
} as const;

/** What the former version read from a message. It ignored other fields. */
export interface FormerReads {
  readonly registerReply: { readonly accepted: true; readonly programs: readonly string[] };
  readonly instanceStart: {
    readonly instance: string;
    readonly executor: { readonly id: string };
    readonly remainingMs: number;
  };
  readonly instanceStop: { readonly instance: string; readonly graceMs: number };
  readonly envelope: { readonly kind: string; readonly id: string; readonly payload: unknown };
  readonly attempt: {
    readonly jobId: string;
    readonly step: string;
    readonly item: number;
    readonly attempt: number;
    readonly key: string;
    readonly inputs: Readonly<Record<string, unknown>>;
    readonly knobs: Readonly<Record<string, unknown>>;
    readonly artifacts: readonly unknown[];
    readonly remainingMs: number;
  };
}

type Kind = "string" | "number" | "boolean" | "object";
type Kinds<T> = { readonly [K in keyof T]: Kind };

const KINDS: { readonly [K in keyof FormerReads]: Kinds<FormerReads[K]> } = {
  registerReply: { accepted: "boolean", programs: "object" },
  instanceStart: { instance: "string", executor: "object", remainingMs: "number" },
  instanceStop: { instance: "string", graceMs: "number" },
  envelope: { kind: "string", id: "string", payload: "object" },
  attempt: {
    jobId: "string",
    step: "string",
    item: "number",
    attempt: "number",
    key: "string",
    inputs: "object",
    knobs: "object",
    artifacts: "object",
    remainingMs: "number",
  },
};

/** Errors: any field that the former version needs and did not get. */
export function readAsFormer<K extends keyof FormerReads>(what: K, value: unknown): FormerReads[K] {
  const fields = value as Readonly<Record<string, unknown>>;
  for (const [name, kind] of Object.entries(KINDS[what])) {
    if (typeof fields[name] === kind && fields[name] !== null) continue;
    throw new Error(`${what} has no ${String(kind)} "${name}": ${JSON.stringify(value)}`);
  }
  return value as FormerReads[K];
}
