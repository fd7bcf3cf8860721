/**
 * Goal: what an agent runs outlives the agent, the bus, and both, with one effect and one result.
 * Method: real agent and worker processes on a real nats-server; the test is leader and scheduler.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ActorSystem } from "@murakkab/actor";
import { serve } from "@murakkab/bus";
import { SYSTEM_CLOCK } from "@murakkab/bus/nats";
import { SILENT_LOGGER, seededRandom } from "@murakkab/kit";
import type { ExecutorEntry } from "@murakkab/model";
import type { AttemptReply, AttemptResult } from "@murakkab/protocol";
import { attemptResultSchema, subjects } from "@murakkab/protocol";
import { beforeAll, describe, expect, it } from "vitest";
import { isLinux, readStat } from "../src/adapters/proc.ts";
import { processesOf } from "../src/adapters/reaper.ts";
import { executorOf } from "./fakes/fleet-of-one.ts";
import { busOf, launchAgent } from "./fixtures/agent-process.ts";
import { temporaryDir, until } from "./fixtures/temporary.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const WORKER_MAIN = join(root, "packages/worker/dist/main.js");
/** Of an ask whose answer is lost: long enough for the attempt, short for a test. */
const ASK_MS = 6_000;
let count = 0;

beforeAll(() => {
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  spawnSync(process.execPath, [tsc, "-b"], { cwd: root });
  if (!existsSync(WORKER_MAIN)) throw new Error(`${WORKER_MAIN} is missing, expected "tsc -b"`);
});

/** Appends a line to `effects`, works for a second, and ends as told. */
function shell(end: string): Partial<ExecutorEntry> {
  const script = `echo effect >> "$0"; sleep 1; ${end}`;
  return {
    inputs: { effects: { type: "text" } },
    outputs: { result: { type: "file" } },
    engine: {
      kind: "command",
      program: "sh",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: holes of the catalogue's format
      args: ["-c", script, "${input.effects}", "${output.result}"],
      files: { result: { name: "result.txt", mediaType: "text/plain" } },
    },
    programs: ["sh"],
  };
}

async function fixture(args: readonly string[] = []) {
  const dir = temporaryDir();
  const bus = await busOf(dir);
  const env = { MURAKKAB_WORKER_MAIN: WORKER_MAIN };
  const launch = async () => {
    const agent = launchAgent(dir, ["--nats", bus.server.url, ...args], env);
    await until("ready line", () => agent.lines.length > 0, 20_000);
    return agent;
  };
  const actors = new ActorSystem({
    messaging: bus.bus.messaging,
    clock: SYSTEM_CLOCK,
    random: seededRandom(1),
    log: SILENT_LOGGER,
  });
  count += 1;
  const instance = `outlive-${process.pid}-${count}`;
  const effects = join(dir, "effects");
  const start = (executor: Partial<ExecutorEntry>) =>
    bus.ask(subjects.instanceStart("n1"), {
      instance,
      executor: executorOf(executor),
      remainingMs: 20_000,
    });
  const ask = (attempt = 1, deadlineMs = 30_000) =>
    actors.ask(
      { type: "worker", key: instance },
      {
        ...{ jobId: "j", step: "s", item: 0, attempt, key: "j.s.0.abc", knobs: {}, artifacts: [] },
        inputs: { effects: { kind: "inline", value: effects } },
        remainingMs: deadlineMs,
      },
      { deadlineMs },
    ) as Promise<AttemptReply>;
  const effectCount = (): number =>
    existsSync(effects) ? readFileSync(effects, "utf8").trim().split("\n").length : 0;
  const scratchDir = join(dir, "data/instances", instance);
  const workerPid = (): number =>
    (JSON.parse(readFileSync(join(scratchDir, "instance.json"), "utf8")) as { pid: number }).pid;
  const target = { instance, scratchDir, groupId: null, startTicks: null, isWitnessed: true };
  const left = (): number[] => processesOf(target);
  const spool = (): string[] =>
    existsSync(join(dir, "data/spool")) ? readdirSync(join(dir, "data/spool")) : [];
  return {
    ...bus,
    request: bus.ask,
    dir,
    instance,
    launch,
    start,
    ask,
    effectCount,
    workerPid,
    left,
    spool,
  };
}

const isAlive = (pid: number): boolean => readStat(pid)?.isZombie === false;

describe.runIf(isLinux)("kill -9 of the agent in mid-attempt", () => {
  it("the worker goes on, the next agent adopts it, the attempt has one effect and a result", async () => {
    const cluster = await fixture(["--cpus", "1"]);
    const first = await cluster.launch();
    await cluster.start(shell('cp "$0" "$1"'));
    const pid = cluster.workerPid();
    const reply = cluster.ask();
    await until("the attempt runs", () => cluster.effectCount() === 1);
    first.child.kill("SIGKILL");
    await first.exitCode;
    expect(isAlive(pid)).toBe(true);
    const second = await cluster.launch();
    expect(cluster.workerPid()).toBe(pid);
    const [before, after] = [cluster.registrations[0], cluster.registrations.at(-1)];
    expect(after?.incarnation).not.toBe(before?.incarnation);
    expect(after?.instances).toMatchObject([{ instance: cluster.instance }]);
    expect(await reply).toMatchObject({ outputs: { result: { kind: "inline" } } });
    expect(cluster.effectCount()).toBe(1);
    expect(await cluster.ask(2)).toEqual(await reply); // a repeat after all that is no second run
    expect(cluster.effectCount()).toBe(1);
    // The node's only core is free again: the new agent was told of the hold and of its release.
    const acquire = { instance: cluster.instance, attempt: "x", cores: 1, remainingMs: 5_000 };
    expect(await cluster.request(subjects.coresAcquire("n1"), acquire)).toEqual({ ok: true });
    second.child.kill("SIGTERM");
    expect(await second.exitCode).toBe(0);
    expect(isAlive(pid)).toBe(false);
    expect(readdirSync(join(cluster.dir, "data/instances"))).toEqual([]);
  });

  it("an adopted worker can be stopped, and its end is told within the second", async () => {
    const cluster = await fixture();
    const first = await cluster.launch();
    await cluster.start(shell("true"));
    first.child.kill("SIGKILL");
    await first.exitCode;
    const second = await cluster.launch();
    const pid = cluster.workerPid();
    const stop = { instance: cluster.instance, graceMs: 2_000 };
    expect(await cluster.request(subjects.instanceStop("n1"), stop)).toEqual({ ok: true });
    expect(isAlive(pid)).toBe(false);
    expect(
      cluster.heard.find(({ subject }) => subject === subjects.instanceExited("n1")),
    ).toMatchObject({
      value: { instance: cluster.instance, reason: "stopped", wasExpected: true },
    });
    second.child.kill("SIGTERM");
    await second.exitCode;
  });

  it("a worker that died meanwhile leaves nothing: its program is ended by the next agent", async () => {
    const cluster = await fixture();
    const first = await cluster.launch();
    await cluster.start(shell("sleep 1000"));
    const lost = cluster.ask(1, 3_000).catch(() => undefined);
    await until("the attempt runs", () => cluster.effectCount() === 1);
    first.child.kill("SIGKILL");
    await first.exitCode;
    process.kill(cluster.workerPid(), "SIGKILL");
    await until("the worker is gone", () => !isAlive(cluster.workerPid()));
    expect(cluster.left().length).toBeGreaterThan(0);
    const second = await cluster.launch();
    expect(cluster.left()).toEqual([]);
    expect(readdirSync(join(cluster.dir, "data/instances"))).toEqual([]);
    expect(cluster.registrations.at(-1)?.instances).toEqual([]);
    second.child.kill("SIGTERM");
    await second.exitCode;
    await lost;
  });

  it("with neither agent nor bus the worker ends itself after its limit", async () => {
    const cluster = await fixture(["--orphan-limit", "1"]);
    const agent = await cluster.launch();
    await cluster.start(shell("true"));
    const pid = cluster.workerPid();
    agent.child.kill("SIGKILL");
    await agent.exitCode;
    expect(isAlive(pid)).toBe(true);
    await cluster.server.stop();
    await until("the worker is gone", () => !isAlive(pid), 10_000);
  });
});

describe.runIf(isLinux)("kill -9 of the bus in mid-attempt", () => {
  it("the result waits on the disk, outlives worker and agent, and is delivered once", async () => {
    const cluster = await fixture();
    const first = await cluster.launch();
    await cluster.start(shell("exit 3"));
    const pid = cluster.workerPid();
    const lost = cluster.ask(1, ASK_MS).catch((error: unknown) => error);
    await until("the attempt runs", () => cluster.effectCount() === 1);
    process.kill(cluster.server.pid, "SIGKILL");
    await until("the result is on the disk", () => cluster.spool().length === 1);
    first.child.kill("SIGKILL");
    await first.exitCode;
    process.kill(pid, "SIGKILL");
    const results: AttemptResult[] = [];
    await cluster.server.restart({ isKill: true });
    serve(
      cluster.bus.messaging,
      {
        subject: subjects.attemptResult,
        schema: attemptResultSchema,
        what: "result",
        onDefect: (error) => {
          throw error;
        },
      },
      (result) => {
        results.push(result);
        return { ok: true };
      },
    );
    const second = await cluster.launch();
    await until("the result is delivered", () => cluster.spool().length === 0, 20_000);
    expect(results).toMatchObject([
      { jobId: "j", step: "s", attempt: 1, node: "n1", instance: cluster.instance },
    ]);
    expect(results[0]?.reply).toMatchObject({ failure: { code: "ENGINE_FAILED" } });
    expect(cluster.effectCount()).toBe(1);
    second.child.kill("SIGTERM");
    await second.exitCode;
    await lost;
  });

  it("the worker answers a repeat when the bus is back, and the spooled copy is gone", async () => {
    const cluster = await fixture();
    const agent = await cluster.launch();
    await cluster.start(shell("exit 3"));
    const lost = cluster.ask(1, ASK_MS).catch((error: unknown) => error);
    await until("the attempt runs", () => cluster.effectCount() === 1);
    process.kill(cluster.server.pid, "SIGKILL");
    await until("the result is on the disk", () => cluster.spool().length === 1);
    await cluster.server.restart({ isKill: true });
    await until(
      "the worker is back",
      () =>
        cluster.ask(1, 500).then(
          () => true,
          () => false,
        ),
      20_000,
    );
    expect(await cluster.ask()).toMatchObject({ failure: { code: "ENGINE_FAILED" } });
    await until("the copy is gone", () => cluster.spool().length === 0);
    expect(cluster.effectCount()).toBe(1);
    agent.child.kill("SIGTERM");
    await agent.exitCode;
    await lost;
  });
});
