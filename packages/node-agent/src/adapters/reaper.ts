/**
 * Ends everything that a worker had started, after the worker itself is gone.
 *
 * Owns:      finding what is left of an instance: the groups that the worker wrote down with the
 *            start time of each, and on Linux every process whose environment names the instance.
 * Does not:  end the worker (child-processes.ts) or decide when.
 *
 * Invariants:
 *   K1. A stranger is never ended, whatever number it has been given: not a process that names
 *       another instance, nor one in a group whose leader did not start when the record says, nor,
 *       when the worker's end was not witnessed, one in a group whose leader is gone.
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
  /**
   * This agent saw the worker's end just now: no number of its groups can have been given away.
   * Numbers without a start time are trusted only then.
   */
  readonly isWitnessed: boolean;
}

/** The caller bounds the time, and may end the looking by the signal. */
export async function reap(target: ReapTarget, signal?: AbortSignal): Promise<void> {
  while (signal?.aborted !== true) {
    const left = isLinux ? killProcesses(target) : killGroups(target);
    if (left === 0) return;
    await pause(LOOK_INTERVAL_MS);
  }
}

/** What is left and was just killed, for tests and for `recover`. */
export function processesOf(target: ReapTarget): number[] {
  const groups = groupsOf(target);
  return allPids().filter((pid) => pid !== process.pid && belongs(pid, target, groups));
}

/** Group number to when its leader started; null where that was not written down. */
type Groups = ReadonlyMap<number, number | null>;

function belongs(pid: number, target: ReapTarget, groups: Groups): boolean {
  const stat = readStat(pid);
  if (stat === null || stat.isZombie) return false;
  const named = instanceOf(pid);
  if (named !== null) return named === target.instance; // K1
  const leaderTicks = groups.get(stat.groupId);
  if (leaderTicks === undefined || target.startTicks === null) return false;
  const leader = readStat(stat.groupId);
  if (leader !== null && leaderTicks !== null) return leader.startTicks === leaderTicks; // K1
  return target.isWitnessed && stat.startTicks >= (leaderTicks ?? target.startTicks); // K1
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
  // No start time and no names here: only what this agent saw end can be told.
  if (!target.isWitnessed) return 0;
  return [...groupsOf(target).keys()].filter((group) => sendSignal(-group, "SIGKILL")).length;
}

function groupsOf(target: ReapTarget): Groups {
  let text = "";
  try {
    text = readFileSync(join(target.scratchDir, PROCESS_GROUPS_FILE), "utf8");
  } catch {
    // No command was ever started.
  }
  const groups = new Map<number, number | null>();
  for (const line of text.split("\n")) {
    const [group = 0, ticks] = line.split(" ").map(Number);
    if (Number.isSafeInteger(group) && group > 1) groups.set(group, ticks ?? null);
  }
  if (target.groupId !== null) groups.set(target.groupId, target.startTicks);
  return groups;
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
