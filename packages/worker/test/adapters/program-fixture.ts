/** A program runner with a scratch directory of its own, and a look at what it left behind. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { expect, onTestFinished } from "vitest";
import { GroupLedger } from "../../src/adapters/group-ledger.ts";
import { type ProgramRequest, ProgramRunner } from "../../src/adapters/program.ts";

const POLL_INTERVAL_MS = 5;
/** Generous: the suite shares its cores with others. */
const CONDITION_DEADLINE_MS = 20_000;

export function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), "mk-worker-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export function programFixture(env: Readonly<Record<string, string>> = {}) {
  const dir = tempDir();
  const ledger = new GroupLedger(dir);
  const runner = new ProgramRunner(
    { ledger },
    { instance: "i-1", env: { PATH: process.env["PATH"], ...env } },
  );
  const controller = new AbortController();
  onTestFinished(() => {
    expect(ledger.active).toEqual([]);
    expect(readFileSync(join(dir, "pgids"), "utf8")).toBe("");
    ledger.close();
  });
  const run = (program: string, args: readonly string[], options: Partial<ProgramRequest> = {}) =>
    runner.run({ program, args, cwd: dir, signal: controller.signal, ...options });
  const runNode = (code: string, options: Partial<ProgramRequest> = {}) =>
    run(process.execPath, ["-e", code], options);
  return { dir, ledger, runner, controller, run, runNode };
}

/** Living processes of a group; zombies count as gone. */
export function groupMembers(pgid: number): number[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const [state, , group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return Number(group) === pgid && state !== "Z" && state !== "X";
    } catch {
      return false;
    }
  });
}

/** Waits for a condition with a deadline. */
export async function until(condition: () => boolean): Promise<void> {
  const endsAt = performance.now() + CONDITION_DEADLINE_MS;
  while (!condition()) {
    if (performance.now() > endsAt) throw new Error(`not true in time: ${condition.toString()}`);
    await wait(POLL_INTERVAL_MS);
  }
}
