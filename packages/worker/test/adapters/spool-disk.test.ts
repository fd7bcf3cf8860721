/** Goal: results wait on the disk within a bound. Method: a real directory. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AttemptResult } from "@murakkab/protocol";
import { attemptResultSchema, decode, spoolFileName } from "@murakkab/protocol";
import { expect, test } from "vitest";
import { SpoolDisk } from "../../src/adapters/spool-disk.ts";
import { tempDir, until } from "./program-fixture.ts";

function resultOf(key: string, chars = 10): AttemptResult {
  const measure = { runMs: 1, cpuSec: 0, memoryBytesMax: null, startedAtMs: 0, endedAtMs: 1 };
  const ids = { jobId: "j", step: "s", item: 0, attempt: 1, instance: "i", node: "n1" };
  const answer = { kind: "inline" as const, value: "x".repeat(chars) };
  return { ...ids, key, reply: { outputs: { answer }, measure } };
}

test("S1: a result is one whole file, named after its key, gone when removed", async () => {
  const dir = join(tempDir(), "spool");
  const spool = new SpoolDisk({ dir, limitBytes: 10_000 });
  expect(spool.isFull).toBe(false);
  await spool.put(resultOf("a/b c"));
  await spool.put(resultOf("a/b c"));
  expect(readdirSync(dir)).toEqual([spoolFileName("a/b c")]);
  const data = readFileSync(join(dir, spoolFileName("a/b c")));
  const { value } = decode(data, { "Content-Type": "application/msgpack" });
  expect(attemptResultSchema.parse(value)).toEqual(resultOf("a/b c"));
  await spool.remove("a/b c");
  await spool.remove("never there");
  expect(readdirSync(dir)).toEqual([]);
});

test("S2, S3: says full before it is, refuses what does not fit, and has room again", async () => {
  const dir = join(tempDir(), "spool");
  const spool = new SpoolDisk({ dir, limitBytes: 10_000 });
  await spool.put(resultOf("a", 6_000));
  expect(spool.isFull).toBe(true);
  await spool.put(resultOf("b", 2_000)); // what ran then still finds its place
  await expect(spool.put(resultOf("c", 3_000))).rejects.toMatchObject({
    code: "SPOOL_FULL",
    kind: "retryable",
  });
  rmSync(join(dir, spoolFileName("a"))); // delivered by the agent
  await until(() => !spool.isFull);
});

test("what others have spooled counts", async () => {
  const dir = tempDir();
  writeFileSync(join(dir, "other"), "x".repeat(9_000));
  const spool = new SpoolDisk({ dir, limitBytes: 10_000 });
  await spool.look();
  expect(spool.isFull).toBe(true);
});
