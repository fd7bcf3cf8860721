/**
 * `npm test`: every check of the repository, in the order of what fails fastest.
 *
 * Owns:      the list of checks, the summary, and the last line `N passed, N failed[, N skipped]`.
 * Does not:  test anything itself.
 *
 * `npm test -- --fast`       all checks, and only the tests that need no server and no program
 * `npm test -- FILTER …`     only the tests; everything else on the line goes to vitest
 *
 * The counts of the last line are vitest's. A check that fails counts as one failure more, so
 * that a red run never ends in "0 failed".
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { capture, cleanOnSignal, runInTerminal, tellFailure } from "./bootstrap/run-program.mjs";
import { findNatsServer, findOnPath, NEEDS } from "./bootstrap/system-programs.mjs";
import { bootstrap, ROOT } from "./bootstrap.mjs";

const BIN = join(ROOT, "node_modules/.bin");
/** Tests that start a server or other programs; `--fast` leaves them out. */
const SLOW_TESTS = ["**/*.int.test.ts", "test/{integration,e2e,chaos}/**"];
/** Needs a GPU: a command of its own, never a part of this one. */
const GPU_TESTS = ["test/gpu/**"];
/** What the tests started is given this long to end by itself after the last test. */
const LEFTOVER_WAIT_MS = 3_000;
/** A test that loops for ever never meets its own time limit; the whole suite takes minutes. */
const TESTS_LIMIT_MS = 20 * 60_000;
/** Marks every process that descends from this run, whatever group or session it is in. */
const RUN_MARK = `MURAKKAB_TEST_RUN=${process.pid}-${Date.now()}`;

const CHECKS = [
  { name: "format", command: [join(BIN, "biome"), "check", "."] },
  // Before lint: what packages export is typed by what the build writes.
  { name: "build", command: [join(BIN, "tsc"), "-b"] },
  { name: "lint", command: [join(BIN, "oxlint"), "--type-aware", "--deny-warnings"] },
  { name: "imports", command: [process.execPath, join(ROOT, "scripts/check-imports.mjs")] },
  { name: "types of tests", command: [join(BIN, "tsc"), "-p", "tsconfig.test.json"] },
  // One pattern serves all packages, so that some match nothing in some of them is no news.
  { name: "dead code", command: [join(BIN, "knip"), "--no-progress", "--no-config-hints"] },
];

function environment() {
  const [name, value] = RUN_MARK.split("=");
  const env = { ...process.env, [name]: value };
  // oxlint looks for tsgolint there.
  env.PATH = [BIN, env.PATH].join(delimiter);
  if (!env.MURAKKAB_NATS_SERVER && findOnPath("nats-server", []) === null) {
    const path = findNatsServer();
    if (path !== null) env.MURAKKAB_NATS_SERVER = path;
  }
  return env;
}

function say(line) {
  process.stdout.write(`${line}\n`);
}

async function runChecks(env) {
  const results = [];
  for (const { name, command } of CHECKS) {
    const startedMs = performance.now();
    const [program, ...args] = command;
    const { code, stdout, stderr, error } = await capture(program, args, { cwd: ROOT, env });
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    const isOk = code === 0;
    if (!isOk) say(`${stdout}${stderr}${error ?? ""}`.trimEnd());
    say(`${isOk ? "ok    " : "FAILED"}  ${name} (${seconds} s)`);
    results.push({ name, isOk });
  }
  return results;
}

/** Test counts out of vitest's report. A file that could not be loaded is one failure. */
function countTests(reportFile, exitCode) {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  if (existsSync(reportFile)) {
    const report = JSON.parse(readFileSync(reportFile, "utf8"));
    counts.passed = report.numPassedTests;
    counts.failed = report.numFailedTests;
    counts.skipped = report.numPendingTests + report.numTodoTests;
    for (const file of report.testResults) {
      const hasFailedTest = file.assertionResults.some((test) => test.status === "failed");
      if (file.status === "failed" && !hasFailedTest) counts.failed += 1;
    }
  }
  // Unhandled errors, no test found, or a crash before the report.
  if (exitCode !== 0 && counts.failed === 0) counts.failed = 1;
  return counts;
}

async function runTests({ isFast, rest, env }) {
  const directory = mkdtempSync(join(tmpdir(), "murakkab-test-"));
  const clean = () => rmSync(directory, { recursive: true, force: true });
  const forget = cleanOnSignal(clean);
  const reportFile = join(directory, "report.json");
  const excluded = [...GPU_TESTS, ...(isFast ? SLOW_TESTS : [])];
  const args = ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${reportFile}`];
  for (const pattern of excluded) args.push(`--exclude=${pattern}`);
  try {
    const code = await runInTerminal(join(BIN, "vitest"), [...args, ...rest], {
      cwd: ROOT,
      env,
      limitMs: TESTS_LIMIT_MS,
    });
    return { code, counts: countTests(reportFile, code) };
  } finally {
    forget();
    clean();
  }
}

/** Processes that carry the mark of this run: `{ pid, command }`. Linux only; else none. */
function leftovers() {
  if (process.platform !== "linux") return [];
  const found = [];
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      const variables = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
      if (!variables.includes(RUN_MARK)) continue;
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
      // A zombie has no command line any more: it ended, only its parent did not look yet.
      if (command !== "") found.push({ pid, command });
    } catch {
      // Ended meanwhile, or another user's.
    }
  }
  return found;
}

/** Waits for what the tests started; what stays is named and ended. Returns how many stayed. */
async function endLeftovers() {
  const untilMs = performance.now() + LEFTOVER_WAIT_MS;
  let left = leftovers();
  while (left.length > 0 && performance.now() < untilMs) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    left = leftovers();
  }
  for (const { pid, command } of left) {
    say(`left behind by a test: process ${pid}: ${command.slice(0, 200)}`);
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // Ended after all.
    }
  }
  return left.length;
}

function summary({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

async function main(args) {
  const isFast = args.includes("--fast");
  const isVerbose = args.includes("--verbose");
  const rest = args.filter((arg) => arg !== "--fast" && arg !== "--verbose");
  const needs = isFast ? NEEDS.none : NEEDS.test;
  try {
    // The build is one of the checks below: when it fails, the others still run.
    await bootstrap({ mode: "all", needs, build: false, isVerbose });
  } catch (error) {
    const exitCode = tellFailure(error, isVerbose);
    say(summary({ passed: 0, failed: 1, skipped: 0 }));
    return exitCode;
  }
  const env = environment();
  const checks = rest.length === 0 ? await runChecks(env) : [];
  const { code, counts } = await runTests({ isFast, rest, env });
  const leftCount = await endLeftovers();
  const failedChecks = checks.filter((check) => !check.isOk).map((check) => check.name);

  say("");
  if (rest.length > 0) say("checks:  not run, because tests were picked by name");
  else say(`checks:  ${checks.length - failedChecks.length} ok, ${failedChecks.length} failed`);
  if (failedChecks.length > 0) say(`failed:  ${failedChecks.join(", ")}`);
  say(`tests:   ${summary(counts)}${isFast ? " (without those that need a server)" : ""}`);
  if (leftCount > 0) say(`tests left ${leftCount} processes behind, which counts as a failure`);
  const failed = counts.failed + failedChecks.length + (leftCount > 0 ? 1 : 0);
  say(summary({ ...counts, failed }));
  return failed === 0 && code === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
