/**
 * Goal: questions about videos on the shipped executors and real programs: the sample, a video
 * without sound, one without pictures, a torn one, and what is told about each.
 */
import { execFile } from "node:child_process";
import { copyFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { call } from "@murakkab/bus";
import { isTerminalState, type JobReply, type Receipt } from "@murakkab/model";
import { subjects } from "@murakkab/protocol";
import { RealCluster } from "@murakkab/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

const run = promisify(execFile);
const SAMPLE = fileURLToPath(new URL("../../examples/video-qa/road_trip.mp4", import.meta.url));
const WHO = "What is the name of the person wearing the red dress?";

let cluster: RealCluster;
let root: string;

async function ffmpeg(...args: readonly string[]): Promise<void> {
  await run("ffmpeg", ["-hide_banner", "-loglevel", "error", "-nostdin", "-y", ...args]);
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "murakkab-video-"));
  await copyFile(SAMPLE, join(root, "sample.mp4"));
  // The first scenes are enough: whole-sample accuracy is a benchmark, not a test.
  await ffmpeg("-t", "12", "-i", SAMPLE, "-c", "copy", join(root, "clip.mp4"));
  await ffmpeg("-t", "12", "-i", SAMPLE, "-c", "copy", "-an", join(root, "silent.mp4"));
  await ffmpeg("-t", "12", "-i", SAMPLE, "-c", "copy", "-vn", join(root, "pictureless.mp4"));
  const torn = (await readFile(SAMPLE)).subarray(0, 20_000);
  await writeFile(join(root, "torn.mp4"), torn);
  cluster = await RealCluster.start({
    agents: ["n1", "n2"].map((node) => ({ node, cpus: 1, args: ["--input-root", root] })),
  });
});

afterAll(async () => {
  await cluster.stop();
  await rm(root, { recursive: true, force: true });
});

async function ask(
  description: string,
  input: string,
  more = {},
): Promise<{ reply: JobReply; receipt: Receipt }> {
  const reply = await cluster.submit({ description, inputs: [input], ...more });
  if (!("jobId" in reply)) throw new Error(JSON.stringify(reply));
  const receipt = await cluster.wait(reply.jobId);
  expect(isTerminalState(receipt.state)).toBe(true);
  return { reply, receipt };
}

test("the question of the demo is answered with evidence from the video", async () => {
  const { receipt } = await ask(WHO, "clip.mp4");
  expect(receipt).toMatchObject({
    state: "succeeded",
    answer: "Anna",
    energyProvenance: "modelled",
  });
  expect(receipt.evidence[0]?.atSec).toBeLessThan(12);
  expect(receipt.costUsd).toBeGreaterThan(0);
  for (const step of receipt.steps) {
    expect(["n1", "n2"]).toContain(step.node);
    expect(step.cpuSec).not.toBeNull();
  }
  expect(receipt.steps.find((step) => step.capability === "text-detection")?.items).toBeGreaterThan(
    1,
  );
});

test("the library's workflow gives the same by name", async () => {
  const { receipt } = await ask(WHO, "clip.mp4", { workflow: "video-qa" });
  expect(receipt).toMatchObject({ state: "succeeded", answer: "Anna", workflow: "video-qa" });
});

test("a task that names its result gives that result", async () => {
  const { receipt } = await ask("Transcribe the speech of this video", "clip.mp4");
  expect(receipt).toMatchObject({ state: "succeeded", answer: null });
  expect(JSON.stringify(receipt.output)).toContain("red");
});

test("a video without sound is answered from its pictures, and the reply says what is missing", async () => {
  const { reply, receipt } = await ask("Who is wearing the red dress?", "silent.mp4");
  expect(JSON.stringify(reply)).toContain("has no sound");
  if (receipt.state === "succeeded") expect(receipt.answer).toMatch(/\w/);
  else
    expect(receipt.error).toMatchObject({
      code: "INPUT_INCOMPLETE",
      message: expect.stringContaining("has no sound"),
    });
  expect(receipt.steps.map((step) => step.capability)).not.toContain("speech-to-text");
});

test("a file with sound but no pictures is answered from its sound, or names what it lacks", async () => {
  const { receipt } = await ask("What colour is the third umbrella?", "pictureless.mp4");
  expect(receipt).toMatchObject({ state: "failed", error: { code: "INPUT_INCOMPLETE" } });
  expect(receipt.error?.message).toContain("no pictures");
});

test("a torn video is refused or fails with one clear sentence", async () => {
  const told = await ask(WHO, "torn.mp4").then(
    ({ receipt }) => receipt.error?.message ?? "",
    (error: unknown) => (error instanceof Error ? error.message : ""),
  );
  expect(told).toMatch(/torn\.mp4|ffmpeg/);
  expect(told.split("\n")).toHaveLength(1);
});

test("a question that the video cannot answer is answered with: not found", async () => {
  const { receipt } = await ask("What is the name of the pilot?", "clip.mp4");
  expect(receipt).toMatchObject({ state: "succeeded", answer: "not found" });
});

test("services answer on $SRV.PING", async () => {
  const names = new Set<string>();
  const { messaging } = cluster.bus;
  const reply = await messaging.request("$SRV.PING.murakkab-scheduler", new Uint8Array(), {
    timeoutMs: 2_000,
  });
  names.add(String((JSON.parse(new TextDecoder().decode(reply.data)) as { name: string }).name));
  expect(names).toContain("murakkab-scheduler");
  const library = await call<{ executors: { id: string; unavailable: string | null }[] }>(
    messaging,
    { subject: subjects.libraryList, value: null },
    { timeoutMs: 2_000 },
  );
  expect(library.executors.every((entry) => entry.unavailable === null)).toBe(true);
});
