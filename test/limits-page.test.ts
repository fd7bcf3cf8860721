/** docs/limits.md names every bound of the wire with its present value, and no bound that is gone. */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import * as limits from "../packages/protocol/src/limits.ts";

test("docs/limits.md lists the constants of packages/protocol/src/limits.ts", () => {
  const page = readFileSync(join(dirname(import.meta.dirname), "docs/limits.md"), "utf8");
  const rows = [...page.matchAll(/^\| `([A-Z0-9_]+)` \| (\S+) \|/gm)];
  const listed = Object.fromEntries(rows.map(([, name, value]) => [name, Number(value)]));
  expect(listed).toEqual({ ...limits });
  expect(rows.length).toBe(Object.keys(limits).length);
});
