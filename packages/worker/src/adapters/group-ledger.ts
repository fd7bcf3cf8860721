/**
 * The list of process groups that an instance has started, on disk: `<scratch>/pgids`, one per line
 * with its number and its leader's start time, which a stranger with that number does not share.
 * Whoever cleans up after a killed instance ends the groups that are named there.
 *
 * Invariants:
 *   G1. A group is written right after its start, in the same turn of the event loop.
 *   G2. The file is empty while nothing runs, so that it stays short and names no reused id.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { PROCESS_GROUPS_FILE } from "@murakkab/protocol";
import { readStartTicks } from "./process-tree.ts";

export class GroupLedger {
  private readonly file: number;
  private readonly groups = new Set<number>();

  constructor(instanceScratchDir: string) {
    mkdirSync(instanceScratchDir, { recursive: true });
    this.file = openSync(join(instanceScratchDir, PROCESS_GROUPS_FILE), "a", 0o600);
  }

  get active(): readonly number[] {
    return [...this.groups];
  }

  /** G1. */
  add(pgid: number): void {
    this.groups.add(pgid);
    const startTicks = readStartTicks(pgid);
    writeSync(this.file, startTicks === null ? `${pgid}\n` : `${pgid} ${startTicks}\n`);
  }

  /** G2. */
  remove(pgid: number): void {
    this.groups.delete(pgid);
    if (this.groups.size === 0) ftruncateSync(this.file, 0);
  }

  close(): void {
    closeSync(this.file);
  }
}

/** Sends a signal to a whole group. A group that is gone is no error. */
export function signalGroup(pgid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pgid, signal);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // EPERM: what is left of the group belongs to someone else (a set-uid program).
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}
