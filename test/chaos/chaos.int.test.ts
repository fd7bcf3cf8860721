/**
 * Goal: `murakkab chaos` as a user runs it: real processes are lost by seeds, no promise is broken,
 * and nothing stays behind, not even after Ctrl-C.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { waitFor } from "@murakkab/testkit";
import { describe, expect, test } from "vitest";

const MAIN = fileURLToPath(new URL("../../packages/cli/dist/main.js", import.meta.url));
const RUN_MS_MAX = 120_000;

interface Run {
  readonly child: ChildProcess;
  readonly id: string;
  readonly stdout: string[];
  readonly timeline: string[];
  readonly ended: Promise<number | null>;
}

function startChaos(...args: readonly string[]): Run {
  const id = randomUUID();
  const child = spawn(process.execPath, [MAIN, "chaos", ...args], {
    // Inherited by every process of the cluster.
    env: { ...process.env, CHAOS_TEST_ID: id },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const stdout: string[] = [];
  const timeline: string[] = [];
  if (child.stdout !== null) createInterface(child.stdout).on("line", (it) => stdout.push(it));
  if (child.stderr !== null) createInterface(child.stderr).on("line", (it) => timeline.push(it));
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  return { child, id, stdout, timeline, ended };
}

/** Processes that carry the run's id. */
async function survivors(id: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
    if (environment.includes(`CHAOS_TEST_ID=${id}`)) {
      found.push(await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => pid));
    }
  }
  return found;
}

async function expectNoViolation(...args: readonly string[]): Promise<void> {
  const run = startChaos(...args, "--json");
  const exitCode = await run.ended;
  const result = JSON.parse(run.stdout.at(-1) ?? "null") as Record<string, unknown>;
  // The timeline says how the violation came about.
  const told = run.timeline.join("\n");
  expect(result, told).toMatchObject({
    ...{ lost: 0, duplicatedTerminal: 0, duplicatedEffects: 0, violations: [] },
  });
  expect(exitCode, told).toBe(0);
  expect(Object.keys(result)).toEqual([
    ...["seed", "forSec", "faults", "byKind", "jobs", "lost"],
    ...["duplicatedTerminal", "duplicatedEffects", "violations"],
  ]);
  expect(result["faults"]).toBeGreaterThan(0);
  expect(result["jobs"]).toBeGreaterThan(0);
  expect(await survivors(run.id)).toEqual([]);
}

/** Few and short: long runs with many seeds are for a person, or a night. */
const RUNS: readonly (readonly [seed: string, forTime: string, kinds: string])[] = [
  ["1", "4s", "worker"],
  ["2", "5s", "worker,agent,scheduler,nats,disk"],
  ["3", "6s", "worker,pause"],
];

describe("chaos", () => {
  test.each(RUNS)("seed %s for %s: %s", { timeout: RUN_MS_MAX }, (seed, forTime, kinds) =>
    expectNoViolation("--seed", seed, "--for", forTime, "--kill", kinds),
  );

  test("Ctrl-C ends everything at once", { timeout: RUN_MS_MAX }, async () => {
    const run = startChaos("--for", "60s", "--kill", "worker,agent,pause");
    await waitFor(() => run.stdout.some((line) => line.includes("✗")), {
      what: "the first fault",
      timeoutMs: 30_000,
    });
    run.child.kill("SIGINT");
    expect(await run.ended).toBe(130);
    expect(await survivors(run.id)).toEqual([]);
  });
});
