/** Goal: what an attempt's programs cost is measured. Method: real programs that work or sleep. */
import { expect, test } from "vitest";
import { UsageMeter } from "../../src/adapters/usage-meter.ts";
import { programFixture } from "./program-fixture.ts";

const BUSY = "const t = process.cpuUsage(); while (process.cpuUsage(t).user < 300000);";

test("a busy program's CPU seconds and peak memory are seen", async () => {
  const { runNode, runner } = programFixture();
  const meter = new UsageMeter(runner);
  const end = meter.begin();
  await runNode(`const b = Buffer.alloc(100 * 1024 * 1024, 1); ${BUSY} b.length`);
  const usage = end();
  expect(usage.cpuSec).toBeGreaterThan(0.28);
  expect(usage.cpuSec).toBeLessThan(5);
  const programBytes = (usage.memoryBytesMax ?? 0) - process.memoryUsage.rss();
  expect(programBytes).toBeGreaterThan(80 * 1024 * 1024);
});

test("a program that waits costs almost nothing, and measures do not add up", async () => {
  const { run, runner } = programFixture();
  const meter = new UsageMeter(runner);
  meter.begin()();
  const end = meter.begin();
  await run("sleep", ["0.4"]);
  expect(end().cpuSec).toBeLessThan(0.4);
});

test("U1: attempts that overlapped are told no CPU seconds, the next one only its own", async () => {
  const { run, runNode, runner } = programFixture();
  const meter = new UsageMeter(runner);
  const first = meter.begin();
  const second = meter.begin();
  await runNode(BUSY);
  expect(first().cpuSec).toBeNull();
  expect(second().cpuSec).toBeNull();
  const third = meter.begin();
  await run("true", []);
  expect(third().cpuSec).toBeLessThan(0.28); // the busy program is not on this bill
});

test("U2: without a program the process itself is measured", () => {
  const meter = new UsageMeter({ startedCount: 0, endedCount: 0 });
  const end = meter.begin();
  const usage = end();
  expect(usage.cpuSec).toBeLessThan(0.1);
  expect(usage.memoryBytesMax).toBeGreaterThan(10 * 1024 * 1024);
});
