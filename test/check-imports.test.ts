/**
 * The import check finds what it promises: each kind of violation is planted in a tree of its own
 * and must be reported with file and line; then the real tree must be clean.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { checkImports, isPureFile } from "../scripts/check-imports.mjs";

const ROOT = dirname(import.meta.dirname);
const trees: string[] = [];

afterEach(() => {
  for (const tree of trees.splice(0)) rmSync(tree, { recursive: true, force: true });
});

/** Writes a tree of `path: source` and returns the findings as `file:line rule`. */
function findingsIn(files: Readonly<Record<string, string>>): string[] {
  const tree = mkdtempSync(join(tmpdir(), "check-imports-"));
  trees.push(tree);
  for (const [file, source] of Object.entries(files)) {
    const path = join(tree, "packages", file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, source);
  }
  return checkImports(tree).findings.map(
    ({ file, line, rule }) => `${file.replace("packages/", "")}:${line} ${rule}`,
  );
}

test.each([
  ["an import", 'import { x } from "@murakkab/core";'],
  ["a type-only import", 'import type { X } from "@murakkab/core";'],
  ["a re-export", 'export { x } from "@murakkab/core";'],
  ["a re-export of everything", 'export * from "@murakkab/core";'],
  ["a dynamic import", 'export const x = import("@murakkab/core");'],
  ["a dynamic import of a template", "export const x = import(`@murakkab/core`);"],
  ["an import type", 'export type X = import("@murakkab/core").X;'],
  ["a deep import", 'import { x } from "@murakkab/core/src/x.ts";'],
  ["a side-effect import", 'import "@murakkab/core";'],
])("R1: a room may not import another: %s", (_, line) => {
  expect(findingsIn({ "bus/src/a.ts": `// first line\n${line}\n` })).toEqual(["bus/src/a.ts:2 R1"]);
});

test("R1: a relative path across rooms, and a room that is in no table", () => {
  const findings = findingsIn({
    "core/src/a.ts": 'import { x } from "../../kit/src/x.ts";',
    "attic/src/a.ts": "export {};",
    "sdk/src/a.ts": 'import { x } from "@murakkab/sdk";',
  });
  expect(findings).toEqual(["attic/src/a.ts:1 R1", "core/src/a.ts:1 R1", "sdk/src/a.ts:1 R1"]);
});

test("R2: the NATS client outside its adapter", () => {
  const source = 'import { connect } from "nats";\n';
  const files = { "bus/src/nats/a.ts": source, "bus/src/a.ts": source, "sdk/src/a.ts": source };
  expect(findingsIn(files)).toEqual(["bus/src/a.ts:1 R2", "sdk/src/a.ts:1 R2"]);
});

test.each([
  "export const a = Date.now();",
  'export const a = Date["now"]();',
  "export const a = new Date();",
  "export const a = Date();",
  "export const { now } = Date;",
  "export const a = performance.now();",
  "export const a = Math.random();",
  "export const { random } = Math;",
  "setTimeout(() => undefined, 1);",
  "setInterval(() => undefined, 1);",
  "setImmediate(() => undefined);",
  "globalThis.setTimeout(() => undefined, 1);",
  "export const a = globalThis.Date.now();",
  "export const a = process.env;",
  "export const a = { process };",
  "export const a = crypto.randomUUID();",
  'import { readFileSync } from "node:fs";',
  'import { readFileSync } from "fs";',
  'import type { Stats } from "node:fs";',
  "export const a = (name: string) => import(name);",
  "declare const process: { pid: number };\nexport const a = process.pid;".replace("\n", " "),
])("R3: impure in a pure room: %s", (line) => {
  const findings = findingsIn({ "core/src/a.ts": `/* one */\n\n${line}\n` });
  expect(new Set(findings)).toEqual(new Set(["core/src/a.ts:3 R3"]));
});

test.each([
  "// Date.now() and setTimeout in a comment",
  'export const a = "Date.now() setTimeout process.env";',
  "export const a = `new Date() ${1} Math.random()`;",
  "export const a = new Date(0);",
  "export const a = Date.UTC(2026, 0);",
  "export const a = Math.max(1, 2);",
  "export const a = (x: unknown) => x instanceof Date;",
  "export const a = (process: { pid: number }) => process.pid;",
  "export interface A { setTimeout(): void; process: number; now: Date }",
  "export const a = (clock: { setTimeout(): void }) => clock.setTimeout();",
  "export const a = { process: 1, setTimeout: 2 };",
  "export type A = typeof setTimeout | Date;",
  "queueMicrotask(() => undefined);",
  'import { x } from "@murakkab/kit"; export const a = x;',
  "export class A { process(): void {} }",
])("R3: no finding in: %s", (line) => {
  expect(findingsIn({ "core/src/a.ts": line })).toEqual([]);
});

test("R3: which files must be pure", () => {
  const pure = ["kit/src/a.ts", "core/src/b/a.ts", "model/src/a.ts", "actor/src/a.ts"];
  pure.push(
    "bus/src/memory/a.ts",
    "scheduler/src/a.ts",
    "node-agent/src/b/a.ts",
    "worker/src/a.ts",
  );
  const free = ["bus/src/nats/a.ts", "scheduler/src/main.ts", "worker/src/adapters/a.ts"];
  free.push("cli/src/a.ts", "sdk/src/a.ts", "library/src/a.ts", "testkit/src/a.ts");
  expect(pure.filter((file) => !isPureFile(`packages/${file}`))).toEqual([]);
  expect(free.filter((file) => isPureFile(`packages/${file}`))).toEqual([]);
  const findings = findingsIn({
    "scheduler/src/main.ts": "export const a = process.argv;",
    "scheduler/src/adapters/a.ts": "export const a = Date.now();",
    "scheduler/src/intake/main.ts": "export const a = Date.now();",
  });
  expect(findings).toEqual(["scheduler/src/intake/main.ts:1 R3"]);
});

test("R4: a circle of run-time imports; type-only imports may go round", () => {
  const findings = findingsIn({
    "core/src/a.ts": 'import { b } from "./b.ts";\nexport const a = b;',
    "core/src/b.ts": 'export * from "./c.ts";\nexport const b = 1;',
    "core/src/c.ts": '\nimport { a } from "./a.ts";\nexport const c = a;',
    "core/src/d.ts": 'import type { E } from "./e.ts";\nexport type D = E;',
    "core/src/e.ts": 'import type { D } from "./d.ts";\nexport type E = D;',
  });
  expect(findings).toEqual(["core/src/a.ts:1 R4"]);
});

test("a file that cannot be parsed is a finding", () => {
  expect(findingsIn({ "kit/src/a.ts": "export const = ;" })).toContain("kit/src/a.ts:1 R0");
});

test("the real tree is clean", () => {
  const { findings, fileCount } = checkImports(ROOT);
  expect(findings).toEqual([]);
  expect(fileCount).toBeGreaterThan(20);
});
