/**
 * One agent per data directory: two would remove each other's scratch files and evict each
 * other's artifacts. The lock is a file with the holder's pid and start time.
 */
import { closeSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { TerminalError } from "@murakkab/kit";
import { isLinux, readStat } from "./proc.ts";
import { sendSignal } from "./reaper.ts";

/** Returns what releases it. Errors: `DATA_IN_USE` naming the holder. */
export function lockDataDir(dir: string): () => void {
  const path = join(dir, "agent.lock");
  const holder = `${process.pid} ${startOf(process.pid)}`;
  for (let tries = 0; tries < 2; tries += 1) {
    try {
      const file = openSync(path, "wx", 0o600);
      writeSync(file, holder);
      closeSync(file);
      return () => rmSync(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
    const [pid, startTicks] = readHolder(path);
    if (isAlive(pid, startTicks)) {
      throw new TerminalError(
        "DATA_IN_USE",
        `data directory ${dir} is in use by the agent with pid ${pid}, expected one of its own`,
      );
    }
    rmSync(path, { force: true }); // of an agent that was killed
  }
  throw new TerminalError("DATA_IN_USE", `data directory ${dir} is being taken by another agent`);
}

function readHolder(path: string): [number, string] {
  try {
    const [pid, startTicks] = readFileSync(path, "utf8").split(" ");
    return [Number(pid), startTicks ?? ""];
  } catch {
    return [0, ""]; // released meanwhile
  }
}

/** The start time tells a holder from a stranger that got its pid. */
function isAlive(pid: number, startTicks: string): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  return isLinux ? startOf(pid) === startTicks : sendSignal(pid, 0);
}

function startOf(pid: number): string {
  return isLinux ? String(readStat(pid)?.startTicks ?? "") : "";
}
