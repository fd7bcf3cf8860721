/** What `murakkab doctor` looks at, each as one finding. */
import { execFile } from "node:child_process";
import { statfs } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { promisify } from "node:util";
import { findNatsServer } from "@murakkab/bus/nats-server";
import { describeError } from "@murakkab/kit";
import { PARTITION_COUNT } from "@murakkab/protocol";
import type { Client, SchedulersView } from "@murakkab/sdk";
import { formatBytes } from "../render/units.ts";

export interface Finding {
  readonly check: string;
  /** `bad` fails the command; `poor` means that something works less well. */
  readonly verdict: "good" | "poor" | "bad";
  readonly text: string;
}

const NODE_VERSION_MIN = [20, 19] as const;

export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.replace(/^v/, "").split(".").map(Number);
  const isEnough =
    major > NODE_VERSION_MIN[0] || (major === NODE_VERSION_MIN[0] && minor >= NODE_VERSION_MIN[1]);
  return {
    check: "node",
    verdict: isEnough ? "good" : "bad",
    text: isEnough ? version : `${version}, expected ${NODE_VERSION_MIN.join(".")} or later`,
  };
}

export async function checkNatsServer(root: string): Promise<Finding> {
  try {
    const { path, version } = await findNatsServer({ projectDirectory: root });
    return { check: "nats-server", verdict: "good", text: `${version.text} (${path})` };
  } catch (error) {
    return { check: "nats-server", verdict: "bad", text: describeError(error) };
  }
}

/** Arguments that make a program tell its version; `--version` for all others. */
const VERSION_ARGS: Readonly<Record<string, readonly string[]>> = {
  ffmpeg: ["-version"],
  ffprobe: ["-version"],
  pocketsphinx_continuous: ["-h"],
};
/** A program that takes longer to tell its version hangs. */
const VERSION_TIMEOUT_MS = 5_000;

export async function checkProgram(program: string): Promise<Finding> {
  const check = `program ${program}`;
  try {
    const run = promisify(execFile);
    const args = VERSION_ARGS[program] ?? ["--version"];
    const { stdout, stderr } = await run(program, [...args], { timeout: VERSION_TIMEOUT_MS });
    const line = `${stdout}\n${stderr}`.split("\n").find((text) => text.trim() !== "") ?? "";
    return { check, verdict: "good", text: line.replace(/ Copyright.*$/, "").slice(0, 100) };
  } catch (error) {
    const { code } = error as { code?: unknown };
    // It is there, but does not know the flag: that is good enough.
    if (typeof code === "number") return { check, verdict: "good", text: "is there" };
    const text = code === "ENOENT" ? "is not on PATH" : describeError(error);
    return { check, verdict: "poor", text };
  }
}

/** Below this a video of some minutes may already fill the disk. */
const DISK_FREE_BYTES_MIN = 2 * 1024 ** 3;

export async function checkDisk(path = tmpdir()): Promise<Finding> {
  const { bavail, bsize } = await statfs(path);
  const freeBytes = bavail * bsize;
  const isEnough = freeBytes >= DISK_FREE_BYTES_MIN;
  const text = `${formatBytes(freeBytes)} free in ${path}`;
  return {
    check: "disk",
    verdict: isEnough ? "good" : "poor",
    text: isEnough ? text : `${text}, expected at least ${formatBytes(DISK_FREE_BYTES_MIN)}`,
  };
}

/** A port of the loopback interface can be had, and what is on the usual one. */
export async function checkPorts(): Promise<Finding> {
  try {
    await listenOnce(0);
  } catch (error) {
    return {
      check: "ports",
      verdict: "bad",
      text: `no port can be opened: ${describeError(error)}`,
    };
  }
  const isFree = await listenOnce(4222).then(
    () => true,
    () => false,
  );
  const text = isFree
    ? "free ports can be opened; nothing is on 4222"
    : "free ports can be opened; something listens on 4222";
  return { check: "ports", verdict: "good", text };
}

function listenOnce(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ port, host: "127.0.0.1" }, () => server.close(() => resolve()));
  });
}

export async function checkJetStream(client: Client): Promise<Finding> {
  const check = "JetStream";
  try {
    const info = await client.ask<{ streams?: number; storage?: number }>("$JS.API.INFO", null);
    const text = `${info.streams ?? 0} streams, ${formatBytes(info.storage ?? 0)} on disk`;
    return { check, verdict: "good", text };
  } catch (error) {
    const text = `is not enabled on the bus, start nats-server with -js: ${describeError(error)}`;
    return { check, verdict: "bad", text };
  }
}

/** Larger differences make times in lists and journals confusing; decisions do not use them. */
const CLOCK_SKEW_MS_MAX = 2_000;

/** Wall clocks of the nodes against this one, from samples that tell their age. */
export function checkClocks(
  samples: readonly { node: string; sampledAt: string; sampleAgeMs: number }[],
  nowMs: number,
): Finding {
  const skewed = samples.flatMap(({ node, sampledAt, sampleAgeMs }) => {
    const skewMs = Math.round(Date.parse(sampledAt) + sampleAgeMs - nowMs);
    return Math.abs(skewMs) > CLOCK_SKEW_MS_MAX ? [`${node} is off by ${skewMs} ms`] : [];
  });
  const isPlausible = nowMs > Date.parse("2025-01-01") && nowMs < Date.parse("2100-01-01");
  if (!isPlausible) {
    return {
      check: "clock",
      verdict: "poor",
      text: `${new Date(nowMs).toISOString()} cannot be right`,
    };
  }
  return {
    check: "clock",
    verdict: skewed.length === 0 ? "good" : "poor",
    text: skewed.length === 0 ? new Date(nowMs).toISOString() : skewed.join(", "),
  };
}

/** That somebody leads, and that every job has an owner. */
export function checkSchedulers({ schedulers, leader }: SchedulersView): Finding {
  const check = "schedulers";
  if (leader === null) {
    const text = `none of ${schedulers.length} leads: nodes cannot register, nothing is started`;
    return { check, verdict: "bad", text };
  }
  const owned = schedulers.reduce((sum, { ownedPartitionCount }) => sum + ownedPartitionCount, 0);
  // No beats: one of the former version, or this user may not hear them.
  if (schedulers.length === 0) return { check, verdict: "good", text: `${leader} leads` };
  const text = `${schedulers.length}, ${leader} leads`;
  if (owned >= PARTITION_COUNT) return { check, verdict: "good", text };
  const free = PARTITION_COUNT - owned;
  return {
    check,
    verdict: "poor",
    text: `${text}; ${free} of ${PARTITION_COUNT} partitions of the jobs have no owner just now`,
  };
}
