/**
 * Ends everything that a worker had started, after the worker itself is gone.
 *
 * Owns:      finding what is left of an instance: the groups that the worker wrote down, and on
 *            Linux every process whose environment names the instance.
 * Does not:  end the worker (child-processes.ts) or decide when.
 *
 * Invariants:
 *   K1. A process that names another instance is never ended, nor one that started before this
 *       instance: a group's number may have been given to a stranger meanwhile.
 *   K2. `reap` resolves only when nothing of the instance is left, zombies aside.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { INSTANCE_VARIABLE, PROCESS_GROUPS_FILE } from "@murakkab/protocol";
import { allPids, environmentOf, isLinux, readStat } from "./proc.ts";

/** Between two looks at what is left, ms: a killed process is usually gone within a few. */
const LOOK_INTERVAL_MS = 10;

export interface ReapTarget {
  readonly instance: string;
  readonly scratchDir: string;
  /** The worker's own group. */
  readonly groupId: number | null;
  /** When the worker started, ticks since boot; null = trust no group number, only names. */
  readonly startTicks: number | null;
}

/** The caller bounds the time. */
export async function reap(target: ReapTarget): Promise<void> {
  for (;;) {
    const left = isLinux ? killProcesses(target) : killGroups(target);
    if (left === 0) return;
    await pause(LOOK_INTERVAL_MS);
  }
}

/** What is left and was just killed, for tests and for `recover`. */
export function processesOf(target: ReapTarget): number[] {
  const groups = new Set(groupIds(target));
  return allPids().filter((pid) => pid !== process.pid && belongs(pid, target, groups));
}

function belongs(pid: number, target: ReapTarget, groups: ReadonlySet<number>): boolean {
  const stat = readStat(pid);
  if (stat === null || stat.isZombie) return false;
  const named = instanceOf(pid);
  if (named !== null) return named === target.instance; // K1
  if (target.startTicks === null || !groups.has(stat.groupId)) return false;
  return stat.startTicks >= target.startTicks; // K1
}

function instanceOf(pid: number): string | null {
  const prefix = `${INSTANCE_VARIABLE}=`;
  const entry = environmentOf(pid)
    ?.split("\0")
    .find((variable) => variable.startsWith(prefix));
  return entry === undefined ? null : entry.slice(prefix.length);
}

function killProcesses(target: ReapTarget): number {
  const pids = processesOf(target);
  for (const pid of pids) sendSignal(pid, "SIGKILL");
  return pids.length;
}

function killGroups(target: ReapTarget): number {
  if (target.startTicks === null && target.groupId === null) return 0;
  return groupIds(target).filter((group) => sendSignal(-group, "SIGKILL")).length;
}

function groupIds(target: ReapTarget): number[] {
  let text = "";
  try {
    text = readFileSync(join(target.scratchDir, PROCESS_GROUPS_FILE), "utf8");
  } catch {
    // No command was ever started.
  }
  const groups = text
    .split("\n")
    .map(Number)
    .filter((group) => Number.isSafeInteger(group) && group > 1);
  return target.groupId === null ? groups : [...groups, target.groupId];
}

/** False when there is nobody to get it. A negative number is a process group. */
export function sendSignal(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}
