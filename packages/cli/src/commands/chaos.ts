/**
 * `murakkab chaos`: a cluster of its own on this host, under load, broken on purpose, and checked.
 *
 * Owns:      flags, the timeline and the summary, the exit code, that nothing stays behind.
 * Does not:  decide what breaks when or what counts as wrong (packages/chaos).
 */
import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { connectNats, SYSTEM_CLOCK } from "@murakkab/bus/nats";
import {
  type ChaosOptions,
  type ChaosOutcome,
  FAULT_KINDS,
  type FaultKind,
  runChaos,
  type TimelineLine,
  writeLoadLibrary,
} from "@murakkab/chaos";
import { BreakableCluster } from "../cluster/breakable-cluster.ts";
import { AGENT_COUNT_MAX } from "../cluster/share-host.ts";
import type { CommonOptions, Context } from "../context.ts";
import { EXIT, orInterrupted, printJson, printLines, UsageError } from "../context.ts";
import { parseCount, parseDurationMs } from "../parse-options.ts";
import { formatDuration } from "../render/units.ts";

export interface ChaosFlags extends CommonOptions {
  readonly seed?: string;
  readonly for?: string;
  readonly kill?: string;
  readonly jobsInFlight?: string;
  readonly schedulers?: string;
  readonly agents?: string;
  readonly data?: string;
  readonly log?: string;
}

export interface ChaosSettings {
  readonly seed: number;
  readonly forMs: number;
  readonly kinds: readonly FaultKind[];
  readonly jobsInFlight: number;
  readonly schedulerCount: number;
  readonly agentCount: number;
}

/** Longer runs are several runs with several seeds: a record is kept in memory. */
const FOR_MS_MAX = 3_600_000;
/** Below, no fault of every kind finds a place. */
const FOR_MS_MIN = 1_000;
const JOBS_IN_FLIGHT_MAX = 1_000;
/** More processes than this on one host test the host. */
const SCHEDULERS_MAX = 8;
const SEED_MAX = Number.MAX_SAFE_INTEGER;
const CHAOS_DEFAULTS = { for: "60s", jobsInFlight: "16", schedulers: "2", agents: "2" } as const;
/** Violations that are printed one by one; a broken run repeats itself. */
const VIOLATIONS_SHOWN = 20;

/** Errors: UsageError naming flag, value and expectation. */
export function chaosSettings(flags: ChaosFlags, randomSeed: () => number): ChaosSettings {
  const { for: forText, jobsInFlight, schedulers, agents } = { ...CHAOS_DEFAULTS, ...flags };
  const forMs = parseDurationMs("for", forText);
  if (forMs < FOR_MS_MIN || forMs > FOR_MS_MAX) {
    refuse("for", forText, "a time from 1s to 1h");
  }
  return {
    seed: flags.seed === undefined ? randomSeed() : parseSeed(flags.seed),
    forMs,
    kinds: flags.kill === undefined ? FAULT_KINDS : parseKinds(flags.kill),
    jobsInFlight: parseCount("jobs-in-flight", jobsInFlight, JOBS_IN_FLIGHT_MAX),
    schedulerCount: parseCount("schedulers", schedulers, SCHEDULERS_MAX),
    agentCount: parseCount("agents", agents, AGENT_COUNT_MAX),
  };
}

function parseSeed(text: string): number {
  const seed = Number(text);
  if (/^\d+$/.test(text) && seed <= SEED_MAX) return seed;
  return refuse("seed", text, `a whole number from 0 to ${SEED_MAX}`);
}

function parseKinds(text: string): readonly FaultKind[] {
  const wanted = text.split(",").map((name) => name.trim());
  const unknown = wanted.find((name) => !FAULT_KINDS.some((kind) => kind === name));
  if (unknown !== undefined) {
    refuse("kill", text, `a list of ${FAULT_KINDS.join(", ")}`);
  }
  // In the order of the table, each once: the seed's plan does not depend on how it was typed.
  return FAULT_KINDS.filter((kind) => wanted.includes(kind));
}

function refuse(option: string, value: string, expected: string): never {
  throw new UsageError(`--${option} is "${value}", expected ${expected}`, { field: option });
}

export async function chaos(context: Context, flags: ChaosFlags): Promise<number> {
  const settings = chaosSettings(flags, () => Math.floor(Math.random() * 1_000_000));
  const isJson = flags.json === true;
  const out = isJson ? context.stderr : context.stdout;
  const log = flags.log === undefined ? null : openLog(flags.log);
  const tell = (line: TimelineLine): void => {
    out.write(`${formatLine(line)}\n`);
    log?.write(`${JSON.stringify(line)}\n`);
  };
  try {
    const outcome = await runOnCluster(context, flags, settings, tell);
    const { result } = outcome;
    log?.write(`${JSON.stringify({ what: "result", ...result })}\n`);
    for (const job of outcome.record.jobs) {
      log?.write(`${JSON.stringify({ what: "job", ...job })}\n`);
    }
    printLines(out, summary(outcome));
    if (isJson) printJson(context.stdout, result);
    return result.violations.length === 0 && result.lost === 0 ? EXIT.ok : EXIT.failed;
  } finally {
    await new Promise<void>((resolve) => (log === null ? resolve() : log.end(resolve)));
  }
}

function openLog(file: string): ReturnType<typeof createWriteStream> {
  const log = createWriteStream(file);
  // Told once: a full disk must not end the run that it was to describe.
  log.once("error", (error) => process.stderr.write(`--log ${file}: ${error.message}\n`));
  log.on("error", () => undefined);
  return log;
}

async function runOnCluster(
  context: Context,
  flags: ChaosFlags,
  settings: ChaosSettings,
  tell: ChaosOptions["tell"],
): Promise<ChaosOutcome> {
  const { env, signal } = context;
  const startedAtMs = performance.now();
  let effectsFile = "";
  const cluster = await BreakableCluster.start({
    ...settings,
    ...(flags.data === undefined ? {} : { dataDir: flags.data }),
    prepareLibrary: (dataDir) => {
      effectsFile = join(dataDir, `effects-${settings.seed}.txt`);
      const directory = join(dataDir, "library");
      writeLoadLibrary({ directory, effectsFile });
      return directory;
    },
    ...{ env, signal },
    onProgress: (text) =>
      tell({ atMs: Math.round(performance.now() - startedAtMs), what: "phase", text }),
  });
  try {
    const servers = cluster.natsUrl;
    const [clientBus, observerBus] = await Promise.all([
      connectNats({ servers, name: "murakkab-chaos-clients" }),
      connectNats({ servers, name: "murakkab-chaos-observer" }),
    ]);
    try {
      const components = { cluster, clock: SYSTEM_CLOCK, clientBus, observerBus };
      const run = runChaos(components, { ...settings, effectsFile, signal, tell });
      return await orInterrupted(run, signal);
    } finally {
      await Promise.all([clientBus.close(), observerBus.close()]);
    }
  } finally {
    await cluster.stop();
  }
}

function formatLine(line: TimelineLine): string {
  const at = formatDuration(line.atMs).padStart(8);
  if (line.what === "phase") return `${at}  ${line.text}`;
  const mark = { injected: "✗", mended: "✓", skipped: "-", "restart-failed": "!" }[line.phase];
  return `${at}  ${mark} ${String(line.number).padStart(2)} ${line.kind.padEnd(9)}  ${line.text}`;
}

function summary({ result, byState, refusals }: ChaosOutcome): readonly string[] {
  const kinds = Object.entries(result.byKind).map(([kind, count]) => `${count} ${kind}`);
  const states = Object.entries(byState).map(([state, count]) => `${count} ${state}`);
  const { violations } = result;
  return [
    "",
    `seed        ${result.seed}: --seed ${result.seed} repeats these faults (the timing of real processes still varies)`,
    `faults      ${result.faults} (${kinds.join(", ")})`,
    `jobs        ${result.jobs} accepted: ${states.join(", ") || "none ended"}`,
    `lost        ${result.lost}`,
    `duplicated  ${result.duplicatedTerminal} terminal states, ${result.duplicatedEffects} effects`,
    ...refusals.map((text) => `refused     ${text}`),
    `violations  ${violations.length}${violations.length === 0 ? " of 8 invariants (docs/invariants.md)" : ""}`,
    ...violations
      .slice(0, VIOLATIONS_SHOWN)
      .map(({ invariant, atMs, detail }) => `  ${invariant} at ${atMs} ms: ${detail}`),
    ...(violations.length > VIOLATIONS_SHOWN
      ? [`  and ${violations.length - VIOLATIONS_SHOWN} more`]
      : []),
  ];
}
