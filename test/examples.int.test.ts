/** Goal: the examples run from a checkout with the command that they name, and say what they should. */
import { execFile } from "node:child_process";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const ROOT = dirname(import.meta.dirname);
const run = promisify(execFile);

async function outputOf(name: string): Promise<string[]> {
  const script = join(ROOT, "scripts/example.mjs");
  const { stdout } = await run(process.execPath, [script, name], { cwd: ROOT, timeout: 55_000 });
  return stdout.trim().split("\n");
}

test("actors/counter", async () => {
  expect(await outputOf("actors/counter")).toEqual(["apples: 2", "apples: 5", "pears: 11"]);
});

test("actors/streaming", async () => {
  expect(await outputOf("actors/streaming")).toEqual([
    "sum of 1000: 499500",
    "read 10, made fewer than 200: true",
  ]);
});

test("actors/account", async () => {
  expect(await outputOf("actors/account")).toEqual([
    'paid in: {"balance":100,"generation":1}',
    'refused: "the balance is too low"',
    "passivated, live activations: 0",
    'woken: {"balance":100,"generation":1}',
    'elsewhere: {"balance":70,"generation":2}',
  ]);
});
