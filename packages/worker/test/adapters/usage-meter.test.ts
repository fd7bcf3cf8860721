/** Goal: what an attempt's programs cost is measured. Method: real programs that work or sleep. */
import { expect, test } from "vitest";
import { UsageMeter } from "../../src/adapters/usage-meter.ts";
import { programFixture } from "./program-fixture.ts";

test("a busy program's CPU seconds and peak memory are seen", async () => {
  const { runNode } = programFixture();
  const meter = new UsageMeter();
  const end = meter.begin();
  await runNode(
    "const b = Buffer.alloc(100 * 1024 * 1024, 1); const t = process.cpuUsage(); while (process.cpuUsage(t).user < 300000); b.length",
  );
  const usage = end();
  expect(usage.cpuSec).toBeGreaterThan(0.28);
  expect(usage.cpuSec).toBeLessThan(5);
  const programBytes = (usage.memoryBytesMax ?? 0) - process.memoryUsage.rss();
  expect(programBytes).toBeGreaterThan(80 * 1024 * 1024);
});

test("a program that waits costs almost nothing, and measures do not add up", async () => {
  const { run } = programFixture();
  const meter = new UsageMeter();
  meter.begin()();
  const end = meter.begin();
  await run("sleep", ["0.4"]);
  expect(end().cpuSec).toBeLessThan(0.4);
});
