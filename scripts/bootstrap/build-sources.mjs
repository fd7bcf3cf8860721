/**
 * Compiles the packages with `tsc -b`, only when a source changed since the last good build.
 *
 * Owns:      the fast check (names, sizes and times of the sources) and the call of the compiler.
 * Does not:  type-check tests (see tsconfig.test.json and scripts/test.mjs).
 *
 * The compiler's own check is exact but takes about a second to say "nothing to do"; this one
 * takes a few milliseconds, and a wrong "changed" only costs that second.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packageDirectories } from "./install-packages.mjs";
import { capture, ScriptError } from "./run-program.mjs";

const STAMP = "node_modules/.murakkab-build.json";
const TSC = "node_modules/typescript/bin/tsc";
/** Test support and what uses it: may import tools that a run-time install does not have. */
const DEV_ONLY = new Set(["packages/testkit", "bench"]);

function packagesOf(root, mode) {
  return packageDirectories(root).filter(
    (directory) =>
      existsSync(join(root, directory, "tsconfig.json")) &&
      (mode === "all" || !DEV_ONLY.has(directory)),
  );
}

function describe(path) {
  const { size, mtimeMs } = statSync(path);
  return `${path} ${size} ${mtimeMs}\n`;
}

function digestOf(root, name) {
  const directory = join(root, name);
  const hash = createHash("sha256");
  for (const file of ["tsconfig.base.json", "node_modules/typescript/package.json"]) {
    hash.update(describe(join(root, file)));
  }
  hash.update(describe(join(directory, "tsconfig.json")));
  hash.update(describe(join(directory, "package.json")));
  const walk = (at) => {
    for (const entry of readdirSync(at, { withFileTypes: true })) {
      const path = join(at, entry.name);
      if (entry.isDirectory()) walk(path);
      else hash.update(describe(path));
    }
  };
  if (existsSync(join(directory, "src"))) walk(join(directory, "src"));
  return hash.digest("hex");
}

function readStamp(root) {
  try {
    return JSON.parse(readFileSync(join(root, STAMP), "utf8"));
  } catch {
    return {};
  }
}

function digests(root, mode) {
  return Object.fromEntries(packagesOf(root, mode).map((name) => [name, digestOf(root, name)]));
}

export function isBuilt(root, mode) {
  if (!existsSync(join(root, TSC))) return false;
  const stamp = readStamp(root);
  return Object.entries(digests(root, mode)).every(
    ([name, digest]) => stamp[name] === digest && existsSync(join(root, name, "dist/.tsbuildinfo")),
  );
}

export async function buildSources(root, mode, { say }) {
  const startedMs = performance.now();
  say("building");
  // Taken before the build: what changes while it runs is built next time.
  const before = digests(root, mode);
  const projects = Object.keys(before);
  const result = await capture(process.execPath, [TSC, "-b", ...projects], { cwd: root });
  if (result.code !== 0) {
    const output = `${result.stdout}${result.stderr}`.trim().split("\n");
    throw new ScriptError("the sources do not compile; the compiler's messages are above", {
      detail: output.slice(0, 40).join("\n"),
    });
  }
  writeFileSync(join(root, STAMP), `${JSON.stringify({ ...readStamp(root), ...before })}\n`);
  say(`built in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
}
