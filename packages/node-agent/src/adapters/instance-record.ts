/**
 * What an agent writes down of an instance, for the next one should this one be killed: which
 * process it is and what it runs.
 *
 * Owns:      the record's form, and whether the process that it names is still that process.
 * Does not:  end or adopt anything (child-processes.ts).
 *
 * Invariants:
 *   E1. A process is the recorded one only with the same pid, start time and boot, and while its
 *       environment, where it can be read, names the instance: a pid alone names nobody for long.
 *
 * Not forced to the disk: a crash of the host leaves no process that the record could name.
 */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { canonicalJson, sha256Hex } from "@murakkab/kit";
import type { ExecutorEntry } from "@murakkab/model";
import { INSTANCE_VARIABLE } from "@murakkab/protocol";
import { bootId, environmentOf, readStat } from "./proc.ts";

/** In the scratch directory, beside what the worker writes there. */
const RECORD_FILE = "instance.json";
/** Raised when the record's meaning changes: an agent does not guess at another version's. */
const RECORD_FORMAT = 1;

export interface InstanceRecord {
  readonly format: number;
  readonly bootId: string;
  readonly pid: number;
  readonly startTicks: number;
  readonly instance: string;
  readonly executor: ExecutorEntry;
  /** Hash of the entry that the worker was started with. */
  readonly executorHash: string;
  /** Its actor answers: only such a worker is worth adopting. */
  readonly isReady: boolean;
}

export type Found =
  | { readonly kind: "unreadable"; readonly reason: string }
  /** The worker is gone, or what has its pid now is another process. */
  | { readonly kind: "gone"; readonly startTicks: number | null }
  | { readonly kind: "alive"; readonly record: InstanceRecord };

/** Null where the host does not tell who a process is: then it can be neither told nor adopted. */
export function recordOf(parts: {
  readonly pid: number;
  readonly instance: string;
  readonly executor: ExecutorEntry;
}): InstanceRecord | null {
  const boot = bootId();
  const startTicks = readStat(parts.pid)?.startTicks;
  if (boot === null || startTicks === undefined) return null;
  const executorHash = hashOf(parts.executor);
  return {
    format: RECORD_FORMAT,
    bootId: boot,
    startTicks,
    ...parts,
    executorHash,
    isReady: false,
  };
}

export function writeRecord(scratchDir: string, record: InstanceRecord): void {
  const path = join(scratchDir, RECORD_FILE);
  const temporary = `${path}.tmp`;
  writeFileSync(temporary, JSON.stringify(record), { mode: 0o600 });
  renameSync(temporary, path);
}

/** E1. */
export function findRecorded(scratchDir: string, instance: string): Found {
  let record: InstanceRecord;
  try {
    record = JSON.parse(readFileSync(join(scratchDir, RECORD_FILE), "utf8")) as InstanceRecord;
  } catch (error) {
    return { kind: "unreadable", reason: error instanceof Error ? error.message : String(error) };
  }
  const problem = problemOf(record, instance);
  if (problem !== null) return { kind: "unreadable", reason: problem };
  if (record.bootId !== bootId()) return { kind: "gone", startTicks: null };
  const { pid, startTicks } = record;
  const isSame = isRunning(pid, startTicks) && !namesAnother(pid, instance);
  return isSame ? { kind: "alive", record } : { kind: "gone", startTicks };
}

export function isRunning(pid: number, startTicks: number): boolean {
  const stat = readStat(pid);
  return stat !== null && !stat.isZombie && stat.startTicks === startTicks;
}

function problemOf(record: InstanceRecord, instance: string): string | null {
  const numbers = [record.pid, record.startTicks];
  if (record.format !== RECORD_FORMAT) return "the record is of another version";
  if (!numbers.every((it) => Number.isSafeInteger(it) && it > 0))
    return "the record names no process";
  if (record.instance !== instance) return "the record is of another instance";
  if (hashOf(record.executor) !== record.executorHash) return "the executor's entry was changed";
  return null;
}

function namesAnother(pid: number, instance: string): boolean {
  const environment = environmentOf(pid);
  return (
    environment !== null && !environment.split("\0").includes(`${INSTANCE_VARIABLE}=${instance}`)
  );
}

function hashOf(executor: ExecutorEntry): string {
  return sha256Hex(canonicalJson(executor));
}
