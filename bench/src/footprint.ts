/** What the product costs before it does anything: install, first sign of life, an agent at rest. */
import { execFile, spawn } from "node:child_process";
import { cp, lstat, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { assert } from "@murakkab/kit";
import { natsServerVersion, ROOT, withCluster } from "./demo-cluster.ts";
import { cpuSecOf, rssMbOf } from "./process-cost.ts";
import {
  type Bench,
  type BenchContext,
  bounded,
  describeMachine,
  type Figure,
  median,
  round,
} from "./report.ts";

const run = promisify(execFile);
/** Long enough for twenty samples of telemetry; short enough for a bench. */
const REST_MS = 20_000;
const FIRST_LINE_RUNS = 3;
const MIB = 1_048_576;

export const footprintBench: Bench = {
  method:
    "demo started and timed to its first line; agents of an idle cluster watched through /proc; a copy of the checkout installed in run-time mode into an empty package store",
  run: async (context) => {
    const figures: Figure[] = [await measureFirstLine(context)];
    const version = await withCluster(context, async (cluster) => {
      figures.push(...(await measureAgents(context)));
      return natsServerVersion(cluster);
    });
    figures.push(...(await measureInstall(context)));
    return {
      name: "footprint",
      machine: describeMachine(version),
      settings: { restSec: REST_MS / 1_000, agents: 2, firstLineRuns: FIRST_LINE_RUNS },
      figures,
    };
  },
};

async function measureFirstLine({ say }: BenchContext): Promise<Figure> {
  const times: number[] = [];
  for (let index = 0; index < FIRST_LINE_RUNS; index += 1) {
    const startedMs = performance.now();
    const demo = spawn(process.execPath, ["scripts/demo.mjs"], {
      cwd: ROOT,
      stdio: ["ignore", "pipe", "pipe"],
    });
    await new Promise<void>((resolve, reject) => {
      demo.stdout.once("data", () => resolve());
      demo.stderr.once("data", () => resolve());
      demo.once("exit", (code) =>
        reject(new Error(`the demo ended with code ${code} before its first line`)),
      );
    });
    times.push((performance.now() - startedMs) / 1_000);
    demo.removeAllListeners("exit");
    const gone = new Promise((resolve) => demo.once("exit", resolve));
    demo.kill("SIGINT");
    await gone;
    say(`first line after ${round(times.at(-1) ?? 0, 2)} s`);
  }
  return bounded(
    { key: "firstProgressSec", value: round(median(times), 2), unit: "s" },
    { atMost: 3 },
  );
}

async function measureAgents({ say }: BenchContext): Promise<Figure[]> {
  const pids = await agentPids();
  assert(pids.length === 2, `expected two agents below this process, found ${pids.length}`);
  // The start itself is no rest: wait until telemetry runs evenly.
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const before = await Promise.all(pids.map(cpuSecOf));
  const startedMs = performance.now();
  say(`watching agents ${pids.join(" and ")} at rest for ${REST_MS / 1_000} s`);
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  const wallSec = (performance.now() - startedMs) / 1_000;
  const after = await Promise.all(pids.map(cpuSecOf));
  const ratios = after.map((cpuSec, index) => (cpuSec - (before[index] ?? 0)) / wallSec);
  const rssMb = await Promise.all(pids.map(rssMbOf));
  return [
    bounded(
      {
        key: "agentCoreRatio",
        value: round(Math.max(...ratios), 4),
        unit: "cores",
        note: "the busier of two agents",
      },
      { atMost: 0.02 },
    ),
    bounded(
      { key: "agentRssMb", value: round(Math.max(...rssMb), 1), unit: "MB" },
      { atMost: 120 },
    ),
  ];
}

/** Agents below this process, by the program that they run. */
async function agentPids(): Promise<number[]> {
  const pids: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const commandLine = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    const stat = await readFile(`/proc/${name}/stat`, "utf8").catch(() => "");
    const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    if (commandLine.includes("node-agent/dist/main.js") && parent === process.pid)
      pids.push(Number(name));
  }
  return pids;
}

async function measureInstall({ say }: BenchContext): Promise<Figure[]> {
  const directory = await mkdtemp(join(tmpdir(), "murakkab-footprint-"));
  try {
    const { stdout } = await run("git", ["ls-files", "-z"], { cwd: ROOT, maxBuffer: 16 * MIB });
    for (const file of stdout.split("\0").filter((name) => name !== "")) {
      await cp(join(ROOT, file), join(directory, file), { recursive: true });
    }
    say("installing a copy in run-time mode into an empty package store");
    const startedMs = performance.now();
    const store = join(directory, ".store");
    await run(process.execPath, [join(directory, "scripts/bootstrap.mjs"), "runtime"], {
      cwd: directory,
      env: { ...process.env, npm_config_store_dir: store },
      maxBuffer: 16 * MIB,
    });
    const installSec = (performance.now() - startedMs) / 1_000;
    const bytes = await bytesOf(join(directory, "node_modules"));
    return [
      bounded(
        {
          key: "installMb",
          value: round(bytes / 1_000_000, 1),
          unit: "MB",
          note: "run-time packages and compiler, unpacked",
        },
        { atMost: 150 },
      ),
      bounded(
        {
          key: "installSec",
          value: round(installSec, 1),
          unit: "s",
          note: "with the build; system programs present",
        },
        { atMost: 180 },
      ),
    ];
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function bytesOf(path: string): Promise<number> {
  const entry = await lstat(path);
  if (!entry.isDirectory()) return entry.isSymbolicLink() ? 0 : entry.size;
  const sizes = await Promise.all((await readdir(path)).map((name) => bytesOf(join(path, name))));
  return sizes.reduce((sum, size) => sum + size, 0);
}
